//! All SQL that writes and reads conferences, participants, sessions and targets.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::error::{CommitError, StoreError};
use super::log;
use super::rows::{Commit, ConferenceRow, ParticipantRow, Phase, SessionRow, StoredConference, TargetRow};
use super::values::{end_at, known, nanos, optional_nanos, optional_parse_at, optional_time_at, parse_at, time_at};
use crate::model::event::Affiliation;
use crate::model::{
    ConferenceName, IdentityName, Kind, MeetingCode, ParticipantName, SessionName, SpaceName, TargetName, UserName,
};

/// What stands for "no conference" where a conference's number is expected.
pub(super) const NO_CONFERENCE: i64 = 0;

/// Writes the facts of a commit.
pub(super) fn write(connection: &Connection, commit: &Commit) -> Result<(), CommitError> {
    if let Some(row) = &commit.conference {
        write_conference(connection, row)?;
    }
    let mut numbers = Numbers::default();
    for row in &commit.participants {
        let conference = numbers.of(connection, &row.name.conference())?;
        write_participant(connection, conference, row)?;
    }
    for row in &commit.sessions {
        let conference = numbers.of(connection, &row.name.participant().conference())?;
        write_session(connection, conference, row)?;
    }
    commit.targets.iter().try_for_each(|row| write_target(connection, row))
}

/// The numbers of conferences within one commit, each asked for once.
#[derive(Default)]
pub(super) struct Numbers(BTreeMap<ConferenceName, i64>);

impl Numbers {
    pub(super) fn of(&mut self, connection: &Connection, name: &ConferenceName) -> Result<i64, CommitError> {
        if let Some(number) = self.0.get(name) {
            return Ok(*number);
        }
        let number: Option<i64> = connection
            .prepare_cached("SELECT id FROM conferences WHERE name = ?1")?
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?;
        let number = number.ok_or(CommitError::Invariant("a row belongs to a conference that is not stored"))?;
        self.0.insert(name.clone(), number);
        Ok(number)
    }
}

fn write_conference(connection: &Connection, row: &ConferenceRow) -> Result<(), CommitError> {
    let mut statement = connection.prepare_cached(
        r#"INSERT INTO conferences (name, space, meeting_code, start, "end", end_source, phase, targets, identity, last_sequence,
                                    present, last_listed, backfilled_to, final_read_due)
           VALUES (:name, :space, :meeting_code, :start, :end, :end_source, :phase, :targets, :identity, :last_sequence,
                   :present, :last_listed, :backfilled_to, :final_read_due)
           ON CONFLICT (name) DO UPDATE SET
               space = excluded.space, meeting_code = excluded.meeting_code, start = excluded.start,
               "end" = excluded."end", end_source = excluded.end_source, phase = excluded.phase,
               targets = excluded.targets, identity = excluded.identity, last_sequence = excluded.last_sequence, present = excluded.present,
               last_listed = excluded.last_listed, backfilled_to = excluded.backfilled_to,
               final_read_due = excluded.final_read_due
           WHERE excluded.last_sequence >= last_sequence"#,
    )?;
    let last_sequence = i64::try_from(row.last_sequence).map_err(|_| CommitError::Invariant("a sequence overflows"))?;
    let written = statement.execute(named_params! {
        ":name": row.name.as_str(),
        ":space": row.space.as_ref().map(SpaceName::as_str),
        ":meeting_code": row.meeting_code.as_ref().map(MeetingCode::as_str),
        ":start": nanos(row.start),
        ":end": row.end.map(|(end, _)| nanos(end)),
        ":end_source": row.end.map(|(_, source)| source.as_str()),
        ":phase": row.phase.as_str(),
        ":targets": row.targets.iter().map(TargetName::as_str).collect::<Vec<_>>().join(" "),
        ":identity": row.identity.as_ref().map(IdentityName::as_str),
        ":last_sequence": last_sequence,
        ":present": row.present,
        ":last_listed": optional_nanos(row.last_listed),
        ":backfilled_to": optional_nanos(row.backfilled_to),
        ":final_read_due": optional_nanos(row.final_read_due),
    })?;
    // Whoever does not know of an event that was told of it must not say how it stands.
    if written == 0 { Err(CommitError::Invariant("more was told of a conference than is known of it")) } else { Ok(()) }
}

fn write_participant(connection: &Connection, conference: i64, row: &ParticipantRow) -> Result<(), CommitError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO participants (conference, name, kind, user, display_name, earliest_start, latest_end, email, affiliation,
                                   seen_by, last_seen)
         VALUES (:conference, :name, :kind, :user, :display_name, :earliest_start, :latest_end, :email, :affiliation,
                 :seen_by, :last_seen)
         ON CONFLICT (conference, name) DO UPDATE SET
             kind = excluded.kind, user = excluded.user, display_name = excluded.display_name,
             earliest_start = excluded.earliest_start, latest_end = excluded.latest_end, email = excluded.email,
             affiliation = excluded.affiliation, seen_by = excluded.seen_by, last_seen = excluded.last_seen",
    )?;
    statement.execute(named_params! {
        ":conference": conference,
        ":name": row.name.as_str(),
        ":kind": row.kind.as_str(),
        ":user": row.user.as_ref().map(UserName::as_str),
        ":display_name": row.display_name.as_deref(),
        ":earliest_start": optional_nanos(row.earliest_start),
        ":latest_end": optional_nanos(row.latest_end),
        ":email": row.email.as_deref(),
        ":affiliation": row.affiliation.map(Affiliation::as_str),
        ":seen_by": row.seen_by.as_ref().map(IdentityName::as_str),
        ":last_seen": optional_nanos(row.last_seen),
    })?;
    Ok(())
}

fn write_session(connection: &Connection, conference: i64, row: &SessionRow) -> Result<(), CommitError> {
    let mut statement = connection.prepare_cached(
        r#"INSERT INTO sessions (conference, name, start, "end", end_source)
           VALUES (:conference, :name, :start, :end, :end_source)
           ON CONFLICT (conference, name) DO UPDATE SET
               start = excluded.start, "end" = excluded."end", end_source = excluded.end_source"#,
    )?;
    statement.execute(named_params! {
        ":conference": conference,
        ":name": row.name.as_str(),
        ":start": nanos(row.start),
        ":end": row.end.map(|(end, _)| nanos(end)),
        ":end_source": row.end.map(|(_, source)| source.as_str()),
    })?;
    Ok(())
}

fn write_target(connection: &Connection, row: &TargetRow) -> Result<(), CommitError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO targets (name, watched_since, discovered_to, last_looked)
         VALUES (:name, :watched_since, :discovered_to, :last_looked)
         ON CONFLICT (name) DO UPDATE SET
             watched_since = excluded.watched_since, discovered_to = excluded.discovered_to,
             last_looked = excluded.last_looked",
    )?;
    statement.execute(named_params! {
        ":name": row.name.as_str(),
        ":watched_since": nanos(row.watched_since),
        ":discovered_to": optional_nanos(row.discovered_to),
        ":last_looked": optional_nanos(row.last_looked),
    })?;
    Ok(())
}

// CROSS JOIN keeps SQLite from turning the loops round: the few unfinished conferences lead, and each table is read
// through its key.
const UNFINISHED_PARTICIPANTS: &str = "SELECT t.* FROM conferences c CROSS JOIN participants t ON t.conference = c.id
    WHERE c.phase <> 'closed' ORDER BY t.conference, t.name";
const UNFINISHED_SESSIONS: &str = "SELECT t.* FROM conferences c CROSS JOIN sessions t ON t.conference = c.id
    WHERE c.phase <> 'closed' ORDER BY t.conference, t.name";

/// Every conference that is not closed, with all that is known of it, by name. Four passes, however many there are.
pub(super) fn unfinished(connection: &Connection) -> Result<Vec<StoredConference>, StoreError> {
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
    each_unfinished(connection, log::UNFINISHED_TOLD, &mut all, |stored, row| {
        stored.emitted.extend(log::read_told(row)?);
        Ok(())
    })?;
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|a, b| a.conference.name.cmp(&b.conference.name));
    Ok(all)
}

/// Hands every row that belongs to an unfinished conference to `take`, in the order of the query.
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

pub(super) fn read_conference(row: &Row<'_>) -> Result<ConferenceRow, StoreError> {
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

pub(super) fn read_participant(row: &Row<'_>) -> Result<ParticipantRow, StoreError> {
    Ok(ParticipantRow {
        name: parse_at(row, "name", ParticipantName::parse)?,
        kind: parse_at(row, "kind", known(Kind::parse))?,
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

pub(super) fn read_session(row: &Row<'_>) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        name: parse_at(row, "name", SessionName::parse)?,
        start: time_at(row, "start")?,
        end: end_at(row)?,
    })
}

/// What every target remembers, by name; also of targets that are no longer configured.
pub(super) fn targets(connection: &Connection) -> Result<Vec<TargetRow>, StoreError> {
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

/// Whether a conference is closed, or was once and is deleted since: nothing more is told of it.
pub(super) fn is_finished(connection: &Connection, name: &ConferenceName) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM conferences WHERE name = ?1 AND phase = 'closed')
             OR EXISTS (SELECT 1 FROM tombstones WHERE conference = ?1)",
    )?;
    Ok(statement.query_row([name.as_str()], |row| row.get(0))?)
}

/// The names of all conferences that are closed or were deleted.
pub(super) fn finished(connection: &Connection) -> Result<BTreeSet<ConferenceName>, StoreError> {
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
