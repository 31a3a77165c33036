//! What we ask to be allowed. The two sets never share a token, so that one that is missing does not block the other.

/// A set of scopes that one token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scopes {
    /// Reading conferences.
    Meet,
    /// Looking up who somebody is.
    People,
}

impl Scopes {
    /// Both sets.
    pub const ALL: [Self; 2] = [Self::Meet, Self::People];

    /// The scopes, as Google names them.
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
