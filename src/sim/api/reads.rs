//! Answers a call from the visible part of the world.

use serde::Serialize;

use super::SimApi;
use super::access::{AccessDecision, Caller};
use super::call::{ListParameters, ReadCall};
use super::error::GoogleError;
use super::lists::{self, Paging};
use super::method::GoogleMethod;
use super::people::{self, PeopleBody, PersonBody};
use super::visible::VisibleWorld;
use crate::meet::wire;
use crate::model::{MeetingCode, SpaceName};
use crate::sim::faults::{Fault, Lag};
use crate::sim::hash::hash;
use crate::sim::world::ids::id_of;
use jiff::Timestamp;

/// The answer to a call, in the types of the wire.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ReadResponse {
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

/// `Space`, with the part of its configuration that is always present.
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

impl SimApi {
    pub(super) fn response(
        &self,
        call: &ReadCall,
        caller: Caller,
        faults: &[Fault],
        now: Timestamp,
    ) -> Result<ReadResponse, GoogleError> {
        let lag =
            faults.iter().fold(Lag::NONE, |lag, fault| if let Fault::Lag(more) = fault { lag.and(*more) } else { lag });
        let view = VisibleWorld { world: &self.world, now, lag };
        let me = match caller {
            Caller::User(person) => Some(self.world.person(person)),
            _ => None,
        };
        match call {
            ReadCall::Conferences(listing) => {
                let paging = self.paging(GoogleMethod::ListConferences, "", listing, faults)?;
                lists::conferences(&view, caller, listing, &paging).map(ReadResponse::Conferences)
            }
            ReadCall::Space { id } => self.space(&view, caller, id).map(ReadResponse::Space),
            ReadCall::Person { id, fields } => people::get(&self.world, id, me, *fields).map(ReadResponse::Person),
            ReadCall::People { names, fields } => {
                people::batch(&self.world, names, me, *fields).map(ReadResponse::People)
            }
            ReadCall::Conference { conference }
            | ReadCall::Participants { conference, .. }
            | ReadCall::Participant { conference, .. }
            | ReadCall::Sessions { conference, .. }
            | ReadCall::Session { conference, .. } => self.response_within(&view, conference, call, caller, faults),
        }
    }

    /// Answers a call about one conference.
    fn response_within(
        &self,
        view: &VisibleWorld<'_>,
        id: &str,
        call: &ReadCall,
        caller: Caller,
        faults: &[Fault],
    ) -> Result<ReadResponse, GoogleError> {
        let (_, conference) = view.conference(id).ok_or_else(GoogleError::not_found)?;
        let access = if caller.may_see(&self.world, conference) {
            AccessDecision::Granted
        } else {
            self.settings.strangers.access(call.method())
        };
        let is_empty = match access {
            AccessDecision::Granted => false,
            AccessDecision::Nothing => true,
            AccessDecision::Refused(refusal) => return Err(refusal),
        };
        let participant = |participant: &str| {
            let found = conference.participant(participant);
            found.and_then(|p| view.participant(p).map(|times| (p, times))).ok_or_else(GoogleError::not_found)
        };
        match call {
            ReadCall::Participants { listing, .. } => {
                let mut paging = self.paging(GoogleMethod::ListParticipants, id, listing, faults)?;
                paging.empty |= is_empty;
                Ok(ReadResponse::Participants(lists::participants(view, conference, listing, &paging)))
            }
            ReadCall::Participant { participant: id, .. } => {
                let (participant, times) = participant(id)?;
                Ok(ReadResponse::Participant(view.participant_body(participant, times)))
            }
            ReadCall::Sessions { participant: person, listing, .. } => {
                let mut paging = self.paging(GoogleMethod::ListSessions, &format!("{id}/{person}"), listing, faults)?;
                paging.empty |= is_empty;
                Ok(ReadResponse::Sessions(lists::sessions(view, participant(person)?.0, listing, &paging)))
            }
            ReadCall::Session { participant: person, session, .. } => {
                let sessions = participant(person)?.0.sessions.iter().enumerate();
                let mut named = sessions.filter(|(_, s)| id_of(s.name.as_str()) == session);
                let found = named.find(|(number, session)| view.session(*number, session));
                found
                    .map(|(_, session)| ReadResponse::Session(view.session_body(session)))
                    .ok_or_else(GoogleError::not_found)
            }
            _ => Ok(ReadResponse::Conference(view.conference_body(conference))),
        }
    }

    fn space(&self, view: &VisibleWorld<'_>, caller: Caller, id: &str) -> Result<SpaceBody, GoogleError> {
        let by_name = SpaceName::parse(&format!("spaces/{id}")).ok().and_then(|name| self.world.space_by_name(&name));
        // A meeting code is an alias, whatever its case.
        let by_code = || MeetingCode::parse(&id.to_lowercase()).ok().and_then(|code| self.world.space_by_code(&code));
        let key = by_name.or_else(by_code).ok_or_else(GoogleError::not_found)?;
        let granted = caller.may_see_space(&self.world, key);
        if !granted && let AccessDecision::Refused(refusal) = self.settings.strangers.access(GoogleMethod::GetSpace) {
            return Err(refusal);
        }
        let space = self.world.space(key);
        // While its end lags, an ended conference is still shown as live.
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

    fn paging(
        &self,
        method: GoogleMethod,
        parent: &str,
        listing: &ListParameters,
        faults: &[Fault],
    ) -> Result<Paging, GoogleError> {
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
