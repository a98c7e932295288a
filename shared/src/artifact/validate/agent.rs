//! Subagents of Claude Code.

use super::fields::{self, EFFORTS, Form};
use super::{Page, Report};

const KNOWN: &[(&str, Form)] = &[
    ("name", Form::Any),
    ("description", Form::Any),
    ("tools", Form::Any),
    ("disallowedTools", Form::Any),
    ("model", Form::Text),
    (
        "permissionMode",
        Form::OneOf(&[
            "default",
            "acceptEdits",
            "auto",
            "dontAsk",
            "bypassPermissions",
            "plan",
            "manual",
        ]),
    ),
    ("maxTurns", Form::Count),
    ("skills", Form::Texts),
    ("mcpServers", Form::Any),
    ("hooks", Form::Table),
    ("memory", Form::OneOf(&["user", "project", "local"])),
    ("background", Form::Switch),
    ("effort", EFFORTS),
    ("isolation", Form::OneOf(&["worktree"])),
    (
        "color",
        Form::OneOf(&[
            "red", "blue", "green", "yellow", "purple", "orange", "pink", "cyan",
        ]),
    ),
    ("initialPrompt", Form::Text),
    ("title", Form::Text),
    ("author", Form::Any),
    ("license", Form::Text),
    ("version", Form::Text),
    ("tags", Form::Any),
    ("metadata", Form::Table),
    ("aliases", Form::Texts),
    ("scope", Form::Text),
    ("dependencies", Form::Any),
];

fn known(key: &str) -> Option<&'static Form> {
    KNOWN
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, form)| form)
}

pub(super) fn check(page: &Page<'_>, report: &mut Report) {
    if !page.document.has_frontmatter {
        report.add(
            "fields.missing",
            Some(1),
            "it does not begin with fields".to_owned(),
        );
        return;
    }
    fields::name(page, report);
    fields::description(page, "description.missing", report);
    fields::forms(page, &known, report);
}
