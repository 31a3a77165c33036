//! The id of a batch of events.
//!
//! The same events in the same order have the same id, at every attempt and on every replica.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use super::event_id::EventId;

/// `bat_` and the base32 of a SHA-256 over the ids of the events, in lower case. Only letters, digits and `_`, so that it
/// can be sent in a signed header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchId(Box<str>);

impl BatchId {
    /// Returns the id of the batch with these events in this order.
    #[must_use]
    pub fn of<'a>(events: impl IntoIterator<Item = &'a EventId>) -> Self {
        let mut hash = Sha256::new();
        for event in events {
            hash.update(event.as_str().as_bytes());
            // A separator: no id contains a line break.
            hash.update(b"\n");
        }
        Self(format!("bat_{}", BASE32_NOPAD.encode(&hash.finalize()).to_ascii_lowercase()).into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(texts: &[&str]) -> BatchId {
        let ids: Vec<_> = texts.iter().map(|text| EventId::parse(text).unwrap()).collect();
        BatchId::of(&ids)
    }

    #[test]
    fn the_same_events_in_the_same_order_have_one_id_and_all_others_another() {
        let all = [id(&["evt_a", "evt_b"]), id(&["evt_b", "evt_a"]), id(&["evt_a"]), id(&["evt_ab"]), id(&[])];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one), "{one}");
        }
        assert_eq!(id(&["evt_a", "evt_b"]), all[0]);
        let known = "bat_jyokjbbgjww7c5zp6435v4x5bfdallhrr7jsddflzdewvkzg6imq";
        assert_eq!(all[2].as_str(), known, "receivers and other replicas depend on it");
    }

    #[test]
    fn an_id_can_be_sent_in_a_signed_header() {
        let one = id(&["evt_a"]);
        assert!(one.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{one}");
    }
}
