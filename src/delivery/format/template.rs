//! Bodies made by the operator's own template: Jinja in a sandbox, whose output must be JSON.
//!
//! Printed values are escaped as the inside of a JSON string, so no name can end the string that it stands in. The whole
//! output must parse as JSON. A template can read the event only; its steps, nesting depth and output are bounded.

use std::fmt;
use std::io;

use jiff::tz::TimeZone;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, context};
use secrecy::{ExposeSecret as _, SecretString};

use super::body::{FrozenEvent, MessageBody, Unwritable};
use super::chat_text::harmless;
use super::sample::samples;
use super::sentence::Sentence;
use super::spec::{Encode, Format, FormatOptions, FormatSpec, Grouping, InvalidFormat, Signing};
use crate::model::{Event, EventType};

/// The size limit of a body.
const MAX_OUTPUT_BYTES: usize = 256 << 10;

/// The size limit of a template.
const MAX_TEMPLATE_BYTES: usize = 64 << 10;

/// The limit of steps for one body. An attendance list of 200 people takes some thousands.
const FUEL: u64 = 200_000;

/// The limit of nested calls.
const DEPTH: usize = 50;

/// The name under which the template engine keeps the template.
const NAME: &str = "template";

pub(super) static SPEC: FormatSpec = FormatSpec {
    name: "template",
    signing: Signing::Optional,
    grouping: Grouping::None,
    default_events: &[],
    own_keys: &["template", "template_file", "template_token", "template_token_file"],
    build,
};

/// Parses the template and tries it with samples of all events that the endpoint may get.
fn build(options: FormatOptions<'_>) -> Result<Format, InvalidFormat> {
    let source = options.template.ok_or_else(|| InvalidFormat("there is no template".to_owned()))?;
    let template =
        Template::parse(source, options.zone, options.token).map_err(|error| InvalidFormat(error.to_string()))?;
    template
        .check(options.wants)
        .map_err(|(event, error)| InvalidFormat(format!("cannot write `{}`: {error}", event.as_str())))?;
    Ok(Format::new(&SPEC, template))
}

impl Encode for Template {
    fn encode(&self, event: &FrozenEvent<'_>) -> Result<MessageBody, Unwritable> {
        self.write(&event.parse()?).map_err(|error| Unwritable::Failed(error.to_string()))
    }

    fn secret(&self) -> Option<&str> {
        self.token.as_ref().map(SecretString::expose_secret)
    }
}

/// A parsed template. Its `Debug` form shows nothing of it, because it may hold a secret.
struct Template {
    environment: Environment<'static>,
    bytes: usize,
    sentence: Sentence,
    zone: TimeZone,
    token: Option<SecretString>,
}

/// What is wrong with a template or its output. Never repeats the event or the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum BadTemplate {
    #[error("the template is longer than {} KiB", MAX_TEMPLATE_BYTES >> 10)]
    TooLong,
    #[error("the template {}{}", .what, place(*.line))]
    Fails { what: String, line: Option<usize> },
    #[error("the template's output is longer than {} KiB", MAX_OUTPUT_BYTES >> 10)]
    TooMuch,
    #[error("the template's output is not JSON{}", place(*.line))]
    NotJson { line: Option<usize> },
}

fn place(line: Option<usize>) -> String {
    line.map(|line| format!(" (its line {line})")).unwrap_or_default()
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Template {
    /// Parses a template. `zone` is the zone of the times it shows; `token` is what it can print as `token`.
    fn parse(source: &str, zone: TimeZone, token: Option<SecretString>) -> Result<Self, BadTemplate> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(BadTemplate::TooLong);
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("the inside of a JSON string".into()));
        environment.set_formatter(print);
        // A name marked as safe would not be escaped and could end its string.
        environment.remove_filter("safe");
        environment.add_filter("plain", |text: &str| harmless(text));
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| failed(&error))?;
        let sentence = Sentence::new(zone.clone());
        Ok(Self { environment, bytes: source.len(), sentence, zone, token })
    }

    /// Tries the template with samples of the events that are wanted. Returns the first event type that it fails on.
    fn check(&self, wanted: impl Fn(EventType) -> bool) -> Result<(), (EventType, BadTemplate)> {
        let all = samples();
        let mut tried = all.iter().filter(|event| wanted(event.event));
        tried.try_for_each(|event| self.write(event).map(drop).map_err(|error| (event.event, error)))
    }

    fn write(&self, event: &Event) -> Result<MessageBody, BadTemplate> {
        let local = event.time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
        let context = context! {
            event => Value::from(Serde(event)),
            sentence => self.sentence.of(event),
            local_time => local,
            token => self.secret(),
        };
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        let mut output = Bounded(Vec::new());
        template.render_captured_to(context, &mut output).map_err(|error| match std::error::Error::source(&error) {
            Some(source) if source.is::<io::Error>() => BadTemplate::TooMuch,
            _ => failed(&error),
        })?;
        match serde_json::from_slice::<serde::de::IgnoredAny>(&output.0) {
            Ok(_) => Ok(MessageBody { content_type: "application/json", bytes: output.0 }),
            // The output often has the lines of the template.
            Err(error) => Err(BadTemplate::NotJson { line: Some(error.line()) }),
        }
    }
}

/// Describes an error without the values that were printed.
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

/// Prints a value: text as the inside of a JSON string, everything else as JSON.
fn print(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    match value.as_str() {
        // From `tojson`, or printed before.
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
    serde_json::to_string(value)
        .map_err(|_| Error::new(ErrorKind::BadSerialization, "the value cannot be written as JSON"))
}

/// Takes [`MAX_OUTPUT_BYTES`] and no more.
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
    fn a_template_can_print_the_event_a_sentence_the_local_time_and_its_token() {
        let source = r#"{"a": "{{ event.type }} by {{ event.participant.display_name|plain }}", "n": {{ event.present }},
            "whole": {{ event.conference|tojson }}, "t": "{{ token }}", "at": "{{ local_time }}", "none": {{ event.retracts|default(none) }},
            "s": "{{ sentence }}"}"#;
        let event = joined("Ada *A*");
        let written = rendered(source, &event).unwrap();
        assert_eq!(written["a"], "participant.joined by Ada ∗A∗");
        assert_eq!((&written["n"], &written["t"], &written["none"]), (&json!(7), &json!("s3cret"), &Json::Null));
        assert_eq!(written["whole"], serde_json::to_value(&event.conference).unwrap());
        assert_eq!(written["at"], "2026-01-05 10:00:02 UTC");
        assert!(written["s"].as_str().unwrap().starts_with("→ Ada ∗A∗ joined board"), "{written}");
    }

    #[test]
    fn a_bad_template_is_refused_when_it_is_loaded_with_the_line() {
        let parse = |source: &str| Template::parse(source, TimeZone::UTC, None);
        let problem = |source: &str| match parse(source) {
            Ok(template) => template.check(|_| true).unwrap_err().1.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(problem("{\n{% if %}").contains("its line 2"), "{}", problem("{\n{% if %}"));
        assert!(
            problem("{\"a\": \"{{ event.typo }}\"}").contains("undefined"),
            "{}",
            problem("{\"a\": \"{{ event.typo }}\"}")
        );
        assert!(problem("{\"a\": \"{{ sentence|nothing }}\"}").contains("nothing"));
        assert!(problem("{\"a\": {{ sentence }}}").contains("not JSON"));
        assert!(problem("{\"a\": \"{{ sentence|safe }}\"}").contains("filter"));
        assert!(problem(&" ".repeat(MAX_TEMPLATE_BYTES + 1)).contains("64 KiB"));
        assert!(problem("{% include '/etc/passwd' %}").contains("fails"));
        let only_joins = parse("{\"a\": \"{{ event.participant.kind }}\"}").unwrap();
        assert!(only_joins.check(|event| event == EventType::ParticipantJoined).is_ok());
        assert_eq!(only_joins.check(|_| true).unwrap_err().0, EventType::WatchGap);
    }

    #[test]
    fn steps_output_and_depth_are_bounded() {
        let event = joined("Ada");
        let busy = rendered("{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}{}", &event);
        assert!(busy.unwrap_err().to_string().contains("fuel"));
        let long = "{\"a\": \"{% for a in range(1000) %}{{ 'x' * 1000 }}{% endfor %}\"}";
        assert_eq!(rendered(long, &event).unwrap_err(), BadTemplate::TooMuch);
        let deep = "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}";
        assert!(matches!(rendered(deep, &event).unwrap_err(), BadTemplate::Fails { .. }));
    }

    #[test]
    fn neither_an_error_nor_the_debug_form_repeats_the_event_or_the_template() {
        let written = rendered("{{ event.participant.display_name|int }}", &joined("Ada")).unwrap_err().to_string();
        assert!(!written.contains("Ada"), "{written}");
        assert!(!format!("{:?}", template("{\"x\": 1}")).contains('x'));
    }

    proptest! {
        #[test]
        fn no_name_ends_the_string_that_it_stands_in(name in "\\PC{0,40}|[\"\\\\{}%,:a-z \\n\u{0}-\u{1f}]{0,40}") {
            let source = r#"{"name": "{{ event.participant.display_name }}", "json": {{ event.participant.display_name|tojson }}, "last": 1}"#;
            prop_assert_eq!(rendered(source, &joined(&name)).unwrap(), json!({"name": name, "json": name, "last": 1}));
        }
    }
}
