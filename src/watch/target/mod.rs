//! Pure: one target of the configuration, and how its conferences are found.
//!
//! `discovery` says which read is due and takes in its answer; `look_back` bounds how much of the past one read covers;
//! `remember` says what of the target is stored; `change` applies another configuration.

mod change;
mod discovery;
mod look_back;
mod remember;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use self::look_back::LookBack;
use super::gap::{LATE, NOT_RUNNING};
use super::roster::EmittedEvent;
use super::settings::{TargetSelector, TargetSettings};
use crate::backoff::{Backoff, Random};
use crate::clock::Mono;
use crate::meet::Reason;
use crate::model::{Conference, ConferenceName, Gap, MeetingCode, SpaceName};
use crate::store::TargetRow;

/// How often the ended conferences of a target are listed.
const ENDED_EVERY: Duration = Duration::from_secs(60);

/// One target, and what is known of it.
#[derive(Debug, Clone)]
pub struct Target {
    pub settings: TargetSettings,
    pub row: TargetRow,
    /// The row as it is in the store, if it is.
    stored: Option<TargetRow>,
    /// The row that is being written, and the gap that is committed with it.
    writing: Option<(TargetRow, Option<EmittedEvent>)>,
    /// The gap that is not reported yet.
    gap: Option<Gap>,
    /// The last span in which the target was not looked up.
    unobserved: Option<(Timestamp, Timestamp)>,
    /// When this process last looked for live conferences with success.
    looked_up_at: Option<Mono>,
    /// Why the target is not looked up, if that goes on for long enough to be a gap.
    gap_reason: &'static str,
    created: Mono,
    /// The conferences that the last look showed as live.
    shown: BTreeSet<ConferenceName>,
    /// When those of them began whose records the answers had.
    shown_starts: BTreeMap<ConferenceName, Timestamp>,
    /// When to look for live conferences next.
    due: Mono,
    /// When to list ended conferences next.
    ended_due: Mono,
    failures: u32,
    ended_failures: u32,
    /// When this process last listed ended conferences with success, by Google's clock.
    ended_answered: Option<Timestamp>,
    /// How often ended conferences are listed.
    ended_every: Duration,
    /// How many lists of ended conferences in a row had records that could not be read.
    ended_in_part: u32,
    look_back: LookBack,
    backoff: Backoff,
    question: DiscoveryQuestion,
}

/// What the target asks, or asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DiscoveryQuestion {
    Live,
    Ended,
}

/// What an answer showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// The conferences that the target covers.
    pub conferences: Vec<DiscoveredConference>,
    /// The conferences that the answer before showed as live and this one does not. Their records should be read soon.
    pub vanished: Vec<ConferenceName>,
    /// The meeting code of a space.
    pub code: Option<(SpaceName, MeetingCode)>,
    /// The last span in which the target was not looked up.
    pub unobserved: Option<(Timestamp, Timestamp)>,
    /// Whether the answer says which conferences are live.
    pub is_live_answer: bool,
}

/// A conference that a target found, with its record if the answer had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveredConference {
    pub name: ConferenceName,
    pub record: Option<Conference>,
}

impl Target {
    /// Creates a target from its stored row, or for the first time.
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
            looked_up_at: None,
            gap_reason: NOT_RUNNING,
            created: now,
            shown: BTreeSet::new(),
            shown_starts: BTreeMap::new(),
            due: now,
            ended_due: now,
            failures: 0,
            ended_failures: 0,
            ended_answered: None,
            ended_every: ENDED_EVERY,
            ended_in_part: 0,
            look_back: LookBack::default(),
            backoff,
            question: DiscoveryQuestion::Live,
        }
    }

    /// Returns when to ask next.
    #[must_use]
    pub fn due(&self) -> Mono {
        match self.settings.selector {
            // One record, which itself says whether the conference has ended.
            TargetSelector::Conference(_) => self.due,
            TargetSelector::MeetingCode(_) | TargetSelector::Space(_) | TargetSelector::Organizer => {
                self.due.min(self.ended_due)
            }
        }
    }

    /// Returns whether the settings name this conference, so that no answer is needed to know that the target covers it.
    /// Which conferences an organizer's target covers only its listing can say.
    #[must_use]
    pub fn names(&self, conference: &ConferenceName, space: Option<&SpaceName>, code: Option<&MeetingCode>) -> bool {
        match &self.settings.selector {
            TargetSelector::MeetingCode(own) => code == Some(own),
            TargetSelector::Space(own) => space == Some(own),
            TargetSelector::Conference(own) => conference == own,
            TargetSelector::Organizer => false,
        }
    }

    /// Makes the look for live conferences due now.
    pub fn hurry(&mut self, now: Mono) {
        self.due = self.due.min(now);
    }

    /// Notes that the last question could not be answered, and backs off. `asked` is how long Google wants us to wait.
    pub fn failed(&mut self, reason: Reason, asked: Option<Duration>, now: Mono, random: &mut Random) {
        let (failures, due) = match self.question {
            DiscoveryQuestion::Live => {
                // The first failure is the reason of the gap, whatever fails after it.
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
}
