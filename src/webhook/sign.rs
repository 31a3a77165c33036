//! Standard Webhooks 1.0 signatures.

/// A signing secret.
#[derive(Debug, Clone)]
pub struct SigningSecret {}
