//! The machine's clocks. No other module reads them: everything that decides takes a [`Now`] as an argument, so that a test
//! advances time by adding to it.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// One instant on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time since this process created its clock. Used for scheduling. It never jumps, means nothing to another
    /// process, and continues while the machine sleeps.
    pub mono: Mono,
    /// UTC, for what is stored and reported. It may jump either way.
    pub wall: Timestamp,
}

impl Now {
    /// Returns the instant that is later by `by` on both clocks.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self { mono: self.mono + by, wall: saturating_add(self.wall, by) }
    }
}

/// A point on the monotonic clock, as the time since the clock was created.
pub type Mono = Duration;

/// Adds a duration. A result outside of the range of timestamps becomes the last one.
#[must_use]
pub fn saturating_add(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// Returns `later - earlier`, or zero if `later` is before `earlier`.
#[must_use]
pub fn elapsed(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or(Duration::ZERO)
}

/// Returns `CLOCK_MONOTONIC`: the time since the machine booted, without the time it slept. It is the same in every
/// process.
#[must_use]
pub fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Duration,
}

impl Clock {
    /// Creates a clock whose monotonic side begins now. A process needs one, and copies it.
    #[must_use]
    pub fn new() -> Self {
        Self { start: since_boot() }
    }

    /// Reads both clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module wraps the clocks")]
    pub fn now(&self) -> Now {
        Now { mono: self.mono(), wall: Timestamp::now() }
    }

    /// Reads the monotonic clock alone, which is cheaper.
    #[must_use]
    pub fn mono(&self) -> Mono {
        since_boot().saturating_sub(self.start)
    }
}

/// Returns the monotonic time of the machine. Unlike the standard library's clock on Linux, it continues while the machine
/// sleeps; otherwise a night of sleep would not be noticed as a gap.
fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    Duration::try_from(clock_gettime(CLOCK)).unwrap_or(Duration::ZERO)
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
