//! Pure: gaps, the times in which a conference or a target was not observed, as `watch.gap` events.
//!
//! A gap begins with the last successful look and ends with the next one. A conference reports its own gaps. A target
//! reports a gap only if none of its conferences reports one that covers it ([`GapCoverage`]).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::roster::EmittedEvent;
use crate::model::event_id::Edge;
use crate::model::{ConferenceRef, Event, EventKey, EventType, Gap, Provenance, Source, TargetName};

/// The reason of a gap that began while this process did not run.
pub const NOT_RUNNING: &str = "not_running";
/// The reason of a gap in which no read failed and yet none came in time: quota was short, or the machine slept.
pub const LATE: &str = "late";
/// The reason of a gap in which a target was not in the configuration.
pub const NOT_CONFIGURED: &str = "not_configured";
/// The reason of a gap in which reads succeeded and could not be stored.
pub const STORE: &str = "store";

/// A clock that is further off than this is in doubt.
const DOUBTFUL: SignedDuration = SignedDuration::from_hours(24);

/// Whether a conference already reports a target's gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCoverage {
    /// A conference of the target reported a gap that covers it.
    Reported,
    /// A conference of the target is unobserved, and will report a gap with its next listing.
    Pending,
    /// No conference does: the target has to report it.
    Missing,
}

/// Merges a gap that is not reported yet with a later one. The time between is not worth a second event.
#[must_use]
pub fn merged(earlier: Option<Gap>, later: Gap) -> Gap {
    match earlier {
        Some(earlier) => {
            Gap { from: earlier.from.min(later.from), to: earlier.to.max(later.to), reason: earlier.reason }
        }
        None => later,
    }
}

/// Returns where a gap began that ends at `to`: at `noted`, unless the clock was in doubt then. `unseen` is how long nothing
/// was seen by the clock that never jumps; if the two contradict each other by more than a day, that one is right.
#[must_use]
pub fn began(noted: Timestamp, to: Timestamp, unseen: Duration) -> Timestamp {
    let unseen = SignedDuration::try_from(unseen).unwrap_or(SignedDuration::MAX);
    let difference = to.duration_since(noted).saturating_sub(unseen);
    if difference.abs() > DOUBTFUL { to.saturating_sub(unseen).unwrap_or(noted) } else { noted }
}

/// Returns the event for the gap of a target.
#[must_use]
pub fn of_target(target: &TargetName, gap: Gap, observed_at: Timestamp) -> EmittedEvent {
    let event = event(target.as_str(), gap, observed_at);
    EmittedEvent { event, source: Source::Google, n: 0, takes_back: None }
}

/// Returns the event for the gap of a conference, as number `sequence` of the conference's events.
#[must_use]
pub fn of_conference(
    conference: ConferenceRef,
    sequence: u64,
    present: u32,
    gap: Gap,
    observed_at: Timestamp,
) -> EmittedEvent {
    let event = event(conference.name.as_str(), gap, observed_at);
    let event = Event { conference: Some(conference), sequence: Some(sequence), present: Some(present), ..event };
    EmittedEvent { event, source: Source::Google, n: 0, takes_back: None }
}

fn event(resource: &str, gap: Gap, observed_at: Timestamp) -> Event {
    let key =
        EventKey { event: EventType::WatchGap, resource, edge: Edge::Time(gap.from), source: Source::Google, n: 0 };
    let observed_at = observed_at.max(gap.from);
    let event = Event::new(key.id(), EventType::WatchGap, gap.from, observed_at, Provenance::Observed);
    Event { gap: Some(gap), ..event }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_began_by_a_clock_in_doubt_begins_where_the_steady_clock_says() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (right, minutes) = (1_800_000_000, Duration::from_secs(300));
        assert_eq!(began(at(right), at(right + 300), minutes), at(right));
        assert_eq!(began(at(right), at(right + 3900), minutes), at(right), "an hour off is no doubt");
        for wrong in [right - 315_360_000, right + 315_360_000] {
            assert_eq!(began(at(wrong), at(right), minutes), at(right - 300));
        }
    }
}
