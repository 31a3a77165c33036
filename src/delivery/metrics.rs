//! What deliveries say of themselves. How much is owed is the store's to say.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::outcome::Reason;
use crate::model::EndpointName;

/// The webhooks' metrics.
#[derive(Debug, Clone)]
pub struct WebhookMetrics {
    deliveries: IntCounterVec,
    failures: IntCounterVec,
    given_up: IntCounterVec,
    duration: HistogramVec,
}

impl WebhookMetrics {
    /// Makes the metrics, at zero for these endpoints, and puts them into `registry`.
    ///
    /// # Errors
    /// Where the registry has metrics of these names already.
    pub fn register<'a>(
        registry: &Registry,
        endpoints: impl IntoIterator<Item = &'a EndpointName>,
    ) -> prometheus::Result<Self> {
        let metrics = Self {
            deliveries: IntCounterVec::new(
                Opts::new(
                    "meetwatch_webhook_deliveries_total",
                    "Deliveries that arrived; of a batch, each of its events.",
                ),
                &["endpoint"],
            )?,
            failures: IntCounterVec::new(
                Opts::new("meetwatch_webhook_attempt_failures_total", "Attempts that failed, by reason."),
                &["endpoint", "reason"],
            )?,
            given_up: IntCounterVec::new(
                Opts::new(
                    "meetwatch_webhook_given_up_total",
                    "Deliveries that were given up, by reason; of a batch, each of its events.",
                ),
                &["endpoint", "reason"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new(
                    "meetwatch_webhook_attempt_duration_seconds",
                    "How long attempts took, to the last byte of the answer.",
                )
                .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
                &["endpoint"],
            )?,
        };
        endpoints.into_iter().for_each(|endpoint| metrics.expect(endpoint));
        registry.register(Box::new(metrics.deliveries.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.given_up.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        Ok(metrics)
    }

    /// Shows an endpoint from now on, at zero if it is new.
    pub(super) fn expect(&self, endpoint: &EndpointName) {
        let endpoint = endpoint.as_str();
        self.deliveries.with_label_values(&[endpoint]);
        self.duration.with_label_values(&[endpoint]);
        for reason in Reason::ALL.into_iter().filter(|reason| reason.is_of_an_attempt()) {
            self.failures.with_label_values(&[endpoint, reason.as_str()]);
        }
        for reason in Reason::ALL.into_iter().filter(|reason| reason.gives_up()) {
            self.given_up.with_label_values(&[endpoint, reason.as_str()]);
        }
    }

    /// Shows an endpoint no longer. A series that was not there is no matter.
    pub(super) fn forget(&self, endpoint: &EndpointName) {
        let endpoint = endpoint.as_str();
        let _ = self.deliveries.remove_label_values(&[endpoint]);
        let _ = self.duration.remove_label_values(&[endpoint]);
        for reason in Reason::ALL {
            let _ = self.failures.remove_label_values(&[endpoint, reason.as_str()]);
            let _ = self.given_up.remove_label_values(&[endpoint, reason.as_str()]);
        }
    }

    pub(super) fn attempted(&self, endpoint: &EndpointName, took: Duration, events: u64, failure: Option<Reason>) {
        let endpoint = endpoint.as_str();
        self.duration.with_label_values(&[endpoint]).observe(took.as_secs_f64());
        match failure {
            None => self.deliveries.with_label_values(&[endpoint]).inc_by(events),
            Some(reason) => self.failures.with_label_values(&[endpoint, reason.as_str()]).inc(),
        }
    }

    pub(super) fn gave_up(&self, endpoint: &EndpointName, reason: Reason, deliveries: u64) {
        self.given_up.with_label_values(&[endpoint.as_str(), reason.as_str()]).inc_by(deliveries);
    }
}
