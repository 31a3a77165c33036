//! Pure: which reads are spread out, and how far, when the plan needs more than the quota.

/// The reads a minute that an identity's conferences and targets need with the configured periods.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Demand {
    pub listing: f64,
    pub backfill: f64,
    pub sweep: f64,
    /// Discovery and records. They are never stretched, because starts and ends depend on them.
    pub fixed: f64,
}

/// The factor by which each kind of read is spread out; 1 for the configured period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    pub listing: f64,
    pub backfill: f64,
    pub sweep: f64,
}

/// The sweep is stretched from one minute to ten at most.
const MAX_SWEEP: f64 = 10.0;
/// The backfill is stretched from one minute to five at most.
const MAX_BACKFILL: f64 = 5.0;
/// The share of the budget that is planned. The rest is for rechecks, closing reads and retries.
const PLANNED: f64 = 0.8;

impl Stretch {
    /// Nothing is stretched.
    pub const NONE: Self = Self { listing: 1.0, backfill: 1.0, sweep: 1.0 };

    /// Fits a demand into a budget of reads a minute: the sweep is stretched first, then the backfill, then all listings
    /// evenly.
    #[must_use]
    pub fn fit(demand: Demand, budget: f64) -> Self {
        let mut left = (budget * PLANNED - demand.fixed - demand.listing).max(0.0);
        let backfill = factor(demand.backfill, left - demand.sweep / MAX_SWEEP, MAX_BACKFILL);
        left -= demand.backfill / backfill;
        let sweep = factor(demand.sweep, left, MAX_SWEEP);
        let rest = budget * PLANNED - demand.fixed - demand.backfill / backfill - demand.sweep / sweep;
        let listing = factor(demand.listing, rest.max(budget * PLANNED / 10.0), f64::INFINITY);
        Self { listing, backfill, sweep }
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

    const DEMAND: Demand = Demand { listing: 60.0, backfill: 10.0, sweep: 120.0, fixed: 20.0 };

    fn planned(stretch: Stretch) -> f64 {
        DEMAND.fixed
            + DEMAND.listing / stretch.listing
            + DEMAND.backfill / stretch.backfill
            + DEMAND.sweep / stretch.sweep
    }

    #[test]
    fn what_fits_is_not_stretched() {
        assert_eq!(Stretch::fit(DEMAND, 480.0), Stretch::NONE);
    }

    #[test]
    fn the_sweep_stretches_first_then_the_backfill_then_the_listings() {
        let sweep = Stretch::fit(DEMAND, 200.0);
        assert!(sweep.sweep > 1.0 && sweep.backfill == 1.0 && sweep.listing == 1.0, "{sweep:?}");
        let backfill = Stretch::fit(DEMAND, 122.0);
        assert!(backfill.sweep == MAX_SWEEP && backfill.backfill > 1.0 && backfill.listing == 1.0, "{backfill:?}");
        let listing = Stretch::fit(DEMAND, 80.0);
        assert!(listing.sweep == MAX_SWEEP && listing.backfill == MAX_BACKFILL && listing.listing > 1.0, "{listing:?}");
    }

    #[test]
    fn the_plan_stays_within_the_budget() {
        for budget in 50..500 {
            let budget = f64::from(budget);
            let planned = planned(Stretch::fit(DEMAND, budget));
            assert!(planned <= budget * PLANNED + 1e-6, "{planned} reads planned of {budget}");
        }
    }
}
