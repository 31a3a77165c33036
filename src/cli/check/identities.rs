//! The online checks of identities and targets, by a few cheap requests to Google.
//!
//! An identity costs one token and one read for each API that it needs. A target costs at most two reads, and none where its
//! identity cannot read or Google is unreachable. Each request has a timeout and is tried at most twice. The checks spend the
//! share of the quota that the configuration does not give to the daemon, because a daemon may be running.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::CONCURRENCY;
use super::report::{ApiCheck, CheckFailure, CheckState, IdentityCheck, SeenAs, TargetCheck};
use crate::backoff::Backoff;
use crate::cli::google_client;
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::meet::auth::Scopes;
use crate::meet::error::Reason;
use crate::meet::request::GoogleApi;
use crate::meet::settings::{Credentials, GoogleSettings, IdentitySettings};
use crate::meet::{
    Answer, Client, ConferenceFilter, PageRequest, PersonQuery, Priority, Read, ReadError, Reader as _, RetryPolicy,
    setup_steps,
};
use crate::model::UserName;
use crate::watch::{TargetSelector, TargetSettings};

/// A request that failed for a transient reason is retried once, if the retry starts within this time.
const RETRY_WITHIN: Duration = Duration::from_secs(10);

/// The smallest share of the quota that a check spends.
const LEAST_SHARE: f64 = 0.05;

/// A page of one item, which is enough to see whether a list is empty.
const ONE: PageRequest<'static> = PageRequest { size: Some(1), token: None };

const ONLY_PARTICIPANT: &str = "Google lists ended conferences only to the organizer: a conference that starts and ends between \
     two polls, or while the daemon is down, is not reported. To have it reported, use an identity that organizes this meeting";
const MAYBE_ORGANIZER: &str = "no conference of the last 30 days shows whether this identity is the organizer; to others Google \
     does not list ended conferences, and one that starts and ends between two polls, or while the daemon is down, is not reported";
const NO_CONFERENCES: &str = "this identity organized no conference in the last 30 days";
const HAS_ENDED: &str = "this conference has ended: it produces no more events";

const ORGANIZES_NOTHING: &str =
    "a service account organizes no meetings: set the identity's `subject` to the user for whom it acts";
const ORGANIZES_NOTHING_HERE: &str = "set the identity's `subject` to a user who organizes this meeting or takes part in it: a \
     service account by itself does neither";

/// Checks every identity and every target of the configuration, and returns the results in its order.
///
/// # Errors
/// Where no client can be built on this machine.
pub(super) async fn check(config: &Config) -> anyhow::Result<(Vec<IdentityCheck>, Vec<TargetCheck>)> {
    let client = client(config)?;
    let gate = Arc::new(Semaphore::new(CONCURRENCY));
    let mut checks = JoinSet::new();
    for (place, settings) in config.identities.iter().enumerate() {
        let targets = config.targets.iter().enumerate().filter(|(_, target)| target.identity == settings.name);
        let targets: Vec<(usize, TargetSettings)> = targets.map(|(at, target)| (at, target.clone())).collect();
        let source = config.subject_places.get(&settings.name).map(ToString::to_string);
        let (gate, checker) =
            (Arc::clone(&gate), IdentityChecker { client: client.clone(), settings: settings.clone(), source });
        checks.spawn(async move {
            // The semaphore is never closed.
            let _permit = gate.acquire().await;
            (place, checker.check(targets).await)
        });
    }
    let (mut identities, mut targets) = (BTreeMap::new(), BTreeMap::new());
    let progress = Progress::of("identities checked", config.identities.len() as u64);
    while let Some(joined) = checks.join_next().await {
        progress.step();
        let (place, (identity, seen)) = joined?;
        identities.insert(place, identity);
        targets.extend(seen);
    }
    Ok((identities.into_values().collect(), targets.into_values().collect()))
}

/// Builds a client that gives up sooner than the daemon's, and spends only the part of the quota that the daemon leaves.
fn client(config: &Config) -> anyhow::Result<Client> {
    let mut google: GoogleSettings = config.google.clone();
    google.quota.spend = share(google.quota.spend);
    let second = Duration::from_secs(1);
    let retry = RetryPolicy::new(Backoff::new(second, 2.0, second, 0.5)?, 2, RETRY_WITHIN);
    google_client::build(&google, &config.identities, retry)
}

/// Returns the share of the quota that a daemon with this share leaves, but at least [`LEAST_SHARE`].
fn share(spent: f64) -> f64 {
    (1.0 - spent).max(LEAST_SHARE)
}

/// Checks one identity and its targets.
struct IdentityChecker {
    client: Client,
    settings: IdentitySettings,
    /// The file and the line of its subject, where it is one of several.
    source: Option<String>,
}

/// What an identity sees of a target.
struct Visibility {
    seen_as: SeenAs,
    live: Option<bool>,
    note: Option<&'static str>,
}

impl IdentityChecker {
    /// Returns the results of the identity and of its targets. Each target keeps its place in the configuration.
    async fn check(&self, targets: Vec<(usize, TargetSettings)>) -> (IdentityCheck, Vec<(usize, TargetCheck)>) {
        let (meet, mut organizes) = match self.token(Scopes::Meet).await {
            Err(error) => (self.api_check(GoogleApi::Meet, false, Some(error)), None),
            Ok(()) => match self.has_any(&ConferenceFilter::default()).await {
                Ok(any) => (self.api_check(GoogleApi::Meet, true, None), Some(any)),
                Err(error) => (self.api_check(GoogleApi::Meet, true, Some(error)), None),
            },
        };
        let mut apis = vec![meet];
        if self.settings.lookup_people {
            let (token, error) = match self.token(Scopes::People).await {
                Err(error) => (false, Some(error)),
                Ok(()) => (true, self.look_up_self().await.err()),
            };
            apis.push(self.api_check(GoogleApi::People, token, error));
        }
        let state = if apis.iter().any(|api| api.failure.is_some()) { CheckState::Failed } else { CheckState::Ok };
        let mut seen = Vec::with_capacity(targets.len());
        for (place, target) in targets {
            let check = match organizes {
                Some(organizes) => self.target(&target, organizes).await,
                None => unseen(&target, CheckState::Skipped, None),
            };
            if check.failure.as_ref().is_some_and(CheckFailure::is_unreachable) {
                // The other targets would fail in the same way, each after its timeout.
                organizes = None;
            }
            seen.push((place, check));
        }
        (IdentityCheck { name: self.settings.name.clone(), source: self.source.clone(), state, apis }, seen)
    }

    fn api_check(&self, api: GoogleApi, token: bool, error: Option<ReadError>) -> ApiCheck {
        let (name, scopes) = match api {
            GoogleApi::Meet => ("Meet", Scopes::Meet),
            GoogleApi::People => ("People", Scopes::People),
        };
        let failure = error.map(|error| self.failure(api, error));
        ApiCheck { api: name, scopes: scopes.as_slice(), token, failure }
    }

    fn failure(&self, api: GoogleApi, error: ReadError) -> CheckFailure {
        let steps = setup_steps::steps(&self.settings, api, &error);
        CheckFailure::new(error, steps)
    }

    async fn token(&self, scopes: Scopes) -> Result<(), ReadError> {
        self.client.obtain_token(&self.settings.name, scopes).await
    }

    /// Returns whether the identity organizes any conference that the filter matches.
    async fn has_any(&self, filter: &ConferenceFilter) -> Result<bool, ReadError> {
        let page = self.client.list_conferences_page(&self.settings.name, filter, ONE).await?;
        // Google may return an empty page that is not the last.
        Ok(!page.items.is_empty() || page.next_page_token.is_some())
    }

    /// Looks up the identity's own user with the People API. Discards the answer.
    async fn look_up_self(&self) -> Result<(), ReadError> {
        let Ok(me) = UserName::parse("users/me") else { return Ok(()) };
        let query = PersonQuery { fields: "names", ..PersonQuery::default() };
        match self.client.get_person(&self.settings.name, &me, query).await {
            // Not found is an answer, too: a service account is not a person.
            Err(error) if error.reason != Reason::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn target(&self, target: &TargetSettings, organizes: bool) -> TargetCheck {
        let visibility = match &target.selector {
            TargetSelector::Organizer if !organizes && self.is_without_subject() => Err(ReadError {
                reason: Reason::NoAccess,
                attempted: "list conference records",
                detail: "there is nothing that Google could list".to_owned(),
                remedy: ORGANIZES_NOTHING,
                retry_after: None,
                used_up: None,
                requests: 0,
            }),
            TargetSelector::Organizer => self.organized(organizes).await,
            TargetSelector::MeetingCode(code) => self.space(Read::SpaceByCode(code.clone())).await,
            TargetSelector::Space(name) => self.space(Read::Space(name.clone())).await,
            TargetSelector::Conference(name) => self.conference(Read::Conference(name.clone())).await,
        };
        match visibility {
            Ok(Visibility { seen_as, live, note }) => {
                TargetCheck { seen_as: Some(seen_as), live, note, ..unseen(target, CheckState::Ok, None) }
            }
            Err(mut error) => {
                if matches!(error.reason, Reason::NoAccess | Reason::NotFound)
                    && self.is_without_subject()
                    && target.selector != TargetSelector::Organizer
                {
                    error.remedy = ORGANIZES_NOTHING_HERE;
                }
                unseen(target, CheckState::Failed, Some(self.failure(GoogleApi::Meet, error)))
            }
        }
    }

    /// Returns whether the identity is a service account that acts for no user.
    fn is_without_subject(&self) -> bool {
        matches!(self.settings.credentials, Credentials::ServiceAccount { subject: None, .. })
    }

    async fn organized(&self, any: bool) -> Result<Visibility, ReadError> {
        let live = any && self.has_any(&ConferenceFilter { live: true, ..ConferenceFilter::default() }).await?;
        Ok(Visibility { seen_as: SeenAs::Organizer, live: Some(live), note: (!any).then_some(NO_CONFERENCES) })
    }

    /// Google shows the live conference to everybody who sees the space, and lists its conferences only to the organizer.
    async fn space(&self, read: Read) -> Result<Visibility, ReadError> {
        let reading = self.client.read(&self.settings.name, Priority::Record, &read).await?;
        let Answer::Space(space) = reading.answer else { return Ok(Visibility::unknown()) };
        let live = space.active_conference.is_some();
        let own = ConferenceFilter { space: Some(space.name), ..ConferenceFilter::default() };
        let (seen_as, note) = match (self.has_any(&own).await?, live) {
            (true, _) => (SeenAs::Organizer, None),
            (false, true) => (SeenAs::Participant, Some(ONLY_PARTICIPANT)),
            (false, false) => (SeenAs::Unknown, Some(MAYBE_ORGANIZER)),
        };
        Ok(Visibility { seen_as, live: Some(live), note })
    }

    async fn conference(&self, read: Read) -> Result<Visibility, ReadError> {
        let reading = self.client.read(&self.settings.name, Priority::Record, &read).await?;
        let Answer::Conference(record) = reading.answer else { return Ok(Visibility::unknown()) };
        let seen_as = match record.space {
            None => SeenAs::Unknown,
            Some(space) => {
                let own = ConferenceFilter { space: Some(space), ..ConferenceFilter::default() };
                // The conference exists, so Google lists at least this one to its organizer.
                if self.has_any(&own).await? { SeenAs::Organizer } else { SeenAs::Participant }
            }
        };
        let ended = record.end.is_some();
        Ok(Visibility { seen_as, live: Some(!ended), note: ended.then_some(HAS_ENDED) })
    }
}

impl Visibility {
    /// The result for an answer of another kind, which the client never returns.
    const fn unknown() -> Self {
        Self { seen_as: SeenAs::Unknown, live: None, note: None }
    }
}

/// Returns the result of a target that was not seen.
fn unseen(target: &TargetSettings, state: CheckState, failure: Option<CheckFailure>) -> TargetCheck {
    let (name, identity) = (target.name.clone(), target.identity.clone());
    TargetCheck { name, identity, state, seen_as: None, live: None, note: None, failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_leaves_the_daemon_its_share_of_the_quota() {
        for spent in [0.1, 0.5, 0.8, 0.95] {
            assert!(share(spent) + spent <= 1.0 + 1e-9, "{spent}");
        }
        assert!(share(1.0) > 0.0, "a few reads are possible beside a daemon that spends all");
    }
}
