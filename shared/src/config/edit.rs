//! Changing the config: one key at a time, everything else byte for byte as it was.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::keys::{self, Key};
use super::load::{MAX_BYTES, evaluate, syntax};
use super::tables;
use super::unknown_key;
use super::value::{Kind, Unit};
use crate::document::{self, Lines, SyntaxError};
use crate::fs::{Expected, FileHash, FileLock};
use crate::paths::{Environment, Home, ensure_private_dir};
use crate::{Code, Error, Result};

/// How long an edit waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The config of a new home, which the ancestor reads too.
pub const fn default_text() -> &'static str {
    "[settings]\n\
     default-collection = \"default\"\n\
     update-strategy = \"prompt\"\n\
     \n\
     [analytics]\n\
     enabled = true\n\
     retention-days = 90\n\
     \n\
     [artifact_search]\n\
     indexing_mode = \"opt_in\"\n"
}

/// What would be wrong with a config file of this text, such as an editor left it.
pub fn check(home: &Home, text: &str, env: &dyn Environment) -> Vec<Error> {
    evaluate(&home.config(), text, env, Vec::new()).problems
}

/// Sets a key. Any of its spellings may be given; the one that is read first is written. The file is made
/// if there is none, and is readable for the user alone afterwards.
///
/// # Errors
/// [`Code::ConfigUnknownKey`]; [`Code::ConfigInvalid`] for a wrong value or a file that can't be parsed;
/// [`Code::FileChanged`] if somebody else writes at the same time.
pub fn set(home: &Home, key: &str, text: &str) -> Result<()> {
    valued(key, text)?;
    edit(home, |path, old| with(path, old, key, text).map(Some)).map(drop)
}

/// What `text` means as the value of a key, and where it is written.
fn valued(key: &str, text: &str) -> Result<Vec<(Vec<String>, Value)>> {
    let key = tables::spelled(key);
    let (name, value) = match keys::find(key) {
        Some(known) if known.kind == Kind::Open => return Err(whole_table(known)),
        Some(known) => (known.name, typed(known, key, text)?),
        None if keys::open_table(key).is_none() => return Err(unknown_key(key)),
        None if tables::is_table(key) => return table_of(key, text),
        None => (key, untyped(text)),
    };
    Ok(vec![(segments(name)?, value)])
}

/// The keys of a table with their values, each to be written as one of its own.
fn table_of(key: &str, text: &str) -> Result<Vec<(Vec<String>, Value)>> {
    let pairs = tables::pairs(key, text).map_err(|wanted| {
        let message = format!("`{text}` is no value for `{key}`");
        Error::new(Code::ConfigInvalid, message).hint(format!("it must be {wanted}"))
    })?;
    let table = segments(key)?;
    let within = |name: String| [table.as_slice(), &[name]].concat();
    Ok(pairs
        .into_iter()
        .map(|(name, value)| (within(name), value))
        .collect())
}

/// The text of the config at `path` with a key set.
///
/// # Errors
/// As [`set`] has them.
pub fn with(path: &Path, text: &str, key: &str, value: &str) -> Result<String> {
    let mut document = parse(path, text)?;
    for (segments, value) in valued(key, value)? {
        put(&mut document, path, key, &segments, value)?;
    }
    Ok(document::restore(text, &document.to_string()))
}

pub(super) fn parse(path: &Path, text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error.span().map_or(1, |span| Lines::of(text).start(&span));
        let message = document::one_line(error.message());
        syntax(path, &SyntaxError { message, line })
    })
}

pub(super) fn put(
    document: &mut DocumentMut,
    path: &Path,
    key: &str,
    segments: &[String],
    value: Value,
) -> Result<()> {
    let (last, tables) = segments.split_last().ok_or_else(|| unknown_key(key))?;
    let mut at: &mut dyn TableLike = document.as_table_mut();
    for name in tables {
        let item = at.entry(name).or_insert_with(|| Item::Table(inner()));
        at = item.as_table_like_mut().ok_or_else(|| {
            Error::new(
                Code::ConfigInvalid,
                format!("`{key}` can't be set: `{name}` in the config is not a table"),
            )
            .hint("mend it with `sm config edit`")
            .at(path, None)
        })?;
    }
    document::put(at, last, value);
    Ok(())
}

/// A new table, whose name is written only if it holds more than tables.
fn inner() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

/// Removes a key, in all its spellings. Whether the file held it.
///
/// # Errors
/// As [`set`] has them.
pub fn unset(home: &Home, key: &str) -> Result<bool> {
    edit(home, |path, text| without(path, text, key))
}

/// The text of the config at `path` without a key, in all its spellings; nothing if it has none of them.
///
/// # Errors
/// As [`set`] has them.
pub fn without(path: &Path, text: &str, key: &str) -> Result<Option<String>> {
    let key = tables::spelled(key);
    let names: Vec<String> = match keys::find(key) {
        Some(known) => std::iter::once(known.name)
            .chain(known.aliases.iter().map(|(alias, _)| *alias))
            .map(str::to_owned)
            .collect(),
        // What nobody knows may be removed too: that is how a slip is mended.
        None => vec![key.to_owned()],
    };
    let paths = names
        .iter()
        .map(|name| segments(name))
        .collect::<Result<Vec<_>>>()?;
    let mut document = parse(path, text)?;
    let mut removed = false;
    for path in &paths {
        removed |= remove(document.as_table_mut(), path);
    }
    if !removed && keys::find(key).is_none() && keys::open_table(key).is_none() {
        return Err(unknown_key(key));
    }
    Ok(removed.then(|| {
        let left = document.to_string();
        // The blank line below a first line that goes.
        let begun = left.trim_start_matches(['\r', '\n']);
        let is_blank = text
            .trim_start_matches('\u{feff}')
            .starts_with(['\r', '\n']);
        document::restore(text, if is_blank { &left } else { begun })
    }))
}

fn whole_table(key: &Key) -> Error {
    Error::new(
        Code::ConfigInvalid,
        format!("`{}` is a table and can't be set as a whole", key.name),
    )
    .hint("set one of the keys in it, or use `sm config edit`")
}

fn typed(known: &Key, spelled: &str, text: &str) -> Result<Value> {
    let refuse = |wanted: String| {
        let shown = if known.secret {
            "the value".to_owned()
        } else {
            format!("`{text}`")
        };
        Error::new(
            Code::ConfigInvalid,
            format!("{shown} is no value for `{spelled}`"),
        )
        .hint(format!("it must be {wanted}"))
    };
    // An alias may count in another unit.
    let unit = known
        .aliases
        .iter()
        .find(|(alias, _)| *alias == spelled)
        .map_or(Unit::Plain, |(_, unit)| *unit);
    let value = known.kind.parse(text, unit).map_err(refuse)?;
    if value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Err(refuse(format!("{} that is not empty", known.kind.wanted())));
    }
    from_json(&value).ok_or_else(|| refuse(known.kind.wanted()))
}

/// A value of a key that is only kept: TOML if it is some, else text.
pub(super) fn untyped(text: &str) -> Value {
    text.trim().parse::<Value>().map_or_else(
        |_| Value::from(text),
        |mut value| {
            value.decor_mut().clear();
            value
        },
    )
}

fn from_json(value: &Json) -> Option<Value> {
    match value {
        Json::String(text) => Some(text.as_str().into()),
        Json::Bool(flag) => Some((*flag).into()),
        Json::Number(number) => number.as_i64().map(Into::into),
        Json::Array(items) => items
            .iter()
            .map(from_json)
            .collect::<Option<toml_edit::Array>>()
            .map(Into::into),
        Json::Null | Json::Object(_) => None,
    }
}

pub(super) fn segments(name: &str) -> Result<Vec<String>> {
    let keys = toml_edit::Key::parse(name).map_err(|_| unknown_key(name))?;
    Ok(keys.iter().map(|key| key.get().to_owned()).collect())
}

/// Removes a key, and the tables that hold nothing without it, unless somebody wrote something above them.
pub(super) fn remove(table: &mut dyn TableLike, path: &[String]) -> bool {
    match path {
        [] => false,
        [last] => table.remove(last).is_some(),
        [first, rest @ ..] => {
            let Some(item) = table.get_mut(first) else {
                return false;
            };
            let inner = item.as_table_like_mut();
            let Some(inner) = inner.filter(|inner| !inner.is_empty()) else {
                return false;
            };
            let is_removed = remove(inner, rest);
            if inner.is_empty() && !has_comment(item) {
                table.remove(first);
            }
            is_removed
        }
    }
}

fn has_comment(item: &Item) -> bool {
    let Item::Table(table) = item else {
        return false;
    };
    let decor = table.decor();
    let around = [decor.prefix(), decor.suffix()];
    let mut around = around.into_iter().flatten();
    around.any(|text| text.as_str().is_none_or(|text| text.contains('#')))
}

/// One program of ours edits the config at a time, for as long as this is held. Without a home there is nobody to
/// take turns with, and a key that is wrong should leave none behind.
///
/// # Errors
/// What taking the lock says.
pub fn turn(home: &Home) -> Result<Option<FileLock>> {
    let is_there = home.root().exists();
    is_there
        .then(|| FileLock::acquire(&home.config_lock(), PATIENCE))
        .transpose()
}

/// Reads the file, changes its text, and writes it if `change` gives one and nobody else has written meanwhile.
/// Programs of ours take turns; the comparison with what was read guards against everybody else.
fn edit(home: &Home, change: impl FnOnce(&Path, &str) -> Result<Option<String>>) -> Result<bool> {
    let path = home.config();
    let _turn = turn(home)?;
    let (text, expected) = match crate::fs::read_bounded(&path, MAX_BYTES) {
        Ok(bytes) => {
            let expected = Expected::Content(FileHash::of(&bytes));
            let text = document::decode(&bytes).map_err(|error| syntax(&path, &error))?;
            (text.to_owned(), expected)
        }
        Err(error) if error.code == Code::FileNotFound => (String::new(), Expected::Absent),
        Err(error) => return Err(error),
    };
    let Some(edited) = change(&path, &text)? else {
        return Ok(false);
    };
    ensure_private_dir(home.root())?;
    protect(&path)?;
    crate::fs::swap(&path, &expected, edited.as_bytes())?;
    Ok(true)
}

/// Takes the rights of everybody else from the config: it may hold a token.
///
/// # Errors
/// What the system says.
pub fn protect(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.mode() & 0o077 != 0 => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
                .map_err(|error| Error::io("protect", path, &error))
        }
        _ => Ok(()),
    }
}
