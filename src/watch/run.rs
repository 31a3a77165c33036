//! The thin loop around the schedule: does what it says, and tells it what came of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::scheduler::{Command, Input, Key, Revision, Scheduler};
use crate::clock::Clock;
use crate::failpoints::HangFailpoint;
use crate::heartbeat::{Pulse, TURN_EVERY};
use crate::meet::{ReadError, Reader, Reason};
use crate::store::{CommitError, Store};

/// How long a commit that is under way at the stop is waited for.
const LAST_COMMITS: Duration = Duration::from_secs(5);

/// What the loop works with.
#[derive(Debug)]
pub struct Parts<R> {
    pub reader: Arc<R>,
    pub store: Store,
    pub clock: Clock,
    /// Rung after each commit that may have made deliveries due.
    pub bell: Arc<Notify>,
    pub metrics: Metrics,
    /// Beats at each turn.
    pub pulse: Pulse,
    /// Where a test lets the loop hang.
    pub hang: HangFailpoint,
}

/// Hands another configuration to a loop that runs.
#[derive(Debug)]
pub struct Changes<R>(mpsc::Sender<Change<R>>);

/// Another configuration for the loop.
#[derive(Debug)]
pub struct Change<R> {
    reader: Arc<R>,
    revision: Box<Revision>,
    done: oneshot::Sender<()>,
}

/// The two ends on which changes go to a loop.
#[must_use]
pub fn changes<R>() -> (Changes<R>, mpsc::Receiver<Change<R>>) {
    let (sender, receiver) = mpsc::channel(1);
    (Changes(sender), receiver)
}

impl<R: Reader> Changes<R> {
    /// Reads with this reader and for this configuration from now on; what is under way is finished by the old reader.
    /// Returns whether the loop has taken over: it does so at once unless it has ended.
    pub async fn take_over(&self, reader: Arc<R>, revision: Revision) -> bool {
        let (done, taken) = oneshot::channel();
        let change = Change { reader, revision: Box::new(revision), done };
        self.0.send(change).await.is_ok() && taken.await.is_ok()
    }
}

/// Watches until `stop`. Then no new read begins, reads under way are dropped, and commits under way are waited for,
/// within a bound.
pub async fn run<R: Reader>(
    mut scheduler: Scheduler,
    mut parts: Parts<R>,
    mut changes: mpsc::Receiver<Change<R>>,
    stop: CancellationToken,
) {
    let mut reads = Tasks::default();
    let mut commits = Tasks::default();
    let mut input = Input::Tick;
    loop {
        parts.hang.hit().await;
        parts.pulse.beat(parts.clock.now().mono);
        for command in scheduler.step(parts.clock.now(), input) {
            start(command, &parts, &mut reads, &mut commits);
        }
        let now = parts.clock.now().mono;
        let sleep = scheduler.next_wake().map_or(TURN_EVERY, |at| at.saturating_sub(now)).min(TURN_EVERY);
        input = tokio::select! {
            () = stop.cancelled() => break,
            Some(done) = commits.next() => done,
            Some(done) = reads.next() => done,
            Some(Change { reader, revision, done }) = changes.recv() => {
                parts.reader = reader;
                // Whoever waited for this and no longer does has no use for the answer.
                let _gone = done.send(());
                Input::Reconfigured(revision)
            }
            () = tokio::time::sleep(sleep) => Input::Tick,
        };
    }
    drop(reads);
    let drained = tokio::time::timeout(LAST_COMMITS, async { while commits.next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!("a commit was still under way at the stop; what it held is read again at the next start");
    }
}

fn start<R: Reader>(command: Command, parts: &Parts<R>, reads: &mut Tasks, commits: &mut Tasks) {
    match command {
        Command::Read { key, identity, priority, read } => {
            let (reader, clock, duration) = (parts.reader.clone(), parts.clock, parts.metrics.poll_duration.clone());
            reads.spawn(key.clone(), Kind::Read, async move {
                let begun = clock.now().mono;
                let result = reader.read(&identity, priority, &read).await;
                if matches!(key, Key::Conference(_)) {
                    duration.observe(clock.now().mono.saturating_sub(begun).as_secs_f64());
                }
                Input::Answered(key, result)
            });
        }
        Command::Commit { key, commit } => {
            let (store, bell, now) = (parts.store.clone(), parts.bell.clone(), parts.clock.now().wall);
            let rings = !commit.events.is_empty();
            commits.spawn(key.clone(), Kind::Commit, async move {
                match store.commit(*commit, now).await {
                    Ok(()) => {
                        if rings {
                            bell.notify_one();
                        }
                        Input::Committed(key, true)
                    }
                    Err(error @ (CommitError::Duplicate(_) | CommitError::Invariant(_))) => {
                        tracing::error!(of = %key, %error, "what is known is taken from the store again");
                        recall(&store, key).await
                    }
                    Err(error) => {
                        // The store says once what is wrong with it; this happens at every poll.
                        tracing::debug!(%error, "a commit failed; what it held is read again");
                        Input::Committed(key, false)
                    }
                }
            });
        }
    }
}

/// What the store knows of it, since what the schedule knows contradicts that.
async fn recall(store: &Store, key: Key) -> Input {
    let Key::Conference(name) = &key else { return Input::Contradicted(key, None) };
    match store.load_unfinished().await {
        Ok(all) => {
            let stored = all.into_iter().find(|stored| stored.conference.name == *name);
            Input::Contradicted(key, stored.map(Box::new))
        }
        Err(_) => Input::Committed(key, false),
    }
}

/// Tasks under way, each with the key whose turn it is, so that even one that dies gives its turn back.
#[derive(Default)]
struct Tasks {
    set: JoinSet<Input>,
    keys: HashMap<Id, (Key, Kind)>,
}

/// What a task does: what a dead one is told as.
#[derive(Clone, Copy)]
enum Kind {
    Read,
    Commit,
}

impl Tasks {
    fn spawn(&mut self, key: Key, kind: Kind, task: impl Future<Output = Input> + Send + 'static) {
        let handle = self.set.spawn(task);
        self.keys.insert(handle.id(), (key, kind));
    }

    async fn next(&mut self) -> Option<Input> {
        match self.set.join_next_with_id().await? {
            Ok((id, input)) => {
                self.keys.remove(&id);
                Some(input)
            }
            Err(error) => Some(self.died(&error)),
        }
    }

    fn died(&mut self, error: &JoinError) -> Input {
        tracing::error!("a task died; this is a defect, please report it");
        match self.keys.remove(&error.id()) {
            Some((key, Kind::Commit)) => Input::Committed(key, false),
            Some((key, Kind::Read)) => Input::Answered(
                key,
                Err(ReadError {
                    reason: Reason::Malformed,
                    attempted: "read",
                    detail: "the task that did it died".to_owned(),
                    remedy: "please report this as a defect",
                    retry_after: None,
                }),
            ),
            None => Input::Tick,
        }
    }
}
