//! Parses the header `Retry-After` and the HTTP dates in it (RFC 9110, sections 5.6.7 and 10.2.3). Pure: the time is an
//! argument.

use std::time::{Duration, SystemTime};

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

/// Parses an HTTP date in any of the three forms that RFC 9110 requires a recipient to accept.
#[must_use]
pub fn parse_date(value: &str) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(since_epoch(value)?.as_secs()).ok()?).ok()
}

fn since_epoch(date: &str) -> Option<Duration> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
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

    proptest! {
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
