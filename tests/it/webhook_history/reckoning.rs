//! What arrived, held against what was promised.

use std::collections::{BTreeMap, BTreeSet};

use meetwatch::model::{EventId, EventType};
use meetwatch::store::{DeliveryFilter, DeliveryRow, DeliveryState};

use super::{CONFERENCES, ENDPOINTS, History, Taken, Told, is_of_people};
use crate::store_samples::endpoint;

impl History {
    fn rows(&self, name: &str) -> BTreeMap<EventId, DeliveryRow> {
        let filter =
            DeliveryFilter { endpoint: Some(endpoint(name)), limit: DeliveryFilter::MOST, ..DeliveryFilter::default() };
        let page = self.db.list_deliveries(&filter).unwrap();
        assert_eq!(page.next, None);
        page.deliveries.into_iter().map(|row| (row.event.clone(), row)).collect()
    }

    /// Holds what arrived against what was promised; says how many were settled, expired and dead.
    pub(super) fn check(&self) -> [usize; 3] {
        let mut skipped = [0; 3];
        for kind in &ENDPOINTS {
            let rows = self.rows(kind.name);
            let nothing = Vec::new();
            let taken = self.taken.get(&endpoint(kind.name)).unwrap_or(&nothing);
            let arrived: BTreeSet<_> = taken.iter().map(|(id, _)| id).collect();
            let in_state = |id: &EventId, state| rows.get(id).is_some_and(|row| row.state == state);
            for told in &self.told {
                let promised = told.promised.contains(kind.name);
                let settled = in_state(&told.id, DeliveryState::Settled);
                assert!(promised || settled || !rows.contains_key(&told.id), "{}: not promised", kind.name);
                assert_eq!(
                    promised
                        && !settled
                        && !in_state(&told.id, DeliveryState::Expired)
                        && !in_state(&told.id, DeliveryState::Dead),
                    in_state(&told.id, DeliveryState::Done),
                    "{}: {:?} of {}/{}",
                    kind.name,
                    rows.get(&told.id),
                    told.conference,
                    told.sequence
                );
                assert!(!in_state(&told.id, DeliveryState::Done) || arrived.contains(&told.id), "done and never taken");
                assert!(!settled || !arrived.contains(&told.id), "settled and sent all the same");
                assert!(promised || !arrived.contains(&told.id), "not promised and sent all the same");
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
                let all = self.told.iter().map(|told| &told.id).collect();
                let (seen, true_one) = (self.picture(&arrived), self.picture(&all));
                assert_eq!(seen, true_one, "{}: {}", kind.name, self.story(&rows));
            }
        }
        skipped
    }

    /// First arrivals are in sequence, and each names the one before it that was not settled.
    fn check_order(&self, name: &str, taken: &[Taken], rows: &BTreeMap<EventId, DeliveryRow>) {
        for conference in 0..CONFERENCES {
            let of_conference: Vec<_> = self.told.iter().filter(|told| told.conference == conference).collect();
            let mut last = 0;
            let mut seen = BTreeSet::new();
            for (id, previous) in taken {
                let Some(told) = of_conference.iter().find(|told| told.id == *id) else { continue };
                if !seen.insert(id) {
                    continue;
                }
                assert!(told.sequence > last, "{name}: {} after {last}", told.sequence);
                last = told.sequence;
                let owed = |told: &&&Told| rows.get(&told.id).is_some_and(|row| row.state != DeliveryState::Settled);
                let before = of_conference.iter().filter(|other| other.sequence < told.sequence).rfind(owed);
                if let Some(previous) = previous {
                    let before = before.map(|told| &told.id);
                    assert_eq!(previous.as_ref(), before, "{name}: {conference}/{}", told.sequence);
                }
            }
        }
    }

    /// What happened, a line each, and what became of it on an endpoint.
    fn story(&self, rows: &BTreeMap<EventId, DeliveryRow>) -> String {
        let lines = self.told.iter().map(|told| {
            let back = told.takes_back.as_ref().and_then(|id| self.told.iter().find(|told| told.id == *id));
            let row = rows.get(&told.id).map(|row| (row.state, row.reason.clone(), row.owed_at));
            let (back, at) = (back.map(|told| told.sequence), told.time / 1_000_000_000);
            format!(
                "{}/{} p{} at {at}: {:?} of {back:?}: {row:?}",
                told.conference, told.sequence, told.person, told.event
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Who is there, as somebody knows it who has these events.
    fn picture(&self, have: &BTreeSet<&EventId>) -> BTreeSet<(usize, usize)> {
        let have: Vec<_> = self.told.iter().filter(|told| have.contains(&told.id)).collect();
        let taken_back: BTreeSet<_> = have.iter().filter_map(|told| told.takes_back.as_ref()).collect();
        let mut last: BTreeMap<(usize, usize), (i64, EventType)> = BTreeMap::new();
        for told in have {
            if is_of_people(told.event) && !taken_back.contains(&told.id) {
                let edge = last.entry((told.conference, told.person)).or_insert((told.time, told.event));
                if told.time >= edge.0 {
                    *edge = (told.time, told.event);
                }
            }
        }
        last.into_iter().filter(|(_, (_, event))| *event == EventType::ParticipantJoined).map(|(who, _)| who).collect()
    }
}
