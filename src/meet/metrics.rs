//! The metrics of reading Google. No label names a person: the operator chooses the names of identities.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::error::Reason;
use super::request::Method;
use super::unreadable::UnreadableField;
use crate::model::IdentityName;

/// With more identities than this, a failure's series is created at the first failure. Otherwise a scrape would consist
/// mostly of zeros: 117 series for each identity.
const MOST_IDENTITIES_AT_ZERO: usize = 20;

/// The limits of this module. The values of the label `limit` of `meetwatch_limit_reached_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// A response body was larger than its cap.
    Body,
    /// A list had too many pages.
    Pages,
    /// A read waited too long for quota.
    QuotaWait,
    /// Too many reads waited for quota.
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

/// See the module. Clones share their counters.
#[derive(Debug, Clone)]
pub(super) struct MeetMetrics {
    requests: [IntCounter; Method::ALL.len()],
    durations: [Histogram; Method::ALL.len()],
    failures: IntCounterVec,
    unreadable: IntCounterVec,
    identity_up: IntGaugeVec,
    limits: [IntCounter; Limit::ALL.len()],
}

impl MeetMetrics {
    /// Registers the metrics of this module, with every known label value at zero. `limits` is shared with other modules
    /// and has the label `limit`.
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
                "Requests to Google that failed, including those not sent because there was no token or no quota, by method, identity and reason.",
            ),
            &["method", "identity", "reason"],
        )?;
        let unreadable = IntCounterVec::new(
            Opts::new(
                "meetwatch_api_items_unreadable_total",
                "Fields in Google's answers that could not be read, by method and field. The rest of the answer is used.",
            ),
            &["method", "field"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "meetwatch_api_request_duration_seconds",
                "Duration of requests to Google, from sending the request to the last byte of the response, by method.",
            )
            .buckets(vec![0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6]),
            &["method"],
        )?;
        let identity_up = IntGaugeVec::new(
            Opts::new(
                "meetwatch_identity_up",
                "1 if the last read showed that the identity's credentials work; 0 if they do not, or before the first read.",
            ),
            &["identity"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        registry.register(Box::new(unreadable.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(identity_up.clone()))?;
        let metrics = Self {
            requests: Method::ALL.map(|method| requests.with_label_values(&[method.as_str()])),
            durations: Method::ALL.map(|method| durations.with_label_values(&[method.as_str()])),
            failures,
            unreadable,
            identity_up,
            limits: Limit::ALL.map(|limit| limits.with_label_values(&[limit.as_str()])),
        };
        metrics.create_series(identities);
        for (method, field) in Method::ALL
            .into_iter()
            .flat_map(|method| UnreadableField::of(method).iter().map(move |field| (method, *field)))
        {
            metrics.unreadable(method, field, 0);
        }
        Ok(metrics)
    }

    /// Creates the series of these identities, at zero if they are new.
    pub(super) fn create_series<'a>(&self, identities: impl Iterator<Item = &'a IdentityName> + Clone) {
        if identities.clone().count() <= MOST_IDENTITIES_AT_ZERO {
            identities.for_each(|identity| self.zero_failures(identity));
        }
    }

    /// Removes the series of an identity that is no longer configured. No error if a series does not exist.
    pub(super) fn remove_series(&self, identity: &IdentityName) {
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

    /// Counts a request that was answered, or failed, after `seconds`.
    pub(super) fn requested(&self, method: Method, seconds: f64) {
        self.requests[method as usize].inc();
        self.durations[method as usize].observe(seconds);
    }

    /// Counts a failed request.
    pub(super) fn failed(&self, method: Method, identity: &IdentityName, reason: Reason) {
        self.failures.with_label_values(&[method.as_str(), identity.as_str(), reason.as_str()]).inc();
    }

    /// Counts the items of an answer in which a field could not be read.
    pub(super) fn unreadable(&self, method: Method, field: UnreadableField, items: u32) {
        self.unreadable.with_label_values(&[method.as_str(), field.as_str()]).inc_by(items.into());
    }

    /// Counts that a limit was reached.
    pub(super) fn limit(&self, limit: Limit) {
        self.limits[limit as usize].inc();
    }

    /// The gauge of one identity, created at zero.
    pub(super) fn identity_up(&self, identity: &IdentityName) -> IntGauge {
        self.identity_up.with_label_values(&[identity.as_str()])
    }
}
