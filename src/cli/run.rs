//! `meetwatch run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{LogOptions, output};
use crate::app::{App, Reloads};
use crate::backoff::random_seed;
use crate::config::{self, Environment};
use crate::failpoints::{AbortAt, HangAt};
use crate::systemd::Notifier;

/// Watch, tell, and serve, until SIGTERM or SIGINT; a second one stops at once. SIGHUP reads the configuration again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration; `meetwatch check --example` prints one
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// For tests of crashes: die at the nth passage of a point, such as `commit:3`
    #[arg(long, hide = true, value_name = "POINT:N", default_value = None)]
    abort_at: Option<AbortAt>,
    /// For tests of the watchdog: let the poll loop hang at its nth turn
    #[arg(long, hide = true, value_name = "N")]
    hang_at: Option<u32>,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// All the [`Problems`](config::Problems) of the configuration, or why the daemon does not start or stop.
pub async fn run(args: Args, log: LogOptions) -> anyhow::Result<ExitCode> {
    let environment = Environment::read();
    let mut config = config::load(&args.config, &environment)?;
    config::listen_on_inherited_socket(&mut config)?;
    let level = log.install(config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // From here on a signal stops the daemon in order, however early it comes.
    let signals = output::Signals::listen().context("cannot be told of signals")?;
    let reload = signal(SignalKind::hangup()).context("cannot be told of signals")?;
    let mut app = App::start_aborting_at(config, random_seed(), args.abort_at.unwrap_or_default()).await?;
    let hang = args.hang_at.map_or_else(HangAt::default, HangAt::nth);
    app = app.notifying(notifier(&environment), environment.watchdog).hanging_at(hang);
    if let Some(level) = level {
        app = app.logging_at(level);
    }
    let reloading = tokio::spawn(reload_on_signal(reload, app.reloads()));
    tracing::info!(address = %app.listens_on(), "watching; metrics are at /metrics");
    let stop = CancellationToken::new();
    let signals = tokio::spawn(stop_on_signal(signals, stop.clone()));
    let stopped = app.run(stop).await;
    signals.abort();
    reloading.abort();
    stopped?;
    Ok(ExitCode::SUCCESS)
}

/// Speaks to the service manager that started this process, if one did that wants to hear.
fn notifier(environment: &Environment) -> Notifier {
    let Some(address) = &environment.notify_socket else { return Notifier::default() };
    Notifier::connect(address).unwrap_or_else(|error| {
        tracing::warn!("the service manager cannot be told how it goes: {error}; see NOTIFY_SOCKET");
        Notifier::default()
    })
}

/// Reads the configuration again at each SIGHUP; what came of it is in the log.
async fn reload_on_signal(mut hangup: Signal, reloads: Reloads) {
    while hangup.recv().await.is_some() {
        let _told = reloads.ask().await;
    }
}

/// Cancels at the first signal and ends the process at the second.
async fn stop_on_signal(mut signals: output::Signals, stop: CancellationToken) {
    signals.next().await;
    stop.cancel();
    signals.next().await;
    output::complain(
        "meetwatch: stopped at once, as the second signal asks; what was under way is done again at the next start",
    );
    std::process::exit(1);
}
