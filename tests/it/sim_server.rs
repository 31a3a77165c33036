//! The simulator on a socket: faults of the connection, the world in real time, and stopping.

use std::time::Duration;

use jiff::SignedDuration;
use meetwatch::sim::faults::{Fault, Rule, When};
use meetwatch::sim::world::{SimPerson, WorldSettings};
use meetwatch::sim::{Running, Settings, Simulator, Time, World};

const SOON: Duration = Duration::from_secs(20);

async fn with_one_meeting() -> (Running, String) {
    let start = Time::default().now();
    let mut world = World::empty(1, start);
    let space = world.add_space(None).unwrap();
    for n in 0..20 {
        let person = world.add_person(SimPerson::anonymous(&format!("guest {n}")));
        world.join(space, person, "tab", start).unwrap();
    }
    let record = world.live_in(space).unwrap().name.to_string();
    let sim = Simulator::start(Settings::new(world)).await.unwrap();
    let url = format!("{}/v2/{record}/participants", sim.url());
    (sim, url)
}

fn once(sim: &Running, fault: Fault) {
    sim.with(|api, _| {
        api.faults.clear();
        api.faults.add(Rule::new(fault).when(When::First(1)));
    });
}

#[tokio::test]
async fn a_body_can_be_cut_off_and_the_next_answer_is_whole() {
    let (sim, url) = with_one_meeting().await;
    once(&sim, Fault::CutOff);
    let response = reqwest::get(&url).await.unwrap();
    let promised = response.content_length().unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err(), "the body ends before its length");
    let whole = reqwest::get(&url).await.unwrap().bytes().await.unwrap();
    assert_eq!(whole.len() as u64, promised);
    sim.stop().await;
}

#[tokio::test]
async fn a_connection_can_be_reset_without_an_answer() {
    let (sim, url) = with_one_meeting().await;
    once(&sim, Fault::Reset);
    let error = reqwest::get(&url).await.unwrap_err();
    let mut causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    assert!(
        causes.any(|cause| cause.to_string().contains("reset") || cause.to_string().contains("closed")),
        "{error:?}"
    );
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    sim.stop().await;
}

#[tokio::test]
async fn a_slow_answer_exceeds_a_clients_timeout_and_delays_no_other_answer() {
    let (sim, url) = with_one_meeting().await;
    once(&sim, Fault::Slow(Duration::from_secs(600)));
    let client = reqwest::Client::builder().timeout(Duration::from_millis(200)).build().unwrap();
    assert!(client.get(&url).send().await.unwrap_err().is_timeout());
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    sim.stop().await;
}

#[tokio::test]
async fn the_simulator_stops_while_an_answer_is_slow() {
    let (sim, url) = with_one_meeting().await;
    once(&sim, Fault::Slow(Duration::from_secs(600)));
    let asked = tokio::spawn(reqwest::get(url));
    assert!(sim.wait_until(SOON, |api| api.tally().values().sum::<u64>() == 1).await);
    tokio::time::timeout(SOON, sim.stop()).await.expect("did not stop within the grace period");
    assert!(asked.await.unwrap().is_err());
}

#[tokio::test]
async fn googles_clock_may_differ_from_ours_in_every_answer() {
    let skew = SignedDuration::from_mins(7);
    let time = Time::wall(skew);
    let world = World::new(WorldSettings { speed: 1000.0, ..WorldSettings::starting(time.now(), 4) });
    let sim = Simulator::start(Settings { time, ..Settings::new(world) }).await.unwrap();
    assert!(sim.wait_until(SOON, |api| api.world.sessions().count() > 0).await, "the world does not advance by itself");
    let response = reqwest::get(format!("{}/v2/conferenceRecords", sim.url())).await.unwrap();
    let date = response.headers()["date"].to_str().unwrap().to_owned();
    let date = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp();
    let ahead = date.duration_since(Time::default().now());
    assert!((ahead - skew).abs() < SignedDuration::from_secs(5), "{ahead:?}");
    sim.stop().await;
}

#[tokio::test]
async fn requested_actions_are_visible_immediately() {
    let start = Time::default().now();
    let mut world = World::empty(1, start);
    let ada = world.add_person(SimPerson::signed_in("Ada", "ada@example.com"));
    let space = world.add_space(Some(ada)).unwrap();
    let code = world.space(space).code.to_string();
    let sim = Simulator::start(Settings::new(world)).await.unwrap();
    let active = async || {
        let url = format!("{}/v2/spaces/{code}?fields=activeConference", sim.url());
        reqwest::get(url).await.unwrap().text().await.unwrap().contains("conferenceRecords/")
    };
    assert!(!active().await);
    sim.join(space, ada, "laptop").unwrap();
    assert!(active().await);
    sim.leave(space, ada, "laptop").unwrap();
    assert!(active().await, "an empty meeting has not ended");
    sim.end(space).unwrap();
    assert!(!active().await);
    assert_eq!(sim.truth().len(), 1);
    sim.stop().await;
}
