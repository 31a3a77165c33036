//! Parses the header `Retry-After` and the HTTP dates in it (RFC 9110, sections 5.6.7 and 10.2.3). Pure: the time is an
//! argument.

use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;

/// Returns how long a `Retry-After` asks to wait from `now`: a number of seconds, or the time until an HTTP date. `None` if
/// the value is neither. A date in the past is [`Duration::ZERO`]; a number too large for 64 bits is `u64::MAX` seconds. The
/// caller applies its own cap.
#[must_use]
pub fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let now = Duration::try_from(now.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or(Duration::ZERO);
    Some(since_epoch(value)?.saturating_sub(now))
}

/// Returns how long an answer asks to wait: what its header says, or the `retry_after` in its body (seconds, also in
/// fractions) where that is shorter. Some services count milliseconds in one of them. `start` is the start of the body.
#[must_use]
pub fn shorter(header: Option<Duration>, start: &[u8]) -> Option<Duration> {
    [header, in_json(start)].into_iter().flatten().min()
}

/// Returns the first `"retry_after": NUMBER` in the start of a JSON text, wherever it is in it.
fn in_json(start: &[u8]) -> Option<Duration> {
    const KEY: &[u8] = b"\"retry_after\"";
    let at = start.windows(KEY.len()).position(|window| window == KEY)?;
    let rest = start[at + KEY.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let length = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))?;
    let seconds: f64 = std::str::from_utf8(&rest[..length]).ok()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Parses an HTTP date in any of the three forms that RFC 9110 requires a recipient to accept.
#[must_use]
pub fn parse_date(value: &str) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(since_epoch(value)?.as_secs()).ok()?).ok()
}

fn since_epoch(date: &str) -> Option<Duration> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(date.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::*;

    fn wait(value: &str) -> Option<Duration> {
        parse(value, "1994-11-06T08:49:00Z".parse().unwrap())
    }

    #[test]
    fn seconds_and_every_form_of_date_are_understood() {
        for (value, seconds) in [
            ("0", 0),
            (" 120 ", 120),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 37),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 37),
            ("Sun Nov  6 08:49:37 1994", 37),
            ("Sun, 06 Nov 1994 08:48:00 GMT", 0),
            ("99999999999999999999999", u64::MAX),
        ] {
            assert_eq!(wait(value), Some(Duration::from_secs(seconds)), "{value}");
        }
    }

    #[test]
    fn what_is_neither_seconds_nor_a_date_is_none() {
        for value in ["", " ", "-1", "1.5", "+5", "soon", "Sun, 31 Feb 1994 08:49:37 GMT", "1e9"] {
            assert_eq!(wait(value), None, "{value}");
        }
    }

    #[test]
    fn the_shorter_of_header_and_body_counts() {
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        let body = br#"{"message": "You are being rate limited.", "retry_after": 1.64, "global": false}"#;
        assert_eq!(shorter(seconds(1640.0), body), seconds(1.64));
        assert_eq!(shorter(seconds(1.0), body), seconds(1.0));
        assert_eq!(shorter(None, br#"{"ok":false,"parameters":{"retry_after":5}}"#), seconds(5.0));
        assert_eq!(shorter(seconds(2.0), br#"{ "retry_after" : 1640 }"#), seconds(2.0));
        assert_eq!(shorter(seconds(2.0), b"try later"), seconds(2.0));
    }

    #[test]
    fn a_body_that_names_no_time_counts_for_nothing() {
        for body in [
            "",
            r#""retry_after""#,
            r#"{"retry_after": "5"}"#,
            r#"{"retry_after": null}"#,
            r#"{"retry_after": -1}"#,
            r#"{"retry_after": 1e999}"#,
            r#"{"retry_after": 1.2.3}"#,
            // Cut in the middle of the number.
            r#"{"retry_after": 1"#,
        ] {
            assert_eq!(shorter(None, body.as_bytes()), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(rest in proptest::collection::vec(any::<u8>(), 0..30)) {
            let _ = shorter(None, &[br#"{"retry_after":"#, &rest[..]].concat());
        }

        #[test]
        fn no_header_makes_it_panic(value in "\\PC{0,40}|[A-Za-z]{3}, [0-9]{1,3} [A-Za-z]{3} [0-9]{1,6} [0-9:]{0,9} GMT") {
            let _ = wait(&value);
        }

        #[test]
        fn any_number_of_seconds_is_returned(seconds: u64) {
            prop_assert_eq!(wait(&seconds.to_string()), Some(Duration::from_secs(seconds)));
        }

        #[test]
        fn any_date_is_exact_to_the_second(ahead in 0_u64..10_000_000) {
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_740 + ahead);
            prop_assert_eq!(wait(&httpdate::fmt_http_date(date)), Some(Duration::from_secs(ahead)));
        }
    }
}
