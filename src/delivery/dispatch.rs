//! The dispatcher: the thin loop around [`super::step`].

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::change::{Change, Changes, Endpoints, Target};
use super::decide::{Policy, Verdict};
use super::format::{Message, Unwritable};
use super::metrics::WebhookMetrics;
use super::outcome::{Outcome, Reason};
use super::send::SenderError;
use super::settings::EndpointSettings;
use super::step::{Command, Core, Input, Note, Sent, Step, Turned};
use crate::backoff::Random;
use crate::clock::{Clock, Mono};
use crate::failpoints::{AbortFailpoint, AbortPoint};
use crate::heartbeat::{Pulse, TURN_EVERY};
use crate::model::EndpointName;
use crate::store::{Breaker, Claimed, CommitError, OutboxReply, Store};

/// How the dispatcher goes about it, beyond what each endpoint says.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long what is being sent may take to finish after the stop.
    pub grace: Duration,
    /// The policy of an endpoint.
    pub policy: fn(&EndpointSettings) -> Policy,
}

impl Default for Options {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), policy: Policy::of }
    }
}

/// Sends what the store owes, until it is stopped.
#[derive(Debug)]
pub struct Dispatcher {
    store: Store,
    clock: Clock,
    wake: Arc<Notify>,
    metrics: WebhookMetrics,
    core: Core,
    targets: BTreeMap<EndpointName, Target>,
    grace: Duration,
    abort: AbortFailpoint,
    pulse: Pulse,
    /// Kept, so that waiting for the next change never ends for want of somebody who could bring one.
    changes: Changes,
    changed: mpsc::Receiver<Change>,
}

type Exchange = Pin<Box<dyn Future<Output = Result<OutboxReply, CommitError>> + Send>>;

impl Dispatcher {
    /// A dispatcher for these endpoints. Whoever commits calls `wake` afterwards, and so does whoever switches an endpoint
    /// on.
    ///
    /// # Errors
    /// [`SenderError`] where no HTTP client can be made, or names are to be hidden and there is no key for it.
    pub fn new(
        endpoints: &[EndpointSettings],
        store: Store,
        clock: Clock,
        wake: Arc<Notify>,
        metrics: WebhookMetrics,
        random: Random,
        options: &Options,
    ) -> Result<Self, SenderError> {
        let Endpoints { targets, endpoints } = Endpoints::new(endpoints, clock, options.policy)?;
        let core = Core::new(endpoints, random);
        let (changes, changed) = Changes::new();
        let (grace, abort, pulse) = (options.grace, AbortFailpoint::default(), Pulse::default());
        Ok(Self { store, clock, wake, metrics, core, targets, grace, abort, pulse, changes, changed })
    }

    /// What hands it other endpoints while it runs.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.changes.clone()
    }

    /// The same, dying where a test wants it to.
    #[must_use]
    pub fn aborting_at(self, abort: AbortFailpoint) -> Self {
        Self { abort, ..self }
    }

    /// Beats at each turn of the loop.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Works until `stop`, then claims no more, lets what is being sent finish for at most the grace, records it, and
    /// returns.
    pub async fn run(mut self, stop: CancellationToken) {
        let wake = Arc::clone(&self.wake);
        let mut woken = pin!(wake.notified());
        // From here on no call is missed, whenever it comes.
        woken.as_mut().enable();
        let mut sends = Sends::default();
        let mut exchange: Option<Exchange> = None;
        let mut wake_at = Some(Mono::ZERO);
        let mut give_up_at: Option<Mono> = None;
        loop {
            let now = self.clock.now().mono;
            self.pulse.beat(now);
            // With nothing to do it turns all the same, so that it can be told from one that hangs.
            let turn_at = wake_at.unwrap_or(Mono::MAX).min(now + TURN_EVERY);
            let input = tokio::select! {
                () = woken.as_mut() => {
                    woken.set(wake.notified());
                    woken.as_mut().enable();
                    Input::Woken
                }
                reply = answer(&mut exchange) => {
                    exchange = None;
                    reply.map_or_else(|error| {
                        // The store says once what is wrong with it; this happens again and again.
                        tracing::debug!(reason = error.reason(), "the outbox could not be written: {error}");
                        Input::ExchangeFailed
                    }, Input::Exchanged)
                }
                Some(sent) = sends.next() => {
                    if sent.reply.outcome.status().is_some() {
                        self.abort.hit(AbortPoint::Answered);
                    }
                    Input::Sent(sent)
                }
                Some(change) = self.changed.recv() => self.take_over(change),
                () = until(Some(turn_at), now) => Input::Tick,
                () = until(give_up_at, now), if give_up_at.is_some() => {
                    give_up_at = None;
                    sends.tasks.abort_all();
                    Input::Abandon
                }
                () = stop.cancelled(), if !self.core.is_stopping() => {
                    give_up_at = Some(now + self.grace);
                    Input::Stop
                }
            };
            let Step { commands, wake_at: next, finished } = self.core.step(self.clock.now(), input);
            wake_at = next;
            for command in commands {
                match command {
                    Command::Exchange(request) => {
                        let (store, now) = (self.store.clone(), self.clock.now().wall);
                        exchange = Some(Box::pin(async move { store.exchange(request, now).await }));
                    }
                    Command::Send { endpoint, claimed } => {
                        if let Some(target) = self.targets.get(&endpoint) {
                            sends.begin(target.clone(), endpoint, *claimed, self.clock);
                        }
                    }
                    Command::Note(note) => self.note(&note),
                    Command::Turned(turned) => self.turned(&turned),
                    Command::Left(endpoint) => self.metrics.forget(&endpoint),
                }
            }
            if finished {
                return;
            }
        }
    }

    fn take_over(&mut self, change: Change) -> Input {
        let Change { endpoints: Endpoints { targets, endpoints }, done } = change;
        endpoints.iter().for_each(|endpoint| self.metrics.expect(&endpoint.name));
        self.targets = targets;
        // Whoever waited for this and no longer does has no use for the answer.
        let _gone = done.send(());
        Input::Reconfigured(endpoints)
    }

    fn note(&self, note: &Note) {
        self.metrics.attempted(&note.endpoint, note.took, note.events, note.outcome.reason());
        let (endpoint, delivery, attempt) = (note.endpoint.as_str(), note.delivery.0, note.attempt);
        let failure = note.outcome.reason().map_or("", Reason::as_str);
        match note.verdict {
            Verdict::Done => tracing::debug!(endpoint, delivery, attempt, "delivered"),
            Verdict::Retry { at, reason } => {
                tracing::info!(endpoint, delivery, attempt, reason = reason.as_str(), retry_at = %at, "a delivery failed and is tried again");
            }
            Verdict::Dead { reason } => {
                self.metrics.gave_up(&note.endpoint, reason, note.events);
                tracing::warn!(
                    endpoint,
                    delivery,
                    attempt,
                    reason = reason.as_str(),
                    failure,
                    "a delivery is given up"
                );
            }
            Verdict::EndpointOff { reason } => {
                tracing::warn!(
                    endpoint,
                    delivery,
                    attempt,
                    reason = reason.as_str(),
                    "the endpoint said it wants nothing any more and is switched off; what it is owed stays owed until it is switched on again"
                );
            }
        }
    }
}

impl Dispatcher {
    fn turned(&self, turned: &Turned) {
        match turned {
            Turned::Breaker { endpoint, breaker: Breaker::Open { probe_at, .. } } => tracing::warn!(
                endpoint = endpoint.as_str(),
                probe_at = %probe_at,
                "the endpoint is in trouble as a whole: one delivery at a time finds out when that is over, all others wait"
            ),
            Turned::Breaker { endpoint, breaker: Breaker::Draining } => {
                tracing::info!(endpoint = endpoint.as_str(), "the endpoint is well again and gets what has gathered");
            }
            Turned::Breaker { endpoint, breaker: Breaker::Closed } => {
                tracing::info!(endpoint = endpoint.as_str(), "the endpoint counts as well again");
            }
            Turned::Skipped { endpoint, expired, buried } => {
                self.metrics.gave_up(endpoint, Reason::Window, *buried);
                tracing::warn!(
                    endpoint = endpoint.as_str(),
                    expired,
                    given_up = buried,
                    "deliveries were too old for the endpoint, or were given up because their window is over"
                );
            }
        }
    }
}

/// The attempts under way, a task each.
#[derive(Debug, Default)]
struct Sends {
    tasks: JoinSet<Sent>,
    /// What came of each if its task breaks off.
    broken: HashMap<tokio::task::Id, Sent>,
}

impl Sends {
    fn begin(&mut self, target: Target, endpoint: EndpointName, claimed: Claimed, clock: Clock) {
        let broken = Sent {
            endpoint: endpoint.clone(),
            delivery: claimed.delivery,
            began_at: clock.now().wall,
            took: Duration::ZERO,
            reply: Outcome::Failed { reason: Reason::Interrupted, status: None }.into(),
        };
        let task = self.tasks.spawn(attempt(target, endpoint, claimed, clock));
        self.broken.insert(task.id(), broken);
    }

    /// The next attempt that ends, in whatever way; `None` when there is none.
    async fn next(&mut self) -> Option<Sent> {
        let ended = self.tasks.join_next_with_id().await?;
        let (id, sent) = ended.map_or_else(|error| (error.id(), None), |(id, sent)| (id, Some(sent)));
        let broken = self.broken.remove(&id);
        sent.or(broken)
    }
}

/// Waits for the exchange that is under way, or for ever.
async fn answer(exchange: &mut Option<Exchange>) -> Result<OutboxReply, CommitError> {
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

async fn attempt(target: Target, endpoint: EndpointName, claimed: Claimed, clock: Clock) -> Sent {
    let began = clock.now();
    let reply = match target.writer.message(&claimed) {
        Ok(Message { id, body }) => target.sender.send(&id, claimed.previous.as_ref(), body).await,
        // Claimed for what the endpoint is about to become: it is tried again when it has.
        Err(Unwritable::NoBatches) => Outcome::Failed { reason: Reason::Interrupted, status: None }.into(),
        Err(_) => Outcome::Failed { reason: Reason::Unsendable, status: None }.into(),
    };
    let took = clock.now().mono.saturating_sub(began.mono);
    Sent { endpoint, delivery: claimed.delivery, began_at: began.wall, took, reply }
}
