//! Makes one attempt over HTTP: a signed POST, and the answer read to its end, up to [`MAX_ANSWER_BYTES`]. Redirects are not
//! followed, and only a configured proxy is used.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::dns::Resolve;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use super::answer;
use super::excerpt::{READ_BYTES, SecretMask};
use super::guard::{AddressRefused, GuardedResolver, Permit, SystemResolver, is_public, refuses_literal};
use super::headers::ExtraHeaders;
use super::sign::SigningSecret;
use crate::capped_body::{self, BodyError};
use crate::clock::Clock;
use crate::delivery::format::MessageBody;
use crate::delivery::outcome::{Outcome, Reply, TransportFailure};
use crate::delivery::redact::NoKey;
use crate::delivery::settings::{EndpointSettings, redacted};
use crate::model::EventId;
use crate::retry_after;

/// The size limit of an answer. A larger one is a failed attempt.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// The time limit of a connection, within the endpoint's timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const PREVIOUS: HeaderName = HeaderName::from_static("meetwatch-previous");

/// Sends to one endpoint, over its own connection pool.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    url: Url,
    secrets: Vec<SigningSecret>,
    headers: ExtraHeaders,
    /// The URL holds a literal address that may not be dialled.
    refused: bool,
    timeout: Duration,
    mask: SecretMask,
    clock: Clock,
}

/// Why sending to an endpoint cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// For example because the machine has no certificates.
    #[error("the HTTP client for webhooks cannot be set up: {0}")]
    Client(reqwest::Error),
    #[error("a webhook replaces names: {0}")]
    Names(#[from] NoKey),
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("url", &redacted(&self.url)).finish_non_exhaustive()
    }
}

impl Sender {
    /// Makes a sender for an endpoint, with the resolver of the operating system.
    ///
    /// # Errors
    /// [`SenderError::Client`] where TLS cannot be set up.
    pub fn new(settings: &EndpointSettings, clock: Clock) -> Result<Self, SenderError> {
        Self::with_resolver(settings, clock, Arc::new(SystemResolver), is_public)
    }

    /// Makes a sender with another resolver. If the endpoint may not have a private address, `permit` returns which addresses
    /// it may have.
    ///
    /// # Errors
    /// [`SenderError::Client`] where TLS cannot be set up.
    pub fn with_resolver(
        settings: &EndpointSettings,
        clock: Clock,
        resolver: Arc<dyn Resolve>,
        permit: Permit,
    ) -> Result<Self, SenderError> {
        let resolver = if settings.allow_private { resolver } else { Arc::new(GuardedResolver::new(resolver, permit)) };
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
            mask: secret_mask(settings),
            clock,
        })
    }

    /// Makes one attempt to send a body under this id. The endpoint's timeout covers everything from connecting to the last byte
    /// of the answer.
    pub async fn send(&self, id: &str, previous: Option<&EventId>, body: MessageBody) -> Reply {
        if self.refused {
            return Outcome::TransportFailed(TransportFailure::RefusedAddress).into();
        }
        let headers = self.headers(id, previous, &body, self.clock.now().wall);
        let request = self.client.post(self.url.clone()).headers(headers).body(body.bytes);
        let attempt = async {
            match request.send().await {
                Ok(response) => self.read(response).await,
                Err(error) => Outcome::TransportFailed(classify(&error)).into(),
            }
        };
        let timed_out = Outcome::TransportFailed(TransportFailure::Timeout);
        tokio::time::timeout(self.timeout, attempt).await.unwrap_or(timed_out.into())
    }

    fn headers(&self, id: &str, previous: Option<&EventId>, body: &MessageBody, now: Timestamp) -> HeaderMap {
        let timestamp = now.as_second();
        let signatures: Vec<_> = self.secrets.iter().map(|secret| secret.sign(id, timestamp, &body.bytes)).collect();
        // The operator's headers come first, so that meetwatch's own override them.
        let mut headers = self.headers.as_map().clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(body.content_type));
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
        let mut put = |name, text: &str| {
            // Ids and signatures are ASCII; what no header can hold is left out.
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

    /// Reads the answer to its end, so that the connection can be reused, and keeps an excerpt of its start.
    async fn read(&self, mut response: Response) -> Reply {
        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| retry_after::parse(text, self.clock.now().wall));
        let mut start = Vec::new();
        let outcome = match capped_body::read_start(&mut response, MAX_ANSWER_BYTES, READ_BYTES, &mut start).await {
            Ok(()) => answer::outcome(status, retry_after::shorter(retry_after, &start)),
            Err(BodyError::TooLarge) => Outcome::TransportFailed(TransportFailure::AnswerTooLarge),
            Err(BodyError::Broken(error)) => Outcome::TransportFailed(classify(&error)),
        };
        Reply { outcome, status: Some(status), answer: self.mask.excerpt(&start) }
    }
}

/// Returns a mask of every secret in the settings.
fn secret_mask(settings: &EndpointSettings) -> SecretMask {
    let url = &settings.url;
    let path_and_query = [Some(url.path()), url.query()].into_iter().flatten();
    let parts = path_and_query.flat_map(|part| part.split(['/', '&', '=']).chain([part]));
    let login = [Some(url), settings.proxy.as_ref()].into_iter().flatten();
    let login = login.flat_map(|url| [Some(url.username()), url.password()]).flatten();
    let secrets = settings.secrets.iter().map(SigningSecret::reveal);
    let bare = secrets.clone().filter_map(|secret| secret.strip_prefix("whsec_").map(str::to_owned));
    let others = settings.headers.secrets().chain(settings.format.encoder().secret());
    // The rest of a long secret, such as a JWT, may lie beyond the part of the answer that is read.
    let beginnings = settings.headers.secrets().filter_map(|secret| secret.get(..READ_BYTES / 4));
    let words = parts.chain(login).chain(others).chain(beginnings).map(str::to_owned);
    SecretMask::new(words.chain(secrets).chain(bare))
}

/// Classifies an error. Its text is dropped, because it could repeat the address.
fn classify(error: &reqwest::Error) -> TransportFailure {
    if error.is_timeout() {
        TransportFailure::Timeout
    } else if has_cause::<AddressRefused>(error) {
        TransportFailure::RefusedAddress
    } else if error.is_dns() {
        TransportFailure::Dns
    } else if has_cause::<rustls::Error>(error) {
        TransportFailure::Tls
    } else if error.is_connect() {
        TransportFailure::Connect
    } else {
        TransportFailure::Interrupted
    }
}

fn has_cause<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<E>() {
            return true;
        }
        // An IO error does not return the error that it wraps as its source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}
