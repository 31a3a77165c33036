//! The loop that pings the watchdog of the service manager and sends it the status line.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::notify::Notifier;
use super::summary::{self, SummaryInput};
use super::watchdog::{Watchdog, ping_interval};
use crate::clock::{Clock, Mono};
use crate::status::StatusBoard;
use crate::store::Store;

/// How often the status line is rendered.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// How long reading the outbox summary may take. It must not delay a watchdog ping.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longer than this loop ever pauses: STATUS_INTERVAL plus the timeouts of the store and the manager. After a longer
/// pause the machine was suspended, and all loops with it.
const SUSPEND_THRESHOLD: Duration = Duration::from_secs(12);

/// What [`run()`] works with.
#[derive(Debug)]
pub struct SupervisorParts {
    pub notifier: Notifier,
    pub watchdog: Watchdog,
    /// How long the manager waits for a watchdog ping before it restarts the daemon; `None` if it does not watch.
    pub ping_timeout: Option<Duration>,
    pub board: StatusBoard,
    pub store: Store,
    pub clock: Clock,
}

/// Notifies the manager until `stop`. Without a manager, only waits for `stop`.
pub async fn run(mut parts: SupervisorParts, stop: CancellationToken) {
    if !parts.notifier.is_connected() {
        return stop.cancelled().await;
    }
    let interval = parts.ping_timeout.map_or(STATUS_INTERVAL, ping_interval).min(STATUS_INTERVAL);
    let mut reported = LastReported { checked_at: parts.clock.mono(), ..LastReported::default() };
    while stop.run_until_cancelled(notify_once(&mut parts, &mut reported)).await.is_some() {
        if stop.run_until_cancelled(sleep(interval)).await.is_none() {
            return;
        }
    }
}

/// What was last sent to the manager and logged.
#[derive(Debug, Default)]
struct LastReported {
    status: String,
    stalled: Vec<&'static str>,
    /// When the status line is rendered next.
    status_due: Mono,
    /// When the heartbeats were last checked.
    checked_at: Mono,
}

async fn notify_once(parts: &mut SupervisorParts, reported: &mut LastReported) {
    let now = parts.clock.now().mono;
    if now.saturating_sub(reported.checked_at) > SUSPEND_THRESHOLD {
        parts.watchdog.restart_deadlines(now);
    }
    reported.checked_at = now;
    let stalled = parts.watchdog.stalled(now);
    if stalled.is_empty() && parts.ping_timeout.is_some() {
        parts.notifier.alive().await;
    }
    // The store's writer beats only when it has a request to handle.
    parts.store.nudge();
    let changed = stalled != reported.stalled;
    if changed {
        log_stalled(&stalled);
        reported.stalled.clone_from(&stalled);
    }
    if !changed && now < reported.status_due {
        return;
    }
    reported.status_due = now + STATUS_INTERVAL;
    let endpoints = timeout(STORE_TIMEOUT, parts.store.outbox_summary()).await;
    let endpoints = endpoints.ok().and_then(Result::ok);
    let input = SummaryInput { endpoints: endpoints.as_deref(), store_outage: parts.store.outage(), stalled: &stalled };
    let status = summary::line(&parts.board.read(), input);
    if status != reported.status {
        parts.notifier.status(&status).await;
        reported.status = status;
    }
}

fn log_stalled(stalled: &[&'static str]) {
    if stalled.is_empty() {
        tracing::info!("all loops of the daemon make progress again; watchdog pings are sent again");
    } else {
        let parts = stalled.join(", ");
        tracing::error!(
            parts,
            "a task stopped making progress; the watchdog ping is withheld so that systemd restarts the daemon; please report this"
        );
    }
}
