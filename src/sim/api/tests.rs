//! The API behaves as Google documents it, over one meeting.

mod faults;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::visible::wire_time;
use super::*;
use crate::model::MeetingCode;
use crate::sim::world::{KnownFrom, PersonKey, SimPerson, SpaceKey};

const START: i64 = 1_767_600_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

struct Fixture {
    api: SimApi,
    space: SpaceKey,
    ada: PersonKey,
    record: String,
}

impl Fixture {
    /// A meeting that Ada began at second 0 and `crowd` guests joined, one a second.
    fn with(crowd: usize, settings: ApiSettings) -> Self {
        let mut world = World::empty(7, at(0));
        let ada =
            world.add_person(SimPerson { account: "12345".into(), ..SimPerson::signed_in("Ada", "ada@example.com") });
        let space = world.add_space_under(MeetingCode::parse("abc-mnop-xyz").unwrap(), Some(ada)).unwrap();
        world.join(space, ada, "laptop", at(0)).unwrap();
        for n in 0..crowd {
            let guest = world.add_person(SimPerson::anonymous(&format!("guest {n}")));
            world.join(space, guest, "tab", at(1 + i64::try_from(n).unwrap())).unwrap();
        }
        let record = world.live_in(space).unwrap().name.to_string();
        Self { api: SimApi::new(world, Faults::seeded(1), settings), space, ada, record }
    }

    fn new(crowd: usize) -> Self {
        Self::with(crowd, ApiSettings::default())
    }

    fn reply(&mut self, target: &str, second: i64) -> ApiReply {
        let target = target.replace("{c}", &self.record);
        self.api.answer(&Request::get(&format!("/v2/{target}")), at(second))
    }

    fn get(&mut self, target: &str, second: i64) -> Value {
        let reply = self.reply(target, second);
        assert_eq!(reply.status, 200, "{target}: {}", String::from_utf8_lossy(&reply.body));
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// Every page of a list, as the names on it.
    fn pages(&mut self, target: &str, field: &str, second: i64) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut token = String::new();
        for _ in 0..50 {
            let separator = if target.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{target}{separator}pageToken={token}"), second);
            let items = page[field].as_array().cloned().unwrap_or_default();
            pages.push(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect());
            match page["nextPageToken"].as_str() {
                Some(next) => token = next.to_owned(),
                None => return pages,
            }
        }
        pages
    }
}

#[test]
fn unset_fields_are_absent_and_an_empty_list_is_an_empty_object() {
    let mut fixture = Fixture::new(0);
    let record = fixture.record.clone();
    let space = fixture.api.world.space(fixture.space).name.to_string();
    assert_eq!(fixture.get("{c}", 1), json!({"name": record, "startTime": "2026-01-05T08:00:00Z", "space": space}),);
    assert_eq!(
        fixture.get("{c}/participants", 1),
        json!({"participants": [{
            "name": format!("{record}/participants/12345"),
            "signedinUser": {"user": "users/12345", "displayName": "Ada"},
            "earliestStartTime": "2026-01-05T08:00:00Z",
        }]}),
    );
    assert_eq!(fixture.get("{c}/participants?filter=latest_end_time+%3E%3D+%222026-01-01T00:00:00Z%22", 1), json!({}));
    fixture.api.world.end(fixture.space, at(60)).unwrap();
    let ended = fixture.get("{c}", 61);
    assert_eq!(
        (&ended["endTime"], &ended["expireTime"]),
        (&json!("2026-01-05T08:01:00Z"), &json!("2026-02-04T08:01:00Z"))
    );
}

#[test]
fn times_have_no_three_six_or_nine_digits() {
    for (time, expected) in [
        ("2026-01-05T10:00:02Z", "2026-01-05T10:00:02Z"),
        ("2026-01-05T10:00:02.1Z", "2026-01-05T10:00:02.100Z"),
        ("2026-01-05T10:00:02.12345Z", "2026-01-05T10:00:02.123450Z"),
        ("2026-01-05T10:00:02.000000001Z", "2026-01-05T10:00:02.000000001Z"),
    ] {
        assert_eq!(wire_time(time.parse().unwrap()), expected);
    }
}

#[test]
fn every_resource_can_be_fetched_by_its_name() {
    let mut fixture = Fixture::new(3);
    let people = fixture.pages("{c}/participants", "participants", 10).concat();
    assert_eq!(people.len(), 4);
    for person in people {
        assert_eq!(fixture.get(&person, 10)["name"], person.as_str());
        let sessions = fixture.pages(&format!("{person}/participantSessions"), "participantSessions", 10).concat();
        assert_eq!(sessions.len(), 1);
        assert_eq!(fixture.get(&sessions[0], 10)["name"], sessions[0].as_str());
    }
    let by_code = fixture.get("spaces/ABC-mnop-xyz", 10);
    assert_eq!(by_code["activeConference"]["conferenceRecord"], fixture.record.as_str());
    assert_eq!(by_code["meetingUri"], "https://meet.google.com/abc-mnop-xyz");
    assert_eq!(fixture.get(by_code["name"].as_str().unwrap(), 10), by_code);
    for missing in
        ["conferenceRecords/x", "{c}/participants/x", "{c}/participants/12345/participantSessions/x", "spaces/x"]
    {
        let reply = fixture.reply(missing, 10);
        assert_eq!((reply.status, &reply.value()["error"]["status"]), (404, &json!("NOT_FOUND")), "{missing}");
    }
}

#[test]
fn a_list_is_descending_and_its_pages_add_up() {
    let mut fixture = Fixture::with(23, ApiSettings { max_page: Some(10), ..ApiSettings::default() });
    let pages = fixture.pages("{c}/participants?pageSize=250", "participants", 100);
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 4], "fewer than asked");
    assert!(pages[2].last().unwrap().ends_with("/12345"), "the first to join is the last of the list");
    let pages = fixture.pages("{c}/participants?pageSize=12", "participants", 100);
    assert_eq!(pages.concat().iter().collect::<BTreeSet<_>>().len(), 24);
    let exact = fixture.pages("{c}/participants?pageSize=8", "participants", 100);
    assert_eq!(exact.len(), 3, "no empty page at the end");
}

#[test]
fn a_new_participant_does_not_shift_later_pages() {
    let mut fixture = Fixture::new(5);
    let first = fixture.get("{c}/participants?pageSize=3", 10);
    let late = fixture.api.world.add_person(SimPerson::phone("+1 ••• 22"));
    fixture.api.world.join(fixture.space, late, "phone", at(11)).unwrap();
    let token = first["nextPageToken"].as_str().unwrap();
    let second = fixture.get(&format!("{{c}}/participants?pageToken={token}"), 12);
    assert_eq!(second["participants"].as_array().unwrap().len(), 3);
    assert!(second.get("nextPageToken").is_none());
}

#[test]
fn a_page_token_is_valid_only_for_its_query() {
    let mut fixture = Fixture::new(5);
    let page = fixture.get("{c}/participants?pageSize=2", 10);
    let token = page["nextPageToken"].as_str().unwrap();
    for other in [
        format!("{{c}}/participants?pageToken={token}&filter=latest_end_time+IS+NULL"),
        format!("conferenceRecords?pageToken={token}"),
        "{c}/participants?pageToken=bogus".to_owned(),
    ] {
        let reply = fixture.reply(&other, 10);
        assert_eq!((reply.status, &reply.value()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{other}");
    }
    assert_eq!(fixture.reply(&format!("{{c}}/participants?pageToken={token}&pageSize=1"), 10).status, 200);
}

#[test]
fn invalid_parameters_are_an_invalid_argument() {
    let mut fixture = Fixture::new(0);
    for bad in [
        "{c}/participants?filter=end_time+IS+NULL",
        "{c}/participants?filter=latest_end_time+IS+NULL+OR+earliest_start_time+IS+NULL",
        "{c}/participants?pageSize=many",
        "{c}/participants?pageSize=-1",
        "{c}/participants?order_by=name",
        "{c}/participants?fields=people",
        "{c}?pageSize=3",
        "{c}?alt=proto",
    ] {
        let reply = fixture.reply(bad, 1);
        assert_eq!((reply.status, &reply.value()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{bad}");
    }
    assert_eq!(fixture.reply("{c}/recordings", 1).status, 501);
    assert_eq!(fixture.api.answer(&Request::new("POST", "/v2/spaces"), at(1)).status, 501);
    let nowhere = fixture.api.answer(&Request::get("/robots.txt"), at(1));
    assert_eq!((nowhere.status, nowhere.header("content-type")), (404, Some("text/html; charset=UTF-8")));
}

#[test]
fn requests_of_the_official_clients_are_accepted() {
    let mut fixture = Fixture::new(2);
    let plain = fixture.get("{c}/participants", 5);
    for query in [
        "alt=json&prettyPrint=false",
        "$alt=json;enum-encoding=int&pageSize=0&pageToken=&filter=",
        "%24alt=json%3Benum-encoding%3Dint",
        "page_size=100&quotaUser=x&key=y&fields=",
    ] {
        assert_eq!(fixture.get(&format!("{{c}}/participants?{query}"), 5), plain, "{query}");
    }
    assert!(fixture.reply("{c}", 5).body.contains(&b'\n'));
    assert!(!fixture.reply("{c}?prettyPrint=false", 5).body.contains(&b'\n'));
}

#[test]
fn a_field_mask_removes_the_fields_it_does_not_name() {
    let mut fixture = Fixture::new(4);
    let page = fixture.get("{c}/participants?pageSize=2&fields=participants/name,totalSize", 10);
    assert_eq!(page["totalSize"], 5);
    assert!(page.get("nextPageToken").is_none());
    assert_eq!(page["participants"][0].as_object().unwrap().len(), 1);
    let without = fixture.get("{c}/participants?pageSize=2", 10);
    assert!(without.get("totalSize").is_none() && without.get("nextPageToken").is_some());
    let record = fixture.record.clone();
    let request =
        Request { field_mask: Some("participants.name".into()), ..Request::get(&format!("/v2/{record}/participants")) };
    assert!(fixture.api.answer(&request, at(10)).value()["participants"][0].get("earliestStartTime").is_none());
}

#[test]
fn conferences_are_found_by_every_documented_filter() {
    let mut fixture = Fixture::new(0);
    let other = fixture.api.world.add_space(None).unwrap();
    let ada = fixture.ada;
    fixture.api.world.end(fixture.space, at(100)).unwrap();
    fixture.api.world.join(other, ada, "laptop", at(150)).unwrap();
    fixture.api.world.join(fixture.space, ada, "laptop", at(200)).unwrap();
    let space = fixture.api.world.space(fixture.space).name.to_string();
    let mut found = |filter: &str| {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("filter", filter).finish();
        fixture.pages(&format!("conferenceRecords?pageSize=1&{query}"), "conferenceRecords", 300).concat().len()
    };
    assert_eq!(found(""), 3);
    assert_eq!(found("end_time IS NULL"), 2);
    assert_eq!(found(&format!("space.name = \"{space}\"")), 2);
    assert_eq!(found("space.meeting_code = \"abc-mnop-xyz\" AND endTime IS NULL"), 1);
    assert_eq!(found("space.meeting_code = \"no-such-code\""), 0);
    assert_eq!(found(&format!("end_time >= \"{}\"", at(100))), 1);
    assert_eq!(found(&format!("end_time > \"{}\"", at(100))), 0);
    assert_eq!(found(&format!("start_time >= \"{}\" AND start_time < \"{}\"", at(150), at(200))), 1);
}

#[test]
fn an_ended_conference_expires_after_thirty_days() {
    let mut fixture = Fixture::new(0);
    fixture.api.world.end(fixture.space, at(10)).unwrap();
    let month = 30 * 24 * 3600;
    assert_eq!(fixture.reply("{c}", month + 9).status, 200);
    assert_eq!(fixture.reply("{c}", month + 10).status, 404);
    assert_eq!(fixture.reply("{c}/participants", month + 10).status, 404);
    assert_eq!(fixture.get("conferenceRecords", month + 10), json!({}));
}

#[test]
fn a_user_sees_what_they_organize_or_take_part_in() {
    for (strangers, listed, fetched) in
        [(Strangers::Forbidden, 403, 403), (Strangers::NotFound, 404, 404), (Strangers::Empty, 200, 404)]
    {
        let mut fixture = Fixture::with(0, ApiSettings { strangers, ..ApiSettings::default() });
        let scope = "https://www.googleapis.com/auth/meetings.space.readonly";
        let world = &mut fixture.api.world;
        let [guest, stranger] = ["guest", "stranger"]
            .map(|name| world.add_person(SimPerson::signed_in(name, &format!("{name}@example.com"))));
        world.join(fixture.space, guest, "laptop", at(1)).unwrap();
        let record = fixture.record.clone();
        let mut ask = |caller, target: &str| {
            let token = fixture.api.issue_token(caller, &[scope], at(2));
            fixture.api.answer(&Request::get(&format!("/v2/{target}")).with_token(&token), at(2))
        };
        let list = format!("{record}/participants");
        for (caller, organized) in [(Caller::User(fixture.ada), 1), (Caller::User(guest), 0)] {
            assert_eq!(ask(caller, &list).value()["participants"].as_array().unwrap().len(), 2);
            assert_eq!(ask(caller, &record).status, 200);
            assert!(ask(caller, "spaces/abc-mnop-xyz").value().get("activeConference").is_some());
            let records = ask(caller, "conferenceRecords").value();
            assert_eq!(records["conferenceRecords"].as_array().map_or(0, Vec::len), organized);
        }
        for caller in [Caller::User(stranger), Caller::ServiceAccount] {
            assert_eq!(ask(caller, &list).status, listed);
            assert_eq!(ask(caller, &record).status, fetched);
            assert_eq!(ask(caller, "conferenceRecords").value(), json!({}));
            assert!(ask(caller, "spaces/abc-mnop-xyz").value().get("activeConference").is_none());
        }
    }
}

#[test]
fn with_authentication_only_issued_tokens_are_accepted() {
    let mut fixture = Fixture::with(0, ApiSettings { require_auth: true, ..ApiSettings::default() });
    let record = format!("/v2/{}", fixture.record);
    let scopes = ["https://www.googleapis.com/auth/meetings.space.readonly"];
    let token = fixture.api.issue_token(Caller::User(fixture.ada), &scopes, at(0));
    let people_only = fixture.api.issue_token(
        Caller::User(fixture.ada),
        &["https://www.googleapis.com/auth/directory.readonly"],
        at(0),
    );
    let get = Request::get(&record);
    assert_eq!(fixture.api.answer(&get, at(1)).status, 401);
    let refused = fixture.api.answer(&get.clone().with_token("ya29.made-up"), at(1));
    assert_eq!((refused.status, &refused.value()["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    assert!(refused.header("www-authenticate").is_some());
    let insufficient = fixture.api.answer(&get.clone().with_token(&people_only), at(1));
    assert_eq!(insufficient.status, 403);
    assert_eq!(insufficient.value()["error"]["details"][0]["reason"], "ACCESS_TOKEN_SCOPE_INSUFFICIENT");
    assert_eq!(fixture.api.answer(&get.clone().with_token(&token), at(1)).status, 200);
    assert_eq!(fixture.api.answer(&get.clone().with_token(&token), at(3599)).status, 401, "tokens expire");
    fixture.api.revoke_tokens();
    assert_eq!(fixture.api.answer(&get.with_token(&token), at(1)).status, 401);
}

#[test]
fn the_quota_is_kept_per_user() {
    let quota = SimQuota { per_project: 100, per_user: 2, people_per_user: 100, hint: Hint::None };
    let mut fixture = Fixture::with(0, ApiSettings { quota: Some(quota), ..ApiSettings::default() });
    let statuses: Vec<u16> = [0, 1, 2, 60].into_iter().map(|second| fixture.reply("{c}", second).status).collect();
    assert_eq!(statuses, [200, 200, 429, 200]);
    assert_eq!(fixture.api.count(GoogleMethod::GetConference), 4);
    assert_eq!(fixture.api.tally()[&(GoogleMethod::GetConference, 429)], 1);
}

#[test]
fn people_are_found_only_in_the_requested_sources() {
    let mut fixture = Fixture::new(0);
    let world = &mut fixture.api.world;
    let contact = SimPerson { account: "777".into(), ..SimPerson::signed_in("Max Muster", "max@partner.example") };
    world.add_person(contact.known_from(KnownFrom::OtherContact));
    let mut ask = |target: &str| fixture.api.answer(&Request::get(target), at(1));
    let fields = "personFields=names,emailAddresses";
    let ada = ask(&format!("/v1/people/12345?{fields}")).value();
    assert_eq!(
        (&ada["names"][0]["displayName"], &ada["emailAddresses"][0]["value"]),
        (&json!("Ada"), &json!("ada@example.com"))
    );
    let others = "sources=READ_SOURCE_TYPE_PROFILE&sources=READ_SOURCE_TYPE_OTHER_CONTACT";
    assert!(ask(&format!("/v1/people/777?{fields}")).value().get("names").is_none());
    let max = ask(&format!("/v1/people/777?{fields}&{others}")).value();
    assert_eq!(max["emailAddresses"][0]["value"], "max@partner.example");
    assert_eq!(ask("/v1/people/12345").status, 400, "personFields is required");
    assert_eq!(ask("/v1/people/12345?personFields=shoeSize").status, 400);
    assert_eq!(ask(&format!("/v1/people/999?{fields}")).status, 404);
    let batch =
        ask(&format!("/v1/people:batchGet?{fields}&resourceNames=people/12345&resourceNames=people/999")).value();
    assert_eq!(batch["responses"][0]["person"]["resourceName"], "people/12345");
    assert_eq!((&batch["responses"][1]["status"]["code"], batch["responses"][1].get("person")), (&json!(5), None));
    let many = "&resourceNames=people/1".repeat(201);
    assert_eq!(ask(&format!("/v1/people:batchGet?{fields}{many}")).status, 400);
}
