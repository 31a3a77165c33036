//! Kills the real process at random moments and at failpoints, again and again, while the world and the receivers go
//! on. In the end the log agrees with the world, and the receivers have every event of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use meetwatch::backoff::{Random, random_seed};
use meetwatch::model::Event;
use meetwatch::sim::{Behaviour, Delivered};
use meetwatch::store::Db;
use meetwatch::verify::truth;
use rusqlite::Connection;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::kill_daemon::{Daemon, Scene, becomes_true, live};

const KILLS: usize = 50;

/// How one process of the daemon dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Death {
    /// SIGKILL, at a random moment.
    Anywhere,
    /// After a transaction is written, before it is committed.
    InCommit,
    /// After a transaction is committed, before it is acknowledged.
    AfterCommit,
    /// After a webhook's answer, before it is recorded.
    BeforeRecording,
    /// During the migration of a store with rows.
    InMigration,
}

impl Death {
    fn draw(number: usize, random: &mut Random) -> Self {
        match (number, random.u8(..100)) {
            (20 | 40, _) => Self::InMigration,
            // Each occurs at least once, whatever is drawn.
            (5, _) => Self::InCommit,
            (6, _) => Self::AfterCommit,
            (7, _) => Self::BeforeRecording,
            // The receiver does not accept anything now, so the other failpoints may not be reached.
            (number, _) if behaviour(number) != Behaviour::Accept => Self::Anywhere,
            (_, 0..50) => Self::Anywhere,
            (_, 50..68) => Self::InCommit,
            (_, 68..84) => Self::AfterCommit,
            _ => Self::BeforeRecording,
        }
    }

    async fn execute(self, scene: &Scene, random: &mut Random) {
        let at = |point: &str, hit: u8| -> Daemon { scene.start(&["--abort-at", &format!("{point}:{hit}")]) };
        match self {
            Self::Anywhere => {
                let mut daemon = scene.start(&[]);
                tokio::time::sleep(Duration::from_millis(random.u64(0..1200))).await;
                daemon.kill().await;
            }
            Self::InCommit => at("commit", random.u8(1..20)).aborted().await,
            Self::AfterCommit => at("committed", random.u8(1..20)).aborted().await,
            Self::BeforeRecording => at("answered", random.u8(1..6)).aborted().await,
            Self::InMigration => {
                undo_the_last_migration(&scene.store);
                at("migration", 1).aborted().await;
                assert_eq!(schema(&scene.store), 3, "the migration was committed before the death");
            }
        }
    }
}

/// How the receivers answer. Failures are rare: a delivery that fails repeatedly waits longer and longer.
fn behaviour(number: usize) -> Behaviour {
    match number {
        8..10 => Behaviour::AcceptSilently,
        14..16 => Behaviour::Answer(500, Vec::new()),
        _ => Behaviour::Accept,
    }
}

fn schema(store: &Path) -> i64 {
    let connection = Connection::open(store).unwrap();
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// Turns a store of this version into one of the previous version.
fn undo_the_last_migration(store: &Path) {
    let undo = "DROP TABLE forgotten; PRAGMA user_version = 3;";
    Connection::open(store).unwrap().execute_batch(undo).unwrap();
}

/// Creates a store, which takes four migrations, and dies in each.
async fn die_in_each_migration(scene: &Scene) {
    for (number, schema_before) in (1..=4).zip(0..) {
        // Each starts with the migration in which the previous process died.
        let point = if number == 1 { "migration:1" } else { "migration:2" };
        scene.start(&["--abort-at", point]).aborted().await;
        assert_eq!(schema(&scene.store), schema_before);
    }
}

/// Waits until everything is reported and delivered.
pub(crate) async fn come_to_rest(scene: &Scene, conferences: usize) {
    becomes_true("every conference is closed and no delivery is open", || {
        let closed = scene.count("conferences WHERE phase = 'closed'");
        closed == i64::try_from(conferences).unwrap()
            && scene.count("deliveries WHERE state IN ('pending', 'leased')") == 0
    })
    .await;
}

/// Returns the accepted events, each once, in the order of first arrival.
pub(crate) fn accepted(deliveries: &[Delivered]) -> Vec<Event> {
    let mut seen = BTreeSet::new();
    let accepted = deliveries.iter().filter(|delivered| delivered.accepted);
    let bodies = accepted.flat_map(|delivered| match delivered.json() {
        Value::Array(all) => all,
        one => vec![one],
    });
    let events = bodies.map(|body| serde_json::from_value::<Event>(body["data"].clone()).unwrap());
    events.filter(|event| seen.insert(event.id.clone())).collect()
}

/// Returns the sequence numbers of each conference, in the order of first arrival.
fn sequences(events: &[Event]) -> BTreeMap<String, Vec<u64>> {
    let mut sequences: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in events {
        if let (Some(conference), Some(sequence)) = (&event.conference, event.sequence) {
            sequences.entry(conference.name.to_string()).or_default().push(sequence);
        }
    }
    sequences
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_fifty_kills_the_log_agrees_with_the_world_and_every_event_was_delivered() {
    let seed = random_seed();
    let mut random = Random::with_seed(seed);
    let scene = Scene::set(seed).await;
    die_in_each_migration(&scene).await;
    // A conference that ends before the daemon begins to watch is not reported, so the start of watching is stored
    // first.
    let mut daemon = scene.start(&[]);
    daemon.says("watching").await;
    becomes_true("the store has the start of watching", || scene.count("targets") == 1).await;
    daemon.kill().await;

    let stop = CancellationToken::new();
    let world = tokio::spawn(live(scene.simulator.clone(), seed, stop.clone()));
    let mut deaths = BTreeMap::new();
    for number in 4..KILLS {
        for receiver in [&scene.receiver, &scene.batches, &scene.settling] {
            receiver.behave(behaviour(number));
        }
        let death = Death::draw(number, &mut random);
        death.execute(&scene, &mut random).await;
        *deaths.entry(death).or_insert(0) += 1;
    }
    stop.cancel();
    world.await.unwrap();
    scene.simulator.with(|api, now| api.world.end_all(now));

    let conferences = scene.simulator.with(|api, _| api.world.conferences().count());
    let mut daemon = scene.start(&[]);
    come_to_rest(&scene, conferences).await;
    daemon.stop().await;

    let log = truth::log_of(&Db::open(&scene.store, scene.simulator.now()).unwrap()).unwrap();
    let compared = scene.simulator.with(|api, _| truth::compare(&api.world, &log));
    let context = format!("seed {seed}, {deaths:?}, {} sessions, {} events", compared.sessions, log.len());
    assert!(compared.disagreements.is_empty(), "{context}: {:#?}", compared.disagreements);
    assert!(compared.sessions > 50 && deaths.len() == 5, "{context}: too little happened");

    let arrived = accepted(&scene.receiver.deliveries());
    let ids = |events: &[Event]| events.iter().map(|event| event.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&arrived), ids(&log), "{context}");
    for (conference, sequence) in sequences(&arrived) {
        let expected: Vec<u64> = (1..=sequence.len() as u64).collect();
        assert_eq!(sequence, expected, "{context}: {conference}");
    }
    assert_eq!(scene.receiver.counts().refused, 0, "{context}: an invalid signature");

    let batches = scene.batches.deliveries();
    for (again, first) in batches.iter().map(|one| (one, batches.iter().find(|first| first.id == one.id).unwrap())) {
        assert_eq!(again.body, first.body, "{context}: a batch changed between attempts");
    }
    let in_batches = accepted(&batches);
    assert_eq!(ids(&in_batches), ids(&log), "{context}: in batches");
    for (conference, sequence) in sequences(&in_batches) {
        assert!(sequence.is_sorted(), "{context}: {conference} in batches: {sequence:?}");
    }
    assert!(
        batches.iter().any(|one| one.json().as_array().is_some_and(|all| all.len() > 1)),
        "{context}: no real batch"
    );

    let settled: BTreeSet<_> = scene.settled("settling").into_iter().collect();
    let after_settling = accepted(&scene.settling.deliveries());
    let expected: BTreeSet<_> = ids(&log).into_iter().filter(|id| !settled.contains(id.as_str())).collect();
    assert_eq!(ids(&after_settling), expected, "{context}: without the settled events");
    for (conference, sequence) in sequences(&after_settling) {
        assert!(sequence.is_sorted(), "{context}: {conference} where leaves settle: {sequence:?}");
    }
}
