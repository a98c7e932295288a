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
    rule("settings.invalid", Error, Error, "settings are JSON, without comments; what can't be read is skipped"),
    rule("settings.duplicate", Warning, Error, "a key stands once; of several only the last one counts"),
    rule("hook.shape", Error, Error, "`hooks` is a table of events, each a list of entries with a list of handlers `hooks`"),
    rule("hook.event", Warning, Error, "an event is one that Claude Code has, in its spelling; others never happen"),
    rule("hook.type", Error, Error, "a handler has the `type` command, http, mcp_tool, prompt or agent"),
    rule("hook.incomplete", Error, Error, "a handler has `command`, `url`, `server` and `tool`, or `prompt`, as its type asks for"),
    rule("hook.script", Warning, Error, "scripts of the plugin that a hook runs are there"),
    rule("mcp.shape", Error, Error, "`mcpServers` is a table of servers, each a table"),
    rule("mcp.bare", Advice, Error, "servers stand in `mcpServers`; only plugins may leave it out"),
    rule("mcp.type", Error, Error, "a server has the `type` stdio, http, sse or ws; without one it is a program"),
    rule("mcp.incomplete", Error, Error, "a server has the `command` that starts it, or the `url` where it is"),
    rule("mcp.helper", Advice, Advice, "`headersHelper` is a command that runs by itself: read it before you trust it"),
    rule("plugin.name", Error, Error, "a plugin or marketplace has a name of lower-case letters, digits and hyphens"),
    rule("plugin.type", Error, Error, "a known key holds what its reader expects; the plugin is not loaded otherwise"),
    rule("plugin.path", Error, Error, "paths of a plugin begin with `./` and stay inside of it"),
    rule("market.shape", Error, Error, "a marketplace has an `owner` with a `name`, and a list `plugins`"),
    rule("market.twice", Error, Error, "a plugin is listed once"),
    rule("market.source", Error, Error, "a plugin has a source that is known and complete: a path with `./`, or a table"),
    rule("market.command", Warning, Warning, "a source of the kind `command` runs a program: read it before you trust it"),
    rule("link.broken", Warning, Error, "files that the text links to are there"),
    rule("link.outside", Warning, Error, "links stay inside the artifact, as nothing else goes along with it"),
];
