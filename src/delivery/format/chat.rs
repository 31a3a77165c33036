//! What the chat formats share: the text of a message, a line for each event, and the events that a chat gets by default.

use super::body::{FrozenEvent, MessageBody, Unwritable};
use super::sentence::Sentence;

/// By default a chat gets who comes and goes, not each device.
pub(super) const DEFAULT_EVENTS: &[&str] = &["participant.*", "conference.*", "watch.gap"];

/// The length limit of a message, in characters. Slack splits messages from about 4 000 characters on; Google Chat refuses
/// them from 32 000 bytes on, and no character has more than four bytes.
const MAX_CHARS: usize = 3_800;

/// Returns a line for each event. Lines beyond the length limit are left out and counted.
pub(super) fn lines(sentence: &Sentence, events: &[FrozenEvent<'_>]) -> Result<String, Unwritable> {
    // All are parsed first: a message with one unreadable event is not sent.
    let events = events.iter().map(FrozenEvent::parse).collect::<Result<Vec<_>, _>>()?;
    let mut text = String::new();
    let mut chars = 0;
    for (written, event) in events.iter().enumerate() {
        let line = sentence.of(event);
        chars += line.chars().count() + 1;
        if written > 0 && chars > MAX_CHARS {
            text.push_str(&format!("\n… and {} more", events.len() - written));
            break;
        }
        if written > 0 {
            text.push('\n');
        }
        text.push_str(&line);
    }
    Ok(text)
}

/// Returns the body of a message in a chat's JSON.
pub(super) fn body(message: &serde_json::Value) -> Result<MessageBody, Unwritable> {
    Ok(MessageBody { content_type: "application/json; charset=UTF-8", bytes: serde_json::to_vec(message)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::sample::samples;
    use super::super::{FormatOptions, by_name};
    use super::*;
    use crate::model::{Event, EventType};

    fn joined(name: &str) -> Event {
        let mut event = samples().into_iter().find(|event| event.event == EventType::ParticipantJoined).unwrap();
        event.participant.as_mut().unwrap().display_name = Some(name.into());
        event.corrects = None;
        event
    }

    /// The text of a message in a chat's format.
    fn text(format: &str, events: &[Event]) -> String {
        let format = (by_name(format).unwrap().build)(FormatOptions::default()).unwrap();
        let frozen: Vec<_> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        let events = events.iter().zip(&frozen);
        let events: Vec<_> = events
            .map(|(event, json)| FrozenEvent { id: &event.id, event: event.event, time: event.time, json })
            .collect();
        let body = format.encoder().encode_all(&events).unwrap();
        assert_eq!(body.content_type, "application/json; charset=UTF-8");
        if let [event] = &events[..] {
            assert_eq!(format.encoder().encode(event).unwrap(), body);
        }
        let message: Value = serde_json::from_slice(&body.bytes).unwrap();
        message["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn several_events_are_a_line_each_and_no_message_exceeds_the_limit() {
        let both = text("slack", &[joined("Ada"), joined("<!channel>")]);
        assert_eq!(
            both,
            "→ Ada joined board (abc-mnop-xyz) at 10:00:02 UTC; 7 are present now\n\
             → ‹ǃchannel› joined board (abc-mnop-xyz) at 10:00:02 UTC; 7 are present now"
        );
        let long = vec![joined(&"n".repeat(100)); 500];
        let written = text("google-chat", &long);
        assert!(written.chars().count() <= MAX_CHARS + 20, "{}", written.chars().count());
        let lines = written.lines().count();
        assert!(lines > 20 && written.ends_with(&format!("\n… and {} more", 501 - lines)), "{written}");
    }

    #[test]
    fn one_event_is_one_sentence() {
        let wanted = "→ Ada joined board (abc-mnop-xyz) at 10:00:02 UTC; 7 are present now";
        assert_eq!(text("slack", &[joined("Ada")]), wanted);
        assert_eq!(text("google-chat", &[joined("Ada")]), wanted);
    }

    proptest! {
        /// The only brackets, colons and other markup characters in a message are those of the program's own sentence.
        #[test]
        fn no_name_adds_a_markup_character(name in "\\PC{0,40}|[<>@*_~`|:a-z.!# \\n]{1,40}") {
            let plain = text("google-chat", &[joined("Ada")]);
            let count = |text: &str, sign: char| text.matches(sign).count();
            for written in [text("google-chat", &[joined(&name)]), text("slack", &[joined(&name)])] {
                for sign in ['<', '>', '@', '#', '*', '_', '~', '`', '|', ':', '[', ']', '(', ')', '\n', '&'] {
                    prop_assert_eq!(count(&written, sign), count(&plain, sign), "{} in {}", sign, written);
                }
            }
        }
    }
}
