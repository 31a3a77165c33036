//! `[[target]]`: what to watch, and as whom.

use std::collections::BTreeMap;
use std::time::Duration;

use super::names::DeclaredNames;
use super::section::{Located, Section};
use super::suggest;
use crate::model::{ConferenceName, IdentityName, InvalidName, MeetingCode, SpaceName, TargetName};
use crate::watch::{TargetSettings, What};

/// How often participants are listed where nothing is said.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// The four ways to say what to watch, by their keys.
const WAYS: [&str; 4] = ["meeting_code", "space", "conference", "organizer"];

/// The identities that a target can name.
#[derive(Debug)]
pub(super) struct KnownIdentities<'i> {
    pub(super) names: &'i DeclaredNames,
    /// Those that stand for several.
    pub(super) groups: &'i BTreeMap<String, Vec<TargetName>>,
    /// Whether there is one section only, which a target then need not name.
    pub(super) only_one: bool,
    /// That one, unless something is wrong with it or it stands for several.
    pub(super) only: Option<IdentityName>,
}

pub(super) fn read(section: &Section<'_>, names: &DeclaredNames, identities: &KnownIdentities<'_>) -> Option<TargetSettings> {
    let name = names.read(section, TargetName::parse);
    let identity = identity(section, identities);
    let what = what(section);
    let poll_interval = poll_interval(section);
    Some(TargetSettings { name: name?.value, identity: identity?, what: what?, poll_interval })
}

/// How often participants are listed.
pub(super) fn poll_interval(section: &Section<'_>) -> Duration {
    section.duration("poll_interval", POLL_INTERVAL, Duration::from_secs(1)..=Duration::from_secs(3600))
}

fn identity(section: &Section<'_>, identities: &KnownIdentities<'_>) -> Option<IdentityName> {
    let Some(text) = section.text("identity") else {
        if (!identities.only_one || !identities.groups.is_empty()) && !section.has("identity") {
            section.absent("identity", "is missing, and there is not exactly one to take; name the one to use");
        }
        return identities.only.clone();
    };
    if identities.groups.contains_key(text.value) {
        text.problem(
            "stands for several identities, one for each of its subjects; all that they organize is watched already, \
             and any one of them can be named in full",
        );
        return None;
    }
    if !identities.names.has(text.value) {
        identities.names.refuse(&text);
        return None;
    }
    IdentityName::parse(text.value).ok()
}

fn what(section: &Section<'_>) -> Option<What> {
    let code = name_of(section, "meeting_code", |text| MeetingCode::parse(text).map(What::MeetingCode));
    let space = name_of(section, "space", |text| SpaceName::parse(text).map(What::Space));
    let conference = name_of(section, "conference", |text| ConferenceName::parse(text).map(What::Conference));
    let organizer = section.flag("organizer").and_then(|flag| {
        if !flag.value {
            flag.problem("must be true, or left out");
        }
        flag.value.then_some(What::Organizer)
    });
    let all = suggest::list(&WAYS);
    match WAYS.iter().filter(|way| section.has(way)).count() {
        1 => code.or(space).or(conference).or(organizer),
        0 => {
            section.absent("", format!("does not say what to watch; give it one of {all}"));
            None
        }
        _ => {
            section.problem("", format!("says several times what to watch; keep one of {all}"));
            None
        }
    }
}

fn name_of(
    section: &Section<'_>,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<What, InvalidName>,
) -> Option<What> {
    let text: Located<'_, &str> = section.text(key)?;
    parse(text.value).inspect_err(|invalid| text.problem(format!("must be {}", expected(invalid)))).ok()
}

fn expected(invalid: &InvalidName) -> String {
    format!("a {} such as \"{}\"", invalid.kind, invalid.shape)
}
