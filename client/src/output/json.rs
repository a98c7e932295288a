//! The JSON that scripts read. Stable: keys are added, never renamed or removed; every key is always
//! there, with `null` for what is not known. Moments are RFC 3339 in UTC, sizes are bytes.

use serde::Serialize;
use serde_json::Value;
use skillmeat_proto::v1;
use skillmeat_shared::time::Timestamp;

/// A moment; `None` for the epoch itself, which stands for never.
pub(crate) fn moment(nanos: i64) -> Option<String> {
    (nanos != 0).then(|| Timestamp(nanos).to_rfc3339())
}

/// A moment as a manifest spells it; `None` for a text that is none. Without a zone it is in UTC.
fn spelled(text: &str) -> Option<String> {
    Timestamp::parse(text).map(Timestamp::to_rfc3339)
}

/// A text, `None` if it is empty.
pub(crate) fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A JSON text as a value; `null` if it is empty.
pub(crate) fn embedded(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// One artifact of a list.
#[derive(Debug, Serialize)]
pub(crate) struct Artifact {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) collection: String,
    pub(crate) path: Option<String>,
    pub(crate) status: String,
    pub(crate) origin: Option<String>,
    pub(crate) origin_source: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) author: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) version_spec: Option<String>,
    pub(crate) resolved_sha: Option<String>,
    pub(crate) resolved_version: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) tools: Vec<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) rating: Option<u32>,
    pub(crate) scope: Option<String>,
    pub(crate) content_hash: Option<String>,
    pub(crate) structure_hash: Option<String>,
    pub(crate) file_count: u64,
    pub(crate) size: u64,
    pub(crate) parse_status: String,
    pub(crate) problem_count: u32,
    pub(crate) stale: bool,
    pub(crate) synced_at: Option<String>,
    pub(crate) updated_at: Option<String>,
}

impl From<v1::ArtifactSummary> for Artifact {
    fn from(from: v1::ArtifactSummary) -> Self {
        Self {
            id: from.id,
            name: from.name,
            kind: from.kind,
            collection: from.collection,
            path: filled(from.path),
            status: from.status,
            origin: filled(from.origin),
            origin_source: from.origin_source,
            source: from.source,
            title: from.title,
            description: from.description,
            author: from.author,
            license: from.license,
            version: from.version,
            version_spec: from.version_spec,
            resolved_sha: from.resolved_sha,
            resolved_version: from.resolved_version,
            tags: from.tags,
            tools: from.tools,
            aliases: from.aliases,
            groups: from.groups,
            rating: from.rating,
            scope: from.scope,
            content_hash: from.content_hash,
            structure_hash: from.structure_hash,
            file_count: from.file_count,
            size: from.size,
            parse_status: from.parse_status,
            problem_count: from.problem_count,
            stale: from.stale,
            synced_at: moment(from.synced_at),
            updated_at: moment(from.updated_at),
        }
    }
}

/// A collection whose rows may be older than what is on disk.
#[derive(Debug, Serialize)]
pub(crate) struct Outdated {
    collection: String,
    state: String,
    reason: String,
}

impl From<v1::Outdated> for Outdated {
    fn from(from: v1::Outdated) -> Self {
        Self {
            collection: from.collection,
            state: from.state,
            reason: from.reason,
        }
    }
}

/// `sm list`.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) total: u64,
    pub(crate) collections: Vec<String>,
    pub(crate) hints: Vec<String>,
    pub(crate) stale: u64,
    pub(crate) complete: bool,
    pub(crate) outdated: Vec<Outdated>,
    pub(crate) verified_at: Option<String>,
}

/// Something that a person should know or mend.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) path: Option<String>,
    pub(crate) line: Option<u32>,
}

impl From<v1::Problem> for Problem {
    fn from(from: v1::Problem) -> Self {
        Self {
            code: from.code,
            message: from.message,
            path: from.path,
            line: from.line,
        }
    }
}

/// All of a kind of message, in its JSON shape.
pub(crate) fn all<T, U: From<T>>(from: Vec<T>) -> Vec<U> {
    from.into_iter().map(U::from).collect()
}

/// A file of an artifact.
#[derive(Debug, Serialize)]
pub(crate) struct File {
    path: String,
    size: u64,
    kind: String,
    executable: bool,
    modified_at: Option<String>,
}

impl From<v1::ArtifactFile> for File {
    fn from(from: v1::ArtifactFile) -> Self {
        Self {
            path: from.path,
            size: from.size,
            kind: from.kind,
            executable: from.executable,
            modified_at: moment(from.modified_at),
        }
    }
}

/// The place of an artifact in a group.
#[derive(Debug, Serialize)]
pub(crate) struct Membership {
    name: String,
    position: u32,
}

impl From<v1::ArtifactGroup> for Membership {
    fn from(from: v1::ArtifactGroup) -> Self {
        Self {
            name: from.name,
            position: from.position,
        }
    }
}

/// Where manifest and files disagree.
#[derive(Debug, Serialize)]
pub(crate) struct Difference {
    field: String,
    in_files: Option<String>,
    in_manifest: Option<String>,
}

impl From<v1::Difference> for Difference {
    fn from(from: v1::Difference) -> Self {
        Self {
            field: from.field,
            in_files: from.in_files,
            in_manifest: from.in_manifest,
        }
    }
}

/// What is wrong with a frontmatter.
#[derive(Debug, Serialize)]
pub(crate) struct ParseError {
    pub(crate) message: String,
    pub(crate) line: Option<u32>,
}

/// `sm show`: the keys of a list's artifact, and these.
#[derive(Debug, Serialize)]
pub(crate) struct Show {
    #[serde(flatten)]
    pub(crate) summary: Artifact,
    pub(crate) absolute_path: Option<String>,
    pub(crate) tool_patterns: Vec<String>,
    pub(crate) dependencies: Vec<String>,
    pub(crate) frontmatter: Value,
    pub(crate) parse_error: Option<ParseError>,
    pub(crate) manifest: Value,
    pub(crate) lock: Value,
    pub(crate) modified: Option<bool>,
    pub(crate) position: Option<i64>,
    pub(crate) files: Vec<File>,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) differences: Vec<Difference>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) complete: bool,
    pub(crate) outdated: Vec<Outdated>,
}

impl Show {
    /// The shape of an answer.
    pub(crate) fn new(from: v1::Artifact, freshness: v1::Freshness) -> Self {
        Self {
            summary: from.summary.unwrap_or_default().into(),
            absolute_path: filled(from.absolute_path),
            tool_patterns: from.tool_patterns,
            dependencies: from.dependencies,
            frontmatter: embedded(&from.frontmatter_json),
            parse_error: from.parse_error.map(|message| ParseError {
                message,
                line: from.parse_error_line,
            }),
            manifest: embedded(&from.manifest_json),
            lock: embedded(&from.lock_json),
            modified: from.modified,
            position: from.position,
            files: all(from.files),
            memberships: all(from.groups),
            differences: all(from.differences),
            problems: all(from.problems),
            complete: freshness.complete,
            outdated: all(freshness.outdated),
        }
    }
}

/// A name and how often it occurs.
#[derive(Debug, Serialize)]
pub(crate) struct Count {
    pub(crate) name: String,
    pub(crate) count: u64,
}

impl From<v1::Count> for Count {
    fn from(from: v1::Count) -> Self {
        Self {
            name: from.name,
            count: from.count,
        }
    }
}

impl From<v1::StatusCount> for Count {
    fn from(from: v1::StatusCount) -> Self {
        Self {
            name: from.name,
            count: from.count,
        }
    }
}

/// A collection of `sm collection list`, `show`, `create` and `sm status`.
#[derive(Debug, Serialize)]
pub(crate) struct Collection {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) state: String,
    pub(crate) is_default: bool,
    pub(crate) external: bool,
    pub(crate) artifacts: u64,
    pub(crate) by_type: Vec<Count>,
    pub(crate) by_status: Vec<Count>,
    pub(crate) size: u64,
    pub(crate) stale: u64,
    pub(crate) version: Option<String>,
    pub(crate) created: Option<String>,
    pub(crate) updated: Option<String>,
    pub(crate) verified_at: Option<String>,
    pub(crate) problems: Vec<Problem>,
}

impl From<v1::Collection> for Collection {
    fn from(from: v1::Collection) -> Self {
        Self {
            name: from.name,
            path: from.path,
            state: from.state,
            is_default: from.is_default,
            external: from.external,
            artifacts: from.artifacts,
            by_type: all(from.by_kind),
            by_status: all(from.by_status),
            size: from.size,
            stale: from.stale,
            version: from.manifest_version,
            created: from.created.as_deref().and_then(spelled),
            updated: from.updated.as_deref().and_then(spelled),
            verified_at: from.verified_at.and_then(moment),
            problems: all(from.problems),
        }
    }
}

/// `sm collection list`.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the JSON")]
pub(crate) struct Collections {
    pub(crate) collections: Vec<Collection>,
    pub(crate) total: usize,
    pub(crate) stale: u64,
    pub(crate) complete: bool,
}

/// A member of a group.
#[derive(Debug, Serialize)]
pub(crate) struct Member {
    member: String,
    id: Option<String>,
}

/// A group of a collection.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    name: String,
    description: Option<String>,
    color: Option<String>,
    icon: Option<String>,
    position: i64,
    members: Vec<Member>,
}

impl From<v1::Group> for Group {
    fn from(from: v1::Group) -> Self {
        let member = |from: v1::GroupMember| Member {
            member: from.member,
            id: from.id,
        };
        Self {
            name: from.name,
            description: filled(from.description),
            color: filled(from.color),
            icon: filled(from.icon),
            position: from.position,
            members: from.members.into_iter().map(member).collect(),
        }
    }
}

/// A tag that the manifest defines.
#[derive(Debug, Serialize)]
pub(crate) struct TagDefinition {
    name: String,
    slug: String,
    color: Option<String>,
    description: Option<String>,
}

impl From<v1::TagDefinition> for TagDefinition {
    fn from(from: v1::TagDefinition) -> Self {
        Self {
            name: from.name,
            slug: from.slug,
            color: filled(from.color),
            description: filled(from.description),
        }
    }
}

/// `sm collection show`: the keys of a collection, and these.
#[derive(Debug, Serialize)]
pub(crate) struct CollectionShow {
    #[serde(flatten)]
    pub(crate) collection: Collection,
    pub(crate) groups: Vec<Group>,
    pub(crate) tag_definitions: Vec<TagDefinition>,
    pub(crate) tags: Vec<Count>,
    pub(crate) unknown_keys: Vec<String>,
    pub(crate) complete: bool,
}

/// One event of `sm watch`, on one line.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    seq: u64,
    at: Option<String>,
    kind: String,
    collection: Option<String>,
    artifact: Option<String>,
    detail: Option<String>,
    continuous: Option<bool>,
    instance: Option<String>,
}

impl From<v1::Event> for Event {
    fn from(from: v1::Event) -> Self {
        Self {
            seq: from.seq,
            at: moment(from.at),
            kind: from.kind,
            collection: filled(from.collection),
            artifact: filled(from.artifact),
            detail: filled(from.detail),
            continuous: from.continuous,
            instance: filled(from.instance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_has_every_key() {
        let value = serde_json::to_value(Artifact::from(v1::ArtifactSummary::default())).unwrap();
        let keys: Vec<_> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys.len(), 32);
        assert_eq!(
            keys[..6],
            ["id", "name", "type", "collection", "path", "status"]
        );
        assert_eq!(value["description"], Value::Null);
        assert_eq!(value["synced_at"], Value::Null);
    }

    #[test]
    fn show_embeds_what_the_files_say() {
        let from = v1::Artifact {
            frontmatter_json: "{\"name\":\"pdf\"}".to_owned(),
            manifest_json: String::new(),
            ..Default::default()
        };
        let value = serde_json::to_value(Show::new(from, v1::Freshness::default())).unwrap();
        assert_eq!(value["frontmatter"]["name"], "pdf");
        assert_eq!(value["manifest"], Value::Null);
        assert_eq!(value["id"], "");
    }

    #[test]
    fn moments_are_rfc_3339() {
        assert_eq!(moment(1_000_000_000).unwrap(), "1970-01-01T00:00:01.000Z");
        assert_eq!(moment(0), None);
        let of = |created: &str| {
            let from = v1::Collection {
                created: Some(created.to_owned()),
                ..Default::default()
            };
            Collection::from(from).created
        };
        let utc = Some("2026-11-20T15:47:26.161Z".to_owned());
        assert_eq!(of("2026-11-20T15:47:26.161388"), utc);
        assert_eq!(of("2026-11-20T16:47:26.161+01:00"), utc);
        assert_eq!(of("yesterday"), None);
    }
}
