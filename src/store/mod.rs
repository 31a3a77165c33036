//! What survives a restart: the roster, the event log, the outbox, and how far everything was read.
//!
//! A write operation (a [`Commit`], an [`OutboxRequest`], an [`AdminRequest`] …) enters through the [`Store`], waits in
//! the queue of the writer's thread, and is written together with others in one transaction. The writer then publishes
//! the [`StoreProgress`] and replies. Queries run on a pool of reading connections.
//!
//! The files of this folder are the contract: operations, rows, errors, and the loops around them, without SQL. The
//! backend is the folder `sqlite`. Of this folder only the handle, the writer and the readers use it. It is also the
//! source of three re-exports: [`Db`] and [`StoreReader`], which histories and tests drive without the writer's thread,
//! and [`back_up`].
//!
//! **The contract**, which every backend keeps (`tests/it/store_contract` holds it): a commit is written whole or not
//! at all, and survives a crash once it was acknowledged. An event is in the log once. Within a conference the log
//! counts 1, 2, 3 … The deliveries of an event are created in the transaction that appends it. A delivery has one
//! holder at a time, and the deliveries of a lane are claimed in order.

pub mod retention_loop;
pub mod settings;

mod admin;
mod clock_check;
mod collector;
mod endpoint;
mod error;
mod forget;
mod handle;
mod metrics;
mod outage_log;
mod outbox;
mod progress;
mod prune;
mod query;
mod readers;
mod request;
mod rows;
mod sqlite;
mod writer;

pub use admin::{AdminRequest, Replay, ResumeFrom};
pub use clock_check::{ClockCheck, ClockDoubt};
pub use collector::{OutboxCollector, ShownEndpoints};
pub use endpoint::{AttemptCount, Batching, EndpointConfig, EndpointSummary, StoredBreaker};
pub use error::{OpenError, StoreError, WriteError};
pub use forget::{ForgetRequest, ParticipantKey, Subject, Traces};
pub use handle::Store;
pub use metrics::StoreMetrics;
pub use outbox::{
    AttemptRecord, AttemptResult, AttemptRow, Batched, ClaimRequest, Claimed, DeliveryId, DeliveryState, EndpointReply,
    LaneId, OutboxReply, OutboxRequest, Pick,
};
pub use progress::StoreProgress;
pub use prune::{PruneCursor, PruneRequest, Pruned};
pub use query::{
    ConferenceQuery, ConferenceSelector, DeliveryDetail, DeliveryFilter, DeliveryPage, DeliveryRow, EventFilter,
    LogPage, StoredAttempt,
};
pub use request::{Operation, OperationResult, Pending, WriteRequest};
pub use rows::{
    Commit, ConferenceRow, EmittedRow, LogRow, NewEvent, ParticipantRow, Phase, SessionRow, StoredConference, TargetRow,
};
pub use settings::StoreSettings;
pub use sqlite::{Backup, BackupError, Db, StoreReader, UNFINISHED_BACKUP, back_up};
