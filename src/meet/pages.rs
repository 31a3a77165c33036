//! A list, page after page to its end, as one. A page that fails fails the list; a token that comes twice would go round
//! for ever, and is found out at once; and there is a cap.

use serde::de::DeserializeOwned;

use super::error::Reason;
use super::failure::Failure;
use super::merge::Merge;
use super::parse::Unreadable;
use super::remedy;
use super::wire;
use crate::model::{Conference, Participant, Session};

/// One page on the wire.
pub(super) trait WirePage: DeserializeOwned + Send {
    /// What is listed, on the wire.
    type Wire;
    /// What is listed, in the model.
    type Item: TryFrom<Self::Wire, Error = Unreadable> + Merge + Send;

    /// What is on the page, the token of the next one (empty on the last), and the size of the whole list, if told.
    fn split(self) -> (Vec<Self::Wire>, String, Option<i32>);
}

impl WirePage for wire::ConferenceRecords {
    type Wire = wire::ConferenceRecord;
    type Item = Conference;

    fn split(self) -> (Vec<Self::Wire>, String, Option<i32>) {
        (self.conference_records, self.next_page_token, None)
    }
}

impl WirePage for wire::Participants {
    type Wire = wire::Participant;
    type Item = Participant;

    fn split(self) -> (Vec<Self::Wire>, String, Option<i32>) {
        (self.participants, self.next_page_token, self.total_size)
    }
}

impl WirePage for wire::ParticipantSessions {
    type Wire = wire::ParticipantSession;
    type Item = Session;

    fn split(self) -> (Vec<Self::Wire>, String, Option<i32>) {
        (self.participant_sessions, self.next_page_token, None)
    }
}

/// One page, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// What to ask for next. `None` on the last page.
    pub next_page_token: Option<String>,
    /// How many the whole list has, where Google says so.
    pub total_size: Option<i32>,
}

/// Parses a page.
pub(super) fn parse<P: WirePage>(page: P) -> Result<Page<P::Item>, Unreadable> {
    let (items, next, total_size) = page.split();
    let items = items.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    Ok(Page { items, next_page_token: Some(next).filter(|next| !next.is_empty()), total_size })
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
