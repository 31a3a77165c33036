//! Pure: who still has to be looked up, who waits for it, and what is known already.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::roster::Directory;
use crate::clock::Mono;
use crate::model::{Person, UserName};

/// The most users whose answers are kept.
pub const MAX_KNOWN: usize = 50_000;
/// How long an answer is believed.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long to wait after a look-up that failed.
const RETRY: Duration = Duration::from_secs(30);
/// The most users in one question (the People API's limit for `people:batchGet`).
const BATCH: usize = 200;

/// The look-ups of one identity.
#[derive(Debug)]
pub struct Lookup {
    directory: Directory,
    /// When each answer came, and the order in which they grow old.
    answered: BTreeMap<UserName, Mono>,
    ages: BTreeSet<(Mono, UserName)>,
    /// Until when the events of these users wait.
    wanted: BTreeMap<UserName, Mono>,
    asked: Vec<UserName>,
    not_before: Mono,
    wait: Duration,
}

impl Lookup {
    /// An empty look-up. Events wait for it at most `wait`.
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

    /// From now on events wait for so long at most.
    pub fn set_wait(&mut self, wait: Duration) {
        self.wait = wait;
    }

    /// Whether a question is under way.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// What is known.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Wants to know who this is, unless that is known or under way.
    pub fn want(&mut self, user: &UserName, now: Mono) {
        let old = self.answered.get(user).is_some_and(|at| now.saturating_sub(*at) > MAX_AGE);
        if (old || !self.directory.contains(user)) && !self.wanted.contains_key(user) && self.wanted.len() < MAX_KNOWN {
            self.wanted.insert(user.clone(), now + self.wait);
        }
    }

    /// Until when an event about this user waits; `None` when it does not.
    #[must_use]
    pub fn held_until(&self, user: &UserName) -> Option<Mono> {
        self.wanted.get(user).copied()
    }

    /// The next question, if there is one to ask now.
    pub fn ask(&mut self, now: Mono) -> Option<Vec<UserName>> {
        if !self.asked.is_empty() || self.wanted.is_empty() || now < self.not_before {
            return None;
        }
        self.asked = self.wanted.keys().take(BATCH).cloned().collect();
        Some(self.asked.clone())
    }

    /// When the next question may be asked; `None` while there is none or one is under way.
    #[must_use]
    pub fn due(&self) -> Option<Mono> {
        (self.asked.is_empty() && !self.wanted.is_empty()).then_some(self.not_before)
    }

    /// The answer to what was asked. Who is not in it could not be found. Returns whether the limit was reached.
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

    /// What was asked could not be answered: nobody waits for it any longer, and it is asked again later.
    pub fn failed(&mut self, asked_to_wait: Option<Duration>, now: Mono) {
        for user in std::mem::take(&mut self.asked) {
            self.wanted.remove(&user);
        }
        self.not_before = now + RETRY.max(asked_to_wait.unwrap_or_default());
    }
}
