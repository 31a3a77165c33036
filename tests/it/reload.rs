//! Reloads while people join and leave: new settings take effect, work in progress continues, and an invalid file changes
//! nothing.

use meetwatch::delivery::sign::SigningSecret;
use meetwatch::model::EventType;
use meetwatch::serve::NotReloaded;
use meetwatch::sim::Behaviour;
use meetwatch::sim::world::SimPerson;
use reqwest::Method;

use crate::house::{House, LONG};

const SUCCESSFUL: &str = "meetwatch_config_last_reload_successful";
const TIMESTAMP: &str = "meetwatch_config_last_reload_success_timestamp_seconds";

/// Returns why a reload was refused.
fn refusal(outcome: Result<Vec<String>, NotReloaded>) -> String {
    match outcome {
        Err(NotReloaded::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Lets a guest join, and waits until the join is in the log.
async fn somebody_joins(house: &House, name: &str) {
    let before = house.told(EventType::ParticipantJoined).await;
    let person = house.person(SimPerson::anonymous(name));
    house.join(person, "laptop");
    house.until_told(EventType::ParticipantJoined, before + 1).await;
}

#[tokio::test]
async fn a_renamed_target_continues_where_the_old_one_was() {
    let house = House::new().await;
    somebody_joins(&house, "Ada").await;
    let config = house.config().replace("name = \"board\"", "name = \"committee\"");
    house.reload(&config).await.unwrap();
    somebody_joins(&house, "Bo").await;
    let last = house.log().await.pop().unwrap();
    assert_eq!(last.targets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["committee"]);
    assert_eq!(house.told(EventType::ConferenceStarted).await, 1);
    house.agrees(1).await;
}

#[tokio::test]
async fn a_live_conference_of_a_removed_target_is_reported_to_its_end_and_the_next_one_is_not_found() {
    let house = House::new().await;
    somebody_joins(&house, "Ada").await;
    let config = house.config();
    let (head, tail) = config.split_once("[[target]]").unwrap();
    let without = format!("{head}{}", &tail[tail.find("[[webhook]]").unwrap()..]);
    let warnings = house.reload(&without).await.unwrap();
    assert!(warnings.iter().any(|warning| warning.contains("nothing is watched")), "{warnings:?}");
    somebody_joins(&house, "Bo").await;
    assert!(house.log().await.pop().unwrap().targets.is_empty());
    assert_eq!(house.metric("meetwatch_target_participants", "target=").await, 0.0);
    house.end();
    house.until_told(EventType::ConferenceEnded, 1).await;
    let ben = house.person(SimPerson::anonymous("Ben"));
    house.join(ben, "laptop");
    assert_eq!(house.told(EventType::ConferenceStarted).await, 1);
    house.reload(&house.config()).await.unwrap();
    // The target is back, so the conference is found.
    house.until_told(EventType::ConferenceStarted, 2).await;
    house.agrees(2).await;
}

#[tokio::test]
async fn a_removed_webhook_keeps_its_backlog_and_gets_it_when_it_is_back() {
    let house = House::new().await;
    house.receiver.behave(Behaviour::Answer(503, Vec::new()));
    somebody_joins(&house, "Ada").await;
    assert!(house.receiver.wait_until(LONG, |arrived, _| !arrived.is_empty()).await);
    let config = house.config();
    let (head, tail) = config.split_once("[[webhook]]").unwrap();
    let without = format!("{head}{}", &tail[tail.find("[watch]").unwrap()..]);
    house.reload(&without).await.unwrap();
    let (_, endpoints) = house.ask(Method::GET, "/api/v1/endpoints").await;
    let ops = &endpoints["endpoints"][0];
    assert_eq!(ops["orphaned"], true, "{endpoints}");
    let pending = ops["pending"].as_u64().unwrap();
    assert!(pending >= 3, "{endpoints}");
    somebody_joins(&house, "Bo").await;
    let (_, endpoints) = house.ask(Method::GET, "/api/v1/endpoints").await;
    assert_eq!(
        endpoints["endpoints"][0]["pending"], pending,
        "deliveries are created at the commit, and this event had no webhook"
    );
    let lost = house.log().await.len() as u64 - pending;
    house.receiver.behave(Behaviour::Accept);
    house.reload(&config).await.unwrap();
    assert!(house.receiver.wait_for(pending, LONG).await, "the backlog arrives");
    house.until_metric("meetwatch_webhook_pending", "ops", 0.0).await;
    assert!(lost > 0 && house.receiver.counts().accepted == pending);
}

#[tokio::test]
async fn a_changed_address_gets_the_backlog_at_once_without_waiting_for_a_probe() {
    let house = House::new().await;
    let nowhere = house.config().replace(&house.receiver.url(), "http://127.0.0.1:1/");
    house.reload(&nowhere).await.unwrap();
    somebody_joins(&house, "Ada").await;
    somebody_joins(&house, "Bo").await;
    house.reload(&house.config()).await.unwrap();
    house.agrees(1).await;
}

#[tokio::test]
async fn a_changed_secret_file_is_read_again() {
    let house = House::new().await;
    let config = house.config();
    let secret = config.lines().find(|line| line.starts_with("secret = ")).unwrap();
    let good = secret.split('"').nth(1).unwrap();
    let file = house.path("ops.secret");
    let config = config.replace(secret, "secret_file = \"ops.secret\"");
    std::fs::write(&file, SigningSecret::from_bytes(vec![9; 32]).unwrap().reveal()).unwrap();
    house.reload(&config).await.unwrap();
    somebody_joins(&house, "Ada").await;
    assert!(house.receiver.wait_until(LONG, |_, counts| counts.refused > 0).await, "signed with the other secret");
    std::fs::write(&file, good).unwrap();
    house.reloads().request().await.unwrap();
    house.agrees(1).await;
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_the_error_is_one_line() {
    let house = House::new().await;
    let good = house.config();
    let begun = house.metric(TIMESTAMP, "").await;
    assert!(house.metric(SUCCESSFUL, "").await == 1.0 && begun > 1e9);
    for (broken, why) in [
        (good.replace("poll_interval = \"1s\"", "poll_interval = \"soon\""), "target.poll_interval"),
        (good.replace("[[webhook]]", "[[webhok]]"), "webhok"),
        (good[..good.len() / 2].to_owned(), "meetwatch.toml"),
        (String::new(), "identity"),
    ] {
        std::fs::write(house.path("meetwatch.toml"), &broken).unwrap();
        let (status, answer) = house.ask(Method::POST, "/-/reload").await;
        let said = answer["error"].as_str().unwrap();
        assert!(status == 422 && said.contains(why) && !said.contains('\n'), "{status}: {said}");
        assert_eq!(house.metric(SUCCESSFUL, "").await, 0.0);
    }
    assert_eq!(house.metric(TIMESTAMP, "").await, begun);
    somebody_joins(&house, "Ada").await;
    std::fs::write(house.path("meetwatch.toml"), &good).unwrap();
    let (status, answer) = house.ask(Method::POST, "/-/reload").await;
    assert_eq!((status, &answer["reloaded"]), (200, &true.into()));
    assert!(house.metric(SUCCESSFUL, "").await == 1.0 && house.metric(TIMESTAMP, "").await >= begun);
    house.agrees(1).await;
}

#[tokio::test]
async fn a_change_that_needs_a_restart_is_refused_with_its_key() {
    let house = House::new().await;
    let good = house.config();
    for (key, changed) in [
        ("store.path", good.replace("meetwatch.db", "other.db")),
        ("server.listen", good.replace("127.0.0.1:0", "127.0.0.1:1")),
        ("metrics.max_conferences", format!("{good}\n[metrics]\nmax_conferences = 7\n")),
        ("log.format", format!("{good}\n[log]\nformat = \"text\"\n")),
    ] {
        let why = refusal(house.reload(&changed).await);
        assert!(why.contains(&format!("`{key}`")) && why.contains("restart"), "{why}");
    }
    assert!(!house.path("other.db").exists());
    house.reload(&good).await.unwrap();
    somebody_joins(&house, "Ada").await;
    house.agrees(1).await;
}

#[tokio::test]
async fn a_missing_file_changes_nothing() {
    let house = House::new().await;
    let key = std::fs::read(house.path("key.json")).unwrap();
    std::fs::remove_file(house.path("key.json")).unwrap();
    let why = refusal(house.reload(&house.config()).await);
    assert!(why.contains("identity.service_account_key") && why.contains("does not exist"), "{why}");
    std::fs::write(house.path("key.json"), key).unwrap();
    // A start tolerates an access token that does not exist yet; a reload would replace a configuration that works.
    let another = "[[identity]]\nname = \"late\"\naccess_token_file = \"late.token\"\n";
    let config = house.config().replace("[[target]]", &format!("{another}[[target]]"));
    let why = refusal(house.reload(&config).await);
    assert!(why.contains("identity.access_token_file") && !why.contains('\n'), "{why}");
    std::fs::write(house.path("late.token"), "t").unwrap();
    house.reload(&config).await.unwrap();
    std::fs::remove_file(house.path("meetwatch.toml")).unwrap();
    let why = refusal(house.reloads().request().await);
    assert!(why.contains("does not exist"), "{why}");
    somebody_joins(&house, "Ada").await;
    house.agrees(1).await;
}

#[tokio::test]
async fn a_renamed_identity_loses_nothing_and_the_metrics_drop_its_old_name() {
    let house = House::new().await;
    somebody_joins(&house, "Ada").await;
    let config = house.config().replace("\"organizer\"", "\"chair\"");
    house.reload(&config).await.unwrap();
    somebody_joins(&house, "Bo").await;
    assert_eq!(house.metric("meetwatch_identity_up", "identity=\"chair\"").await, 1.0);
    let metrics = house.get("/metrics").await;
    for name in ["meetwatch_identity_up", "meetwatch_quota_limit", "meetwatch_poll_stretch_ratio"] {
        let old = metrics.lines().any(|line| line.starts_with(name) && line.contains("organizer"));
        assert!(!old, "{name} still shows the old name");
    }
    let ready = house.get("/readyz?verbose").await;
    assert!(ready.contains("chair") && !ready.contains("organizer"), "{ready}");
    house.agrees(1).await;
}

#[tokio::test]
async fn a_smaller_quota_takes_effect_at_once_and_spent_tokens_stay_spent() {
    let house = House::new().await;
    house.until_read(20).await;
    assert_eq!(house.metric("meetwatch_quota_limit", "scope=\"user\"").await, 4800.0);
    let config = house.config().replace("reads_per_minute_user = 6000", "reads_per_minute_user = 600");
    house.reload(&config).await.unwrap();
    assert_eq!(house.metric("meetwatch_quota_limit", "scope=\"user\"").await, 480.0);
    let left = house.metric("meetwatch_quota_available", "scope=\"user\"").await;
    assert!(left < 48.0, "the spent tokens came back: {left}");
    house.reload(&house.config()).await.unwrap();
    somebody_joins(&house, "Ada").await;
    house.agrees(1).await;
}

#[tokio::test]
async fn concurrent_reloads_end_with_the_configuration_of_the_file() {
    let house = House::new().await;
    let config = house.config().replace("name = \"board\"", "name = \"committee\"");
    std::fs::write(house.path("meetwatch.toml"), &config).unwrap();
    let reloads = house.reloads();
    let outcomes = tokio::join!(reloads.request(), reloads.request(), reloads.request());
    assert!(outcomes.0.is_ok() && outcomes.1.is_ok() && outcomes.2.is_ok(), "{outcomes:?}");
    somebody_joins(&house, "Ada").await;
    assert_eq!(house.log().await.pop().unwrap().targets[0].as_str(), "committee");
    house.agrees(1).await;
}

#[tokio::test]
async fn a_stopped_daemon_refuses_to_reload() {
    let mut house = House::new().await;
    let reloads = house.reloads();
    house.stop().await;
    assert!(matches!(reloads.request().await, Err(NotReloaded::Unavailable(_))));
}

#[tokio::test]
async fn many_reloads_lose_no_event_and_repeat_none() {
    let house = House::new().await;
    let people: Vec<_> = (0..6).map(|number| house.person(SimPerson::anonymous(&format!("Guest {number}")))).collect();
    let space = house.simulator.with(|api, _| api.world.space(house.space).code.to_string());
    let first = house.person(SimPerson::anonymous("Host"));
    house.join(first, "laptop");
    house.until_told(EventType::ParticipantJoined, 1).await;
    for round in 0..30_usize {
        let person = people[round % people.len()];
        if round / people.len() % 2 == 0 {
            house.join(person, "laptop");
        } else {
            house.leave(person, "laptop");
        }
        let config = house.config();
        let config = match round % 5 {
            0 => config.replace("\"board\"", "\"committee\""),
            1 => config.replace("organizer = true", &format!("meeting_code = \"{space}\"")),
            2 => {
                config.replace("\"organizer\"", "\"chair\"").replace("poll_interval = \"1s\"", "poll_interval = \"2s\"")
            }
            3 => config.replace("[watch]", "ordered = false\nconcurrency = 3\n[watch]"),
            _ => config,
        };
        house.reload(&config).await.unwrap();
        house.until_read(2).await;
    }
    house.reload(&house.config()).await.unwrap();
    let log = house.log().await;
    let gaps = log.iter().filter(|event| event.event == EventType::WatchGap).count();
    assert_eq!(gaps, 0, "{log:#?}");
    assert!(house.receiver.wait_until(LONG, |_, counts| counts.accepted > 0).await);
    house.agrees(1).await;
}

#[tokio::test]
async fn an_added_webhook_gets_only_events_committed_after_the_reload() {
    let house = House::new().await;
    somebody_joins(&house, "Ada").await;
    let before = house.log().await.len() as u64;
    let settled = house.receiver.wait_for(before, LONG).await;
    assert!(settled, "the first webhook has every event");
    let config = house.config();
    let (_, tail) = config.split_once("[[webhook]]").unwrap();
    let own = &tail[..tail.find("[watch]").unwrap()];
    let second = format!("[[webhook]]{}", own.replace("\"ops\"", "\"audit\""));
    house.reload(&config.replace("[watch]", &format!("{second}[watch]"))).await.unwrap();
    somebody_joins(&house, "Bo").await;
    let more = house.log().await.len() as u64 - before;
    house.until_metric("meetwatch_webhook_deliveries_total", "audit", more as f64).await;
    house.agrees(1).await;
}
