//! Complete events, for formats that parse them.

use meetwatch::delivery::format::samples;
use meetwatch::model::{Event, EventType};
use meetwatch::store::{Commit, NewEvent};

use crate::store_samples::{commit, conference, event, noon};

/// Returns the sample of a type with every field and an awkward name.
pub(crate) fn sample(wanted: EventType) -> Event {
    samples().into_iter().find(|event| event.event == wanted).unwrap()
}

/// Returns a complete event of this type, the `sequence`th of a conference.
pub(crate) fn whole_of(wanted: EventType, id: &str, sequence: u64, owed_to: &[&str]) -> NewEvent {
    let base = NewEvent { event: wanted, ..event(id, sequence, owed_to) };
    let mut told = sample(wanted);
    told.conference.as_mut().unwrap().name = conference(id);
    // A gap is never corrected.
    told.corrects = told.corrects.filter(|_| wanted != EventType::WatchGap);
    let told = Event { id: base.id.clone(), sequence: Some(sequence), time: noon(), observed_at: noon(), ..told };
    NewEvent { body: serde_json::to_string(&told).unwrap().into(), ..base }
}

/// Returns a commit of complete joins of a conference, to be delivered to these endpoints.
pub(crate) fn whole_joins(id: &str, sequences: std::ops::RangeInclusive<u64>, owed_to: &[&str]) -> Commit {
    commit(id, sequences.map(|sequence| whole_of(EventType::ParticipantJoined, id, sequence, owed_to)).collect())
}
