//! The only caller of the wall clock and of the monotonic one. Everything that decides takes a [`Now`] as an argument,
//! so that a test moves five minutes by adding five minutes.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// One instant, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// What schedules are kept on: time since some fixed instant of this process. Never jumps, dies with the process, and
    /// goes on while the machine sleeps.
    pub mono: Mono,
    /// What is written down: UTC. May jump either way.
    pub wall: Timestamp,
}

impl Now {
    /// The same instant, `by` later on both clocks.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self { mono: self.mono + by, wall: saturating_add(self.wall, by) }
    }
}

/// A point on the monotonic clock, as the time since the clock was made.
pub type Mono = Duration;

/// Adds without leaving the range of timestamps.
#[must_use]
pub fn saturating_add(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// `later - earlier`, or zero where the clocks disagree about which is which.
#[must_use]
pub fn elapsed(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or(Duration::ZERO)
}

/// The time since the machine booted, without what it slept: what `CLOCK_MONOTONIC` says, which is the same in every
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
    /// A clock whose monotonic side begins now. One per process is enough; give it to whoever needs the time.
    #[must_use]
    pub fn new() -> Self {
        Self { start: since_boot() }
    }

    /// Reads both clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the room of the clock")]
    pub fn now(&self) -> Now {
        Now { mono: self.mono(), wall: Timestamp::now() }
    }

    /// Reads the monotonic clock alone, which is cheaper where nothing is written down.
    #[must_use]
    pub fn mono(&self) -> Mono {
        since_boot().saturating_sub(self.start)
    }
}

/// The monotonic time of the machine. On Linux the standard library's stands still while the machine sleeps, and a night
/// in which nobody looked would not be noticed.
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
