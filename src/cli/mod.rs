//! The command line. Each command has a file with its `Args` and a `run` that returns the exit code.
//!
//! Exit codes: 0 success, 1 failure, 2 wrong usage, 78 (`EX_CONFIG`) an invalid configuration, or a daemon that cannot start
//! until somebody changes something. An error is one sentence on standard error; an invalid configuration is one sentence
//! for each of its problems.

pub mod api;
#[cfg(test)]
mod arguments;
mod assets;
mod backup;
mod check;
mod client_error;
mod completions;
mod conference_choice;
mod conferences;
mod confirm;
mod daemon_address;
mod daemon_args;
mod daemon_client;
mod deliveries;
mod demo;
mod demo_line;
mod endpoints;
mod event_line;
mod events;
mod forget;
mod google_client;
mod health;
#[cfg(test)]
mod help_tests;
mod input_file;
mod listen;
pub mod login;
mod output;
mod output_args;
mod progress;
mod reload;
mod report;
mod run;
mod secret;
pub mod sim;
mod status;
mod table;
mod time;
mod usage_error;
mod values;
mod verify;
mod who;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use self::output::OutputClosed;
use crate::app::StartError;
use crate::config::{Environment, Problems};
use crate::log::{self, Log, LogSettings};

/// `EX_CONFIG` of sysexits.h: an invalid configuration, script or fault name.
const EX_CONFIG: u8 = 78;

/// Watch Google Meet calls and report who joins and leaves, as signed webhooks and Prometheus metrics
#[derive(Debug, Parser)]
#[command(name = "meetwatch", version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("MEETWATCH_REVISION"), ")"))]
struct Cli {
    /// Write log lines of this level and above: error, warn, info, debug or trace [default: info]
    #[arg(long, global = true, value_name = "LEVEL", value_parser = level)]
    log: Option<LevelFilter>,

    #[command(subcommand)]
    command: Command,
}

// In the order in which `--help` shows them. Each command's help text is the doc comment of its `Args`.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    Status(status::Args),
    Health(health::Args),
    Conferences(conferences::Args),
    Who(who::Args),
    Events(events::Args),
    Report(report::Args),
    Deliveries(deliveries::Args),
    Endpoints(endpoints::Args),
    Reload(reload::Args),
    Backup(backup::Args),
    Forget(forget::Args),
    Secret(secret::Args),
    Demo(demo::Args),
    Sim(sim::Args),
    Listen(listen::Args),
    Login(login::Args),
    Api(api::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Assets(assets::Args),
}

impl Command {
    /// Runs the command. `log` is what the command line says about logging. `run` installs logging itself, because its
    /// configuration has settings for it; for every other command it is installed here.
    async fn run(self, log: LogOptions) -> anyhow::Result<ExitCode> {
        if let Self::Run(args) = self {
            return run::run(args, log).await;
        }
        // Dropped at the end: what was logged is written before an error is.
        let _log = log.install(self.log_settings())?;
        match self {
            // Handled above.
            Self::Run(_) => Ok(ExitCode::SUCCESS),
            Self::Check(args) => check::run(&args).await,
            Self::Status(args) => status::run(args).await,
            Self::Health(args) => health::run(args).await,
            Self::Conferences(args) => conferences::run(args).await,
            Self::Who(args) => who::run(args).await,
            Self::Reload(args) => reload::run(args).await,
            Self::Events(args) => events::run(args).await,
            Self::Report(args) => report::run(args).await,
            Self::Deliveries(args) => deliveries::run(args).await,
            Self::Endpoints(args) => endpoints::run(args).await,
            Self::Backup(args) => backup::run(&args).await,
            Self::Forget(args) => forget::run(args).await,
            Self::Secret(args) => secret::run(&args),
            Self::Demo(args) => demo::run(args).await,
            Self::Sim(args) => sim::run(args).await,
            Self::Listen(args) => listen::run(args).await,
            Self::Login(args) => login::run(args, &mut std::io::stdout()).await,
            Self::Api(args) => api::run_with_config(args).await,
            Self::Completions(args) => completions::run(&args),
            Self::Assets(args) => assets::run(&args),
        }
    }

    /// Returns the logging that the command line can override. Commands whose output would drown in log lines log less.
    fn log_settings(&self) -> LogSettings {
        let level = match self {
            Self::Demo(_) => Some(LevelFilter::WARN),
            Self::Sim(args) if args.verify.verify => Some(LevelFilter::OFF),
            // The report has every failure.
            Self::Check(args) if args.online || args.test_endpoints => Some(LevelFilter::OFF),
            _ => None,
        };
        LogSettings { level, ..LogSettings::default() }
    }
}

/// The settings of logging from the command line and the environment.
#[derive(Debug, Clone, Copy)]
struct LogOptions {
    level: Option<LevelFilter>,
    colours: bool,
}

impl LogOptions {
    /// Installs logging as `configured`, except where the command line overrides it. Can be called once in a process.
    ///
    /// # Errors
    /// If logging cannot be installed.
    fn install(self, configured: LogSettings) -> anyhow::Result<Log> {
        let settings = LogSettings { level: self.level.or(configured.level), ..configured };
        Ok(log::install(settings, self.colours)?)
    }
}

/// Runs the command in `arguments`, whose first is the name of the program. Returns the exit code of the process.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match completions::answered(&arguments) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => {
            output::complain(format_args!("meetwatch: {error}"));
            return ExitCode::FAILURE;
        }
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let error = usage_error::without_riddle(error);
            // There is no other place to report a failed write.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let options = LogOptions { level: cli.log, colours: !Environment::read().no_colour };
    // The reader of a command's errors may take its time. The daemon ends, whether its log is read or not.
    let bound = matches!(cli.command, Command::Run(_)).then_some(LAST_WORDS);
    exit_code(block_on(cli.command.run(options)), bound)
}

/// How long the daemon's last words may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long threads that block, such as on a disk, are waited for at the end.
const LAST_THREADS: Duration = Duration::from_secs(5);

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    runtime.shutdown_timeout(LAST_THREADS);
    result
}

/// Returns the exit code for the result of a command. Prints an error, within `bound` if there is one.
fn exit_code(result: anyhow::Result<ExitCode>, bound: Option<Duration>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if error.is::<OutputClosed>() {
        // The reader has seen enough, as `head` does.
        return ExitCode::SUCCESS;
    }
    if let Some(problems) = error.downcast_ref::<Problems>() {
        output::complain_within(bound, problems);
        return ExitCode::from(EX_CONFIG);
    }
    output::complain_within(bound, format_args!("meetwatch: {error:#}"));
    match error.downcast_ref::<StartError>() {
        // Tells a service manager that a restart cannot help.
        Some(error) if error.is_permanent() => ExitCode::from(EX_CONFIG),
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
    fn each_kind_of_result_has_its_exit_code() {
        let code = |result| format!("{:?}", exit_code(result, None));
        let is = |number: u8| format!("{:?}", ExitCode::from(number));
        assert_eq!(code(Ok(ExitCode::from(7))), is(7));
        assert_eq!(code(Err(anyhow::anyhow!("cause").context("attempt"))), is(1));
        assert_eq!(code(Err(OutputClosed.into())), is(0));
    }
}
