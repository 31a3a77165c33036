//! Pure: one target, what to ask in order to find its conferences, and what the answer says. What becomes of it when the
//! operator changes it is in `change`.

mod change;

mod look_back;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use self::look_back::LookBack;
use super::conference::{LATE, NOT_RUNNING};
use super::gap;
use super::persist::{self, UnwritableEvent};
use super::roster::EmittedEvent;
use super::settings::{REMEMBER_EVERY, TargetSelector, TargetSettings};
use crate::backoff::{Backoff, Random, jittered};
use crate::clock::{Mono, elapsed};
use crate::meet::{Answer, ConferenceFilter, Read, Reason};
use crate::model::{Conference, ConferenceName, Gap, MeetingCode, Route, SpaceName};
use crate::store::{Commit, TargetRow};

/// Records may show up late: what ended is asked for again for so long.
const OVERLAP: SignedDuration = SignedDuration::from_mins(15);
/// How often an organizer's ended conferences are listed.
const ENDED_EVERY: Duration = Duration::from_secs(60);

/// One target and what it shows.
#[derive(Debug, Clone)]
pub struct Target {
    pub settings: TargetSettings,
    pub row: TargetRow,
    /// The row as it is in the store, if it is.
    pub stored: Option<TargetRow>,
    /// What is being written down: the row, and the gap that is told with it.
    writing: Option<(TargetRow, Option<EmittedEvent>)>,
    /// The gap that is to be told with the next writing.
    gap: Option<Gap>,
    /// The last time in which nobody looked.
    unobserved: Option<(Timestamp, Timestamp)>,
    /// When it was last looked up with success, by the monotonic clock, if this process did.
    looked: Option<Mono>,
    /// Why it could not be looked up last.
    gap_reason: &'static str,
    created: Mono,
    shown: BTreeSet<ConferenceName>,
    due: Mono,
    ended_due: Mono,
    failures: u32,
    ended_failures: u32,
    /// When what ended was listed last by this process.
    ended_answered: Option<Timestamp>,
    look_back: LookBack,
    backoff: Backoff,
    question: DiscoveryQuestion,
}

/// Whether somebody else tells of the time in which a target could not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCoverage {
    /// One of its conferences told a gap that covers it.
    Reported,
    /// One of its conferences is about to.
    Pending,
    /// Nobody.
    Missing,
}

/// So long a target waits for one of its conferences to tell the gap that both had.
const ACCOUNT_WITHIN: Duration = Duration::from_secs(120);

/// Two gaps that were not told, as one: the time between is not worth a second event.
fn both(earlier: Option<Gap>, later: Gap) -> Gap {
    match earlier {
        Some(earlier) => {
            Gap { from: earlier.from.min(later.from), to: earlier.to.max(later.to), reason: earlier.reason }
        }
        None => later,
    }
}

/// What is asked, or was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DiscoveryQuestion {
    Live,
    Ended,
}

/// What an answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiscoveryResult {
    /// Those that are to be watched for this target's sake.
    pub conferences: Vec<FoundConference>,
    /// Those that it showed before and no longer does: their records are worth a look.
    pub vanished: Vec<ConferenceName>,
    /// A meeting code that belongs to a space.
    pub code: Option<(SpaceName, MeetingCode)>,
    /// The last time in which nobody looked.
    pub unobserved: Option<(Timestamp, Timestamp)>,
    /// Whether the answer says what is live.
    pub looked: bool,
}

/// A conference, with its record where the answer had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundConference {
    pub name: ConferenceName,
    pub record: Option<Conference>,
}

impl Target {
    /// A target, as it is remembered or for the first time.
    #[must_use]
    pub fn new(
        settings: TargetSettings,
        stored: Option<TargetRow>,
        backoff: Backoff,
        now: Mono,
        wall: Timestamp,
    ) -> Self {
        let fresh =
            || TargetRow { name: settings.name.clone(), watched_since: wall, discovered_to: None, last_looked: None };
        let row = stored.clone().unwrap_or_else(fresh);
        Self {
            settings,
            row,
            stored,
            writing: None,
            gap: None,
            unobserved: None,
            looked: None,
            gap_reason: NOT_RUNNING,
            created: now,
            shown: BTreeSet::new(),
            due: now,
            ended_due: now,
            failures: 0,
            ended_failures: 0,
            ended_answered: None,
            look_back: LookBack::default(),
            backoff,
            question: DiscoveryQuestion::Live,
        }
    }

    /// When to ask next.
    #[must_use]
    pub fn due(&self) -> Mono {
        match self.settings.selector {
            // One record, which says itself whether it has ended.
            TargetSelector::Conference(_) => self.due,
            TargetSelector::MeetingCode(_) | TargetSelector::Space(_) | TargetSelector::Organizer => {
                self.due.min(self.ended_due)
            }
        }
    }

    /// Whether this target names the conference beyond doubt, asked or not. What an organizer's target reaches only its
    /// listing can say.
    #[must_use]
    pub fn names(&self, conference: &ConferenceName, space: Option<&SpaceName>, code: Option<&MeetingCode>) -> bool {
        match &self.settings.selector {
            TargetSelector::MeetingCode(own) => code == Some(own),
            TargetSelector::Space(own) => space == Some(own),
            TargetSelector::Conference(own) => conference == own,
            TargetSelector::Organizer => false,
        }
    }

    /// Asks what is live as soon as possible.
    pub fn hurry(&mut self, now: Mono) {
        self.due = self.due.min(now);
    }

    /// What to ask now. `google`: the same instant by Google's clock.
    pub fn ask(&mut self, google: Timestamp, now: Mono) -> Read {
        self.question = if self.due <= now { DiscoveryQuestion::Live } else { DiscoveryQuestion::Ended };
        if self.question == DiscoveryQuestion::Ended {
            return Read::Conferences(self.ended(google));
        }
        match &self.settings.selector {
            TargetSelector::MeetingCode(code) => Read::SpaceByCode(code.clone()),
            TargetSelector::Space(space) => Read::Space(space.clone()),
            TargetSelector::Conference(name) => Read::Conference(name.clone()),
            TargetSelector::Organizer => {
                Read::Conferences(ConferenceFilter { live: true, ..ConferenceFilter::default() })
            }
        }
    }

    /// What came and went unseen. Google shows it to the organizer only; to others the list is empty.
    fn ended(&mut self, google: Timestamp) -> ConferenceFilter {
        // A cursor from a time when our clock was ahead must not hide anything.
        let since = self.row.discovered_to.unwrap_or(self.row.watched_since).min(google);
        let since = since.saturating_sub(OVERLAP).unwrap_or(since).max(self.row.watched_since);
        let (space, meeting_code) = match &self.settings.selector {
            TargetSelector::MeetingCode(code) => (None, Some(code.clone())),
            TargetSelector::Space(space) => (Some(space.clone()), None),
            TargetSelector::Conference(_) | TargetSelector::Organizer => (None, None),
        };
        let ended_before = self.look_back.until(since, google);
        ConferenceFilter { ended_since: Some(since), ended_before, space, meeting_code, ..ConferenceFilter::default() }
    }

    /// Takes in an answer. `google`: when it was given, by Google's clock.
    pub fn answer(
        &mut self,
        answer: Answer,
        google: Timestamp,
        period: Duration,
        now: Mono,
        random: &mut Random,
    ) -> DiscoveryResult {
        match self.question {
            DiscoveryQuestion::Live => self.failures = 0,
            DiscoveryQuestion::Ended => self.ended_failures = 0,
        }
        if self.row.last_looked.is_none() {
            // Ends are Google's, so the beginning has to be, too: our clock may be minutes off.
            let ago = now.saturating_sub(self.created);
            self.row.watched_since = google.saturating_sub(ago).unwrap_or(google);
        }
        let mut found = DiscoveryResult::default();
        match answer {
            Answer::Space(space) => {
                found.code = space.meeting_code.map(|code| (space.name, code));
                found.conferences =
                    space.active_conference.into_iter().map(|name| FoundConference { name, record: None }).collect();
            }
            Answer::Conference(record) => {
                found.conferences = vec![FoundConference { name: record.name.clone(), record: Some(record) }];
            }
            Answer::Conferences(records) => {
                found.conferences = records
                    .into_iter()
                    .map(|record| FoundConference { name: record.name.clone(), record: Some(record) })
                    .collect();
            }
            // The reader answers what it was asked.
            _ => {}
        }
        if self.question == DiscoveryQuestion::Ended {
            if let Some(until) = self.look_back.came() {
                // Only a part of the past, which stands still: on with the next.
                self.row.discovered_to = Some(until);
                self.ended_due = now;
            } else {
                // A list may leave somebody out while it is read, so all is asked for twice: the cursor follows one answer
                // behind.
                let before = self.row.discovered_to.filter(|to| *to <= google);
                self.row.discovered_to = before.max(self.ended_answered.replace(google));
                self.ended_due = now + jittered(ENDED_EVERY, 0.05, random);
            }
            let never = || self.row.last_looked.is_none().then_some((Timestamp::MIN, google));
            found.unobserved = self.unobserved_span(google, period, now).or(self.unobserved).or_else(never);
            return found;
        }
        self.look(google, period, now);
        found.looked = true;
        found.unobserved = self.unobserved;
        self.due = now + jittered(period, 0.05, random);
        let shown: BTreeSet<_> = found.conferences.iter().map(|conference| conference.name.clone()).collect();
        found.vanished = self.shown.difference(&shown).cloned().collect();
        self.shown = shown;
        found
    }

    /// Notes that it was looked up, and whether nobody looked for a while before.
    fn look(&mut self, google: Timestamp, period: Duration, now: Mono) {
        if let Some((from, to)) = self.unobserved_span(google, period, now) {
            self.unobserved = Some((from, to));
            let gap = Gap { from, to, reason: self.gap_reason.to_owned() };
            self.gap = Some(both(self.gap.take(), gap));
        } else if self.row.last_looked.is_none() {
            // What came before was not looked for.
            self.unobserved = Some((Timestamp::MIN, google));
        }
        (self.row.last_looked, self.looked) = (Some(google), Some(now));
        self.gap_reason = LATE;
    }

    /// Since when nobody has looked, if that is too long.
    fn unobserved_span(&self, google: Timestamp, period: Duration, now: Mono) -> Option<(Timestamp, Timestamp)> {
        let from = self.row.last_looked?;
        let since = self.looked.map_or_else(|| elapsed(from, google), |looked| now.saturating_sub(looked));
        (since >= (period * 3).max(Duration::from_secs(60))).then(|| (from, google.max(from)))
    }

    /// The question could not be answered.
    pub fn failed(&mut self, reason: Reason, asked: Option<Duration>, now: Mono, random: &mut Random) {
        let (failures, due) = match self.question {
            DiscoveryQuestion::Live => {
                // What came first is why nobody looks; what follows may be of another kind.
                if self.gap_reason == LATE {
                    self.gap_reason = reason.as_str();
                }
                (&mut self.failures, &mut self.due)
            }
            DiscoveryQuestion::Ended => {
                self.look_back.failed();
                (&mut self.ended_failures, &mut self.ended_due)
            }
        };
        *failures = failures.saturating_add(1);
        *due = now + self.backoff.delay(*failures, random).max(asked.unwrap_or_default());
    }

    /// The gap that is not told yet.
    #[must_use]
    pub fn gap(&self) -> Option<&Gap> {
        self.gap.as_ref()
    }

    /// What is to be written down, if it is new or has aged enough, with the gap that is told at the same time.
    /// `account`: whether a conference of this target tells a gap that covers this one. `opening`: one that it found is not
    /// kept yet, so the cursor that found it must not be either.
    ///
    /// # Errors
    /// [`UnwritableEvent`] if the gap has no JSON form.
    pub fn remember(
        &mut self,
        account: GapCoverage,
        opening: bool,
        routes: &[Route],
        observed_at: Timestamp,
    ) -> Result<Option<Commit>, UnwritableEvent> {
        let fresh = |gap: &Gap| elapsed(gap.to, observed_at) < ACCOUNT_WITHIN;
        let waits = account == GapCoverage::Pending && self.gap.as_ref().is_some_and(fresh);
        if self.writing.is_some() || waits {
            return Ok(None);
        }
        let gap = self.gap.take().filter(|_| account != GapCoverage::Reported);
        let gap = gap.map(|gap| gap::of_target(&self.settings.name, gap, observed_at));
        let aged = |stored: &TargetRow| {
            let (Some(old), Some(new)) = (stored.last_looked, self.row.last_looked) else { return *stored != self.row };
            elapsed(old, new) >= REMEMBER_EVERY
        };
        if gap.is_none() && !self.stored.as_ref().is_none_or(aged) {
            return Ok(None);
        }
        let targets = [self.settings.name.clone()];
        let events = gap.clone().map(|emitted| persist::event(emitted, &targets, routes)).transpose()?;
        let mut row = self.row.clone();
        if opening {
            row.discovered_to = self.stored.as_ref().and_then(|stored| stored.discovered_to);
        }
        self.writing = Some((row.clone(), gap));
        Ok(Some(Commit { targets: vec![row], events: events.into_iter().collect(), ..Commit::default() }))
    }

    /// What was to be written contradicts the store: the gap is in the log already, and the row is written anew.
    pub fn contradicted(&mut self) {
        (self.writing, self.stored) = (None, None);
    }

    /// It was written down, or not. Returns what was told with it.
    pub fn written(&mut self, well: bool) -> Option<EmittedEvent> {
        let (row, emitted) = self.writing.take()?;
        if well {
            self.stored = Some(row);
            return emitted;
        }
        if let Some(untold) = emitted.and_then(|emitted| emitted.event.gap) {
            let later = self.gap.take();
            self.gap = Some(later.map_or(untold.clone(), |later| both(Some(untold), later)));
        }
        None
    }
}
