//! What a call is answered with, once nothing stands in its way: looked up in what shows of the world.

use serde::Serialize;

use super::Api;
use super::access::{Access, Caller};
use super::call::{Call, Listing};
use super::error::Refusal;
use super::lists::{self, Paging};
use super::method::Method;
use super::people::{self, PeopleBody, PersonBody};
use super::view::View;
use crate::meet::wire;
use crate::model::{MeetingCode, SpaceName};
use crate::sim::faults::{Fault, Lag};
use crate::sim::hash::hash;
use crate::sim::world::ids::id_of;
use jiff::Timestamp;

/// The answer to a call, in the wire's types.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Payload {
    Conferences(wire::ConferenceRecords),
    Conference(wire::ConferenceRecord),
    Participants(wire::Participants),
    Participant(wire::Participant),
    Sessions(wire::ParticipantSessions),
    Session(wire::ParticipantSession),
    Space(SpaceBody),
    Person(PersonBody),
    People(PeopleBody),
}

/// `Space`, with the part of its configuration that is always there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpaceBody {
    #[serde(flatten)]
    pub space: wire::Space,
    config: SpaceConfig,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct SpaceConfig {
    access_type: &'static str,
    entry_point_access: &'static str,
}

impl Api {
    pub(super) fn payload(
        &self,
        call: &Call,
        caller: Caller,
        faults: &[Fault],
        now: Timestamp,
    ) -> Result<Payload, Refusal> {
        let lag =
            faults.iter().fold(Lag::NONE, |lag, fault| if let Fault::Lag(more) = fault { lag.and(*more) } else { lag });
        let view = View { world: &self.world, now, lag };
        let me = match caller {
            Caller::User(person) => Some(self.world.person(person)),
            _ => None,
        };
        match call {
            Call::Conferences(listing) => {
                let paging = self.paging(Method::ListConferences, "", listing, faults)?;
                lists::conferences(&view, caller, listing, &paging).map(Payload::Conferences)
            }
            Call::Space { id } => self.space(&view, caller, id).map(Payload::Space),
            Call::Person { id, fields } => people::get(&self.world, id, me, *fields).map(Payload::Person),
            Call::People { names, fields } => people::batch(&self.world, names, me, *fields).map(Payload::People),
            Call::Conference { conference }
            | Call::Participants { conference, .. }
            | Call::Participant { conference, .. }
            | Call::Sessions { conference, .. }
            | Call::Session { conference, .. } => self.within(&view, conference, call, caller, faults),
        }
    }

    /// Answers what is asked about one conference.
    fn within(
        &self,
        view: &View<'_>,
        id: &str,
        call: &Call,
        caller: Caller,
        faults: &[Fault],
    ) -> Result<Payload, Refusal> {
        let (_, conference) = view.conference(id).ok_or_else(Refusal::not_found)?;
        let access = if caller.may_see(&self.world, conference) {
            Access::Granted
        } else {
            self.settings.strangers.access(call.method())
        };
        let nothing = match access {
            Access::Granted => false,
            Access::Nothing => true,
            Access::Refused(refusal) => return Err(refusal),
        };
        let participant = |participant: &str| {
            let found = conference.participant(participant);
            found.and_then(|p| view.participant(p).map(|times| (p, times))).ok_or_else(Refusal::not_found)
        };
        match call {
            Call::Participants { listing, .. } => {
                let mut paging = self.paging(Method::ListParticipants, id, listing, faults)?;
                paging.empty |= nothing;
                Ok(Payload::Participants(lists::participants(view, conference, listing, &paging)))
            }
            Call::Participant { participant: id, .. } => {
                let (participant, times) = participant(id)?;
                Ok(Payload::Participant(view.participant_body(participant, times)))
            }
            Call::Sessions { participant: person, listing, .. } => {
                let mut paging = self.paging(Method::ListSessions, &format!("{id}/{person}"), listing, faults)?;
                paging.empty |= nothing;
                Ok(Payload::Sessions(lists::sessions(view, participant(person)?.0, listing, &paging)))
            }
            Call::Session { participant: person, session, .. } => {
                let sessions = participant(person)?.0.sessions.iter().enumerate();
                let mut named = sessions.filter(|(_, s)| id_of(s.name.as_str()) == session);
                let found = named.find(|(number, session)| view.session(*number, session));
                found.map(|(_, session)| Payload::Session(view.session_body(session))).ok_or_else(Refusal::not_found)
            }
            _ => Ok(Payload::Conference(view.conference_body(conference))),
        }
    }

    fn space(&self, view: &View<'_>, caller: Caller, id: &str) -> Result<SpaceBody, Refusal> {
        let by_name = SpaceName::parse(&format!("spaces/{id}")).ok().and_then(|name| self.world.space_by_name(&name));
        // A meeting code is an alias, whatever its case.
        let by_code = || MeetingCode::parse(&id.to_lowercase()).ok().and_then(|code| self.world.space_by_code(&code));
        let key = by_name.or_else(by_code).ok_or_else(Refusal::not_found)?;
        let granted = caller.may_see_space(&self.world, key);
        if !granted && let Access::Refused(refusal) = self.settings.strangers.access(Method::GetSpace) {
            return Err(refusal);
        }
        let space = self.world.space(key);
        // Where the end lags, what is over still shows as live.
        let last = space.conferences.iter().rev().map(|(_, key)| self.world.conference(*key));
        let mut live = last.take(2).filter(|c| view.shows(c) && view.conference_end(c).is_none());
        let active = live.next().filter(|_| granted);
        Ok(SpaceBody {
            space: wire::Space {
                name: space.name.to_string(),
                meeting_code: Some(space.code.to_string()),
                meeting_uri: Some(format!("https://meet.google.com/{}", space.code)),
                active_conference: active
                    .map(|conference| wire::ActiveConference { conference_record: conference.name.to_string() }),
            },
            config: SpaceConfig { access_type: "TRUSTED", entry_point_access: "ALL" },
        })
    }

    fn paging(&self, method: Method, parent: &str, listing: &Listing, faults: &[Fault]) -> Result<Paging, Refusal> {
        let mut paging = Paging::new(method, parent, listing, self.settings.seed, self.settings.max_page)?;
        for fault in faults {
            match fault {
                Fault::Duplicates(count) => paging.duplicates = *count,
                Fault::Skips(count) => paging.skips = *count,
                Fault::Omit(share) => {
                    paging.omit = Some((*share, hash(self.settings.seed, &[&self.requests.to_be_bytes()])));
                }
                Fault::RepeatToken => paging.repeat_token = true,
                Fault::Empty => paging.empty = true,
                _ => {}
            }
        }
        Ok(paging)
    }
}
