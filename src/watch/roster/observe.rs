//! Pure: one observation, from what was read to what is told. What a complete list of those present does is in `listing`.

mod listing;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::facts::{self, Change};
use super::observation::{Moment, Observation, Rules, Seen};
use super::person::Person;
use super::sight::{Attention, Sight};
use super::tell::{Line, Told};
use super::{Directory, Record, Roster};
use crate::model::{Conference, EventType, Participant, ParticipantName, Session, Source};

pub(super) use listing::Blindness;

/// What an observation leads to.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub roster: Roster,
    /// What there is to tell, in sequence order.
    pub told: Vec<Told>,
}

impl Roster {
    /// Takes in one observation. The same observation a second time changes nothing and tells nothing.
    #[must_use]
    pub fn observe(&self, observation: &Observation, directory: &Directory, rules: &Rules) -> Outcome {
        let Observation { moment, by, seen } = observation;
        let mut next = self.clone();
        let mut work = Work { touched: BTreeSet::new(), gap: None, complete: false };
        match seen {
            Seen::Record(record) => next.see_record(record, *moment, rules, &mut work),
            Seen::Active { participants, reason } => {
                next.see_active(participants, by, *moment, reason, rules, &mut work);
            }
            Seen::People(participants) => next.see_people(participants, *moment, &mut work),
            Seen::Everybody { participants, reason } => {
                next.look(by, *moment, reason, rules, &mut work);
                next.see_people(participants, *moment, &mut work);
            }
            Seen::Sessions { participant, sessions, all } => {
                next.see_sessions(participant, sessions, *all, *moment, rules, &mut work);
            }
            Seen::Unreadable { participant, gone } => {
                next.see_unreadable(participant, *gone, *moment, rules);
                return Outcome { roster: next, told: Vec::new() };
            }
            Seen::Lost => {
                next.give_up();
                return Outcome { roster: next, told: Vec::new() };
            }
            Seen::Complete => next.see_everything(&mut work),
        }
        next.wait_no_longer(*moment, rules, &mut work);
        let lines = next.settle(&work, directory, *moment, rules);
        let told = next.tell(lines, work.gap, *moment, rules);
        Outcome { roster: next, told }
    }

    fn see_record(&mut self, read: &Conference, moment: Moment, rules: &Rules, work: &mut Work) {
        let mut record = (*self.record).clone();
        record.start = record.start.min(read.start);
        record.space = read.space.clone().or(record.space);
        if let Some(end) = read.end {
            let end = end.max(read.start);
            let known = record.end.filter(|(_, source)| *source == Source::Google).map(|(end, _)| end);
            record.end = Some((known.map_or(end, |known| known.max(end)), Source::Google));
        }
        if record != *self.record {
            self.record = Arc::new(record);
        }
        if read.end.is_none() && self.record.end.is_none() && !self.is_blind(moment, rules) {
            // The conference goes on, could be read, and was listed: only in such a round may a leave be concluded.
            self.conclude_leaves(moment, rules, work);
        }
    }

    fn conclude_leaves(&mut self, moment: Moment, rules: &Rules, work: &mut Work) {
        let gone: Vec<_> = self
            .people
            .iter()
            .filter_map(|(name, person)| person.concluded_leave(moment.now.mono, rules).map(|at| (name.clone(), at)))
            .collect();
        for (name, at) in gone {
            self.change(&name, work, |person| {
                person.conclude_end(at);
                person.sight = Sight::Away;
            });
            self.drop_attention(&name);
        }
    }

    /// Tells nothing: it changes only when the person is read again, and whether a suspect may be concluded to have left.
    fn see_unreadable(&mut self, name: &ParticipantName, gone: bool, moment: Moment, rules: &Rules) {
        // Only a reading that was due counts: the same twice is one.
        let due = self.attention.get(name).is_none_or(|attention| attention.due <= moment.now.mono);
        if gone
            && due
            && let Some(person) = Arc::make_mut(&mut self.people).get_mut(name)
        {
            Arc::make_mut(person).is_refused();
        }
        self.reconsider(name, moment, rules);
    }

    /// The conference ends with the last that was seen of it. Tells nothing by itself.
    fn give_up(&mut self) {
        if self.record.end.is_none() {
            let at = self.listed.as_ref().map_or(self.record.start, |listed| listed.at.max(self.record.start));
            self.record = Arc::new(Record { end: Some((at, Source::Inferred)), ..(*self.record).clone() });
        }
    }

    fn see_people(&mut self, participants: &[Participant], moment: Moment, work: &mut Work) {
        for read in participants {
            if self.people.get(&read.name).is_some_and(|person| person.knows(read)) {
                continue;
            }
            self.admit(read, moment, work);
            self.change(&read.name, work, |person| person.merge(read));
            if self.people.get(&read.name).is_some_and(|person| person.is_unsettled()) {
                self.call_attention(&read.name, moment);
            }
        }
    }

    fn see_sessions(
        &mut self,
        name: &ParticipantName,
        sessions: &[Session],
        all: bool,
        moment: Moment,
        rules: &Rules,
        work: &mut Work,
    ) {
        // Once the conference is over nothing is open, whatever a session that Google forgot to end says.
        let lift = self.record.end.is_none();
        let Some(person) = self.people.get(name) else { return };
        let shown: BTreeSet<_> = sessions.iter().map(|session| &session.name).collect();
        let open_changed =
            sessions.iter().filter(|session| session.end.is_none()).any(|session| !person.has_open(&session.name))
                || person.open_sessions().any(|session| !shown.contains(&session.name));

        let mut updated = (**person).clone();
        let mut disagreements = 0;
        let mut changed = false;
        for session in sessions {
            let merged = updated.merge_session(session, lift);
            disagreements += merged.disagreements;
            changed |= merged.changed;
        }
        if changed {
            self.disagreements += disagreements;
            self.change(name, work, |person| *person = updated);
        }
        if all {
            if let Some(person) = self.people.get(name)
                && matches!(person.sight, Sight::Missing { gone: 1.., .. })
            {
                self.change(name, work, Person::is_shown);
            }
            self.reconsider(name, moment, rules);
        } else if open_changed {
            self.call_attention(name, moment);
        }
    }

    /// The conference is over and all of it was read: what Google left open ends with it.
    fn see_everything(&mut self, work: &mut Work) {
        let Some((end, _)) = self.record.end else { return };
        let people: Vec<_> = self.people.keys().cloned().collect();
        for name in people {
            self.change(&name, work, |person| {
                person.sight = Sight::Away;
                person.conclude_end(end);
            });
        }
        self.attention = Arc::default();
        work.complete = true;
    }

    /// Where no session can be read for long enough, the participant resource has to do.
    fn wait_no_longer(&self, moment: Moment, rules: &Rules, work: &mut Work) {
        let waited = self.attention.keys().filter(|name| {
            self.people.get(*name).is_some_and(|person| {
                person.presences.is_empty() && person.resource_counts(moment.now.mono, rules.sessions_wait)
            })
        });
        work.touched.extend(waited.cloned());
    }

    /// Compares what holds with what was told, for everybody who changed and for the conference.
    fn settle(&mut self, work: &Work, directory: &Directory, moment: Moment, rules: &Rules) -> Vec<Line> {
        let mut lines = Vec::new();
        if !work.touched.is_empty() {
            let people = Arc::make_mut(&mut self.people);
            for name in &work.touched {
                let Some(person) = people.get_mut(name) else { continue };
                let person = Arc::make_mut(person);
                let resource_counts = work.complete || person.resource_counts(moment.now.mono, rules.sessions_wait);
                settle_person(name, person, resource_counts, directory, &mut lines);
            }
            self.expected = self.people.values().filter(|person| person.is_expected()).count();
        }
        self.settle_record(work.complete, &mut lines);
        lines
    }

    fn settle_record(&mut self, complete: bool, lines: &mut Vec<Line>) {
        let mut changes: Vec<Change> = Vec::new();
        let mut record = (*self.record).clone();
        let start = Some((record.start, Source::Google));
        record.started = facts::settle_edge(
            EventType::ConferenceStarted,
            None,
            start,
            record.started,
            &mut record.withdrawn,
            &mut changes,
        );
        self.late |= record.ended.is_some() && !(changes.is_empty() && lines.is_empty());
        if complete {
            // What was told after the end makes the account given with it out of date, so the end is told again.
            if self.late && record.ended.map(|told| (told.time, told.source)) == record.end {
                facts::tell_again(EventType::ConferenceEnded, &mut record.ended, &mut record.withdrawn, &mut changes);
            }
            record.ended = facts::settle_edge(
                EventType::ConferenceEnded,
                None,
                record.end,
                record.ended,
                &mut record.withdrawn,
                &mut changes,
            );
            self.late = false;
        }
        if !changes.is_empty() {
            self.record = Arc::new(record);
        }
        lines.extend(changes.into_iter().map(|change| Line { participant: None, session: None, change }));
    }

    fn admit(&mut self, read: &Participant, moment: Moment, work: &mut Work) {
        if !self.people.contains_key(&read.name) {
            let person = Person::new(read, moment.now.mono);
            Arc::make_mut(&mut self.people).insert(read.name.clone(), Arc::new(person));
            self.call_attention(&read.name, moment);
            work.touched.insert(read.name.clone());
        }
    }

    fn change(&mut self, name: &ParticipantName, work: &mut Work, change: impl FnOnce(&mut Person)) {
        if let Some(person) = Arc::make_mut(&mut self.people).get_mut(name) {
            change(Arc::make_mut(person));
            work.touched.insert(name.clone());
        }
    }

    fn call_attention(&mut self, name: &ParticipantName, moment: Moment) {
        Arc::make_mut(&mut self.attention).insert(name.clone(), Attention::at_once(moment.now.mono));
    }

    fn drop_attention(&mut self, name: &ParticipantName) {
        if self.attention.contains_key(name) {
            Arc::make_mut(&mut self.attention).remove(name);
            if self.attention.is_empty() {
                // Nearly always nobody needs any, and a map that was used keeps its memory.
                self.attention = Arc::default();
            }
        }
    }

    /// A person's sessions were read in full, or could not be: read them again later if they do not fit yet.
    fn reconsider(&mut self, name: &ParticipantName, moment: Moment, rules: &Rules) {
        let known = self.attention.get(name).copied();
        let unsettled = self
            .people
            .get(name)
            .filter(|person| person.is_unsettled() && (known.is_some() || person.sight != Sight::Away));
        let attention = known.unwrap_or(Attention::at_once(moment.now.mono));
        if unsettled.is_some() && attention.due > moment.now.mono {
            return;
        }
        match unsettled.and_then(|person| attention.again(person, moment.now.mono, rules)) {
            Some(later) => {
                Arc::make_mut(&mut self.attention).insert(name.clone(), later);
            }
            None => self.drop_attention(name),
        }
    }
}

fn settle_person(
    name: &ParticipantName,
    person: &mut Person,
    resource_counts: bool,
    directory: &Directory,
    lines: &mut Vec<Line>,
) {
    let changes = facts::settle(person, resource_counts);
    if !person.is_present() && matches!(person.sight, Sight::Missing { .. }) {
        person.sight = Sight::Away;
    }
    person.learn(directory);
    let reference = person.reference(name);
    lines.extend(changes.into_iter().map(|change| {
        let session = change.session.as_ref().and_then(|session| person.session_reference(session));
        Line { participant: Some(reference.clone()), session, change }
    }));
}

/// What one observation has touched so far.
struct Work {
    touched: BTreeSet<ParticipantName>,
    gap: Option<Blindness>,
    /// Everything was read after the conference's end.
    complete: bool,
}
