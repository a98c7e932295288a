//! TOML documents as all our files need them: a syntax error has a line, a value has a line and becomes
//! JSON, and a date without quotes is the same text as one with quotes.

use std::fmt;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};
use toml_edit::{Item, TableLike};

/// Why a text is no TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong. Lower-case start, no full stop.
    pub message: String,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Tells the line of a byte of a text.
#[derive(Debug)]
pub(crate) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            starts: ends.map(|(at, _)| at + 1).collect(),
        }
    }

    /// The line of the byte at this offset, from 1.
    pub(crate) fn at(&self, offset: usize) -> u32 {
        let before = self.starts.partition_point(|start| *start <= offset);
        u32::try_from(before)
            .unwrap_or(u32::MAX - 1)
            .saturating_add(1)
    }

    pub(crate) fn start(&self, span: &Range<usize>) -> u32 {
        self.at(span.start)
    }
}

/// Parses a document.
pub(crate) fn parse<'a>(
    text: &'a str,
    lines: &Lines,
) -> std::result::Result<Spanned<DeTable<'a>>, SyntaxError> {
    DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        SyntaxError {
            message: one_line(error.message()),
            line: lines.at(at),
        }
    })
}

/// The error that a text with these bytes can't be parsed for, if they are no UTF-8.
pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<&str, SyntaxError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        SyntaxError {
            message: "the file is not UTF-8".to_owned(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
        }
    })
}

/// Makes one line of a message of the TOML crates, spelled like ours.
pub(crate) fn one_line(message: &str) -> String {
    let joined = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let text = joined.collect::<Vec<_>>().join(", ");
    let mut letters = text.chars();
    let lower: String = letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default();
    lower.trim_end_matches('.').to_owned()
}

/// What a value is called in messages.
pub(crate) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// An integer, if it fits into 64 bits.
pub(crate) fn integer(value: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(value.as_str(), value.radix()).ok()
}

/// The value as JSON, keys in the order of the file. Dates, and numbers that JSON has no place for, become
/// their text.
pub(crate) fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.as_ref().to_owned()),
        DeValue::Integer(number) => integer(number).map_or_else(
            || Value::String(number.to_string()),
            |number| Value::Number(number.into()),
        ),
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(|| Value::String(number.to_string()), Value::Number),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| to_json(item.get_ref())).collect())
        }
        DeValue::Table(table) => Value::Object(table_to_json(table)),
    }
}

/// A table as JSON, keys in the order of the file.
pub(crate) fn table_to_json(table: &DeTable<'_>) -> Map<String, Value> {
    in_order(table)
        .into_iter()
        .map(|(key, value)| (key.get_ref().as_ref().to_owned(), to_json(value.get_ref())))
        .collect()
}

type Pair<'t, 'a> = (
    &'t Spanned<std::borrow::Cow<'a, str>>,
    &'t Spanned<DeValue<'a>>,
);

/// The pairs of a table in the order of the file.
pub(crate) fn in_order<'t, 'a>(table: &'t DeTable<'a>) -> Vec<Pair<'t, 'a>> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

/// Puts a value into a table that is being edited; the comment behind an old one stays.
pub(crate) fn put(table: &mut dyn TableLike, name: &str, mut value: toml_edit::Value) {
    if let Some(item) = table.get_mut(name) {
        if let Some(old) = item.as_value() {
            *value.decor_mut() = old.decor().clone();
        }
        *item = Item::Value(value);
        return;
    }
    table.insert(name, Item::Value(value));
}

/// The text of an edited document with the byte order mark and the line ends that it had: the editor keeps
/// neither. A text with both sorts of line ends keeps the shorter one only.
pub(crate) fn restore(before: &str, after: &str) -> String {
    let mark = if before.starts_with('\u{feff}') && !after.starts_with('\u{feff}') {
        "\u{feff}"
    } else {
        ""
    };
    let newlines = before.matches('\n').count();
    let foreign = newlines > 0 && before.matches("\r\n").count() == newlines;
    let ends = if foreign {
        after.replace("\r\n", "\n").replace('\n', "\r\n")
    } else {
        after.to_owned()
    };
    format!("{mark}{ends}")
}

/// A text as a TOML string on one line, with the escapes that every TOML parser knows.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => {
                let number = u32::from(control);
                let digits =
                    [12, 8, 4, 0].map(|shift| char::from_digit((number >> shift) & 15, 16));
                quoted.push_str("\\u");
                quoted.extend(digits.into_iter().flatten());
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        let lines = Lines::of("a\nb\n\nc");
        let at: Vec<u32> = (0..6).map(|offset| lines.at(offset)).collect();
        assert_eq!(at, [1, 1, 2, 2, 3, 4]);
        assert_eq!(Lines::of("").at(0), 1);
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let text = "a = 1\nb = [1,\nc = \"x";
        let error = parse(text, &Lines::of(text)).unwrap_err();
        assert!(error.line >= 2, "{error}");
        assert!(!error.message.contains('\n'));
        assert_eq!(decode(b"a\nb\xff").unwrap_err().line, 2);
    }

    #[test]
    fn every_value_has_a_json_form() {
        let text = "z = 0x10\na = 1.5\nbig = 1_000\ninf = inf\nd = 2026-01-02T03:04:05\n\
                    day = 2026-01-02\nt = { b = true, a = [1, \"x\"] }\nhuge = 99999999999999999999\n";
        let table = parse(text, &Lines::of(text)).unwrap();
        let json = Value::Object(table_to_json(table.get_ref()));
        assert_eq!(
            json.to_string(),
            r#"{"z":16,"a":1.5,"big":1000,"inf":"inf","d":"2026-01-02T03:04:05","day":"2026-01-02","t":{"b":true,"a":[1,"x"]},"huge":"99999999999999999999"}"#
        );
    }

    #[test]
    fn quoted_texts_are_read_back() {
        for text in [
            "",
            "a \"b\" \\c",
            "a\nb\r\tc",
            "\u{0}\u{7f}\u{85}é",
            "'''\"\"\"",
        ] {
            let document = format!("a = {}", quote(text));
            assert!(!document.contains('\n'));
            let table = parse(&document, &Lines::of(&document)).unwrap();
            assert_eq!(
                table.get_ref().get("a").unwrap().get_ref().as_str(),
                Some(text)
            );
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_crash() {
        let text = format!("a = {}", "[".repeat(100_000));
        assert!(parse(&text, &Lines::of(&text)).is_err());
        let dotted = "a.".repeat(100_000);
        for text in [
            format!("{dotted}a = 1"),
            format!("[{dotted}a]"),
            format!("x = {{ {dotted}a = 1 }}"),
        ] {
            assert!(parse(&text, &Lines::of(&text)).is_err());
        }
    }
}
