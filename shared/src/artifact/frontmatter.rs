//! Frontmatter: the YAML between two `---` lines at the start of a Markdown file. Files that are
//! nothing but fields (YAML and JSON manifests) are read here, too.
//!
//! Reading never fails. Strict YAML within a budget comes first; then the same with plain one-line
//! values quoted, which is what most broken frontmatter lacks; then single lines are salvaged. Input is
//! anything that the world has: the budget holds against alias bombs, deep nesting and sheer size.

pub mod edit;
mod yaml;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::artifact::ParseStatus;
use crate::artifact::content::{lossy, whole_characters};
use yaml::load;

/// Bytes of frontmatter that are read; longer frontmatter is only salvaged.
pub const MAX_BYTES: usize = 64 * 1024;
/// Bytes of one salvaged value.
const MAX_SALVAGED: usize = 4 * 1024;
/// Lines that a repair looks at one by one.
const MAX_REPAIRS: usize = 256;
/// The fields worth salvaging line by line.
const SALVAGED: &[&str] = &[
    "name",
    "title",
    "description",
    "author",
    "license",
    "version",
    "tags",
    "tools",
    "allowed-tools",
    "allowedTools",
    "model",
    "argument-hint",
];

/// A Markdown file's frontmatter and body.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// The fields in their order.
    pub fields: Map<String, Value>,
    /// Top-level numbers and booleans as they are written, so that version `1.10` stays what it is.
    pub spellings: BTreeMap<String, String>,
    /// How the fields were understood.
    pub status: ParseStatus,
    /// What is wrong with them: message, and line in the file from 1. Set for repaired fields, too.
    pub error: Option<(String, Option<u32>)>,
    /// What follows the frontmatter.
    pub body: String,
    /// Whether there is frontmatter, valid or not.
    pub has_frontmatter: bool,
    /// Whether bytes that are no UTF-8 were replaced.
    pub lossy: bool,
}

/// Reads a manifest file of an artifact by its extension: JSON, YAML, or Markdown with frontmatter.
pub fn parse_file(path: &Path, bytes: &[u8]) -> Document {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str() {
        Some("json") => parse_json(bytes),
        Some("yaml" | "yml") => parse_yaml(bytes),
        _ => parse(bytes),
    }
}

/// Reads a Markdown file.
pub fn parse(bytes: &[u8]) -> Document {
    let (text, lossy) = decode(bytes);
    let document = match split(&text) {
        Split::Absent => Document {
            body: text.to_string(),
            ..Document::default()
        },
        Split::Whole { yaml, line, body } => {
            let read = fields(yaml, line);
            if read.is_mapping {
                Document {
                    body: body.to_owned(),
                    has_frontmatter: true,
                    ..read.document
                }
            } else {
                Document {
                    body: text.to_string(),
                    ..Document::default()
                }
            }
        }
        Split::Broken {
            head,
            body,
            message,
            line,
        } => Document {
            fields: salvage(head),
            status: ParseStatus::Fallback,
            error: Some((message, Some(line))),
            body: body.to_owned(),
            has_frontmatter: true,
            ..Document::default()
        },
    };
    Document { lossy, ..document }
}

/// The line of a top-level field in a Markdown file, from 1.
pub fn line_of(text: &str, key: &str) -> Option<u32> {
    let Split::Whole { yaml, line, .. } = split(text) else {
        return None;
    };
    let mut lines = (line..).zip(yaml.lines());
    lines
        .find(|(_, line)| key_of(line).is_some_and(|(own, _)| own == key))
        .map(|(number, _)| number)
}

/// Reads a YAML file whose top level is the fields. The body is empty.
pub fn parse_yaml(bytes: &[u8]) -> Document {
    let (text, lossy) = decode(bytes);
    let text = text.trim_start_matches('\u{feff}');
    if text.len() > MAX_BYTES {
        return Document {
            lossy,
            ..too_long(head_of(text), 1)
        };
    }
    Document {
        lossy,
        ..fields(text, 1).document
    }
}

/// Reads a JSON file whose top level is the fields. The body is empty.
pub fn parse_json(bytes: &[u8]) -> Document {
    let (text, lossy) = decode(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let mut document = Document {
        lossy,
        ..Document::default()
    };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => document.fields = fields,
        Ok(_) => {}
        Err(error) => {
            document.status = ParseStatus::Fallback;
            document.error = Some(("invalid JSON".to_owned(), u32::try_from(error.line()).ok()));
        }
    }
    document
}

/// A key of the fields that stands twice, and where, from 1. We take the last of them; Claude Code takes none of the fields.
pub fn doubled(path: &Path, bytes: &[u8]) -> Option<(String, Option<u32>)> {
    let (text, _) = decode(bytes);
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    let (fields, first_line) = match extension.to_str() {
        Some("json") => return None,
        Some("yaml" | "yml") => (text.trim_start_matches('\u{feff}'), 1),
        _ => match split(&text) {
            Split::Whole { yaml, line, .. } => (yaml, line),
            Split::Absent | Split::Broken { .. } => return None,
        },
    };
    let (key, line) = yaml::doubled(fields)?;
    let line = line.map(|line| line.saturating_add(first_line).saturating_sub(1));
    Some((key, line))
}

fn decode(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    // A file that was cut at the limit may end within a character: that is no fault of the file.
    let text = lossy(whole_characters(bytes));
    let replaced = matches!(text, Cow::Owned(_));
    (text, replaced)
}

enum Split<'a> {
    Absent,
    Whole {
        yaml: &'a str,
        line: u32,
        body: &'a str,
    },
    Broken {
        head: &'a str,
        body: &'a str,
        message: String,
        line: u32,
    },
}

/// Finds the frontmatter. `line` is the number of its first line in the file.
fn split(text: &str) -> Split<'_> {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let skipped = text.len() - start.len();
    let opening = line_count(text.get(..skipped).unwrap_or_default()) + 1;
    let mut lines = start.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| line.trim_end() == "---") else {
        return Split::Absent;
    };
    let rest = start.get(first.len()..).unwrap_or_default();
    let mut at = 0;
    let mut head = None;
    for line in lines {
        if line.trim_end() == "---" {
            let body = rest.get(at + line.len()..).unwrap_or_default();
            return match head {
                None => {
                    let yaml = rest.get(..at).unwrap_or_default();
                    Split::Whole {
                        yaml,
                        line: opening + 1,
                        body,
                    }
                }
                Some(head) => broken_by_size(head, body, opening),
            };
        }
        if head.is_none() && at + line.len() > MAX_BYTES {
            head = Some(head_of(rest));
        }
        at += line.len();
    }
    if let Some(head) = head {
        return broken_by_size(head, "", opening);
    }
    // A rule at the top of a file without frontmatter looks the same; a key tells them apart.
    let mut block = rest
        .split_inclusive('\n')
        .take_while(|line| !line.trim().is_empty())
        .peekable();
    if block.peek().is_none_or(|line| key_of(line).is_none()) {
        return Split::Absent;
    }
    let end: usize = block.map(str::len).sum();
    Split::Broken {
        head: rest.get(..end).unwrap_or_default(),
        body: rest.get(end..).unwrap_or_default(),
        message: "the frontmatter has no closing `---` line".to_owned(),
        line: opening,
    }
}

fn broken_by_size<'a>(head: &'a str, body: &'a str, line: u32) -> Split<'a> {
    Split::Broken {
        head,
        body,
        message: TOO_LONG.to_owned(),
        line,
    }
}

const TOO_LONG: &str = "the frontmatter is longer than 64 KiB";

fn too_long(head: &str, line: u32) -> Document {
    Document {
        fields: salvage(head),
        status: ParseStatus::Fallback,
        error: Some((TOO_LONG.to_owned(), Some(line))),
        ..Document::default()
    }
}

/// The beginning of a text, at most [`MAX_BYTES`].
fn head_of(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_BYTES))
        .unwrap_or_default()
}

fn line_count(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
}

struct Fields {
    document: Document,
    /// Whether the text is, or would be if it were valid, a mapping.
    is_mapping: bool,
}

fn fields(yaml: &str, first_line: u32) -> Fields {
    let (value, status, error) = match load(yaml) {
        Ok(value) => (value, ParseStatus::Strict, None),
        Err((message, line)) => {
            let line = line.map(|line| line.saturating_add(first_line).saturating_sub(1));
            let error = Some((message, line));
            match repair(yaml) {
                Some(value) => (value, ParseStatus::Repaired, error),
                None => (Value::Object(salvage(yaml)), ParseStatus::Fallback, error),
            }
        }
    };
    let is_mapping = match status {
        // Paragraphs between two rules are Markdown.
        ParseStatus::Fallback => {
            let mut lines = yaml.lines().map(str::trim_start);
            lines.any(|line| key_of(line).is_some())
                || yaml.lines().all(|line| !line.trim().is_empty())
        }
        _ => matches!(value, Value::Object(_) | Value::Null),
    };
    let fields = if let Value::Object(fields) = value {
        fields
    } else {
        Map::new()
    };
    let spellings = spellings(yaml, &fields);
    let document = Document {
        fields,
        spellings,
        status,
        error,
        ..Document::default()
    };
    Fields {
        document,
        is_mapping,
    }
}

/// The key of a `key: value` or `key:` line that is not indented.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let blank = value.is_empty() || value.starts_with(char::is_whitespace);
    (blank && !key.is_empty() && key.chars().all(plain)).then(|| (key, value.trim()))
}

/// The same YAML with each top-level value quoted that is no YAML by itself; lines that continue a
/// plain value are drawn into it.
fn repair(yaml: &str) -> Option<Value> {
    let lines: Vec<&str> = yaml.lines().collect();
    let mut repaired = String::with_capacity(yaml.len() + 64);
    let mut repairs = 0;
    let mut rest = lines.as_slice();
    while let Some((line, after)) = rest.split_first() {
        rest = after;
        let value = key_of(line).filter(|(_, value)| !value.is_empty() && !is_block(value));
        if let Some((key, value)) = value {
            let indented = |line: &&&str| line.starts_with(' ') && !line.trim().is_empty();
            let more: Vec<&str> = rest.iter().take_while(indented).copied().collect();
            let whole = [&[*line], more.as_slice()].concat().join("\n");
            if load(&whole).is_err() {
                repairs += 1;
                if repairs > MAX_REPAIRS {
                    return None;
                }
                let value = std::iter::once(value).chain(more.iter().map(|line| line.trim()));
                let value = value.collect::<Vec<_>>().join(" ").replace('\'', "''");
                repaired.extend([key, ": '", &value, "'\n"]);
                rest = rest.get(more.len()..).unwrap_or_default();
                continue;
            }
        }
        repaired.push_str(line);
        repaired.push('\n');
    }
    if repairs == 0 {
        return None;
    }
    load(&repaired).ok().filter(Value::is_object)
}

/// Whether a value is of a form that quoting would change the meaning of.
fn is_block(value: &str) -> bool {
    value.starts_with(['|', '>', '&', '*', '!', '#'])
}

/// What can be had line by line: the first simple `key: value` of the fields that matter most.
fn salvage(yaml: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in yaml.lines().filter_map(key_of) {
        if !SALVAGED.contains(&key)
            || fields.contains_key(key)
            || value.is_empty()
            || is_block(value)
        {
            continue;
        }
        let value = value
            .get(..value.floor_char_boundary(MAX_SALVAGED))
            .unwrap_or_default();
        let value = match value.strip_prefix('[').and_then(|v| v.strip_suffix(']')) {
            Some(list) if key != "description" && key != "argument-hint" => list
                .split(',')
                .map(|part| Value::from(unquote(part)))
                .collect(),
            _ => Value::from(unquote(value)),
        };
        fields.insert(key.to_owned(), value);
    }
    fields
}

fn unquote(value: &str) -> &str {
    let value = value.trim();
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

/// How top-level numbers and booleans are written.
fn spellings(yaml: &str, fields: &Map<String, Value>) -> BTreeMap<String, String> {
    let mut spellings = BTreeMap::new();
    let typed = |key: &str| {
        fields
            .get(key)
            .is_some_and(|v| v.is_number() || v.is_boolean())
    };
    if !fields
        .values()
        .any(|value| value.is_number() || value.is_boolean())
    {
        return spellings;
    }
    for (key, value) in yaml
        .lines()
        .filter_map(key_of)
        .filter(|(key, _)| typed(key))
    {
        let value = value
            .split_once(" #")
            .map_or(value, |(value, _)| value)
            .trim_end();
        if !value.is_empty() && !value.starts_with(['&', '*', '!']) {
            spellings.insert(key.to_owned(), value.to_owned());
        }
    }
    spellings
}

#[cfg(test)]
mod tests;
