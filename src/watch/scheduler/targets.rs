//! Discovery: asks the targets which conferences they have.

use std::time::Duration;

use jiff::Timestamp;

use super::{Scheduler, SchedulerCommand, WorkKey};
use crate::clock::{Mono, Now};
use crate::meet::{Priority, ReadError, Reading, Reason};
use crate::model::{ConferenceName, TargetName};
use crate::watch::conference::WatchedConference;
use crate::watch::gap::GapCoverage;
use crate::watch::settings::TargetSelector;
use crate::watch::target::{DiscoveredConference, Target};

impl Scheduler {
    /// Wishes for the read that a target has due.
    pub(super) fn ask_target(&mut self, name: &TargetName, now: Now) {
        let Some(target) = self.targets.get(name) else { return };
        if self.target_reads.contains(name) {
            return;
        }
        let key = WorkKey::Target(name.clone());
        let (live, ended) = target.wishes(self.setup.settings.discovery);
        let (due, later): (Vec<_>, Vec<_>) = std::iter::once(live).chain(ended).partition(|wish| wish.due <= now.mono);
        if !due.is_empty() {
            self.waiting.put(&key, target.settings.identity.clone(), due);
        }
        if let Some(next) = later.into_iter().map(|wish| wish.due).min() {
            self.wake_at(key, next);
        }
    }

    /// Makes the read that a target has due.
    pub(super) fn read_target(&mut self, name: &TargetName, now: Now, commands: &mut Vec<SchedulerCommand>) {
        let google = self.clock_skew.moment(now).google;
        let Some(target) = self.targets.get_mut(name).filter(|target| target.due() <= now.mono) else { return };
        if !self.target_reads.insert(name.clone()) {
            return;
        }
        let identity = target.settings.identity.clone();
        let is_tight = self.stretches.get(&identity).is_some_and(|stretch| stretch.is_tight);
        let read = target.ask(self.setup.settings.discovery, is_tight, google, now.mono);
        self.issue(WorkKey::Target(name.clone()), identity, Priority::Record, read, 1, now.mono, commands);
    }

    pub(super) fn target_answered(
        &mut self,
        name: &TargetName,
        result: Result<Reading, ReadError>,
        now: Now,
        commands: &mut Vec<SchedulerCommand>,
    ) {
        self.target_reads.remove(name);
        let google = self.clock_skew.moment(now).google;
        let Some(target) = self.targets.get_mut(name) else { return };
        match result {
            Err(error) => {
                target.failed(error.reason, error.retry_after, now.mono, &mut self.random);
            }
            Ok(reading) if target.doubts(&reading) => {
                target.failed(Reason::Malformed, None, now.mono, &mut self.random);
            }
            Ok(reading) => {
                let found = target.answer(reading, google, self.setup.settings.discovery, now.mono, &mut self.random);
                if found.is_live_answer {
                    self.board.write().targets.entry(name.clone()).or_default().last_discovery = Some(now.wall);
                }
                if let Some((space, code)) = found.code {
                    self.codes.insert(space, code);
                }
                let is_live_answer = found.is_live_answer;
                for conference in found.conferences {
                    if is_live_answer && conference.record.as_ref().is_none_or(|record| record.end.is_none()) {
                        self.shown_live(&conference.name, now);
                    }
                    self.found(name, conference, found.unobserved, now);
                }
                for vanished in found.vanished {
                    if let Some(watched) = self.conferences.get_mut(&vanished) {
                        watched.vanished(now.mono);
                        self.wake_at(WorkKey::Conference(vanished), now.mono);
                    }
                }
                self.remember(name, google, now.mono, commands);
            }
        }
        if let Some(due) = self.targets.get(name).map(Target::due) {
            self.wake_at(WorkKey::Target(name.clone()), due);
        }
    }

    /// Stores what a target remembers, if that is due, and reports its gap.
    fn remember(&mut self, name: &TargetName, google: Timestamp, now: Mono, commands: &mut Vec<SchedulerCommand>) {
        let own = || self.conferences.values().filter(|watched| watched.targets().any(|target| target == name));
        let opening = own().any(WatchedConference::is_opening);
        let gap = self.targets.get(name).and_then(Target::gap);
        let account = if gap.is_some_and(|gap| own().any(|watched| watched.reported_gap_covers(gap))) {
            GapCoverage::Reported
        } else if own().any(|watched| watched.is_out_of_sight(now)) {
            GapCoverage::Pending
        } else {
            GapCoverage::Missing
        };
        let Some(target) = self.targets.get_mut(name) else { return };
        match target.remember(account, opening, &self.setup.routes, google) {
            Ok(Some(commit)) => {
                commands
                    .push(SchedulerCommand::Commit { key: WorkKey::Target(name.clone()), commit: Box::new(commit) });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(target_name = %name, %error, "a gap is not reported; this is a defect, please report it");
            }
        }
    }

    /// Notes that discovery showed that a conference goes on.
    fn shown_live(&mut self, name: &ConferenceName, now: Now) {
        let Some(watched) = self.conferences.get_mut(name) else { return };
        let stretch = watched.identity().and_then(|identity| self.stretches.get(identity));
        if stretch.is_some_and(|stretch| stretch.is_tight) {
            watched.shown_live(now.mono, &mut self.random);
        }
    }

    fn found(
        &mut self,
        target: &TargetName,
        DiscoveredConference { name, record }: DiscoveredConference,
        unobserved: Option<(Timestamp, Timestamp)>,
        now: Now,
    ) {
        if self.finished.contains_key(&name) {
            return;
        }
        let Some(target) = self.targets.get(target) else { return };
        let (periods, backoff) = (self.periods(target.settings.poll_interval), self.backoff);
        let fresh = !self.conferences.contains_key(&name);
        let watched = self.conferences.entry(name.clone()).or_insert_with(|| {
            WatchedConference::found(name.clone(), record, periods, backoff, now.mono).after(unobserved)
        });
        watched.reached_by(target);
        watched.keep_identities(|reader| self.setup.identities.iter().any(|identity| identity.name == *reader));
        if fresh {
            self.ask_organizers_too(&name, now.mono);
            self.wake_at(WorkKey::Conference(name), now.mono);
        } else {
            self.publish(&name, now);
        }
    }

    /// Makes the organizer's targets of the same identity due now. An event carries every target that covers the
    /// conference. Whether an organizer's target does only its listing can say, so the first event waits a moment for it.
    fn ask_organizers_too(&mut self, name: &ConferenceName, now: Mono) {
        let Some(watched) = self.conferences.get_mut(name) else { return };
        let Some(identity) = watched.identity().cloned() else { return };
        let others = self.targets.values_mut().filter(|target| {
            let settings = &target.settings;
            let reached = watched.targets().any(|reached| *reached == settings.name);
            settings.selector == TargetSelector::Organizer && settings.identity == identity && !reached
        });
        let mut asked = Vec::new();
        for target in others {
            target.hurry(now);
            asked.push(target.settings.name.clone());
        }
        if !asked.is_empty() {
            watched.wait_for_targets(now + ORGANIZERS_WAIT);
        }
        for target in asked {
            self.wake_at(WorkKey::Target(target), now);
        }
    }
}

/// How long the first event of a conference waits for the organizer's targets.
const ORGANIZERS_WAIT: Duration = Duration::from_secs(2);
