//! All SQL for those who ask who was in a conference, also in one that is over.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::error::StoreError;
use super::handle::Store;
use super::rows::StoredConference;
use super::values::nanos;
use super::{facts, log};
use crate::model::{ConferenceName, TargetName};

/// Which conferences are meant: those that a target reaches, or all, that went on at some time between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceQuery {
    pub target: Option<TargetName>,
    pub from: Timestamp,
    /// This instant excluded.
    pub until: Timestamp,
    /// So many at most, those that began first.
    pub limit: usize,
}

impl Store {
    /// A conference with all that is known of it; `None` where it was never heard of, or is forgotten.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn conference(&self, name: ConferenceName) -> Result<Option<StoredConference>, StoreError> {
        self.readers().read(move |connection| one(connection, &name)).await
    }

    /// The conferences in a span with all that is known of them, by their beginning.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn conferences(&self, span: ConferenceQuery) -> Result<Vec<StoredConference>, StoreError> {
        self.readers().read(move |connection| within(connection, &span)).await
    }
}

fn one(connection: &Connection, name: &ConferenceName) -> Result<Option<StoredConference>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM conferences WHERE name = ?1")?;
    let mut rows = statement.query([name.as_str()])?;
    rows.next()?.map(|row| whole(connection, row)).transpose()
}

fn within(connection: &Connection, span: &ConferenceQuery) -> Result<Vec<StoredConference>, StoreError> {
    let mut statement = connection.prepare_cached(
        r#"SELECT * FROM conferences
           WHERE start < ?2 AND coalesce("end", ?2) > ?1
                 AND (?3 IS NULL OR instr(' ' || targets || ' ', ' ' || ?3 || ' ') > 0)
           ORDER BY start, id LIMIT ?4"#,
    )?;
    let limit = i64::try_from(span.limit).unwrap_or(i64::MAX);
    let target = span.target.as_ref().map(TargetName::as_str);
    let mut rows = statement.query(params![nanos(span.from), nanos(span.until), target, limit])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(whole(connection, row)?);
    }
    Ok(all)
}

fn whole(connection: &Connection, row: &Row<'_>) -> Result<StoredConference, StoreError> {
    let number: i64 = row.get("id")?;
    let mut stored = StoredConference {
        conference: facts::read_conference(row)?,
        participants: Vec::new(),
        sessions: Vec::new(),
        emitted: Vec::new(),
    };
    each(connection, "SELECT * FROM participants WHERE conference = ?1 ORDER BY name", number, |row| {
        stored.participants.push(facts::read_participant(row)?);
        Ok(())
    })?;
    each(connection, "SELECT * FROM sessions WHERE conference = ?1 ORDER BY name", number, |row| {
        stored.sessions.push(facts::read_session(row)?);
        Ok(())
    })?;
    each(connection, log::TOLD, number, |row| {
        stored.emitted.extend(log::read_told(row)?);
        Ok(())
    })?;
    Ok(stored)
}

fn each(
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
