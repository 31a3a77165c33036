//! The result of `check --online`, printed as JSON or as text: one line for each identity, target and endpoint, followed by
//! remedies.
//!
//! It holds names from the configuration, reasons, and public properties of an identity's client. It never holds a person, a
//! token or an address.

use serde::Serialize;

use crate::meet::ReadError;
use crate::meet::error::Reason;
use crate::meet::setup_steps::SetupStep;
use crate::model::{EndpointName, IdentityName, TargetName};

/// All results, in the order of the configuration.
#[derive(Debug, Serialize)]
pub(super) struct CheckReport {
    /// Whether no check failed and every target was checked.
    pub(super) ok: bool,
    pub(super) identities: Vec<IdentityCheck>,
    pub(super) targets: Vec<TargetCheck>,
    pub(super) endpoints: Vec<EndpointCheck>,
}

/// The result of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CheckState {
    Ok,
    Failed,
    /// Not checked: an earlier failure would repeat, or the check was not requested.
    Skipped,
}

#[derive(Debug, Serialize)]
pub(super) struct IdentityCheck {
    pub(super) name: IdentityName,
    /// The file and the line of the subject, where it is one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    pub(super) state: CheckState,
    /// The APIs that it needs; each has a token of its own.
    pub(super) apis: Vec<ApiCheck>,
}

/// Access of an identity to one of Google's APIs.
#[derive(Debug, Serialize)]
pub(super) struct ApiCheck {
    pub(super) api: &'static str,
    /// The scopes of the token.
    pub(super) scopes: &'static [&'static str],
    /// Whether a token was obtained.
    pub(super) token: bool,
    #[serde(rename = "trouble")]
    pub(super) failure: Option<CheckFailure>,
}

#[derive(Debug, Serialize)]
pub(super) struct TargetCheck {
    pub(super) name: TargetName,
    pub(super) identity: IdentityName,
    pub(super) state: CheckState,
    /// The role in which the identity sees the target.
    pub(super) seen_as: Option<SeenAs>,
    /// Whether a conference is live now.
    pub(super) live: Option<bool>,
    /// What the daemon cannot do with this target.
    pub(super) note: Option<&'static str>,
    #[serde(rename = "trouble")]
    pub(super) failure: Option<CheckFailure>,
}

/// The role of an identity at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SeenAs {
    Organizer,
    Participant,
    /// Google's answers do not show the role.
    Unknown,
}

#[derive(Debug, Serialize)]
pub(super) struct EndpointCheck {
    pub(super) name: EndpointName,
    pub(super) state: CheckState,
    pub(super) status: Option<u16>,
    pub(super) seconds: Option<f64>,
    pub(super) reason: Option<&'static str>,
    pub(super) remedy: Option<&'static str>,
}

/// Why a check failed, and the remedies.
#[derive(Debug, Serialize)]
pub(super) struct CheckFailure {
    pub(super) attempted: &'static str,
    pub(super) reason: &'static str,
    pub(super) detail: String,
    pub(super) remedy: &'static str,
    pub(super) steps: Vec<SetupStep>,
}

impl CheckFailure {
    pub(super) fn new(error: ReadError, steps: Vec<SetupStep>) -> Self {
        let ReadError { reason, attempted, detail, remedy, .. } = error;
        Self { attempted, reason: reason.as_str(), detail, remedy, steps }
    }

    /// Returns whether Google could not be reached in time.
    pub(super) fn is_unreachable(&self) -> bool {
        [Reason::Network, Reason::Timeout].iter().any(|reason| reason.as_str() == self.reason)
    }

    fn text(&self) -> String {
        format!("{}: {} ({})", self.attempted, self.detail, self.reason)
    }

    /// Returns the remedies, one on each line.
    fn remedies(&self) -> impl Iterator<Item = String> {
        let remedy = Some(self.remedy).filter(|remedy| !remedy.is_empty());
        remedy.map(indented).into_iter().chain(self.steps.iter().map(indented))
    }
}

impl CheckReport {
    pub(super) fn new(
        identities: Vec<IdentityCheck>,
        targets: Vec<TargetCheck>,
        endpoints: Vec<EndpointCheck>,
    ) -> Self {
        let targets_ok = targets.iter().all(|target| target.state == CheckState::Ok);
        let others = identities.iter().map(|one| one.state).chain(endpoints.iter().map(|one| one.state));
        let ok = targets_ok && others.into_iter().all(|state| state != CheckState::Failed);
        Self { ok, identities, targets, endpoints }
    }

    /// Returns the lines of the text output.
    pub(super) fn lines(&self) -> Vec<String> {
        let identities = self.identities.iter().flat_map(IdentityCheck::lines);
        let targets = self.targets.iter().flat_map(TargetCheck::lines);
        identities.chain(targets).chain(self.endpoints.iter().flat_map(EndpointCheck::lines)).collect()
    }
}

impl IdentityCheck {
    fn lines(&self) -> Vec<String> {
        let apis: Vec<String> = self.apis.iter().map(ApiCheck::text).collect();
        let source = self.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
        let head = line(self.state, "identity", format_args!("{}{source}", self.name), &apis.join("; "));
        let remedies = self.apis.iter().filter_map(|api| api.failure.as_ref()).flat_map(CheckFailure::remedies);
        std::iter::once(head).chain(remedies).collect()
    }
}

impl ApiCheck {
    fn text(&self) -> String {
        let Self { api, token, .. } = self;
        let scopes: Vec<&str> = self.scopes.iter().map(|scope| scope.rsplit('/').next().unwrap_or(scope)).collect();
        let scopes = scopes.join(", ");
        match (&self.failure, token) {
            (None, _) => format!("a token for {scopes}, and the {api} API accepts it"),
            (Some(failure), true) => format!("a token for {scopes}, but {}", failure.text()),
            (Some(failure), false) => format!("no token for {scopes}: {}", failure.text()),
        }
    }
}

impl TargetCheck {
    fn lines(&self) -> Vec<String> {
        let who = &self.identity;
        let result = match (&self.failure, self.seen_as) {
            (Some(failure), _) => format!("{who} cannot see it: {}", failure.text()),
            (None, Some(SeenAs::Organizer)) => format!("seen by {who}, its organizer"),
            (None, Some(SeenAs::Participant)) => format!("seen by {who}, as a participant"),
            (None, Some(SeenAs::Unknown)) => format!("seen by {who}"),
            (None, None) => format!("not checked, because {who} cannot read"),
        };
        let live = self.live.map_or("", |live| if live { "; live now" } else { "; not live now" });
        let head = line(self.state, "target", &self.name, &format!("{result}{live}"));
        let note = self.note.map(indented);
        let remedies = self.failure.iter().flat_map(CheckFailure::remedies);
        std::iter::once(head).chain(note).chain(remedies).collect()
    }
}

impl EndpointCheck {
    fn lines(&self) -> Vec<String> {
        let status = self.status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
        let after = self.seconds.map(|seconds| format!(" after {seconds:.3} s")).unwrap_or_default();
        let result = match (self.state, self.reason) {
            (CheckState::Skipped, _) => "not tested; --test-endpoints sends it a test event".to_owned(),
            (_, Some(reason)) => format!("did not accept the test event: {reason}, {status}{after}"),
            (_, None) => format!("accepted the test event: {status}{after}"),
        };
        let head = line(self.state, "endpoint", &self.name, &result);
        std::iter::once(head).chain(self.remedy.map(indented)).collect()
    }
}

fn line(state: CheckState, kind: &str, name: impl std::fmt::Display, result: &str) -> String {
    let state = match state {
        CheckState::Ok => "ok",
        CheckState::Failed => "failed",
        CheckState::Skipped => "skipped",
    };
    format!("{state:7} {kind} {name}: {result}")
}

fn indented(text: impl std::fmt::Display) -> String {
    format!("        {text}")
}
