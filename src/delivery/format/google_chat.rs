//! Messages for Google Chat's incoming webhooks.

use serde_json::json;

use super::body::{FrozenEvent, MessageBody, Unwritable};
use super::chat;
use super::sentence::Sentence;
use super::spec::{Encode, Format, FormatSpec, Grouping, Signing};

pub(super) static SPEC: FormatSpec = FormatSpec {
    name: "google-chat",
    signing: Signing::AddressIsSecret,
    grouping: Grouping::Digests,
    default_events: chat::DEFAULT_EVENTS,
    own_keys: &[],
    build: |options| Ok(Format::new(&SPEC, GoogleChat { sentence: Sentence::new(options.zone) })),
};

#[derive(Debug)]
struct GoogleChat {
    sentence: Sentence,
}

impl Encode for GoogleChat {
    fn encode(&self, event: &FrozenEvent<'_>) -> Result<MessageBody, Unwritable> {
        self.encode_all(&[*event])
    }

    /// Google Chat's text has no escapes: the sentence has replaced the markup characters in names.
    fn encode_all(&self, events: &[FrozenEvent<'_>]) -> Result<MessageBody, Unwritable> {
        chat::body(&json!({ "text": chat::lines(&self.sentence, events)? }))
    }
}
