//! Pure: which reads are spread out, and how far, when the plan needs more than the quota.

/// The reads a minute that an identity's conferences and targets need with the configured periods.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Demand {
    pub listing: f64,
    pub backfill: f64,
    pub sweep: f64,
    /// The records of conferences.
    pub record: f64,
    /// The reads of targets.
    pub discovery: f64,
    /// What changes need, as measured: the sessions of who came and left, and the reads at the beginning and the end.
    pub changes: f64,
}

impl Demand {
    /// Returns all of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.listing + self.backfill + self.sweep + self.record + self.discovery + self.changes
    }
}

/// The factor by which each kind of read is spread out; 1 for the configured period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    pub listing: f64,
    pub backfill: f64,
    pub sweep: f64,
    /// Whether the quota is short even with the longest backfill and sweep: then reads are given up that buy least.
    pub is_tight: bool,
}

/// The sweep is stretched from one minute to ten at most.
const MAX_SWEEP: f64 = 10.0;
/// The backfill is stretched from one minute to five at most.
const MAX_BACKFILL: f64 = 5.0;
/// The share of the budget that is planned. The rest is for retries and for what comes unexpectedly.
const PLANNED: f64 = 0.95;
/// When quota is short, a target needs this share of the reads that it makes otherwise: one read shows both the live
/// conferences and those that ended.
const DISCOVERY_IN_ONE_READ: f64 = 0.7;
/// At least this share of the budget goes to listings and discovery when changes need more than there is.
const LEAST_FOR_LISTINGS: f64 = 0.1;

impl Stretch {
    /// Nothing is stretched.
    pub const NONE: Self = Self { listing: 1.0, backfill: 1.0, sweep: 1.0, is_tight: false };

    /// Fits a demand into a budget of reads a minute: the sweep is stretched first, then the backfill. If that is not enough,
    /// the quota is tight: sweep, backfill and records are given up, and listings and discovery are stretched evenly.
    #[must_use]
    pub fn fit(demand: Demand, budget: f64) -> Self {
        let planned = budget * PLANNED;
        let left = planned - demand.listing - demand.record - demand.discovery - demand.changes;
        if left >= demand.backfill / MAX_BACKFILL + demand.sweep / MAX_SWEEP {
            let backfill = factor(demand.backfill, left - demand.sweep / MAX_SWEEP, MAX_BACKFILL);
            let sweep = factor(demand.sweep, left - demand.backfill / backfill, MAX_SWEEP);
            return Self { listing: 1.0, backfill, sweep, is_tight: false };
        }
        let wanted = demand.listing + demand.discovery * DISCOVERY_IN_ONE_READ;
        let left = (planned - demand.changes).max(planned * LEAST_FOR_LISTINGS);
        Self { listing: factor(wanted, left, f64::INFINITY), backfill: MAX_BACKFILL, sweep: MAX_SWEEP, is_tight: true }
    }
}

/// Returns by how much a demand has to be stretched to fit into what is left.
fn factor(demand: f64, left: f64, most: f64) -> f64 {
    if demand <= left || demand <= 0.0 {
        return 1.0;
    }
    if left <= 0.0 { most } else { (demand / left).clamp(1.0, most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMAND: Demand =
        Demand { listing: 60.0, backfill: 10.0, sweep: 120.0, record: 10.0, discovery: 10.0, changes: 10.0 };

    #[test]
    fn what_fits_is_not_stretched() {
        assert_eq!(Stretch::fit(DEMAND, 480.0), Stretch::NONE);
    }

    #[test]
    fn the_sweep_stretches_first_then_the_backfill_then_the_listings() {
        let sweep = Stretch::fit(DEMAND, 200.0);
        assert!(sweep.sweep > 1.0 && sweep.backfill == 1.0 && !sweep.is_tight, "{sweep:?}");
        let backfill = Stretch::fit(DEMAND, 115.0);
        assert!(backfill.sweep == MAX_SWEEP && backfill.backfill > 1.0 && !backfill.is_tight, "{backfill:?}");
        let tight = Stretch::fit(DEMAND, 100.0);
        assert!(tight.is_tight && tight.listing == 1.0, "without sweep, backfill and records it fits: {tight:?}");
        let listing = Stretch::fit(DEMAND, 50.0);
        assert!(listing.is_tight && listing.listing > 1.5, "{listing:?}");
    }

    #[test]
    fn the_plan_stays_within_the_budget() {
        for budget in 20..500 {
            let budget = f64::from(budget);
            let stretch = Stretch::fit(DEMAND, budget);
            let planned = if stretch.is_tight {
                (DEMAND.listing + DEMAND.discovery * DISCOVERY_IN_ONE_READ) / stretch.listing + DEMAND.changes
            } else {
                DEMAND.total() - DEMAND.backfill - DEMAND.sweep
                    + DEMAND.backfill / stretch.backfill
                    + DEMAND.sweep / stretch.sweep
            };
            assert!(planned <= budget * PLANNED + 1e-6, "{planned} reads planned of {budget}");
        }
    }

    #[test]
    fn when_changes_need_everything_a_share_is_left_for_listings() {
        let stretch = Stretch::fit(Demand { changes: 1000.0, ..DEMAND }, 100.0);
        assert!(stretch.listing.is_finite() && stretch.listing < 10.0, "{stretch:?}");
    }
}
