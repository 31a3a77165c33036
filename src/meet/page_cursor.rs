//! Walks through the pages of one list. A page that fails fails the list. A page token that comes a second time would loop
//! forever and is an error at once; the number of pages is capped.

use super::error::Reason;
use super::failure::Failure;
use super::remedy;

/// The tokens of the pages that were requested so far.
#[derive(Debug, Default)]
pub(super) struct PageCursor {
    tokens: Vec<String>,
}

/// Why a list could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PagingError {
    /// Google returned a page token a second time.
    RepeatedToken,
    /// The list has more pages than the cap.
    TooManyPages,
}

impl PageCursor {
    /// The token of the page to request. `None` for the first page.
    pub(super) fn token(&self) -> Option<&str> {
        self.tokens.last().map(String::as_str)
    }

    /// Moves on to the page of `next`, at most to page number `max_pages`.
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

    /// How many pages were requested, including the current one.
    pub(super) fn pages(&self) -> u32 {
        u32::try_from(self.tokens.len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

impl From<PagingError> for Failure {
    fn from(error: PagingError) -> Self {
        let detail = match error {
            PagingError::RepeatedToken => "the list repeats a page token, so it would never end",
            PagingError::TooManyPages => "the list has more pages than the limit",
        };
        Self::new(Reason::Malformed, detail, remedy::MALFORMED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_token_is_an_error_however_many_pages_lie_between() {
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
    fn the_number_of_pages_is_capped() {
        let mut cursor = PageCursor::default();
        cursor.advance("a".to_owned(), 2).unwrap();
        assert_eq!(cursor.advance("b".to_owned(), 2), Err(PagingError::TooManyPages));
    }
}
