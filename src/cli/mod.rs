//! The command line. Each command has a file: its `Args`, and a `run` that returns the exit code.
//!
//! Exit codes: 0 well, 1 failed, 2 wrong usage, 78 (`EX_CONFIG`) bad configuration. An error is one sentence on standard
//! error; a bad configuration is one for each of its problems.

pub mod check;
pub mod event_line;
pub mod listen;
mod output;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;

pub use output::{OutputClosed, line};

use crate::config::{Environment, Problems};
use crate::log::{self, LogSettings};

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

// In the order in which `--help` shows them: run, check, demo, sim, listen, login, api.
#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration: all its problems at once, each with its line
    Check(check::Args),
    /// Receive webhooks, verify their signatures, and print each event as a line
    Listen(listen::Args),
}

impl Command {
    /// Does what was asked. `log` is what the command line says about logging; a command that reads a configuration
    /// has to add what that says before it installs it, and every other has it installed here.
    async fn run(self, log: LogOptions) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check(args) => {
                log.install(LogSettings::default())?;
                check::run(&args)
            }
            Self::Listen(args) => {
                log.install(LogSettings::default())?;
                listen::run(args).await
            }
        }
    }
}

/// What the command line and the environment say about logging.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    level: Option<LevelFilter>,
    colours: bool,
}

impl LogOptions {
    /// Installs logging as `configured`, except where the command line says otherwise. Once in a process.
    ///
    /// # Errors
    /// If logging is installed already.
    pub fn install(self, configured: LogSettings) -> anyhow::Result<()> {
        let settings = LogSettings { level: self.level.or(configured.level), ..configured };
        Ok(log::install(settings, self.colours)?)
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
    ExitCode::FAILURE
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
