//! Erases a forgotten participant from what is stored.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::event_redaction::{format_body, parse_body, redact_event};
use super::forgotten::remember;
use super::pseudonym::ErasureKey;
use super::values::{optional_parse_at, parse_at};
use crate::model::{ParticipantName, SessionName};
use crate::store::error::StoreError;

/// Erases one participant from one conference.
pub(super) fn erase(
    connection: &Connection,
    key: &ErasureKey,
    conference: i64,
    name: &ParticipantName,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Overwritten data has to be gone from the file, too.
    connection.pragma_update(None, "secure_delete", true)?;
    let erased = erase_rows(connection, key, conference, name, now);
    connection.pragma_update(None, "secure_delete", false)?;
    erased
}

fn erase_rows(
    connection: &Connection,
    key: &ErasureKey,
    conference: i64,
    name: &ParticipantName,
    now: Timestamp,
) -> Result<(), StoreError> {
    for NamingEvent { position, about, session, body } in bodies(connection, conference, name)? {
        let mut event = parse_body(&body)?;
        if redact_event(&mut event, key, name, about.then_some(session.as_ref()))? {
            connection
                .prepare_cached("UPDATE events SET body = ?2 WHERE position = ?1")?
                .execute(params![position, format_body(&event)?])?;
            erase_answers(connection, conference, position)?;
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
    // No read of a closed conference asks for that name any more.
    connection.prepare_cached("DELETE FROM forgotten WHERE hash = ?1")?.execute([hash])?;
    Ok(())
}

/// An event that may name a participant.
struct NamingEvent {
    position: i64,
    /// It is about that participant.
    about: bool,
    session: Option<SessionName>,
    body: String,
}

/// Returns the events that may name a participant.
fn bodies(connection: &Connection, conference: i64, name: &ParticipantName) -> Result<Vec<NamingEvent>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, participant IS ?2 AS about, session, body FROM events
         WHERE conference = ?1 AND sequence IS NOT NULL AND (participant = ?2 OR type = 'conference.ended')",
    )?;
    let mut rows = statement.query(params![conference, name.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(NamingEvent {
            position: row.get("position")?,
            about: row.get("about")?,
            session: optional_parse_at(row, "session", SessionName::parse)?,
            body: row.get("body")?,
        });
    }
    Ok(found)
}

/// Erases the answers of receivers to an event, alone or in a batch: some repeat what they were sent.
fn erase_answers(connection: &Connection, conference: i64, position: i64) -> Result<(), StoreError> {
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

/// Replaces Google's names of a participant and its sessions.
fn rename(
    connection: &Connection,
    key: &ErasureKey,
    conference: i64,
    name: &ParticipantName,
) -> Result<(), StoreError> {
    let replacement = key.participant(name)?;
    for session in sessions(connection, conference, name)? {
        let renamed = key.session(&session, &replacement)?;
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
        connection.prepare_cached(part)?.execute(params![conference, name.as_str(), replacement.as_str()])?;
    }
    Ok(())
}

/// Returns the sessions of a participant that have a row or an event.
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
