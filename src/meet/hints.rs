//! What Google says about time beside its answers: how long to stay away, and what its own clock shows.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::elapsed;

/// The longest that Google is obeyed when it asks to be left alone. A longer wish would look like an outage, and the
/// next 429 repeats it anyway.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// `Retry-After`: seconds, or an HTTP date (RFC 9110, 10.2.3), at most [`LONGEST_PAUSE`]. A date in the past is no
/// wait; anything else that cannot be read is no hint.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit is a very long time, not a hint to ignore.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        elapsed(now, http_date(value)?)
    };
    Some(wait.min(LONGEST_PAUSE))
}

/// `google.protobuf.Duration` in JSON, as `RetryInfo` has it: `12s`, `0.5s`. At most [`LONGEST_PAUSE`].
#[must_use]
pub fn retry_delay(value: &str) -> Option<Duration> {
    let number = value.strip_suffix('s')?;
    let well_formed = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds: f64 = if well_formed { number.parse().ok()? } else { return None };
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(LONGEST_PAUSE))
}

/// An HTTP date in the form that servers send (`Sun, 06 Nov 1994 08:49:37 GMT`).
#[must_use]
pub fn http_date(value: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(value).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = at("1994-11-06T08:49:07Z");
        assert_eq!(retry_after("12", now), Some(Duration::from_secs(12)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:48:37 GMT", now), Some(Duration::ZERO));
    }

    #[test]
    fn a_hint_is_clamped_and_nonsense_is_none() {
        let now = at("1994-11-06T08:49:07Z");
        for long in ["86400", "99999999999999999999999999", "Sat, 06 Nov 2094 08:49:37 GMT"] {
            assert_eq!(retry_after(long, now), Some(LONGEST_PAUSE), "{long}");
        }
        for nonsense in ["", "-1", "soon", "1.5", "+3"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
        }
    }

    #[test]
    fn a_retry_delay_keeps_its_fraction() {
        assert_eq!(retry_delay("12s"), Some(Duration::from_secs(12)));
        assert_eq!(retry_delay("0.5s"), Some(Duration::from_millis(500)));
        assert_eq!(retry_delay("90000s"), Some(LONGEST_PAUSE));
        assert_eq!(retry_delay("99999999999999999999999999999999s"), Some(LONGEST_PAUSE));
        for nonsense in ["12", "s", "-1s", "infs", "NaNs", "1e3s", "1.2.3s"] {
            assert_eq!(retry_delay(nonsense), None, "{nonsense}");
        }
    }
}
