//! `meetwatch demo`: simulator, daemon and receiver in one process, with nothing to configure.
//!
//! Everything between them is real: sockets, tokens, the configuration file, SQLite, signatures. At the end the event log is
//! compared with what happened in the simulation.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::demo_line::{LEGEND, demo_line, is_of_a_device};
use super::output::{interrupted, line};
use crate::app::{App, StartError, StartOptions};
use crate::backoff::random_seed;
use crate::clock::Clock;
use crate::config::{self, Environment};
use crate::delivery::sign::SigningSecret;
use crate::model::{Event, EventId, EventType};
use crate::sim::api::ApiSettings;
use crate::sim::receiver::{Delivered, Receiver, ReceiverSettings};
use crate::sim::world::ORGANIZER;
use crate::sim::{Running, Settings, Simulator, Time, World, WorldSettings};
use crate::store::Store;
use crate::verify::truth;

/// How long the daemon may take to report the last events after the simulated meetings have ended.
const LAST_EVENTS: Duration = Duration::from_secs(30);
/// The longest demonstration: a day.
const MAX_SECONDS: u64 = 86_400;
/// How many received deliveries may wait to be printed.
const PRINT_QUEUE: usize = 4096;
/// The port of the daemon where it is free, so that an address can be kept in a browser or a script.
const PORT: u16 = 9850;

/// Run a demonstration: simulated meetings, the daemon, and a webhook receiver that prints each event
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Stop after this many seconds; without it, the demonstration runs until interrupted
    #[arg(long, value_name = "N", value_parser = seconds)]
    seconds: Option<u64>,
    /// The seed of the simulation; the same seed produces the same meetings
    #[arg(long, default_value_t = 7, value_parser = super::values::whole::<u64>)]
    seed: u64,
    /// Also print the events of single devices; without it, one line tells of a person however many devices there are
    #[arg(long)]
    devices: bool,
}

fn seconds(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
    seconds.ok_or_else(|| {
        format!("must be a whole number of seconds from 1 to {MAX_SECONDS}; leave out --seconds to stop with Ctrl-C")
    })
}

/// Runs until interrupted or until the seconds have passed, then compares. The exit code is 0 if everything agrees.
///
/// # Errors
/// If a part cannot be started.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let simulator = simulator(args.seed).await?;
    let secret = SigningSecret::from_bytes(secret_bytes(args.seed))?;
    let (printer, mut deliveries) = mpsc::channel(PRINT_QUEUE);
    let receiver = receiver(&secret, printer).await?;
    let config = |listen| write_config(folder.path(), &simulator, &receiver, &secret, listen);
    let (app, config) = start_daemon(config).await?;

    print_introduction(&simulator, &app, &config, args.seconds)?;

    let store = app.store().clone();
    let stop = CancellationToken::new();
    let daemon = tokio::spawn(app.run(stop.clone()));
    let mut printer = Printer::new(args.devices);
    let show = printer.events(&mut deliveries);
    tokio::select! {
        shown = show => shown?,
        () = end(args.seconds) => {}
    }
    line("\nEnding the meetings and waiting for their last events …\n")?;
    simulator.with(|api, now| api.world.end_all(now));
    let last_events = print_last_events(&simulator, &store, &mut deliveries, &mut printer);
    let in_time = timeout(LAST_EVENTS, last_events).await;
    if let Ok(result) = in_time {
        result?;
    }
    let agrees = print_summary(&simulator, &store, &printer.verified).await?;
    stop.cancel();
    daemon.await.context("the daemon panicked")??;
    receiver.stop().await;
    simulator.stop().await;
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts the daemon with the configuration that `write` makes for an address. Returns that configuration, too.
async fn start_daemon(write: impl Fn(SocketAddr) -> anyhow::Result<PathBuf>) -> anyhow::Result<(App, PathBuf)> {
    let start = async |config: &Path| {
        let config = config::load(config, &Environment::default())?;
        anyhow::Ok(App::start(config, StartOptions::seeded(random_seed())).await)
    };
    let config = write(free_address(PORT).or_else(|_| free_address(0))?)?;
    match start(&config).await? {
        // Something else took the address meanwhile, such as another demonstration.
        Err(StartError::Listen(_)) => {
            let config = write(free_address(0)?)?;
            Ok((start(&config).await??, config))
        }
        started => Ok((started?, config)),
    }
}

fn print_introduction(simulator: &Running, app: &App, config: &Path, seconds: Option<u64>) -> anyhow::Result<()> {
    line(format_args!("Simulated Google Meet: http://{}", simulator.address()))?;
    line(format_args!("Metrics of meetwatch:  http://{}/metrics", app.listens_on()))?;
    line("\nWhile it runs, try in another terminal:\n")?;
    // As it was called, so that the command works where it is pasted: after `cargo run` it is in no folder of `PATH`.
    let program = std::env::args_os().next().unwrap_or_else(|| "meetwatch".into());
    for command in ["who", "conferences", "status", "deliveries"] {
        line(format_args!("  {} {command} --config {}", program.display(), config.display()))?;
    }
    line("\nEach line below is an event that arrived as a webhook with a valid signature:\n")?;
    line(format_args!("{LEGEND}\n"))?;
    line(
        seconds
            .map_or_else(|| "Press Ctrl-C to stop.\n".to_owned(), |seconds| format!("It stops after {seconds} s.\n")),
    )
}

/// Returns an address that is free at the moment. It has to be known before the daemon starts, because it is in the
/// configuration that other commands read.
fn free_address(port: u16) -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    Ok(listener.context("cannot find a free port on this machine")?.local_addr()?)
}

async fn simulator(seed: u64) -> anyhow::Result<Running> {
    let start = Time::default().now();
    let world =
        World::new(WorldSettings { conferences: 3, people: 6, speed: 20.0, ..WorldSettings::starting(start, seed) });
    let api = ApiSettings { seed, require_auth: true, ..ApiSettings::default() };
    Simulator::start(Settings { api, ..Settings::new(world) }).await.context("cannot start the simulator")
}

/// Returns the signing secret, which is only for this demonstration and protects nothing.
fn secret_bytes(seed: u64) -> Vec<u8> {
    seed.to_be_bytes().repeat(4)
}

async fn receiver(secret: &SigningSecret, printer: mpsc::Sender<Delivered>) -> anyhow::Result<Receiver> {
    let (clock, secrets) = (Clock::new(), vec![secret.clone()]);
    let verify = move |headers: &HeaderMap, body: &[u8]| {
        super::listen::verify(&secrets, headers, body, clock.now().wall).is_ok()
    };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = ReceiverSettings { forward: Some(printer), ..ReceiverSettings::new(listen, Arc::new(verify)) };
    Receiver::start(settings).await.context("cannot start the receiver")
}

/// Writes the configuration of the daemon, with shorter intervals than an operator would use.
fn write_config(
    folder: &Path,
    simulator: &Running,
    receiver: &Receiver,
    secret: &SigningSecret,
    listen: SocketAddr,
) -> anyhow::Result<PathBuf> {
    let key = folder.join("key.json");
    super::output::write_private(&key, simulator.service_account_key()?.to_string().as_bytes())?;
    let config = folder.join("demo.toml");
    let text = format!(
        r#"[google]
endpoint = "{google}"
people_endpoint = "{google}"
internal_domains = ["example.com"]
[google.quota]
reads_per_minute_user = 3000
[[identity]]
name = "organizer"
service_account_key = "{key}"
subject = "{ORGANIZER}"
lookup = "people"
[[target]]
name = "everything"
organizer = true
poll_interval = "1s"
[[webhook]]
name = "printer"
url = "{receiver}"
secret = "{secret}"
[watch]
session_sweep = "5s"
backfill = "5s"
discovery = "2s"
[store]
path = "{store}"
[server]
listen = "{listen}"
"#,
        google = format_args!("http://{}", simulator.address()),
        key = key.display(),
        receiver = receiver.url(),
        secret = secret.reveal(),
        store = folder.join("demo.db").display(),
    );
    super::output::write_private(&config, text.as_bytes())?;
    Ok(config)
}

/// Waits for the end of the demonstration.
async fn end(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => {
            tokio::select! {
                () = sleep(Duration::from_secs(seconds)) => {}
                _ = interrupted() => {}
            }
        }
        None => drop(interrupted().await),
    }
}

/// Prints events once each, and remembers which ones arrived.
#[derive(Debug)]
struct Printer {
    verified: BTreeSet<EventId>,
    devices: bool,
    colour: bool,
}

impl Printer {
    fn new(devices: bool) -> Self {
        Self { verified: BTreeSet::new(), devices, colour: std::io::stdout().is_terminal() }
    }

    /// Prints events as they arrive, until the receiver stops. Cancel-safe.
    async fn events(&mut self, deliveries: &mut mpsc::Receiver<Delivered>) -> anyhow::Result<()> {
        while let Some(delivered) = deliveries.recv().await {
            self.event(&delivered)?;
        }
        Ok(())
    }

    fn event(&mut self, delivered: &Delivered) -> anyhow::Result<()> {
        let body = delivered.json();
        let event: Event = serde_json::from_value(body.get("data").cloned().unwrap_or_default())
            .context("a delivery is not an event")?;
        let is_new = self.verified.insert(event.id.clone());
        if is_new && (self.devices || !is_of_a_device(&event)) {
            line(demo_line(&event, self.colour))?;
        }
        Ok(())
    }
}

/// Prints events until the log has the end of every conference and every event of the log has arrived.
async fn print_last_events(
    simulator: &Running,
    store: &Store,
    deliveries: &mut mpsc::Receiver<Delivered>,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    let conferences = simulator.with(|api, _| api.world.conferences().count());
    let mut check = interval(Duration::from_millis(200));
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(delivered) = deliveries.recv() => printer.event(&delivered)?,
            _ = check.tick() => {
                let events = truth::log(store).await?;
                let is_end = |event: &&Event| event.event == EventType::ConferenceEnded && event.corrects.is_none();
                let ended = events.iter().filter(is_end).count();
                if ended >= conferences && events.iter().all(|event| printer.verified.contains(&event.id)) {
                    return Ok(());
                }
            }
        }
    }
}

/// Compares the event log with the simulation, prints the result, and returns whether they agree.
async fn print_summary(simulator: &Running, store: &Store, verified: &BTreeSet<EventId>) -> anyhow::Result<bool> {
    let events = truth::log(store).await?;
    let missing = events.iter().filter(|event| !verified.contains(&event.id)).count();
    let (compared, sessions) =
        simulator.with(|api, _| (truth::compare(&api.world, &events), api.world.sessions().count()));
    let agrees = compared.disagreements.is_empty() && missing == 0;
    line(format_args!(
        "\nsessions simulated:  {sessions}\nevents in the log:   {}\ndeliveries verified: {}",
        events.len(),
        verified.len()
    ))?;
    for disagreement in &compared.disagreements {
        line(format_args!("  {disagreement}"))?;
    }
    line(if agrees {
        "The event log agrees with the simulation."
    } else {
        "The event log does NOT agree with the simulation."
    })?;
    Ok(agrees)
}
