//! The backends that the contract is run on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use meetwatch::model::ConferenceName;
use meetwatch::store::{
    AttemptCount, ConferenceQuery, Db, DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryPage, EndpointSummary,
    EventFilter, LogPage, LogRow, Operation, OperationResult, ParticipantKey, StoreError, StoredConference, Subject,
    TargetRow, Traces,
};

use super::{Backend, Durable};
use crate::store_samples::noon;

/// SQLite in memory.
pub(crate) struct SqliteMemory {
    db: Db,
}

/// SQLite on a file.
pub(crate) struct SqliteFile {
    pub(crate) db: Db,
    pub(crate) path: PathBuf,
    folder: tempfile::TempDir,
}

macro_rules! read_from_db {
    () => {
        fn write_all<O: Operation>(&mut self, operations: Vec<O>, now: Timestamp) -> Vec<OperationResult<O>> {
            self.db.write_all(operations, now)
        }

        fn log_position(&self) -> u64 {
            self.db.log_position()
        }

        fn load_unfinished(&self) -> Result<Vec<StoredConference>, StoreError> {
            self.db.load_unfinished()
        }

        fn conference(&self, name: &ConferenceName) -> Result<Option<StoredConference>, StoreError> {
            self.db.conference(name)
        }

        fn unfinished_conference(&self, name: &ConferenceName) -> Result<Option<StoredConference>, StoreError> {
            self.db.unfinished_conference(name)
        }

        fn conferences(&self, query: &ConferenceQuery) -> Result<Vec<StoredConference>, StoreError> {
            self.db.conferences(query)
        }

        fn finished(&self) -> Result<BTreeSet<ConferenceName>, StoreError> {
            self.db.finished()
        }

        fn targets(&self) -> Result<Vec<TargetRow>, StoreError> {
            self.db.targets()
        }

        fn log_after(&self, position: u64, limit: usize) -> Result<Vec<LogRow>, StoreError> {
            self.db.log_after(position, limit)
        }

        fn log(&self, filter: &EventFilter) -> Result<LogPage, StoreError> {
            self.db.log(filter)
        }

        fn outbox_summary(&self) -> Result<Vec<EndpointSummary>, StoreError> {
            self.db.outbox_summary()
        }

        fn list_deliveries(&self, filter: &DeliveryFilter) -> Result<DeliveryPage, StoreError> {
            self.db.list_deliveries(filter)
        }

        fn delivery(&self, delivery: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
            self.db.delivery(delivery)
        }

        fn attempts_since(&self, since: Timestamp) -> Result<Vec<AttemptCount>, StoreError> {
            self.db.attempts_since(since)
        }

        fn subject_names(&self, subject: &Subject) -> Result<Vec<String>, StoreError> {
            self.db.subject_names(subject)
        }

        fn participants_named(&self, names: &[String]) -> Result<(Vec<ParticipantKey>, Traces), StoreError> {
            self.db.participants_named(names)
        }
    };
}

impl Backend for SqliteMemory {
    fn create() -> Self {
        Self { db: Db::in_memory(noon()).unwrap() }
    }

    read_from_db!();
}

impl Backend for SqliteFile {
    fn create() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meetwatch.db");
        Self { db: Db::open(&path, noon()).unwrap(), path, folder }
    }

    read_from_db!();
}

impl SqliteFile {
    /// Closes the store and returns its path. The folder is deleted when the guard is dropped.
    pub(crate) fn close(self) -> (PathBuf, tempfile::TempDir) {
        drop(self.db);
        (self.path, self.folder)
    }
}

impl Durable for SqliteFile {
    fn reopen(self, now: Timestamp) -> Self {
        let Self { db, path, folder } = self;
        drop(db);
        Self { db: Db::open(&path, now).unwrap(), path, folder }
    }
}
