//! All SQL that owes, claims and records deliveries.
//!
//! What has to arrive in order is a *lane*: one conference on one endpoint. Only a lane's head can be due, and only heads
//! are in the indexes that claims read, so a backlog of a million behind them costs a claim nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::delivery::{
    AttemptRow, ClaimRequest, Claimed, DeliveryId, EndpointReply, OutboxReply, OutboxRequest, Record, Then,
};

use super::error::StoreError;
use super::facts::NO_CONFERENCE;
use super::log::Appended;
use super::values::{known, nanos, optional_parse_at, optional_time, optional_time_at, parse_at, time_at};
use super::{endpoints, lanes};
use crate::clock::saturating_add;
use crate::model::{ConferenceName, EndpointName, EventId, EventType};

/// Owes each appended event to whoever wants it, and what takes an event back to whoever was owed that one.
pub(super) fn owe(connection: &Connection, appended: &[Appended<'_>], now: Timestamp) -> Result<(), StoreError> {
    let mut numbers: BTreeMap<&EndpointName, i64> = BTreeMap::new();
    let mut owed: BTreeMap<i64, i64> = BTreeMap::new();
    for event in appended {
        let mut endpoints = Vec::with_capacity(event.event.owed_to.len());
        for name in &event.event.owed_to {
            let number = match numbers.get(name) {
                Some(number) => *number,
                None => endpoints::number_of(connection, name)?,
            };
            numbers.insert(name, number);
            endpoints.push(number);
        }
        if let Some(earlier) = event.takes_back {
            endpoints.extend(who_was_owed(connection, event.conference, earlier)?);
        }
        endpoints.sort_unstable();
        endpoints.dedup();
        for endpoint in endpoints {
            owe_one(connection, endpoint, event, now)?;
            *owed.entry(endpoint).or_default() += 1;
        }
    }
    owed.into_iter().try_for_each(|(endpoint, more)| {
        endpoints::count(connection, endpoint, endpoints::Change { owed: more, ..endpoints::Change::default() })
    })
}

fn who_was_owed(connection: &Connection, conference: i64, position: i64) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT l.endpoint FROM lanes l CROSS JOIN deliveries d ON d.lane = l.id AND d.position = ?2
         WHERE l.conference = ?1",
    )?;
    let endpoints = statement.query_map([conference, position], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(endpoints)
}

fn owe_one(connection: &Connection, endpoint: i64, event: &Appended<'_>, now: Timestamp) -> Result<(), StoreError> {
    let (lane, last) = lanes::of(connection, endpoint, event.conference)?;
    let idle = lanes::is_idle(connection, lane)?;
    connection
        .prepare_cached(
            "INSERT INTO deliveries (position, endpoint, lane, state, head, due_at, owed_at, previous)
             VALUES (:position, :endpoint, :lane, 'pending', :head, :now, :now, :previous)",
        )?
        .execute(named_params! {
            ":position": event.position,
            ":endpoint": endpoint,
            ":lane": lane,
            ":head": idle,
            ":now": nanos(now),
            ":previous": last.filter(|_| event.conference != NO_CONFERENCE),
        })?;
    connection.prepare_cached("UPDATE lanes SET last_position = ?2 WHERE id = ?1")?.execute([lane, event.position])?;
    if !idle {
        // Nobody was waiting when the head's next attempt was put off beyond its hold; now somebody is.
        connection
            .prepare_cached(
                "UPDATE deliveries SET due_at = max(?2, hold_until) WHERE id = (
                    SELECT id FROM deliveries INDEXED BY deliveries_open
                    WHERE lane = ?1 AND state IN ('pending', 'leased') ORDER BY position LIMIT 1)
                 AND state = 'pending' AND due_at > max(?2, hold_until)",
            )?
            .execute([lane, nanos(now)])?;
    }
    Ok(())
}

/// Records what came of earlier claims, gives up leases that ended, and claims what is due.
pub(super) fn exchange(
    connection: &Connection,
    request: &OutboxRequest,
    now: Timestamp,
) -> Result<OutboxReply, StoreError> {
    let mut reply = OutboxReply::default();
    for record in &request.records {
        if !write_record(connection, record, now)? {
            reply.stale.push(record.delivery);
        }
    }
    end_leases(connection, &request.in_flight, now)?;
    for claim in &request.claims {
        reply.endpoints.push(claim_due(connection, claim, now)?);
    }
    Ok(reply)
}

/// What a record needs to know of its delivery.
struct Leased {
    position: i64,
    endpoint: i64,
    lane: i64,
    attempts: u32,
}

/// Writes one record; false where its claim is over.
fn write_record(connection: &Connection, record: &Record, now: Timestamp) -> Result<bool, StoreError> {
    let leased = connection
        .prepare_cached(
            "SELECT position, endpoint, lane, attempts FROM deliveries
             WHERE id = ?1 AND state = 'leased' AND claims = ?2",
        )?
        .query_row([record.delivery.0, record.claim], |row| {
            Ok(Leased { position: row.get(0)?, endpoint: row.get(1)?, lane: row.get(2)?, attempts: row.get(3)? })
        })
        .optional()?;
    let Some(leased) = leased else { return Ok(false) };
    let attempts = leased.attempts + u32::from(record.attempt.is_some());
    if let Some(attempt) = &record.attempt {
        write_attempt(connection, record.delivery, attempts, attempt)?;
    }
    let reason = record.attempt.as_ref().and_then(|attempt| attempt.reason);
    match &record.then {
        Then::Done => finish(connection, record.delivery, &leased, attempts, "done", None, now)?,
        Then::Dead { reason } => finish(connection, record.delivery, &leased, attempts, "dead", Some(reason), now)?,
        Then::Retry { at, hold_until, rejections } => {
            put_off(connection, record.delivery, &leased, attempts, reason, (*at, *hold_until, *rejections), now)?;
        }
        Then::EndpointOff { reason } => {
            endpoints::switch_off(connection, leased.endpoint, reason, now)?;
            give_back(connection, record.delivery, attempts, Some(reason))?;
        }
        Then::Release => give_back(connection, record.delivery, attempts, reason)?,
    }
    Ok(true)
}

fn write_attempt(
    connection: &Connection,
    delivery: DeliveryId,
    number: u32,
    attempt: &AttemptRow,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO attempts (delivery, number, began_at, duration, status, reason, answer)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            delivery.0,
            number,
            nanos(attempt.began_at),
            i64::try_from(attempt.duration.as_nanos()).unwrap_or(i64::MAX),
            attempt.status,
            attempt.reason,
            attempt.answer,
        ])?;
    Ok(())
}

/// Ends a delivery and gives the next of its lane its turn.
fn finish(
    connection: &Connection,
    delivery: DeliveryId,
    leased: &Leased,
    attempts: u32,
    state: &'static str,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, head = 0, attempts = ?3, reason = ?4, finished_at = ?5, lease_until = NULL
             WHERE id = ?1",
        )?
        .execute(params![delivery.0, state, attempts, reason, nanos(now)])?;
    lanes::advance(connection, leased.lane, leased.position)?;
    let change = endpoints::Change { owed: -1, dead: i64::from(state == "dead"), ..endpoints::Change::default() };
    endpoints::count(connection, leased.endpoint, change)
}

/// Puts a delivery off to its next attempt: no later than its hold, where others wait behind it.
fn put_off(
    connection: &Connection,
    delivery: DeliveryId,
    leased: &Leased,
    attempts: u32,
    reason: Option<&str>,
    (at, hold_until, rejections): (Timestamp, Timestamp, u32),
    now: Timestamp,
) -> Result<(), StoreError> {
    let others_wait: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM deliveries WHERE lane = ?1 AND position > ?2)")?
        .query_row([leased.lane, leased.position], |row| row.get(0))?;
    let due_at = if others_wait { at.min(hold_until.max(now)) } else { at };
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'pending', attempts = ?2, reason = ?3, due_at = ?4, hold_until = ?5,
                                   rejections = ?6, lease_until = NULL
             WHERE id = ?1",
        )?
        .execute(params![delivery.0, attempts, reason, nanos(due_at), nanos(hold_until), rejections])?;
    Ok(())
}

/// Makes a delivery owed as it was before the claim.
fn give_back(
    connection: &Connection,
    delivery: DeliveryId,
    attempts: u32,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'pending', attempts = ?2, reason = coalesce(?3, reason), lease_until = NULL
             WHERE id = ?1",
        )?
        .execute(params![delivery.0, attempts, reason])?;
    Ok(())
}

/// Makes every lease void: those who held them are gone.
pub(super) fn void_leases(connection: &Connection) -> Result<usize, StoreError> {
    let voided = connection
        .prepare_cached("UPDATE deliveries SET state = 'pending', lease_until = NULL WHERE state = 'leased'")?
        .execute([])?;
    Ok(voided)
}

/// Takes back leases that ended, except where the asker is still at it.
fn end_leases(connection: &Connection, in_flight: &[DeliveryId], now: Timestamp) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM deliveries INDEXED BY deliveries_leased WHERE state = 'leased' AND lease_until <= ?1",
    )?;
    let ended: Vec<i64> = statement.query_map([nanos(now)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut void =
        connection.prepare_cached("UPDATE deliveries SET state = 'pending', lease_until = NULL WHERE id = ?1")?;
    for id in ended {
        if !in_flight.contains(&DeliveryId(id)) {
            void.execute([id])?;
        }
    }
    Ok(())
}

fn claim_due(connection: &Connection, request: &ClaimRequest, now: Timestamp) -> Result<EndpointReply, StoreError> {
    let endpoint = endpoints::number_of(connection, &request.endpoint)?;
    let mut reply = EndpointReply {
        endpoint: request.endpoint.clone(),
        enabled: endpoints::is_on(connection, endpoint)?,
        claimed: Vec::new(),
        next_due: None,
    };
    if !reply.enabled {
        return Ok(reply);
    }
    let horizon = nanos(saturating_add(now, request.longest_wait));
    connection
        .prepare_cached(
            "UPDATE deliveries SET due_at = ?2 WHERE endpoint = ?1 AND head = 1 AND state = 'pending' AND due_at > ?2",
        )?
        .execute([endpoint, horizon])?;
    reply.claimed = read_due(connection, endpoint, request.limit, now)?;
    let mut lease = connection.prepare_cached(
        "UPDATE deliveries SET state = 'leased', claims = claims + 1, lease_until = ?2,
                               tried_since = coalesce(tried_since, ?3)
         WHERE id = ?1",
    )?;
    let until = nanos(saturating_add(now, request.lease));
    for claimed in &reply.claimed {
        lease.execute([claimed.delivery.0, until, nanos(now)])?;
    }
    let next: Option<i64> = connection
        .prepare_cached(
            "SELECT min(due_at) FROM deliveries INDEXED BY deliveries_due
             WHERE endpoint = ?1 AND head = 1 AND state = 'pending'",
        )?
        .query_row([endpoint], |row| row.get(0))?;
    reply.next_due = optional_time(next)?;
    Ok(reply)
}

fn read_due(connection: &Connection, endpoint: i64, limit: usize, now: Timestamp) -> Result<Vec<Claimed>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.id AS delivery, d.claims + 1 AS claim, d.attempts, d.rejections, d.owed_at, d.tried_since,
                e.id AS event, e.type, e.time, e.body, c.name AS conference, p.id AS previous,
                EXISTS (SELECT 1 FROM deliveries n WHERE n.lane = d.lane AND n.position > d.position) AS others_wait
         FROM deliveries d INDEXED BY deliveries_due
              CROSS JOIN events e ON e.position = d.position
              LEFT JOIN conferences c ON c.id = e.conference
              LEFT JOIN events p ON p.position = d.previous
         WHERE d.endpoint = ?1 AND d.head = 1 AND d.state = 'pending' AND d.due_at <= ?2
         ORDER BY d.due_at LIMIT ?3",
    )?;
    let mut rows = statement.query(params![endpoint, nanos(now), i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut claimed = Vec::new();
    while let Some(row) = rows.next()? {
        claimed.push(read_claimed(row, now)?);
    }
    Ok(claimed)
}

fn read_claimed(row: &Row<'_>, now: Timestamp) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        delivery: DeliveryId(row.get("delivery")?),
        claim: row.get("claim")?,
        event: parse_at(row, "event", known(EventId::parse))?,
        event_type: parse_at(row, "type", known(EventType::parse))?,
        conference: optional_parse_at(row, "conference", ConferenceName::parse)?,
        time: time_at(row, "time")?,
        body: row.get("body")?,
        previous: optional_parse_at(row, "previous", known(EventId::parse))?,
        attempts: row.get("attempts")?,
        rejections: row.get("rejections")?,
        owed_at: time_at(row, "owed_at")?,
        tried_since: optional_time_at(row, "tried_since")?.unwrap_or(now),
        others_wait: row.get("others_wait")?,
    })
}
