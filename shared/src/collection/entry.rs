//! One entry of `[[artifacts]]`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::MANIFEST;
use super::field::Fields;
use crate::artifact::Problem;
use crate::document::{self, Lines};
use crate::{ArtifactId, Kind};

/// The values of `origin` that the ancestor takes.
const ORIGINS: [&str; 3] = ["local", "github", "marketplace"];

/// The values of `origin_source` that the ancestor takes, for artifacts of the marketplace only.
const ORIGIN_SOURCES: [&str; 3] = ["github", "gitlab", "bitbucket"];

/// The keys of an entry that one of the two generations writes or documents.
const KEYS: [&str; 21] = [
    "name",
    "type",
    "path",
    "origin",
    "origin_source",
    "added",
    "metadata",
    "upstream",
    "source",
    "version_spec",
    "resolved_sha",
    "resolved_version",
    "last_updated",
    "discovered_at",
    "scope",
    "tags",
    "aliases",
    "position",
    "target_platforms",
    "import_id",
    "uuid",
];

/// Where an entry keeps its aliases and its position a second time. The ancestor drops the keys of an entry that it
/// does not know whenever it writes the manifest, but never those in here.
const KEPT: &str = "/metadata/extra";

/// Where an entry may say its name again: the ancestor takes over what a frontmatter says.
const NAMES: [&str; 3] = [
    "metadata.name",
    "metadata.extra.name",
    "metadata.extra.frontmatter.name",
];

/// What the manifest says of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Kind and name.
    #[serde(with = "as_text")]
    pub id: ArtifactId,
    /// Where it lies, as written: should be relative to the collection.
    pub path: Option<String>,
    /// `local`, `github`, `marketplace`, or whatever is written there.
    pub origin: Option<String>,
    /// On which host the marketplace found it.
    pub origin_source: Option<String>,
    /// The place that it was fetched from.
    pub upstream: Option<String>,
    /// The spec that it was added by, such as `owner/repo/path`. Only documents of the ancestor have it.
    pub source: Option<String>,
    /// The version asked for.
    pub version_spec: Option<String>,
    /// The commit that was fetched.
    pub resolved_sha: Option<String>,
    /// The tag that was fetched.
    pub resolved_version: Option<String>,
    /// When it was added; as written, like all moments here.
    pub added: Option<String>,
    /// When it was last updated.
    pub last_updated: Option<String>,
    /// When the marketplace found it.
    pub discovered_at: Option<String>,
    /// `user` or `local`.
    pub scope: Option<String>,
    /// Tags, in their order.
    pub tags: Vec<String>,
    /// Other names.
    pub aliases: Vec<String>,
    /// Its place in the collection.
    pub position: Option<i64>,
    /// What was read from its files when it was added.
    pub metadata: EntryMetadata,
    /// The whole entry, keys in the order of the file, dates as texts.
    pub raw: Value,
    /// Where it begins, from 1. Moves with every edit above it, so it is not kept with the entry.
    #[serde(skip)]
    pub line: u32,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl Entry {
    /// The keys, with dots, at which it says its name again.
    pub fn names_again(&self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().filter(|key| {
            let mut parts = key.split('.');
            let said = parts.try_fold(&self.raw, |table, part| table.get(part));
            said.and_then(Value::as_str) == Some(self.id.name.as_str())
        })
    }
}

/// `[artifacts.metadata]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EntryMetadata {
    /// `title`.
    pub title: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `author`.
    pub author: Option<String>,
    /// `license`.
    pub license: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `tags`; the ancestor merges them into the entry's own.
    pub tags: Vec<String>,
    /// `tools`.
    pub tools: Vec<String>,
    /// `dependencies`.
    pub dependencies: Vec<String>,
}

/// An entry that names no artifact: kept so that it can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The whole entry.
    pub raw: Value,
    /// Where it begins, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub problem: Problem,
}

pub(super) mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::ArtifactId;

    pub(in crate::collection) fn serialize<S: Serializer>(
        id: &ArtifactId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(in crate::collection) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ArtifactId, D::Error> {
        let text = String::deserialize(deserializer)?;
        ArtifactId::parse(&text).ok_or_else(|| D::Error::custom("no id of an artifact"))
    }
}

/// Reads the entry at `place` (from 1). The second part of the result are its keys that nobody knows.
pub(super) fn read<'t>(
    table: &'t DeTable<'_>,
    place: usize,
    line: u32,
    lines: &'t Lines,
) -> Result<(Entry, Vec<&'t str>), Box<Broken>> {
    let broken = |message: String| {
        let problem = Problem::new("entry.broken", message).at(MANIFEST, Some(line));
        Broken {
            raw: Value::Object(document::table_to_json(table)),
            line,
            problem,
        }
    };
    let mut fields = Fields::new(table, lines, format!("entry {place}"), MANIFEST);
    let name = fields
        .text("name")
        .filter(|name| !name.trim().is_empty())
        .ok_or_else(|| broken(format!("entry {place} has no name")))?;
    let kind = fields
        .text("type")
        .filter(|kind| !kind.trim().is_empty())
        .ok_or_else(|| broken(format!("entry {place}, `{name}`, has no type")))?;
    // Kind and name are told apart by the first colon of `type:name`.
    if kind.contains(':') {
        return Err(Box::new(broken(format!(
            "entry {place}, `{name}`, has a type with `:` in it"
        ))));
    }
    let kind = Kind::from_manifest(kind.trim());
    let mut problems = std::mem::take(&mut fields.problems);
    let mut fields = Fields::new(table, lines, format!("`{name}`"), MANIFEST);
    if !kind.is_recognised() {
        let message = format!("`{name}` has the unknown type `{kind}`");
        fields.problem("type", "entry.unknown_type", message);
    }
    let origin = fields.text("origin");
    if let Some(origin) = origin.as_deref().filter(|origin| !ORIGINS.contains(origin)) {
        let message = format!("`{name}` has the unknown origin `{origin}`");
        fields.problem("origin", "entry.unknown_origin", message);
    }
    let origin_source = fields.text("origin_source");
    if let Some(source) = origin_source.as_deref() {
        if !ORIGIN_SOURCES.contains(&source) {
            let message = format!("`{name}` has the unknown origin_source `{source}`");
            fields.problem("origin_source", "entry.unknown_origin_source", message);
        } else if origin.as_deref() != Some("marketplace") {
            let message = format!(
                "`{name}` has an origin_source, which only artifacts of the marketplace may have"
            );
            fields.problem("origin_source", "entry.unknown_origin_source", message);
        }
    }
    let (metadata, metadata_problems) = match fields.table("metadata") {
        Some(inner) => read_metadata(inner, &name, lines),
        None => Default::default(),
    };
    let unknown = fields.others(&KEYS).collect();
    let raw = Value::Object(document::table_to_json(table));
    let kept = |key: &str| raw.pointer(KEPT).and_then(|kept| kept.get(key));
    let aliases = if fields.has("aliases") {
        fields.texts("aliases")
    } else {
        let kept = kept("aliases").and_then(Value::as_array);
        let texts = kept.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let position = if fields.has("position") {
        fields.integer("position")
    } else {
        kept("position").and_then(Value::as_i64)
    };
    let mut entry = Entry {
        path: fields.text("path"),
        origin,
        origin_source,
        upstream: fields.text("upstream"),
        source: fields.text("source"),
        version_spec: fields.text("version_spec"),
        resolved_sha: fields.text("resolved_sha"),
        resolved_version: fields.text("resolved_version"),
        added: fields.text("added"),
        last_updated: fields.text("last_updated"),
        discovered_at: fields.text("discovered_at"),
        scope: fields.text("scope"),
        tags: fields.texts("tags"),
        aliases,
        position,
        metadata,
        raw,
        line,
        problems: Vec::new(),
        id: ArtifactId::new(kind, name),
    };
    problems.append(&mut fields.problems);
    problems.extend(metadata_problems);
    entry.problems = problems;
    Ok((entry, unknown))
}

fn read_metadata(table: &DeTable<'_>, name: &str, lines: &Lines) -> (EntryMetadata, Vec<Problem>) {
    let mut fields = Fields::new(table, lines, format!("the metadata of `{name}`"), MANIFEST);
    let metadata = EntryMetadata {
        title: fields.text("title"),
        description: fields.text("description"),
        author: fields.text("author"),
        license: fields.text("license"),
        version: fields.text("version"),
        tags: fields.texts("tags"),
        tools: fields.texts("tools"),
        dependencies: fields.texts("dependencies"),
    };
    (metadata, fields.problems)
}
