//! A document as sections: a header with its pairs and the comments that belong to it. An entry of a list
//! (`[[artifacts]]`, `[[groups]]`, ...) is one section with its sub-tables, or one item of an inline array.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Cut;
use super::lexer::{self, Items, Kind, Statement};
use super::value::{Slot, rebuild};

/// A header with its pairs; the first section of a document is what stands before any header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// The header; none at the top.
    pub(super) header: Option<Statement>,
    pub(super) pairs: Vec<Statement>,
    /// From the comments right above the header to those right below the last line.
    pub(super) extent: Range<usize>,
}

impl Section {
    /// The names in the header.
    pub(super) fn path(&self) -> impl Iterator<Item = &str> {
        let key = self.header.as_ref().map(|header| header.key.as_slice());
        key.unwrap_or_default()
            .iter()
            .map(|segment| segment.name.as_str())
    }

    pub(super) fn is_element(&self) -> bool {
        self.header
            .as_ref()
            .is_some_and(|header| header.kind == Kind::Element)
    }

    /// Where a new pair goes: behind the last line.
    pub(super) fn end(&self) -> usize {
        let last = self.pairs.last().or(self.header.as_ref());
        last.map_or(self.extent.start, |statement| statement.lines.end)
    }
}

/// Cuts a document into its sections.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let top = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let mut found = vec![Section {
        header: None,
        pairs: Vec::new(),
        extent: top..top,
    }];
    for statement in lexer::statements(text) {
        if let (Kind::Pair(_), Some(section)) = (&statement.kind, found.last_mut()) {
            section.pairs.push(statement);
        } else {
            found.push(Section {
                extent: statement.lines.clone(),
                header: Some(statement),
                pairs: Vec::new(),
            });
        }
    }
    let mut limit = top;
    let ends: Vec<usize> = found.iter().map(Section::end).collect();
    for (section, end) in found.iter_mut().zip(ends) {
        if section.header.is_some() {
            let lead = comments_above(text, limit, section.extent.start);
            // What stands at the very top is about the file.
            section.extent.start = if lead <= top {
                section.extent.start
            } else {
                lead
            };
        }
        section.extent.end = end;
        limit = end;
    }
    let starts: Vec<usize> = found
        .iter()
        .skip(1)
        .map(|section| section.extent.start)
        .chain([text.len()])
        .collect();
    for (section, next) in found.iter_mut().zip(starts) {
        section.extent.end = comments_below(text, section.extent.end, next);
    }
    found
}

/// Where the run of comments begins that ends right above `at`.
fn comments_above(text: &str, limit: usize, at: usize) -> usize {
    let mut begin = at;
    let between = text.get(limit..at).unwrap_or_default();
    for line in between.split_inclusive('\n').rev() {
        if !line.trim_start().starts_with('#') {
            break;
        }
        begin -= line.len();
    }
    begin
}

/// Where the run of comments ends that begins at `at`.
fn comments_below(text: &str, at: usize, limit: usize) -> usize {
    let mut end = at;
    let between = text.get(at..limit).unwrap_or_default();
    for line in between.split_inclusive('\n') {
        if !line.trim_start().starts_with('#') {
            break;
        }
        end += line.len();
    }
    end
}

/// The entries of a list, however it is written.
#[derive(Debug)]
pub(super) enum Entries {
    /// There is no such list.
    Absent,
    /// Tables: the extents of each entry's sections.
    Tables(Vec<Vec<Range<usize>>>),
    /// An inline array.
    Inline {
        /// `key = [...]` with its line.
        lines: Range<usize>,
        key: usize,
        array: Range<usize>,
        items: Items,
    },
}

/// Finds the entries of a list at the root of a document.
pub(super) fn entries(text: &str, list: &str) -> Entries {
    let sections = sections(text);
    let top = sections.first().map(|section| section.pairs.as_slice());
    for pair in top.unwrap_or_default() {
        let [segment] = pair.key.as_slice() else {
            continue;
        };
        if let Kind::Pair(value) = &pair.kind
            && segment.name == list
        {
            return Entries::Inline {
                lines: pair.lines.clone(),
                key: segment.span.start,
                array: value.clone(),
                items: lexer::items(text.get(value.clone()).unwrap_or_default()),
            };
        }
    }
    let mut found: Vec<Vec<Range<usize>>> = Vec::new();
    for section in &sections {
        let mut path = section.path();
        if path.next() != Some(list) {
            continue;
        }
        if path.next().is_none() && section.is_element() {
            found.push(vec![section.extent.clone()]);
        } else if let Some(entry) = found.last_mut() {
            match entry.last_mut() {
                // Comments and blanks between two tables of an entry are the entry's.
                Some(last) if adjoins(text, last.end, section.extent.start) => {
                    last.end = section.extent.end;
                }
                _ => entry.push(section.extent.clone()),
            }
        }
    }
    if found.is_empty() {
        Entries::Absent
    } else {
        Entries::Tables(found)
    }
}

/// Whether no section begins between two places.
fn adjoins(text: &str, end: usize, start: usize) -> bool {
    let between = text.get(end..start).unwrap_or_default();
    between
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Tables(entries) => entries.len(),
            Self::Inline { items, .. } => items.items.len(),
        }
    }

    /// An entry's own text: tables, or the item of an inline array.
    pub(super) fn text(&self, text: &str, at: usize) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Tables(entries) => {
                let mut own = String::new();
                for part in entries.get(at)? {
                    if !own.is_empty() && !own.ends_with('\n') {
                        own.push('\n');
                    }
                    own.push_str(text.get(part.clone())?);
                }
                Some(own)
            }
            Self::Inline { array, items, .. } => {
                let item = items.items.get(at)?;
                let own = text.get(array.start + item.span.start..array.start + item.span.end);
                own.map(str::to_owned)
            }
        }
    }

    /// The cuts that put `new` in the place of entries' texts; `None` removes one.
    pub(super) fn replace(&self, text: &str, new: &BTreeMap<usize, Option<String>>) -> Vec<Cut> {
        match self {
            Self::Absent => Vec::new(),
            Self::Tables(entries) => {
                let mut cuts = Vec::new();
                let mut gone = Vec::new();
                for (at, new) in new {
                    let parts = entries.get(*at).map(Vec::as_slice).unwrap_or_default();
                    for (place, part) in parts.iter().enumerate() {
                        match new {
                            Some(new) if place == 0 => cuts.push((part.clone(), new.clone())),
                            _ => gone.push(part.clone()),
                        }
                    }
                }
                cuts.extend(without(text, gone));
                cuts
            }
            Self::Inline { array, items, .. } => {
                let slots: Vec<Slot> = (0..items.items.len())
                    .filter_map(|at| match new.get(&at) {
                        None => Some(Slot::old(at)),
                        Some(None) => None,
                        Some(new) => Some(Slot {
                            old: Some(at),
                            new: new.clone(),
                        }),
                    })
                    .collect();
                let written = text.get(array.clone()).unwrap_or_default();
                vec![(array.clone(), rebuild(written, items, &slots))]
            }
        }
    }
}

/// The cuts that remove these parts, with the blank lines that would stand double then.
pub(super) fn without(text: &str, mut parts: Vec<Range<usize>>) -> Vec<Cut> {
    parts.sort_by_key(|part| part.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for part in parts {
        let between = joined
            .last()
            .and_then(|last| text.get(last.end..part.start));
        match joined.last_mut() {
            Some(last) if between.is_some_and(|between| between.trim().is_empty()) => {
                last.end = part.end;
            }
            _ => joined.push(part),
        }
    }
    joined
        .iter()
        .map(|part| (with_blanks(text, part), String::new()))
        .collect()
}

/// An extent with the blank lines that would stand double without it.
fn with_blanks(text: &str, extent: &Range<usize>) -> Range<usize> {
    let before = text.get(..extent.start).unwrap_or_default();
    let after = text.get(extent.end..).unwrap_or_default();
    let blank_after: usize = after
        .split_inclusive('\n')
        .take_while(|line| line.trim().is_empty())
        .map(str::len)
        .sum();
    let blank_before: usize = before
        .trim_start_matches('\u{feff}')
        .split_inclusive('\n')
        .rev()
        .take_while(|line| line.trim().is_empty())
        .map(str::len)
        .sum();
    let is_first = before.trim_start_matches('\u{feff}').is_empty();
    if extent.end + blank_after == text.len() {
        extent.start - blank_before..text.len()
    } else if blank_before > 0 || is_first {
        extent.start..extent.end + blank_after
    } else {
        extent.clone()
    }
}
