//! Messages for Slack's incoming webhooks.

use std::borrow::Cow;

use serde_json::json;

use super::body::{FrozenEvent, MessageBody, Unwritable};
use super::chat;
use super::sentence::Sentence;
use super::spec::{Encode, Format, FormatSpec, Grouping, Signing};

pub(super) static SPEC: FormatSpec = FormatSpec {
    name: "slack",
    signing: Signing::AddressIsSecret,
    grouping: Grouping::Digests,
    default_events: chat::DEFAULT_EVENTS,
    own_keys: &[],
    build: |options| Ok(Format::new(&SPEC, Slack { sentence: Sentence::new(options.zone) })),
};

#[derive(Debug)]
struct Slack {
    sentence: Sentence,
}

impl Encode for Slack {
    fn encode(&self, event: &FrozenEvent<'_>) -> Result<MessageBody, Unwritable> {
        self.encode_all(&[*event])
    }

    /// Names are defused by the sentence already. In addition, Slack is asked to interpret neither markup nor links.
    fn encode_all(&self, events: &[FrozenEvent<'_>]) -> Result<MessageBody, Unwritable> {
        let text = chat::lines(&self.sentence, events)?;
        let escaped = escaped(&text);
        chat::body(&json!({ "text": escaped, "mrkdwn": false, "unfurl_links": false, "unfurl_media": false }))
    }
}

/// Escapes the three characters that Slack has escapes for.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_characters_that_slack_has_escapes_for_are_escaped() {
        assert_eq!(escaped("a <b> & c"), "a &lt;b&gt; &amp; c");
        assert_eq!(escaped("plain"), "plain");
    }
}
