//! Pure: whether a loop is stalled. A loop that beats is not, even if its disk is full or its receiver is down.

use std::time::Duration;

use crate::clock::Mono;
use crate::heartbeat::Heartbeat;

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
    loops: Vec<WatchedLoop>,
}

impl Watchdog {
    /// Starts all deadlines at `now`, including that of a loop that has never beaten.
    #[must_use]
    pub fn new(loops: Vec<WatchedLoop>, now: Mono) -> Self {
        Self { began: now, loops }
    }

    /// Restarts all deadlines at `now`. To be called after a time in which the loops could not run, such as a suspend.
    pub fn restart_deadlines(&mut self, now: Mono) {
        self.began = now;
    }

    /// Returns the names of the loops that are stalled.
    #[must_use]
    pub fn stalled(&self, now: Mono) -> Vec<&'static str> {
        let is_stalled =
            |watched: &&WatchedLoop| now.saturating_sub(watched.heartbeat.last().max(self.began)) > watched.deadline;
        self.loops.iter().filter(is_stalled).map(|watched| watched.name).collect()
    }
}

/// Returns how often to ping a manager that restarts the daemon after `ping_timeout` without a ping: four times within it,
/// so that a ping may be late.
#[must_use]
pub fn ping_interval(ping_timeout: Duration) -> Duration {
    (ping_timeout / 4).max(Duration::from_millis(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Mono {
        Duration::from_secs(seconds)
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
        let (watchdog, fast, slow) = two();
        for second in 1000..2000 {
            if second % 15 == 0 {
                fast.beat(at(second));
            }
            if second % 60 == 0 {
                slow.beat(at(second));
            }
            assert!(watchdog.stalled(at(second)).is_empty(), "{second}");
        }
    }

    #[test]
    fn a_loop_is_stalled_after_its_deadline_until_it_beats_again() {
        let (watchdog, fast, slow) = two();
        fast.beat(at(1100));
        slow.beat(at(1100));
        assert!(watchdog.stalled(at(1115)).is_empty());
        assert_eq!(watchdog.stalled(at(1116)), ["fast"]);
        assert_eq!(watchdog.stalled(at(1161)), ["fast", "slow"]);
        fast.beat(at(1161));
        assert_eq!(watchdog.stalled(at(1162)), ["slow"]);
    }

    #[test]
    fn the_deadline_of_a_loop_that_never_beat_starts_with_the_watchdog() {
        let (watchdog, _, slow) = two();
        slow.beat(at(1010));
        assert!(watchdog.stalled(at(1015)).is_empty());
        assert_eq!(watchdog.stalled(at(1016)), ["fast"]);
    }

    #[test]
    fn after_a_suspend_all_deadlines_start_again() {
        let (mut watchdog, fast, slow) = two();
        fast.beat(at(1100));
        slow.beat(at(1100));
        watchdog.restart_deadlines(at(9000));
        assert!(watchdog.stalled(at(9015)).is_empty());
        assert_eq!(watchdog.stalled(at(9016)), ["fast"]);
    }

    #[test]
    fn the_manager_is_pinged_several_times_within_its_timeout() {
        assert_eq!(ping_interval(at(30)), Duration::from_millis(7500));
        assert!(ping_interval(Duration::ZERO) > Duration::ZERO);
    }
}
