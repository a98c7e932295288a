//! Manifests of plugins.

use std::path::{Component, Path};

use super::settings::{Node, is_there, shown};
use super::{Report, Subject, hooks, mcp};

/// What a key may hold.
enum Form {
    Text,
    Texts,
    Switch,
    Table,
    /// A list of anything.
    List,
    /// A table with `name`; many write a text.
    Person,
    /// One path or several.
    Paths,
    /// One path, several, or the thing itself.
    PathsOrInline,
    Any,
}

/// The keys that are known.
const KNOWN: [(&str, Form); 27] = [
    ("$schema", Form::Text),
    ("name", Form::Text),
    ("displayName", Form::Text),
    ("version", Form::Text),
    ("description", Form::Text),
    ("author", Form::Person),
    ("homepage", Form::Text),
    ("repository", Form::Any),
    ("license", Form::Text),
    ("keywords", Form::Texts),
    ("metadata", Form::Any),
    ("defaultEnabled", Form::Switch),
    ("skills", Form::Paths),
    ("commands", Form::PathsOrInline),
    ("agents", Form::Paths),
    ("workflows", Form::Paths),
    ("outputStyles", Form::Paths),
    ("hooks", Form::PathsOrInline),
    ("mcpServers", Form::PathsOrInline),
    ("lspServers", Form::PathsOrInline),
    ("experimental", Form::Any),
    ("userConfig", Form::Table),
    ("channels", Form::List),
    ("dependencies", Form::List),
    ("category", Form::Text),
    ("tags", Form::Texts),
    ("settings", Form::Table),
];

pub(super) fn check(root: &Node, subject: &Subject<'_>, report: &mut Report) {
    if !root.is_table() {
        report.add("plugin.type", Some(root.line), "it is no table".to_owned());
        return;
    }
    name(root, "the plugin", report);
    for (key, node) in root.table() {
        match KNOWN.iter().find(|(known, _)| known == key) {
            None => {
                let message = format!("nobody reads `{}`", shown(key));
                report.add("field.unknown", Some(node.line), message);
            }
            Some((_, form)) => {
                if let Some(why) = misfit(form, node) {
                    let message = format!("`{key}` is {why}");
                    report.add("plugin.type", Some(node.line), message);
                } else if matches!(form, Form::Paths | Form::PathsOrInline) {
                    paths(key, node, subject, report);
                }
            }
        }
    }
    if let Some(inline) = root.get("hooks").filter(|hooks| hooks.is_table()) {
        // Both spellings are read: the table of events, and one around it.
        hooks::events(inline.get("hooks").unwrap_or(inline), subject, report);
    }
    if let Some(inline) = root.get("mcpServers").filter(|all| all.is_table()) {
        mcp::servers(inline, report);
    }
}

/// The name that a plugin or marketplace must have.
pub(super) fn name(node: &Node, what: &str, report: &mut Report) {
    let found = node.get("name");
    let line = Some(found.map_or(node.line, |name| name.line));
    let Some(name) = found.and_then(Node::text) else {
        report.add("plugin.name", line, format!("{what} has no name"));
        return;
    };
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let is_edged = name.starts_with(['-', '.']) || name.ends_with(['-', '.']);
    if is_edged || !name.chars().all(is_good) {
        let message = format!(
            "the name `{}` has other characters than a-z, 0-9 and -",
            shown(name)
        );
        report.add("plugin.name", line, message);
    }
}

fn misfit(form: &Form, node: &Node) -> Option<&'static str> {
    let is_paths = || node.is_text() || node.is_texts();
    let (fits, otherwise) = match form {
        Form::Any => return None,
        Form::Text => (node.is_text(), "no text"),
        Form::Texts => (node.is_texts(), "no list of texts"),
        Form::Switch => (node.is_switch(), "neither true nor false"),
        Form::Table => (node.is_table(), "no table"),
        Form::List => (node.is_list(), "no list"),
        Form::Person => (
            node.get("name").is_some_and(Node::is_text),
            "no table with a `name`",
        ),
        Form::Paths => (is_paths(), "neither a path nor a list of paths"),
        Form::PathsOrInline => (
            is_paths() || node.is_table() || node.is_list(),
            "neither a path nor a table",
        ),
    };
    (!fits).then_some(otherwise)
}

/// Paths begin with `./`, stay inside, and lead somewhere.
pub(super) fn paths(key: &str, node: &Node, subject: &Subject<'_>, report: &mut Report) {
    let one = std::slice::from_ref(node);
    let all = if node.is_text() { one } else { node.list() };
    for node in all {
        let Some(path) = node.text() else { continue };
        let line = Some(node.line);
        let is_whole = matches!(path, "." | "./");
        let leads_out = Path::new(path)
            .components()
            .any(|part| part == Component::ParentDir);
        if leads_out || !(path.starts_with("./") || is_whole && key == "skills") {
            let message = format!(
                "`{}` in `{key}` does not begin with `./`, or leads out",
                shown(path)
            );
            report.add("plugin.path", line, message);
        } else if !is_whole {
            let inner = path.trim_start_matches("./").trim_end_matches('/');
            if !inner.contains('*') && !is_there(subject.files, Path::new(inner)) {
                report.add(
                    "link.broken",
                    line,
                    format!("there is no `{}`", shown(path)),
                );
            }
        }
    }
}
