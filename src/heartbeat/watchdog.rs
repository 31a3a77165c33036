//! Pure: whether a loop is stalled. A loop that beats is not, even if its disk is full or its receiver is down.

use std::time::Duration;

use super::Heartbeat;
use crate::clock::Mono;

/// Longer than the daemon's own check ever pauses. After a longer pause the machine was suspended, and all loops with it.
const SUSPEND_THRESHOLD: Duration = Duration::from_secs(12);

/// A loop that the watchdog checks.
#[derive(Debug, Clone)]
pub struct WatchedLoop {
    /// Its name in the log and in the status line.
    pub name: &'static str,
    pub heartbeat: Heartbeat,
    /// The loop is stalled if it has not beaten for longer than this.
    pub deadline: Duration,
}

/// Checks the heartbeats of a set of loops.
#[derive(Debug)]
pub struct Watchdog {
    /// No deadline starts before this.
    began: Mono,
    /// When the heartbeats were last checked.
    checked_at: Mono,
    loops: Vec<WatchedLoop>,
}

impl Watchdog {
    /// Starts all deadlines at `now`, including that of a loop that has never beaten.
    #[must_use]
    pub fn new(loops: Vec<WatchedLoop>, now: Mono) -> Self {
        Self { began: now, checked_at: now, loops }
    }

    /// Returns the names of the loops that are stalled. To be called every few seconds: after a longer pause the machine was
    /// suspended, and all deadlines start again.
    #[must_use]
    pub fn check(&mut self, now: Mono) -> Vec<&'static str> {
        if now.saturating_sub(self.checked_at) > SUSPEND_THRESHOLD {
            self.began = now;
        }
        self.checked_at = self.checked_at.max(now);
        let is_stalled =
            |watched: &&WatchedLoop| now.saturating_sub(watched.heartbeat.last().max(self.began)) > watched.deadline;
        self.loops.iter().filter(is_stalled).map(|watched| watched.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Mono {
        Duration::from_secs(seconds)
    }

    /// Checks every second from `from` until `until`, and returns what the last check found.
    fn check_until(watchdog: &mut Watchdog, from: u64, until: u64) -> Vec<&'static str> {
        (from..=until).map(|second| watchdog.check(at(second))).last().unwrap_or_default()
    }

    fn two() -> (Watchdog, Heartbeat, Heartbeat) {
        let (fast, slow) = (Heartbeat::default(), Heartbeat::default());
        let loops = vec![
            WatchedLoop { name: "fast", heartbeat: fast.clone(), deadline: at(15) },
            WatchedLoop { name: "slow", heartbeat: slow.clone(), deadline: at(60) },
        ];
        (Watchdog::new(loops, at(1000)), fast, slow)
    }

    #[test]
    fn a_loop_that_beats_within_its_deadline_is_not_stalled() {
        let (mut watchdog, fast, slow) = two();
        for second in 1000..2000 {
            if second % 15 == 0 {
                fast.beat(at(second));
            }
            if second % 60 == 0 {
                slow.beat(at(second));
            }
            assert!(watchdog.check(at(second)).is_empty(), "{second}");
        }
    }

    #[test]
    fn a_loop_is_stalled_after_its_deadline_until_it_beats_again() {
        let (mut watchdog, fast, slow) = two();
        fast.beat(at(1010));
        slow.beat(at(1010));
        assert!(check_until(&mut watchdog, 1000, 1025).is_empty());
        assert_eq!(watchdog.check(at(1026)), ["fast"]);
        assert_eq!(check_until(&mut watchdog, 1027, 1071), ["fast", "slow"]);
        fast.beat(at(1071));
        assert_eq!(watchdog.check(at(1072)), ["slow"]);
    }

    #[test]
    fn the_deadline_of_a_loop_that_never_beat_starts_with_the_watchdog() {
        let (mut watchdog, _, slow) = two();
        slow.beat(at(1010));
        assert!(check_until(&mut watchdog, 1000, 1015).is_empty());
        assert_eq!(watchdog.check(at(1016)), ["fast"]);
    }

    #[test]
    fn after_a_suspend_all_deadlines_start_again() {
        let (mut watchdog, fast, slow) = two();
        fast.beat(at(1001));
        slow.beat(at(1001));
        assert!(watchdog.check(at(1001)).is_empty());
        assert!(check_until(&mut watchdog, 9000, 9015).is_empty());
        assert_eq!(watchdog.check(at(9016)), ["fast"]);
    }
}
