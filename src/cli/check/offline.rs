//! The checks that need no network: whether each identity can obtain a token and can see its targets, and whether this
//! machine can verify the servers that it talks to.

use std::path::Path;

use crate::cli::output::complain;
use crate::config::Config;
use crate::meet::auth::inspect;
use crate::meet::settings::{Credentials, IdentitySettings};
use crate::model::text::for_terminal;
use crate::store::StoreSettings;
use crate::tls_roots::{self, ClientError};

const NO_SUBJECT: &str = "a service account by itself neither organizes meetings nor takes part in them; set its `subject` to \
     the user for whom it acts";
const NO_SUBJECT_HERE: &str = "application default credentials that are a service account's key neither organize meetings nor \
     take part in them; use `service_account_key` with a `subject` instead";

/// Checks everything and prints what is wrong. Returns whether nothing is.
pub(super) fn check(config: &Config) -> bool {
    warn_of_default_store(config);
    let problems = identities(config).into_iter().chain(roots(config));
    problems.map(|problem| complain(for_terminal(&problem))).count() == 0
}

/// Warns if `[store]` does not say where the store is, and the folder where it is by default does not exist.
fn warn_of_default_store(config: &Config) {
    let path = &config.store.path;
    let is_default = *path == StoreSettings::default().path && !config.warnings.iter().any(|it| it.key == "store.path");
    if is_default && path.parent().is_some_and(|folder| !folder.exists()) {
        complain(format_args!(
            "warning: store.path: is not set, and the folder of its default, {}, does not exist; the systemd unit makes it at \
             its start; otherwise set `path` under [store]",
            path.display()
        ));
    }
}

/// The problems of the identities. What is wrong with a file is said once, however many identities use it.
fn identities(config: &Config) -> Vec<String> {
    let mut found: Vec<(Option<&Path>, String, &IdentitySettings, usize)> = Vec::new();
    for identity in &config.identities {
        let inspection = inspect(&identity.credentials);
        let problem = match &inspection.problem {
            Some(problem) => format!("{} ({}); {}", problem.detail, problem.reason, problem.remedy),
            None if inspection.acts_for_itself && is_used(config, identity) => match identity.credentials {
                Credentials::ApplicationDefault { .. } => NO_SUBJECT_HERE.to_owned(),
                _ => NO_SUBJECT.to_owned(),
            },
            None => continue,
        };
        let file = file_of(&identity.credentials);
        let same = |(known, text, _, _): &&mut (Option<&Path>, String, _, _)| *known == file && *text == problem;
        match found.iter_mut().find(same) {
            Some((_, _, _, others)) => *others += 1,
            None => found.push((file, problem, identity, 0)),
        }
    }
    let sentence = |(_, problem, identity, others): (_, String, &IdentitySettings, usize)| {
        let place = config.subject_places.get(&identity.name).map(|place| format!(" ({place})")).unwrap_or_default();
        let others = if others > 0 { format!(" and {others} more") } else { String::new() };
        format!("identity {}{place}{others}: {problem}", identity.name)
    };
    found.into_iter().map(sentence).collect()
}

fn is_used(config: &Config, identity: &IdentitySettings) -> bool {
    config.targets.iter().any(|target| target.identity == identity.name)
}

fn file_of(credentials: &Credentials) -> Option<&Path> {
    match credentials {
        Credentials::ServiceAccount { key, .. } => Some(key),
        Credentials::UserConsent { token_store, .. } => Some(token_store),
        Credentials::ApplicationDefault { file } => file.as_deref(),
        Credentials::AccessTokenFile(path) => Some(path),
    }
}

/// The problem that the machine has no CA certificates, if an address with https is used.
fn roots(config: &Config) -> Option<String> {
    let google = config.google.uses_https(&config.identities);
    let webhooks = config.webhooks.iter().find(|endpoint| endpoint.uses_https());
    let who = match webhooks {
        _ if google => "google".to_owned(),
        Some(endpoint) => format!("webhook {}", endpoint.name),
        None => return None,
    };
    (!tls_roots::are_there()).then(|| format!("{who}: {}", ClientError::NoRoots))
}
