//! Taking back one change of a TOML document after others have changed it since: entry by entry.
//!
//! A document is cut into segments: every header, every key with its value, each with the comments above it.
//! An entry of an array of tables (`[[artifacts]]`, `[[groups]]`) is known by what it names, not by where it
//! stands. A segment that a change made is taken back if it is still as the change left it; segments that the
//! change did not touch stay as they are now, byte for byte. Comments are no part of a value: those that somebody wrote
//! since stay, and the value goes back all the same, unless it would take them along.

use std::collections::{HashMap, HashSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::edit::{List, inline, value};
use crate::document::{self, Lines, SyntaxError};

/// Keys by which an entry of an array of tables is known, as far as it has them.
const NAMING: [&str; 5] = ["type", "name", "slug", "id", "key"];

/// Keys that every change sets: what stands there now is right.
const DATED: [&str; 2] = ["collection.updated", "tool.skillmeat.updated"];

/// The comments behind all that a document says.
const END: &str = "the end";

/// Why a change can't be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// These segments were changed since: the names of keys and entries.
    Changed(Vec<String>),
    /// Comments of these segments were, and would go.
    Commented(Vec<String>),
    /// A text is no TOML.
    Syntax(SyntaxError),
}

/// What `now` would be if the change from `before` to `after` had not been made.
///
/// # Errors
/// [`Obstacle`].
pub fn take_back(before: &str, after: &str, now: &str) -> Result<String, Obstacle> {
    if now == after {
        return Ok(before.to_owned());
    }
    let cut = |text| segments(text).map_err(Obstacle::Syntax);
    let (old, new, mut out) = (cut(before)?, cut(after)?, cut(now)?);
    let (olds, news) = (by_key(&old), by_key(&new));
    let (mut obstacles, mut comments) = (Vec::new(), Vec::new());
    let mut keys = HashSet::new();
    for segment in new
        .iter()
        .chain(&old)
        .filter(|one| keys.insert(one.key.as_str()))
    {
        let key = segment.key.as_str();
        let (was, made) = (olds.get(key), news.get(key));
        if same(was.copied(), made.copied()) || DATED.contains(&key) {
            continue;
        }
        let at = out.iter().position(|one| one.key == key);
        let stands = at.and_then(|at| out.get(at));
        if !same(stands, made.copied()) {
            let merged = merged(key, was.copied(), made.copied(), stands);
            match (merged, at.and_then(|at| out.get_mut(at))) {
                (Ok(segment), Some(slot)) => *slot = segment,
                (Ok(_), None) => {}
                (Err(Obstacle::Commented(more)), _) => comments.extend(more),
                (Err(Obstacle::Changed(more)), _) => obstacles.extend(more),
                (Err(syntax), _) => return Err(syntax),
            }
            continue;
        }
        match (at, was) {
            (Some(at), Some(was)) => {
                if let Some(slot) = out.get_mut(at) {
                    slot.clone_from(was);
                }
            }
            (Some(at), None) => drop(out.remove(at)),
            (None, Some(was)) => insert(&mut out, &old, was),
            (None, None) => {}
        }
    }
    if !obstacles.is_empty() {
        return Err(Obstacle::Changed(obstacles));
    }
    if !comments.is_empty() {
        return Err(Obstacle::Commented(comments));
    }
    let text = joined(&out, now);
    let again = segments(&text).map_err(Obstacle::Syntax)?;
    if again
        .iter()
        .map(|one| &one.key)
        .ne(out.iter().map(|one| &one.key))
    {
        return Err(Obstacle::Changed(vec!["the whole file".to_owned()]));
    }
    Ok(text)
}

/// Whether a change touched one of these segments, as an [`Obstacle`] names them. Entries of a list that is written
/// inline count as the list. In doubt it did.
pub fn touched(before: &str, after: &str, names: &[String]) -> bool {
    let (Ok(old), Ok(new)) = (segments(before), segments(after)) else {
        return true;
    };
    let (olds, news) = (by_key(&old), by_key(&new));
    names.iter().any(|name| {
        let list = name
            .split_once("/`")
            .map_or(name.as_str(), |(list, _)| list);
        let is_known = olds.contains_key(list) || news.contains_key(list);
        !is_known || !same(olds.get(list).copied(), news.get(list).copied())
    })
}

/// A segment without a change that was made to it, with what others did to it since: its value, the comments above it
/// and the one behind it are looked at one by one.
fn merged(
    key: &str,
    was: Option<&Segment>,
    made: Option<&Segment>,
    stands: Option<&Segment>,
) -> Result<Segment, Obstacle> {
    let changed = || Obstacle::Changed(vec![key.to_owned()]);
    let commented = || Obstacle::Commented(vec![key.to_owned()]);
    let (Some(made), Some(stands)) = (made, stands) else {
        return Err(changed());
    };
    let is_as_made = value::same(made.body(), stands.body());
    let Some(was) = was else {
        return Err(if is_as_made { commented() } else { changed() });
    };
    if key == END && made.text.trim().is_empty() {
        // What stood there belonged to something that goes: it comes back above what came since.
        return Ok(Segment {
            text: format!("{}{}", was.text, stands.text),
            ..stands.clone()
        });
    }
    if let Some(list) = List::ALL.into_iter().find(|list| list.as_str() == key) {
        // A list that is written inline is one segment: its entries are taken back one by one.
        return by_entry(list, was, made, stands);
    }
    let body = match either(was.body(), made.body(), stands.body()) {
        Some(body) => body.to_owned(),
        None if !is_as_made => return Err(changed()),
        None => {
            let value = value::carried(was.value(), stands.value()).ok_or_else(commented)?;
            let begin = stands.value_at - stands.start;
            stands.body().get(..begin).unwrap_or_default().to_owned() + &value
        }
    };
    let lead = either(was.lead(), made.lead(), stands.lead()).ok_or_else(commented)?;
    let tail = either(was.tail(), made.tail(), stands.tail()).ok_or_else(commented)?;
    Ok(Segment {
        text: format!("{lead}{body}{tail}"),
        ..stands.clone()
    })
}

/// What a part is without a change: as it stands if the change did not touch it, as it was if nobody else did.
fn either<'t>(was: &'t str, made: &str, stands: &'t str) -> Option<&'t str> {
    if was.trim() == made.trim() {
        Some(stands)
    } else {
        (stands.trim() == made.trim()).then_some(was)
    }
}

fn by_entry(
    list: List,
    was: &Segment,
    made: &Segment,
    stands: &Segment,
) -> Result<Segment, Obstacle> {
    match inline::take_back(list, &was.text, &made.text, &stands.text) {
        Ok(text) => Ok(Segment {
            text,
            ..stands.clone()
        }),
        Err(entries) if entries.is_empty() => {
            Err(Obstacle::Changed(vec![list.as_str().to_owned()]))
        }
        Err(entries) => Err(Obstacle::Changed(entries)),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    /// Unique in the document.
    key: String,
    /// The entry or table that it is a part of.
    block: String,
    is_header: bool,
    text: String,
    /// Where the header or the key begins, behind the comments above it.
    start: usize,
    /// Where the value begins.
    value_at: usize,
    /// Where it ends; a comment may follow.
    end: usize,
}

impl Segment {
    fn lead(&self) -> &str {
        self.text.get(..self.start).unwrap_or_default()
    }

    fn body(&self) -> &str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    fn value(&self) -> &str {
        self.text.get(self.value_at..self.end).unwrap_or_default()
    }

    fn tail(&self) -> &str {
        self.text.get(self.end..).unwrap_or_default()
    }
}

fn by_key(segments: &[Segment]) -> HashMap<&str, &Segment> {
    segments.iter().map(|one| (one.key.as_str(), one)).collect()
}

/// Whether two segments say the same; blank lines around them do not matter.
fn same(one: Option<&Segment>, other: Option<&Segment>) -> bool {
    one.map(|one| one.text.trim()) == other.map(|other| other.text.trim())
}

/// Puts a segment back where it stood: behind the one that it followed, if that is still there.
fn insert(out: &mut Vec<Segment>, old: &[Segment], segment: &Segment) {
    let is_empty_list = segment.text.trim_end().ends_with("[]") && !segment.is_header;
    let entries = format!("{}/", segment.key);
    if is_empty_list && out.iter().any(|one| one.key.starts_with(&entries)) {
        // Entries that were added since: the list is not empty any more.
        return;
    }
    let before = old.iter().take_while(|one| one.key != segment.key);
    let followed = before
        .filter_map(|one| out.iter().position(|other| other.key == one.key))
        .last();
    let mut at = followed.map_or(0, |at| at + 1);
    if segment.is_header {
        // Not into the middle of what stands there: all of that block comes first.
        let block = followed
            .and_then(|at| out.get(at))
            .map(|one| one.block.clone());
        while out.get(at).is_some_and(|next| {
            !next.is_header || (block.as_ref() == Some(&next.block) && next.block != segment.block)
        }) {
            at += 1;
        }
    }
    out.insert(at, segment.clone());
}

fn joined(segments: &[Segment], now: &str) -> String {
    let mut text = String::with_capacity(now.len() + 1024);
    let end = if now.contains("\r\n") { "\r\n" } else { "\n" };
    for segment in segments {
        if !text.is_empty() && !text.ends_with('\n') && !segment.text.is_empty() {
            text.push_str(end);
        }
        text.push_str(&segment.text);
    }
    text
}

/// Where a segment begins and ends, without comments above and behind it.
struct Mark {
    start: usize,
    value_at: usize,
    end: usize,
    key: String,
    block: String,
    is_header: bool,
}

fn segments(text: &str) -> Result<Vec<Segment>, SyntaxError> {
    let lines = Lines::of(text);
    let root = document::parse(text, &lines)?;
    let mut marks = Vec::new();
    walk(text, root.get_ref(), "", "", &mut marks);
    marks.sort_by_key(|mark| mark.start);
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut segments = Vec::with_capacity(marks.len() + 1);
    let mut at = 0;
    for mark in marks {
        let rest = text.get(mark.end..).unwrap_or_default();
        let end = rest
            .find('\n')
            .map_or(text.len(), |found| mark.end + found + 1);
        let above = text.get(at..mark.start).unwrap_or_default();
        let start = above.rfind('\n').map_or(0, |found| found + 1);
        let count = counts.entry(mark.key.clone()).or_default();
        *count += 1;
        let key = if *count > 1 {
            format!("{} (number {count})", mark.key)
        } else {
            mark.key
        };
        segments.push(Segment {
            key,
            block: mark.block,
            is_header: mark.is_header,
            text: text.get(at..end).unwrap_or_default().to_owned(),
            start,
            value_at: mark.value_at - at,
            end: mark.end - at,
        });
        at = end;
    }
    segments.push(Segment {
        key: END.to_owned(),
        block: END.to_owned(),
        is_header: true,
        text: text.get(at..).unwrap_or_default().to_owned(),
        start: 0,
        value_at: 0,
        end: 0,
    });
    Ok(segments)
}

fn walk(text: &str, table: &DeTable<'_>, prefix: &str, block: &str, marks: &mut Vec<Mark>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        let written = text.get(value.span()).unwrap_or_default();
        match value.get_ref() {
            DeValue::Table(inner) if written.starts_with('[') => {
                let block = if block.is_empty() { &key } else { block };
                marks.push(header(value, &key, block));
                walk(text, inner, &key, block, marks);
            }
            // Of dotted keys, or of headers below it.
            DeValue::Table(inner) if !written.starts_with('{') => {
                walk(text, inner, &key, block, marks);
            }
            DeValue::Array(items) if items.iter().any(|item| is_entry(text, item)) => {
                for item in items {
                    let Some(inner) = item.get_ref().as_table() else {
                        continue;
                    };
                    let key = format!("{key}/{}", called(inner));
                    let block = if block.is_empty() { &key } else { block };
                    marks.push(header(item, &key, block));
                    walk(text, inner, &key, block, marks);
                }
            }
            _ => marks.push(Mark {
                start: name.span().start,
                value_at: value.span().start,
                end: value.span().end,
                block: block.to_owned(),
                is_header: false,
                key,
            }),
        }
    }
}

fn is_entry(text: &str, item: &Spanned<DeValue<'_>>) -> bool {
    item.get_ref().is_table()
        && text
            .get(item.span())
            .is_some_and(|written| written.starts_with("[["))
}

fn header(value: &Spanned<DeValue<'_>>, key: &str, block: &str) -> Mark {
    Mark {
        start: value.span().start,
        value_at: value.span().end,
        end: value.span().end,
        // Not the name of any key: a key in brackets.
        key: format!("[{key}]"),
        block: block.to_owned(),
        is_header: true,
    }
}

/// What an entry names.
fn called(entry: &DeTable<'_>) -> String {
    let parts: Vec<String> = NAMING
        .iter()
        .filter_map(|name| entry.get(*name)?.get_ref().as_str().map(str::to_owned))
        .collect();
    parts.join(":")
}

#[cfg(test)]
mod tests;
