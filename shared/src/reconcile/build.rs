//! From files and entries to a row.

use std::io::ErrorKind;
use std::path::Path;

use super::candidate::Candidate;
use super::row::{ArtifactRow, FileRow};
use super::{Context, EntryColumns, Kept, Seen};
use crate::artifact::read::{self, FileText, Reading};
use crate::artifact::scan::{self, EntryKind, Scan};
use crate::artifact::{Metadata, Problem, Status};
use crate::collection::manifest::{Entry, McpServer};
use crate::collection::spelling;
use crate::error::Code;
use crate::time::Timestamp;

/// What lies at a candidate's path.
pub(super) enum Files {
    /// Nothing.
    Absent,
    /// Something that could be looked at.
    Present(Scan, Seen),
    /// Something that can't be looked at.
    Unreadable(Problem),
    /// Nothing, where nothing would count: its folder leads out of the collection.
    LinkedOut(Problem),
}

impl Files {
    /// What they looked like. What can't be there looks unlike what merely is not.
    pub(super) fn seen(&self, at: Timestamp) -> Seen {
        match self {
            Self::Present(_, seen) => *seen,
            Self::Absent | Self::Unreadable(_) => Seen {
                at,
                ..Seen::default()
            },
            Self::LinkedOut(_) => Seen {
                signature: [u8::MAX; 16],
                at,
                ..Seen::default()
            },
        }
    }
}

/// Looks at the files of a candidate without opening any.
pub(super) fn look(root: &Path, candidate: &Candidate, context: &Context<'_>) -> Files {
    let Some(path) = &candidate.path else {
        return Files::Absent;
    };
    if candidate.is_linked_out {
        let message = "its folder is a link that leads out of the collection";
        let problem = Problem::new("link.outside", message).at(path, None);
        let there = spelling::on_disk(root, path).symlink_metadata();
        return match there.map_err(|error| error.kind()) {
            Err(ErrorKind::NotFound | ErrorKind::NotADirectory) => Files::LinkedOut(problem),
            _ => Files::Unreadable(problem),
        };
    }
    let at = context.clock.now();
    match scan::scan(&spelling::on_disk(root, path), root) {
        Ok(scan) => {
            let seen = Seen {
                signature: scan.signature(),
                newest: scan.newest_ns(),
                at,
            };
            Files::Present(scan, seen)
        }
        Err(error) if error.code == Code::FileNotFound || lies_in_a_file(root, path) => {
            Files::Absent
        }
        Err(error) => {
            let code = match error.code {
                Code::FileOutside => "link.outside",
                _ => "file.unreadable",
            };
            Files::Unreadable(Problem::new(code, error.message).at(path, None))
        }
    }
}

/// Whether a file stands where a folder above the path should be, so that nothing can be there.
fn lies_in_a_file(root: &Path, path: &str) -> bool {
    let path = spelling::unspell(path);
    let mut above = path.ancestors().skip(1);
    above.any(|above| root.join(above).is_file())
}

/// A row with its texts, if they were asked for.
pub(super) struct Built {
    pub(super) artifact: ArtifactRow,
    pub(super) texts: Option<Vec<FileText>>,
    /// Why its files could not be read.
    pub(super) failed: Option<String>,
}

/// Makes the row of a candidate from its files and entries.
pub(super) fn build(
    root: &Path,
    candidate: &Candidate,
    (kept, entries): (&Kept, EntryColumns),
    files: &Files,
    texts: bool,
) -> Built {
    if let Some(server) = &candidate.server {
        return Built {
            artifact: declared(server, entries),
            texts: Some(Vec::new()),
            failed: None,
        };
    }
    let mut problems = kept
        .entry
        .as_ref()
        .map(|entry| entry.problems.clone())
        .unwrap_or_default();
    let path = candidate.path.clone().unwrap_or_default();
    let status = match (files, &kept.entry) {
        (Files::Absent | Files::LinkedOut(_), _) => Status::Missing,
        (_, Some(_)) => Status::Managed,
        (_, None) => Status::Unmanaged,
    };
    let mut artifact = ArtifactRow {
        id: candidate.id.clone(),
        path: path.clone(),
        status,
        origin: "local".to_owned(),
        source: None,
        origin_source: None,
        version_spec: None,
        resolved_sha: None,
        resolved_version: None,
        metadata: Metadata::default(),
        content_hash: None,
        structure_hash: None,
        files: Vec::new(),
        file_count: 0,
        size: 0,
        entries,
        problems: Vec::new(),
        updated_at: Timestamp::default(),
    };
    let mut built_texts = Some(Vec::new());
    let mut failed = None;
    match files {
        Files::Present(scan, _) => {
            let full = spelling::on_disk(root, &path);
            match read::read(&candidate.id.kind, &candidate.id.name, &full, scan, texts) {
                Ok(reading) => {
                    built_texts = take_reading(&mut artifact, scan, reading, texts, &mut problems);
                }
                Err(error) => {
                    failed = Some(error.message.clone());
                    problems.push(
                        Problem::new("file.unreadable", error.message).at(path.as_str(), None),
                    );
                }
            }
            artifact.updated_at = Timestamp(scan.newest_mtime_ns());
        }
        Files::Absent => problems.push(missing(&path)),
        Files::LinkedOut(problem) => problems.extend([missing(&path), problem.clone()]),
        Files::Unreadable(problem) => {
            failed = Some(problem.message.clone());
            problems.push(problem.clone());
        }
    }
    if let Some(entry) = &kept.entry {
        complete(&mut artifact, entry);
    }
    if spelling::unspell(&path).to_str().is_none() {
        let message = format!("its name is not UTF-8; {}", spelling::hint(&path));
        problems.push(Problem::new("name.encoding", message).at(path.as_str(), None));
    }
    if !candidate.id.kind.is_recognised() {
        problems.push(Problem::new(
            "kind.unknown",
            format!(
                "`{}` is no kind that this version knows; it is kept as it is",
                candidate.id.kind
            ),
        ));
    }
    artifact.problems = problems;
    Built {
        artifact,
        texts: built_texts,
        failed,
    }
}

fn missing(path: &str) -> Problem {
    let message = "the manifest names it, but there are no files";
    let problem = Problem::new("artifact.missing", message);
    if path.is_empty() {
        problem
    } else {
        problem.at(path, None)
    }
}

fn take_reading(
    artifact: &mut ArtifactRow,
    scan: &Scan,
    reading: Reading,
    texts: bool,
    problems: &mut Vec<Problem>,
) -> Option<Vec<FileText>> {
    // A folder that can't be listed is an entry of itself, and none of its files.
    let is_inside = |entry: &&scan::Entry| !entry.path.as_os_str().is_empty();
    let inside = scan.entries.iter().filter(is_inside);
    artifact.files = inside.map(file_row).collect();
    artifact.file_count = scan.file_count();
    artifact.size = scan.total_size();
    artifact.content_hash = reading.hashes.content;
    artifact.structure_hash = Some(reading.hashes.structure);
    artifact.metadata = reading.metadata;
    // They name their files relative to the collection, and the scan's are among them.
    problems.extend(reading.problems);
    texts.then_some(reading.texts)
}

fn file_row(entry: &scan::Entry) -> FileRow {
    FileRow {
        path: spelling::spell(&entry.path),
        size: entry.size,
        kind: match entry.kind {
            EntryKind::File => "file",
            EntryKind::LinkedFile => "symlink",
            EntryKind::FolderLink => "folder-link",
            EntryKind::OutsideLink => "outside-link",
            EntryKind::BrokenLink => "broken-link",
            EntryKind::Special => "special",
            EntryKind::Unreadable => "unreadable",
        },
        executable: entry.mode & 0o100 != 0 && entry.kind == EntryKind::File,
        modified_at: entry.mtime_ns,
    }
}

/// Takes from the manifest's entry what only it knows, and what the files leave open.
fn complete(artifact: &mut ArtifactRow, entry: &Entry) {
    if let Some(origin) = &entry.origin {
        artifact.origin.clone_from(origin);
    }
    artifact.source.clone_from(&entry.upstream);
    artifact.origin_source.clone_from(&entry.origin_source);
    artifact.version_spec.clone_from(&entry.version_spec);
    artifact.resolved_sha.clone_from(&entry.resolved_sha);
    artifact
        .resolved_version
        .clone_from(&entry.resolved_version);
    let own = &mut artifact.metadata;
    let said = &entry.metadata;
    for (mine, theirs) in [
        (&mut own.title, &said.title),
        (&mut own.description, &said.description),
        (&mut own.author, &said.author),
        (&mut own.license, &said.license),
        (&mut own.version, &said.version),
        (&mut own.scope, &entry.scope),
    ] {
        if mine.is_none() {
            mine.clone_from(theirs);
        }
    }
    // Tags given on the command line stand only in the manifest; there they come first.
    let mut tags = entry.tags.clone();
    tags.append(&mut own.tags);
    own.tags = distinct(tags);
    let mut aliases = entry.aliases.clone();
    aliases.append(&mut own.aliases);
    own.aliases = distinct(aliases);
    if own.tools.is_empty() {
        own.tools.clone_from(&said.tools);
    }
    if own.dependencies.is_empty() {
        own.dependencies.clone_from(&said.dependencies);
    }
    if artifact.updated_at == Timestamp::default() {
        artifact.updated_at = [&entry.last_updated, &entry.added]
            .into_iter()
            .flatten()
            .find_map(|text| Timestamp::parse(text))
            .unwrap_or_default();
    }
}

fn distinct(items: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    items
        .into_iter()
        .filter(|item| seen.insert(item.clone()))
        .collect()
}

fn declared(server: &McpServer, entries: EntryColumns) -> ArtifactRow {
    let moment = [&server.last_updated, &server.installed_at]
        .into_iter()
        .flatten()
        .find_map(|text| Timestamp::parse(text))
        .unwrap_or_default();
    ArtifactRow {
        id: crate::ArtifactId::new(crate::Kind::Mcp, server.name.clone()),
        path: String::new(),
        status: Status::Declared,
        origin: "github".to_owned(),
        source: server.repo.clone(),
        origin_source: None,
        version_spec: server.version.clone(),
        resolved_sha: server.resolved_sha.clone(),
        resolved_version: server.resolved_version.clone(),
        metadata: Metadata {
            description: server.description.clone(),
            ..Metadata::default()
        },
        content_hash: None,
        structure_hash: None,
        files: Vec::new(),
        file_count: 0,
        size: 0,
        entries,
        problems: Vec::new(),
        updated_at: moment,
    }
}
