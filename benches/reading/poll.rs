//! What does a poll cost that finds nothing new? Ten people, over a real socket, from the request to the decision that
//! nothing is emitted. Beside it, a bare loop of `reqwest` and `serde_json` that reads the same page.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use meetwatch::clock::{Clock, Mono, Now, saturating_add};
use meetwatch::failpoints::HangFailpoint;
use meetwatch::heartbeat::Heartbeat;
use meetwatch::meet::settings::{Credentials, GoogleSettings, IdentitySettings, QuotaSettings};
use meetwatch::meet::{
    Client, ClientParts, ParticipantFilter, Priority, Read, ReadError, Reader, Reading, RetryPolicy, wire,
};
use meetwatch::model::{ConferenceName, IdentityName};
use meetwatch::sim::{Settings, Simulator, Time};
use meetwatch::status::StatusBoard;
use meetwatch::store::{Store, StoreMetrics};
use meetwatch::watch::{self, Scheduler, SchedulerCommand, SchedulerInput, TargetSelector, WatchSettings};
use prometheus::Registry;
use reqwest::Url;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::figures::{Figures, cpu, line, number, title};
use crate::google;
use crate::watching;

const PEOPLE: usize = 10;
const ROUNDS: usize = 25;
const POLLS: usize = 200;
/// A loop that waits between polls is measured for fewer rounds.
const LOOP_ROUNDS: usize = 5;
const LOOP_POLLS: usize = 400;
const PAUSE: Duration = Duration::from_millis(1);
const POLL: Duration = Duration::from_secs(10);
/// Longer than this benchmark takes, also by the clock of the world.
const NEVER: Duration = Duration::from_secs(10_000 * 86_400);

pub(crate) fn measure() -> Result<()> {
    title(&format!("A poll that finds nothing new, {PEOPLE} people"));
    // The world begins now, because a key signs with the time of this machine.
    let begun = Timestamp::from_second(Clock::new().now().wall.as_second())?;
    let seconds = Arc::new(AtomicI64::new(begun.as_second()));
    let google = Google::start(begun, Arc::clone(&seconds))?;
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("key.json");
    std::fs::write(&key, &google.key)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Arc::new(client(&google.url, key)?);
        let bare = Bare::new(&google)?;
        let mut polling = Polling::new(Arc::clone(&client), &google, begun, seconds).await?;

        let [mut plain, mut reading, mut whole] = [const { Figures::new() }; 3];
        let [mut reading_ratio, mut whole_ratio] = [const { Figures::new() }; 2];
        for _ in 0..ROUNDS {
            let one = micros(async { bare.polls(POLLS).await }).await?;
            let two = micros(async { client_polls(&client, &google.conference, POLLS).await }).await?;
            let three = micros(async { polling.polls(POLLS).await }).await?;
            for (figures, figure) in [
                (&mut plain, one),
                (&mut reading, two),
                (&mut whole, three),
                (&mut reading_ratio, two / one),
                (&mut whole_ratio, three / one),
            ] {
                figures.add(figure);
            }
        }
        show("the bare loop", &plain, None);
        show("meet::Client alone", &reading, Some(&reading_ratio));
        show("meet::Client, schedule and roster", &whole, Some(&whole_ratio));

        let [mut waiting, mut looping, mut looping_ratio] = [const { Figures::new() }; 3];
        for round in 0..LOOP_ROUNDS {
            let one = micros(async { bare.polls_with_pauses(POLLS).await }).await?;
            waiting.add(one);
            let path = folder.path().join(format!("{round}.db"));
            let two = daemon_loop(&client, &google.conference, &path).await?;
            looping.add(two);
            looping_ratio.add(two / one);
        }
        show("the bare loop, waiting 1 ms between polls", &waiting, None);
        show("the daemon's loop, waiting 1 ms between polls", &looping, Some(&looping_ratio));
        Ok(())
    })
}

/// The simulator, on a thread of its own.
struct Google {
    url: String,
    key: String,
    conference: ConferenceName,
    /// Ends the thread when dropped.
    _stop: oneshot::Sender<()>,
}

impl Google {
    fn start(begun: Timestamp, seconds: Arc<AtomicI64>) -> Result<Self> {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || -> Result<()> {
            let (world, spaces) = google::world(5, begun, 1, PEOPLE)?;
            let live = spaces.first().and_then(|space| world.live_in(*space)).context("nothing is live")?;
            let conference = live.name.clone();
            let time = Time::from_fn(move || Timestamp::from_second(seconds.load(Ordering::Relaxed)).unwrap_or(begun));
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
                let running = Simulator::start(Settings { time, ..Settings::new(world) }).await?;
                let key = running.service_account_key()?.to_string();
                tell.send((running.url().to_owned(), key, conference))?;
                // The sender may have gone; both mean stop.
                let _over = stopped.await;
                running.stop().await;
                Ok(())
            })
        });
        let (url, key, conference) = told.recv().context("the simulator did not start")?;
        Ok(Self { url, key, conference, _stop: stop })
    }
}

/// The plainest poller.
struct Bare {
    http: reqwest::Client,
    url: String,
}

impl Bare {
    fn new(google: &Google) -> Result<Self> {
        let url =
            format!("{}/v2/{}/participants?pageSize=250&filter=latest_end_time+IS+NULL", google.url, google.conference);
        Ok(Self { http: reqwest::Client::builder().no_proxy().build()?, url })
    }

    async fn polls(&self, polls: usize) -> Result<()> {
        for _ in 0..polls {
            self.poll().await?;
        }
        Ok(())
    }

    /// The same with pauses, as in the daemon: the CPU's caches are cold at the next poll.
    async fn polls_with_pauses(&self, polls: usize) -> Result<()> {
        for _ in 0..polls {
            self.poll().await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn poll(&self) -> Result<()> {
        let response = self.http.get(&self.url).bearer_auth("token").send().await?.error_for_status()?;
        let page: wire::Participants = serde_json::from_slice(&response.bytes().await?)?;
        ensure!(page.participants.len() == PEOPLE, "{} participants", page.participants.len());
        Ok(())
    }
}

fn client(url: &str, key: std::path::PathBuf) -> Result<Client> {
    let endpoint = Url::parse(url)?;
    let plenty = u32::MAX;
    let google = GoogleSettings {
        endpoint: endpoint.clone(),
        people_endpoint: endpoint,
        quota: QuotaSettings {
            reads_per_minute_project: plenty,
            reads_per_minute_user: plenty,
            ..QuotaSettings::default()
        },
        ..GoogleSettings::default()
    };
    let credentials = Credentials::ServiceAccount { key, subject: Some("person0@example.com".to_owned()) };
    let identity = IdentitySettings { name: identity()?, credentials, lookup_people: false };
    Ok(Client::new(&ClientParts {
        google: &google,
        identities: &[identity],
        clock: Clock::new(),
        seed: 1,
        registry: &Registry::new(),
        limits: &watching::limits()?,
        status: StatusBoard::default(),
        retry: RetryPolicy::default(),
    })?)
}

fn identity() -> Result<IdentityName> {
    Ok(IdentityName::parse("organizer")?)
}

async fn client_polls(client: &Client, conference: &ConferenceName, polls: usize) -> Result<()> {
    let (identity, read) = (identity()?, Read::Participants(conference.clone(), ParticipantFilter::Active));
    for _ in 0..polls {
        client.read(&identity, Priority::Listing, &read).await?;
    }
    Ok(())
}

/// Settings under which every read is a listing.
fn only_listings() -> WatchSettings {
    WatchSettings { session_sweep: NEVER, backfill: NEVER, discovery: NEVER, ..WatchSettings::default() }
}

/// The real schedule with the real client, in steps of ten seconds without waiting. Every sixth poll leads to a commit,
/// which is built and not stored.
struct Polling {
    client: Arc<Client>,
    scheduler: Scheduler,
    begun: Timestamp,
    mono: Mono,
    /// The clock of the world, in seconds.
    seconds: Arc<AtomicI64>,
}

impl Polling {
    /// Watches until everything is known.
    async fn new(client: Arc<Client>, google: &Google, begun: Timestamp, seconds: Arc<AtomicI64>) -> Result<Self> {
        let now = Now { mono: Mono::ZERO, wall: begun };
        let what = TargetSelector::Conference(google.conference.clone());
        let scheduler = watching::scheduler(what, POLL, only_listings(), now)?;
        let mut polling = Self { client, scheduler, begun, mono: Mono::ZERO, seconds };
        polling.polls(3).await?;
        let watched = polling.scheduler.conferences().get(&google.conference).context("it is not watched")?;
        let present = watched.roster().map(watch::Roster::present);
        ensure!(present == u32::try_from(PEOPLE).ok(), "{present:?} are present");
        Ok(polling)
    }

    async fn polls(&mut self, polls: usize) -> Result<()> {
        for _ in 0..polls {
            let read = self.turn().await?;
            ensure!(read > 0, "nothing was read");
            self.mono += POLL + POLL / 10;
            let now = saturating_add(self.begun, self.mono);
            self.seconds.store(now.as_second(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Does what is due now. Returns how many reads that took.
    async fn turn(&mut self) -> Result<usize> {
        let now = Now { mono: self.mono, wall: saturating_add(self.begun, self.mono) };
        let mut commands = self.scheduler.step(now, SchedulerInput::Tick);
        let mut reads = 0;
        while let Some(command) = commands.pop() {
            let input = match command {
                SchedulerCommand::Read { key, identity, priority, read } => {
                    reads += 1;
                    SchedulerInput::Answered(key, Ok(self.client.read(&identity, priority, &read).await?))
                }
                SchedulerCommand::Commit { key, .. } => SchedulerInput::Committed(key, true),
            };
            commands.extend(self.scheduler.step(now, input));
        }
        Ok(reads)
    }
}

/// Runs `watch::run` as the daemon does, with a store and a millisecond between polls. Returns microseconds for each poll.
async fn daemon_loop(client: &Arc<Client>, conference: &ConferenceName, path: &std::path::Path) -> Result<f64> {
    let clock = Clock::new();
    let what = TargetSelector::Conference(conference.clone());
    let scheduler = watching::scheduler(what, PAUSE, only_listings(), clock.now())?;
    let store = Store::open(path, clock, StoreMetrics::register(&Registry::new())?)?;
    let stop = CancellationToken::new();
    let counting =
        Arc::new(Counting { client: Arc::clone(client), stop: stop.clone(), polls: std::sync::Mutex::default() });
    let parts = watch::WatchParts {
        reader: Arc::clone(&counting),
        store: store.clone(),
        clock,
        metrics: watching::metrics()?,
        heartbeat: Heartbeat::default(),
        hang: HangFailpoint::default(),
    };
    let (_changes, changed) = watch::reconfigure_channel();
    watch::run(scheduler, parts, changed, stop).await;
    store.close(POLL).await?;
    let polls = counting.polls.lock().map_err(|_| anyhow::anyhow!("a poll panicked"))?;
    let (Some(begun), Some(ended)) = (polls.begun, polls.ended) else { bail!("it stopped too early") };
    Ok(ended.saturating_sub(begun).as_secs_f64() * 1e6 / number(LOOP_POLLS))
}

/// A reader that measures its polls, and stops the loop after the last one.
#[derive(Debug)]
struct Counting {
    client: Arc<Client>,
    stop: CancellationToken,
    polls: std::sync::Mutex<Polls>,
}

#[derive(Debug, Default)]
struct Polls {
    count: usize,
    begun: Option<Duration>,
    ended: Option<Duration>,
}

impl Reader for Counting {
    async fn read(&self, identity: &IdentityName, priority: Priority, read: &Read) -> Result<Reading, ReadError> {
        if matches!(read, Read::Participants(..))
            && let Ok(mut polls) = self.polls.lock()
        {
            polls.count += 1;
            // By then everybody's sessions have been read.
            let warm = 20;
            if polls.count == warm {
                polls.begun = Some(cpu());
            } else if polls.count == warm + LOOP_POLLS {
                polls.ended = Some(cpu());
                self.stop.cancel();
            }
        }
        self.client.read(identity, priority, read).await
    }
}

/// Returns the microseconds of this thread for each poll.
async fn micros(work: impl Future<Output = Result<()>>) -> Result<f64> {
    let begun = cpu();
    work.await?;
    Ok(cpu().saturating_sub(begun).as_secs_f64() * 1e6 / number(POLLS))
}

fn show(what: &str, figures: &Figures, ratio: Option<&Figures>) {
    let (least, most) = figures.spread();
    let times = ratio.map(|ratio| {
        let (least, most) = ratio.spread();
        format!(" = {:.2} times ({least:.2} to {most:.2})", ratio.median())
    });
    let figure = format!("{:>6.1} µs ({least:.1} to {most:.1}){}", figures.median(), times.unwrap_or_default());
    line(what, &figure);
}
