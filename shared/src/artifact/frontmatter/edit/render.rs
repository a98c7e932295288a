//! How new values are written: as the old one was, if that can hold them.

use serde_json::Value;

use super::super::load;
use super::locate::Form;

/// A text as a value in the form of the one before it. Lines of a block stand deeper than `indent`.
pub(super) fn scalar(value: &str, form: Form, indent: &str) -> String {
    if value.contains('\n') && form != Form::Double && fits_block(value) {
        return block(value, indent);
    }
    scalar_in(value, form, false)
}

/// A text on one line, in the form of the one before it.
pub(super) fn scalar_in(value: &str, form: Form, in_brackets: bool) -> String {
    match form {
        Form::Single if !value.chars().any(char::is_control) => {
            format!("'{}'", value.replace('\'', "''"))
        }
        Form::Single | Form::Double => double(value),
        _ if is_plain(value, in_brackets) => value.to_owned(),
        _ => double(value),
    }
}

/// A new item of a list; good inside of brackets, too.
pub(super) fn item(value: &str) -> String {
    scalar_in(value, Form::Plain, true)
}

fn double(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                quoted.extend(["\\u", &format!("{:04x}", u32::from(c))]);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a text means itself without quotes, to every reader of YAML: also to those for which `yes` is
/// true and `12:30` a number.
fn is_plain(value: &str, in_brackets: bool) -> bool {
    let odd = value.chars().any(char::is_control)
        || value.contains(": ")
        || value.contains(" #")
        || value.ends_with(':')
        || value.starts_with(['-', '?', ':', '.', '+', '~', '<', '='])
        || (in_brackets && value.contains([',', '[', ']', '{', '}', ':']));
    if odd || is_word_of_yaml(value) || looks_numeric(value) {
        return false;
    }
    load(&format!("k: {value}")).is_ok_and(|read| read.get("k") == Some(&Value::from(value)))
}

fn is_word_of_yaml(value: &str) -> bool {
    let words = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "none",
    ];
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Numbers, moments, and what some reader may take for one. Versions with two dots are none.
fn looks_numeric(value: &str) -> bool {
    let numeric = |c: char| c.is_ascii_hexdigit() || "._:+-xoXOTZ ".contains(c);
    let version =
        value.chars().all(|c| c.is_ascii_digit() || c == '.') && value.matches('.').count() > 1;
    value.starts_with(|c: char| c.is_ascii_digit()) && value.chars().all(numeric) && !version
}

/// Whether a literal block can hold a text as it is.
fn fits_block(value: &str) -> bool {
    let clean = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    value
        .chars()
        .all(|c| clean(c) && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{85}'))
        && !value.starts_with([' ', '\t', '\n'])
        && !value.ends_with([' ', '\t', '\n'])
}

fn block(value: &str, indent: &str) -> String {
    let mut text = String::from("|-");
    for line in value.split('\n') {
        text.push('\n');
        if !line.is_empty() {
            text.extend([indent, "  ", line]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_readers_may_take_for_others_are_quoted() {
        for plain in [
            "MIT",
            "1.2.0",
            "1.2.0-beta",
            "Ada Example",
            "a/b",
            "it's",
            "größe",
            "C++",
            "v1",
        ] {
            assert_eq!(scalar_in(plain, Form::Plain, false), plain);
        }
        for odd in [
            "1.10",
            "2",
            "yes",
            "No",
            "null",
            "~",
            "a: b",
            "a #b",
            "- a",
            "[a]",
            "{a}",
            "",
            " a",
            "a ",
            "12:30",
            "2026-01-01",
            "0x1f",
            "1e5",
            "&a",
            "*a",
            "!a",
            "@a",
            "%a",
            "\"a",
            "'a",
            "a:",
            "|",
            ">",
            ".5",
            "on",
        ] {
            assert!(scalar_in(odd, Form::Plain, false).starts_with('"'), "{odd}");
        }
        assert_eq!(item("a,b"), "\"a,b\"");
        assert_eq!(scalar_in("it's", Form::Single, false), "'it''s'");
        assert_eq!(scalar_in("a\tb", Form::Single, false), "\"a\\tb\"");
        assert_eq!(scalar("a\n\nb", Form::Plain, "  "), "|-\n    a\n\n    b");
        assert_eq!(scalar("a\nb", Form::Double, ""), "\"a\\nb\"");
    }
}
