//! Reads the entities: conferences with their participants, sessions and emitted events, and targets.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row, params};

use super::event_filter::member_pattern;
use super::log;
use super::reader::StoreReader;
use super::values::{end_at, known, nanos, optional_parse_at, optional_time_at, parse_at, time_at};
use crate::model::event::Affiliation;
use crate::model::{
    ConferenceName, IdentityName, MeetingCode, ParticipantKind, ParticipantName, SessionName, SpaceName, TargetName,
    UserName,
};
use crate::store::error::StoreError;
use crate::store::query::ConferenceQuery;
use crate::store::rows::{ConferenceRow, ParticipantRow, Phase, SessionRow, StoredConference, TargetRow};

impl StoreReader {
    /// Returns every conference that is not closed, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load_unfinished(&self) -> Result<Vec<StoredConference>, StoreError> {
        unfinished(self.connection())
    }

    /// Returns a conference; `None` if it is not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conference(&self, name: &ConferenceName) -> Result<Option<StoredConference>, StoreError> {
        let mut statement = self.connection().prepare_cached("SELECT * FROM conferences WHERE name = ?1")?;
        let mut rows = statement.query([name.as_str()])?;
        rows.next()?.map(|row| whole(self.connection(), row)).transpose()
    }

    /// Returns a conference; `None` if it is closed or not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unfinished_conference(&self, name: &ConferenceName) -> Result<Option<StoredConference>, StoreError> {
        let mut statement =
            self.connection().prepare_cached("SELECT * FROM conferences WHERE name = ?1 AND phase <> 'closed'")?;
        let mut rows = statement.query([name.as_str()])?;
        rows.next()?.map(|row| whole(self.connection(), row)).transpose()
    }

    /// Returns the conferences that a query selects, by their start.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conferences(&self, query: &ConferenceQuery) -> Result<Vec<StoredConference>, StoreError> {
        let mut statement = self.connection().prepare_cached(
            r#"SELECT * FROM conferences
           WHERE start < ?2 AND coalesce("end", ?2) > ?1
                 AND (?3 IS NULL OR instr(' ' || targets || ' ', ' ' || ?3 || ' ') > 0
                      OR ' ' || targets || ' ' GLOB ?5)
           ORDER BY start, id LIMIT ?4"#,
        )?;
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let target = query.target.as_ref().map(TargetName::as_str);
        let members = query.target.as_ref().map(|group| format!("* {} *", member_pattern(group)));
        let mut rows = statement.query(params![nanos(query.from), nanos(query.until), target, limit, members])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(whole(self.connection(), row)?);
        }
        Ok(all)
    }

    /// Returns the names of all conferences that are closed, or were deleted after they were closed: no event of them
    /// follows, though Google may still list them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn finished(&self) -> Result<BTreeSet<ConferenceName>, StoreError> {
        finished(self.connection())
    }

    /// Returns every target, by name; also those that are no longer configured.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn targets(&self) -> Result<Vec<TargetRow>, StoreError> {
        targets(self.connection())
    }
}

fn whole(connection: &Connection, row: &Row<'_>) -> Result<StoredConference, StoreError> {
    let number: i64 = row.get("id")?;
    let mut stored = StoredConference {
        conference: read_conference(row)?,
        participants: Vec::new(),
        sessions: Vec::new(),
        emitted: Vec::new(),
    };
    each_of_conference(connection, "SELECT * FROM participants WHERE conference = ?1 ORDER BY name", number, |row| {
        stored.participants.push(read_participant(row)?);
        Ok(())
    })?;
    each_of_conference(connection, "SELECT * FROM sessions WHERE conference = ?1 ORDER BY name", number, |row| {
        stored.sessions.push(read_session(row)?);
        Ok(())
    })?;
    each_of_conference(connection, log::EMITTED, number, |row| {
        stored.emitted.extend(log::read_emitted(row)?);
        Ok(())
    })?;
    Ok(stored)
}

/// Passes every row of a conference to `take`, in the order of the query.
fn each_of_conference(
    connection: &Connection,
    sql: &'static str,
    conference: i64,
    mut take: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([conference])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

// CROSS JOIN keeps SQLite from swapping the loops: the few unfinished conferences are the outer loop, and each table is
// read by its key.
const UNFINISHED_PARTICIPANTS: &str = "SELECT t.* FROM conferences c CROSS JOIN participants t ON t.conference = c.id
    WHERE c.phase <> 'closed' ORDER BY t.conference, t.name";
const UNFINISHED_SESSIONS: &str = "SELECT t.* FROM conferences c CROSS JOIN sessions t ON t.conference = c.id
    WHERE c.phase <> 'closed' ORDER BY t.conference, t.name";

/// Four queries, however many conferences there are.
fn unfinished(connection: &Connection) -> Result<Vec<StoredConference>, StoreError> {
    let mut all = BTreeMap::new();
    let mut statement = connection.prepare_cached("SELECT * FROM conferences WHERE phase <> 'closed'")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let conference = read_conference(row)?;
        let stored =
            StoredConference { conference, participants: Vec::new(), sessions: Vec::new(), emitted: Vec::new() };
        all.insert(row.get::<_, i64>("id")?, stored);
    }
    each_unfinished(connection, UNFINISHED_PARTICIPANTS, &mut all, |stored, row| {
        stored.participants.push(read_participant(row)?);
        Ok(())
    })?;
    each_unfinished(connection, UNFINISHED_SESSIONS, &mut all, |stored, row| {
        stored.sessions.push(read_session(row)?);
        Ok(())
    })?;
    each_unfinished(connection, log::UNFINISHED_EMITTED, &mut all, |stored, row| {
        stored.emitted.extend(log::read_emitted(row)?);
        Ok(())
    })?;
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|a, b| a.conference.name.cmp(&b.conference.name));
    Ok(all)
}

/// Passes every row of an unfinished conference to `take`, in the order of the query.
fn each_unfinished(
    connection: &Connection,
    sql: &'static str,
    all: &mut BTreeMap<i64, StoredConference>,
    mut take: impl FnMut(&mut StoredConference, &Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(stored) = all.get_mut(&row.get::<_, i64>("conference")?) {
            take(stored, row)?;
        }
    }
    Ok(())
}

fn read_conference(row: &Row<'_>) -> Result<ConferenceRow, StoreError> {
    Ok(ConferenceRow {
        name: parse_at(row, "name", ConferenceName::parse)?,
        space: optional_parse_at(row, "space", SpaceName::parse)?,
        meeting_code: optional_parse_at(row, "meeting_code", MeetingCode::parse)?,
        start: time_at(row, "start")?,
        end: end_at(row)?,
        phase: parse_at(row, "phase", known(Phase::parse))?,
        targets: parse_at(row, "targets", |names| names.split_whitespace().map(TargetName::parse).collect())?,
        identity: optional_parse_at(row, "identity", IdentityName::parse)?,
        last_sequence: u64::try_from(row.get::<_, i64>("last_sequence")?)
            .map_err(|_| StoreError::Unreadable("last_sequence"))?,
        present: row.get("present")?,
        last_listed: optional_time_at(row, "last_listed")?,
        backfilled_to: optional_time_at(row, "backfilled_to")?,
        final_read_due: optional_time_at(row, "final_read_due")?,
    })
}

fn read_participant(row: &Row<'_>) -> Result<ParticipantRow, StoreError> {
    Ok(ParticipantRow {
        name: parse_at(row, "name", ParticipantName::parse)?,
        kind: parse_at(row, "kind", known(ParticipantKind::parse))?,
        user: optional_parse_at(row, "user", UserName::parse)?,
        display_name: row.get("display_name")?,
        earliest_start: optional_time_at(row, "earliest_start")?,
        latest_end: optional_time_at(row, "latest_end")?,
        email: row.get("email")?,
        affiliation: optional_parse_at(row, "affiliation", known(Affiliation::parse))?,
        seen_by: optional_parse_at(row, "seen_by", IdentityName::parse)?,
        last_seen: optional_time_at(row, "last_seen")?,
    })
}

fn read_session(row: &Row<'_>) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        name: parse_at(row, "name", SessionName::parse)?,
        start: time_at(row, "start")?,
        end: end_at(row)?,
    })
}

fn targets(connection: &Connection) -> Result<Vec<TargetRow>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM targets ORDER BY name")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(TargetRow {
            name: parse_at(row, "name", TargetName::parse)?,
            watched_since: time_at(row, "watched_since")?,
            discovered_to: optional_time_at(row, "discovered_to")?,
            last_looked: optional_time_at(row, "last_looked")?,
        });
    }
    Ok(all)
}

fn finished(connection: &Connection) -> Result<BTreeSet<ConferenceName>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name FROM conferences WHERE phase = 'closed' UNION ALL SELECT conference FROM tombstones",
    )?;
    let mut rows = statement.query([])?;
    let mut all = BTreeSet::new();
    while let Some(row) = rows.next()? {
        all.insert(parse_at(row, "name", ConferenceName::parse)?);
    }
    Ok(all)
}
