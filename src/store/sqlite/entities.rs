//! Writes the entities: conferences, participants, sessions, targets.

use rusqlite::{Connection, named_params};

use super::conference_numbers::ConferenceNumbers;
use super::values::{nanos, optional_nanos};
use crate::model::event::Affiliation;
use crate::model::{IdentityName, MeetingCode, SpaceName, TargetName, UserName};
use crate::store::error::WriteError;
use crate::store::rows::{Commit, ConferenceRow, ParticipantRow, SessionRow, TargetRow};

/// Writes the entities of a commit.
pub(super) fn write(connection: &Connection, commit: &Commit) -> Result<(), WriteError> {
    if let Some(row) = &commit.conference {
        write_conference(connection, row)?;
    }
    let mut numbers = ConferenceNumbers::default();
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

fn write_conference(connection: &Connection, row: &ConferenceRow) -> Result<(), WriteError> {
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
    let last_sequence = i64::try_from(row.last_sequence).map_err(|_| WriteError::Invariant("a sequence overflows"))?;
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
    // A commit that does not know the last event must not overwrite the state that the event left.
    if written == 0 {
        Err(WriteError::Invariant("a conference's last sequence is behind the stored one"))
    } else {
        Ok(())
    }
}

fn write_participant(connection: &Connection, conference: i64, row: &ParticipantRow) -> Result<(), WriteError> {
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

fn write_session(connection: &Connection, conference: i64, row: &SessionRow) -> Result<(), WriteError> {
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

fn write_target(connection: &Connection, row: &TargetRow) -> Result<(), WriteError> {
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
