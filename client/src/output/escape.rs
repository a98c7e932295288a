//! Text from disk made safe for a terminal: no control character, no direction override, no line
//! break reaches it. Every text that somebody else wrote passes through here before it is printed.

use std::borrow::Cow;

/// Whether a character could move the cursor, break the line or reorder the text around it.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// Whether there are only letters, digits, marks and blanks of ASCII, as in most texts.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The text with every unsafe character spelled out, such as `\n` or `\u{1b}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if is_plain(text) || !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if is_unsafe(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// The text on one line: runs of white space become one space, then as [`escape`].
pub(crate) fn one_line(text: &str) -> String {
    if is_plain(text) && text.trim().len() == text.len() && !text.contains("  ") {
        return text.to_owned();
    }
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&escape(word));
    }
    line
}

/// The text for a page of prose: lines and tabs stay, everything else unsafe is spelled out.
pub(crate) fn paragraph(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            safe.push('\n');
        }
        for (index, part) in line.split('\t').enumerate() {
            if index > 0 {
                safe.push('\t');
            }
            safe.push_str(&escape(part));
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unsafe_comes_through() {
        for (text, safe) in [
            ("plain name", "plain name"),
            ("ünï 字", "ünï 字"),
            ("a\nb", "a\\nb"),
            ("a\tb\r", "a\\tb\\r"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("evil\u{202e}txt", "evil\\u{202e}txt"),
            ("\u{7f}\0", "\\u{7f}\\u{0}"),
        ] {
            assert_eq!(escape(text), safe);
        }
    }

    #[test]
    fn prose_becomes_one_line() {
        assert_eq!(one_line("  first\n  second\t third "), "first second third");
        assert_eq!(one_line("a\u{1b}[2J\nb"), "a\\u{1b}[2J b");
        assert_eq!(paragraph("a\u{7}\n\tb"), "a\\u{7}\n\tb");
    }
}
