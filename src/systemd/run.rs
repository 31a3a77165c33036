//! The loop that pings the watchdog of the service manager and sends it the status line.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::notify::Notifier;
use super::summary::{self, SummaryInput};
use crate::clock::{Clock, Mono};
use crate::heartbeat::Liveness;
use crate::status::StatusBoard;
use crate::store::Store;

/// How often the status line is rendered.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// How long reading the outbox summary may take. It must not delay a watchdog ping.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns how often to ping a manager that restarts the daemon after `ping_timeout` without a ping: four times within it,
/// so that a ping may be late.
#[must_use]
fn ping_interval(ping_timeout: Duration) -> Duration {
    (ping_timeout / 4).max(Duration::from_millis(10))
}

/// What [`run()`] works with.
#[derive(Debug)]
pub struct SupervisorParts {
    pub notifier: Notifier,
    pub liveness: Liveness,
    /// How long the manager waits for a watchdog ping before it restarts the daemon; `None` if it does not watch.
    pub ping_timeout: Option<Duration>,
    pub board: StatusBoard,
    pub store: Store,
    pub clock: Clock,
}

/// Checks the loops and notifies the manager until `stop`. Without a manager, what it finds is logged.
pub async fn run(mut parts: SupervisorParts, stop: CancellationToken) {
    let interval = parts.ping_timeout.map_or(STATUS_INTERVAL, ping_interval).min(STATUS_INTERVAL);
    let mut reported = LastReported::default();
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
}

async fn notify_once(parts: &mut SupervisorParts, reported: &mut LastReported) {
    let now = parts.clock.now().mono;
    let stalled = parts.liveness.stalled(now);
    if stalled.is_empty() && parts.ping_timeout.is_some() {
        parts.notifier.alive().await;
    }
    // The store's writer beats, and checks its files, only when it has a request to handle.
    parts.store.nudge();
    let changed = stalled != reported.stalled;
    if changed {
        log_stalled(&stalled, parts.ping_timeout.is_some());
        reported.stalled.clone_from(&stalled);
    }
    if !parts.notifier.is_connected() || (!changed && now < reported.status_due) {
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

fn log_stalled(stalled: &[&'static str], is_pinging: bool) {
    if stalled.is_empty() {
        tracing::info!("all loops of the daemon make progress again; watchdog pings are sent again");
        return;
    }
    let parts = stalled.join(", ");
    if is_pinging {
        tracing::error!(
            parts,
            "a task stopped making progress; the watchdog ping is withheld so that systemd restarts the daemon; please report this"
        );
    } else {
        tracing::error!(
            parts,
            "a task stopped making progress; /livez answers 503 until it goes on; restart the daemon, and please report this"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_is_pinged_several_times_within_its_timeout() {
        assert_eq!(ping_interval(Duration::from_secs(30)), Duration::from_millis(7500));
        assert!(ping_interval(Duration::ZERO) > Duration::ZERO);
    }
}
