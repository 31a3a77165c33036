//! Whose quota a request counts against.

/// Whose quota Google says is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaScope {
    /// The quota of one user in the project.
    User,
    /// The quota that all users of the project share.
    Project,
}
