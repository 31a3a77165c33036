//! How much an endpoint learns about who was present.

/// How much an endpoint learns about who was present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// Everything.
    #[default]
    Full,
    /// The initials of the name, and ids that are meaningless elsewhere.
    Initials,
    /// A pseudonymous name, user and address, the same for the same person, meaningless elsewhere.
    Pseudonym,
    /// Ids that are meaningless elsewhere.
    None,
}

impl Names {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::Full, Self::Initials, Self::Pseudonym, Self::None];

    /// Returns the name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Initials => "initials",
            Self::Pseudonym => "pseudonym",
            Self::None => "none",
        }
    }

    /// Returns the choice of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|names| names.as_str() == text)
    }
}
