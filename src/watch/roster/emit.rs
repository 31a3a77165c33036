//! Pure: from changes to events, in order, numbered, each with the id that it has for ever.

use std::time::Duration;

use jiff::Timestamp;

use super::facts::{FactChange, FactChangeKind};
use super::observation::{Moment, RosterRules};
use super::observe::UnobservedSpan;
use super::session_state::Emission;
use super::{Roster, attendance};
use crate::clock::elapsed;
use crate::model::event::{ConferenceRef, Gap, MAX_ATTENDANCE_ROWS, ParticipantRef, SCHEMA, SessionRef};
use crate::model::event_id::Edge;
use crate::model::{Event, EventId, EventKey, EventType, Provenance, Source};
use crate::watch::gap;

/// What is told long after it happened is `backfilled` whether a gap covers it or not, so a few of the last will do.
pub(super) const GAPS_KEPT: usize = 8;

/// An event, and what has to be kept beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct EmittedEvent {
    /// Without its targets: they are not the roster's to know.
    pub event: Event,
    pub source: Source,
    pub n: u32,
    /// The event that no longer stands because of this one.
    pub takes_back: Option<EventId>,
}

/// A change, and whom it concerns.
#[derive(Debug, Clone)]
pub(super) struct PendingEvent {
    pub participant: Option<ParticipantRef>,
    pub session: Option<SessionRef>,
    pub change: FactChange,
}

impl PendingEvent {
    /// The type of the event that is told, which for a retraction is not that of the change.
    fn event(&self) -> EventType {
        if self.change.kind == FactChangeKind::Retracts { EventType::EventRetracted } else { self.change.event }
    }

    fn name(&self) -> &str {
        let session = self.session.as_ref().map(|session| session.name.as_str());
        session.or_else(|| self.participant.as_ref().map(|person| person.name.as_str())).unwrap_or_default()
    }

    /// What this does to the number of those present.
    fn presence(&self) -> i64 {
        match (self.change.event, self.change.kind) {
            (EventType::ParticipantJoined, FactChangeKind::New)
            | (EventType::ParticipantLeft, FactChangeKind::Retracts) => 1,
            (EventType::ParticipantLeft, FactChangeKind::New)
            | (EventType::ParticipantJoined, FactChangeKind::Retracts) => -1,
            _ => 0,
        }
    }
}

impl Roster {
    /// Orders and numbers what there is to tell: a gap first, then by time, type and name; last the conference's end, which
    /// accounts for all of it.
    pub(super) fn emit(
        &mut self,
        mut pending: Vec<PendingEvent>,
        gap: Option<UnobservedSpan>,
        moment: Moment,
        rules: &RosterRules,
    ) -> Vec<EmittedEvent> {
        if pending.is_empty() && gap.is_none() {
            return Vec::new();
        }
        let ends = |line: &PendingEvent| line.event() == EventType::ConferenceEnded;
        pending.sort_by(|a, b| {
            (ends(a), a.change.emission.time, a.event(), a.name()).cmp(&(
                ends(b),
                b.change.emission.time,
                b.event(),
                b.name(),
            ))
        });
        let mut emitted = Vec::with_capacity(pending.len() + 1);
        if let Some(gap) = gap {
            if self.unobserved.len() == GAPS_KEPT {
                self.unobserved.remove(0);
            }
            self.unobserved.push((gap.from, gap.to));
            self.sequence += 1;
            let gap = Gap { from: gap.from, to: gap.to, reason: gap.reason.to_owned() };
            emitted.push(gap::of_conference(self.reference(), self.sequence, self.present, gap, moment.google));
        }
        // Told after the fact, a rejoin may count below what was already counted out; after the last line it is whole.
        let mut running = i64::from(self.present);
        for line in pending {
            running += line.presence();
            self.present = u32::try_from(running.max(0)).unwrap_or(u32::MAX);
            emitted.push(self.emit_event(line, moment, rules));
        }
        emitted
    }

    fn emit_event(&mut self, line: PendingEvent, moment: Moment, rules: &RosterRules) -> EmittedEvent {
        let event = line.event();
        let PendingEvent {
            participant,
            session,
            change: FactChange { event: about, session: edge, emission, kind, since },
        } = line;
        let person = participant.as_ref().map(|person| person.name.as_str());
        let session_name = edge.as_ref().map(crate::model::names::SessionName::as_str);
        let id_of = |emission: Emission| self.id(about, person, session_name, emission);
        let (id, source, n, takes_back) = match kind {
            FactChangeKind::New => (id_of(emission), emission.source, emission.n, None),
            FactChangeKind::Corrects(stale) => (id_of(emission), emission.source, emission.n, Some(id_of(stale))),
            FactChangeKind::Retracts => {
                let taken_back = id_of(emission);
                let resource = self.resource(about, person, session_name);
                let edge = Edge::Name(taken_back.as_str());
                (
                    EventKey { event, resource, edge, source: Source::Google, n: 0 }.id(),
                    Source::Google,
                    0,
                    Some(taken_back),
                )
            }
        };
        let observed_at = moment.google.max(emission.time);
        let provenance = self.provenance(emission.time, source, observed_at, rules);
        if event == EventType::ConferenceStarted
            && kind == FactChangeKind::New
            && let Some(unseen) = unobserved_before_found(emission.time, observed_at, provenance)
        {
            // That covers the time in which nobody looked for it.
            self.unobserved = vec![unseen];
        }
        let ending = (event == EventType::ConferenceEnded).then(|| attendance::of(self));
        let many = ending
            .as_ref()
            .is_some_and(|attendance| usize::try_from(attendance.total).is_ok_and(|total| total > MAX_ATTENDANCE_ROWS));
        self.sequence += 1;
        let event = Event {
            schema: SCHEMA,
            id,
            event,
            time: emission.time,
            observed_at,
            provenance,
            sequence: Some(self.sequence),
            targets: Vec::new(),
            conference: Some(self.reference()),
            participant,
            session,
            present: Some(self.present),
            corrects: takes_back.clone().filter(|_| kind != FactChangeKind::Retracts),
            retracts: takes_back.clone().filter(|_| kind == FactChangeKind::Retracts),
            seconds_present: since
                .filter(|_| event == EventType::ParticipantLeft)
                .map(|since| seconds(elapsed(since, emission.time))),
            attendance: ending,
            attendance_path: many.then(|| format!("/api/v1/{}/attendance", self.record.name)),
            gap: None,
        };
        EmittedEvent { event, source, n, takes_back }
    }

    /// How an event is known: Google's time, told soon and while somebody looked, is `observed`.
    fn provenance(&self, time: Timestamp, source: Source, observed_at: Timestamp, rules: &RosterRules) -> Provenance {
        let unseen = self.unobserved.iter().any(|(from, to)| (*from..=*to).contains(&time));
        match source {
            Source::Inferred => Provenance::Inferred,
            Source::Google if unseen || elapsed(time, observed_at) > rules.observed_within => Provenance::Backfilled,
            Source::Google => Provenance::Observed,
        }
    }

    fn id(&self, event: EventType, person: Option<&str>, session: Option<&str>, emission: Emission) -> EventId {
        let resource = self.resource(event, person, session);
        let edge = match event {
            EventType::SessionStarted | EventType::SessionEnded => Edge::Name(resource),
            EventType::ConferenceStarted | EventType::ConferenceEnded => Edge::Once,
            _ => Edge::Time(emission.time),
        };
        EventKey { event, resource, edge, source: emission.source, n: emission.n }.id()
    }

    /// The name of what an event of this type is about.
    fn resource<'a>(&'a self, event: EventType, person: Option<&'a str>, session: Option<&'a str>) -> &'a str {
        let about = match event {
            EventType::SessionStarted | EventType::SessionEnded => session,
            EventType::ParticipantJoined | EventType::ParticipantLeft => person,
            _ => None,
        };
        about.unwrap_or(self.record.name.as_str())
    }

    /// The conference as events show it.
    #[must_use]
    pub fn reference(&self) -> ConferenceRef {
        ConferenceRef {
            name: self.record.name.clone(),
            space: self.record.space.clone(),
            meeting_code: self.record.meeting_code.clone(),
            start_time: self.record.start,
        }
    }
}

/// What came before a conference was found that had begun unseen: nobody looked at it then.
pub(super) fn unobserved_before_found(
    start: Timestamp,
    observed_at: Timestamp,
    provenance: Provenance,
) -> Option<(Timestamp, Timestamp)> {
    (provenance == Provenance::Backfilled).then_some((start, observed_at))
}

/// Seconds, to the millisecond: finer than anybody reads, and the same on every machine.
pub(super) fn seconds(duration: Duration) -> f64 {
    let millis = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    f64::from(millis) / 1000.0
}
