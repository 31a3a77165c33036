//! How plain values are stored in a column, and how they are read back.

use jiff::Timestamp;
use rusqlite::Row;

use crate::model::Source;
use crate::store::error::StoreError;

/// Returns nanoseconds since 1970. Times outside the years 1677 to 2262 become the nearest that fits.
pub(super) fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX })
}

/// Returns the time that [`nanos`] stored.
pub(super) fn time(nanos: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_nanosecond(i128::from(nanos)).map_err(|_| StoreError::Unreadable("a time"))
}

pub(super) fn optional_nanos(time: Option<Timestamp>) -> Option<i64> {
    time.map(nanos)
}

pub(super) fn optional_time(nanos: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    nanos.map(time).transpose()
}

/// Reads a time column.
pub(super) fn time_at(row: &Row<'_>, column: &str) -> Result<Timestamp, StoreError> {
    time(row.get(column)?)
}

/// Reads a time column that may be NULL.
pub(super) fn optional_time_at(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, StoreError> {
    optional_time(row.get(column)?)
}

/// Reads a text column with the parser of its type.
pub(super) fn parse_at<T, E>(
    row: &Row<'_>,
    column: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, StoreError> {
    let text = row.get_ref(column)?.as_str().map_err(|_| StoreError::Unreadable(column))?;
    parse(text).map_err(|_| StoreError::Unreadable(column))
}

/// Reads a text column that may be NULL with the parser of its type.
pub(super) fn optional_parse_at<T, E>(
    row: &Row<'_>,
    column: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, StoreError> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(|_| StoreError::Unreadable(column))?;
    text.map(parse).transpose().map_err(|_| StoreError::Unreadable(column))
}

/// Turns a parser that returns an `Option` into one that returns a `Result`.
pub(super) fn known<T>(parse: impl FnOnce(&str) -> Option<T>) -> impl FnOnce(&str) -> Result<T, ()> {
    move |text| parse(text).ok_or(())
}

/// Reads the columns `end` and `end_source`.
pub(super) fn end_at(row: &Row<'_>) -> Result<Option<(Timestamp, Source)>, StoreError> {
    let end = optional_time_at(row, "end")?;
    let source = optional_parse_at(row, "end_source", known(Source::parse))?;
    match (end, source) {
        (Some(end), Some(source)) => Ok(Some((end, source))),
        (None, None) => Ok(None),
        _ => Err(StoreError::Unreadable("an end without its source")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_read_back(text: &str) {
        let parsed: Timestamp = text.parse().unwrap();
        assert_eq!(time(nanos(parsed)).unwrap(), parsed, "{text}");
    }

    #[test]
    fn every_nanosecond_is_read_back() {
        for text in [
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00.000000001Z",
            "1969-12-31T23:59:59.999999999Z",
            "2026-01-05T12:00:00.123456789Z",
            "2025-12-31T23:59:59.999999999Z",
            "2026-01-01T00:00:00Z",
            "2028-02-29T23:59:59.999999999Z",
            "2028-03-01T00:00:00.000000001Z",
            "1677-09-21T00:12:43.145224193Z",
            "2262-04-11T23:47:16.854775807Z",
        ] {
            is_read_back(text);
        }
    }

    #[test]
    fn a_leap_second_is_the_second_before_it() {
        let leap: Timestamp = "2016-12-31T23:59:60Z".parse().unwrap();
        assert_eq!(leap, "2016-12-31T23:59:59Z".parse().unwrap());
        is_read_back("2016-12-31T23:59:60Z");
    }

    #[test]
    fn a_time_that_no_column_can_hold_becomes_the_nearest_that_fits() {
        for (text, nearest) in [("0001-01-01T00:00:00Z", i64::MIN), ("9999-12-30T22:00:00.999999999Z", i64::MAX)] {
            let stored = nanos(text.parse().unwrap());
            assert_eq!(stored, nearest, "{text}");
            assert_eq!(nanos(time(stored).unwrap()), stored);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_number_is_read_back(number in proptest::num::i64::ANY) {
            proptest::prop_assert_eq!(nanos(time(number).unwrap()), number);
        }
    }
}
