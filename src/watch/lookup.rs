//! Pure: who signed-in participants are: which users are still to be looked up, and what is known already.
//!
//! The events of a user wait a moment for the look-up, so that they can carry an address. The wait has a limit, and a
//! look-up that fails ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::roster::Directory;
use crate::clock::Mono;
use crate::model::{Person, UserName};

/// The most users whose answers are kept.
const MAX_KNOWN: usize = 50_000;
/// After this time a user is looked up again.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// The shortest time between a failed look-up and the next one.
const RETRY: Duration = Duration::from_secs(30);
/// The most users in one look-up (the People API's limit for `people:batchGet`).
const BATCH: usize = 200;

/// The look-ups of one identity.
#[derive(Debug)]
pub struct Lookup {
    directory: Directory,
    /// When each answer came, by user and by age.
    answered: BTreeMap<UserName, Mono>,
    ages: BTreeSet<(Mono, UserName)>,
    /// Until when the events of these users wait.
    wanted: BTreeMap<UserName, Mono>,
    asked: Vec<UserName>,
    not_before: Mono,
    wait: Duration,
}

impl Lookup {
    /// Creates an empty look-up. Events wait for it at most `wait`.
    #[must_use]
    pub fn new(internal_domains: Vec<String>, wait: Duration) -> Self {
        Self {
            directory: Directory::new(internal_domains),
            answered: BTreeMap::new(),
            ages: BTreeSet::new(),
            wanted: BTreeMap::new(),
            asked: Vec::new(),
            not_before: Mono::ZERO,
            wait,
        }
    }

    /// Changes how long events wait at most.
    pub fn set_wait(&mut self, wait: Duration) {
        self.wait = wait;
    }

    /// Returns whether a look-up is under way.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Returns what is known.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Queues a user for the next look-up, unless the user is known or queued already.
    pub fn want(&mut self, user: &UserName, now: Mono) {
        let old = self.answered.get(user).is_some_and(|at| now.saturating_sub(*at) > MAX_AGE);
        if (old || !self.directory.contains(user)) && !self.wanted.contains_key(user) && self.wanted.len() < MAX_KNOWN {
            self.wanted.insert(user.clone(), now + self.wait);
        }
    }

    /// Returns until when an event about this user waits, or `None` if it does not wait.
    #[must_use]
    pub fn held_until(&self, user: &UserName) -> Option<Mono> {
        self.wanted.get(user).copied()
    }

    /// Returns the users of the next look-up if one is due, and notes it as under way.
    pub fn ask(&mut self, now: Mono) -> Option<Vec<UserName>> {
        if !self.asked.is_empty() || self.wanted.is_empty() || now < self.not_before {
            return None;
        }
        self.asked = self.wanted.keys().take(BATCH).cloned().collect();
        Some(self.asked.clone())
    }

    /// Returns when the next look-up is due. `None` while nothing is queued or one is under way.
    #[must_use]
    pub fn due(&self) -> Option<Mono> {
        (self.asked.is_empty() && !self.wanted.is_empty()).then_some(self.not_before)
    }

    /// Takes in the answer of the look-up under way. A user who is not in it does not exist for Google. Returns whether the
    /// cache was full and lost its oldest answers.
    pub fn answered(&mut self, people: &[Person], now: Mono) -> bool {
        for user in std::mem::take(&mut self.asked) {
            let found = people.iter().find(|person| person.user == user);
            self.directory.insert(user.clone(), found);
            self.wanted.remove(&user);
            if let Some(before) = self.answered.insert(user.clone(), now) {
                self.ages.remove(&(before, user.clone()));
            }
            self.ages.insert((now, user));
        }
        let full = self.answered.len() > MAX_KNOWN;
        while self.answered.len() > MAX_KNOWN {
            let Some((_, oldest)) = self.ages.pop_first() else { break };
            self.answered.remove(&oldest);
            self.directory.remove(&oldest);
        }
        full
    }

    /// Notes that the look-up under way failed. Events stop waiting for it, and the users are queued again when they are
    /// next seen.
    pub fn failed(&mut self, asked_to_wait: Option<Duration>, now: Mono) {
        for user in std::mem::take(&mut self.asked) {
            self.wanted.remove(&user);
        }
        self.not_before = now + RETRY.max(asked_to_wait.unwrap_or_default());
    }
}
