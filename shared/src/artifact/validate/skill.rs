//! Skills and commands.

use serde_json::Value;

use super::fields::{self, EFFORTS, Form};
use super::{Fix, Page, Report};
use crate::artifact::frontmatter::edit::Change;

/// The fields of the specification.
const SPECIFIED: &[(&str, Form)] = &[
    ("name", Form::Any),
    ("description", Form::Any),
    ("license", Form::Text),
    ("compatibility", Form::Any),
    ("metadata", Form::Table),
    ("allowed-tools", Form::Texts),
];

/// Those that Claude Code reads besides.
const FOREIGN: &[(&str, Form)] = &[
    ("when_to_use", Form::Text),
    ("argument-hint", Form::Any),
    ("arguments", Form::Texts),
    ("disable-model-invocation", Form::Switch),
    ("user-invocable", Form::Switch),
    ("disallowed-tools", Form::Texts),
    ("model", Form::Text),
    ("effort", EFFORTS),
    ("context", Form::OneOf(&["fork"])),
    ("agent", Form::Text),
    ("background", Form::Switch),
    ("hooks", Form::Table),
    ("paths", Form::Texts),
    ("shell", Form::OneOf(&["bash", "powershell"])),
];

/// Those that this program and its ancestor read.
const OURS: &[(&str, Form)] = &[
    ("title", Form::Text),
    ("author", Form::Any),
    ("version", Form::Text),
    ("tags", Form::Any),
    ("keywords", Form::Any),
    ("tools", Form::Any),
    ("aliases", Form::Texts),
    ("scope", Form::Text),
    ("dependencies", Form::Any),
];

/// Characters of `compatibility`.
const COMPATIBILITY: usize = 500;

fn known(key: &str) -> Option<&'static Form> {
    let mut all = SPECIFIED.iter().chain(FOREIGN).chain(OURS);
    all.find(|(name, _)| *name == key).map(|(_, form)| form)
}

pub(super) fn check(page: &Page<'_>, report: &mut Report) {
    if !page.subject.is_file
        && report.file != "SKILL.md"
        && report.file.eq_ignore_ascii_case("SKILL.md")
    {
        let message = format!("it is called `{}`", report.file);
        report.fixable("file.name", None, message, Fix::Rename("SKILL.md"));
    }
    if !page.document.has_frontmatter {
        report.add(
            "fields.missing",
            Some(1),
            "it does not begin with fields".to_owned(),
        );
        return;
    }
    if fields::name(page, report) {
        name_of_folder(page, report);
    }
    if page.subject.name == "synced" {
        report.add(
            "name.reserved",
            None,
            "the folder is called `synced`".to_owned(),
        );
    }
    fields::description(page, "description.missing", report);
    fields::forms(page, &known, report);
    specified(page, report);
}

fn name_of_folder(page: &Page<'_>, report: &mut Report) {
    use unicode_normalization::UnicodeNormalization as _;

    let own = page.subject.name;
    let Some(name) = fields::text(page, "name") else {
        return;
    };
    if own.is_empty() || name.nfkc().eq(own.nfkc()) {
        return;
    }
    let message = format!("the name is `{name}`, and the folder is `{own}`");
    let line = page.line("name");
    if fields::fault(own).is_none() {
        let fix = Fix::Fields(Change::Set("name", own.to_owned()));
        report.fixable("name.folder", line, message, fix);
    } else {
        report.add("name.folder", line, message);
    }
}

/// What the specification asks for besides.
fn specified(page: &Page<'_>, report: &mut Report) {
    let fields = &page.document.fields;
    for key in fields.keys() {
        if FOREIGN.iter().chain(OURS).any(|(name, _)| name == key) {
            let message = format!("`{key}` is no field of the specification");
            report.add("field.foreign", page.line(key), message);
        }
    }
    if let Some(value) = fields.get("compatibility") {
        let count = value.as_str().map(|text| text.trim().chars().count());
        if !count.is_some_and(|count| (1..=COMPATIBILITY).contains(&count)) {
            let message = format!("`compatibility` is no text of 1 to {COMPATIBILITY} characters");
            report.add("field.type", page.line("compatibility"), message);
        }
    }
    if let Some(Value::Object(table)) = fields.get("metadata")
        && let Some((key, _)) = table.iter().find(|(_, value)| !value.is_string())
    {
        let shown: String = key.chars().take(80).collect();
        let message = format!("`metadata.{shown}` is no text; quotes make it one");
        report.add("field.type", page.line("metadata"), message);
    }
    if let Some(Value::Array(_)) = fields.get("allowed-tools") {
        let message = "`allowed-tools` is a list".to_owned();
        report.add("tools.form", page.line("allowed-tools"), message);
    }
}

pub(super) fn command(page: &Page<'_>, report: &mut Report) {
    fields::description(page, "description.recommended", report);
    fields::forms(page, &known, report);
    for key in ["name", "paths"] {
        if page.document.fields.contains_key(key) {
            let message = format!("`{key}` has no effect in a command");
            report.add("field.ignored", page.line(key), message);
        }
    }
}
