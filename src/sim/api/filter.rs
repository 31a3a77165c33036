//! The filters of Google's lists, parsed: `space.name = "spaces/x" AND end_time IS NULL`.
//!
//! Fields may be spelled in snake_case, as the reference does, or in camelCase, as the guide does; timestamps may be
//! quoted or not. Anything else is an error, also what the real parser might accept: `OR`, `NOT`, brackets, lower-case
//! keywords. Any text gives a filter or an error, in time linear in its length.

use jiff::Timestamp;

/// The longest filter accepted, in bytes.
const MAX_BYTES: usize = 2048;

/// A field that can be filtered by. [`ListFilter::check`] decides which list has which field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    MeetingCode,
    SpaceName,
    StartTime,
    EndTime,
    EarliestStartTime,
    LatestEndTime,
}

/// How a time is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `end_time IS NULL`
    Unset(Field),
    /// `start_time >= "2024-01-01T00:00:00Z"`
    Time(Field, Comparison, Timestamp),
    /// `space.name = "spaces/x"`
    Text(Field, String),
}

/// A conjunction of conditions. The empty filter matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    conditions: Vec<Condition>,
}

/// Why a text is not a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("the filter is longer than 2048 bytes")]
    TooLong,
    #[error("a quoted value does not end")]
    OpenQuote,
    #[error("a character that belongs to no filter")]
    StrayCharacter,
    #[error("a field name was expected")]
    FieldExpected,
    #[error("there is no such field here")]
    UnknownField,
    #[error("an operator was expected")]
    OperatorExpected,
    #[error("this field cannot be compared like that")]
    OperatorNotForField,
    #[error("a value was expected")]
    ValueExpected,
    #[error("not an RFC 3339 timestamp")]
    NotATimestamp,
    #[error("AND was expected between conditions")]
    AndExpected,
}

/// Parses a filter.
///
/// # Errors
/// [`FilterError`] if the text is not a filter.
pub fn parse(text: &str) -> Result<ListFilter, FilterError> {
    if text.len() > MAX_BYTES {
        return Err(FilterError::TooLong);
    }
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    let mut conditions = Vec::new();
    if rest.is_empty() {
        return Ok(ListFilter { conditions });
    }
    loop {
        conditions.push(condition(&mut rest)?);
        match rest {
            [] => return Ok(ListFilter { conditions }),
            [FilterToken::Word("AND"), after @ ..] => rest = after,
            _ => return Err(FilterError::AndExpected),
        }
    }
}

impl ListFilter {
    /// Returns the conditions, in the order they were written.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Checks that all conditions are about `fields`.
    ///
    /// # Errors
    /// [`FilterError::UnknownField`] if one is not.
    pub fn check(&self, fields: &[Field]) -> Result<(), FilterError> {
        let known = self.conditions.iter().all(|condition| fields.contains(&condition.field()));
        if known { Ok(()) } else { Err(FilterError::UnknownField) }
    }

    /// Returns whether all conditions hold for a resource with these times and texts.
    pub fn holds<'t>(
        &self,
        time: impl Fn(Field) -> Option<Timestamp>,
        text: impl Fn(Field) -> Option<&'t str>,
    ) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::Unset(field) => time(*field).is_none(),
            Condition::Time(field, comparison, value) => {
                time(*field).is_some_and(|time| comparison.holds(time, *value))
            }
            Condition::Text(field, value) => text(*field) == Some(value),
        })
    }
}

impl Condition {
    const fn field(&self) -> Field {
        match self {
            Self::Unset(field) | Self::Time(field, ..) | Self::Text(field, _) => *field,
        }
    }
}

impl Comparison {
    fn holds(self, left: Timestamp, right: Timestamp) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Field {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "space.meeting_code" | "space.meetingCode" => Self::MeetingCode,
            "space.name" => Self::SpaceName,
            "start_time" | "startTime" => Self::StartTime,
            "end_time" | "endTime" => Self::EndTime,
            "earliest_start_time" | "earliestStartTime" => Self::EarliestStartTime,
            "latest_end_time" | "latestEndTime" => Self::LatestEndTime,
            _ => return None,
        })
    }

    const fn is_time(self) -> bool {
        !matches!(self, Self::MeetingCode | Self::SpaceName)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum FilterToken<'t> {
    /// A name, a keyword or an unquoted value.
    Word(&'t str),
    Quoted(String),
    Operator(Comparison),
}

fn condition(tokens: &mut &[FilterToken<'_>]) -> Result<Condition, FilterError> {
    let [FilterToken::Word(name), rest @ ..] = *tokens else { return Err(FilterError::FieldExpected) };
    let field = Field::parse(name).ok_or(FilterError::UnknownField)?;
    let (found, rest) = match rest {
        [FilterToken::Word("IS"), FilterToken::Word("NULL"), rest @ ..] if field.is_time() => {
            (Condition::Unset(field), rest)
        }
        [FilterToken::Word("IS"), FilterToken::Word("NULL"), ..] => return Err(FilterError::OperatorNotForField),
        [FilterToken::Operator(comparison), value, rest @ ..] => (compared(field, *comparison, value)?, rest),
        [FilterToken::Operator(_)] => return Err(FilterError::ValueExpected),
        _ => return Err(FilterError::OperatorExpected),
    };
    *tokens = rest;
    Ok(found)
}

fn compared(field: Field, comparison: Comparison, value: &FilterToken<'_>) -> Result<Condition, FilterError> {
    let value = match value {
        FilterToken::Word(word) => word,
        FilterToken::Quoted(text) => text.as_str(),
        FilterToken::Operator(_) => return Err(FilterError::ValueExpected),
    };
    if field.is_time() {
        let time = value.parse().map_err(|_| FilterError::NotATimestamp)?;
        Ok(Condition::Time(field, comparison, time))
    } else if comparison == Comparison::Equal {
        Ok(Condition::Text(field, value.to_owned()))
    } else {
        Err(FilterError::OperatorNotForField)
    }
}

fn tokens(text: &str) -> Result<Vec<FilterToken<'_>>, FilterError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '"' => quoted(&rest[1..])?,
            '<' | '>' | '=' => operator(rest),
            _ => word(rest)?,
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn operator(text: &str) -> (FilterToken<'_>, &str) {
    let (comparison, length) = match text.as_bytes() {
        [b'<', b'=', ..] => (Comparison::LessOrEqual, 2),
        [b'>', b'=', ..] => (Comparison::GreaterOrEqual, 2),
        [b'<', ..] => (Comparison::Less, 1),
        [b'>', ..] => (Comparison::Greater, 1),
        _ => (Comparison::Equal, 1),
    };
    (FilterToken::Operator(comparison), &text[length..])
}

fn word(text: &str) -> Result<(FilterToken<'_>, &str), FilterError> {
    let belongs = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '+' | '-' | '/');
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    if end == 0 { Err(FilterError::StrayCharacter) } else { Ok((FilterToken::Word(&text[..end]), &text[end..])) }
}

/// The value up to the closing quote; a backslash takes the next character as it is.
fn quoted(text: &str) -> Result<(FilterToken<'_>, &str), FilterError> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((position, c)) = chars.next() {
        match c {
            '"' => return Ok((FilterToken::Quoted(value), &text[position + 1..])),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            _ => value.push(c),
        }
    }
    Err(FilterError::OpenQuote)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::meet::{ConferenceFilter, ParticipantFilter, SessionFilter};
    use crate::model::{MeetingCode, SpaceName};

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn both_spellings_parse_the_same_quoted_or_not() {
        let expected = ListFilter {
            conditions: vec![
                Condition::Time(Field::EarliestStartTime, Comparison::Less, time("2023-10-01T15:01:23Z")),
                Condition::Unset(Field::LatestEndTime),
            ],
        };
        for text in [
            "earliest_start_time < \"2023-10-01T15:01:23Z\" AND latest_end_time IS NULL",
            "earliestStartTime<2023-10-01T15:01:23Z AND latestEndTime IS NULL",
            "  earliestStartTime  <\"2023-10-01T17:01:23+02:00\"  AND  latest_end_time  IS  NULL ",
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        }
    }

    #[test]
    fn documented_filters_are_accepted() {
        for text in [
            "",
            "space.name = \"spaces/NAME\"",
            "space.meeting_code = \"abc-mnop-xyz\"",
            "start_time>=\"2024-01-01T00:00:00.000Z\" AND start_time<=\"2024-01-02T00:00:00.000Z\"",
            "end_time IS NULL",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn undocumented_filters_are_refused() {
        for (text, error) in [
            ("end_time IS NULL OR start_time IS NULL", FilterError::AndExpected),
            ("end_time IS NULL start_time IS NULL", FilterError::AndExpected),
            ("end_time is null", FilterError::OperatorExpected),
            ("end_time IS NOT NULL", FilterError::OperatorExpected),
            ("NOT end_time IS NULL", FilterError::UnknownField),
            ("end_time", FilterError::OperatorExpected),
            ("end_time >=", FilterError::ValueExpected),
            ("end_time = yesterday", FilterError::NotATimestamp),
            ("end_time = \"2024-01-01\"", FilterError::NotATimestamp),
            ("space.name > \"spaces/x\"", FilterError::OperatorNotForField),
            ("space.name IS NULL", FilterError::OperatorNotForField),
            ("space.owner = \"x\"", FilterError::UnknownField),
            ("space.name = \"spaces/x", FilterError::OpenQuote),
            ("(end_time IS NULL)", FilterError::StrayCharacter),
            ("end_time IS NULL AND", FilterError::FieldExpected),
            ("= 3", FilterError::FieldExpected),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert_eq!(parse(&"a".repeat(3000)), Err(FilterError::TooLong));
    }

    #[test]
    fn a_field_of_another_list_is_refused() {
        let filter = parse("latest_end_time IS NULL").unwrap();
        assert_eq!(filter.check(&[Field::StartTime, Field::EndTime]), Err(FilterError::UnknownField));
        assert_eq!(filter.check(&[Field::LatestEndTime]), Ok(()));
    }

    #[test]
    fn a_condition_on_an_unset_time_holds_only_for_null() {
        let holds = |text: &str, end: Option<Timestamp>| parse(text).unwrap().holds(|_| end, |_| None);
        let end = time("2024-01-01T00:00:00.000000001Z");
        assert!(holds("end_time IS NULL", None));
        assert!(!holds("end_time IS NULL", Some(end)));
        assert!(!holds("end_time >= \"1970-01-01T00:00:00Z\"", None));
        assert!(holds("end_time > \"2024-01-01T00:00:00Z\"", Some(end)), "nanoseconds count");
        assert!(holds("end_time = \"2024-01-01T00:00:00.000000001Z\"", Some(end)));
    }

    #[test]
    fn every_filter_that_the_client_writes_is_accepted() {
        let now = time("2026-01-05T10:00:00.123456789Z");
        let all = ConferenceFilter {
            live: true,
            ended_since: Some(now),
            ended_before: Some(now),
            started_since: Some(now),
            space: Some(SpaceName::parse("spaces/jQCFfuBOdN5z").unwrap()),
            meeting_code: Some(MeetingCode::parse("abc-mnop-xyz").unwrap()),
        };
        assert_eq!(parse(&all.to_string()).unwrap().conditions().len(), 6);
        for filter in [
            ParticipantFilter::All,
            ParticipantFilter::Active,
            ParticipantFilter::LeftSince(now),
            ParticipantFilter::JoinedSince(now),
        ] {
            assert!(parse(&filter.to_string()).is_ok());
        }
        assert!(parse(&SessionFilter::Open.to_string()).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_an_error(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn any_sequence_of_tokens_is_a_filter_or_an_error(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "end_time", "space.name", "IS", "NULL", "AND", "OR", "=", "<", ">=", "\"", "\\", "é", " ",
                    "2024-01-01T00:00:00Z", "\"spaces/x\"",
                ]), 0..20)
        ) {
            let _ = parse(&parts.concat());
            let _ = parse(&parts.join(" "));
        }
    }
}
