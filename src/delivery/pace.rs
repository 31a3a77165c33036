//! How fast an endpoint that was in trouble gets what has gathered: a token bucket without a clock.

use std::time::Duration;

use crate::clock::Mono;

/// How much may come at once: what the rate gives in this time.
const BURST: Duration = Duration::from_millis(200);

/// A rate, and how much of it is left.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    per_second: f64,
    tokens: f64,
    at: Mono,
}

impl Pace {
    /// So many a second, beginning with one.
    #[must_use]
    pub fn new(per_second: f64, now: Mono) -> Self {
        Self { per_second: per_second.max(0.01), tokens: 1.0, at: now }
    }

    /// Takes one, if one is left.
    pub fn take(&mut self, now: Mono) -> bool {
        let most = (self.per_second * BURST.as_secs_f64()).max(1.0);
        let gained = now.saturating_sub(self.at).as_secs_f64() * self.per_second;
        (self.tokens, self.at) = ((self.tokens + gained).min(most), self.at.max(now));
        // What was gained may lie a rounding error below one.
        let enough = self.tokens > 1.0 - 1e-6;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }

    /// When the next is there.
    #[must_use]
    pub fn next(&self) -> Mono {
        self.at + Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.per_second)
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
    fn what_was_not_used_does_not_pile_up() {
        let mut pace = Pace::new(50.0, Mono::ZERO);
        let later = Duration::from_secs(3600);
        let burst = std::iter::repeat_with(|| pace.take(later)).take_while(|taken| *taken).count();
        assert_eq!(burst, 10);
    }
}
