//! All SQL that owes what was committed to whoever wants it.
//!
//! What has to arrive in order is a lane: one conference on one endpoint. Only a lane's head can be due, and only heads are
//! in the indexes that claims read, so a backlog of a million behind them costs a claim nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::batch;
use super::endpoints::{self, Change, Rules};
use super::error::StoreError;
use super::facts::NO_CONFERENCE;
use super::lanes;
use super::log::Appended;
use super::settle::{self, Fate};
use super::values::nanos;
use crate::clock::saturating_add;
use crate::model::EndpointName;

/// Owes each appended event to whoever wants it, and what takes an event back to whoever was owed that one.
pub(super) fn owe(connection: &Connection, appended: &[Appended<'_>], now: Timestamp) -> Result<(), StoreError> {
    let mut ledger = Ledger::default();
    let settles = !appended.is_empty() && settle::is_anywhere(connection)?;
    for event in appended {
        let undone = if settles {
            settle::undo(connection, event, now, &mut ledger.changes)?
        } else {
            settle::Undone::default()
        };
        let mut endpoints = Vec::with_capacity(event.event.owed_to.len());
        for name in &event.event.owed_to {
            endpoints.push(ledger.number_of(connection, name)?);
        }
        if let Some(earlier) = event.takes_back {
            endpoints.extend(who_was_owed(connection, event.conference, earlier)?);
        }
        // Where a leave was settled, so is what undid it, even if it is not wanted there: later ones are judged by both.
        endpoints.extend(undone.by_rejoining());
        endpoints.sort_unstable();
        endpoints.dedup();
        for endpoint in endpoints {
            let rules = ledger.rules_of(connection, endpoint)?;
            let (lane, last) = lanes::of(connection, endpoint, event.conference)?;
            let fate = settle::fate(connection, event, (endpoint, lane), rules.settle, &undone)?;
            let change = ledger.changes.entry(endpoint).or_default();
            match fate {
                Fate::Settled(_) => change.settled += 1,
                Fate::Owed | Fate::Held => change.owed += 1,
            }
            insert(connection, (endpoint, lane, last), rules, event, fate, now)?;
        }
    }
    ledger.changes.into_iter().try_for_each(|(endpoint, change)| endpoints::count(connection, endpoint, change))
}

/// What is known of the endpoints within one commit, each asked for once, and how their counters change.
#[derive(Default)]
struct Ledger<'a> {
    numbers: BTreeMap<&'a EndpointName, i64>,
    rules: BTreeMap<i64, Rules>,
    changes: BTreeMap<i64, Change>,
}

impl<'a> Ledger<'a> {
    fn number_of(&mut self, connection: &Connection, name: &'a EndpointName) -> Result<i64, StoreError> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        let number = endpoints::number_of(connection, name)?;
        self.numbers.insert(name, number);
        Ok(number)
    }

    fn rules_of(&mut self, connection: &Connection, endpoint: i64) -> Result<Rules, StoreError> {
        if let Some(rules) = self.rules.get(&endpoint) {
            return Ok(*rules);
        }
        let rules = endpoints::rules_of(connection, endpoint)?;
        self.rules.insert(endpoint, rules);
        Ok(rules)
    }
}

fn who_was_owed(connection: &Connection, conference: i64, position: i64) -> Result<Vec<i64>, StoreError> {
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
    rules: Rules,
    event: &Appended<'_>,
    fate: Fate,
    now: Timestamp,
) -> Result<(), StoreError> {
    let held_until = (fate == Fate::Held).then(|| saturating_add(now, rules.settle));
    let (state, settled, reason) = match fate {
        Fate::Settled(reason) => ("settled", true, Some(reason)),
        Fate::Owed | Fate::Held => ("pending", false, None),
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
        Some(batching) if idle => batch::await_more(connection, lane, batching, now),
        Some(batching) => batch::send_if_full(connection, lane, batching, now),
        None => Ok(()),
    }
}
