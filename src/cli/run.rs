//! `meetwatch run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{LogOptions, output};
use crate::app::{App, ReloadHandle, StartOptions};
use crate::backoff::random_seed;
use crate::config::{self, Environment};
use crate::failpoints::{AbortFailpoint, HangFailpoint};
use crate::systemd::Notifier;

/// Run the daemon
///
/// It watches the configured targets, sends webhooks, and serves metrics and the API, until SIGTERM or SIGINT. A second
/// signal stops it at once. SIGHUP reloads the configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file; `meetwatch check --example` prints one
    #[arg(long, value_name = "FILE", default_value = super::daemon_args::DEFAULT_CONFIG)]
    config: PathBuf,
    /// For crash tests: abort the process at the Nth hit of a failpoint, such as `commit:3`
    #[arg(long, hide = true, value_name = "POINT:N", default_value = None)]
    abort_at: Option<AbortFailpoint>,
    /// For tests of the watchdog: hang the poll loop at its Nth turn
    #[arg(long, hide = true, value_name = "N")]
    hang_at: Option<u32>,
}

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// All the [`Problems`](config::Problems) of the configuration, or why the daemon does not start or stop.
pub(super) async fn run(args: Args, log: LogOptions) -> anyhow::Result<ExitCode> {
    let environment = Environment::read();
    let mut config = config::load(&args.config, &environment)?;
    config::listen_on_inherited_socket(&mut config)?;
    let log_level = log.install(config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // Before the start, so that a signal stops the daemon in order however early it comes.
    let signals = output::Signals::listen().context("cannot listen for signals")?;
    let hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let options = StartOptions {
        seed: random_seed(),
        log_level,
        notifier: notifier(&environment),
        watchdog: environment.watchdog,
        abort: args.abort_at.unwrap_or_default(),
        hang: args.hang_at.map_or_else(HangFailpoint::default, HangFailpoint::nth),
    };
    let app = App::start(config, options).await?;
    let reloading = tokio::spawn(reload_on_signal(hangup, app.reload_handle()));
    tracing::info!(address = %app.listens_on(), "watching; metrics are at /metrics");
    let stop = CancellationToken::new();
    let stopping = tokio::spawn(stop_on_signal(signals, stop.clone()));
    let stopped = app.run(stop).await;
    stopping.abort();
    reloading.abort();
    stopped?;
    Ok(ExitCode::SUCCESS)
}

/// Connects to the service manager, if one started this process and asked to be notified.
fn notifier(environment: &Environment) -> Notifier {
    let Some(address) = &environment.notify_socket else { return Notifier::default() };
    Notifier::connect(address).unwrap_or_else(|error| {
        tracing::warn!(
            "cannot connect to the service manager's socket, which NOTIFY_SOCKET names; it is not notified: {error}"
        );
        Notifier::default()
    })
}

/// Reloads the configuration at each SIGHUP. The log has the outcome.
async fn reload_on_signal(mut hangup: Signal, reload: ReloadHandle) {
    while hangup.recv().await.is_some() {
        let _logged = reload.request().await;
    }
}

/// Cancels `stop` at the first signal and ends the process at the second.
async fn stop_on_signal(mut signals: output::Signals, stop: CancellationToken) {
    signals.next().await;
    stop.cancel();
    signals.next().await;
    output::complain("meetwatch: stopped at once by a second signal; unfinished work is repeated at the next start");
    std::process::exit(1);
}
