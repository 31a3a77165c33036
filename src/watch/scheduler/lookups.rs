//! Look-ups of who new participants are.

use super::{Scheduler, SchedulerCommand, WorkKey};
use crate::clock::Now;
use crate::meet::{Answer, Priority, Read, ReadError, Reading};
use crate::model::{ConferenceName, IdentityName};

impl Scheduler {
    /// Queues look-ups of the participants whose sessions are about to be read.
    pub(super) fn want_lookups(&mut self, name: &ConferenceName, now: Now) {
        let Some(watched) = self.conferences.get(name) else { return };
        let Some(identity) = watched.identity() else { return };
        let (Some(roster), Some(lookup)) = (watched.roster(), self.lookups.get_mut(identity)) else { return };
        let newcomers = roster
            .rechecks()
            .keys()
            .filter_map(|name| roster.participants().get(name))
            .filter(|person| person.email.is_none());
        for user in newcomers.filter_map(|person| person.user.as_ref()) {
            lookup.want(user, now.mono);
        }
        if let Some(due) = lookup.due() {
            let key = WorkKey::Lookup(identity.clone());
            self.wake_at(key, due);
        }
    }

    pub(super) fn ask_lookup(&mut self, identity: &IdentityName, now: Now, commands: &mut Vec<SchedulerCommand>) {
        if self.discarded.contains(&WorkKey::Lookup(identity.clone())) {
            return;
        }
        let Some(lookup) = self.lookups.get_mut(identity) else { return };
        if let Some(users) = lookup.ask(now.mono) {
            let (key, read) = (WorkKey::Lookup(identity.clone()), Read::People(users));
            commands.push(SchedulerCommand::Read { key, identity: identity.clone(), priority: Priority::Lookup, read });
        } else if let Some(due) = lookup.due() {
            self.wake_at(WorkKey::Lookup(identity.clone()), due);
        }
    }

    pub(super) fn lookup_answered(&mut self, identity: IdentityName, result: Result<Reading, ReadError>, now: Now) {
        let Some(lookup) = self.lookups.get_mut(&identity) else { return };
        match result {
            Ok(Reading { answer: Answer::People(people), .. }) => {
                if lookup.answered(&people, now.mono) {
                    self.metrics.limit_reached.with_label_values(&["lookup_cache"]).inc();
                }
            }
            Ok(_) => lookup.failed(None, now.mono),
            Err(error) => {
                lookup.failed(error.retry_after, now.mono);
            }
        }
        let due = lookup.due();
        // The conferences whose events waited for this continue.
        let waiting: Vec<_> = self
            .conferences
            .iter()
            .filter(|(_, watched)| watched.identity() == Some(&identity))
            .map(|(name, _)| name.clone())
            .collect();
        for name in waiting {
            self.wake_at(WorkKey::Conference(name), now.mono);
        }
        if let Some(due) = due {
            self.wake_at(WorkKey::Lookup(identity), due);
        }
    }
}
