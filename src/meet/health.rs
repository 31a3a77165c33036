//! Whether an identity can read. Each change is reported once: in the log, in the gauge and on the status board.
//!
//! Only failures of the identity itself count: not that it may not see one conference, and not Google's own outages. For
//! the People API a change goes into the log only, because an identity without its scopes can still watch.

use std::sync::{Mutex, PoisonError};

use prometheus::IntGauge;

use super::error::Reason;
use super::failure::Failure;
use super::request::GoogleApi;
use crate::model::IdentityName;
use crate::status::{IdentityStatus, StatusBoard};

/// What is known about an identity at one API: nothing yet, that it can read, or why it cannot.
type ApiHealth = Option<Result<(), Reason>>;

/// See the module.
#[derive(Debug)]
pub(super) struct IdentityHealth {
    name: IdentityName,
    states: [Mutex<ApiHealth>; 2],
    up: IntGauge,
    status: StatusBoard,
}

impl IdentityHealth {
    /// Nothing is known yet. Adds the identity to the status board.
    pub(super) fn new(name: IdentityName, up: IntGauge, status: StatusBoard) -> Self {
        status.write().identities.entry(name.clone()).or_default();
        Self { name, states: [Mutex::new(None), Mutex::new(None)], up, status }
    }

    /// Notes that a read succeeded.
    pub(super) fn record_success(&self, api: GoogleApi) {
        let mut state = self.state(api);
        if *state == Some(Ok(())) {
            return;
        }
        if matches!(*state, Some(Err(_))) {
            tracing::info!(identity = %self.name, api = name(api), "reads of this identity succeed again");
        }
        *state = Some(Ok(()));
        self.publish(api, IdentityStatus { up: Some(true), ..IdentityStatus::default() });
    }

    /// Notes that a read failed. Ignores failures that are not the identity's own.
    pub(super) fn record_failure(&self, api: GoogleApi, failure: &Failure) {
        if !concerns_identity(failure.reason) {
            return;
        }
        let mut state = self.state(api);
        if *state == Some(Err(failure.reason)) {
            return;
        }
        *state = Some(Err(failure.reason));
        let Failure { reason, detail, remedy, .. } = failure;
        tracing::error!(identity = %self.name, api = name(api), %reason, %detail, remedy, "reads of this identity fail; see remedy");
        let status = IdentityStatus { up: Some(false), reason: Some(reason.as_str()), remedy: Some(remedy) };
        self.publish(api, status);
    }

    fn publish(&self, api: GoogleApi, status: IdentityStatus) {
        if api == GoogleApi::Meet {
            self.up.set(i64::from(status.up == Some(true)));
            // After a reload the identity may be gone from the board while a last read of it still comes in.
            if let Some(shown) = self.status.write().identities.get_mut(&self.name) {
                *shown = status;
            }
        }
    }

    fn state(&self, api: GoogleApi) -> std::sync::MutexGuard<'_, ApiHealth> {
        self.states[api as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a reason lies with the identity, and not with one conference or with Google.
const fn concerns_identity(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ApiDisabled | Reason::ScopeMissing | Reason::Delegation | Reason::Credentials | Reason::Unauthenticated
    )
}

const fn name(api: GoogleApi) -> &'static str {
    match api {
        GoogleApi::Meet => "meet",
        GoogleApi::People => "people",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> (IdentityHealth, StatusBoard, IntGauge) {
        let (board, up) = (StatusBoard::default(), IntGauge::new("up", "up").unwrap());
        (IdentityHealth::new(IdentityName::parse("a").unwrap(), up.clone(), board.clone()), board, up)
    }

    fn failure(reason: Reason) -> Failure {
        Failure::new(reason, "", "do this")
    }

    #[test]
    fn failures_of_one_conference_do_not_mark_the_identity_as_down() {
        let (health, board, up) = health();
        let status = || board.read().identities["a"].clone();
        assert_eq!(status().up, None);
        for reason in Reason::ALL.into_iter().filter(|reason| !concerns_identity(*reason)) {
            health.record_failure(GoogleApi::Meet, &failure(reason));
            assert_eq!(status().up, None, "{reason}");
        }
        health.record_success(GoogleApi::Meet);
        assert_eq!((status().up, up.get()), (Some(true), 1));
        health.record_failure(GoogleApi::Meet, &failure(Reason::Delegation));
        assert_eq!((status().up, up.get()), (Some(false), 0));
        assert_eq!((status().reason, status().remedy), (Some("delegation"), Some("do this")));
        health.record_failure(GoogleApi::Meet, &failure(Reason::NotFound));
        assert_eq!(status().up, Some(false));
        health.record_success(GoogleApi::Meet);
        assert_eq!(status(), IdentityStatus { up: Some(true), reason: None, remedy: None });
    }

    #[test]
    fn a_missing_people_scope_leaves_the_identity_up() {
        let (health, board, up) = health();
        health.record_success(GoogleApi::Meet);
        health.record_failure(GoogleApi::People, &failure(Reason::ScopeMissing));
        assert_eq!((board.read().identities["a"].up, up.get()), (Some(true), 1));
    }
}
