//! An answer of Google's API as rows of named values, which are printed as a table or as JSON.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::cli::table::{self, cell};
use crate::meet::Answer;
use crate::model::text::for_json;
use crate::model::{Conference, ConferenceName, MeetingCode, Participant, Person, Session, Space, SpaceName, UserName};

/// One row: names and values, in the order of the table's columns.
type Row = Vec<(&'static str, Value)>;

/// The rows of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AnswerView {
    columns: Vec<&'static str>,
    rows: Vec<Row>,
    /// Whether the answer is a single resource, which JSON shows as an object instead of a list.
    is_single: bool,
    /// The token of the next page, if pages were requested one by one; `Some(None)` on the last page.
    next: Option<Option<String>>,
}

impl AnswerView {
    fn of(columns: &[&'static str], rows: Vec<Row>) -> Self {
        Self { columns: columns.to_vec(), rows, is_single: false, next: None }
    }

    /// Returns the view of a single resource.
    pub(super) fn single(self) -> Self {
        Self { is_single: true, ..self }
    }

    /// Returns the view of one page of a list.
    pub(super) fn with_next(self, next: Option<String>) -> Self {
        Self { next: Some(next), ..self }
    }

    /// Renders the rows as a table. Nothing is cut: names are what further reads need.
    pub(super) fn table(&self) -> String {
        let cells = |row: &Row| row.iter().map(|(_, value)| cell(value)).collect();
        let mut text = table::render(&self.columns, &self.rows.iter().map(cells).collect::<Vec<_>>(), usize::MAX);
        if let Some(Some(next)) = &self.next {
            text.push_str(&format!("next page: --page-token {}\n", crate::model::text::for_terminal(next)));
        }
        text
    }

    /// Renders the rows as CSV.
    pub(super) fn csv(&self) -> String {
        let cells = |row: &Row| row.iter().map(|(_, value)| table::csv_cell(Some(value))).collect::<Vec<_>>().join(",");
        let lines = std::iter::once(self.columns.join(",")).chain(self.rows.iter().map(cells));
        lines.map(|line| line + "\r\n").collect()
    }

    /// Renders the rows as JSON.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        let object = |row: &Row| {
            Value::Object(row.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Map<_, _>>())
        };
        let items: Vec<Value> = self.rows.iter().map(object).collect();
        let value = match (&self.next, self.is_single) {
            (Some(next), _) => json!({ "items": items, "next_page_token": next }),
            (None, true) => items.into_iter().next().unwrap_or(Value::Null),
            (None, false) => Value::Array(items),
        };
        serde_json::to_string_pretty(&value).map(|text| for_json(&text) + "\n")
    }
}

impl From<Answer> for AnswerView {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Conference(conference) => Self::from(vec![conference]).single(),
            Answer::Conferences(conferences) => conferences.into(),
            Answer::Participant(participant) => Self::from(vec![participant]).single(),
            Answer::Participants(participants) => participants.into(),
            Answer::Session(session) => Self::from(vec![session]).single(),
            Answer::Sessions(sessions) => sessions.into(),
            Answer::Space(space) => Self::from(vec![space]).single(),
            Answer::People(people) => people.into(),
        }
    }
}

/// Implements the conversion of a list to a view: the columns, and the values of each item.
macro_rules! view {
    ($item:ident: $type:ty, { $($name:literal: $value:expr),+ $(,)? }) => {
        impl From<Vec<$type>> for AnswerView {
            fn from(items: Vec<$type>) -> Self {
                let row = |$item: $type| vec![$(($name, json!($value))),+];
                Self::of(&[$($name),+], items.into_iter().map(row).collect())
            }
        }
    };
}

view!(conference: Conference, {
    "name": conference.name.as_str(),
    "start_time": time(Some(conference.start)),
    "end_time": time(conference.end),
    "expire_time": time(conference.expire),
    "space": conference.space.as_ref().map(SpaceName::as_str),
});

view!(participant: Participant, {
    "kind": participant.kind.as_str(),
    "display_name": participant.display_name.as_deref(),
    "user": participant.user.as_ref().map(UserName::as_str),
    "earliest_start_time": time(participant.earliest_start),
    "latest_end_time": time(participant.latest_end),
    "name": participant.name.as_str(),
});

view!(session: Session, {
    "start_time": time(Some(session.start)),
    "end_time": time(session.end),
    "name": session.name.as_str(),
});

view!(space: Space, {
    "name": space.name.as_str(),
    "meeting_code": space.meeting_code.as_ref().map(MeetingCode::as_str),
    "active_conference": space.active_conference.as_ref().map(ConferenceName::as_str),
});

view!(person: Person, {
    "user": person.user.as_str(),
    "display_name": person.display_name.as_deref(),
    "email": person.email.as_deref(),
});

fn time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ParticipantKind, ParticipantName};

    fn ada() -> Vec<Participant> {
        vec![Participant {
            name: ParticipantName::parse("conferenceRecords/c/participants/p").unwrap(),
            kind: ParticipantKind::SignedIn,
            user: UserName::parse("users/1").ok(),
            display_name: Some("Ada\u{1b}[31m".into()),
            earliest_start: Some("2026-01-05T10:00:02.123456789Z".parse().unwrap()),
            latest_end: None,
        }]
    }

    #[test]
    fn control_characters_of_a_name_are_escaped_in_a_table() {
        let table = AnswerView::from(ada()).table();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("KIND "), "{table}");
        assert!(lines[1].contains("Ada\\u{1b}[31m") && lines[1].contains(" - "), "{table}");
    }

    #[test]
    fn json_keeps_names_as_they_are() {
        let list: Value = serde_json::from_str(&AnswerView::from(ada()).json().unwrap()).unwrap();
        assert_eq!(list[0]["display_name"], "Ada\u{1b}[31m");
        assert_eq!(list[0]["latest_end_time"], Value::Null);
        assert_eq!(list[0]["earliest_start_time"], "2026-01-05T10:00:02.123456789Z");
        let one: Value = serde_json::from_str(&AnswerView::from(ada()).single().json().unwrap()).unwrap();
        assert_eq!(one["user"], "users/1");
        let page = AnswerView::from(ada()).with_next(Some("t".to_owned()));
        let page: Value = serde_json::from_str(&page.json().unwrap()).unwrap();
        assert_eq!(page["next_page_token"], "t");
    }
}
