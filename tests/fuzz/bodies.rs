//! The fuzz targets: parsers of what others send or of what is on a disk. Each function takes any bytes, panics only if a
//! promise is broken, and returns whether it accepted them.

mod rows;

use std::fmt::Debug;
use std::path::Path;

use meetwatch::config::{self, Environment, Origin};
use meetwatch::meet::request::GoogleApi;
use meetwatch::meet::response_body::{ParsedBody, ResponseBody};
use meetwatch::meet::{Page, Reason, failure, response_hints, wire};
use meetwatch::model::{
    Conference, ConferenceName, Event, EventId, MeetingCode, Participant, ParticipantName, Session, SessionName, Space,
    SpaceName, UserName,
};
use meetwatch::retry_after;
use meetwatch::sim::filter;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

pub use rows::{idle_lines, rows};

/// One fuzz target.
pub type Fuzzed = fn(&[u8]) -> bool;

/// Every fuzz target, by the name of its corpus.
pub const ALL: [(&str, Fuzzed); 7] = [
    ("google", google),
    ("error", error),
    ("hints", hints),
    ("filter", filter),
    ("config", config),
    ("stored", stored),
    ("rows", rows),
];

/// Google's lists and resources.
pub fn google(bytes: &[u8]) -> bool {
    let participants = Page::<Participant>::parse(bytes);
    if let Ok(ParsedBody { value: page, .. }) = &participants {
        for participant in &page.items {
            assert_eq!(ParticipantName::parse(participant.name.as_str()).as_ref(), Ok(&participant.name));
            assert!(
                participant.display_name.as_ref().is_none_or(|name| name.chars().count() <= 256 && !name.is_empty())
            );
        }
        assert!(page.next_page_token.as_ref().is_none_or(|token| !token.is_empty()));
    }
    let understood = [
        participants.is_ok_and(|page| !page.value.items.is_empty()),
        Page::<Conference>::parse(bytes).is_ok_and(|page| !page.value.items.is_empty()),
        Page::<Session>::parse(bytes).is_ok_and(|page| !page.value.items.is_empty()),
        Conference::parse(bytes).is_ok(),
        Participant::parse(bytes).is_ok(),
        Session::parse(bytes).is_ok(),
        Space::parse(bytes).is_ok(),
        wire::Person::parse(bytes).is_ok(),
        wire::GetPeopleResponse::parse(bytes).is_ok(),
    ];
    others_stay_when_one_is_spoiled::<Participant>(bytes, "participants");
    others_stay_when_one_is_spoiled::<Conference>(bytes, "conferenceRecords");
    others_stay_when_one_is_spoiled::<Session>(bytes, "participantSessions");
    understood.contains(&true)
}

/// Spoils one item of a page in several ways. The others have to be read as before, and nothing may follow from the page.
fn others_stay_when_one_is_spoiled<T: PartialEq + Debug>(bytes: &[u8], list: &str)
where
    Page<T>: ResponseBody,
{
    let Ok(Value::Object(mut page)) = serde_json::from_slice(bytes) else { return };
    if Page::<T>::parse(bytes).is_err() {
        return;
    }
    let Some(items) = page.get(list).and_then(Value::as_array).filter(|items| !items.is_empty()).cloned() else {
        return;
    };
    let at = bytes.len() % items.len();
    let mut read = |items: &[Value]| {
        page.insert(list.to_owned(), Value::Array(items.to_vec()));
        let body = serde_json::to_vec(&page).expect("a value can be written");
        Page::<T>::parse(&body).expect("a page stays a page")
    };
    let mut others = read(&items[..at]).value.items;
    others.extend(read(&items[at + 1..]).value.items);
    let nameless = items[at].as_object().map(|item| {
        let mut item = item.clone();
        item.remove("name");
        Value::Object(item)
    });
    for wrong in [Value::Null, Value::from(5), json!({"name": ["x"]}), json!([])].into_iter().chain(nameless) {
        let mut spoiled = items.clone();
        spoiled[at] = wrong;
        let spoiled = read(&spoiled);
        assert_eq!(spoiled.value.items, others);
        assert!(spoiled.unreadable.is_incomplete());
    }
}

/// Google's error body, with every status that has a meaning. Only words of fixed vocabularies may come through.
pub fn error(bytes: &[u8]) -> bool {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let mut understood = false;
    for status in [400, 401, 403, 404, 409, 429, 500, 503] {
        let Ok(status) = StatusCode::from_u16(status) else { continue };
        let failure = failure::classify(GoogleApi::Meet, status, &HeaderMap::new(), bytes, now);
        assert!(failure.retry_after.is_none_or(|wait| wait <= response_hints::LONGEST_PAUSE));
        assert!(failure.detail.len() < 300 && failure.detail.is_ascii(), "{}", failure.detail);
        // Only a body in Google's error format may mean that a resource does not exist.
        understood |= failure.reason == Reason::NotFound;
    }
    understood
}

/// `Retry-After`, from Google and from webhook receivers, and `RetryInfo`.
pub fn hints(bytes: &[u8]) -> bool {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let text = String::from_utf8_lossy(bytes);
    let all = [response_hints::retry_after(&text, now), response_hints::retry_delay(&text)];
    assert!(all.iter().flatten().all(|wait| *wait <= response_hints::LONGEST_PAUSE));
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value)]);
        let failure = failure::classify(GoogleApi::Meet, StatusCode::TOO_MANY_REQUESTS, &headers, b"", now);
        assert!(failure.retry_after.is_none_or(|wait| wait <= response_hints::LONGEST_PAUSE));
    }
    all.iter().any(Option::is_some) || retry_after::parse(&text, now).is_some()
}

/// The simulator's filters.
pub fn filter(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(filter) = filter::parse(text) else { return false };
    let _ = filter.holds(|_| Some(jiff::Timestamp::UNIX_EPOCH), |_| Some("abc-mnop-xyz"));
    let _ = filter.holds(|_| None, |_| None);
    true
}

/// The configuration. Texts that name system files are skipped.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if ["/dev", "/proc", "/sys", "\\"].iter().any(|outside| text.contains(outside)) {
        return false;
    }
    let environment = Environment { no_colour: true, ..Environment::default() };
    let folder = Path::new("/nonexistent");
    let origin = Origin { file: "meetwatch.toml", folder, environment: &environment, world_readable: false };
    match config::parse(text, &origin) {
        Ok(_) => true,
        Err(problems) => {
            let lines = text.lines().count().max(1);
            let problems = problems.as_slice();
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| problem.line.is_none_or(|line| (1..=lines + 1).contains(&line))));
            false
        }
    }
}

/// The contents of a row of the store: an event's body, or a name.
pub fn stored(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if let Ok(event) = serde_json::from_str::<Event>(text) {
        let again = serde_json::to_string(&event).expect("an event can be written");
        assert_eq!(serde_json::from_str::<Event>(&again).expect("and read again"), event);
        return true;
    }
    let session = SessionName::parse(text);
    if let Ok(session) = &session {
        assert!(text.starts_with(session.participant().as_str()));
    }
    let names = [
        ConferenceName::parse(text).is_ok(),
        ParticipantName::parse(text).is_ok(),
        session.is_ok(),
        SpaceName::parse(text).is_ok(),
        UserName::parse(text).is_ok(),
        MeetingCode::parse(text).is_ok(),
        EventId::parse(text).is_some(),
    ];
    names.contains(&true)
}
