//! Keeps requests within the configured share of Google's quota.
//!
//! A request waits for the `RateLimiter` of its identity and then for that of the project. A rate limiter is a token bucket
//! with a priority queue of waiting requests: `priority_queue` decides, and `rate_limiter` adds
//! the timers. The schedule pays for reads before it issues them (see `watch::budget`), so a request seldom waits here: only
//! what a read takes beyond what was expected, and the reads of commands.

mod collector;
mod priority_queue;
mod rate_limiter;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::quota_scope::QuotaScope;
use super::reader::Priority;
use super::request::GoogleApi;
use super::settings::QuotaSettings;
use crate::clock::Clock;
use crate::model::IdentityName;
pub(super) use collector::{LabelledLimiters, QuotaCollector, ShownLimiters};
pub(super) use rate_limiter::{AcquireError, RateLimiter};

/// How long a read waits for quota before it fails as `throttled`.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The rate limiters of one Google project.
#[derive(Debug)]
pub(super) struct Quota {
    project: Arc<RateLimiter>,
    users: BTreeMap<IdentityName, UserLimiters>,
    /// The limiters of identities that are no longer configured: if an identity comes back, what it spent stays spent.
    retired: BTreeMap<IdentityName, UserLimiters>,
    clock: Clock,
    longest_wait: Duration,
}

/// The rate limiters of one identity. The People API has a quota of its own.
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

    /// Returns the same quota with other settings, which take effect at once for both. Each identity comes with the name
    /// under which its limiters are kept.
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

    /// Waits until one request may be sent.
    ///
    /// # Errors
    /// If the wait would be too long, or too many requests wait already.
    pub(super) async fn acquire(
        &self,
        identity: &IdentityName,
        api: GoogleApi,
        priority: Priority,
    ) -> Result<(), AcquireError> {
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

    /// Admits no request for `time`, because Google asked for it.
    pub(super) fn pause(&self, identity: &IdentityName, api: GoogleApi, scope: QuotaScope, time: Duration) {
        let user = self.users.get(identity);
        match (api, scope) {
            (GoogleApi::Meet, QuotaScope::Project) => self.project.pause(time),
            (GoogleApi::Meet, QuotaScope::User) => user.into_iter().for_each(|user| user.meet.pause(time)),
            (GoogleApi::People, _) => user.into_iter().for_each(|user| user.people.pause(time)),
        }
    }

    /// The reads a minute that an identity may make at most.
    pub(super) fn user_limit(&self, identity: &IdentityName) -> f64 {
        self.users.get(identity).map_or(0.0, |user| user.meet.level().0)
    }

    /// The reads a minute that all identities together may make at most.
    pub(super) fn project_limit(&self) -> f64 {
        self.project.level().0
    }

    /// Every rate limiter with the values of its labels `scope` and `identity`.
    pub(super) fn limiters(&self) -> LabelledLimiters {
        let users = self.users.iter().flat_map(|(name, user)| {
            [("user", name.to_string(), user.meet.clone()), ("people", name.to_string(), user.people.clone())]
        });
        std::iter::once(("project", String::new(), self.project.clone())).chain(users).collect()
    }
}
