//! Pure: what is known of one session, and how another read of it is merged.
//!
//! Knowledge only grows. The earliest start that was read counts. The end goes from open to inferred to Google's, and of
//! two ends of Google's the later counts. So reading twice changes nothing, and the order of reads does not matter.

use jiff::Timestamp;

use crate::model::{self, SessionName, Source};

/// What is known of one session, and what was emitted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    pub name: SessionName,
    pub start: Timestamp,
    /// `None` while it is open.
    pub end: Option<(Timestamp, Source)>,
    pub(super) started: Option<Emission>,
    pub(super) ended: Option<Emission>,
}

/// An event that was emitted and stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emission {
    pub time: Timestamp,
    pub source: Source,
    /// How often an event with the same time and source was emitted and withdrawn before.
    pub n: u32,
}

/// What a read changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MergeOutcome {
    pub changed: bool,
    /// How many values contradicted what was known.
    pub disagreements: u64,
}

impl SessionState {
    /// Creates the state of a session that is read for the first time.
    #[must_use]
    pub fn new(read: &model::Session) -> (Self, MergeOutcome) {
        let mut known = Self { name: read.name.clone(), start: read.start, end: None, started: None, ended: None };
        let merged = known.merge(read, true);
        (known, MergeOutcome { changed: true, ..merged })
    }

    /// Returns the end, if Google reported it.
    #[must_use]
    pub fn google_end(&self) -> Option<(Timestamp, Source)> {
        self.end.filter(|(_, source)| *source == Source::Google)
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Takes in a read of the session. `reopen` says whether an open session withdraws an inferred end. It does while the
    /// conference goes on; afterwards nothing is open.
    pub fn merge(&mut self, read: &model::Session, reopen: bool) -> MergeOutcome {
        let before = (self.start, self.end);
        let mut disagreements = 0;
        if read.start != self.start {
            disagreements += 1;
            self.start = self.start.min(read.start);
        }
        // An end before the start that it was read with is moved to that start. So the result does not depend on which
        // start is known by then.
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
            (Some((_, Source::Inferred)), None) if reopen => None,
            (inferred_or_open, None) => inferred_or_open,
            (_, Some(emitted)) => Some((emitted, Source::Google)),
        };
        MergeOutcome { changed: before != (self.start, self.end), disagreements }
    }

    /// Ends an open session at `time`, as inferred.
    pub fn infer_end(&mut self, time: Timestamp) {
        if self.is_open() {
            self.end = Some((time.max(self.start), Source::Inferred));
        }
    }
}
