//! Who asks, and what they may see.

use super::error::{Forbidden, Refusal};
use super::method::Method;
use crate::sim::world::{Conference, PersonKey, SpaceKey, World};

/// Who asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Caller {
    /// Nobody said who they are (no token, or one that was not issued here): sees everything.
    #[default]
    Anybody,
    /// A user, by their own consent or through domain-wide delegation: sees what they organize or take part in.
    User(PersonKey),
    /// The service account itself, without a subject: organizes nothing and takes part in nothing.
    ServiceAccount,
}

/// What a user gets for a conference that they neither organize nor take part in. All three have been seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strangers {
    #[default]
    Forbidden,
    NotFound,
    /// Lists are empty; what is asked for by name is not found.
    Empty,
}

/// What comes of a question about one conference.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Access {
    Granted,
    /// Answer, but with nothing in it.
    Nothing,
    Refused(Refusal),
}

impl Caller {
    /// Whether `conferenceRecords.list` shows conferences of this space to the caller.
    pub(super) fn organizes(self, world: &World, space: SpaceKey) -> bool {
        match self {
            Self::Anybody => true,
            Self::User(person) => world.space(space).organizer == Some(person),
            Self::ServiceAccount => false,
        }
    }

    pub(super) fn may_see(self, world: &World, conference: &Conference) -> bool {
        let takes_part = matches!(self, Self::User(person) if conference.knows(person));
        takes_part || self.organizes(world, conference.space)
    }

    /// Whether the caller may see who is live in a space: its owner, and whoever takes part now.
    pub(super) fn may_see_space(self, world: &World, space: SpaceKey) -> bool {
        let takes_part =
            matches!(self, Self::User(person) if world.live_in(space).is_some_and(|live| live.knows(person)));
        takes_part || self.organizes(world, space)
    }
}

impl Strangers {
    pub(super) fn access(self, method: Method) -> Access {
        match self {
            Self::Forbidden => {
                let refusal = Refusal::forbidden(Forbidden::PermissionDenied, method.service(), method.rpc());
                Access::Refused(refusal)
            }
            Self::Empty if method.is_list() || method == Method::GetSpace => Access::Nothing,
            Self::NotFound | Self::Empty => Access::Refused(Refusal::not_found()),
        }
    }
}
