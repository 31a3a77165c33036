//! The thin loop that deletes what is older than the retention: step by step through the writer, which takes other work
//! between.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::CommitError;
use super::handle::Store;
use super::prune::{PruneCursor, PruneRequest};
use super::retention::{ClockDoubt, TOMBSTONE};
use crate::clock::{Clock, Now};

/// How often it is looked whether something has become too old.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// How many rows one step deletes.
const ROWS: u32 = 200;
/// How long the writer is left alone after each step.
const PAUSE: Duration = Duration::from_millis(40);

/// Deletes what is older than `retention`, whatever it is at the time, until `stop`. A step under way is finished.
pub async fn run(store: Store, clock: Clock, mut retention: watch::Receiver<Duration>, stop: CancellationToken) {
    let mut looked = None;
    let mut doubt = None;
    loop {
        let (now, keep) = (clock.now(), *retention.borrow_and_update());
        match store.weigh_clock(looked, now).await {
            Ok(found) => {
                if found != doubt {
                    tell(found);
                }
                (looked, doubt) = (Some(now), found);
                if doubt.is_none()
                    && let Some(Err(error)) = stop.run_until_cancelled(pass(&store, now, keep)).await
                {
                    // The store says what is wrong with it.
                    tracing::debug!(%error, "pruning broke off and begins again later");
                }
            }
            Err(error) => tracing::debug!(%error, "the clock could not be weighed"),
        }
        let wait = tokio::time::timeout(LOOK_EVERY, changed(&mut retention));
        if stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
    }
}

/// Waits until there is another retention; for ever where nobody can set one any more.
async fn changed(retention: &mut watch::Receiver<Duration>) {
    if retention.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn tell(doubt: Option<ClockDoubt>) {
    match doubt {
        Some(ClockDoubt::Behind) => tracing::warn!(
            "pruning waits: the newest event lies in the future by this machine's clock; set the clock right, or wait until it has caught up"
        ),
        Some(ClockDoubt::Leapt { until }) => tracing::warn!(
            %until,
            "pruning waits: this machine's clock went ahead by more than a day, or the daemon did not run for so long; if the clock is right there is nothing to do"
        ),
        None => tracing::info!("pruning goes on: the clock is believed again"),
    }
}

/// Goes once through all that may be old.
///
/// # Errors
/// [`CommitError::Store`]; what earlier steps deleted is gone, and nothing half.
pub async fn pass(store: &Store, now: Now, retention: Duration) -> Result<u64, CommitError> {
    let before = |by: Duration| now.wall.saturating_sub(by).unwrap_or(Timestamp::MIN);
    let mut request =
        PruneRequest { cutoff: before(retention), forget: before(TOMBSTONE), from: PruneCursor::START, rows: ROWS };
    let mut rows = 0;
    loop {
        let pruned = store.prune(request, now.wall).await?;
        rows += u64::from(pruned.rows);
        let Some(next) = pruned.next else { break };
        request.from = next;
        // Also where nothing was deleted: to pass by what is owed takes time, too.
        tokio::time::sleep(PAUSE).await;
    }
    if rows > 0 {
        tracing::info!(rows, "what was older than the retention is deleted");
    }
    Ok(rows)
}
