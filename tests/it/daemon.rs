//! The daemon over real sockets: whatever happens in a call, the event log agrees with the simulation.

use std::time::Duration;

use meetwatch::model::EventType;
use meetwatch::model::event::Affiliation;
use meetwatch::sim::api::{ApiSettings, Forbidden, GoogleMethod, Hint};
use meetwatch::sim::faults::{Fault, Lag, Rule, When};
use meetwatch::sim::world::{KnownFrom, SimPerson};

use crate::house::House;

fn guarded() -> ApiSettings {
    ApiSettings { require_auth: true, ..ApiSettings::default() }
}

#[tokio::test]
async fn two_devices_of_one_person_are_one_presence() {
    let house = House::new().await;
    let ada = house.person(SimPerson::signed_in("Ada", "ada@example.com"));
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 1).await;
    house.join(ada, "phone");
    house.until_told(EventType::SessionStarted, 2).await;
    house.leave(ada, "laptop");
    house.until_told(EventType::SessionEnded, 1).await;
    assert_eq!(house.told(EventType::ParticipantLeft).await, 0);
    house.agrees(1).await;
}

#[tokio::test]
async fn a_rejoin_is_reported_with_its_own_time() {
    let house = House::new().await;
    let (ada, bo) =
        (house.person(SimPerson::signed_in("Ada", "ada@example.com")), house.person(SimPerson::anonymous("Bo")));
    house.join(bo, "laptop");
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 2).await;
    house.leave(ada, "laptop");
    house.until_told(EventType::ParticipantLeft, 1).await;
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 3).await;
    house.agrees(1).await;
}

#[tokio::test]
async fn a_quick_rejoin_between_two_polls_is_not_lost() {
    let house = House::new().await;
    let ada = house.person(SimPerson::signed_in("Ada", "ada@example.com"));
    let bo = house.person(SimPerson::anonymous("Bo"));
    house.join(bo, "laptop");
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 2).await;
    house.leave(ada, "laptop");
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 3).await;
    house.agrees(1).await;
}

#[tokio::test]
async fn a_visit_shorter_than_a_poll_is_not_lost() {
    let house = House::new().await;
    let bo = house.person(SimPerson::anonymous("Bo"));
    house.join(bo, "laptop");
    house.until_told(EventType::ParticipantJoined, 1).await;
    let flash = house.person(SimPerson::phone("+1 ••• ••• ••12"));
    house.join(flash, "phone");
    house.leave(flash, "phone");
    house.until_told(EventType::ParticipantLeft, 1).await;
    house.agrees(1).await;
}

#[tokio::test]
async fn phones_guests_and_participants_of_an_unknown_kind_are_reported_with_their_kind() {
    let house = House::new().await;
    for person in [SimPerson::phone("+1 ••• ••• ••12"), SimPerson::anonymous("<!channel>"), SimPerson::unknown()]
    {
        let person = house.person(person);
        house.join(person, "device");
    }
    house.until_told(EventType::ParticipantJoined, 3).await;
    let log = house.log().await;
    let joined = log.iter().filter(|event| event.event == EventType::ParticipantJoined);
    let mut kinds: Vec<_> = joined.map(|event| event.participant.as_ref().unwrap().kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["anonymous", "phone", "unknown"]);
    house.agrees(1).await;
}

#[tokio::test]
async fn a_webinar_of_600_is_read_page_by_page() {
    let api = ApiSettings { require_auth: true, max_page: Some(170), ..ApiSettings::default() };
    let house = House::with(api, "organizer = true").await;
    house.simulator.with(|api, now| {
        let space = house.space;
        for number in 0..600 {
            let person = api.world.add_person(SimPerson::anonymous(&format!("Guest {number}")));
            api.world.join(space, person, "laptop", now).unwrap();
        }
    });
    house.until_told(EventType::ParticipantJoined, 600).await;
    house.agrees(1).await;
}

#[tokio::test]
async fn a_failed_page_is_not_reported_as_leaves() {
    let api = ApiSettings { require_auth: true, max_page: Some(2), ..ApiSettings::default() };
    let house = House::with(api, "meeting_code = \"{code}\"").await;
    let people: Vec<_> = (0..5).map(|number| house.person(SimPerson::anonymous(&format!("Guest {number}")))).collect();
    for person in &people {
        house.join(*person, "laptop");
    }
    house.until_told(EventType::ParticipantJoined, 5).await;
    let rule = Rule::new(Fault::Server(503)).on(&[GoogleMethod::ListParticipants]).from_page(2);
    house.simulator.with(|api, _| api.faults.add(rule));
    house.until_read(20).await;
    assert_eq!(
        house.told(EventType::ParticipantLeft).await,
        0,
        "absence must not be inferred from an incomplete listing"
    );
    house.simulator.with(|api, _| api.faults.clear());
    house.leave(people[4], "laptop");
    house.until_told(EventType::ParticipantLeft, 1).await;
    assert!(house.metric("meetwatch_api_request_failures_total", "reason=\"server\"").await > 0.0);
    house.agrees(1).await;
}

#[tokio::test]
async fn absence_because_google_lags_is_not_reported_as_a_leave() {
    let house = House::with(guarded(), "space = \"{space}\"").await;
    let lag = Lag {
        participant: Duration::from_secs(1),
        rejoin: Duration::from_secs(3),
        leave: Duration::from_secs(1),
        ..Lag::NONE
    };
    house.simulator.with(|api, _| {
        api.faults.add(Rule::new(Fault::Lag(lag)));
        api.faults.add(Rule::new(Fault::Omit(0.5)).on(&[GoogleMethod::ListParticipants]).when(When::Every(2)));
    });
    let ada = house.person(SimPerson::signed_in("Ada", "ada@example.com"));
    for number in 0..4 {
        let guest = house.person(SimPerson::anonymous(&format!("Guest {number}")));
        house.join(guest, "laptop");
    }
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 5).await;
    house.leave(ada, "laptop");
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 6).await;
    assert_eq!(house.told(EventType::ParticipantLeft).await, 1, "only Ada left, and came back");
    house.simulator.with(|api, _| api.faults.clear());
    house.agrees(1).await;
}

#[tokio::test]
async fn a_conference_that_starts_again_under_the_same_code_is_another_one() {
    let house = House::with(guarded(), "meeting_code = \"{code}\"").await;
    let ada = house.person(SimPerson::signed_in("Ada", "ada@example.com"));
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 1).await;
    house.end();
    house.join(ada, "laptop");
    house.until_told(EventType::ConferenceStarted, 2).await;
    house.until_told(EventType::ParticipantJoined, 2).await;
    house.agrees(2).await;
}

#[tokio::test]
async fn every_kind_of_failed_read_is_survived_and_none_is_reported_as_a_leave() {
    let house = House::new().await;
    let ada = house.person(SimPerson::signed_in("Ada", "ada@example.com"));
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 1).await;
    let faults = [
        (Fault::Unauthenticated, "unauthenticated"),
        (Fault::Forbidden(Forbidden::ServiceDisabled), "api_disabled"),
        (Fault::Forbidden(Forbidden::ScopeInsufficient), "scope_missing"),
        (Fault::Forbidden(Forbidden::PermissionDenied), "no_access"),
        (Fault::NotFound, "not_found"),
        (Fault::Throttled(Hint::RetryAfter(Duration::from_secs(1))), "throttled"),
        (Fault::Server(500), "server"),
        (Fault::Html(200), "malformed"),
        (Fault::CutOff, "malformed"),
        (Fault::Oversized(16 << 20), "malformed"),
    ];
    for (fault, reason) in faults {
        let labels = format!("reason=\"{reason}\"");
        let before = house.metric("meetwatch_api_request_failures_total", &labels).await;
        house.simulator.with(|api, _| {
            api.faults.add(Rule::new(fault.clone()).on(&[GoogleMethod::ListParticipants, GoogleMethod::ListSessions]));
        });
        house.until_read(3).await;
        while house.metric("meetwatch_api_request_failures_total", &labels).await <= before {
            house.until_read(1).await;
        }
        house.simulator.with(|api, _| api.faults.clear());
        assert_eq!(house.told(EventType::ParticipantLeft).await, 0, "{reason}");
    }
    house.until_read(10).await;
    assert_eq!(house.told(EventType::ParticipantLeft).await, 0);
    house.agrees(1).await;
}

#[tokio::test]
async fn a_page_token_that_repeats_forever_is_given_up_and_counted() {
    let api = ApiSettings { require_auth: true, max_page: Some(1), ..ApiSettings::default() };
    let house = House::with(api, "organizer = true").await;
    for number in 0..3 {
        let guest = house.person(SimPerson::anonymous(&format!("Guest {number}")));
        house.join(guest, "laptop");
    }
    house.until_told(EventType::ParticipantJoined, 3).await;
    house.simulator.with(|api, _| api.faults.add(Rule::new(Fault::RepeatToken).on(&[GoogleMethod::ListParticipants])));
    while house.metric("meetwatch_poll_failures_total", "reason=\"malformed\"").await == 0.0 {
        house.until_read(1).await;
    }
    assert_eq!(house.told(EventType::ParticipantLeft).await, 0);
    house.simulator.with(|api, _| api.faults.clear());
    house.agrees(1).await;
}

#[tokio::test]
async fn a_conference_of_two_targets_is_read_once_and_names_both() {
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
async fn with_lookups_an_event_has_address_and_affiliation() {
    let house = House::seen_by(guarded(), "lookup = \"people\"", "organizer = true").await;
    let (ada, eve) = (
        house.person(SimPerson::signed_in("Ada", "ada@example.com")),
        house.person(SimPerson::signed_in("Eve", "eve@else.org").known_from(KnownFrom::Nowhere)),
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
    // Google does not show Eve to a user of another domain.
    let ada = (Some("ada@example.com".to_owned()), Some(Affiliation::Internal));
    assert_eq!(known, [(None, None), ada]);
    assert!(house.simulator.with(|api, _| {
        api.tally().keys().any(|(method, _)| matches!(method, GoogleMethod::GetPeople | GoogleMethod::GetPerson))
    }));
    house.agrees(1).await;
}

#[tokio::test]
async fn metrics_and_health_show_the_state_of_the_daemon() {
    let house = House::new().await;
    let ada = house.person(SimPerson::signed_in("Ada Unmistakable", "ada@example.com"));
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 1).await;
    house.until_read(5).await;
    assert_eq!(house.get("/livez").await.trim(), r#"{"alive":true}"#);
    assert!(house.get("/readyz?verbose").await.contains("organizer"));
    assert_eq!(house.metric("meetwatch_conference_participants", "kind=\"signed_in\"").await, 1.0);
    assert_eq!(house.metric("meetwatch_conferences_live", "").await, 1.0);
    assert_eq!(house.metric("meetwatch_identity_up", "identity=\"organizer\"").await, 1.0);
    let metrics = house.get("/metrics").await;
    let manual = include_str!("../../docs/METRICS.md");
    for line in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let documented = manual.lines().any(|row| row.contains(&format!("`{name}`")) && row.contains(kind));
        assert!(documented, "docs/METRICS.md does not list {name} as a {kind}");
    }
    for secret in ["Unmistakable", "ada@", "alice@", "whsec", "Bearer"] {
        assert!(!metrics.contains(secret), "{secret} is in a metric");
    }
    house.agrees(1).await;
}
