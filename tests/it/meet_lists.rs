//! Lists are read to their end, each resource once, completely or not at all.

use meetwatch::meet::{Answer, ParticipantFilter, Read, Reason, SessionFilter};
use meetwatch::model::{MeetingCode, ParticipantName};

use crate::meet_fake::{Bench, Reply, answer, conference, error, json};

fn page(people: impl IntoIterator<Item = u32>, next: &str) -> Reply {
    let people: Vec<String> = people
        .into_iter()
        .map(|n| {
            format!(
                r#"{{"name":"conferenceRecords/c/participants/{n}","earliestStartTime":"2026-01-05T10:00:00.{n:09}Z",
                    "anonymousUser":{{"displayName":"Guest {n}"}},"somethingNew":{{"a":[1]}}}}"#
            )
        })
        .collect();
    let next = if next.is_empty() { String::new() } else { format!(r#","nextPageToken":"{next}""#) };
    json(200, &format!(r#"{{"participants":[{}]{next}}}"#, people.join(",")))
}

fn active() -> Read {
    Read::Participants(conference(), ParticipantFilter::Active)
}

#[tokio::test]
async fn a_list_is_read_to_its_end_and_a_participant_on_two_pages_is_one() {
    let bench = Bench::new().await;
    bench.fake.will([page(0..250, "a/b"), page(249..400, "c"), page([], "d"), page(400..600, "")]);
    let reading = bench.read(active()).await.unwrap();
    let Answer::Participants(people) = reading.answer else { panic!("another answer") };
    assert_eq!((people.len(), reading.requests), (600, 4));
    assert_eq!(people[599].earliest_start.unwrap().to_string(), "2026-01-05T10:00:00.000000599Z");
    let asked = bench.fake.asked();
    let base = "/v2/conferenceRecords/c/participants?pageSize=250&filter=latest_end_time+IS+NULL";
    assert_eq!(asked[0].path, base);
    assert_eq!(asked[1].path, format!("{base}&pageToken=a%2Fb"));
    assert_eq!(asked[0].authorization.as_deref(), Some("Bearer T-0"));
}

#[tokio::test]
async fn an_empty_object_is_an_empty_list() {
    let bench = Bench::new().await;
    bench.fake.will([json(200, "{}")]);
    assert_eq!(bench.read(active()).await.unwrap().answer, Answer::Participants(vec![]));
}

#[tokio::test]
async fn a_failed_page_fails_the_list_and_a_retried_page_does_not_restart_it() {
    let bench = Bench::new().await;
    bench.fake.will([page(0..2, "a"), error(503, "UNAVAILABLE", ""), page(2..4, "b"), error(404, "NOT_FOUND", "")]);
    assert_eq!(bench.read(active()).await.unwrap_err().reason, Reason::NotFound);
    let tokens: Vec<bool> = bench.fake.asked().iter().map(|asked| asked.path.ends_with("pageToken=a")).collect();
    assert_eq!(tokens, vec![false, true, true, false]);
}

#[tokio::test]
async fn a_repeated_page_token_fails_the_list() {
    let bench = Bench::new().await;
    bench.fake.will([page(0..1, "a"), page(1..2, "b"), page(2..3, "a"), page(3..4, "")]);
    let error = bench.read(active()).await.unwrap_err();
    assert_eq!(
        (error.reason, error.detail.as_str()),
        (Reason::Malformed, "the list repeats a page token, so it would never end")
    );
    assert_eq!(bench.fake.asked().len(), 3);
}

#[tokio::test]
async fn an_endless_list_fails_at_the_cap() {
    let bench = Bench::set(|google| google.max_pages = 3).await;
    bench.fake.will((0..10).map(|n| page(n..=n, &format!("t{n}"))));
    let error = bench.read(active()).await.unwrap_err();
    assert_eq!((error.reason, error.detail.as_str()), (Reason::Malformed, "the list has more pages than the limit"));
    assert_eq!(bench.fake.asked().len(), 3);
    assert_eq!(bench.metric("meetwatch_limit_reached_total", &["google_pages"]), Some(1.0));
}

#[tokio::test]
async fn a_reading_contains_googles_clock() {
    let bench = Bench::new().await;
    bench
        .fake
        .will([answer(200, "application/json", "date: Mon, 05 Jan 2026 10:00:09 GMT\r\n", "{}"), json(200, "{}")]);
    let time = bench.read(active()).await.unwrap().google_time;
    assert_eq!(time.unwrap().to_string(), "2026-01-05T10:00:09Z");
    assert_eq!(bench.read(active()).await.unwrap().google_time, None);
}

#[tokio::test]
async fn every_read_sends_the_documented_request() {
    let participant = ParticipantName::parse("conferenceRecords/c/participants/p").unwrap();
    let since = "2026-01-05T10:00:00.5Z".parse().unwrap();
    let code = MeetingCode::parse("abc-mnop-xyz").unwrap();
    for (read, path) in [
        (
            Read::Conferences(meetwatch::meet::ConferenceFilter { live: true, ..Default::default() }),
            "/v2/conferenceRecords?pageSize=100&filter=end_time+IS+NULL",
        ),
        (Read::Participants(conference(), ParticipantFilter::All), "/v2/conferenceRecords/c/participants?pageSize=250"),
        (
            Read::Participants(conference(), ParticipantFilter::LeftSince(since)),
            "/v2/conferenceRecords/c/participants?pageSize=250&filter=latest_end_time+%3E%3D+%222026-01-05T10%3A00%3A00.5Z%22",
        ),
        (
            Read::Sessions(participant.clone(), SessionFilter::Open),
            "/v2/conferenceRecords/c/participants/p/participantSessions?pageSize=250&filter=end_time+IS+NULL",
        ),
        (Read::Participant(participant), "/v2/conferenceRecords/c/participants/p"),
        (Read::SpaceByCode(code), "/v2/spaces/abc-mnop-xyz"),
    ] {
        let bench = Bench::new().await;
        let space = r#"{"name":"spaces/s","meetingCode":"abc-mnop-xyz","activeConference":{"conferenceRecord":"conferenceRecords/c"}}"#;
        let reply = match read {
            Read::SpaceByCode(_) => space,
            Read::Participant(_) => r#"{"name":"conferenceRecords/c/participants/p"}"#,
            _ => "{}",
        };
        bench.fake.will([json(200, reply)]);
        let reading = bench.read(read).await.unwrap();
        assert_eq!(bench.fake.asked()[0].path, path);
        if let Answer::Space(space) = reading.answer {
            assert_eq!(space.active_conference, Some(conference()));
        }
    }
}
