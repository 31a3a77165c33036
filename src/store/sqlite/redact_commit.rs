//! Keeps forgotten people out of everything that is written later.
//!
//! Every commit passes [`redact`], which removes a forgotten person's name, account and address from the rows and from
//! the events. The log keeps its ids, sequence numbers and times, so receivers notice only that the name is missing.
//!
//! While a conference is watched, Google is asked for its participants by Google's own names. So these names stay in
//! the rows of an unfinished conference, but in none of its events. [`erase_closed`] replaces them in the transaction
//! that closes the conference.

use std::borrow::Cow;

use jiff::Timestamp;
use rusqlite::Connection;

use super::conference_numbers::ConferenceNumbers;
use super::erase::erase;
use super::event_redaction::{format_body, parse_body, redact_event, redact_row};
use super::forgotten::{is_forgotten, key, remember};
use super::pseudonym::ErasureKey;
use super::values::parse_at;
use crate::model::{EventType, ParticipantName, UserName};
use crate::store::error::{StoreError, WriteError};
use crate::store::rows::{Commit, NewEvent, Phase};

/// Returns the commit without the data of forgotten people.
pub(super) fn redact<'c>(
    connection: &Connection,
    commit: &'c Commit,
    now: Timestamp,
) -> Result<Cow<'c, Commit>, StoreError> {
    let mut redacted = Cow::Borrowed(commit);
    let Some(key) = key(connection)? else { return Ok(redacted) };
    for (at, row) in commit.participants.iter().enumerate() {
        if is_forgotten(connection, &key, row.user.as_ref().map(UserName::as_str), &row.name)? {
            // After a restart only the name is known.
            remember(connection, &key.hash(row.name.as_str()), now)?;
            redact_row(&mut redacted.to_mut().participants[at]);
        }
    }
    for (at, event) in commit.events.iter().enumerate() {
        if event.participant.is_none() && event.event != EventType::ConferenceEnded {
            continue;
        }
        if let Some(body) = redacted_body(connection, &key, event)? {
            redacted.to_mut().events[at].body = body.into();
        }
    }
    Ok(redacted)
}

/// Returns the redacted body; `None` if it names no forgotten person.
fn redacted_body(connection: &Connection, key: &ErasureKey, row: &NewEvent) -> Result<Option<String>, StoreError> {
    let mut event = parse_body(&row.body)?;
    let about = event.participant.iter();
    let rows = event.attendance.iter().filter_map(|attendance| attendance.participants.as_ref()).flatten();
    let people: Vec<_> = about.chain(rows.map(|row| &row.participant)).cloned().collect();
    let mut changed = false;
    for person in people {
        if is_forgotten(connection, key, person.user.as_ref().map(UserName::as_str), &person.name)? {
            let about = (row.participant.as_ref() == Some(&person.name)).then_some(row.session.as_ref());
            changed |= redact_event(&mut event, key, &person.name, about)?;
        }
    }
    changed.then(|| format_body(&event)).transpose()
}

/// If a commit closed its conference, replaces Google's names of the forgotten people in it.
pub(super) fn erase_closed(connection: &Connection, commit: &Commit, now: Timestamp) -> Result<(), WriteError> {
    let closed = commit.conference.as_ref().filter(|conference| conference.phase == Phase::Closed);
    let (Some(conference), Some(key)) = (closed, key(connection)?) else { return Ok(()) };
    let number = ConferenceNumbers::default().of(connection, &conference.name)?;
    let mut people: Vec<(ParticipantName, Option<String>)> = Vec::new();
    let mut statement = connection.prepare_cached("SELECT name, user FROM participants WHERE conference = ?1")?;
    let mut rows = statement.query([number])?;
    while let Some(row) = rows.next()? {
        people.push((parse_at(row, "name", ParticipantName::parse)?, row.get("user")?));
    }
    for (name, user) in people {
        if is_forgotten(connection, &key, user.as_deref(), &name)? {
            erase(connection, &key, number, &name, now)?;
        }
    }
    Ok(())
}
