//! The loop that tells the service manager again and again: alive, as long as the others turn, and how it goes.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::notify::Notifier;
use super::summary::{self, Seen};
use super::watchdog::{Watchdog, tell_every};
use crate::clock::{Clock, Mono};
use crate::status::StatusBoard;
use crate::store::Store;

/// How often it is looked how it goes.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the store may take to say what is owed. It must not cost a sign of life.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// Longer than this loop ever rests: whoever looks so late was asleep with the machine, and so were the others.
const SLEPT: Duration = Duration::from_secs(12);

/// What the loop works with.
#[derive(Debug)]
pub struct Parts {
    pub notifier: Notifier,
    pub watchdog: Watchdog,
    /// How long the manager waits for a sign of life before it restarts the daemon, if it does at all.
    pub patience: Option<Duration>,
    pub board: StatusBoard,
    pub store: Store,
    pub clock: Clock,
}

/// Tells until `stop`. Where nobody listens there is nothing to do.
pub async fn run(mut parts: Parts, stop: CancellationToken) {
    if !parts.notifier.is_heard() {
        return stop.cancelled().await;
    }
    let every = parts.patience.map_or(LOOK_EVERY, tell_every).min(LOOK_EVERY);
    let mut told = Told { looked: parts.clock.mono(), ..Told::default() };
    while stop.run_until_cancelled(tell(&mut parts, &mut told)).await.is_some() {
        if stop.run_until_cancelled(sleep(every)).await.is_none() {
            return;
        }
    }
}

/// What the manager and the log heard last.
#[derive(Debug, Default)]
struct Told {
    status: String,
    hanging: Vec<&'static str>,
    look_at: Mono,
    /// When the heartbeats were last looked at.
    looked: Mono,
}

async fn tell(parts: &mut Parts, told: &mut Told) {
    let now = parts.clock.now().mono;
    if now.saturating_sub(told.looked) > SLEPT {
        parts.watchdog.begin_again(now);
    }
    told.looked = now;
    let hanging = parts.watchdog.hanging(now);
    if hanging.is_empty() && parts.patience.is_some() {
        parts.notifier.alive().await;
    }
    // The writer turns only when there is something to write.
    parts.store.nudge();
    let news = hanging != told.hanging;
    if news {
        say(&hanging);
        told.hanging.clone_from(&hanging);
    }
    if !news && now < told.look_at {
        return;
    }
    told.look_at = now + LOOK_EVERY;
    let endpoints = timeout(STORE_PATIENCE, parts.store.outbox_summary()).await;
    let endpoints = endpoints.ok().and_then(Result::ok);
    let seen = Seen { endpoints: endpoints.as_deref(), store: parts.store.trouble(), hanging: &hanging };
    let status = summary::line(&parts.board.read(), seen);
    if status != told.status {
        parts.notifier.status(&status).await;
        told.status = status;
    }
}

fn say(hanging: &[&'static str]) {
    if hanging.is_empty() {
        tracing::info!("every part of the daemon turns again");
    } else {
        let parts = hanging.join(", ");
        tracing::error!(
            parts,
            "a part of the daemon hangs; the service manager is told nothing more and restarts it; please report this"
        );
    }
}
