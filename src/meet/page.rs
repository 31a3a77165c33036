//! One page of a list: its items parsed into the model, and the token of the next page.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::parse::{self, FromWire};
use super::response_body::{ParsedBody, ResponseBody, UnreadableBody};
use super::tolerant::{self, Shape, TolerantPage};
use super::unreadable::UnreadableFields;
use super::{borrowed_wire, wire};
use crate::model::{Conference, Participant, Session};

/// One page, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The token of the next page. `None` on the last page.
    pub next_page_token: Option<String>,
    /// The number of items in the whole list, if Google says so.
    pub total_size: Option<i32>,
}

/// Where the items of these pages are.
const CONFERENCES: &str = "conferenceRecords";
const PARTICIPANTS: &str = "participants";
const SESSIONS: &str = "participantSessions";

/// `ListConferenceRecordsResponse`, as it is parsed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonConferences {
    conference_records: Option<Vec<wire::ConferenceRecord>>,
    next_page_token: Option<String>,
    error: Option<IgnoredAny>,
}

/// `ListParticipantSessionsResponse`, as it is parsed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonSessions {
    participant_sessions: Option<Vec<wire::ParticipantSession>>,
    next_page_token: Option<String>,
    error: Option<IgnoredAny>,
}

/// A page as it was parsed from JSON.
struct JsonPage<W> {
    items: Option<Vec<W>>,
    next: Option<String>,
    total_size: Option<i32>,
    error: Option<IgnoredAny>,
}

impl<T> Page<T> {
    fn new<W>(
        items: Vec<W>,
        next: Option<String>,
        total_size: Option<i32>,
        mut fields: UnreadableFields,
    ) -> ParsedBody<Self>
    where
        T: FromWire<W>,
    {
        let items = parse::items(items, &mut fields);
        let page = Self { items, next_page_token: next.filter(|next| !next.is_empty()), total_size };
        ParsedBody::new(page, fields)
    }

    /// Returns the page that a body is. Without a list it is an empty page only if it is nothing else.
    fn of_json<W>(page: JsonPage<W>, bytes: &[u8], list: &str) -> Result<ParsedBody<Self>, UnreadableBody>
    where
        T: FromWire<W>,
    {
        if page.error.is_some() || (page.items.is_none() && !is_empty_page(bytes, list)) {
            return Err(UnreadableBody::OtherObject);
        }
        Ok(Self::new(page.items.unwrap_or_default(), page.next, page.total_size, UnreadableFields::default()))
    }

    fn of_tolerant<W: Shape>(bytes: &[u8], list: &str) -> Option<ParsedBody<Self>>
    where
        T: FromWire<W>,
    {
        let mut fields = UnreadableFields::default();
        let TolerantPage { items, next_page_token, total_size } = tolerant::page::<W>(bytes, list, &mut fields)?;
        Some(Self::new(items, next_page_token, total_size, fields))
    }

    const fn empty() -> Self {
        Self { items: Vec::new(), next_page_token: None, total_size: None }
    }
}

fn is_empty_page(bytes: &[u8], list: &str) -> bool {
    let fields = serde_json::from_slice::<BTreeMap<Cow<'_, str>, IgnoredAny>>(bytes);
    fields.is_ok_and(|fields| fields.keys().all(|key| tolerant::belongs_to_page(key, list)))
}

impl ResponseBody for Page<Conference> {
    fn strict(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody> {
        let JsonConferences { conference_records: items, next_page_token: next, error } =
            serde_json::from_slice(bytes)?;
        Self::of_json(JsonPage { items, next, total_size: None, error }, bytes, CONFERENCES)
    }

    fn tolerant(bytes: &[u8]) -> Option<ParsedBody<Self>> {
        Self::of_tolerant::<wire::ConferenceRecord>(bytes, CONFERENCES)
    }

    fn blank() -> Option<Self> {
        Some(Self::empty())
    }
}

impl ResponseBody for Page<Participant> {
    fn strict(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody> {
        let borrowed_wire::Participants { participants: items, next_page_token, total_size, error } =
            serde_json::from_slice(bytes)?;
        let next = next_page_token.map(|token| token.0.into_owned());
        Self::of_json(JsonPage { items, next, total_size, error }, bytes, PARTICIPANTS)
    }

    fn tolerant(bytes: &[u8]) -> Option<ParsedBody<Self>> {
        Self::of_tolerant::<wire::Participant>(bytes, PARTICIPANTS)
    }

    fn blank() -> Option<Self> {
        Some(Self::empty())
    }
}

impl ResponseBody for Page<Session> {
    fn strict(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody> {
        let JsonSessions { participant_sessions: items, next_page_token: next, error } = serde_json::from_slice(bytes)?;
        Self::of_json(JsonPage { items, next, total_size: None, error }, bytes, SESSIONS)
    }

    fn tolerant(bytes: &[u8]) -> Option<ParsedBody<Self>> {
        Self::of_tolerant::<wire::ParticipantSession>(bytes, SESSIONS)
    }

    fn blank() -> Option<Self> {
        Some(Self::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Text with characters that JSON has to escape.
    fn text() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "",
            "Ada",
            "\"\\\n\u{1b}é日\u{1f600}",
            "users/1",
            "2026-01-05T10:00:00.123456789Z",
            "x",
        ])
        .prop_map(str::to_owned)
    }

    fn participant() -> impl Strategy<Value = wire::Participant> {
        let user = (text(), text()).prop_map(|(user, display_name)| wire::SignedinUser { user, display_name });
        let named = || text().prop_map(|display_name| wire::NamedUser { display_name });
        use prop::option::of as option;
        let name = prop::sample::select(vec!["conferenceRecords/c/participants/p", "nonsense"]).prop_map(str::to_owned);
        (name, option(user), option(named()), option(named()), option(text()), option(text())).prop_map(
            |(name, signedin_user, anonymous_user, phone_user, earliest_start_time, latest_end_time)| {
                wire::Participant {
                    name,
                    signedin_user,
                    anonymous_user,
                    phone_user,
                    earliest_start_time,
                    latest_end_time,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn the_three_ways_to_parse_a_page_mean_the_same(people in prop::collection::vec(participant(), 0..3)) {
            let page = wire::Participants { participants: people, next_page_token: "a\"b".to_owned(), total_size: Some(3) };
            let json = serde_json::to_vec(&page).unwrap();
            let strict = Page::<Participant>::strict(&json).unwrap();
            let owned = Page::<Participant>::new(page.participants, Some(page.next_page_token), page.total_size, UnreadableFields::default());
            prop_assert_eq!(&strict, &owned);
            prop_assert_eq!(Some(strict), Page::<Participant>::tolerant(&json));
        }
    }
}
