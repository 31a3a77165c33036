//! Pure: whether the loops turn. Turning is enough: a loop whose disk is full or whose receiver is dead goes on turning.

use std::time::Duration;

use crate::clock::Mono;
use crate::heartbeat::Heartbeat;

/// A loop that is watched over.
#[derive(Debug, Clone)]
pub struct Watched {
    /// What the log calls it.
    pub name: &'static str,
    pub heartbeat: Heartbeat,
    /// It hangs if it did not turn for so long.
    pub deadline: Duration,
}

/// Watches over loops from some instant on.
#[derive(Debug)]
pub struct Watchdog {
    began: Mono,
    watched: Vec<Watched>,
}

impl Watchdog {
    /// Watches from `now` on: whoever never turned has its whole deadline from here.
    #[must_use]
    pub fn new(watched: Vec<Watched>, now: Mono) -> Self {
        Self { began: now, watched }
    }

    /// Nobody looked for so long that it says nothing about the loops: the machine slept, or stood still. Each has its
    /// whole deadline from `now`.
    pub fn begin_again(&mut self, now: Mono) {
        self.began = now;
    }

    /// The names of those that hang.
    #[must_use]
    pub fn hanging(&self, now: Mono) -> Vec<&'static str> {
        let hangs =
            |watched: &&Watched| now.saturating_sub(watched.heartbeat.last().max(self.began)) > watched.deadline;
        self.watched.iter().filter(hangs).map(|watched| watched.name).collect()
    }
}

/// How often a manager that gives up after `patience` is told: several times, so that one that comes late is no harm.
#[must_use]
pub fn tell_every(patience: Duration) -> Duration {
    (patience / 4).max(Duration::from_millis(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Mono {
        Duration::from_secs(seconds)
    }

    fn two() -> (Watchdog, Heartbeat, Heartbeat) {
        let (fast, slow) = (Heartbeat::default(), Heartbeat::default());
        let watched = vec![
            Watched { name: "fast", heartbeat: fast.clone(), deadline: at(15) },
            Watched { name: "slow", heartbeat: slow.clone(), deadline: at(60) },
        ];
        (Watchdog::new(watched, at(1000)), fast, slow)
    }

    #[test]
    fn whoever_turns_within_its_deadline_does_not_hang() {
        let (watchdog, fast, slow) = two();
        for second in 1000..2000 {
            if second % 15 == 0 {
                fast.beat(at(second));
            }
            if second % 60 == 0 {
                slow.beat(at(second));
            }
            assert!(watchdog.hanging(at(second)).is_empty(), "{second}");
        }
    }

    #[test]
    fn whoever_stops_turning_hangs_after_its_deadline_until_it_turns_again() {
        let (watchdog, fast, slow) = two();
        fast.beat(at(1100));
        slow.beat(at(1100));
        assert!(watchdog.hanging(at(1115)).is_empty());
        assert_eq!(watchdog.hanging(at(1116)), ["fast"]);
        assert_eq!(watchdog.hanging(at(1161)), ["fast", "slow"]);
        fast.beat(at(1161));
        assert_eq!(watchdog.hanging(at(1162)), ["slow"]);
    }

    #[test]
    fn whoever_never_turned_has_its_deadline_from_the_start() {
        let (watchdog, _, slow) = two();
        slow.beat(at(1010));
        assert!(watchdog.hanging(at(1015)).is_empty());
        assert_eq!(watchdog.hanging(at(1016)), ["fast"]);
    }

    #[test]
    fn after_a_sleep_everybody_has_the_deadline_once_more() {
        let (mut watchdog, fast, slow) = two();
        fast.beat(at(1100));
        slow.beat(at(1100));
        watchdog.begin_again(at(9000));
        assert!(watchdog.hanging(at(9015)).is_empty());
        assert_eq!(watchdog.hanging(at(9016)), ["fast"]);
    }

    #[test]
    fn the_manager_hears_several_times_within_its_patience() {
        assert_eq!(tell_every(at(30)), Duration::from_millis(7500));
        assert!(tell_every(Duration::ZERO) > Duration::ZERO);
    }
}
