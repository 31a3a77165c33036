//! Measures the throughput of deliveries from the outbox, against the same client sending from memory; the drain of a backlog;
//! and the time from a commit to the first byte at an idle daemon's receiver.
//!
//! `cargo bench --bench delivery -- [--deliveries N] [--backlog N] [--rounds N] [--conferences N]`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark panics on failure, and prints")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use meetwatch::backoff::Random;
use meetwatch::clock::{Clock, Mono};
use meetwatch::delivery::format::MessageBody;
use meetwatch::delivery::http::send::Sender;
use meetwatch::delivery::sign::SigningSecret;
use meetwatch::delivery::{Dispatcher, DispatcherOptions, EndpointSettings, WebhookMetrics};
use meetwatch::model::event_id::Edge;
use meetwatch::model::{
    ConferenceName, EndpointName, EventKey, EventType, ParticipantName, Provenance, Source, TargetName,
};
use meetwatch::store::{Commit, ConferenceRow, DeliveryFilter, DeliveryState, NewEvent, Phase, Store, StoreMetrics};
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A receiver on its own thread that answers at once.
struct Receiver {
    address: SocketAddr,
    /// The number of requests that it has answered.
    answered: Arc<AtomicU64>,
    /// When the first byte of the last request arrived, in nanoseconds of the clock.
    first_byte: Arc<AtomicU64>,
    called: Arc<Notify>,
}

impl Receiver {
    fn start(clock: Clock) -> Self {
        let (answered, first_byte, called) =
            (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
        let (sender, address) = std::sync::mpsc::channel();
        let shared = (Arc::clone(&answered), Arc::clone(&first_byte), Arc::clone(&called));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let shared = shared.clone();
                    tokio::spawn(answer(stream, clock, shared));
                }
            });
        });
        Self { address: address.recv().unwrap(), answered, first_byte, called }
    }

    async fn wait_for(&self, count: u64) {
        while self.answered.load(Ordering::Acquire) < count {
            self.called.notified().await;
        }
    }

    fn endpoint(&self, conferences: u64) -> EndpointSettings {
        let url = format!("http://{}/hook", self.address).parse().unwrap();
        EndpointSettings {
            secrets: vec![SigningSecret::from_bytes(vec![7; 32]).unwrap()],
            concurrency: usize::try_from(conferences).unwrap(),
            ..EndpointSettings::new(endpoint(), url)
        }
    }
}

async fn answer(
    mut stream: TcpStream,
    clock: Clock,
    (answered, first_byte, called): (Arc<AtomicU64>, Arc<AtomicU64>, Arc<Notify>),
) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::with_capacity(16_384);
    loop {
        buffer.clear();
        let mut needed = None;
        while needed.is_none_or(|needed| buffer.len() < needed) {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
            if first_byte.load(Ordering::Relaxed) == 0 {
                first_byte.store(u64::try_from(clock.now().mono.as_nanos()).unwrap(), Ordering::Release);
            }
            if needed.is_none() {
                needed = whole(&buffer);
            }
        }
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            return;
        }
        answered.fetch_add(1, Ordering::Release);
        called.notify_one();
    }
}

/// Returns the length of the request once its head is complete.
fn whole(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).unwrap();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    Some(head + length.parse::<usize>().unwrap())
}

fn endpoint() -> EndpointName {
    EndpointName::parse("ops").unwrap()
}

fn conference(number: u64) -> ConferenceName {
    ConferenceName::parse(&format!("conferenceRecords/bench-{number}")).unwrap()
}

/// A join event of realistic size.
fn event(number: u64, sequence: u64) -> NewEvent {
    let time: Timestamp = "2026-01-05T10:00:02.123456Z".parse().unwrap();
    let person = ParticipantName::parse(&format!("conferenceRecords/bench-{number}/participants/{sequence}")).unwrap();
    let key = EventKey {
        event: EventType::ParticipantJoined,
        resource: person.as_str(),
        edge: Edge::Time(time),
        source: Source::Google,
        n: 0,
    };
    let id = key.id();
    let body = format!(
        r#"{{"schema":1,"id":"{id}","type":"participant.joined","time":"{time}","observed_at":"2026-01-05T10:00:09.870Z","provenance":"observed","sequence":{sequence},"targets":["board"],"conference":{{"name":"conferenceRecords/bench-{number}","space":"spaces/bench","meeting_code":"abc-mnop-xyz","start_time":"2026-01-05T10:00:00Z"}},"participant":{{"name":"{person}","kind":"signed_in","user":"users/1234567890","display_name":"Ada Lovelace","email":"ada@example.com","affiliation":"internal"}},"session":{{"name":"{person}/participantSessions/1","start_time":"{time}","end_time":null}},"present":7,"corrects":null}}"#
    );
    NewEvent {
        event: key.event,
        conference: Some(conference(number)),
        participant: Some(person.clone()),
        session: None,
        sequence: Some(sequence),
        time,
        observed_at: time,
        provenance: Provenance::Observed,
        source: Source::Google,
        n: 0,
        takes_back: None,
        body: body.into(),
        owed_to: vec![endpoint()],
        id,
    }
}

fn commit(number: u64, events: Vec<NewEvent>) -> Commit {
    let conference = ConferenceRow {
        name: conference(number),
        space: None,
        meeting_code: None,
        start: Timestamp::UNIX_EPOCH,
        end: None,
        phase: Phase::Closed,
        targets: vec![TargetName::parse("board").unwrap()],
        identity: None,
        last_sequence: events.last().and_then(|event| event.sequence).unwrap_or(0),
        present: 7,
        last_listed: None,
        backfilled_to: None,
        final_read_due: None,
    };
    Commit { conference: Some(conference), events, ..Commit::default() }
}

fn open(path: &Path, clock: Clock) -> Store {
    Store::open(path, clock, StoreMetrics::register(&Registry::new()).unwrap()).unwrap()
}

async fn fill(store: &Store, clock: Clock, deliveries: u64, conferences: u64) {
    let each = deliveries / conferences;
    for first in (0..each).step_by(100) {
        let last = (first + 100).min(each);
        let commits = (0..conferences).map(|number| {
            let events = (first..last).map(|sequence| event(number, sequence + 1)).collect();
            store.commit(commit(number, events), clock.now().wall)
        });
        for commit in commits {
            commit.await.unwrap();
        }
    }
}

/// A dispatcher that runs on a store.
struct House {
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl House {
    fn start(store: &Store, settings: &EndpointSettings, clock: Clock) -> Self {
        let metrics = WebhookMetrics::register(&Registry::new(), [&settings.name]).unwrap();
        let endpoints = std::slice::from_ref(settings);
        let (random, options) = (Random::with_seed(1), DispatcherOptions::default());
        let dispatcher = Dispatcher::new(endpoints, store.clone(), clock, metrics, random, &options).unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(dispatcher.run(stop.clone()));
        Self { stop, running }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is printed with a few digits")]
fn rate(count: u64, took: Mono) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// Measures unsigned deliveries from memory, without a store, per second.
async fn from_memory(clock: Clock, deliveries: u64, conferences: u64) -> f64 {
    let receiver = Receiver::start(clock);
    let settings = EndpointSettings { secrets: Vec::new(), ..receiver.endpoint(conferences) };
    let sender = Sender::new(&settings, clock).unwrap();
    let sample = event(0, 1);
    let began = clock.now().mono;
    let workers: Vec<_> = (0..conferences)
        .map(|_| {
            let (sender, id, bytes) = (sender.clone(), sample.id.clone(), sample.body.as_bytes().to_vec());
            tokio::spawn(async move {
                for _ in 0..deliveries / conferences {
                    let body = MessageBody { content_type: "application/json", bytes: bytes.clone() };
                    let reply = sender.send(id.as_str(), None, body).await;
                    assert_eq!(reply.outcome.reason(), None);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    rate(deliveries, clock.now().mono - began)
}

/// Measures signed deliveries from the outbox, in order, per second.
async fn from_outbox(clock: Clock, folder: &Path, deliveries: u64, conferences: u64) -> f64 {
    let receiver = Receiver::start(clock);
    let path = folder.join("steady.db");
    let store = open(&path, clock);
    fill(&store, clock, deliveries, conferences).await;
    let began = clock.now().mono;
    let house = House::start(&store, &receiver.endpoint(conferences), clock);
    receiver.wait_for(deliveries).await;
    house.stop().await;
    let took = clock.now().mono - began;
    store.close(Duration::from_secs(60)).await.unwrap();
    std::fs::remove_file(path).unwrap();
    rate(deliveries, took)
}

/// Returns the resident memory, in MB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1024.0
}

async fn backlog(clock: Clock, folder: &Path, deliveries: u64, conferences: u64) {
    let path = folder.join("backlog.db");
    let store = open(&path, clock);
    let began = clock.now().mono;
    fill(&store, clock, deliveries, conferences).await;
    println!("backlog: {deliveries} committed in {:.1} s", (clock.now().mono - began).as_secs_f64());
    store.close(Duration::from_secs(600)).await.unwrap();
    drop(store);

    let receiver = Receiver::start(clock);
    let settings = receiver.endpoint(conferences);
    let began = clock.now().mono;
    let store = open(&path, clock);
    store.configure(vec![settings.store_config()], clock.now().wall).await.unwrap();
    store.load_unfinished().await.unwrap();
    store.outbox_summary().await.unwrap();
    let opened = clock.now().mono - began;
    let house = House::start(&store, &settings, clock);
    receiver.wait_for(1).await;
    println!(
        "start with the backlog: store open after {:.3} s, first delivery sent after {:.3} s",
        opened.as_secs_f64(),
        (clock.now().mono - began).as_secs_f64()
    );
    let tenth = deliveries / 10;
    let mut last = clock.now().mono;
    for part in 1..=10 {
        receiver.wait_for(tenth * part).await;
        let now = clock.now().mono;
        println!("drained {:3} %: {:6.0}/s, {:5.1} MB resident", part * 10, rate(tenth, now - last), resident());
        last = now;
    }
    house.stop().await;
    // The worst case of a replay by time: nothing in the store is from that time.
    let filter = DeliveryFilter {
        endpoint: Some(endpoint()),
        states: vec![DeliveryState::Done],
        until: Some(Timestamp::UNIX_EPOCH),
        limit: 1000,
        ..DeliveryFilter::default()
    };
    let began = clock.now().mono;
    assert!(store.list_deliveries(filter).await.unwrap().deliveries.is_empty());
    println!("replay of a time without events: {:.2} s", (clock.now().mono - began).as_secs_f64());
    store.close(Duration::from_secs(60)).await.unwrap();
}

/// Measures the time from the acknowledged commit to the first byte at the receiver, on an idle daemon.
async fn idle(clock: Clock, folder: &Path, count: u64) {
    let receiver = Receiver::start(clock);
    let store = open(&folder.join("idle.db"), clock);
    let house = House::start(&store, &receiver.endpoint(8), clock);
    let mut took = Vec::new();
    for number in 1..=count {
        receiver.first_byte.store(0, Ordering::Release);
        store.commit(commit(1, vec![event(1, number)]), clock.now().wall).await.unwrap();
        let committed = clock.now().mono;
        receiver.wait_for(number).await;
        let first = Duration::from_nanos(receiver.first_byte.load(Ordering::Acquire));
        took.push(first.saturating_sub(committed));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    println!("idle, commit to first byte: median {:.2} ms, p99 {:.2} ms, longest {:.2} ms", at(50), at(99), at(100));
    house.stop().await;
    store.close(Duration::from_secs(60)).await.unwrap();
}

/// Returns the number after an option.
fn option(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map_or(default, |value| value.parse().unwrap())
}

fn main() {
    let (deliveries, many) = (option("--deliveries", 40_000), option("--backlog", 100_000));
    let (rounds, conferences) = (option("--rounds", 3), option("--conferences", 8));
    let clock = Clock::new();
    // On the disk of the target folder, not in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        println!("{deliveries} deliveries, {conferences} at once, one thread sends, synchronous=FULL");
        for round in 1..=rounds {
            let memory = from_memory(clock, deliveries, conferences).await;
            let outbox = from_outbox(clock, folder.path(), deliveries, conferences).await;
            println!(
                "round {round}: {memory:6.0}/s unsigned from memory, {outbox:6.0}/s signed from the outbox: {:.0} %",
                outbox / memory * 100.0
            );
        }
        idle(clock, folder.path(), 1000).await;
        backlog(clock, folder.path(), many, conferences).await;
    });
}
