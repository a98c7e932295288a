//! An artifact in full, and where its manifest and its files disagree.

use std::collections::BTreeSet;

use skillmeat_shared::Kind;
use skillmeat_shared::artifact::{Metadata, Problem, Status, metadata};
use skillmeat_shared::reconcile::Kept;

use super::Freshness;
use crate::store::show;

/// An artifact in full.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Everything known of it.
    pub detail: show::Detail,
    /// How fresh that is.
    pub freshness: Freshness,
    /// Its entries in manifest and lock.
    kept: Kept,
}

impl Shown {
    /// An artifact as its row has it.
    pub fn new(detail: show::Detail, freshness: Freshness) -> Self {
        let manifest = detail.manifest.as_deref();
        let lock = detail.lock.as_deref();
        let kept = Kept {
            entry: manifest.and_then(|text| serde_json::from_str(text).ok()),
            lock: lock.and_then(|text| serde_json::from_str(text).ok()),
        };
        Self {
            detail,
            freshness,
            kept,
        }
    }

    /// The manifest's entry as JSON, as it stands there; empty without one.
    pub fn manifest_json(&self) -> String {
        match &self.kept.entry {
            Some(entry) => entry.raw.to_string(),
            // The declaration of an MCP server.
            None => self.detail.manifest.clone().unwrap_or_default(),
        }
    }

    /// The lock's entry as JSON, as it stands there; empty without one.
    pub fn lock_json(&self) -> String {
        let lock = self.kept.lock.as_ref();
        lock.map(|lock| lock.raw.to_string()).unwrap_or_default()
    }

    /// Its place among the artifacts of the collection, if the manifest gives it one.
    pub fn position(&self) -> Option<i64> {
        self.kept.entry.as_ref()?.position
    }

    /// Whether the content differs from what the lock recorded; `None` if one of them is not known.
    pub fn modified(&self) -> Option<bool> {
        let is_unread = |problem: &Problem| problem.code == "file.unreadable";
        if self.detail.problems.iter().any(is_unread) {
            return None;
        }
        let recorded = self.kept.lock.as_ref()?.content_hash.as_ref()?;
        Some(self.detail.summary.content_hash.as_ref()? != recorded)
    }

    /// Fields in which the manifest and the artifact's files disagree: field, files, manifest. What the manifest
    /// leaves out, it does not deny; what only the manifest says is not in the files.
    pub fn differences(&self) -> Vec<(&'static str, Option<String>, Option<String>)> {
        let row = &self.detail.summary;
        let Some(entry) = &self.kept.entry else {
            return Vec::new();
        };
        if row.status != Status::Managed.as_str() || row.file_count == 0 {
            return Vec::new();
        }
        let files = self.own();
        let said = &entry.metadata;
        let texts = [
            ("title", &row.title, &files.title, &said.title),
            ("author", &row.author, &files.author, &said.author),
            ("license", &row.license, &files.license, &said.license),
            ("version", &row.version, &files.version, &said.version),
        ];
        let texts = texts.into_iter().filter_map(|(field, shown, own, said)| {
            // The row has the files' own text if they have one, spelled as there.
            let own = own.as_ref().and(shown.as_ref());
            (said.is_some() && own != said.as_ref()).then(|| (field, own.cloned(), said.clone()))
        });
        // Files without such a field have their first words instead, so it is never the manifest's alone.
        let (own, said_of_it) = (&row.description, &said.description);
        let description = (said_of_it.is_some() && own != said_of_it)
            .then(|| ("description", own.clone(), said_of_it.clone()));
        let tags = [entry.tags.as_slice(), &said.tags].concat();
        let lists = [
            ("tags", &files.tags, &tags),
            ("tools", &files.tools, &said.tools),
            ("dependencies", &files.dependencies, &said.dependencies),
        ];
        let lists = lists.into_iter().filter_map(|(field, own, said)| {
            let all = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
            let text = |list: &[String]| Some(list.join(", ")).filter(|text| !text.is_empty());
            (!said.is_empty() && all(own) != all(said)).then(|| (field, text(own), text(said)))
        });
        texts.chain(description).chain(lists).collect()
    }

    /// What the artifact's files say themselves.
    fn own(&self) -> Metadata {
        let row = &self.detail.summary;
        let kind = Kind::from_manifest(&row.kind);
        let fields = serde_json::from_str(&self.detail.frontmatter).unwrap_or_default();
        let mut own = metadata::of_fields(&kind, fields);
        if matches!(kind, Kind::Hook | Kind::Mcp) {
            // Not all fields of settings are kept, as they may hold secrets.
            own.title.clone_from(&row.title);
            own.tools.clone_from(&row.tools);
            own.dependencies.clone_from(&self.detail.dependencies);
        }
        own
    }
}
