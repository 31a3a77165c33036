//! An answer as rows of named values, from which both the table and the JSON are made.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::cli::table;
use crate::meet::Answer;
use crate::model::{Conference, ConferenceName, MeetingCode, Participant, Person, Session, Space, SpaceName, UserName};

/// One row: names and values, in the order of the table's columns.
type Row = Vec<(&'static str, Value)>;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    columns: Vec<&'static str>,
    rows: Vec<Row>,
    /// A single thing, in JSON an object and no list.
    is_one: bool,
    /// The token of the next page. `Some(None)` for the last of those that are shown one by one.
    next: Option<Option<String>>,
}

impl View {
    fn of(columns: &[&'static str], rows: Vec<Row>) -> Self {
        Self { columns: columns.to_vec(), rows, is_one: false, next: None }
    }

    /// The view of a single thing.
    pub(super) fn one(self) -> Self {
        Self { is_one: true, ..self }
    }

    /// The view of one page.
    pub(super) fn with_next(self, next: Option<String>) -> Self {
        Self { next: Some(next), ..self }
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let cells = |row: &Row| row.iter().map(|(_, value)| cell(value)).collect();
        let mut text = table::render(&self.columns, &self.rows.iter().map(cells).collect::<Vec<_>>());
        if let Some(Some(next)) = &self.next {
            text.push_str(&format!("next page: --page-token {}\n", crate::model::text::for_terminal(next)));
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        let object = |row: &Row| {
            Value::Object(row.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Map<_, _>>())
        };
        let items: Vec<Value> = self.rows.iter().map(object).collect();
        let value = match (&self.next, self.is_one) {
            (Some(next), _) => json!({ "items": items, "next_page_token": next }),
            (None, true) => items.into_iter().next().unwrap_or(Value::Null),
            (None, false) => Value::Array(items),
        };
        serde_json::to_string_pretty(&value).map(|text| text + "\n")
    }
}

impl From<Answer> for View {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Conference(conference) => Self::from(vec![conference]).one(),
            Answer::Conferences(conferences) => conferences.into(),
            Answer::Participant(participant) => Self::from(vec![participant]).one(),
            Answer::Participants(participants) => participants.into(),
            Answer::Session(session) => Self::from(vec![session]).one(),
            Answer::Sessions(sessions) => sessions.into(),
            Answer::Space(space) => Self::from(vec![space]).one(),
            Answer::People(people) => people.into(),
        }
    }
}

/// Makes a view of a list: its columns, and for each item their values.
macro_rules! view {
    ($item:ident: $type:ty, { $($name:literal: $value:expr),+ $(,)? }) => {
        impl From<Vec<$type>> for View {
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

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
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
    fn a_table_is_for_people_and_no_name_acts_in_it() {
        let table = View::from(ada()).table();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("KIND "), "{table}");
        assert!(lines[1].contains("Ada\\u{1b}[31m") && lines[1].contains(" - "), "{table}");
    }

    #[test]
    fn json_is_for_programs_and_keeps_names_as_they_are() {
        let list: Value = serde_json::from_str(&View::from(ada()).json().unwrap()).unwrap();
        assert_eq!(list[0]["display_name"], "Ada\u{1b}[31m");
        assert_eq!(list[0]["latest_end_time"], Value::Null);
        assert_eq!(list[0]["earliest_start_time"], "2026-01-05T10:00:02.123456789Z");
        let one: Value = serde_json::from_str(&View::from(ada()).one().json().unwrap()).unwrap();
        assert_eq!(one["user"], "users/1");
        let page = View::from(ada()).with_next(Some("t".to_owned()));
        let page: Value = serde_json::from_str(&page.json().unwrap()).unwrap();
        assert_eq!(page["next_page_token"], "t");
    }
}
