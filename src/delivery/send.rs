//! One attempt over HTTP. No redirect is followed, no proxy is used but a configured one, and an answer is read only as far
//! as a receiver's may reasonably go.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::dns::Resolve;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use super::answer::{READ_BYTES, Redaction};
use super::format::Body;
use super::guard::{Guarded, Permit, Refused, SystemResolver, is_public, refuses_literal};
use super::headers::ExtraHeaders;
use super::outcome::{Outcome, Reason, Reply};
use super::redact::NoKey;
use super::settings::{EndpointSettings, Format, redacted};
use super::sign::SigningSecret;
use crate::capped_body::{self, BodyError};
use crate::clock::Clock;
use crate::model::EventId;
use crate::retry_after;

/// No receiver's answer is larger than this; one that is fails.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A connection that takes longer fails, even where the endpoint's timeout leaves more.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const PREVIOUS: HeaderName = HeaderName::from_static("meetwatch-previous");

/// What sends to one endpoint, over connections of its own.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    url: Url,
    secrets: Vec<SigningSecret>,
    headers: ExtraHeaders,
    /// Its address is written in the URL, and not one that may be dialled.
    refused: bool,
    timeout: Duration,
    redaction: Redaction,
    clock: Clock,
}

/// What sending to an endpoint cannot be set up without.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// Such as for want of the machine's certificates.
    #[error("the HTTP client for webhooks cannot be made: {0}")]
    Client(reqwest::Error),
    #[error("a webhook hides names: {0}")]
    Names(#[from] NoKey),
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("url", &redacted(&self.url)).finish_non_exhaustive()
    }
}

impl Sender {
    /// A sender for an endpoint, which looks names up as the machine does.
    ///
    /// # Errors
    /// [`SenderError::Client`] where TLS cannot be set up.
    pub fn new(settings: &EndpointSettings, clock: Clock) -> Result<Self, SenderError> {
        Self::with_resolver(settings, clock, Arc::new(SystemResolver), is_public)
    }

    /// A sender that looks names up in its own way. Where the endpoint may not be at a private address, `permit` says which
    /// are not.
    ///
    /// # Errors
    /// [`SenderError::Client`] where TLS cannot be set up.
    pub fn with_resolver(
        settings: &EndpointSettings,
        clock: Clock,
        resolver: Arc<dyn Resolve>,
        permit: Permit,
    ) -> Result<Self, SenderError> {
        let resolver = if settings.allow_private { resolver } else { Arc::new(Guarded::new(resolver, permit)) };
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(resolver)
            .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
            .pool_max_idle_per_host(settings.concurrency)
            .user_agent(concat!("meetwatch/", env!("CARGO_PKG_VERSION")));
        let client = match &settings.proxy {
            Some(proxy) => client.proxy(reqwest::Proxy::all(proxy.clone()).map_err(SenderError::Client)?),
            None => client,
        };
        let client = settings.tls.apply(client).build().map_err(|error| SenderError::Client(error.without_url()))?;
        Ok(Self {
            client,
            url: settings.url.clone(),
            secrets: settings.secrets.clone(),
            headers: settings.headers.clone(),
            refused: !settings.allow_private && refuses_literal(&settings.url, permit),
            timeout: settings.timeout,
            redaction: redaction(settings),
            clock,
        })
    }

    /// Makes one attempt to send a body under this id, within the endpoint's timeout from connecting to the last byte of the answer.
    pub async fn send(&self, id: &str, previous: Option<&EventId>, body: Body) -> Reply {
        if self.refused {
            return Outcome::Failed { reason: Reason::RefusedAddress, status: None }.into();
        }
        let headers = self.headers(id, previous, &body, self.clock.now().wall);
        let request = self.client.post(self.url.clone()).headers(headers).body(body.bytes);
        let attempt = async {
            match request.send().await {
                Ok(response) => self.read(response).await,
                Err(error) => Outcome::Failed { reason: classify(&error), status: None }.into(),
            }
        };
        let timed_out = Outcome::Failed { reason: Reason::Timeout, status: None };
        tokio::time::timeout(self.timeout, attempt).await.unwrap_or(timed_out.into())
    }

    fn headers(&self, id: &str, previous: Option<&EventId>, body: &Body, now: Timestamp) -> HeaderMap {
        let timestamp = now.as_second();
        let signatures: Vec<_> = self.secrets.iter().map(|secret| secret.sign(id, timestamp, &body.bytes)).collect();
        // What the operator adds comes first: where both have a name, the program's own holds.
        let mut headers = self.headers.as_map().clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(body.content_type));
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
        let mut put = |name, text: &str| {
            // Ids and signatures are letters and digits; what is not could be no header, and is left out.
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        };
        put(ID, id);
        if !signatures.is_empty() {
            put(SIGNATURE, &signatures.join(" "));
        }
        if let Some(previous) = previous {
            put(PREVIOUS, previous.as_str());
        }
        headers
    }

    /// Reads the answer to its end, so that the connection can be used again, and keeps its start.
    async fn read(&self, mut response: Response) -> Reply {
        let status = response.status().as_u16();
        let wish = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = wish.and_then(|wish| retry_after::parse(wish, self.clock.now().wall));
        let mut start = Vec::new();
        let outcome = match capped_body::read_start(&mut response, MAX_ANSWER_BYTES, READ_BYTES, &mut start).await {
            Ok(()) => Outcome::Answered { status, retry_after },
            Err(BodyError::TooLarge) => Outcome::Failed { reason: Reason::BodyTooLarge, status: Some(status) },
            Err(BodyError::Broken(error)) => Outcome::Failed { reason: classify(&error), status: Some(status) },
        };
        Reply { outcome, answer: self.redaction.keep(&start) }
    }
}

/// What of the settings no kept answer may repeat.
fn redaction(settings: &EndpointSettings) -> Redaction {
    let url = &settings.url;
    let path_and_query = [Some(url.path()), url.query()].into_iter().flatten();
    let parts = path_and_query.flat_map(|part| part.split(['/', '&', '=']).chain([part]));
    let login = [Some(url), settings.proxy.as_ref()].into_iter().flatten();
    let login = login.flat_map(|url| [Some(url.username()), url.password()]).flatten();
    let secrets = settings.secrets.iter().map(SigningSecret::reveal);
    let bare = secrets.clone().filter_map(|secret| secret.strip_prefix("whsec_").map(str::to_owned));
    let token = match &settings.format {
        Format::Template(template) => template.token(),
        _ => None,
    };
    let others = settings.headers.secrets().chain(token);
    // Of a long one, such as a JWT, the rest may lie beyond what is looked at.
    let beginnings = settings.headers.secrets().filter_map(|secret| secret.get(..READ_BYTES / 4));
    let words = parts.chain(login).chain(others).chain(beginnings).map(str::to_owned);
    Redaction::new(words.chain(secrets).chain(bare))
}

/// Names an error. Its text is not looked at and goes nowhere: it could repeat the address.
fn classify(error: &reqwest::Error) -> Reason {
    if error.is_timeout() {
        Reason::Timeout
    } else if has_cause::<Refused>(error) {
        Reason::RefusedAddress
    } else if error.is_dns() {
        Reason::Dns
    } else if has_cause::<rustls::Error>(error) {
        Reason::Tls
    } else if error.is_connect() {
        Reason::Connect
    } else {
        Reason::Interrupted
    }
}

fn has_cause<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<E>() {
            return true;
        }
        // An IO error does not name what it wraps as its source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}
