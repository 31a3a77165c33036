//! Pure: the union of a person's sessions. Touching sessions are one presence; a second device adds nothing.

use jiff::Timestamp;

use crate::model::{SessionName, Source};

/// One uninterrupted stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    pub start: Timestamp,
    /// The session that began it. `None` where only the participant resource tells of it.
    pub first: Option<SessionName>,
    /// `None` while it lasts. Google's only if the session that ends it last has Google's end.
    pub end: Option<(Timestamp, Source)>,
    /// The session that ended it.
    pub last: Option<SessionName>,
}

/// One stretch of time to be united with others.
#[derive(Debug, Clone, Copy)]
pub struct SessionInterval<'a> {
    pub session: Option<&'a SessionName>,
    pub start: Timestamp,
    pub end: Option<(Timestamp, Source)>,
}

/// Unites stretches. They may come in any order.
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
                first: stretch.session.cloned(),
                end: stretch.end,
                last: stretch.session.cloned(),
            }),
        }
    }
    presences
}

/// Whether an end comes after another. Of two ends at one instant, Google's word counts for more.
fn outlasts(one: Option<(Timestamp, Source)>, other: Option<(Timestamp, Source)>) -> bool {
    match (one, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some((one, source)), Some((other, known))) => {
            one > other || (one == other && source == Source::Google && known == Source::Inferred)
        }
    }
}
