//! Why the daemon does not start, and why it did not end well.

use crate::backoff::InvalidBackoff;
use crate::delivery::{KeyError, SenderError};
use crate::meet;
use crate::serve::{BadServerTls, BindError, TokenError};
use crate::store::{CommitError, OpenError, StoreError};

/// Why the daemon does not start, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the store was opened and cannot be read")]
    Memory(#[from] StoreError),
    #[error("the store was opened and cannot be written")]
    Configure(#[from] CommitError),
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
    /// Whether another start would be refused just the same, until somebody changes something. What may pass by itself,
    /// such as an address that is in use or a disk that does not answer, does not last.
    #[must_use]
    pub fn lasts(&self) -> bool {
        match self {
            Self::Store(error) => match error {
                OpenError::FolderMissing(_)
                | OpenError::NotAStore(_)
                | OpenError::Newer { .. }
                | OpenError::Corrupt(_) => true,
                OpenError::ReadOnly(_) | OpenError::InUse(_) | OpenError::Io { .. } | OpenError::Store { .. } => false,
            },
            Self::Token(error) => matches!(error, TokenError::Unusable(_)),
            Self::Pseudonyms(error) => matches!(error, KeyError::Unusable(_)),
            Self::Google(_) | Self::Webhooks(_) | Self::Tls(_) | Self::Backoff(_) => true,
            Self::Memory(_) | Self::Configure(_) | Self::Listen(_) | Self::Metrics(_) => false,
        }
    }
}

/// Why the daemon did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the store could not be closed")]
    Store(#[from] StoreError),
    #[error("a part of the daemon died; the log says which; this is a defect, please report it")]
    Died,
}
