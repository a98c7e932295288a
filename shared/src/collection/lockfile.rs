//! `collection.lock`: what was fetched, and the hash that it had then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeValue;

use super::LOCK;
use super::field::Fields;
use crate::artifact::Problem;
use crate::document::{self, Lines, SyntaxError};
use crate::{ArtifactId, Kind};

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

#[cfg(test)]
mod tests {
    use super::*;

    const SYNTHETIC: &str = include_str!("../../tests/fixtures/collections/synthetic.lock");

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
}
