//! The rules: one table.

use super::Severity::{self, Advice, Error, Warning};

/// A rule that an artifact can break.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its stable name.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The same by the letter of the specification.
    pub strict: Severity,
    /// What it asks for, and what happens otherwise.
    pub text: &'static str,
}

const fn rule(id: &'static str, severity: Severity, strict: Severity, text: &'static str) -> Rule {
    Rule {
        id,
        severity,
        strict,
        text,
    }
}

/// Every rule.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    rule("file.missing", Error, Error, "the file that says what the artifact is exists"),
    rule("file.name", Warning, Error, "it is called `SKILL.md`; some programs know no other spelling"),
    rule("file.encoding", Error, Error, "it is UTF-8"),
    rule("file.empty", Error, Error, "it says something"),
    rule("fields.missing", Error, Error, "a skill or agent begins with fields between two `---` lines"),
    rule("fields.invalid", Error, Error, "the fields are YAML; what can't be read is skipped silently"),
    rule("fields.quotes", Warning, Error, "values with `: ` in them are quoted; strict readers refuse them otherwise"),
    rule("name.missing", Error, Error, "there is a name; a file of an agent without one counts as a document"),
    rule("name.length", Error, Error, "a name has 1 to 64 characters"),
    rule("name.characters", Error, Error, "a name has lower-case letters, digits and single hyphens between them"),
    rule("name.ascii", Advice, Error, "the letters of a name are those from a to z"),
    rule("name.folder", Warning, Error, "a skill is called like its folder, which is what it is invoked by"),
    rule("name.reserved", Warning, Warning, "`synced` is a folder of Claude Code's own"),
    rule("description.missing", Error, Error, "there is a description: by it an agent decides when to use the artifact"),
    rule("description.recommended", Warning, Warning, "a command has a description, which its menu shows"),
    rule("description.length", Error, Error, "a description has at most 1024 characters"),
    rule("description.listing", Warning, Warning, "description and `when_to_use` are cut at 1536 characters"),
    rule("field.type", Warning, Error, "a field holds what its reader expects"),
    rule("field.value", Warning, Error, "a field holds one of the values that its reader knows"),
    rule("field.unknown", Warning, Error, "a field is one that somebody reads"),
    rule("field.foreign", Advice, Error, "a skill has only fields of the specification; uploads refuse others"),
    rule("field.ignored", Advice, Advice, "a field has an effect where it stands"),
    rule("tools.form", Advice, Error, "`allowed-tools` is one text with blanks between the tools"),
    rule("body.empty", Warning, Warning, "there are instructions below the fields"),
    rule("body.long", Advice, Warning, "`SKILL.md` has fewer than 500 lines; details go to files beside it"),
    rule("body.shell", Advice, Advice, "commands in !`...` run before the model reads the text"),
    rule("link.broken", Warning, Error, "files that the text links to are there"),
    rule("link.outside", Warning, Error, "links stay inside the artifact, as nothing else goes along with it"),
];
