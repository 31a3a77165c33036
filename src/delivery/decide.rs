//! What becomes of a delivery after an attempt: a pure function of the attempt, its outcome, the policy, the time and a
//! jitter. Every verdict has a named reason, and the same name reaches the log, the metric and the stored attempt.

use std::time::Duration;

use jiff::Timestamp;

use super::outcome::{Outcome, Reason};
use super::settings::{DEFAULT_SCHEDULE, EndpointSettings};
use crate::clock::saturating_add;

/// An attempt, as far as deciding needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// How many attempts before this one count for the schedule.
    pub failures: u32,
    /// How many attempts just before this one were rejected, one after another.
    pub rejections: u32,
    /// When the event was committed.
    pub owed_at: Timestamp,
    /// When the first attempt began.
    pub tried_since: Timestamp,
    /// Whether others of the conference wait behind it.
    pub others_wait: bool,
}

/// When to try again and when to give up.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// How long to wait after the first failed attempt, the second, and so on.
    pub schedule: Vec<Duration>,
    /// How long to wait after each attempt that follows.
    pub then_every: Duration,
    /// How long to wait after a first and a second rejection; the third is the last.
    pub after_rejection: [Duration; 2],
    /// A share of each wait, on top or below.
    pub jitter: f64,
    /// The bounds within which `Retry-After` is obeyed.
    pub retry_after: (Duration, Duration),
    /// How long after its commit a delivery is given up.
    pub window: Duration,
    /// For how long it may hold others of its conference back.
    pub max_hold: Duration,
}

impl Policy {
    /// What the settings of an endpoint say.
    #[must_use]
    pub fn of(settings: &EndpointSettings) -> Self {
        let then_every = settings.schedule.last().copied().unwrap_or(settings.window);
        Self {
            schedule: settings.schedule.clone(),
            then_every,
            max_hold: settings.max_hold,
            ..Self::new(settings.window)
        }
    }

    /// The schedule of the Standard Webhooks specification, spread over `window`.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            schedule: DEFAULT_SCHEDULE.to_vec(),
            then_every: 12 * HOUR,
            // Three attempts in ten minutes, the last late enough to outlive a deployment.
            after_rejection: [Duration::from_secs(30), 7 * MINUTE],
            jitter: 0.2,
            retry_after: (Duration::from_secs(5), 12 * HOUR),
            window,
            max_hold: 6 * HOUR,
        }
    }

    /// No wait is longer than this. A stored time further ahead comes from a clock that jumped.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        let waits = self.schedule.iter().chain(&self.after_rejection);
        let longest = waits.copied().max().unwrap_or_default().max(self.then_every).max(self.retry_after.1);
        longest.mul_f64(1.0 + self.jitter)
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived.
    Done,
    /// Try again then.
    Retry { at: Timestamp, reason: Reason },
    /// Give up.
    Dead { reason: Reason },
    /// The endpoint wants nothing any more: switch it off and keep what it is owed.
    EndpointOff { reason: Reason },
}

/// Decides after an attempt that ended at `now`. `jitter` lies between -1 and 1.
#[must_use]
pub fn decide(attempt: &Attempt, outcome: &Outcome, policy: &Policy, now: Timestamp, jitter: f64) -> Verdict {
    let Some(reason) = outcome.reason() else { return Verdict::Done };
    let wait = match (reason, asked_wait(outcome, policy)) {
        (Reason::Gone, _) => return Verdict::EndpointOff { reason },
        (Reason::Unsendable, _) => return Verdict::Dead { reason },
        (Reason::Rejected, _) => match policy.after_rejection.get(attempt.rejections as usize) {
            Some(wait) => spread(*wait, policy.jitter, jitter),
            None => return Verdict::Dead { reason },
        },
        // Never earlier than asked for, and a little later, so that those who were sent away do not return as one.
        (_, Some(asked)) => spread(asked, policy.jitter, jitter.abs()),
        (_, None) => spread(scheduled(policy, attempt.failures), policy.jitter, jitter),
    };
    let (end, over) = give_up(attempt, policy);
    if now >= end {
        return Verdict::Dead { reason: over };
    }
    // One attempt at the very end, rather than a wait beyond it.
    Verdict::Retry { at: saturating_add(now, wait).min(end), reason }
}

/// How long the receiver asked to wait, where it is obeyed, within the policy's bounds.
#[must_use]
pub fn asked_wait(outcome: &Outcome, policy: &Policy) -> Option<Duration> {
    let obeyed = matches!(outcome.reason(), Some(Reason::Throttled | Reason::Unavailable));
    match outcome {
        Outcome::Answered { retry_after: Some(asked), .. } if obeyed => {
            Some((*asked).clamp(policy.retry_after.0, policy.retry_after.1))
        }
        _ => None,
    }
}

fn scheduled(policy: &Policy, failures: u32) -> Duration {
    let index = usize::try_from(failures).unwrap_or(usize::MAX);
    policy.schedule.get(index).copied().unwrap_or(policy.then_every)
}

/// From when on a failed attempt is the last, and why. Every delivery has one attempt, however late.
fn give_up(attempt: &Attempt, policy: &Policy) -> (Timestamp, Reason) {
    let expires = saturating_add(attempt.owed_at, policy.window);
    let held = hold_until(attempt, policy);
    if attempt.others_wait && held < expires { (held, Reason::MaxHold) } else { (expires, Reason::Window) }
}

/// When a delivery has to give way to those that wait behind it.
#[must_use]
pub fn hold_until(attempt: &Attempt, policy: &Policy) -> Timestamp {
    saturating_add(attempt.tried_since, policy.max_hold)
}

fn spread(wait: Duration, share: f64, jitter: f64) -> Duration {
    wait.mul_f64((1.0 + share * jitter.clamp(-1.0, 1.0)).max(0.0))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn policy() -> Policy {
        Policy::new(72 * HOUR)
    }

    fn attempt(number: u32) -> Attempt {
        Attempt { failures: number - 1, rejections: 0, owed_at: at(0), tried_since: at(0), others_wait: false }
    }

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None }
    }

    fn asking(status: u16, seconds: u64) -> Outcome {
        Outcome::Answered { status, retry_after: Some(Duration::from_secs(seconds)) }
    }

    fn failed(reason: Reason) -> Outcome {
        Outcome::Failed { reason, status: None }
    }

    #[test]
    fn every_status_has_its_verdict() {
        let retry = |seconds, reason| Verdict::Retry { at: at(seconds), reason };
        for (status, verdict) in [
            (200, Verdict::Done),
            (204, Verdict::Done),
            (301, retry(5, Reason::Redirect)),
            (304, retry(5, Reason::Redirect)),
            (400, retry(30, Reason::Rejected)),
            (401, retry(5, Reason::Unauthorized)),
            (403, retry(5, Reason::Unauthorized)),
            (404, retry(30, Reason::Rejected)),
            (405, retry(30, Reason::Rejected)),
            (408, retry(5, Reason::UnexpectedStatus)),
            (410, Verdict::EndpointOff { reason: Reason::Gone }),
            (413, retry(30, Reason::Rejected)),
            (415, retry(30, Reason::Rejected)),
            (418, retry(5, Reason::UnexpectedStatus)),
            (422, retry(30, Reason::Rejected)),
            (429, retry(5, Reason::Throttled)),
            (500, retry(5, Reason::ServerError)),
            (503, retry(5, Reason::Unavailable)),
            (599, retry(5, Reason::ServerError)),
            (700, retry(5, Reason::UnexpectedStatus)),
        ] {
            assert_eq!(decide(&attempt(1), &answered(status), &policy(), at(0), 0.0), verdict, "{status}");
        }
    }

    #[test]
    fn every_failure_without_an_answer_is_tried_again_except_what_cannot_be_sent() {
        for reason in [Reason::Timeout, Reason::Connect, Reason::Tls, Reason::Dns, Reason::BodyTooLarge] {
            let verdict = decide(&attempt(1), &failed(reason), &policy(), at(0), 0.0);
            assert_eq!(verdict, Verdict::Retry { at: at(5), reason });
        }
        let verdict = decide(&attempt(1), &failed(Reason::Unsendable), &policy(), at(0), 0.0);
        assert_eq!(verdict, Verdict::Dead { reason: Reason::Unsendable });
    }

    #[test]
    fn the_schedule_is_kept_to_the_end_of_the_window_with_one_last_attempt_there() {
        let mut now = 0;
        let mut waits = Vec::new();
        for number in 1.. {
            match decide(&attempt(number), &answered(500), &policy(), at(now), 0.0) {
                Verdict::Retry { at: next, .. } => {
                    waits.push(next.as_second() - now);
                    now = next.as_second();
                }
                verdict => {
                    assert_eq!(verdict, Verdict::Dead { reason: Reason::Window });
                    break;
                }
            }
        }
        assert_eq!(waits[..11], [5, 30, 300, 1800, 7200, 18_000, 36_000, 43_200, 43_200, 43_200, 43_200]);
        assert_eq!((waits.len(), now), (12, 72 * 3600));
    }

    #[test]
    fn what_is_late_already_still_has_one_attempt_and_no_second() {
        let old = Attempt { tried_since: at(100 * 3600), ..attempt(1) };
        let verdict = decide(&old, &answered(500), &policy(), at(100 * 3600), 0.0);
        assert_eq!(verdict, Verdict::Dead { reason: Reason::Window });
        assert_eq!(decide(&old, &answered(200), &policy(), at(100 * 3600), 0.0), Verdict::Done);
    }

    #[test]
    fn a_rejected_delivery_is_dead_after_three_attempts_in_ten_minutes() {
        for jitter in [-1.0, 0.0, 1.0] {
            let mut now = at(0);
            for rejections in 0..2 {
                let tried = Attempt { rejections, ..attempt(rejections + 1) };
                let Verdict::Retry { at, reason } = decide(&tried, &answered(404), &policy(), now, jitter) else {
                    unreachable!("two rejections are forgiven")
                };
                assert_eq!(reason, Reason::Rejected);
                now = at;
            }
            assert!(now <= at(600) && now >= at(300), "{now}");
            let last = Attempt { rejections: 2, ..attempt(3) };
            let verdict = decide(&last, &answered(404), &policy(), now, jitter);
            assert_eq!(verdict, Verdict::Dead { reason: Reason::Rejected });
        }
    }

    #[test]
    fn earlier_failures_of_another_kind_do_not_count_as_rejections() {
        let verdict = decide(&attempt(9), &answered(404), &policy(), at(100), 0.0);
        assert_eq!(verdict, Verdict::Retry { at: at(130), reason: Reason::Rejected });
    }

    #[test]
    fn retry_after_is_obeyed_within_bounds_and_only_where_it_means_something() {
        let next = |outcome| match decide(&attempt(1), &outcome, &policy(), at(0), -1.0) {
            Verdict::Retry { at, .. } => at.as_second(),
            verdict => unreachable!("{verdict:?}"),
        };
        assert_eq!(next(asking(429, 100)), 120, "jitter only makes it later");
        assert_eq!(next(asking(503, 0)), 6);
        assert_eq!(next(asking(429, u64::MAX)), 51_840);
        assert_eq!(next(asking(500, 100)), 4);
        assert_eq!(next(asking(404, 100)), 24);
    }

    #[test]
    fn who_holds_others_back_gives_way_and_who_does_not_keeps_the_whole_window() {
        let held = Attempt { others_wait: true, owed_at: at(-3600), ..attempt(6) };
        let verdict = decide(&held, &answered(500), &policy(), at(5 * 3600), 0.0);
        assert_eq!(verdict, Verdict::Retry { at: at(6 * 3600), reason: Reason::ServerError });
        let verdict = decide(&held, &answered(500), &policy(), at(6 * 3600), 0.0);
        assert_eq!(verdict, Verdict::Dead { reason: Reason::MaxHold });
        let alone = Attempt { others_wait: false, ..held };
        let verdict = decide(&alone, &answered(500), &policy(), at(6 * 3600), 0.0);
        assert_eq!(verdict, Verdict::Retry { at: at(11 * 3600), reason: Reason::ServerError });
    }

    proptest! {
        #[test]
        fn a_retry_lies_ahead_and_no_further_than_the_longest_wait(
            status in 100_u16..1000, number in 1_u32..100, now in 0_i64..300_000, asked in proptest::option::of(any::<u64>()),
            rejections in 0_u32..5, others_wait: bool, jitter in -1.0..1.0,
        ) {
            let tried = Attempt { rejections, others_wait, ..attempt(number) };
            let outcome = Outcome::Answered { status, retry_after: asked.map(Duration::from_secs) };
            let policy = policy();
            if let Verdict::Retry { at: next, .. } = decide(&tried, &outcome, &policy, at(now), jitter) {
                prop_assert!(next > at(now));
                prop_assert!(next <= saturating_add(at(now), policy.longest_wait()));
                prop_assert!(next <= at(72 * 3600));
            }
        }
    }
}
