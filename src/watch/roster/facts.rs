//! Pure: the difference between what holds of a participant and what was emitted.
//!
//! The facts follow from the sessions: each session started and ended, and the edges of their union are joins and leaves. A
//! fact that was emitted and holds no longer is withdrawn. If a fact of the same type takes its place, that event
//! `corrects` the one before. Otherwise an `event.retracted` names it.

use jiff::Timestamp;

use super::participant_state::{ParticipantState, WithdrawnEvent};
use super::presence::Presence;
use super::session_state::Emission;
use crate::model::{EventType, SessionName, Source};

/// A presence that was emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmittedPresence {
    pub joined: EmittedEdge,
    pub left: Option<EmittedEdge>,
}

/// One edge of a presence that was emitted, with the session it was emitted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmittedEdge {
    pub emission: Emission,
    pub session: Option<SessionName>,
}

impl EmittedEdge {
    fn is(&self, time: Timestamp, source: Source) -> bool {
        (self.emission.time, self.emission.source) == (time, source)
    }
}

/// A change that has to be emitted.
#[derive(Debug, Clone, PartialEq)]
pub struct FactChange {
    pub event: EventType,
    pub session: Option<SessionName>,
    pub emission: Emission,
    pub kind: FactChangeKind,
    /// For a `participant.left`: when the presence began.
    pub since: Option<Timestamp>,
}

/// How a fact is emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactChangeKind {
    /// For the first time.
    New,
    /// In place of an earlier event of the same type.
    Corrects(Emission),
    /// As holding no longer.
    Retracts,
}

/// Compares what holds with what was emitted, updates the latter, and returns the difference. `resource_counts` says
/// whether the participant resource alone is enough for a join.
pub fn reconcile(person: &mut ParticipantState, resource_counts: bool) -> Vec<FactChange> {
    let mut changes = Vec::new();
    reconcile_sessions(person, &mut changes);
    // Once a join was emitted from the participant resource alone, the resource stays enough.
    let united = person.presences_from(resource_counts || !person.presences.is_empty());
    reconcile_presences(person, &united, &mut changes);
    changes
}

fn reconcile_sessions(person: &mut ParticipantState, changes: &mut Vec<FactChange>) {
    let mut sessions = std::mem::take(&mut person.sessions);
    for session in &mut sessions {
        let name = Some(&session.name);
        let start = Some((session.start, Source::Google));
        session.started =
            reconcile_edge(EventType::SessionStarted, name, start, session.started, &mut person.withdrawn, changes);
        session.ended =
            reconcile_edge(EventType::SessionEnded, name, session.end, session.ended, &mut person.withdrawn, changes);
    }
    person.sessions = sessions;
}

/// Reconciles a fact of which there is at most one.
pub(super) fn reconcile_edge(
    event: EventType,
    session: Option<&SessionName>,
    holds: Option<(Timestamp, Source)>,
    emitted: Option<Emission>,
    withdrawn: &mut Vec<WithdrawnEvent>,
    changes: &mut Vec<FactChange>,
) -> Option<Emission> {
    if holds == emitted.map(|emitted| (emitted.time, emitted.source)) {
        return emitted;
    }
    if let Some(emitted) = emitted {
        withdrawn.push(WithdrawnEvent { event, session: session.cloned(), time: emitted.time, source: emitted.source });
    }
    let Some((time, source)) = holds else {
        if let Some(emitted) = emitted {
            changes.push(FactChange {
                event,
                session: session.cloned(),
                emission: emitted,
                kind: FactChangeKind::Retracts,
                since: None,
            });
        }
        return None;
    };
    let again =
        withdrawn.iter().filter(|one| one.event == event && one.session.as_ref() == session && one.source == source);
    let emission = Emission { time, source, n: count(again) };
    let kind = emitted.map_or(FactChangeKind::New, FactChangeKind::Corrects);
    changes.push(FactChange { event, session: session.cloned(), emission, kind, since: None });
    Some(emission)
}

/// Emits a fact that holds as it was emitted once more, as a correction of itself.
pub(super) fn emit_again(
    event: EventType,
    emitted: &mut Option<Emission>,
    withdrawn: &mut Vec<WithdrawnEvent>,
    changes: &mut Vec<FactChange>,
) {
    let Some(stale) = *emitted else { return };
    withdrawn.push(WithdrawnEvent { event, session: None, time: stale.time, source: stale.source });
    let emission = Emission { n: stale.n.saturating_add(1), ..stale };
    changes.push(FactChange { event, session: None, emission, kind: FactChangeKind::Corrects(stale), since: None });
    *emitted = Some(emission);
}

fn reconcile_presences(person: &mut ParticipantState, united: &[Presence], changes: &mut Vec<FactChange>) {
    if same(&person.presences, united) {
        return;
    }
    let emitted = std::mem::take(&mut person.presences);
    let joins = emitted.iter().map(|one| (Some(&one.joined), one));
    let mut stale_joins = StaleEdges::new(joins, |edge| united.iter().any(|new| edge.is(new.start, new.start_source)));
    let leaves = emitted.iter().map(|one| (one.left.as_ref(), one));
    let mut stale_leaves = StaleEdges::new(leaves, |edge| {
        united.iter().any(|new| new.end.is_some_and(|(end, source)| edge.is(end, source)))
    });

    let mut reconciled = Vec::with_capacity(united.len());
    for presence in united {
        let mut joins = emitted.iter().map(|one| &one.joined);
        let kept = joins.find(|edge| edge.is(presence.start, presence.start_source)).cloned();
        let joined = kept.unwrap_or_else(|| {
            // A presence that was merged from several corrects the join of the first one it overlaps …
            let stale = stale_joins.take_first(presence);
            let edge = (presence.start, presence.start_source, presence.first.clone());
            emit_edge(person, EventType::ParticipantJoined, edge, stale, None, changes)
        });
        let left = presence.end.map(|(end, source)| {
            let leaves = |one: &&EmittedPresence| one.left.as_ref().is_some_and(|edge| edge.is(end, source));
            let kept = emitted.iter().find(leaves);
            let stale = match kept {
                Some(EmittedPresence { joined, left: Some(left) }) if joined.emission.time == presence.start => {
                    return left.clone();
                }
                // The leave carries the length of the presence, and the presence began at another time.
                Some(other) => other.left.clone(),
                // … and the leave of the last one.
                None => stale_leaves.take_last(presence),
            };
            let edge = (end, source, presence.last.clone());
            emit_edge(person, EventType::ParticipantLeft, edge, stale, Some(presence.start), changes)
        });
        reconciled.push(EmittedPresence { joined, left });
    }
    // The edges between them are retracted.
    for (event, stale) in [(EventType::ParticipantJoined, stale_joins), (EventType::ParticipantLeft, stale_leaves)] {
        for (EmittedEdge { emission, session }, _) in stale.0 {
            withdraw(person, event, emission);
            changes.push(FactChange { event, session, emission, kind: FactChangeKind::Retracts, since: None });
        }
    }
    person.presences = reconciled;
}

fn same(emitted: &[EmittedPresence], united: &[Presence]) -> bool {
    emitted.len() == united.len()
        && emitted.iter().zip(united).all(|(emitted, new)| {
            emitted.joined.is(new.start, new.start_source)
                && emitted.left.as_ref().map(|left| (left.emission.time, left.emission.source)) == new.end
        })
}

/// The emitted edges that no longer hold, each with the presence it belonged to.
struct StaleEdges(Vec<(EmittedEdge, PresenceSpan)>);

/// When an emitted presence began and ended.
type PresenceSpan = (Timestamp, Option<Timestamp>);

impl StaleEdges {
    fn new<'a>(
        edges: impl Iterator<Item = (Option<&'a EmittedEdge>, &'a EmittedPresence)>,
        holds: impl Fn(&EmittedEdge) -> bool,
    ) -> Self {
        let stale = edges
            .filter_map(|(edge, presence)| edge.map(|edge| (edge, presence)))
            .filter(|(edge, _)| !holds(edge))
            .map(|(edge, presence)| {
                let span = (presence.joined.emission.time, presence.left.as_ref().map(|left| left.emission.time));
                (edge.clone(), span)
            });
        Self(stale.collect())
    }

    fn take_first(&mut self, presence: &Presence) -> Option<EmittedEdge> {
        let at = self.0.iter().position(|(_, span)| overlaps(*span, presence))?;
        Some(self.0.remove(at).0)
    }

    fn take_last(&mut self, presence: &Presence) -> Option<EmittedEdge> {
        let at = self.0.iter().rposition(|(_, span)| overlaps(*span, presence))?;
        Some(self.0.remove(at).0)
    }
}

fn overlaps((start, end): PresenceSpan, presence: &Presence) -> bool {
    presence.end.is_none_or(|(other, _)| start <= other) && end.is_none_or(|end| presence.start <= end)
}

/// Emits an edge that holds, as a correction of `stale` if there is one.
fn emit_edge(
    person: &mut ParticipantState,
    event: EventType,
    (time, source, session): (Timestamp, Source, Option<SessionName>),
    stale: Option<EmittedEdge>,
    since: Option<Timestamp>,
    changes: &mut Vec<FactChange>,
) -> EmittedEdge {
    let stale = stale.map(|edge| edge.emission);
    if let Some(stale) = stale {
        withdraw(person, event, stale);
    }
    let again = person.withdrawn.iter().filter(|one| one.event == event && one.time == time && one.source == source);
    let emission = Emission { time, source, n: count(again) };
    let kind = stale.map_or(FactChangeKind::New, FactChangeKind::Corrects);
    changes.push(FactChange { event, session: session.clone(), emission, kind, since });
    EmittedEdge { emission, session }
}

fn withdraw(person: &mut ParticipantState, event: EventType, emission: Emission) {
    person.withdrawn.push(WithdrawnEvent { event, session: None, time: emission.time, source: emission.source });
}

fn count<T>(iterator: impl Iterator<Item = T>) -> u32 {
    u32::try_from(iterator.count()).unwrap_or(u32::MAX)
}
