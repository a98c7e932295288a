//! The rows that stand for files: their columns, and the hash that tells whether one changed.

use serde::{Deserialize, Serialize};

use super::seen::short_hash;
use super::{EntryColumns, json};
use crate::artifact::{Metadata, Problem, Status};
use crate::collection::manifest::{Group, Header, TagDefinition};
use crate::id::ArtifactId;
use crate::time::Timestamp;

/// How a collection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CollectionState {
    /// All is well.
    Ok,
    /// Manifest or lock can't be read; the last good rows are served.
    Broken,
    /// There is no manifest: everything on disk is unmanaged.
    NoManifest,
    /// The folder is gone or can't be read; the last good rows are served.
    Unreachable,
    /// A folder in it can't be read; the last good rows are served.
    Unreadable,
}

impl CollectionState {
    /// The name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Broken => "broken",
            Self::NoManifest => "no-manifest",
            Self::Unreachable => "unreachable",
            Self::Unreadable => "unreadable",
        }
    }

    /// The state with this name.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::Ok,
            Self::Broken,
            Self::NoManifest,
            Self::Unreachable,
            Self::Unreadable,
        ];
        all.into_iter().find(|state| state.as_str() == text)
    }
}

/// A file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileRow {
    /// Relative to the artifact.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// file, symlink, folder-link, outside-link, special or unreadable.
    pub kind: &'static str,
    /// Whether the owner may execute it.
    pub executable: bool,
    /// Nanoseconds since the epoch.
    pub modified_at: i64,
}

/// Everything known of an artifact.
#[derive(Debug, Clone, Serialize)]
pub struct ArtifactRow {
    /// `type:name`, apart.
    #[serde(serialize_with = "as_text")]
    pub id: ArtifactId,
    /// Relative to the collection; empty for declared artifacts.
    pub path: String,
    /// Where it stands.
    pub status: Status,
    /// `local`, `github`, `marketplace`, or whatever the manifest says.
    pub origin: String,
    /// Where it came from: a URL, or a repository.
    pub source: Option<String>,
    /// The platform behind a marketplace.
    pub origin_source: Option<String>,
    /// What was asked for.
    pub version_spec: Option<String>,
    /// The commit that it was resolved to.
    pub resolved_sha: Option<String>,
    /// The tag that it was resolved to.
    pub resolved_version: Option<String>,
    /// What its files say, completed by the manifest where they say nothing.
    pub metadata: Metadata,
    /// As manifest and lock record it.
    pub content_hash: Option<String>,
    /// Hash of the paths of its files.
    pub structure_hash: Option<String>,
    /// Its files.
    pub files: Vec<FileRow>,
    /// Number of files.
    pub file_count: u64,
    /// Bytes in them.
    pub size: u64,
    /// Its entries in manifest and lock. A hash of them stands beside the row.
    #[serde(skip)]
    pub entries: EntryColumns,
    /// What should be mended.
    pub problems: Vec<Problem>,
    /// When it last changed, as its files (or its entry) say.
    pub updated_at: Timestamp,
}

fn as_text<S: serde::Serializer>(id: &ArtifactId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl ArtifactRow {
    /// Hash over all columns, with the hash of the entries.
    pub(super) fn hash(&self, entry_hash: [u8; 16]) -> [u8; 16] {
        let mut bytes = json(self).into_bytes();
        bytes.extend(entry_hash);
        short_hash(&bytes)
    }
}

/// A collection with its groups and tag definitions.
#[derive(Debug, Clone, Serialize)]
pub struct CollectionRow {
    /// Its name.
    pub name: String,
    /// Absolute path.
    pub path: String,
    /// Lies outside of the home.
    pub external: bool,
    /// How it stands.
    pub state: CollectionState,
    /// What should be mended.
    pub problems: Vec<Problem>,
    /// What the manifest says; none: as it is in the rows.
    pub manifest: Option<ManifestPart>,
}

/// What a collection's row takes from the manifest.
#[derive(Debug, Clone, Serialize)]
pub struct ManifestPart {
    /// Its header.
    pub header: Header,
    /// Keys and tables that we don't know.
    pub unknown_keys: Vec<String>,
    /// Groups with their members, in their order.
    pub groups: Vec<Group>,
    /// Tag definitions, in their order.
    pub tag_definitions: Vec<TagDefinition>,
}

impl CollectionRow {
    /// Hash over all columns.
    pub fn hash(&self) -> [u8; 16] {
        short_hash(json(self).as_bytes())
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}
