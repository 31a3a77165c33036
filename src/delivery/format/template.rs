//! Bodies that an operator's own template writes: Jinja, in a sandbox, and always JSON.
//!
//! What is printed is escaped as the inside of a JSON string, so that no name can end the text it stands in; what comes
//! out has to be JSON as a whole. A template reads nothing but the event and has bounds on its work, its depth and its
//! output.

use std::fmt;
use std::io;
use std::sync::Arc;

use jiff::tz::TimeZone;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, context};
use secrecy::{ExposeSecret as _, SecretString};

use super::chat_text::harmless;
use super::sample::samples;
use super::{Body, Sentence};
use crate::model::{Event, EventType};

/// No body is larger.
pub const MAX_OUTPUT_BYTES: usize = 256 << 10;

/// No template is longer.
pub const MAX_TEMPLATE_BYTES: usize = 64 << 10;

/// How many steps one body may take. An attendance of 200 people takes some thousands.
const FUEL: u64 = 200_000;

/// How deep templates may nest.
const DEPTH: usize = 50;

const NAME: &str = "template";

/// A template that can be used. Its `Debug` form shows nothing of it, because it may hold a secret.
#[derive(Clone)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    source: Arc<str>,
    sentence: Sentence,
    zone: TimeZone,
    token: Option<SecretString>,
}

/// What is wrong with a template, or with what it made of an event. Never repeats the event or the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    #[error("the template is longer than {} KiB", MAX_TEMPLATE_BYTES >> 10)]
    TooLong,
    #[error("the template {}{}", .what, place(*.line))]
    Fails { what: String, line: Option<usize> },
    #[error("the template's output is longer than {} KiB", MAX_OUTPUT_BYTES >> 10)]
    TooMuch,
    #[error("the template's output is no JSON{}", place(*.line))]
    NotJson { line: Option<usize> },
}

fn place(line: Option<usize>) -> String {
    line.map(|line| format!(" (its line {line})")).unwrap_or_default()
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("bytes", &self.source.len()).finish_non_exhaustive()
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.zone == other.zone
    }
}

impl Template {
    /// Reads a template. `zone` is that of the times it shows; `token` is what it can print as `token`.
    ///
    /// # Errors
    /// [`BadTemplate`] where it is no template.
    pub fn parse(source: &str, zone: TimeZone, token: Option<SecretString>) -> Result<Self, BadTemplate> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(BadTemplate::TooLong);
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("the inside of a JSON text".into()));
        environment.set_formatter(print);
        // Whoever could call a name safe could have it break out.
        environment.remove_filter("safe");
        environment.add_filter("plain", |text: &str| harmless(text));
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| failed(&error))?;
        let sentence = Sentence::new(zone.clone());
        Ok(Self { environment: Arc::new(environment), source: source.into(), sentence, zone, token })
    }

    /// Tries the template with samples of all events that `wanted` says it may get.
    ///
    /// # Errors
    /// The first event type it fails on, and how.
    pub fn check(&self, wanted: impl Fn(EventType) -> bool) -> Result<(), (EventType, BadTemplate)> {
        let all = samples();
        let mut tried = all.iter().filter(|event| wanted(event.event));
        tried.try_for_each(|event| self.write(event).map(drop).map_err(|error| (event.event, error)))
    }

    /// What it can print as `token`.
    pub(in crate::delivery) fn token(&self) -> Option<&str> {
        self.token.as_ref().map(SecretString::expose_secret)
    }

    /// Writes the body of an event.
    ///
    /// # Errors
    /// [`BadTemplate`] where the template fails on it.
    pub(super) fn write(&self, event: &Event) -> Result<Body, BadTemplate> {
        let local = event.time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
        let context = context! {
            event => Value::from(Serde(event)),
            sentence => self.sentence.of(event),
            local_time => local,
            token => self.token(),
        };
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        let mut output = Bounded(Vec::new());
        template.render_captured_to(context, &mut output).map_err(|error| match std::error::Error::source(&error) {
            Some(source) if source.is::<io::Error>() => BadTemplate::TooMuch,
            _ => failed(&error),
        })?;
        match serde_json::from_slice::<serde::de::IgnoredAny>(&output.0) {
            Ok(_) => Ok(Body { content_type: "application/json", bytes: output.0 }),
            // The line of the output is of use where the template has as many.
            Err(error) => Err(BadTemplate::NotJson { line: Some(error.line()) }),
        }
    }
}

/// What is wrong, without the values that were at hand.
fn failed(error: &Error) -> BadTemplate {
    let of_the_source = matches!(
        error.kind(),
        ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
    );
    let detail = error.detail().filter(|_| of_the_source).map(|detail| format!(": {detail}")).unwrap_or_default();
    BadTemplate::Fails { what: format!("fails: {}{detail}", error.kind()), line: error.line() }
}

/// Prints a value into a template's output: a text as the inside of a JSON string, everything else as JSON.
fn print(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    match value.as_str() {
        // Made by `tojson`, or printed before.
        Some(text) if value.is_safe() => out.write_str(text)?,
        Some(text) => {
            let quoted = json(&text)?;
            out.write_str(&quoted[1..quoted.len() - 1])?;
        }
        None if value.kind() == ValueKind::None => out.write_str("null")?,
        None => out.write_str(&json(value)?)?,
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::new(ErrorKind::BadSerialization, "this is nothing that JSON knows"))
}

/// Takes so many bytes and no more.
struct Bounded(Vec<u8>);

impl io::Write for &mut Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    fn template(source: &str) -> Template {
        Template::parse(source, TimeZone::UTC, Some("s3cret".into())).unwrap()
    }

    fn joined(name: &str) -> Event {
        let mut event = samples().into_iter().find(|event| event.event == EventType::ParticipantJoined).unwrap();
        event.participant.as_mut().unwrap().display_name = Some(name.into());
        event
    }

    fn rendered(source: &str, event: &Event) -> Result<Json, BadTemplate> {
        template(source).write(event).map(|body| serde_json::from_slice(&body.bytes).unwrap())
    }

    #[test]
    fn a_template_has_the_event_a_sentence_the_local_time_and_its_token() {
        let source = r#"{"a": "{{ event.type }} by {{ event.participant.display_name|plain }}", "n": {{ event.present }},
            "whole": {{ event.conference|tojson }}, "t": "{{ token }}", "at": "{{ local_time }}", "none": {{ event.retracts|default(none) }},
            "s": "{{ sentence }}"}"#;
        let event = joined("Ada *A*");
        let told = rendered(source, &event).unwrap();
        assert_eq!(told["a"], "participant.joined by Ada ∗A∗");
        assert_eq!((&told["n"], &told["t"], &told["none"]), (&json!(7), &json!("s3cret"), &Json::Null));
        assert_eq!(told["whole"], serde_json::to_value(&event.conference).unwrap());
        assert_eq!(told["at"], "2026-01-05 10:00:02 UTC");
        assert!(told["s"].as_str().unwrap().starts_with("→ Ada ∗A∗ joined board"), "{told}");
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told_with_its_line_when_it_is_loaded() {
        let parse = |source: &str| Template::parse(source, TimeZone::UTC, None);
        let told = |source: &str| match parse(source) {
            Ok(template) => template.check(|_| true).unwrap_err().1.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(told("{\n{% if %}").contains("its line 2"), "{}", told("{\n{% if %}"));
        assert!(
            told("{\"a\": \"{{ event.typo }}\"}").contains("undefined"),
            "{}",
            told("{\"a\": \"{{ event.typo }}\"}")
        );
        assert!(told("{\"a\": \"{{ sentence|nothing }}\"}").contains("nothing"));
        assert!(told("{\"a\": {{ sentence }}}").contains("no JSON"));
        assert!(told("{\"a\": \"{{ sentence|safe }}\"}").contains("filter"));
        assert!(told(&" ".repeat(MAX_TEMPLATE_BYTES + 1)).contains("64 KiB"));
        assert!(told("{% include '/etc/passwd' %}").contains("fails"));
        let only_joins = parse("{\"a\": \"{{ event.participant.kind }}\"}").unwrap();
        assert!(only_joins.check(|event| event == EventType::ParticipantJoined).is_ok());
        assert_eq!(only_joins.check(|_| true).unwrap_err().0, EventType::WatchGap);
    }

    #[test]
    fn no_template_works_or_writes_without_end() {
        let event = joined("Ada");
        let busy = rendered("{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}{}", &event);
        assert!(busy.unwrap_err().to_string().contains("fuel"));
        let long = "{\"a\": \"{% for a in range(1000) %}{{ 'x' * 1000 }}{% endfor %}\"}";
        assert_eq!(rendered(long, &event).unwrap_err(), BadTemplate::TooMuch);
        let deep = "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}";
        assert!(matches!(rendered(deep, &event).unwrap_err(), BadTemplate::Fails { .. }));
    }

    #[test]
    fn an_error_repeats_nothing_of_the_event() {
        let told = rendered("{{ event.participant.display_name|int }}", &joined("Ada")).unwrap_err().to_string();
        assert!(!told.contains("Ada"), "{told}");
        assert!(!format!("{:?}", template("{\"x\": 1}")).contains('x'));
    }

    proptest! {
        #[test]
        fn no_name_breaks_out_of_its_text(name in "\\PC{0,40}|[\"\\\\{}%,:a-z \\n\u{0}-\u{1f}]{0,40}") {
            let source = r#"{"name": "{{ event.participant.display_name }}", "json": {{ event.participant.display_name|tojson }}, "last": 1}"#;
            prop_assert_eq!(rendered(source, &joined(&name)).unwrap(), json!({"name": name, "json": name, "last": 1}));
        }
    }
}
