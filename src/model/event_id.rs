//! The id of an event.
//!
//! The id is a hash of what happened, so that one occurrence has one id however, whenever and by whichever replica it was
//! learnt. Our own clock is no part of it.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event_type::EventType;
use super::provenance::Source;

/// `evt_` and the base32 of a SHA-256 in lower case. Only letters, digits and `_`, so that it can be sent in a signed header.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(Arc<str>);

impl EventId {
    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id that stands for a digest.
    #[must_use]
    pub fn from_digest(digest: &[u8; 32]) -> Self {
        let mut id = String::with_capacity(56);
        id.push_str("evt_");
        id.push_str(&BASE32_NOPAD.encode(digest).to_ascii_lowercase());
        Self(id.into())
    }

    /// Parses an id that this program wrote earlier. Returns `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("evt_")?;
        let plain =
            !rest.is_empty() && rest.len() <= 64 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        plain.then(|| Self(text.into()))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What identifies an event: two events with equal keys are the same event.
#[derive(Debug, Clone, Copy)]
pub struct EventKey<'a> {
    pub event: EventType,
    /// The name of the conference, participant or session that the event is about; the name of the target for a gap
    /// without a conference.
    pub resource: &'a str,
    pub edge: Edge<'a>,
    pub source: Source,
    /// How often an event with the same other fields was emitted and withdrawn before.
    pub n: u32,
}

/// What distinguishes two events of one type and resource.
#[derive(Debug, Clone, Copy)]
pub enum Edge<'a> {
    /// Google's time; for a gap, its beginning.
    Time(Timestamp),
    /// The session's name for `session.*`; the id of the withdrawn event for a retraction.
    Name(&'a str),
    /// Nothing: a conference begins and ends once.
    Once,
}

impl EventKey<'_> {
    /// Returns the id of the event with this key.
    #[must_use]
    pub fn id(&self) -> EventId {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            // Each field is preceded by its length, so that no two keys are hashed as the same bytes.
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(self.event.as_str().as_bytes());
        field(self.resource.as_bytes());
        match self.edge {
            Edge::Time(time) => field(time.as_nanosecond().to_string().as_bytes()),
            Edge::Name(name) => field(name.as_bytes()),
            Edge::Once => field(b""),
        }
        field(self.source.as_str().as_bytes());
        field(self.n.to_string().as_bytes());
        EventId::from_digest(&hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> EventKey<'static> {
        EventKey {
            event: EventType::ParticipantLeft,
            resource: "conferenceRecords/c/participants/p",
            edge: Edge::Time(Timestamp::UNIX_EPOCH),
            source: Source::Google,
            n,
        }
    }

    #[test]
    fn an_id_is_stable_across_versions_of_the_program() {
        assert_eq!(key(0).id().as_str(), "evt_3dsqx7zkxfnxncnitbd77zs3jne5kxgdkhpzptvhgj2mlsh7aeza");
    }

    #[test]
    fn an_event_that_is_emitted_again_has_its_own_id() {
        assert_ne!(key(0).id(), key(1).id());
        assert_ne!(key(0).id(), EventKey { source: Source::Inferred, ..key(0) }.id());
        assert_ne!(key(0).id(), EventKey { event: EventType::ParticipantJoined, ..key(0) }.id());
    }

    #[test]
    fn an_id_can_be_written_and_parsed() {
        let id = key(3).id();
        assert_eq!(EventId::parse(id.as_str()), Some(id));
        for bad in ["evt_", "evt_A.b", "", "event"] {
            assert_eq!(EventId::parse(bad), None, "{bad}");
        }
    }
}
