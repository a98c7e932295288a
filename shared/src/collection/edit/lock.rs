//! Entries of the lock file: set, removed, renamed, taken out and put back.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use serde_json::{Map, Value as Json};

use super::keys::{self, Keys};
use super::sections::{self, Section};
use super::table::{self, Scope};
use super::value::{Value, on_one_line, spelled};
use super::{Cut, apply};
use crate::collection::LOCK;
use crate::collection::lockfile::{LockEntry, key_of, render_new};
use crate::document::{self, Lines, SyntaxError, quote};
use crate::{ArtifactId, Code, Error, Result};

const ENTRIES: [&str; 2] = ["lock", "entries"];

/// The lock file with these entries set. Keys of an entry that we do not know stay. An empty text becomes a new lock
/// file.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML, or something else stands where the entries should.
pub fn set(text: &str, entries: &[(ArtifactId, LockEntry)]) -> Result<String> {
    let text = or_new(text);
    let there = model(text)?;
    let [lock, _] = ENTRIES;
    let version = there.get(lock).and_then(|lock| lock.get("version"));
    let version = version.is_none().then(|| Keys {
        path: vec![lock.to_owned()],
        keys: vec![("version".to_owned(), Some("1.0.0".into()))],
    });
    let entries = entries.iter().map(|(id, entry)| {
        let fields = [
            ("content_hash", &entry.content_hash),
            ("fetched", &entry.fetched),
            ("upstream", &entry.upstream),
            ("resolved_sha", &entry.resolved_sha),
            ("resolved_version", &entry.resolved_version),
        ];
        let field = |(name, value): (&str, &Option<String>)| {
            (name.to_owned(), value.as_deref().map(Value::from))
        };
        Keys {
            path: path(&key_of(id)).map(str::to_owned).into(),
            keys: fields.into_iter().map(field).collect(),
        }
    });
    let tables: Vec<Keys> = version.into_iter().chain(entries).collect();
    let [lock, table] = ENTRIES;
    let is_table = |value: Option<&Json>| value.is_none_or(Json::is_object);
    let lock = there.get(lock);
    if !is_table(lock) || !is_table(lock.and_then(|lock| lock.get(table))) {
        return Err(blocked());
    }
    keys::set(text, &tables).ok_or_else(blocked)
}

/// An empty lock file is a new one.
fn or_new(text: &str) -> &str {
    if text.trim().is_empty() {
        render_new()
    } else {
        text
    }
}

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
    let out = keys::renamed(text, &path(&old), &new);
    let renamed = verified(text, Some(out), |entries| {
        if let Some(entry) = entries.remove(&old) {
            entries.insert(new.clone(), entry);
        }
    });
    // Within braces.
    let entry = entry_of(&before, &old).cloned();
    renamed.or_else(|_| put_each(text, &[(&old, None), (&new, entry)]))
}

/// The text of an artifact's entry as a table, with its comments and plain newlines. `None` without one.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML.
pub fn block(text: &str, id: &ArtifactId) -> Result<Option<String>> {
    Ok(blocks(text, &[key_of(id)])?.pop().flatten())
}

/// The same for many entries, by their keys.
fn blocks(text: &str, keys: &[String]) -> Result<Vec<Option<String>>> {
    let there = model(text)?;
    let sections = sections::sections(text);
    let own = by_entry(&sections);
    let block = |key: &String| {
        if !has(&there, key) {
            return Ok(None);
        }
        let Some(own) = own.get(key.as_str()) else {
            return rendered(text, key).map(Some);
        };
        let parts = own
            .iter()
            .filter_map(|section| text.get(section.extent.clone()));
        let mut out: String = parts.map(|part| part.replace("\r\n", "\n")).collect();
        if !out.ends_with('\n') {
            out.push('\n');
        }
        Ok(Some(out))
    };
    keys.iter().map(block).collect()
}

/// The tables of the entries that have some.
fn by_entry(sections: &[Section]) -> HashMap<&str, Vec<&Section>> {
    let mut found: HashMap<&str, Vec<&Section>> = HashMap::new();
    for section in sections {
        let mut path = section.path();
        if ENTRIES.iter().all(|name| path.next() == Some(*name))
            && let Some(key) = path.next()
        {
            found.entry(key).or_default().push(section);
        }
    }
    found
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
    let key = key_of(id);
    if !has(&model(block)?, &key) {
        return Err(invalid(format!("the text holds no entry `{key}`"), None));
    }
    put_all(or_new(text), &[(key, Some(block.to_owned()))])
}

/// The lock file `to` with entries of another one, all their keys included: each old name with its new one. What has
/// no entry there has none here either.
///
/// # Errors
/// As [`set`], for either text.
pub fn carry(from: &str, to: &str, names: &[(ArtifactId, ArtifactId)]) -> Result<String> {
    let olds: Vec<String> = names.iter().map(|(old, _)| key_of(old)).collect();
    let blocks = blocks(from, &olds)?.into_iter();
    let named = names.iter().zip(olds).zip(blocks);
    let entries = named.map(|(((_, new), old), block)| {
        let new = key_of(new);
        let block = block.map(|block| keys::renamed(&block, &path(&old), &new));
        (new, block)
    });
    put_all(or_new(to), &entries.collect::<Vec<_>>())
}

/// The lock file with these texts in the places of entries; those without one go.
fn put_all(text: &str, entries: &[(String, Option<String>)]) -> Result<String> {
    let there = model(text)?;
    let mut rest = text.to_owned();
    let sections = sections::sections(text);
    let own = by_entry(&sections);
    // Those in other forms than tables first.
    for (key, _) in entries {
        if has(&there, key) && !own.contains_key(key.as_str()) {
            rest = keys::without(&rest, &path(key)).ok_or_else(blocked)?;
        }
    }
    let sections = sections::sections(&rest);
    let own = by_entry(&sections);
    let at = keys::behind(&rest, &sections, &ENTRIES);
    let (mut cuts, mut gone, mut new): (Vec<Cut>, Vec<Range<usize>>, Vec<_>) = Default::default();
    let mut said: Vec<(&str, Option<Json>)> = Vec::new();
    for (key, block) in entries {
        let mut tables = own.get(key.as_str()).into_iter().flatten();
        match (block, tables.next()) {
            (Some(block), Some(first)) => {
                let place = first.extent.clone();
                let is_foreign = rest
                    .get(place.clone())
                    .is_some_and(|old| old.contains("\r\n"));
                let newline = if is_foreign { "\r\n" } else { "\n" };
                cuts.push((place, block.replace('\n', newline)));
            }
            (Some(block), None) => new.push((at, block.clone())),
            (None, first) => gone.extend(first.map(|first| first.extent.clone())),
        }
        gone.extend(tables.map(|section| section.extent.clone()));
        let entry = match block {
            Some(block) => entry_of(&model(block)?, key).cloned(),
            None => None,
        };
        said.push((key, entry));
    }
    cuts.extend(sections::without(&rest, gone));
    cuts.extend(keys::inserted(&rest, &new));
    let all = verified(text, Some(apply(&rest, cuts)), |entries| {
        say(entries, &said);
    });
    // Within braces, where no table can be added.
    all.or_else(|_| put_each(text, &said))
}

fn say(entries: &mut Map<String, Json>, said: &[(&str, Option<Json>)]) {
    for (key, entry) in said {
        match entry {
            Some(entry) => entries.insert((*key).to_owned(), entry.clone()),
            None => entries.remove(*key),
        };
    }
}

/// Has these entries say this, key by key, in whatever form they are written.
fn put_each(text: &str, said: &[(&str, Option<Json>)]) -> Result<String> {
    let there = model(text)?;
    let old = said.iter().map(|(key, _)| (*key).to_owned());
    let rest = remove_each(text, old.filter(|key| has(&there, key)).collect())?;
    let tables = said.iter().filter_map(|(key, entry)| {
        let fields = entry.as_ref()?.as_object()?.iter();
        Some(Keys {
            path: path(key).map(str::to_owned).into(),
            keys: fields
                .map(|(name, value)| (name.clone(), Value::of_json(value)))
                .collect(),
        })
    });
    let new = keys::set(&rest, &tables.collect::<Vec<_>>());
    verified(text, new, |entries| {
        say(entries, said);
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
    keys::model(text).map_err(|error| syntax(&error))
}

/// The edited text, if its entries are the old ones with `expect` done to them, and nothing else changed.
fn verified(
    old: &str,
    new: Option<String>,
    expect: impl FnOnce(&mut Map<String, Json>),
) -> Result<String> {
    let new = new.and_then(|new| {
        keys::verified(old, &new, |wanted| {
            let [lock, entries] = ENTRIES;
            let empty = || Json::Object(Map::new());
            let lock = wanted.entry(lock).or_insert_with(empty).as_object_mut();
            let table = lock.map(|lock| lock.entry(entries).or_insert_with(empty));
            if let Some(table) = table.and_then(Json::as_object_mut) {
                expect(table);
            }
        })
    });
    new.ok_or_else(blocked)
}

fn blocked() -> Error {
    let message = "the lock file is written in a way that it can't be edited";
    invalid(message.to_owned(), None)
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

#[cfg(test)]
mod tests;
