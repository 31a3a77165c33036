//! The dispatcher: the loop around [`super::step`]. It waits for wake-ups, replies of the store and finished attempts, feeds them
//! to the core, and carries out the commands.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::decide::Policy;
use super::format::Unwritable;
use super::http::send::SenderError;
use super::learned_limits::LearnedLimits;
use super::message::Message;
use super::metrics::WebhookMetrics;
use super::outcome::{Outcome, TransportFailure};
use super::reason::FailureReason;
use super::reconfigure::{EndpointLink, EndpointSet, ReconfigureHandle, Replacement};
use super::report::{AttemptReport, EndpointReport, FinishedAttempt};
use super::settings::EndpointSettings;
use super::step::{Core, DispatchCommand, DispatchInput, Step};
use crate::backoff::Random;
use crate::clock::{Clock, Mono};
use crate::failpoints::{AbortFailpoint, AbortPoint};
use crate::heartbeat::{BEAT_INTERVAL, Heartbeat};
use crate::model::EndpointName;
use crate::store::{AttemptResult, Claimed, OutboxReply, Store, StoredBreaker, WriteError};

/// The options of the dispatcher, beside the settings of each endpoint.
#[derive(Debug, Clone)]
pub struct DispatcherOptions {
    /// How long attempts in flight may take to finish after the stop.
    pub grace: Duration,
    /// Returns the policy of an endpoint.
    pub policy: fn(&EndpointSettings) -> Policy,
}

impl Default for DispatcherOptions {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), policy: Policy::of }
    }
}

/// Sends the pending deliveries of the store until it is stopped.
#[derive(Debug)]
pub struct Dispatcher {
    store: Store,
    clock: Clock,
    metrics: WebhookMetrics,
    limits: LearnedLimits,
    core: Core,
    links: BTreeMap<EndpointName, EndpointLink>,
    grace: Duration,
    abort: AbortFailpoint,
    heartbeat: Heartbeat,
    /// Kept, so that the channel stays open while no other handle exists.
    reconfigure: ReconfigureHandle,
    replacements: mpsc::Receiver<Replacement>,
}

type Exchange = Pin<Box<dyn Future<Output = Result<OutboxReply, WriteError>> + Send>>;

impl Dispatcher {
    /// Makes a dispatcher for these endpoints. It follows [`Store::progress`], so it learns of commits and admin changes by
    /// itself.
    ///
    /// # Errors
    /// [`SenderError`] if an HTTP client cannot be set up, or names are to be replaced and there is no key.
    pub fn new(
        endpoints: &[EndpointSettings],
        store: Store,
        clock: Clock,
        metrics: WebhookMetrics,
        random: Random,
        options: &DispatcherOptions,
    ) -> Result<Self, SenderError> {
        let EndpointSet { links, endpoints } = EndpointSet::new(endpoints, clock, options.policy)?;
        let core = Core::new(endpoints, random);
        let (reconfigure, replacements) = ReconfigureHandle::new();
        let (grace, abort, heartbeat) = (options.grace, AbortFailpoint::default(), Heartbeat::default());
        let limits = LearnedLimits::default();
        Ok(Self { store, clock, metrics, limits, core, links, grace, abort, heartbeat, reconfigure, replacements })
    }

    /// Returns a handle that replaces the endpoints while the dispatcher runs.
    #[must_use]
    pub fn reconfigure_handle(&self) -> ReconfigureHandle {
        self.reconfigure.clone()
    }

    /// Returns the limits that the dispatcher learns.
    #[must_use]
    pub fn limits(&self) -> LearnedLimits {
        self.limits.clone()
    }

    /// Makes the dispatcher abort the process at the given failpoint.
    #[must_use]
    pub fn aborting_at(self, abort: AbortFailpoint) -> Self {
        Self { abort, ..self }
    }

    /// Returns the heartbeat, which beats at each turn of the loop.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }

    /// Runs until `stop`. Then it claims no more, gives attempts in flight the grace period to finish, records them and returns.
    pub async fn run(mut self, stop: CancellationToken) {
        // The first turn looks for due deliveries; from here on no change is missed.
        let mut progress = self.store.progress();
        progress.mark_unchanged();
        let mut admin_changes = progress.borrow().admin_changes;
        let mut attempts = Attempts::default();
        let mut exchange: Option<Exchange> = None;
        let mut wake_at = Some(Mono::ZERO);
        let mut give_up_at: Option<Mono> = None;
        loop {
            let now = self.clock.now().mono;
            self.heartbeat.beat(now);
            // The loop turns even when it is idle, so that its heartbeat shows that it does not hang.
            let turn_at = wake_at.unwrap_or(Mono::MAX).min(now + BEAT_INTERVAL);
            let input = tokio::select! {
                // Disabled once the writer has ended.
                Ok(()) = progress.changed() => {
                    let before = std::mem::replace(&mut admin_changes, progress.borrow_and_update().admin_changes);
                    if admin_changes == before { DispatchInput::Woken } else { DispatchInput::AdminChanged }
                }
                reply = exchanged(&mut exchange) => {
                    exchange = None;
                    reply.map_or_else(|error| {
                        // Debug, because it repeats: the store logs its failure once.
                        tracing::debug!(reason = error.reason(), "the outbox could not be written: {error}");
                        DispatchInput::ExchangeFailed
                    }, DispatchInput::Exchanged)
                }
                Some(finished) = attempts.next() => {
                    if finished.reply.status.is_some() {
                        self.abort.hit(AbortPoint::Answered);
                    }
                    DispatchInput::Finished(finished)
                }
                Some(replacement) = self.replacements.recv() => self.replace_endpoints(replacement),
                () = until(Some(turn_at), now) => DispatchInput::Tick,
                () = until(give_up_at, now), if give_up_at.is_some() => {
                    give_up_at = None;
                    attempts.tasks.abort_all();
                    DispatchInput::Abandon
                }
                () = stop.cancelled(), if !self.core.is_stopping() => {
                    give_up_at = Some(now + self.grace);
                    DispatchInput::Stop
                }
            };
            let Step { commands, wake_at: next, finished } = self.core.step(self.clock.now(), input);
            wake_at = next;
            for command in commands {
                match command {
                    DispatchCommand::Exchange(request) => {
                        let (store, now) = (self.store.clone(), self.clock.now().wall);
                        exchange = Some(Box::pin(async move { store.exchange(request, now).await }));
                    }
                    DispatchCommand::Send { endpoint, claimed } => {
                        if let Some(link) = self.links.get(&endpoint) {
                            attempts.begin(link.clone(), endpoint, *claimed, self.clock);
                        }
                    }
                    DispatchCommand::ReportAttempt(report) => self.report_attempt(&report),
                    DispatchCommand::ReportEndpoint(report) => self.report_endpoint(&report),
                    DispatchCommand::Forget(endpoint) => {
                        self.metrics.remove(&endpoint);
                        self.limits.set(&endpoint, None);
                    }
                }
            }
            if finished {
                return;
            }
        }
    }

    fn replace_endpoints(&mut self, replacement: Replacement) -> DispatchInput {
        let Replacement { endpoints: EndpointSet { links, endpoints }, done } = replacement;
        endpoints.iter().for_each(|endpoint| self.metrics.add(&endpoint.name));
        self.links = links;
        // The caller may have gone; ignore the send error.
        let _gone = done.send(());
        DispatchInput::Reconfigured(endpoints)
    }

    fn report_attempt(&self, report: &AttemptReport) {
        self.metrics.attempted(&report.endpoint, report.took, report.events, report.outcome.reason());
        self.metrics.paced(&report.endpoint, report.pace);
        self.limits.set(&report.endpoint, report.pace.per_second);
        let (endpoint, delivery, attempt) = (report.endpoint.as_str(), report.delivery.0, report.attempt);
        let failure = report.outcome.reason().map_or("", FailureReason::as_str);
        match &report.result {
            AttemptResult::Done => tracing::debug!(endpoint, delivery, attempt, "delivered"),
            // The endpoint's state was already logged; a repeated failure is debug.
            AttemptResult::Retry { .. } if report.goes_on => {
                tracing::debug!(
                    endpoint,
                    delivery,
                    attempt,
                    reason = failure,
                    "delivery put off; the endpoint's pace says when it is sent"
                );
            }
            AttemptResult::Retry { at, .. } => {
                tracing::info!(endpoint, delivery, attempt, reason = failure, retry_at = %at, "delivery failed; it is retried");
            }
            AttemptResult::Dead { reason } => {
                self.metrics.gave_up(&report.endpoint, reason, report.events);
                tracing::warn!(
                    endpoint,
                    delivery,
                    attempt,
                    reason,
                    failure,
                    "delivery given up; it is kept as dead and can be replayed"
                );
            }
            AttemptResult::EndpointOff { reason } => {
                tracing::warn!(
                    endpoint,
                    delivery,
                    attempt,
                    reason,
                    "the endpoint answered that it is gone and was switched off; its deliveries are kept until it is switched on again"
                );
            }
            // Nothing was attempted.
            AttemptResult::Release => {}
        }
    }

    fn report_endpoint(&self, report: &EndpointReport) {
        match report {
            EndpointReport::Breaker { endpoint, breaker: StoredBreaker::Open { probe_at, .. }, reason } => {
                tracing::warn!(
                    endpoint = endpoint.as_str(),
                    reason = reason.map_or("", FailureReason::as_str),
                    probe_at = %probe_at,
                    "the endpoint keeps failing and its breaker is open: one delivery at a time probes it, all others wait"
                );
            }
            EndpointReport::Breaker { endpoint, breaker: StoredBreaker::Draining, .. } => {
                tracing::info!(
                    endpoint = endpoint.as_str(),
                    "the endpoint accepts deliveries again; its backlog is being sent"
                );
            }
            EndpointReport::Breaker { endpoint, breaker: StoredBreaker::Closed, .. } => {
                tracing::info!(
                    endpoint = endpoint.as_str(),
                    "the breaker of the endpoint was closed; deliveries go out as usual"
                );
            }
            EndpointReport::Limited { endpoint, per_second: Some(per_second) } => tracing::warn!(
                endpoint = endpoint.as_str(),
                per_second = format!("{per_second:.3}"),
                "the endpoint refuses some deliveries because it is busy: it accepts about `per_second`, and deliveries slow \
                 down to that; if it should take more, raise its limit"
            ),
            EndpointReport::Limited { endpoint, per_second: None } => {
                tracing::info!(
                    endpoint = endpoint.as_str(),
                    "the endpoint takes deliveries as fast as they come again"
                );
            }
            EndpointReport::Skipped { endpoint, expired, given_up } => {
                self.metrics.gave_up(endpoint, FailureReason::Window.as_str(), *given_up);
                tracing::warn!(
                    endpoint = endpoint.as_str(),
                    expired,
                    given_up,
                    "deliveries were not sent: older than `max_age` (expired), or past their window while the endpoint failed (given_up)"
                );
            }
        }
    }
}

/// The attempts in flight, a task each.
#[derive(Debug, Default)]
struct Attempts {
    tasks: JoinSet<FinishedAttempt>,
    /// The result of each attempt in case its task is aborted or panics.
    interrupted: HashMap<tokio::task::Id, FinishedAttempt>,
}

impl Attempts {
    fn begin(&mut self, link: EndpointLink, endpoint: EndpointName, claimed: Claimed, clock: Clock) {
        let interrupted = FinishedAttempt {
            endpoint: endpoint.clone(),
            delivery: claimed.delivery,
            began_at: clock.now().wall,
            took: Duration::ZERO,
            reply: Outcome::TransportFailed(TransportFailure::Interrupted).into(),
        };
        let task = self.tasks.spawn(attempt(link, endpoint, claimed, clock));
        self.interrupted.insert(task.id(), interrupted);
    }

    /// Waits for the next attempt that ends in any way; `None` if there is none. Cancel-safe.
    async fn next(&mut self) -> Option<FinishedAttempt> {
        let ended = self.tasks.join_next_with_id().await?;
        let (id, finished) = ended.map_or_else(|error| (error.id(), None), |(id, finished)| (id, Some(finished)));
        let interrupted = self.interrupted.remove(&id);
        finished.or(interrupted)
    }
}

/// Waits for the exchange in flight, or for ever if there is none. Cancel-safe.
async fn exchanged(exchange: &mut Option<Exchange>) -> Result<OutboxReply, WriteError> {
    match exchange {
        Some(exchange) => exchange.await,
        None => std::future::pending().await,
    }
}

/// Waits until a time, or for ever.
async fn until(at: Option<Mono>, now: Mono) {
    match at {
        Some(at) => tokio::time::sleep(at.saturating_sub(now)).await,
        None => std::future::pending().await,
    }
}

async fn attempt(link: EndpointLink, endpoint: EndpointName, claimed: Claimed, clock: Clock) -> FinishedAttempt {
    let began = clock.now();
    let reply = match link.writer.message(&claimed) {
        Ok(Message { id, previous, body }) => link.sender.send(&id, previous.as_ref(), body).await,
        // A batch was claimed just before the endpoint's format changed: it is retried under the new settings.
        Err(Unwritable::NoBatches) => Outcome::TransportFailed(TransportFailure::Interrupted).into(),
        Err(_) => Outcome::Unsendable.into(),
    };
    let took = clock.now().mono.saturating_sub(began.mono);
    FinishedAttempt { endpoint, delivery: claimed.delivery, began_at: began.wall, took, reply }
}
