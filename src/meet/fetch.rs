//! Sends one request: gets a token, waits for quota, sends, reads the body and parses it. A failure that may pass is
//! retried.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Response, Url};

use super::auth::{Bearer, Scopes};
use super::client::{Identity, Inner};
use super::error::{ReadError, Reason};
use super::failure::{Failure, classify};
use super::metrics::Limit;
use super::quota::AcquireError;
use super::quota_scope::QuotaScope;
use super::reader::Priority;
use super::request::{GoogleApi, Method};
use super::response_body::{ParsedBody, ResponseBody};
use super::unreadable::UnreadableFields;
use super::{remedy, transport};
use crate::clock::Mono;

/// The cap on the body of an error response.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// How long reads pause after a 429 that does not say how long to wait.
const DEFAULT_PAUSE: Duration = Duration::from_secs(1);

/// How late a timeout may fire on a busy machine.
const TIMEOUT_DELAY: Duration = Duration::from_secs(10);

/// What a request is made for: the identity, the method, and its priority.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestContext<'a> {
    pub(super) identity: &'a Identity,
    pub(super) method: Method,
    pub(super) priority: Priority,
    pub(super) spent: &'a Spent,
}

/// What the requests of one read spend, retries included.
#[derive(Debug, Default)]
pub(super) struct Spent {
    requests: AtomicU32,
    used_up: Mutex<Option<QuotaScope>>,
}

impl Spent {
    /// How many requests were sent.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whose quota Google said was used up, if it did.
    pub(super) fn used_up(&self) -> Option<QuotaScope> {
        *self.used_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_used_up(&self, scope: QuotaScope) {
        *self.used_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(scope);
    }
}

/// A parsed response.
#[derive(Debug)]
pub(super) struct Fetched<T> {
    pub(super) value: T,
    /// What of the response could not be read.
    pub(super) unreadable: UnreadableFields,
    /// Whether the body was empty.
    pub(super) blank: bool,
    /// The response's `Date` header.
    pub(super) date: Option<HeaderValue>,
}

impl RequestContext<'_> {
    const fn api(&self) -> GoogleApi {
        self.method.api()
    }

    const fn scopes(&self) -> Scopes {
        match self.api() {
            GoogleApi::Meet => Scopes::Meet,
            GoogleApi::People => Scopes::People,
        }
    }
}

impl Inner {
    /// Sends the request until there is an answer or the retry policy gives up.
    ///
    /// # Errors
    /// The last failure, as a [`ReadError`]. Each attempt's failure is counted.
    pub(super) async fn fetch<T: ResponseBody>(
        &self,
        call: RequestContext<'_>,
        url: &Url,
    ) -> Result<Fetched<T>, ReadError> {
        let began = self.clock.mono();
        let mut attempt = 1;
        loop {
            let answer = match call.identity.tokens.bearer(call.scopes()).await {
                Ok(bearer) => {
                    // A request that cannot be made for want of a token costs no quota.
                    self.wait_for_quota(call)
                        .await
                        .map_err(|failure| self.record_failure(call, failure).during(call.method))?;
                    self.attempt(call, url, &bearer).await
                }
                Err(failure) => Err(failure),
            };
            let failure = match answer {
                Ok(fetched) => {
                    call.identity.health.record_success(call.api());
                    return Ok(fetched);
                }
                Err(failure) => self.record_failure(call, failure),
            };
            match self.delay(attempt, began, &failure) {
                None => return Err(failure.during(call.method)),
                Some(delay) => {
                    tracing::debug!(identity = %call.identity.name, method = call.method.as_str(),
                        reason = %failure.reason, attempt, ?delay, "request to Google failed; retrying after the delay");
                    tokio::time::sleep(delay).await;
                }
            }
            attempt += 1;
        }
    }

    /// Waits until the quota admits the request.
    async fn wait_for_quota(&self, call: RequestContext<'_>) -> Result<(), Failure> {
        let error = match self.quota.acquire(&call.identity.name, call.api(), call.priority).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let (limit, detail) = match error {
            AcquireError::TooLong => (
                Limit::QuotaWait,
                "the configured share of the quota is used up, and the wait for it would be too long",
            ),
            AcquireError::QueueFull => (
                Limit::QuotaWaiting,
                "the configured share of the quota is used up, and too many reads wait for it already",
            ),
        };
        self.metrics.limit(limit);
        Err(Failure::new(Reason::Throttled, detail, remedy::OWN_SHARE))
    }

    /// Sends one request. If Google refuses the token, sends one more with a new token.
    async fn attempt<T: ResponseBody>(
        &self,
        call: RequestContext<'_>,
        url: &Url,
        bearer: &Bearer,
    ) -> Result<Fetched<T>, Failure> {
        let (tokens, scopes) = (&call.identity.tokens, call.scopes());
        match self.send(call, url, bearer).await {
            Err(failure) if failure.reason == Reason::Unauthenticated => {
                let other = tokens.replace_refused(bearer, scopes).await?;
                self.wait_for_quota(call).await?;
                let answer = self.send(call, url, &other).await;
                if matches!(&answer, Err(failure) if failure.reason == Reason::Unauthenticated) {
                    tokens.note_second_refusal(scopes).await;
                }
                answer
            }
            answer => answer,
        }
    }

    async fn send<T: ResponseBody>(
        &self,
        call: RequestContext<'_>,
        url: &Url,
        bearer: &Bearer,
    ) -> Result<Fetched<T>, Failure> {
        let began = self.clock.mono();
        let request = self.http.get(url.clone()).header(AUTHORIZATION, bearer.header());
        call.spent.requests.fetch_add(1, Ordering::Relaxed);
        let answer = match request.send().await {
            Ok(response) => self.receive(call, response).await,
            Err(error) => Err(transport::failure_of(&error)),
        };
        let took = self.since(began);
        self.metrics.requested(call.method, took.as_secs_f64());
        if was_suspended(took, self.timeout) {
            return Err(Failure::new(
                Reason::Timeout,
                "the machine was suspended while it waited for the response",
                "",
            ));
        }
        answer
    }

    async fn receive<T: ResponseBody>(
        &self,
        call: RequestContext<'_>,
        response: Response,
    ) -> Result<Fetched<T>, Failure> {
        let status = response.status();
        if !status.is_success() {
            let headers = response.headers().clone();
            // If its body cannot be read, an error is classified by its status, which suffices for all but 403 and 404.
            let bytes = transport::read_body(response, MAX_ERROR_BYTES).await.unwrap_or_default();
            return Err(classify(call.api(), status, &headers, &bytes, self.clock.now().wall));
        }
        let date = response.headers().get(DATE).cloned();
        let is_html = is_html(response.headers());
        let bytes = transport::read_body(response, self.max_body_bytes).await?;
        let ParsedBody { value, unreadable, blank } =
            T::parse(&bytes).map_err(|unreadable| unreadable.into_failure(is_html))?;
        if blank && is_html {
            return Err(Failure::malformed("the response is an empty page of HTML instead of JSON"));
        }
        for (field, items) in unreadable.iter() {
            self.metrics.unreadable(call.method, field, items);
        }
        Ok(Fetched { value, unreadable, blank, date })
    }

    /// Counts a failure, updates the identity's health, and pauses reads if Google says that a quota is used up.
    fn record_failure(&self, call: RequestContext<'_>, failure: Failure) -> Failure {
        self.metrics.failed(call.method, &call.identity.name, failure.reason);
        call.identity.health.record_failure(call.api(), &failure);
        if transport::is_over_cap(&failure) {
            self.metrics.limit(Limit::Body);
        }
        if let Some(scope) = failure.used_up {
            call.spent.note_used_up(scope);
            let pause = failure.retry_after.unwrap_or(DEFAULT_PAUSE);
            self.quota.pause(&call.identity.name, call.api(), scope, pause);
        }
        failure
    }

    fn delay(&self, attempt: u32, began: Mono, failure: &Failure) -> Option<Duration> {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        self.retry.next(attempt, self.since(began), failure.reason, failure.retry_after, &mut random)
    }

    fn since(&self, began: Mono) -> Duration {
        self.clock.mono().saturating_sub(began)
    }
}

/// Whether the machine was suspended during a request, so that the response may be out of date. The timer of the timeout
/// stops during a suspend; the clock that measured `took` goes on.
fn was_suspended(took: Duration, timeout: Duration) -> bool {
    took > timeout.saturating_add(TIMEOUT_DELAY)
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_from_before_a_suspend_is_refused() {
        const TIMEOUT: Duration = Duration::from_secs(20);
        assert!(!was_suspended(TIMEOUT, TIMEOUT));
        assert!(!was_suspended(Duration::from_secs(30), TIMEOUT));
        assert!(was_suspended(Duration::from_millis(30_001), TIMEOUT));
        assert!(was_suspended(Duration::from_secs(3600), TIMEOUT));
        assert!(!was_suspended(Duration::MAX, Duration::MAX));
    }
}
