//! Walks through the pages of one list. A page that fails fails the list. A page token that comes a second time would loop
//! forever and is an error at once; the number of pages is capped.

use super::error::Reason;
use super::failure::Failure;
use super::remedy;

/// The way through the pages of one list.
#[derive(Debug, Default)]
pub(super) struct PageCursor {
    tokens: Vec<String>,
}

/// Why a list could not be followed to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PagingError {
    /// A token came a second time.
    RepeatedToken,
    /// There are more pages than are read.
    TooManyPages,
}

impl PageCursor {
    /// The token of the page to ask for. `None` for the first.
    pub(super) fn token(&self) -> Option<&str> {
        self.tokens.last().map(String::as_str)
    }

    /// Goes on to the page of `next`, at most to the page of number `max_pages`.
    pub(super) fn advance(&mut self, next: String, max_pages: u32) -> Result<(), PagingError> {
        if self.tokens.contains(&next) {
            return Err(PagingError::RepeatedToken);
        }
        if self.pages() >= max_pages {
            return Err(PagingError::TooManyPages);
        }
        self.tokens.push(next);
        Ok(())
    }

    /// How many pages were asked for, the current one included.
    pub(super) fn pages(&self) -> u32 {
        u32::try_from(self.tokens.len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

impl From<PagingError> for Failure {
    fn from(error: PagingError) -> Self {
        let detail = match error {
            PagingError::RepeatedToken => "a page token that came before",
            PagingError::TooManyPages => "more pages than are read",
        };
        Self::new(Reason::Malformed, detail, remedy::MALFORMED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_comes_again_ends_the_cursor_however_long_the_round() {
        let mut cursor = PageCursor::default();
        assert_eq!(cursor.token(), None);
        for token in ["a", "b", "c"] {
            cursor.advance(token.to_owned(), 100).unwrap();
            assert_eq!(cursor.token(), Some(token));
        }
        assert_eq!(cursor.pages(), 4);
        assert_eq!(cursor.advance("a".to_owned(), 100), Err(PagingError::RepeatedToken));
    }

    #[test]
    fn there_is_a_last_page() {
        let mut cursor = PageCursor::default();
        cursor.advance("a".to_owned(), 2).unwrap();
        assert_eq!(cursor.advance("b".to_owned(), 2), Err(PagingError::TooManyPages));
    }
}
