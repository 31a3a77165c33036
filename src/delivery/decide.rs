//! Decides what becomes of a delivery after an attempt: a pure function of the attempt, its outcome, the policy, the time and
//! a jitter. Every failure has a named reason, and the same name reaches the log, the metric and the stored attempt.

use std::time::Duration;

use jiff::Timestamp;

use super::outcome::Outcome;
use super::reason::FailureReason;
use super::settings::{DEFAULT_SCHEDULE, EndpointSettings};
use crate::clock::saturating_add;
use crate::store::AttemptResult;

/// A message to a chat is worth little when it is late, and some chats ask for milliseconds in a field of seconds.
const LONGEST_CHAT_WAIT: Duration = Duration::from_secs(180);

/// An attempt, as far as the decision depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// How many attempts before this one count for the schedule.
    pub failures: u32,
    /// How many attempts just before this one were rejected in a row.
    pub rejections: u32,
    /// When the event was committed.
    pub owed_at: Timestamp,
    /// When the first attempt began that failed because of the delivery.
    pub tried_since: Timestamp,
    /// Whether deliveries of the same lane wait behind it.
    pub others_wait: bool,
    /// Whether a failure is the endpoint's: then the delivery's schedule stays where it is, and the delivery is due at once.
    /// The endpoint's pace and breaker say when it is sent again.
    pub endpoint_fails: bool,
    /// Whether it may be the delivery's all the same: then it waits as after its first failure.
    pub is_suspect: bool,
}

/// When to retry and when to give up.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The wait after the first failed attempt, the second, and so on.
    pub schedule: Vec<Duration>,
    /// The wait after each further attempt.
    pub then_every: Duration,
    /// The wait after the first and the second rejection in a row; the third one ends the delivery.
    pub after_rejection: [Duration; 2],
    /// The share by which each wait varies, up or down.
    pub jitter: f64,
    /// The bounds of a wait that the receiver asks for.
    pub retry_after: (Duration, Duration),
    /// How long after its commit a delivery is given up.
    pub window: Duration,
    /// How long a failing delivery may hold back those behind it in its lane.
    pub max_hold: Duration,
}

impl Policy {
    /// Returns the policy of an endpoint's settings.
    #[must_use]
    pub fn of(settings: &EndpointSettings) -> Self {
        let default = Self::new(settings.window);
        let longest = if settings.goes_to_a_chat() { LONGEST_CHAT_WAIT } else { default.retry_after.1 };
        let then_every = settings.schedule.last().copied().unwrap_or(settings.window);
        Self {
            schedule: settings.schedule.clone(),
            then_every,
            max_hold: settings.max_hold,
            retry_after: (default.retry_after.0, longest),
            ..default
        }
    }

    /// Returns a policy with the schedule of the Standard Webhooks specification and this window.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            schedule: DEFAULT_SCHEDULE.to_vec(),
            then_every: 12 * HOUR,
            // Three attempts within ten minutes, the last one late enough to survive a deployment of the receiver.
            after_rejection: [Duration::from_secs(30), 7 * MINUTE],
            jitter: 0.2,
            retry_after: (Duration::from_secs(1), 12 * HOUR),
            window,
            max_hold: 6 * HOUR,
        }
    }

    /// Returns the longest possible wait. A stored due time further ahead comes from a clock that jumped.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        let waits = self.schedule.iter().chain(&self.after_rejection);
        let longest = waits.copied().max().unwrap_or_default().max(self.then_every).max(self.retry_after.1);
        longest.mul_f64(1.0 + self.jitter)
    }
}

/// Decides after an attempt that ended at `now`. `jitter` is between -1 and 1. Never returns [`AttemptResult::Release`].
#[must_use]
pub fn decide(attempt: &Attempt, outcome: &Outcome, policy: &Policy, now: Timestamp, jitter: f64) -> AttemptResult {
    let Some(reason) = outcome.reason() else { return AttemptResult::Done };
    let reason = reason.as_str();
    let (wait, rejections) = match outcome {
        Outcome::Gone => return AttemptResult::EndpointOff { reason },
        Outcome::Unsendable => return AttemptResult::Dead { reason },
        _ if attempt.is_suspect => (spread(scheduled(policy, 0), policy.jitter, jitter), attempt.rejections),
        _ if attempt.endpoint_fails => (Duration::ZERO, attempt.rejections),
        Outcome::Refused | Outcome::NotFound => match policy.after_rejection.get(attempt.rejections as usize) {
            Some(wait) => (spread(*wait, policy.jitter, jitter), attempt.rejections + 1),
            None => return AttemptResult::Dead { reason },
        },
        _ => (spread(scheduled(policy, attempt.failures), policy.jitter, jitter), 0),
    };
    let (end, over) = give_up(attempt, policy);
    if now >= end {
        return AttemptResult::Dead { reason: over.as_str() };
    }
    AttemptResult::Retry {
        // One attempt at the very end, rather than a wait beyond it.
        at: saturating_add(now, wait).min(end),
        hold_until: hold_until(attempt, policy),
        failures: attempt.failures + u32::from(!attempt.endpoint_fails),
        rejections,
    }
}

/// Returns how long the receiver asked to wait, within the policy's bounds.
#[must_use]
pub fn asked_wait(outcome: &Outcome, policy: &Policy) -> Option<Duration> {
    outcome.asked_wait().map(|asked| asked.clamp(policy.retry_after.0, policy.retry_after.1))
}

fn scheduled(policy: &Policy, failures: u32) -> Duration {
    let index = usize::try_from(failures).unwrap_or(usize::MAX);
    policy.schedule.get(index).copied().unwrap_or(policy.then_every)
}

/// Returns from when on a failed attempt is the last, and the reason. Every delivery gets one attempt, however late.
fn give_up(attempt: &Attempt, policy: &Policy) -> (Timestamp, FailureReason) {
    let expires = saturating_add(attempt.owed_at, policy.window);
    let held = hold_until(attempt, policy);
    if attempt.others_wait && !attempt.endpoint_fails && held < expires {
        (held, FailureReason::MaxHold)
    } else {
        (expires, FailureReason::Window)
    }
}

/// Returns when a delivery has to give way to those that wait behind it.
fn hold_until(attempt: &Attempt, policy: &Policy) -> Timestamp {
    saturating_add(attempt.tried_since, policy.max_hold)
}

fn spread(wait: Duration, share: f64, jitter: f64) -> Duration {
    wait.mul_f64((1.0 + share * jitter.clamp(-1.0, 1.0)).max(0.0))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::super::http::answer;
    use super::super::outcome::TransportFailure;
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn policy() -> Policy {
        Policy::new(72 * HOUR)
    }

    fn attempt(number: u32) -> Attempt {
        Attempt {
            failures: number - 1,
            rejections: 0,
            owed_at: at(0),
            tried_since: at(0),
            others_wait: false,
            endpoint_fails: false,
            is_suspect: false,
        }
    }

    fn answered(status: u16) -> Outcome {
        answer::outcome(status, None)
    }

    fn asking(status: u16, seconds: u64) -> Outcome {
        answer::outcome(status, Some(Duration::from_secs(seconds)))
    }

    /// A decision as the log and the metrics show it, with the reason that also a retry has there.
    #[derive(Debug, PartialEq)]
    enum Decided {
        Done,
        Retry { at: Timestamp, reason: FailureReason },
        Dead { reason: FailureReason },
        EndpointOff { reason: FailureReason },
    }

    fn decided(attempt: &Attempt, outcome: &Outcome, now: Timestamp, jitter: f64) -> Decided {
        let named = |name| FailureReason::ALL.into_iter().find(|reason| reason.as_str() == name).unwrap();
        match decide(attempt, outcome, &policy(), now, jitter) {
            AttemptResult::Done => Decided::Done,
            AttemptResult::Retry { at, .. } => Decided::Retry { at, reason: outcome.reason().unwrap() },
            AttemptResult::Dead { reason } => Decided::Dead { reason: named(reason) },
            AttemptResult::EndpointOff { reason } => Decided::EndpointOff { reason: named(reason) },
            AttemptResult::Release => unreachable!("an attempt was made"),
        }
    }

    #[test]
    fn every_status_has_its_decision() {
        let retry = |seconds, reason| Decided::Retry { at: at(seconds), reason };
        for (status, decision) in [
            (200, Decided::Done),
            (204, Decided::Done),
            (301, retry(5, FailureReason::Redirect)),
            (304, retry(5, FailureReason::Redirect)),
            (400, retry(30, FailureReason::Rejected)),
            (401, retry(5, FailureReason::Unauthorized)),
            (403, retry(5, FailureReason::Unauthorized)),
            (404, retry(30, FailureReason::Rejected)),
            (405, retry(30, FailureReason::Rejected)),
            (408, retry(5, FailureReason::UnexpectedStatus)),
            (410, Decided::EndpointOff { reason: FailureReason::Gone }),
            (413, retry(30, FailureReason::Rejected)),
            (415, retry(30, FailureReason::Rejected)),
            (418, retry(5, FailureReason::UnexpectedStatus)),
            (422, retry(30, FailureReason::Rejected)),
            (429, retry(5, FailureReason::Throttled)),
            (500, retry(5, FailureReason::ServerError)),
            (503, retry(5, FailureReason::Unavailable)),
            (599, retry(5, FailureReason::ServerError)),
            (700, retry(5, FailureReason::UnexpectedStatus)),
        ] {
            assert_eq!(decided(&attempt(1), &answered(status), at(0), 0.0), decision, "{status}");
        }
    }

    #[test]
    fn every_transport_failure_is_retried_and_an_unwritable_event_is_not() {
        for (failure, reason) in [
            (TransportFailure::Timeout, FailureReason::Timeout),
            (TransportFailure::Connect, FailureReason::Connect),
            (TransportFailure::Tls, FailureReason::Tls),
            (TransportFailure::Dns, FailureReason::Dns),
            (TransportFailure::RefusedAddress, FailureReason::RefusedAddress),
            (TransportFailure::OpenFiles, FailureReason::OpenFiles),
            (TransportFailure::AnswerTooLarge, FailureReason::BodyTooLarge),
            (TransportFailure::Interrupted, FailureReason::Interrupted),
        ] {
            let decision = decided(&attempt(1), &Outcome::TransportFailed(failure), at(0), 0.0);
            assert_eq!(decision, Decided::Retry { at: at(5), reason });
        }
        let decision = decided(&attempt(1), &Outcome::Unsendable, at(0), 0.0);
        assert_eq!(decision, Decided::Dead { reason: FailureReason::Unsendable });
    }

    #[test]
    fn retries_follow_the_schedule_and_the_last_one_is_at_the_end_of_the_window() {
        let mut now = 0;
        let mut waits = Vec::new();
        for number in 1.. {
            match decided(&attempt(number), &answered(500), at(now), 0.0) {
                Decided::Retry { at: next, .. } => {
                    waits.push(next.as_second() - now);
                    now = next.as_second();
                }
                decision => {
                    assert_eq!(decision, Decided::Dead { reason: FailureReason::Window });
                    break;
                }
            }
        }
        assert_eq!(waits[..11], [5, 30, 300, 1800, 7200, 18_000, 36_000, 43_200, 43_200, 43_200, 43_200]);
        assert_eq!((waits.len(), now), (12, 72 * 3600));
    }

    #[test]
    fn a_delivery_past_its_window_gets_one_attempt_and_no_second() {
        let old = Attempt { tried_since: at(100 * 3600), ..attempt(1) };
        let decision = decided(&old, &answered(500), at(100 * 3600), 0.0);
        assert_eq!(decision, Decided::Dead { reason: FailureReason::Window });
        assert_eq!(decided(&old, &answered(200), at(100 * 3600), 0.0), Decided::Done);
    }

    #[test]
    fn a_rejected_delivery_is_dead_after_three_attempts_in_ten_minutes() {
        for jitter in [-1.0, 0.0, 1.0] {
            let mut now = at(0);
            for rejections in 0..2 {
                let tried = Attempt { rejections, ..attempt(rejections + 1) };
                let Decided::Retry { at, reason } = decided(&tried, &answered(404), now, jitter) else {
                    unreachable!("two rejections do not end a delivery")
                };
                assert_eq!(reason, FailureReason::Rejected);
                now = at;
            }
            assert!(now <= at(600) && now >= at(300), "{now}");
            let last = Attempt { rejections: 2, ..attempt(3) };
            let decision = decided(&last, &answered(404), now, jitter);
            assert_eq!(decision, Decided::Dead { reason: FailureReason::Rejected });
        }
    }

    #[test]
    fn earlier_failures_of_another_kind_do_not_count_as_rejections() {
        let decision = decided(&attempt(9), &answered(404), at(100), 0.0);
        assert_eq!(decision, Decided::Retry { at: at(130), reason: FailureReason::Rejected });
    }

    #[test]
    fn retry_after_is_obeyed_within_bounds_and_only_for_429_and_503() {
        let wait = |outcome| asked_wait(&outcome, &policy()).map(|wait| wait.as_secs());
        assert_eq!(wait(asking(429, 100)), Some(100));
        assert_eq!(wait(asking(503, 1)), Some(1));
        assert_eq!(wait(asking(503, 0)), Some(1));
        assert_eq!(wait(asking(429, u64::MAX)), Some(43_200));
        assert_eq!(wait(asking(500, 100)), None);
        assert_eq!(wait(asking(404, 100)), None);
    }

    #[test]
    fn a_delivery_that_holds_others_back_gives_way_after_the_maximum_time() {
        let held = Attempt { others_wait: true, owed_at: at(-3600), ..attempt(6) };
        let decision = decided(&held, &answered(500), at(5 * 3600), 0.0);
        assert_eq!(decision, Decided::Retry { at: at(6 * 3600), reason: FailureReason::ServerError });
        let decision = decided(&held, &answered(500), at(6 * 3600), 0.0);
        assert_eq!(decision, Decided::Dead { reason: FailureReason::MaxHold });
        let alone = Attempt { others_wait: false, ..held };
        let decision = decided(&alone, &answered(500), at(6 * 3600), 0.0);
        assert_eq!(decision, Decided::Retry { at: at(11 * 3600), reason: FailureReason::ServerError });
    }

    #[test]
    fn the_endpoints_trouble_leaves_the_schedule_where_it_is_and_the_delivery_is_due_at_once() {
        for status in [404, 429, 500, 503] {
            let held = Attempt { rejections: 2, others_wait: true, endpoint_fails: true, ..attempt(3) };
            let now = at(71 * 3600);
            let retry = AttemptResult::Retry { at: now, hold_until: at(6 * 3600), failures: 2, rejections: 2 };
            assert_eq!(decide(&held, &answered(status), &policy(), now, 1.0), retry, "{status}");
            let decision = decided(&held, &answered(status), at(72 * 3600), 0.0);
            assert_eq!(decision, Decided::Dead { reason: FailureReason::Window });
        }
    }

    #[test]
    fn a_suspect_is_tried_again_in_a_moment_and_its_schedule_stays_where_it_is() {
        let suspect = Attempt { endpoint_fails: true, is_suspect: true, others_wait: true, ..attempt(3) };
        let retry = AttemptResult::Retry { at: at(105), hold_until: at(6 * 3600), failures: 2, rejections: 0 };
        assert_eq!(decide(&suspect, &answered(500), &policy(), at(100), 0.0), retry);
    }

    #[test]
    fn a_template_that_goes_to_a_chat_waits_no_longer_than_a_chat() {
        for (url, longest) in [
            ("https://discord.com/api/webhooks/1/x", LONGEST_CHAT_WAIT),
            ("https://prod-12.westeurope.logic.azure.com/workflows/x", LONGEST_CHAT_WAIT),
            ("https://notdiscord.com/", 12 * HOUR),
            ("https://discord.com.example.com/", 12 * HOUR),
        ] {
            let name = crate::model::EndpointName::parse("ops").unwrap();
            let settings = EndpointSettings::new(name, url.parse().unwrap());
            assert_eq!(Policy::of(&settings).retry_after.1, longest, "{url}");
        }
    }

    proptest! {
        #[test]
        fn a_retry_is_in_the_future_and_within_the_longest_wait(
            status in 100_u16..1000, number in 1_u32..100, now in 0_i64..300_000, asked in proptest::option::of(any::<u64>()),
            rejections in 0_u32..5, others_wait: bool, endpoint_fails: bool, jitter in -1.0..1.0,
        ) {
            let tried = Attempt { rejections, others_wait, endpoint_fails, ..attempt(number) };
            let outcome = answer::outcome(status, asked.map(Duration::from_secs));
            let policy = policy();
            if let AttemptResult::Retry { at: next, .. } = decide(&tried, &outcome, &policy, at(now), jitter) {
                prop_assert!(next > at(now) || (endpoint_fails && next == at(now)));
                prop_assert!(next <= saturating_add(at(now), policy.longest_wait()));
                prop_assert!(next <= at(72 * 3600));
            }
        }
    }
}
