//! Keys: bearer tokens, and users whose passwords are known only as bcrypt hashes.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;

/// What opens one group of paths.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    pub token: Option<SecretString>,
    /// The bcrypt hash of each user's password, as `htpasswd -nBC 10` prints it.
    pub users: BTreeMap<String, PasswordHash>,
}

impl Keys {
    /// Whether there is neither a token nor a user.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.token.is_none() && self.users.is_empty()
    }
}

/// The highest cost that is accepted. Above it, one check takes seconds.
const MAX_COST: u32 = 14;

/// A bcrypt hash. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl PasswordHash {
    /// Parses a hash such as `$2y$10$…`. Returns `None` if it is not a bcrypt hash, or its cost is below 4 or above 14.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|prefix| text.starts_with(prefix));
        let parts: bcrypt::HashParts = text.parse().ok()?;
        (known && text.len() == 60 && (4..=MAX_COST).contains(&parts.get_cost())).then(|| Self(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bcrypt_hash_of_an_acceptable_cost_is_parsed() {
        assert!(PasswordHash::parse("$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi").is_some());
        for bad in
            ["", "secret", "$2y$15$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi", "$2y$10$QOauh", "$1$a$b"]
        {
            assert!(PasswordHash::parse(bad).is_none(), "{bad}");
        }
        let hash = PasswordHash::parse("$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi");
        assert!(!format!("{hash:?}").contains("QOau"));
    }
}
