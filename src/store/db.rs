//! The synchronous core: one writing connection, time as an argument. The daemon drives it from the writer's thread, a
//! simulated history directly.
//!
//! **The contract**, which any other backend has to keep: a [`Commit`] is written whole or not at all, and survives a crash
//! once it was acknowledged. An event stands in the log once. Within a conference the log counts 1, 2, 3 … Whoever is owed
//! an event has a delivery from the same instant on. A delivery is claimed by one at a time, in its lane's order.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::Connection;

use super::delivery::{EndpointSummary, LogRow, OutboxReply, OutboxRequest};
use super::error::{CommitError, StoreError};
use super::files::Files;
use super::forget::{self, Forget};
use super::open::{self, OpenError, Opened};
use super::prune::{self, PruneRequest, Pruned};
use super::repair::Repair;
use super::retention::Doubt;
use super::rows::{Commit, StoredConference, TargetRow};
use super::{endpoints, facts, log, mend, outbox, owe};
use crate::clock::Now;
use crate::failpoints::{AbortFailpoint, AbortPoint};
use crate::model::ConferenceName;

/// An open store.
#[derive(Debug)]
pub struct Db {
    connection: Connection,
    /// Held while the store is open, so that a second process keeps away.
    _lock: Option<std::fs::File>,
    /// `None` for a store that has no files.
    files: Option<Files>,
    abort: AbortFailpoint,
}

/// One piece of work for the writer.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    Commit(&'a Commit),
    Exchange(&'a OutboxRequest),
    /// Deletes a little of what is old.
    Prune(&'a PruneRequest),
    /// Looks whether the clock may be believed; with the last look of this process.
    WeighClock(Option<Now>, Now),
    /// Mends the outbox, as an operator asked.
    Repair(&'a Repair),
    /// Forgets somebody, as an operator asked.
    Forget(&'a Forget),
}

/// What came of one piece of work.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    Committed,
    Exchanged(OutboxReply),
    Pruned(Pruned),
    Weighed(Option<Doubt>),
    /// How many deliveries were mended.
    Repaired(u64),
    Forgotten,
}

impl Db {
    /// Opens the store at `path`, makes it where there is none, and brings an older one up to date. Whatever was being
    /// sent when the last process ended is owed again.
    ///
    /// # Errors
    /// [`OpenError`], each a sentence with its remedy.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, OpenError> {
        Self::open_aborting_at(path, now, AbortFailpoint::default())
    }

    /// As [`Self::open`], dying where a test wants it to.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_aborting_at(path: &Path, now: Timestamp, abort: AbortFailpoint) -> Result<Self, OpenError> {
        let Opened { connection, lock, files } = open::open(path, now, &abort)?;
        Ok(Self { connection, _lock: Some(lock), files: Some(files), abort })
    }

    /// A store that lives as long as the value does.
    ///
    /// # Errors
    /// [`OpenError::Store`] where SQLite fails.
    pub fn in_memory(now: Timestamp) -> Result<Self, OpenError> {
        Ok(Self { connection: open::in_memory(now)?, _lock: None, files: None, abort: AbortFailpoint::default() })
    }

    /// Writes commits in one transaction. One that fails leaves nothing behind and takes no other along; where the
    /// transaction itself fails, all have failed. The results are in the order of the commits.
    pub fn commit_group(&mut self, commits: &[Commit], now: Timestamp) -> Vec<Result<(), CommitError>> {
        let work: Vec<_> = commits.iter().map(|commit| (Work::Commit(commit), now)).collect();
        self.write_group(&work).into_iter().map(|result| result.map(drop)).collect()
    }

    /// One round with the outbox.
    ///
    /// # Errors
    /// [`CommitError::Store`]; nothing was recorded and nothing claimed then.
    pub fn exchange(&mut self, request: &OutboxRequest, now: Timestamp) -> Result<OutboxReply, CommitError> {
        match self.write_group(&[(Work::Exchange(request), now)]).pop() {
            Some(Ok(Written::Exchanged(reply))) => Ok(reply),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Err(CommitError::Invariant("an exchange without a reply")),
        }
    }

    /// Deletes a little of what is old.
    ///
    /// # Errors
    /// [`CommitError::Store`]; nothing was deleted then.
    pub fn prune(&mut self, request: &PruneRequest, now: Timestamp) -> Result<Pruned, CommitError> {
        match self.write_group(&[(Work::Prune(request), now)]).pop() {
            Some(Ok(Written::Pruned(pruned))) => Ok(pruned),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Err(CommitError::Invariant("a step of pruning without a result")),
        }
    }

    /// Looks whether the clock may be believed when it says that something is old. `looked`: the last look of this
    /// process.
    ///
    /// # Errors
    /// [`CommitError::Store`].
    pub fn weigh_clock(&mut self, looked: Option<Now>, now: Now) -> Result<Option<Doubt>, CommitError> {
        match self.write_group(&[(Work::WeighClock(looked, now), now.wall)]).pop() {
            Some(Ok(Written::Weighed(doubt))) => Ok(doubt),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Err(CommitError::Invariant("a clock that was not weighed")),
        }
    }

    /// Does work of all kinds in one transaction, each piece with its own time, under the rules of [`Self::commit_group`].
    pub fn write_group(&mut self, work: &[(Work<'_>, Timestamp)]) -> Vec<Result<Written, CommitError>> {
        self.try_group(work).unwrap_or_else(|error| {
            if !self.connection.is_autocommit()
                && let Err(error) = self.run("ROLLBACK")
            {
                tracing::error!(reason = error.reason(), "a failed transaction could not be rolled back");
            }
            work.iter().map(|_| Err(error.clone())).collect()
        })
    }

    fn try_group(&self, work: &[(Work<'_>, Timestamp)]) -> Result<Vec<Result<Written, CommitError>>, CommitError> {
        if !self.files.as_ref().is_none_or(Files::are_there) {
            // What would be written now, nobody would find.
            return Err(StoreError::Gone.into());
        }
        self.run("BEGIN IMMEDIATE")?;
        let mut results = Vec::with_capacity(work.len());
        for (piece, now) in work {
            self.run("SAVEPOINT piece")?;
            let result = write(&self.connection, *piece, *now);
            if let Err(error) = &result {
                if self.connection.is_autocommit() {
                    // A full disk and its like end the whole transaction, and what was written before this piece with it.
                    return Err(error.clone());
                }
                self.run("ROLLBACK TO piece")?;
            }
            self.run("RELEASE piece")?;
            results.push(result);
        }
        self.abort.hit(AbortPoint::Commit);
        self.run("COMMIT")?;
        self.abort.hit(AbortPoint::Committed);
        Ok(results)
    }

    fn run(&self, sql: &'static str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Every conference that is not closed, as it was committed last, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load_unfinished(&self) -> Result<Vec<StoredConference>, StoreError> {
        facts::unfinished(&self.connection)
    }

    /// What every target remembers, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn targets(&self) -> Result<Vec<TargetRow>, StoreError> {
        facts::targets(&self.connection)
    }

    /// Whether nothing more is to be told of a conference, though Google may still show it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_finished(&self, conference: &ConferenceName) -> Result<bool, StoreError> {
        facts::is_finished(&self.connection, conference)
    }

    /// All conferences of which nothing more is to be told.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn finished(&self) -> Result<BTreeSet<ConferenceName>, StoreError> {
        facts::finished(&self.connection)
    }

    /// The log after a position (0: from its beginning), at most `limit` events.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn log_after(&self, position: u64, limit: usize) -> Result<Vec<LogRow>, StoreError> {
        log::after(&self.connection, position, limit)
    }

    /// How every endpoint fares.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_summary(&self) -> Result<Vec<EndpointSummary>, StoreError> {
        endpoints::summary(&self.connection)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Writes everything from the write-ahead log into the file itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}

fn write(connection: &Connection, work: Work<'_>, now: Timestamp) -> Result<Written, CommitError> {
    match work {
        Work::Commit(commit) => {
            let commit = &*forget::honour(connection, commit, now)?;
            facts::write(connection, commit)?;
            let appended = log::append(connection, commit)?;
            owe::owe(connection, &appended, now)?;
            forget::close(connection, commit, now)?;
            Ok(Written::Committed)
        }
        Work::Exchange(request) => Ok(Written::Exchanged(outbox::exchange(connection, request, now)?)),
        Work::Prune(request) => Ok(Written::Pruned(prune::step(connection, request, now)?)),
        Work::WeighClock(looked, now) => Ok(Written::Weighed(prune::weigh_clock(connection, looked, now)?)),
        Work::Repair(repair) => Ok(Written::Repaired(mend::repair(connection, repair, now)?)),
        Work::Forget(forget) => {
            forget::step(connection, forget, now)?;
            Ok(Written::Forgotten)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event_id::Edge;
    use crate::model::{EventKey, EventType, Provenance, Source};
    use crate::store::NewEvent;

    /// An event of about `bytes`.
    fn commit(number: i64, bytes: usize) -> Commit {
        let time = Timestamp::from_second(number).unwrap();
        let key = EventKey {
            event: EventType::WatchGap,
            resource: "board",
            edge: Edge::Time(time),
            source: Source::Inferred,
            n: 0,
        };
        let event = NewEvent {
            id: key.id(),
            event: key.event,
            conference: None,
            participant: None,
            session: None,
            sequence: None,
            time,
            observed_at: time,
            provenance: Provenance::Inferred,
            source: key.source,
            n: 0,
            takes_back: None,
            body: format!("\"{}\"", "x".repeat(bytes)).into(),
            owed_to: Vec::new(),
        };
        Commit { events: vec![event], ..Commit::default() }
    }

    #[test]
    fn a_full_disk_loses_nothing_that_was_acknowledged_and_the_store_goes_on_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meetwatch.db");
        let mut db = Db::open(&path, Timestamp::UNIX_EPOCH).unwrap();
        let limit = |db: &Db, pages: i64| db.connection.pragma_update(None, "max_page_count", pages).unwrap();
        let kept: i64 = db.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        limit(&db, kept + 20);

        let results = db.commit_group(&[commit(1, 10), commit(2, 1_000_000), commit(3, 10)], Timestamp::UNIX_EPOCH);
        assert_eq!(results[1], Err(CommitError::Store(StoreError::Full)));
        let acknowledged = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(db.log_after(0, 10).unwrap().len(), acknowledged);

        limit(&db, 1_000_000);
        let failed: Vec<_> = (1..=3).zip(&results).filter(|(_, result)| result.is_err()).collect();
        for (number, _) in failed {
            db.commit_group(&[commit(number, 1_000_000)], Timestamp::UNIX_EPOCH).pop().unwrap().unwrap();
        }
        drop(db);
        assert_eq!(Db::open(&path, Timestamp::UNIX_EPOCH).unwrap().log_after(0, 10).unwrap().len(), 3);
    }

    #[test]
    fn a_store_that_becomes_read_only_refuses_commits_by_that_name_and_goes_on_when_it_can_be_written_again() {
        let mut db = Db::in_memory(Timestamp::UNIX_EPOCH).unwrap();
        db.commit_group(&[commit(1, 10)], Timestamp::UNIX_EPOCH).pop().unwrap().unwrap();
        db.connection.pragma_update(None, "query_only", true).unwrap();
        let results = db.commit_group(&[commit(2, 10), commit(3, 10)], Timestamp::UNIX_EPOCH);
        assert!(results.iter().all(|result| *result == Err(CommitError::Store(StoreError::ReadOnly))), "{results:?}");
        assert_eq!(db.log_after(0, 10).unwrap().len(), 1);
        db.connection.pragma_update(None, "query_only", false).unwrap();
        db.commit_group(&[commit(2, 10)], Timestamp::UNIX_EPOCH).pop().unwrap().unwrap();
        assert_eq!(db.log_after(0, 10).unwrap().len(), 2);
    }
}
