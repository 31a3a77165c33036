//! Each fault changes what it should in an answer, and nothing else.

use jiff::SignedDuration;

use super::*;
use crate::sim::faults::{Lag, Rule, When};

#[test]
fn lag_delays_what_is_visible() {
    let mut fixture = Fixture::new(0);
    let ada = fixture.ada;
    let lag = Lag { participant: Duration::from_secs(30), rejoin: Duration::from_secs(120), ..Lag::NONE };
    fixture.api.faults.add(Rule::new(Fault::Lag(lag)));
    fixture.api.world.leave(fixture.space, ada, "laptop", at(60)).unwrap();
    fixture.api.world.join(fixture.space, ada, "phone", at(70)).unwrap();
    assert_eq!(fixture.get("{c}/participants", 29), json!({}));
    let person = |fixture: &mut Fixture, second| fixture.get("{c}/participants", second)["participants"][0].clone();
    assert!(person(&mut fixture, 30).get("latestEndTime").is_none());
    assert_eq!(person(&mut fixture, 189)["latestEndTime"], "2026-01-05T08:01:00Z", "the rejoin is not visible yet");
    let active = "{c}/participants?filter=latest_end_time+IS+NULL";
    assert_eq!(fixture.get(active, 189), json!({}));
    let sessions = "{c}/participants/12345/participantSessions";
    assert_eq!(fixture.pages(sessions, "participantSessions", 189).concat().len(), 1);
    assert!(person(&mut fixture, 190).get("latestEndTime").is_none(), "the rejoin is visible");
    assert_eq!(fixture.pages(sessions, "participantSessions", 190).concat().len(), 2);
}

#[test]
fn an_end_that_lags_leaves_people_and_conferences_open() {
    let mut fixture = Fixture::new(0);
    let ten = Duration::from_secs(10);
    fixture.api.faults.add(Rule::new(Fault::Lag(Lag {
        leave: ten,
        conference_end: ten * 2,
        conference: ten * 5,
        ..Lag::NONE
    })));
    assert_eq!(fixture.reply("{c}", 49).status, 404);
    fixture.api.world.end(fixture.space, at(100)).unwrap();
    assert!(fixture.get("{c}/participants", 109)["participants"][0].get("latestEndTime").is_none());
    assert!(fixture.get("{c}/participants", 110)["participants"][0].get("latestEndTime").is_some());
    let live = "conferenceRecords?filter=end_time+IS+NULL";
    assert_eq!(fixture.pages(live, "conferenceRecords", 119).concat().len(), 1);
    assert!(fixture.get("spaces/abc-mnop-xyz", 119).get("activeConference").is_some());
    assert_eq!(fixture.pages(live, "conferenceRecords", 120).concat().len(), 0);
    assert!(fixture.get("spaces/abc-mnop-xyz", 120).get("activeConference").is_none());
}

#[test]
fn each_fault_of_a_list_has_its_effect() {
    let spoil = |fault| {
        let mut fixture = Fixture::new(9);
        fixture.api.faults.add(Rule::new(fault).on(&[GoogleMethod::ListParticipants]).from_page(2));
        let pages = fixture.pages("{c}/participants?pageSize=4", "participants", 100);
        let distinct = pages.concat().into_iter().collect::<BTreeSet<_>>().len();
        (pages.len(), pages.concat().len(), distinct)
    };
    assert_eq!(spoil(Fault::Duplicates(1)), (3, 12, 10), "each later page repeats one");
    assert_eq!(spoil(Fault::Skips(1)), (3, 8, 8));
    assert_eq!(spoil(Fault::Empty), (2, 4, 4));
    let (pages, _, _) = spoil(Fault::RepeatToken);
    assert_eq!(pages, 50, "the token repeats endlessly");
    let (_, _, distinct) = spoil(Fault::Omit(0.5));
    assert!(distinct < 10);
    let mut fixture = Fixture::new(9);
    fixture.api.faults.add(Rule::new(Fault::Server(503)).from_page(2));
    let page = fixture.get("{c}/participants?pageSize=4", 100);
    let token = page["nextPageToken"].as_str().unwrap();
    assert_eq!(fixture.reply(&format!("{{c}}/participants?pageSize=4&pageToken={token}"), 100).status, 503);
}

#[test]
fn a_repeating_token_repeats_also_for_a_list_of_one_page() {
    let mut fixture = Fixture::new(1);
    fixture.api.faults.add(Rule::new(Fault::RepeatToken));
    assert_eq!(fixture.pages("{c}/participants", "participants", 100).len(), 50);
}

#[test]
fn each_fault_of_an_answer_has_its_effect() {
    let spoil = |fault| {
        let mut fixture = Fixture::new(3);
        fixture.api.faults.add(Rule::new(fault).when(When::First(1)));
        let (spoiled, whole) = (fixture.reply("{c}/participants", 10), fixture.reply("{c}/participants", 10));
        assert_eq!((whole.status, whole.transmission, whole.delay), (200, Transmission::Whole, Duration::ZERO));
        (spoiled, whole)
    };
    let (cut, whole) = spoil(Fault::CutOff);
    assert_eq!((cut.transmission, cut.body), (Transmission::CutOff(whole.body.len() / 2), whole.body));
    assert_eq!(spoil(Fault::Reset).0.transmission, Transmission::Reset);
    assert_eq!(spoil(Fault::Slow(Duration::from_secs(3))).0.delay, Duration::from_secs(3));
    let (malformed, _) = spoil(Fault::Malformed);
    assert!(malformed.status == 200 && serde_json::from_slice::<Value>(&malformed.body).is_err());
    let (html, _) = spoil(Fault::Html(200));
    assert_eq!((html.status, html.header("content-type")), (200, Some("text/html; charset=UTF-8")));
    let (oversized, whole) = spoil(Fault::Oversized(1 << 20));
    assert_eq!(oversized.body.len(), whole.body.len() + (1 << 20));
    assert_eq!(oversized.value(), whole.value());
    let (skewed, _) = spoil(Fault::Skew(SignedDuration::from_secs(120)));
    assert_eq!(skewed.header("date"), Some("Mon, 05 Jan 2026 08:02:10 GMT"));
    let (throttled, _) = spoil(Fault::Throttled(Hint::RetryAfter(Duration::from_secs(7))));
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, Some("7")));
    assert_eq!(spoil(Fault::NotFound).0.status, 404);
    assert_eq!(spoil(Fault::Unauthenticated).0.status, 401);
    let (forbidden, _) = spoil(Fault::Forbidden(Forbidden::ServiceDisabled));
    assert_eq!(forbidden.value()["error"]["details"][0]["reason"], "SERVICE_DISABLED");
}

#[test]
fn the_same_seed_answers_the_same_bytes() {
    let run = || {
        let mut fixture = Fixture::new(40);
        fixture.api.faults.add_all(crate::sim::faults::preset("lag", 3).unwrap());
        fixture.api.faults.add(Rule::new(Fault::Omit(0.4)).when(When::Chance(0.5)));
        (0..60).map(|second| fixture.reply("{c}/participants?pageSize=9", second).body).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
