//! A restart of the daemon, over real sockets: nothing is reported twice, and what happened meanwhile is reported with
//! Google's times.

use meetwatch::model::EventType;
use meetwatch::sim::world::SimPerson;

use crate::house::House;

#[tokio::test]
async fn a_restart_in_an_unchanged_world_emits_no_events() {
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
async fn what_happened_while_the_daemon_was_down_is_reported_with_googles_times() {
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
async fn a_conference_that_began_and_ended_while_the_daemon_was_down_is_reported_completely() {
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
