//! Metadata: what an artifact says of itself, coerced from the fields of its manifest file.
//!
//! Fields are taken as people write them: a list or a text with commas, a number where a text is meant,
//! an author as a mapping. A field of a hopeless form is left out, never an error.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::Kind;
use crate::artifact::frontmatter::Document;
use crate::artifact::scan::Scan;
use crate::artifact::{Metadata, tools};

/// Characters of a description that is taken from the body.
const MAX_DERIVED: usize = 200;

/// What must be in a folder of this kind, as a person would say it.
pub(crate) const fn required_file(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Skill => Some("`SKILL.md`"),
        Kind::Command | Kind::Agent | Kind::Soul => Some("Markdown file"),
        Kind::Hook => Some("`settings.json` or `hooks.json`"),
        Kind::Mcp => Some("`.mcp.json` or `mcp.json`"),
        _ => None,
    }
}

/// The file that the metadata of an artifact is read from, relative to the artifact.
pub fn manifest_file(kind: &Kind, scan: &Scan) -> Option<PathBuf> {
    if scan.is_file {
        let path = &scan.entries.first().filter(|e| e.kind.is_readable())?.path;
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let readable = match extension.to_str() {
            Some("md" | "markdown") => true,
            Some("json" | "yaml" | "yml") => !matches!(kind, Kind::Orchestration),
            _ => matches!(kind, Kind::Command | Kind::Agent | Kind::Soul),
        };
        return readable.then(|| path.clone());
    }
    let names: &[&str] = match kind {
        Kind::Skill => &["SKILL.md"],
        Kind::Command => &["COMMAND.md"],
        Kind::Agent => &["AGENT.md"],
        Kind::Soul => &["SOUL.md"],
        Kind::Hook => &[
            "HOOK.md",
            "README.md",
            "hooks.json",
            "hooks/hooks.json",
            "settings.json",
        ],
        Kind::Mcp => &["README.md", ".mcp.json", "mcp.json"],
        Kind::Composite => &[
            "COMPOSITE.md",
            "PLUGIN.md",
            ".claude-plugin/plugin.json",
            "plugin.json",
            "README.md",
        ],
        Kind::Workflow => &[
            "WORKFLOW.yaml",
            "WORKFLOW.yml",
            "WORKFLOW.json",
            "WORKFLOW.md",
        ],
        Kind::Orchestration => &["README.md"],
        Kind::Other(name) => {
            let own = format!("{}.md", name.replace('_', "-"));
            return find(scan, &own).or_else(|| find(scan, "README.md"));
        }
    };
    let found = names.iter().find_map(|name| find(scan, name));
    if found.is_some() || !matches!(kind, Kind::Command | Kind::Agent | Kind::Soul) {
        return found;
    }
    let markdown = |path: &Path| {
        path.parent() == Some(Path::new(""))
            && path
                .extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
    };
    files(scan).find(|path| markdown(path)).map(Path::to_owned)
}

fn files(scan: &Scan) -> impl Iterator<Item = &Path> {
    scan.entries
        .iter()
        .filter(|e| e.kind.is_readable())
        .map(|e| e.path.as_path())
}

/// The file of this name, its exact spelling before any other.
fn find(scan: &Scan, name: &str) -> Option<PathBuf> {
    let other = |path: &&Path| path.as_os_str().eq_ignore_ascii_case(name);
    files(scan)
        .find(|path| path.as_os_str() == name)
        .or_else(|| files(scan).find(other))
        .map(Path::to_owned)
}

/// The metadata in a manifest file. `name` is the artifact's own name, which the file's never replaces.
pub fn extract(kind: &Kind, name: &str, document: &Document) -> Metadata {
    let fields = Fields {
        document,
        nested: nested(kind, document),
    };
    let tool_patterns = fields.tools();
    let mut tools: Vec<String> = Vec::new();
    for tool in tool_patterns
        .iter()
        .filter_map(|pattern| tools::normalise(pattern))
    {
        if !tools.iter().any(|known| known == tool) {
            tools.push(tool.to_owned());
        }
    }
    let description = fields
        .text("description")
        .or_else(|| first_line(&document.body, name));
    Metadata {
        title: fields.line("title").or_else(|| fields.line("displayName")),
        description,
        author: fields.author(),
        license: fields.line("license"),
        version: fields.line("version"),
        tags: fields.list(&["tags", "keywords"]),
        tools,
        tool_patterns,
        aliases: fields.list(&["aliases"]),
        scope: fields.line("scope"),
        dependencies: fields.list(&["dependencies"]),
        frontmatter: shown(kind, &document.fields),
        parse_status: document.status,
        parse_error: document.error.clone(),
    }
}

/// The metadata in the fields that are kept of a manifest file. What its body and the spelling of its numbers tell
/// is not in there.
pub fn of_fields(kind: &Kind, fields: Map<String, Value>) -> Metadata {
    let document = Document {
        fields,
        ..Document::default()
    };
    extract(kind, "", &document)
}

/// Where fields may stand beside the top level: a workflow's own table, and the open skill format's
/// `metadata`.
fn nested<'a>(kind: &Kind, document: &'a Document) -> Option<&'a Map<String, Value>> {
    document
        .fields
        .get(nested_key(kind))
        .and_then(Value::as_object)
}

/// The table of [`nested`].
pub(super) const fn nested_key(kind: &Kind) -> &'static str {
    match kind {
        Kind::Workflow => "workflow",
        _ => "metadata",
    }
}

/// The fields to keep. The settings of hooks and servers may hold secrets, so only their plain facts
/// and the servers' names leave the file.
fn shown(kind: &Kind, fields: &Map<String, Value>) -> Map<String, Value> {
    let is_settings = ["mcpServers", "hooks"]
        .iter()
        .any(|key| fields.contains_key(*key));
    if !is_settings || !matches!(kind, Kind::Hook | Kind::Mcp) {
        return fields.clone();
    }
    let facts = [
        "name",
        "title",
        "description",
        "version",
        "author",
        "license",
        "tags",
    ];
    let mut kept = Map::new();
    for (key, value) in fields {
        if facts.contains(&key.as_str()) {
            kept.insert(key.clone(), value.clone());
        } else if let ("mcpServers" | "hooks", Some(table)) = (key.as_str(), value.as_object()) {
            let names = table
                .keys()
                .map(|name| Value::from(name.as_str()))
                .collect();
            kept.insert(key.clone(), Value::Array(names));
        }
    }
    kept
}

struct Fields<'a> {
    document: &'a Document,
    nested: Option<&'a Map<String, Value>>,
}

impl Fields<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.document
            .fields
            .get(key)
            .filter(|value| !value.is_null())
    }

    /// A text, with numbers as they are written.
    fn text(&self, key: &str) -> Option<String> {
        let own = self
            .get(key)
            .and_then(|value| match self.document.spellings.get(key) {
                Some(spelling) => clean(spelling),
                None => text(value),
            });
        own.or_else(|| self.nested?.get(key).and_then(text))
    }

    /// A text of one line.
    fn line(&self, key: &str) -> Option<String> {
        let text = self.text(key)?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn author(&self) -> Option<String> {
        let of = |value: &Value| match value {
            Value::Object(author) => author
                .get("name")
                .and_then(text)
                .or_else(|| author.get("email").and_then(text)),
            Value::Array(authors) => {
                let names = authors.iter().filter_map(|author| match author {
                    Value::Object(author) => author.get("name").and_then(text),
                    other => text(other),
                });
                clean(&names.collect::<Vec<_>>().join(", "))
            }
            _ => None,
        };
        self.get("author")
            .and_then(of)
            .or_else(|| self.line("author"))
    }

    fn list(&self, keys: &[&str]) -> Vec<String> {
        let own = keys.iter().filter_map(|key| self.get(key));
        let nested = keys.iter().filter_map(|key| self.nested?.get(*key));
        own.chain(nested)
            .map(members)
            .find(|list| !list.is_empty())
            .unwrap_or_default()
    }

    fn tools(&self) -> Vec<String> {
        let keys = ["tools", "allowed-tools", "allowedTools"];
        let patterns = keys
            .iter()
            .filter_map(|key| self.get(key))
            .map(|value| match value {
                Value::String(text) => tools::split(&clean(text).unwrap_or_default()),
                // Some programs switch tools on and off by name.
                Value::Object(switches) => {
                    let on = |value: &Value| !matches!(value, Value::Bool(false) | Value::Null);
                    switches
                        .iter()
                        .filter(|(_, value)| on(value))
                        .filter_map(|(k, _)| clean(k))
                        .collect()
                }
                other => members(other),
            });
        unique(
            patterns
                .into_iter()
                .find(|found| !found.is_empty())
                .unwrap_or_default(),
        )
    }
}

/// A value as text: scalars, and lists of scalars joined by commas.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => clean(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Array(values) => clean(
            &values
                .iter()
                .filter_map(scalar)
                .collect::<Vec<_>>()
                .join(", "),
        ),
        Value::Null | Value::Object(_) => None,
    }
}

fn scalar(value: &Value) -> Option<String> {
    if value.is_array() { None } else { text(value) }
}

/// A list, or a text with commas, as a list without blanks and repeats. An object in a list counts by
/// its `name`; a mapping counts by its keys.
pub(super) fn members(value: &Value) -> Vec<String> {
    let found = match value {
        Value::Array(values) => values
            .iter()
            .filter_map(|value| match value {
                Value::Object(object) => object.get("name").and_then(text),
                other => scalar(other),
            })
            .collect(),
        Value::String(text) => text.split(',').filter_map(clean).collect(),
        Value::Object(table) => table.keys().filter_map(|key| clean(key)).collect(),
        other => scalar(other).into_iter().collect(),
    };
    unique(found)
}

pub(super) fn unique(members: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    members
        .into_iter()
        .filter(|member| seen.insert(member.clone()))
        .collect()
}

/// A text without control characters (but line breaks and tabs) and blanks around it; `None` if
/// nothing is left.
fn clean(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The first line of a body that says something: no heading, no rule, no comment, and not just the
/// artifact's name again.
fn first_line(body: &str, name: &str) -> Option<String> {
    let is_rule = |line: &str| line.len() > 2 && line.chars().all(|c| "-=*_".contains(c));
    let mut lines = body
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .peekable();
    while let Some(line) = lines.next() {
        let underlined = lines
            .peek()
            .is_some_and(|next| is_rule(next) && next.starts_with('='));
        let says_nothing = line.starts_with('#')
            || line.starts_with("<!--")
            || is_rule(line)
            || line.eq_ignore_ascii_case(name);
        if underlined || says_nothing {
            continue;
        }
        if let Some(line) = clean(line) {
            return clean(&line.chars().take(MAX_DERIVED).collect::<String>());
        }
    }
    None
}

#[cfg(test)]
mod tests;
