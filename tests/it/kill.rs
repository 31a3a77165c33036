//! The real process is killed at random moments and at chosen ones, again and again, while the world and the receiver go
//! on. In the end the log is the world, and the receiver has the log.

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

/// How one life of the daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Death {
    /// SIGKILL, at some moment.
    Anywhere,
    /// With a transaction written and not committed.
    InCommit,
    /// With a transaction committed that nobody knows of.
    AfterCommit,
    /// Between a webhook's answer and its recording.
    BeforeRecording,
    /// In the migration of a store that has all its rows.
    InMigration,
}

impl Death {
    fn draw(number: usize, random: &mut Random) -> Self {
        match (number, random.u8(..100)) {
            (20 | 40, _) => Self::InMigration,
            // Each comes about at least once, whatever is drawn.
            (5, _) => Self::InCommit,
            (6, _) => Self::AfterCommit,
            (7, _) => Self::BeforeRecording,
            // The receiver gives no good answers now, so nothing else is sure to come.
            (number, _) if behaviour(number) != Behaviour::Accept => Self::Anywhere,
            (_, 0..50) => Self::Anywhere,
            (_, 50..68) => Self::InCommit,
            (_, 68..84) => Self::AfterCommit,
            _ => Self::BeforeRecording,
        }
    }

    async fn meet(self, scene: &Scene, random: &mut Random) {
        let at = |point: &str, passage: u8| -> Daemon { scene.start(&["--abort-at", &format!("{point}:{passage}")]) };
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
                forget_the_last_migration(&scene.store);
                at("migration", 1).aborted().await;
                assert_eq!(schema(&scene.store), 3, "it died before the migration was committed");
            }
        }
    }
}

/// How the receiver answers. Not well once each: a delivery that fails again and again waits longer and longer.
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

/// Makes a store of the version before this out of one of this version.
fn forget_the_last_migration(store: &Path) {
    let undo = "DROP TABLE forgotten; PRAGMA user_version = 3;";
    Connection::open(store).unwrap().execute_batch(undo).unwrap();
}

/// A store is made in four migrations, and the process dies in each.
async fn die_while_the_store_is_made(scene: &Scene) {
    for (number, schema_before) in (1..=4).zip(0..) {
        // Each begins where the one before it died.
        let point = if number == 1 { "migration:1" } else { "migration:2" };
        scene.start(&["--abort-at", point]).aborted().await;
        assert_eq!(schema(&scene.store), schema_before);
    }
}

/// Waits until nothing is left to be told or delivered.
pub(crate) async fn come_to_rest(scene: &Scene, conferences: usize) {
    becomes_true("every conference is closed and nothing is owed", || {
        let closed = scene.count("conferences WHERE phase = 'closed'");
        closed == i64::try_from(conferences).unwrap()
            && scene.count("deliveries WHERE state IN ('pending', 'leased')") == 0
    })
    .await;
}

/// What was accepted, each event once, in the order in which it first arrived.
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

/// What each conference was told, in the order in which it first arrived.
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
async fn killed_fifty_times_the_log_is_the_world_and_the_receiver_has_the_log() {
    let seed = random_seed();
    let mut random = Random::with_seed(seed);
    let scene = Scene::set(seed).await;
    die_while_the_store_is_made(&scene).await;
    // What ended before the daemon began to watch would not be reported: let it begin, and remember that it has.
    let mut daemon = scene.start(&[]);
    daemon.says("watching").await;
    becomes_true("the daemon remembers since when it watches", || scene.count("targets") == 1).await;
    daemon.kill().await;

    let stop = CancellationToken::new();
    let world = tokio::spawn(live(scene.simulator.clone(), seed, stop.clone()));
    let mut deaths = BTreeMap::new();
    for number in 4..KILLS {
        for receiver in [&scene.receiver, &scene.heaps, &scene.calm] {
            receiver.behave(behaviour(number));
        }
        let death = Death::draw(number, &mut random);
        death.meet(&scene, &mut random).await;
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
    assert!(compared.sessions > 50 && deaths.len() == 5, "{context}: that proves little");

    let arrived = accepted(&scene.receiver.deliveries());
    let ids = |events: &[Event]| events.iter().map(|event| event.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&arrived), ids(&log), "{context}");
    for (conference, sequence) in sequences(&arrived) {
        let expected: Vec<u64> = (1..=sequence.len() as u64).collect();
        assert_eq!(sequence, expected, "{context}: {conference}");
    }
    assert_eq!(scene.receiver.counts().refused, 0, "{context}: every signature is valid");

    let heaps = scene.heaps.deliveries();
    for (again, first) in heaps.iter().map(|one| (one, heaps.iter().find(|first| first.id == one.id).unwrap())) {
        assert_eq!(again.body, first.body, "{context}: a batch is the same whenever it is sent");
    }
    let in_heaps = accepted(&heaps);
    assert_eq!(ids(&in_heaps), ids(&log), "{context}: in batches");
    for (conference, sequence) in sequences(&in_heaps) {
        assert!(sequence.is_sorted(), "{context}: {conference} in batches: {sequence:?}");
    }
    assert!(heaps.iter().any(|one| one.json().as_array().is_some_and(|all| all.len() > 1)), "{context}: no real batch");

    let settled: BTreeSet<_> = scene.settled("calm").into_iter().collect();
    let in_calm = accepted(&scene.calm.deliveries());
    let owed: BTreeSet<_> = ids(&log).into_iter().filter(|id| !settled.contains(id.as_str())).collect();
    assert_eq!(ids(&in_calm), owed, "{context}: less what was settled");
    for (conference, sequence) in sequences(&in_calm) {
        assert!(sequence.is_sorted(), "{context}: {conference} where leaves settle: {sequence:?}");
    }
}
