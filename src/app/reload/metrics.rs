//! The metrics of reloads.

use prometheus::{Gauge, IntGauge, Registry};

use crate::clock::Clock;

/// `meetwatch_config_last_reload_successful` and `meetwatch_config_last_reload_success_timestamp_seconds`.
#[derive(Debug, Clone)]
pub(in crate::app) struct ReloadMetrics {
    successful: IntGauge,
    timestamp: Gauge,
    clock: Clock,
}

impl ReloadMetrics {
    /// Registers the metrics. The start of the daemon counts as a successful reload.
    pub(in crate::app) fn register(registry: &Registry, clock: Clock) -> prometheus::Result<Self> {
        let successful = IntGauge::new(
            "meetwatch_config_last_reload_successful",
            "Whether the last reload of the configuration succeeded (1) or not (0).",
        )?;
        let timestamp = Gauge::new(
            "meetwatch_config_last_reload_success_timestamp_seconds",
            "Unix time of the last successful start or reload of the configuration.",
        )?;
        registry.register(Box::new(successful.clone()))?;
        registry.register(Box::new(timestamp.clone()))?;
        let metrics = Self { successful, timestamp, clock };
        metrics.record(true);
        Ok(metrics)
    }

    /// Records the end of a reload.
    pub(super) fn record(&self, succeeded: bool) {
        self.successful.set(i64::from(succeeded));
        if succeeded {
            self.timestamp.set(self.clock.now().wall.as_duration().as_secs_f64());
        }
    }
}
