//! `meetwatch sim`: the simulator of the Meet API, without a daemon.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::{EX_CONFIG, output};
use super::{input_file, values};
use crate::model::text::for_terminal;
use crate::sim::api::ApiSettings;
use crate::sim::faults::{Faults, PRESETS, preset};
use crate::sim::script::{EXAMPLE, Script};
use crate::sim::world::ORGANIZER;
use crate::sim::{Running, Settings, Simulator, Time, World, WorldSettings};

/// Run a simulator of the Meet API
///
/// It also simulates the parts of the People API and of Google's sign-in that the Meet API needs. It prints its address and
/// runs until interrupted. Use the address as `endpoint` and `people_endpoint` in the configuration of meetwatch, or in any
/// other client of these APIs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address to listen on; port 0 means any free port
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR", value_parser = values::listen_address)]
    pub listen: SocketAddr,
    /// The seed of the simulation; the same seed produces the same meetings
    #[arg(long, default_value_t = 1, value_parser = values::whole::<u64>)]
    pub seed: u64,
    /// The number of spaces, each of which holds one meeting after another
    #[arg(long, default_value_t = 5, value_parser = values::whole::<u32>)]
    pub conferences: u32,
    /// The approximate number of people in a meeting
    #[arg(long, default_value_t = 12, value_parser = values::whole::<u32>)]
    pub people: u32,
    /// How many times faster than real people the simulated ones act; timestamps stay real
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Make the first meeting a webinar with this many people
    #[arg(long, value_name = "PEOPLE", value_parser = values::whole::<u32>)]
    pub webinar: Option<u32>,
    /// Play a script instead of random meetings
    #[arg(long, value_name = "FILE", conflicts_with_all = ["conferences", "people", "webinar"])]
    pub script: Option<PathBuf>,
    /// Print an annotated example script and exit
    #[arg(long)]
    pub example: bool,
    /// Inject faults: names separated by commas, or `help` for a list
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub faults: Vec<String>,
    /// Return at most this many items on a page, whatever page size is requested
    #[arg(long, value_name = "ITEMS", value_parser = values::whole::<usize>)]
    pub max_page: Option<usize>,
    /// Accept only tokens that this simulator issued
    #[arg(long)]
    pub require_auth: bool,
    /// Write a service account key for which this simulator issues tokens (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub write_key: Option<PathBuf>,
    /// Print a service account key after the address
    #[arg(long)]
    pub print_key: bool,
    /// Write an OAuth client secret for which this simulator serves the consent page and tokens (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub write_client_secret: Option<PathBuf>,
    #[command(flatten)]
    pub verify: super::verify::Args,
}

/// Runs until interrupted.
///
/// # Errors
/// If the address cannot be bound, or a file cannot be read or written.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    run_until(args, &mut io::stdout(), output::interrupted()).await
}

/// Runs until `stopped` is ready. Writes its output to `out`.
///
/// # Errors
/// As [`run`], or if `out` cannot be written to.
pub async fn run_until(
    args: Args,
    out: &mut (impl Write + Send),
    stopped: impl Future<Output = io::Result<()>> + Send,
) -> anyhow::Result<ExitCode> {
    if args.verify.verify {
        return super::verify::run(&args.verify, out);
    }
    if args.example {
        out.write_all(EXAMPLE.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.faults.iter().any(|name| name == "help") {
        PRESETS.iter().try_for_each(|(name, meaning)| writeln!(out, "{name:24}{meaning}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some((world, faults)) = world(&args, &mut io::stderr())? else { return Ok(ExitCode::from(EX_CONFIG)) };
    let api = ApiSettings {
        seed: args.seed,
        max_page: args.max_page,
        require_auth: args.require_auth,
        ..ApiSettings::default()
    };
    let settings = Settings { listen: args.listen, faults, api, ..Settings::new(world) };
    let running = Simulator::start(settings).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let started = announce(&args, &running, out);
    if started.is_ok() {
        stopped.await.context("cannot listen for signals")?;
    }
    running.stop().await;
    started.map(|()| ExitCode::SUCCESS)
}

/// Returns the world and its faults, or `None` if the arguments have mistakes, which it prints to `errors`.
fn world(args: &Args, errors: &mut impl Write) -> anyhow::Result<Option<(World, Faults)>> {
    let start = Time::default().now();
    let (world, mut faults) = match &args.script {
        Some(path) => {
            let text = input_file::read("--script", path)?;
            match Script::parse(&text) {
                Ok(script) => (script.world(args.seed, start, args.speed), script.faults(args.seed, start, args.speed)),
                Err(mistakes) => {
                    for mistake in mistakes.0 {
                        let message = for_terminal(&mistake.message);
                        writeln!(errors, "{}:{}: {message}", path.display(), mistake.line)?;
                    }
                    return Ok(None);
                }
            }
        }
        None => {
            let settings = WorldSettings {
                conferences: args.conferences,
                people: args.people,
                speed: args.speed,
                webinar: args.webinar,
                ..WorldSettings::starting(start, args.seed)
            };
            (World::new(settings), Faults::seeded(args.seed))
        }
    };
    for name in &args.faults {
        match preset(name, args.seed) {
            Ok(rules) => faults.add_all(rules),
            Err(unknown) => {
                writeln!(errors, "{}", for_terminal(&unknown.to_string()))?;
                return Ok(None);
            }
        }
    }
    Ok(Some((world, faults)))
}

/// Writes the requested files, and prints the address and the meeting codes.
fn announce(args: &Args, running: &Running, out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(path) = &args.write_key {
        output::write_private(path, format!("{:#}\n", running.service_account_key()?).as_bytes())?;
    }
    if let Some(path) = &args.write_client_secret {
        let secret = running.with(|api, _| api.client_secret());
        output::write_private(path, format!("{secret:#}\n").as_bytes())?;
    }
    writeln!(out, "listening on http://{}", running.address())?;
    if args.script.is_none() {
        writeln!(out, "organizer of every meeting: {ORGANIZER}")?;
    }
    let codes: Vec<String> =
        running.with(|api, _| api.world.spaces().map(|(_, space)| space.code.to_string()).take(10).collect());
    writeln!(out, "meeting codes: {}", codes.join(" "))?;
    if args.print_key {
        writeln!(out, "{}", serde_json::to_string_pretty(&running.service_account_key()?)?)?;
    }
    out.flush()?;
    Ok(())
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| (0.01..=10_000.0).contains(speed));
    speed.ok_or_else(|| "must be a number from 0.01 to 10000".to_owned())
}
