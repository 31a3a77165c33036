//! The event log.

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Rows, named_params, params};

use super::conference_numbers::{ConferenceNumbers, NO_CONFERENCE};
use super::reader::StoreReader;
use super::values::{known, nanos, optional_parse_at, parse_at, time_at};
use crate::model::{EventId, EventType, ParticipantName, Provenance, SessionName, Source};
use crate::store::error::{StoreError, WriteError};
use crate::store::rows::{Commit, EmittedRow, LogRow, NewEvent};

/// An appended event, as the outbox needs it.
pub(super) struct Appended<'a> {
    pub(super) position: i64,
    pub(super) conference: i64,
    pub(super) event: &'a NewEvent,
    /// The position of the event that this one takes back.
    pub(super) takes_back: Option<i64>,
}

/// Appends the events of a commit, after its entities were written.
pub(super) fn append<'a>(connection: &Connection, commit: &'a Commit) -> Result<Vec<Appended<'a>>, WriteError> {
    let mut numbers = ConferenceNumbers::default();
    let mut appended = Vec::with_capacity(commit.events.len());
    for event in &commit.events {
        let conference = match &event.conference {
            Some(name) => numbers.of(connection, name)?,
            None => NO_CONFERENCE,
        };
        check_sequence(connection, conference, event)?;
        let position = insert(connection, conference, event)?;
        let takes_back = match &event.takes_back {
            Some(earlier) => Some(take_back(connection, earlier, &event.id)?),
            None => None,
        };
        appended.push(Appended { position, conference, event, takes_back });
    }
    check_last_sequence(commit)?;
    Ok(appended)
}

/// Checks that within a conference the log counts 1, 2, 3 … without a hole.
fn check_sequence(connection: &Connection, conference: i64, event: &NewEvent) -> Result<(), WriteError> {
    let Some(sequence) = event.sequence else {
        return if conference == NO_CONFERENCE {
            Ok(())
        } else {
            Err(WriteError::Invariant("an event of a conference has no sequence"))
        };
    };
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(sequence) FROM events WHERE conference = ?1 AND sequence IS NOT NULL")?
        .query_row([conference], |row| row.get(0))?;
    let next = u64::try_from(last.unwrap_or(0)).unwrap_or(0) + 1;
    if sequence == next { Ok(()) } else { Err(WriteError::Invariant("an event's sequence is not the next one")) }
}

/// Checks that the conference's row and its events agree on the last sequence.
fn check_last_sequence(commit: &Commit) -> Result<(), WriteError> {
    let row = commit.conference.as_ref();
    let own = |event: &&NewEvent| event.conference.is_some();
    if commit.events.iter().filter(own).any(|event| event.conference.as_ref() != row.map(|row| &row.name)) {
        return Err(WriteError::Invariant("an event comes without the row of its conference"));
    }
    let last = commit.events.iter().rfind(own).and_then(|event| event.sequence);
    if last.is_none() || last == row.map(|row| row.last_sequence) {
        Ok(())
    } else {
        Err(WriteError::Invariant("a conference's last sequence is not that of its last event"))
    }
}

fn insert(connection: &Connection, conference: i64, event: &NewEvent) -> Result<i64, WriteError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (id, type, conference, participant, session, sequence, time, observed_at, provenance, source,
                             n, body)
         VALUES (:id, :type, :conference, :participant, :session, :sequence, :time, :observed_at, :provenance, :source,
                 :n, :body)",
    )?;
    let sequence = event.sequence.map(i64::try_from).transpose();
    let sequence = sequence.map_err(|_| WriteError::Invariant("a sequence overflows"))?;
    let inserted = statement.execute(named_params! {
        ":id": event.id.as_str(),
        ":type": event.event.as_str(),
        ":conference": conference,
        ":participant": event.participant.as_ref().map(ParticipantName::as_str),
        ":session": event.session.as_ref().map(SessionName::as_str),
        ":sequence": sequence,
        ":time": nanos(event.time),
        ":observed_at": nanos(event.observed_at),
        ":provenance": event.provenance.as_str(),
        ":source": event.source.as_str(),
        ":n": event.n,
        ":body": &*event.body,
    });
    match inserted {
        Ok(_) => Ok(connection.last_insert_rowid()),
        // The sequence was checked above, so the only constraint that can fail is the uniqueness of ids.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(WriteError::Duplicate(event.id.clone()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Marks `earlier` as taken back and returns its position.
fn take_back(connection: &Connection, earlier: &EventId, by: &EventId) -> Result<i64, WriteError> {
    connection
        .prepare_cached(
            "UPDATE events SET taken_back_by = ?2 WHERE id = ?1 AND taken_back_by IS NULL RETURNING position",
        )?
        .query_row(params![earlier.as_str(), by.as_str()], |row| row.get(0))
        .optional()?
        .ok_or(WriteError::Invariant("an event takes back one that is not in the log or was taken back before"))
}

/// The events of unfinished conferences, in order. The bodies are not read.
pub(super) const UNFINISHED_EMITTED: &str =
    "SELECT e.conference, e.type, e.participant, e.session, e.time, e.observed_at, e.provenance, e.source, e.n, e.sequence,
            e.taken_back_by
     FROM conferences c CROSS JOIN events e ON e.conference = c.id
     WHERE c.phase <> 'closed' AND e.sequence IS NOT NULL ORDER BY e.conference, e.sequence";

/// The events of one conference, in order.
pub(super) const EMITTED: &str =
    "SELECT type, participant, session, time, observed_at, provenance, source, n, sequence, taken_back_by FROM events
     WHERE conference = ?1 AND sequence IS NOT NULL ORDER BY sequence";

/// Reads the row as the roster needs it; `None` for an event that states neither a fact nor a gap.
pub(super) fn read_emitted(row: &Row<'_>) -> Result<Option<EmittedRow>, StoreError> {
    let event = parse_at(row, "type", known(EventType::parse))?;
    if matches!(event, EventType::EventRetracted | EventType::WebhookTest) {
        return Ok(None);
    }
    Ok(Some(EmittedRow {
        event,
        participant: optional_parse_at(row, "participant", ParticipantName::parse)?,
        session: optional_parse_at(row, "session", SessionName::parse)?,
        time: time_at(row, "time")?,
        source: parse_at(row, "source", known(Source::parse))?,
        n: row.get("n")?,
        observed_at: time_at(row, "observed_at")?,
        provenance: parse_at(row, "provenance", known(Provenance::parse))?,
        sequence: u64::try_from(row.get::<_, i64>("sequence")?).map_err(|_| StoreError::Unreadable("sequence"))?,
        stands: row.get::<_, Option<String>>("taken_back_by")?.is_none(),
    }))
}

impl StoreReader {
    /// Returns the log after a position (0: from its beginning), oldest first, at most `limit` events.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn log_after(&self, position: u64, limit: usize) -> Result<Vec<LogRow>, StoreError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT position, id, body, taken_back_by FROM events WHERE position > ?1 ORDER BY position LIMIT ?2",
        )?;
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Self::log_rows(statement.query([position, limit])?)
    }

    /// Reads rows with the columns `position`, `id`, `body` and `taken_back_by`.
    pub(super) fn log_rows(mut rows: Rows<'_>) -> Result<Vec<LogRow>, StoreError> {
        let mut log = Vec::new();
        while let Some(row) = rows.next()? {
            log.push(LogRow {
                position: u64::try_from(row.get::<_, i64>("position")?)
                    .map_err(|_| StoreError::Unreadable("position"))?,
                id: parse_at(row, "id", known(EventId::parse))?,
                body: row.get("body")?,
                taken_back_by: optional_parse_at(row, "taken_back_by", known(EventId::parse))?,
            });
        }
        Ok(log)
    }

    /// Returns the position of the last event that was ever appended, also if it was deleted since; 0 if there was none.
    pub(super) fn last_position(&self) -> Result<u64, StoreError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT max(coalesce((SELECT max(position) FROM events), 0),
                        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0))",
        )?;
        let position: i64 = statement.query_row([], |row| row.get(0))?;
        u64::try_from(position).map_err(|_| StoreError::Unreadable("position"))
    }
}
