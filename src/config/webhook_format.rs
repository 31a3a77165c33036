//! The format of a `[[webhook]]`'s deliveries, and the keys that each format needs.

use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::files::ReferencedFiles;
use super::secret;
use super::section::{Located, Section};
use super::suggest;
use crate::delivery::format::by_name;
use crate::delivery::settings::Batching;
use crate::delivery::{FORMATS, Format, FormatOptions, FormatSpec, Grouping, Signing};
use crate::model::EventType;
use crate::model::route::EventPattern;

/// No digest waits for more: a message holds few more sentences.
const DIGEST_EVENTS: u32 = 100;

/// What was asked for, as far as it is known before the events are.
pub(super) struct FormatKeys<'a> {
    spec: &'static FormatSpec,
    zone: TimeZone,
    template: Option<Located<'a, String>>,
    token: Option<SecretString>,
}

/// Reads the keys of formats.
pub(super) fn read<'a>(section: &Section<'a>, files: &ReferencedFiles<'_>) -> Option<FormatKeys<'a>> {
    let spec = section.text("format").map(|text| {
        let known = by_name(text.value);
        if known.is_none() {
            text.problem(suggest::one_of(text.value, &FORMATS.iter().map(|spec| spec.name).collect::<Vec<_>>()));
        }
        known
    });
    let zone = section.parsed("time_zone", "the name of a time zone such as \"Europe/Berlin\" or \"UTC\"", |text| {
        TimeZone::get(text).ok()
    });
    let template = template(section, files);
    let token = secret::one(section, files, ["template_token", "template_token_file"], "the token");
    section.mark_secret("template_token");
    let spec = spec.unwrap_or(Some(FORMATS[0]))?;
    if spec.own_keys.contains(&"template") && !section.has("template") && !section.has("template_file") {
        section.absent("template_file", "is missing; set the template that writes the deliveries");
    }
    let others = FORMATS.iter().filter(|other| other.name != spec.name);
    let foreign = others.flat_map(|other| other.own_keys.iter().map(|key| (*key, other.name)));
    if let Some((key, other)) =
        foreign.filter(|(key, _)| !spec.own_keys.contains(key)).find(|(key, _)| section.has(key))
    {
        section.problem(key, format!("is used with `format = \"{other}\"` only"));
    }
    Some(FormatKeys {
        spec,
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
    let FormatSpec { name, grouping, .. } = wanted.spec;
    if let Some(key) = batch.filter(|_| *grouping != Grouping::Batches) {
        let instead = if *grouping == Grouping::Digests { "; a chat uses `digest`" } else { "" };
        let which = formats_with(Grouping::Batches);
        section.problem(key, format!("has no effect with `format = \"{name}\"`: only {which} have batches{instead}"));
        return None;
    }
    if section.has("digest") && *grouping != Grouping::Digests {
        let instead = if *grouping == Grouping::Batches { "; `max_events` makes batches" } else { "" };
        let which = formats_with(Grouping::Digests);
        section.problem("digest", format!("has no effect with `format = \"{name}\"`: only {which} have one{instead}"));
        return None;
    }
    match batch {
        Some(_) => Some(Batching { max_events, max_wait }),
        None => section.has("digest").then_some(Batching { max_events: DIGEST_EVENTS, max_wait: digest }),
    }
}

/// Names the formats that group events in this way.
fn formats_with(grouping: Grouping) -> String {
    let which = FORMATS.iter().filter(|spec| spec.grouping == grouping);
    which.map(|spec| format!("`{}`", spec.name)).collect::<Vec<_>>().join(" and ")
}

impl FormatKeys<'_> {
    /// Returns whether the address is the only secret, as with chats.
    pub(super) fn is_chat(&self) -> bool {
        self.spec.signing == Signing::AddressIsSecret
    }

    /// Returns whether deliveries have to be signed.
    pub(super) fn must_be_signed(&self) -> bool {
        self.spec.signing == Signing::Required
    }

    /// Returns the events that the endpoint gets if the operator names none; empty for all.
    pub(super) fn default_events(&self) -> Vec<EventPattern> {
        self.spec.default_events.iter().filter_map(|pattern| EventPattern::parse(pattern)).collect()
    }

    /// Makes the format for an endpoint that wants these events. The format checks its own options.
    pub(super) fn format(self, events: &[EventPattern]) -> Option<Format> {
        // A retraction goes to every endpoint that got the retracted event, and any endpoint can be tested.
        let always = |event| matches!(event, EventType::EventRetracted | EventType::WebhookTest);
        let wants = |event| events.is_empty() || always(event) || events.iter().any(|pattern| pattern.matches(event));
        let template = self.template.as_ref().map(|found| found.value.as_str());
        let options = FormatOptions { zone: self.zone, template, token: self.token, wants: &wants };
        let built = (self.spec.build)(options);
        built.inspect_err(|error| self.template.iter().for_each(|found| found.problem(error.to_string()))).ok()
    }
}
