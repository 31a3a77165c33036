//! Pure: which read finds a target's conferences, and what its answer shows.
//!
//! A target asks two questions in turn: which conference is live now, and which conferences have ended since the last such
//! answer, so that one that began and ended between two reads is found too. When quota is short, an organizer's target asks
//! what began lately in place of the first question, which mostly answers the second as well.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Discovered, DiscoveredConference, DiscoveryQuestion, ENDED_EVERY, Target};
use crate::backoff::{Random, jittered};
use crate::clock::{Mono, elapsed};
use crate::meet::{Answer, ConferenceFilter, Read, Reading};
use crate::model::Gap;
use crate::watch::gap::{self, LATE};
use crate::watch::settings::TargetSelector;
use crate::watch::wish::Wish;

/// Records may appear late in Google's lists, so each list of ended conferences overlaps the one before by this much.
const OVERLAP: SignedDuration = SignedDuration::from_mins(15);
/// How often the ended conferences of a target are listed when quota is short.
const ENDED_EVERY_WHEN_TIGHT: Duration = Duration::from_secs(900);
/// The list of what began lately goes back at most this far.
const RECENT_AT_MOST: Duration = Duration::from_secs(6 * 3600);
/// The overlap covers at least so many lists, however seldom they are made: any of them may miss a conference.
const LISTS_IN_OVERLAP: i32 = 4;
/// After so many lists in a row with a record that cannot be read, the cursor moves past it.
const MAX_IN_PART: u32 = 6;
/// The jitter of discovery, as a share of its period.
const JITTER: f64 = 0.05;

impl Target {
    /// Returns the read that is due and latest. `period`: the time between two looks for live conferences. `google` is the
    /// current time by Google's clock. `is_tight`: whether quota is short. Then one list of what began lately takes the place of
    /// the live conferences, and ended ones are listed rarely.
    pub fn ask(&mut self, period: Duration, is_tight: bool, google: Timestamp, now: Mono) -> Read {
        let (live, ended) = self.wishes(period);
        let lateness = |wish: Wish| (wish.due <= now).then(|| wish.lateness(now));
        let live = lateness(live);
        let is_ended_later = ended
            .and_then(lateness)
            .is_some_and(|ended| live.is_none_or(|live| ended.compare(&live) == Ordering::Greater));
        self.question = if is_ended_later { DiscoveryQuestion::Ended } else { DiscoveryQuestion::Live };
        self.ended_every = if is_tight { ENDED_EVERY_WHEN_TIGHT } else { ENDED_EVERY };
        if self.question == DiscoveryQuestion::Ended {
            return Read::Conferences(self.ended(google));
        }
        match &self.settings.selector {
            TargetSelector::MeetingCode(code) => Read::SpaceByCode(code.clone()),
            TargetSelector::Space(space) => Read::Space(space.clone()),
            TargetSelector::Conference(name) => Read::Conference(name.clone()),
            TargetSelector::Organizer => {
                let recent = if is_tight { self.recent() } else { None };
                Read::Conferences(recent.unwrap_or(ConferenceFilter { live: true, ..ConferenceFilter::default() }))
            }
        }
    }

    /// Returns when the live conferences and, except for a target that names one conference, the ended ones are to be read.
    /// `period`: the time between two looks for live conferences.
    #[must_use]
    pub fn wishes(&self, period: Duration) -> (Wish, Option<Wish>) {
        let live = Wish { due: self.due, patience: period };
        let is_one = matches!(self.settings.selector, TargetSelector::Conference(_));
        (live, (!is_one).then_some(Wish { due: self.ended_due, patience: self.ended_every }))
    }

    /// Returns the filter for what began since the last look or before the oldest live conference began: it shows every live
    /// conference, and those that began and ended since. `None` before the first look, and if a conference has been live for
    /// so long that the list would have many pages.
    fn recent(&self) -> Option<ConferenceFilter> {
        let last_look = self.row.last_looked.filter(|_| self.looked_up_at.is_some())?;
        let since = last_look.saturating_sub(OVERLAP).unwrap_or(last_look);
        let started_since = self.shown_starts.values().copied().min().map_or(since, |oldest| oldest.min(since));
        let is_short = elapsed(started_since, last_look) <= RECENT_AT_MOST;
        is_short.then(|| ConferenceFilter { started_since: Some(started_since), ..ConferenceFilter::default() })
    }

    /// Returns the filter for ended conferences. Google lists them to the organizer only; to others the list is empty.
    fn ended(&mut self, google: Timestamp) -> ConferenceFilter {
        // If our clock was ahead when the cursor was stored, the cursor may be in the future and would hide conferences.
        let since = self.row.discovered_to.unwrap_or(self.row.watched_since).min(google);
        let lists = SignedDuration::try_from(self.ended_every).unwrap_or(OVERLAP) * LISTS_IN_OVERLAP;
        let since = since.saturating_sub(OVERLAP.max(lists)).unwrap_or(since).max(self.row.watched_since);
        let (space, meeting_code) = match &self.settings.selector {
            TargetSelector::MeetingCode(code) => (None, Some(code.clone())),
            TargetSelector::Space(space) => (Some(space.clone()), None),
            TargetSelector::Conference(_) | TargetSelector::Organizer => (None, None),
        };
        let ended_before = self.look_back.until(since, google);
        ConferenceFilter { ended_since: Some(since), ended_before, space, meeting_code, ..ConferenceFilter::default() }
    }

    /// Takes in the answer to the last question. `google` is the time of the answer by Google's clock, `period` the time
    /// between two looks for live conferences.
    pub fn answer(
        &mut self,
        reading: Reading,
        google: Timestamp,
        period: Duration,
        now: Mono,
        random: &mut Random,
    ) -> Discovered {
        match self.question {
            DiscoveryQuestion::Live => self.failures = 0,
            DiscoveryQuestion::Ended => self.ended_failures = 0,
        }
        if self.row.last_looked.is_none() {
            // Conferences end by Google's clock, so the beginning of watching has to be by it too. Ours may be minutes off.
            let ago = now.saturating_sub(self.created);
            self.row.watched_since = google.saturating_sub(ago).unwrap_or(google);
        }
        // An empty body may be an empty list, and an item that cannot be read may be a conference.
        let reading_is_blank = reading.blank;
        let in_part = reading_is_blank || reading.unreadable.is_incomplete();
        let mut discovered = Discovered::of(reading.answer);
        match self.question {
            DiscoveryQuestion::Live => {
                self.note_looked_up(google, period, now);
                discovered.is_live_answer = true;
                discovered.unobserved = self.unobserved;
                self.due = now + jittered(period, JITTER, random);
                let shown: BTreeSet<_> = discovered
                    .conferences
                    .iter()
                    .filter(|found| found.record.as_ref().is_none_or(|record| record.end.is_none()))
                    .map(|found| found.name.clone())
                    .collect();
                let starts = discovered.conferences.iter().filter_map(|found| found.record.as_ref());
                self.shown_starts.extend(starts.map(|record| (record.name.clone(), record.start)));
                if in_part {
                    self.shown.extend(shown);
                } else {
                    discovered.vanished = self.shown.difference(&shown).cloned().collect();
                    self.shown = shown;
                }
                self.shown_starts.retain(|name, _| self.shown.contains(name));
            }
            DiscoveryQuestion::Ended => {
                self.ended_in_part = if in_part { self.ended_in_part.saturating_add(1) } else { 0 };
                if reading_is_blank || (in_part && self.ended_in_part < MAX_IN_PART) {
                    // It is no failure, and the cursor does not move past what it may hide.
                    self.ended_due = now + jittered(self.ended_every, JITTER, random);
                } else {
                    self.note_ended_listed(google, now, random);
                }
                let never = || self.row.last_looked.is_none().then_some((Timestamp::MIN, google));
                discovered.unobserved = self.unobserved_span(google, period, now).or(self.unobserved).or_else(never);
            }
        }
        discovered
    }

    /// Returns whether an answer proves nothing: an empty body may be an empty list only while no conference is live.
    #[must_use]
    pub fn doubts(&self, reading: &Reading) -> bool {
        reading.blank && self.question == DiscoveryQuestion::Live && !self.shown.is_empty()
    }

    fn note_ended_listed(&mut self, google: Timestamp, now: Mono, random: &mut Random) {
        if let Some(until) = self.look_back.succeeded() {
            // That was a part of the past, which does not change any more: the next part can be listed at once.
            self.row.discovered_to = Some(until);
            self.ended_due = now;
        } else {
            // A list that changes while its pages are read may miss a conference, so every time is listed twice: the cursor
            // is one answer behind.
            let before = self.row.discovered_to.filter(|to| *to <= google);
            self.row.discovered_to = before.max(self.ended_answered.replace(google));
            self.ended_due = now + jittered(self.ended_every, JITTER, random);
        }
    }

    /// Notes a look for live conferences, and a gap if it came too long after the one before.
    fn note_looked_up(&mut self, google: Timestamp, period: Duration, now: Mono) {
        if let Some((from, to)) = self.unobserved_span(google, period, now) {
            self.unobserved = Some((from, to));
            let gap = Gap { from, to, reason: self.gap_reason.to_owned() };
            self.gap = Some(gap::merged(self.gap.take(), gap));
        } else if self.row.last_looked.is_none() {
            // Nobody looked before the first time.
            self.unobserved = Some((Timestamp::MIN, google));
        }
        (self.row.last_looked, self.looked_up_at) = (Some(google), Some(now));
        self.gap_reason = LATE;
    }

    /// Returns the time since the last look for live conferences, if it is long enough to be a gap.
    fn unobserved_span(&self, google: Timestamp, period: Duration, now: Mono) -> Option<(Timestamp, Timestamp)> {
        let from = self.row.last_looked?;
        let since = self.looked_up_at.map_or_else(|| elapsed(from, google), |at| now.saturating_sub(at));
        (since >= (period * 3).max(Duration::from_secs(60))).then(|| {
            let from = self.looked_up_at.map_or(from, |_| gap::began(from, google, since));
            (from, google.max(from))
        })
    }
}

impl Discovered {
    fn of(answer: Answer) -> Self {
        let mut discovered = Self::default();
        match answer {
            Answer::Space(space) => {
                discovered.code = space.meeting_code.map(|code| (space.name, code));
                discovered.conferences = space
                    .active_conference
                    .into_iter()
                    .map(|name| DiscoveredConference { name, record: None })
                    .collect();
            }
            Answer::Conference(record) => {
                discovered.conferences = vec![DiscoveredConference { name: record.name.clone(), record: Some(record) }];
            }
            Answer::Conferences(records) => {
                discovered.conferences = records
                    .into_iter()
                    .map(|record| DiscoveredConference { name: record.name.clone(), record: Some(record) })
                    .collect();
            }
            // A reader's answer always fits the read, so no other kind comes here.
            _ => {}
        }
        discovered
    }
}
