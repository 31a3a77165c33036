//! Pure: a time in which nobody looked, as an event.

use jiff::Timestamp;

use super::roster::EmittedEvent;
use crate::model::event::SCHEMA;
use crate::model::event_id::Edge;
use crate::model::{ConferenceRef, Event, EventKey, EventType, Gap, Provenance, Source, TargetName};

/// The gap of a target that could not be looked at while none of its conferences was known.
#[must_use]
pub fn of_target(target: &TargetName, gap: Gap, observed_at: Timestamp) -> EmittedEvent {
    tell(target.as_str(), None, None, None, gap, observed_at)
}

/// The gap of a conference, as number `sequence` of its events.
#[must_use]
pub fn of_conference(
    conference: ConferenceRef,
    sequence: u64,
    present: u32,
    gap: Gap,
    observed_at: Timestamp,
) -> EmittedEvent {
    let name = conference.name.clone();
    tell(name.as_str(), Some(conference), Some(sequence), Some(present), gap, observed_at)
}

fn tell(
    resource: &str,
    conference: Option<ConferenceRef>,
    sequence: Option<u64>,
    present: Option<u32>,
    gap: Gap,
    observed_at: Timestamp,
) -> EmittedEvent {
    let key =
        EventKey { event: EventType::WatchGap, resource, edge: Edge::Time(gap.from), source: Source::Google, n: 0 };
    let event = Event {
        schema: SCHEMA,
        id: key.id(),
        event: EventType::WatchGap,
        time: gap.from,
        observed_at: observed_at.max(gap.from),
        provenance: Provenance::Observed,
        sequence,
        targets: Vec::new(),
        conference,
        participant: None,
        session: None,
        present,
        corrects: None,
        retracts: None,
        seconds_present: None,
        attendance: None,
        attendance_path: None,
        gap: Some(gap),
    };
    EmittedEvent { event, source: Source::Google, n: 0, takes_back: None }
}
