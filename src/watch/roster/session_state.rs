//! Pure: what is known of one session, and how a new reading changes it.
//!
//! Knowledge only grows: the start is the earliest told; the end goes open → inferred → Google's, and of two of Google's
//! the later holds. So reading twice changes nothing, and what Google said ends up the same in whatever order it was read.

use jiff::Timestamp;

use crate::model::{self, SessionName, Source};

/// What is known of one session, and what was told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    pub name: SessionName,
    pub start: Timestamp,
    /// `None` while it is open.
    pub end: Option<(Timestamp, Source)>,
    pub(super) started: Option<Emission>,
    pub(super) ended: Option<Emission>,
}

/// An event that was told and stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emission {
    pub time: Timestamp,
    pub source: Source,
    /// How often the same was told and taken back before.
    pub n: u32,
}

/// What a reading did to what was known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MergeOutcome {
    pub changed: bool,
    /// How many things did not fit what was known.
    pub disagreements: u64,
}

impl SessionState {
    /// A session that is read for the first time.
    #[must_use]
    pub fn new(read: &model::Session) -> (Self, MergeOutcome) {
        let mut known = Self { name: read.name.clone(), start: read.start, end: None, started: None, ended: None };
        let merged = known.merge(read, true);
        (known, MergeOutcome { changed: true, ..merged })
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Takes in a reading of the same session. `lift`: whether "open" takes an inferred end back, which it does for as
    /// long as the conference goes on; afterwards nothing is open.
    pub fn merge(&mut self, read: &model::Session, lift: bool) -> MergeOutcome {
        let before = (self.start, self.end);
        let mut disagreements = 0;
        if read.start != self.start {
            disagreements += 1;
            self.start = self.start.min(read.start);
        }
        // An end before the start it was told with becomes that start: so it does not matter which start is known by then.
        let emitted = read.end.map(|end| end.max(read.start));
        disagreements += u64::from(emitted != read.end);
        self.end = match (self.end, emitted) {
            (Some((known, Source::Google)), Some(emitted)) => {
                disagreements += u64::from(known != emitted);
                Some((known.max(emitted), Source::Google))
            }
            (Some((known, Source::Google)), None) => {
                disagreements += 1;
                Some((known, Source::Google))
            }
            (Some((_, Source::Inferred)), None) if lift => None,
            (inferred_or_open, None) => inferred_or_open,
            (_, Some(emitted)) => Some((emitted, Source::Google)),
        };
        MergeOutcome { changed: before != (self.start, self.end), disagreements }
    }

    /// Concludes that an open session ended at `time`, for want of a word from Google.
    pub fn infer_end(&mut self, time: Timestamp) {
        if self.is_open() {
            self.end = Some((time.max(self.start), Source::Inferred));
        }
    }
}
