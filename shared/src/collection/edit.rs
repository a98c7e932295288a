//! Changing a manifest: new bytes are put between the old ones, and nothing else is touched.
//!
//! The parser says where the values stand; the text is then cut there. So comments, order, blanks, line
//! ends and unknown keys stay byte for byte as they were, whatever they are. The result is parsed before it
//! is given back: a manifest that we wrote can be read.

use std::collections::HashSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::MANIFEST;
use super::entry::EntryMetadata;
use super::manifest::Manifest;
use crate::document::{self, Lines, SyntaxError, quote};
use crate::time::Timestamp;
use crate::{ArtifactId, Code, Error, Result};

/// An entry to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Kind and name.
    pub id: ArtifactId,
    /// Where it lies, relative to the collection, with `/`.
    pub path: String,
    /// `local`, `github` or `marketplace`.
    pub origin: String,
    /// When it was added.
    pub added: Timestamp,
    /// The place that it was fetched from.
    pub upstream: Option<String>,
    /// The version asked for.
    pub version_spec: Option<String>,
    /// The commit that was fetched.
    pub resolved_sha: Option<String>,
    /// The tag that was fetched.
    pub resolved_version: Option<String>,
    /// On which host the marketplace found it; only with the origin `marketplace`.
    pub origin_source: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// What its files say. The tags in here are not written: they belong in `tags`.
    pub metadata: EntryMetadata,
}

impl NewEntry {
    /// An entry for an artifact from this machine.
    pub fn local(id: ArtifactId, path: impl Into<String>, added: Timestamp) -> Self {
        Self {
            id,
            path: path.into(),
            origin: "local".to_owned(),
            added,
            upstream: None,
            version_spec: None,
            resolved_sha: None,
            resolved_version: None,
            origin_source: None,
            tags: Vec::new(),
            metadata: EntryMetadata::default(),
        }
    }

    /// The keys with their values, as TOML, in the order of the ancestor. `array` spells an array.
    fn pairs(&self, array: fn(&[String]) -> String) -> (Vec<Pair>, Vec<Pair>) {
        let text = |key: &'static str, value: &Option<String>| {
            value.as_ref().map(|value| (key, quote(value)))
        };
        let list =
            |key: &'static str, items: &[String]| (!items.is_empty()).then(|| (key, array(items)));
        let own = [
            Some(("name", quote(&self.id.name))),
            Some(("type", quote(self.id.kind.as_str()))),
            Some(("path", quote(&self.path))),
            Some(("origin", quote(&self.origin))),
            Some(("added", quote(&self.added.to_manifest()))),
            text("upstream", &self.upstream),
            text("version_spec", &self.version_spec),
            text("resolved_sha", &self.resolved_sha),
            text("resolved_version", &self.resolved_version),
            text("origin_source", &self.origin_source),
            list("tags", &self.tags),
        ];
        let said = &self.metadata;
        let metadata = [
            text("title", &said.title),
            text("description", &said.description),
            text("author", &said.author),
            text("license", &said.license),
            text("version", &said.version),
            list("dependencies", &said.dependencies),
            list("tools", &said.tools),
        ];
        (
            own.into_iter().flatten().collect(),
            metadata.into_iter().flatten().collect(),
        )
    }

    fn as_table(&self) -> String {
        let (own, metadata) = self.pairs(|items| {
            let items: Vec<String> = items
                .iter()
                .map(|item| format!("    {},\n", quote(item)))
                .collect();
            format!("[\n{}]", items.concat())
        });
        let mut text = String::from("\n[[artifacts]]\n");
        push_lines(&mut text, &own);
        if !metadata.is_empty() {
            text.push_str("\n[artifacts.metadata]\n");
            push_lines(&mut text, &metadata);
        }
        text
    }

    fn as_inline(&self) -> String {
        let (mut own, metadata) = self.pairs(|items| {
            let items: Vec<String> = items.iter().map(|item| quote(item)).collect();
            format!("[{}]", items.join(", "))
        });
        if !metadata.is_empty() {
            own.push(("metadata", inline(&metadata)));
        }
        inline(&own)
    }
}

type Pair = (&'static str, String);

fn push_lines(text: &mut String, pairs: &[Pair]) {
    for (key, value) in pairs {
        text.push_str(key);
        text.push_str(" = ");
        text.push_str(value);
        text.push('\n');
    }
}

fn inline(pairs: &[Pair]) -> String {
    let parts: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!("{{ {} }}", parts.join(", "))
}

/// The manifest of a new, empty collection, as the ancestor writes it.
pub fn render_new(name: &str, now: Timestamp) -> String {
    let moment = now.to_manifest();
    format!(
        "artifacts = []\n\n[collection]\nname = {}\nversion = \"1.0.0\"\ncreated = \"{moment}\"\n\
         updated = \"{moment}\"\n",
        quote(name)
    )
}

/// The manifest with these entries added and the header's `updated` set to `now`.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML or its artifacts are no array of tables;
/// [`Code::ArtifactExists`] if it, or `entries` themselves, have an id twice.
pub fn add_entries(text: &str, entries: &[NewEntry], now: Timestamp) -> Result<String> {
    let old = Manifest::parse(text).map_err(|error| syntax(&error))?;
    let mut ids: HashSet<&ArtifactId> = old.entries.iter().map(|entry| &entry.id).collect();
    for entry in entries {
        if !ids.insert(&entry.id) {
            let message = format!("the manifest has an entry for `{}` already", entry.id);
            return Err(Error::new(Code::ArtifactExists, message)
                .hint("choose another name with `--name`")
                .at(MANIFEST, None));
        }
    }
    let additions = insert_entries(text, entries)?;
    // First, so that of two changes at the end of the file the header's stays with the header.
    let mut cuts: Vec<Cut> = bump(text, now)?.into_iter().collect();
    cuts.extend(additions.iter().cloned());
    let complete = |out: &str| -> Option<Manifest> {
        let manifest = Manifest::parse(out).ok()?;
        let all = manifest.entries.len() == old.entries.len() + entries.len();
        (all && manifest.broken.len() == old.broken.len()).then_some(manifest)
    };
    let out = apply(text, cuts);
    if complete(&out)
        .is_some_and(|new| !has_header(&old) || new.header.updated == Some(now.to_manifest()))
    {
        return Ok(out);
    }
    // A header in a form that can't be dated must not keep artifacts out.
    let out = apply(text, additions);
    if complete(&out).is_some() {
        return Ok(out);
    }
    Err(invalid(
        "the manifest is written in a way that entries can't be added to".to_owned(),
        None,
    ))
}

const fn has_header(manifest: &Manifest) -> bool {
    !matches!(manifest.header.style, super::manifest::HeaderStyle::Absent)
}

fn syntax(error: &SyntaxError) -> Error {
    invalid(
        format!("the manifest can't be read: {}", error.message),
        Some(error.line),
    )
}

fn invalid(message: String, line: Option<u32>) -> Error {
    Error::new(Code::ManifestInvalid, message)
        .hint(format!("mend `{MANIFEST}`; nothing was written"))
        .at(MANIFEST, line)
}

/// Bytes of the old text and what stands there in the new one.
type Cut = (Range<usize>, String);

fn apply(text: &str, mut cuts: Vec<Cut>) -> String {
    cuts.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len() + 1024);
    let mut at = 0;
    for (range, new) in cuts {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&new);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

fn insert_entries(text: &str, entries: &[NewEntry]) -> Result<Vec<Cut>> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let lines = Lines::of(text);
    let root = document::parse(text, &lines).map_err(|error| syntax(&error))?;
    let Some((key, value)) = root.get_ref().get_key_value("artifacts") else {
        return Ok(vec![append(text, text.len(), entries)]);
    };
    let DeValue::Array(items) = value.get_ref() else {
        let message = "`artifacts` in the manifest is no array of tables".to_owned();
        return Err(invalid(message, Some(lines.start(&key.span()))));
    };
    let array = value.span();
    let written = text.get(array.clone()).unwrap_or_default();
    let Some(inside) = written
        .strip_prefix('[')
        .filter(|_| !written.starts_with("[["))
        .and_then(|rest| rest.strip_suffix(']'))
    else {
        // The span of `[[artifacts]]` is its header; that of an array is the whole of it.
        return Ok(vec![append(text, text.len(), entries)]);
    };
    if let Some(last) = items.iter().last() {
        let last = last.span();
        let before = text.get(array.start..last.start).unwrap_or_default();
        let blank = before
            .rfind(['\n', ',', '['])
            .and_then(|at| before.get(at..))
            .unwrap_or_default();
        let gap = if blank.starts_with('\n') {
            format!(",{}{blank}", carriage(text))
        } else {
            ", ".to_owned()
        };
        let new: Vec<String> = entries
            .iter()
            .map(|entry| format!("{gap}{}", entry.as_inline()))
            .collect();
        return Ok(vec![(last.end..last.end, new.concat())]);
    }
    if inside.trim().is_empty() {
        return Ok(vec![
            (statement(text, &key.span(), &array), String::new()),
            append(text, text.len(), entries),
        ]);
    }
    // Nothing but a comment: it stays where it is.
    let new: Vec<String> = entries.iter().map(NewEntry::as_inline).collect();
    let at = array.start + 1;
    Ok(vec![(at..at, format!(" {}", new.join(", ")))])
}

/// What a line end needs before its newline in this text.
fn carriage(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r" } else { "" }
}

/// New tables at the end of the file.
fn append(text: &str, end: usize, entries: &[NewEntry]) -> Cut {
    let mut new: String = entries.iter().map(NewEntry::as_table).collect();
    if !text.ends_with('\n') {
        new.insert(0, '\n');
    }
    if carriage(text) == "\r" {
        new = new.replace('\n', "\r\n");
    }
    (end..end, new)
}

/// The bytes of `key = []`, with its line if nothing else stands on it.
fn statement(text: &str, key: &Range<usize>, value: &Range<usize>) -> Range<usize> {
    let before = text.get(..key.start).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let indent = text
        .get(start..key.start)
        .unwrap_or_default()
        .trim_start_matches('\u{feff}');
    let after = text.get(value.end..).unwrap_or_default();
    let rest = after.find('\n').map_or(after.len(), |at| at + 1);
    let alone = after.get(..rest).unwrap_or_default().trim().is_empty();
    if indent.trim().is_empty() && alone {
        key.start - indent.len()..value.end + rest
    } else {
        key.start..value.end
    }
}

/// The change that dates the header.
fn bump(text: &str, now: Timestamp) -> Result<Option<Cut>> {
    let lines = Lines::of(text);
    let root = document::parse(text, &lines).map_err(|error| syntax(&error))?;
    let table = |table: &'_ Spanned<DeValue<'_>>| table.get_ref().is_table();
    let own = root
        .get_ref()
        .get("collection")
        .filter(|value| table(value));
    let tool = || {
        root.get_ref()
            .get("tool")?
            .get_ref()
            .as_table()?
            .get("skillmeat")
    };
    let Some(header) = own.or_else(tool) else {
        return Ok(None);
    };
    let moment = quote(&now.to_manifest());
    let Some(fields) = header.get_ref().as_table() else {
        return Ok(None);
    };
    if let Some(old) = fields.get("updated") {
        return Ok(Some((old.span(), moment)));
    }
    let Some(at) = last_scalar(fields) else {
        return Ok(None);
    };
    let is_inline = text
        .get(header.span())
        .is_some_and(|written| written.starts_with('{'));
    if is_inline {
        return Ok(Some((at..at, format!(", updated = {moment}"))));
    }
    // Behind the comment that may follow the value.
    let rest = text.get(at..).unwrap_or_default();
    let end = rest
        .find(['\r', '\n'])
        .map_or(text.len(), |found| at + found);
    Ok(Some((
        end..end,
        format!("{}\nupdated = {moment}", carriage(text)),
    )))
}

fn last_scalar(fields: &DeTable<'_>) -> Option<usize> {
    fields
        .values()
        .filter(|value| !value.get_ref().is_table() && !value.get_ref().is_array())
        .map(|value| value.span().end)
        .max()
}

#[cfg(test)]
mod tests;
