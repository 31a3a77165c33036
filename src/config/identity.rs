//! `[[identity]]`: the credentials of one Google user, or of a service account for each of several subjects.

use std::time::Duration;

use super::configuration::FileLine;
use super::credentials;
use super::files::ReferencedFiles;
use super::names::DeclaredNames;
use super::section::{Located, Section};
use super::subjects::{self, SubjectAddress};
use super::target;
use crate::meet::settings::{Credentials, IdentitySettings};
use crate::model::{IdentityName, TargetName};
use crate::watch::{TargetSelector, TargetSettings};

/// The identities and targets that one `[[identity]]` stands for.
#[derive(Debug, Default)]
pub(super) struct ExpandedIdentity {
    /// One identity, or one for each subject.
    pub(super) identities: Vec<IdentitySettings>,
    /// For each subject, a target for all conferences that it organizes.
    pub(super) targets: Vec<TargetSettings>,
    /// Where each of these subjects is given.
    pub(super) places: Vec<(IdentityName, FileLine)>,
    /// The name of the section if it stands for several identities.
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
        section.problem("poll_interval", "is used with `subjects` or `subjects_file` only; set it in the [[target]]");
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

/// Checks that subjects are named in only one way and come with a service account's key.
fn delegation_is_possible(section: &Section<'_>, credentials: Option<&Credentials>) {
    let given_keys: Vec<&str> =
        ["subject", "subjects", "subjects_file"].into_iter().filter(|key| section.has(key)).collect();
    if let [first, second, ..] = given_keys.as_slice() {
        section.problem(second, format!("cannot be combined with `{first}`; keep one of them"));
    }
    let delegates = matches!(credentials, None | Some(Credentials::ServiceAccount { .. }));
    if let (Some(key), false) = (given_keys.first(), delegates) {
        let message = "needs `service_account_key`; delegation without a key file or with application default \
                       credentials is not supported";
        section.problem(key, message);
    }
}

fn expand(
    name: &Located<'_, IdentityName>,
    names: &DeclaredNames,
    subjects: Vec<SubjectAddress>,
    poll_interval: Duration,
    identity: impl Fn(IdentityName, String) -> IdentitySettings,
) -> ExpandedIdentity {
    let mut expanded = ExpandedIdentity { group: Some(name.value.to_string()), ..ExpandedIdentity::default() };
    for SubjectAddress { address: subject, place } in subjects {
        let opaque = subjects::opaque_name(name.value.as_str(), &subject);
        let (Ok(own), Ok(target)) = (IdentityName::parse(&opaque), TargetName::parse(&opaque)) else {
            name.problem(format!(
                "is too long for an identity with subjects, whose names are derived from it; use at most {} characters",
                subjects::MAX_PREFIX_CHARS
            ));
            break;
        };
        if names.has(&opaque) {
            name.problem("makes the name of a subject equal to that of another identity; choose another name");
        }
        names.add(&opaque, None);
        expanded.identities.push(identity(own.clone(), subject));
        expanded.places.push((own.clone(), place));
        expanded.targets.push(TargetSettings {
            name: target,
            identity: own,
            selector: TargetSelector::Organizer,
            poll_interval,
        });
    }
    expanded
}
