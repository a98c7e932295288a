//! New entries for artifacts.

use std::collections::HashSet;

use super::header;
use super::list::{self, Block, List};
use super::{Cut, apply, invalid, syntax};
use crate::collection::MANIFEST;
use crate::collection::entry::EntryMetadata;
use crate::collection::manifest::{HeaderStyle, Manifest};
use crate::document::quote;
use crate::time::Timestamp;
use crate::{ArtifactId, Code, Error, Result};

/// An entry to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Kind and name.
    pub id: ArtifactId,
    /// Where it lies, relative to the collection, with `/`.
    pub path: String,
    /// `local`, `github` or `marketplace`.
    pub origin: String,
    /// When it was added.
    pub added: Timestamp,
    /// The place that it was fetched from.
    pub upstream: Option<String>,
    /// The version asked for.
    pub version_spec: Option<String>,
    /// The commit that was fetched.
    pub resolved_sha: Option<String>,
    /// The tag that was fetched.
    pub resolved_version: Option<String>,
    /// On which host the marketplace found it; only with the origin `marketplace`.
    pub origin_source: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// What its files say. The tags in here are not written: they belong in `tags`.
    pub metadata: EntryMetadata,
}

impl NewEntry {
    /// An entry for an artifact from this machine.
    pub fn local(id: ArtifactId, path: impl Into<String>, added: Timestamp) -> Self {
        Self {
            id,
            path: path.into(),
            origin: "local".to_owned(),
            added,
            upstream: None,
            version_spec: None,
            resolved_sha: None,
            resolved_version: None,
            origin_source: None,
            tags: Vec::new(),
            metadata: EntryMetadata::default(),
        }
    }

    /// The keys with their values, as TOML, in the order of the ancestor. `array` spells an array.
    fn pairs(&self, array: fn(&[String]) -> String) -> (Vec<Pair>, Vec<Pair>) {
        let text = |key: &'static str, value: &Option<String>| {
            value.as_ref().map(|value| (key, quote(value)))
        };
        let list =
            |key: &'static str, items: &[String]| (!items.is_empty()).then(|| (key, array(items)));
        let own = [
            Some(("name", quote(&self.id.name))),
            Some(("type", quote(self.id.kind.as_str()))),
            Some(("path", quote(&self.path))),
            Some(("origin", quote(&self.origin))),
            Some(("added", quote(&self.added.to_manifest()))),
            text("upstream", &self.upstream),
            text("version_spec", &self.version_spec),
            text("resolved_sha", &self.resolved_sha),
            text("resolved_version", &self.resolved_version),
            text("origin_source", &self.origin_source),
            list("tags", &self.tags),
        ];
        let said = &self.metadata;
        let metadata = [
            text("title", &said.title),
            text("description", &said.description),
            text("author", &said.author),
            text("license", &said.license),
            text("version", &said.version),
            list("dependencies", &said.dependencies),
            list("tools", &said.tools),
        ];
        (
            own.into_iter().flatten().collect(),
            metadata.into_iter().flatten().collect(),
        )
    }

    /// As a manifest may hold it.
    pub(super) fn block(&self) -> Block {
        let (own, metadata) = self.pairs(|items| {
            let items: Vec<String> = items
                .iter()
                .map(|item| format!("    {},\n", quote(item)))
                .collect();
            format!("[\n{}]", items.concat())
        });
        let mut table = String::from("[[artifacts]]\n");
        push_lines(&mut table, &own);
        if !metadata.is_empty() {
            table.push_str("\n[artifacts.metadata]\n");
            push_lines(&mut table, &metadata);
        }
        let (mut own, metadata) = self.pairs(|items| {
            let items: Vec<String> = items.iter().map(|item| quote(item)).collect();
            format!("[{}]", items.join(", "))
        });
        if !metadata.is_empty() {
            own.push(("metadata", inline(&metadata)));
        }
        Block {
            table,
            inline: inline(&own),
        }
    }
}

type Pair = (&'static str, String);

fn push_lines(text: &mut String, pairs: &[Pair]) {
    for (key, value) in pairs {
        text.push_str(key);
        text.push_str(" = ");
        text.push_str(value);
        text.push('\n');
    }
}

fn inline(pairs: &[Pair]) -> String {
    let parts: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!("{{ {} }}", parts.join(", "))
}

/// The manifest of a new, empty collection, as the ancestor writes it.
pub fn render_new(name: &str, now: Timestamp) -> String {
    let moment = now.to_manifest();
    format!(
        "artifacts = []\n\n[collection]\nname = {}\nversion = \"1.0.0\"\ncreated = \"{moment}\"\n\
         updated = \"{moment}\"\n",
        quote(name)
    )
}

/// The manifest with these entries added and the header's `updated` set to `now`.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML or its artifacts are no array of tables;
/// [`Code::ArtifactExists`] if it, or `entries` themselves, have an id twice.
pub fn add_entries(text: &str, entries: &[NewEntry], now: Timestamp) -> Result<String> {
    let old = Manifest::parse(text).map_err(|error| syntax(&error))?;
    let mut ids: HashSet<&ArtifactId> = old.entries.iter().map(|entry| &entry.id).collect();
    for entry in entries {
        if !ids.insert(&entry.id) {
            let message = format!("the manifest has an entry for `{}` already", entry.id);
            return Err(Error::new(Code::ArtifactExists, message)
                .hint("choose another name with `--name`")
                .at(MANIFEST, None));
        }
    }
    let blocks: Vec<Block> = entries.iter().map(NewEntry::block).collect();
    let additions = list::insert(text, List::Artifacts, &blocks, None)?;
    // First, so that of two changes at the end of the file the header's stays with the header.
    let mut cuts: Vec<Cut> = header::bump(text, now)?.into_iter().collect();
    cuts.extend(additions.iter().cloned());
    let complete = |out: &str| -> Option<Manifest> {
        let manifest = Manifest::parse(out).ok()?;
        let all = manifest.entries.len() == old.entries.len() + entries.len();
        (all && manifest.broken.len() == old.broken.len()).then_some(manifest)
    };
    let out = apply(text, cuts);
    if complete(&out).is_some_and(|new| {
        old.header.style == HeaderStyle::Absent || new.header.updated == Some(now.to_manifest())
    }) {
        return Ok(out);
    }
    // A header in a form that can't be dated must not keep artifacts out.
    let out = apply(text, additions);
    if complete(&out).is_some() {
        return Ok(out);
    }
    Err(invalid(
        "the manifest is written in a way that entries can't be added to",
        None,
    ))
}

#[cfg(test)]
mod tests;
