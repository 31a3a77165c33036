//! What a world remembers of a meeting: its space, its conferences, who was in them and with which devices.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::people::PersonKey;
use crate::model::{ConferenceName, MeetingCode, ParticipantName, SessionName, SpaceName};

/// Which space. Keys belong to one world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceKey(pub(super) u32);

/// Which conference. Keys belong to one world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConferenceKey(pub(super) u32);

impl ConferenceKey {
    /// No conference comes before this one.
    pub(crate) const FIRST: Self = Self(0);
}

/// A place where conferences are held, one at a time.
#[derive(Debug)]
pub struct Space {
    pub name: SpaceName,
    pub code: MeetingCode,
    /// Who owns it. Without an owner, only participants see it once identities are told apart.
    pub organizer: Option<PersonKey>,
    /// What is held here now.
    pub live: Option<ConferenceKey>,
    /// Everything that was ever held here, by start.
    pub(crate) conferences: BTreeSet<(Timestamp, ConferenceKey)>,
}

/// One meeting, from its start to its end.
#[derive(Debug)]
pub struct Conference {
    pub name: ConferenceName,
    pub space: SpaceKey,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
    pub(super) participants: Vec<Participant>,
    /// Indexes of `participants`, by earliest start, then id.
    pub(super) order: Vec<u32>,
    pub(super) by_id: HashMap<Box<str>, u32>,
    /// The participant that a person is, or was last.
    pub(super) by_person: HashMap<PersonKey, u32>,
}

/// One person in one conference.
#[derive(Debug)]
pub struct Participant {
    pub name: ParticipantName,
    pub person: PersonKey,
    /// By start, then name. Never empty.
    pub sessions: Vec<Session>,
}

/// One device's stay.
#[derive(Debug)]
pub struct Session {
    pub name: SessionName,
    pub device: Box<str>,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
}

impl Conference {
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

    /// Those who were ever here, by earliest start, then name.
    #[must_use]
    pub fn participants(&self) -> impl DoubleEndedIterator<Item = &Participant> + ExactSizeIterator {
        self.order.iter().map(|index| &self.participants[*index as usize])
    }

    /// The participant with this id (the last segment of its name).
    #[must_use]
    pub fn participant(&self, id: &str) -> Option<&Participant> {
        self.by_id.get(id).map(|index| &self.participants[*index as usize])
    }

    /// Whether this person was ever here.
    #[must_use]
    pub fn knows(&self, person: PersonKey) -> bool {
        self.by_person.contains_key(&person)
    }

    /// How many participants come before `key` in the order of earliest start, then name.
    pub(crate) fn before(&self, key: (Timestamp, &str)) -> usize {
        self.order.partition_point(|index| self.participants[*index as usize].sort_key() < key)
    }

    pub(super) fn add(&mut self, participant: Participant) -> u32 {
        let index = u32::try_from(self.participants.len()).unwrap_or(u32::MAX);
        let place = self.before(participant.sort_key());
        self.order.insert(place, index);
        self.by_id.insert(super::ids::id_of(participant.name.as_str()).into(), index);
        self.by_person.insert(participant.person, index);
        self.participants.push(participant);
        index
    }

    /// Adds a stay. One that begins before all others moves its participant in the order.
    pub(super) fn add_session(&mut self, index: u32, session: Session) {
        let participant = &mut self.participants[index as usize];
        let place = participant.sessions.partition_point(|other| other.sort_key() < session.sort_key());
        participant.sessions.insert(place, session);
        if place == 0 {
            let participants = &self.participants;
            self.order.sort_by(|a, b| participants[*a as usize].sort_key().cmp(&participants[*b as usize].sort_key()));
        }
    }
}

impl Participant {
    /// The start of the first session.
    #[must_use]
    pub fn earliest_start(&self) -> Timestamp {
        self.sessions.first().map_or(Timestamp::MIN, |session| session.start)
    }

    /// When the last device left. `None` while one is still here.
    #[must_use]
    pub fn latest_end(&self) -> Option<Timestamp> {
        let ends: Option<Vec<Timestamp>> = self.sessions.iter().map(|session| session.end).collect();
        ends.and_then(|ends| ends.into_iter().max())
    }

    /// Whether a device is here now.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.sessions.iter().any(|session| session.end.is_none())
    }

    pub(crate) fn sort_key(&self) -> (Timestamp, &str) {
        (self.earliest_start(), self.name.as_str())
    }

    pub(super) fn open_session(&mut self, device: &str) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.end.is_none() && &*session.device == device)
    }
}

impl Session {
    pub(crate) fn sort_key(&self) -> (Timestamp, &str) {
        (self.start, self.name.as_str())
    }
}
