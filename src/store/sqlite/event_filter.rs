//! Reads the part of the log that a filter selects.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::reader::StoreReader;
use super::values::nanos;
use crate::model::TargetName;
use crate::store::error::StoreError;
use crate::store::query::{ConferenceSelector, EventFilter, LogPage};

/// Returns the GLOB pattern of the members of a section of subjects. No name has a character that acts in a pattern.
pub(super) fn member_pattern(group: &TargetName) -> String {
    format!("{group}.{}", "[0-9a-f]".repeat(12))
}

/// The conditions of a WHERE clause and their values.
struct FilterSql {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl FilterSql {
    /// Adds a condition, with a `?` for each value.
    fn add(&mut self, condition: impl Into<String>, values: impl IntoIterator<Item = impl Into<Value>>) {
        self.sql.push(condition.into());
        self.values.extend(values.into_iter().map(Into::into));
    }

    fn of(filter: &EventFilter, last: u64) -> Self {
        let mut all = Self { sql: Vec::new(), values: Vec::new() };
        let position = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
        all.add("e.position > ? AND e.position <= ?", [position(filter.after), position(last)]);
        match &filter.conference {
            Some(ConferenceSelector::Name(name)) => {
                all.add("e.conference IN (SELECT id FROM conferences WHERE name = ?)", [name.as_str().to_owned()]);
            }
            Some(ConferenceSelector::Code(code)) => {
                all.add(
                    "e.conference IN (SELECT id FROM conferences WHERE meeting_code = ?)",
                    [code.as_str().to_owned()],
                );
            }
            None => {}
        }
        if let Some(target) = &filter.target {
            all.add(
                "EXISTS (SELECT 1 FROM json_each(e.body, '$.targets') t WHERE t.value = ? OR t.value GLOB ?)",
                [target.as_str().to_owned(), member_pattern(target)],
            );
        }
        if let Some(person) = &filter.person {
            all.add(
                "(e.participant = ? OR EXISTS (
                    SELECT 1 FROM participants p WHERE p.conference = e.conference AND p.name = e.participant
                    AND (p.user = ? OR p.email = ? COLLATE NOCASE OR p.display_name = ? COLLATE NOCASE)))",
                std::iter::repeat_n(person.clone(), 4),
            );
        }
        if !filter.types.is_empty() {
            // Our own names.
            let names: Vec<_> = filter.types.iter().map(|event| format!("'{}'", event.as_str())).collect();
            all.sql.push(format!("e.type IN ({})", names.join(", ")));
        }
        all.add_time("e.time >= ?", filter.from.map(nanos));
        all.add_time("e.time < ?", filter.until.map(nanos));
        all
    }

    fn add_time(&mut self, condition: &str, time: Option<i64>) {
        if let Some(time) = time {
            self.add(condition, [time]);
        }
    }
}

impl StoreReader {
    /// Returns the page of the log that a filter selects.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn log(&self, filter: &EventFilter) -> Result<LogPage, StoreError> {
        // First, so that what is told meanwhile is on the next page.
        let last = self.last_position()?;
        let conditions = FilterSql::of(filter, last);
        let order = if filter.newest { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT e.position, e.id, e.body, e.taken_back_by FROM events e WHERE {} ORDER BY e.position {order} LIMIT {}",
            conditions.sql.join(" AND "),
            filter.limit
        );
        let mut statement = self.connection().prepare_cached(&sql)?;
        let mut rows = Self::log_rows(statement.query(params_from_iter(conditions.values))?)?;
        if filter.newest {
            rows.reverse();
        }
        let whole = filter.newest || rows.len() < filter.limit;
        let end = filter.after.max(last);
        let next = if whole { end } else { rows.last().map_or(end, |row| row.position) };
        Ok(LogPage { rows, next })
    }
}
