//! Reads all sections of the file in the order in which they refer to each other: identities, targets, webhooks.

use std::collections::BTreeMap;

use super::configuration::{Config, FileLine};
use super::diagnostics::Diagnostics;
use super::files::ReferencedFiles;
use super::names::DeclaredNames;
use super::section::Section;
use super::{general, google, identity, server, target, webhook};
use crate::meet::settings::IdentitySettings;
use crate::model::{IdentityName, TargetName};
use crate::watch::TargetSettings;

/// Reads the whole file. What is wrong goes into the diagnostics, and the result is then incomplete.
pub(super) fn read(root: &Section<'_>, files: &ReferencedFiles<'_>, diagnostics: &Diagnostics) -> Config {
    let max_conferences = root.table("metrics", server::max_conferences);
    let WatchSections { identities, targets, names, groups, places } = identities_and_targets(root, files, diagnostics);
    let webhook_names = DeclaredNames::new("webhook");
    let known_targets = webhook::KnownTargets { names: &names, groups: &groups };
    let webhooks = root.tables("webhook", |section| webhook::read(section, files, &webhook_names, &known_targets));
    Config {
        google: root.table("google", |section| google::read(section, files)),
        identities,
        subject_places: places,
        targets,
        webhooks: webhooks.into_iter().flatten().collect(),
        watch: root.table("watch", general::watch),
        store: root.table("store", |section| general::store(section, files)),
        server: root.table("server", |section| server::read(section, files, max_conferences)),
        log: root.table("log", general::log),
        warnings: Vec::new(),
        source: None,
    }
}

/// What the sections `[[identity]]` and `[[target]]` contain.
struct WatchSections {
    identities: Vec<IdentitySettings>,
    targets: Vec<TargetSettings>,
    /// The names of all targets, including those with problems and the groups.
    names: DeclaredNames,
    /// The targets of each identity that has subjects.
    groups: BTreeMap<String, Vec<TargetName>>,
    /// Where each of their subjects is given.
    places: BTreeMap<IdentityName, FileLine>,
}

fn identities_and_targets(root: &Section<'_>, files: &ReferencedFiles<'_>, diagnostics: &Diagnostics) -> WatchSections {
    let (identity_names, names) = (DeclaredNames::new("identity"), DeclaredNames::new("target"));
    let sections = root.tables("identity", |section| identity::read(section, files, &identity_names));
    let only_one = sections.len() == 1;
    if sections.is_empty() {
        diagnostics.absent(None, "identity", "there is none; add an [[identity]] with credentials for Google");
    }
    let mut read = WatchSections {
        identities: Vec::new(),
        targets: Vec::new(),
        names,
        groups: BTreeMap::new(),
        places: BTreeMap::new(),
    };
    for expanded in sections {
        if let Some(group) = expanded.group {
            let members: Vec<TargetName> = expanded.targets.iter().map(|target| target.name.clone()).collect();
            members.iter().for_each(|member| read.names.add(member.as_str(), None));
            read.names.add(&group, None);
            read.groups.insert(group, members);
        }
        read.identities.extend(expanded.identities);
        read.places.extend(expanded.places);
        read.targets.extend(expanded.targets);
    }
    let only: Option<IdentityName> = match read.identities.as_slice() {
        [only] if only_one && read.groups.is_empty() => Some(only.name.clone()),
        _ => None,
    };
    let identities = target::KnownIdentities { names: &identity_names, groups: &read.groups, only_one, only };
    let mut watched = target::WatchedBefore::default();
    let targets = root.tables("target", |section| target::read(section, &read.names, &identities, &mut watched));
    if targets.is_empty() && read.targets.is_empty() {
        diagnostics.warning(None, "target", "there is none, so nothing is watched; add a [[target]]");
    }
    read.targets.extend(targets.into_iter().flatten());
    read
}
