//! Deleting what is older than the retention: the request for one step, and what the step did.

use jiff::Timestamp;

/// One step of a pass through everything that may be old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneRequest {
    /// Conferences and events younger than this stay.
    pub cutoff: Timestamp,
    /// Tombstones younger than this stay.
    pub tombstone_cutoff: Timestamp,
    /// Where the previous step ended.
    pub from: PruneCursor,
    /// The most rows that one step deletes, and the most that it skips. Rows that depend on the last of them come on
    /// top: a delivery's attempts, a conference's lanes, and the deliveries of an event without a conference.
    pub rows: u32,
}

/// How far a pass has come. A pass begins with [`PruneCursor::START`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneCursor {
    /// After the closed conference with this end and number.
    Conferences {
        end: i64,
        id: i64,
        /// The next conference is partly deleted already.
        begun: bool,
    },
    /// After the event at this position, among the events without a conference.
    LoneEvents {
        position: i64,
    },
    Tombstones,
    /// Returning empty pages to the file system.
    Pages,
}

impl PruneCursor {
    /// Where a pass begins.
    pub const START: Self = Self::Conferences { end: i64::MIN, id: 0, begun: false };
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many rows were deleted, without attempts and lanes.
    pub rows: u32,
    /// Where the next step begins; `None` when the pass is complete.
    pub next: Option<PruneCursor>,
}
