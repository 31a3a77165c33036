//! What survives: the roster, the event log, what is owed to whom, and how far everything was read. SQLite, one writer.
//!
//! A [`Commit`] comes in through the [`Store`], waits with others for the writer's thread, and is written by the [`Db`] in
//! one transaction: facts, log, deliveries. The dispatcher takes deliveries out by [`OutboxRequest`]s that go the same way.
//! Whoever only reads does so on connections of its own.

pub mod attendance;
pub mod backup;
pub mod beside;
pub mod collector;
pub mod db;
pub mod delivery;
pub mod error;
pub mod forget;
pub mod handle;
pub mod metrics;
pub mod open;
pub mod prune;
pub mod repair;
pub mod retention;
pub mod retention_loop;
pub mod rows;
pub mod settings;

mod batch;
mod breaker;
mod claim;
mod endpoints;
mod erase;
mod examine;
mod facts;
mod files;
mod inspect;
mod lanes;
mod log;
mod mend;
mod migrate;
mod outbox;
mod owe;
mod readers;
mod settle;
mod stand_in;
mod trouble;
mod values;
mod writer;

pub use attendance::ConferenceQuery;
pub use backup::{Backup, BackupError, back_up};
pub use collector::{OutboxCollector, ShownEndpoints};
pub use db::{Db, Work, Written};
pub use delivery::{
    AttemptRecord, AttemptResult, AttemptRow, Batched, ClaimRequest, Claimed, DeliveryId, DeliveryState, EndpointReply,
    EndpointSummary, LaneId, LogRow, OutboxReply, OutboxRequest, Pick, StoredBreaker,
};
pub use error::{CommitError, StoreError};
pub use forget::{Forget, Subject, Traces};
pub use handle::Store;
pub use metrics::StoreMetrics;
pub use open::OpenError;
pub use prune::{PruneCursor, PruneRequest, Pruned};
pub use repair::{
    AdminRequest, AttemptCount, Batching, DeliveryDetail, DeliveryFilter, DeliveryPage, DeliveryRow, EndpointConfig,
    Replay, ResumeFrom, StoredAttempt,
};
pub use retention::ClockDoubt;
pub use rows::{
    Commit, ConferenceRow, EmittedRow, NewEvent, ParticipantRow, Phase, SessionRow, StoredConference, TargetRow,
};
pub use settings::StoreSettings;
