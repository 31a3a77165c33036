//! Attendance over the API: equal to that in the event, and also available when there are too many participants for the event.

use meetwatch::model::{Event, EventType};
use meetwatch::sim::api::ApiSettings;
use meetwatch::sim::world::SimPerson;
use serde_json::{Value, json};

use crate::house::House;

async fn get_json(house: &House, path: &str) -> Value {
    house.ask(reqwest::Method::GET, path).await.1
}

/// Ends the conference and returns its `conference.ended`.
async fn end(house: &House) -> Event {
    house.end();
    house.until_told(EventType::ConferenceEnded, 1).await;
    house.log().await.into_iter().rfind(|event| event.event == EventType::ConferenceEnded).unwrap()
}

#[tokio::test]
async fn the_attendance_of_the_api_equals_that_of_the_event() {
    let mut house = House::new().await;
    let (ada, bo) =
        (house.person(SimPerson::signed_in("Ada", "ada@example.com")), house.person(SimPerson::anonymous("Bo")));
    house.join(bo, "laptop");
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 2).await;
    let name = house.log().await[0].conference.clone().unwrap().name;
    let live = get_json(&house, &format!("/api/v1/{name}/attendance")).await;
    assert_eq!((&live["phase"], &live["end_time"], &live["total"]), (&json!("live"), &Value::Null, &json!(2)));
    assert_eq!(live["participants"][0]["last_leave"], Value::Null);
    house.leave(ada, "laptop");
    house.until_told(EventType::ParticipantLeft, 1).await;
    house.join(ada, "laptop");
    house.join(ada, "phone");
    house.until_told(EventType::SessionStarted, 4).await;
    let event = end(&house).await;
    let in_event = serde_json::to_value(event.attendance.unwrap()).unwrap();
    let from_api = get_json(&house, &format!("/api/v1/{name}/attendance")).await;
    assert_eq!((&from_api["peak"], &from_api["total"]), (&in_event["peak"], &in_event["total"]));
    assert_eq!(from_api["participants"], in_event["participants"]);
    assert_eq!(from_api["participants"][1]["sessions"], 3);

    let started: jiff::Timestamp = from_api["start_time"].as_str().unwrap().parse().unwrap();
    let hour = jiff::SignedDuration::from_hours(1);
    let in_hour = async |target: &str, from: jiff::Timestamp| {
        let until = from + hour;
        get_json(&house, &format!("/api/v1/attendance?from={from}&to={until}{target}")).await["conferences"].clone()
    };
    assert_eq!(in_hour("&target=board", started).await, json!([from_api]));
    assert_eq!(in_hour("", started).await, json!([from_api]));
    let prefix = house
        .ask(reqwest::Method::GET, &format!("/api/v1/attendance?from={started}&to={}&target=boar", started + hour))
        .await;
    let refused = json!({"error": "no such target; did you mean `board`?"});
    assert_eq!(prefix, (404, refused), "a prefix of a target's name is no name");
    assert_eq!(in_hour("", started - hour).await, json!([]), "the interval ends before the conference started");
    assert_eq!(in_hour("", started + hour).await, json!([]), "the interval begins after the conference started");
    house.stop().await;
}

#[tokio::test]
async fn an_attendance_too_large_for_the_event_is_at_its_attendance_path() {
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
    let event = end(&house).await;
    let attendance = event.attendance.unwrap();
    assert_eq!((attendance.total, attendance.participants), (205, None));
    let path = event.attendance_path.unwrap();
    let refused = house.get(&path).await;
    assert!(refused.contains("error") && !refused.contains("Guest"), "without the token: {refused}");
    let from_api = get_json(&house, &path).await;
    assert_eq!((&from_api["total"], &from_api["peak"]), (&json!(205), &json!(attendance.peak)));
    assert_eq!(from_api["participants"].as_array().unwrap().len(), 205);
    assert!(get_json(&house, "/api/v1/conferenceRecords/nobody/attendance").await["error"].is_string());
    house.stop().await;
}
