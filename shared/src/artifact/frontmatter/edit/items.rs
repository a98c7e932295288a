//! Lists with other items: what stays keeps its spelling and its comments.

use std::ops::Range;

use serde_json::Value;

use super::super::load;
use super::locate::{self, Entry, Form};
use super::{Editor, Fault, TAGS, render, replaced};
use crate::artifact::metadata;

impl Editor<'_> {
    /// The text with other tags; `None` if it has these already.
    pub(super) fn retag(
        &self,
        wanted: &dyn Fn(Vec<String>) -> Vec<String>,
    ) -> Result<Option<String>, Fault> {
        let spot = self.spot(&TAGS);
        let old = spot.value(&self.document.fields);
        let now = old.map(metadata::members).unwrap_or_default();
        let new = wanted(now.clone());
        if new == now {
            return Ok(None);
        }
        let list = Value::from(new.clone());
        let flow = |items: &[String]| {
            let items: Vec<String> = items.iter().map(|item| render::item(item)).collect();
            format!("[{}]", items.join(", "))
        };
        let Some(entry) = self.entry(&spot)? else {
            let line = format!("{}: {}", spot.key, flow(&new));
            let text = self.with_line(&spot, &line)?;
            return self.proved(text, &spot, Some(&list));
        };
        let written = self.text.get(entry.value.clone()).unwrap_or_default();
        if entry.form == Form::Plain && locate::form_of(written) == Form::Flow {
            return Err(self.fault(&entry, "its tags begin with a bracket that is never closed"));
        }
        let text = match (entry.form, old) {
            (_, Some(Value::String(_))) => self.with_scalar(&entry, &joined(old, &now, &new)),
            (Form::Flow | Form::Sequence, Some(Value::Array(_))) if !now.is_empty() => {
                if new.is_empty() {
                    self.with_value(&entry, "[]")
                } else {
                    with_items(self.text, self.newline, &entry, &now, &new)
                }
            }
            (_, Some(Value::Object(_))) => {
                return Err(self.fault(&entry, "its tags are a table"));
            }
            _ => self.with_value(&entry, &flow(&new)),
        };
        self.proved(text, &spot, Some(&list))
    }
}

/// The list with other items: those that go are cut out, those of a new name replaced, new ones put at
/// the end.
pub(super) fn with_items(
    text: &str,
    newline: &str,
    entry: &Entry,
    now: &[String],
    new: &[String],
) -> String {
    let items = locate::items(text, entry);
    let part = |item: &locate::Item| text.get(item.value.clone()).unwrap_or_default();
    let name = |item: &locate::Item| {
        let value = load(part(item)).unwrap_or_default();
        metadata::members(&Value::Array(vec![value])).pop()
    };
    // As many as before with others among them: those have been renamed.
    let pairs = now.iter().zip(new).filter(|(old, new)| old != new);
    let renamed: Vec<_> = pairs.filter(|_| now.len() == new.len()).collect();
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut goes = Vec::new();
    for item in &items {
        let name = name(item);
        let other = renamed.iter().find(|(old, _)| Some(*old) == name.as_ref());
        if let Some((_, other)) = other {
            let form = locate::form_of(part(item));
            let spelled = render::scalar_in(other, form, entry.form == Form::Flow);
            edits.push((item.value.clone(), spelled));
        }
        goes.push(other.is_none() && name.is_some_and(|name| !new.contains(&name)));
    }
    for range in locate::removals(text, &items, &goes, entry.form) {
        edits.push((range, String::new()));
    }
    let added: Vec<&String> = new.iter().filter(|tag| !now.contains(tag)).collect();
    if let Some(last) = items
        .last()
        .filter(|_| renamed.is_empty() && !added.is_empty())
    {
        edits.push(appended(text, newline, entry, last, &added));
    }
    replaced(text, edits)
}

/// New items behind the last one.
fn appended(
    text: &str,
    newline: &str,
    entry: &Entry,
    last: &locate::Item,
    added: &[&String],
) -> (Range<usize>, String) {
    let start = text.get(..last.lines.start).unwrap_or_default();
    let line = start.get(start.rfind('\n').map_or(0, |at| at + 1)..);
    let line = line.unwrap_or_default();
    if entry.form == Form::Sequence {
        let lines = text.get(last.lines.clone()).unwrap_or_default();
        let open = !lines.ends_with('\n');
        let at = last.lines.end;
        let indent: String = lines.chars().take_while(|c| *c == ' ').collect();
        let blanks: String = {
            let after = lines.trim_start().strip_prefix('-').unwrap_or_default();
            after.chars().take_while(|c| *c == ' ').collect()
        };
        let mut new = String::new();
        for tag in added {
            let line = format!("{indent}-{blanks}{}", render::item(tag));
            if open {
                new.extend([newline, &line]);
            } else {
                new.extend([&line, newline]);
            }
        }
        return (at..at, new);
    }
    let at = last.value.end;
    // One item on each line goes on like that.
    let own_line = !line.is_empty() && line.trim().is_empty();
    let between = if own_line {
        format!(",{newline}{line}")
    } else {
        ", ".to_owned()
    };
    let mut new = String::new();
    for tag in added {
        new.extend([between.as_str(), &render::item(tag)]);
    }
    (at..at, new)
}

/// A text with commas that lists other tags: what stays keeps its place.
pub(super) fn joined(old: Option<&Value>, now: &[String], new: &[String]) -> String {
    let old = old.and_then(Value::as_str).unwrap_or_default();
    // Only new ones at the end: all that is there stays as it is written.
    if let Some(added) = new.strip_prefix(now).filter(|_| !now.is_empty()) {
        let kept = old.trim_end().trim_end_matches(',').trim_end();
        return std::iter::once(kept)
            .chain(added.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(", ");
    }
    new.join(", ")
}
