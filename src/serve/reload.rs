//! The interface through which the API reloads the configuration.

use std::future::Future;
use std::pin::Pin;

/// Reloads the configuration.
pub trait Reload: Send + Sync {
    /// Reads the configuration and puts it in force as a whole. Returns its warnings.
    ///
    /// # Errors
    /// [`NotReloaded`]; the configuration in force is unchanged.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Vec<String>, NotReloaded>> + Send>>;
}

/// Why the configuration in force was kept, in one sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReloaded {
    /// The configuration is invalid, or cannot be put in force without a restart.
    #[error("{0}")]
    Refused(String),
    /// No reload is possible now.
    #[error("{0}")]
    Unavailable(String),
}
