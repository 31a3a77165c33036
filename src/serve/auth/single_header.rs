//! Reading a header that may occur only once.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Returns the value of a header that occurs exactly once. Of two values, a proxy in between might have checked the other.
pub(super) fn single_header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn a_header_that_occurs_twice_is_not_used() {
        let mut headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer abc"))]);
        assert!(single_header(&headers, &header::AUTHORIZATION).is_some());
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer abd"));
        assert!(single_header(&headers, &header::AUTHORIZATION).is_none());
    }
}
