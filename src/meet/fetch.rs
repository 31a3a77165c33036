//! One question and its answer: quota → token → request → body → JSON, with the retries of that one request.

use std::sync::PoisonError;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Response, Url};

use super::response_body::ResponseBody;
use super::auth::{Bearer, Scopes};
use super::client::{Identity, Inner};
use super::error::{ReadError, Reason};
use super::failure::{Failure, classify};
use super::metrics::Limit;
use super::quota::AcquireError;
use super::reader::Priority;
use super::request::{GoogleApi, Method};
use super::{remedy, transport};
use crate::clock::Mono;

/// A refusal's body is not read further than this.
const MOST_ERROR_BYTES: usize = 64 << 10;

/// How long an identity's reads pause at a 429 without any hint.
const PAUSE_WITHOUT_HINT: Duration = Duration::from_secs(1);

/// A timeout may strike so much late on a machine that has much to do.
const LEEWAY: Duration = Duration::from_secs(10);

/// Who asks what, and how urgently.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestContext<'a> {
    pub(super) identity: &'a Identity,
    pub(super) method: Method,
    pub(super) priority: Priority,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Fetched<T> {
    pub(super) value: T,
    /// The header `Date`.
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
    /// Asks until there is an answer, or no sense in asking any more.
    pub(super) async fn fetch<T: ResponseBody>(&self, call: RequestContext<'_>, url: &Url) -> Result<Fetched<T>, ReadError> {
        let began = self.clock.mono();
        let mut attempt = 1;
        loop {
            self.wait_for_quota(call).await.map_err(|failure| self.record_failure(call, failure).during(call.method))?;
            let failure = match self.attempt(call, url).await {
                Ok(answered) => {
                    call.identity.health.record_success(call.api());
                    return Ok(answered);
                }
                Err(failure) => self.record_failure(call, failure),
            };
            match self.delay(attempt, began, &failure) {
                None => return Err(failure.during(call.method)),
                Some(delay) => {
                    tracing::debug!(identity = %call.identity.name, method = call.method.as_str(),
                        reason = %failure.reason, attempt, ?delay, "trying again");
                    tokio::time::sleep(delay).await;
                }
            }
            attempt += 1;
        }
    }

    /// Waits for leave to send a request.
    async fn wait_for_quota(&self, call: RequestContext<'_>) -> Result<(), Failure> {
        let refused = match self.quota.acquire(&call.identity.name, call.api(), call.priority).await {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let (limit, detail) = match refused {
            AcquireError::TooLong => (Limit::QuotaWait, "our own share of the quota is used up"),
            AcquireError::Full => (Limit::QuotaWaiting, "too many reads wait for our own share of the quota"),
        };
        self.metrics.limit(limit);
        Err(Failure::new(Reason::Throttled, detail, remedy::OWN_SHARE))
    }

    /// One request; where Google refuses the token, one more with another.
    async fn attempt<T: ResponseBody>(&self, call: RequestContext<'_>, url: &Url) -> Result<Fetched<T>, Failure> {
        let (tokens, scopes) = (&call.identity.tokens, call.scopes());
        let bearer = tokens.bearer(scopes).await?;
        match self.send(call, url, &bearer).await {
            Err(failure) if failure.reason == Reason::Unauthenticated => {
                let other = tokens.replace_refused(&bearer, scopes).await?;
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

    async fn send<T: ResponseBody>(&self, call: RequestContext<'_>, url: &Url, bearer: &Bearer) -> Result<Fetched<T>, Failure> {
        let began = self.clock.mono();
        let request = self.http.get(url.clone()).header(AUTHORIZATION, bearer.header());
        let answer = match request.send().await {
            Ok(response) => self.receive(call, response).await,
            Err(error) => Err(transport::failure_of(&error)),
        };
        let took = self.since(began);
        self.metrics.requested(call.method, took.as_secs_f64());
        if slept(took, self.timeout) {
            return Err(Failure::new(Reason::Timeout, "the machine slept while the answer was on its way", ""));
        }
        answer
    }

    async fn receive<T: ResponseBody>(&self, call: RequestContext<'_>, response: Response) -> Result<Fetched<T>, Failure> {
        let status = response.status();
        if !status.is_success() {
            let headers = response.headers().clone();
            // Without its body a refusal is known by its status alone, which is enough for all but 403 and 404.
            let bytes = transport::read_body(response, MOST_ERROR_BYTES).await.unwrap_or_default();
            return Err(classify(call.api(), status, &headers, &bytes, self.clock.now().wall));
        }
        let date = response.headers().get(DATE).cloned();
        let is_html = is_html(response.headers());
        let bytes = transport::read_body(response, self.max_body_bytes).await?;
        let value = T::parse(&bytes).map_err(|wrong| wrong.into_failure(is_html))?;
        Ok(Fetched { value, date })
    }

    /// Counts a failure and tells whom it concerns.
    fn record_failure(&self, call: RequestContext<'_>, failure: Failure) -> Failure {
        self.metrics.failed(call.method, &call.identity.name, failure.reason);
        call.identity.health.record_failure(call.api(), &failure);
        if transport::is_over_cap(&failure) {
            self.metrics.limit(Limit::Body);
        }
        if let Some(scope) = failure.used_up {
            let pause = failure.retry_after.unwrap_or(PAUSE_WITHOUT_HINT);
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

/// Whether an answer says how things were and not how they are: the timeout of a request stands still while the machine
/// sleeps, and the clock that measured `took` does not.
fn slept(took: Duration, timeout: Duration) -> bool {
    took > timeout.saturating_add(LEEWAY)
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_slept_with_the_machine_is_none() {
        const TIMEOUT: Duration = Duration::from_secs(20);
        assert!(!slept(TIMEOUT, TIMEOUT));
        assert!(!slept(Duration::from_secs(30), TIMEOUT));
        assert!(slept(Duration::from_millis(30_001), TIMEOUT));
        assert!(slept(Duration::from_secs(3600), TIMEOUT));
        assert!(!slept(Duration::MAX, Duration::MAX));
    }
}
