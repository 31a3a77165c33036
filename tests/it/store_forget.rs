//! Forgetting a person while the daemon runs: nothing stored or emitted afterwards names the person, and the rest of
//! the log is unchanged.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use meetwatch::model::{Event, EventType, ParticipantKind};
use meetwatch::sim::Behaviour;
use meetwatch::sim::api::ApiSettings;
use meetwatch::sim::world::SimPerson;
use meetwatch::store::back_up;
use reqwest::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::house::{House, LONG};
use crate::kill_daemon::{Daemon, becomes_true, write_private};

const NAME: &str = "Ada Lovelace";
const EMAIL: &str = "ada@example.com";

/// A daemon that looks people up and closes conferences soon after their end.
async fn house() -> House {
    let api = ApiSettings { require_auth: true, ..ApiSettings::default() };
    let house = House::seen_by(api, "lookup = \"people\"", "organizer = true").await;
    let config = house.config().replace("[watch]", "[watch]\nfinal_read = \"1s\"");
    house.reload(&config).await.unwrap();
    house
}

fn count(store: &Path, what: &str) -> i64 {
    let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

async fn forget(house: &House, who: &str, dry_run: bool) -> (u16, Value) {
    house.ask_with(Method::POST, "/api/v1/forget", Some(json!({ "who": who, "dry_run": dry_run }))).await
}

/// Returns those of the words that occur in the bytes.
fn traces(bytes: &[u8], of: &[&str]) -> Vec<String> {
    let stands = |word: &&&str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    of.iter().filter(stands).map(ToString::to_string).collect()
}

/// Returns the event without the parts that name people.
fn frame(event: &Event) -> Value {
    let mut event = serde_json::to_value(event).unwrap();
    for personal in ["participant", "session", "attendance"] {
        event[personal].take();
    }
    event
}

async fn frames(house: &House) -> Vec<Value> {
    house.log().await.iter().map(frame).collect()
}

#[tokio::test]
async fn a_person_in_a_call_is_forgotten_and_later_events_are_emitted_without_the_name() {
    let mut house = house().await;
    let store = house.path("meetwatch.db");
    let (ada, bo) =
        (house.person(SimPerson::signed_in(NAME, EMAIL)), house.person(SimPerson::anonymous("Bo Bystander")));
    // One conference that is closed, and one that is live.
    house.join(ada, "laptop");
    house.join(bo, "laptop");
    house.until_told(EventType::ParticipantJoined, 2).await;
    house.end();
    house.until_told(EventType::ConferenceEnded, 1).await;
    becomes_true("it is closed", || count(&store, "conferences WHERE phase = 'closed'") == 1).await;
    house.receiver.behave(Behaviour::Answer(503, Vec::new()));
    house.join(ada, "laptop");
    house.join(bo, "laptop");
    house.until_told(EventType::ParticipantJoined, 4).await;
    let repeated = "INSERT INTO attempts (delivery, number, began_at, duration, status, reason, answer)
        SELECT d.id, 99, 0, 0, 503, 'server_error', 'no, Ada Lovelace' FROM deliveries d JOIN events e USING (position)
        WHERE e.type = 'participant.joined' AND e.body LIKE '%ada@example.com%'";
    assert!(Connection::open(&store).unwrap().execute(repeated, []).unwrap() > 0, "a receiver repeats the name");

    let about_ada =
        |event: &&Event| event.participant.as_ref().is_some_and(|person| person.display_name.as_deref() == Some(NAME));
    let before = house.log().await;
    let one = before.iter().find(about_ada).unwrap().participant.clone().unwrap();
    let user = one.user.unwrap();
    let id = user.as_str().trim_start_matches("users/");
    let sessions = before.iter().filter(about_ada).filter_map(|event| event.session.as_ref());
    let sessions: BTreeSet<_> = sessions.map(|session| session.name.as_str().rsplit('/').next().unwrap()).collect();
    assert_eq!(sessions.len(), 2);
    let personal: Vec<&str> = [NAME, EMAIL, id].into_iter().chain(sessions).collect();
    assert!(one.name.as_str().ends_with(id), "a participant's id is the account's");

    let known = u64::try_from(before.iter().filter(about_ada).count()).unwrap();
    let (status, there_is) = forget(&house, &EMAIL.to_uppercase(), true).await;
    let expected = json!({"forgotten": false, "conferences": 2, "unfinished": 1, "events": known});
    assert_eq!((status, there_is), (200, expected.clone()));
    assert_eq!(house.log().await, before, "a dry run changes nothing");
    let (status, done) = forget(&house, EMAIL, false).await;
    let mut forgotten = expected;
    forgotten["forgotten"] = json!(true);
    assert_eq!((status, done), (200, forgotten));

    let after = house.log().await;
    assert_eq!(
        after.iter().map(frame).collect::<Vec<_>>()[..before.len()],
        before.iter().map(frame).collect::<Vec<_>>()
    );
    assert_eq!(traces(serde_json::to_string(&after).unwrap().as_bytes(), &personal), Vec::<String>::new());
    assert!(serde_json::to_string(&after).unwrap().contains("Bo Bystander"));
    assert_eq!(count(&store, "attempts WHERE answer LIKE '%Ada%'"), 0);

    // From here on deliveries are made from the redacted store.
    let seen = house.receiver.deliveries().len();
    house.receiver.behave(Behaviour::Accept);
    house.leave(ada, "laptop");
    house.until_told(EventType::ParticipantLeft, 3).await;
    house.join(ada, "phone");
    house.until_told(EventType::ParticipantJoined, 5).await;
    let unchanged = frames(&house).await;
    house.stop().await;
    house.start().await;
    house.until_read(25).await;
    assert_eq!(frames(&house).await, unchanged, "an unchanged world after a restart emits nothing");
    let config = house.config().replace("[watch]", "[watch]\nfinal_read = \"1s\"");
    house.reload(&config).await.unwrap();
    house.end();
    house.until_told(EventType::ConferenceEnded, 2).await;
    // A conference that begins after it.
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 6).await;
    let rows = format!("participants WHERE display_name = '{NAME}' OR user IS NOT NULL OR email IS NOT NULL");
    assert_eq!(count(&store, &rows), 0, "also while a conference is live");
    house.end();
    house.until_told(EventType::ConferenceEnded, 3).await;
    becomes_true("all are closed", || count(&store, "conferences WHERE phase = 'closed'") == 3).await;

    let log = house.log().await;
    assert_eq!(traces(serde_json::to_string(&log).unwrap().as_bytes(), &personal), Vec::<String>::new());
    let last = log.iter().rfind(|event| event.event == EventType::ParticipantJoined).unwrap();
    assert_eq!(last.participant.as_ref().unwrap().kind, ParticipantKind::SignedIn, "the kind is kept");
    let attendance = log.iter().filter_map(|event| event.attendance.as_ref()).map(|all| all.total).collect::<Vec<_>>();
    assert_eq!(attendance, [2, 2, 1]);
    let arrived = house.receiver.wait_until(LONG, |kept, _| {
        log.iter().all(|event| kept.iter().any(|one| one.accepted && one.id == event.id.as_str()))
    });
    assert!(arrived.await, "not everything was delivered");
    for delivered in house.receiver.deliveries().iter().skip(seen).filter(|one| one.accepted) {
        assert_eq!(traces(&delivered.body, &personal), Vec::<String>::new(), "{:?}", delivered.json());
    }

    house.stop().await;
    let copy = house.path("copy.db");
    back_up(&store, &copy).unwrap();
    assert_eq!(traces(&std::fs::read(copy).unwrap(), &personal), Vec::<String>::new());
    assert_eq!(count(&store, "forgotten"), 1, "one keyed hash of the person is left");
}

#[tokio::test]
async fn a_guest_is_forgotten_by_the_participants_name_and_no_one_else() {
    let house = house().await;
    let (eve, bo) = (house.person(SimPerson::anonymous("Eve")), house.person(SimPerson::anonymous("Bo")));
    house.join(eve, "laptop");
    house.join(bo, "laptop");
    house.until_told(EventType::ParticipantJoined, 2).await;
    let named = |event: &Event, name: &str| {
        event.participant.as_ref().is_some_and(|person| person.display_name.as_deref() == Some(name))
    };
    let log = house.log().await;
    let name = log.iter().find(|event| named(event, "Eve")).unwrap().participant.clone().unwrap().name;
    assert_eq!(forget(&house, name.as_str(), false).await.0, 200);
    house.leave(eve, "laptop");
    house.leave(bo, "laptop");
    house.until_told(EventType::ParticipantLeft, 2).await;
    let log = house.log().await;
    assert!(!log.iter().any(|event| named(event, "Eve")));
    assert!(log.iter().any(|event| event.event == EventType::ParticipantLeft && named(event, "Bo")));
}

#[tokio::test]
async fn an_unclear_subject_is_refused_and_an_unseen_account_is_forgotten_in_advance() {
    let house = House::new().await;
    let (status, answer) = forget(&house, "nobody@example.com", false).await;
    assert_eq!(status, 404);
    assert!(answer["error"].as_str().unwrap().contains("users/…"), "{answer}");
    assert!(!answer.to_string().contains("nobody@"), "no address in an error");
    for nonsense in ["", "Ada", "users/", "users/a/b", "conferenceRecords/c"] {
        assert_eq!(forget(&house, nonsense, false).await.0, 400, "{nonsense}");
    }
    assert_eq!(count(&house.path("meetwatch.db"), "forgotten"), 0);
    let (status, answer) = forget(&house, "users/1", false).await;
    assert_eq!((status, answer), (200, json!({"forgotten": true, "conferences": 0, "unfinished": 0, "events": 0})));
    assert_eq!(count(&house.path("meetwatch.db"), "forgotten"), 1);
}

#[tokio::test]
async fn the_command_shows_what_is_stored_and_forgets_only_with_yes() {
    let folder = tempfile::tempdir().unwrap();
    let (config, store) = (folder.path().join("m.toml"), folder.path().join("meetwatch.db"));
    write_private(&folder.path().join("access"), "none");
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!(
        "[[identity]]\nname = \"me\"\naccess_token_file = \"access\"\n[google]\nendpoint = \"http://127.0.0.1:1\"\n\
         [store]\npath = \"{}\"\n[server]\nlisten = \"{address}\"\n",
        store.display()
    );
    write_private(&config, &text);
    let ask = async |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
        command.args(["forget", "users/1", "--config"]).arg(&config).args(more);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    command.arg("run").arg("--config").arg(&config);
    let mut daemon = Daemon::spawn(command, folder.path());
    daemon.says("watching").await;
    assert!(ask(&[]).await.starts_with("found 0 events in 0 conferences"));
    assert_eq!(count(&store, "forgotten"), 0);
    assert!(ask(&["--yes"]).await.starts_with("forgotten: 0 events"));
    assert_eq!(count(&store, "forgotten"), 1);
    let json: Value = serde_json::from_str(&ask(&["--yes", "--json"]).await).unwrap();
    assert_eq!(json["forgotten"], true);
    assert_eq!(count(&store, "forgotten"), 1, "forgetting twice adds nothing");
    daemon.stop().await;
}
