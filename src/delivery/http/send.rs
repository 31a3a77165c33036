//! Makes one attempt over HTTP: a signed POST, and the answer read to its end, up to [`MAX_ANSWER_BYTES`]. Redirects are not
//! followed, and only a configured proxy is used.
//!
//! The head of the answer decides. A body that hangs, breaks off or is too long is noted and changes nothing: the receiver has
//! said what it did, and to send again what it took would double it.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::dns::Resolve;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, Url};

use super::answer;
use super::answer_patterns::AnswerPatterns;
use super::connections::Connections;
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
use crate::model::{EndpointName, EventId};
use crate::open_files;
use crate::retry_after;
use crate::tls_roots::{self, ClientError};

/// The size limit of an answer. No more of it is read.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// The time limit of a connection, within the endpoint's timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the body of an answer is waited for after a 2xx head, where nothing depends on it.
const AFTER_SUCCESS: Duration = Duration::from_secs(2);

/// The limit of headers in an answer. HTTP client libraries have lower ones by default, and some gateways exceed them.
const MAX_ANSWER_HEADERS: usize = 500;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const PREVIOUS: HeaderName = HeaderName::from_static("meetwatch-previous");

/// Sends to one endpoint, over its own connection pool.
#[derive(Clone)]
pub struct Sender {
    endpoint: EndpointName,
    connections: Arc<Connections>,
    url: Url,
    secrets: Vec<SigningSecret>,
    headers: ExtraHeaders,
    /// The URL holds a literal address that may not be dialled.
    refused: bool,
    timeout: Duration,
    patterns: AnswerPatterns,
    mask: SecretMask,
    clock: Clock,
}

/// Why sending to an endpoint cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// For example because the machine has no certificates.
    #[error("deliveries cannot be sent: {0}")]
    Client(ClientError),
    #[error("a webhook replaces names: {0}")]
    Names(NoKey),
}

// By hand, because the messages have their causes: as sources they would be printed twice.
impl From<ClientError> for SenderError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<NoKey> for SenderError {
    fn from(error: NoKey) -> Self {
        Self::Names(error)
    }
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
        let proxy = settings.proxy.clone().map(reqwest::Proxy::all).transpose();
        let proxy = proxy.map_err(|error| ClientError::Setup(error.without_url()))?;
        let (tls, concurrency, is_https) = (settings.tls.clone(), settings.concurrency, settings.uses_https());
        let connect_timeout = CONNECT_TIMEOUT.min(settings.timeout);
        let make = move || {
            let builder = || {
                let client = client().dns_resolver(Arc::clone(&resolver)).connect_timeout(connect_timeout);
                let client = client.pool_max_idle_per_host(concurrency);
                tls.apply(proxy.iter().cloned().fold(client, ClientBuilder::proxy))
            };
            tls_roots::build(builder, is_https)
        };
        let connections = Connections::new(Box::new(make), clock.mono())?;
        Ok(Self {
            endpoint: settings.name.clone(),
            connections: Arc::new(connections),
            url: settings.url.clone(),
            secrets: settings.secrets.clone(),
            headers: settings.headers.clone(),
            refused: !settings.allow_private && refuses_literal(&settings.url, permit),
            timeout: settings.timeout,
            patterns: settings.answers.clone(),
            mask: secret_mask(settings),
            clock,
        })
    }

    /// Makes one attempt to send a body under this id. The endpoint's timeout covers everything from connecting to the last byte
    /// of the answer that is waited for.
    pub async fn send(&self, id: &str, previous: Option<&EventId>, body: MessageBody) -> Reply {
        if self.refused {
            return Outcome::TransportFailed(TransportFailure::RefusedAddress).into();
        }
        let began = self.clock.now();
        let headers = self.headers(id, previous, &body, began.wall);
        let request = self.connections.client(began.mono).post(self.url.clone()).headers(headers).body(body.bytes);
        match tokio::time::timeout(self.timeout, request.send()).await {
            Ok(Ok(response)) => {
                let passed = self.clock.mono().saturating_sub(began.mono);
                self.read(response, self.timeout.saturating_sub(passed)).await
            }
            Ok(Err(error)) => Outcome::TransportFailed(classify(&error)).into(),
            Err(_) => Outcome::TransportFailed(TransportFailure::Timeout).into(),
        }
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

    /// Reads the answer to its end, so that the connection can be reused, and keeps an excerpt of its start. What is wrong with
    /// the body is noted behind the excerpt, in brackets.
    async fn read(&self, mut response: Response, left: Duration) -> Reply {
        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| retry_after::parse(text, self.clock.now().wall));
        let mut outcome = answer::outcome(status, retry_after);
        let wanted = outcome != Outcome::Accepted || !self.patterns.is_empty();
        let wait = if wanted { left } else { left.min(AFTER_SUCCESS) };
        let mut start = Vec::new();
        let body = capped_body::read_start(&mut response, MAX_ANSWER_BYTES, READ_BYTES, &mut start);
        let trouble = match tokio::time::timeout(wait, body).await {
            Ok(Ok(())) => None,
            Ok(Err(BodyError::TooLarge)) => Some("the answer is longer than 1 MiB"),
            Ok(Err(BodyError::Broken(_))) => Some("the answer broke off"),
            Err(_) => Some("the answer did not end in time"),
        };
        if status >= 400 {
            outcome = answer::outcome(status, retry_after::shorter(retry_after, &start));
        }
        if outcome == Outcome::Accepted && !self.patterns.accept(&start) {
            outcome = Outcome::BodyFailed;
        }
        // Whoever answers 503 is only busy: another connection costs it more.
        if status >= 500 && status != 503 {
            self.connections.distrust();
        }
        let mut answer = self.mask.excerpt(&start);
        if let Some(trouble) = trouble {
            let endpoint = self.endpoint.as_str();
            tracing::debug!(
                endpoint,
                status,
                trouble,
                "the body of an answer was not read to its end; the status decides"
            );
            answer = Some(format!("{} [{trouble}]", answer.unwrap_or_default()).trim_start().into());
        }
        Reply { outcome, status: Some(status), answer }
    }
}

/// A client that takes the heads of answers as receivers really send them: long, and with headers that RFC 9112 forbids.
fn client() -> ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(concat!("meetwatch/", env!("CARGO_PKG_VERSION")))
        .http1_max_headers(MAX_ANSWER_HEADERS)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
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
    if open_files::are_exhausted(error) {
        // Before the others: the sockets of a look-up of the host's name are open files, too.
        TransportFailure::OpenFiles
    } else if error.is_timeout() {
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
