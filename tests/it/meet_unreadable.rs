//! Google's odd answers: what can be read is used, what cannot is counted, and nothing is inferred from what is missing.

use meetwatch::meet::{
    Answer, ConferenceFilter, ParticipantFilter, Read, Reading, Reason, SessionFilter, UnreadableField,
};
use meetwatch::model::{MeetingCode, ParticipantName};

use crate::meet_fake::{Bench, Reply, answer, conference, error, json};

fn active() -> Read {
    Read::Participants(conference(), ParticipantFilter::Active)
}

fn sessions() -> Read {
    Read::Sessions(ParticipantName::parse("conferenceRecords/c/participants/p").unwrap(), SessionFilter::All)
}

fn live() -> Read {
    Read::Conferences(ConferenceFilter { live: true, ..Default::default() })
}

fn space() -> Read {
    Read::SpaceByCode(MeetingCode::parse("abc-mnop-xyz").unwrap())
}

fn guest(id: &str) -> String {
    format!(
        r#"{{"name":"conferenceRecords/c/participants/{id}","earliestStartTime":"2026-01-05T10:00:00Z",
            "anonymousUser":{{"displayName":"Guest {id}"}}}}"#
    )
}

async fn read(read: Read, body: &str) -> (Reading, Bench) {
    let bench = Bench::new().await;
    bench.fake.will([json(200, body)]);
    (bench.read(read).await.unwrap(), bench)
}

/// The ids of the items, the fields that were unreadable, and whether something may be hidden.
fn shown(reading: &Reading) -> (Vec<String>, Vec<(UnreadableField, u32)>, bool) {
    let names: Vec<&str> = match &reading.answer {
        Answer::Participants(all) => all.iter().map(|item| item.name.as_str()).collect(),
        Answer::Sessions(all) => all.iter().map(|item| item.name.as_str()).collect(),
        Answer::Conferences(all) => all.iter().map(|item| item.name.as_str()).collect(),
        other => panic!("no list: {other:?}"),
    };
    let ids = names.iter().map(|name| name.rsplit('/').next().unwrap().to_owned()).collect();
    (ids, reading.unreadable.iter().collect(), reading.unreadable.is_incomplete())
}

fn unreadable(bench: &Bench, method: &str, field: &str) -> Option<f64> {
    bench.metric("meetwatch_api_items_unreadable_total", &[method, field])
}

#[tokio::test]
async fn one_session_without_a_start_does_not_hide_the_others() {
    let name = "conferenceRecords/c/participants/p/participantSessions";
    let good = |id: &str| format!(r#"{{"name":"{name}/{id}","startTime":"2026-01-05T10:00:00Z","endTime":null}}"#);
    for (wrong, field) in [
        (format!(r#"{{"name":"{name}/2"}}"#), UnreadableField::StartTime),
        (format!(r#"{{"name":"{name}/2","startTime":null}}"#), UnreadableField::StartTime),
        (format!(r#"{{"name":"{name}/2","startTime":17}}"#), UnreadableField::StartTime),
        (format!(r#"{{"name":"{name}/2","startTime":"2026-01-05T10:00:00Z","endTime":[]}}"#), UnreadableField::EndTime),
        (r#"{"startTime":"2026-01-05T10:00:00Z"}"#.to_owned(), UnreadableField::Name),
        (r#"{"name":"conferenceRecords/c/participants/other/participantSessions/2","startTime":"2026-01-05T10:00:00Z"}"#.to_owned(), UnreadableField::Name),
        ("null".to_owned(), UnreadableField::Item),
        ("\"s\"".to_owned(), UnreadableField::Item),
    ] {
        let body = format!(r#"{{"participantSessions":[{},{wrong},{}],"nextPageToken":null}}"#, good("1"), good("3"));
        let (reading, bench) = read(sessions(), &body).await;
        let ids = vec!["1".to_owned(), "3".to_owned()];
        assert_eq!(shown(&reading), (ids, vec![(field, 1)], true), "{wrong}");
        let method = "participantSessions.list";
        let counted: Vec<_> = ["start_time", "end_time", "name", "item"]
            .into_iter()
            .filter(|label| unreadable(&bench, method, label) == Some(1.0))
            .collect();
        assert_eq!(counted, [field.as_str()], "{wrong}");
    }
}

#[tokio::test]
async fn null_is_absent_everywhere() {
    let body = r#"{"participants":[{"name":"conferenceRecords/c/participants/p","earliestStartTime":"2026-01-05T10:00:00Z",
        "latestEndTime":null,"signedinUser":{"user":null,"displayName":null},"anonymousUser":null,"phoneUser":null,"x":null}],
        "nextPageToken":null,"totalSize":null,"error":null}"#;
    let (reading, _) = read(active(), body).await;
    assert_eq!(shown(&reading), (vec!["p".to_owned()], vec![], false));
    for (list, key) in [(active(), "participants"), (sessions(), "participantSessions"), (live(), "conferenceRecords")]
    {
        let (reading, _) = read(list, &format!(r#"{{"{key}":null,"nextPageToken":null}}"#)).await;
        assert_eq!(shown(&reading), (vec![], vec![], false));
    }
    for body in [
        r#"{"name":"spaces/s","meetingCode":null,"activeConference":null}"#,
        r#"{"name":"spaces/s","meetingUri":null,"activeConference":{"conferenceRecord":null}}"#,
    ] {
        let (reading, _) = read(space(), body).await;
        let Answer::Space(found) = &reading.answer else { panic!("no space") };
        assert_eq!((&found.active_conference, reading.unreadable.is_incomplete()), (&None, false), "{body}");
    }
    let record = r#"{"name":"conferenceRecords/c","startTime":"2026-01-05T10:00:00Z","endTime":null,"space":null,"expireTime":null}"#;
    let (reading, _) = read(Read::Conference(conference()), record).await;
    assert!(matches!(reading.answer, Answer::Conference(record) if record.end.is_none()));
}

#[tokio::test]
async fn one_unreadable_record_or_an_unused_field_does_not_hide_an_organizers_conferences() {
    let body = r#"{"conferenceRecords":[
        {"name":"conferenceRecords/a","startTime":"2026-01-05T10:00:00Z","expireTime":"9999-12-31T23:59:59.999999999Z"},
        {"name":"conferenceRecords/b","startTime":"soon"},
        {"name":"conferenceRecords/c","startTime":"2026-01-05T10:00:00Z","expireTime":{"seconds":1},"space":"spaces/?"},
        7]}"#;
    let (reading, bench) = read(live(), body).await;
    let fields = vec![(UnreadableField::Item, 1), (UnreadableField::StartTime, 1), (UnreadableField::Space, 1)];
    assert_eq!(shown(&reading), (vec!["a".to_owned(), "c".to_owned()], fields, true));
    assert_eq!(unreadable(&bench, "conferenceRecords.list", "start_time"), Some(1.0));
}

#[tokio::test]
async fn another_object_than_the_list_that_was_asked_for_is_malformed() {
    for body in [
        r#"{"error":{"code":503,"message":"ada@example.com","status":"UNAVAILABLE"}}"#,
        r#"{"error":"internal","participants":[]}"#,
        r#"{"conferenceRecords":[]}"#,
        r#"{"name":"conferenceRecords/c/participants/p"}"#,
        r#"{"status":"ok"}"#,
        r#"{"participants":{}}"#,
        r#"{"participants":"none"}"#,
        r#"{"participants":[],"nextPageToken":5}"#,
        "[]",
        "[[]]",
        "null",
        "0",
    ] {
        let bench = Bench::new().await;
        bench.fake.will([json(200, body)]);
        let error = bench.read(active()).await.unwrap_err();
        assert_eq!(error.reason, Reason::Malformed, "{body}");
        assert!(!error.detail.contains("ada"), "{error}");
    }
    for body in ["{}", " {} \n", r#"{"totalSize":0}"#, r#"{"participants":[],"kind":"new"}"#] {
        let (reading, _) = read(active(), body).await;
        assert_eq!(shown(&reading), (vec![], vec![], false), "{body}");
    }
}

#[tokio::test]
async fn text_that_is_no_text_is_repaired() {
    for (name, repaired) in [
        (&br"Zo\ud83d"[..], "Zo\u{fffd}"),
        (&br"\ude00Zo"[..], "\u{fffd}Zo"),
        (&b"Zo\xeb"[..], "Zo\u{fffd}"),
        (&b"Zo\x01"[..], "Zo\u{fffd}"),
    ] {
        let mut body = format!(r#"{{"participants":[{},{{"name":"conferenceRecords/c/participants/z","earliestStartTime":"2026-01-05T10:00:00Z","anonymousUser":{{"displayName":""#, guest("a")).into_bytes();
        body.extend(name);
        body.extend(br#""}}]}"#);
        let mut reply = format!(
            "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        )
        .into_bytes();
        reply.extend(body);
        let bench = Bench::new().await;
        bench.fake.will([Reply::Bytes(reply)]);
        let reading = bench.read(active()).await.unwrap();
        assert_eq!(shown(&reading), (vec!["a".to_owned(), "z".to_owned()], vec![], false));
        let Answer::Participants(people) = reading.answer else { panic!("no list") };
        assert_eq!(people[1].display_name.as_deref(), Some(repaired));
    }
}

#[tokio::test]
async fn a_participant_stays_whatever_else_of_it_cannot_be_read() {
    let body = format!(
        r#"{{"participants":[{},{{"name":"conferenceRecords/c/participants/z","earliestStartTime":7,"latestEndTime":"x",
            "signedinUser":{{"user":"?","displayName":9}}}},{{"name":"conferenceRecords/c/participants/y","phoneUser":"+41"}}]}}"#,
        guest("a")
    );
    let (reading, bench) = read(active(), &body).await;
    let fields = vec![
        (UnreadableField::DisplayName, 1),
        (UnreadableField::User, 2),
        (UnreadableField::StartTime, 2),
        (UnreadableField::EndTime, 1),
    ];
    assert_eq!(shown(&reading), (vec!["a".to_owned(), "z".to_owned(), "y".to_owned()], fields, false));
    assert_eq!(unreadable(&bench, "participants.list", "start_time"), Some(2.0));
}

#[tokio::test]
async fn an_empty_body_is_marked_and_none_on_a_later_page() {
    let (reading, _) = read(active(), "").await;
    assert!(reading.blank && reading.answer == Answer::Participants(vec![]));
    let bench = Bench::new().await;
    let first = format!(r#"{{"participants":[{}],"nextPageToken":"a"}}"#, guest("a"));
    bench.fake.will([json(200, &first), json(200, "")]);
    assert_eq!(bench.read(active()).await.unwrap_err().reason, Reason::Malformed);
    bench.fake.will([answer(200, "text/html", "", "")]);
    assert_eq!(bench.read(active()).await.unwrap_err().reason, Reason::Malformed);
    bench.fake.will([json(200, "")]);
    assert_eq!(bench.get().await.unwrap_err().reason, Reason::Malformed);
}

#[tokio::test]
async fn a_space_whose_conference_cannot_be_read_does_not_say_that_there_is_none() {
    for active in [r#""conferenceRecords/c""#, r#"{"conferenceRecord":5}"#, r#"{"conferenceRecord":"c"}"#, "[]"] {
        let (reading, bench) = read(
            space(),
            &format!(r#"{{"name":"spaces/s","meetingCode":"abc-mnop-xyz","activeConference":{active}}}"#),
        )
        .await;
        assert!(reading.unreadable.is_incomplete(), "{active}");
        assert_eq!(unreadable(&bench, "spaces.get", "active_conference"), Some(1.0), "{active}");
    }
}

#[tokio::test]
async fn an_error_keeps_its_meaning_when_a_detail_or_the_message_cannot_be_read() {
    let details = r#"[null,7,{"x":1},{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED","metadata":null}]"#;
    for (body, reason) in [
        (
            format!(r#"{{"error":{{"code":403,"message":null,"status":"PERMISSION_DENIED","details":{details}}}}}"#),
            Reason::ApiDisabled,
        ),
        (
            r#"{"error":{"code":403,"message":"\ud83d","status":"PERMISSION_DENIED","details":null}}"#.to_owned(),
            Reason::NoAccess,
        ),
    ] {
        let bench = Bench::new().await;
        bench.fake.will([json(403, &body), error(404, "NOT_FOUND", "")]);
        assert_eq!(bench.get().await.unwrap_err().reason, reason, "{body}");
    }
}

#[tokio::test]
async fn one_person_who_cannot_be_read_does_not_hide_the_others() {
    let user = |id: &str| meetwatch::model::UserName::parse(&format!("users/{id}")).unwrap();
    let body = r#"{"responses":[7,{"requestedResourceName":"people/1","person":"Ada"},
        {"requestedResourceName":"people/2","status":null,"person":{"names":null,"emailAddresses":[{"value":"bo@example.com","metadata":null}]}}]}"#;
    let (reading, bench) = read(Read::People(vec![user("1"), user("2")]), body).await;
    let Answer::People(people) = reading.answer else { panic!("no people") };
    assert_eq!(people.iter().map(|one| one.email.as_deref()).collect::<Vec<_>>(), [Some("bo@example.com")]);
    assert_eq!(unreadable(&bench, "people.getBatchGet", "item"), Some(2.0));
}
