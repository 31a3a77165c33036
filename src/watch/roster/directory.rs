//! Pure: who signed-in participants are, as far as they were looked up.

use std::collections::BTreeMap;

use crate::model::event::Affiliation;
use crate::model::{Person, UserName};

/// The results of look-ups, by user.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    known: BTreeMap<UserName, Option<DirectoryEntry>>,
    internal_domains: Vec<String>,
}

/// What a look-up adds to what Meet shows of a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    pub email: Box<str>,
    pub affiliation: Affiliation,
}

impl Directory {
    /// Creates an empty directory. `internal_domains` are in lower case.
    #[must_use]
    pub fn new(internal_domains: Vec<String>) -> Self {
        Self { known: BTreeMap::new(), internal_domains }
    }

    /// Returns what is known of a user, or `None`, also if the look-up found nothing.
    #[must_use]
    pub fn get(&self, user: &UserName) -> Option<&DirectoryEntry> {
        self.known.get(user)?.as_ref()
    }

    /// Returns whether the user was looked up, with or without a result.
    #[must_use]
    pub fn contains(&self, user: &UserName) -> bool {
        self.known.contains_key(user)
    }

    /// Stores the result of a look-up.
    pub fn insert(&mut self, user: UserName, person: Option<&Person>) {
        let entry = person.and_then(|person| person.email.clone()).map(|email| {
            let affiliation = self.affiliation(&email);
            DirectoryEntry { email, affiliation }
        });
        self.known.insert(user, entry);
    }

    /// Removes a user.
    pub fn remove(&mut self, user: &UserName) {
        self.known.remove(user);
    }

    fn affiliation(&self, email: &str) -> Affiliation {
        let domain = email.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        if self.internal_domains.contains(&domain) { Affiliation::Internal } else { Affiliation::External }
    }
}
