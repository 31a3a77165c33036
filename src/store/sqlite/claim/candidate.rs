//! The deliveries that a claim chooses from, and the queries that find them.

use jiff::Timestamp;
use rusqlite::Row;

use crate::model::{ConferenceName, EventId, EventType};
use crate::store::error::StoreError;
use crate::store::outbox::{Claimed, DeliveryId, LaneId};
use crate::store::sqlite::breaker::not_found;
use crate::store::sqlite::values::{known, optional_parse_at, optional_time_at, parse_at, time_at};

/// The columns that a claim needs of every candidate.
macro_rules! candidates {
    ($from:literal, $which:literal) => {
        concat!(
            "SELECT d.id AS delivery, d.lane, d.position, d.state, d.due_at, d.replayed_at, d.claims + 1 AS claim,
                    d.attempts, d.failures, d.rejections, d.owed_at, d.tried_since, d.settle_until, d.batch, e.id AS event,
                    e.type, e.time, e.body,
                    c.name AS conference, p.id AS previous,
                    EXISTS (SELECT 1 FROM deliveries n INDEXED BY deliveries_open
                            WHERE n.lane = d.lane AND n.position > d.position AND n.state IN ('pending', 'leased'))
                        AS others_wait
             FROM deliveries d INDEXED BY ",
            $from,
            " CROSS JOIN events e ON e.position = d.position
              LEFT JOIN conferences c ON c.id = e.conference
              LEFT JOIN events p ON p.position = d.previous
              WHERE ",
            $which
        )
    };
}

/// The due heads of an endpoint.
pub(super) const DUE: &str = candidates!(
    "deliveries_due",
    "d.endpoint = ?1 AND d.head = 1 AND d.state = 'pending' AND d.due_at <= ?2 ORDER BY d.due_at LIMIT ?3"
);

/// The deliveries behind one in its lane.
pub(super) const RUN: &str = candidates!(
    "deliveries_open",
    "d.lane = ?1 AND d.position > ?2 AND d.state IN ('pending', 'leased') ORDER BY d.position LIMIT ?3"
);

/// The unfinished members of a frozen batch.
pub(super) const BATCH: &str =
    candidates!("deliveries_batch", "d.batch = ?1 AND d.state = 'pending' ORDER BY d.position");

/// Candidates for a probe: due ones first, then failed ones that wait for their next attempt, at last those that were not
/// found.
pub(super) const PROBES: [&str; 3] = [
    candidates!(
        "deliveries_due",
        "d.endpoint = ?1 AND d.head = 1 AND d.state = 'pending' AND d.due_at <= ?2 AND d.lane NOT IN (?3, ?4, ?5)
         ORDER BY d.due_at LIMIT 1"
    ),
    // A rejected delivery waits because of itself; any other failed one waits because of the endpoint.
    candidates!(
        "deliveries_failed",
        "d.endpoint = ?1 AND d.head = 1 AND d.state = 'pending' AND d.attempts > 0 AND d.due_at > ?2 AND d.rejections = 0
         AND d.lane NOT IN (?3, ?4, ?5) ORDER BY d.due_at LIMIT 1"
    ),
    concat!(
        candidates!(
            "deliveries_failed",
            "d.endpoint = ?1 AND d.head = 1 AND d.state = 'pending' AND d.attempts > 0 AND d.due_at > ?2 AND d.rejections > 0
             AND d.lane NOT IN (?3, ?4, ?5) AND EXISTS ("
        ),
        not_found!("d.id"),
        ") ORDER BY d.due_at LIMIT 1"
    ),
];

/// A delivery that may be claimed.
pub(super) struct Candidate {
    pub(super) claimed: Claimed,
    pub(super) position: i64,
    pub(super) due_at: Timestamp,
    pub(super) pending: bool,
    pub(super) replayed: bool,
    /// It is a leave that is held back in case it undoes itself.
    pub(super) settling: bool,
    /// The leader of its batch, if it is in one.
    pub(super) batch: Option<i64>,
}

impl Candidate {
    /// Reads a row of the candidate queries. Times after `now` come from a clock that was wrong and are read as `now`;
    /// else the delivery would be kept longer by the clock's error.
    pub(super) fn read(row: &Row<'_>, now: Timestamp) -> Result<Self, StoreError> {
        let replayed_at = optional_time_at(row, "replayed_at")?;
        let claimed = Claimed {
            delivery: DeliveryId(row.get("delivery")?),
            lane: LaneId(row.get("lane")?),
            claim: row.get("claim")?,
            event: parse_at(row, "event", known(EventId::parse))?,
            event_type: parse_at(row, "type", known(EventType::parse))?,
            conference: optional_parse_at(row, "conference", ConferenceName::parse)?,
            time: time_at(row, "time")?,
            body: row.get("body")?,
            previous: optional_parse_at(row, "previous", known(EventId::parse))?,
            attempts: row.get("attempts")?,
            failures: row.get("failures")?,
            rejections: row.get("rejections")?,
            owed_at: replayed_at.map_or_else(|| time_at(row, "owed_at"), Ok)?.min(now),
            tried_since: optional_time_at(row, "tried_since")?.map(|since| since.min(now)),
            others_wait: row.get("others_wait")?,
            batch: None,
        };
        Ok(Self {
            position: row.get("position")?,
            due_at: time_at(row, "due_at")?,
            pending: row.get_ref("state")?.as_str().is_ok_and(|state| state == "pending"),
            replayed: replayed_at.is_some(),
            settling: optional_time_at(row, "settle_until")?.is_some_and(|until| until > now),
            batch: row.get("batch")?,
            claimed,
        })
    }
}
