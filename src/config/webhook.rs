//! `[[webhook]]`: where deliveries go, how they are signed, and which events are delivered.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::Url;
use secrecy::ExposeSecret as _;

use super::address;
use super::files::ReferencedFiles;
use super::names::DeclaredNames;
use super::secret;
use super::section::Section;
use super::suggest;
use super::{webhook_access, webhook_format};
use crate::delivery::settings::{DEFAULT_SCHEDULE, is_public, refuses_literal};
use crate::delivery::sign::SigningSecret;
use crate::delivery::{EndpointSettings, Format, Names};
use crate::model::route::EventPattern;
use crate::model::{EndpointName, EventType, ParticipantKind, Provenance, Route, TargetName};

/// The targets that an endpoint can refer to.
#[derive(Debug)]
pub(super) struct KnownTargets<'t> {
    pub(super) names: &'t DeclaredNames,
    /// The targets of each identity that has subjects, under the name of the identity.
    pub(super) groups: &'t BTreeMap<String, Vec<TargetName>>,
}

pub(super) fn read(
    section: &Section<'_>,
    files: &ReferencedFiles<'_>,
    names: &DeclaredNames,
    targets: &KnownTargets<'_>,
) -> Option<EndpointSettings> {
    let name = names.read(section, EndpointName::parse);
    let wanted = webhook_format::read(section, files);
    let url = url(section, files, wanted.as_ref().is_some_and(webhook_format::FormatKeys::is_chat));
    let secrets = secrets(section, files, wanted.as_ref());
    let mut patterns = events(section);
    if let (false, Some(wanted)) = (section.has("events"), &wanted) {
        patterns = wanted.default_events();
    }
    let batching = webhook_format::batching(section, wanted.as_ref());
    let format = wanted.and_then(|wanted| wanted.format(&patterns));
    let kinds = kinds(section);
    let (targets, provenance) = (targets_of(section, targets), provenance(section));
    let (headers, tls) = (webhook_access::headers(section, files), webhook_access::tls(section, files));
    let answers = webhook_access::answers(section);
    let hiding = section.text("names").and_then(|text| {
        let names = Names::parse(text.value);
        if names.is_none() {
            text.problem(suggest::one_of(text.value, &Names::ALL.map(Names::as_str)));
        }
        names
    });
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    let settle = section.duration("settle", Duration::ZERO, Duration::ZERO..=3600 * second);
    let ordered = section.flag("ordered");
    if let Some(flag) = ordered.as_ref().filter(|flag| !flag.value && !settle.is_zero()) {
        flag.problem("cannot be `false` together with `settle`, which delays later events of a conference");
    }
    let gathers = || ["max_events", "max_wait", "digest"].into_iter().find(|key| section.has(key));
    if let (Some(flag), Some(key)) = (ordered.as_ref().filter(|flag| !flag.value), gathers()) {
        flag.problem(format!("cannot be `false` together with `{key}`, because events in one delivery are in order"));
    }
    let max_age = optional_duration(section, "max_age", second..=30 * day);
    if max_age.is_some_and(|age| batching.is_some_and(|batching| batching.max_wait >= age)) {
        section.problem(
            "max_age",
            "must be longer than `max_wait` or `digest`; otherwise every event expires before it is sent",
        );
    }
    let max_hold = section.duration("max_hold", 6 * 3600 * second, 60 * second..=30 * day);
    let schedule = schedule(section);
    let drain_per_second = f64::from(section.integer("drain_per_second", 50, 1..=100_000));
    let timeout = section.duration("timeout", 15 * second, second..=300 * second);
    let window = section.duration("window", 3 * day, 60 * second..=30 * day);
    let is_chat = format.as_ref().is_some_and(Format::is_chat);
    let concurrency = section.integer("concurrency", if is_chat { 1 } else { 8 }, 1..=256);
    let rate = section.parsed("rate", RATE, rate);

    let name = name?.value;
    let Destination { url, allow_private, proxy } = url?;
    Some(EndpointSettings {
        route: Route { endpoint: name.clone(), events: patterns, kinds, targets, provenance },
        format: format?,
        names: hiding.unwrap_or_default(),
        headers,
        tls,
        answers,
        allow_private,
        proxy,
        timeout,
        window,
        concurrency: usize::try_from(concurrency).unwrap_or(1),
        rate: rate.map(|rate| rate.value),
        ordered: ordered.is_none_or(|flag| flag.value),
        settle,
        max_age,
        batching,
        max_hold,
        drain_per_second,
        schedule,
        secrets: secrets?,
        ..EndpointSettings::new(name, url)
    })
}

/// The form of a `rate`.
const RATE: &str =
    "a number of deliveries and a time, such as \"1/s\", \"30/m\" or \"100/h\", above 0 and at most 10000 a second";

/// Parses a rate. Returns it in deliveries a second.
fn rate(text: &str) -> Option<f64> {
    const MOST: f64 = 10_000.0;
    let (count, unit) = text.split_once('/')?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let count: u32 = count.trim().parse().ok()?;
    let rate = f64::from(count) / seconds;
    (count > 0 && rate <= MOST).then_some(rate)
}

/// Reads an optional duration.
fn optional_duration(section: &Section<'_>, key: &'static str, allowed: RangeInclusive<Duration>) -> Option<Duration> {
    let found = section.duration(key, Duration::ZERO, allowed);
    (!found.is_zero()).then_some(found)
}

/// Reads `schedule`: the waits after failed attempts.
fn schedule(section: &Section<'_>) -> Vec<Duration> {
    const MOST: usize = 50;
    let Some(texts) = section.texts("schedule") else { return DEFAULT_SCHEDULE.to_vec() };
    if texts.is_empty() || texts.len() > MOST {
        section.problem("schedule", format!("must have 1 to {MOST} durations"));
    }
    let (shortest, longest) = (Duration::from_secs(1), Duration::from_secs(86_400));
    let wait = |text: &str| humantime::parse_duration(text).ok().filter(|wait| (shortest..=longest).contains(wait));
    let expected = "durations such as \"5s\" or \"10m\", each from 1s to 1d";
    texts.into_iter().filter_map(|text| text.must_be(expected, wait)).map(|found| found.value).collect()
}

/// The address of an endpoint and how it is reached.
struct Destination {
    url: Url,
    allow_private: bool,
    proxy: Option<Url>,
}

fn url(section: &Section<'_>, files: &ReferencedFiles<'_>, is_chat: bool) -> Option<Destination> {
    let allow_http = section.flag("allow_http").is_some_and(|flag| flag.value);
    let allow_private = section.flag("allow_private").is_none_or(|flag| flag.value);
    let proxy = address::proxy(section, files);
    if let Some(proxy) = proxy.as_ref().filter(|_| !allow_private) {
        proxy.problem(format!(
            "cannot be combined with `{} = false`: the proxy resolves the name itself, so private addresses cannot be refused here; remove that key and let the proxy refuse them",
            section.path_of("allow_private")
        ));
    }
    if is_chat {
        section.mark_secret("url");
    }
    let Some(text) = secret::one(section, files, ["url", "url_file"], "the address") else {
        if !section.has("url") && !section.has("url_file") {
            section.absent("url", "is missing; set the address that deliveries are sent to, here or in `url_file`");
        }
        return None;
    };
    let url = address::http(&text, text.value.expose_secret())?;
    address::require_https(section, &url, allow_http, "deliveries");
    if !allow_private && refuses_literal(&url.value, is_public) {
        url.problem(format!(
            "is not an address of the public internet, and `{}` is false",
            section.path_of("allow_private")
        ));
    }
    Some(Destination { url: url.value, allow_private, proxy: proxy.map(|found| found.value) })
}

/// Reads the signing secrets. A chat has none, because its address is the secret; a template need not be signed.
fn secrets(
    section: &Section<'_>,
    files: &ReferencedFiles<'_>,
    wanted: Option<&webhook_format::FormatKeys<'_>>,
) -> Option<Vec<SigningSecret>> {
    const KEYS: [&str; 4] = ["secret", "secret_file", "secrets", "secrets_files"];
    let found = secret::several(section, files, KEYS, "the secret");
    let given = KEYS.into_iter().find(|key| section.has(key));
    let Some(key) = given else {
        if wanted.is_none_or(webhook_format::FormatKeys::must_be_signed) {
            section.absent("secret", "is missing; deliveries are signed, so set a secret or `secret_file`");
            return None;
        }
        return Some(Vec::new());
    };
    if wanted.is_some_and(webhook_format::FormatKeys::is_chat) {
        section.problem(key, "has no effect: chats do not check signatures; keep the address secret, in `url_file`");
        return None;
    }
    let secrets: Vec<_> = found.iter().filter_map(|secret| secret::checked(secret, SigningSecret::parse)).collect();
    (!secrets.is_empty()).then_some(secrets)
}

fn events(section: &Section<'_>) -> Vec<EventPattern> {
    let families =
        || EventType::ALL.into_iter().filter_map(|event| Some(format!("{}.*", event.as_str().split_once('.')?.0)));
    let known = || families().chain(EventType::ALL.map(|event| event.as_str().to_owned())).collect::<Vec<_>>();
    let mut patterns = Vec::new();
    for text in section.texts("events").unwrap_or_default() {
        match EventPattern::parse(text.value) {
            Some(pattern) => patterns.push(pattern),
            None => text.problem(format!(
                "must be `*`, a group such as `participant.*`, or an event{}",
                suggest::meant(text.value, &known())
            )),
        }
    }
    patterns
}

fn kinds(section: &Section<'_>) -> Vec<ParticipantKind> {
    one_of(section, "kinds", &ParticipantKind::ALL.map(ParticipantKind::as_str), ParticipantKind::parse)
}

fn provenance(section: &Section<'_>) -> Vec<Provenance> {
    one_of(section, "provenance", &Provenance::ALL.map(Provenance::as_str), Provenance::parse)
}

fn one_of<T>(section: &Section<'_>, key: &'static str, known: &[&str], parse: fn(&str) -> Option<T>) -> Vec<T> {
    let mut values = Vec::new();
    for text in section.texts(key).unwrap_or_default() {
        match parse(text.value) {
            Some(value) => values.push(value),
            None => text.problem(suggest::one_of(text.value, known)),
        }
    }
    values
}

fn targets_of(section: &Section<'_>, targets: &KnownTargets<'_>) -> Vec<TargetName> {
    let mut wanted = Vec::new();
    for text in section.texts("targets").unwrap_or_default() {
        if let Some(group) = targets.groups.get(text.value) {
            wanted.extend(group.iter().cloned());
        } else if let (true, Ok(name)) = (targets.names.has(text.value), TargetName::parse(text.value)) {
            wanted.push(name);
        } else {
            targets.names.report_unknown(&text);
        }
    }
    wanted
}
