//! What happens in the conferences, and how it is told: also what is late, and what turns out to have been otherwise.

use std::collections::BTreeSet;

use meetwatch::delivery::step::Input;
use meetwatch::model::event_id::Edge;
use meetwatch::model::{EventId, EventKey, EventType, Source};
use meetwatch::store::NewEvent;

use super::{CONFERENCES, ENDPOINTS, History, PEOPLE, Person, Told};
use crate::store_samples::{commit, conference, endpoint, event, noon, participant};
use crate::webhook_steps::Stage;

impl History {
    /// Somebody comes, goes, or turns out to have done otherwise.
    pub(super) fn happen(&mut self) {
        self.happened += 1;
        let (conference, person) = (self.random.usize(0..CONFERENCES), self.random.usize(0..PEOPLE));
        let known = self.people[conference][person].clone();
        // Nothing happens twice in one instant.
        let now = i64::try_from(self.now.mono.as_nanos() + 1_000_000 * self.happened as u128).unwrap();
        let (joined, left) = (EventType::ParticipantJoined, EventType::ParticipantLeft);
        let mut next = known.clone();
        match (known.present, known.last, self.random.u8(0..20)) {
            // The leave was none.
            (false, Some(leave), 0..4) => {
                self.tell(conference, person, EventType::EventRetracted, now, Some(leave));
                // Whatever came before counts as unknown from here on.
                next = Person { last: None, present: true, bridge: None };
            }
            // The leave was at another time.
            (false, Some(leave), 4..8) => next.last = Some(self.tell(conference, person, left, now, Some(leave))),
            (false, leave, _) => {
                let joined = self.tell(conference, person, joined, now, None);
                next.bridge = leave.map(|leave| {
                    let at = self.told.iter().find(|told| told.id == leave).unwrap().time;
                    ((leave, at), (joined.clone(), now))
                });
                next = Person { last: Some(joined), present: true, bridge: next.bridge };
            }
            // There was no leave and no return.
            (true, _, 0..2) if next.bridge.is_some() => {
                let ((leave, _), (back, _)) = next.bridge.take().unwrap();
                self.tell(conference, person, EventType::EventRetracted, now, Some(leave));
                self.tell(conference, person, EventType::EventRetracted, now + 1, Some(back));
            }
            // A short visit between the two is learnt of late.
            (true, _, 2..4) if next.bridge.is_some() => {
                let ((_, from), (_, to)) = next.bridge.take().unwrap();
                let third = (to - from) / 3;
                self.tell(conference, person, joined, from + third, None);
                self.tell(conference, person, left, from + 2 * third, None);
            }
            (true, _, 4..8) => {
                self.tell(conference, person, EventType::SessionStarted, now, None);
            }
            (true, ..) => {
                next =
                    Person { last: Some(self.tell(conference, person, left, now, None)), present: false, bridge: None }
            }
        }
        self.people[conference][person] = next;
        self.step(Input::Woken);
    }

    fn tell(
        &mut self,
        conference_number: usize,
        person: usize,
        kind: EventType,
        time: i64,
        takes_back: Option<EventId>,
    ) -> EventId {
        let sequence = 1 + self.told.iter().filter(|told| told.conference == conference_number).count() as u64;
        let name = format!("c{conference_number}");
        let (about, edge) = (conference(&name), format!("{name}/{sequence}"));
        let key =
            EventKey { event: kind, resource: about.as_str(), edge: Edge::Name(&edge), source: Source::Google, n: 0 };
        let id = key.id();
        let mut promised: BTreeSet<_> =
            ENDPOINTS.iter().filter(|endpoint| (endpoint.wants)(kind)).map(|endpoint| endpoint.name).collect();
        let owed_to = promised.iter().map(|name| endpoint(name)).collect();
        if let Some(earlier) = &takes_back {
            promised.extend(&self.told.iter().find(|told| told.id == *earlier).unwrap().promised);
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
        let told = Told {
            id: id.clone(),
            event: kind,
            conference: conference_number,
            person,
            sequence,
            time,
            takes_back,
            promised,
        };
        self.told.push(told);
        id
    }
}
