//! The format of a `[[webhook]]`'s deliveries, and the keys that each format needs.

use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::files::ReferencedFiles;
use super::secret;
use super::section::{Located, Section};
use super::suggest;
use crate::delivery::Format;
use crate::delivery::settings::{Batching, Chat, Sentence, Template};
use crate::model::EventType;
use crate::model::route::EventPattern;

/// The keys that only `format = "template"` uses.
const OF_TEMPLATES: [&str; 4] = ["template", "template_file", "template_token", "template_token_file"];

/// The default of `events` for a chat: participants but not each of their devices.
const CHAT_EVENTS: [&str; 3] = ["participant.*", "conference.*", "watch.gap"];

/// The most events in a digest: a message has little room for more sentences.
const DIGEST_EVENTS: u32 = 100;

/// The keys of the format, read before the events are known.
pub(super) struct FormatKeys<'a> {
    name: &'a str,
    zone: TimeZone,
    template: Option<Located<'a, String>>,
    token: Option<SecretString>,
}

/// Reads the keys that belong to formats.
pub(super) fn read<'a>(section: &Section<'a>, files: &ReferencedFiles<'_>) -> Option<FormatKeys<'a>> {
    let name = section.text("format").map(|text| {
        let known = Format::NAMES.contains(&text.value);
        if !known {
            text.problem(suggest::one_of(text.value, &Format::NAMES));
        }
        known.then_some(text.value)
    });
    let zone = section.parsed("time_zone", "the name of a time zone such as \"Europe/Berlin\" or \"UTC\"", |text| {
        TimeZone::get(text).ok()
    });
    let template = template(section, files);
    let token = secret::one(section, files, ["template_token", "template_token_file"], "the token");
    section.mark_secret("template_token");
    let name = name.unwrap_or(Some(Format::NAMES[0]))?;
    if name == "template" {
        if !section.has("template") && !section.has("template_file") {
            section.absent("template_file", "is missing; set the template that writes the deliveries");
        }
    } else if let Some(key) = OF_TEMPLATES.into_iter().find(|key| section.has(key)) {
        section.problem(key, "is used with `format = \"template\"` only");
    }
    Some(FormatKeys {
        name,
        zone: zone.map_or(TimeZone::UTC, |found| found.value),
        template,
        token: token.map(|found| found.value),
    })
}

/// Reads the template's text. It is not a secret; a secret in a template is printed as `token`.
fn template<'a>(section: &Section<'a>, files: &ReferencedFiles<'_>) -> Option<Located<'a, String>> {
    let (written, file) = (section.text("template"), section.text("template_file"));
    if let (Some(_), Some(file)) = (&written, &file) {
        file.problem("cannot be combined with `template`; keep one of them");
    }
    match (written, file) {
        (Some(written), _) => Some(written.with(written.value.to_owned())),
        (None, file) => files.contents(&files.resolve(&file?)?),
    }
}

/// Reads how events are batched. `None` if each is delivered alone.
pub(super) fn batching(section: &Section<'_>, wanted: Option<&FormatKeys<'_>>) -> Option<Batching> {
    let (second, most) = (Duration::from_secs(1), Duration::from_secs(600));
    let max_events = section.integer("max_events", 100, 2..=1000);
    let max_wait = section.duration("max_wait", 5 * second, second..=most);
    let digest = section.duration("digest", Duration::ZERO, second..=most);
    let batch = ["max_events", "max_wait"].into_iter().find(|key| section.has(key));
    let wanted = wanted?;
    if let Some(key) = batch.filter(|_| !wanted.must_be_signed()) {
        let instead = if wanted.is_chat() { "; a chat uses `digest`" } else { "" };
        section.problem(
            key,
            format!(
                "has no effect with `format = \"{}\"`: only `standard` and `cloudevents` have batches{instead}",
                wanted.name
            ),
        );
        return None;
    }
    if section.has("digest") && !wanted.is_chat() {
        let instead = if wanted.must_be_signed() { "; `max_events` makes batches" } else { "" };
        section.problem(
            "digest",
            format!(
                "has no effect with `format = \"{}\"`: only `slack` and `google-chat` have one{instead}",
                wanted.name
            ),
        );
        return None;
    }
    match batch {
        Some(_) => Some(Batching { max_events, max_wait }),
        None => section.has("digest").then_some(Batching { max_events: DIGEST_EVENTS, max_wait: digest }),
    }
}

impl FormatKeys<'_> {
    /// Whether the format is a chat, whose address is its only secret.
    pub(super) fn is_chat(&self) -> bool {
        matches!(self.name, "slack" | "google-chat")
    }

    /// Whether deliveries have to be signed.
    pub(super) fn must_be_signed(&self) -> bool {
        matches!(self.name, "standard" | "cloudevents")
    }

    /// The default of `events`.
    pub(super) fn default_events(&self) -> Vec<EventPattern> {
        if self.is_chat() { CHAT_EVENTS.into_iter().filter_map(EventPattern::parse).collect() } else { Vec::new() }
    }

    /// Returns the format for an endpoint that gets these events. A template is tried with each of them.
    pub(super) fn format(self, events: &[EventPattern]) -> Option<Format> {
        let chat = |zone: TimeZone| Chat::new(Sentence::new(zone));
        Some(match self.name {
            "cloudevents" => Format::CloudEvents,
            "slack" => Format::Slack(chat(self.zone)),
            "google-chat" => Format::GoogleChat(chat(self.zone)),
            "template" => return self.template(events),
            _ => Format::Standard,
        })
    }

    fn template(self, events: &[EventPattern]) -> Option<Format> {
        let found = self.template?;
        // A retraction goes to every endpoint that got the retracted event, and a test to the endpoint under test.
        let always = |event| matches!(event, EventType::EventRetracted | EventType::WebhookTest);
        let wanted = |event| events.is_empty() || always(event) || events.iter().any(|pattern| pattern.matches(event));
        let parsed = Template::parse(&found.value, self.zone, self.token);
        let template = parsed.inspect_err(|error| found.problem(error.to_string())).ok()?;
        if let Err((event, error)) = template.check(wanted) {
            found.problem(format!("cannot write `{}`: {error}", event.as_str()));
            return None;
        }
        Some(Format::Template(template))
    }
}
