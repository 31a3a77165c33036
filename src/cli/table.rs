//! Tables for a terminal. Columns are as wide as their longest cell, and control characters in a cell are escaped.

use serde_json::Value;

use crate::model::text::for_terminal;

/// A column of a table of JSON rows: its title, and the JSON pointer of its value in a row.
pub(super) type Column = (&'static str, &'static str);

/// Renders a table of JSON rows.
pub(super) fn render_rows(rows: &[Value], columns: &[Column]) -> String {
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    let cells = |row: &Value| columns.iter().map(|(_, at)| cell(row.pointer(at).unwrap_or(&Value::Null))).collect();
    render(&titles, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// Renders a table. Escapes the cells, so its callers need not.
pub(super) fn render(columns: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = columns.iter().map(|column| column.to_uppercase().replace('_', " ")).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| for_terminal(cell)).collect()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(&rows).collect();
    let width = |column: usize| lines.iter().map(|line| length(line.get(column))).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    lines.iter().map(|line| render_line(line, &widths)).collect()
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

fn render_line(line: &[String], widths: &[usize]) -> String {
    let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    let text = cells.collect::<Vec<_>>().join("  ");
    format!("{}\n", text.trim_end())
}

fn length(cell: Option<&String>) -> usize {
    cell.map_or(0, |cell| cell.chars().count())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "long enough"], ["longer", "b"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(render(&["one", "two_b"], &rows), "ONE     TWO B\na       long enough\nlonger  b\n");
    }

    #[test]
    fn rows_show_missing_values_and_escape_control_characters() {
        let rows = [json!({"a": "x\u{7}", "b": {"c": 1}}), json!({"a": null, "d": true})];
        let table = render_rows(&rows, &[("a", "/a"), ("c", "/b/c"), ("d", "/d")]);
        assert_eq!(table, "A       C  D\nx\\u{7}  1  -\n-       -  yes\n");
    }

    #[test]
    fn one_thing_is_counted_in_the_singular() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "event", "events")), ["0 events", "1 event", "2 events"]);
    }
}
