//! Pure: when each read of one live conference is due, and which of those due comes first.
//!
//! A conference has four periodic reads: the listing of those present, the backfill (those who left since the last time),
//! the record, and the sweep (sessions of those present, a few at a time). Beside them are the rechecks that the roster
//! wants.

use std::collections::VecDeque;
use std::time::Duration;

use super::roster::Roster;
use super::roster::listing_status::ListingStatus;
use super::settings::{PARTICIPANTS_A_PAGE, SWEEP_BATCH};
use super::stretch::Stretch;
use super::wish::Wish;
use crate::backoff::{Backoff, Random, jittered};
use crate::clock::Mono;
use crate::meet::Priority;
use crate::model::ParticipantName;

/// How often each periodic read is due, before the quota stretches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPeriods {
    pub listing: Duration,
    pub sweep: Duration,
    pub backfill: Duration,
    pub record: Duration,
}

/// What one read of a live conference is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Everybody who is in the call, or `everybody` who ever was.
    Listing { everybody: bool },
    /// All sessions of a participant whose known state is inconsistent.
    Recheck(ParticipantName),
    /// The conference record.
    Record,
    /// The participants who left since the last backfill.
    Backfill,
    /// The sessions of the next participant of the sweep: all of them in every fifth round, the open ones otherwise.
    Sweep { participant: ParticipantName, all: bool },
}

impl Purpose {
    /// Returns the priority of the read when quota is short.
    #[must_use]
    pub fn priority(&self) -> Priority {
        match self {
            Self::Listing { .. } => Priority::Listing,
            Self::Recheck(_) => Priority::Person,
            Self::Record => Priority::Record,
            Self::Backfill => Priority::Backfill,
            Self::Sweep { .. } => Priority::Sweep,
        }
    }
}

/// A read that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRead {
    pub purpose: Purpose,
    pub wish: Wish,
}

/// What the plan does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueReads {
    /// The reads that are due: the listing, and the latest of the others.
    pub reads: Vec<DueRead>,
    /// When another read will be due.
    pub next: Mono,
}

/// The reads of a conference besides its listing.
struct OtherReads {
    now: Mono,
    /// The latest of those that are due.
    latest: Option<DueRead>,
    /// When another will be due.
    next: Mono,
}

impl OtherReads {
    const fn new(now: Mono) -> Self {
        Self { now, latest: None, next: Mono::MAX }
    }

    fn add(&mut self, wish: Wish, purpose: impl FnOnce() -> Purpose) {
        if wish.due > self.now {
            return self.will_be_due(wish.due);
        }
        let lateness = wish.lateness(self.now);
        if self.latest.as_ref().is_none_or(|latest| lateness.compare(&latest.wish.lateness(self.now)).is_gt()) {
            self.latest = Some(DueRead { purpose: purpose(), wish });
        }
    }

    fn will_be_due(&mut self, at: Mono) {
        self.next = self.next.min(at);
    }
}

impl DueReads {
    /// Takes the read that is latest.
    #[must_use]
    pub fn latest(self, now: Mono) -> Option<Purpose> {
        let latest =
            self.reads.into_iter().max_by(|one, other| one.wish.lateness(now).compare(&other.wish.lateness(now)));
        latest.map(|read| read.purpose)
    }
}

/// How patiently the sessions of a participant are awaited: whose join or leave was not told yet; who may have left; who has
/// left; and who is in the call.
const RECHECK_PATIENCE: [Duration; 4] =
    [Duration::from_secs(10), Duration::from_secs(20), Duration::from_secs(120), Duration::from_secs(1800)];
/// So many periods after discovery showed that a conference goes on, its record is read.
const SHOWN_LIVE_FOR: u32 = 20;
/// How patiently the sweep is awaited, and a record that says whether an empty listing counts.
const SWEEP_PATIENCE: Duration = Duration::from_secs(600);
const CONFIRMATION_PATIENCE: Duration = Duration::from_secs(10);
/// The whole list of participants is read while so few are known that it fits on one page, with some room.
const WHOLE_LIST_UP_TO: usize = PARTICIPANTS_A_PAGE * 4 / 5;
/// A conference that was empty for this long is taken to stay empty. A shorter time does not tell: people often come one by
/// one, and a listing may lag.
const STAYS_EMPTY_AFTER: Duration = Duration::from_secs(120);
/// How often a conference that stays empty is listed.
const EMPTY_INTERVAL: Duration = Duration::from_secs(60);
/// Every such round of the sweep reads all sessions, not only the open ones.
const FULL_SWEEP_EVERY: u32 = 5;
/// The jitter of periods, as a share of each, so that conferences do not all read at once.
const JITTER: f64 = 0.05;

/// When the reads of one conference are due.
#[derive(Debug, Clone)]
pub struct Plan {
    periods: ReadPeriods,
    backoff: Backoff,
    /// Nothing is read before this time.
    not_before: Mono,
    listing: Mono,
    record: Mono,
    backfill: Mono,
    sweep: Mono,
    /// The participants still to be read in this sweep, and whether all of their sessions are.
    queue: VecDeque<(ParticipantName, bool)>,
    /// The last participant who was queued for a sweep.
    cursor: Option<ParticipantName>,
    /// How many times the sweep has gone through all participants.
    round: u32,
    /// How many listings failed in a row.
    failures: u32,
    /// Since when every listing was empty.
    empty_since: Option<Mono>,
    stays_empty: bool,
    /// Whether a listing waits for the record to be read.
    confirming: bool,
}

impl Plan {
    /// Creates a plan that begins with a listing.
    #[must_use]
    pub fn new(periods: ReadPeriods, backoff: Backoff, now: Mono) -> Self {
        Self {
            periods,
            backoff,
            not_before: now,
            listing: now,
            record: now + periods.record,
            backfill: now + periods.backfill,
            sweep: now + periods.sweep,
            queue: VecDeque::new(),
            cursor: None,
            round: 0,
            failures: 0,
            empty_since: None,
            stays_empty: false,
            confirming: false,
        }
    }

    /// Notes that the conference was empty for this long before a restart, so that it is listed rarely at once.
    pub fn was_empty_for(&mut self, empty: Duration) {
        self.stays_empty = empty >= STAYS_EMPTY_AFTER;
    }

    /// Changes the periods. A read that is now due earlier is moved. A longer period applies from the next read on.
    pub fn set_periods(&mut self, periods: ReadPeriods) {
        let sooner = |due: Mono, old: Duration, new: Duration| due.min(due.saturating_sub(old) + new);
        self.listing = sooner(self.listing, self.periods.listing, periods.listing);
        self.record = sooner(self.record, self.periods.record, periods.record);
        self.backfill = sooner(self.backfill, self.periods.backfill, periods.backfill);
        self.sweep = sooner(self.sweep, self.periods.sweep, periods.sweep);
        self.periods = periods;
    }

    /// Returns how often the conference is listed at present.
    #[must_use]
    pub fn interval(&self, stretch: &Stretch) -> Duration {
        self.plain_interval().mul_f64(stretch.listing)
    }

    /// Returns how often it is listed while there is quota for everything.
    fn plain_interval(&self) -> Duration {
        if self.stays_empty { self.periods.listing.max(EMPTY_INTERVAL) } else { self.periods.listing }
    }

    /// Returns the reads that are due. `held` says until when a participant's recheck has to wait. While the conference is
    /// unobserved, only listings and records are read: nothing else ends the gap. When quota is short, one listing of
    /// everybody who was ever there shows joins and leaves, and there is no backfill.
    #[must_use]
    pub fn due(
        &self,
        roster: &Roster,
        unobserved: bool,
        stretch: &Stretch,
        now: Mono,
        held: impl Fn(&ParticipantName) -> Option<Mono>,
    ) -> DueReads {
        if now < self.not_before {
            return DueReads { reads: Vec::new(), next: self.not_before };
        }
        if self.confirming {
            let wish = Wish { due: self.record.min(now), patience: CONFIRMATION_PATIENCE };
            return DueReads { reads: vec![DueRead { purpose: Purpose::Record, wish }], next: Mono::MAX };
        }
        let everybody = stretch.is_tight && roster.participants().len() <= WHOLE_LIST_UP_TO;
        let listing = Wish { due: self.listing, patience: self.plain_interval() };
        let mut others = OtherReads::new(now);
        others.add(Wish { due: self.record, patience: self.periods.record }, || Purpose::Record);
        if !unobserved {
            if !everybody {
                others.add(Wish { due: self.backfill, patience: self.periods.backfill }, || Purpose::Backfill);
            }
            for (name, recheck) in roster.rechecks() {
                let due = recheck.due.max(held(name).unwrap_or_default());
                others.add(Wish { due, patience: recheck_patience(roster, name) }, || Purpose::Recheck(name.clone()));
            }
            if let Some((participant, all)) = self.queue.front() {
                let purpose = || Purpose::Sweep { participant: participant.clone(), all: *all };
                others.add(Wish { due: now, patience: SWEEP_PATIENCE }, purpose);
            } else if !stretch.is_tight {
                // What it reads is queued once it is due.
                others.will_be_due(self.sweep);
            }
        }
        if self.listing > now {
            others.will_be_due(self.listing);
        }
        let listing =
            (self.listing <= now).then_some(DueRead { purpose: Purpose::Listing { everybody }, wish: listing });
        DueReads { reads: listing.into_iter().chain(others.latest).collect(), next: others.next }
    }

    /// Queues the participants of the next sweep if it is due.
    pub fn queue_sweep(&mut self, roster: &Roster, stretch: &Stretch, now: Mono, random: &mut Random) {
        // The sweep finds only what the listings and the closing find as well, so it is the first that is given up.
        if now < self.sweep || !self.queue.is_empty() || stretch.is_tight {
            return;
        }
        self.sweep = now + jittered(self.periods.sweep.mul_f64(stretch.sweep), JITTER, random);
        let batch = self.batch();
        let mut names: Vec<_> = roster.present_after(self.cursor.as_ref()).take(batch).cloned().collect();
        let all = self.round % FULL_SWEEP_EVERY == FULL_SWEEP_EVERY - 1;
        self.queue = names.iter().map(|name| (name.clone(), all)).collect();
        self.cursor = names.pop();
        if self.queue.len() < batch {
            // The end was reached: the sweep continues with the first participants, each at most once.
            self.round = self.round.wrapping_add(1);
            let all = self.round % FULL_SWEEP_EVERY == FULL_SWEEP_EVERY - 1;
            let room = batch - self.queue.len();
            let front: Vec<_> = roster
                .present_after(None)
                .take(room)
                .filter(|name| !self.queue.iter().any(|(other, _)| other == *name))
                .cloned()
                .collect();
            self.cursor = front.last().cloned().or(self.cursor.take());
            self.queue.extend(front.into_iter().map(|name| (name, all)));
        }
    }

    /// Returns how many participants one sweep reads. However often sweeps come, they are no more than [`SWEEP_BATCH`] a
    /// minute.
    fn batch(&self) -> usize {
        let share = (self.periods.sweep.as_secs_f64() / 60.0).min(1.0);
        // Between 0 and 12, rounded up to at least one.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 12")]
        let batch = (SWEEP_BATCH as f64 * share).ceil() as usize;
        batch.max(1)
    }

    /// Notes that a read succeeded, and sets when it is due again.
    pub fn done(&mut self, purpose: &Purpose, stretch: &Stretch, now: Mono, random: &mut Random) {
        match purpose {
            Purpose::Listing { everybody } => {
                self.failures = 0;
                // How much later it is read is decided when it is due.
                self.listing = now + jittered(self.plain_interval(), JITTER, random);
                if *everybody {
                    self.backfill = now + jittered(self.periods.backfill, JITTER, random);
                }
            }
            Purpose::Record => {
                self.confirming = false;
                self.record = now + jittered(self.periods.record, JITTER, random);
            }
            Purpose::Backfill => {
                self.backfill = now + jittered(self.periods.backfill.mul_f64(stretch.backfill), JITTER, random);
            }
            Purpose::Sweep { .. } => self.end_turn(),
            Purpose::Recheck(_) => {}
        }
    }

    /// Removes the current participant from the sweep. An empty queue gives its memory back.
    fn end_turn(&mut self) {
        self.queue.pop_front();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// Notes that a read failed. It is due again after a back-off, and not before `asked`, which is how long Google wants
    /// us to wait.
    pub fn failed(&mut self, purpose: &Purpose, asked: Option<Duration>, now: Mono, random: &mut Random) {
        self.confirming &= *purpose != Purpose::Record;
        let wait =
            |failures: u32, random: &mut Random| self.backoff.delay(failures, random).max(asked.unwrap_or_default());
        match purpose {
            Purpose::Listing { .. } => {
                self.failures = self.failures.saturating_add(1);
                self.listing = now + wait(self.failures, random);
            }
            Purpose::Record => self.record = now + wait(3, random),
            Purpose::Backfill => self.backfill = now + wait(3, random),
            // The next sweep reads the participant again.
            Purpose::Sweep { .. } => self.end_turn(),
            Purpose::Recheck(_) => {}
        }
    }

    /// Notes whether a listing was empty. A conference that stays empty is listed less often, and when it has just become
    /// empty its record is read at once.
    pub fn listed(&mut self, nobody: bool, now: Mono) {
        if nobody && self.empty_since.is_none() {
            self.record = now;
        }
        self.empty_since = nobody.then(|| self.empty_since.unwrap_or(now));
        let long = |since: Mono| now.saturating_sub(since) >= STAYS_EMPTY_AFTER;
        self.stays_empty = self.empty_since.is_some_and(|since| self.stays_empty || long(since));
    }

    /// Reads nothing before `until`, because the last observation could not be stored.
    pub fn pause(&mut self, until: Mono) {
        self.not_before = self.not_before.max(until);
    }

    /// Reads the record next, because a listing counts only after that.
    pub fn confirm_by_record(&mut self, now: Mono) {
        self.confirming = true;
        self.record = self.record.min(now);
    }

    /// Returns whether no listing waits for the record.
    #[must_use]
    pub fn record_is_read(&self) -> bool {
        !self.confirming
    }

    /// Notes that discovery showed that the conference goes on, as its record would.
    pub fn shown_live(&mut self, now: Mono, random: &mut Random) {
        if !self.confirming {
            // Discovery comes again before, however far it is stretched, unless it fails.
            self.record = self.record.max(now + jittered(self.periods.record * SHOWN_LIVE_FOR, JITTER, random));
        }
    }

    /// Makes the record due now, because discovery no longer shows the conference.
    pub fn hurry_record(&mut self, now: Mono) {
        self.record = self.record.min(now);
    }
}

/// Returns how patiently a participant's sessions are awaited.
fn recheck_patience(roster: &Roster, name: &ParticipantName) -> Duration {
    let Some(person) = roster.participants().get(name) else { return RECHECK_PATIENCE[0] };
    let is_missing = matches!(person.listing_status(), ListingStatus::Missing { .. });
    RECHECK_PATIENCE[match (person.is_told(), person.is_present()) {
        (false, _) => 0,
        (true, true) if is_missing || person.has_unread_end() => 1,
        (true, false) => 2,
        (true, true) => 3,
    }]
}
