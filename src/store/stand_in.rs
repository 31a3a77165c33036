//! What stands in the place of somebody who was forgotten, and the keyed hashes by which they are known again.
//!
//! A participant's id is the id of its account, so it is replaced too: by one that nobody can lead back without the key,
//! and that is another in each conference.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::error::StoreError;
use super::rows::ParticipantRow;
use crate::model::{Event, ParticipantName, ParticipantRef, SessionName};

/// How many characters stand for an id or are a hash: 128 bits.
const CHARS: usize = 26;

/// The store's own key. Made with the first who is forgotten.
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// By what somebody is known again: `name` is Google's for the user, or for a participant without an account.
    pub(super) fn hash(&self, name: &str) -> String {
        self.keyed("forgotten", name)
    }

    /// All the hashes that somebody may be known by.
    pub(super) fn hashes(&self, user: Option<&str>, name: &ParticipantName) -> [String; 3] {
        let account = format!("users/{}", last_segment(name.as_str()));
        [self.hash(user.unwrap_or(&account)), self.hash(&account), self.hash(name.as_str())]
    }

    /// The name that a participant has once forgotten.
    pub(super) fn stand_in(&self, name: &ParticipantName) -> Result<ParticipantName, StoreError> {
        let id = self.keyed("stand-in", name.as_str());
        ParticipantName::parse(&format!("{}/participants/{id}", name.conference()))
            .map_err(|_| StoreError::Unreadable("the name of a participant"))
    }

    /// The name that a session of such a participant has.
    pub(super) fn session(&self, name: &SessionName, participant: &ParticipantName) -> Result<SessionName, StoreError> {
        let id = self.keyed("stand-in", name.as_str());
        SessionName::parse(&format!("{participant}/participantSessions/{id}"))
            .map_err(|_| StoreError::Unreadable("the name of a session"))
    }

    /// For two uses of one name there are two texts.
    fn keyed(&self, purpose: &str, name: &str) -> String {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length");
        mac.update(purpose.as_bytes());
        mac.update(b":");
        mac.update(name.as_bytes());
        let mut text = BASE32_NOPAD.encode(&mac.finalize().into_bytes()).to_ascii_lowercase();
        text.truncate(CHARS);
        text
    }
}

/// Takes from a row what says who it is, but for Google's name of the participant.
pub(super) fn blank_row(row: &mut ParticipantRow) {
    (row.user, row.display_name, row.email, row.affiliation) = (None, None, None, None);
}

/// Takes the participant of this name out of an event. `about`: if the event is about it, the name that Google gave the
/// session, if there is one. Returns whether there was anything to be taken.
pub(super) fn blank_event(
    event: &mut Event,
    key: &Key,
    name: &ParticipantName,
    about: Option<Option<&SessionName>>,
) -> Result<bool, StoreError> {
    let stand_in = key.stand_in(name)?;
    let mut found = false;
    if let Some(session) = about {
        if let Some(person) = &mut event.participant {
            found = true;
            blank(person, &stand_in);
        }
        if let (Some(told), Some(session)) = (&mut event.session, session) {
            told.name = key.session(session, &stand_in)?;
        }
    }
    let rows = event.attendance.as_mut().and_then(|attendance| attendance.participants.as_mut());
    for row in rows.into_iter().flatten().filter(|row| row.participant.name == *name) {
        found = true;
        blank(&mut row.participant, &stand_in);
    }
    Ok(found)
}

fn blank(person: &mut ParticipantRef, stand_in: &ParticipantName) {
    let (name, kind) = (stand_in.clone(), person.kind);
    *person = ParticipantRef { name, kind, user: None, display_name: None, email: None, affiliation: None };
}

fn last_segment(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_known_again_in_another_conference_or_with_another_key() {
        let name = |conference: &str| {
            ParticipantName::parse(&format!("conferenceRecords/{conference}/participants/112233")).unwrap()
        };
        let (key, other) = (Key::new(vec![1; 32]), Key::new(vec![2; 32]));
        let stand_in = |key: &Key, name| key.stand_in(&name).unwrap();
        assert_eq!(stand_in(&key, name("a")), stand_in(&key, name("a")));
        assert_ne!(last_segment(stand_in(&key, name("a")).as_str()), last_segment(stand_in(&key, name("b")).as_str()));
        assert_ne!(stand_in(&key, name("a")), stand_in(&other, name("a")));
        assert_eq!(stand_in(&key, name("a")).conference(), name("a").conference());
        assert_ne!(key.hash("users/112233"), other.hash("users/112233"));
        assert!(key.hashes(None, &name("a")).contains(&key.hash("users/112233")), "its id is the account's");
    }
}
