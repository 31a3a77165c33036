//! Who was there, as the API says it: the same as the event, and also where the event has no room for it.

use meetwatch::model::{Event, EventType};
use meetwatch::sim::api::ApiSettings;
use meetwatch::sim::world::SimPerson;
use serde_json::{Value, json};

use crate::house::House;

async fn said(house: &House, path: &str) -> Value {
    house.ask(reqwest::Method::GET, path).await.1
}

async fn ended(house: &House) -> Event {
    house.end();
    house.until_told(EventType::ConferenceEnded, 1).await;
    house.log().await.into_iter().rfind(|event| event.event == EventType::ConferenceEnded).unwrap()
}

#[tokio::test]
async fn the_attendance_is_what_the_event_says() {
    let mut house = House::new().await;
    let (ada, bo) =
        (house.person(SimPerson::signed_in("Ada", "ada@example.com")), house.person(SimPerson::anonymous("Bo")));
    house.join(bo, "laptop");
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 2).await;
    let name = house.log().await[0].conference.clone().unwrap().name;
    let live = said(&house, &format!("/api/v1/{name}/attendance")).await;
    assert_eq!((&live["phase"], &live["end_time"], &live["total"]), (&json!("live"), &Value::Null, &json!(2)));
    assert_eq!(live["participants"][0]["last_leave"], Value::Null);
    house.leave(ada, "laptop");
    house.until_told(EventType::ParticipantLeft, 1).await;
    house.join(ada, "laptop");
    house.join(ada, "phone");
    house.until_told(EventType::SessionStarted, 4).await;
    let event = ended(&house).await;
    let told = serde_json::to_value(event.attendance.unwrap()).unwrap();
    let asked = said(&house, &format!("/api/v1/{name}/attendance")).await;
    assert_eq!((&asked["peak"], &asked["total"]), (&told["peak"], &told["total"]));
    assert_eq!(asked["participants"], told["participants"]);
    assert_eq!(asked["participants"][1]["sessions"], 3);

    let begun: jiff::Timestamp = asked["start_time"].as_str().unwrap().parse().unwrap();
    let hour = jiff::SignedDuration::from_hours(1);
    let report = async |target: &str, from: jiff::Timestamp| {
        let until = from + hour;
        said(&house, &format!("/api/v1/attendance?from={from}&to={until}{target}")).await["conferences"].clone()
    };
    assert_eq!(report("&target=board", begun).await, json!([asked]));
    assert_eq!(report("", begun).await, json!([asked]));
    assert_eq!(report("&target=boar", begun).await, json!([]), "no part of a name is one");
    assert_eq!(report("", begun - hour).await, json!([]), "it had not begun");
    assert_eq!(report("", begun + hour).await, json!([]), "it was over");
    house.stop().await;
}

#[tokio::test]
async fn what_an_event_has_no_room_for_is_at_the_path_that_it_names() {
    let api = ApiSettings { require_auth: true, ..ApiSettings::default() };
    let mut house = House::with(api, "organizer = true").await;
    let join = |from: usize, to: usize| {
        house.simulator.with(|api, now| {
            for number in from..to {
                let person = api.world.add_person(SimPerson::anonymous(&format!("Guest {number}")));
                api.world.join(house.space, person, "laptop", now).unwrap();
            }
        });
    };
    join(0, 205);
    house.until_told(EventType::ParticipantJoined, 205).await;
    let event = ended(&house).await;
    let attendance = event.attendance.unwrap();
    assert_eq!((attendance.total, attendance.participants), (205, None));
    let path = event.attendance_path.unwrap();
    let address = house.get(&path).await;
    assert!(address.contains("error") && !address.contains("Guest"), "without the token: {address}");
    let asked = said(&house, &path).await;
    assert_eq!((&asked["total"], &asked["peak"]), (&json!(205), &json!(attendance.peak)));
    assert_eq!(asked["participants"].as_array().unwrap().len(), 205);
    assert!(said(&house, "/api/v1/conferenceRecords/nobody/attendance").await["error"].is_string());
    house.stop().await;
}
