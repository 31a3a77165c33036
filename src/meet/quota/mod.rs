//! Never more than our share of Google's quota.
//!
//! A request passes its identity's `RateLimiter` and then its project's. A limiter is a token bucket with a waiting room in
//! front: `bucket` and `priority_queue` are pure and take the time as an argument, `limiter` puts timers around them.

mod bucket;
mod collector;
mod rate_limiter;
mod priority_queue;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::quota_scope::QuotaScope;
use super::reader::Priority;
use super::request::GoogleApi;
use super::settings::QuotaSettings;
use crate::clock::Clock;
use crate::model::IdentityName;
pub(super) use collector::{ShownLimiters, LabelledLimiters, QuotaCollector};
pub(super) use rate_limiter::{RateLimiter, AcquireError};

/// The longest that a read waits for its turn before it fails as `throttled`.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// All limiters of one Google project.
#[derive(Debug)]
pub(super) struct Quota {
    project: Arc<RateLimiter>,
    users: BTreeMap<IdentityName, UserLimiters>,
    /// Of identities that are no longer configured: should they come back, what they spent stays spent.
    retired: BTreeMap<IdentityName, UserLimiters>,
    clock: Clock,
    longest_wait: Duration,
}

/// The limiters of one identity. The People API counts by itself.
#[derive(Debug, Clone)]
pub(super) struct UserLimiters {
    meet: Arc<RateLimiter>,
    people: Arc<RateLimiter>,
}

fn limiter(settings: &QuotaSettings, limit: u32, clock: Clock) -> Arc<RateLimiter> {
    Arc::new(RateLimiter::new(f64::from(limit) * settings.spend, clock))
}

impl UserLimiters {
    fn new(settings: &QuotaSettings, clock: Clock) -> Self {
        Self {
            meet: limiter(settings, settings.reads_per_minute_user, clock),
            people: limiter(settings, settings.people_reads_per_minute_user, clock),
        }
    }
}

impl Quota {
    pub(super) fn new<'a>(
        settings: &QuotaSettings,
        identities: impl Iterator<Item = &'a IdentityName>,
        clock: Clock,
        longest_wait: Duration,
    ) -> Self {
        Self {
            project: limiter(settings, settings.reads_per_minute_project, clock),
            users: identities.map(|name| (name.clone(), UserLimiters::new(settings, clock))).collect(),
            retired: BTreeMap::new(),
            clock,
            longest_wait,
        }
    }

    /// The same quota under other settings, which hold at once for both. Each identity comes with the name under which its
    /// limiters are known, if they are.
    pub(super) fn renewed<'a>(
        &self,
        settings: &QuotaSettings,
        identities: impl Iterator<Item = (&'a IdentityName, &'a IdentityName)>,
    ) -> Self {
        let fresh = Self::new(settings, std::iter::empty(), self.clock, self.longest_wait);
        let limit = |limit: u32| f64::from(limit) * settings.spend;
        self.project.set_limit(limit(settings.reads_per_minute_project));
        let mut known: BTreeMap<_, _> = self.retired.iter().chain(&self.users).collect();
        let mut users = BTreeMap::new();
        for (name, known_as) in identities {
            let limiters = known.remove(known_as).cloned().unwrap_or_else(|| UserLimiters::new(settings, self.clock));
            limiters.meet.set_limit(limit(settings.reads_per_minute_user));
            limiters.people.set_limit(limit(settings.people_reads_per_minute_user));
            users.insert(name.clone(), limiters);
        }
        known.retain(|_, limiters| !limiters.meet.is_full() || !limiters.people.is_full());
        let retired = known.into_iter().map(|(name, limiters)| (name.clone(), limiters.clone())).collect();
        Self { project: Arc::clone(&self.project), users, retired, ..fresh }
    }

    /// Waits for leave to send one request.
    pub(super) async fn acquire(&self, identity: &IdentityName, api: GoogleApi, priority: Priority) -> Result<(), AcquireError> {
        let Some(user) = self.users.get(identity) else { return Ok(()) };
        let until = self.clock.mono().saturating_add(self.longest_wait);
        match api {
            GoogleApi::Meet => {
                user.meet.acquire(priority, until).await?;
                self.project.acquire(priority, until).await
            }
            GoogleApi::People => user.people.acquire(priority, until).await,
        }
    }

    /// Lets nobody through for `time`, because Google asked for it.
    pub(super) fn pause(&self, identity: &IdentityName, api: GoogleApi, scope: QuotaScope, time: Duration) {
        let user = self.users.get(identity);
        match (api, scope) {
            (GoogleApi::Meet, QuotaScope::Project) => self.project.pause(time),
            (GoogleApi::Meet, QuotaScope::User) => user.into_iter().for_each(|user| user.meet.pause(time)),
            (GoogleApi::People, _) => user.into_iter().for_each(|user| user.people.pause(time)),
        }
    }

    /// Reads a minute that an identity can do for ever, were it alone in the project.
    pub(super) fn user_budget(&self, identity: &IdentityName) -> f64 {
        self.users.get(identity).map_or(0.0, |user| user.meet.per_minute()).min(self.project_budget())
    }

    /// Reads a minute that all identities together can do for ever.
    pub(super) fn project_budget(&self) -> f64 {
        self.project.per_minute()
    }

    /// Every limiter with its labels `scope` and `identity`.
    pub(super) fn limiters(&self) -> LabelledLimiters {
        let users = self.users.iter().flat_map(|(name, user)| {
            [("user", name.to_string(), user.meet.clone()), ("people", name.to_string(), user.people.clone())]
        });
        std::iter::once(("project", String::new(), self.project.clone())).chain(users).collect()
    }
}
