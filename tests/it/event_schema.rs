//! The JSON Schema of the event: it accepts every event of many histories and one of each type, and refuses broken ones.

use std::collections::BTreeSet;

use meetwatch::model::EventType;
use meetwatch::verify::{self, HistoryOptions};
use serde_json::{Value, json};

use crate::architecture::scan::tests_in;
use crate::architecture::{read, rust_files_under};
use crate::event_verifier::{SCHEMA, schema_errors};

fn participant() -> Value {
    json!({
        "name": "conferenceRecords/c/participants/p", "kind": "signed_in", "user": "users/1", "display_name": "Ada",
        "email": "ada@example.com", "affiliation": "internal"
    })
}

fn session() -> Value {
    json!({
        "name": "conferenceRecords/c/participants/p/participantSessions/s", "start_time": "2026-01-05T10:00:02.123456789Z",
        "end_time": "2026-01-05T10:30:00Z"
    })
}

/// A valid event of each type.
fn examples() -> Vec<Value> {
    let event = |name: &str, more: Value| {
        let mut event = json!({
            "schema": 1, "id": "evt_4q0c", "type": name, "time": "2026-01-05T10:00:02.123456789Z",
            "observed_at": "2026-01-05T10:00:09.87Z", "provenance": "observed", "sequence": 17, "targets": ["board"],
            "conference": {
                "name": "conferenceRecords/c", "space": "spaces/s", "meeting_code": "abc-mnop-xyz",
                "start_time": "2026-01-05T10:00:00Z"
            },
            "participant": null, "session": null, "present": 7, "corrects": null
        });
        for (key, value) in more.as_object().unwrap() {
            event[key] = value.clone();
        }
        event
    };
    let row = json!({
        "participant": participant(), "first_join": "2026-01-05T10:00:02Z", "last_leave": "2026-01-05T10:30:00Z",
        "seconds_present": 1798.0, "sessions": 1
    });
    let gap = json!({"from": "2026-01-05T10:00:02Z", "to": "2026-01-05T10:05:00Z", "reason": "not_running"});
    let mut lone_gap = gap.clone();
    for key in ["sequence", "conference", "present"] {
        lone_gap[key] = Value::Null;
    }
    vec![
        event("watch.gap", gap),
        event("watch.gap", lone_gap.clone()),
        event("conference.started", json!({})),
        event("session.started", json!({"participant": participant(), "session": session()})),
        event("participant.joined", json!({"participant": participant(), "corrects": "evt_1"})),
        event("participant.left", json!({"participant": participant(), "session": session(), "seconds_present": 2.5})),
        event("session.ended", json!({"participant": participant(), "session": session(), "provenance": "inferred"})),
        event("event.retracted", json!({"participant": participant(), "retracts": "evt_1"})),
        event("conference.ended", json!({"attendance": {"peak": 1, "total": 1, "participants": [row]}})),
        event(
            "conference.ended",
            json!({
                "attendance": {"peak": 1, "total": 201, "participants": null},
                "attendance_path": "/api/v1/conferenceRecords/c/attendance"
            }),
        ),
        event("webhook.test", json!({"sequence": null, "conference": null, "present": null})),
    ]
}

#[test]
fn one_event_of_every_type_is_right() {
    let validator = &*SCHEMA;
    let mut types = BTreeSet::new();
    for event in examples() {
        assert!(validator.is_valid(&event), "{event:#}");
        types.insert(event["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(types, EventType::ALL.iter().map(|event| event.as_str().to_owned()).collect());
}

#[test]
fn the_tests_receiver_finds_an_invalid_event_alone_and_among_others() {
    let [right, mut wrong] = [0, 2].map(|number| json!({"type": "x", "data": examples()[number]}));
    assert!(schema_errors(&json!([right, wrong]), |_| false).is_empty());
    wrong["data"]["present"] = json!("many");
    assert_eq!(schema_errors(&wrong, |_| false).len(), 1);
    assert_eq!(schema_errors(&json!([right, wrong]), |_| false).len(), 1);
    assert!(schema_errors(&json!({"text": "Ada joined"}), |_| false).is_empty());
}

#[test]
fn a_missing_unknown_or_mistyped_field_is_refused() {
    let validator = &*SCHEMA;
    for event in examples() {
        for key in event.as_object().unwrap().keys() {
            let mut broken = event.clone();
            broken.as_object_mut().unwrap().remove(key);
            assert!(!validator.is_valid(&broken), "without {key}: {broken:#}");
            let mut broken = event.clone();
            broken[key] = json!({"surprise": true});
            assert!(!validator.is_valid(&broken), "{key} is something else: {broken:#}");
        }
        for key in ["surprise", "retracts", "seconds_present", "attendance", "attendance_path", "reason"] {
            let mut broken = event.clone();
            if broken.get(key).is_none() {
                broken[key] = json!("evt_1");
                assert!(!validator.is_valid(&broken), "with {key}: {broken:#}");
            }
        }
    }
}

#[test]
fn an_event_that_cannot_occur_is_refused() {
    let validator = &*SCHEMA;
    let broken = |name: &str, key: &str, value: Value| {
        let mut event = examples().into_iter().find(|event| event["type"] == name).unwrap();
        event[key] = value;
        assert!(!validator.is_valid(&event), "{event:#}");
    };
    broken("session.started", "provenance", json!("inferred"));
    broken("conference.started", "provenance", json!("inferred"));
    broken("participant.joined", "participant", Value::Null);
    broken("participant.left", "seconds_present", json!(-1));
    broken("session.started", "session", Value::Null);
    broken("conference.started", "sequence", json!(0));
    broken("conference.started", "conference", Value::Null);
    broken("conference.started", "id", json!("evt_A.b"));
    broken("conference.started", "time", json!("2026-01-05T10:00:02+01:00"));
    broken("conference.started", "schema", json!(2));
    broken("conference.ended", "attendance_path", json!("/api/v1/conferenceRecords/c/attendance"));
    broken("event.retracted", "corrects", json!("evt_1"));
    broken("watch.gap", "conference", Value::Null);
    broken("watch.gap", "type", json!("watch.gab"));
    let mut nameless = participant();
    nameless["display_name"] = json!("");
    broken("participant.joined", "participant", nameless);
}

#[test]
fn every_event_of_many_histories_is_right() {
    let validator = &*SCHEMA;
    let mut types = BTreeSet::new();
    for seed in 0..24 {
        let history = verify::run(HistoryOptions { seed, ..HistoryOptions::default() }).unwrap();
        for body in &history.bodies {
            let event: Value = serde_json::from_str(body).unwrap();
            let wrong: Vec<_> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "seed {seed}: {wrong:?}\n{event:#}");
            types.insert(event["type"].as_str().unwrap().to_owned());
        }
    }
    let told = EventType::ALL.iter().filter(|event| **event != EventType::WebhookTest);
    assert_eq!(types, told.map(|event| event.as_str().to_owned()).collect(), "every type comes up");
}

#[test]
fn every_test_that_the_rules_name_exists() {
    let rules = include_str!("../../docs/EVENTS.md");
    let files = ["src", "tests/it"].into_iter().flat_map(rust_files_under);
    let tests: BTreeSet<_> = files.flat_map(|file| tests_in(&read(&file))).collect();
    let names = rules.split('`').skip(1).step_by(2).filter(|name| {
        name.matches('_').count() >= 2 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    let missing: Vec<_> = names.clone().filter(|name| !tests.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(names.count() > 60);
}
