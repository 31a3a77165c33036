//! `Retry-After`, as RFC 9110 section 10.2.3 has it: a number of seconds or an HTTP date.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// How long a `Retry-After` asks to wait from `now` on; `None` for what is neither seconds nor a date. A date that is past
/// asks for nothing, a number beyond all measure for the longest wait there is: the caller clamps.
#[must_use]
pub fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let date = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = Duration::try_from(now.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or(Duration::ZERO);
    Some(date.saturating_sub(now))
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
    fn what_is_neither_is_no_wish() {
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
        fn any_number_of_seconds_is_obeyed(seconds: u64) {
            prop_assert_eq!(wait(&seconds.to_string()), Some(Duration::from_secs(seconds)));
        }

        #[test]
        fn any_date_is_obeyed_to_the_second(ahead in 0_u64..10_000_000) {
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_740 + ahead);
            prop_assert_eq!(wait(&httpdate::fmt_http_date(date)), Some(Duration::from_secs(ahead)));
        }
    }
}
