//! Page tokens: the position in a list, sealed together with a hash of the query.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;

use crate::sim::hash::hash;

/// The last item of the previous page: the next page begins after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PagePosition {
    /// The number of the page that begins here. The first page, which has no token, is number 1.
    pub(crate) page: u32,
    pub(crate) time: Timestamp,
    pub(crate) name: String,
}

/// A token that this server did not issue, or not for this query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadToken;

/// Returns a token for the query whose hash is `query_hash`.
pub(crate) fn seal(query_hash: u64, position: &PagePosition) -> String {
    let mut body = position.page.to_be_bytes().to_vec();
    body.extend(position.time.as_nanosecond().to_be_bytes());
    body.extend(position.name.as_bytes());
    let mut token = hash(query_hash, &[&body]).to_be_bytes().to_vec();
    token.extend(body);
    BASE64URL_NOPAD.encode(&token)
}

/// Decodes a token. An empty token is the first page.
pub(crate) fn open(query_hash: u64, token: &str) -> Result<Option<PagePosition>, BadToken> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| BadToken)?;
    let (seal, body) = bytes.split_first_chunk::<8>().ok_or(BadToken)?;
    if u64::from_be_bytes(*seal) != hash(query_hash, &[body]) {
        return Err(BadToken);
    }
    let (page, body) = body.split_first_chunk::<4>().ok_or(BadToken)?;
    let (time, name) = body.split_first_chunk::<16>().ok_or(BadToken)?;
    Ok(Some(PagePosition {
        page: u32::from_be_bytes(*page),
        time: Timestamp::from_nanosecond(i128::from_be_bytes(*time)).map_err(|_| BadToken)?,
        name: String::from_utf8(name.to_vec()).map_err(|_| BadToken)?,
    }))
}

/// Returns the page number in a token, without checking the query. Fault rules for later pages use it.
pub(crate) fn page_number(token: &str) -> u32 {
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).unwrap_or_default();
    match bytes.get(8..12) {
        Some([a, b, c, d]) => u32::from_be_bytes([*a, *b, *c, *d]),
        _ => 1,
    }
}

/// Returns the page size: `default` if 0 is asked for, at most `maximum`, and at most `at_most`, with which a server
/// may return fewer items than asked for.
pub(crate) fn page_size(asked: i32, default: usize, maximum: usize, at_most: Option<usize>) -> usize {
    let asked = match usize::try_from(asked) {
        Ok(0) | Err(_) => default,
        Ok(asked) => asked.min(maximum),
    };
    at_most.map_or(asked, |at_most| asked.min(at_most.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_only_for_its_query() {
        let place =
            PagePosition { page: 2, time: "2026-01-05T10:00:00.123456789Z".parse().unwrap(), name: "c/1/p/2".into() };
        let token = seal(42, &place);
        assert_eq!(open(42, &token), Ok(Some(place)));
        assert_eq!(page_number(&token), 2);
        assert_eq!(open(43, &token), Err(BadToken));
        assert_eq!(open(42, "nonsense"), Err(BadToken));
        assert_eq!(open(42, &token[..token.len() - 2]), Err(BadToken));
        assert_eq!(open(42, ""), Ok(None));
        assert_eq!(page_number(""), 1);
    }

    #[test]
    fn sizes_are_coerced() {
        let size = |asked, at_most| page_size(asked, 100, 250, at_most);
        assert_eq!(size(0, None), 100);
        assert_eq!(size(9999, None), 250);
        assert_eq!(size(7, None), 7);
        assert_eq!(size(250, Some(40)), 40);
        assert_eq!(size(7, Some(40)), 7);
        assert_eq!(size(7, Some(0)), 1);
    }
}
