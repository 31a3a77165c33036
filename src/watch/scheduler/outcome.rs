//! Logs what is new in the outcome of a read: an outage and its end, or a failure of this read alone.

use super::outage::{LOG_AGAIN_AFTER, OutageOver, OutageScope, ReadOutageNotice};
use super::{Scheduler, WorkKey};
use crate::clock::Mono;
use crate::meet::{ReadError, Reason};
use crate::model::IdentityName;
use crate::watch::conference::WatchedConference;

impl Scheduler {
    /// Logs what is new in the outcome of a read: an outage or its end, or a failure of this read alone.
    pub(super) fn log_outcome(&mut self, key: &WorkKey, error: Option<&ReadError>, now: Mono) {
        use Reason::{BadRequest, NoAccess, NotFound};
        let Some(identity) = self.identity_of(key) else { return };
        // With these, too, Google answers and works.
        if error.is_none_or(|error| matches!(error.reason, BadRequest | NoAccess | NotFound)) {
            for (scope, OutageOver { failed, duration }) in self.outages.answered(&identity, now) {
                let seconds = duration.as_secs();
                match scope {
                    OutageScope::Google => tracing::info!(failed, seconds, "the outage is over: Google answers again"),
                    OutageScope::Identity(identity) => {
                        tracing::info!(%identity, failed, seconds, "reads of this identity are within the quota again");
                    }
                }
            }
        }
        let Some(error) = error else { return };
        match OutageScope::of(error.reason, &identity) {
            Some(scope) => self.log_outage(&scope, key, error, now),
            None => self.log_failure(key, error, now),
        }
    }

    fn log_outage(&mut self, scope: &OutageScope, key: &WorkKey, error: &ReadError, now: Mono) {
        let (reason, remedy) = (error.reason, error.remedy);
        let (failed, duration) = match self.outages.failed(scope, key, reason, now) {
            ReadOutageNotice::Lasts { failed, duration } => (failed, duration),
            ReadOutageNotice::Alone => {
                tracing::warn!(of = %key, %reason, %error, remedy, "a read failed again, and it is no outage; it is tried again");
                return;
            }
            ReadOutageNotice::Known => {
                tracing::debug!(of = %key, %reason, %error, remedy, "a read failed; it is tried again");
                return;
            }
        };
        let seconds = duration.as_secs();
        match scope {
            OutageScope::Google => tracing::warn!(
                of = %key, %reason, %error, remedy, failed, seconds,
                "an outage: reads of Google fail and are tried again; each one that fails is logged at debug until Google answers"
            ),
            OutageScope::Identity(identity) => tracing::warn!(
                of = %key, %identity, %reason, %error, remedy, failed, seconds,
                "an outage: the quota of this identity is used up; its reads are tried again; each one that fails is logged at debug until one succeeds"
            ),
        }
    }

    /// Logs a failure of one read if it is new or of another kind, and then every ten minutes while it lasts. What concerns
    /// an identity as a whole is logged by the client.
    fn log_failure(&mut self, key: &WorkKey, error: &ReadError, now: Mono) {
        use Reason::{ApiDisabled, Credentials, Delegation, ScopeMissing, Unauthenticated};
        if matches!(error.reason, ApiDisabled | Credentials | Delegation | ScopeMissing | Unauthenticated) {
            return;
        }
        let logged = self.logged_failures.get(key);
        if logged.is_none_or(|(reason, at)| *reason != error.reason || now.saturating_sub(*at) >= LOG_AGAIN_AFTER) {
            self.logged_failures.insert(key.clone(), (error.reason, now));
            tracing::warn!(of = %key, reason = %error.reason, %error, remedy = error.remedy, "a read failed; it is tried again");
        }
    }

    /// Returns the identity that the reads of a key use.
    fn identity_of(&self, key: &WorkKey) -> Option<IdentityName> {
        match key {
            WorkKey::Target(name) => self.targets.get(name).map(|target| target.settings.identity.clone()),
            WorkKey::Conference(name) => self.conferences.get(name).and_then(WatchedConference::identity).cloned(),
            WorkKey::Lookup(identity) => Some(identity.clone()),
        }
    }
}
