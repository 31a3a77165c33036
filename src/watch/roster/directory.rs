//! Pure: who signed-in participants are, as far as they were looked up.

use std::collections::BTreeMap;

use crate::model::event::Affiliation;
use crate::model::{Person, UserName};

/// What was looked up, by user.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    known: BTreeMap<UserName, Option<DirectoryEntry>>,
    internal_domains: Vec<String>,
}

/// What is told of a person besides what Meet tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    pub email: Box<str>,
    pub affiliation: Affiliation,
}

impl Directory {
    /// An empty directory. `internal_domains` in lower case.
    #[must_use]
    pub fn new(internal_domains: Vec<String>) -> Self {
        Self { known: BTreeMap::new(), internal_domains }
    }

    /// What is known of a user; `None` also where the look-up found nothing.
    #[must_use]
    pub fn get(&self, user: &UserName) -> Option<&DirectoryEntry> {
        self.known.get(user)?.as_ref()
    }

    /// Whether the user was looked up, whatever came of it.
    #[must_use]
    pub fn contains(&self, user: &UserName) -> bool {
        self.known.contains_key(user)
    }

    /// Keeps what a look-up told of a user.
    pub fn insert(&mut self, user: UserName, person: Option<&Person>) {
        let entry = person.and_then(|person| person.email.clone()).map(|email| {
            let affiliation = self.affiliation(&email);
            DirectoryEntry { email, affiliation }
        });
        self.known.insert(user, entry);
    }

    /// Forgets a user.
    pub fn remove(&mut self, user: &UserName) {
        self.known.remove(user);
    }

    fn affiliation(&self, email: &str) -> Affiliation {
        let domain = email.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        if self.internal_domains.contains(&domain) { Affiliation::Internal } else { Affiliation::External }
    }
}
