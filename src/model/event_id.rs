//! The id of an event: the same happening has the same id, however and whenever it was learnt.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event::EventType;

/// Where an event's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Google told it.
    Google,
    /// It was concluded, because Google stayed silent.
    Inferred,
}

impl Source {
    /// The name in rows and in what is hashed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Inferred => "inferred",
        }
    }

    /// The source of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Google, Self::Inferred].into_iter().find(|source| source.as_str() == text)
    }
}

/// `evt_` and the base32 of a SHA-256, in lower case: letters and digits only, so it can stand in a signed header.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(Arc<str>);

impl EventId {
    /// The id as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes back an id that this program wrote earlier; `None` for anything else.
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

/// What makes two tellings the same event. Never our own clock.
#[derive(Debug, Clone, Copy)]
pub struct EventKey<'a> {
    pub event: EventType,
    /// The name of the conference, participant or session that the event is about; for a gap without a
    /// conference, of the target.
    pub resource: &'a str,
    pub edge: Edge<'a>,
    pub source: Source,
    /// How often the same was told and taken back before.
    pub n: u32,
}

/// What tells two events of one type and resource apart.
#[derive(Debug, Clone, Copy)]
pub enum Edge<'a> {
    /// Google's time; for a gap, its beginning.
    Time(Timestamp),
    /// The session's name for `session.*`; the id that is taken back for a retraction.
    Name(&'a str),
    /// A conference begins and ends once.
    Once,
}

impl EventKey<'_> {
    /// The id of the event with this key.
    #[must_use]
    pub fn id(&self) -> EventId {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            // A length before each field: no two keys run together into the same bytes.
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
        let mut id = String::with_capacity(56);
        id.push_str("evt_");
        id.push_str(&BASE32_NOPAD.encode(&hash.finalize()).to_ascii_lowercase());
        EventId(id.into())
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
    fn what_was_told_again_has_an_id_of_its_own() {
        assert_ne!(key(0).id(), key(1).id());
        assert_ne!(key(0).id(), EventKey { source: Source::Inferred, ..key(0) }.id());
        assert_ne!(key(0).id(), EventKey { event: EventType::ParticipantJoined, ..key(0) }.id());
    }

    #[test]
    fn an_id_survives_being_written_down() {
        let id = key(3).id();
        assert_eq!(EventId::parse(id.as_str()), Some(id));
        for bad in ["evt_", "evt_A.b", "", "event"] {
            assert_eq!(EventId::parse(bad), None, "{bad}");
        }
    }
}
