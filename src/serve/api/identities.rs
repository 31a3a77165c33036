//! The state of each identity, as `/readyz?verbose` and `/api/v1/status` show it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::status::{IdentityStatus, StatusBoard};

/// The state of one identity.
#[derive(Debug, Serialize)]
pub(super) struct IdentityView {
    /// `null` before its first read.
    up: Option<bool>,
    reason: Option<&'static str>,
    remedy: Option<&'static str>,
}

impl From<&IdentityStatus> for IdentityView {
    fn from(status: &IdentityStatus) -> Self {
        Self { up: status.up, reason: status.reason, remedy: status.remedy }
    }
}

/// Returns the state of each identity by name.
pub(super) fn identities(board: &StatusBoard) -> BTreeMap<String, IdentityView> {
    board.read().identities.iter().map(|(name, status)| (name.to_string(), status.into())).collect()
}
