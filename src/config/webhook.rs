//! `[[webhook]]`: where deliveries go, signed with what, and which events are wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;
use secrecy::ExposeSecret as _;

use super::address;
use super::files::Files;
use super::names::Names;
use super::secret;
use super::section::Section;
use super::words;
use crate::model::route::EventPattern;
use crate::model::{EndpointName, EventType, Kind, Provenance, Route, TargetName};
use crate::webhook::sign::SigningSecret;
use crate::webhook::{EndpointSettings, Format};

/// What an endpoint may name.
#[derive(Debug)]
pub(super) struct Targets<'t> {
    pub(super) names: &'t Names,
    /// The targets of each identity that has subjects, under the name of the identity.
    pub(super) groups: &'t BTreeMap<String, Vec<TargetName>>,
}

pub(super) fn read(
    section: &Section<'_>,
    files: &Files<'_>,
    names: &Names,
    targets: &Targets<'_>,
) -> Option<EndpointSettings> {
    let name = names.read(section, EndpointName::parse);
    let url = url(section, files);
    let secrets = secrets(section, files);
    let (events, kinds) = (events(section), kinds(section));
    let (targets, provenance) = (targets_of(section, targets), provenance(section));
    let format = section.parsed("format", "\"standard\"", |text| (text == "standard").then_some(Format::Standard));
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    // Holding leaves back is not here yet, so nothing but "not at all" can be asked for.
    section.duration("settle", Duration::ZERO, Duration::ZERO..=Duration::ZERO);
    let timeout = section.duration("timeout", 15 * second, second..=300 * second);
    let window = section.duration("window", 3 * day, 60 * second..=30 * day);
    let concurrency = section.integer("concurrency", 8, 1..=256);

    let name = name?.value;
    Some(EndpointSettings {
        route: Route { endpoint: name.clone(), events, kinds, targets, provenance },
        secrets: secrets?,
        format: format.map(|found| found.value).unwrap_or_default(),
        timeout,
        window,
        concurrency: usize::try_from(concurrency).unwrap_or(1),
        ..EndpointSettings::new(name, url?)
    })
}

fn url(section: &Section<'_>, files: &Files<'_>) -> Option<Url> {
    let allow_http = section.flag("allow_http").is_some_and(|flag| flag.value);
    let Some(text) = secret::one(section, files, ["url", "url_file"], "the address") else {
        if !section.has("url") && !section.has("url_file") {
            section.absent("url", "is missing; say where deliveries go, here or in `url_file`");
        }
        return None;
    };
    let url = address::http(&text, text.value.expose_secret())?;
    address::require_https(section, &url, allow_http, "deliveries");
    Some(url.value)
}

fn secrets(section: &Section<'_>, files: &Files<'_>) -> Option<Vec<SigningSecret>> {
    const KEYS: [&str; 4] = ["secret", "secret_file", "secrets", "secrets_files"];
    let found = secret::several(section, files, KEYS, "the secret");
    if !KEYS.iter().any(|key| section.has(key)) {
        section.absent("secret", "is missing; deliveries are signed, so give a secret or its `secret_file`");
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
                "must be `*`, a family such as `participant.*`, or an event{}",
                words::meant(text.value, &known())
            )),
        }
    }
    patterns
}

fn kinds(section: &Section<'_>) -> Vec<Kind> {
    one_of(section, "kinds", &Kind::ALL.map(Kind::as_str), Kind::parse)
}

fn provenance(section: &Section<'_>) -> Vec<Provenance> {
    one_of(section, "provenance", &Provenance::ALL.map(Provenance::as_str), Provenance::parse)
}

fn one_of<T>(section: &Section<'_>, key: &'static str, known: &[&str], parse: fn(&str) -> Option<T>) -> Vec<T> {
    let mut values = Vec::new();
    for text in section.texts(key).unwrap_or_default() {
        match parse(text.value) {
            Some(value) => values.push(value),
            None => text.problem(words::one_of(text.value, known)),
        }
    }
    values
}

fn targets_of(section: &Section<'_>, targets: &Targets<'_>) -> Vec<TargetName> {
    let mut wanted = Vec::new();
    for text in section.texts("targets").unwrap_or_default() {
        if let Some(group) = targets.groups.get(text.value) {
            wanted.extend(group.iter().cloned());
        } else if let (true, Ok(name)) = (targets.names.has(text.value), TargetName::parse(text.value)) {
            wanted.push(name);
        } else {
            targets.names.refuse(&text);
        }
    }
    wanted
}
