//! Whether a receiver got its backlog as fast as it takes it: the judge of the dispatcher's pace.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Mono;
use crate::store::LaneId;

/// A backlog may take this much longer than the receiver needs.
const ALLOWED: f64 = 1.15;

/// What the first refusals may cost before the capacity is known, in the time that the receiver needs for one delivery, and at
/// least.
const LEARNING: (f64, Duration) = (4.0, Duration::from_secs(5));

/// How long after its recovery a receiver may get its first delivery: the longest wait between two probes, and their answers.
const FOUND_WELL_WITHIN: Duration = Duration::from_secs(660);

/// A delivery that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) lane: LaneId,
    pub(super) owed_at: Mono,
    pub(super) accepted_at: Mono,
}

/// What a receiver takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Takes {
    /// So many deliveries a second.
    PerSecond(f64),
    /// So many at once, each in the same time, and one at a time of each lane.
    AtOnce(u32, Duration),
}

/// A time in which there was always something to send.
#[derive(Debug, Default)]
struct BusyPeriod {
    from: Mono,
    until: Mono,
    count: u32,
    of_lane: BTreeMap<LaneId, u32>,
}

impl BusyPeriod {
    /// Returns how long the receiver needs for its deliveries.
    fn ideal(&self, takes: Takes) -> Duration {
        let count = f64::from(self.count);
        Duration::from_secs_f64(match takes {
            Takes::PerSecond(rate) => count / rate,
            // No plan for tasks that wait for each other takes longer than the work plus the longest chain, as long as no
            // slot is left idle (Graham's bound).
            Takes::AtOnce(most, each) => {
                let longest = self.of_lane.values().max().copied().unwrap_or_default();
                (count / f64::from(most) + f64::from(longest)) * each.as_secs_f64()
            }
        })
    }
}

/// Returns what took too long at a receiver that was well, and not disturbed, from `well_from` on. An empty result if nothing
/// did.
pub(super) fn too_slow(accepted: &[Accepted], takes: Takes, well_from: Mono) -> Vec<String> {
    let mut later: Vec<_> = accepted.iter().copied().filter(|one| one.accepted_at > well_from).collect();
    let Some(first) = later.iter().map(|one| one.accepted_at).min() else { return Vec::new() };
    let mut wrong = Vec::new();
    let owed = later.iter().map(|one| one.owed_at).min().unwrap_or_default().max(well_from);
    if first.saturating_sub(owed) > FOUND_WELL_WITHIN {
        wrong.push(format!("well from {owed:?} on, and got its first delivery at {first:?}"));
    }
    // What waited while it was not well begins with its first success.
    for one in &mut later {
        one.owed_at = if one.owed_at <= owed { first } else { one.owed_at };
        one.accepted_at = one.accepted_at.max(one.owed_at);
    }
    for period in busy_periods(later) {
        let learning = match takes {
            Takes::PerSecond(rate) => Duration::from_secs_f64(LEARNING.0 / rate).max(LEARNING.1),
            Takes::AtOnce(..) => LEARNING.1,
        };
        let (took, ideal) = (period.until.saturating_sub(period.from), period.ideal(takes));
        if took > ideal.mul_f64(ALLOWED) + learning {
            let (from, count) = (period.from, period.count);
            wrong.push(format!("{count} deliveries took {took:?} from {from:?} on, and need {ideal:?}"));
        }
    }
    wrong
}

fn busy_periods(mut accepted: Vec<Accepted>) -> Vec<BusyPeriod> {
    accepted.sort_by_key(|one| one.owed_at);
    let mut periods: Vec<BusyPeriod> = Vec::new();
    for one in accepted {
        if periods.last().is_none_or(|period| one.owed_at > period.until) {
            periods.push(BusyPeriod { from: one.owed_at, until: one.accepted_at, ..BusyPeriod::default() });
        }
        if let Some(period) = periods.last_mut() {
            period.until = period.until.max(one.accepted_at);
            period.count += 1;
            *period.of_lane.entry(one.lane).or_default() += 1;
        }
    }
    periods
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// A hundred deliveries, owed at `owed`, one accepted every `every` seconds from `first` on.
    fn backlog(owed: f64, first: f64, every: f64) -> Vec<Accepted> {
        let one = |number| Accepted {
            lane: LaneId(i64::from(number) % 4),
            owed_at: seconds(owed),
            accepted_at: seconds(first + every * f64::from(number)),
        };
        (0..100).map(one).collect()
    }

    #[test]
    fn a_backlog_may_take_a_little_longer_than_the_receiver_needs_and_not_much() {
        let takes = Takes::PerSecond(1.0);
        assert_eq!(too_slow(&backlog(10.0, 11.0, 1.1), takes, seconds(0.0)), Vec::<String>::new());
        assert_eq!(too_slow(&backlog(10.0, 11.0, 1.3), takes, seconds(0.0)).len(), 1);
    }

    #[test]
    fn what_waited_for_an_outage_counts_from_the_first_success_after_it_which_comes_soon() {
        let takes = Takes::PerSecond(1.0);
        assert_eq!(too_slow(&backlog(10.0, 5_500.0, 1.1), takes, seconds(5_000.0)), Vec::<String>::new());
        assert_eq!(too_slow(&backlog(10.0, 6_000.0, 1.1), takes, seconds(5_000.0)).len(), 1);
    }

    #[test]
    fn one_delivery_that_waits_for_hours_is_noticed() {
        let mut accepted = backlog(10.0, 11.0, 1.0);
        accepted[99].accepted_at = seconds(3_600.0);
        assert_eq!(too_slow(&accepted, Takes::PerSecond(1.0), seconds(0.0)).len(), 1);
    }

    #[test]
    fn deliveries_with_rests_between_are_not_one_backlog() {
        let one = |number: u32| {
            let at = 100.0 * f64::from(number);
            Accepted { lane: LaneId(1), owed_at: seconds(at), accepted_at: seconds(at + 1.0) }
        };
        let accepted: Vec<_> = (1..100).map(one).collect();
        assert_eq!(too_slow(&accepted, Takes::PerSecond(1.0), seconds(0.0)), Vec::<String>::new());
    }

    #[test]
    fn a_slow_receiver_needs_its_time_for_each_and_for_the_longest_lane() {
        let takes = Takes::AtOnce(4, seconds(10.0));
        assert_eq!(too_slow(&backlog(0.0, 10.0, 2.5), takes, seconds(0.0)), Vec::<String>::new());
        assert_eq!(too_slow(&backlog(0.0, 10.0, 10.0), takes, seconds(0.0)).len(), 1);
    }
}
