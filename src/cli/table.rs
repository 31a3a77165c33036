//! Tables for a terminal, and CSV. Columns are as wide as their longest cell, as far as the terminal is wide enough, and
//! control characters in a cell are escaped.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::model::text::{for_csv, for_terminal};

/// Between two columns.
const GAP: &str = "  ";

/// No column is cut to less, or to less than its title.
const MIN_WIDTH: usize = 6;

/// The first columns, which are cut but never left out.
const MIN_COLUMNS: usize = 2;

/// A column of a table of JSON rows: its title, and the JSON pointer of its value in a row.
pub(super) type Column = (&'static str, &'static str);

/// Renders a table of JSON rows, at most `width` columns of the terminal wide where its titles allow it. The last column of
/// the table is cut first; if that is not enough, it is left out.
pub(super) fn render_rows(rows: &[Value], columns: &[Column], width: usize) -> String {
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    let value = |row: &Value, at: &str| short(cell(row.pointer(at).unwrap_or(&Value::Null)));
    let cells = |row: &Value| columns.iter().map(|(_, at)| value(row, at)).collect();
    render(&titles, &rows.iter().map(cells).collect::<Vec<_>>(), width)
}

/// Renders a table as [`render_rows`] does. Escapes the cells, so its callers need not.
pub(super) fn render(columns: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let head: Vec<String> = columns.iter().map(|column| title(column)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| for_terminal(cell)).collect()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(&rows).collect();
    let widest = |column: usize| lines.iter().map(|line| line.get(column).map_or(0, |cell| cell.width())).max();
    let mut widths: Vec<usize> = (0..columns.len()).map(|column| widest(column).unwrap_or(0)).collect();
    for column in (0..columns.len()).rev() {
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        let over = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
        let least = widths[column].min(head[column].width().max(MIN_WIDTH));
        if widths[column] - least < over && column >= MIN_COLUMNS {
            widths.truncate(column);
        } else {
            widths[column] = widths[column].saturating_sub(over).max(least);
        }
    }
    lines.iter().map(|line| render_line(line, &widths)).collect()
}

/// Renders JSON rows as CSV (RFC 4180), values whole.
pub(super) fn csv_rows(rows: &[Value], columns: &[Column]) -> String {
    let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect::<Vec<_>>().join(",");
    let lines = rows.iter().map(|row| csv_line(row, columns));
    std::iter::once(titles).chain(lines).collect::<Vec<_>>().join("\r\n")
}

/// Renders one JSON row as a line of CSV, without its end.
pub(super) fn csv_line(row: &Value, columns: &[Column]) -> String {
    columns.iter().map(|(_, at)| csv_cell(row.pointer(at))).collect::<Vec<_>>().join(",")
}

/// Returns a cell of a CSV; an unknown value is empty.
pub(super) fn csv_cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::Number(number)) => number.to_string(),
        Some(value) => for_csv(&cell(value)),
    }
}

/// Returns a JSON value as a table shows it. Not escaped.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Returns a number with its noun, such as "1 event" or "2 events".
pub(super) fn counted(number: u64, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

fn title(column: &str) -> String {
    column.to_uppercase().replace('_', " ")
}

/// Returns a time as a table shows it, `2026-01-05 10:00:02Z`, and any other text as it is.
fn short(text: String) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => date_and_time(time),
        Err(_) => text,
    }
}

/// Returns a time to the second, in UTC: `2026-01-05 10:00:02Z`.
pub(super) fn date_and_time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn render_line(line: &[String], widths: &[usize]) -> String {
    let cells = line.iter().zip(widths).map(|(cell, width)| fit(cell, *width));
    format!("{}\n", cells.collect::<Vec<_>>().join(GAP).trim_end())
}

/// Pads or cuts an escaped text to exactly `width` columns of the terminal; a cut text ends in an ellipsis.
pub(super) fn fit(text: &str, width: usize) -> String {
    let fits = text.width() <= width;
    let room = if fits { width } else { width.saturating_sub(1) };
    let (mut out, mut used) = (String::with_capacity(width), 0);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide > room {
            break;
        }
        used += wide;
        out.push(c);
    }
    if !fits && width > 0 {
        out.push('…');
        used += 1;
    }
    out.extend(std::iter::repeat_n(' ', width - used));
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "long enough"], ["longer", "b"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(render(&["one", "two_b"], &rows, 80), "ONE     TWO B\na       long enough\nlonger  b\n");
    }

    #[test]
    fn rows_show_missing_values_and_escape_control_characters() {
        let rows = [json!({"a": "x\u{7}", "b": {"c": 1}}), json!({"a": null, "d": true})];
        let table = render_rows(&rows, &[("a", "/a"), ("c", "/b/c"), ("d", "/d")], 80);
        assert_eq!(table, "A       C  D\nx\\u{7}  1  -\n-       -  yes\n");
    }

    #[test]
    fn a_table_fits_its_width_and_cuts_its_last_columns_first() {
        let rows = [["日本語".repeat(10), "short".to_owned(), "x".repeat(100)].to_vec()];
        for width in [40, 60, 80] {
            let table = render(&["name", "state", "conference"], &rows, width);
            assert!(table.lines().all(|line| line.width() <= width), "{width}: {table}");
            assert!(table.contains("short") && table.contains("x…") == (width == 80), "{table}");
        }
        let wide = render(&["name", "state", "conference"], &rows, 80);
        assert!(wide.contains(&"日本語".repeat(10)), "{wide}");
        // The titles of the first columns stay whole.
        assert!(render(&["name", "state", "conference"], &rows, 1).starts_with("NAME    STATE\n"));
    }

    #[test]
    fn times_are_short_in_a_table_and_whole_in_csv() {
        let rows = [json!({"at": "2026-01-05T10:00:02.123456Z", "name": "=1+1", "n": 7, "none": null})];
        let columns = [("at", "/at"), ("name", "/name"), ("n", "/n"), ("none", "/none")];
        assert!(render_rows(&rows, &columns, 80).contains("2026-01-05 10:00:02Z  =1+1"));
        let csv = csv_rows(&rows, &columns);
        assert_eq!(csv, "at,name,n,none\r\n\"2026-01-05T10:00:02.123456Z\",\"'=1+1\",7,");
    }

    #[test]
    fn one_thing_is_counted_in_the_singular() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "event", "events")), ["0 events", "1 event", "2 events"]);
    }
}
