//! `collection.lock`: what was fetched, and the hash that it had then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeValue;
use toml_edit::{DocumentMut, Item, Table, TableLike};

use super::LOCK;
use super::field::Fields;
use crate::artifact::Problem;
use crate::document::{self, Lines, SyntaxError};
use crate::{ArtifactId, Code, Error, Kind, Result};

/// A lock file, as far as it can be understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lockfile {
    /// The entries.
    pub entries: BTreeMap<ArtifactId, LockEntry>,
    /// What is wrong with the file.
    pub problems: Vec<Problem>,
}

/// What the lock file says of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LockEntry {
    /// The content hash when it was fetched: 64 hex digits.
    pub content_hash: Option<String>,
    /// When that was, as written.
    pub fetched: Option<String>,
    /// The place that it was fetched from.
    pub upstream: Option<String>,
    /// The commit; of a local artifact the ancestor writes its content hash here.
    pub resolved_sha: Option<String>,
    /// The tag.
    pub resolved_version: Option<String>,
    /// The whole entry, keys in the order of the file. Not written.
    pub raw: Value,
}

impl Lockfile {
    /// Reads a lock file. An empty text is one without entries.
    ///
    /// # Errors
    /// If the text is no TOML.
    pub fn parse(text: &str) -> std::result::Result<Self, SyntaxError> {
        let lines = Lines::of(text);
        let root = document::parse(text, &lines)?;
        let mut lock = Self::default();
        let mut fields = Fields::new(root.get_ref(), &lines, "the lock file", LOCK);
        let table = fields.table("lock").and_then(|table| {
            let mut inner = Fields::new(table, &lines, "`lock`", LOCK);
            let entries = inner.table("entries");
            lock.problems.append(&mut inner.problems);
            entries
        });
        lock.problems.append(&mut fields.problems);
        for (key, value) in table.map(document::in_order).unwrap_or_default() {
            let line = lines.start(&key.span());
            let key = key.get_ref().as_ref();
            let mut problem = |message: String| {
                lock.problems
                    .push(Problem::new("lock.broken", message).at(LOCK, Some(line)));
            };
            let Some(id) = id_of(key) else {
                problem(format!("the key `{key}` is no `name::type`"));
                continue;
            };
            let DeValue::Table(table) = value.get_ref() else {
                problem(format!("the entry `{key}` is not a table"));
                continue;
            };
            let mut fields = Fields::new(table, &lines, format!("`{key}`"), LOCK);
            let entry = LockEntry {
                content_hash: fields.text("content_hash"),
                fetched: fields.text("fetched"),
                upstream: fields.text("upstream"),
                resolved_sha: fields.text("resolved_sha"),
                resolved_version: fields.text("resolved_version"),
                raw: Value::Object(document::table_to_json(table)),
            };
            lock.problems.append(&mut fields.problems);
            lock.entries.insert(id, entry);
        }
        Ok(lock)
    }
}

/// The artifact of a key. The ancestor splits at the first `::`, so a name with `::` in it can't be told.
fn id_of(key: &str) -> Option<ArtifactId> {
    let (name, kind) = key.split_once("::")?;
    (!name.is_empty() && !kind.is_empty()).then(|| ArtifactId::new(Kind::from_manifest(kind), name))
}

/// The key of an artifact.
pub fn key_of(id: &ArtifactId) -> String {
    format!("{}::{}", id.name, id.kind)
}

/// The lock file of a new collection.
pub const fn render_new() -> &'static str {
    "[lock]\nversion = \"1.0.0\"\n\n[lock.entries]\n"
}

/// The text with these entries set; every other byte as it was. Keys of an entry that we do not know stay.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML, or something else stands where the entries should.
pub fn set_entries(text: &str, entries: &[(ArtifactId, LockEntry)]) -> Result<String> {
    edited(text, |table| {
        for (id, entry) in entries {
            let key = key_of(id);
            let item = table
                .entry(&key)
                .or_insert_with(|| Item::Table(Table::new()));
            let item = item.as_table_like_mut().ok_or_else(|| blocked(&key))?;
            let fields = [
                ("content_hash", &entry.content_hash),
                ("fetched", &entry.fetched),
                ("upstream", &entry.upstream),
                ("resolved_sha", &entry.resolved_sha),
                ("resolved_version", &entry.resolved_version),
            ];
            for (name, value) in fields {
                match value {
                    Some(value) if item.get(name).and_then(Item::as_str) == Some(value) => {}
                    Some(value) => document::put(item, name, value.as_str().into()),
                    None => {
                        item.remove(name);
                    }
                }
            }
        }
        Ok(())
    })
}

/// The lock file `to` with entries of another one, all their keys included: each old name with its new one. What has
/// no entry there has none here either.
///
/// # Errors
/// As [`set_entries`], for either text.
pub fn carry(from: &str, to: &str, names: &[(ArtifactId, ArtifactId)]) -> Result<String> {
    let source = parsed(from)?;
    let entries = source
        .get("lock")
        .and_then(|lock| lock.get("entries"))
        .and_then(Item::as_table_like);
    edited(to, |table| {
        for (old, new) in names {
            let found = entries.and_then(|entries| entries.get(&key_of(old)));
            let Some(found) = found.and_then(Item::as_table_like) else {
                table.remove(&key_of(new));
                continue;
            };
            let mut entry = Table::new();
            for (key, value) in found.iter() {
                entry.insert(key, value.clone());
            }
            table.insert(&key_of(new), Item::Table(entry));
        }
        Ok(())
    })
}

fn invalid(message: String, line: Option<u32>) -> Error {
    Error::new(Code::ManifestInvalid, message)
        .hint(format!("mend `{LOCK}`, or move it away: it is made again"))
        .at(LOCK, line)
}

fn blocked(what: &str) -> Error {
    invalid(format!("`{what}` in the lock file is not a table"), None)
}

fn parsed(text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error.span().map(|span| Lines::of(text).start(&span));
        let why = document::one_line(error.message());
        invalid(format!("the lock file has a syntax error: {why}"), line)
    })
}

/// The text after a change of its entries.
fn edited(text: &str, change: impl FnOnce(&mut dyn TableLike) -> Result<()>) -> Result<String> {
    let text = if text.trim().is_empty() {
        render_new()
    } else {
        text
    };
    let mut document = parsed(text)?;
    let lock = document
        .entry("lock")
        .or_insert_with(|| Item::Table(Table::new()));
    let lock = lock.as_table_like_mut().ok_or_else(|| blocked("lock"))?;
    if !lock.contains_key("version") {
        lock.insert("version", "1.0.0".into());
    }
    let table = lock
        .entry("entries")
        .or_insert_with(|| Item::Table(implicit()));
    let table = table
        .as_table_like_mut()
        .ok_or_else(|| blocked("lock.entries"))?;
    change(table)?;
    Ok(document::restore(text, &document.to_string()))
}

fn implicit() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNTHETIC: &str = include_str!("../../tests/fixtures/collections/synthetic.lock");

    fn entry(hash: &str) -> LockEntry {
        LockEntry {
            content_hash: Some(hash.to_owned()),
            fetched: Some("2026-11-20T16:04:12.152557".to_owned()),
            ..LockEntry::default()
        }
    }

    #[test]
    fn the_ancestors_lock_is_read() {
        let lock = Lockfile::parse(SYNTHETIC).unwrap();
        assert_eq!(lock.problems, []);
        let canvas = &lock.entries[&ArtifactId::new(Kind::Skill, "canvas")];
        assert_eq!(canvas.resolved_version.as_deref(), Some("v2.1.0"));
        assert_eq!(
            canvas.content_hash.as_deref(),
            Some("d".repeat(64).as_str())
        );
    }

    #[test]
    fn bad_parts_do_not_hide_good_ones() {
        let text = "[lock.entries]\n\"a::skill\" = 1\nb = {}\n\"c::d::skill\" = {}\n\
                    [lock.entries.\"good::agent\"]\ncontent_hash = 5\nfetched = 2026-01-01T00:00:00\n";
        let lock = Lockfile::parse(text).unwrap();
        let lines: Vec<_> = lock.problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [Some(2), Some(3), Some(6)]);
        let good = &lock.entries[&ArtifactId::new(Kind::Agent, "good")];
        assert_eq!(good.fetched.as_deref(), Some("2026-01-01T00:00:00"));
        assert!(
            lock.entries
                .contains_key(&ArtifactId::new(Kind::Other("d::skill".into()), "c"))
        );
        assert_eq!(Lockfile::parse("").unwrap(), Lockfile::default());
        assert_eq!(Lockfile::parse("a =\n").unwrap_err().line, 1);
        assert_eq!(Lockfile::parse("lock = 1\n").unwrap().problems.len(), 1);
    }

    #[test]
    fn setting_keeps_everything_else() {
        let text = "# mine\n[lock]\nversion = \"1.0.0\" # v\nother = 1\n\n[lock.entries.\"a::skill\"]\n\
                    content_hash = \"1\" # why\nrecipe_hash = \"x\"\nupstream = \"u\"\n";
        let ids = ["a", "b"].map(|name| ArtifactId::new(Kind::Skill, name));
        let [a, b] = ids.clone();
        let out = set_entries(text, &[(a, entry("2")), (b, entry("3"))]).unwrap();
        assert!(
            out.starts_with("# mine\n[lock]\nversion = \"1.0.0\" # v\nother = 1\n"),
            "{out}"
        );
        assert!(
            out.contains("content_hash = \"2\" # why\nrecipe_hash = \"x\"\n"),
            "{out}"
        );
        assert!(!out.contains("upstream"), "{out}");
        let lock = Lockfile::parse(&out).unwrap();
        assert_eq!(lock.problems, []);
        for (id, hash) in ids.iter().zip(["2", "3"]) {
            assert_eq!(lock.entries[id].content_hash.as_deref(), Some(hash));
        }
        let again: Vec<_> = lock.entries.into_iter().collect();
        let foreign = out.replace('\n', "\r\n");
        assert_eq!(set_entries(&foreign, &again).unwrap(), foreign);
        assert_eq!(set_entries(&out, &again).unwrap(), out);
    }

    #[test]
    fn a_new_lock_takes_entries() {
        for text in [
            "",
            render_new(),
            "[lock]\nversion = \"1.0.0\"\n\n[lock.entries]\n",
        ] {
            let id = ArtifactId::new(Kind::Command, "a b.c");
            let out = set_entries(text, &[(id.clone(), entry("1"))]).unwrap();
            assert!(out.contains("[lock.entries.\"a b.c::command\"]"), "{out}");
            assert_eq!(Lockfile::parse(&out).unwrap().entries.len(), 1);
        }
        for bad in ["a =", "lock = 1", "[lock]\nentries = 1"] {
            let id = ArtifactId::new(Kind::Skill, "a");
            assert_eq!(
                set_entries(bad, &[(id, entry("1"))]).unwrap_err().code,
                Code::ManifestInvalid
            );
        }
    }

    #[test]
    fn entries_are_carried_over_with_all_their_keys() {
        let from = "[lock]\nversion = \"1.0.0\"\n\n[lock.entries.\"a::skill\"]\ncontent_hash = \"h\"\nrecipe_hash = \"r\"\n";
        let id = |name: &str| ArtifactId::new(crate::Kind::Skill, name);
        let names = [(id("a"), id("b")), (id("none"), id("gone"))];
        let to = set_entries("", &[(id("gone"), entry("x")), (id("kept"), entry("y"))]).unwrap();
        let out = carry(from, &to, &names).unwrap();
        let lock = Lockfile::parse(&out).unwrap();
        assert_eq!(lock.entries.len(), 2);
        assert_eq!(lock.entries[&id("b")].raw["recipe_hash"], "r");
        assert_eq!(lock.entries[&id("kept")].content_hash.as_deref(), Some("y"));
        assert!(carry("[lock", &to, &names).is_err());
    }
}
