//! Bodies made by the operator's own template: Jinja in a sandbox, whose output must be JSON.
//!
//! Printed values are escaped as the inside of a JSON string, so no name can end the string that it stands in. The whole
//! output must parse as JSON. A template can read the event only. Its steps, nesting depth, values and output are bounded:
//! [`template_bounds`](super::template_bounds) and [`template_filters`](super::template_filters).

use std::fmt;

use jiff::tz::TimeZone;
use minijinja::machinery::{eval, get_compiled_template, make_string_output};
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use secrecy::{ExposeSecret as _, SecretString};

use super::body::{FrozenEvent, MessageBody, Unwritable};
use super::chat_text::harmless;
use super::sample::samples;
use super::sentence::Sentence;
use super::spec::{Encode, Format, FormatOptions, FormatSpec, Grouping, InvalidFormat, Signing};
use super::template_bounds::{self, Weighed, charge};
use super::template_filters;
use crate::model::{Event, EventType};

/// The size limit of a body.
const MAX_OUTPUT_BYTES: usize = 256 << 10;

/// The size limit of a template.
const MAX_TEMPLATE_BYTES: usize = 64 << 10;

/// The limit of steps for one body, with those that weigh. An attendance list of 200 people takes some thousands.
const FUEL: u64 = 400_000;

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
    #[error("the template fails: it uses another template, and there is only one")]
    Another,
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
        environment.set_auto_escape_callback(|_| escaping());
        environment.set_formatter(print);
        template_filters::add_to(&mut environment);
        template_bounds::add_to(&mut environment);
        // A name marked as safe would not be escaped and could end its string.
        environment.remove_filter("safe");
        environment.add_filter("plain", |text: &str| harmless(text));
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| failed(&error))?;
        let sentence = Sentence::new(zone.clone());
        let template = Self { environment, bytes: source.len(), sentence, zone, token };
        template.weighed()?;
        Ok(template)
    }

    /// Tries the template with samples of the events that are wanted. Returns the first event type that it fails on.
    fn check(&self, wanted: impl Fn(EventType) -> bool) -> Result<(), (EventType, BadTemplate)> {
        let all = samples();
        let mut tried = all.iter().filter(|event| wanted(event.event));
        tried.try_for_each(|event| self.write(event).map(drop).map_err(|error| (event.event, error)))
    }

    fn weighed(&self) -> Result<Weighed<'_>, BadTemplate> {
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        Weighed::of(get_compiled_template(&template)).ok_or(BadTemplate::Another)
    }

    fn write(&self, event: &Event) -> Result<MessageBody, BadTemplate> {
        let local = event.time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
        let root = template_bounds::with_budget([
            ("event", Value::from(Serde(event))),
            ("sentence", Value::from(self.sentence.of(event))),
            ("local_time", Value::from(local)),
            ("token", Value::from(self.secret())),
        ]);
        let weighed = self.weighed()?;
        let mut output = String::new();
        // What is written is weighed, so it cannot grow without a bound.
        let mut out = make_string_output(&mut output);
        eval(&self.environment, &weighed.instructions, root, &weighed.blocks, &mut out, escaping())
            .map_err(|error| failed(&error))?;
        if output.len() > MAX_OUTPUT_BYTES {
            return Err(BadTemplate::TooMuch);
        }
        match serde_json::from_str::<serde::de::IgnoredAny>(&output) {
            Ok(_) => Ok(MessageBody { content_type: "application/json", bytes: output.into_bytes() }),
            // The output often has the lines of the template.
            Err(error) => Err(BadTemplate::NotJson { line: Some(error.line()) }),
        }
    }
}

fn escaping() -> AutoEscape {
    AutoEscape::Custom("the inside of a JSON string".into())
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
    if error.kind() == ErrorKind::OutOfFuel {
        let what = "runs out of fuel: it takes too many steps, or builds too much".to_owned();
        return BadTemplate::Fails { what, line: error.line() };
    }
    let detail = error.detail().filter(|_| of_the_source).map(|detail| format!(": {detail}")).unwrap_or_default();
    BadTemplate::Fails { what: format!("fails: {}{detail}", error.kind()), line: error.line() }
}

/// Prints a value: text as the inside of a JSON string, everything else as JSON.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    // From `tojson`, or printed before.
    if let Some(text) = value.as_str().filter(|_| value.is_safe()) {
        return written(out, state, text);
    }
    if value.kind() == ValueKind::None {
        return written(out, state, "null");
    }
    let json = match value.as_str() {
        Some(text) => json(&text)?,
        None => return written(out, state, &json(value)?),
    };
    written(out, state, &json[1..json.len() - 1])
}

/// Writes text that is escaped. It is copied several times on its way.
fn written(out: &mut Output<'_>, state: &State<'_, '_>, text: &str) -> Result<(), Error> {
    charge(state, 4 * text.len() as u64)?;
    Ok(out.write_str(text)?)
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|_| Error::new(ErrorKind::BadSerialization, "the value cannot be written as JSON"))
}

#[cfg(test)]
mod tests;
