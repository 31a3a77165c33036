//! Messages for Slack's incoming webhooks and Google Chat's.

use std::borrow::Cow;

use serde_json::json;

use super::{Body, Sentence};
use crate::model::Event;

/// No message is longer, in characters. Slack breaks longer ones up from about 4 000 on, and Google Chat refuses them from 32 000
/// bytes on, of which no character has more than four.
const MAX_CHARS: usize = 3_800;

/// How events are told in a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Chat {
    sentence: Sentence,
}

impl Chat {
    /// Tells events as `sentence` does.
    #[must_use]
    pub fn new(sentence: Sentence) -> Self {
        Self { sentence }
    }

    /// For Slack. Names are harmless already; besides, Slack is told to look for neither markup nor links.
    pub(super) fn slack(&self, events: &[Event]) -> Result<Body, serde_json::Error> {
        let text = self.lines(events);
        let escaped = slack_escaped(&text);
        body(&json!({ "text": escaped, "mrkdwn": false, "unfurl_links": false, "unfurl_media": false }))
    }

    /// For Google Chat, whose text has no escapes: what would act was taken out of the names.
    pub(super) fn google_chat(&self, events: &[Event]) -> Result<Body, serde_json::Error> {
        body(&json!({ "text": self.lines(events) }))
    }

    /// A line for each event. What would make the message too long is counted and left out.
    fn lines(&self, events: &[Event]) -> String {
        let mut text = String::new();
        let mut chars = 0;
        for (told, event) in events.iter().enumerate() {
            let line = self.sentence.of(event);
            chars += line.chars().count() + 1;
            if told > 0 && chars > MAX_CHARS {
                text.push_str(&format!("\n… and {} more", events.len() - told));
                break;
            }
            if told > 0 {
                text.push('\n');
            }
            text.push_str(&line);
        }
        text
    }
}

fn body(message: &serde_json::Value) -> Result<Body, serde_json::Error> {
    Ok(Body { content_type: "application/json; charset=UTF-8", bytes: serde_json::to_vec(message)? })
}

/// The three signs that Slack has escapes for.
fn slack_escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::samples;
    use super::*;
    use crate::model::EventType;

    fn joined(name: &str) -> Event {
        let mut event = samples().into_iter().find(|event| event.event == EventType::ParticipantJoined).unwrap();
        event.participant.as_mut().unwrap().display_name = Some(name.into());
        event.corrects = None;
        event
    }

    #[test]
    fn a_rush_is_a_line_for_each_and_no_message_is_too_long() {
        let chat = Chat::new(Sentence::new(TimeZone::UTC));
        let both = text(chat.slack(&[joined("Ada"), joined("<!channel>")]));
        assert_eq!(
            both,
            "→ Ada joined board (abc-mnop-xyz) at 10:00:02 UTC; 7 are present now\n\
             → ‹ǃchannel› joined board (abc-mnop-xyz) at 10:00:02 UTC; 7 are present now"
        );
        let long = vec![joined(&"n".repeat(100)); 500];
        let told = text(chat.google_chat(&long));
        assert!(told.chars().count() <= MAX_CHARS + 20, "{}", told.chars().count());
        let lines = told.lines().count();
        assert!(lines > 20 && told.ends_with(&format!("\n… and {} more", 501 - lines)), "{told}");
    }

    fn text(body: Result<Body, serde_json::Error>) -> String {
        let message: Value = serde_json::from_slice(&body.unwrap().bytes).unwrap();
        message["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_message_is_one_sentence() {
        let chat = Chat::new(Sentence::new(TimeZone::UTC));
        let wanted = "→ Ada joined board (abc-mnop-xyz) at 10:00:02 UTC; 7 are present now";
        assert_eq!(text(chat.slack(&[joined("Ada")])), wanted);
        assert_eq!(text(chat.google_chat(&[joined("Ada")])), wanted);
    }

    #[test]
    fn what_slack_has_escapes_for_is_escaped_even_if_a_sentence_had_it() {
        assert_eq!(slack_escaped("a <b> & c"), "a &lt;b&gt; &amp; c");
        assert_eq!(slack_escaped("plain"), "plain");
    }

    proptest! {
        /// The only round brackets, colons and the like in a message are those that the program wrote itself.
        #[test]
        fn no_name_adds_a_sign_that_acts(name in "\\PC{0,40}|[<>@*_~`|:a-z.!# \\n]{1,40}") {
            let chat = Chat::new(Sentence::new(TimeZone::UTC));
            let plain = text(chat.google_chat(&[joined("Ada")]));
            let count = |text: &str, sign: char| text.matches(sign).count();
            for told in [text(chat.google_chat(&[joined(&name)])), text(chat.slack(&[joined(&name)]))] {
                for sign in ['<', '>', '@', '#', '*', '_', '~', '`', '|', ':', '[', ']', '(', ')', '\n', '&'] {
                    prop_assert_eq!(count(&told, sign), count(&plain, sign), "{} in {}", sign, told);
                }
            }
        }
    }
}
