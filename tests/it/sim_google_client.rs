//! Google's own Rust client reads the simulator, and what it reads agrees with the world.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use google_apps_meet_v2::client::{ConferenceRecordsService, SpacesService};
use google_apps_meet_v2::model::{ConferenceRecord, Participant, ParticipantSession};
use google_cloud_auth::credentials::anonymous;
use google_cloud_gax::error::rpc::{Code, StatusDetails};
use google_cloud_gax::paginator::ItemPaginator;
use jiff::Timestamp;
use meetwatch::model::ParticipantKind;
use meetwatch::sim::api::{ApiSettings, GoogleMethod, Hint};
use meetwatch::sim::faults::{Fault, Rule, When};
use meetwatch::sim::world::{Action, SimPerson, WorldSettings};
use meetwatch::sim::{Running, Settings, Simulator, Time, World};

const START: i64 = 1_767_600_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

/// Starts a simulator whose clock always returns `now`.
async fn standing_at(now: Timestamp, world: World, max_page: Option<usize>) -> Running {
    let api = ApiSettings { max_page, ..ApiSettings::default() };
    Simulator::start(Settings { api, time: Time::from_fn(move || now), ..Settings::new(world) }).await.unwrap()
}

async fn records(sim: &Running) -> ConferenceRecordsService {
    let credentials = anonymous::Builder::new().build();
    ConferenceRecordsService::builder()
        .with_endpoint(sim.url())
        .with_credentials(credentials)
        .with_retry_policy(google_cloud_gax::retry_policy::NeverRetry)
        .build()
        .await
        .unwrap()
}

fn time(time: Option<&google_cloud_wkt::Timestamp>) -> Option<Timestamp> {
    time.map(|time| Timestamp::new(time.seconds(), time.nanos()).unwrap())
}

async fn conferences(client: &ConferenceRecordsService, filter: &str, page: i32) -> Vec<ConferenceRecord> {
    let mut items = client.list_conference_records().set_filter(filter).set_page_size(page).by_item();
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item.unwrap());
    }
    all
}

async fn participants(client: &ConferenceRecordsService, parent: &str, filter: &str, page: i32) -> Vec<Participant> {
    let mut items = client.list_participants().set_parent(parent).set_filter(filter).set_page_size(page).by_item();
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item.unwrap());
    }
    all
}

async fn sessions(client: &ConferenceRecordsService, parent: &str, filter: &str) -> Vec<ParticipantSession> {
    let mut items = client.list_participant_sessions().set_parent(parent).set_filter(filter).set_page_size(1).by_item();
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item.unwrap());
    }
    all
}

#[tokio::test]
async fn googles_own_client_reads_the_whole_world_and_agrees_with_it() {
    for (seed, max_page) in [(11, None), (12, Some(3))] {
        let mut world = World::new(WorldSettings { speed: 20.0, ..WorldSettings::starting(at(0), seed) });
        world.step(at(90));
        let truth: BTreeSet<_> = world.sessions().map(|s| (s.session.to_string(), Some(s.start), s.end)).collect();
        let people: BTreeMap<_, _> = world.participants().map(|p| (p.participant.to_string(), p)).collect();
        let held: BTreeSet<_> = world.conferences().map(|c| (c.conference.to_string(), Some(c.start), c.end)).collect();
        let sim = standing_at(at(90), world, max_page).await;
        let client = records(&sim).await;

        let listed = conferences(&client, "", 2).await;
        assert!(listed.is_sorted_by_key(|c| std::cmp::Reverse(time(c.start_time.as_ref()))), "descending");
        assert_eq!(
            listed
                .iter()
                .map(|c| (c.name.clone(), time(c.start_time.as_ref()), time(c.end_time.as_ref())))
                .collect::<BTreeSet<_>>(),
            held
        );
        let mut read = BTreeSet::new();
        for conference in &listed {
            let mut active = BTreeSet::new();
            for person in participants(&client, &conference.name, "", 5).await {
                let expected = &people[&person.name];
                assert_eq!(time(person.earliest_start_time.as_ref()), Some(expected.earliest_start));
                assert_eq!(time(person.latest_end_time.as_ref()), expected.latest_end);
                let kind = match (person.signedin_user(), person.anonymous_user(), person.phone_user()) {
                    (Some(_), None, None) => ParticipantKind::SignedIn,
                    (None, Some(_), None) => ParticipantKind::Anonymous,
                    (None, None, Some(_)) => ParticipantKind::Phone,
                    _ => ParticipantKind::Unknown,
                };
                assert_eq!(kind, expected.kind);
                if let Some(user) = person.signedin_user() {
                    assert_eq!(user.display_name, expected.display_name);
                    assert_eq!(user.user.rsplit('/').next(), person.name.rsplit('/').next());
                }
                if person.latest_end_time.is_none() {
                    active.insert(person.name.clone());
                }
                for session in sessions(&client, &person.name, "").await {
                    read.insert((session.name, time(session.start_time.as_ref()), time(session.end_time.as_ref())));
                }
            }
            let filtered = participants(&client, &conference.name, "latest_end_time IS NULL", 250).await;
            assert_eq!(filtered.into_iter().map(|p| p.name).collect::<BTreeSet<_>>(), active);
        }
        assert_eq!(read, truth);
        sim.stop().await;
    }
}

#[tokio::test]
async fn googles_own_client_can_use_every_documented_filter() {
    let mut world = World::empty(5, at(0));
    let ada = world.add_person(SimPerson::signed_in("Ada", "ada@example.com"));
    let guest = world.add_person(SimPerson::anonymous("Sam"));
    let space = world.add_space(Some(ada)).unwrap();
    for (second, action) in [
        (1, Action::Join(ada, "laptop".into())),
        (5, Action::End),
        (20, Action::Join(ada, "laptop".into())),
        (21, Action::Join(ada, "phone".into())),
        (22, Action::Join(guest, "tab".into())),
        (30, Action::LeaveWholly(guest)),
        (31, Action::Leave(ada, "phone".into())),
    ] {
        world.schedule(at(second), space, action);
    }
    let code = world.space(space).code.to_string();
    let name = world.space(space).name.to_string();
    let sim = standing_at(at(60), world, None).await;
    let client = records(&sim).await;

    let live = conferences(&client, "end_time IS NULL", 0).await;
    assert_eq!(live.len(), 1);
    for filter in [
        format!("space.name = \"{name}\""),
        format!("space.meeting_code = \"{code}\""),
        format!("start_time >= \"{}\" AND start_time <= \"{}\"", at(0), at(60)),
    ] {
        assert_eq!(conferences(&client, &filter, 1).await.len(), 2, "{filter}");
    }
    assert_eq!(conferences(&client, &format!("end_time >= \"{}\"", at(5)), 0).await.len(), 1);

    let record = &live[0].name;
    let left = participants(&client, record, &format!("latest_end_time >= \"{}\"", at(30)), 0).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].anonymous_user().unwrap().display_name, "Sam");
    let here = participants(&client, record, "latestEndTime IS NULL", 0).await;
    assert_eq!(sessions(&client, &here[0].name, "end_time IS NULL").await.len(), 1);
    assert_eq!(sessions(&client, &here[0].name, "").await.len(), 2);

    let got = client.get_participant().set_name(&here[0].name).send().await.unwrap();
    assert_eq!(got, here[0]);
    assert_eq!(client.get_conference_record().set_name(record).send().await.unwrap(), live[0]);

    let spaces = SpacesService::builder()
        .with_endpoint(sim.url())
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await
        .unwrap();
    for alias in [name.clone(), format!("spaces/{code}")] {
        let space = spaces.get_space().set_name(alias).send().await.unwrap();
        assert_eq!((&space.name, &space.meeting_code), (&name, &code));
        assert_eq!(&space.active_conference.unwrap().conference_record, record);
    }
    sim.stop().await;
}

#[tokio::test]
async fn googles_own_client_reads_a_webinar_over_many_pages() {
    let mut world = World::empty(5, at(0));
    let space = world.add_space(None).unwrap();
    for n in 0..600 {
        let person = world.add_person(SimPerson::anonymous(&format!("guest {n}")));
        world.join(space, person, "tab", at(n / 10)).unwrap();
    }
    let record = world.live_in(space).unwrap().name.to_string();
    let sim = standing_at(at(100), world, Some(70)).await;
    let client = records(&sim).await;
    let everybody = participants(&client, &record, "", 250).await;
    assert_eq!(everybody.iter().map(|person| &person.name).collect::<BTreeSet<_>>().len(), 600);
    assert_eq!(sim.with(|api, _| api.count(GoogleMethod::ListParticipants)), 9, "fewer than asked for");
    sim.stop().await;
}

#[tokio::test]
async fn googles_own_client_parses_the_errors() {
    let mut world = World::empty(5, at(0));
    let space = world.add_space(None).unwrap();
    world.start(space, at(0)).unwrap();
    let record = world.live_in(space).unwrap().name.to_string();
    let sim = standing_at(at(10), world, None).await;
    let client = records(&sim).await;

    let missing = client.get_conference_record().set_name("conferenceRecords/none").send().await.unwrap_err();
    assert_eq!(missing.http_status_code(), Some(404));
    assert_eq!(missing.status().unwrap().code, Code::NotFound);

    let bad = client.list_participants().set_parent(&record).set_filter("who IS NULL").send().await.unwrap_err();
    assert_eq!(bad.status().unwrap().code, Code::InvalidArgument);
    assert!(matches!(bad.status().unwrap().details[0], StatusDetails::BadRequest(_)));

    let hint = Hint::RetryInfo(Duration::from_millis(12_500));
    sim.with(|api, _| api.faults.add(Rule::new(Fault::Throttled(hint)).when(When::First(1))));
    let throttled = client.list_conference_records().send().await.unwrap_err();
    let status = throttled.status().unwrap();
    assert_eq!((throttled.http_status_code(), status.code), (Some(429), Code::ResourceExhausted));
    let StatusDetails::ErrorInfo(info) = &status.details[0] else { panic!("{:?}", status.details) };
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RATE_LIMIT_EXCEEDED", "googleapis.com"));
    assert_eq!(info.metadata["service"], "meet.googleapis.com");
    let StatusDetails::RetryInfo(retry) = &status.details[1] else { panic!("{:?}", status.details) };
    assert_eq!(retry.retry_delay.as_ref().map(|delay| (delay.seconds(), delay.nanos())), Some((12, 500_000_000)));
    assert!(client.list_conference_records().send().await.is_ok(), "only the first was throttled");
    sim.stop().await;
}
