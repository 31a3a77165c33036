//! Pure: takes in one observation, from what was read to the events. `listing` has the part for complete listings.

mod listing;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::emit::PendingEvent;
use super::emitted_event::EmittedEvent;
use super::facts::{self, FactChange};
use super::listing_status::{ListingStatus, Recheck};
use super::observation::{Moment, Observation, RosterRules, Seen};
use super::participant_state::ParticipantState;
use super::{ConferenceState, Directory, Roster};
use crate::model::{Conference, EventType, Participant, ParticipantName, Session, Source};

use listing::ActiveListing;
pub(super) use listing::UnobservedSpan;

/// The result of an observation.
#[derive(Debug, Clone)]
pub struct RosterUpdate {
    pub roster: Roster,
    /// The events, in the order of their sequence.
    pub emitted: Vec<EmittedEvent>,
}

impl Roster {
    /// Takes in one observation. The same observation a second time changes nothing and emits nothing.
    #[must_use]
    pub fn observe(&self, observation: &Observation, directory: &Directory, rules: &RosterRules) -> RosterUpdate {
        let Observation { moment, by, seen, complete } = observation;
        let complete = *complete;
        let mut next = self.clone();
        let mut effects = Effects { touched: BTreeSet::new(), gap: None, complete: false };
        match seen {
            Seen::Record(record) => next.observe_record(record, *moment, rules, &mut effects),
            Seen::Active { participants, reason } => {
                let before = next.note_listing(by, *moment, reason, rules, &mut effects);
                let listing = ActiveListing { active: participants.iter().collect(), by, complete, before };
                next.observe_listing(listing, *moment, &mut effects);
            }
            Seen::Participants(participants) => next.observe_participants(participants, *moment, &mut effects),
            Seen::Everybody { participants, reason } => {
                let before = next.note_listing(by, *moment, reason, rules, &mut effects);
                if next.record.end.is_some() {
                    next.observe_participants(participants, *moment, &mut effects);
                } else {
                    // Google shows the end of everybody who is not in the call.
                    let (active, left): (Vec<_>, Vec<_>) =
                        participants.iter().partition(|participant| participant.latest_end.is_none());
                    next.observe_participants(left, *moment, &mut effects);
                    let listing = ActiveListing { active, by, complete, before };
                    next.observe_listing(listing, *moment, &mut effects);
                }
            }
            Seen::Sessions { participant, sessions, all } => {
                let list = SessionList { sessions, all: *all, complete };
                next.observe_sessions(participant, &list, *moment, rules, &mut effects);
            }
            Seen::Unreadable { participant, not_found } => {
                next.observe_unreadable(participant, *not_found, *moment, rules);
                return RosterUpdate { roster: next, emitted: Vec::new() };
            }
            Seen::GivenUp => {
                next.give_up();
                return RosterUpdate { roster: next, emitted: Vec::new() };
            }
            Seen::Complete => next.observe_complete(&mut effects),
        }
        next.stop_waiting_for_sessions(*moment, rules, &mut effects);
        let pending = next.reconcile(&effects, directory, *moment, rules);
        let emitted = next.emit(pending, effects.gap, *moment, rules);
        RosterUpdate { roster: next, emitted }
    }

    fn observe_record(&mut self, read: &Conference, moment: Moment, rules: &RosterRules, effects: &mut Effects) {
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
        if read.end.is_none() && self.record.end.is_none() && !self.is_unobserved(moment, rules) {
            // The conference goes on, its record could be read, and it was listed recently. Only now may a leave be
            // inferred.
            self.infer_leaves(moment, rules, effects);
        }
    }

    fn infer_leaves(&mut self, moment: Moment, rules: &RosterRules, effects: &mut Effects) {
        let gone: Vec<_> = self
            .participants
            .iter()
            .filter_map(|(name, person)| person.inferred_leave(moment.now.mono, rules).map(|at| (name.clone(), at)))
            .collect();
        for (name, at) in gone {
            self.change(&name, effects, |person| {
                person.infer_end(at);
                person.listing_status = ListingStatus::Away;
            });
            self.drop_recheck(&name);
        }
    }

    /// Notes that a participant's sessions could not be read. Emits nothing.
    fn observe_unreadable(&mut self, name: &ParticipantName, not_found: bool, moment: Moment, rules: &RosterRules) {
        // Only a recheck that was due counts, so that the same observation twice counts once.
        let due = self.rechecks.get(name).is_none_or(|recheck| recheck.due <= moment.now.mono);
        if not_found
            && due
            && let Some(person) = Arc::make_mut(&mut self.participants).get_mut(name)
        {
            Arc::make_mut(person).note_not_found();
        }
        self.reschedule_recheck(name, moment, rules);
    }

    /// Ends the conference with its last listing. Emits nothing by itself.
    fn give_up(&mut self) {
        if self.record.end.is_none() {
            let at = self.listed.as_ref().map_or(self.record.start, |listed| listed.at.max(self.record.start));
            self.record = Arc::new(ConferenceState { end: Some((at, Source::Inferred)), ..(*self.record).clone() });
        }
    }

    fn observe_participants<'a>(
        &mut self,
        participants: impl IntoIterator<Item = &'a Participant>,
        moment: Moment,
        effects: &mut Effects,
    ) {
        for read in participants {
            if self.participants.get(&read.name).is_some_and(|person| person.knows(read)) {
                continue;
            }
            self.admit(read, moment, effects);
            self.change(&read.name, effects, |person| person.merge(read));
            if self.participants.get(&read.name).is_some_and(|person| person.is_inconsistent()) {
                self.schedule_recheck(&read.name, moment);
            }
        }
    }

    fn observe_sessions(
        &mut self,
        name: &ParticipantName,
        list: &SessionList<'_>,
        moment: Moment,
        rules: &RosterRules,
        effects: &mut Effects,
    ) {
        let SessionList { sessions, all, complete } = *list;
        // Once the conference is over no session is open, even if Google never ended it.
        let reopen = self.record.end.is_none();
        let Some(person) = self.participants.get(name) else { return };
        let shown: BTreeSet<_> = sessions.iter().map(|session| &session.name).collect();
        let open_changed =
            sessions.iter().filter(|session| session.end.is_none()).any(|session| !person.has_open(&session.name))
                || (complete && person.open_sessions().any(|session| !shown.contains(&session.name)));

        let mut updated = (**person).clone();
        let mut disagreements = 0;
        let mut changed = updated.note_sessions_complete(complete, all);
        for session in sessions {
            let merged = updated.merge_session(session, reopen);
            disagreements += merged.disagreements;
            changed |= merged.changed;
        }
        if changed {
            self.disagreements += disagreements;
            self.change(name, effects, |person| *person = updated);
        }
        if all {
            if let Some(person) = self.participants.get(name)
                && matches!(person.listing_status, ListingStatus::Missing { not_found: 1.., .. })
            {
                self.change(name, effects, ParticipantState::note_found);
            }
            self.reschedule_recheck(name, moment, rules);
        } else if open_changed {
            self.schedule_recheck(name, moment);
        }
    }

    /// Ends what Google left open with the conference, because everything was read after its end.
    fn observe_complete(&mut self, effects: &mut Effects) {
        let Some((end, _)) = self.record.end else { return };
        let people: Vec<_> = self.participants.keys().cloned().collect();
        for name in people {
            self.change(&name, effects, |person| {
                person.listing_status = ListingStatus::Away;
                person.infer_end(end);
            });
        }
        self.rechecks = Arc::default();
        effects.complete = true;
    }

    /// Marks the participants whose sessions were awaited for long enough, so that their join is emitted without.
    fn stop_waiting_for_sessions(&self, moment: Moment, rules: &RosterRules, effects: &mut Effects) {
        let waited = self.rechecks.keys().filter(|name| {
            self.participants.get(*name).is_some_and(|person| {
                person.presences.is_empty() && person.resource_counts(moment.now.mono, rules.sessions_wait)
            })
        });
        effects.touched.extend(waited.cloned());
    }

    /// Compares what holds with what was emitted, for everybody who changed and for the conference.
    fn reconcile(
        &mut self,
        effects: &Effects,
        directory: &Directory,
        moment: Moment,
        rules: &RosterRules,
    ) -> Vec<PendingEvent> {
        let mut pending = Vec::new();
        if !effects.touched.is_empty() {
            let people = Arc::make_mut(&mut self.participants);
            for name in &effects.touched {
                let Some(person) = people.get_mut(name) else { continue };
                let person = Arc::make_mut(person);
                let resource_counts = effects.complete || person.resource_counts(moment.now.mono, rules.sessions_wait);
                reconcile_participant(name, person, resource_counts, directory, &mut pending);
            }
            self.expected = self.participants.values().filter(|person| person.is_expected()).count();
        }
        self.reconcile_conference(effects.complete, &mut pending);
        pending
    }

    fn reconcile_conference(&mut self, complete: bool, pending: &mut Vec<PendingEvent>) {
        let mut changes: Vec<FactChange> = Vec::new();
        let mut record = (*self.record).clone();
        let start = Some((record.start, Source::Google));
        record.started = facts::reconcile_edge(
            EventType::ConferenceStarted,
            None,
            start,
            record.started,
            &mut record.withdrawn,
            &mut changes,
        );
        self.end_outdated |= record.ended.is_some() && !(changes.is_empty() && pending.is_empty());
        if complete {
            // What was emitted after the end makes its attendance outdated, so the end is emitted again.
            if self.end_outdated && record.ended.map(|emitted| (emitted.time, emitted.source)) == record.end {
                facts::emit_again(EventType::ConferenceEnded, &mut record.ended, &mut record.withdrawn, &mut changes);
            }
            record.ended = facts::reconcile_edge(
                EventType::ConferenceEnded,
                None,
                record.end,
                record.ended,
                &mut record.withdrawn,
                &mut changes,
            );
            self.end_outdated = false;
        }
        if !changes.is_empty() {
            self.record = Arc::new(record);
        }
        pending.extend(changes.into_iter().map(|change| PendingEvent { participant: None, session: None, change }));
    }

    fn admit(&mut self, read: &Participant, moment: Moment, effects: &mut Effects) {
        if !self.participants.contains_key(&read.name) {
            let person = ParticipantState::new(read, moment);
            Arc::make_mut(&mut self.participants).insert(read.name.clone(), Arc::new(person));
            self.schedule_recheck(&read.name, moment);
            effects.touched.insert(read.name.clone());
        }
    }

    fn change(&mut self, name: &ParticipantName, effects: &mut Effects, change: impl FnOnce(&mut ParticipantState)) {
        if let Some(person) = Arc::make_mut(&mut self.participants).get_mut(name) {
            change(Arc::make_mut(person));
            effects.touched.insert(name.clone());
        }
    }

    fn schedule_recheck(&mut self, name: &ParticipantName, moment: Moment) {
        Arc::make_mut(&mut self.rechecks).insert(name.clone(), Recheck::at_once(moment.now.mono));
    }

    fn drop_recheck(&mut self, name: &ParticipantName) {
        if self.rechecks.contains_key(name) {
            Arc::make_mut(&mut self.rechecks).remove(name);
            if self.rechecks.is_empty() {
                // Rechecks are rare, and an empty map that was used keeps its memory.
                self.rechecks = Arc::default();
            }
        }
    }

    /// Sets when a participant whose sessions were read, or could not be, is read again; never if the state is consistent.
    fn reschedule_recheck(&mut self, name: &ParticipantName, moment: Moment, rules: &RosterRules) {
        let known = self.rechecks.get(name).copied();
        let unsettled = self.participants.get(name).filter(|person| {
            person.is_inconsistent() && (known.is_some() || person.listing_status != ListingStatus::Away)
        });
        let recheck = known.unwrap_or(Recheck::at_once(moment.now.mono));
        if unsettled.is_some() && recheck.due > moment.now.mono {
            return;
        }
        match unsettled.and_then(|person| recheck.again(person, moment.now.mono, rules)) {
            Some(later) => {
                Arc::make_mut(&mut self.rechecks).insert(name.clone(), later);
            }
            None => self.drop_recheck(name),
        }
    }
}

fn reconcile_participant(
    name: &ParticipantName,
    person: &mut ParticipantState,
    resource_counts: bool,
    directory: &Directory,
    pending: &mut Vec<PendingEvent>,
) {
    let changes = facts::reconcile(person, resource_counts);
    if !person.is_present() && matches!(person.listing_status, ListingStatus::Missing { .. }) {
        person.listing_status = ListingStatus::Away;
    }
    person.fill_in(directory);
    let reference = person.reference(name);
    pending.extend(changes.into_iter().map(|change| {
        let session = change.session.as_ref().and_then(|session| person.session_reference(session));
        PendingEvent { participant: Some(reference.clone()), session, change }
    }));
}

/// What one observation has changed so far.
struct Effects {
    touched: BTreeSet<ParticipantName>,
    gap: Option<UnobservedSpan>,
    /// Whether everything was read after the conference's end.
    complete: bool,
}

/// A list of one participant's sessions: all or the open ones, read completely or in part.
struct SessionList<'a> {
    sessions: &'a [Session],
    all: bool,
    complete: bool,
}
