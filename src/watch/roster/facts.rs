//! Pure: what holds of a person, against what was told of them. The difference is what there is to tell.
//!
//! Facts follow from the sessions: each started, each ended, and the edges of their union, joined and left. What a later
//! answer takes back is told too: as the same fact with another time, which `corrects` the one it replaces, or as a
//! retraction where nothing replaces it.

use jiff::Timestamp;

use super::participant_state::{ParticipantState, WithdrawnEvent};
use super::presence::Presence;
use super::session_state::Emission;
use crate::model::{EventType, SessionName, Source};

/// A presence that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmittedPresence {
    pub joined: EmittedEdge,
    pub left: Option<EmittedEdge>,
}

/// One edge of a presence that was told, and the session it was told with.
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

/// Something to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct FactChange {
    pub event: EventType,
    pub session: Option<SessionName>,
    pub emission: Emission,
    pub kind: FactChangeKind,
    /// For a `participant.left`: since when the person was there.
    pub since: Option<Timestamp>,
}

/// How something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactChangeKind {
    /// For the first time.
    New,
    /// In the place of an earlier telling of the same type.
    Corrects(Emission),
    /// As holding no longer.
    Retracts,
}

/// Compares what holds with what was told, brings the latter up to date and returns the difference.
pub fn reconcile(person: &mut ParticipantState, resource_counts: bool) -> Vec<FactChange> {
    let mut changes = Vec::new();
    reconcile_sessions(person, &mut changes);
    // Once a join was told from the participant resource alone, that stays enough.
    let united = person.united(resource_counts || !person.presences.is_empty());
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

/// One edge that there can be only one of.
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

/// Tells an edge that holds as it was told once more, as a correction of itself.
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
    let mut stale_joins = StaleEdges::new(joins, |edge| united.iter().any(|new| edge.is(new.start, Source::Google)));
    let leaves = emitted.iter().map(|one| (one.left.as_ref(), one));
    let mut stale_leaves = StaleEdges::new(leaves, |edge| {
        united.iter().any(|new| new.end.is_some_and(|(end, source)| edge.is(end, source)))
    });

    let mut reconciled = Vec::with_capacity(united.len());
    for presence in united {
        let kept = emitted.iter().map(|one| &one.joined).find(|edge| edge.is(presence.start, Source::Google)).cloned();
        let joined = kept.unwrap_or_else(|| {
            // A merged presence corrects the join of the first presence it overlaps …
            let stale = stale_joins.take_first(presence);
            let edge = (presence.start, Source::Google, presence.first.clone());
            emit_edge(person, EventType::ParticipantJoined, edge, stale, None, changes)
        });
        let left = presence.end.map(|(end, source)| {
            let leaves = |one: &&EmittedPresence| one.left.as_ref().is_some_and(|edge| edge.is(end, source));
            let kept = emitted.iter().find(leaves);
            let stale = match kept {
                Some(EmittedPresence { joined, left: Some(left) }) if joined.emission.time == presence.start => {
                    return left.clone();
                }
                // It said how long somebody stayed, and they came at another time.
                Some(other) => other.left.clone(),
                // … and the leave of the last.
                None => stale_leaves.take_last(presence),
            };
            let edge = (end, source, presence.last.clone());
            emit_edge(person, EventType::ParticipantLeft, edge, stale, Some(presence.start), changes)
        });
        reconciled.push(EmittedPresence { joined, left });
    }
    // The edges between are retracted.
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
            emitted.joined.emission.time == new.start
                && emitted.left.as_ref().map(|left| (left.emission.time, left.emission.source)) == new.end
        })
}

/// Told edges that no longer hold, each with the presence that it was told of.
struct StaleEdges(Vec<(EmittedEdge, PresenceSpan)>);

/// From when to when a presence was told.
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

/// Tells an edge of a presence that holds, in the place of `stale` if there is one.
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
