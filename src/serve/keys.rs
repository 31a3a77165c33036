//! Who may come in: bearer tokens, and users with passwords of which only bcrypt hashes are known.
//!
//! A hash is slow to check on purpose, and anybody may ask for it to be done. So one is checked at a time, a failed check is
//! followed by a rest, few may wait, and who came in is remembered: passwords that are right cost a request nothing.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

/// How many may wait for a check; others are sent away.
const MOST_WAITING: usize = 16;

/// How many who came in are remembered.
const REMEMBERED: usize = 64;

/// After a check that failed, nothing is checked for so many times as long as it took.
const REST: u32 = 3;

/// What opens one face of the server.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    pub token: Option<SecretString>,
    /// The bcrypt hash of each user's password, as `htpasswd -nBC 10` prints it.
    pub users: BTreeMap<String, PasswordHash>,
}

impl Keys {
    /// Whether there is nothing that opens it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.token.is_none() && self.users.is_empty()
    }
}

/// A bcrypt hash. Its `Debug` form shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl PasswordHash {
    /// The highest cost that is taken: beyond it one check takes seconds.
    pub const MAX_COST: u32 = 14;

    /// Reads a hash such as `$2y$10$…`; `None` for what is none, or costs too much.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|prefix| text.starts_with(prefix));
        let parts: bcrypt::HashParts = text.parse().ok()?;
        (known && text.len() == 60 && (4..=Self::MAX_COST).contains(&parts.get_cost())).then(|| Self(text.into()))
    }
}

/// What a request shows to come in.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    Token(Vec<u8>),
    User { name: String, password: SecretString },
}

impl Shown {
    /// What an `Authorization` header says; `None` where that is nothing known.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ')?;
        let rest = rest.trim_start();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Token(rest.as_bytes().to_vec()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(BASE64.decode(rest.as_bytes()).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;
        Some(Self::User { name: name.to_owned(), password: SecretString::from(password) })
    }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    In,
    Out,
    /// Too many are being checked.
    Busy,
}

/// Checks what is shown.
pub(super) struct Doorkeeper {
    one: Semaphore,
    waiting: Semaphore,
    /// Those who came in, as hashes of what they showed and of what it was held against, the latest last.
    known: Mutex<VecDeque<[u8; 32]>>,
}

impl Default for Doorkeeper {
    fn default() -> Self {
        Self { one: Semaphore::new(1), waiting: Semaphore::new(MOST_WAITING), known: Mutex::default() }
    }
}

impl Doorkeeper {
    /// Whether one of these keys lets it in.
    pub(super) async fn check(&self, shown: &Shown, keys: &[&Keys]) -> Verdict {
        match shown {
            Shown::Token(given) => {
                let tokens = keys.iter().filter_map(|keys| keys.token.as_ref());
                let good = tokens.filter(|token| same(given, token.expose_secret())).count() > 0;
                if good { Verdict::In } else { Verdict::Out }
            }
            Shown::User { name, password } => {
                let users = || keys.iter().flat_map(|keys| &keys.users);
                let own = users().filter(|(user, _)| *user == name).map(|(_, hash)| hash).collect::<Vec<_>>();
                // A name that nobody has is checked all the same, so that time does not tell who is a user.
                let (hashes, exists) = match own.is_empty() {
                    true => (users().next().map(|(_, hash)| hash).into_iter().collect(), false),
                    false => (own, true),
                };
                for hash in hashes {
                    match self.password(password, hash).await {
                        Verdict::In if exists => return Verdict::In,
                        Verdict::Busy => return Verdict::Busy,
                        Verdict::In | Verdict::Out => {}
                    }
                }
                Verdict::Out
            }
        }
    }

    async fn password(&self, password: &SecretString, hash: &PasswordHash) -> Verdict {
        let mut digest = Sha256::new();
        digest.update(hash.0.as_bytes());
        digest.update(password.expose_secret().as_bytes());
        let print: [u8; 32] = digest.finalize().into();
        if self.knows(&print) {
            return Verdict::In;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Verdict::Busy };
        let Ok(_turn) = self.one.acquire().await else { return Verdict::Busy };
        let (given, hash) = (password.clone(), hash.clone());
        let checked = tokio::task::spawn_blocking(move || {
            let clock = crate::clock::Clock::new();
            let begun = clock.mono();
            let good = bcrypt::verify(given.expose_secret(), &hash.0).unwrap_or(false);
            (good, clock.mono().saturating_sub(begun))
        });
        let (good, took) = checked.await.unwrap_or((false, Duration::ZERO));
        if good {
            self.remember(print);
            return Verdict::In;
        }
        tokio::time::sleep(took * REST).await;
        Verdict::Out
    }

    fn knows(&self, print: &[u8; 32]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|known| bool::from(known.as_slice().ct_eq(print))).count() > 0
    }

    fn remember(&self, print: [u8; 32]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.pop_front();
        }
        known.push_back(print);
    }
}

/// Compares without telling by the time it takes how much of it is right, or how long the token is.
fn same(given: &[u8], token: &str) -> bool {
    Sha256::digest(given).ct_eq(&Sha256::digest(token.as_bytes())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(password: &str) -> Keys {
        let hash = PasswordHash::parse(&bcrypt::hash(password, 4).unwrap()).unwrap();
        Keys { token: Some("a-token-of-some-length".into()), users: BTreeMap::from([("ada".to_owned(), hash)]) }
    }

    fn user(name: &str, password: &str) -> Shown {
        Shown::parse(&format!("Basic {}", BASE64.encode(format!("{name}:{password}").as_bytes()))).unwrap()
    }

    #[tokio::test]
    async fn a_token_or_a_password_opens_and_nothing_else_does() {
        let (doorkeeper, keys) = (Doorkeeper::default(), keys("open:sesame"));
        let check = async |shown: &Shown| doorkeeper.check(shown, &[&keys]).await;
        assert_eq!(check(&Shown::parse("Bearer a-token-of-some-length").unwrap()).await, Verdict::In);
        assert_eq!(check(&Shown::parse("bearer a-token-of-some-lengtH").unwrap()).await, Verdict::Out);
        assert_eq!(check(&user("ada", "open:sesame")).await, Verdict::In);
        assert_eq!(check(&user("ada", "open:sesame")).await, Verdict::In);
        for (name, password) in [("ada", "open"), ("ada", ""), ("bo", "open:sesame"), ("", "open:sesame")] {
            assert_eq!(check(&user(name, password)).await, Verdict::Out, "{name}");
        }
        for bad in ["Basic", "Basic ???", "Basic YQ==", "Digest a", ""] {
            assert!(Shown::parse(bad).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn many_who_guess_at_once_are_sent_away_and_who_is_known_comes_in_meanwhile() {
        let (doorkeeper, keys) = (Doorkeeper::default(), keys("right"));
        assert_eq!(doorkeeper.check(&user("ada", "right"), &[&keys]).await, Verdict::In);
        let turn = doorkeeper.one.acquire().await.unwrap();
        let mut guesses: Vec<_> = Vec::new();
        for number in 0..MOST_WAITING {
            let (doorkeeper, keys, guess) = (&doorkeeper, &keys, user("ada", &number.to_string()));
            guesses.push(Box::pin(async move { doorkeeper.check(&guess, &[keys]).await }));
        }
        for guess in &mut guesses {
            let waits = tokio::time::timeout(Duration::ZERO, guess.as_mut()).await;
            assert!(waits.is_err(), "only one is checked at a time");
        }
        assert_eq!(doorkeeper.check(&user("ada", "one more"), &[&keys]).await, Verdict::Busy);
        assert_eq!(doorkeeper.check(&user("ada", "right"), &[&keys]).await, Verdict::In);
        drop((guesses, turn));
        assert_eq!(doorkeeper.check(&user("ada", "one more"), &[&keys]).await, Verdict::Out);
    }

    #[test]
    fn a_hash_is_of_bcrypt_and_not_too_dear() {
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
