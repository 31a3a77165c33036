//! `meetwatch demo`: simulator, daemon and receiver in one process, with nothing to configure.
//!
//! Everything between them is real: sockets, tokens, the configuration file, SQLite, signatures. At the end the log is
//! held against what the simulated world made.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::event_line::event_line;
use super::output::{interrupted, line};
use crate::app::{App, StartOptions};
use crate::backoff::random_seed;
use crate::clock::Clock;
use crate::config::{self, Environment};
use crate::delivery::sign::{self, SigningSecret};
use crate::model::{Event, EventId, EventType};
use crate::sim::api::ApiSettings;
use crate::sim::receiver::{Delivered, Receiver, ReceiverSettings};
use crate::sim::world::ORGANIZER;
use crate::sim::{Running, Settings, Simulator, Time, World, WorldSettings};
use crate::store::Store;
use crate::verify::truth;

/// How long the daemon may take to read everything out once the world has ended its meetings.
const READ_OUT: Duration = Duration::from_secs(30);
/// How many deliveries may wait to be printed.
const PRINT_QUEUE: usize = 4096;

/// Show the whole way from a call to a signed webhook, with simulated people.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End by itself after so many seconds, and say whether the log agrees with what happened
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// The same seed makes the same people do the same things
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Runs until interrupted or until the seconds are over, then compares. Exit code 0 if everything agrees.
///
/// # Errors
/// If a part cannot be started.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let simulator = simulator(args.seed).await?;
    let secret = SigningSecret::from_bytes(secret_bytes(args.seed))?;
    let (printer, mut deliveries) = mpsc::channel(PRINT_QUEUE);
    let receiver = receiver(&secret, printer).await?;
    let config = write_config(folder.path(), &simulator, &receiver, &secret)?;
    let app = App::start(config::load(&config, &Environment::default())?, StartOptions::seeded(random_seed())).await?;

    line(format_args!(
        "A simulated Google Meet at {}, watched by meetwatch with the store {}.",
        format_args!("http://{}", simulator.address()),
        folder.path().join("demo.db").display()
    ))?;
    line(format_args!("Metrics: http://{}/metrics", app.listens_on()))?;
    line(match args.seconds {
        Some(seconds) => format!(
            "Each event below arrived as a webhook and its signature was verified. This ends after {seconds} s.\n"
        ),
        None => "Each event below arrived as a webhook and its signature was verified. Ctrl-C ends it.\n".to_owned(),
    })?;

    let store = app.store().clone();
    let stop = CancellationToken::new();
    let daemon = tokio::spawn(app.run(stop.clone()));
    let mut verified = BTreeSet::new();
    let show = print_events(&mut deliveries, &mut verified);
    tokio::select! {
        shown = show => shown?,
        () = over(args.seconds) => {}
    }
    line("\nThe meetings end; reading them out …\n")?;
    simulator.with(|api, now| api.world.end_all(now));
    let everything = read_out(&simulator, &store, &mut deliveries, &mut verified);
    let in_time = timeout(READ_OUT, everything).await;
    if let Ok(result) = in_time {
        result?;
    }
    let agrees = summary(&simulator, &store, &verified).await?;
    stop.cancel();
    daemon.await.context("the daemon died")??;
    receiver.stop().await;
    simulator.stop().await;
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn simulator(seed: u64) -> anyhow::Result<Running> {
    let start = Time::default().now();
    let world =
        World::new(WorldSettings { conferences: 3, people: 6, speed: 20.0, ..WorldSettings::starting(start, seed) });
    let api = ApiSettings { seed, require_auth: true, ..ApiSettings::default() };
    Simulator::start(Settings { api, ..Settings::new(world) }).await.context("cannot start the simulator")
}

/// A secret for this demonstration alone: it protects nothing.
fn secret_bytes(seed: u64) -> Vec<u8> {
    seed.to_be_bytes().repeat(4)
}

async fn receiver(secret: &SigningSecret, printer: mpsc::Sender<Delivered>) -> anyhow::Result<Receiver> {
    let (clock, secrets) = (Clock::new(), vec![secret.clone()]);
    let verify = move |headers: &HeaderMap, body: &[u8]| {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (id, timestamp, signature) =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
        sign::verify(&secrets, id, timestamp, signature, body, clock.now().wall, sign::TOLERANCE).is_ok()
    };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = ReceiverSettings { forward: Some(printer), ..ReceiverSettings::new(listen, Arc::new(verify)) };
    Receiver::start(settings).await.context("cannot start the receiver")
}

/// Writes the configuration that an operator would write, only quicker: what takes minutes in real life takes seconds.
fn write_config(
    folder: &Path,
    simulator: &Running,
    receiver: &Receiver,
    secret: &SigningSecret,
) -> anyhow::Result<std::path::PathBuf> {
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
listen = "127.0.0.1:0"
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

async fn over(seconds: Option<u64>) {
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

/// Prints until nothing comes any more.
async fn print_events(
    deliveries: &mut mpsc::Receiver<Delivered>,
    verified: &mut BTreeSet<EventId>,
) -> anyhow::Result<()> {
    let colour = std::io::stdout().is_terminal();
    while let Some(delivered) = deliveries.recv().await {
        print_event(&delivered, colour, verified)?;
    }
    Ok(())
}

fn print_event(delivered: &Delivered, colour: bool, verified: &mut BTreeSet<EventId>) -> anyhow::Result<()> {
    let body = delivered.json();
    let event: Event =
        serde_json::from_value(body.get("data").cloned().unwrap_or_default()).context("a delivery is no event")?;
    if verified.insert(event.id.clone()) {
        line(event_line(&event, colour))?;
    }
    Ok(())
}

/// Prints on until the log tells the end of every conference and every event has arrived.
async fn read_out(
    simulator: &Running,
    store: &Store,
    deliveries: &mut mpsc::Receiver<Delivered>,
    verified: &mut BTreeSet<EventId>,
) -> anyhow::Result<()> {
    let colour = std::io::stdout().is_terminal();
    let conferences = simulator.with(|api, _| api.world.conferences().count());
    let mut look = interval(Duration::from_millis(200));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(delivered) = deliveries.recv() => print_event(&delivered, colour, verified)?,
            _ = look.tick() => {
                let events = truth::log(store).await?;
                let ended = events.iter().filter(|event| event.event == EventType::ConferenceEnded && event.corrects.is_none()).count();
                if ended >= conferences && events.iter().all(|event| verified.contains(&event.id)) {
                    return Ok(());
                }
            }
        }
    }
}

/// Says what came of it.
async fn summary(simulator: &Running, store: &Store, verified: &BTreeSet<EventId>) -> anyhow::Result<bool> {
    let events = truth::log(store).await?;
    let missing = events.iter().filter(|event| !verified.contains(&event.id)).count();
    let (compared, sessions) =
        simulator.with(|api, _| (truth::compare(&api.world, &events), api.world.sessions().count()));
    let agrees = compared.disagreements.is_empty() && missing == 0;
    line(format_args!(
        "\nsessions the world made: {sessions}\nevents in the log:       {}\ndeliveries verified:     {}",
        events.len(),
        verified.len()
    ))?;
    for disagreement in &compared.disagreements {
        line(format_args!("  {disagreement}"))?;
    }
    line(if agrees { "The log and the world agree." } else { "The log and the world do NOT agree." })?;
    Ok(agrees)
}
