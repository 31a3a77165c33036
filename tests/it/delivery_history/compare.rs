//! Compares what arrived with what was promised.

use std::collections::{BTreeMap, BTreeSet};

use meetwatch::model::{EventId, EventType};
use meetwatch::store::{DeliveryFilter, DeliveryRow, DeliveryState};

use super::{CONFERENCES, ENDPOINTS, EmittedEvent, History, Taken, is_of_people};
use crate::store_samples::endpoint;

impl History {
    fn rows(&self, name: &str) -> BTreeMap<EventId, DeliveryRow> {
        let filter =
            DeliveryFilter { endpoint: Some(endpoint(name)), limit: DeliveryFilter::MOST, ..DeliveryFilter::default() };
        let page = self.db.list_deliveries(&filter).unwrap();
        assert_eq!(page.next, None);
        page.deliveries.into_iter().map(|row| (row.event.clone(), row)).collect()
    }

    /// Checks what arrived against what was promised. Returns how many deliveries were settled, expired and dead.
    pub(super) fn check(&self) -> [usize; 3] {
        let mut skipped = [0; 3];
        for kind in &ENDPOINTS {
            let rows = self.rows(kind.name);
            let nothing = Vec::new();
            let taken = self.taken.get(&endpoint(kind.name)).unwrap_or(&nothing);
            let arrived: BTreeSet<_> = taken.iter().map(|(id, _)| id).collect();
            let in_state = |id: &EventId, state| rows.get(id).is_some_and(|row| row.state == state);
            for emitted in &self.emitted {
                let promised = emitted.promised.contains(kind.name);
                let settled = in_state(&emitted.id, DeliveryState::Settled);
                assert!(promised || settled || !rows.contains_key(&emitted.id), "{}: not promised", kind.name);
                assert_eq!(
                    promised
                        && !settled
                        && !in_state(&emitted.id, DeliveryState::Expired)
                        && !in_state(&emitted.id, DeliveryState::Dead),
                    in_state(&emitted.id, DeliveryState::Done),
                    "{}: {:?} of {}/{}",
                    kind.name,
                    rows.get(&emitted.id),
                    emitted.conference,
                    emitted.sequence
                );
                assert!(
                    !in_state(&emitted.id, DeliveryState::Done) || arrived.contains(&emitted.id),
                    "recorded as done, but never accepted"
                );
                assert!(!settled || !arrived.contains(&emitted.id), "settled, but sent");
                assert!(promised || !arrived.contains(&emitted.id), "not promised, but sent");
            }
            let of = |state| rows.values().filter(|row| row.state == state).count();
            let states = [DeliveryState::Settled, DeliveryState::Expired, DeliveryState::Dead];
            let counts = states.map(of);
            for (sum, count) in skipped.iter_mut().zip(counts) {
                *sum += count;
            }
            let summary = self.db.outbox_summary().unwrap();
            let summary = summary.iter().find(|summary| summary.endpoint.as_str() == kind.name).unwrap();
            assert_eq!([summary.settled, summary.expired, summary.dead], counts.map(|count| count as u64));
            if kind.ordered {
                self.check_order(kind.name, taken, &rows);
            }
            if counts[1] + counts[2] == 0 && (kind.wants)(EventType::ParticipantJoined) {
                let all = self.emitted.iter().map(|emitted| &emitted.id).collect();
                let (seen, actual) = (self.present(&arrived), self.present(&all));
                assert_eq!(seen, actual, "{}: {}", kind.name, self.history(&rows));
            }
        }
        skipped
    }

    /// Checks that first arrivals are in sequence, and that each names the one before it that was not settled.
    fn check_order(&self, name: &str, taken: &[Taken], rows: &BTreeMap<EventId, DeliveryRow>) {
        for conference in 0..CONFERENCES {
            let of_conference: Vec<_> =
                self.emitted.iter().filter(|emitted| emitted.conference == conference).collect();
            let mut last = 0;
            let mut seen = BTreeSet::new();
            for (id, previous) in taken {
                let Some(emitted) = of_conference.iter().find(|emitted| emitted.id == *id) else { continue };
                if !seen.insert(id) {
                    continue;
                }
                assert!(emitted.sequence > last, "{name}: {} after {last}", emitted.sequence);
                last = emitted.sequence;
                let owed = |emitted: &&&EmittedEvent| {
                    rows.get(&emitted.id).is_some_and(|row| row.state != DeliveryState::Settled)
                };
                let before = of_conference.iter().filter(|other| other.sequence < emitted.sequence).rfind(owed);
                if let Some(previous) = previous {
                    let before = before.map(|emitted| &emitted.id);
                    assert_eq!(previous.as_ref(), before, "{name}: {conference}/{}", emitted.sequence);
                }
            }
        }
    }

    /// Returns a line for each event, with the state of its delivery to an endpoint.
    fn history(&self, rows: &BTreeMap<EventId, DeliveryRow>) -> String {
        let lines = self.emitted.iter().map(|emitted| {
            let back = emitted.takes_back.as_ref().and_then(|id| self.emitted.iter().find(|emitted| emitted.id == *id));
            let row = rows.get(&emitted.id).map(|row| (row.state, row.reason.clone(), row.owed_at));
            let (back, at) = (back.map(|emitted| emitted.sequence), emitted.time / 1_000_000_000);
            format!(
                "{}/{} p{} at {at}: {:?} of {back:?}: {row:?}",
                emitted.conference, emitted.sequence, emitted.person, emitted.event
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Returns who is present according to these events.
    fn present(&self, have: &BTreeSet<&EventId>) -> BTreeSet<(usize, usize)> {
        let have: Vec<_> = self.emitted.iter().filter(|emitted| have.contains(&emitted.id)).collect();
        let taken_back: BTreeSet<_> = have.iter().filter_map(|emitted| emitted.takes_back.as_ref()).collect();
        let mut last: BTreeMap<(usize, usize), (i64, EventType)> = BTreeMap::new();
        for emitted in have {
            if is_of_people(emitted.event) && !taken_back.contains(&emitted.id) {
                let edge = last.entry((emitted.conference, emitted.person)).or_insert((emitted.time, emitted.event));
                if emitted.time >= edge.0 {
                    *edge = (emitted.time, emitted.event);
                }
            }
        }
        last.into_iter().filter(|(_, (_, event))| *event == EventType::ParticipantJoined).map(|(who, _)| who).collect()
    }
}
