//! Callers of the API, and what each may see.

use super::error::{Forbidden, GoogleError};
use super::method::GoogleMethod;
use crate::sim::world::{PersonKey, SimConference, SpaceKey, World};

/// The caller of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Caller {
    /// Unauthenticated: no token, or one that was not issued here. Sees everything.
    #[default]
    Anybody,
    /// A user, by their own consent or through domain-wide delegation: sees what they organize or take part in.
    User(PersonKey),
    /// The service account itself, without a subject: neither organizes nor takes part in anything.
    ServiceAccount,
}

/// How the API answers a user about a conference that they neither organize nor take part in. All three were observed
/// at Google.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strangers {
    #[default]
    Forbidden,
    NotFound,
    /// Lists are empty, and `get` answers 404.
    Empty,
}

/// Whether a caller may read a conference.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AccessDecision {
    Granted,
    /// Answered with an empty list.
    Nothing,
    Refused(GoogleError),
}

impl Caller {
    /// Returns whether `conferenceRecords.list` shows conferences of this space to the caller.
    pub(super) fn organizes(self, world: &World, space: SpaceKey) -> bool {
        match self {
            Self::Anybody => true,
            Self::User(person) => world.space(space).organizer == Some(person),
            Self::ServiceAccount => false,
        }
    }

    pub(super) fn may_see(self, world: &World, conference: &SimConference) -> bool {
        let takes_part = matches!(self, Self::User(person) if conference.knows(person));
        takes_part || self.organizes(world, conference.space)
    }

    /// Returns whether the caller may see the live conference of a space: its owner and current participants may.
    pub(super) fn may_see_space(self, world: &World, space: SpaceKey) -> bool {
        let takes_part =
            matches!(self, Self::User(person) if world.live_in(space).is_some_and(|live| live.knows(person)));
        takes_part || self.organizes(world, space)
    }
}

impl Strangers {
    pub(super) fn access(self, method: GoogleMethod) -> AccessDecision {
        match self {
            Self::Forbidden => {
                let refusal = GoogleError::forbidden(Forbidden::PermissionDenied, method.service(), method.rpc());
                AccessDecision::Refused(refusal)
            }
            Self::Empty if method.is_list() || method == GoogleMethod::GetSpace => AccessDecision::Nothing,
            Self::NotFound | Self::Empty => AccessDecision::Refused(GoogleError::not_found()),
        }
    }
}
