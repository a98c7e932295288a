//! Fields: who reads which, and what they may hold.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

use super::{Fix, Page, Report};
use crate::artifact::frontmatter::edit::Change;

/// Characters of a name.
const NAME: usize = 64;

/// Characters of a description.
const DESCRIPTION: usize = 1024;

/// Characters of a listing.
const LISTING: usize = 1536;

/// What a field may hold.
pub(super) enum Form {
    Text,
    Switch,
    /// A text or a list of texts.
    Texts,
    Table,
    /// A number from 1.
    Count,
    OneOf(&'static [&'static str]),
    Any,
}

/// The efforts that a model can be asked for.
pub(super) const EFFORTS: Form = Form::OneOf(&["low", "medium", "high", "xhigh", "max"]);

/// The text of a field, trimmed; nothing if it is no text or blank.
pub(super) fn text<'a>(page: &'a Page<'_>, key: &str) -> Option<&'a str> {
    let text = page.document.fields.get(key)?.as_str()?.trim();
    (!text.is_empty()).then_some(text)
}

/// The rules of names that specification and agents share. Whether the name is good.
pub(super) fn name(page: &Page<'_>, report: &mut Report) -> bool {
    let line = page.line("name");
    let Some(name) = text(page, "name") else {
        let message = match page.document.fields.get("name") {
            None | Some(Value::Null | Value::String(_)) => "there is no name",
            Some(_) => "the name is no text",
        };
        let own = page.subject.name;
        if fault(own).is_none() && page.document.has_frontmatter {
            let fix = Fix::Fields(Change::Set("name", own.to_owned()));
            report.fixable("name.missing", line, message.to_owned(), fix);
        } else {
            report.add("name.missing", line, message.to_owned());
        }
        return false;
    };
    if let Some((rule, why)) = fault(name) {
        report.add(rule, line, format!("the name {why}"));
        return false;
    }
    if !name.is_ascii() {
        report.add(
            "name.ascii",
            line,
            "the name has letters that are not ASCII".to_owned(),
        );
    }
    true
}

/// The rule that a name breaks, and how.
pub(super) fn fault(name: &str) -> Option<(&'static str, String)> {
    let name: String = name.trim().nfkc().collect();
    let count = name.chars().count();
    if count == 0 || count > NAME {
        return Some((
            "name.length",
            format!("has {count} characters, and 64 are allowed"),
        ));
    }
    let why = if name.to_lowercase() != name {
        "has capital letters"
    } else if name.starts_with('-') || name.ends_with('-') {
        "begins or ends with a hyphen"
    } else if name.contains("--") {
        "has two hyphens in a row"
    } else if !name.chars().all(|c| c.is_alphanumeric() || c == '-') {
        "has other characters than letters, digits and hyphens"
    } else {
        return None;
    };
    Some(("name.characters", why.to_owned()))
}

/// The rules of descriptions. `rule` is the one that a missing one breaks.
pub(super) fn description(page: &Page<'_>, rule: &str, report: &mut Report) {
    let line = page.line("description");
    let Some(description) = text(page, "description") else {
        let message = match page.document.fields.get("description") {
            None | Some(Value::Null | Value::String(_)) => "there is no description",
            Some(_) => "the description is no text",
        };
        report.add(rule, line, message.to_owned());
        return;
    };
    let count = description.chars().count();
    if count > DESCRIPTION {
        let message =
            format!("the description has {count} characters, and {DESCRIPTION} are allowed");
        report.add("description.length", line, message);
        return;
    }
    let more = text(page, "when_to_use").map_or(0, |text| text.chars().count());
    if count + more > LISTING {
        let message = format!(
            "description and `when_to_use` have {} characters",
            count + more
        );
        report.add("description.listing", line, message);
    }
}

/// Whether every field holds what it may. `known` gives the form of a field that somebody reads.
pub(super) fn forms(
    page: &Page<'_>,
    known: &dyn Fn(&str) -> Option<&'static Form>,
    report: &mut Report,
) {
    for (key, value) in &page.document.fields {
        let line = page.line(key);
        let shown: String = key.chars().take(80).collect();
        match known(key) {
            None => report.add("field.unknown", line, format!("nobody reads `{shown}`")),
            Some(form) => {
                if let Some((rule, why)) = misfit(form, value) {
                    report.add(rule, line, format!("`{shown}` {why}"));
                }
            }
        }
    }
}

fn misfit(form: &Form, value: &Value) -> Option<(&'static str, String)> {
    let is_scalar = matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    let (fits, wanted) = match form {
        Form::Any => return None,
        Form::Text => (is_scalar, "is no text"),
        Form::Switch => (is_switch(value), "is neither true nor false"),
        Form::Texts => {
            let all = value
                .as_array()
                .is_some_and(|all| all.iter().all(|one| !one.is_object()));
            (is_scalar || all, "is neither a text nor a list of texts")
        }
        Form::Table => (value.is_object(), "is no table"),
        Form::Count => (
            value.as_u64().is_some_and(|count| count > 0),
            "is no number from 1",
        ),
        Form::OneOf(values) => {
            if value.as_str().is_some_and(|text| values.contains(&text)) {
                return None;
            }
            return Some(("field.value", format!("is none of {}", values.join(", "))));
        }
    };
    (!fits && !value.is_null()).then(|| ("field.type", wanted.to_owned()))
}

/// Readers take `yes` and `on`, too.
fn is_switch(value: &Value) -> bool {
    let words = ["true", "false", "yes", "no", "on", "off", "1", "0"];
    match value {
        Value::Bool(_) => true,
        Value::Number(number) => matches!(number.as_u64(), Some(0 | 1)),
        Value::String(text) => words.iter().any(|word| text.eq_ignore_ascii_case(word)),
        _ => false,
    }
}
