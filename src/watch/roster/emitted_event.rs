//! An event as the roster emits it.

use crate::model::{Event, EventId, Source};

/// An event, and what the store keeps beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct EmittedEvent {
    /// The event without its targets, which the roster does not know.
    pub event: Event,
    pub source: Source,
    /// The `n` of the event's [`EventKey`](crate::model::EventKey).
    pub n: u32,
    /// The event that this one withdraws: the one it corrects or retracts.
    pub takes_back: Option<EventId>,
}
