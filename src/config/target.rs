//! `[[target]]`: what to watch, and with which identity.

use std::collections::BTreeMap;
use std::time::Duration;

use super::names::DeclaredNames;
use super::section::{Located, Section};
use super::suggest;
use crate::model::{ConferenceName, IdentityName, InvalidName, MeetingCode, SpaceName, TargetName};
use crate::watch::{TargetSelector, TargetSettings};

/// The default of `poll_interval`.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// The keys that say what to watch.
const KINDS: [&str; 4] = ["meeting_code", "space", "conference", "organizer"];

/// The identities that a target can refer to.
#[derive(Debug)]
pub(super) struct KnownIdentities<'i> {
    pub(super) names: &'i DeclaredNames,
    /// The identities with subjects, which stand for several.
    pub(super) groups: &'i BTreeMap<String, Vec<TargetName>>,
    /// Whether there is only one `[[identity]]`, so that a target need not name it.
    pub(super) only_one: bool,
    /// The only identity, unless it has a problem or stands for several.
    pub(super) only: Option<IdentityName>,
}

pub(super) fn read(
    section: &Section<'_>,
    names: &DeclaredNames,
    identities: &KnownIdentities<'_>,
    watched: &mut WatchedBefore,
) -> Option<TargetSettings> {
    let name = names.read(section, TargetName::parse);
    let identity = identity(section, identities);
    let what = what(section);
    let poll_interval = poll_interval(section);
    let (name, identity, (key, selector)) = (name?, identity?, what?);
    watched.note(section, key, &selector, &identity, name.line());
    Some(TargetSettings { name: name.value, identity, selector, poll_interval })
}

/// Reads `poll_interval`: how often participants are listed.
pub(super) fn poll_interval(section: &Section<'_>) -> Duration {
    section.duration("poll_interval", POLL_INTERVAL, Duration::from_secs(1)..=Duration::from_secs(3600))
}

fn identity(section: &Section<'_>, identities: &KnownIdentities<'_>) -> Option<IdentityName> {
    let Some(text) = section.text("identity") else {
        if (!identities.only_one || !identities.groups.is_empty()) && !section.has("identity") {
            section.absent("identity", "is missing, and there is more than one identity; name the one to use");
        }
        return identities.only.clone();
    };
    if identities.groups.contains_key(text.value) {
        text.problem(
            "stands for one identity for each of its subjects; all conferences that they organize are watched already, \
             so name a single one of them in full",
        );
        return None;
    }
    if !identities.names.has(text.value) {
        identities.names.report_unknown(&text);
        return None;
    }
    IdentityName::parse(text.value).ok()
}

/// What the targets so far watch, each with the line of its name.
#[derive(Debug, Default)]
pub(super) struct WatchedBefore(BTreeMap<String, usize>);

impl WatchedBefore {
    /// Warns if another target watches the same.
    fn note(
        &mut self,
        section: &Section<'_>,
        key: &'static str,
        selector: &TargetSelector,
        identity: &IdentityName,
        line: usize,
    ) {
        let watched = match selector {
            TargetSelector::MeetingCode(code) => code.to_string(),
            TargetSelector::Space(space) => space.to_string(),
            TargetSelector::Conference(conference) => conference.to_string(),
            TargetSelector::Organizer => format!("organizer {identity}"),
        };
        if let Some(before) = self.0.get(&watched) {
            section.warning(
                key,
                format!("is the same as that of the target in line {before}; keep one of the two, unless you want both names in the events"),
            );
        } else {
            self.0.insert(watched, line);
        }
    }
}

/// Reads what the target watches, and the key that says so.
fn what(section: &Section<'_>) -> Option<(&'static str, TargetSelector)> {
    let code = name_of(section, "meeting_code", |text| MeetingCode::from_input(text).map(TargetSelector::MeetingCode));
    let space = name_of(section, "space", |text| SpaceName::parse(text).map(TargetSelector::Space));
    let conference = name_of(section, "conference", |text| ConferenceName::parse(text).map(TargetSelector::Conference));
    let organizer = section.flag("organizer").and_then(|flag| {
        if !flag.value {
            flag.problem("must be `true`; otherwise remove the key");
        }
        flag.value.then_some(TargetSelector::Organizer)
    });
    let all = suggest::list(&KINDS);
    match KINDS.iter().filter(|key| section.has(key)).count() {
        1 => [code, space, conference, organizer].into_iter().zip(KINDS).find_map(|(what, key)| Some((key, what?))),
        0 => {
            section.absent("", format!("does not say what to watch; set one of {all}"));
            None
        }
        _ => {
            section.problem("", format!("has more than one of {all}; keep one"));
            None
        }
    }
}

fn name_of(
    section: &Section<'_>,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<TargetSelector, InvalidName>,
) -> Option<TargetSelector> {
    let text: Located<'_, &str> = section.text(key)?;
    let hint = hint(key, text.value);
    parse(text.value).inspect_err(|invalid| text.problem(format!("must be {}{hint}", expected(invalid)))).ok()
}

fn expected(invalid: &InvalidName) -> String {
    let link = if invalid.kind == "meeting code" { ", or the link of a meeting" } else { "" };
    format!("a {} such as \"{}\"{link}", invalid.kind, invalid.shape)
}

/// Returns what to add to the problem with a value that is right for another key, or that is a link without a code.
fn hint(key: &str, text: &str) -> &'static str {
    match key {
        "meeting_code" if text.contains("/lookup/") => {
            "; a link with a nickname has no code: join the meeting and copy the address that the browser then shows"
        }
        "meeting_code" if text.starts_with("spaces/") => "; set `space` to this value instead",
        "meeting_code" | "space" if text.starts_with("conferenceRecords/") => {
            "; set `conference` to this value instead"
        }
        "conference" if text.starts_with("spaces/") => "; set `space` to this value instead",
        "space" | "conference" if MeetingCode::from_input(text).is_ok() => "; set `meeting_code` to this value instead",
        _ => "",
    }
}
