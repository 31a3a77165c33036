//! Advances conferences until each has to wait, and publishes their state.

use super::{Scheduler, SchedulerCommand, WorkKey};
use crate::backoff::Random;
use crate::clock::{Mono, Now};
use crate::model::ConferenceName;
use crate::status::ConferenceStatus;
use crate::store::StoredConference;
use crate::watch::conference::{ConferenceContext, NextStep, WatchedConference};
use crate::watch::roster::{Moment, Roster};
use crate::watch::stretch::Stretch;

impl Scheduler {
    pub(super) fn advance_conference(&mut self, name: &ConferenceName, now: Now, commands: &mut Vec<SchedulerCommand>) {
        if self.conferences.get(name).is_some_and(WatchedConference::is_busy) {
            return;
        }
        self.with_conference(name, false, now, commands, |_, _, _, _| NextStep::GoOn);
    }

    /// Makes the read of a conference that is latest.
    pub(super) fn read_conference(&mut self, name: &ConferenceName, now: Now, commands: &mut Vec<SchedulerCommand>) {
        if self.conferences.get(name).is_some_and(|watched| !watched.is_busy()) {
            self.with_conference(name, true, now, commands, |_, _, _, _| NextStep::GoOn);
        }
    }

    pub(super) fn committed(&mut self, key: WorkKey, succeeded: bool, now: Now, commands: &mut Vec<SchedulerCommand>) {
        let name = match key {
            WorkKey::Conference(name) => name,
            WorkKey::Target(name) => {
                if let Some(emitted) = self.targets.get_mut(&name).and_then(|target| target.committed(succeeded)) {
                    self.metrics.event_committed(&emitted.event);
                }
                return;
            }
            WorkKey::Lookup(_) => return,
        };
        let metrics = self.metrics.clone();
        self.with_conference(&name, false, now, commands, |watched, context, moment, random| {
            let disagreements = |watched: &WatchedConference| watched.roster().map_or(0, Roster::disagreements);
            let before = disagreements(watched);
            for emitted in watched.committed(succeeded, context, moment, random) {
                metrics.event_committed(&emitted.event);
            }
            metrics.disagreements.inc_by(disagreements(watched).saturating_sub(before));
            NextStep::GoOn
        });
    }

    /// Takes the stored state of a conference, or of a target, after a commit contradicted it, as when a commit was made
    /// and its reply was lost. The events in the store were emitted, so the store is right.
    pub(super) fn contradicted(&mut self, key: WorkKey, stored: Option<StoredConference>, now: Now) {
        let name = match key {
            WorkKey::Conference(name) => name,
            WorkKey::Target(name) => {
                if let Some(target) = self.targets.get_mut(&name) {
                    target.contradicted();
                }
                return;
            }
            WorkKey::Lookup(_) => return,
        };
        let Some(before) = self.conferences.remove(&name) else { return };
        self.sleep(&WorkKey::Conference(name.clone()));
        match stored {
            Some(stored) => {
                self.restore(stored, now);
                if let Some(watched) = self.conferences.get_mut(&name) {
                    for target in before.targets().filter_map(|target| self.targets.get(target)) {
                        watched.reached_by(target);
                    }
                    watched.keep_failures_of(&before);
                }
                self.publish(&name, now);
            }
            // The conference is over, and its end was emitted.
            None => {
                self.board.write().conferences.remove(&name);
                self.finished.insert(name, now.mono);
            }
        }
    }

    /// Applies `first` to a conference, and then its next steps until it has to wait. `may_read`: whether it may make a read.
    pub(super) fn with_conference(
        &mut self,
        name: &ConferenceName,
        may_read: bool,
        now: Now,
        commands: &mut Vec<SchedulerCommand>,
        first: impl FnOnce(&mut WatchedConference, &ConferenceContext<'_>, Moment, &mut Random) -> NextStep,
    ) {
        let Some(watched) = self.conferences.get_mut(name) else { return };
        let moment = self.clock_skew.moment(now);
        let identity = watched.identity().cloned();
        let own = identity.as_ref().and_then(|identity| self.lookups.get(identity));
        let stretch =
            identity.as_ref().and_then(|identity| self.stretches.get(identity)).copied().unwrap_or(Stretch::NONE);
        let context = ConferenceContext {
            settings: &self.setup.settings,
            may_read,
            routes: &self.setup.routes,
            stretch,
            lookup: own.unwrap_or(&self.no_lookup),
            looks_up: own.is_some(),
            codes: &self.codes,
            targets: &self.targets,
        };
        let mut next = first(watched, &context, moment, &mut self.random);
        while matches!(next, NextStep::GoOn) && !watched.is_busy() {
            next = watched.next(&context, moment, &mut self.random);
        }
        let key = WorkKey::Conference(name.clone());
        self.waiting.remove(&key);
        match next {
            NextStep::Read { identity, priority, read, requests } => {
                self.metrics.polls.inc();
                self.issue(key, identity, priority, read, requests, now.mono, commands);
            }
            NextStep::Want { identity, wishes, next } => {
                self.waiting.put(&key, identity, wishes);
                if next < Mono::MAX {
                    self.wake_at(key, next);
                }
            }
            NextStep::Commit(commit) => commands.push(SchedulerCommand::Commit { key, commit }),
            NextStep::WaitUntil(at) => self.wake_at(key, at),
            NextStep::GoOn => {}
            NextStep::Forget => {
                self.forget(name, now);
                return;
            }
        }
        self.publish(name, now);
        self.want_lookups(name, now);
    }

    pub(super) fn forget(&mut self, name: &ConferenceName, now: Now) {
        self.logged_failures.remove(&WorkKey::Conference(name.clone()));
        self.logged_unreadable.remove(&WorkKey::Conference(name.clone()));
        self.waiting.remove(&WorkKey::Conference(name.clone()));
        if let Some(watched) = self.conferences.remove(name) {
            if watched.roster().is_some_and(Roster::is_ended) {
                self.finished.insert(name.clone(), now.mono);
            }
            self.board.write().conferences.remove(name);
        }
    }

    /// Publishes the state of a conference on the status board.
    pub(super) fn publish(&self, name: &ConferenceName, now: Now) {
        let Some(watched) = self.conferences.get(name) else { return };
        let mut board = self.board.write();
        let Some(roster) = watched.roster().filter(|_| watched.is_live()) else {
            board.conferences.remove(name);
            return;
        };
        let last_read = roster.listed().map(|listed| {
            let ago = listed.mono.map(|mono| now.mono.saturating_sub(mono));
            ago.and_then(|ago| now.wall.saturating_sub(ago).ok()).unwrap_or(listed.at)
        });
        match board.conferences.get_mut(name) {
            Some(status) if status.sequence == roster.sequence() && status.targets.iter().eq(watched.targets()) => {
                status.last_read = last_read;
            }
            _ => {
                let (present, open_sessions) = roster.counts();
                let targets = watched.targets().cloned().collect();
                let start = roster.record().start;
                let status =
                    ConferenceStatus { targets, start, last_read, present, open_sessions, sequence: roster.sequence() };
                board.conferences.insert(name.clone(), status);
            }
        }
    }
}
