//! What attempts have shown about an endpoint: how much it takes, whether it is in trouble as a whole, whose fault failures
//! are, and what of it was reported. Pure.

use std::time::Duration;

use super::breaker::{Breaker, Failed};
use super::decide;
use super::endpoint::Endpoint;
use super::fault::{Blame, Evidence, JudgedFailure};
use super::outcome::Outcome;
use super::pace::{Pace, PaceLimits};
use super::ready::RunKey;
use super::reason::FailureReason;
use super::report::{EndpointReport, PaceReport};
use super::told::Told;
use crate::clock::{Mono, Now};
use crate::store::{DeliveryId, LaneId, StoredBreaker};

/// An endpoint that accepted something in this time is not left alone for longer, whatever it asks for.
const LONGEST_WHILE_WELL: Duration = Duration::from_secs(600);

/// The health of one endpoint.
#[derive(Debug)]
pub(super) struct EndpointHealth {
    pub(super) breaker: Breaker,
    pub(super) pace: Pace,
    pub(super) told: Told,
    evidence: Evidence,
}

/// An attempt that ended.
#[derive(Debug)]
pub(super) struct EndedAttempt<'a> {
    pub(super) delivery: DeliveryId,
    pub(super) run: RunKey,
    pub(super) lane: LaneId,
    pub(super) outcome: &'a Outcome,
    pub(super) began: Mono,
    /// How many of the delivery's failures before were its own.
    pub(super) own_failures: u32,
}

/// What an attempt showed about the endpoint.
#[derive(Debug)]
pub(super) struct Learned {
    /// Whether the breaker was open before the attempt ended.
    pub(super) was_open: bool,
    /// Whether the attempt failed because of the endpoint.
    pub(super) endpoint_fails: bool,
    /// Whether the delivery may be at fault all the same.
    pub(super) is_suspect: bool,
    /// Whether the failure belongs to a trouble that was reported before.
    pub(super) goes_on: bool,
    pub(super) reports: Vec<EndpointReport>,
}

impl EndpointHealth {
    /// Returns the health of an endpoint of which nothing is known.
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        Self {
            breaker: Breaker::default(),
            pace: Pace::new(limits(endpoint, StoredBreaker::Closed), Mono::ZERO),
            told: Told::default(),
            evidence: Evidence::default(),
        }
    }

    pub(super) fn pace_report(&self) -> PaceReport {
        PaceReport { per_second: self.pace.learned(), at_once: self.pace.window() }
    }

    /// Bounds the pace as the settings and the breaker ask.
    pub(super) fn limit_pace(&mut self, endpoint: &Endpoint) {
        self.pace.set_limits(limits(endpoint, self.breaker.state()));
    }

    /// Learns from an attempt how the endpoint is.
    pub(super) fn learn(&mut self, endpoint: &Endpoint, attempt: &EndedAttempt<'_>, now: Now, jitter: f64) -> Learned {
        let outcome = attempt.outcome;
        let was_open = self.breaker.is_open();
        let Some(reason) = outcome.reason() else {
            self.evidence.accepted(attempt.delivery, attempt.run, now.mono);
            let has_closed = self.breaker.succeeded(now.mono);
            if has_closed {
                self.pace.recovered(now.mono);
            } else {
                self.pace.accepted(attempt.began, now.mono);
            }
            let reports = self.tell(endpoint, has_closed, None, now.mono);
            return Learned { was_open, endpoint_fails: false, is_suspect: false, goes_on: false, reports };
        };
        let failure = JudgedFailure {
            delivery: attempt.delivery,
            run: attempt.run,
            lane: attempt.lane,
            outcome,
            began: attempt.began,
            own_failures: attempt.own_failures,
            breaker_is_open: was_open,
        };
        let blame = self.evidence.failed(&failure, now.mono);
        let endpoint_fails = blame != Blame::Delivery;
        let asked = self.asked_wait(endpoint, outcome, now.mono);
        let refuses = self.is_refusal(outcome, now.mono);
        let is_told = was_open || self.pace.is_failing() || (refuses && self.pace.learned().is_some());
        let is_busy = matches!(outcome, Outcome::Busy { .. } | Outcome::Unavailable { .. });
        let goes_on = endpoint_fails && blame != Blame::Suspect && (is_busy || is_told);
        if !was_open {
            let (began, now) = (attempt.began, now.mono);
            match blame {
                // It is tried again beside the others, which need not wait for it.
                Blame::Suspect if asked.is_none() => {}
                Blame::Suspect | Blame::Doubtful if refuses => self.pace.refused_again(asked, began, now, jitter),
                Blame::Endpoint if refuses => self.pace.refused(asked, began, now, jitter),
                Blame::Endpoint | Blame::Doubtful | Blame::Suspect => self.pace.failed(began, now, jitter),
                Blame::Delivery => {}
            }
        }
        // A delivery's own failure shows nothing about the endpoint, but several that are not found may.
        if endpoint_fails || was_open || *outcome == Outcome::NotFound {
            let capacity = self.pace.learned();
            let failed = Failed { lane: attempt.lane, outcome, began: attempt.began, asked, capacity, jitter };
            self.breaker.failed(&failed, now);
        }
        let reports = self.tell(endpoint, self.breaker.is_open(), Some(reason), now.mono);
        Learned { was_open, endpoint_fails, is_suspect: blame == Blame::Suspect, goes_on, reports }
    }

    /// Returns how long the endpoint asked to wait. One that was well a moment ago may have meant milliseconds, or only this
    /// delivery: it is tried again soon, and may then ask again.
    fn asked_wait(&self, endpoint: &Endpoint, outcome: &Outcome, now: Mono) -> Option<Duration> {
        let asked = decide::asked_wait(outcome, &endpoint.policy)?;
        let accepted = self.pace.accepted_at();
        let was_well = accepted.is_some_and(|accepted| now.saturating_sub(accepted) < LONGEST_WHILE_WELL);
        Some(if was_well { asked.min(LONGEST_WHILE_WELL) } else { asked })
    }

    /// Returns whether a failure means that the endpoint is busy. Some say so with any error, even without an answer: as long
    /// as others are accepted, each counts.
    fn is_refusal(&self, outcome: &Outcome, now: Mono) -> bool {
        match outcome {
            Outcome::Busy { .. } | Outcome::Unavailable { .. } | Outcome::BodyFailed => true,
            outcome => !outcome.is_of_the_endpoint() && self.pace.is_alive(now),
        }
    }

    /// Returns what is to be told of the endpoint after an attempt.
    fn tell(
        &mut self,
        endpoint: &Endpoint,
        breaker: bool,
        reason: Option<FailureReason>,
        now: Mono,
    ) -> Vec<EndpointReport> {
        self.limit_pace(endpoint);
        let (name, state) = (&endpoint.name, self.breaker.state());
        let trouble = if breaker { self.told.breaker(name, state, reason, now) } else { None };
        trouble.into_iter().chain(self.told.limit(name, self.pace.learned())).collect()
    }
}

/// Returns the bounds of an endpoint's pace; those of a backlog are narrower.
fn limits(endpoint: &Endpoint, breaker: StoredBreaker) -> PaceLimits {
    let drain = (breaker == StoredBreaker::Draining).then_some(endpoint.drain_per_second.max(0.01));
    PaceLimits {
        concurrency: endpoint.concurrency,
        rate: [endpoint.rate, drain].into_iter().flatten().reduce(f64::min),
        longest_pause: endpoint.policy.retry_after.1,
    }
}
