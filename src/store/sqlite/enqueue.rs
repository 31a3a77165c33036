//! Creates the deliveries of committed events.
//!
//! Only the head of a lane can be due, and only heads are in the indexes that claims read: a backlog of a million
//! deliveries behind them costs a claim nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::batch_wait;
use super::conference_numbers::NO_CONFERENCE;
use super::counters::{self, CounterChange};
use super::endpoints::{self, EndpointRules};
use super::lanes;
use super::log::Appended;
use super::settle::{self, Disposition};
use super::values::nanos;
use crate::clock::saturating_add;
use crate::model::EndpointName;
use crate::store::error::StoreError;

/// Creates a delivery for each endpoint that selects an event. An event that takes back another also goes to every
/// endpoint that has a delivery of that one.
pub(super) fn enqueue(connection: &Connection, appended: &[Appended<'_>], now: Timestamp) -> Result<(), StoreError> {
    let mut cache = EndpointCache::default();
    let settles = !appended.is_empty() && settle::is_anywhere(connection)?;
    for event in appended {
        let undone =
            if settles { settle::undo(connection, event, now, &mut cache.changes)? } else { settle::Undone::default() };
        let mut endpoints = Vec::with_capacity(event.event.owed_to.len());
        for name in &event.event.owed_to {
            endpoints.push(cache.number_of(connection, name)?);
        }
        if let Some(earlier) = event.takes_back {
            endpoints.extend(endpoints_with(connection, event.conference, earlier)?);
        }
        // If a leave was settled, the join that undid it is stored as settled too, even if the endpoint does not select
        // it: later events are judged by both.
        endpoints.extend(undone.endpoints_of_rejoin());
        endpoints.sort_unstable();
        endpoints.dedup();
        for endpoint in endpoints {
            let rules = cache.rules_of(connection, endpoint)?;
            let (lane, last) = lanes::of(connection, endpoint, event.conference)?;
            let disposition = settle::disposition(connection, event, (endpoint, lane), rules.settle, &undone)?;
            let change = cache.changes.entry(endpoint).or_default();
            match disposition {
                Disposition::Settled(_) => change.settled += 1,
                Disposition::Pending | Disposition::Held => change.owed += 1,
            }
            insert(connection, (endpoint, lane, last), rules, event, disposition, now)?;
        }
    }
    cache.changes.into_iter().try_for_each(|(endpoint, change)| counters::add(connection, endpoint, change))
}

/// The endpoints within one commit, each read once, and how their counters change.
#[derive(Default)]
struct EndpointCache<'a> {
    numbers: BTreeMap<&'a EndpointName, i64>,
    rules: BTreeMap<i64, EndpointRules>,
    changes: BTreeMap<i64, CounterChange>,
}

impl<'a> EndpointCache<'a> {
    fn number_of(&mut self, connection: &Connection, name: &'a EndpointName) -> Result<i64, StoreError> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        let number = endpoints::number_of(connection, name)?;
        self.numbers.insert(name, number);
        Ok(number)
    }

    fn rules_of(&mut self, connection: &Connection, endpoint: i64) -> Result<EndpointRules, StoreError> {
        if let Some(rules) = self.rules.get(&endpoint) {
            return Ok(*rules);
        }
        let rules = endpoints::rules_of(connection, endpoint)?;
        self.rules.insert(endpoint, rules);
        Ok(rules)
    }
}

/// Returns the endpoints that have a delivery of the event at a position.
fn endpoints_with(connection: &Connection, conference: i64, position: i64) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT l.endpoint FROM lanes l CROSS JOIN deliveries d ON d.lane = l.id AND d.position = ?2
         WHERE l.conference = ?1",
    )?;
    let endpoints = statement.query_map([conference, position], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(endpoints)
}

fn insert(
    connection: &Connection,
    (endpoint, lane, last): (i64, i64, Option<i64>),
    rules: EndpointRules,
    event: &Appended<'_>,
    disposition: Disposition,
    now: Timestamp,
) -> Result<(), StoreError> {
    let held_until = (disposition == Disposition::Held).then(|| saturating_add(now, rules.settle));
    let (state, settled, reason) = match disposition {
        Disposition::Settled(reason) => ("settled", true, Some(reason)),
        Disposition::Pending | Disposition::Held => ("pending", false, None),
    };
    let idle = lanes::is_idle(connection, lane)?;
    connection
        .prepare_cached(
            "INSERT INTO deliveries (position, endpoint, lane, state, head, due_at, owed_at, settle_until, previous, reason,
                                     finished_at)
             VALUES (:position, :endpoint, :lane, :state, :head, :due_at, :now, :settle_until, :previous, :reason,
                     :finished_at)",
        )?
        .execute(named_params! {
            ":position": event.position,
            ":endpoint": endpoint,
            ":lane": lane,
            ":state": state,
            ":head": !settled && (idle || !rules.ordered),
            ":due_at": nanos(held_until.unwrap_or(now)),
            ":now": nanos(now),
            ":settle_until": held_until.map(nanos),
            ":previous": last.filter(|_| event.conference != NO_CONFERENCE),
            ":reason": reason,
            ":finished_at": settled.then(|| nanos(now)),
        })?;
    if settled {
        return Ok(());
    }
    connection.prepare_cached("UPDATE lanes SET last_position = ?2 WHERE id = ?1")?.execute([lane, event.position])?;
    if !idle && rules.ordered {
        lanes::hurry_head(connection, lane, now)?;
    }
    match rules.batching {
        Some(batching) if idle => batch_wait::await_more(connection, lane, batching, now),
        Some(batching) => batch_wait::send_if_full(connection, lane, batching, now),
        None => Ok(()),
    }
}
