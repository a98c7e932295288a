//! Changing fields of a manifest file as text: what is not asked for stays byte for byte as it was.
//!
//! A scanner finds where a field stands, and the text is cut there: comments, order, quotes, line ends and
//! a byte order mark stay. The scanner knows the forms that people write, not all of YAML; so the result is
//! read again, and unless it says exactly what was asked, and everything else as before, nothing is given back.

mod items;
mod locate;
mod quote;
mod render;

use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Document, Split, load, parse_file, split};
use crate::artifact::{ParseStatus, metadata};
use crate::{Code, Error, Kind, Result};
use locate::{Entry, Form};

pub use quote::quote;

/// The keys that hold tags, the one that counts first.
const TAGS: [&str; 2] = ["tags", "keywords"];

/// One thing to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The field says this from now on.
    Set(&'static str, String),
    /// The field goes.
    Unset(&'static str),
    /// Tags that are there afterwards, at the end if they were not.
    AddTags(Vec<String>),
    /// Tags that are gone afterwards.
    RemoveTags(Vec<String>),
    /// A tag that has another name, in its place; it goes if the other is there already.
    RenameTag(String, String),
}

/// The bytes of a manifest file with the changes made, one after the other. `file` says by its extension what
/// it is, and is named in errors; `kind` is the artifact's.
///
/// # Errors
///
/// `artifact.frontmatter_invalid` with the line, if the fields can't be read or are written in a form that
/// can't be changed without touching others.
pub fn edit(bytes: &[u8], file: &Path, kind: &Kind, changes: &[Change]) -> Result<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        bytes = changed(&bytes, file, |text, layout| {
            Editor::new(text, file, kind, layout)?.apply(change)
        })?;
    }
    Ok(bytes)
}

/// The bytes after a step that gives another text, or none if all is well.
fn changed(
    bytes: &[u8],
    file: &Path,
    step: impl FnOnce(&str, Layout) -> Result<Option<String>, Fault>,
) -> Result<Vec<u8>> {
    let refuse = |fault: Fault| {
        let shown = file.display();
        let message = format!("can't change the fields of `{shown}`: {}", fault.why);
        Error::new(Code::FrontmatterInvalid, message)
            .at(file, Some(fault.line))
            .hint("nothing was changed; mend the file with `sm edit`")
    };
    let fault = |why: &str| Fault {
        line: 1,
        why: why.to_owned(),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| refuse(fault("it is not UTF-8")))?;
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    let layout = match extension.to_str() {
        Some("json") => return Err(refuse(fault("JSON is not changed in place"))),
        Some("yaml" | "yml") => Layout::Yaml,
        _ => Layout::Markdown,
    };
    let edited = step(text, layout).map_err(refuse)?;
    Ok(edited.map_or_else(|| bytes.to_vec(), String::into_bytes))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Markdown,
    Yaml,
}

struct Fault {
    line: u32,
    why: String,
}

/// A text with its fields, before a change.
struct Editor<'a> {
    text: &'a str,
    file: &'a Path,
    kind: &'a Kind,
    document: Document,
    /// Where the fields stand, without the fences; `None` without frontmatter.
    region: Option<Range<usize>>,
    newline: &'static str,
}

/// Where a field stands, or should: the keys that lead to it.
struct Spot {
    table: Option<&'static str>,
    key: &'static str,
}

impl<'a> Editor<'a> {
    fn new(text: &'a str, file: &'a Path, kind: &'a Kind, layout: Layout) -> Result<Self, Fault> {
        let document = parse_file(file, text.as_bytes());
        if document.status == ParseStatus::Fallback {
            let (why, line) = document.error.unwrap_or_default();
            let line = line.unwrap_or(1);
            return Err(Fault { line, why });
        }
        let region = match layout {
            Layout::Yaml => Some(bom(text)..text.len()),
            Layout::Markdown if !document.has_frontmatter => None,
            Layout::Markdown => match split(text) {
                Split::Whole { yaml, body, .. } => {
                    // The body ends the text, the fence stands before it, and the fields before that.
                    let fence = text.len() - body.len();
                    let head = text.get(..fence).unwrap_or_default();
                    let end = head.trim_end().rfind('\n').map_or(fence, |at| at + 1);
                    Some(end.saturating_sub(yaml.len())..end)
                }
                Split::Absent | Split::Broken { .. } => None,
            },
        };
        let newline = match text.find('\n') {
            Some(at) if text.get(..at).is_some_and(|line| line.ends_with('\r')) => "\r\n",
            _ => "\n",
        };
        Ok(Self {
            text,
            file,
            kind,
            document,
            region,
            newline,
        })
    }

    /// The text with the change; `None` if it says so already.
    fn apply(&self, change: &Change) -> Result<Option<String>, Fault> {
        match change {
            Change::Set(key, value) => self.set(key, value),
            Change::Unset(key) => self.unset(key),
            Change::AddTags(tags) => self.retag(&|mut all| {
                all.extend(tags.iter().cloned());
                metadata::unique(all)
            }),
            Change::RemoveTags(tags) => self.retag(&|mut all| {
                all.retain(|tag| !tags.contains(tag));
                all
            }),
            Change::RenameTag(from, to) => self.retag(&|mut all| {
                if all.contains(to) {
                    all.retain(|tag| tag != from);
                    return all;
                }
                let renamed = |tag: String| if tag == *from { to.clone() } else { tag };
                all.into_iter().map(renamed).collect()
            }),
        }
    }

    fn set(&self, key: &'static str, value: &str) -> Result<Option<String>, Fault> {
        let spot = self.spot(&[key]);
        let old = spot.value(&self.document.fields);
        if old.and_then(Value::as_str) == Some(value) {
            return Ok(None);
        }
        let Some(entry) = self.entry(&spot)? else {
            let line = format!("{key}: {}", render::scalar(value, Form::Plain, ""));
            let text = self.with_line(&spot, &line)?;
            return self.proved(text, &spot, Some(&Value::from(value)));
        };
        if matches!(old, Some(Value::Array(_) | Value::Object(_))) {
            return Err(self.fault(&entry, &format!("`{key}` holds more than one value")));
        }
        let text = self.with_scalar(&entry, value);
        self.proved(text, &spot, Some(&Value::from(value)))
    }

    fn unset(&self, key: &'static str) -> Result<Option<String>, Fault> {
        let spot = self.spot(&[key]);
        if spot.value(&self.document.fields).is_none() {
            return Ok(None);
        }
        let entries = self.entries(&spot)?;
        let lines = entries
            .iter()
            .map(|entry| (entry.lines.clone(), String::new()));
        let text = replaced(self.text, lines.collect());
        self.proved(text, &spot, None)
    }

    /// Where one of these keys counts: at the top, or in the table of its kind; else where a new one belongs.
    fn spot(&self, keys: &[&'static str]) -> Spot {
        let table = metadata::nested_key(self.kind);
        let spots = [None, Some(table)]
            .into_iter()
            .flat_map(|table| keys.iter().map(move |key| Spot { table, key }));
        let says = |spot: &Spot| {
            let value = spot.value(&self.document.fields);
            value.is_some_and(|value| match value {
                Value::Null => false,
                value => keys.len() == 1 || !metadata::members(value).is_empty(),
            })
        };
        let fields = &self.document.fields;
        let stands = |spot: &Spot| spot.value(fields).is_some();
        let found = spots
            .clone()
            .find(says)
            .or_else(|| spots.clone().find(stands));
        found.unwrap_or_else(|| Spot {
            table: Some(table)
                .filter(|_| *self.kind == Kind::Workflow && fields.get(table).is_some()),
            key: keys.first().copied().unwrap_or_default(),
        })
    }

    fn region(&self) -> Range<usize> {
        self.region.clone().unwrap_or_default()
    }

    /// All entries of a field; several if its key is repeated.
    fn entries(&self, spot: &Spot) -> Result<Vec<Entry>, Fault> {
        let mut entries = locate::entries(self.text, self.region());
        if let Some(table) = spot.table {
            let found = entries.into_iter().rfind(|entry| entry.key == table);
            let Some(found) = found else {
                return Err(self.fault_at(self.region().start, &format!("`{table}` is not found")));
            };
            if found.form != Form::Mapping {
                return Err(self.fault(&found, &format!("`{table}` is not written line by line")));
            }
            entries = locate::entries(self.text, found.value.start..found.lines.end);
        }
        entries.retain(|entry| entry.key == spot.key);
        if self.document.status == ParseStatus::Repaired {
            for entry in &mut entries {
                self.widen(entry);
            }
        }
        Ok(entries)
    }

    /// The entry of a field that counts: the last.
    fn entry(&self, spot: &Spot) -> Result<Option<Entry>, Fault> {
        let in_place = spot.value(&self.document.fields).is_some() || spot.table.is_none();
        let mut entries = if in_place {
            self.entries(spot)?
        } else {
            Vec::new()
        };
        Ok(entries.pop())
    }

    /// A plain value that is no YAML by itself goes to the end of its line: what looks like a comment in it
    /// belongs to it.
    fn widen(&self, entry: &mut Entry) {
        let whole = self.text.get(entry.lines.clone()).unwrap_or_default();
        if load(whole).is_err() && entry.form == Form::Plain {
            let start = entry.lines.start;
            entry.value.end = start + whole.trim_end().len();
        }
    }

    /// The text with another scalar in the place of a value.
    fn with_scalar(&self, entry: &Entry, value: &str) -> String {
        let rest = self.text.get(entry.value.end..).unwrap_or_default();
        let beside = rest.split('\n').next().unwrap_or_default().trim();
        let key_line = self.text.get(entry.colon..).unwrap_or_default();
        let beside_key = key_line.split('\n').next().unwrap_or_default().trim();
        // A block can't stand before a comment.
        let commented = !beside.is_empty() || (entry.begins_below && !beside_key.is_empty());
        let form = if value.contains('\n') && commented {
            Form::Double
        } else {
            entry.form
        };
        let new = render::scalar(value, form, &" ".repeat(entry.indent));
        self.with_value(entry, &new)
    }

    fn with_value(&self, entry: &Entry, new: &str) -> String {
        let mut new = new.replace('\n', self.newline);
        let mut text = self.text.to_owned();
        if entry.begins_below {
            // The value stands on lines of its own: they go, and the new one follows the key.
            let lines = entry.value.start..locate::next_line(self.text, entry.value.end);
            text.replace_range(lines, "");
            text.insert_str(entry.colon, &format!(" {new}"));
            return text;
        }
        if let Some(comment) = self.block_comment(entry).filter(|_| !new.contains('\n')) {
            new = format!("{new} {comment}");
        }
        if entry.form == Form::Empty {
            new.insert(0, ' ');
        }
        text.replace_range(entry.value.clone(), &new);
        text
    }

    /// The comment behind the sign of a block scalar.
    fn block_comment(&self, entry: &Entry) -> Option<&str> {
        let value = self.text.get(entry.value.clone())?;
        let header = value.lines().next().filter(|_| entry.form == Form::Block)?;
        header.find(" #").and_then(|at| header.get(at + 1..))
    }

    /// The text with a new line at the end of the fields, or of the table that the field belongs to.
    fn with_line(&self, spot: &Spot, line: &str) -> Result<String, Fault> {
        let newline = self.newline;
        let Some(region) = self.region.clone() else {
            let start = bom(self.text);
            let body = self.text.get(start..).unwrap_or_default();
            let gap = if body.is_empty() || body.starts_with(['\n', '\r']) {
                ""
            } else {
                newline
            };
            let mark = self.text.get(..start).unwrap_or_default();
            let block = format!("{mark}---\n{line}\n---\n").replace('\n', newline);
            return Ok(format!("{block}{gap}{body}"));
        };
        let mut entries = locate::entries(self.text, region.clone());
        if let Some(table) = spot.table {
            let Some(found) = entries.into_iter().rfind(|entry| entry.key == table) else {
                return Err(self.fault_at(region.start, &format!("`{table}` is not found")));
            };
            entries = locate::entries(self.text, found.value.start..found.lines.end);
        }
        let (at, indent) = entries
            .last()
            .map_or((region.end, 0), |last| (last.lines.end, last.indent));
        let before = self.text.get(..at).unwrap_or_default();
        let open = !before.is_empty() && !before.ends_with('\n') && before.len() > bom(self.text);
        let indent = " ".repeat(indent);
        let mut new = if open {
            newline.to_owned()
        } else {
            String::new()
        };
        for part in line.lines() {
            new.extend([&indent, part, newline]);
        }
        let mut text = self.text.to_owned();
        text.insert_str(at, &new);
        Ok(text)
    }

    /// The text, if it says what was asked, and all else as before.
    fn proved(
        &self,
        text: String,
        spot: &Spot,
        wanted: Option<&Value>,
    ) -> Result<Option<String>, Fault> {
        let after = parse_file(self.file, text.as_bytes());
        let mut before = self.document.fields.clone();
        let mut fields = after.fields.clone();
        let said = spot.take(&mut fields);
        spot.take(&mut before);
        let says = match (wanted, &said) {
            (Some(wanted @ Value::Array(_)), Some(said)) => {
                metadata::members(said) == metadata::members(wanted)
            }
            (wanted, said) => wanted == said.as_ref(),
        };
        let same_body = match self.region {
            Some(_) => after.body == self.document.body,
            None => text.ends_with(self.text.get(bom(self.text)..).unwrap_or_default()),
        };
        let as_valid = after.status == ParseStatus::Strict || after.status == self.document.status;
        let twice = |text: &str| super::doubled(self.file, text.as_bytes()).is_some();
        let is_single = !twice(&text) || twice(self.text);
        if says && is_single && same_body && as_valid && before == fields && !after.lossy {
            return Ok(Some(text));
        }
        let at = self
            .entries(spot)
            .ok()
            .and_then(|mut entries| entries.pop());
        let at = at.map_or(self.region().start, |entry| entry.lines.start);
        Err(self.fault_at(
            at,
            &format!(
                "`{}` is written in a form that can't be changed alone",
                spot.key
            ),
        ))
    }

    fn fault(&self, entry: &Entry, why: &str) -> Fault {
        self.fault_at(entry.lines.start, why)
    }

    fn fault_at(&self, at: usize, why: &str) -> Fault {
        let before = self.text.get(..at).unwrap_or_default();
        Fault {
            line: super::line_count(before).saturating_add(1),
            why: why.to_owned(),
        }
    }
}

impl Spot {
    fn value<'f>(&self, fields: &'f Map<String, Value>) -> Option<&'f Value> {
        match self.table {
            None => fields.get(self.key),
            Some(table) => fields.get(table)?.as_object()?.get(self.key),
        }
    }

    fn take(&self, fields: &mut Map<String, Value>) -> Option<Value> {
        match self.table {
            None => fields.shift_remove(self.key),
            Some(table) => {
                let table = fields.get_mut(table)?.as_object_mut()?;
                table.shift_remove(self.key)
            }
        }
    }
}

/// The text with some ranges replaced. Those that overlap count as one.
fn replaced(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, new) in edits {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&new);
        at = at.max(range.end);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Bytes of the byte order mark.
fn bom(text: &str) -> usize {
    if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
