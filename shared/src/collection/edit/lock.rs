//! Entries of the lock file: removed, renamed, taken out and put back.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Map, Value as Json};

use super::lexer::Segment;
use super::sections::{self, Section};
use super::table::{self, Scope};
use super::value::{on_one_line, spelled};
use super::{Cut, apply};
use crate::collection::LOCK;
use crate::collection::lockfile::{key_of, render_new};
use crate::document::{self, Lines, SyntaxError, quote};
use crate::{ArtifactId, Code, Error, Result};

const ENTRIES: [&str; 2] = ["lock", "entries"];

/// The lock file without the entries of these artifacts; what has none is passed over.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML or can't be edited.
pub fn remove(text: &str, ids: &[ArtifactId]) -> Result<String> {
    let there = model(text)?;
    let keys: BTreeSet<String> = ids
        .iter()
        .map(key_of)
        .filter(|key| has(&there, key))
        .collect();
    if keys.is_empty() {
        return Ok(text.to_owned());
    }
    // Nearly always each has a table of its own: all of them go at once.
    let together = apply(text, sections::without(text, tables(text, &keys)));
    let outcome = verified(text, Some(together), |entries| {
        entries.retain(|key, _| !keys.contains(key));
    });
    outcome.or_else(|_| remove_each(text, keys))
}

/// Where the tables of these entries stand.
fn tables(text: &str, keys: &BTreeSet<String>) -> Vec<Range<usize>> {
    let is_gone = |section: &&Section| {
        let mut path = section.path();
        ENTRIES.iter().all(|name| path.next() == Some(*name))
            && path.next().is_some_and(|key| keys.contains(key))
    };
    sections::sections(text)
        .iter()
        .filter(is_gone)
        .map(|section| section.extent.clone())
        .collect()
}

/// One after the other, in whatever form they are written.
fn remove_each(text: &str, keys: BTreeSet<String>) -> Result<String> {
    let mut out = text.to_owned();
    for key in keys {
        let new = table::change(&out, Scope::Document, &path(&key), None).ok();
        out = verified(&out, new, |entries| {
            entries.remove(&key);
        })?;
    }
    Ok(out)
}

/// The lock file with an artifact's entry under another name; without an entry it stays as it is.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML, can't be edited, or has an entry of the new name.
pub fn rename(text: &str, from: &ArtifactId, to: &ArtifactId) -> Result<String> {
    let (old, new) = (key_of(from), key_of(to));
    let before = model(text)?;
    if from == to || !has(&before, &old) {
        return Ok(text.to_owned());
    }
    if has(&before, &new) {
        return Err(invalid(
            format!("the lock file has an entry `{new}` already"),
            None,
        ));
    }
    let sections = sections::sections(text);
    let wanted = path(&old);
    let mut cuts: Vec<Cut> = Vec::new();
    for section in &sections {
        let header = section.header.as_ref().map(|header| header.key.as_slice());
        let base = header.unwrap_or_default();
        cuts.extend(segment(&[], base, &wanted).map(|span| (span, quote(&new))));
        for pair in &section.pairs {
            let found = segment(base, &pair.key, &wanted);
            cuts.extend(found.map(|span| (span, quote(&new))));
        }
    }
    verified(text, Some(apply(text, cuts)), |entries| {
        if let Some(entry) = entries.remove(&old) {
            entries.insert(new.clone(), entry);
        }
    })
}

/// Where the last name of `wanted` stands in `key`, if the two paths together begin with it.
fn segment(base: &[Segment], key: &[Segment], wanted: &[&str]) -> Option<Range<usize>> {
    let place = (wanted.len() - 1).checked_sub(base.len())?;
    let found = key.get(place)?;
    let mut names = base.iter().chain(key).map(|segment| segment.name.as_str());
    let is_it = wanted.iter().all(|wanted| names.next() == Some(*wanted));
    is_it.then(|| found.span.clone())
}

/// The text of an artifact's entry as a table, with its comments and plain newlines. `None` without one.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML.
pub fn block(text: &str, id: &ArtifactId) -> Result<Option<String>> {
    let key = key_of(id);
    if !has(&model(text)?, &key) {
        return Ok(None);
    }
    let wanted = path(&key);
    let sections = sections::sections(text);
    let own: Vec<&Section> = sections
        .iter()
        .filter(|section| section.path().take(wanted.len()).eq(wanted.iter().copied()))
        .collect();
    let mut out: String = own
        .iter()
        .filter_map(|section| text.get(section.extent.clone()))
        .map(|part| part.replace("\r\n", "\n"))
        .collect();
    if own.is_empty() {
        out = rendered(text, &key)?;
    } else if !out.ends_with('\n') {
        out.push('\n');
    }
    Ok(Some(out))
}

/// An entry that is written in another form, as a table.
fn rendered(text: &str, key: &str) -> Result<String> {
    let root = document::parse(text, &Lines::of(text)).map_err(|error| syntax(&error))?;
    let entry = root
        .get_ref()
        .get("lock")
        .and_then(|lock| lock.get_ref().as_table()?.get("entries"))
        .and_then(|entries| entries.get_ref().as_table()?.get(key))
        .and_then(|entry| entry.get_ref().as_table());
    let pairs = entry.map(document::in_order).unwrap_or_default();
    let lines = pairs.into_iter().map(|(key, value)| {
        let value = on_one_line(value.get_ref());
        format!("{} = {value}\n", spelled(key.get_ref()))
    });
    let header = format!("[lock.entries.{}]\n", quote(key));
    Ok(header + &lines.collect::<String>())
}

/// The lock file with an entry that [`block`] gave, in the place of the artifact's entry or behind all others. An
/// empty text becomes a new lock file.
///
/// # Errors
/// [`Code::ManifestInvalid`] if either text is no TOML, or the lock file can't be edited.
pub fn put(text: &str, id: &ArtifactId, block: &str) -> Result<String> {
    let text = if text.trim().is_empty() {
        render_new()
    } else {
        text
    };
    let key = key_of(id);
    let wanted = path(&key);
    let said = model(block)?;
    let Some(entry) = entry_of(&said, &key).cloned() else {
        return Err(invalid(format!("the text holds no entry `{key}`"), None));
    };
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let block = block.replace('\n', newline);
    let sections = sections::sections(text);
    let mut own = sections
        .iter()
        .filter(|section| section.path().take(wanted.len()).eq(wanted.iter().copied()));
    let out = if let Some(first) = own.next() {
        let gone = own.map(|section| section.extent.clone()).collect();
        let mut cuts = vec![(first.extent.clone(), block)];
        cuts.extend(sections::without(text, gone));
        Some(apply(text, cuts))
    } else {
        let rest = table::change(text, Scope::Document, &wanted, None).ok();
        rest.map(|mut rest| {
            if !rest.is_empty() && !rest.ends_with('\n') {
                rest.push_str(newline);
            }
            rest + newline + &block
        })
    };
    verified(text, out, |entries| {
        entries.insert(key, entry);
    })
}

fn path(key: &str) -> [&str; 3] {
    let [lock, entries] = ENTRIES;
    [lock, entries, key]
}

fn entry_of<'m>(model: &'m Map<String, Json>, key: &str) -> Option<&'m Json> {
    let [lock, entries] = ENTRIES;
    model.get(lock)?.get(entries)?.get(key)
}

fn has(model: &Map<String, Json>, key: &str) -> bool {
    entry_of(model, key).is_some()
}

fn model(text: &str) -> Result<Map<String, Json>> {
    let root = document::parse(text, &Lines::of(text)).map_err(|error| syntax(&error))?;
    Ok(document::table_to_json(root.get_ref()))
}

/// The edited text, if its entries are the old ones with `expect` done to them, and nothing else changed.
fn verified(
    old: &str,
    new: Option<String>,
    expect: impl FnOnce(&mut Map<String, Json>),
) -> Result<String> {
    let mut wanted = model(old)?;
    let [lock, entries] = ENTRIES;
    let empty = || Json::Object(Map::new());
    let lock = wanted.entry(lock).or_insert_with(empty).as_object_mut();
    let table = lock.map(|lock| lock.entry(entries).or_insert_with(empty));
    if let Some(table) = table.and_then(Json::as_object_mut) {
        expect(table);
    }
    match new {
        Some(new) if model(&new).is_ok_and(|said| without_empty(said) == without_empty(wanted)) => {
            Ok(new)
        }
        _ => Err(invalid(
            "the lock file is written in a way that it can't be edited".to_owned(),
            None,
        )),
    }
}

/// Whether the table of entries is there when there are none makes no difference.
fn without_empty(mut model: Map<String, Json>) -> Map<String, Json> {
    let [lock, entries] = ENTRIES;
    if let Some(lock) = model.get_mut(lock).and_then(Json::as_object_mut) {
        lock.retain(|name, value| {
            name != entries || value.as_object().is_none_or(|table| !table.is_empty())
        });
    }
    model
}

fn syntax(error: &SyntaxError) -> Error {
    invalid(
        format!("the lock file can't be read: {}", error.message),
        Some(error.line),
    )
}

fn invalid(message: String, line: Option<u32>) -> Error {
    Error::new(Code::ManifestInvalid, message)
        .hint(format!("mend `{LOCK}`, or move it away: it is made again"))
        .at(LOCK, line)
}
