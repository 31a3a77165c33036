//! The SQLite backend: everything that names `rusqlite`.
//!
//! [`Db`] is the writing connection: it executes groups of requests, each group in one transaction. [`StoreReader`] is
//! a reading connection; every query is a method of it, in the file that holds the SQL of its tables. The contract
//! above imports nothing else from here.

mod admin_sql;
mod backup;
mod batch;
mod batch_wait;
mod breaker;
mod claim;
mod clock_marks;
mod commit;
mod conference_numbers;
mod conferences;
mod counters;
mod db;
mod deliveries;
mod endpoint_summary;
mod endpoints;
mod enqueue;
mod entities;
mod erase;
mod errors;
mod event_filter;
mod event_redaction;
mod exchange;
mod execute;
mod files;
mod forget;
mod forgotten;
mod lanes;
mod leases;
mod lock;
mod log;
mod migrate;
mod open;
mod preflight;
mod prune;
mod pseudonym;
mod quick_check;
mod reader;
mod record;
mod redact_commit;
mod settle;
mod subjects;
mod values;

pub use backup::{Backup, BackupError, UNFINISHED as UNFINISHED_BACKUP, back_up};
pub use db::Db;
pub use reader::StoreReader;
