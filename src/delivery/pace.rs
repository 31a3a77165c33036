//! How fast the backlog of an endpoint is sent once the endpoint has recovered: a token bucket.

use std::time::Duration;

use crate::clock::Mono;
use crate::token_bucket::TokenBucket;

/// The burst is what the rate gains in this time, and at least one delivery.
const BURST: Duration = Duration::from_millis(200);

/// At rates of many thousand a second, a wait that was rounded to nanoseconds leaves this much of a token missing.
const TOLERANCE: f64 = 1e-6;

/// The deliveries that may begin now.
#[derive(Debug, Clone, Copy)]
pub struct Pace(TokenBucket);

impl Pace {
    /// Allows `per_second` deliveries a second, beginning with one.
    #[must_use]
    pub fn new(per_second: f64, now: Mono) -> Self {
        let per_second = per_second.max(0.01);
        let capacity = (per_second * BURST.as_secs_f64()).max(1.0);
        Self(TokenBucket::new(capacity, per_second, 1.0, TOLERANCE, now))
    }

    /// Takes the token for one delivery. `false` if there is none.
    pub fn take(&mut self, now: Mono) -> bool {
        self.0.try_take(now)
    }

    /// When the next delivery may begin.
    #[must_use]
    pub fn next(&self) -> Mono {
        self.0.next_at()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_rate_goes_out_and_no_less() {
        for rate in [0.5, 1.0, 50.0, 333.0] {
            let mut pace = Pace::new(rate, Mono::ZERO);
            let (mut now, mut taken) = (Mono::ZERO, 0);
            while now < Duration::from_secs(100) {
                if pace.take(now) {
                    taken += 1;
                } else {
                    now = pace.next();
                }
            }
            let expected = rate * 100.0;
            assert!((f64::from(taken) - expected).abs() <= 1.0 + rate * 0.2, "{rate}: {taken}");
        }
    }

    #[test]
    fn unused_tokens_do_not_pile_up_beyond_the_burst() {
        let mut pace = Pace::new(50.0, Mono::ZERO);
        let later = Duration::from_secs(3600);
        let burst = std::iter::repeat_with(|| pace.take(later)).take_while(|taken| *taken).count();
        assert_eq!(burst, 10);
    }
}
