//! Refusals that are not those of a limit, pauses that say nothing about it, and times in which nothing could be sent.

use super::*;

type Answer = Result<(), Option<f64>>;

/// A backlog that is sent to a receiver which answers after this time as a function says, given the number of the attempt
/// and when it arrives.
struct Sending<F> {
    backlog: u32,
    concurrency: u32,
    latency: f64,
    answer: F,
}

#[derive(Debug)]
struct Delivered {
    took: f64,
    refused: u32,
    rate: Option<f64>,
    /// The least rate that was learned.
    least: f64,
}

impl<F: FnMut(u32, f64) -> Answer> Sending<F> {
    fn run(mut self) -> Delivered {
        let limits = PaceLimits { concurrency: self.concurrency, rate: None, longest_pause: seconds(180.0) };
        let mut pace = Pace::new(limits, Mono::ZERO);
        let mut random = crate::backoff::Random::with_seed(7);
        let (mut now, mut left, mut done, mut number) = (0.0_f64, self.backlog, 0, 0);
        let mut result = Delivered { took: 0.0, refused: 0, rate: None, least: f64::INFINITY };
        let mut in_flight: Vec<(f64, f64, Answer)> = Vec::new();
        while done < self.backlog {
            while left > 0 && pace.begin(in_flight.len(), seconds(now)) {
                (left, number) = (left - 1, number + 1);
                let answer = (self.answer)(number, now + self.latency / 2.0);
                in_flight.push((now, now + self.latency, answer));
            }
            let next = pace.next(in_flight.len()).filter(|_| left > 0);
            let next = next.map_or(f64::INFINITY, |next| next.as_secs_f64());
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
                        (left, result.refused) = (left + 1, result.refused + 1);
                        let jitter = random.f64() * 2.0 - 1.0;
                        pace.refused(asked.map(seconds), seconds(began), seconds(now), jitter);
                    }
                }
            }
            result.least = result.least.min(pace.learned().unwrap_or(f64::INFINITY));
        }
        Delivered { took: now, rate: pace.learned(), ..result }
    }
}

/// The time that a thousand deliveries may take: half as much again as a sender that only repeats what is refused, 150 ms for
/// the pause after each refusal, and the time to see that there is no limit.
fn bound(sent: &Delivered, latency: f64, learning: f64) -> f64 {
    let refused = f64::from(sent.refused);
    1.5 * (1000.0 + refused) * latency + 0.15 * refused + learning
}

#[test]
fn a_receiver_that_refuses_a_share_whatever_the_rate_is_not_slowed_down_for_good() {
    for (share, learning) in [(0.05, 90.0), (0.2, 330.0), (0.5, 60.0), (0.8, 10_800.0)] {
        for seed in 0..20 {
            let mut random = crate::backoff::Random::with_seed(seed);
            let answer = move |_, _| if random.f64() < share { Err(None) } else { Ok(()) };
            let sent = Sending { backlog: 1000, concurrency: 1, latency: 0.02, answer }.run();
            assert!(sent.took <= bound(&sent, 0.02, learning), "{share}, {seed}: {sent:?}");
        }
    }
}

#[test]
fn a_limit_that_falls_is_found_and_not_taken_for_none() {
    for (before, after) in [(20_u32, 5.0), (20, 1.0), (5, 1.0), (100, 2.0)] {
        let mut first = Receiver::new(bucket(f64::from(before), 1.0), Hint::None);
        let mut then = Receiver::new(bucket(after, 1.0), Hint::None);
        let accepted_before = std::cell::Cell::new(0);
        let answer = |_, now| {
            if now >= 30.0 {
                return then.ask(now, 1);
            }
            let answer = first.ask(now, 1);
            accepted_before.set(accepted_before.get() + u32::from(answer.is_ok()));
            answer
        };
        let backlog = 30 * before + 100;
        let sent = Sending { backlog, concurrency: 8, latency: 0.05, answer }.run();
        let ideal = 30.0 + f64::from(backlog - accepted_before.get()) / after;
        assert!(sent.took <= ideal * 1.15, "{before}, {after}: {sent:?}, at best {ideal}");
        assert!(sent.rate.is_some_and(|rate| rate < after * 1.5), "{before}, {after}: {sent:?}");
    }
}

#[test]
fn a_receiver_that_refuses_every_other_attempt_is_not_slowed_down_for_good() {
    let answer = |number: u32, _| if number % 2 == 1 { Err(None) } else { Ok(()) };
    let sent = Sending { backlog: 1000, concurrency: 1, latency: 0.02, answer }.run();
    assert!(sent.took <= bound(&sent, 0.02, 5.0) && sent.rate.is_none(), "{sent:?}");
}

#[test]
fn a_wait_that_is_asked_for_but_not_needed_is_not_taken_for_the_limit() {
    for burst in [1.0, 5.0] {
        let mut receiver = Receiver::new(bucket(1.0, burst), Hint::None);
        let answer = move |_, now| receiver.ask(now, 1).map_err(|_| Some(30.0));
        let sent = Sending { backlog: 66, concurrency: 1, latency: 0.02, answer }.run();
        // Each refusal costs half a minute, whatever the pace.
        assert!(sent.took <= 66.0 * 1.25 + 30.0 * f64::from(sent.refused) && sent.refused < 10, "{sent:?}");
        assert!(sent.least >= 0.18, "{sent:?}");
    }
}

#[test]
fn a_time_in_which_nothing_could_be_sent_measures_nothing() {
    let limits = PaceLimits { concurrency: 8, rate: None, longest_pause: seconds(180.0) };
    let mut pace = Pace::new(limits, Mono::ZERO);
    pace.refused(None, Mono::ZERO, Mono::ZERO, 0.0);
    pace.accepted(seconds(1.0), seconds(1.0));
    pace.idle();
    pace.refused(None, seconds(3600.0), seconds(3600.0), 0.0);
    assert_eq!(pace.learned(), None);
    pace.accepted(seconds(3601.0), seconds(3601.0));
    pace.refused(None, seconds(3602.0), seconds(3602.0), 0.0);
    assert!(pace.learned().is_some_and(|rate| rate > 0.4), "{:?}", pace.learned());
}

#[test]
fn a_delivery_that_is_refused_again_while_others_are_accepted_measures_nothing() {
    let limits = PaceLimits { concurrency: 8, rate: None, longest_pause: seconds(180.0) };
    let mut pace = Pace::new(limits, Mono::ZERO);
    pace.refused(None, Mono::ZERO, Mono::ZERO, 0.0);
    for second in 1..100 {
        let now = seconds(f64::from(second) * 10.0);
        pace.accepted(now, now);
        pace.refused_again(None, now, now, 0.0);
        assert!(pace.next(0).unwrap() <= now + seconds(0.2));
    }
    assert_eq!(pace.learned(), None);
}
