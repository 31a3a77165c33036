//! The metrics of the store's writer.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

use super::error::WriteError;

/// The metrics of the store's writer.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    commit_duration: Histogram,
    commit_failures: IntCounterVec,
    size: IntGauge,
}

impl StoreMetrics {
    /// Creates the metrics and registers them in `registry`.
    ///
    /// # Errors
    /// If the registry already has metrics of these names.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            commit_duration: Histogram::with_opts(
                HistogramOpts::new(
                    "meetwatch_store_commit_duration_seconds",
                    "How long a transaction of the store took, including all operations grouped into it.",
                )
                .buckets(vec![0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0]),
            )?,
            commit_failures: IntCounterVec::new(
                Opts::new("meetwatch_store_commit_failures_total", "Operations that could not be written, by reason."),
                &["reason"],
            )?,
            size: IntGauge::new("meetwatch_store_size_bytes", "The size of the store's files.")?,
        };
        for reason in WriteError::REASONS {
            metrics.commit_failures.with_label_values(&[reason]);
        }
        registry.register(Box::new(metrics.commit_duration.clone()))?;
        registry.register(Box::new(metrics.commit_failures.clone()))?;
        registry.register(Box::new(metrics.size.clone()))?;
        Ok(metrics)
    }

    pub(super) fn observe_group(&self, took: Duration) {
        self.commit_duration.observe(took.as_secs_f64());
    }

    pub(super) fn count_failure(&self, error: &WriteError) {
        self.commit_failures.with_label_values(&[error.reason()]).inc();
    }

    pub(super) fn set_size(&self, bytes: u64) {
        self.size.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}
