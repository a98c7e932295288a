//! Entries as texts of their own: taken out of one manifest, put into another one, or back.

use std::collections::HashMap;

use serde_json::Value as Json;
use toml::de::DeValue;

use super::change::verified;
use super::lexer;
use super::list::{self, Block, Key, List};
use super::sections::Entries;
use super::value::{on_one_line, spelled};
use super::{apply, invalid, syntax};
use crate::Result;
use crate::document::{self, Lines};

/// The text of an entry as tables (`[[artifacts]]` and so on) with its comments and plain newlines, whatever form
/// it has in the manifest. `None` if there is no such entry.
///
/// # Errors
/// [`crate::Code::ManifestInvalid`] if the text is no TOML, or the list is none.
pub fn block(text: &str, key: &Key) -> Result<Option<String>> {
    let mut blocks = blocks(text, std::slice::from_ref(key))?;
    Ok(blocks.pop().flatten())
}

/// As [`block`], of many entries of one list at once.
///
/// # Errors
/// As [`block`].
pub fn blocks(text: &str, wanted: &[Key]) -> Result<Vec<Option<String>>> {
    let Some(list) = wanted.first().map(Key::list) else {
        return Ok(Vec::new());
    };
    let (entries, keys) = list::named(text, list)?;
    let mut places: HashMap<&Key, usize> = HashMap::new();
    for (at, key) in keys.iter().enumerate() {
        if let Some(key) = key {
            places.entry(key).or_insert(at);
        }
    }
    let block = |key: &Key| {
        places
            .get(key)
            .map(|at| as_table(text, list, &entries, *at))
    };
    Ok(wanted.iter().map(block).collect())
}

fn as_table(text: &str, list: List, entries: &Entries, at: usize) -> String {
    let own = entries.text(text, at).unwrap_or_default();
    let table = if matches!(entries, Entries::Inline { .. }) {
        let pairs = lexer::items(&own);
        let lines = pairs
            .items
            .iter()
            .map(|item| format!("{}\n", list::own(&own, item)));
        format!("[[{}]]\n{}", list.as_str(), lines.collect::<String>())
    } else {
        own
    };
    let mut table = table.replace("\r\n", "\n");
    if !table.ends_with('\n') {
        table.push('\n');
    }
    table
}

/// The manifest with an entry that [`block`] gave: before the entry of this name if there is one, else behind all
/// others. An entry with the same name must be gone by then.
///
/// # Errors
/// [`crate::Code::ManifestInvalid`] if either text can't be read, or the manifest can't be edited.
pub fn insert(text: &str, entry: &str, before: Option<&Key>) -> Result<String> {
    let (list, block) = parsed(entry)?;
    let place = match before.filter(|before| before.list() == list) {
        Some(before) => list::keys(text, list)?
            .iter()
            .position(|key| key.as_ref() == Some(before)),
        None => None,
    };
    insert_blocks(text, list, &[block], place)
}

/// The manifest with many entries that [`block`] gave, behind all others.
///
/// # Errors
/// As [`insert`].
pub fn insert_all(text: &str, entries: &[String]) -> Result<String> {
    let parsed: Vec<(List, Block)> = entries
        .iter()
        .map(|entry| parsed(entry))
        .collect::<Result<_>>()?;
    let mut text = text.to_owned();
    for list in List::ALL {
        let of_list = parsed.iter().filter(|(of, _)| *of == list);
        let blocks: Vec<Block> = of_list.map(|(_, block)| block.clone()).collect();
        if !blocks.is_empty() {
            text = insert_blocks(&text, list, &blocks, None)?;
        }
    }
    Ok(text)
}

/// The list that the entry of a block belongs to, and the block in both forms.
fn parsed(entry: &str) -> Result<(List, Block)> {
    let lines = Lines::of(entry);
    let root = document::parse(entry, &lines).map_err(|error| syntax(&error))?;
    let found = List::ALL.into_iter().find_map(|list| {
        let DeValue::Array(items) = root.get_ref().get(list.as_str())?.get_ref() else {
            return None;
        };
        let table = items.iter().next()?.get_ref().as_table()?;
        Some((list, table))
    });
    let Some((list, table)) = found else {
        return Err(invalid("the text holds no entry of a manifest", None));
    };
    let pairs: Vec<String> = document::in_order(table)
        .into_iter()
        .map(|(key, value)| {
            let value = on_one_line(value.get_ref());
            format!("{} = {value}", spelled(key.get_ref()))
        })
        .collect();
    let block = Block {
        table: entry.to_owned(),
        inline: format!("{{ {} }}", pairs.join(", ")),
    };
    Ok((list, block))
}

pub(super) fn insert_blocks(
    text: &str,
    list: List,
    blocks: &[Block],
    before: Option<usize>,
) -> Result<String> {
    let cuts = list::insert(text, list, blocks, before)?;
    let values: Vec<Json> = blocks
        .iter()
        .filter_map(|block| said(block, list))
        .collect();
    let out = (values.len() == blocks.len()).then(|| apply(text, cuts));
    verified(text, out, "added", |model| {
        if let Some(items) = model.list(list) {
            let at = before.unwrap_or(items.len()).min(items.len());
            items.splice(at..at, values);
        }
    })
}

/// What the one entry of a block says.
fn said(block: &Block, list: List) -> Option<Json> {
    let root = document::parse(&block.table, &Lines::of(&block.table)).ok()?;
    let mut table = document::table_to_json(root.get_ref());
    match table.remove(list.as_str())? {
        Json::Array(mut items) if items.len() == 1 => items.pop(),
        _ => None,
    }
}
