//! Pure: the union of a participant's sessions. Sessions that overlap or touch are one presence, so that a second device
//! adds nothing.

use jiff::Timestamp;

use crate::model::{SessionName, Source};

/// One uninterrupted presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    pub start: Timestamp,
    /// Inferred if Google shows no start at all, and [`Presence::start`] is when the participant was first seen.
    pub start_source: Source,
    /// The session that began it. `None` if only the participant resource is known.
    pub first: Option<SessionName>,
    /// `None` while it lasts. The source is Google only if the session that ended last has Google's end.
    pub end: Option<(Timestamp, Source)>,
    /// The session that ended it.
    pub last: Option<SessionName>,
}

/// The time of one session.
#[derive(Debug, Clone, Copy)]
pub struct SessionInterval<'a> {
    pub session: Option<&'a SessionName>,
    pub start: Timestamp,
    pub end: Option<(Timestamp, Source)>,
}

/// Returns the union of intervals. They may come in any order.
#[must_use]
pub fn unite<'a>(stretches: impl IntoIterator<Item = SessionInterval<'a>>) -> Vec<Presence> {
    let mut stretches: Vec<_> = stretches.into_iter().collect();
    stretches.sort_by_key(|stretch| (stretch.start, stretch.session));
    let mut presences: Vec<Presence> = Vec::new();
    for stretch in stretches {
        match presences.last_mut() {
            Some(last) if last.end.is_none_or(|(end, _)| stretch.start <= end) => {
                if outlasts(stretch.end, last.end) {
                    last.end = stretch.end;
                    last.last = stretch.session.cloned();
                }
            }
            _ => presences.push(Presence {
                start: stretch.start,
                start_source: Source::Google,
                first: stretch.session.cloned(),
                end: stretch.end,
                last: stretch.session.cloned(),
            }),
        }
    }
    presences
}

/// Returns whether one end is later than another. Of two ends at one instant, Google's is preferred.
fn outlasts(one: Option<(Timestamp, Source)>, other: Option<(Timestamp, Source)>) -> bool {
    match (one, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some((one, source)), Some((other, known))) => {
            one > other || (one == other && source == Source::Google && known == Source::Inferred)
        }
    }
}
