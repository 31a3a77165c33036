//! A world of meetings: who exists, where they meet, who came with which device and when they left.
//!
//! Pure and seeded. [`World::step`] performs everything that is due until `now`, in the order of time, so the history
//! does not depend on the size of the steps. A seeded world ([`World::new`]) runs by itself; in an empty one
//! ([`World::empty`]) callers perform actions immediately ([`World::join`] and others) or schedule them
//! ([`World::schedule`]). What happened is the reference for every log ([`truth`]).

pub mod actions;
pub mod conference;
mod director;
pub mod ids;
pub mod people;
mod registry;
pub mod truth;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

pub use actions::{Action, ActionError};
pub use conference::{ConferenceKey, SimConference, SimParticipant, SimSession, SimSpace, SpaceKey};
pub use people::{KnownFrom, PersonKey, SimPerson};
pub use truth::{ConferenceTruth, ParticipantTruth, SessionTruth};

use crate::clock::saturating_add;
use director::Director;

/// The settings of a seeded world.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldSettings {
    pub seed: u64,
    /// When the world begins; nothing happens before.
    pub start: Timestamp,
    /// How many spaces hold meetings, one after the other.
    pub conferences: u32,
    /// About how many people come to a meeting.
    pub people: u32,
    /// How many times faster than real people these act. Timestamps stay wall-clock time.
    pub speed: f64,
    /// Makes the first space a webinar with this many people.
    pub webinar: Option<u32>,
    /// Whether there are participants of a kind that the API does not document.
    pub unknown_kinds: bool,
    /// Whether a guest or telephone that comes back is a new participant. What Google does is not documented.
    pub guests_return_as_new: bool,
    /// The address of the account that owns every space.
    pub organizer: String,
}

/// The address of the account that owns the spaces of a seeded world, unless set otherwise.
pub const ORGANIZER: &str = "alice@example.com";

impl WorldSettings {
    /// Returns the defaults for a world that begins at `start`.
    #[must_use]
    pub fn starting(start: Timestamp, seed: u64) -> Self {
        Self {
            seed,
            start,
            conferences: 5,
            people: 12,
            speed: 1.0,
            webinar: None,
            unknown_kinds: true,
            guests_return_as_new: seed % 2 == 1,
            organizer: ORGANIZER.to_owned(),
        }
    }
}

/// A world of meetings: see the module.
#[derive(Debug)]
pub struct World {
    now: Timestamp,
    random: Rng,
    guests_return_as_new: bool,
    people: Vec<SimPerson>,
    by_account: HashMap<Box<str>, PersonKey>,
    by_email: HashMap<Box<str>, PersonKey>,
    spaces: Vec<SimSpace>,
    by_space_name: HashMap<Box<str>, SpaceKey>,
    /// A code refers to the last of its spaces.
    by_code: HashMap<Box<str>, Vec<SpaceKey>>,
    conferences: Vec<SimConference>,
    by_conference_id: HashMap<Box<str>, ConferenceKey>,
    by_start: BTreeSet<(Timestamp, ConferenceKey)>,
    by_end: BTreeSet<(Timestamp, ConferenceKey)>,
    live: BTreeSet<(Timestamp, ConferenceKey)>,
    queue: BTreeMap<(Timestamp, u64), Due>,
    queued: u64,
    refused: u64,
    director: Option<Director>,
}

/// An entry of the queue.
#[derive(Debug)]
enum Due {
    /// A meeting begins: start it and plan what happens in it.
    Meeting(SpaceKey),
    /// An action; with a conference, only while that one is live.
    Action(SpaceKey, Action, Option<ConferenceKey>),
}

impl World {
    /// Returns a seeded world that runs by itself.
    #[must_use]
    pub fn new(settings: WorldSettings) -> Self {
        let mut world = Self::empty(settings.seed, settings.start);
        world.guests_return_as_new = settings.guests_return_as_new;
        Director::populate(&mut world, settings);
        world
    }

    /// Returns a world in which only requested actions happen. The seed determines the ids.
    #[must_use]
    pub fn empty(seed: u64, start: Timestamp) -> Self {
        Self {
            now: start,
            random: Rng::with_seed(seed),
            guests_return_as_new: false,
            people: Vec::new(),
            by_account: HashMap::new(),
            by_email: HashMap::new(),
            spaces: Vec::new(),
            by_space_name: HashMap::new(),
            by_code: HashMap::new(),
            conferences: Vec::new(),
            by_conference_id: HashMap::new(),
            by_start: BTreeSet::new(),
            by_end: BTreeSet::new(),
            live: BTreeSet::new(),
            queue: BTreeMap::new(),
            queued: 0,
            refused: 0,
            director: None,
        }
    }

    /// Sets whether a guest or telephone that comes back is a new participant.
    #[cfg(test)]
    const fn set_guests_return_as_new(&mut self, new: bool) {
        self.guests_return_as_new = new;
    }

    /// Returns the latest time the world was stepped to.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns when the next queued entry is due.
    #[cfg(test)]
    fn next_action(&self) -> Option<Timestamp> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Returns how many scheduled actions were impossible when they were due.
    #[cfg(test)]
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Schedules an action for `at`, or for the next step if `at` is past.
    pub fn schedule(&mut self, at: Timestamp, space: SpaceKey, action: Action) {
        self.push(at, Due::Action(space, action, None));
    }

    /// Performs everything that is due until `now`, inclusive. Ignores a time that went backwards.
    pub fn step(&mut self, now: Timestamp) {
        while let Some(first) = self.queue.first_entry() {
            if first.key().0 > now {
                break;
            }
            let ((at, _), due) = first.remove_entry();
            match due {
                Due::Meeting(space) => Director::hold_meeting(self, space, at),
                Due::Action(space, action, only_in) => {
                    let elsewhere = only_in.is_some_and(|conference| self.space(space).live != Some(conference));
                    if !elsewhere && self.perform(space, &action, at).is_err() {
                        self.refused += 1;
                    }
                }
            }
        }
        self.now = self.now.max(now);
    }

    /// Ends every meeting at `now`. Nothing happens by itself afterwards.
    pub fn end_all(&mut self, now: Timestamp) {
        self.wind_down(now, Duration::ZERO);
    }

    /// Schedules all leaves and the end of every meeting within `within` of `now`. Nothing else happens by itself
    /// afterwards.
    pub fn wind_down(&mut self, now: Timestamp, within: Duration) {
        self.step(now);
        let queue = std::mem::take(&mut self.queue);
        self.perform_first_joins(queue.into_values(), now);
        let live: Vec<(SpaceKey, ConferenceKey)> =
            self.live.iter().map(|(_, key)| (self.conference(*key).space, *key)).collect();
        for (space, key) in live {
            let present: Vec<(PersonKey, Box<str>)> = self.conferences[key.0 as usize]
                .participants()
                .flat_map(|p| p.sessions.iter().filter(|s| s.end.is_none()).map(|s| (p.person, s.device.clone())))
                .collect();
            for (person, device) in present {
                let share = self.random.f64() * 0.8;
                let at = saturating_add(now, within.mul_f64(share));
                self.push(at, Due::Action(space, Action::Leave(person, device), Some(key)));
            }
            self.push(saturating_add(now, within), Due::Action(space, Action::End, Some(key)));
        }
        self.step(now);
    }

    /// Performs the queued join of each live conference that nobody has joined yet: a conference has at least one
    /// participant.
    fn perform_first_joins(&mut self, queued: impl Iterator<Item = Due>, now: Timestamp) {
        for due in queued {
            if let Due::Action(space, action @ Action::Join(..), Some(key)) = due
                && self.space(space).live == Some(key)
                && self.conference(key).participants().len() == 0
                && self.perform(space, &action, now).is_err()
            {
                self.refused += 1;
            }
        }
    }

    fn push(&mut self, at: Timestamp, due: Due) {
        self.queued += 1;
        self.queue.insert((at, self.queued), due);
    }
}

#[cfg(test)]
mod tests;
