//! The lists of a manifest, and which of their entries is meant.

use toml::de::{DeTable, DeValue};

use super::lexer::{Item, Items};
use super::sections::{self, Entries};
use super::value::{Slot, rebuild};
use super::{Cut, invalid, syntax};
use crate::document::{self, Lines};
use crate::{ArtifactId, Kind, Result};

/// A list of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum List {
    /// `[[artifacts]]`
    Artifacts,
    /// `[[groups]]`
    Groups,
    /// `[[tag_definitions]]`
    TagDefinitions,
    /// `[[mcp_servers]]`
    McpServers,
}

impl List {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Artifacts,
        Self::Groups,
        Self::TagDefinitions,
        Self::McpServers,
    ];

    /// The key at the root of the manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Artifacts => "artifacts",
            Self::Groups => "groups",
            Self::TagDefinitions => "tag_definitions",
            Self::McpServers => "mcp_servers",
        }
    }
}

/// Names an entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// An artifact.
    Artifact(ArtifactId),
    /// A group, by its name.
    Group(String),
    /// The definition of a tag, by its slug.
    Tag(String),
    /// An MCP server, by its name.
    McpServer(String),
}

impl Key {
    /// The list that the entry stands in.
    pub const fn list(&self) -> List {
        match self {
            Self::Artifact(_) => List::Artifacts,
            Self::Group(_) => List::Groups,
            Self::Tag(_) => List::TagDefinitions,
            Self::McpServer(_) => List::McpServers,
        }
    }

    /// The name of an entry, if it has one.
    pub(super) fn of(list: List, entry: &DeTable<'_>) -> Option<Self> {
        let text = |key: &str| match entry.get(key)?.get_ref() {
            DeValue::String(text) => Some(text.as_ref().to_owned()),
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::Float(number) => Some(number.to_string()),
            DeValue::Datetime(date) => Some(date.to_string()),
            _ => None,
        };
        let name = text("name")?;
        Some(match list {
            List::Artifacts => {
                let kind = Kind::from_manifest(text("type")?.trim());
                Self::Artifact(ArtifactId::new(kind, name))
            }
            List::Groups => Self::Group(name),
            List::TagDefinitions => Self::Tag(text("slug").unwrap_or(name)),
            List::McpServers => Self::McpServer(name),
        })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Artifact(id) => write!(f, "`{id}`"),
            Self::Group(name) => write!(f, "the group `{name}`"),
            Self::Tag(slug) => write!(f, "the definition of the tag `{slug}`"),
            Self::McpServer(name) => write!(f, "the MCP server `{name}`"),
        }
    }
}

/// An entry in the two forms that a list may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// `[[list]]` and its lines, with plain newlines.
    pub(super) table: String,
    /// `{ ... }`
    pub(super) inline: String,
}

/// The names of a list's entries by their places; `None` for one without a name.
pub(super) fn keys(text: &str, list: List) -> Result<Vec<Option<Key>>> {
    let lines = Lines::of(text);
    let root = document::parse(text, &lines).map_err(|error| syntax(&error))?;
    let Some((key, value)) = root.get_ref().get_key_value(list.as_str()) else {
        return Ok(Vec::new());
    };
    let DeValue::Array(items) = value.get_ref() else {
        let message = format!("`{}` in the manifest is no array of tables", list.as_str());
        return Err(invalid(message, Some(lines.start(&key.span()))));
    };
    let named = items.iter().map(|item| match item.get_ref() {
        DeValue::Table(table) => Key::of(list, table),
        _ => None,
    });
    Ok(named.collect())
}

/// The entries of a list with their names.
pub(super) fn named(text: &str, list: List) -> Result<(Entries, Vec<Option<Key>>)> {
    let keys = keys(text, list)?;
    let entries = sections::entries(text, list.as_str());
    if entries.len() == keys.len() {
        return Ok((entries, keys));
    }
    Err(invalid(
        format!(
            "`{}` in the manifest is written in a way that can't be edited",
            list.as_str()
        ),
        None,
    ))
}

/// The cuts that put new entries into a list: before the entry at this place, or behind the last one.
pub(super) fn insert(
    text: &str,
    list: List,
    blocks: &[Block],
    before: Option<usize>,
) -> Result<Vec<Cut>> {
    if blocks.is_empty() {
        return Ok(Vec::new());
    }
    let (entries, _) = named(text, list)?;
    Ok(match entries {
        Entries::Absent => vec![append(text, blocks)],
        Entries::Tables(entries) => {
            let next = before.and_then(|before| entries.get(before)?.first());
            match next {
                None => vec![append(text, blocks)],
                Some(next) => {
                    let new: Vec<&str> = blocks.iter().map(|block| block.table.as_str()).collect();
                    let new = new.join(
                        "
",
                    ) + "
";
                    vec![(next.start..next.start, with_ends_of(text, &new))]
                }
            }
        }
        Entries::Inline {
            lines,
            key,
            array,
            items,
        } => {
            let written = text.get(array.clone()).unwrap_or_default();
            let rest = written.get(items.rest.clone()).unwrap_or_default();
            if items.items.is_empty() && rest.trim().is_empty() {
                return Ok(vec![
                    (statement(text, &lines, key, array.end), String::new()),
                    append(text, blocks),
                ]);
            }
            vec![(array, grown(written, &items, blocks, before))]
        }
    })
}

fn grown(written: &str, items: &Items, blocks: &[Block], before: Option<usize>) -> String {
    let count = items.items.len();
    let at = before.unwrap_or(count).min(count);
    let new = blocks.iter().map(|block| Slot::new(block.inline.clone()));
    let slots: Vec<Slot> = (0..at)
        .map(Slot::old)
        .chain(new)
        .chain((at..count).map(Slot::old))
        .collect();
    rebuild(written, items, &slots)
}

/// New tables at the end of the file.
fn append(text: &str, blocks: &[Block]) -> Cut {
    let tables: Vec<&str> = blocks.iter().map(|block| block.table.as_str()).collect();
    let mut new = format!(
        "
{}",
        tables.join(
            "
"
        )
    );
    if !text.ends_with('\n') {
        new.insert(0, '\n');
    }
    (text.len()..text.len(), with_ends_of(text, &new))
}

/// A text with the line ends of another one.
pub(super) fn with_ends_of(text: &str, new: &str) -> String {
    if text.contains("\r\n") {
        new.replace('\n', "\r\n")
    } else {
        new.to_owned()
    }
}

/// The bytes of `key = []`, with its line if nothing else stands on it. At the top of the file the blank lines
/// below go along.
fn statement(
    text: &str,
    lines: &std::ops::Range<usize>,
    key: usize,
    end: usize,
) -> std::ops::Range<usize> {
    let behind = text.get(end..lines.end).unwrap_or_default();
    if !behind.trim().is_empty() {
        return key..end;
    }
    let above = text.get(..lines.start).unwrap_or_default();
    if !above.trim_start_matches('\u{feff}').is_empty() {
        return lines.clone();
    }
    let below = text.get(lines.end..).unwrap_or_default();
    let blank = below.len() - below.trim_start_matches(['\r', '\n']).len();
    lines.start..lines.end + blank
}

/// The text of an item, without what stands around it.
pub(super) fn own<'t>(written: &'t str, item: &Item) -> &'t str {
    written.get(item.span.clone()).unwrap_or_default()
}
