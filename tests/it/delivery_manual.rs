//! The documentation of deliveries: the SQL of the receiver in docs/WEBHOOKS.md runs on what a daemon delivers, and every
//! format is documented.

use meetwatch::delivery::FORMATS;
use meetwatch::model::EventType;
use meetwatch::store::NewEvent;
use rusqlite::{Connection, named_params};
use serde_json::Value;

use crate::format_samples::whole_of;
use crate::repair_daemon::{Daemon, webhook};
use crate::store_samples::{commit, event};
use crate::webhook_receiver::{Answer, Got, Receiver};

/// The statements of the manual: create the table, insert an event, select the valid events, select the missing ones.
fn statements() -> [String; 4] {
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/WEBHOOKS.md")).unwrap();
    let blocks = manual.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    // A semicolon within a comment does not end a statement.
    let code: Vec<String> =
        blocks.flat_map(str::lines).filter(|line| !line.starts_with("--")).map(|line| format!("{line}\n")).collect();
    let all: Vec<String> = code.concat().split(";\n").map(str::to_owned).filter(|one| !one.trim().is_empty()).collect();
    all.try_into().unwrap()
}

fn keep(database: &Connection, insert: &str, got: &Got) {
    let body: Value = serde_json::from_slice(&got.body).unwrap();
    let mut previous = got.previous.clone();
    for one in body.as_array().unwrap() {
        let event = &one["data"];
        let id = event["id"].as_str();
        let replaces = event["corrects"].as_str().or(event["retracts"].as_str());
        let row = named_params! {
            ":id": id, ":conference": event["conference"]["name"].as_str(), ":sequence": event["sequence"].as_i64(),
            ":previous": previous, ":replaces": replaces, ":body": event.to_string(),
        };
        database.execute(insert, row).unwrap();
        previous = id.map(str::to_owned);
    }
}

fn asked(database: &Connection, sql: &str) -> Vec<String> {
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map(named_params! { ":conference": "conferenceRecords/c" }, |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn the_manuals_receiver_loses_none_doubles_none_and_sees_what_is_missing() {
    let [make, insert, holding, missing] = statements();
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch(&make).unwrap();
    let ids: Vec<String> = (1..=5).map(|sequence| event("c", sequence, &[]).id.to_string()).collect();
    let mut events: Vec<NewEvent> =
        (1..=5).map(|sequence| whole_of(EventType::ParticipantJoined, "c", sequence, &["ops"])).collect();
    for told in &mut events {
        let mut body: Value = serde_json::from_str(&told.body).unwrap();
        body["corrects"] = Value::Null;
        if told.sequence == Some(4) {
            body["corrects"] = ids[1].as_str().into();
        }
        told.body = body.to_string().into();
    }
    let mut receiver = Receiver::start(Answer::Status(500)).await;
    let config = webhook("ops", &receiver, "max_events = 3\nmax_wait = \"1s\"\nschedule = [\"1s\"]");
    let daemon = Daemon::start(&config, vec![commit("c", events)]).await;
    let first = receiver.next().await;
    receiver.answer(Answer::Status(204));
    // A receiver may have stored an event although it answered with an error.
    keep(&database, &insert, &first);
    for _ in 0..2 {
        keep(&database, &insert, &receiver.next().await);
    }
    daemon.stop().await;
    let held = || asked(&database, &holding);
    assert_eq!(held(), [0, 2, 3, 4].map(|at: usize| ids[at].clone()), "the fourth corrects the second");
    assert!(asked(&database, &missing).is_empty());
    database.execute("DELETE FROM events WHERE id = ?1", [&ids[2]]).unwrap();
    assert_eq!(asked(&database, &missing), [ids[2].clone()]);
}

#[test]
fn every_format_is_documented() {
    let openapi: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    let shown = openapi.pointer("/components/schemas/Endpoint/properties/format/enum").unwrap().as_array().unwrap();
    let configuration = include_str!("../../docs/CONFIGURATION.md");
    let example = meetwatch::config::EXAMPLE.lines().find(|line| line.starts_with("format = ")).unwrap();
    let webhooks = include_str!("../../docs/WEBHOOKS.md");
    for format in FORMATS {
        let name = format.name;
        assert!(shown.iter().any(|one| one == name), "docs/openapi.json does not know {name}");
        assert!(configuration.contains(&format!("`\"{name}\"`")), "docs/CONFIGURATION.md does not name {name}");
        assert!(example.split([' ', ',']).any(|word| word == name), "the example configuration does not name {name}");
        let heading = |line: &str| line.starts_with("###") && line.contains(&format!("`{name}`"));
        assert!(webhooks.lines().any(heading), "docs/WEBHOOKS.md has no heading for {name}");
    }
}
