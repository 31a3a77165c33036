//! What `check --online` found, as it is printed: as JSON whole, for people a line for each thing and what helps below it.
//!
//! There are the operator's own names in it, reasons, and what is public of an identity's client: no person, no token, no
//! address.

use serde::Serialize;

use crate::meet::ReadError;
use crate::meet::error::Reason;
use crate::meet::setup_steps::SetupStep;
use crate::model::{EndpointName, IdentityName, TargetName};

/// Everything, in the configuration's order.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether nothing failed.
    pub(super) ok: bool,
    pub(super) identities: Vec<Identity>,
    pub(super) targets: Vec<Target>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// How something fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Ok,
    Failed,
    /// Not asked, because it could only fail of what has failed before, or because nobody wanted it.
    Skipped,
}

#[derive(Debug, Serialize)]
pub(super) struct Identity {
    pub(super) name: IdentityName,
    pub(super) state: State,
    /// Each API that it needs, with a token of its own.
    pub(super) apis: Vec<Access>,
}

/// One of Google's APIs, as an identity gets at it.
#[derive(Debug, Serialize)]
pub(super) struct Access {
    pub(super) api: &'static str,
    /// What the token is for.
    pub(super) scopes: &'static [&'static str],
    /// Whether there was one.
    pub(super) token: bool,
    pub(super) trouble: Option<Trouble>,
}

#[derive(Debug, Serialize)]
pub(super) struct Target {
    pub(super) name: TargetName,
    pub(super) identity: IdentityName,
    pub(super) state: State,
    /// As whom it is seen.
    pub(super) seen_as: Option<SeenAs>,
    /// Whether a conference is live.
    pub(super) live: Option<bool>,
    /// What this does not let the daemon do.
    pub(super) note: Option<&'static str>,
    pub(super) trouble: Option<Trouble>,
}

/// What an identity is to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SeenAs {
    Organizer,
    Participant,
    /// Nothing there is that would tell.
    Unknown,
}

#[derive(Debug, Serialize)]
pub(super) struct Endpoint {
    pub(super) name: EndpointName,
    pub(super) state: State,
    pub(super) status: Option<u16>,
    pub(super) seconds: Option<f64>,
    pub(super) reason: Option<&'static str>,
    pub(super) remedy: Option<&'static str>,
}

/// What went wrong, and what helps.
#[derive(Debug, Serialize)]
pub(super) struct Trouble {
    pub(super) attempted: &'static str,
    pub(super) reason: &'static str,
    pub(super) detail: String,
    pub(super) remedy: &'static str,
    pub(super) steps: Vec<SetupStep>,
}

impl Trouble {
    pub(super) fn new(error: ReadError, steps: Vec<SetupStep>) -> Self {
        let ReadError { reason, attempted, detail, remedy, .. } = error;
        Self { attempted, reason: reason.as_str(), detail, remedy, steps }
    }

    /// Whether Google could not be reached, or not in time.
    pub(super) fn is_of_the_way(&self) -> bool {
        [Reason::Network, Reason::Timeout].iter().any(|reason| reason.as_str() == self.reason)
    }

    fn told(&self) -> String {
        format!("{}: {} ({})", self.attempted, self.detail, self.reason)
    }

    /// What helps, each on a line of its own.
    fn help(&self) -> impl Iterator<Item = String> {
        let remedy = Some(self.remedy).filter(|remedy| !remedy.is_empty());
        remedy.map(indented).into_iter().chain(self.steps.iter().map(indented))
    }
}

impl Report {
    pub(super) fn new(identities: Vec<Identity>, targets: Vec<Target>, endpoints: Vec<Endpoint>) -> Self {
        let targets_well = targets.iter().all(|target| target.state == State::Ok);
        let others = identities.iter().map(|one| one.state).chain(endpoints.iter().map(|one| one.state));
        let ok = targets_well && others.into_iter().all(|state| state != State::Failed);
        Self { ok, identities, targets, endpoints }
    }

    /// The lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let identities = self.identities.iter().flat_map(Identity::lines);
        let targets = self.targets.iter().flat_map(Target::lines);
        identities.chain(targets).chain(self.endpoints.iter().flat_map(Endpoint::lines)).collect()
    }
}

impl Identity {
    fn lines(&self) -> Vec<String> {
        let told: Vec<String> = self.apis.iter().map(Access::told).collect();
        let head = line(self.state, "identity", &self.name, &told.join("; "));
        let help = self.apis.iter().filter_map(|access| access.trouble.as_ref()).flat_map(Trouble::help);
        std::iter::once(head).chain(help).collect()
    }
}

impl Access {
    fn told(&self) -> String {
        let Self { api, token, .. } = self;
        let scopes: Vec<&str> = self.scopes.iter().map(|scope| scope.rsplit('/').next().unwrap_or(scope)).collect();
        let scopes = scopes.join(", ");
        match (&self.trouble, token) {
            (None, _) => format!("a token for {scopes}, and the {api} API takes it"),
            (Some(trouble), true) => format!("a token for {scopes}, but {}", trouble.told()),
            (Some(trouble), false) => format!("no token for {scopes}: {}", trouble.told()),
        }
    }
}

impl Target {
    fn lines(&self) -> Vec<String> {
        let who = &self.identity;
        let told = match (&self.trouble, self.seen_as) {
            (Some(trouble), _) => format!("{who} does not see it: {}", trouble.told()),
            (None, Some(SeenAs::Organizer)) => format!("seen by {who}, its organizer"),
            (None, Some(SeenAs::Participant)) => format!("seen by {who}, who only takes part"),
            (None, Some(SeenAs::Unknown)) => format!("seen by {who}"),
            (None, None) => format!("not asked, because {who} cannot read"),
        };
        let live = self.live.map_or("", |live| if live { "; live now" } else { "; nothing is live" });
        let head = line(self.state, "target", &self.name, &format!("{told}{live}"));
        let note = self.note.map(indented);
        let help = self.trouble.iter().flat_map(Trouble::help);
        std::iter::once(head).chain(note).chain(help).collect()
    }
}

impl Endpoint {
    fn lines(&self) -> Vec<String> {
        let status = self.status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
        let after = self.seconds.map(|seconds| format!(" after {seconds:.3} s")).unwrap_or_default();
        let told = match (self.state, self.reason) {
            (State::Skipped, _) => "not tried; --test-endpoints sends it a test event".to_owned(),
            (_, Some(reason)) => format!("did not take the test event: {reason}, {status}{after}"),
            (_, None) => format!("took the test event: {status}{after}"),
        };
        let head = line(self.state, "endpoint", &self.name, &told);
        std::iter::once(head).chain(self.remedy.map(indented)).collect()
    }
}

fn line(state: State, kind: &str, name: impl std::fmt::Display, told: &str) -> String {
    let state = match state {
        State::Ok => "ok",
        State::Failed => "failed",
        State::Skipped => "skipped",
    };
    format!("{state:7} {kind} {name}: {told}")
}

fn indented(text: impl std::fmt::Display) -> String {
    format!("        {text}")
}
