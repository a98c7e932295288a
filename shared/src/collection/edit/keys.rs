//! Keys of the tables of a whole document, many at once: of the lock file and of the ratings.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Map, Value as Json};

use super::change::{plain, put};
use super::lexer::{Kind, Segment, Statement};
use super::sections::{self, Section};
use super::table::{self, Scope, dotted};
use super::value::{Value, spelled};
use super::{Cut, apply};
use crate::document::{self, Lines, SyntaxError};

/// A table, and what its keys become: a value, or nothing to remove one. The rest of the table stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::collection) struct Keys {
    /// The names that lead to the table.
    pub(in crate::collection) path: Vec<String>,
    /// What changes.
    pub(in crate::collection) keys: Vec<(String, Option<Value>)>,
}

/// What a text says.
pub(in crate::collection) fn model(text: &str) -> Result<Map<String, Json>, SyntaxError> {
    let root = document::parse(text, &Lines::of(text))?;
    Ok(document::table_to_json(root.get_ref()))
}

/// The edited text, if it says what the old one does with `expect` done to it, and nothing else changed. Whether a
/// table is there that holds nothing makes no difference.
pub(in crate::collection) fn verified(
    old: &str,
    new: &str,
    expect: impl FnOnce(&mut Map<String, Json>),
) -> Option<String> {
    let mut wanted = model(old).ok()?;
    expect(&mut wanted);
    let is_right = model(new).is_ok_and(|said| plain(said) == plain(wanted));
    is_right.then(|| new.to_owned())
}

/// The text with these keys set and removed. Tables that are not there stand behind those that lie beside them.
/// Nothing if something else is in the way.
pub(in crate::collection) fn set(text: &str, tables: &[Keys]) -> Option<String> {
    let expect = |model: &mut Map<String, Json>| {
        for table in tables {
            for (key, value) in &table.keys {
                put(model, &full(table, key), value.as_ref());
            }
        }
    };
    // Nearly always each table has a header of its own, so that all of them are changed at once.
    verified(text, &apply(text, together(text, tables)), expect).or_else(|| {
        let mut out = text.to_owned();
        for table in tables {
            for (key, value) in &table.keys {
                let path = full(table, key);
                out = table::change(&out, Scope::Document, &path, value.as_ref()).ok()?;
            }
        }
        verified(text, &out, expect)
    })
}

fn full<'k>(table: &'k Keys, key: &'k str) -> Vec<&'k str> {
    let names = table.path.iter().map(String::as_str);
    names.chain([key]).collect()
}

fn together(text: &str, tables: &[Keys]) -> Vec<Cut> {
    let sections = sections::sections(text);
    let headed: HashMap<Vec<&str>, &Section> = sections
        .iter()
        .filter(|section| !section.is_element())
        .map(|section| (section.path().collect(), section))
        .collect();
    let mut cuts = Vec::new();
    let mut new: Vec<(usize, String)> = Vec::new();
    for table in tables {
        let path: Vec<&str> = table.path.iter().map(String::as_str).collect();
        if let Some(section) = headed.get(&path) {
            cuts.extend(within(text, section, &table.keys));
            continue;
        }
        let pairs = table.keys.iter();
        let lines: String = pairs
            .filter_map(|(key, value)| Some(pair(key, value.as_ref()?) + "\n"))
            .collect();
        if !lines.is_empty() {
            let parent = path.get(..path.len().saturating_sub(1));
            let at = behind(text, &sections, parent.unwrap_or_default());
            new.push((at, format!("[{}]\n{lines}", dotted(&path))));
        }
    }
    cuts.extend(inserted(text, &new));
    cuts
}

fn pair(key: &str, value: &Value) -> String {
    format!("{} = {}", spelled(key), value.render(true))
}

/// The cuts that change keys of a table with a header.
fn within(text: &str, section: &Section, keys: &[(String, Option<Value>)]) -> Vec<Cut> {
    let places: HashMap<&str, &Statement> = section
        .pairs
        .iter()
        .filter_map(|pair| match pair.key.as_slice() {
            [only] => Some((only.name.as_str(), pair)),
            _ => None,
        })
        .collect();
    let end = section.end();
    let newline = newline_before(text, end);
    let indent = section.pairs.last().and_then(|pair| {
        let first = pair.key.first()?;
        text.get(pair.lines.start..first.span.start)
    });
    let indent = indent.unwrap_or_default();
    let is_open = !ends_line(text, end);
    let mut cuts = Vec::new();
    for (key, value) in keys {
        match (places.get(key.as_str()), value) {
            (Some(pair), Some(value)) => {
                if let Kind::Pair(place) = &pair.kind {
                    let written = text.get(place.clone()).unwrap_or_default();
                    cuts.push((place.clone(), value.replacing(written, true)));
                }
            }
            (Some(pair), None) => cuts.push((pair.lines.clone(), String::new())),
            (None, Some(value)) => {
                let line = pair(key, value).replace('\n', newline);
                let line = if is_open {
                    format!("{newline}{indent}{line}")
                } else {
                    format!("{indent}{line}{newline}")
                };
                cuts.push((end..end, line));
            }
            (None, None) => {}
        }
    }
    cuts
}

/// Where a new table goes: behind the last one that lies beside it, or around it; else to the end.
pub(super) fn behind(text: &str, sections: &[Section], parent: &[&str]) -> usize {
    let mut around = parent;
    while let Some((_, rest)) = around.split_last() {
        let is_near = |section: &&Section| {
            let path = section.path().take(around.len());
            path.eq(around.iter().copied())
        };
        if let Some(last) = sections.iter().rev().find(is_near) {
            return last.extent.end;
        }
        around = rest;
    }
    text.len()
}

/// The cuts that put tables, with plain newlines, behind what ends there, each with a blank line above it.
pub(super) fn inserted(text: &str, tables: &[(usize, String)]) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    for (at, table) in tables {
        let at = *at;
        let before = text.get(..at).unwrap_or_default();
        let is_next = cuts.iter().any(|(range, _)| range.start == at);
        let is_first = before.trim_start_matches('\u{feff}').is_empty() && !is_next;
        let gap = match (is_first, is_next || ends_line(text, at)) {
            (true, _) => "",
            (false, true) => "\n",
            (false, false) => "\n\n",
        };
        let new = format!("{gap}{table}").replace('\n', newline_before(text, at));
        cuts.push((at..at, new));
    }
    cuts
}

/// How the line above a place ends; at the top of a text, how any does.
fn newline_before(text: &str, at: usize) -> &'static str {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rfind('\n').map(|end| before.get(..end));
    let is_foreign = match line {
        Some(line) => line.is_some_and(|line| line.ends_with('\r')),
        None => text.contains("\r\n"),
    };
    if is_foreign { "\r\n" } else { "\n" }
}

fn ends_line(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    before.is_empty() || before.ends_with(['\n', '\u{feff}'])
}

/// The text in which a table or key is called something else, wherever it is named.
pub(in crate::collection) fn renamed(text: &str, path: &[&str], new: &str) -> String {
    let mut cuts: Vec<Cut> = Vec::new();
    for section in &sections::sections(text) {
        let header = section.header.as_ref().map(|header| header.key.as_slice());
        let base = header.unwrap_or_default();
        cuts.extend(segment(&[], base, path).map(|span| (span, spelled(new))));
        for pair in &section.pairs {
            let found = segment(base, &pair.key, path);
            cuts.extend(found.map(|span| (span, spelled(new))));
        }
    }
    apply(text, cuts)
}

/// Where the last name of `wanted` stands in `key`, if the two paths together begin with it.
fn segment(base: &[Segment], key: &[Segment], wanted: &[&str]) -> Option<Range<usize>> {
    let place = wanted.len().checked_sub(1)?.checked_sub(base.len())?;
    let found = key.get(place)?;
    let mut names = base.iter().chain(key).map(|segment| segment.name.as_str());
    let is_it = wanted.iter().all(|wanted| names.next() == Some(*wanted));
    is_it.then(|| found.span.clone())
}

/// The text without a table or key, with its comments.
pub(in crate::collection) fn without(text: &str, path: &[&str]) -> Option<String> {
    table::change(text, Scope::Document, path, None).ok()
}

#[cfg(test)]
mod tests;
