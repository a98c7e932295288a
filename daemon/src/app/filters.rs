//! What filters name: a tag, group or origin that is not there must not look like one that nothing passes.

use std::collections::BTreeSet;

use rusqlite::Connection;
use skillmeat_shared::{Code, Error, Kind, Result};

use super::App;
use super::selection::{no_group, no_tag, unknown};
use crate::store::list::Query;
use crate::store::{Store, collection};

/// What the filters of a call name.
pub(super) struct Wanted<'a> {
    pub(super) tags: &'a [String],
    /// Empty: any.
    pub(super) group: &'a str,
    /// Empty: any.
    pub(super) origin: &'a str,
}

impl<'a> From<&'a Query> for Wanted<'a> {
    fn from(query: &'a Query) -> Self {
        Self {
            tags: &query.tags,
            group: query.group.as_deref().unwrap_or_default(),
            origin: query.origin.as_deref().unwrap_or_default(),
        }
    }
}

impl App {
    /// Kinds as requests spell them, checked. One that no program knows may still stand in a manifest: what is shown
    /// can be asked for.
    pub(super) fn kinds_of(&self, store: &Store, texts: &[String]) -> Result<Vec<String>> {
        let of = |text: &String| {
            let unknown = match text.parse::<Kind>() {
                Ok(kind) => return Ok(kind.as_str().to_owned()),
                Err(unknown) => unknown,
            };
            let shown = store.read(collection::kinds)?;
            match shown
                .into_iter()
                .find(|kind| kind.eq_ignore_ascii_case(text))
            {
                Some(kind) => Ok(kind),
                // Rows of that kind may be still to come.
                None if self.is_building() => Ok(text.clone()),
                None => Err(unknown),
            }
        };
        texts.iter().map(of).collect()
    }
}

/// What is not there in these collections: an error for each. What is defined is there, also if nothing has it.
pub(super) fn missing(
    connection: &Connection,
    collections: impl Iterator<Item = i64> + Clone,
    wanted: &Wanted<'_>,
) -> rusqlite::Result<Vec<Error>> {
    let is_among = |names: &BTreeSet<String>, name: &str| {
        names.iter().any(|other| other.eq_ignore_ascii_case(name))
    };
    let mut errors = Vec::new();
    if !wanted.tags.is_empty() {
        let mut names = BTreeSet::new();
        for row in collections.clone() {
            let used = collection::tags(connection, Some(row))?;
            let defined = collection::tag_definitions(connection, row)?;
            names.extend(used.into_iter().map(|(tag, _)| tag));
            names.extend(defined.into_iter().map(|tag| tag.name));
        }
        let missing = wanted.tags.iter().filter(|tag| !is_among(&names, tag));
        errors.extend(missing.map(|tag| no_tag(tag, names.iter().map(String::as_str))));
    }
    if !wanted.group.is_empty() {
        let mut names = BTreeSet::new();
        for row in collections.clone() {
            let groups = collection::groups(connection, row)?;
            names.extend(groups.into_iter().map(|view| view.group.name));
        }
        if !is_among(&names, wanted.group) {
            errors.push(no_group(wanted.group, names.iter().map(String::as_str)));
        }
    }
    if !wanted.origin.is_empty() {
        let mut names = BTreeSet::new();
        for row in collections {
            names.extend(collection::origins(connection, row)?);
        }
        if !names.contains(wanted.origin) {
            let message = format!("there is no artifact of origin `{}`", wanted.origin);
            let error = Error::new(Code::InvalidArgument, message);
            let all = names.iter().map(|name| format!("`{name}`"));
            let all = all.collect::<Vec<_>>().join(", ");
            let otherwise = if all.is_empty() {
                "there are no artifacts at all".to_owned()
            } else {
                format!("there are {all}")
            };
            let names = names.iter().map(String::as_str);
            errors.push(unknown(error, wanted.origin, names, &otherwise));
        }
    }
    Ok(errors)
}

/// The same as hints, for answers in which nothing is no failure. If something passes, all of it is there.
pub(super) fn hints(
    connection: &Connection,
    asked: &[(i64, String)],
    wanted: &Wanted<'_>,
    passing: u64,
) -> rusqlite::Result<Vec<String>> {
    if passing > 0 {
        return Ok(Vec::new());
    }
    let errors = missing(connection, asked.iter().map(|(row, _)| *row), wanted)?;
    let told = errors.into_iter().map(|error| {
        let mut said = vec![error.message];
        said.extend(error.hints);
        said.join("; ")
    });
    Ok(told.collect())
}
