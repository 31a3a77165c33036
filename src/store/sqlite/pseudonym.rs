//! The pseudonyms of forgotten people in the store.
//!
//! A participant's id is the id of its account, so it is replaced, too: by a pseudonym that differs in each conference.

use crate::model::{ParticipantName, SessionName};
use crate::pseudonym::PseudonymKey;
use crate::store::error::StoreError;

/// The store's own key, created when the first person is forgotten.
pub(super) struct ErasureKey(PseudonymKey);

impl ErasureKey {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(PseudonymKey::new(bytes))
    }

    /// Returns the hash by which a forgotten person is recognized. `name` is Google's name of the user, or of a
    /// participant without an account.
    pub(super) fn hash(&self, name: &str) -> String {
        self.keyed("forgotten", name)
    }

    /// Returns every hash by which a participant may be recognized.
    pub(super) fn hashes(&self, user: Option<&str>, name: &ParticipantName) -> [String; 3] {
        let account = format!("users/{}", last_segment(name.as_str()));
        [self.hash(user.unwrap_or(&account)), self.hash(&account), self.hash(name.as_str())]
    }

    /// Returns the name that replaces a forgotten participant's.
    pub(super) fn participant(&self, name: &ParticipantName) -> Result<ParticipantName, StoreError> {
        let id = self.keyed("stand-in", name.as_str());
        ParticipantName::parse(&format!("{}/participants/{id}", name.conference()))
            .map_err(|_| StoreError::Unreadable("the name of a participant"))
    }

    /// Returns the name that replaces a session's; `participant` is the replaced name of its participant.
    pub(super) fn session(&self, name: &SessionName, participant: &ParticipantName) -> Result<SessionName, StoreError> {
        let id = self.keyed("stand-in", name.as_str());
        SessionName::parse(&format!("{participant}/participantSessions/{id}"))
            .map_err(|_| StoreError::Unreadable("the name of a session"))
    }

    /// The purpose keeps the hash of a name different from its replacement.
    fn keyed(&self, purpose: &str, name: &str) -> String {
        self.0.pseudonym(&format!("{purpose}:{name}"))
    }
}

fn last_segment(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_differs_in_another_conference_and_with_another_key() {
        let name = |conference: &str| {
            ParticipantName::parse(&format!("conferenceRecords/{conference}/participants/112233")).unwrap()
        };
        let (key, other) = (ErasureKey::new(vec![1; 32]), ErasureKey::new(vec![2; 32]));
        let replacement = |key: &ErasureKey, name| key.participant(&name).unwrap();
        assert_eq!(replacement(&key, name("a")), replacement(&key, name("a")));
        assert_ne!(
            last_segment(replacement(&key, name("a")).as_str()),
            last_segment(replacement(&key, name("b")).as_str())
        );
        assert_ne!(replacement(&key, name("a")), replacement(&other, name("a")));
        assert_eq!(replacement(&key, name("a")).conference(), name("a").conference());
        assert_ne!(key.hash("users/112233"), other.hash("users/112233"));
        assert!(
            key.hashes(None, &name("a")).contains(&key.hash("users/112233")),
            "a participant's id is the account's"
        );
    }
}
