//! `meetwatch run`: the daemon.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{LogOptions, output};
use crate::app::{App, ReloadHandle, StartOptions};
use crate::backoff::random_seed;
use crate::config::{self, Environment};
use crate::failpoints::{AbortFailpoint, HangFailpoint};
use crate::log::LineQueue;
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
    /// For tests of the second signal: at that turn, hang every thread that runs tasks
    #[arg(long, hide = true, requires = "hang_at")]
    hang_wholly: bool,
}

fn hang(args: &Args) -> HangFailpoint {
    match args.hang_at {
        None => HangFailpoint::default(),
        Some(nth) if args.hang_wholly => HangFailpoint::nth_wholly(nth),
        Some(nth) => HangFailpoint::nth(nth),
    }
}

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// All the [`Problems`](config::Problems) of the configuration, or why the daemon does not start or stop.
pub(super) async fn run(args: Args, log: LogOptions) -> anyhow::Result<ExitCode> {
    let environment = Environment::read();
    let mut config = config::load(&args.config, &environment)?;
    config::listen_on_inherited_socket(&mut config)?;
    let level_is_fixed = log.level.is_some();
    let log = log.install(config.log)?;
    log_panics(log.queue.clone());
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // Before the start, so that a signal stops the daemon in order however early it comes.
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone(), log.queue.clone()).await.context("cannot listen for signals")?;
    let hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let hang = hang(&args);
    let options = StartOptions {
        seed: random_seed(),
        log_level: (!level_is_fixed).then(|| log.level.clone()),
        log_lines_dropped: Some(log.queue.dropped().clone()),
        notifier: notifier(&environment),
        watchdog: environment.watchdog,
        abort: args.abort_at.unwrap_or_default(),
        hang,
    };
    let app = App::start(config, options).await?;
    let reloading = tokio::spawn(reload_on_signal(hangup, app.reload_handle()));
    tracing::info!(address = %app.listens_on(), "watching; metrics are at /metrics");
    let stopped = app.run(stop).await;
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

/// How long a second signal waits for its line to be written.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Cancels `stop` at the first signal and ends the process at the second. Returns once signals are received.
///
/// This has a thread and a small runtime of its own, and writes only to the log's queue: the second signal ends the process
/// even if every other thread hangs, as on a disk or on a log that nobody reads.
async fn stop_on_signal(stop: CancellationToken, log: LineQueue) -> io::Result<()> {
    let (listening, listens) = oneshot::channel();
    let receive = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let ready = runtime.and_then(|runtime| {
            let _context = runtime.enter();
            output::Signals::listen().map(|signals| (signals, runtime))
        });
        let (mut signals, runtime) = match ready {
            Ok(ready) => ready,
            Err(error) => return drop(listening.send(Err(error))),
        };
        // The caller waits for this.
        let _ = listening.send(Ok(()));
        runtime.block_on(signals.next());
        stop.cancel();
        runtime.block_on(signals.next());
        log.push(b"meetwatch: stopped at once by a second signal; unfinished work is repeated at the next start\n");
        log.flush(LAST_WORDS);
        std::process::exit(1);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(receive)?;
    listens.await.unwrap_or_else(|_| Err(io::Error::other("the thread for signals ended")))
}

/// Writes panics to the log's queue. The hook of the standard library would block while nobody reads standard error.
fn log_panics(log: LineQueue) {
    std::panic::set_hook(Box::new(move |panic| {
        log.push(format!("{panic}\n").as_bytes());
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            log.push(format!("{backtrace}\n").as_bytes());
        }
    }));
}
