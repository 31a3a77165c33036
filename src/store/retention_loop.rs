//! The loop that deletes what is older than the retention: step by step, so that the writer takes other operations
//! between.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::clock_check::{ClockCheck, ClockDoubt, TOMBSTONE_RETENTION};
use super::error::WriteError;
use super::handle::Store;
use super::prune::{PruneCursor, PruneRequest};
use crate::clock::{Clock, Now};

/// How often a pass begins.
const PASS_EVERY: Duration = Duration::from_secs(600);
/// How many rows one step deletes.
const ROWS: u32 = 200;
/// The pause after each step, in which the writer takes other operations.
const PAUSE: Duration = Duration::from_millis(40);

/// Deletes what is older than `retention`, which may change at any time, until `stop`. A step that has begun is
/// finished.
pub async fn run(store: Store, clock: Clock, mut retention: watch::Receiver<Duration>, stop: CancellationToken) {
    let mut previous = None;
    let mut doubt = None;
    loop {
        let (now, keep) = (clock.now(), *retention.borrow_and_update());
        match store.check_clock(ClockCheck { previous, now }).await {
            Ok(found) => {
                if found != doubt {
                    log_doubt(found);
                }
                (previous, doubt) = (Some(now), found);
                if doubt.is_none()
                    && let Some(Err(error)) = stop.run_until_cancelled(pass(&store, now, keep)).await
                {
                    // The writer logs the store's failures.
                    tracing::debug!(%error, "pruning stopped half way and begins again later");
                }
            }
            Err(error) => tracing::debug!(%error, "the clock could not be checked; nothing is pruned this time"),
        }
        let wait = tokio::time::timeout(PASS_EVERY, changed(&mut retention));
        if stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
    }
}

/// Waits until the retention changes; for ever if its sender is gone.
async fn changed(retention: &mut watch::Receiver<Duration>) {
    if retention.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn log_doubt(doubt: Option<ClockDoubt>) {
    match doubt {
        Some(ClockDoubt::Behind) => tracing::warn!(
            "pruning waits: the newest event lies in the future by this machine's clock; set the clock right, or wait until it has caught up"
        ),
        Some(ClockDoubt::Leapt { until }) => tracing::warn!(
            %until,
            "pruning waits: this machine's clock went ahead by more than a day, or the daemon did not run for so long; if the clock is right there is nothing to do"
        ),
        None => tracing::info!("pruning resumes: the clock is plausible again"),
    }
}

/// Makes one pass through everything that may be old. Returns how many rows it deleted.
///
/// # Errors
/// [`WriteError::Store`]; what earlier steps deleted stays deleted.
pub async fn pass(store: &Store, now: Now, retention: Duration) -> Result<u64, WriteError> {
    let before = |by: Duration| now.wall.saturating_sub(by).unwrap_or(Timestamp::MIN);
    let (cutoff, tombstone_cutoff) = (before(retention), before(TOMBSTONE_RETENTION));
    let mut request = PruneRequest { cutoff, tombstone_cutoff, from: PruneCursor::START, rows: ROWS };
    let mut rows = 0;
    loop {
        let pruned = store.prune(request, now.wall).await?;
        rows += u64::from(pruned.rows);
        let Some(next) = pruned.next else { break };
        request.from = next;
        // Also after a step that deleted nothing: skipping takes the writer time, too.
        tokio::time::sleep(PAUSE).await;
    }
    if rows > 0 {
        tracing::info!(rows, "deleted what was older than the retention");
    }
    Ok(rows)
}
