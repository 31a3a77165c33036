//! Never more than our share of Google's quota.
//!
//! A request passes its identity's `Gate` and then its project's. A gate is a token bucket with a waiting room in
//! front: [`bucket`] and [`turnstile`] are pure and take the time as an argument, `gate` puts timers around them.

pub mod bucket;
mod collector;
mod gate;
pub mod turnstile;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::reader::Priority;
use super::request::Api;
use super::settings::QuotaSettings;
use crate::clock::Clock;
use crate::model::IdentityName;
pub(super) use collector::{Gates, Labelled, QuotaCollector};
pub(super) use gate::{Gate, Refusal};

/// The longest that a read waits for its turn before it fails as `throttled`.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// All gates of one Google project.
#[derive(Debug)]
pub(super) struct Quota {
    project: Arc<Gate>,
    users: BTreeMap<IdentityName, UserGates>,
    /// Of identities that are no longer configured: should they come back, what they spent stays spent.
    retired: BTreeMap<IdentityName, UserGates>,
    clock: Clock,
    longest_wait: Duration,
}

/// The gates of one identity. The People API counts by itself.
#[derive(Debug, Clone)]
pub(super) struct UserGates {
    meet: Arc<Gate>,
    people: Arc<Gate>,
}

/// Whose quota Google says is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    User,
    Project,
}

fn gate(settings: &QuotaSettings, limit: u32, clock: Clock) -> Arc<Gate> {
    Arc::new(Gate::new(f64::from(limit) * settings.spend, clock))
}

impl UserGates {
    fn new(settings: &QuotaSettings, clock: Clock) -> Self {
        Self {
            meet: gate(settings, settings.reads_per_minute_user, clock),
            people: gate(settings, settings.people_reads_per_minute_user, clock),
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
            project: gate(settings, settings.reads_per_minute_project, clock),
            users: identities.map(|name| (name.clone(), UserGates::new(settings, clock))).collect(),
            retired: BTreeMap::new(),
            clock,
            longest_wait,
        }
    }

    /// The same quota under other settings, which hold at once for both. Each identity comes with the name under which its
    /// gates are known, if they are.
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
            let gates = known.remove(known_as).cloned().unwrap_or_else(|| UserGates::new(settings, self.clock));
            gates.meet.set_limit(limit(settings.reads_per_minute_user));
            gates.people.set_limit(limit(settings.people_reads_per_minute_user));
            users.insert(name.clone(), gates);
        }
        known.retain(|_, gates| !gates.meet.is_full() || !gates.people.is_full());
        let retired = known.into_iter().map(|(name, gates)| (name.clone(), gates.clone())).collect();
        Self { project: Arc::clone(&self.project), users, retired, ..fresh }
    }

    /// Waits for leave to send one request.
    pub(super) async fn pass(&self, identity: &IdentityName, api: Api, priority: Priority) -> Result<(), Refusal> {
        let Some(user) = self.users.get(identity) else { return Ok(()) };
        let until = self.clock.mono().saturating_add(self.longest_wait);
        match api {
            Api::Meet => {
                user.meet.pass(priority, until).await?;
                self.project.pass(priority, until).await
            }
            Api::People => user.people.pass(priority, until).await,
        }
    }

    /// Lets nobody through for `time`, because Google asked for it.
    pub(super) fn pause(&self, identity: &IdentityName, api: Api, scope: Scope, time: Duration) {
        let user = self.users.get(identity);
        match (api, scope) {
            (Api::Meet, Scope::Project) => self.project.pause(time),
            (Api::Meet, Scope::User) => user.into_iter().for_each(|user| user.meet.pause(time)),
            (Api::People, _) => user.into_iter().for_each(|user| user.people.pause(time)),
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

    /// Every gate with its labels `scope` and `identity`.
    pub(super) fn gates(&self) -> Labelled {
        let users = self.users.iter().flat_map(|(name, user)| {
            [("user", name.to_string(), user.meet.clone()), ("people", name.to_string(), user.people.clone())]
        });
        std::iter::once(("project", String::new(), self.project.clone())).chain(users).collect()
    }
}
