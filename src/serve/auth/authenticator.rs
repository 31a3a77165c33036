//! Checks the key that a request presents.
//!
//! A bcrypt hash is slow to check by design, and anybody can make the server check one. Therefore one is checked at a time,
//! a failed check is followed by a pause, few may wait, and passwords that were right are cached, so that a client with the
//! right password never waits.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;
use prometheus::IntCounter;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::keys::{Keys, PasswordHash};

/// How many password checks may be outstanding, including the one that runs. Further ones are answered with
/// [`AuthDecision::Busy`].
const MAX_WAITING: usize = 16;

/// How many right passwords are cached.
const CACHE_SIZE: usize = 64;

/// The pause after a failed check, as a multiple of the time that the check took.
const PAUSE_FACTOR: u32 = 3;

/// The key that a request presents.
#[derive(Debug, Clone)]
pub(super) enum PresentedKey {
    Token(Vec<u8>),
    User { name: String, password: SecretString },
}

impl PresentedKey {
    /// Parses an `Authorization` header. Returns `None` if the scheme is unknown or the value is malformed.
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

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthDecision {
    Granted,
    Denied,
    /// Too many password checks are waiting.
    Busy,
}

/// Checks keys. See the module for what bounds the cost of password checks.
pub(crate) struct Authenticator {
    /// One permit: the check that runs.
    running: Semaphore,
    waiting: Semaphore,
    /// A digest of each right password together with the hash it matched, the newest last.
    cache: Mutex<VecDeque<[u8; 32]>>,
    /// How often [`AuthDecision::Busy`] was returned.
    turned_away: IntCounter,
}

impl Authenticator {
    pub(crate) fn new(turned_away: IntCounter) -> Self {
        Self { running: Semaphore::new(1), waiting: Semaphore::new(MAX_WAITING), cache: Mutex::default(), turned_away }
    }

    /// Returns whether one of `keys` matches. Compares tokens in constant time. A password may wait for other checks.
    pub(super) async fn check(&self, presented: &PresentedKey, keys: &[&Keys]) -> AuthDecision {
        match presented {
            PresentedKey::Token(given) => {
                let tokens = keys.iter().filter_map(|keys| keys.token.as_ref());
                let good = tokens.filter(|token| matches_token(given, token.expose_secret())).count() > 0;
                if good { AuthDecision::Granted } else { AuthDecision::Denied }
            }
            PresentedKey::User { name, password } => {
                let users = || keys.iter().flat_map(|keys| &keys.users);
                let own = users().filter(|(user, _)| *user == name).map(|(_, hash)| hash).collect::<Vec<_>>();
                // The password of an unknown user is checked against some hash, so that the time taken does not reveal
                // which users exist.
                let (hashes, exists) = match own.is_empty() {
                    true => (users().next().map(|(_, hash)| hash).into_iter().collect(), false),
                    false => (own, true),
                };
                for hash in hashes {
                    match self.check_password(password, hash).await {
                        AuthDecision::Granted if exists => return AuthDecision::Granted,
                        AuthDecision::Busy => return AuthDecision::Busy,
                        AuthDecision::Granted | AuthDecision::Denied => {}
                    }
                }
                AuthDecision::Denied
            }
        }
    }

    async fn check_password(&self, password: &SecretString, hash: &PasswordHash) -> AuthDecision {
        let mut digest = Sha256::new();
        digest.update(hash.as_str().as_bytes());
        digest.update(password.expose_secret().as_bytes());
        let digest: [u8; 32] = digest.finalize().into();
        if self.is_cached(&digest) {
            return AuthDecision::Granted;
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            self.turned_away.inc();
            return AuthDecision::Busy;
        };
        let Ok(_running) = self.running.acquire().await else { return AuthDecision::Busy };
        let (given, hash) = (password.clone(), hash.clone());
        let checked = tokio::task::spawn_blocking(move || {
            let clock = crate::clock::Clock::new();
            let begun = clock.mono();
            let good = bcrypt::verify(given.expose_secret(), hash.as_str()).unwrap_or(false);
            (good, clock.mono().saturating_sub(begun))
        });
        let (good, took) = checked.await.unwrap_or((false, Duration::ZERO));
        if good {
            self.remember(digest);
            return AuthDecision::Granted;
        }
        tokio::time::sleep(took * PAUSE_FACTOR).await;
        AuthDecision::Denied
    }

    fn is_cached(&self, digest: &[u8; 32]) -> bool {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        // Compares with all of them: the time taken does not depend on which one matches.
        cache.iter().filter(|cached| bool::from(cached.as_slice().ct_eq(digest))).count() > 0
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHE_SIZE {
            cache.pop_front();
        }
        cache.push_back(digest);
    }
}

/// Compares in a time that depends neither on how much of the token is right nor on its length.
fn matches_token(given: &[u8], token: &str) -> bool {
    Sha256::digest(given).ct_eq(&Sha256::digest(token.as_bytes())).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn authenticator() -> Authenticator {
        Authenticator::new(IntCounter::new("turned_away", "turned away").unwrap())
    }

    fn keys(password: &str) -> Keys {
        let hash = PasswordHash::parse(&bcrypt::hash(password, 4).unwrap()).unwrap();
        Keys { token: Some("a-token-of-some-length".into()), users: BTreeMap::from([("ada".to_owned(), hash)]) }
    }

    fn user(name: &str, password: &str) -> PresentedKey {
        PresentedKey::parse(&format!("Basic {}", BASE64.encode(format!("{name}:{password}").as_bytes()))).unwrap()
    }

    #[tokio::test]
    async fn only_the_token_or_the_right_password_of_a_user_is_accepted() {
        let (authenticator, keys) = (authenticator(), keys("open:sesame"));
        let check = async |presented: &PresentedKey| authenticator.check(presented, &[&keys]).await;
        assert_eq!(check(&PresentedKey::parse("Bearer a-token-of-some-length").unwrap()).await, AuthDecision::Granted);
        assert_eq!(check(&PresentedKey::parse("bearer a-token-of-some-lengtH").unwrap()).await, AuthDecision::Denied);
        assert_eq!(check(&user("ada", "open:sesame")).await, AuthDecision::Granted);
        assert_eq!(check(&user("ada", "open:sesame")).await, AuthDecision::Granted);
        for (name, password) in [("ada", "open"), ("ada", ""), ("bo", "open:sesame"), ("", "open:sesame")] {
            assert_eq!(check(&user(name, password)).await, AuthDecision::Denied, "{name}");
        }
        for bad in ["Basic", "Basic ???", "Basic YQ==", "Digest a", ""] {
            assert!(PresentedKey::parse(bad).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn many_guesses_at_once_are_turned_away_while_a_cached_password_is_still_accepted() {
        let (authenticator, keys) = (authenticator(), keys("right"));
        assert_eq!(authenticator.check(&user("ada", "right"), &[&keys]).await, AuthDecision::Granted);
        let running = authenticator.running.acquire().await.unwrap();
        let mut guesses: Vec<_> = Vec::new();
        for number in 0..MAX_WAITING {
            let (authenticator, keys, guess) = (&authenticator, &keys, user("ada", &number.to_string()));
            guesses.push(Box::pin(async move { authenticator.check(&guess, &[keys]).await }));
        }
        for guess in &mut guesses {
            let waits = tokio::time::timeout(Duration::ZERO, guess.as_mut()).await;
            assert!(waits.is_err(), "more than one password is checked at a time");
        }
        assert_eq!(authenticator.check(&user("ada", "one more"), &[&keys]).await, AuthDecision::Busy);
        assert_eq!(authenticator.turned_away.get(), 1);
        assert_eq!(authenticator.check(&user("ada", "right"), &[&keys]).await, AuthDecision::Granted);
        drop((guesses, running));
        assert_eq!(authenticator.check(&user("ada", "one more"), &[&keys]).await, AuthDecision::Denied);
    }
}
