//! Changing and removing entries, and the proof that nothing else changed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::keys::model;
use super::list::{self, Key, List};
use super::sections::Entries;
use super::table::{self, Scope};
use super::value::Value;
use super::{Cut, apply, invalid, syntax};
use crate::{Code, Error, Result};

/// One key of an entry: what it is set to, or `None` to remove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, from the entry: `["tags"]`, `["metadata", "description"]`.
    pub path: Vec<String>,
    /// The value.
    pub value: Option<Value>,
}

impl Change {
    /// Sets a key, named with dots.
    pub fn set(path: &str, value: impl Into<Value>) -> Self {
        Self {
            path: path.split('.').map(str::to_owned).collect(),
            value: Some(value.into()),
        }
    }

    /// Removes a key, named with dots.
    pub fn unset(path: &str) -> Self {
        Self {
            path: path.split('.').map(str::to_owned).collect(),
            value: None,
        }
    }

    /// Sets an array of strings; an empty one is removed instead, as the ancestor writes none.
    pub fn texts(path: &str, texts: &[String]) -> Self {
        if texts.is_empty() {
            Self::unset(path)
        } else {
            Self::set(path, texts)
        }
    }
}

/// The manifest with these entries changed. Of two entries with one name the first is.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML or an entry is written in a way that can't be changed;
/// [`Code::ArtifactNotFound`] and its like if there is no such entry.
pub fn change(text: &str, edits: &[(Key, Vec<Change>)]) -> Result<String> {
    let mut cuts: Vec<Cut> = Vec::new();
    let mut asked: Vec<(List, usize, &[Change])> = Vec::new();
    for list in List::ALL {
        let wanted: Vec<_> = edits.iter().filter(|(key, _)| key.list() == list).collect();
        if wanted.is_empty() {
            continue;
        }
        let (entries, keys) = list::named(text, list)?;
        let mut places: BTreeMap<&Key, usize> = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            if let Some(key) = key {
                places.entry(key).or_insert(at);
            }
        }
        let mut new: BTreeMap<usize, Option<String>> = BTreeMap::new();
        for (key, changes) in wanted {
            let Some(at) = places.get(key).copied() else {
                return Err(missing(key));
            };
            let before = match new.get(&at) {
                Some(Some(own)) => Some(own.clone()),
                _ => entries.text(text, at),
            };
            let mut own = before.unwrap_or_default();
            for change in changes {
                own = one(&entries, &own, change).ok_or_else(|| blocked(key, change))?;
            }
            asked.push((list, at, changes));
            new.insert(at, Some(own));
        }
        new.retain(|at, own| *own != entries.text(text, *at));
        cuts.extend(entries.replace(text, &new));
    }
    if cuts.is_empty() {
        return Ok(text.to_owned());
    }
    verified(text, Some(apply(text, cuts)), "changed", |model| {
        for (list, at, changes) in asked {
            for change in changes {
                let path: Vec<&str> = change.path.iter().map(String::as_str).collect();
                model.set_in(list, at, &path, change.value.as_ref());
            }
        }
    })
}

fn one(entries: &Entries, own: &str, change: &Change) -> Option<String> {
    let path: Vec<&str> = change.path.iter().map(String::as_str).collect();
    let value = change.value.as_ref();
    let new = if matches!(entries, Entries::Inline { .. }) {
        table::change_inline(own, &path, value)
    } else {
        table::change(own, Scope::Entry, &path, value)
    };
    new.ok()
}

fn blocked(key: &Key, change: &Change) -> Error {
    invalid(
        format!(
            "`{}` of {key} is written in a way that can't be changed",
            change.path.join(".")
        ),
        None,
    )
}

/// The error that there is no such entry.
pub(super) fn missing(key: &Key) -> Error {
    let code = match key {
        Key::Artifact(_) | Key::McpServer(_) => Code::ArtifactNotFound,
        Key::Group(_) => Code::GroupNotFound,
        Key::Tag(_) => Code::TagNotFound,
    };
    Error::new(code, format!("the manifest has no entry for {key}")).at(super::MANIFEST, None)
}

/// The manifest without these entries, the comments right above and below them included. Second entries for
/// one name go too.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML or can't be edited; [`Code::ArtifactNotFound`] and its
/// like if there is no such entry.
pub fn remove(text: &str, gone: &[Key]) -> Result<String> {
    let mut cuts: Vec<Cut> = Vec::new();
    let mut removed: BTreeMap<List, BTreeSet<usize>> = BTreeMap::new();
    for list in List::ALL {
        let wanted: BTreeSet<&Key> = gone.iter().filter(|key| key.list() == list).collect();
        if wanted.is_empty() {
            continue;
        }
        let (entries, keys) = list::named(text, list)?;
        let places: BTreeSet<usize> = keys
            .iter()
            .enumerate()
            .filter(|(_, key)| key.as_ref().is_some_and(|key| wanted.contains(key)))
            .map(|(at, _)| at)
            .collect();
        let there: BTreeSet<&Key> = keys.iter().flatten().collect();
        if let Some(lacking) = wanted.iter().find(|key| !there.contains(**key)) {
            return Err(missing(lacking));
        }
        let none = places.iter().map(|at| (*at, None)).collect();
        cuts.extend(entries.replace(text, &none));
        removed.insert(list, places);
    }
    verified(text, Some(apply(text, cuts)), "removed", |model| {
        for (list, gone) in removed {
            let mut places = 0_usize..;
            if let Some(items) = model.list(list) {
                items.retain(|_| places.next().is_some_and(|at| !gone.contains(&at)));
            }
        }
    })
}

/// What a text should say after an edit.
#[derive(Debug)]
pub(super) struct Expected(Map<String, Json>);

impl Expected {
    /// The entries of a list; `None` if something else has its name.
    pub(super) fn list(&mut self, list: List) -> Option<&mut Vec<Json>> {
        let value = self
            .0
            .entry(list.as_str())
            .or_insert_with(|| Json::Array(Vec::new()));
        value.as_array_mut()
    }

    pub(super) fn set(&mut self, path: &[&str], value: Option<&Value>) {
        put(&mut self.0, path, value);
    }

    pub(super) fn set_in(&mut self, list: List, at: usize, path: &[&str], value: Option<&Value>) {
        let entry = self.list(list).and_then(|items| items.get_mut(at));
        if let Some(entry) = entry.and_then(Json::as_object_mut) {
            put(entry, path, value);
        }
    }
}

/// Sets a key, or removes it if there is no value.
pub(super) fn put(table: &mut Map<String, Json>, path: &[&str], value: Option<&Value>) {
    match (path, value) {
        ([], _) => {}
        ([last], Some(value)) => {
            table.insert((*last).to_owned(), value.to_json());
        }
        ([last], None) => {
            table.remove(*last);
        }
        ([first, rest @ ..], value) => {
            if value.is_none() && !table.contains_key(*first) {
                return;
            }
            let inner = table
                .entry((*first).to_owned())
                .or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The edited text, if it says what it should: the old one with `expect` done to it, and nothing else.
pub(super) fn verified(
    old: &str,
    new: Option<String>,
    what: &str,
    expect: impl FnOnce(&mut Expected),
) -> Result<String> {
    let mut wanted = Expected(model(old).map_err(|error| syntax(&error))?);
    expect(&mut wanted);
    let wanted = plain(wanted.0);
    match new {
        Some(new) if model(&new).is_ok_and(|said| plain(said) == wanted) => Ok(new),
        _ => Err(invalid(
            format!("the manifest is written in a way that this can't be {what} in"),
            None,
        )),
    }
}

/// Without lists and tables that hold nothing: whether they are there makes no difference to a reader. Texts of
/// several lines have the line ends of their file.
pub(super) fn plain(mut model: Map<String, Json>) -> Json {
    for list in List::ALL {
        if model
            .get(list.as_str())
            .and_then(Json::as_array)
            .is_some_and(Vec::is_empty)
        {
            model.remove(list.as_str());
        }
    }
    let mut whole = Json::Object(model);
    settle(&mut whole);
    whole
}

fn settle(value: &mut Json) {
    match value {
        Json::Object(table) => {
            table.values_mut().for_each(settle);
            table.retain(|_, value| !value.as_object().is_some_and(Map::is_empty));
        }
        Json::Array(items) => items.iter_mut().for_each(settle),
        Json::String(text) if text.contains("\r\n") => *text = text.replace("\r\n", "\n"),
        _ => {}
    }
}
