//! The command line. Each command has a file: its `Args`, and a `run` that returns the exit code.
//!
//! Exit codes: 0 well, 1 failed, 2 wrong usage, 78 (`EX_CONFIG`) bad configuration, or a daemon that cannot start until
//! somebody changes something. An error is one sentence on standard error; a bad configuration is one for each of its
//! problems.

pub mod api;
#[cfg(test)]
mod arguments;
pub mod assets;
pub mod backup;
pub mod check;
pub mod conferences;
mod daemon;
pub mod deliveries;
pub mod demo;
pub mod endpoints;
pub mod event_line;
pub mod events;
pub mod forget;
pub mod health;
pub mod listen;
pub mod login;
mod output;
mod reach;
pub mod report;
pub mod run;
pub mod secret;
pub mod sim;
pub mod status;
mod table;
pub mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use prometheus::Registry;
use tracing::level_filters::LevelFilter;

pub use output::{OutputClosed, line};

use crate::app::StartError;
use crate::backoff::random_seed;
use crate::clock::Clock;
use crate::config::{self, Environment, Problems};
use crate::log::{self, LogSettings};
use crate::meet::{self, Client, RetryPolicy};
use crate::serve::metrics::limit_reached;
use crate::status::StatusBoard;

/// `EX_CONFIG` of sysexits.h: something was found in an unconfigured or misconfigured state.
const EX_CONFIG: u8 = 78;

/// Knows who is in a Google Meet call, says so when that changes, and can prove it missed nothing.
#[derive(Debug, Parser)]
#[command(name = "meetwatch", version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("MEETWATCH_REVISION"), ")"))]
struct Cli {
    /// The least important log lines to write [default: info]
    #[arg(long, global = true, value_name = "LEVEL", value_parser = level)]
    log: Option<LevelFilter>,

    #[command(subcommand)]
    command: Command,
}

// In the order in which `--help` shows them.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Run(run::Args),
    /// Check a configuration: all its problems at once, each with its line
    Check(check::Args),
    /// Show what the running daemon watches, in numbers
    Status(status::Args),
    /// Ask a running daemon whether it is well; the exit code says it
    Health(health::Args),
    /// List the conferences that are live, or ended and read once more
    Conferences(conferences::Args),
    /// Print the event log, the oldest first
    Events(events::Args),
    /// Show who was in a conference, or in all conferences of a day
    Report(report::Args),
    /// List deliveries, the newest first; show one; or send some once more
    Deliveries(deliveries::Args),
    /// Show how each webhook fares; switch, try or forget one
    Endpoints(endpoints::Args),
    /// Copy the store to a new file, also while the daemon runs
    Backup(backup::Args),
    /// Forget one person: what is stored, and what Google tells of them later
    Forget(forget::Args),
    /// Make signing secrets
    Secret(secret::Args),
    /// Show the whole way from a call to a signed webhook, with simulated people
    Demo(demo::Args),
    /// Run a simulator of the Meet API
    Sim(sim::Args),
    /// Receive webhooks, verify their signatures, and print each event as a line
    Listen(listen::Args),
    /// Let a user consent in the browser, and keep the token
    Login(login::Args),
    /// Ask Google by hand, as one of the identities of the configuration
    Api(api::Args),
    /// Write what a package ships besides the program
    #[command(hide = true)]
    Assets(assets::Args),
}

impl Command {
    /// Does what was asked. `log` is what the command line says about logging; a command that reads a configuration
    /// has to add what that says before it installs it, and every other has it installed here.
    async fn run(self, log: LogOptions) -> anyhow::Result<ExitCode> {
        if let Self::Run(args) = self {
            return run::run(args, log).await;
        }
        log.install(self.log_settings())?;
        match self {
            // Was done above, because its configuration has a say in the log.
            Self::Run(_) => Ok(ExitCode::SUCCESS),
            Self::Check(args) => check::run(&args).await,
            Self::Status(args) => status::run(args).await,
            Self::Health(args) => health::run(args).await,
            Self::Conferences(args) => conferences::run(args).await,
            Self::Events(args) => events::run(args).await,
            Self::Report(args) => report::run(args).await,
            Self::Deliveries(args) => deliveries::run(args).await,
            Self::Endpoints(args) => endpoints::run(args).await,
            Self::Backup(args) => backup::run(&args),
            Self::Forget(args) => forget::run(args).await,
            Self::Secret(args) => secret::run(&args),
            Self::Demo(args) => demo::run(args).await,
            Self::Sim(args) => sim::run(args).await,
            Self::Listen(args) => listen::run(args).await,
            Self::Login(args) => login::run(args, &mut std::io::stdout()).await,
            Self::Api(args) => ask_google(args).await,
            Self::Assets(args) => assets::run(&args),
        }
    }

    /// What is logged unless the command line says otherwise. In a demonstration the events are what is to be seen, and in
    /// thousands of histories everything goes wrong all the time.
    fn log_settings(&self) -> LogSettings {
        let level = match self {
            Self::Demo(_) => Some(LevelFilter::WARN),
            Self::Sim(args) if args.verify.verify => Some(LevelFilter::OFF),
            // What goes wrong is the report.
            Self::Check(args) if args.online => Some(LevelFilter::OFF),
            _ => None,
        };
        LogSettings { level, ..LogSettings::default() }
    }
}

/// Makes the client that `api` asks with, as the configuration says.
async fn ask_google(args: api::Args) -> anyhow::Result<ExitCode> {
    let config = config::load(&args.config, &Environment::read())?;
    let registry = Registry::new();
    let client = Client::new(&meet::Parts {
        google: &config.google,
        identities: &config.identities,
        clock: Clock::new(),
        seed: random_seed(),
        registry: &registry,
        limits: &limit_reached(&registry)?,
        status: StatusBoard::default(),
        retry: RetryPolicy::default(),
    })?;
    let identities: Vec<_> = config.identities.into_iter().map(|identity| identity.name).collect();
    api::run(args, &client, &identities, &mut std::io::stdout()).await
}

/// What the command line and the environment say about logging.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    level: Option<LevelFilter>,
    colours: bool,
}

impl LogOptions {
    /// Installs logging as `configured`, except where the command line says otherwise. Once in a process. Returns what sets
    /// the level afterwards, unless the command line did.
    ///
    /// # Errors
    /// If logging is installed already.
    pub fn install(self, configured: LogSettings) -> anyhow::Result<Option<log::Level>> {
        let settings = LogSettings { level: self.level.or(configured.level), ..configured };
        let level = log::install(settings, self.colours)?;
        Ok(if self.level.is_some() { None } else { Some(level) })
    }
}

/// Does what the arguments (the program's name first) ask for and returns the exit code of the process.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing to be done if nobody reads this either.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let options = LogOptions { level: cli.log, colours: !Environment::read().no_colour };
    exit_code(block_on(cli.command.run(options)))
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

/// The exit code of what came out; an error is told.
fn exit_code(result: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if error.is::<OutputClosed>() {
        // Whoever read the output has seen enough, as `head` does.
        return ExitCode::SUCCESS;
    }
    if let Some(problems) = error.downcast_ref::<Problems>() {
        output::complain(problems);
        return ExitCode::from(EX_CONFIG);
    }
    output::complain(format_args!("meetwatch: {error:#}"));
    match error.downcast_ref::<StartError>() {
        // Whatever starts the daemon again need not try.
        Some(refused) if refused.is_permanent() => ExitCode::from(EX_CONFIG),
        _ => ExitCode::FAILURE,
    }
}

fn level(name: &str) -> Result<LevelFilter, String> {
    LogSettings::parse_level(name).ok_or_else(|| format!("must be one of {}", LogSettings::LEVELS.join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_kind_of_outcome_has_its_exit_code() {
        let code = |result| format!("{:?}", exit_code(result));
        let is = |number: u8| format!("{:?}", ExitCode::from(number));
        assert_eq!(code(Ok(ExitCode::from(7))), is(7));
        assert_eq!(code(Err(anyhow::anyhow!("cause").context("attempt"))), is(1));
        assert_eq!(code(Err(OutputClosed.into())), is(0));
    }
}
