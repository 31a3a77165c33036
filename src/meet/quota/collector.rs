//! The metrics of the rate limiters, computed at each scrape: a gauge that is set at the last request would go stale.

use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use super::rate_limiter::RateLimiter;

/// ShownLimiters with the values of the labels `scope` and `identity`.
pub(in crate::meet) type LabelledLimiters = Vec<(&'static str, String, Arc<RateLimiter>)>;

/// The limiters that are shown. Clones share them.
#[derive(Debug, Clone)]
pub(in crate::meet) struct ShownLimiters(Arc<RwLock<LabelledLimiters>>);

impl ShownLimiters {
    pub(in crate::meet) fn new(limiters: LabelledLimiters) -> Self {
        Self(Arc::new(RwLock::new(limiters)))
    }

    /// Shows these limiters from now on.
    pub(in crate::meet) fn set(&self, limiters: LabelledLimiters) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = limiters;
    }
}

/// `meetwatch_quota_limit` and `meetwatch_quota_available`.
pub(in crate::meet) struct QuotaCollector {
    limiters: ShownLimiters,
    limit: GaugeVec,
    available: GaugeVec,
}

impl QuotaCollector {
    /// A collector over these limiters.
    pub(in crate::meet) fn new(limiters: ShownLimiters) -> prometheus::Result<Self> {
        let (limit, available) = gauges()?;
        Ok(Self { limiters, limit, available })
    }
}

/// The gauges `meetwatch_quota_limit` and `meetwatch_quota_available`, without series.
fn gauges() -> prometheus::Result<(GaugeVec, GaugeVec)> {
    let gauge = |name: &str, help: &str| GaugeVec::new(Opts::new(name, help), &["scope", "identity"]);
    let limit = gauge("meetwatch_quota_limit", "Reads a minute that the configuration allows.")?;
    Ok((limit, gauge("meetwatch_quota_available", "Reads that may be sent now without waiting.")?))
}

impl Collector for QuotaCollector {
    fn desc(&self) -> Vec<&Desc> {
        [self.limit.desc(), self.available.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // New gauges for each scrape, so that removed identities have no series.
        let Ok((limit_shown, available_shown)) = gauges() else { return Vec::new() };
        let limiters = self.limiters.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (scope, identity, limiter) in &limiters {
            let (limit, available) = limiter.level();
            limit_shown.with_label_values(&[scope, identity.as_str()]).set(limit);
            available_shown.with_label_values(&[scope, identity.as_str()]).set(available.floor());
        }
        [limit_shown.collect(), available_shown.collect()].concat()
    }
}
