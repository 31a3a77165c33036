//! The metrics of the outbox, read from the store at each scrape so that they are never behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts};

use super::endpoint::{EndpointSummary, StoredBreaker};
use super::readers::Readers;
use crate::model::EndpointName;

/// The endpoints that are always exported. Clones share the list.
#[derive(Debug, Clone, Default)]
pub struct ShownEndpoints(Arc<RwLock<Vec<EndpointName>>>);

impl ShownEndpoints {
    /// Replaces the list.
    pub fn set(&self, endpoints: Vec<EndpointName>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = endpoints;
    }
}

/// The metrics of the outbox. Register it once; a scrape costs two small statements, at any backlog.
#[derive(Debug)]
pub struct OutboxCollector {
    readers: Readers,
    endpoints: ShownEndpoints,
    gauges: OutboxGauges,
}

#[derive(Debug, Clone)]
struct OutboxGauges {
    pending: IntGaugeVec,
    oldest: GaugeVec,
    dead: IntGaugeVec,
    enabled: IntGaugeVec,
    in_trouble: IntGaugeVec,
    expired: IntGaugeVec,
    settled: IntCounterVec,
}

impl OutboxGauges {
    fn new() -> prometheus::Result<Self> {
        let labels = &["endpoint"];
        let gauge = |name, help| IntGaugeVec::new(Opts::new(name, help), labels);
        Ok(Self {
            pending: gauge("meetwatch_webhook_pending", "Deliveries that are not finished.")?,
            oldest: GaugeVec::new(
                Opts::new(
                    "meetwatch_webhook_oldest_pending_timestamp_seconds",
                    "When the oldest unfinished delivery was committed; absent while there is none.",
                ),
                labels,
            )?,
            dead: gauge("meetwatch_webhook_dead", "Deliveries that were given up (dead letters).")?,
            enabled: gauge("meetwatch_webhook_endpoint_enabled", "Whether the endpoint is on (1) or off (0).")?,
            in_trouble: gauge(
                "meetwatch_webhook_endpoint_in_trouble",
                "Whether the endpoint's circuit breaker is open, so that it is only probed (1).",
            )?,
            expired: gauge(
                "meetwatch_webhook_expired",
                "Deliveries that were too old to be sent, or that an operator skipped.",
            )?,
            settled: IntCounterVec::new(
                Opts::new(
                    "meetwatch_webhook_settled_total",
                    "Deliveries that were not sent because a leave was undone while it was held back.",
                ),
                labels,
            )?,
        })
    }

    fn set(&self, summary: &EndpointSummary) {
        let endpoint = &[summary.endpoint.as_str()];
        let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
        self.pending.with_label_values(endpoint).set(count(summary.pending));
        self.dead.with_label_values(endpoint).set(count(summary.dead));
        self.enabled.with_label_values(endpoint).set(i64::from(summary.enabled));
        let in_trouble = matches!(summary.breaker, StoredBreaker::Open { .. });
        self.in_trouble.with_label_values(endpoint).set(i64::from(in_trouble));
        self.expired.with_label_values(endpoint).set(count(summary.expired));
        self.settled.with_label_values(endpoint).inc_by(summary.settled);
        if let Some(oldest) = summary.oldest_pending {
            self.oldest.with_label_values(endpoint).set(oldest.as_duration().as_secs_f64());
        }
    }

    fn collectors(&self) -> [&dyn Collector; 7] {
        [&self.pending, &self.oldest, &self.dead, &self.enabled, &self.in_trouble, &self.expired, &self.settled]
    }
}

impl OutboxCollector {
    /// Returns a collector that always exports `endpoints`, and others while they have pending deliveries.
    pub(super) fn new(readers: Readers, endpoints: Vec<EndpointName>) -> prometheus::Result<Self> {
        let shown_endpoints = ShownEndpoints::default();
        shown_endpoints.set(endpoints);
        Ok(Self { readers, endpoints: shown_endpoints, gauges: OutboxGauges::new()? })
    }

    /// Returns the list of endpoints that are always exported.
    #[must_use]
    pub fn endpoints(&self) -> ShownEndpoints {
        self.endpoints.clone()
    }

    fn read(&self) -> Option<Vec<EndpointSummary>> {
        let mut all: BTreeMap<_, _> = self
            .endpoints
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|endpoint| (endpoint.clone(), EndpointSummary::unused(endpoint.clone())))
            .collect();
        // If the store cannot be read, no series is better than a stale one.
        for summary in self.readers.outbox_summary_now().ok()? {
            if summary.pending > 0 || all.contains_key(&summary.endpoint) {
                all.insert(summary.endpoint.clone(), summary);
            }
        }
        Some(all.into_values().collect())
    }
}

impl Collector for OutboxCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // New gauges for each scrape: concurrent scrapes do not interfere, and no series of a removed endpoint remains.
        let Ok(gauges) = OutboxGauges::new() else { return Vec::new() };
        for summary in self.read().unwrap_or_default() {
            gauges.set(&summary);
        }
        let families = gauges.collectors().into_iter().flat_map(Collector::collect);
        families.filter(|family| !family.get_metric().is_empty()).collect()
    }
}
