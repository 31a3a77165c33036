//! The settings of the store, validated by `config`.

use std::path::PathBuf;
use std::time::Duration;

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The SQLite file. Its folder must exist.
    pub path: PathBuf,
    /// How long finished conferences and deliveries are kept.
    pub retention: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { path: PathBuf::from("/var/lib/meetwatch/meetwatch.db"), retention: Duration::from_secs(30 * 86_400) }
    }
}
