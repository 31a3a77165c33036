//! Text that strangers wrote, made harmless for the place where it is shown.

/// Makes text safe for a terminal: control characters and those that turn the writing direction become `\u{…}`.
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

/// Characters that are invisible and change how others are shown (Unicode's bidirectional controls, zero-width
/// characters, line separators and tags).
const fn is_format_control(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_sequence_does_not_reach_the_terminal() {
        assert_eq!(for_terminal("\u{1b}[31mAda\u{202e}"), "\\u{1b}[31mAda\\u{202e}");
        assert_eq!(for_terminal("Zoë 日本"), "Zoë 日本");
    }
}
