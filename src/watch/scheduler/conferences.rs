//! The conferences: each acts until it has to wait, and shows how it stands.

use super::{Command, Key, Scheduler};
use crate::backoff::Random;
use crate::clock::Now;
use crate::model::ConferenceName;
use crate::status::ConferenceStatus;
use crate::store::StoredConference;
use crate::watch::conference::{Act, Surroundings, Watched};
use crate::watch::roster::{Moment, Roster};
use crate::watch::stretch::Stretch;

impl Scheduler {
    pub(super) fn advance_conference(&mut self, name: &ConferenceName, now: Now, commands: &mut Vec<Command>) {
        if self.conferences.get(name).is_some_and(Watched::is_busy) {
            return;
        }
        self.with_conference(name, now, commands, |_, _, _, _| Act::GoOn);
    }

    pub(super) fn committed(&mut self, key: Key, well: bool, now: Now, commands: &mut Vec<Command>) {
        let name = match key {
            Key::Conference(name) => name,
            Key::Target(name) => {
                if let Some(told) = self.targets.get_mut(&name).and_then(|target| target.written(well)) {
                    self.metrics.told(&told.event);
                }
                return;
            }
            Key::Lookup(_) => return,
        };
        let metrics = self.metrics.clone();
        self.with_conference(&name, now, commands, |watched, around, moment, random| {
            let disagreements = |watched: &Watched| watched.roster().map_or(0, Roster::disagreements);
            let before = disagreements(watched);
            for told in watched.committed(well, around, moment, random) {
                metrics.told(&told.event);
            }
            metrics.disagreements.inc_by(disagreements(watched).saturating_sub(before));
            Act::GoOn
        });
    }

    /// What is remembered here and what the store has do not go together, as when a commit was made and its answer was lost.
    /// What the store has was told, so that holds.
    pub(super) fn contradicted(&mut self, key: Key, stored: Option<StoredConference>, now: Now) {
        let name = match key {
            Key::Conference(name) => name,
            Key::Target(name) => {
                if let Some(target) = self.targets.get_mut(&name) {
                    target.contradicted();
                }
                return;
            }
            Key::Lookup(_) => return,
        };
        let Some(before) = self.conferences.remove(&name) else { return };
        self.sleep(&Key::Conference(name.clone()));
        match stored {
            Some(stored) => {
                self.restore(stored, now);
                if let Some(watched) = self.conferences.get_mut(&name) {
                    for target in before.targets().filter_map(|target| self.targets.get(target)) {
                        watched.reached_by(target);
                    }
                    watched.remember_trouble_of(&before);
                }
                self.publish(&name, now);
            }
            // It is over and was told to its end.
            None => {
                self.board.write().conferences.remove(&name);
                self.finished.insert(name, now.mono);
            }
        }
    }

    /// Lets a conference act, and go on until it has to wait for something.
    pub(super) fn with_conference(
        &mut self,
        name: &ConferenceName,
        now: Now,
        commands: &mut Vec<Command>,
        first: impl FnOnce(&mut Watched, &Surroundings<'_>, Moment, &mut Random) -> Act,
    ) {
        let Some(watched) = self.conferences.get_mut(name) else { return };
        let moment = self.skew.moment(now);
        let identity = watched.identity().cloned();
        let own = identity.as_ref().and_then(|identity| self.lookups.get(identity));
        let stretch =
            identity.as_ref().and_then(|identity| self.stretches.get(identity)).copied().unwrap_or(Stretch::NONE);
        let around = Surroundings {
            settings: &self.setup.settings,
            routes: &self.setup.routes,
            stretch,
            lookup: own.unwrap_or(&self.nobody),
            looks_up: own.is_some(),
            codes: &self.codes,
            targets: &self.targets,
        };
        let mut act = first(watched, &around, moment, &mut self.random);
        while matches!(act, Act::GoOn) && !watched.is_busy() {
            act = watched.next(&around, moment, &mut self.random);
        }
        let key = Key::Conference(name.clone());
        match act {
            Act::Read { identity, priority, read } => {
                self.metrics.polls.inc();
                commands.push(Command::Read { key, identity, priority, read });
            }
            Act::Commit(commit) => commands.push(Command::Commit { key, commit }),
            Act::WaitUntil(at) => self.wake_at(key, at),
            Act::GoOn => {}
            Act::Forget => {
                self.forget(name, now);
                return;
            }
        }
        self.publish(name, now);
        self.want_lookups(name, now);
    }

    pub(super) fn forget(&mut self, name: &ConferenceName, now: Now) {
        self.troubles.remove(&Key::Conference(name.clone()));
        if let Some(watched) = self.conferences.remove(name) {
            if watched.roster().is_some_and(Roster::is_ended) {
                self.finished.insert(name.clone(), now.mono);
            }
            self.board.write().conferences.remove(name);
        }
    }

    /// Shows on the board how a conference stands.
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
