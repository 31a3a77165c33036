//! What happened in a world: the reference that a log is compared with.

use jiff::Timestamp;

use super::{SimConference, World};
use crate::model::{ConferenceName, MeetingCode, ParticipantKind, ParticipantName, SessionName, SpaceName};

/// One session of one device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionTruth {
    pub conference: ConferenceName,
    pub participant: ParticipantName,
    pub session: SessionName,
    pub start: Timestamp,
    /// `None` while it lasts, and permanently if the conference was abandoned.
    pub end: Option<Timestamp>,
}

/// One participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantTruth {
    pub conference: ConferenceName,
    pub participant: ParticipantName,
    pub kind: ParticipantKind,
    pub display_name: String,
    pub email: Option<String>,
    pub earliest_start: Timestamp,
    /// `None` while a device is present.
    pub latest_end: Option<Timestamp>,
}

/// One conference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceTruth {
    pub conference: ConferenceName,
    pub space: SpaceName,
    pub meeting_code: MeetingCode,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
}

impl World {
    /// Returns every session until now, by conference in the order of creation, participant and start. It includes what
    /// the API no longer shows.
    pub fn sessions(&self) -> impl Iterator<Item = SessionTruth> {
        self.conferences.iter().flat_map(|conference| {
            conference.participants().flat_map(|participant| {
                participant.sessions.iter().map(|session| SessionTruth {
                    conference: conference.name.clone(),
                    participant: participant.name.clone(),
                    session: session.name.clone(),
                    start: session.start,
                    end: session.end,
                })
            })
        })
    }

    /// Returns every participant until now, by conference in the order of creation and earliest start.
    pub fn participants(&self) -> impl Iterator<Item = ParticipantTruth> {
        self.conferences.iter().flat_map(move |conference| self.participants_of(conference))
    }

    fn participants_of<'w>(&'w self, conference: &'w SimConference) -> impl Iterator<Item = ParticipantTruth> + 'w {
        conference.participants().map(|participant| {
            let person = self.person(participant.person);
            ParticipantTruth {
                conference: conference.name.clone(),
                participant: participant.name.clone(),
                kind: person.kind,
                display_name: person.display_name.clone(),
                email: person.email.clone(),
                earliest_start: participant.earliest_start(),
                latest_end: participant.latest_end(),
            }
        })
    }

    /// Returns every conference until now, in the order of creation.
    pub fn conferences(&self) -> impl Iterator<Item = ConferenceTruth> {
        self.conferences.iter().map(|conference| {
            let space = self.space(conference.space);
            ConferenceTruth {
                conference: conference.name.clone(),
                space: space.name.clone(),
                meeting_code: space.code.clone(),
                start: conference.start,
                end: conference.end,
            }
        })
    }
}
