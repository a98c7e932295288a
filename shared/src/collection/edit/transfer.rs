//! Entries as texts of their own: taken out of one manifest, put into another one, or back.

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
    let list = key.list();
    let (entries, keys) = list::named(text, list)?;
    let Some(at) = keys.iter().position(|found| found.as_ref() == Some(key)) else {
        return Ok(None);
    };
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
    Ok(Some(table))
}

/// The manifest with an entry that [`block`] gave: before the entry of this name if there is one, else behind all
/// others. An entry with the same name must be gone by then.
///
/// # Errors
/// [`crate::Code::ManifestInvalid`] if either text can't be read, or the manifest can't be edited.
pub fn insert(text: &str, entry: &str, before: Option<&Key>) -> Result<String> {
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
    let place = match before.filter(|before| before.list() == list) {
        Some(before) => list::keys(text, list)?
            .iter()
            .position(|key| key.as_ref() == Some(before)),
        None => None,
    };
    insert_blocks(text, list, &[block], place)
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
