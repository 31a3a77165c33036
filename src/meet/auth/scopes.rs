//! The OAuth scopes. Each set has its own token, so that a missing scope of one does not block the other.

/// A set of scopes with one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scopes {
    /// Reading conferences.
    Meet,
    /// Looking up names and addresses.
    People,
}

impl Scopes {
    /// Both sets.
    pub const ALL: [Self; 2] = [Self::Meet, Self::People];

    /// The scopes by Google's names.
    #[must_use]
    pub const fn as_slice(self) -> &'static [&'static str] {
        match self {
            Self::Meet => &["https://www.googleapis.com/auth/meetings.space.readonly"],
            Self::People => &[
                "https://www.googleapis.com/auth/directory.readonly",
                "https://www.googleapis.com/auth/contacts.readonly",
                "https://www.googleapis.com/auth/contacts.other.readonly",
            ],
        }
    }
}
