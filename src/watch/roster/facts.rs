//! Pure: what holds of a person, against what was told of them. The difference is what there is to tell.
//!
//! Facts follow from the sessions: each started, each ended, and the edges of their union, joined and left. What a later
//! answer takes back is told too: as the same fact with another time, which `corrects` the one it replaces, or as a
//! retraction where nothing replaces it.

use jiff::Timestamp;

use super::person::{Person, Withdrawn};
use super::presence::Presence;
use super::session::Telling;
use crate::model::{EventType, SessionName, Source};

/// A presence that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldPresence {
    pub joined: ToldEdge,
    pub left: Option<ToldEdge>,
}

/// One edge of a presence that was told, and the session it was told with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldEdge {
    pub telling: Telling,
    pub session: Option<SessionName>,
}

impl ToldEdge {
    fn is(&self, time: Timestamp, source: Source) -> bool {
        (self.telling.time, self.telling.source) == (time, source)
    }
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub event: EventType,
    pub session: Option<SessionName>,
    pub telling: Telling,
    pub kind: ChangeKind,
    /// For a `participant.left`: since when the person was there.
    pub since: Option<Timestamp>,
}

/// How something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// For the first time.
    New,
    /// In the place of an earlier telling of the same type.
    Corrects(Telling),
    /// As holding no longer.
    Retracts,
}

/// Compares what holds with what was told, brings the latter up to date and returns the difference.
pub fn settle(person: &mut Person, resource_counts: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    settle_sessions(person, &mut changes);
    // Once a join was told from the participant resource alone, that stays enough.
    let united = person.united(resource_counts || !person.presences.is_empty());
    settle_presences(person, &united, &mut changes);
    changes
}

fn settle_sessions(person: &mut Person, changes: &mut Vec<Change>) {
    let mut sessions = std::mem::take(&mut person.sessions);
    for session in &mut sessions {
        let name = Some(&session.name);
        let start = Some((session.start, Source::Google));
        session.started =
            settle_edge(EventType::SessionStarted, name, start, session.started, &mut person.withdrawn, changes);
        session.ended =
            settle_edge(EventType::SessionEnded, name, session.end, session.ended, &mut person.withdrawn, changes);
    }
    person.sessions = sessions;
}

/// One edge that there can be only one of.
pub(super) fn settle_edge(
    event: EventType,
    session: Option<&SessionName>,
    holds: Option<(Timestamp, Source)>,
    told: Option<Telling>,
    withdrawn: &mut Vec<Withdrawn>,
    changes: &mut Vec<Change>,
) -> Option<Telling> {
    if holds == told.map(|told| (told.time, told.source)) {
        return told;
    }
    if let Some(told) = told {
        withdrawn.push(Withdrawn { event, session: session.cloned(), time: told.time, source: told.source });
    }
    let Some((time, source)) = holds else {
        if let Some(told) = told {
            changes.push(Change {
                event,
                session: session.cloned(),
                telling: told,
                kind: ChangeKind::Retracts,
                since: None,
            });
        }
        return None;
    };
    let again =
        withdrawn.iter().filter(|one| one.event == event && one.session.as_ref() == session && one.source == source);
    let telling = Telling { time, source, n: count(again) };
    let kind = told.map_or(ChangeKind::New, ChangeKind::Corrects);
    changes.push(Change { event, session: session.cloned(), telling, kind, since: None });
    Some(telling)
}

/// Tells an edge that holds as it was told once more, as a correction of itself.
pub(super) fn tell_again(
    event: EventType,
    told: &mut Option<Telling>,
    withdrawn: &mut Vec<Withdrawn>,
    changes: &mut Vec<Change>,
) {
    let Some(stale) = *told else { return };
    withdrawn.push(Withdrawn { event, session: None, time: stale.time, source: stale.source });
    let telling = Telling { n: stale.n.saturating_add(1), ..stale };
    changes.push(Change { event, session: None, telling, kind: ChangeKind::Corrects(stale), since: None });
    *told = Some(telling);
}

fn settle_presences(person: &mut Person, united: &[Presence], changes: &mut Vec<Change>) {
    if same(&person.presences, united) {
        return;
    }
    let told = std::mem::take(&mut person.presences);
    let joins = told.iter().map(|one| (Some(&one.joined), one));
    let mut stale_joins = Stale::new(joins, |edge| united.iter().any(|new| edge.is(new.start, Source::Google)));
    let leaves = told.iter().map(|one| (one.left.as_ref(), one));
    let mut stale_leaves =
        Stale::new(leaves, |edge| united.iter().any(|new| new.end.is_some_and(|(end, source)| edge.is(end, source))));

    let mut settled = Vec::with_capacity(united.len());
    for presence in united {
        let kept = told.iter().map(|one| &one.joined).find(|edge| edge.is(presence.start, Source::Google)).cloned();
        let joined = kept.unwrap_or_else(|| {
            // A merged presence corrects the join of the first presence it overlaps …
            let stale = stale_joins.take_first(presence);
            let edge = (presence.start, Source::Google, presence.first.clone());
            tell_edge(person, EventType::ParticipantJoined, edge, stale, None, changes)
        });
        let left = presence.end.map(|(end, source)| {
            let leaves = |one: &&ToldPresence| one.left.as_ref().is_some_and(|edge| edge.is(end, source));
            let kept = told.iter().find(leaves);
            let stale = match kept {
                Some(ToldPresence { joined, left: Some(left) }) if joined.telling.time == presence.start => {
                    return left.clone();
                }
                // It said how long somebody stayed, and they came at another time.
                Some(other) => other.left.clone(),
                // … and the leave of the last.
                None => stale_leaves.take_last(presence),
            };
            let edge = (end, source, presence.last.clone());
            tell_edge(person, EventType::ParticipantLeft, edge, stale, Some(presence.start), changes)
        });
        settled.push(ToldPresence { joined, left });
    }
    // The edges between are retracted.
    for (event, stale) in [(EventType::ParticipantJoined, stale_joins), (EventType::ParticipantLeft, stale_leaves)] {
        for (ToldEdge { telling, session }, _) in stale.0 {
            withdraw(person, event, telling);
            changes.push(Change { event, session, telling, kind: ChangeKind::Retracts, since: None });
        }
    }
    person.presences = settled;
}

fn same(told: &[ToldPresence], united: &[Presence]) -> bool {
    told.len() == united.len()
        && told.iter().zip(united).all(|(told, new)| {
            told.joined.telling.time == new.start
                && told.left.as_ref().map(|left| (left.telling.time, left.telling.source)) == new.end
        })
}

/// Told edges that no longer hold, each with the presence that it was told of.
struct Stale(Vec<(ToldEdge, Span)>);

/// From when to when a presence was told.
type Span = (Timestamp, Option<Timestamp>);

impl Stale {
    fn new<'a>(
        edges: impl Iterator<Item = (Option<&'a ToldEdge>, &'a ToldPresence)>,
        holds: impl Fn(&ToldEdge) -> bool,
    ) -> Self {
        let stale = edges
            .filter_map(|(edge, presence)| edge.map(|edge| (edge, presence)))
            .filter(|(edge, _)| !holds(edge))
            .map(|(edge, presence)| {
                let span = (presence.joined.telling.time, presence.left.as_ref().map(|left| left.telling.time));
                (edge.clone(), span)
            });
        Self(stale.collect())
    }

    fn take_first(&mut self, presence: &Presence) -> Option<ToldEdge> {
        let at = self.0.iter().position(|(_, span)| overlaps(*span, presence))?;
        Some(self.0.remove(at).0)
    }

    fn take_last(&mut self, presence: &Presence) -> Option<ToldEdge> {
        let at = self.0.iter().rposition(|(_, span)| overlaps(*span, presence))?;
        Some(self.0.remove(at).0)
    }
}

fn overlaps((start, end): Span, presence: &Presence) -> bool {
    presence.end.is_none_or(|(other, _)| start <= other) && end.is_none_or(|end| presence.start <= end)
}

/// Tells an edge of a presence that holds, in the place of `stale` if there is one.
fn tell_edge(
    person: &mut Person,
    event: EventType,
    (time, source, session): (Timestamp, Source, Option<SessionName>),
    stale: Option<ToldEdge>,
    since: Option<Timestamp>,
    changes: &mut Vec<Change>,
) -> ToldEdge {
    let stale = stale.map(|edge| edge.telling);
    if let Some(stale) = stale {
        withdraw(person, event, stale);
    }
    let again = person.withdrawn.iter().filter(|one| one.event == event && one.time == time && one.source == source);
    let telling = Telling { time, source, n: count(again) };
    let kind = stale.map_or(ChangeKind::New, ChangeKind::Corrects);
    changes.push(Change { event, session: session.clone(), telling, kind, since });
    ToldEdge { telling, session }
}

fn withdraw(person: &mut Person, event: EventType, telling: Telling) {
    person.withdrawn.push(Withdrawn { event, session: None, time: telling.time, source: telling.source });
}

fn count<T>(iterator: impl Iterator<Item = T>) -> u32 {
    u32::try_from(iterator.count()).unwrap_or(u32::MAX)
}
