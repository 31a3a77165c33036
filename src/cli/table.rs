//! A table for a terminal: columns as wide as their longest cell, and nothing in it that acts.

use crate::model::text::for_terminal;

/// Renders a table. Cells are made harmless here; nothing before needs to.
pub(super) fn render(columns: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = columns.iter().map(|column| column.to_uppercase().replace('_', " ")).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| for_terminal(cell)).collect()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(&rows).collect();
    let width = |column: usize| lines.iter().map(|line| length(line.get(column))).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    lines.iter().map(|line| render_line(line, &widths)).collect()
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
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "long enough"], ["longer", "b"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(render(&["one", "two_b"], &rows), "ONE     TWO B\na       long enough\nlonger  b\n");
    }
}
