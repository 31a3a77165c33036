//! The pace against simulated receivers, in virtual time.

use super::*;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}

/// What a refusal says about when to come back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Hint {
    None,
    /// Whole seconds, at least one, as in the header `Retry-After`.
    Seconds,
    Exact,
}

impl Hint {
    fn of(self, wait: f64) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Seconds => Some(wait.ceil().max(1.0)),
            Self::Exact => Some(wait),
        }
    }
}

/// What a receiver takes.
#[derive(Debug, Clone, Copy)]
enum Limit {
    /// So many a second, and so many at once after a rest.
    Bucket { rate: f64, burst: f64 },
    /// So many in each interval of this many seconds.
    Window { length: f64, most: u32 },
    /// So many at the same time.
    AtOnce(usize),
}

struct Receiver {
    limit: Limit,
    hint: Hint,
    tokens: f64,
    counted_to: f64,
    in_window: u32,
}

impl Receiver {
    fn new(limit: Limit, hint: Hint) -> Self {
        let tokens = if let Limit::Bucket { burst, .. } = limit { burst } else { 0.0 };
        Self { limit, hint, tokens, counted_to: 0.0, in_window: 0 }
    }

    /// Takes an attempt, or refuses it and may say for how long.
    fn ask(&mut self, now: f64, at_once: usize) -> Result<(), Option<f64>> {
        match self.limit {
            Limit::AtOnce(most) => {
                if at_once <= most {
                    Ok(())
                } else {
                    Err(None)
                }
            }
            Limit::Window { length, most } => {
                if now >= self.counted_to + length {
                    (self.counted_to, self.in_window) = ((now / length).floor() * length, 0);
                }
                self.in_window += 1;
                if self.in_window <= most { Ok(()) } else { Err(self.hint.of(self.counted_to + length - now)) }
            }
            Limit::Bucket { rate, burst } => {
                self.tokens = (self.tokens + (now - self.counted_to) * rate).min(burst);
                self.counted_to = now;
                if self.tokens < 1.0 - 1e-9 {
                    return Err(self.hint.of((1.0 - self.tokens) / rate));
                }
                self.tokens -= 1.0;
                Ok(())
            }
        }
    }
}

/// A backlog that is sent to a receiver.
#[derive(Debug, Clone, Copy)]
struct Case {
    limit: Limit,
    hint: Hint,
    concurrency: u32,
    latency: f64,
    backlog: u32,
}

#[derive(Debug, PartialEq)]
struct Sent {
    took: f64,
    refused: u32,
    /// How often a limit was learned or forgotten.
    turns: u32,
}

impl Case {
    /// Returns how long it takes at best.
    fn ideal(self) -> f64 {
        let backlog = f64::from(self.backlog);
        let reachable = f64::from(self.concurrency) / self.latency;
        match self.limit {
            Limit::Bucket { rate, burst } => (backlog - burst.min(backlog)) / rate.min(reachable),
            Limit::Window { length, most } => ((backlog / f64::from(most)).ceil() - 1.0) * length,
            Limit::AtOnce(most) => backlog * self.latency / f64::from(u32::try_from(most).unwrap()),
        }
    }

    fn run(self, rate: Option<f64>) -> Sent {
        let limits = PaceLimits { concurrency: self.concurrency, rate, longest_pause: seconds(180.0) };
        let mut pace = Pace::new(limits, Mono::ZERO);
        let mut receiver = Receiver::new(self.limit, self.hint);
        let mut random = fastrand::Rng::with_seed(1);
        let (mut now, mut left, mut done) = (0.0_f64, self.backlog, 0);
        let mut sent = Sent { took: 0.0, refused: 0, turns: 0 };
        let mut was_limited = false;
        let mut in_flight: Vec<(f64, f64, Result<(), Option<f64>>)> = Vec::new();
        while done < self.backlog {
            while left > 0 && pace.begin(in_flight.len(), seconds(now)) {
                left -= 1;
                let answer = receiver.ask(now + self.latency / 2.0, in_flight.len() + 1);
                in_flight.push((now, now + self.latency, answer));
            }
            assert!(pace.window() >= 1 && !in_flight.is_empty() || pace.next(0).is_some(), "one at a time at least");
            // Timers have a resolution of a millisecond.
            let next = pace.next(in_flight.len()).filter(|_| left > 0);
            let next = next.map_or(f64::INFINITY, |next| (next.as_secs_f64() * 1000.0).ceil() / 1000.0);
            let end = in_flight.iter().map(|flight| flight.1).fold(f64::INFINITY, f64::min);
            now = now.max(next.max(now + 1e-6).min(end));
            let (ended, going): (Vec<_>, Vec<_>) = in_flight.into_iter().partition(|flight| flight.1 <= now);
            in_flight = going;
            for (began, _, answer) in ended {
                match answer {
                    Ok(()) => {
                        done += 1;
                        pace.accepted(seconds(began), seconds(now));
                    }
                    Err(asked) => {
                        (left, sent.refused) = (left + 1, sent.refused + 1);
                        let jitter = random.f64() * 2.0 - 1.0;
                        pace.refused(asked.map(seconds), seconds(began), seconds(now), jitter);
                    }
                }
            }
            sent.turns += u32::from(pace.learned().is_some() != was_limited);
            was_limited = pace.learned().is_some();
        }
        Sent { took: now, ..sent }
    }
}

const fn bucket(rate: f64, burst: f64) -> Limit {
    Limit::Bucket { rate, burst }
}

/// Limits as receivers have them, with a backlog of several minutes.
const NATURAL: [(Limit, u32); 7] = [
    (bucket(1.0, 1.0), 300),
    (bucket(1.0, 5.0), 300),
    (bucket(5.0, 1.0), 1000),
    (bucket(5.0, 10.0), 1000),
    (bucket(20.0, 20.0), 2000),
    (bucket(200.0, 200.0), 10_000),
    (Limit::Window { length: 60.0, most: 60 }, 600),
];

#[test]
fn a_backlog_takes_hardly_longer_than_the_receiver_needs() {
    for (limit, backlog) in NATURAL {
        for hint in [Hint::None, Hint::Seconds, Hint::Exact] {
            for (concurrency, latency) in [(1, 0.05), (8, 0.002), (8, 0.05), (64, 0.3)] {
                let case = Case { limit, hint, concurrency, latency, backlog };
                let (sent, ideal) = (case.run(None), case.ideal());
                assert!(sent.took <= ideal * 1.15, "{case:?}: {sent:?}, at best {ideal}");
                assert!(sent.turns <= 2, "the limit is told once, and not again and again: {case:?}: {sent:?}");
            }
        }
    }
}

#[test]
fn a_receiver_that_takes_few_at_once_gets_few_at_once() {
    for (most, backlog) in [(1, 1000), (2, 2000), (4, 2000)] {
        for (concurrency, latency) in [(8, 0.05), (16, 0.1)] {
            let case = Case { limit: Limit::AtOnce(most), hint: Hint::None, concurrency, latency, backlog };
            let (sent, ideal) = (case.run(None), case.ideal());
            assert!(sent.took <= ideal * 1.15, "{case:?}: {sent:?}, at best {ideal}");
        }
    }
}

#[test]
fn d1_66_messages_to_a_chat_that_takes_one_a_second_take_about_70_seconds() {
    for concurrency in [1, 8] {
        let case = Case { limit: bucket(1.0, 1.0), hint: Hint::None, concurrency, latency: 0.05, backlog: 66 };
        let sent = case.run(None);
        assert!(sent.took <= 75.0 && sent.turns == 1, "{sent:?}");
    }
}

#[test]
fn no_more_than_the_configured_rate_begins_and_no_less() {
    for rate in [0.5, 1.0, 50.0, 333.0] {
        let limits = PaceLimits { concurrency: 8, rate: Some(rate), longest_pause: seconds(60.0) };
        let mut pace = Pace::new(limits, Mono::ZERO);
        let (mut now, mut begun) = (Mono::ZERO, 0);
        while now < seconds(100.0) {
            if pace.begin(0, now) { begun += 1 } else { now = pace.next(0).unwrap() }
        }
        let expected = rate * 100.0;
        assert!((f64::from(begun) - expected).abs() <= 1.5, "{rate}: {begun}");
    }
}

#[test]
fn the_same_answers_give_the_same_pace() {
    let case = Case { limit: bucket(5.0, 1.0), hint: Hint::None, concurrency: 8, latency: 0.05, backlog: 300 };
    assert_eq!(case.run(None), case.run(None));
}

#[test]
fn an_asked_pause_is_kept_and_bounded() {
    for (asked, kept) in [(1.0, 1.0), (30.0, 30.0), (100_000.0, 180.0)] {
        let limits = PaceLimits { concurrency: 8, rate: None, longest_pause: seconds(180.0) };
        let mut pace = Pace::new(limits, Mono::ZERO);
        assert!(pace.begin(0, Mono::ZERO));
        pace.refused(Some(seconds(asked)), Mono::ZERO, seconds(0.1), 0.5);
        assert_eq!(pace.next(0), Some(seconds(0.1 + kept)));
    }
}

#[test]
fn other_trouble_slows_down_to_one_attempt_in_five_seconds_and_the_first_success_ends_that() {
    let limits = PaceLimits { concurrency: 8, rate: None, longest_pause: seconds(180.0) };
    let mut pace = Pace::new(limits, Mono::ZERO);
    let mut now = Mono::ZERO;
    for _ in 0..40 {
        assert!(pace.begin(0, now));
        pace.failed(now, now, 0.0);
        let next = pace.next(0).unwrap();
        assert!(next - now <= seconds(5.0) && next > now);
        now = next;
    }
    assert_eq!((pace.window(), pace.learned()), (1, None));
    assert!(pace.begin(0, now) && !pace.begin(1, now));
    for _ in 0..7 {
        pace.accepted(now, now);
    }
    assert!(pace.window() == 8 && pace.begin(7, now), "nothing was learned about a rate");
}

#[test]
fn failures_of_attempts_that_were_under_way_together_count_once() {
    let limits = PaceLimits { concurrency: 8, rate: None, longest_pause: seconds(180.0) };
    let mut pace = Pace::new(limits, Mono::ZERO);
    (0..8).for_each(|_| pace.failed(Mono::ZERO, seconds(1.0), 0.0));
    assert_eq!((pace.window(), pace.next(0)), (4, Some(seconds(1.1))));
}

#[test]
fn other_limits_keep_what_was_learned() {
    let case = Case { limit: bucket(5.0, 1.0), hint: Hint::None, concurrency: 8, latency: 0.05, backlog: 300 };
    let limits = |concurrency, rate| PaceLimits { concurrency, rate, longest_pause: seconds(case.latency) };
    let mut pace = Pace::new(limits(8, None), Mono::ZERO);
    pace.set_limits(limits(16, Some(3.0)));
    assert_eq!((pace.window(), pace.rate(), pace.learned()), (16, Some(3.0), None));
    pace.set_limits(limits(2, None));
    assert_eq!((pace.window(), pace.rate()), (2, None));
}

mod refusals;
