//! Where the statements of a TOML text stand, and the items of its arrays and inline tables.
//!
//! It reads texts that the parser has taken, so it cuts them and checks nothing. Whatever it makes of a text
//! that it does not understand is found out afterwards, as every result is compared with what was asked.

use std::ops::Range;

/// One part of a dotted key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// Without quotes.
    pub(super) name: String,
    /// With its quotes.
    pub(super) span: Range<usize>,
}

/// What a statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[a.b]`
    Table,
    /// `[[a.b]]`
    Element,
    /// `a.b = value`; where the value stands.
    Pair(Range<usize>),
}

/// A header or a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) kind: Kind,
    pub(super) key: Vec<Segment>,
    /// Its lines, with blanks before and the comment and the newline behind.
    pub(super) lines: Range<usize>,
}

/// What stands between the brackets of an array or an inline table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Items {
    pub(super) items: Vec<Item>,
    /// Between the last item and the closing bracket.
    pub(super) rest: Range<usize>,
}

/// One item, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Blanks, newlines and comments before it.
    pub(super) lead: Range<usize>,
    /// The item itself.
    pub(super) span: Range<usize>,
    /// Between the item and its comma.
    pub(super) gap: Range<usize>,
    pub(super) has_comma: bool,
    /// The comment behind it, on its line.
    pub(super) tail: Range<usize>,
}

/// All statements of a document, in their order.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.take("\u{feff}");
    let mut found = Vec::new();
    loop {
        cursor.trivia();
        if cursor.byte().is_none() {
            return found;
        }
        let begin = cursor.line_start();
        let (kind, key) = cursor.statement();
        cursor.line();
        found.push(Statement {
            kind,
            key,
            lines: begin..cursor.at,
        });
    }
}

/// The items of an array or an inline table, whose text begins and ends with its brackets.
pub(super) fn items(text: &str) -> Items {
    let mut cursor = Cursor { text, at: 1 };
    let mut items = Vec::new();
    loop {
        let lead = cursor.at;
        cursor.trivia();
        let begin = cursor.at;
        if matches!(cursor.byte(), None | Some(b']' | b'}' | b',')) {
            return Items {
                items,
                rest: lead..begin,
            };
        }
        let span = cursor.value();
        cursor.at = span.end;
        cursor.trivia();
        let has_comma = cursor.byte() == Some(b',');
        let gap = if has_comma {
            let gap = span.end..cursor.at;
            cursor.at += 1;
            gap
        } else {
            cursor.at = span.end;
            span.end..span.end
        };
        let behind = cursor.at;
        cursor.blanks();
        if cursor.byte() == Some(b'#') {
            cursor.comment();
        } else {
            cursor.at = behind;
        }
        items.push(Item {
            lead: lead..begin,
            span,
            gap,
            has_comma,
            tail: behind..cursor.at,
        });
    }
}

/// The comments of a text.
pub(super) fn comments(text: &str) -> Vec<&str> {
    let mut cursor = Cursor { text, at: 0 };
    let mut found = Vec::new();
    while let Some(byte) = cursor.byte() {
        match byte {
            b'"' | b'\'' => cursor.string(),
            b'#' => {
                let begin = cursor.at;
                cursor.comment();
                found.extend(text.get(begin..cursor.at));
            }
            _ => cursor.at += 1,
        }
    }
    found
}

/// The key of a pair and where its value stands, in the text of the pair alone.
pub(super) fn pair(text: &str) -> (Vec<Segment>, Range<usize>) {
    let mut cursor = Cursor { text, at: 0 };
    let key = cursor.key();
    cursor.take("=");
    cursor.blanks();
    let value = cursor.value();
    (key, value)
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl Cursor<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Goes on while the bytes are like this.
    fn skip(&mut self, like: impl Fn(u8) -> bool) {
        while self.byte().is_some_and(&like) {
            self.at += 1;
        }
    }

    fn take(&mut self, text: &str) -> bool {
        let is_there = self.rest().starts_with(text);
        if is_there {
            self.at += text.len();
        }
        is_there
    }

    fn blanks(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// To the end of the line, before its newline.
    fn comment(&mut self) {
        self.skip(|byte| byte != b'\n');
        let text = self.text.as_bytes();
        if self.byte().is_some() && self.at > 0 && text.get(self.at - 1) == Some(&b'\r') {
            self.at -= 1;
        }
    }

    /// Past the end of the line.
    fn line(&mut self) {
        self.skip(|byte| byte != b'\n');
        self.take("\n");
    }

    fn line_start(&self) -> usize {
        let before = self.text.get(..self.at).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let mark = before.get(start..).unwrap_or_default();
        if mark.starts_with('\u{feff}') {
            start + '\u{feff}'.len_utf8()
        } else {
            start
        }
    }

    /// Past blanks, newlines and comments.
    fn trivia(&mut self) {
        loop {
            self.skip(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
            if self.byte() != Some(b'#') {
                return;
            }
            self.line();
        }
    }

    fn statement(&mut self) -> (Kind, Vec<Segment>) {
        if self.take("[[") {
            return (Kind::Element, self.key());
        }
        if self.take("[") {
            return (Kind::Table, self.key());
        }
        let key = self.key();
        self.take("=");
        self.blanks();
        (Kind::Pair(self.value()), key)
    }

    fn key(&mut self) -> Vec<Segment> {
        let mut segments = Vec::new();
        loop {
            self.blanks();
            let begin = self.at;
            match self.byte() {
                Some(b'"' | b'\'') => self.string(),
                _ => self.skip(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')),
            }
            let span = begin..self.at;
            let written = self.text.get(span.clone()).unwrap_or_default();
            segments.push(Segment {
                name: unquoted(written),
                span,
            });
            self.blanks();
            if !self.take(".") {
                return segments;
            }
        }
    }

    /// Past a string of any of the four sorts.
    fn string(&mut self) {
        let Some(quote) = self.byte() else { return };
        let escapes = quote == b'"';
        let three = if escapes { "\"\"\"" } else { "'''" };
        let is_long = self.take(three);
        if !is_long {
            self.at += 1;
        }
        loop {
            match self.byte() {
                None => return,
                Some(b'\\') if escapes => self.at += 2,
                Some(byte) if byte == quote => {
                    if !is_long {
                        self.at += 1;
                        return;
                    }
                    if self.take(three) {
                        // Up to two quotes may stand before the three that close.
                        self.at += usize::from(self.byte() == Some(quote));
                        self.at += usize::from(self.byte() == Some(quote));
                        return;
                    }
                    self.at += 1;
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// Past a value, or a pair in an inline table: up to what ends it. Blanks behind it are left out.
    fn value(&mut self) -> Range<usize> {
        let begin = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.byte() {
            match byte {
                b']' | b'}' | b',' | b'\n' | b'#' if depth == 0 => break,
                b'"' | b'\'' => {
                    self.string();
                    continue;
                }
                b'#' => {
                    self.line();
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        let written = self.text.get(begin..self.at).unwrap_or_default();
        begin..begin + written.trim_end().len()
    }
}

fn unquoted(written: &str) -> String {
    if !written.starts_with(['"', '\'']) {
        return written.to_owned();
    }
    let keys = toml_edit::Key::parse(written).unwrap_or_default();
    keys.first()
        .map_or_else(|| written.to_owned(), |key| key.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'t>(text: &'t str, span: &Range<usize>) -> &'t str {
        text.get(span.clone()).unwrap()
    }

    fn names(key: &[Segment]) -> Vec<&str> {
        key.iter().map(|segment| segment.name.as_str()).collect()
    }

    #[test]
    fn statements_are_found_whatever_their_values_hold() {
        let text = "\u{feff}# top\na = \"x ] # \\\" y\" # c\r\n  b.'c d'.\"e\\\"f\" = [ # ]\n 1, ']', ]\n\
                    s = \"\"\"a\n[no]\n\"\"\"\"\nl = '''\n[[no]]\n'''\n[ t . \"u.v\" ] # [x]\n[[w]]\nd = 2026-01-01";
        let found = statements(text);
        let keys: Vec<_> = found.iter().map(|found| names(&found.key)).collect();
        assert_eq!(
            keys,
            [
                vec!["a"],
                vec!["b", "c d", "e\"f"],
                vec!["s"],
                vec!["l"],
                vec!["t", "u.v"],
                vec!["w"],
                vec!["d"],
            ]
        );
        let values: Vec<_> = found
            .iter()
            .filter_map(|found| match &found.kind {
                Kind::Pair(value) => Some(at(text, value)),
                _ => None,
            })
            .collect();
        assert_eq!(values[0], "\"x ] # \\\" y\"");
        assert_eq!(values[1], "[ # ]\n 1, ']', ]");
        assert_eq!(values[2], "\"\"\"a\n[no]\n\"\"\"\"");
        assert_eq!(values[4], "2026-01-01");
        assert_eq!(at(text, &found[0].lines), "a = \"x ] # \\\" y\" # c\r\n");
        assert_eq!(at(text, &found[6].lines), "d = 2026-01-01");
    }

    #[test]
    fn items_keep_what_stands_around_them() {
        let text = "[ # first\n  'a', # of a\n  { b = [1, 2] } # of b\n  , \"c\"# of c\n # rest\n]";
        let found = items(text);
        let parts: Vec<_> = found
            .items
            .iter()
            .map(|item| (at(text, &item.span), item.has_comma, at(text, &item.tail)))
            .collect();
        assert_eq!(
            parts,
            [
                ("'a'", true, " # of a"),
                ("{ b = [1, 2] }", true, ""),
                ("\"c\"", false, "# of c"),
            ]
        );
        assert_eq!(at(text, &found.items[0].lead), " # first\n  ");
        assert_eq!(at(text, &found.items[1].gap), " # of b\n  ");
        assert_eq!(at(text, &found.rest), "\n # rest\n");
        assert_eq!(items("[]").items, []);
        let (key, value) = pair("a . b = \"x\"");
        assert_eq!(names(&key), ["a", "b"]);
        assert_eq!(value, 8..11);
    }
}
