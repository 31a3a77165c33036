//! Asking Google and the receivers: what costs little and tells most.
//!
//! An identity is one token and one read for each API it needs; a target is at most two reads, and none where its identity
//! cannot read, or Google is out of reach. Each call has a timeout and is tried twice at most. What is spent is the share of
//! the quota that the configuration leaves to others, because a daemon may be spending the rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::report::{Access, Endpoint, Identity, Report, SeenAs, State, Target, Trouble};
use crate::backoff::{Backoff, random_seed};
use crate::clock::Clock;
use crate::config::Config;
use crate::pseudonym::PseudonymKey;
use crate::delivery::{self, EndpointSettings, Probe};
use crate::meet::auth::Scopes;
use crate::meet::error::Reason;
use crate::meet::request::GoogleApi as Api;
use crate::meet::settings::{Credentials, GoogleSettings, IdentitySettings};
use crate::meet::{
    Answer, Client, ClientParts, ConferenceFilter, PageRequest, PersonQuery, Priority, Read, ReadError, Reader as _,
    RetryPolicy, setup_steps,
};
use crate::model::{EndpointName, UserName};
use crate::serve::metrics::limit_reached;
use crate::status::StatusBoard;
use crate::watch::{TargetSelector, TargetSettings};

/// So many identities or endpoints are asked at once.
const AT_ONCE: usize = 16;

/// A call that failed of what may pass is tried once more, if that begins within this time.
const RETRY_WITHIN: Duration = Duration::from_secs(10);

/// The smallest share of the quota that a check spends.
const LEAST_SHARE: f64 = 0.05;

/// One thing is enough to tell that something is there.
const ONE: PageRequest<'static> = PageRequest { size: Some(1), token: None };

const ONLY_TAKES_PART: &str = "Google lists what has ended to the organizer alone: a conference that comes and goes while \
     nobody looks is not told. Name an identity that organizes this meeting to have that, too";
const MAYBE_ORGANIZER: &str = "no conference of the last 30 days tells whether this identity is the organizer; to anybody \
     else Google does not list what has ended, and a conference that comes and goes while nobody looks is not told";
const NOTHING_YET: &str = "this identity organized no conference in the last 30 days";
const HAS_ENDED: &str = "this conference has ended: nothing of it will be told";

const ORGANIZES_NOTHING: &str =
    "a service account organizes nothing: give the identity the `subject` for whom it is to act";
const ORGANIZES_NOTHING_HERE: &str = "give the identity the `subject` for whom it is to act, somebody who organizes this \
     meeting or takes part in it: a service account by itself does neither";

/// Asks for everything in the configuration. Without `test_endpoints`, the receivers hear nothing.
///
/// # Errors
/// Where this machine lacks what it takes to ask at all.
pub(super) async fn ask(config: &Config, test_endpoints: bool) -> anyhow::Result<Report> {
    let client = client(config)?;
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut asked = JoinSet::new();
    for (place, settings) in config.identities.iter().enumerate() {
        let targets = config.targets.iter().enumerate().filter(|(_, target)| target.identity == settings.name);
        let targets: Vec<(usize, TargetSettings)> = targets.map(|(at, target)| (at, target.clone())).collect();
        let (gate, asker) = (Arc::clone(&gate), Asker { client: client.clone(), settings: settings.clone() });
        asked.spawn(async move {
            // Never closed; and if it were, all would be asked at once.
            let _turn = gate.acquire().await;
            (place, asker.all(targets).await)
        });
    }
    let (mut identities, mut targets) = (BTreeMap::new(), BTreeMap::new());
    while let Some(joined) = asked.join_next().await {
        let (place, (identity, seen)) = joined?;
        identities.insert(place, identity);
        targets.extend(seen);
    }
    let endpoints = endpoints(&config.webhooks, test_endpoints).await?;
    Ok(Report::new(identities.into_values().collect(), targets.into_values().collect(), endpoints))
}

fn client(config: &Config) -> anyhow::Result<Client> {
    let registry = Registry::new();
    let mut google: GoogleSettings = config.google.clone();
    google.quota.spend = share(google.quota.spend);
    let second = Duration::from_secs(1);
    let retry = RetryPolicy::new(Backoff::new(second, 2.0, second, 0.5)?, 2, RETRY_WITHIN);
    Ok(Client::new(&ClientParts {
        google: &google,
        identities: &config.identities,
        clock: Clock::new(),
        seed: random_seed(),
        registry: &registry,
        limits: &limit_reached(&registry)?,
        status: StatusBoard::default(),
        retry,
    })?)
}

/// The share of the quota to spend beside a daemon that spends this one.
fn share(spent: f64) -> f64 {
    (1.0 - spent).max(LEAST_SHARE)
}

/// Asks as one identity.
struct Asker {
    client: Client,
    settings: IdentitySettings,
}

/// What a look at a target brought.
struct Look {
    seen_as: SeenAs,
    live: Option<bool>,
    note: Option<&'static str>,
}

impl Asker {
    /// The identity, and its targets with their places.
    async fn all(&self, targets: Vec<(usize, TargetSettings)>) -> (Identity, Vec<(usize, Target)>) {
        let (meet, mut organizes) = match self.token(Scopes::Meet).await {
            Err(error) => (self.access(Api::Meet, false, Some(error)), None),
            Ok(()) => match self.lists_any(&ConferenceFilter::default()).await {
                Ok(any) => (self.access(Api::Meet, true, None), Some(any)),
                Err(error) => (self.access(Api::Meet, true, Some(error)), None),
            },
        };
        let mut apis = vec![meet];
        if self.settings.lookup_people {
            let (token, trouble) = match self.token(Scopes::People).await {
                Err(error) => (false, Some(error)),
                Ok(()) => (true, self.looks_itself_up().await.err()),
            };
            apis.push(self.access(Api::People, token, trouble));
        }
        let state = if apis.iter().any(|access| access.trouble.is_some()) { State::Failed } else { State::Ok };
        let mut seen = Vec::with_capacity(targets.len());
        for (place, target) in targets {
            let seen_so = match organizes {
                Some(organizes) => self.target(&target, organizes).await,
                None => unseen(&target, State::Skipped, None),
            };
            if seen_so.trouble.as_ref().is_some_and(Trouble::is_of_the_way) {
                // The others would take as long to fail of the same.
                organizes = None;
            }
            seen.push((place, seen_so));
        }
        (Identity { name: self.settings.name.clone(), state, apis }, seen)
    }

    fn access(&self, api: Api, token: bool, trouble: Option<ReadError>) -> Access {
        let (name, scopes) = match api {
            Api::Meet => ("Meet", Scopes::Meet),
            Api::People => ("People", Scopes::People),
        };
        let trouble = trouble.map(|error| self.trouble(api, error));
        Access { api: name, scopes: scopes.as_slice(), token, trouble }
    }

    fn trouble(&self, api: Api, error: ReadError) -> Trouble {
        let steps = setup_steps::steps(&self.settings, api, &error);
        Trouble::new(error, steps)
    }

    async fn token(&self, scopes: Scopes) -> Result<(), ReadError> {
        self.client.obtain_token(&self.settings.name, scopes).await
    }

    /// Whether there is any such conference that the identity organizes.
    async fn lists_any(&self, filter: &ConferenceFilter) -> Result<bool, ReadError> {
        let page = self.client.list_conferences_page(&self.settings.name, filter, ONE).await?;
        // Google may give an empty page and go on with the next.
        Ok(!page.items.is_empty() || page.next_page_token.is_some())
    }

    /// Whether the People API answers. Who it is that asks is not kept.
    async fn looks_itself_up(&self) -> Result<(), ReadError> {
        let Ok(me) = UserName::parse("users/me") else { return Ok(()) };
        let query = PersonQuery { fields: "names", ..PersonQuery::default() };
        match self.client.get_person(&self.settings.name, &me, query).await {
            // It answered, only of nobody: a service account is no person.
            Err(error) if error.reason != Reason::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn target(&self, target: &TargetSettings, organizes: bool) -> Target {
        let look = match &target.selector {
            TargetSelector::Organizer if !organizes && self.is_nobody() => Err(ReadError {
                reason: Reason::NoAccess,
                attempted: "list conference records",
                detail: "nothing can ever be listed".to_owned(),
                remedy: ORGANIZES_NOTHING,
                retry_after: None,
            }),
            TargetSelector::Organizer => self.organized(organizes).await,
            TargetSelector::MeetingCode(code) => self.space(Read::SpaceByCode(code.clone())).await,
            TargetSelector::Space(name) => self.space(Read::Space(name.clone())).await,
            TargetSelector::Conference(name) => self.conference(Read::Conference(name.clone())).await,
        };
        match look {
            Ok(Look { seen_as, live, note }) => {
                Target { seen_as: Some(seen_as), live, note, ..unseen(target, State::Ok, None) }
            }
            Err(mut error) => {
                if matches!(error.reason, Reason::NoAccess | Reason::NotFound)
                    && self.is_nobody()
                    && target.selector != TargetSelector::Organizer
                {
                    error.remedy = ORGANIZES_NOTHING_HERE;
                }
                unseen(target, State::Failed, Some(self.trouble(Api::Meet, error)))
            }
        }
    }

    /// Whether it is a service account that acts for nobody.
    fn is_nobody(&self) -> bool {
        matches!(self.settings.credentials, Credentials::ServiceAccount { subject: None, .. })
    }

    async fn organized(&self, any: bool) -> Result<Look, ReadError> {
        let live = any && self.lists_any(&ConferenceFilter { live: true, ..ConferenceFilter::default() }).await?;
        Ok(Look { seen_as: SeenAs::Organizer, live: Some(live), note: (!any).then_some(NOTHING_YET) })
    }

    /// Whoever sees the space is told what is live; only its organizer is listed its conferences.
    async fn space(&self, read: Read) -> Result<Look, ReadError> {
        let reading = self.client.read(&self.settings.name, Priority::Record, &read).await?;
        let Answer::Space(space) = reading.answer else { return Ok(Look::nothing()) };
        let live = space.active_conference.is_some();
        let own = ConferenceFilter { space: Some(space.name), ..ConferenceFilter::default() };
        let (seen_as, note) = match (self.lists_any(&own).await?, live) {
            (true, _) => (SeenAs::Organizer, None),
            (false, true) => (SeenAs::Participant, Some(ONLY_TAKES_PART)),
            (false, false) => (SeenAs::Unknown, Some(MAYBE_ORGANIZER)),
        };
        Ok(Look { seen_as, live: Some(live), note })
    }

    async fn conference(&self, read: Read) -> Result<Look, ReadError> {
        let reading = self.client.read(&self.settings.name, Priority::Record, &read).await?;
        let Answer::Conference(record) = reading.answer else { return Ok(Look::nothing()) };
        let seen_as = match record.space {
            None => SeenAs::Unknown,
            Some(space) => {
                let own = ConferenceFilter { space: Some(space), ..ConferenceFilter::default() };
                // The record is there, so its organizer is listed one at least.
                if self.lists_any(&own).await? { SeenAs::Organizer } else { SeenAs::Participant }
            }
        };
        let ended = record.end.is_some();
        Ok(Look { seen_as, live: Some(!ended), note: ended.then_some(HAS_ENDED) })
    }
}

impl Look {
    /// For an answer to another question, which the client does not give.
    const fn nothing() -> Self {
        Self { seen_as: SeenAs::Unknown, live: None, note: None }
    }
}

fn unseen(target: &TargetSettings, state: State, trouble: Option<Trouble>) -> Target {
    let (name, identity) = (target.name.clone(), target.identity.clone());
    Target { name, identity, state, seen_as: None, live: None, note: None, trouble }
}

/// Each endpoint, tried or not.
async fn endpoints(settings: &[EndpointSettings], test: bool) -> anyhow::Result<Vec<Endpoint>> {
    let untried = |name: &EndpointName| Endpoint {
        name: name.clone(),
        state: State::Skipped,
        status: None,
        seconds: None,
        reason: None,
        remedy: None,
    };
    let mut all: Vec<Endpoint> = settings.iter().map(|endpoint| untried(&endpoint.name)).collect();
    if !test {
        return Ok(all);
    }
    let mut settings = settings.to_vec();
    for endpoint in &mut settings {
        // A test event names nobody, so any key hides as well as the installation's own.
        endpoint.pseudonyms.get_or_insert_with(|| PseudonymKey::new(vec![0; 32]));
    }
    let probe = Arc::new(Probe::new(&settings, Clock::new())?);
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut tests = JoinSet::new();
    for (place, endpoint) in settings.into_iter().enumerate() {
        let (gate, probe) = (Arc::clone(&gate), Arc::clone(&probe));
        tests.spawn(async move {
            let _turn = gate.acquire().await;
            (place, probe.test(&endpoint.name).await)
        });
    }
    while let Some(joined) = tests.join_next().await {
        let (place, probed) = joined?;
        if let (Some(endpoint), Some(probed)) = (all.get_mut(place), probed) {
            let reason = probed.reply.outcome.reason();
            endpoint.state = if reason.is_none() { State::Ok } else { State::Failed };
            (endpoint.status, endpoint.seconds) = (probed.reply.status, Some(probed.took.as_secs_f64()));
            endpoint.reason = reason.map(delivery::FailureReason::as_str);
            endpoint.remedy = reason.map(remedy);
        }
    }
    Ok(all)
}

const fn remedy(reason: delivery::FailureReason) -> &'static str {
    use delivery::FailureReason as R;
    match reason {
        R::Unauthorized => "see whether the receiver has the same secret, and whether it asks for `headers`",
        R::Rejected | R::UnexpectedStatus | R::Redirect => {
            "see whether `url` is the receiver's own address, to its path, and `format` the one that it takes"
        }
        R::Gone => "the receiver wants nothing any more: name another `url`, or take the webhook away",
        R::Throttled | R::Unavailable | R::ServerError => "see the receiver's own log: it is reached, and fails",
        R::Timeout | R::Connect | R::Interrupted => {
            "see whether the receiver runs and this machine can reach it (`url`, firewall, `proxy`)"
        }
        R::Dns => "see whether the host in `url` is right and this machine can look it up",
        R::Tls => "see which certificate the receiver shows and who signed it (`certificate_authority`)",
        R::RefusedAddress => "the receiver is at a private address: let `allow_private` be true, or name another `url`",
        R::BodyTooLarge => "see whether `url` is the receiver's own address: what answers sends far too much",
        R::Unsendable | R::Window | R::MaxHold => "see whether `format` and its template can write a `webhook.test`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_leaves_a_daemon_its_share_of_the_quota() {
        for spent in [0.1, 0.5, 0.8, 0.95] {
            assert!(share(spent) + spent <= 1.0 + 1e-9, "{spent}");
        }
        assert!(share(1.0) > 0.0, "one that spends all leaves room for a few reads");
    }
}
