//! One page of a list: its items parsed into the model, and the token of the next page.

use super::parse::Unreadable;
use super::response_body::{ResponseBody, UnreadableBody};
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

impl<T> Page<T> {
    fn parse<W>(items: Vec<W>, next: String, total_size: Option<i32>) -> Result<Self, UnreadableBody>
    where
        T: TryFrom<W, Error = Unreadable>,
    {
        let items = items.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Self { items, next_page_token: Some(next).filter(|next| !next.is_empty()), total_size })
    }
}

impl ResponseBody for Page<Conference> {
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody> {
        let page: wire::ConferenceRecords = serde_json::from_slice(bytes)?;
        Self::parse(page.conference_records, page.next_page_token, None)
    }
}

impl ResponseBody for Page<Participant> {
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody> {
        let page: borrowed_wire::Participants<'_> = serde_json::from_slice(bytes)?;
        Self::parse(page.participants, page.next_page_token.into_owned(), page.total_size)
    }
}

impl ResponseBody for Page<Session> {
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody> {
        let page: wire::ParticipantSessions = serde_json::from_slice(bytes)?;
        Self::parse(page.participant_sessions, page.next_page_token, None)
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
        fn the_borrowing_page_means_the_same_as_the_owned_one(people in prop::collection::vec(participant(), 0..3)) {
            let page = wire::Participants { participants: people, next_page_token: "a\"b".to_owned(), total_size: Some(3) };
            let json = serde_json::to_vec(&page).unwrap();
            let parse_as = Page::<Participant>::parse(page.participants, page.next_page_token, page.total_size);
            prop_assert_eq!(<Page<Participant> as ResponseBody>::parse(&json).ok(), parse_as.ok());
        }
    }
}
