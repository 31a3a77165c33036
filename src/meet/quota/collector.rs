//! The level of every bucket, read when somebody asks: a gauge set at the last request would be stale ever after.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use super::gate::Gate;

/// `meetwatch_quota_limit` and `meetwatch_quota_available`.
pub(in crate::meet) struct QuotaCollector {
    gates: Vec<(&'static str, String, Arc<Gate>)>,
    limit: GaugeVec,
    available: GaugeVec,
}

impl QuotaCollector {
    /// A collector over gates with their labels `scope` and `identity`.
    pub(in crate::meet) fn new(gates: Vec<(&'static str, String, Arc<Gate>)>) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| GaugeVec::new(Opts::new(name, help), &["scope", "identity"]);
        let limit = gauge("meetwatch_quota_limit", "Reads a minute that may be spent.")?;
        let available = gauge("meetwatch_quota_available", "Reads that may be sent at once.")?;
        Ok(Self { gates, limit, available })
    }
}

impl Collector for QuotaCollector {
    fn desc(&self) -> Vec<&Desc> {
        [self.limit.desc(), self.available.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (scope, identity, gate) in &self.gates {
            let (limit, available) = gate.level();
            self.limit.with_label_values(&[scope, identity.as_str()]).set(limit);
            self.available.with_label_values(&[scope, identity.as_str()]).set(available.floor());
        }
        [self.limit.collect(), self.available.collect()].concat()
    }
}
