//! `meetwatch sim --verify`: runs simulated histories through the daemon's own modules, and compares the result of each with
//! what happened in the simulation.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::progress::Progress;
use super::values;
use crate::clock::Clock;
use crate::model::text::for_terminal;
use crate::verify::{self, Batch, BatchReport, FailedSeed};

/// The options of `sim --verify`.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Verifying")]
#[group(id = "verifying")]
pub struct Args {
    /// Instead of listening, run simulated histories with faults and crashes through the daemon's own code, and check the events
    #[arg(long, conflicts_with_all = ["script", "example", "faults", "write_key", "print_key", "write_client_secret"])]
    pub verify: bool,
    /// The number of histories
    #[arg(long, default_value_t = 1000, value_parser = values::whole_in(1..=u64::MAX), requires = "verify")]
    pub seeds: u64,
    /// The seed of the first history
    #[arg(long, default_value_t = 0, value_name = "SEED", value_parser = values::whole::<u64>, requires = "verify")]
    pub from: u64,
    /// The simulated hours of meetings in each history
    #[arg(long, default_value_t = 1.0, value_parser = hours, requires = "verify")]
    pub hours: f64,
    /// The number of histories that run at the same time [default: the number of cores]
    #[arg(long, value_parser = values::whole_in(1..=1024_u16), requires = "verify")]
    pub jobs: Option<u16>,
    /// Inject no faults
    #[arg(long, requires = "verify")]
    pub no_faults: bool,
    /// Simulate no crashes of the daemon
    #[arg(long, requires = "verify")]
    pub no_crashes: bool,
    /// The number of lines to show of a history that disagrees, half from its beginning and half from its end
    #[arg(long, default_value_t = 400, value_name = "LINES", value_parser = values::whole_in(2..=u32::MAX), requires = "verify")]
    pub lines: u32,
}

/// After this many failed histories no further one is started.
const MAX_FAILURES: usize = 20;
/// How many of the failed histories are shown in full.
const MAX_SHOWN: usize = 3;
/// How many disagreements of one history are listed.
const MAX_DISAGREEMENTS: usize = 10;

/// Runs the histories and prints their totals. The exit code is 0 if all of them agreed.
///
/// # Errors
/// If a history could not be run, or `out` cannot be written to.
pub(super) fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let threads = args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let batch = Batch {
        from: args.from,
        seeds: args.seeds,
        length: Duration::from_secs_f64(args.hours * 3600.0),
        faults: !args.no_faults,
        crashes: !args.no_crashes,
        threads,
        failures: MAX_FAILURES,
    };
    let clock = Clock::new();
    let began = clock.now().mono;
    let progress = Progress::of("histories", args.seeds);
    let tally = batch.run(|done| progress.at(done))?;
    drop(progress);
    let took = clock.now().mono.saturating_sub(began);
    table(&tally, took, threads, out)?;
    for failure in tally.failures.iter().take(MAX_SHOWN) {
        show(args, &batch, failure, out)?;
    }
    for failure in tally.failures.iter().skip(MAX_SHOWN) {
        writeln!(out, "\nseed {} disagrees: {}", failure.seed, command(args, failure.seed))?;
    }
    Ok(if tally.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(tally: &BatchReport, took: Duration, threads: usize, out: &mut impl Write) -> io::Result<()> {
    let hours = |time: Duration| time.as_secs_f64() / 3600.0;
    let mut row = |name: &str, value: String| writeln!(out, "{name:<26}{value:>16}");
    row("histories", tally.histories.to_string())?;
    row("simulated hours", format!("{:.1}", hours(tally.simulated)))?;
    row("conference-hours", format!("{:.1}", hours(tally.conferred)))?;
    row("conferences", tally.conferences.to_string())?;
    row("sessions", tally.sessions.to_string())?;
    row("reads", tally.reads.to_string())?;
    row("deliveries attempted", tally.deliveries.to_string())?;
    row("crashes", tally.crashes.to_string())?;
    for (fault, count) in &tally.faults {
        row(&format!("  fault {fault}"), count.to_string())?;
    }
    for (provenance, count) in &tally.events {
        row(&format!("  events {provenance}"), count.to_string())?;
    }
    row("disagreements", tally.disagreements.to_string())?;
    let speed = hours(tally.conferred) / took.as_secs_f64().max(1e-9);
    writeln!(
        out,
        "{:.1} s on {threads} threads, {speed:.0} conference-hours a second, {:.0} on each thread",
        took.as_secs_f64(),
        speed / f64::from(u32::try_from(threads).unwrap_or(u32::MAX).max(1)),
    )
}

/// Returns the command that repeats one history.
fn command(args: &Args, seed: u64) -> String {
    let mut command = format!("meetwatch sim --verify --seeds 1 --from {seed}");
    if args.hours.to_bits() != 1.0_f64.to_bits() {
        command.push_str(&format!(" --hours {}", args.hours));
    }
    for (given, option) in [(args.no_faults, " --no-faults"), (args.no_crashes, " --no-crashes")] {
        if given {
            command.push_str(option);
        }
    }
    command
}

/// Prints a history that disagrees: the disagreements, and everything about the first conference that they name.
fn show(args: &Args, batch: &Batch, failure: &FailedSeed, out: &mut impl Write) -> anyhow::Result<()> {
    let FailedSeed { seed, disagreements } = failure;
    let history = verify::run(verify::HistoryOptions { journal: true, ..batch.options(*seed) })?;
    writeln!(out, "\nseed {seed} disagrees. To repeat it: {}", command(args, *seed))?;
    writeln!(out, "conditions: {}", history.circumstances)?;
    for line in disagreements.iter().take(MAX_DISAGREEMENTS) {
        writeln!(out, "  {}", for_terminal(line))?;
    }
    if disagreements.len() > MAX_DISAGREEMENTS {
        writeln!(out, "  … and {} more", disagreements.len() - MAX_DISAGREEMENTS)?;
    }
    let known = history.log.iter().map(|(conference, _)| conference.as_str());
    let culprit = known.filter(|name| !name.is_empty()).find(|name| {
        let id = name.rsplit('/').next().unwrap_or_default();
        let short: String = id.chars().take(8).collect();
        disagreements.first().is_some_and(|line| line.contains(*name) || line.contains(&short))
    });
    let named =
        || disagreements.iter().flat_map(|line| line.split(' ')).find(|word| word.starts_with("conferenceRecords/"));
    let culprit = culprit.or_else(named).map(|name| name.split('/').take(2).collect::<Vec<_>>().join("/"));
    let Some(culprit) = culprit else { return Ok(()) };
    writeln!(out, "events of {culprit}:")?;
    lines(history.log.iter().filter(|(name, _)| *name == culprit).map(|(_, line)| line.clone()), args.lines, out)?;
    writeln!(out, "reads of {culprit}, and other steps:")?;
    lines(history.journal.about(&culprit).map(|(at, line)| format!("{at} {line}")), args.lines, out)
}

/// Prints at most `most` lines; of more, the first and the last ones.
fn lines(all: impl Iterator<Item = String>, most: u32, out: &mut impl Write) -> anyhow::Result<()> {
    let all: Vec<_> = all.collect();
    let half = usize::try_from(most / 2).unwrap_or(usize::MAX);
    for (number, line) in all.iter().enumerate() {
        if number < half || number.saturating_add(half) >= all.len() {
            writeln!(out, "  {}", for_terminal(line))?;
        } else if number == half {
            writeln!(out, "  … {} lines …", all.len() - 2 * half)?;
        }
    }
    Ok(())
}

fn hours(text: &str) -> Result<f64, String> {
    let hours = text.parse::<f64>().ok().filter(|hours| (0.1..=1000.0).contains(hours));
    hours.ok_or_else(|| "must be a number from 0.1 to 1000".to_owned())
}
