//! The meetings of a world: spaces, their conferences, who was in them and with which devices.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::people::PersonKey;
use crate::model::{ConferenceName, MeetingCode, ParticipantName, SessionName, SpaceName};

/// The key of a space in its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceKey(pub(super) u32);

/// The key of a conference in its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConferenceKey(pub(super) u32);

impl ConferenceKey {
    /// No conference comes before this one.
    pub(crate) const FIRST: Self = Self(0);
}

/// A place where conferences are held, one at a time.
#[derive(Debug)]
pub struct SimSpace {
    pub name: SpaceName,
    pub code: MeetingCode,
    /// The owner. Without one, only participants see it once callers are authenticated.
    pub organizer: Option<PersonKey>,
    /// The conference that is live here.
    pub live: Option<ConferenceKey>,
    /// Every conference ever held here, by start.
    pub(crate) conferences: BTreeSet<(Timestamp, ConferenceKey)>,
}

/// One meeting, from its start to its end.
#[derive(Debug)]
pub struct SimConference {
    pub name: ConferenceName,
    pub space: SpaceKey,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
    pub(super) participants: Vec<SimParticipant>,
    /// Indexes of `participants`, by earliest start, then id.
    pub(super) order: Vec<u32>,
    pub(super) by_id: HashMap<Box<str>, u32>,
    /// The participant as which a person joined last.
    pub(super) by_person: HashMap<PersonKey, u32>,
}

/// One person in one conference.
#[derive(Debug)]
pub struct SimParticipant {
    pub name: ParticipantName,
    pub person: PersonKey,
    /// By start, then name. Never empty.
    pub sessions: Vec<SimSession>,
}

/// One device, from joining to leaving.
#[derive(Debug)]
pub struct SimSession {
    pub name: SessionName,
    pub device: Box<str>,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
}

impl SimConference {
    pub(super) fn new(name: ConferenceName, space: SpaceKey, start: Timestamp) -> Self {
        Self {
            name,
            space,
            start,
            end: None,
            participants: Vec::new(),
            order: Vec::new(),
            by_id: HashMap::new(),
            by_person: HashMap::new(),
        }
    }

    /// Returns all participants, by earliest start, then name.
    #[must_use]
    pub fn participants(&self) -> impl DoubleEndedIterator<Item = &SimParticipant> + ExactSizeIterator {
        self.order.iter().map(|index| &self.participants[*index as usize])
    }

    /// Returns the participant with this id (the last segment of its name).
    #[must_use]
    pub fn participant(&self, id: &str) -> Option<&SimParticipant> {
        self.by_id.get(id).map(|index| &self.participants[*index as usize])
    }

    /// Returns whether this person ever took part.
    #[must_use]
    pub fn knows(&self, person: PersonKey) -> bool {
        self.by_person.contains_key(&person)
    }

    /// Returns how many participants precede `key` in the order of earliest start, then name.
    pub(crate) fn before(&self, key: (Timestamp, &str)) -> usize {
        self.order.partition_point(|index| self.participants[*index as usize].sort_key() < key)
    }

    pub(super) fn add(&mut self, participant: SimParticipant) -> u32 {
        let index = u32::try_from(self.participants.len()).unwrap_or(u32::MAX);
        let position = self.before(participant.sort_key());
        self.order.insert(position, index);
        self.by_id.insert(super::ids::id_of(participant.name.as_str()).into(), index);
        self.by_person.insert(participant.person, index);
        self.participants.push(participant);
        index
    }

    /// Adds a session. If it begins before the participant's others, the participant moves in the order.
    pub(super) fn add_session(&mut self, index: u32, session: SimSession) {
        let participant = &mut self.participants[index as usize];
        let position = participant.sessions.partition_point(|other| other.sort_key() < session.sort_key());
        participant.sessions.insert(position, session);
        if position == 0 {
            let participants = &self.participants;
            self.order.sort_by(|a, b| participants[*a as usize].sort_key().cmp(&participants[*b as usize].sort_key()));
        }
    }
}

impl SimParticipant {
    /// Returns the start of the first session.
    #[must_use]
    pub fn earliest_start(&self) -> Timestamp {
        self.sessions.first().map_or(Timestamp::MIN, |session| session.start)
    }

    /// Returns when the last device left. `None` while one is present.
    #[must_use]
    pub fn latest_end(&self) -> Option<Timestamp> {
        let ends: Option<Vec<Timestamp>> = self.sessions.iter().map(|session| session.end).collect();
        ends.and_then(|ends| ends.into_iter().max())
    }

    /// Returns whether a device is present.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.sessions.iter().any(|session| session.end.is_none())
    }

    pub(crate) fn sort_key(&self) -> (Timestamp, &str) {
        (self.earliest_start(), self.name.as_str())
    }

    pub(super) fn open_session(&mut self, device: &str) -> Option<&mut SimSession> {
        self.sessions.iter_mut().find(|session| session.end.is_none() && &*session.device == device)
    }
}

impl SimSession {
    pub(crate) fn sort_key(&self) -> (Timestamp, &str) {
        (self.start, self.name.as_str())
    }
}
