//! How far the store has come, for everyone who follows it.
//!
//! The writer publishes a [`StoreProgress`] through a `tokio::sync::watch` channel after each transaction and before it
//! answers the callers. A follower keeps its own receiver, so it misses no change between reading the store and
//! waiting.

/// The state of the store's log and outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreProgress {
    /// The position of the last event that was appended to the log; 0 before the first. Never falls.
    pub log_position: u64,
    /// How many admin requests (replay, enable, configure …) and requests to forget a person this process has written. They
    /// change deliveries without appending to the log.
    pub admin_changes: u64,
}
