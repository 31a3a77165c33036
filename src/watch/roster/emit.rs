//! Pure: turns the changes of one observation into events: ordered, numbered, each with its permanent id.

use jiff::Timestamp;

use super::emitted_event::EmittedEvent;
use super::facts::{FactChange, FactChangeKind};
use super::observation::{Moment, RosterRules};
use super::observe::UnobservedSpan;
use super::session_state::Emission;
use super::{Roster, attendance};
use crate::clock::elapsed;
use crate::model::attendance::seconds;
use crate::model::event_id::Edge;
use crate::model::{
    ConferenceRef, Event, EventId, EventKey, EventType, Gap, ParticipantRef, Provenance, SessionName, SessionRef,
    Source,
};
use crate::watch::gap;

/// How many of the last unobserved spans a roster keeps. They decide between `observed` and `backfilled`. An event that is
/// emitted long after its time is `backfilled` whether or not a span covers it, so that a few suffice.
pub(super) const GAPS_KEPT: usize = 8;

/// A change that is to become an event, with the participant and the session it is about.
#[derive(Debug, Clone)]
pub(super) struct PendingEvent {
    pub participant: Option<ParticipantRef>,
    pub session: Option<SessionRef>,
    pub change: FactChange,
}

impl PendingEvent {
    /// Returns the type of the event. For a retraction it is not that of the change.
    fn event(&self) -> EventType {
        if self.change.kind == FactChangeKind::Retracts { EventType::EventRetracted } else { self.change.event }
    }

    /// Returns the name that orders events of one type and time.
    fn name(&self) -> &str {
        let session = self.session.as_ref().map(|session| session.name.as_str());
        session.or_else(|| self.participant.as_ref().map(|person| person.name.as_str())).unwrap_or_default()
    }

    /// Returns by how much the event changes the number of people present.
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
    /// Orders, numbers and emits what one observation changed: a gap first, then by time, type and name, and the
    /// conference's end last, because its attendance covers all of the others.
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
        // Between two events the count may be negative, as when a rejoin is learnt after the leave that followed it. After
        // the last event it is right.
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
        let session_name = edge.as_ref().map(SessionName::as_str);
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
            // The conference was found late. This span covers the time before.
            self.unobserved = vec![unseen];
        }
        let attendance = (event == EventType::ConferenceEnded).then(|| attendance::of(self));
        let is_without_rows = attendance.as_ref().is_some_and(|attendance| attendance.participants.is_none());
        self.sequence += 1;
        let event = Event {
            sequence: Some(self.sequence),
            conference: Some(self.reference()),
            participant,
            session,
            present: Some(self.present),
            corrects: takes_back.clone().filter(|_| kind != FactChangeKind::Retracts),
            retracts: takes_back.clone().filter(|_| kind == FactChangeKind::Retracts),
            seconds_present: since
                .filter(|_| event == EventType::ParticipantLeft)
                .map(|since| seconds(elapsed(since, emission.time))),
            attendance,
            attendance_path: is_without_rows.then(|| format!("/api/v1/{}/attendance", self.record.name)),
            ..Event::new(id, event, emission.time, observed_at, provenance)
        };
        EmittedEvent { event, source, n, takes_back }
    }

    /// Returns how an event is known. It is `observed` if it has Google's time, is emitted soon after, and the conference was
    /// being listed then.
    fn provenance(&self, time: Timestamp, source: Source, observed_at: Timestamp, rules: &RosterRules) -> Provenance {
        let unseen = self.unobserved.iter().any(|(from, to)| (*from..=*to).contains(&time));
        match source {
            Source::Inferred => Provenance::Inferred,
            Source::Google if unseen || elapsed(time, observed_at) > rules.observed_within => Provenance::Backfilled,
            Source::Google => Provenance::Observed,
        }
    }

    /// Returns the id of an emission.
    fn id(&self, event: EventType, person: Option<&str>, session: Option<&str>, emission: Emission) -> EventId {
        let resource = self.resource(event, person, session);
        let edge = match event {
            EventType::SessionStarted | EventType::SessionEnded => Edge::Name(resource),
            EventType::ConferenceStarted | EventType::ConferenceEnded => Edge::Once,
            _ => Edge::Time(emission.time),
        };
        EventKey { event, resource, edge, source: emission.source, n: emission.n }.id()
    }

    /// Returns the name of the resource that an event of this type is about.
    fn resource<'a>(&'a self, event: EventType, person: Option<&'a str>, session: Option<&'a str>) -> &'a str {
        let about = match event {
            EventType::SessionStarted | EventType::SessionEnded => session,
            EventType::ParticipantJoined | EventType::ParticipantLeft => person,
            _ => None,
        };
        about.unwrap_or(self.record.name.as_str())
    }

    /// Returns the conference as events refer to it.
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

/// Returns the span between the start of a conference and the time it was found, if its start was `backfilled`: nobody
/// listed it then.
pub(super) fn unobserved_before_found(
    start: Timestamp,
    observed_at: Timestamp,
    provenance: Provenance,
) -> Option<(Timestamp, Timestamp)> {
    (provenance == Provenance::Backfilled).then_some((start, observed_at))
}
