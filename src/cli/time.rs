//! The one grammar of times on the command line. Pure: what "now" is and the time zone are arguments.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

/// What the grammar accepts, as the end of a sentence.
const GRAMMAR: &str = "must be `now`, `today`, `yesterday`, an age such as 2h or 3d, a date such as 2026-01-05, or a time such as \
                       10:00, 2026-01-05T10:00 or 2026-01-05T10:00:00Z";

/// For the end of a help text: how times are written.
pub(super) const HELP: &str = "TIME is `now`, `today`, `yesterday`, an age (2h, 3d: that long ago), a date (2026-01-05: its beginning), \
                               or a time (10:00 today, 2026-01-05T10:00, 2026-01-05T10:00:00+01:00). Where no zone is given, it is UTC; in `report`, that of --time-zone.";

/// A time as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeSpec {
    Now,
    /// So many days before today.
    DaysAgo(i32),
    Ago(Duration),
    Day(Date),
    /// Today at this time.
    TimeOfDay(Time),
    Local(DateTime),
    Exact(Timestamp),
}

impl TimeSpec {
    /// Parses a time.
    ///
    /// # Errors
    /// The end of a sentence that says what is accepted.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.to_ascii_lowercase().as_str() {
            "now" => return Ok(Self::Now),
            "today" => return Ok(Self::DaysAgo(0)),
            "yesterday" => return Ok(Self::DaysAgo(1)),
            _ => {}
        }
        Self::written(text).ok_or_else(|| GRAMMAR.to_owned())
    }

    fn written(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            // Digits alone are neither an age without a unit nor a date without dashes.
            return text.contains('-').then(|| Date::from_str(text).ok().map(Self::Day))?;
        }
        if let Ok(exact) = Timestamp::from_str(text) {
            return Some(Self::Exact(exact));
        }
        // A time with a zone that could not be read must not pass for one without.
        if text.ends_with(['z', 'Z', ']']) {
            return None;
        }
        if text.contains(':') && !text.contains('-') {
            return Time::from_str(text).ok().map(Self::TimeOfDay);
        }
        if text.contains(':') {
            return DateTime::from_str(text).ok().map(Self::Local);
        }
        humantime::parse_duration(text).ok().map(Self::Ago)
    }

    /// Checks that `since` is before `until`, where both are given.
    ///
    /// # Errors
    /// A sentence, because nothing can lie between them otherwise.
    pub(super) fn check_span(since: Option<Self>, until: Option<Self>, now: Timestamp) -> anyhow::Result<()> {
        let moment = |time: Option<Self>| time.map(|time| time.moment(now, &TimeZone::UTC));
        if let (Some(since), Some(until)) = (moment(since), moment(until))
            && since >= until
        {
            anyhow::bail!(
                "the time of --since ({since}) is not before that of --until ({until}), so nothing is between them; exchange the two"
            );
        }
        Ok(())
    }

    /// Returns the moment that is meant.
    pub(super) fn moment(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        let at = |local: DateTime| zone.to_ambiguous_timestamp(local).compatible().unwrap_or(now);
        match self {
            Self::Now => now,
            Self::Ago(age) => now.saturating_sub(age).unwrap_or(Timestamp::MIN),
            Self::TimeOfDay(time) => at(now.to_zoned(zone.clone()).date().to_datetime(time)),
            Self::Local(local) => at(local),
            Self::Exact(exact) => exact,
            Self::DaysAgo(_) | Self::Day(_) => at(self.day(now, zone).to_datetime(Time::midnight())),
        }
    }

    /// Returns the day in which the moment lies.
    pub(super) fn day(self, now: Timestamp, zone: &TimeZone) -> Date {
        match self {
            Self::Day(date) => date,
            Self::DaysAgo(days) => {
                let mut date = now.to_zoned(zone.clone()).date();
                for _ in 0..days {
                    date = date.yesterday().unwrap_or(date);
                }
                date
            }
            _ => self.moment(now, zone).to_zoned(zone.clone()).date(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    #[test]
    fn each_way_to_write_a_time_means_one_moment_and_one_day() {
        // In Berlin the clocks went forward at 02:00 of this day, and it is 01:30 of the next.
        let now: Timestamp = "2026-03-29T23:30:00Z".parse().unwrap();
        for (text, utc, berlin, day) in [
            ("now", "2026-03-29T23:30:00Z", "2026-03-29T23:30:00Z", "2026-03-30"),
            ("today", "2026-03-29T00:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30"),
            ("Today", "2026-03-29T00:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30"),
            ("yesterday", "2026-03-28T00:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29"),
            ("2h", "2026-03-29T21:30:00Z", "2026-03-29T21:30:00Z", "2026-03-29"),
            ("1h 30m", "2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30"),
            ("3d", "2026-03-26T23:30:00Z", "2026-03-26T23:30:00Z", "2026-03-27"),
            ("2026-03-29", "2026-03-29T00:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29"),
            ("10:00", "2026-03-29T10:00:00Z", "2026-03-30T08:00:00Z", "2026-03-30"),
            ("2026-03-29T10:00", "2026-03-29T10:00:00Z", "2026-03-29T08:00:00Z", "2026-03-29"),
            ("2026-03-29 10:00:30", "2026-03-29T10:00:30Z", "2026-03-29T08:00:30Z", "2026-03-29"),
            ("2026-03-29T02:30", "2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29"),
            ("2026-03-29T10:00:00Z", "2026-03-29T10:00:00Z", "2026-03-29T10:00:00Z", "2026-03-29"),
            ("2026-03-29T10:00:00+05:30", "2026-03-29T04:30:00Z", "2026-03-29T04:30:00Z", "2026-03-29"),
            (" 2026-03-29 ", "2026-03-29T00:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29"),
        ] {
            let spec = TimeSpec::parse(text).unwrap();
            assert_eq!(spec.moment(now, &TimeZone::UTC).to_string(), utc, "{text}");
            assert_eq!(spec.moment(now, &zone()).to_string(), berlin, "{text} in Berlin");
            assert_eq!(spec.day(now, &zone()).to_string(), day, "the day of {text} in Berlin");
        }
    }

    #[test]
    fn a_span_that_ends_before_it_begins_is_refused() {
        let now: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
        let check = |since: &str, until: &str| {
            let time = |text: &str| (!text.is_empty()).then(|| TimeSpec::parse(text).unwrap());
            TimeSpec::check_span(time(since), time(until), now).map_err(|error| error.to_string())
        };
        assert!(check("2h", "1h").is_ok() && check("2h", "").is_ok() && check("", "2h").is_ok());
        let said = check("1h", "2h").unwrap_err();
        assert!(
            said.contains("--since (2026-01-05T09:00:00Z) is not before that of --until (2026-01-05T08:00:00Z)"),
            "{said}"
        );
        assert!(check("now", "now").is_err());
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_grammar() {
        for bad in [
            "",
            "tomorrow",
            "7",
            "20260105",
            "2026",
            "2h ago",
            "-2h",
            "2026-13-01",
            "2026-02-30",
            "25:00",
            "10:00Z",
            "5.1.2026",
        ] {
            assert_eq!(TimeSpec::parse(bad), Err(GRAMMAR.to_owned()), "{bad}");
        }
        // Longer ago than any time.
        let ancient = TimeSpec::parse("900000y").unwrap();
        assert_eq!(ancient.moment(Timestamp::UNIX_EPOCH, &TimeZone::UTC), Timestamp::MIN);
    }
}
