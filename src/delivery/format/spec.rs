//! What makes a format: its properties, which the configuration checks against, and how it encodes events.

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::body::{FrozenEvent, MessageBody, Unwritable};
use crate::model::EventType;

/// Everything that the rest of the program knows about a format.
#[derive(Debug)]
pub struct FormatSpec {
    /// The value of `format` in the configuration.
    pub name: &'static str,
    pub signing: Signing,
    pub grouping: Grouping,
    /// The event patterns that an endpoint gets unless the operator names others; empty for all events.
    pub default_events: &'static [&'static str],
    /// The configuration keys that only this format uses.
    pub own_keys: &'static [&'static str],
    /// Checks the options and makes the format.
    pub build: fn(FormatOptions<'_>) -> Result<Format, InvalidFormat>,
}

/// Whether deliveries in a format are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// The endpoint needs a signing secret.
    Required,
    /// Signed if the endpoint has a signing secret.
    Optional,
    /// The receiver checks no signature; the endpoint's address is the secret.
    AddressIsSecret,
}

/// How a format sends several events in one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// Batches, bounded by `max_events` and `max_wait`.
    Batches,
    /// Digests for people, one each `digest`.
    Digests,
    /// Not at all.
    None,
}

/// What the configuration hands to a format. Each format takes what it needs.
pub struct FormatOptions<'a> {
    /// The zone of the times that people read.
    pub zone: TimeZone,
    pub template: Option<&'a str>,
    /// What a template can print as `token`.
    pub token: Option<SecretString>,
    /// Returns whether the endpoint may get events of a type.
    pub wants: &'a dyn Fn(EventType) -> bool,
}

/// What is wrong with a format's options, in words for the operator. Repeats no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFormat(pub(super) String);

/// Encodes events that are already redacted. The same events give the same bytes each time.
pub(in crate::delivery) trait Encode: fmt::Debug + Send + Sync {
    /// Encodes one event.
    ///
    /// # Errors
    /// [`Unwritable`]
    fn encode(&self, event: &FrozenEvent<'_>) -> Result<MessageBody, Unwritable>;

    /// Encodes several events in one body, in their order. A format with [`Grouping::None`] has no such body.
    ///
    /// # Errors
    /// [`Unwritable`], where any of them cannot be written.
    fn encode_all(&self, _events: &[FrozenEvent<'_>]) -> Result<MessageBody, Unwritable> {
        Err(Unwritable::NoBatches)
    }

    /// Returns a secret that its bodies hold and that a kept answer must not repeat.
    fn secret(&self) -> Option<&str> {
        None
    }
}

/// A format with its options, as one endpoint uses it.
#[derive(Debug, Clone)]
pub struct Format {
    spec: &'static FormatSpec,
    encoder: Arc<dyn Encode>,
}

impl Format {
    pub(super) fn new(spec: &'static FormatSpec, encoder: impl Encode + 'static) -> Self {
        Self { spec, encoder: Arc::new(encoder) }
    }

    /// Returns the name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Returns whether it is a chat, whose address is the secret.
    #[must_use]
    pub fn is_chat(&self) -> bool {
        self.spec.signing == Signing::AddressIsSecret
    }

    pub(in crate::delivery) const fn grouping(&self) -> Grouping {
        self.spec.grouping
    }

    pub(in crate::delivery) fn encoder(&self) -> &dyn Encode {
        &*self.encoder
    }
}

impl Default for FormatOptions<'_> {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, template: None, token: None, wants: &every_event }
    }
}

fn every_event(_: EventType) -> bool {
    true
}

impl fmt::Debug for FormatOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormatOptions").field("zone", &self.zone).finish_non_exhaustive()
    }
}
