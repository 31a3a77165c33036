//! `[[identity]]`: the credentials of one Google user, or of one for each of many subjects.

use std::time::Duration;

use super::credentials;
use super::files::ReferencedFiles;
use super::names::DeclaredNames;
use super::section::{Located, Section};
use super::subjects;
use super::target;
use crate::meet::settings::{Credentials, IdentitySettings};
use crate::model::{IdentityName, TargetName};
use crate::watch::{TargetSettings, What};

/// What one `[[identity]]` came to.
#[derive(Debug, Default)]
pub(super) struct ExpandedIdentity {
    /// One, or one for each subject.
    pub(super) identities: Vec<IdentitySettings>,
    /// For each subject, all that it organizes.
    pub(super) targets: Vec<TargetSettings>,
    /// The name of the section, where it stands for several.
    pub(super) group: Option<String>,
}

pub(super) fn read(section: &Section<'_>, files: &ReferencedFiles<'_>, names: &DeclaredNames) -> ExpandedIdentity {
    let name = names.read(section, IdentityName::parse);
    let credentials = credentials::read(section, files);
    let lookup = section.parsed("lookup", "\"people\"", |text| (text == "people").then_some(()));
    let lookup_people = lookup.is_some();
    let subject = section.text("subject").and_then(|text| text.must_be(subjects::EXPECTED, subjects::parse));
    let many = subjects::read(section, files);
    let poll_interval = target::poll_interval(section);

    delegation_is_possible(section, credentials.as_ref());
    if section.has("poll_interval") && many.is_none() {
        section.problem("poll_interval", "goes with `subjects` or `subjects_file` only; set it on the [[target]]");
    }
    let (Some(name), Some(credentials)) = (name, credentials) else { return ExpandedIdentity::default() };
    match (many, credentials) {
        (Some(many), Credentials::ServiceAccount { key, .. }) => {
            let with = |subject| Credentials::ServiceAccount { key: key.clone(), subject: Some(subject) };
            expand(&name, names, many, poll_interval, |name, subject| IdentitySettings {
                name,
                credentials: with(subject),
                lookup_people,
            })
        }
        (_, mut credentials) => {
            if let (Credentials::ServiceAccount { subject: place, .. }, Some(subject)) = (&mut credentials, subject) {
                *place = Some(subject.value);
            }
            let identity = IdentitySettings { name: name.value, credentials, lookup_people };
            ExpandedIdentity { identities: vec![identity], ..ExpandedIdentity::default() }
        }
    }
}

/// Subjects need a service account's key, and only one way to name them.
fn delegation_is_possible(section: &Section<'_>, credentials: Option<&Credentials>) {
    let given: Vec<&str> =
        ["subject", "subjects", "subjects_file"].into_iter().filter(|key| section.has(key)).collect();
    if let [first, second, ..] = given.as_slice() {
        section.problem(second, format!("stands folder `{first}`; keep one of them"));
    }
    let delegates = matches!(credentials, None | Some(Credentials::ServiceAccount { .. }));
    if let (Some(key), false) = (given.first(), delegates) {
        let message = "works with `service_account_key` only; delegation without a key file, and with application \
                       default credentials, is not available";
        section.problem(key, message);
    }
}

fn expand(
    name: &Located<'_, IdentityName>,
    names: &DeclaredNames,
    subjects: Vec<String>,
    poll_interval: Duration,
    identity: impl Fn(IdentityName, String) -> IdentitySettings,
) -> ExpandedIdentity {
    let mut expanded = ExpandedIdentity { group: Some(name.value.to_string()), ..ExpandedIdentity::default() };
    for subject in subjects {
        let opaque = subjects::opaque_name(name.value.as_str(), &subject);
        let (Ok(own), Ok(target)) = (IdentityName::parse(&opaque), TargetName::parse(&opaque)) else {
            name.problem(format!(
                "is too long where subjects get names of their own; {} characters are possible",
                subjects::MAX_PREFIX_CHARS
            ));
            break;
        };
        if names.has(&opaque) {
            name.problem("gives a subject the name of another identity; choose another name");
        }
        names.add(&opaque, None);
        expanded.identities.push(identity(own.clone(), subject));
        expanded.targets.push(TargetSettings { name: target, identity: own, what: What::Organizer, poll_interval });
    }
    expanded
}
