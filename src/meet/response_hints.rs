//! What Google's responses say about time besides their content: how long to wait before the next request, and what
//! Google's own clock shows.

use std::time::Duration;

use jiff::Timestamp;

use crate::retry_after;

/// The longest wait that is taken from a hint. A longer one would look like an outage, and the next 429 repeats it anyway.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Returns the wait that a `Retry-After` header asks for, at most [`LONGEST_PAUSE`]. `None` if it cannot be read.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    Some(retry_after::parse(value, now)?.min(LONGEST_PAUSE))
}

/// Returns the wait that a `google.rpc.RetryInfo` asks for, at most [`LONGEST_PAUSE`]. The value is a
/// `google.protobuf.Duration` in JSON, such as `12s` or `0.5s`.
#[must_use]
pub fn retry_delay(value: &str) -> Option<Duration> {
    let number = value.strip_suffix('s')?;
    let well_formed = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds: f64 = if well_formed { number.parse().ok()? } else { return None };
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(LONGEST_PAUSE))
}

/// Returns the time in a `Date` header: Google's clock, in whole seconds.
#[must_use]
pub fn date(value: &str) -> Option<Timestamp> {
    retry_after::parse_date(value)
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
    fn a_hint_is_clamped_and_an_unreadable_one_is_none() {
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
