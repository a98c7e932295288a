//! Changes of the config: recorded by key, as the file may hold secrets, which stand nowhere else.

use std::path::Path;

use skillmeat_shared::config::record::{self, Obstacle};
use skillmeat_shared::fs::{FileHash, read_bounded};
use skillmeat_shared::history::Node;
use skillmeat_shared::{Code, Error, Result};

use super::draft::{Draft, changed};
use super::obstacle::{InTheWay, Why};
use super::past::Past;
use super::place::Place;
use crate::store::history::operation::TouchedPath;

/// Bytes of the largest config.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// Mode of a record, which is a file nowhere.
pub(super) const MODE: u16 = 0o600;

/// A state before, and one after.
pub(super) type Sides = (Option<Node>, Option<Node>);

/// What is recorded of a change of the config: kept in the history, as the two sides of a record.
pub(super) fn record_of_config(
    past: &Past<'_>,
    found: Option<&Node>,
    old: &Path,
    new: Option<&Path>,
) -> Result<Sides> {
    let before = if found.is_some() {
        let bytes = read_bounded(old, MAX_BYTES)?;
        if found.and_then(Node::hash) != Some(&FileHash::of(&bytes)) {
            return Err(changed(old));
        }
        bytes
    } else {
        Vec::new()
    };
    let after = match new {
        Some(new) => read_bounded(new, MAX_BYTES)?,
        None => Vec::new(),
    };
    let record = record::record(
        &String::from_utf8_lossy(&before),
        &String::from_utf8_lossy(&after),
    );
    Ok((
        Some(past.keep(record.before.as_bytes(), MODE)?),
        Some(past.keep(record.after.as_bytes(), MODE)?),
    ))
}

/// The two sides of a record.
fn sides(past: &Past<'_>, touched: &TouchedPath) -> Result<(String, String)> {
    let side = |node: Option<&Node>| -> Result<String> {
        let bytes = match node.and_then(Node::hash) {
            Some(hash) => past.bytes(hash)?,
            None => Vec::new(),
        };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok((
        side(touched.before.as_ref())?,
        side(touched.after.as_ref())?,
    ))
}

/// Whether the config is as a change found it, and as it left it.
pub(super) fn state_of_config(
    past: &Past<'_>,
    touched: &TouchedPath,
    path: &Path,
) -> Result<(bool, bool)> {
    let now = match read_bounded(path, MAX_BYTES) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.code == Code::FileNotFound => String::new(),
        Err(error) => return Err(error),
    };
    let (before, after) = sides(past, touched)?;
    Ok((
        record::holds(&before, &after, &now),
        record::holds(&after, &before, &now),
    ))
}

/// Drafts the config without a change.
pub(super) fn take_back_settings(
    draft: &mut Draft<'_>,
    place: &Place,
    touched: &TouchedPath,
) -> Result<Option<InTheWay>> {
    let (before, after) = sides(&draft.past, touched)?;
    let now = draft.text(place)?.unwrap_or_default();
    let (entries, why) = match record::take_back(&before, &after, &now) {
        Ok(text) => {
            draft.write(place, text.into_bytes())?;
            return Ok(None);
        }
        Err(Obstacle::Changed(keys)) => (keys, Why::Changed),
        Err(Obstacle::NotKept(keys)) => (keys, Why::NotKept),
        Err(Obstacle::Error(error)) => return Err(error),
    };
    Ok(Some(InTheWay {
        place: place.clone(),
        entries,
        why,
    }))
}

/// The error that what was there before is not known.
pub(super) fn not_kept(id: i64, word: &str, keys: &[String]) -> Error {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    let message = format!(
        "can't {word} operation {id}: the history does not keep what {} was, as it may be a secret",
        keys.join(", ")
    );
    Error::new(Code::OperationSuperseded, message)
        .hint("set it with `sm config set KEY -`, or edit the file with `sm config edit`")
}
