//! Settings in JSON, read with the line of every value.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Report, Subject, hooks, marketplace, mcp, plugin};
use crate::Kind;

/// Characters of a key that a message shows.
const SHOWN: usize = 80;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// Of its key, if it has one.
    pub(super) line: u32,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Null,
    Switch(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; a key may come twice.
    Table(Vec<(String, Node)>),
}

impl Node {
    /// A value whose parts all stand at one line.
    pub(super) fn of(value: &Value, line: u32) -> Self {
        let what = match value {
            Value::Null => What::Null,
            Value::Bool(value) => What::Switch(*value),
            Value::Number(number) => What::Number(number.as_f64().unwrap_or_default()),
            Value::String(text) => What::Text(text.clone()),
            Value::Array(all) => What::List(all.iter().map(|one| Self::of(one, line)).collect()),
            Value::Object(table) => What::Table(
                table
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::of(value, line)))
                    .collect(),
            ),
        };
        Self { line, what }
    }

    /// The value of a key; of several the last one, as readers of JSON take it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.table().iter().rev().find(|(name, _)| name == key);
        found.map(|(_, node)| node)
    }

    /// The keys and values of a table; none of anything else.
    pub(super) fn table(&self) -> &[(String, Self)] {
        match &self.what {
            What::Table(all) => all,
            _ => &[],
        }
    }

    /// The members of a list; none of anything else.
    pub(super) fn list(&self) -> &[Self] {
        match &self.what {
            What::List(all) => all,
            _ => &[],
        }
    }

    /// A text that says something.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.what {
            What::Text(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }

    pub(super) const fn is_table(&self) -> bool {
        matches!(self.what, What::Table(_))
    }

    pub(super) const fn is_list(&self) -> bool {
        matches!(self.what, What::List(_))
    }

    pub(super) const fn is_text(&self) -> bool {
        matches!(self.what, What::Text(_))
    }

    pub(super) const fn is_switch(&self) -> bool {
        matches!(self.what, What::Switch(_))
    }

    /// Whether it is a list of texts.
    pub(super) fn is_texts(&self) -> bool {
        self.is_list() && self.list().iter().all(Self::is_text)
    }

    /// Whether it is a table of texts.
    pub(super) fn is_text_table(&self) -> bool {
        self.is_table() && self.table().iter().all(|(_, node)| node.is_text())
    }
}

/// A key as messages show it.
pub(super) fn shown(key: &str) -> String {
    key.chars().take(SHOWN).collect()
}

/// The files of an artifact that hold settings, as far as they are there.
pub fn settings_files(kind: &Kind, files: &[PathBuf], is_file: bool) -> Vec<PathBuf> {
    let names: &[&str] = match kind {
        Kind::Mcp if is_file => return files.to_vec(),
        Kind::Mcp => &[".mcp.json", "mcp.json"],
        Kind::Hook => &["hooks.json", "hooks/hooks.json", "settings.json"],
        Kind::Composite => &[
            ".claude-plugin/plugin.json",
            ".claude-plugin/marketplace.json",
            "hooks/hooks.json",
            ".mcp.json",
        ],
        _ => &[],
    };
    let names = names.iter().map(PathBuf::from);
    names.filter(|name| files.contains(name)).collect()
}

/// Holds the settings of an artifact to the rules.
pub(super) fn check(subject: &Subject<'_>, report: &mut Report) {
    let mut found = 0;
    for (file, bytes) in subject.settings {
        report.file = file.to_string_lossy().into_owned();
        found += 1;
        let text = String::from_utf8_lossy(bytes);
        let root = match read(text.trim_start_matches('\u{feff}')) {
            Ok(root) => root,
            Err((message, line)) => {
                report.add("settings.invalid", line, message);
                continue;
            }
        };
        duplicates(&root, report);
        let name = file.file_name().unwrap_or_default();
        if name == "plugin.json" {
            plugin::check(&root, subject, report);
        } else if name == "marketplace.json" {
            marketplace::check(&root, subject, report);
        } else if name == "hooks.json" || name == "settings.json" {
            hooks::file(&root, subject, report);
        } else {
            mcp::file(&root, subject, report);
        }
    }
    let is_needed = matches!(subject.kind, Kind::Hook | Kind::Mcp) && subject.manifest.is_some();
    if found == 0
        && is_needed
        && let Some(wanted) = crate::artifact::metadata::required_file(subject.kind)
    {
        report.file.clear();
        report.add("file.missing", None, format!("there is no {wanted}"));
    }
}

/// Keys that come twice.
fn duplicates(node: &Node, report: &mut Report) {
    let mut known = std::collections::HashSet::new();
    for (key, inner) in node.table() {
        if !known.insert(key) {
            let message = format!("`{}` stands there twice", shown(key));
            report.add("settings.duplicate", Some(inner.line), message);
        }
        duplicates(inner, report);
    }
    for inner in node.list() {
        duplicates(inner, report);
    }
}

/// Whether one of an artifact's files is this one, or lies in this folder.
pub(super) fn is_there(files: &[PathBuf], path: &Path) -> bool {
    files.iter().any(|file| file.starts_with(path))
}

/// Reads JSON; else what is wrong with it, and where.
pub(super) fn read(text: &str) -> Result<Node, (String, Option<u32>)> {
    // It knows all that can be wrong, and how deep is too deep.
    if let Err(error) = serde_json::from_str::<Value>(text) {
        let said = error.to_string();
        let message = said.split(" at line ").next().unwrap_or_default();
        // What lacks its end lacks it on its last line, not below.
        let line = error.line().clamp(1, text.lines().count().max(1));
        let line = u32::try_from(line).ok();
        return Err((format!("invalid JSON: {message}"), line));
    }
    let mut reader = Reader {
        rest: text,
        line: 1,
    };
    reader
        .node()
        .ok_or_else(|| ("invalid JSON".to_owned(), Some(reader.line)))
}

/// Reads text that is known to be JSON.
struct Reader<'a> {
    rest: &'a str,
    line: u32,
}

impl Reader<'_> {
    fn node(&mut self) -> Option<Node> {
        let next = self.next()?;
        let line = self.line;
        let what = match next {
            '{' => {
                self.skip();
                let mut all = Vec::new();
                while self.more('}')? {
                    let line = self.line;
                    let key = self.text()?;
                    self.next().filter(|c| *c == ':')?;
                    self.skip();
                    let node = Node {
                        line,
                        ..self.node()?
                    };
                    all.push((key, node));
                }
                What::Table(all)
            }
            '[' => {
                self.skip();
                let mut all = Vec::new();
                while self.more(']')? {
                    all.push(self.node()?);
                }
                What::List(all)
            }
            '"' => What::Text(self.text()?),
            _ => {
                let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}');
                let end = self.rest.find(is_end).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                match word {
                    "null" => What::Null,
                    "true" => What::Switch(true),
                    "false" => What::Switch(false),
                    number => What::Number(number.parse().ok()?),
                }
            }
        };
        Some(Node { line, what })
    }

    /// The next character that is no blank.
    fn next(&mut self) -> Option<char> {
        let text = self.rest.trim_start();
        let (blank, rest) = self.rest.split_at(self.rest.len() - text.len());
        let lines = blank.matches('\n').count();
        self.line = self.line.saturating_add(u32::try_from(lines).ok()?);
        self.rest = rest;
        rest.chars().next()
    }

    /// Goes past one character of a byte.
    fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Whether there is one more before the end, which is gone past.
    fn more(&mut self, end: char) -> Option<bool> {
        let mut next = self.next()?;
        if next == ',' {
            self.skip();
            next = self.next()?;
        }
        if next == end {
            self.skip();
            return Some(false);
        }
        Some(true)
    }

    fn text(&mut self) -> Option<String> {
        let mut is_escaped = false;
        let (end, _) = self.rest.char_indices().skip(1).find(|(_, c)| {
            let is_end = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            is_end
        })?;
        let (text, rest) = self.rest.split_at_checked(end + 1)?;
        self.rest = rest;
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_lines() {
        let text =
            "{\n \"a\": [1,\n  {\"b\\\"\\\\\": null}],\n\n \"c\":\n true, \"a\": \"x\\n\"}\n";
        let node = read(text).unwrap();
        let lines: Vec<_> = node
            .table()
            .iter()
            .map(|(key, node)| (key.as_str(), node.line))
            .collect();
        assert_eq!(lines, [("a", 2), ("c", 5), ("a", 6)]);
        assert_eq!(node.get("a").unwrap().text(), Some("x\n"));
        let inner = &node.table()[0].1.list()[1];
        assert_eq!(inner.line, 3);
        assert_eq!(inner.get("b\"\\").unwrap().what, What::Null);
        let value: Value = serde_json::from_str("{\"a\": [1.5, false, {}]}").unwrap();
        let same = read("{\"a\": [1.5, false, {}]}").unwrap();
        assert_eq!(Node::of(&value, 1), same);
    }

    #[test]
    fn what_is_no_json_has_a_line() {
        let (message, line) = read("{\n \"a\": 1,\n}").unwrap_err();
        assert_eq!(
            (message.as_str(), line),
            ("invalid JSON: trailing comma", Some(3))
        );
        assert!(read(&"[".repeat(10_000)).is_err());
        assert!(read("").is_err());
    }
}
