//! Makes untrusted text safe for a chat message: no mentions, no links, no markup.
//!
//! Neither Slack's nor Google Chat's markup can escape its own characters, so each of them is replaced with a look-alike.

/// The length limit of a name in a sentence, in characters. Names are chosen by strangers.
const MAX_CHARS: usize = 80;

/// Returns text that is safe inside a chat message: one line of limited length, without markup, mentions, links, emoji codes,
/// invisible characters or changes of writing direction.
pub(super) fn harmless(text: &str) -> String {
    let shown: Vec<char> = text.chars().filter_map(visible).collect();
    let mut out = String::with_capacity(text.len());
    let mut space = true;
    let mut length = 0;
    for (at, c) in shown.iter().copied().enumerate() {
        if c == ' ' && space {
            continue;
        }
        if length == MAX_CHARS {
            out.truncate(out.trim_end().len());
            out.push('…');
            break;
        }
        space = c == ' ';
        length += 1;
        // Chats turn anything that looks like a host name into a link.
        let joins = |other: Option<&char>| other.is_some_and(|other| *other != ' ');
        let in_a_word = is_dot(c) && at > 0 && joins(shown.get(at - 1)) && joins(shown.get(at + 1));
        out.push(if in_a_word { '\u{2024}' } else { lookalike(c) });
    }
    out.truncate(out.trim_end().len());
    out
}

/// Returns a space for any white space, and nothing for an invisible character.
fn visible(c: char) -> Option<char> {
    match c {
        _ if c.is_whitespace() => Some(' '),
        _ if c.is_control() || is_invisible(c) => None,
        _ => Some(c),
    }
}

/// Matches zero-width characters, bidirectional controls, variation selectors, blank fillers, tags, and private use
/// characters, whose appearance depends on the font.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffc}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}'
    )
}

/// Matches the full stop and what host names treat as one: the ideographic, full-width, half-width, vertical and small ones.
///
/// Source: UTS #46, section 2.3, and the compatibility mappings of Unicode.
const fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{fe12}' | '\u{fe52}')
}

/// Replaces the markup characters of Slack, Google Chat, Discord, Teams and Markdown.
const fn lookalike(c: char) -> char {
    match c {
        '<' => '‹',
        '>' => '›',
        '&' => '＆',
        '@' => '＠',
        '#' => '＃',
        '*' => '∗',
        '_' => '＿',
        '~' => '∼',
        '`' => 'ˋ',
        '|' => '∣',
        ':' => '∶',
        '[' => '［',
        ']' => '］',
        '(' => '（',
        ')' => '）',
        '{' => '｛',
        '}' => '｝',
        '\\' => '＼',
        '/' => '∕',
        '!' => 'ǃ',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Markup characters of the chats.
    const ACTIVE: &[char] =
        &['<', '>', '&', '@', '#', '*', '_', '~', '`', '|', ':', '[', ']', '(', ')', '\\', '/', '!'];

    #[test]
    fn markup_in_a_name_is_shown_and_has_no_effect() {
        for (name, shown) in [
            ("<!channel>", "‹ǃchannel›"),
            ("<@U012AB3CD>", "‹＠U012AB3CD›"),
            ("@everyone", "＠everyone"),
            ("*bold* _it_ ~no~ `code`", "∗bold∗ ＿it＿ ∼no∼ ˋcodeˋ"),
            ("<https://evil.example|click>", "‹https∶∕∕evil․example∣click›"),
            ("see www.evil.example", "see www․evil․example"),
            ("evil\u{3002}com", "evil․com"),
            ("a\u{ff0e}evil\u{ff61}co\u{fe52}uk\u{fe12}x", "a․evil․co․uk․x"),
            (":wave:", "∶wave∶"),
            ("a\u{200b}b\u{202e}c\u{feff}d", "abcd"),
            ("line\nbreak\t\u{a0} and  spaces ", "line break and spaces"),
            ("[x](http://y)", "［x］（http∶∕∕y）"),
        ] {
            assert_eq!(harmless(name), shown);
        }
    }

    #[test]
    fn an_ordinary_name_is_unchanged() {
        for name in ["Ada Lovelace", "Dr. Zoë O'Brien-Smith", "日本 太郎", "محمد", "J. R. R. Tolkien", "👋 Sam"]
        {
            assert_eq!(harmless(name), name);
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        let cut = harmless(&"ab ".repeat(1000));
        assert!(cut.chars().count() <= MAX_CHARS + 1 && cut.ends_with('…'), "{cut}");
    }

    proptest! {
        #[test]
        fn no_markup_is_left(name in "\\PC{0,60}|[<>@*_~`|:a-z.!# \\n\u{200b}\u{202e}]{0,60}") {
            let text = harmless(&name);
            prop_assert!(!text.contains(ACTIVE), "{text}");
            prop_assert!(!text.chars().any(|c| c.is_control() || is_invisible(c)), "{text}");
            prop_assert!(text.trim() == text && !text.contains("  "), "{text}");
            let chars: Vec<char> = text.chars().collect();
            prop_assert!(!chars.windows(3).any(|w| w[1] == '.' && w[0] != ' ' && w[2] != ' ' && w[0] != '.' && w[2] != '.'));
        }

        #[test]
        fn a_second_pass_changes_nothing(name in "\\PC{0,100}") {
            let once = harmless(&name);
            prop_assert_eq!(harmless(&once), once);
        }
    }
}
