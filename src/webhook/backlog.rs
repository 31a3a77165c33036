//! How much each endpoint is owed, asked of the store at each scrape.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGaugeVec, Opts};
use tokio::runtime::Handle;

use crate::store::{EndpointSummary, Store};

/// Collects the gauges of the outbox. Its series are those of the endpoints that the store knows, the ones that are no
/// longer configured included.
#[derive(Debug)]
pub struct Backlog {
    store: Store,
    runtime: Handle,
    descriptions: Vec<Desc>,
}

/// One scrape's gauges.
struct Gauges {
    pending: IntGaugeVec,
    oldest: GaugeVec,
    dead: IntGaugeVec,
    enabled: IntGaugeVec,
}

impl Gauges {
    fn new() -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| Opts::new(format!("meetwatch_webhook_{name}"), help);
        Ok(Self {
            pending: IntGaugeVec::new(opts("pending", "Deliveries that are owed."), &["endpoint"])?,
            oldest: GaugeVec::new(
                opts(
                    "oldest_pending_timestamp_seconds",
                    "When the oldest delivery that is owed was committed; absent when none is.",
                ),
                &["endpoint"],
            )?,
            dead: IntGaugeVec::new(opts("dead", "Deliveries that were given up and can be replayed."), &["endpoint"])?,
            enabled: IntGaugeVec::new(
                opts("endpoint_enabled", "Whether deliveries are sent (1) or the endpoint is off (0)."),
                &["endpoint"],
            )?,
        })
    }

    fn families(&self) -> Vec<MetricFamily> {
        [self.pending.collect(), self.oldest.collect(), self.dead.collect(), self.enabled.collect()].concat()
    }
}

impl Backlog {
    /// A collector for this store. It blocks while it asks, so gather on a thread that may block, with this runtime
    /// running elsewhere.
    ///
    /// # Errors
    /// If a name is no metric's name.
    pub fn new(store: Store, runtime: Handle) -> prometheus::Result<Self> {
        let gauges = Gauges::new()?;
        let collectors: [&dyn Collector; 4] = [&gauges.pending, &gauges.oldest, &gauges.dead, &gauges.enabled];
        let descriptions = collectors.iter().flat_map(|gauge| gauge.desc()).cloned().collect();
        Ok(Self { store, runtime, descriptions })
    }

    fn measure(&self, summaries: &[EndpointSummary]) -> prometheus::Result<Vec<MetricFamily>> {
        let gauges = Gauges::new()?;
        for summary in summaries {
            let endpoint = [summary.endpoint.as_str()];
            gauges.pending.with_label_values(&endpoint).set(whole(summary.pending));
            gauges.dead.with_label_values(&endpoint).set(whole(summary.dead));
            gauges.enabled.with_label_values(&endpoint).set(i64::from(summary.enabled));
            if let Some(oldest) = summary.oldest_pending {
                gauges.oldest.with_label_values(&endpoint).set(oldest.as_duration().as_secs_f64());
            }
        }
        Ok(gauges.families())
    }
}

impl Collector for Backlog {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A store that does not answer is told by its own metrics; here its series are absent for a while.
        let summaries = self.runtime.block_on(self.store.outbox_summary()).unwrap_or_default();
        self.measure(&summaries).unwrap_or_default()
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
