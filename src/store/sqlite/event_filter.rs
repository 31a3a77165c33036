//! Reads the part of the log that a filter selects.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::reader::StoreReader;
use super::values::nanos;
use crate::model::TargetName;
use crate::store::error::StoreError;
use crate::store::query::{ConferenceSelector, EventFilter, LogPage};

/// The most events that are looked through for one page.
const LOOKED_THROUGH: u64 = 20_000;

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

    fn of(filter: &EventFilter, span: PositionSpan) -> Self {
        let mut all = Self { sql: Vec::new(), values: Vec::new() };
        all.add("e.position > ? AND e.position <= ?", [as_integer(span.after), as_integer(span.until)]);
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
            let names: Vec<&str> = filter.types.iter().map(|event| event.as_str()).collect();
            // One value, so that the statement is the same for any number of types.
            all.add("e.type IN (SELECT value FROM json_each(?))", [serde_json::json!(names).to_string()]);
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

/// The events after a position, up to another.
#[derive(Debug, Clone, Copy)]
struct PositionSpan {
    after: u64,
    until: u64,
}

fn as_integer(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

impl EventFilter {
    /// Returns whether events may have to be passed by to find those that match.
    fn passes_by(&self) -> bool {
        let Self { conference, target, person, types, from, until, .. } = self;
        conference.is_some()
            || target.is_some()
            || person.is_some()
            || !types.is_empty()
            || from.is_some()
            || until.is_some()
    }
}

impl StoreReader {
    /// Returns a page of the log that a filter selects. At most `LOOKED_THROUGH` events are looked through for it, so it may
    /// hold fewer than the limit, even none, before the end of the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn log(&self, filter: &EventFilter) -> Result<LogPage, StoreError> {
        self.log_among(filter, LOOKED_THROUGH)
    }

    fn log_among(&self, filter: &EventFilter, most: u64) -> Result<LogPage, StoreError> {
        // First, so that what is told meanwhile is on the next page.
        let last = self.last_position()?;
        let all = PositionSpan {
            after: filter.after,
            until: filter.before.map_or(last, |before| last.min(before.saturating_sub(1))),
        };
        let span = if filter.passes_by() { self.part(all, most, filter.newest)? } else { all };
        let conditions = FilterSql::of(filter, span);
        let order = if filter.newest { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT e.position, e.id, e.body, e.taken_back_by FROM events e WHERE {} ORDER BY e.position {order} LIMIT ?",
            conditions.sql.join(" AND "),
        );
        let limit = Value::from(i64::try_from(filter.limit).unwrap_or(i64::MAX));
        let mut statement = self.connection().prepare_cached(&sql)?;
        let values = conditions.values.into_iter().chain([limit]);
        let mut rows = Self::log_rows(statement.query(params_from_iter(values))?)?;
        if filter.newest {
            rows.reverse();
        }
        let is_full = rows.len() >= filter.limit;
        let next = match rows.last() {
            _ if filter.newest => filter.after.max(last),
            Some(row) if is_full => row.position,
            _ => filter.after.max(span.until),
        };
        let before = (filter.newest && !is_full && span.after > all.after).then_some(span.after + 1);
        Ok(LogPage { rows, next, before })
    }

    /// Returns the first part of a span that has at most so many events, or the last part. Positions are given in order, so a
    /// part of so many positions has no more events. The search begins at an event that is there: many may be deleted.
    fn part(&self, span: PositionSpan, most: u64, newest: bool) -> Result<PositionSpan, StoreError> {
        let found = if newest { "max" } else { "min" };
        let mut statement = self
            .connection()
            .prepare_cached(&format!("SELECT {found}(position) FROM events WHERE position > ?1 AND position <= ?2"))?;
        let found: Option<i64> =
            statement.query_row([as_integer(span.after), as_integer(span.until)], |row| row.get(0))?;
        let Some(found) = found.map(u64::try_from).transpose().map_err(|_| StoreError::Unreadable("position"))? else {
            return Ok(span);
        };
        Ok(if newest {
            PositionSpan { after: span.after.max(found.saturating_sub(most)), ..span }
        } else {
            PositionSpan { until: span.until.min((found - 1).saturating_add(most)), ..span }
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::store::sqlite::Db;

    /// A log of so many events, every hundredth of which is a gap, without its first and its middle third.
    fn log(events: u64) -> Db {
        let db = Db::in_memory(Timestamp::UNIX_EPOCH).unwrap();
        let gap = |position: u64| if position.is_multiple_of(100) { "watch.gap" } else { "webhook.test" };
        for position in 1..=events {
            let insert = "INSERT INTO events (id, type, conference, time, observed_at, provenance, source, n, body)
                          VALUES (?1, ?2, 0, 0, 0, 'observed', 'google', 0, '{}')";
            db.connection()
                .prepare_cached(insert)
                .unwrap()
                .execute([format!("evt_{position}"), gap(position).to_owned()])
                .unwrap();
        }
        let third = events / 3;
        db.connection()
            .execute("DELETE FROM events WHERE position <= ?1 AND position % 7 <> 0", [as_integer(third)])
            .unwrap();
        db
    }

    fn gaps() -> EventFilter {
        EventFilter { types: vec![crate::model::EventType::WatchGap], limit: 3, ..EventFilter::default() }
    }

    #[test]
    fn a_page_looks_through_a_bounded_part_of_the_log_and_the_pages_together_find_all() {
        let db = log(3000);
        let whole = db.log_among(&EventFilter { limit: 1000, ..gaps() }, u64::MAX).unwrap();
        assert_eq!((whole.rows.len(), whole.next), (21, 3000));
        let (mut found, mut filter, mut pages) = (Vec::new(), gaps(), 0);
        loop {
            let page = db.log_among(&filter, 50).unwrap();
            assert!(page.rows.len() <= 1, "no more are among 50 positions");
            pages += 1;
            found.extend(page.rows);
            if page.next == filter.after {
                break;
            }
            assert!(page.next > filter.after);
            filter.after = page.next;
        }
        assert_eq!((found, filter.after), (whole.rows, 3000));
        assert!(pages > 3000 / 60, "{pages}");
    }

    #[test]
    fn the_newest_page_says_where_older_events_are_looked_for() {
        let db = log(3000);
        let mut filter = EventFilter { newest: true, ..gaps() };
        let page = db.log_among(&filter, 50).unwrap();
        assert_eq!((page.rows.len(), page.next, page.before), (1, 3000, Some(2951)));
        filter.before = page.before;
        let older = db.log_among(&filter, 50).unwrap();
        assert_eq!((older.rows.len(), older.next, older.before), (0, 3000, Some(2901)));
        filter.before = Some(1);
        assert_eq!(db.log_among(&filter, 50).unwrap().before, None);
    }

    #[test]
    fn limits_and_types_are_values_of_one_statement() {
        let db = log(300);
        let statements = |filter: &EventFilter| FilterSql::of(filter, PositionSpan { after: 0, until: 9 }).sql;
        let more = EventFilter { types: crate::model::EventType::ALL.to_vec(), limit: 5, ..gaps() };
        assert_eq!(statements(&gaps()), statements(&more));
        assert_eq!(db.log(&more).unwrap().rows.len(), 5);
    }
}
