//! Whole events, as formats other than the standard one need them.

use meetwatch::delivery::format::samples;
use meetwatch::model::{Event, EventType};
use meetwatch::store::{Commit, NewEvent};

use crate::store_samples::{commit, conference, event, noon};

/// The sample of a type with all it can have, and an awkward name.
pub(crate) fn sample(wanted: EventType) -> Event {
    samples().into_iter().find(|event| event.event == wanted).unwrap()
}

/// The `sequence`th event of a conference, whole and of this type.
pub(crate) fn whole_of(wanted: EventType, id: &str, sequence: u64, owed_to: &[&str]) -> NewEvent {
    let base = NewEvent { event: wanted, ..event(id, sequence, owed_to) };
    let mut told = sample(wanted);
    told.conference.as_mut().unwrap().name = conference(id);
    // A gap is told once and for all.
    told.corrects = told.corrects.filter(|_| wanted != EventType::WatchGap);
    let told = Event { id: base.id.clone(), sequence: Some(sequence), time: noon(), observed_at: noon(), ..told };
    NewEvent { body: serde_json::to_string(&told).unwrap().into(), ..base }
}

/// Whole events `from..=to` of a conference, owed to these endpoints, in one commit.
pub(crate) fn whole_joins(id: &str, sequences: std::ops::RangeInclusive<u64>, owed_to: &[&str]) -> Commit {
    commit(id, sequences.map(|sequence| whole_of(EventType::ParticipantJoined, id, sequence, owed_to)).collect())
}
