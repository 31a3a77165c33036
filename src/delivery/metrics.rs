//! Metrics of attempts and deliveries. The backlog is a metric of the store.

use std::time::Duration;

use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::reason::FailureReason;
use super::report::PaceReport;
use crate::model::EndpointName;

/// The metrics of the webhooks.
#[derive(Debug, Clone)]
pub struct WebhookMetrics {
    deliveries: IntCounterVec,
    failures: IntCounterVec,
    given_up: IntCounterVec,
    duration: HistogramVec,
    pace: GaugeVec,
    at_once: IntGaugeVec,
}

impl WebhookMetrics {
    /// Registers the metrics, at zero for these endpoints.
    ///
    /// # Errors
    /// If the registry has metrics of these names already.
    pub fn register<'a>(
        registry: &Registry,
        endpoints: impl IntoIterator<Item = &'a EndpointName>,
    ) -> prometheus::Result<Self> {
        let metrics = Self {
            deliveries: IntCounterVec::new(
                Opts::new(
                    "meetwatch_webhook_deliveries_total",
                    "Deliveries that were accepted; each event of a batch counts.",
                ),
                &["endpoint"],
            )?,
            failures: IntCounterVec::new(
                Opts::new("meetwatch_webhook_attempt_failures_total", "Failed attempts, by reason."),
                &["endpoint", "reason"],
            )?,
            given_up: IntCounterVec::new(
                Opts::new(
                    "meetwatch_webhook_given_up_total",
                    "Deliveries that were given up, by reason; each event of a batch counts.",
                ),
                &["endpoint", "reason"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new(
                    "meetwatch_webhook_attempt_duration_seconds",
                    "Duration of attempts, to the last byte of the answer.",
                )
                .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
                &["endpoint"],
            )?,
            pace: GaugeVec::new(
                Opts::new(
                    "meetwatch_webhook_pace_per_second",
                    "The rate to which deliveries slowed down because the endpoint was busy; 0 if it takes all of them.",
                ),
                &["endpoint"],
            )?,
            at_once: IntGaugeVec::new(
                Opts::new(
                    "meetwatch_webhook_pace_concurrency",
                    "How many deliveries may be sent to the endpoint at once now; 0 before the first attempt.",
                ),
                &["endpoint"],
            )?,
        };
        endpoints.into_iter().for_each(|endpoint| metrics.add(endpoint));
        registry.register(Box::new(metrics.deliveries.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.given_up.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.pace.clone()))?;
        registry.register(Box::new(metrics.at_once.clone()))?;
        Ok(metrics)
    }

    /// Creates the series of an endpoint, at zero unless they exist.
    pub(super) fn add(&self, endpoint: &EndpointName) {
        let endpoint = endpoint.as_str();
        self.deliveries.with_label_values(&[endpoint]);
        self.duration.with_label_values(&[endpoint]);
        self.pace.with_label_values(&[endpoint]);
        self.at_once.with_label_values(&[endpoint]);
        for reason in FailureReason::ALL.into_iter().filter(|reason| reason.is_of_an_attempt()) {
            self.failures.with_label_values(&[endpoint, reason.as_str()]);
        }
        for reason in FailureReason::ALL.into_iter().filter(|reason| reason.gives_up()) {
            self.given_up.with_label_values(&[endpoint, reason.as_str()]);
        }
    }

    /// Removes the series of an endpoint. No error if a series does not exist.
    pub(super) fn remove(&self, endpoint: &EndpointName) {
        let endpoint = endpoint.as_str();
        let _ = self.deliveries.remove_label_values(&[endpoint]);
        let _ = self.duration.remove_label_values(&[endpoint]);
        let _ = self.pace.remove_label_values(&[endpoint]);
        let _ = self.at_once.remove_label_values(&[endpoint]);
        for reason in FailureReason::ALL {
            let _ = self.failures.remove_label_values(&[endpoint, reason.as_str()]);
            let _ = self.given_up.remove_label_values(&[endpoint, reason.as_str()]);
        }
    }

    pub(super) fn attempted(
        &self,
        endpoint: &EndpointName,
        took: Duration,
        events: u64,
        failure: Option<FailureReason>,
    ) {
        let endpoint = endpoint.as_str();
        self.duration.with_label_values(&[endpoint]).observe(took.as_secs_f64());
        match failure {
            None => self.deliveries.with_label_values(&[endpoint]).inc_by(events),
            Some(reason) => self.failures.with_label_values(&[endpoint, reason.as_str()]).inc(),
        }
    }

    pub(super) fn paced(&self, endpoint: &EndpointName, pace: PaceReport) {
        let endpoint = endpoint.as_str();
        self.pace.with_label_values(&[endpoint]).set(pace.per_second.unwrap_or(0.0));
        self.at_once.with_label_values(&[endpoint]).set(i64::from(pace.at_once));
    }

    pub(super) fn gave_up(&self, endpoint: &EndpointName, reason: &str, deliveries: u64) {
        self.given_up.with_label_values(&[endpoint.as_str(), reason]).inc_by(deliveries);
    }
}
