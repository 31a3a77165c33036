//! All SQL that hands deliveries out, and takes back what was handed out for too long.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::delivery::{ClaimRequest, Claimed, DeliveryId, EndpointReply, LaneId, Pick, StoredBreaker};
use super::endpoints::{self, Change, Rules};
use super::error::StoreError;
use super::values::{known, nanos, optional_parse_at, optional_time, optional_time_at, parse_at, time_at};
use super::{batch, lanes};
use crate::clock::saturating_add;
use crate::model::{ConferenceName, EndpointName, EventId, EventType};

/// How many deliveries of an endpoint in trouble one probe gives up because their time is over.
const BURIED_AT_ONCE: usize = 1000;

/// One claim hands out no more event bodies than this, but for the one that goes beyond it.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// Makes every lease void: those who held them are gone.
pub(super) fn void_leases(connection: &Connection) -> Result<usize, StoreError> {
    let voided = connection
        .prepare_cached("UPDATE deliveries SET state = 'pending', lease_until = NULL WHERE state = 'leased'")?
        .execute([])?;
    Ok(voided)
}

/// Takes back leases that ended, except where the asker is still at it.
pub(super) fn end_leases(connection: &Connection, in_flight: &[DeliveryId], now: Timestamp) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM deliveries INDEXED BY deliveries_leased WHERE state = 'leased' AND lease_until <= ?1",
    )?;
    let ended: Vec<i64> = statement.query_map([nanos(now)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut void =
        connection.prepare_cached("UPDATE deliveries SET state = 'pending', lease_until = NULL WHERE id = ?1")?;
    if ended.is_empty() {
        return Ok(());
    }
    // A slow endpoint may hold a thousand beyond their lease, and there may be many such endpoints.
    let in_flight: HashSet<i64> = in_flight.iter().map(|delivery| delivery.0).collect();
    for id in ended {
        if !in_flight.contains(&id) {
            void.execute([id])?;
        }
    }
    Ok(())
}

/// Hands out what is asked for.
pub(super) fn claim(
    connection: &Connection,
    request: &ClaimRequest,
    now: Timestamp,
) -> Result<EndpointReply, StoreError> {
    let endpoint = endpoints::number_of(connection, &request.endpoint)?;
    let rules = endpoints::rules_of(connection, endpoint)?;
    let mut reply = nothing(&request.endpoint, rules);
    if !rules.on {
        return Ok(reply);
    }
    let horizon = nanos(saturating_add(now, request.longest_wait));
    connection
        .prepare_cached(
            "UPDATE deliveries SET due_at = ?2 WHERE endpoint = ?1 AND head = 1 AND state = 'pending' AND due_at > ?2",
        )?
        .execute([endpoint, horizon])?;
    let mut hand = Hand { connection, rules, endpoint, now, claimed: Vec::new(), bytes: 0, change: Change::default() };
    match &request.pick {
        Pick::Due { .. } if matches!(rules.breaker, StoredBreaker::Open { .. }) => {}
        Pick::Due { limit, .. } if rules.batching.is_some() => hand.take_batches(*limit)?,
        Pick::Due { limit, run } => hand.take_due(*limit, *run)?,
        Pick::Probe { not_of, window } => {
            hand.bury(nanos(now.saturating_sub(*window).unwrap_or(Timestamp::MIN)))?;
            hand.take_probe(not_of)?;
        }
    }
    hand.lease(nanos(saturating_add(now, request.lease)))?;
    endpoints::count(connection, endpoint, hand.change)?;
    reply.expired = hand.change.expired.unsigned_abs();
    reply.buried = hand.change.dead.unsigned_abs();
    reply.claimed = hand.claimed;
    let next: Option<i64> = connection
        .prepare_cached(
            "SELECT min(due_at) FROM deliveries INDEXED BY deliveries_due
             WHERE endpoint = ?1 AND head = 1 AND state = 'pending'",
        )?
        .query_row([endpoint], |row| row.get(0))?;
    reply.next_due = optional_time(next)?;
    Ok(reply)
}

fn nothing(endpoint: &EndpointName, rules: Rules) -> EndpointReply {
    EndpointReply {
        endpoint: endpoint.clone(),
        enabled: rules.on,
        breaker: rules.breaker,
        claimed: Vec::new(),
        expired: 0,
        buried: 0,
        next_due: None,
    }
}

/// One claim as it is put together.
pub(super) struct Hand<'c> {
    pub(super) connection: &'c Connection,
    pub(super) rules: Rules,
    endpoint: i64,
    pub(super) now: Timestamp,
    pub(super) claimed: Vec<Claimed>,
    /// The size of all bodies that were read.
    pub(super) bytes: usize,
    change: Change,
}

/// What is asked of every delivery that may be claimed.
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

const DUE: &str = candidates!(
    "deliveries_due",
    "d.endpoint = ?1 AND d.head = 1 AND d.state = 'pending' AND d.due_at <= ?2 ORDER BY d.due_at LIMIT ?3"
);

pub(super) const RUN: &str = candidates!(
    "deliveries_open",
    "d.lane = ?1 AND d.position > ?2 AND d.state IN ('pending', 'leased') ORDER BY d.position LIMIT ?3"
);

/// What is still to be sent of a batch.
pub(super) const BATCH: &str =
    candidates!("deliveries_batch", "d.batch = ?1 AND d.state = 'pending' ORDER BY d.position");

const PROBES: [&str; 2] = [
    candidates!(
        "deliveries_due",
        "d.endpoint = ?1 AND d.head = 1 AND d.state = 'pending' AND d.due_at <= ?2 AND d.lane NOT IN (?3, ?4, ?5)
         ORDER BY d.due_at LIMIT 1"
    ),
    // What was rejected waits for its own sake; everything else that failed has waited for the endpoint's.
    candidates!(
        "deliveries_failed",
        "d.endpoint = ?1 AND d.head = 1 AND d.state = 'pending' AND d.attempts > 0 AND d.due_at > ?2 AND d.rejections = 0
         AND d.lane NOT IN (?3, ?4, ?5) ORDER BY d.due_at LIMIT 1"
    ),
];

impl Hand<'_> {
    /// The heads that are due.
    pub(super) fn due(&mut self, limit: usize) -> Result<Vec<Candidate>, StoreError> {
        let mut heads = Vec::new();
        let mut statement = self.connection.prepare_cached(DUE)?;
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![self.endpoint, nanos(self.now), most])?;
        while let Some(row) = rows.next()? {
            let head = Candidate::read(row, self.now)?;
            self.bytes += head.claimed.body.len();
            heads.push(head);
            if self.bytes > MOST_BYTES {
                break;
            }
        }
        Ok(heads)
    }

    /// The heads that are due, and what follows each in its lane.
    fn take_due(&mut self, limit: usize, run: usize) -> Result<(), StoreError> {
        let heads = self.due(limit)?;
        let spare = limit.saturating_sub(heads.len());
        let each = if heads.is_empty() { 0 } else { (spare / heads.len()).min(run.saturating_sub(1)) };
        for head in heads {
            let (lane, position, alone) = (head.claimed.lane, head.position, !head.claimed.others_wait);
            let last = self.take_or_expire(head)?;
            let mut expired = last.then_some(position);
            if self.rules.ordered && !alone && each > 0 {
                expired = self.take_run(lane, position, each)?.or(expired);
            }
            if let Some(expired) = expired.filter(|_| self.rules.ordered) {
                lanes::advance(self.connection, lane.0, expired, self.now)?;
            }
        }
        Ok(())
    }

    /// Those that follow in a lane, up to the first that is not due or failed before. The position of the last that
    /// expired while the one before it had, too.
    fn take_run(&mut self, lane: LaneId, after: i64, most: usize) -> Result<Option<i64>, StoreError> {
        let mut run = Vec::new();
        {
            let mut statement = self.connection.prepare_cached(RUN)?;
            let mut rows = statement.query(params![lane.0, after, i64::try_from(most).unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                let candidate = Candidate::read(row, self.now)?;
                self.bytes += candidate.claimed.body.len();
                if self.bytes > MOST_BYTES
                    || !candidate.pending
                    || candidate.due_at > self.now
                    || candidate.claimed.attempts > 0
                {
                    break;
                }
                run.push(candidate);
            }
        }
        let mut expired = None;
        for candidate in run {
            let position = candidate.position;
            if self.take_or_expire(candidate)? {
                expired = Some(position);
            }
        }
        Ok(expired)
    }

    /// True where it was too old to be sent, and expired.
    fn take_or_expire(&mut self, candidate: Candidate) -> Result<bool, StoreError> {
        if self.is_too_old(&candidate) {
            self.expire(candidate.claimed.delivery)?;
            return Ok(true);
        }
        if let Some(batch) = candidate.batch {
            // It was to be sent in a batch when the endpoint still took them.
            batch::dissolve(self.connection, batch)?;
        }
        self.claimed.push(candidate.claimed);
        Ok(false)
    }

    pub(super) fn is_too_old(&self, candidate: &Candidate) -> bool {
        let oldest = self.rules.max_age.map(|age| self.now.saturating_sub(age).unwrap_or(Timestamp::MIN));
        !candidate.replayed && oldest.is_some_and(|oldest| candidate.claimed.time < oldest)
    }

    pub(super) fn expire(&mut self, delivery: DeliveryId) -> Result<(), StoreError> {
        self.end(delivery.0, "expired", "max_age")?;
        self.change.owed -= 1;
        self.change.expired += 1;
        Ok(())
    }

    fn end(&self, delivery: i64, state: &str, reason: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE deliveries SET state = ?2, head = 0, reason = ?3, finished_at = ?4 WHERE id = ?1")?
            .execute(params![delivery, state, reason, nanos(self.now)])?;
        Ok(())
    }

    /// The one that was to be sent first: due, or else one that failed and waits for its next attempt.
    fn take_probe(&mut self, not_of: &[LaneId]) -> Result<(), StoreError> {
        let not_of = |index: usize| not_of.get(index).map_or(-1, |lane| lane.0);
        for sql in PROBES {
            let mut statement = self.connection.prepare_cached(sql)?;
            let asked = params![self.endpoint, nanos(self.now), not_of(0), not_of(1), not_of(2)];
            let found = statement.query_row(asked, |row| Ok(Candidate::read(row, self.now))).optional()?.transpose()?;
            if let Some(candidate) = found {
                let (lane, position) = (candidate.claimed.lane.0, candidate.position);
                if let Some(batching) = self.rules.batching {
                    self.take_batch(candidate, batching)?;
                } else if self.take_or_expire(candidate)? {
                    lanes::advance(self.connection, lane, position, self.now)?;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// Gives up what was owed before `cut`: nobody is to be sent anything, so it gets no attempt.
    fn bury(&mut self, cut: i64) -> Result<(), StoreError> {
        let heads: Vec<(i64, i64)> = self
            .connection
            .prepare_cached(
                "SELECT lane, position FROM deliveries INDEXED BY deliveries_oldest
                 WHERE endpoint = ?1 AND head = 1 AND owed_at < ?2 AND state = 'pending'
                       AND coalesce(replayed_at, owed_at) < ?2 LIMIT 100",
            )?
            .query_map([self.endpoint, cut], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let each = BURIED_AT_ONCE / heads.len().max(1);
        for (lane, position) in heads {
            let old: Vec<(i64, i64)> = self
                .connection
                .prepare_cached(
                    "SELECT id, position FROM deliveries INDEXED BY deliveries_open
                     WHERE lane = ?1 AND position >= ?2 AND state IN ('pending', 'leased') AND state = 'pending'
                           AND coalesce(replayed_at, owed_at) < ?3
                           AND NOT EXISTS (SELECT 1 FROM deliveries m WHERE m.batch = deliveries.batch AND m.state = 'pending'
                                           AND coalesce(m.replayed_at, m.owed_at) >= ?3)
                     ORDER BY position LIMIT ?4",
                )?
                .query_map(params![lane, position, cut, i64::try_from(each).unwrap_or(i64::MAX)], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect::<Result<_, _>>()?;
            for (delivery, _) in &old {
                self.end(*delivery, "dead", "window")?;
                self.change.owed -= 1;
                self.change.dead += 1;
            }
            if let Some((_, last)) = old.last() {
                lanes::advance(self.connection, lane, *last, self.now)?;
            }
        }
        Ok(())
    }

    fn lease(&self, until: i64) -> Result<(), StoreError> {
        let mut lease = self.connection.prepare_cached(
            "UPDATE deliveries SET state = 'leased', claims = claims + 1, lease_until = ?2, owed_at = min(owed_at, ?3),
                                   tried_since = min(tried_since, ?3)
             WHERE id = ?1",
        )?;
        for claimed in &self.claimed {
            lease.execute([claimed.delivery.0, until, nanos(self.now)])?;
        }
        Ok(())
    }
}

/// A delivery that may be claimed.
pub(super) struct Candidate {
    pub(super) claimed: Claimed,
    pub(super) position: i64,
    due_at: Timestamp,
    pub(super) pending: bool,
    replayed: bool,
    /// It is held back to see whether it undoes itself.
    pub(super) settling: bool,
    /// Who leads its batch, where it is in one.
    pub(super) batch: Option<i64>,
}

impl Candidate {
    /// What lies ahead of `now` comes from a clock that was wrong: it would not be given up for as long as it was wrong by.
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
