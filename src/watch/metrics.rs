//! The metrics of watching.

use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

use super::stretch::Stretch;
use crate::clock::elapsed;
use crate::meet::Reason;
use crate::model::{Event, EventType, IdentityName, Provenance};

/// The metrics of watching.
#[derive(Debug, Clone)]
pub struct WatchMetrics {
    pub polls: IntCounter,
    poll_failures: IntCounterVec,
    pub poll_duration: Histogram,
    events: IntCounterVec,
    detection_delay: HistogramVec,
    gap_seconds: prometheus::CounterVec,
    pub disagreements: IntCounter,
    pub clock_offset: Gauge,
    stretch: GaugeVec,
    pub limit_reached: IntCounterVec,
}

impl WatchMetrics {
    /// Creates the metrics and registers them. `limit_reached` is shared by all modules.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn new(registry: &Registry, limit_reached: IntCounterVec) -> prometheus::Result<Self> {
        let delays = vec![0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 180.0];
        let metrics = Self {
            polls: IntCounter::new("meetwatch_polls_total", "Reads of conferences that were begun.")?,
            poll_failures: IntCounterVec::new(
                Opts::new("meetwatch_poll_failures_total", "Reads of conferences that failed, by reason."),
                &["reason"],
            )?,
            poll_duration: Histogram::with_opts(HistogramOpts::new(
                "meetwatch_poll_duration_seconds",
                "How long reads of conferences took, waiting for quota and retries included.",
            ))?,
            events: IntCounterVec::new(
                Opts::new("meetwatch_events_total", "Events that were committed, by type and provenance."),
                &["event", "provenance"],
            )?,
            detection_delay: HistogramVec::new(
                HistogramOpts::new(
                    "meetwatch_detection_delay_seconds",
                    "How long after it happened an observed event was learnt, by type.",
                )
                .buckets(delays),
                &["event"],
            )?,
            gap_seconds: prometheus::CounterVec::new(
                Opts::new(
                    "meetwatch_watch_gap_seconds_total",
                    "Time in which a conference or target was not observed, by reason.",
                ),
                &["reason"],
            )?,
            disagreements: IntCounter::new(
                "meetwatch_snapshot_disagreements_total",
                "How often Google contradicted what it had shown before.",
            )?,
            clock_offset: Gauge::new(
                "meetwatch_google_clock_offset_seconds",
                "Google's clock minus ours, to about a second.",
            )?,
            stretch: GaugeVec::new(
                Opts::new(
                    "meetwatch_poll_stretch_ratio",
                    "By how much a kind of read is spread out to stay within the quota; 1 when it is not.",
                ),
                &["identity", "read"],
            )?,
            limit_reached,
        };
        metrics.register(registry)?;
        for reason in Reason::ALL {
            metrics.poll_failures.with_label_values(&[reason.as_str()]);
        }
        for event in EventType::ALL {
            for provenance in Provenance::ALL {
                metrics.events.with_label_values(&[event.as_str(), provenance.as_str()]);
            }
        }
        Ok(metrics)
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.polls.clone()))?;
        registry.register(Box::new(self.poll_failures.clone()))?;
        registry.register(Box::new(self.poll_duration.clone()))?;
        registry.register(Box::new(self.events.clone()))?;
        registry.register(Box::new(self.detection_delay.clone()))?;
        registry.register(Box::new(self.gap_seconds.clone()))?;
        registry.register(Box::new(self.disagreements.clone()))?;
        registry.register(Box::new(self.clock_offset.clone()))?;
        registry.register(Box::new(self.stretch.clone()))
    }

    /// Counts a read of a conference that failed.
    pub fn poll_failed(&self, reason: Reason) {
        self.poll_failures.with_label_values(&[reason.as_str()]).inc();
    }

    /// Counts an event that was committed, and its delay or the length of its gap.
    pub fn event_committed(&self, event: &Event) {
        self.events.with_label_values(&[event.event.as_str(), event.provenance.as_str()]).inc();
        if let Some(gap) = &event.gap {
            self.gap_seconds.with_label_values(&[&gap.reason]).inc_by(elapsed(gap.from, gap.to).as_secs_f64());
        } else if event.provenance == Provenance::Observed {
            let delay = elapsed(event.time, event.observed_at).as_secs_f64();
            self.detection_delay.with_label_values(&[event.event.as_str()]).observe(delay);
        }
    }

    /// Removes the series of an identity that is no longer configured. It is no error if a series does not exist.
    pub fn forget_stretch(&self, identity: &IdentityName) {
        for read in ["listing", "backfill", "sweep"] {
            let _ = self.stretch.remove_label_values(&[identity.as_str(), read]);
        }
    }

    /// Sets by how much the reads of an identity are spread out.
    pub fn stretched(&self, identity: &IdentityName, stretch: Stretch) {
        for (read, ratio) in [("listing", stretch.listing), ("backfill", stretch.backfill), ("sweep", stretch.sweep)] {
            self.stretch.with_label_values(&[identity.as_str(), read]).set(ratio);
        }
    }
}
