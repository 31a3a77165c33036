//! All SQL that takes a participant who was forgotten out of what is written.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::forget::remember;
use super::stand_in::{Key, blank_event};
use super::values::{optional_parse_at, parse_at};
use crate::model::{Event, ParticipantName, SessionName};

/// Takes one participant out of one conference.
pub(super) fn erase(
    connection: &Connection,
    key: &Key,
    conference: i64,
    name: &ParticipantName,
    now: Timestamp,
) -> Result<(), StoreError> {
    // What is overwritten is to be gone from the file, too.
    connection.pragma_update(None, "secure_delete", true)?;
    let erased = erase_rows(connection, key, conference, name, now);
    connection.pragma_update(None, "secure_delete", false)?;
    erased
}

fn erase_rows(
    connection: &Connection,
    key: &Key,
    conference: i64,
    name: &ParticipantName,
    now: Timestamp,
) -> Result<(), StoreError> {
    for Naming { position, about, session, body } in bodies(connection, conference, name)? {
        let mut event = parsed(&body)?;
        if blank_event(&mut event, key, name, about.then_some(session.as_ref()))? {
            connection
                .prepare_cached("UPDATE events SET body = ?2 WHERE position = ?1")?
                .execute(params![position, written(&event)?])?;
            forget_answers(connection, conference, position)?;
        }
    }
    connection
        .prepare_cached(
            "UPDATE participants SET user = NULL, display_name = NULL, email = NULL, affiliation = NULL
             WHERE conference = ?1 AND name = ?2",
        )?
        .execute(params![conference, name.as_str()])?;
    let closed = connection
        .prepare_cached("SELECT phase = 'closed' FROM conferences WHERE id = ?1")?
        .query_row([conference], |row| row.get::<_, bool>(0))
        .optional()?;
    let hash = key.hash(name.as_str());
    if closed == Some(false) {
        return remember(connection, &hash, now);
    }
    rename(connection, key, conference, name)?;
    // Nobody asks for that name any more.
    connection.prepare_cached("DELETE FROM forgotten WHERE hash = ?1")?.execute([hash])?;
    Ok(())
}

/// An event that may name a participant.
struct Naming {
    position: i64,
    /// Whether it is about that participant.
    about: bool,
    session: Option<SessionName>,
    body: String,
}

fn bodies(connection: &Connection, conference: i64, name: &ParticipantName) -> Result<Vec<Naming>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, participant IS ?2 AS about, session, body FROM events
         WHERE conference = ?1 AND sequence IS NOT NULL AND (participant = ?2 OR type = 'conference.ended')",
    )?;
    let mut rows = statement.query(params![conference, name.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Naming {
            position: row.get("position")?,
            about: row.get("about")?,
            session: optional_parse_at(row, "session", SessionName::parse)?,
            body: row.get("body")?,
        });
    }
    Ok(found)
}

/// What receivers answered to an event, alone or in a batch: some repeat what they were sent.
fn forget_answers(connection: &Connection, conference: i64, position: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE attempts SET answer = NULL WHERE answer IS NOT NULL AND delivery IN
                 (SELECT d.id FROM lanes l CROSS JOIN deliveries d ON d.lane = l.id AND d.position = ?2
                      WHERE l.conference = ?1
                  UNION SELECT d.batch FROM lanes l CROSS JOIN deliveries d ON d.lane = l.id AND d.position = ?2
                      WHERE l.conference = ?1 AND d.batch IS NOT NULL)",
        )?
        .execute([conference, position])?;
    Ok(())
}

/// Takes Google's names of a participant and its sessions away.
fn rename(connection: &Connection, key: &Key, conference: i64, name: &ParticipantName) -> Result<(), StoreError> {
    let stand_in = key.stand_in(name)?;
    for session in sessions(connection, conference, name)? {
        let renamed = key.session(&session, &stand_in)?;
        for part in [
            "UPDATE OR REPLACE sessions SET name = ?3 WHERE conference = ?1 AND name = ?2",
            "UPDATE events SET session = ?3 WHERE conference = ?1 AND sequence IS NOT NULL AND session = ?2",
        ] {
            connection.prepare_cached(part)?.execute(params![conference, session.as_str(), renamed.as_str()])?;
        }
    }
    for part in [
        "UPDATE OR REPLACE participants SET name = ?3 WHERE conference = ?1 AND name = ?2",
        "UPDATE events SET participant = ?3 WHERE conference = ?1 AND sequence IS NOT NULL AND participant = ?2",
    ] {
        connection.prepare_cached(part)?.execute(params![conference, name.as_str(), stand_in.as_str()])?;
    }
    Ok(())
}

/// The sessions of a participant, as rows or as what events are about.
fn sessions(connection: &Connection, conference: i64, name: &ParticipantName) -> Result<Vec<SessionName>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name FROM sessions WHERE conference = ?1 AND substr(name, 1, length(?2) + 1) = ?2 || '/'
         UNION SELECT session FROM events
               WHERE conference = ?1 AND sequence IS NOT NULL AND participant = ?2 AND session IS NOT NULL",
    )?;
    let mut rows = statement.query(params![conference, name.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(parse_at(row, "name", SessionName::parse)?);
    }
    Ok(found)
}

pub(super) fn parsed(body: &str) -> Result<Event, StoreError> {
    serde_json::from_str(body).map_err(|_| StoreError::Unreadable("the body of an event"))
}

pub(super) fn written(event: &Event) -> Result<String, StoreError> {
    serde_json::to_string(event).map_err(|_| StoreError::Unreadable("the body of an event"))
}
