//! `meetwatch run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{LogOptions, output};
use crate::abort::{AbortAt, HangAt};
use crate::app::App;
use crate::backoff::random_seed;
use crate::config::{self, Environment};
use crate::service::Notifier;

/// Watch, tell, and serve, until SIGTERM or SIGINT; a second one stops at once.
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
    let config = config::load(&args.config, &environment)?;
    log.install(config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // From here on a signal stops the daemon in order, however early it comes.
    let signals = output::Signals::listen().context("cannot be told of signals")?;
    let app = App::start_aborting_at(config, random_seed(), args.abort_at.unwrap_or_default()).await?;
    let hang = args.hang_at.map_or_else(HangAt::default, HangAt::nth);
    let app = app.notifying(notifier(&environment), environment.watchdog).hanging_at(hang);
    tracing::info!(address = %app.address(), "watching; metrics are at /metrics");
    let stop = CancellationToken::new();
    let signals = tokio::spawn(stop_on_signal(signals, stop.clone()));
    let stopped = app.run(stop).await;
    signals.abort();
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
