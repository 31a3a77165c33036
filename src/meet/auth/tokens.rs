//! The cached tokens of one identity: one for each set of scopes, renewed before it expires, by one task at a time.
//!
//! A slot is empty or holds a token. A token is first fresh; then due: it still works, and one task renews it while the
//! others go on using it; then expired: all tasks wait for the one that renews it. A failed renewal is cached for a short
//! time, so that many conferences of a failing identity do not each send a request to the token endpoint.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::sync::Mutex;

use super::scopes::Scopes;
use super::token_endpoint::IssuedToken;
use super::token_source::TokenSource;
use crate::clock::{Clock, Mono};
use crate::meet::error::Reason;
use crate::meet::failure::Failure;
use crate::meet::remedy;
use crate::meet::request::GoogleApi;
use crate::meet::retry::is_transient;

/// How long before its expiry a token is renewed; half of its lifetime if that is shorter.
const AHEAD: Duration = Duration::from_secs(240);

/// The lifetime of a token if the endpoint does not say.
const ASSUMED_LIFETIME: Duration = Duration::from_secs(300);

/// How long a failed renewal is cached if only the operator can fix it.
const FAILURE_CACHED: Duration = Duration::from_secs(10);

/// The same for a failure that may pass: long enough for the tasks that waited for this renewal.
const TRANSIENT_FAILURE_CACHED: Duration = Duration::from_millis(500);

/// A token as the value of the `Authorization` header. Its `Debug` form is redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::meet) struct Bearer(HeaderValue);

impl Bearer {
    fn new(token: &str) -> Result<Self, Failure> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Failure::malformed("the token endpoint sent a token that cannot be put into a header"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The value of the header.
    pub(in crate::meet) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[derive(Debug, Clone)]
struct Cached {
    bearer: Bearer,
    due: Mono,
    expired: Mono,
}

#[derive(Debug, Default)]
struct Slot {
    cached: RwLock<Option<Cached>>,
    /// Held by the task that renews. Contains the last failure and its time.
    renewal: Mutex<Option<(Mono, Failure)>>,
}

/// See the module.
#[derive(Debug)]
pub(in crate::meet) struct Tokens {
    source: TokenSource,
    slots: [Slot; Scopes::ALL.len()],
    clock: Clock,
    timeout: Duration,
}

impl Tokens {
    /// An empty cache. `timeout` limits each renewal.
    pub(in crate::meet) fn new(source: TokenSource, clock: Clock, timeout: Duration) -> Self {
        Self { source, slots: Default::default(), clock, timeout }
    }

    /// Returns a token that is valid as far as is known, and renews it if it is due.
    ///
    /// # Errors
    /// Why no token could be obtained.
    pub(in crate::meet) async fn bearer(&self, scopes: Scopes) -> Result<Bearer, Failure> {
        if !self.source.may_be_cached() {
            return Bearer::new(&self.source.fetch(scopes).await?.text);
        }
        let slot = &self.slots[scopes as usize];
        let now = self.clock.mono();
        match slot.get() {
            Some(cached) if now < cached.due => Ok(cached.bearer),
            Some(cached) if now < cached.expired => Ok(self.renew_ahead(scopes, cached).await),
            _ => {
                let mut renewal = slot.renewal.lock().await;
                match slot.get() {
                    Some(cached) if now < cached.expired => Ok(cached.bearer),
                    _ => self.renew(scopes, &mut renewal).await,
                }
            }
        }
    }

    /// Returns another token than the one that Google refused.
    ///
    /// # Errors
    /// Why there is no other token.
    pub(in crate::meet) async fn replace_refused(&self, refused: &Bearer, scopes: Scopes) -> Result<Bearer, Failure> {
        if !self.source.may_be_cached() {
            let other = Bearer::new(&self.source.fetch(scopes).await?.text)?;
            return if other == *refused { Err(refused_again()) } else { Ok(other) };
        }
        let slot = &self.slots[scopes as usize];
        let mut renewal = slot.renewal.lock().await;
        if let Some(cached) = slot.get().filter(|cached| cached.bearer != *refused) {
            return Ok(cached.bearer);
        }
        let renewed = self.renew(scopes, &mut renewal).await?;
        if renewed == *refused {
            // A metadata server caches tokens too, so another request would return the same one.
            *renewal = Some((self.clock.mono(), refused_again()));
            return Err(refused_again());
        }
        Ok(renewed)
    }

    /// Notes that Google refused the new token too, so that the next reads do not each obtain another one.
    pub(in crate::meet) async fn note_second_refusal(&self, scopes: Scopes) {
        let mut renewal = self.slots[scopes as usize].renewal.lock().await;
        *renewal = Some((self.clock.mono(), refused_again()));
    }

    /// Renews a token that still works, unless another task is doing so. If that fails, returns the current token.
    async fn renew_ahead(&self, scopes: Scopes, cached: Cached) -> Bearer {
        let slot = &self.slots[scopes as usize];
        let Ok(mut renewal) = slot.renewal.try_lock() else { return cached.bearer };
        match self.renew(scopes, &mut renewal).await {
            Ok(bearer) => bearer,
            Err(_) => cached.bearer,
        }
    }

    async fn renew(&self, scopes: Scopes, last: &mut Option<(Mono, Failure)>) -> Result<Bearer, Failure> {
        let now = self.clock.mono();
        if let Some((at, failure)) = last.as_ref().filter(|(at, failure)| now.saturating_sub(*at) < cache_time(failure))
        {
            tracing::trace!(since = ?now.saturating_sub(*at), reason = %failure.reason, "no token: the last renewal failed a moment ago and is not repeated yet");
            return Err(failure.clone());
        }
        let fetched = tokio::time::timeout(self.timeout, self.source.fetch(scopes)).await.unwrap_or_else(|_| {
            Err(Failure::new(Reason::Timeout, "the token endpoint did not respond within the timeout", ""))
        });
        match fetched.and_then(|token| self.keep(scopes, &token)) {
            Ok(bearer) => {
                *last = None;
                Ok(bearer)
            }
            Err(failure) => {
                *last = Some((self.clock.mono(), failure.clone()));
                Err(failure)
            }
        }
    }

    fn keep(&self, scopes: Scopes, token: &IssuedToken) -> Result<Bearer, Failure> {
        let bearer = Bearer::new(&token.text)?;
        let now = self.clock.mono();
        let lifetime = token.lifetime.unwrap_or(ASSUMED_LIFETIME);
        let due = lifetime.saturating_sub(AHEAD).max(lifetime / 2);
        let cached = Cached { bearer: bearer.clone(), due: now + due, expired: now + lifetime };
        self.slots[scopes as usize].set(cached);
        Ok(bearer)
    }
}

impl Slot {
    fn get(&self) -> Option<Cached> {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, cached: Cached) {
        *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Some(cached);
    }
}

const fn cache_time(failure: &Failure) -> Duration {
    if is_transient(failure.reason) { TRANSIENT_FAILURE_CACHED } else { FAILURE_CACHED }
}

fn refused_again() -> Failure {
    let remedy = remedy::of(Reason::Unauthenticated, GoogleApi::Meet);
    Failure::new(Reason::Unauthenticated, "Google refused the token, and there is no other", remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meet::http_clients;
    use crate::meet::settings::Credentials;

    /// Tokens whose source always fails.
    fn without_a_source() -> Tokens {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials::ApplicationDefault { file: Some(folder.path().join("missing")) };
        let (clock, second) = (Clock::new(), Duration::from_secs(1));
        Tokens::new(
            TokenSource::new(credentials, http_clients::build(None, second, false).unwrap(), clock),
            clock,
            second,
        )
    }

    fn cached(due: u64, expired: u64) -> Cached {
        let seconds = Duration::from_secs;
        Cached { bearer: Bearer::new("T").unwrap(), due: seconds(due), expired: seconds(expired) }
    }

    #[tokio::test]
    async fn a_due_token_that_cannot_be_renewed_is_still_used_and_an_expired_one_is_not() {
        let tokens = without_a_source();
        tokens.slots[0].set(cached(0, 3600));
        assert!(tokens.bearer(Scopes::Meet).await.is_ok());
        assert!(tokens.slots[0].renewal.lock().await.is_some(), "it was tried");
        tokens.slots[0].set(cached(0, 0));
        assert_eq!(tokens.bearer(Scopes::Meet).await.unwrap_err().reason, Reason::Credentials);
    }

    #[tokio::test]
    async fn a_token_is_due_well_before_it_expires_and_a_short_one_at_half_its_lifetimetime() {
        let tokens = without_a_source();
        for (lifetime, ahead) in [(Some(3599), 240), (Some(60), 30), (None, 150)] {
            let lifetime = lifetime.map(Duration::from_secs);
            tokens.keep(Scopes::Meet, &IssuedToken { text: "T".to_owned(), lifetime }).unwrap();
            let cached = tokens.slots[0].get().unwrap();
            assert_eq!(cached.expired - cached.due, Duration::from_secs(ahead));
        }
    }

    #[test]
    fn the_debug_form_of_a_bearer_is_redacted() {
        assert!(!format!("{:?}", Bearer::new("hush").unwrap()).contains("hush"));
        assert!(Bearer::new("a\nb").is_err());
    }
}
