//! One key of a table: set, or removed. The table is a document, an entry of a list, or an inline table.

use std::ops::Range;

use super::lexer::{self, Kind, Segment, Statement};
use super::sections::{self, Section};
use super::value::{Slot, Value, rebuild, spelled};
use super::{Cut, apply};

/// Why a key can't be changed: something else stands in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocked;

/// Which part of a document the key is looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The whole of it.
    Document,
    /// The text of one entry of a list: its header is the root.
    Entry,
}

/// The text with the key set, or removed if there is no value.
pub(super) fn change(
    text: &str,
    scope: Scope,
    path: &[&str],
    value: Option<&Value>,
) -> Result<String, Blocked> {
    let table = Table {
        text,
        depth: usize::from(scope == Scope::Entry),
        sections: sections::sections(text),
    };
    let cuts = match value {
        Some(value) => table.set(path, value)?,
        None => table.unset(path)?,
    };
    Ok(apply(text, cuts))
}

/// The same for an inline table, whose text begins and ends with its braces.
pub(super) fn change_inline(
    text: &str,
    path: &[&str],
    value: Option<&Value>,
) -> Result<String, Blocked> {
    let items = lexer::items(text);
    let mut slots: Vec<Slot> = Vec::new();
    let mut is_done = value.is_none();
    let mut dotted: Option<usize> = None;
    for (at, item) in items.items.iter().enumerate() {
        let own = text.get(item.span.clone()).unwrap_or_default();
        let (key, span) = lexer::pair(own);
        let written = own.get(span.clone()).unwrap_or_default();
        let names: Vec<&str> = key.iter().map(|segment| segment.name.as_str()).collect();
        let replaced = |new: &str| {
            let head = own.get(..span.start).unwrap_or_default();
            let foot = own.get(span.end..).unwrap_or_default();
            format!("{head}{new}{foot}")
        };
        let mut slot = Slot::old(at);
        match relation(&names, path) {
            Relation::Same | Relation::Below if value.is_none() => continue,
            Relation::Same => {
                let new = value.map(|value| value.replacing(written, false));
                slot.new = new.map(|new| replaced(&new));
                is_done = true;
            }
            Relation::Below => return Err(Blocked),
            Relation::Above(rest) => {
                if written.starts_with('{') {
                    slot.new = Some(replaced(&change_inline(written, rest, value)?));
                    is_done = true;
                } else if value.is_some() {
                    return Err(Blocked);
                }
            }
            Relation::Other(shared) if names.len() > 1 && shared > 0 => {
                dotted = dotted.max(Some(shared));
            }
            Relation::Other(_) => {}
        }
        slots.push(slot);
    }
    if let Some(value) = value.filter(|_| !is_done) {
        slots.push(Slot::new(new_item(path, value, dotted.is_some())));
        if items.items.is_empty() && items.rest.is_empty() {
            let item = new_item(path, value, false);
            return Ok(format!("{{ {item} }}"));
        }
    }
    Ok(rebuild(text, &items, &slots))
}

/// A pair for an inline table. Tables on the way are dotted where others are, else nested.
fn new_item(path: &[&str], value: &Value, is_dotted: bool) -> String {
    let value = value.render(false);
    if is_dotted {
        return format!("{} = {value}", dotted(path));
    }
    let mut nested = String::new();
    for (place, name) in path.iter().rev().enumerate() {
        let inner = if place == 0 {
            value.clone()
        } else {
            format!("{{ {nested} }}")
        };
        nested = format!("{} = {inner}", spelled(name));
    }
    nested
}

/// A path as a key or header spells it.
pub(super) fn dotted(path: &[&str]) -> String {
    let names: Vec<String> = path.iter().map(|name| spelled(name)).collect();
    names.join(".")
}

/// How the path of what stands there relates to the path that is looked for.
enum Relation<'p> {
    Same,
    /// It holds what is looked for, at this path of its own.
    Above(&'p [&'p str]),
    /// It is a part of what is looked for.
    Below,
    /// Neither; so many names are the same at their beginning.
    Other(usize),
}

fn relation<'p>(there: &[&str], wanted: &'p [&'p str]) -> Relation<'p> {
    let shared = there
        .iter()
        .zip(wanted)
        .take_while(|(one, other)| one == other)
        .count();
    match (shared == there.len(), shared == wanted.len()) {
        (true, true) => Relation::Same,
        (true, false) => Relation::Above(wanted.get(shared..).unwrap_or_default()),
        (false, true) => Relation::Below,
        (false, false) => Relation::Other(shared),
    }
}

struct Table<'t> {
    text: &'t str,
    /// How many names of each header stand for the table itself.
    depth: usize,
    sections: Vec<Section>,
}

impl Table<'_> {
    /// The sections that may hold keys of ours, with their paths from our root. Those of arrays may not.
    fn own(&self) -> Vec<(&Section, Vec<&str>)> {
        let mut arrays: Vec<Vec<&str>> = Vec::new();
        let mut own = Vec::new();
        for section in self.sections.iter().skip(self.depth) {
            let path: Vec<&str> = section.path().skip(self.depth).collect();
            if section.is_element() && !path.is_empty() {
                arrays.push(path);
            } else if !arrays.iter().any(|array| path.starts_with(array)) {
                own.push((section, path));
            }
        }
        own
    }

    fn value_of(statement: &Statement) -> Range<usize> {
        match &statement.kind {
            Kind::Pair(value) => value.clone(),
            Kind::Table | Kind::Element => statement.lines.end..statement.lines.end,
        }
    }

    fn newline(&self) -> &'static str {
        if self.text.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        }
    }

    fn spell(&self, value: &Value) -> String {
        let written = value.render(true);
        written.replace('\n', self.newline())
    }

    fn set(&self, path: &[&str], value: &Value) -> Result<Vec<Cut>, Blocked> {
        let own = self.own();
        // A pair with dots in its key makes a table that no header may add to.
        let mut beside: Option<(&Statement, usize)> = None;
        for (section, base) in &own {
            for pair in &section.pairs {
                let names = full(base, &pair.key);
                let place = Self::value_of(pair);
                let written = self.text.get(place.clone()).unwrap_or_default();
                match relation(&names, path) {
                    Relation::Same => {
                        let new = value.replacing(written, true);
                        let new = if new != written && self.newline() == "\r\n" {
                            new.replace("\r\n", "\n").replace('\n', "\r\n")
                        } else {
                            new
                        };
                        return Ok(vec![(place, new)]);
                    }
                    Relation::Above(rest) if written.starts_with('{') => {
                        return Ok(vec![(place, change_inline(written, rest, Some(value))?)]);
                    }
                    Relation::Above(_) | Relation::Below => return Err(Blocked),
                    Relation::Other(shared) if pair.key.len() > 1 && shared > base.len() => {
                        beside = Some((pair, base.len()));
                    }
                    Relation::Other(_) => {}
                }
            }
        }
        if self
            .all_paths()
            .any(|there| matches!(relation(&there, path), Relation::Same | Relation::Below))
        {
            return Err(Blocked);
        }
        if let Some((pair, base)) = beside {
            let key = path.get(base..).unwrap_or_default();
            return Ok(vec![self.pair(pair.lines.end, Some(pair), key, value)]);
        }
        let Some((last, parent)) = path.split_last() else {
            return Err(Blocked);
        };
        if let Some((section, _)) = own.iter().find(|(_, base)| base == parent) {
            let line = section.pairs.last();
            return Ok(vec![self.pair(section.end(), line, &[*last], value)]);
        }
        // Below the nearest table that is there.
        let near = own
            .iter()
            .filter(|(_, base)| parent.starts_with(base))
            .max_by_key(|(_, base)| base.len());
        let at = match near {
            Some((section, _)) if self.depth > 0 => section.end(),
            _ => self.text.len(),
        };
        let root = self.sections.get(self.depth).filter(|_| self.depth > 0);
        let mut header: Vec<&str> = root.map(|root| root.path().collect()).unwrap_or_default();
        header.extend_from_slice(parent);
        let newline = self.newline();
        let gap = if self.ends_line(at) { "" } else { newline };
        let new = format!(
            "{gap}{newline}[{}]{newline}{} = {}{newline}",
            dotted(&header),
            spelled(last),
            self.spell(value)
        );
        Ok(vec![(at..at, new)])
    }

    /// The paths of all sections, those of arrays too.
    fn all_paths(&self) -> impl Iterator<Item = Vec<&str>> {
        self.sections
            .iter()
            .skip(self.depth + 1)
            .map(|section| section.path().skip(self.depth).collect())
    }

    fn ends_line(&self, at: usize) -> bool {
        let before = self.text.get(..at).unwrap_or_default();
        before.is_empty() || before.ends_with(['\n', '\u{feff}'])
    }

    /// A new line, indented as another one.
    fn pair(&self, at: usize, like: Option<&Statement>, key: &[&str], value: &Value) -> Cut {
        let newline = self.newline();
        let indent = like
            .and_then(|pair| {
                let first = pair.key.first()?;
                self.text.get(pair.lines.start..first.span.start)
            })
            .unwrap_or_default();
        let line = format!("{indent}{} = {}", dotted(key), self.spell(value));
        if self.ends_line(at) {
            (at..at, format!("{line}{newline}"))
        } else {
            (at..at, format!("{newline}{line}"))
        }
    }

    /// Whether a table of an entry is there for its pairs alone, as those that we make: nobody wrote to it.
    fn was_made(&self, header: &Statement, section: &Section) -> bool {
        let own = self.text.get(section.extent.start..section.end());
        self.depth > 0 && header.key.len() > self.depth && own.is_some_and(|own| !own.contains('#'))
    }

    fn unset(&self, path: &[&str]) -> Result<Vec<Cut>, Blocked> {
        let mut cuts = Vec::new();
        let mut gone = Vec::new();
        for (section, base) in self.own() {
            if matches!(relation(&base, path), Relation::Same | Relation::Below) {
                continue;
            }
            let mut left = section.pairs.len();
            let mut removed = Vec::new();
            for pair in &section.pairs {
                let names = full(&base, &pair.key);
                let place = Self::value_of(pair);
                let written = self.text.get(place.clone()).unwrap_or_default();
                match relation(&names, path) {
                    Relation::Same | Relation::Below => {
                        left -= 1;
                        removed.push((pair.lines.clone(), String::new()));
                    }
                    Relation::Above(rest) if written.starts_with('{') => {
                        cuts.push((place, change_inline(written, rest, None)?));
                    }
                    Relation::Above(_) | Relation::Other(_) => {}
                }
            }
            match &section.header {
                Some(header)
                    if left == 0 && !removed.is_empty() && self.was_made(header, section) =>
                {
                    let before = self.text.get(..header.lines.start).unwrap_or_default();
                    let blank: usize = before
                        .split_inclusive('\n')
                        .rev()
                        .take_while(|line| line.trim().is_empty())
                        .map(str::len)
                        .sum();
                    let whole = header.lines.start - blank..section.end();
                    cuts.push((whole, String::new()));
                }
                _ => cuts.extend(removed),
            }
        }
        let whole = self.sections.iter().skip(self.depth + 1).filter(|section| {
            let there: Vec<&str> = section.path().skip(self.depth).collect();
            matches!(relation(&there, path), Relation::Same | Relation::Below)
        });
        gone.extend(whole.map(|section| section.extent.clone()));
        cuts.extend(sections::without(self.text, gone));
        Ok(cuts)
    }
}

fn full<'k>(base: &[&'k str], key: &'k [Segment]) -> Vec<&'k str> {
    let mut names = base.to_vec();
    names.extend(key.iter().map(|segment| segment.name.as_str()));
    names
}
