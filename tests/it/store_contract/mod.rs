//! The contract of the store, as cases that take any backend.
//!
//! A case is a function that is generic over [`Backend`], or over [`Durable`] if it reopens the store.
//! [`contract_tests!`] runs it on every backend. A new backend implements the traits and is added to the macro.

mod admin;
mod backends;
mod batches;
mod commit;
mod forget;
mod log;
mod outbox;
pub(crate) mod retention;
mod settle;

use std::collections::BTreeSet;

use jiff::Timestamp;
use meetwatch::model::ConferenceName;
use meetwatch::store::{
    AttemptCount, ConferenceQuery, DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryPage, EndpointSummary,
    EventFilter, LogPage, LogRow, Operation, OperationResult, ParticipantKey, StoreError, StoredConference, Subject,
    TargetRow, Traces,
};

pub(crate) use backends::{SqliteFile, SqliteMemory};

/// A store under test, driven synchronously.
pub(crate) trait Backend: Sized {
    /// Creates an empty store at [`crate::store_samples::noon`].
    fn create() -> Self;

    /// Writes operations in one transaction.
    fn write_all<O: Operation>(&mut self, operations: Vec<O>, now: Timestamp) -> Vec<OperationResult<O>>;

    /// Writes one operation in a transaction of its own.
    fn write<O: Operation>(&mut self, operation: O, now: Timestamp) -> OperationResult<O> {
        self.write_all(vec![operation], now).pop().unwrap()
    }

    /// The position of the last event in the log, as it is published.
    fn log_position(&self) -> u64;

    fn load_unfinished(&self) -> Result<Vec<StoredConference>, StoreError>;
    fn conference(&self, name: &ConferenceName) -> Result<Option<StoredConference>, StoreError>;
    fn unfinished_conference(&self, name: &ConferenceName) -> Result<Option<StoredConference>, StoreError>;
    fn conferences(&self, query: &ConferenceQuery) -> Result<Vec<StoredConference>, StoreError>;
    fn finished(&self) -> Result<BTreeSet<ConferenceName>, StoreError>;
    fn targets(&self) -> Result<Vec<TargetRow>, StoreError>;
    fn log_after(&self, position: u64, limit: usize) -> Result<Vec<LogRow>, StoreError>;
    fn log(&self, filter: &EventFilter) -> Result<LogPage, StoreError>;
    fn outbox_summary(&self) -> Result<Vec<EndpointSummary>, StoreError>;
    fn list_deliveries(&self, filter: &DeliveryFilter) -> Result<DeliveryPage, StoreError>;
    fn delivery(&self, delivery: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError>;
    fn attempts_since(&self, since: Timestamp) -> Result<Vec<AttemptCount>, StoreError>;
    fn subject_names(&self, subject: &Subject) -> Result<Vec<String>, StoreError>;
    fn participants_named(&self, names: &[String]) -> Result<(Vec<ParticipantKey>, Traces), StoreError>;
}

/// A store that survives the end of its process.
pub(crate) trait Durable: Backend {
    /// Closes the store and opens it again at `now`, as a new process does.
    fn reopen(self, now: Timestamp) -> Self;
}

/// Makes a test of each case on each backend.
macro_rules! contract_tests {
    ($($case:ident),+ $(; durable: $($durable:ident),+)? $(,)?) => {
        mod sqlite_memory {
            $(#[test]
            fn $case() {
                super::$case::<crate::store_contract::SqliteMemory>();
            })+
        }

        mod sqlite_file {
            $(#[test]
            fn $case() {
                super::$case::<crate::store_contract::SqliteFile>();
            })+

            $($(#[test]
            fn $durable() {
                super::$durable::<crate::store_contract::SqliteFile>();
            })+)?
        }
    };
}

pub(crate) use contract_tests;
