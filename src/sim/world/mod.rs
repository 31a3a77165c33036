//! A world of meetings: who exists, where they meet, who came with which device and when they left.
//!
//! Pure and seeded. [`World::step`] lets everything happen that is due until `now`, in the order of its time, so the
//! history is the same however finely one steps. A world of a seed ([`World::new`]) runs by itself; an empty one
//! ([`World::empty`]) does what it is told, either at once ([`World::join`] and its like) or at a set time
//! ([`World::schedule`]). What has happened is the truth against which everybody else is measured ([`truth`]).

pub mod acts;
pub mod conference;
mod director;
pub mod ids;
pub mod people;
mod space;
pub mod truth;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

pub use acts::{Act, ActError};
pub use conference::{Conference, ConferenceKey, Participant, Session, Space, SpaceKey};
pub use people::{Directory, Person, PersonKey};
pub use truth::{ConferenceTruth, ParticipantTruth, SessionTruth};

use crate::clock::saturating_add;
use director::Director;

/// What a seed makes a world of.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldSettings {
    pub seed: u64,
    /// When the world begins; nothing happens before.
    pub start: Timestamp,
    /// How many spaces hold meetings, each one after the other.
    pub conferences: u32,
    /// About how many people come to a meeting.
    pub people: u32,
    /// How many times faster than real people these act. Their timestamps stay wall time.
    pub speed: f64,
    /// Makes the first space a webinar that so many people come to.
    pub webinar: Option<u32>,
    /// Whether participants of a kind that the API does not document turn up.
    pub unknown_kinds: bool,
    /// Whether a guest or telephone that comes back is a new participant. Nobody knows what Google does.
    pub guests_return_as_new: bool,
    /// The address of the account that owns every space.
    pub organizer: String,
}

/// The address of the account that owns the spaces of a seeded world, unless set otherwise.
pub const ORGANIZER: &str = "alice@example.com";

impl WorldSettings {
    /// The defaults, beginning at `start`.
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

/// See the module.
#[derive(Debug)]
pub struct World {
    now: Timestamp,
    random: Rng,
    guests_return_as_new: bool,
    people: Vec<Person>,
    by_account: HashMap<Box<str>, PersonKey>,
    by_email: HashMap<Box<str>, PersonKey>,
    spaces: Vec<Space>,
    by_space_name: HashMap<Box<str>, SpaceKey>,
    /// The last of several is the one that a code leads to now.
    by_code: HashMap<Box<str>, Vec<SpaceKey>>,
    conferences: Vec<Conference>,
    by_conference_id: HashMap<Box<str>, ConferenceKey>,
    by_start: BTreeSet<(Timestamp, ConferenceKey)>,
    by_end: BTreeSet<(Timestamp, ConferenceKey)>,
    live: BTreeSet<(Timestamp, ConferenceKey)>,
    queue: BTreeMap<(Timestamp, u64), Due>,
    queued: u64,
    refused: u64,
    director: Option<Director>,
}

/// What waits in the queue.
#[derive(Debug)]
enum Due {
    /// A meeting is held: start it and draw up everything that happens in it.
    Meeting(SpaceKey),
    /// An act; with a conference, only while that one is live.
    Act(SpaceKey, Act, Option<ConferenceKey>),
}

impl World {
    /// A world that runs by itself.
    #[must_use]
    pub fn new(settings: WorldSettings) -> Self {
        let mut world = Self::empty(settings.seed, settings.start);
        world.guests_return_as_new = settings.guests_return_as_new;
        Director::set_the_stage(&mut world, settings);
        world
    }

    /// A world in which nothing happens unless told. The seed makes the ids.
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

    /// Whether a guest or telephone that comes back is a new participant from now on.
    pub const fn guests_return_as_new(&mut self, new: bool) {
        self.guests_return_as_new = new;
    }

    /// The latest time this world was stepped to.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// When the next thing happens by itself, if anything does.
    #[must_use]
    pub fn next_act(&self) -> Option<Timestamp> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many scheduled acts could not happen when their time came.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Lets an act happen at `at`, or at the next step where that is past.
    pub fn schedule(&mut self, at: Timestamp, space: SpaceKey, act: Act) {
        self.push(at, Due::Act(space, act, None));
    }

    /// Lets everything happen that is due until `now`, `now` included. Time that went backwards is ignored.
    pub fn step(&mut self, now: Timestamp) {
        while let Some(first) = self.queue.first_entry() {
            if first.key().0 > now {
                break;
            }
            let ((at, _), due) = first.remove_entry();
            match due {
                Due::Meeting(space) => Director::hold_meeting(self, space, at),
                Due::Act(space, act, only_in) => {
                    let elsewhere = only_in.is_some_and(|conference| self.space(space).live != Some(conference));
                    if !elsewhere && self.act(space, &act, at).is_err() {
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

    /// Lets everybody leave and every meeting end within `within` of `now`. Nothing else happens by itself afterwards.
    pub fn wind_down(&mut self, now: Timestamp, within: Duration) {
        self.step(now);
        let queue = std::mem::take(&mut self.queue);
        self.let_somebody_in(queue.into_values(), now);
        let live: Vec<(SpaceKey, ConferenceKey)> =
            self.live.iter().map(|(_, key)| (self.conference(*key).space, *key)).collect();
        for (space, key) in live {
            let stays: Vec<(PersonKey, Box<str>)> = self.conferences[key.0 as usize]
                .participants()
                .flat_map(|p| p.sessions.iter().filter(|s| s.end.is_none()).map(|s| (p.person, s.device.clone())))
                .collect();
            for (person, device) in stays {
                let share = self.random.f64() * 0.8;
                let at = saturating_add(now, within.mul_f64(share));
                self.push(at, Due::Act(space, Act::Leave(person, device), Some(key)));
            }
            self.push(saturating_add(now, within), Due::Act(space, Act::End, Some(key)));
        }
        self.step(now);
    }

    /// A conference begins with whoever comes first, so there is none in which nobody ever was.
    fn let_somebody_in(&mut self, queued: impl Iterator<Item = Due>, now: Timestamp) {
        for due in queued {
            if let Due::Act(space, act @ Act::Join(..), Some(key)) = due
                && self.space(space).live == Some(key)
                && self.conference(key).participants().len() == 0
                && self.act(space, &act, now).is_err()
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
