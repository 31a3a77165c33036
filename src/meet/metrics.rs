//! What reading Google looks like in numbers. No label is a person: identities are named by the operator.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::error::Reason;
use super::request::Method;
use crate::model::IdentityName;

/// With more identities than this, the series of a failure appear with the failure: 117 at zero for each of them would
/// be all that a scrape is made of.
const MOST_IDENTITIES_AT_ZERO: usize = 20;

/// The limits of this room, as labels of `meetwatch_limit_reached_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// A body over its cap.
    Body,
    /// A list of too many pages.
    Pages,
    /// A read that waited too long for its turn.
    QuotaWait,
    /// Too many reads waiting.
    QuotaWaiting,
}

impl Limit {
    const ALL: [Self; 4] = [Self::Body, Self::Pages, Self::QuotaWait, Self::QuotaWaiting];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "google_body",
            Self::Pages => "google_pages",
            Self::QuotaWait => "google_quota_wait",
            Self::QuotaWaiting => "google_quota_waiting",
        }
    }
}

/// See the module. Clones count together.
#[derive(Debug, Clone)]
pub(super) struct MeetMetrics {
    requests: [IntCounter; Method::ALL.len()],
    durations: [Histogram; Method::ALL.len()],
    failures: IntCounterVec,
    identity_up: IntGaugeVec,
    limits: [IntCounter; Limit::ALL.len()],
}

impl MeetMetrics {
    /// Registers the metrics of this room, with what is known of their labels at zero. `limits` is shared with other
    /// rooms and has the label `limit`.
    pub(super) fn new<'a>(
        registry: &Registry,
        limits: &IntCounterVec,
        identities: impl Iterator<Item = &'a IdentityName> + Clone,
    ) -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("meetwatch_api_requests_total", "Requests sent to Google, by method."),
            &["method"],
        )?;
        let failures = IntCounterVec::new(
            Opts::new(
                "meetwatch_api_request_failures_total",
                "Requests to Google that failed, also for want of a token or of quota, by method, identity and reason.",
            ),
            &["method", "identity", "reason"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "meetwatch_api_request_duration_seconds",
                "How long requests to Google took, from sending to the last byte of the answer, by method.",
            )
            .buckets(vec![0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6]),
            &["method"],
        )?;
        let identity_up = IntGaugeVec::new(
            Opts::new("meetwatch_identity_up", "Whether an identity's credentials work (1) or not, or not yet (0)."),
            &["identity"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(identity_up.clone()))?;
        let metrics = Self {
            requests: Method::ALL.map(|method| requests.with_label_values(&[method.as_str()])),
            durations: Method::ALL.map(|method| durations.with_label_values(&[method.as_str()])),
            failures,
            identity_up,
            limits: Limit::ALL.map(|limit| limits.with_label_values(&[limit.as_str()])),
        };
        metrics.expect(identities);
        Ok(metrics)
    }

    /// Shows what is known of the labels of these identities, at zero if it is new.
    pub(super) fn expect<'a>(&self, identities: impl Iterator<Item = &'a IdentityName> + Clone) {
        if identities.clone().count() <= MOST_IDENTITIES_AT_ZERO {
            identities.for_each(|identity| self.zero_failures(identity));
        }
    }

    /// Shows nothing of an identity that is no longer configured. A series that was not there is no matter.
    pub(super) fn forget(&self, identity: &IdentityName) {
        let _ = self.identity_up.remove_label_values(&[identity.as_str()]);
        for (method, reason) in Method::ALL.into_iter().flat_map(|method| Reason::ALL.map(|reason| (method, reason))) {
            let _ = self.failures.remove_label_values(&[method.as_str(), identity.as_str(), reason.as_str()]);
        }
    }

    fn zero_failures(&self, identity: &IdentityName) {
        for (method, reason) in Method::ALL.into_iter().flat_map(|method| Reason::ALL.map(|reason| (method, reason))) {
            self.failures.with_label_values(&[method.as_str(), identity.as_str(), reason.as_str()]);
        }
    }

    /// A request was answered, or not, after so many seconds.
    pub(super) fn requested(&self, method: Method, seconds: f64) {
        self.requests[method as usize].inc();
        self.durations[method as usize].observe(seconds);
    }

    /// A request failed.
    pub(super) fn failed(&self, method: Method, identity: &IdentityName, reason: Reason) {
        self.failures.with_label_values(&[method.as_str(), identity.as_str(), reason.as_str()]).inc();
    }

    /// A limit of this room was reached.
    pub(super) fn limit(&self, limit: Limit) {
        self.limits[limit as usize].inc();
    }

    /// The gauge of one identity, at zero.
    pub(super) fn identity_up(&self, identity: &IdentityName) -> IntGauge {
        self.identity_up.with_label_values(&[identity.as_str()])
    }
}
