//! Running the daemon: one task for each part, until it is told to stop.
//!
//! The order of the stop: `/readyz` turns to not ready; the tasks stop one after the other, in the order of the list in
//! [`App::run`]; the store closes last. Each step has a time limit.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{App, RunError};
use crate::store::retention_loop;
use crate::systemd;
use crate::watch;

/// How long the store may take to close.
const STORE_CLOSE: Duration = Duration::from_secs(10);

/// How long each task may take to stop. Longer than the grace that the dispatcher gives to sends in flight.
const TASK_STOP: Duration = Duration::from_secs(15);

/// A task of the daemon, and the token that stops it.
struct DaemonTask {
    name: &'static str,
    stop: CancellationToken,
    handle: JoinHandle<()>,
}

impl DaemonTask {
    fn spawn<F>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        Self { name, handle: tokio::spawn(run(stop.clone())), stop }
    }

    /// Stops the task and waits for its end, at most [`TASK_STOP`]. Returns whether it ended in order.
    async fn stop(mut self) -> bool {
        self.stop.cancel();
        let problem = match tokio::time::timeout(TASK_STOP, &mut self.handle).await {
            Ok(Ok(())) => return true,
            Ok(Err(_)) => "panicked",
            Err(_) => "did not stop in time and was aborted",
        };
        self.handle.abort();
        tracing::error!(
            task = self.name,
            problem,
            "a task of the daemon did not stop in order; this is a defect, please report it"
        );
        false
    }
}

/// Waits until one of the tasks ends and returns its name. Cancel-safe; a task that has ended must not be awaited again.
async fn first_to_end(tasks: &mut [DaemonTask]) -> &'static str {
    poll_fn(|context| {
        let ended = tasks.iter_mut().find_map(|task| {
            let end = Pin::new(&mut task.handle).poll(context);
            end.is_ready().then_some(task.name)
        });
        ended.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

impl App {
    /// Runs the daemon until `stop` is cancelled, then stops it in order.
    ///
    /// # Errors
    /// [`RunError`]; no committed event is lost.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let supervision = self.supervision();
        let Self { clock, store, server, readiness, notifier, scheduler, watching, dispatcher, .. } = self;
        let (watch_changes, retention) = (self.watch_changes, self.retention);
        let (reloader, reload_requests) = (self.reloader, self.reload_requests);
        // They stop in this order. The reloader stops before the tasks that it hands configurations to.
        let mut tasks = vec![
            DaemonTask::spawn("supervising", |stop| systemd::run(supervision, stop)),
            DaemonTask::spawn("reloading", |stop| reloader.run(reload_requests, stop)),
            DaemonTask::spawn("watching", |stop| watch::run(scheduler, watching, watch_changes, stop)),
            DaemonTask::spawn("pruning", |stop| retention_loop::run(store.clone(), clock, retention, stop)),
            DaemonTask::spawn("sending", |stop| dispatcher.run(stop)),
            DaemonTask::spawn("serving", |stop| server.run(stop)),
        ];
        notifier.ready().await;

        // No task ends by itself. Without one of them the daemon would look alive but not work, so it stops.
        let ended = tokio::select! {
            () = stop.cancelled() => None,
            name = first_to_end(&mut tasks) => Some(name),
        };
        if let Some(task) = ended {
            tracing::error!(
                task,
                "a task of the daemon ended unexpectedly, so the daemon stops; this is a defect, please report it"
            );
        }
        let began = clock.now().mono;
        tracing::info!("stopping");
        readiness.set_stopping();
        notifier.stopping().await;
        let mut in_order = ended.is_none();
        for task in tasks {
            if Some(task.name) == ended {
                continue;
            }
            in_order &= task.stop().await;
        }
        store.close(STORE_CLOSE).await?;
        let took = clock.now().mono.saturating_sub(began);
        tracing::info!(seconds = took.as_secs_f64(), "stopped");
        if in_order { Ok(()) } else { Err(RunError::TaskFailed) }
    }

    /// Returns what the supervising task needs: the service manager to notify, and the heartbeats to watch for it.
    fn supervision(&self) -> systemd::SupervisorParts {
        systemd::SupervisorParts {
            notifier: self.notifier.clone(),
            liveness: self.liveness.clone(),
            ping_timeout: self.watchdog,
            board: self.board.clone(),
            store: self.store.clone(),
            clock: self.clock,
        }
    }
}
