//! The writing connection: synchronous, with time as an argument. The daemon drives it from the writer's thread; tests
//! and simulated histories call it directly.

use std::ops::Deref;
use std::path::Path;

use jiff::Timestamp;

use super::clock_marks;
use super::execute::execute;
use super::files::StoreFiles;
use super::lock::StoreLock;
use super::open::{self, Opened};
use super::reader::StoreReader;
use crate::failpoints::{AbortFailpoint, AbortPoint};
use crate::store::error::{OpenError, StoreError, WriteError};
use crate::store::request::{Operation, OperationResult, WriteRequest};

/// An open store. It dereferences to a [`StoreReader`]: the writing connection can read, too.
#[derive(Debug)]
pub struct Db {
    reader: StoreReader,
    /// Held while the store is open, so that no second process opens it. Dropped after the connection, see
    /// [`super::lock`].
    _lock: Option<StoreLock>,
    /// `None` for a store in memory.
    files: Option<StoreFiles>,
    abort: AbortFailpoint,
    log_position: u64,
}

impl Deref for Db {
    type Target = StoreReader;

    fn deref(&self) -> &StoreReader {
        &self.reader
    }
}

impl Db {
    /// Opens the store at `path`, creates it if there is none, and migrates an older one. Leases that the previous
    /// process left behind are void.
    ///
    /// # Errors
    /// [`OpenError`], each a sentence with its remedy.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, OpenError> {
        Self::open_aborting_at(path, now, AbortFailpoint::default())
    }

    /// Like [`Self::open`], but aborts at the given failpoint.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_aborting_at(path: &Path, now: Timestamp, abort: AbortFailpoint) -> Result<Self, OpenError> {
        let Opened { connection, lock, files } = open::open(path, now, &abort)?;
        Ok(Self::new(StoreReader::new(connection), Some(lock), Some(files), abort))
    }

    /// Creates a store in memory that lives as long as the value.
    ///
    /// # Errors
    /// [`OpenError::Store`] if SQLite fails.
    pub fn in_memory(now: Timestamp) -> Result<Self, OpenError> {
        Ok(Self::new(StoreReader::new(open::in_memory(now)?), None, None, AbortFailpoint::default()))
    }

    fn new(reader: StoreReader, lock: Option<StoreLock>, files: Option<StoreFiles>, abort: AbortFailpoint) -> Self {
        // Damage beyond what opening checks shows when the log is read; it does not keep the store from opening.
        let log_position = reader.last_position().unwrap_or(0);
        Self { reader, _lock: lock, files, abort, log_position }
    }

    /// Writes one operation in a transaction of its own.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was written then.
    pub fn write<O: Operation>(&mut self, operation: O, now: Timestamp) -> OperationResult<O> {
        let closed = || Err(StoreError::Closed.into());
        self.write_all(vec![operation], now).pop().unwrap_or_else(closed)
    }

    /// Writes operations of one kind in one transaction, under the rules of [`Self::write_group`]. The results are in
    /// the order of the operations.
    pub fn write_all<O: Operation>(&mut self, operations: Vec<O>, now: Timestamp) -> Vec<OperationResult<O>> {
        let requests = operations.into_iter().map(|operation| WriteRequest::new(operation, now));
        let (mut group, replies): (Vec<_>, Vec<_>) = requests.unzip();
        self.write_group(&mut group);
        group.into_iter().for_each(WriteRequest::deliver);
        let received = replies.into_iter().map(|mut reply| reply.try_recv());
        received.map(|reply| reply.unwrap_or_else(|_| Err(StoreError::Closed.into()))).collect()
    }

    /// Executes requests in one transaction and puts each result into its request. A request that fails leaves nothing
    /// behind and does not affect the others. If the transaction itself fails, all of them fail.
    pub fn write_group(&mut self, group: &mut [WriteRequest]) {
        match self.try_group(group) {
            Ok(position) => self.log_position = self.log_position.max(position),
            Err(error) => {
                if !self.connection().is_autocommit()
                    && let Err(error) = self.run("ROLLBACK")
                {
                    tracing::error!(reason = error.reason(), "a failed transaction could not be rolled back");
                }
                group.iter_mut().for_each(|request| request.fail(&error));
            }
        }
    }

    /// Returns the position of the last event that the group appended; 0 if none.
    fn try_group(&self, group: &mut [WriteRequest]) -> Result<u64, WriteError> {
        // A write to a deleted file would be lost when the file is closed.
        self.check_files()?;
        self.run("BEGIN IMMEDIATE")?;
        let mut position = 0;
        for request in group {
            self.run("SAVEPOINT piece")?;
            let appended = execute(self.connection(), request);
            if let Some(error) = request.error() {
                if self.connection().is_autocommit() {
                    // A full disk and the like end the whole transaction, and with it what was written before this
                    // request.
                    return Err(error.clone());
                }
                self.run("ROLLBACK TO piece")?;
            } else {
                position = position.max(appended.unwrap_or(0));
            }
            self.run("RELEASE piece")?;
        }
        self.abort.hit(AbortPoint::Commit);
        self.run("COMMIT")?;
        self.abort.hit(AbortPoint::Committed);
        Ok(position)
    }

    fn run(&self, sql: &'static str) -> Result<(), StoreError> {
        self.connection().prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Checks that the files are still those that were opened. Takes a few microseconds.
    ///
    /// # Errors
    /// [`StoreError::Gone`]
    pub fn check_files(&self) -> Result<(), StoreError> {
        if self.files.as_ref().is_none_or(StoreFiles::are_unchanged) { Ok(()) } else { Err(StoreError::Gone) }
    }

    /// Returns how much space the store's files take, in bytes; 0 for a store in memory.
    #[must_use]
    pub fn size_on_disk(&self) -> u64 {
        self.files.as_ref().map_or(0, StoreFiles::size)
    }

    /// Checks that the store can be written: writes one row.
    ///
    /// # Errors
    /// [`StoreError`]; why it cannot.
    pub fn probe(&self, now: Timestamp) -> Result<(), StoreError> {
        self.check_files()?;
        let written = clock_marks::set_probed(self.connection(), now);
        if written.is_err() && !self.connection().is_autocommit() {
            self.run("ROLLBACK")?;
        }
        written
    }

    /// Returns the position of the last event that was appended to the log; 0 before the first. Never falls.
    #[must_use]
    pub fn log_position(&self) -> u64 {
        self.log_position
    }

    /// Copies the whole write-ahead log into the database file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event_id::Edge;
    use crate::model::{EventKey, EventType, Provenance, Source};
    use crate::store::rows::{Commit, NewEvent};

    /// A commit of one event of about `bytes` bytes.
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
        let limit = |db: &Db, pages: i64| db.connection().pragma_update(None, "max_page_count", pages).unwrap();
        let kept: i64 = db.connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        limit(&db, kept + 20);

        let results = db.write_all(vec![commit(1, 10), commit(2, 1_000_000), commit(3, 10)], Timestamp::UNIX_EPOCH);
        assert_eq!(results[1], Err(WriteError::Store(StoreError::Full)));
        let acknowledged = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(db.log_after(0, 10).unwrap().len(), acknowledged);

        limit(&db, 1_000_000);
        let failed: Vec<_> = (1..=3).zip(&results).filter(|(_, result)| result.is_err()).collect();
        for (number, _) in failed {
            db.write(commit(number, 1_000_000), Timestamp::UNIX_EPOCH).unwrap();
        }
        drop(db);
        assert_eq!(Db::open(&path, Timestamp::UNIX_EPOCH).unwrap().log_after(0, 10).unwrap().len(), 3);
    }

    #[test]
    fn a_store_that_becomes_read_only_refuses_commits_by_that_name_and_goes_on_when_it_can_be_written_again() {
        let mut db = Db::in_memory(Timestamp::UNIX_EPOCH).unwrap();
        db.write(commit(1, 10), Timestamp::UNIX_EPOCH).unwrap();
        db.connection().pragma_update(None, "query_only", true).unwrap();
        let results = db.write_all(vec![commit(2, 10), commit(3, 10)], Timestamp::UNIX_EPOCH);
        assert!(results.iter().all(|result| *result == Err(WriteError::Store(StoreError::ReadOnly))), "{results:?}");
        assert_eq!(db.log_after(0, 10).unwrap().len(), 1);
        db.connection().pragma_update(None, "query_only", false).unwrap();
        db.write(commit(2, 10), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(db.log_after(0, 10).unwrap().len(), 2);
    }
}
