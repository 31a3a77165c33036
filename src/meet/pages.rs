//! A list, page after page to its end, as one. A page that fails fails the list; a token that comes twice would go round
//! for ever, and is found out at once; and there is a cap.

use super::answer::{Body, NotUnderstood};
use super::error::Reason;
use super::failure::Failure;
use super::parse::Unreadable;
use super::{borrowed, remedy, wire};
use crate::model::{Conference, Participant, Session};

/// One page, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// What to ask for next. `None` on the last page.
    pub next_page_token: Option<String>,
    /// How many the whole list has, where Google says so.
    pub total_size: Option<i32>,
}

impl<T> Page<T> {
    fn parse<W>(items: Vec<W>, next: String, total_size: Option<i32>) -> Result<Self, NotUnderstood>
    where
        T: TryFrom<W, Error = Unreadable>,
    {
        let items = items.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Self { items, next_page_token: Some(next).filter(|next| !next.is_empty()), total_size })
    }
}

impl Body for Page<Conference> {
    fn parse(bytes: &[u8]) -> Result<Self, NotUnderstood> {
        let page: wire::ConferenceRecords = serde_json::from_slice(bytes)?;
        Self::parse(page.conference_records, page.next_page_token, None)
    }
}

impl Body for Page<Participant> {
    fn parse(bytes: &[u8]) -> Result<Self, NotUnderstood> {
        let page: borrowed::Participants<'_> = serde_json::from_slice(bytes)?;
        Self::parse(page.participants, page.next_page_token.into_owned(), page.total_size)
    }
}

impl Body for Page<Session> {
    fn parse(bytes: &[u8]) -> Result<Self, NotUnderstood> {
        let page: wire::ParticipantSessions = serde_json::from_slice(bytes)?;
        Self::parse(page.participant_sessions, page.next_page_token, None)
    }
}

/// The way through the pages of one list.
#[derive(Debug, Default)]
pub(super) struct Journey {
    tokens: Vec<String>,
}

/// Why a list could not be followed to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Astray {
    /// A token came a second time.
    Round,
    /// There are more pages than are read.
    TooFar,
}

impl Journey {
    /// The token of the page to ask for. `None` for the first.
    pub(super) fn token(&self) -> Option<&str> {
        self.tokens.last().map(String::as_str)
    }

    /// Goes on to the page of `next`, at most to the page of number `max_pages`.
    pub(super) fn go_on(&mut self, next: String, max_pages: u32) -> Result<(), Astray> {
        if self.tokens.contains(&next) {
            return Err(Astray::Round);
        }
        if self.pages() >= max_pages {
            return Err(Astray::TooFar);
        }
        self.tokens.push(next);
        Ok(())
    }

    /// How many pages were asked for, the current one included.
    pub(super) fn pages(&self) -> u32 {
        u32::try_from(self.tokens.len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

impl From<Astray> for Failure {
    fn from(astray: Astray) -> Self {
        let detail = match astray {
            Astray::Round => "a page token that came before",
            Astray::TooFar => "more pages than are read",
        };
        Self::new(Reason::Malformed, detail, remedy::MALFORMED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Text as strangers write it: with what JSON must escape.
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
        fn the_page_that_borrows_means_what_the_wire_says(people in prop::collection::vec(participant(), 0..3)) {
            let page = wire::Participants { participants: people, next_page_token: "a\"b".to_owned(), total_size: Some(3) };
            let json = serde_json::to_vec(&page).unwrap();
            let by_wire = Page::<Participant>::parse(page.participants, page.next_page_token, page.total_size);
            prop_assert_eq!(<Page<Participant> as Body>::parse(&json).ok(), by_wire.ok());
        }
    }

    #[test]
    fn a_token_that_comes_again_ends_the_journey_however_long_the_round() {
        let mut journey = Journey::default();
        assert_eq!(journey.token(), None);
        for token in ["a", "b", "c"] {
            journey.go_on(token.to_owned(), 100).unwrap();
            assert_eq!(journey.token(), Some(token));
        }
        assert_eq!(journey.pages(), 4);
        assert_eq!(journey.go_on("a".to_owned(), 100), Err(Astray::Round));
    }

    #[test]
    fn there_is_a_last_page() {
        let mut journey = Journey::default();
        journey.go_on("a".to_owned(), 2).unwrap();
        assert_eq!(journey.go_on("b".to_owned(), 2), Err(Astray::TooFar));
    }
}
