//! The loop that drives the schedule: it makes the reads and commits that the schedule wants, and feeds it with the
//! results.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::metrics::WatchMetrics;
use super::scheduler::{Revision, Scheduler, SchedulerCommand, SchedulerInput, WorkKey};
use crate::clock::Clock;
use crate::failpoints::HangFailpoint;
use crate::heartbeat::{BEAT_INTERVAL, Heartbeat};
use crate::meet::{ReadError, Reader, Reason};
use crate::store::{Commit, Store, WriteError};

/// How long commits under way are waited for at the stop.
const LAST_COMMITS: Duration = Duration::from_secs(5);

/// What the loop works with.
#[derive(Debug)]
pub struct WatchParts<R> {
    pub reader: Arc<R>,
    pub store: Store,
    pub clock: Clock,
    pub metrics: WatchMetrics,
    /// Beats at each turn.
    pub heartbeat: Heartbeat,
    /// A failpoint at which a test makes the loop hang.
    pub hang: HangFailpoint,
}

/// Hands another configuration to the running loop.
#[derive(Debug)]
pub struct ReconfigureSender<R>(mpsc::Sender<ReconfigureRequest<R>>);

/// Another configuration for the loop, and where to report that it was taken over.
#[derive(Debug)]
pub struct ReconfigureRequest<R> {
    reader: Arc<R>,
    revision: Box<Revision>,
    done: oneshot::Sender<()>,
}

/// Creates the channel on which the loop gets another configuration.
#[must_use]
pub fn reconfigure_channel<R>() -> (ReconfigureSender<R>, mpsc::Receiver<ReconfigureRequest<R>>) {
    let (sender, receiver) = mpsc::channel(1);
    (ReconfigureSender(sender), receiver)
}

impl<R: Reader> ReconfigureSender<R> {
    /// Makes the loop use this reader and this configuration. Reads under way are finished by the old reader. Returns
    /// whether the loop took over, which it does at once unless it has ended.
    pub async fn take_over(&self, reader: Arc<R>, revision: Revision) -> bool {
        let (done, taken) = oneshot::channel();
        let change = ReconfigureRequest { reader, revision: Box::new(revision), done };
        self.0.send(change).await.is_ok() && taken.await.is_ok()
    }
}

/// Watches until `stop`. Then no new read begins, reads under way are dropped, and commits under way are waited for, within
/// a limit.
pub async fn run<R: Reader>(
    mut scheduler: Scheduler,
    mut parts: WatchParts<R>,
    mut changes: mpsc::Receiver<ReconfigureRequest<R>>,
    stop: CancellationToken,
) {
    let mut reads = KeyedTasks::default();
    let mut commits = KeyedTasks::default();
    let mut input = SchedulerInput::Tick;
    loop {
        parts.hang.hit().await;
        parts.heartbeat.beat(parts.clock.now().mono);
        for command in scheduler.step(parts.clock.now(), input) {
            start(command, &parts, &mut reads, &mut commits);
        }
        let now = parts.clock.now().mono;
        let sleep = scheduler.next_wake().map_or(BEAT_INTERVAL, |at| at.saturating_sub(now)).min(BEAT_INTERVAL);
        input = tokio::select! {
            () = stop.cancelled() => break,
            Some(done) = commits.next() => done,
            Some(done) = reads.next() => done,
            Some(ReconfigureRequest { reader, revision, done }) = changes.recv() => {
                parts.reader = reader;
                // The caller may have gone; ignore the send error.
                let _gone = done.send(());
                SchedulerInput::Reconfigured(revision)
            }
            () = tokio::time::sleep(sleep) => SchedulerInput::Tick,
        };
    }
    drop(reads);
    let drained = tokio::time::timeout(LAST_COMMITS, async { while commits.next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!("a commit did not finish in time at the stop; its observation is read again at the next start");
    }
}

fn start<R: Reader>(
    command: SchedulerCommand,
    parts: &WatchParts<R>,
    reads: &mut KeyedTasks,
    commits: &mut KeyedTasks,
) {
    match command {
        SchedulerCommand::Read { key, identity, priority, read } => {
            let (reader, clock, duration) = (parts.reader.clone(), parts.clock, parts.metrics.poll_duration.clone());
            reads.spawn(key.clone(), TaskKind::Read, async move {
                let begun = clock.now().mono;
                let result = reader.read(&identity, priority, &read).await;
                if matches!(key, WorkKey::Conference(_)) {
                    duration.observe(clock.now().mono.saturating_sub(begun).as_secs_f64());
                }
                SchedulerInput::Answered(key, result)
            });
        }
        SchedulerCommand::Commit { key, commit } => {
            let (store, now) = (parts.store.clone(), parts.clock.now().wall);
            commits.spawn(key.clone(), TaskKind::Commit, async move { write(&store, key, *commit, now).await });
        }
    }
}

/// Writes a commit. Returns what the schedule learns of it.
async fn write(store: &Store, key: WorkKey, commit: Commit, now: Timestamp) -> SchedulerInput {
    match store.commit(commit, now).await {
        Ok(()) => SchedulerInput::Committed(key, true),
        Err(WriteError::Duplicate(_) | WriteError::Invariant(_)) => {
            // The store logs the error.
            tracing::info!(of = %key, "the store refused a commit; the state is reloaded from the store");
            reload_conference(store, key).await
        }
        Err(error) => {
            // The store logs once what is wrong with it. This would be logged at every poll.
            tracing::debug!(%error, "a commit failed; its observation is dropped and read again");
            SchedulerInput::Committed(key, false)
        }
    }
}

/// Returns the conference as it is in the store, after a commit contradicted it.
async fn reload_conference(store: &Store, key: WorkKey) -> SchedulerInput {
    let WorkKey::Conference(name) = &key else { return SchedulerInput::Contradicted(key, None) };
    match store.unfinished_conference(name.clone()).await {
        Ok(stored) => SchedulerInput::Contradicted(key, stored.map(Box::new)),
        Err(_) => SchedulerInput::Committed(key, false),
    }
}

/// The tasks under way, each with its key. So also a task that panics leads to an input, and its key can be used again.
#[derive(Default)]
struct KeyedTasks {
    set: JoinSet<SchedulerInput>,
    keys: HashMap<Id, (WorkKey, TaskKind)>,
}

/// What a task does. Decides which input stands for one that panicked.
#[derive(Clone, Copy)]
enum TaskKind {
    Read,
    Commit,
}

impl KeyedTasks {
    fn spawn(&mut self, key: WorkKey, kind: TaskKind, task: impl Future<Output = SchedulerInput> + Send + 'static) {
        let handle = self.set.spawn(task);
        self.keys.insert(handle.id(), (key, kind));
    }

    async fn next(&mut self) -> Option<SchedulerInput> {
        match self.set.join_next_with_id().await? {
            Ok((id, input)) => {
                self.keys.remove(&id);
                Some(input)
            }
            Err(error) => Some(self.panicked(&error)),
        }
    }

    fn panicked(&mut self, error: &JoinError) -> SchedulerInput {
        tracing::error!("a task panicked; this is a defect, please report it");
        match self.keys.remove(&error.id()) {
            Some((key, TaskKind::Commit)) => SchedulerInput::Committed(key, false),
            Some((key, TaskKind::Read)) => SchedulerInput::Answered(
                key,
                Err(ReadError {
                    reason: Reason::Malformed,
                    attempted: "read",
                    detail: "the task panicked".to_owned(),
                    remedy: "please report this as a defect",
                    retry_after: None,
                    used_up: None,
                    requests: 0,
                }),
            ),
            None => SchedulerInput::Tick,
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::model::event_id::Edge;
    use crate::model::{ConferenceName, EventKey, EventType, Provenance, Source};
    use crate::store::{NewEvent, StoreMetrics};

    fn commit() -> Commit {
        let time = Timestamp::UNIX_EPOCH;
        let (edge, source) = (Edge::Time(time), Source::Inferred);
        let event = EventType::WatchGap;
        let event = NewEvent {
            id: EventKey { event, resource: "board", edge, source, n: 0 }.id(),
            event,
            conference: None,
            participant: None,
            session: None,
            sequence: None,
            time,
            observed_at: time,
            provenance: Provenance::Inferred,
            source,
            n: 0,
            takes_back: None,
            body: "{}".into(),
            owed_to: Vec::new(),
        };
        Commit { events: vec![event], ..Commit::default() }
    }

    #[tokio::test]
    async fn a_refused_commit_is_an_error_of_the_store_and_its_reload_is_told_at_info() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = StoreMetrics::register(&Registry::new()).unwrap();
        let store = Store::open(&folder.path().join("meetwatch.db"), Clock::new(), metrics).unwrap();
        let key = WorkKey::Conference(ConferenceName::parse("conferenceRecords/c").unwrap());
        let mut log = tempfile::NamedTempFile::new_in(&folder).unwrap();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(std::sync::Mutex::new(log.reopen().unwrap()));
        let captured = tracing::subscriber::set_default(subscriber.finish());
        let taken = write(&store, key.clone(), commit(), Timestamp::UNIX_EPOCH).await;
        assert!(matches!(taken, SchedulerInput::Committed(_, true)));
        let refused = write(&store, key, commit(), Timestamp::UNIX_EPOCH).await;
        assert!(matches!(refused, SchedulerInput::Contradicted(_, None)));
        drop(captured);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut log, &mut text).unwrap();
        assert!(!text.contains("ERROR"), "{text}");
        assert_eq!(text.matches(" INFO ").count(), 1, "{text}");
        assert!(text.contains("the state is reloaded from the store"), "{text}");
    }
}
