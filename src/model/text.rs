//! Escaping of text that strangers wrote, such as display names, for the place where it is shown.

/// Escapes text for a terminal: control characters and those that change the writing direction become `\u{…}`.
#[must_use]
pub fn for_terminal(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() || is_format_control(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        out
    })
}

/// Escapes what [`for_terminal`] escapes in a JSON document, as JSON does: `\u202e`. The value stays the same.
#[must_use]
pub fn for_json(document: &str) -> String {
    document.chars().fold(String::with_capacity(document.len()), |mut out, c| {
        // Below U+0020 a document has only the white space between its tokens, and such characters only within strings.
        if c >= ' ' && (c.is_control() || is_format_control(c)) {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
        out
    })
}

/// Escapes text as a cell of a CSV file (RFC 4180) that no spreadsheet takes for a formula: always quoted, on one line, and
/// with an apostrophe before what would begin a formula.
///
/// Source: OWASP, "CSV Injection".
#[must_use]
pub fn for_csv(text: &str) -> String {
    let acts = text.trim_start().starts_with(begins_formula);
    // Some spreadsheets also take a cell for a formula that begins with a tab or a line break.
    let acts = acts || text.starts_with(char::is_control);
    let mut cell = String::with_capacity(text.len() + 3);
    cell.push('"');
    if acts {
        cell.push('\'');
    }
    // A spreadsheet that takes another separator than the comma begins a cell after it, whatever the quotes say.
    let mut after_separator = false;
    for c in text.chars() {
        if after_separator && begins_formula(c) {
            cell.push('\'');
        }
        after_separator =
            matches!(c, ';' | '|') || after_separator && (c.is_whitespace() || c.is_control() || c == '"');
        match c {
            '"' => cell.push_str("\"\""),
            c if c.is_control() => cell.push(' '),
            c => cell.push(c),
        }
    }
    cell.push('"');
    cell
}

fn begins_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')
}

/// Returns whether a character is invisible and changes how others are shown: Unicode's bidirectional controls, zero-width
/// characters, line separators and tags.
const fn is_format_control(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_each_is_one_cell() {
        for (text, cell) in [
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("+41 44", "\"'+41 44\""),
            ("-1+2", "\"'-1+2\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"' =1\""),
            ("\r=1", "\"' =1\""),
            ("\n1", "\"' 1\""),
            ("  =1", "\"'  =1\""),
            ("＝1", "\"'＝1\""),
            ("Ada, \"Countess\"\r\nLovelace", "\"Ada, \"\"Countess\"\"  Lovelace\""),
            ("a=b; c", "\"a=b; c\""),
            ("x;=1+1", "\"x;'=1+1\""),
            ("x; \t@SUM(A1)|-1", "\"x;  '@SUM(A1)|'-1\""),
            ("x;\"=1+1\"", "\"x;\"\"'=1+1\"\"\""),
            ("", "\"\""),
        ] {
            assert_eq!(for_csv(text), cell);
        }
    }

    #[test]
    fn an_escape_sequence_does_not_reach_the_terminal() {
        assert_eq!(for_terminal("\u{1b}[31mAda\u{202e}"), "\\u{1b}[31mAda\\u{202e}");
        assert_eq!(for_terminal("\u{61c}\u{180e}\u{9b}31m"), "\\u{61c}\\u{180e}\\u{9b}31m");
        assert_eq!(for_terminal("Zoë 日本"), "Zoë 日本");
    }

    #[test]
    fn an_escape_sequence_in_json_does_not_reach_the_terminal_and_the_value_is_the_same() {
        let name = "Zoë\u{1b}[2J\u{7f}\u{85}\u{9b}31m\u{61c}\u{180e}\u{202e}\u{2066}\u{feff}\u{e0041}\t\n\"\\日本😀";
        let document = serde_json::json!({ name: [name, 1] });
        for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
            let escaped = for_json(&text);
            assert!(escaped.chars().all(|c| c == '\n' || for_terminal(&c.to_string()) == c.to_string()), "{escaped}");
            assert!(escaped.contains("\\u009b31m") && escaped.contains("\\udb40\\udc41"), "{escaped}");
            assert!(escaped.contains("日本😀") && escaped.contains("Zoë"), "{escaped}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), document);
        }
    }
}
