//! Random changes in the conferences, and the events emitted for them, late ones and corrections included.

use std::collections::BTreeSet;

use meetwatch::delivery::step::DispatchInput;
use meetwatch::model::event_id::Edge;
use meetwatch::model::{EventId, EventKey, EventType, Source};
use meetwatch::store::NewEvent;

use super::{CONFERENCES, ENDPOINTS, EmittedEvent, History, PEOPLE, Person};
use crate::delivery_harness::Stage;
use crate::store_samples::{commit, conference, endpoint, event, noon, participant};

impl History {
    /// Makes a random person join or leave, or corrects what was emitted before.
    pub(super) fn change(&mut self) {
        self.changes += 1;
        let (conference, person) = (self.random.usize(0..CONFERENCES), self.random.usize(0..PEOPLE));
        let known = self.people[conference][person].clone();
        // No two events have the same time.
        let now = i64::try_from(self.now.mono.as_nanos() + 1_000_000 * self.changes as u128).unwrap();
        let (joined, left) = (EventType::ParticipantJoined, EventType::ParticipantLeft);
        let mut next = known.clone();
        match (known.present, known.last, self.random.u8(0..20)) {
            // The leave did not happen.
            (false, Some(leave), 0..4) => {
                self.emit(conference, person, EventType::EventRetracted, now, Some(leave));
                // Nothing before it is corrected any more.
                next = Person { last: None, present: true, bridge: None };
            }
            // The leave changes at another time.
            (false, Some(leave), 4..8) => next.last = Some(self.emit(conference, person, left, now, Some(leave))),
            (false, leave, _) => {
                let joined = self.emit(conference, person, joined, now, None);
                next.bridge = leave.map(|leave| {
                    let at = self.emitted.iter().find(|emitted| emitted.id == leave).unwrap().time;
                    ((leave, at), (joined.clone(), now))
                });
                next = Person { last: Some(joined), present: true, bridge: next.bridge };
            }
            // Neither the leave nor the return changes.
            (true, _, 0..2) if next.bridge.is_some() => {
                let ((leave, _), (back, _)) = next.bridge.take().unwrap();
                self.emit(conference, person, EventType::EventRetracted, now, Some(leave));
                self.emit(conference, person, EventType::EventRetracted, now + 1, Some(back));
            }
            // A short visit between the two is discovered late.
            (true, _, 2..4) if next.bridge.is_some() => {
                let ((_, from), (_, to)) = next.bridge.take().unwrap();
                let third = (to - from) / 3;
                self.emit(conference, person, joined, from + third, None);
                self.emit(conference, person, left, from + 2 * third, None);
            }
            (true, _, 4..8) => {
                self.emit(conference, person, EventType::SessionStarted, now, None);
            }
            (true, ..) => {
                next =
                    Person { last: Some(self.emit(conference, person, left, now, None)), present: false, bridge: None }
            }
        }
        self.people[conference][person] = next;
        self.step(DispatchInput::Woken);
    }

    fn emit(
        &mut self,
        conference_number: usize,
        person: usize,
        kind: EventType,
        time: i64,
        takes_back: Option<EventId>,
    ) -> EventId {
        let sequence = 1 + self.emitted.iter().filter(|emitted| emitted.conference == conference_number).count() as u64;
        let name = format!("c{conference_number}");
        let (about, edge) = (conference(&name), format!("{name}/{sequence}"));
        let key =
            EventKey { event: kind, resource: about.as_str(), edge: Edge::Name(&edge), source: Source::Google, n: 0 };
        let id = key.id();
        let mut promised: BTreeSet<_> =
            ENDPOINTS.iter().filter(|endpoint| (endpoint.wants)(kind)).map(|endpoint| endpoint.name).collect();
        let owed_to = promised.iter().map(|name| endpoint(name)).collect();
        if let Some(earlier) = &takes_back {
            promised.extend(&self.emitted.iter().find(|emitted| emitted.id == *earlier).unwrap().promised);
        }
        let new = NewEvent {
            id: id.clone(),
            event: kind,
            participant: Some(participant(&name, &format!("p{person}"))),
            time: noon() + jiff::SignedDuration::from_nanos(time),
            takes_back: takes_back.clone(),
            owed_to,
            ..event(&name, sequence, &[])
        };
        self.db.write(commit(&name, vec![new]), self.now.wall).unwrap();
        let emitted = EmittedEvent {
            id: id.clone(),
            event: kind,
            conference: conference_number,
            person,
            sequence,
            time,
            takes_back,
            promised,
        };
        self.emitted.push(emitted);
        id
    }
}
