//! Checks the key that a request presents.
//!
//! A bcrypt hash is slow to check by design, and anybody can make the server check one. Therefore one is checked at a time,
//! in the order of the [`password_queue`](super::password_queue), and a failed check is followed by a pause. Passwords that
//! were right are cached, so that a client with the right password never waits.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;
use prometheus::IntCounter;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::oneshot;

use super::keys::{Keys, PasswordHash};
use super::password_queue::{Asker, PasswordQueue, Turn};
use crate::clock::Clock;

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
    clock: Clock,
    queue: PasswordQueue,
    cache: PasswordCache,
    /// How often [`AuthDecision::Busy`] was returned.
    turned_away: IntCounter,
}

impl Authenticator {
    pub(crate) fn new(clock: Clock, turned_away: IntCounter) -> Self {
        Self { clock, queue: PasswordQueue::default(), cache: PasswordCache::default(), turned_away }
    }

    /// Returns whether one of `keys` matches what a client at `address` presents. Compares tokens in constant time. A
    /// password may wait for other checks.
    pub(super) async fn check(
        &self,
        presented: &PresentedKey,
        address: Option<IpAddr>,
        keys: &[&Keys],
    ) -> AuthDecision {
        match presented {
            PresentedKey::Token(given) => {
                let tokens = keys.iter().filter_map(|keys| keys.token.as_ref());
                let good = tokens.filter(|token| matches_token(given, token.expose_secret())).count() > 0;
                if good { AuthDecision::Granted } else { AuthDecision::Denied }
            }
            PresentedKey::User { name, password } => {
                let exists = keys.iter().any(|keys| keys.users.contains_key(name));
                let asker = Asker::new(address, exists.then_some(name));
                // The password of an unknown user is checked against the hashes of some user, always the same one for a
                // name, so that the time taken does not reveal which users exist.
                let checked = if exists { Some(name.as_str()) } else { decoy(name, keys) };
                let hashes = || keys.iter().filter_map(|keys| keys.users.get(checked?));
                if exists && hashes().any(|hash| self.cache.contains(&digest(password, hash))) {
                    return AuthDecision::Granted;
                }
                let mut done = BTreeSet::new();
                for hash in hashes() {
                    if !done.insert(hash.as_str()) {
                        continue;
                    }
                    match self.check_password(password, hash, &asker, exists).await {
                        AuthDecision::Denied => {}
                        decision => return decision,
                    }
                }
                AuthDecision::Denied
            }
        }
    }

    /// Checks a password once it is its turn. Never grants where the user does not exist.
    async fn check_password(
        &self,
        password: &SecretString,
        hash: &PasswordHash,
        asker: &Asker,
        exists: bool,
    ) -> AuthDecision {
        let Some(turn) = self.queue.turn(asker, self.clock.mono()).await else {
            self.turned_away.inc();
            return AuthDecision::Busy;
        };
        let check = PasswordCheck {
            password: password.clone(),
            hash: hash.clone(),
            asker: asker.clone(),
            exists,
            clock: self.clock,
            queue: self.queue.clone(),
            cache: self.cache.clone(),
        };
        let (reply, decided) = oneshot::channel();
        // A task of its own: a client that hangs up must not end the pause, nor let a second check run beside its own.
        tokio::spawn(check.run(turn, reply));
        decided.await.unwrap_or(AuthDecision::Denied)
    }
}

/// One check that runs.
struct PasswordCheck {
    password: SecretString,
    hash: PasswordHash,
    asker: Asker,
    exists: bool,
    clock: Clock,
    queue: PasswordQueue,
    cache: PasswordCache,
}

impl PasswordCheck {
    async fn run(self, turn: Turn, reply: oneshot::Sender<AuthDecision>) {
        let Self { password, hash, asker, exists, clock, queue, cache } = self;
        let checked = tokio::task::spawn_blocking(move || {
            let begun = clock.mono();
            let good = bcrypt::verify(password.expose_secret(), hash.as_str()).unwrap_or(false);
            (good.then(|| digest(&password, &hash)), clock.mono().saturating_sub(begun))
        });
        let (right, took) = checked.await.unwrap_or((None, Duration::ZERO));
        let right = right.filter(|_| exists);
        queue.note(&asker, right.is_some(), clock.mono());
        let decision = match right {
            Some(digest) => {
                cache.remember(digest);
                AuthDecision::Granted
            }
            None => {
                tokio::time::sleep(took * PAUSE_FACTOR).await;
                AuthDecision::Denied
            }
        };
        drop(turn);
        // The client may have gone.
        let _ = reply.send(decision);
    }
}

/// A digest of each right password together with the hash it matched, the newest last. Clones share it.
#[derive(Clone, Default)]
struct PasswordCache(Arc<Mutex<VecDeque<[u8; 32]>>>);

impl PasswordCache {
    fn contains(&self, digest: &[u8; 32]) -> bool {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Compares with all of them: the time taken does not depend on which one matches.
        cache.iter().filter(|cached| bool::from(cached.as_slice().ct_eq(digest))).count() > 0
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.contains(&digest) {
            return;
        }
        if cache.len() >= CACHE_SIZE {
            cache.pop_front();
        }
        cache.push_back(digest);
    }
}

fn digest(password: &SecretString, hash: &PasswordHash) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(hash.as_str().as_bytes());
    digest.update(password.expose_secret().as_bytes());
    digest.finalize().into()
}

/// Returns the user whose hashes stand for those of the unknown user `name`. `None` if there is no user at all.
fn decoy<'a>(name: &str, keys: &[&'a Keys]) -> Option<&'a str> {
    let users: BTreeSet<(&str, &str)> =
        keys.iter().flat_map(|keys| &keys.users).map(|(user, hash)| (user.as_str(), hash.as_str())).collect();
    // Together with the hashes, which nobody else knows, so that it cannot be told which user stands for a name.
    let weight = |(user, hash): &(&'a str, &str)| {
        Sha256::new()
            .chain_update(name.as_bytes())
            .chain_update(user.as_bytes())
            .chain_update(hash.as_bytes())
            .finalize()
    };
    let users: Vec<(&'a str, &str)> = users.into_iter().collect();
    users.iter().max_by_key(|user| weight(user)).map(|(user, _)| *user)
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
        Authenticator::new(Clock::new(), IntCounter::new("turned_away", "turned away").unwrap())
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
        let check = async |presented: &PresentedKey| authenticator.check(presented, None, &[&keys]).await;
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
    async fn a_password_that_was_right_before_passes_while_another_is_checked() {
        let (authenticator, keys) = (authenticator(), keys("right"));
        assert_eq!(authenticator.check(&user("ada", "right"), None, &[&keys]).await, AuthDecision::Granted);
        let _turn = authenticator.queue.turn(&Asker::new(None, None), Duration::ZERO).await;
        assert_eq!(authenticator.check(&user("ada", "right"), None, &[&keys]).await, AuthDecision::Granted);
    }

    #[tokio::test]
    async fn the_password_of_a_user_opens_nothing_for_an_unknown_name_also_if_it_is_cached() {
        let (authenticator, keys) = (authenticator(), keys("right"));
        for _ in 0..2 {
            assert_eq!(authenticator.check(&user("bo", "right"), None, &[&keys]).await, AuthDecision::Denied);
            assert_eq!(authenticator.check(&user("ada", "right"), None, &[&keys]).await, AuthDecision::Granted);
        }
    }

    #[test]
    fn an_unknown_name_is_checked_against_the_hashes_of_one_user_always_the_same() {
        let hash = |cost| PasswordHash::parse(&bcrypt::hash("any", cost).unwrap()).unwrap();
        let users = [("ada", 4), ("bo", 5), ("cy", 4)].map(|(name, cost)| (name.to_owned(), hash(cost)));
        let keys = Keys { token: None, users: BTreeMap::from(users) };
        let (mut stood_in, no_users) = (BTreeSet::new(), Keys::default());
        for number in 0..100 {
            let name = format!("nobody{number}");
            let user = decoy(&name, &[&keys, &no_users]).unwrap();
            assert_eq!(decoy(&name, &[&keys]), Some(user));
            stood_in.insert(user);
        }
        assert_eq!(stood_in.len(), 3, "each user stands for some names, so that no time stands out");
        assert_eq!(decoy("nobody", &[&Keys::default()]), None);
    }
}
