//! Adding local artifacts to a collection: plan, copy, then manifest and lock, then rows.
//!
//! Invariants: everything is checked before the first byte is written; nothing that exists is overwritten;
//! what fails alone fails alone; when manifest and lock can't be written, the copies are taken back.

mod plan;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::read::{self, Reading};
use skillmeat_shared::artifact::scan;
use skillmeat_shared::collection::edit::{self, NewEntry};
use skillmeat_shared::collection::lockfile::{self, LockEntry};
use skillmeat_shared::collection::manifest::{EntryMetadata, Manifest};
use skillmeat_shared::collection::{LOCK, MANIFEST};
use skillmeat_shared::failpoint;
use skillmeat_shared::fs::{Expected, copy, read_bounded, swap};
use skillmeat_shared::reconcile::Scope;
use skillmeat_shared::{ArtifactId, Code, Error, Kind, Result};

use super::App;
use crate::store::list;
use plan::{Collection, Planned, failed, item, plan};

/// Largest manifest or lock that is edited, bytes.
const MAX_MANIFEST: u64 = 64 * 1024 * 1024;

/// How often an edit is tried again when somebody else writes at the same time.
const TRIES: usize = 5;

/// What is to be added.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields of AddArtifactsRequest; see artifact.proto"
)]
pub struct AddRequest {
    pub collection: String,
    pub paths: Vec<PathBuf>,
    pub kind: Option<Kind>,
    pub name: Option<String>,
    pub all: bool,
    pub dry_run: bool,
}

/// What became of one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddItem {
    /// `type:name`; empty if that can't be told.
    pub id: String,
    /// Where it came from.
    pub source: PathBuf,
    /// added, would-add, unchanged, skipped, conflict or failed.
    pub result: &'static str,
    /// Why, if it was not added.
    pub reason: String,
    /// Where it lies in the collection.
    pub path: String,
    /// The error, if it failed or conflicts.
    pub code: Option<Code>,
}

/// How the addition ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of AddSummary; see artifact.proto")]
pub struct AddSummary {
    pub collection: String,
    pub added: u64,
    pub unchanged: u64,
    pub skipped: u64,
    pub conflicts: u64,
    pub failed: u64,
    pub dry_run: bool,
    pub seq: u64,
}

/// What is told while adding.
#[derive(Debug, Clone)]
pub enum AddEvent {
    /// How far it is: done, all, and with what.
    Progress(u64, u64, &'static str),
    /// One artifact is done.
    Item(AddItem),
}

/// The copy in the collection, as manifest and lock record it.
struct Copied {
    planned: Planned,
    reading: Reading,
}

impl App {
    /// Adds local artifacts to a collection. Tells of each step and each artifact; fails only if nothing
    /// can be added at all.
    pub fn add(&self, request: &AddRequest, tell: &dyn Fn(AddEvent)) -> Result<AddSummary> {
        let store = self.store()?;
        self.asked(&store, &request.collection, false)?;
        let name = self.collection_or_default(&request.collection);
        if request.name.is_some() && (request.all || request.paths.len() != 1) {
            return Err(Error::new(
                Code::InvalidArgument,
                "a name is given for several artifacts",
            )
            .hint("use `--name` with a single path and without `--all`"));
        }
        let _one_at_a_time = self.mutation.lock();
        if !self.is_verified(&name) {
            // The rows are still to come, or those of the process before us: files may have changed since.
            let all = Scope::All {
                force: false,
                confirmed: false,
            };
            self.ingest.run(&name, all, "own-write")?;
        }
        let asked = self.asked(&store, &name, false)?;
        let Some((row, _)) = asked.first().cloned() else {
            return Err(super::collections::not_found(&name));
        };
        let root = self.root_of(&name)?;
        let root = std::fs::canonicalize(&root).map_err(|error| {
            let io = Error::io("open", &root, &error);
            Error {
                code: Code::CollectionUnreachable,
                ..io
            }
        })?;
        // What can't be read can't be written either: say so before anything is copied.
        edited_manifest(&root, &name, &[], self.now())?;
        edited_lock(&root, &[])?;
        let existing = store.read(|connection| list::existing(connection, row))?;
        let mut collection = Collection {
            root,
            by_hash: existing
                .iter()
                .filter_map(|one| one.content_hash.clone().map(|hash| (hash, one.id.clone())))
                .collect(),
            by_id: existing
                .into_iter()
                .map(|one| (one.id.clone(), one))
                .collect(),
        };
        let mut summary = AddSummary {
            collection: name.clone(),
            dry_run: request.dry_run,
            ..AddSummary::default()
        };
        let planned = plan(request, &mut collection, tell, &mut summary);
        if request.dry_run {
            for planned in planned {
                let told = AddItem {
                    path: planned.path,
                    ..item(&planned.id.to_string(), &planned.source, "would-add", "")
                };
                report(told, tell, &mut summary);
            }
            return Ok(summary);
        }
        if !planned.is_empty() {
            self.apply(&name, &collection.root, planned, tell, &mut summary)?;
        }
        summary.seq = self.last_seq();
        Ok(summary)
    }

    fn apply(
        &self,
        name: &str,
        root: &Path,
        planned: Vec<Planned>,
        tell: &dyn Fn(AddEvent),
        summary: &mut AddSummary,
    ) -> Result<()> {
        let hold = self.ingest.hold(name);
        let total = planned.len() as u64;
        let mut copied = Vec::new();
        for (done, planned) in (0..).zip(planned) {
            tell(AddEvent::Progress(done, total, "adding"));
            let (id, source) = (planned.id.to_string(), planned.source.clone());
            match self.copy(root, planned) {
                Ok(one) => copied.push(one),
                Err(error) => report(failed(&id, &source, &error), tell, summary),
            }
        }
        tell(AddEvent::Progress(total, total, "adding"));
        if let Err(error) = self.record(name, root, &copied) {
            // The last step of a write may fail after its effect: what the manifest names stays.
            let named = named(root, name, self.now());
            for one in &copied {
                if !named.contains(&one.planned.id) {
                    take_back(root, &one.planned);
                }
            }
            return Err(error);
        }
        failpoint::step("add.before_rows")?;
        let mut paths: BTreeSet<String> =
            copied.iter().map(|one| one.planned.path.clone()).collect();
        paths.insert(MANIFEST.to_owned());
        // Noted before the rows are read: what changes after that is somebody else's change.
        for path in paths.iter().map(String::as_str).chain([LOCK]) {
            self.ledger.note_settled(&root.join(path));
        }
        drop(hold);
        self.ingest.run(name, Scope::Paths(paths), "own-write")?;
        for one in copied {
            let told = AddItem {
                path: one.planned.path,
                ..item(
                    &one.planned.id.to_string(),
                    &one.planned.source,
                    "added",
                    "",
                )
            };
            report(told, tell, summary);
        }
        Ok(())
    }

    fn copy(&self, root: &Path, planned: Planned) -> Result<Copied> {
        let place = root.join(&planned.path);
        if let Some(target) = &planned.copy_to {
            self.ledger.note(&place);
            let notes = copy::copy_artifact(&planned.source, &root.join(target))?;
            for note in notes {
                tracing::info!(target: "add", id = %planned.id, "{}", note.message);
            }
        }
        let outcome = failpoint::step("add.copied")
            .and_then(|()| scan::scan(&place, root))
            .and_then(|scan| read::read(&planned.id.kind, &planned.id.name, &place, &scan, false));
        match outcome {
            Ok(reading) => Ok(Copied { planned, reading }),
            Err(error) => {
                take_back(root, &planned);
                Err(error)
            }
        }
    }

    /// Writes manifest and lock; reads and edits them again when somebody else wrote meanwhile.
    fn record(&self, name: &str, root: &Path, copied: &[Copied]) -> Result<()> {
        let now = self.now();
        let entries: Vec<NewEntry> = copied
            .iter()
            .filter(|one| !one.planned.has_entry)
            .map(|one| new_entry(one, now))
            .collect();
        let locks: Vec<(ArtifactId, LockEntry)> = copied
            .iter()
            .map(|one| {
                let entry = LockEntry {
                    content_hash: one.reading.hashes.content.clone(),
                    fetched: Some(now.to_manifest()),
                    ..LockEntry::default()
                };
                (one.planned.id.clone(), entry)
            })
            .filter(|(_, entry)| entry.content_hash.is_some())
            .collect();
        let write = |file: &str, edit: &dyn Fn() -> Result<(Expected, String)>| {
            let path = root.join(file);
            self.ledger.note(&path);
            let mut tries = 0;
            loop {
                let (expected, text) = edit()?;
                match swap(&path, &expected, text.as_bytes()) {
                    Err(error) if error.code == Code::FileChanged && tries < TRIES => tries += 1,
                    outcome => return outcome,
                }
            }
        };
        // The lock comes first: what only it names is nothing yet, so a failure between the two does no harm.
        write(LOCK, &|| edited_lock(root, &locks))?;
        failpoint::step("add.between_lock_and_manifest")?;
        if !entries.is_empty() {
            write(MANIFEST, &|| edited_manifest(root, name, &entries, now))?;
        }
        Ok(())
    }
}

fn report(item: AddItem, tell: &dyn Fn(AddEvent), summary: &mut AddSummary) {
    match item.result {
        "added" | "would-add" => summary.added += 1,
        "unchanged" => summary.unchanged += 1,
        "skipped" => summary.skipped += 1,
        "conflict" => summary.conflicts += 1,
        _ => summary.failed += 1,
    }
    tell(AddEvent::Item(item));
}

/// Deletes a copy that we made. What lay there before is never touched.
fn take_back(root: &Path, planned: &Planned) {
    let Some(copy_to) = &planned.copy_to else {
        return;
    };
    let copy = root.join(copy_to);
    let outcome = match std::fs::symlink_metadata(&copy) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&copy),
        Ok(_) => std::fs::remove_file(&copy),
        Err(_) => Ok(()),
    };
    if let Err(error) = outcome {
        tracing::warn!(target: "add", "can't take back `{}`: {error}", copy.display());
    }
    if *copy_to != planned.path {
        // The folder around a lone file. It stays if somebody else put something into it.
        drop(std::fs::remove_dir(root.join(&planned.path)));
    }
}

/// What the manifest names now; nothing if it can't be read.
fn named(root: &Path, name: &str, now: skillmeat_shared::time::Timestamp) -> BTreeSet<ArtifactId> {
    edited_manifest(root, name, &[], now)
        .ok()
        .and_then(|(_, text)| Manifest::parse(&text).ok())
        .map(|manifest| manifest.entries.into_iter().map(|entry| entry.id).collect())
        .unwrap_or_default()
}

fn edited_lock(root: &Path, locks: &[(ArtifactId, LockEntry)]) -> Result<(Expected, String)> {
    let (expected, text) = current(&root.join(LOCK))?;
    let text = text.unwrap_or_else(|| lockfile::render_new().to_owned());
    Ok((expected, lockfile::set_entries(&text, locks)?))
}

fn current(path: &Path) -> Result<(Expected, Option<String>)> {
    match read_bounded(path, MAX_MANIFEST) {
        Ok(bytes) => {
            let expected = Expected::after_reading(Some(&bytes));
            let text = String::from_utf8(bytes).map_err(|_| {
                Error::new(
                    Code::ManifestInvalid,
                    format!("`{}` is not UTF-8", path.display()),
                )
                .at(path, None)
                .hint("mend the file, then try again")
            })?;
            Ok((expected, Some(text)))
        }
        Err(error) if error.code == Code::FileNotFound => Ok((Expected::after_reading(None), None)),
        Err(error) => Err(error),
    }
}

fn edited_manifest(
    root: &Path,
    name: &str,
    entries: &[NewEntry],
    now: skillmeat_shared::time::Timestamp,
) -> Result<(Expected, String)> {
    let path = root.join(MANIFEST);
    let (expected, text) = current(&path)?;
    let text = text.unwrap_or_else(|| edit::render_new(name, now));
    if let Err(error) = Manifest::parse(&text) {
        return Err(Error::new(
            Code::ManifestInvalid,
            format!("the manifest of `{name}` can't be read: {}", error.message),
        )
        .at(&path, Some(error.line))
        .hint("mend the file, then try again; nothing was changed"));
    }
    if entries.is_empty() {
        return Ok((expected, text));
    }
    let edited = edit::add_entries(&text, entries, now).map_err(|error| error.at(&path, None))?;
    Ok((expected, edited))
}

fn new_entry(copied: &Copied, now: skillmeat_shared::time::Timestamp) -> NewEntry {
    let metadata = &copied.reading.metadata;
    let mut entry = NewEntry::local(copied.planned.id.clone(), copied.planned.path.clone(), now);
    entry.tags.clone_from(&metadata.tags);
    entry.metadata = EntryMetadata {
        title: metadata.title.clone(),
        description: metadata.description.clone(),
        author: metadata.author.clone(),
        license: metadata.license.clone(),
        version: metadata.version.clone(),
        tags: Vec::new(),
        tools: metadata.tools.clone(),
        dependencies: metadata.dependencies.clone(),
    };
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
    fn only_what_was_copied_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let planned = Planned {
            id: ArtifactId::new(Kind::Mcp, "a"),
            source: PathBuf::from("/elsewhere/server.json"),
            path: "mcp/a".to_owned(),
            copy_to: Some("mcp/a/server.json".to_owned()),
            has_entry: true,
        };
        std::fs::create_dir_all(root.join("mcp/a")).unwrap();
        for name in ["server.json", "theirs.txt"] {
            std::fs::write(root.join("mcp/a").join(name), "{}").unwrap();
        }
        take_back(root, &planned);
        assert!(!root.join("mcp/a/server.json").exists());
        assert!(root.join("mcp/a/theirs.txt").exists());
        std::fs::remove_file(root.join("mcp/a/theirs.txt")).unwrap();
        std::fs::write(root.join("mcp/a/server.json"), "{}").unwrap();
        take_back(root, &planned);
        assert!(!root.join("mcp/a").exists());
        assert!(root.join("mcp").exists());
    }
}
