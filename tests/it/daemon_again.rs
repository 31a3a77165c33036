//! The daemon started again, and conferences that are reached in more than one way.

use meetwatch::model::EventType;
use meetwatch::model::event::Affiliation;
use meetwatch::sim::api::{ApiSettings, GoogleMethod};
use meetwatch::sim::world::SimPerson;

use crate::house::House;

fn guarded() -> ApiSettings {
    ApiSettings { require_auth: true, ..ApiSettings::default() }
}

#[tokio::test]
async fn an_unchanged_world_after_a_restart_tells_nothing() {
    let mut house = House::new().await;
    for number in 0..3 {
        let guest = house.person(SimPerson::anonymous(&format!("Guest {number}")));
        house.join(guest, "laptop");
    }
    house.until_told(EventType::ParticipantJoined, 3).await;
    let before = house.log().await.len();
    house.stop().await;
    house.start().await;
    house.until_read(25).await;
    assert_eq!(house.log().await.len(), before);
    house.agrees(1).await;
}

#[tokio::test]
async fn what_happened_while_the_daemon_was_down_is_told_with_googles_times() {
    let mut house = House::new().await;
    let (ada, bo) =
        (house.person(SimPerson::signed_in("Ada", "ada@example.com")), house.person(SimPerson::anonymous("Bo")));
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 1).await;
    house.stop().await;
    house.leave(ada, "laptop");
    house.join(bo, "laptop");
    house.leave(bo, "laptop");
    house.join(ada, "phone");
    house.start().await;
    house.until_told(EventType::ParticipantJoined, 3).await;
    house.until_told(EventType::ParticipantLeft, 2).await;
    house.agrees(1).await;
}

#[tokio::test]
async fn a_conference_that_began_and_ended_while_the_daemon_was_down_is_told_whole() {
    let mut house = House::new().await;
    let ada = house.person(SimPerson::signed_in("Ada", "ada@example.com"));
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 1).await;
    house.end();
    house.until_told(EventType::ConferenceEnded, 1).await;
    house.stop().await;
    house.join(ada, "laptop");
    house.leave(ada, "laptop");
    house.end();
    house.start().await;
    house.until_told(EventType::ConferenceEnded, 2).await;
    house.join(ada, "laptop");
    house.until_told(EventType::ConferenceStarted, 3).await;
    house.agrees(3).await;
}

#[tokio::test]
async fn a_conference_that_two_targets_reach_is_read_once_and_names_both() {
    let two = "organizer = true\npoll_interval = \"1s\"\n\
               [[target]]\nname = \"desk\"\nidentity = \"organizer\"\nmeeting_code = \"{code}\"";
    let house = House::with(guarded(), two).await;
    let ada = house.person(SimPerson::signed_in("Ada", "ada@example.com"));
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 1).await;
    for event in house.log().await {
        let names: Vec<_> = event.targets.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["board", "desk"], "{event:?}");
    }
    assert_eq!(house.told(EventType::ConferenceStarted).await, 1);
    house.agrees(1).await;
}

#[tokio::test]
async fn with_lookups_an_event_says_who_somebody_is() {
    let house = House::seen_by(guarded(), "lookup = \"people\"", "organizer = true").await;
    let (ada, eve) = (
        house.person(SimPerson::signed_in("Ada", "ada@example.com")),
        house.person(SimPerson::signed_in("Eve", "eve@else.org")),
    );
    for person in [ada, eve] {
        house.join(person, "laptop");
    }
    house.until_told(EventType::ParticipantJoined, 2).await;
    let mut known: Vec<_> = house
        .log()
        .await
        .into_iter()
        .filter(|event| event.event == EventType::ParticipantJoined)
        .filter_map(|event| event.participant)
        .map(|person| (person.email.map(|email| email.to_string()), person.affiliation))
        .collect();
    known.sort();
    // Who Eve is, Google does not say to somebody of another domain.
    let ada = (Some("ada@example.com".to_owned()), Some(Affiliation::Internal));
    assert_eq!(known, [(None, None), ada]);
    assert!(house.simulator.with(|api, _| {
        api.tally().keys().any(|(method, _)| matches!(method, GoogleMethod::GetPeople | GoogleMethod::GetPerson))
    }));
    house.agrees(1).await;
}
