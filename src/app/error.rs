//! The errors of starting and of running the daemon.

use crate::backoff::InvalidBackoff;
use crate::delivery::{KeyError, SenderError};
use crate::meet;
use crate::serve::{BadServerTls, BindError, TokenError};
use crate::store::{OpenError, StoreError, WriteError};

/// Why the daemon cannot start. The message is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the store was opened but cannot be read")]
    Memory(#[from] StoreError),
    #[error("the store was opened but cannot be written")]
    Configure(#[from] WriteError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Listen(#[from] BindError),
    #[error("the server's TLS cannot be set up: {0}")]
    Tls(#[from] BadServerTls),
    #[error(transparent)]
    Google(#[from] meet::SetupError),
    #[error(transparent)]
    Webhooks(#[from] SenderError),
    #[error(transparent)]
    Pseudonyms(#[from] KeyError),
    #[error("the metrics could not be registered")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Backoff(#[from] InvalidBackoff),
}

impl StartError {
    /// Returns whether every further start will fail in the same way until somebody changes something. False for causes
    /// that may pass by themselves, such as an address in use or a disk that does not answer.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Store(error) => match error {
                OpenError::FolderMissing(_)
                | OpenError::NotAStore(_)
                | OpenError::Newer { .. }
                | OpenError::HardLinked { .. }
                | OpenError::ForeignLog(_)
                | OpenError::Corrupt(_) => true,
                OpenError::ReadOnly(_) | OpenError::InUse(_) | OpenError::Io { .. } | OpenError::Store { .. } => false,
            },
            // Damage that opening does not find shows when the store is read.
            Self::Memory(StoreError::Corrupt) | Self::Configure(WriteError::Store(StoreError::Corrupt)) => true,
            Self::Token(error) => matches!(error, TokenError::Unusable(_)),
            Self::Pseudonyms(error) => matches!(error, KeyError::Unusable(_)),
            Self::Google(_) | Self::Webhooks(_) | Self::Tls(_) | Self::Backoff(_) => true,
            Self::Memory(_) | Self::Configure(_) | Self::Listen(_) | Self::Metrics(_) => false,
        }
    }
}

/// Why the daemon did not run until its stop, or did not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the store could not be closed")]
    Store(#[from] StoreError),
    #[error("a task of the daemon failed; the log names it; this is a defect, please report it")]
    TaskFailed,
}
