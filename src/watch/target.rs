//! Pure: one target, what to ask in order to find its conferences, and what the answer says.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::settings::{TargetSettings, What};
use crate::backoff::{Backoff, Random, jittered};
use crate::clock::Mono;
use crate::meet::{Answer, ConferenceFilter, Read};
use crate::model::{Conference, ConferenceName, MeetingCode, SpaceName};
use crate::store::TargetRow;

/// Records may show up late: what ended is asked for again for so long.
const OVERLAP: SignedDuration = SignedDuration::from_mins(15);
/// How often an organizer's ended conferences are listed.
const ENDED_EVERY: Duration = Duration::from_secs(60);
/// How often a target's memory is written down when nothing else is.
const REMEMBER_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// One target and what it shows.
#[derive(Debug, Clone)]
pub struct Target {
    pub settings: TargetSettings,
    pub row: TargetRow,
    /// The row as it is in the store, if it is.
    pub stored: Option<TargetRow>,
    /// The row that is being written down.
    pub writing: Option<TargetRow>,
    created: Mono,
    shown: BTreeSet<ConferenceName>,
    due: Mono,
    ended_due: Mono,
    failures: u32,
    backoff: Backoff,
    question: Question,
}

/// What is asked, or was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Live,
    Ended,
}

/// What an answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Those that are to be watched for this target's sake.
    pub conferences: Vec<FoundConference>,
    /// Those that it showed before and no longer does: their records are worth a look.
    pub vanished: Vec<ConferenceName>,
    /// A meeting code that belongs to a space.
    pub code: Option<(SpaceName, MeetingCode)>,
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
            created: now,
            shown: BTreeSet::new(),
            due: now,
            ended_due: now,
            failures: 0,
            backoff,
            question: Question::Live,
        }
    }

    /// When to ask next.
    #[must_use]
    pub fn due(&self) -> Mono {
        if self.settings.what == What::Organizer { self.due.min(self.ended_due) } else { self.due }
    }

    /// What to ask now.
    pub fn ask(&mut self, now: Mono) -> Read {
        self.question = if self.due <= now { Question::Live } else { Question::Ended };
        match &self.settings.what {
            What::MeetingCode(code) => Read::SpaceByCode(code.clone()),
            What::Space(space) => Read::Space(space.clone()),
            What::Conference(name) => Read::Conference(name.clone()),
            What::Organizer if self.question == Question::Ended => {
                let since = self.row.discovered_to.unwrap_or(self.row.watched_since);
                let since = since.saturating_sub(OVERLAP).unwrap_or(since).max(self.row.watched_since);
                Read::Conferences(ConferenceFilter { ended_since: Some(since), ..ConferenceFilter::default() })
            }
            What::Organizer => Read::Conferences(ConferenceFilter { live: true, ..ConferenceFilter::default() }),
        }
    }

    /// Takes in an answer. `google`: when it was given, by Google's clock.
    pub fn answer(
        &mut self,
        answer: Answer,
        google: Timestamp,
        period: Duration,
        now: Mono,
        random: &mut Random,
    ) -> Found {
        self.failures = 0;
        if self.row.last_looked.is_none() {
            // Ends are Google's, so the beginning has to be, too: our clock may be minutes off.
            let ago = now.saturating_sub(self.created);
            self.row.watched_since = google.saturating_sub(ago).unwrap_or(google);
        }
        self.row.last_looked = Some(google);
        let mut found = Found::default();
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
        if self.question == Question::Ended {
            self.row.discovered_to = Some(google);
            self.ended_due = now + jittered(ENDED_EVERY, 0.05, random);
            return found;
        }
        self.due = now + jittered(period, 0.05, random);
        let shown: BTreeSet<_> = found.conferences.iter().map(|conference| conference.name.clone()).collect();
        found.vanished = self.shown.difference(&shown).cloned().collect();
        self.shown = shown;
        found
    }

    /// The question could not be answered.
    pub fn failed(&mut self, asked: Option<Duration>, now: Mono, random: &mut Random) {
        self.failures = self.failures.saturating_add(1);
        let again = now + self.backoff.delay(self.failures, random).max(asked.unwrap_or_default());
        match self.question {
            Question::Live => self.due = again,
            Question::Ended => self.ended_due = again,
        }
    }

    /// The row to be written down, if it is new or has aged enough.
    #[must_use]
    pub fn to_remember(&self) -> Option<TargetRow> {
        if self.writing.is_some() {
            return None;
        }
        let aged = |stored: &TargetRow| {
            let (Some(old), Some(new)) = (stored.last_looked, self.row.last_looked) else { return *stored != self.row };
            new.duration_since(old) >= REMEMBER_EVERY
        };
        self.stored.as_ref().is_none_or(aged).then(|| self.row.clone())
    }

    /// The row was written down, or not.
    pub fn written(&mut self, well: bool) {
        let row = self.writing.take();
        if well {
            self.stored = row;
        }
    }
}
