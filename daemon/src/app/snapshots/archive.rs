//! Archives: the ancestor's are read, any state is exported, what was exported is imported.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use skillmeat_shared::bundle::archive;
use skillmeat_shared::history::ancestor::{self, LIMITS};
use skillmeat_shared::history::{Node, capture, diff, export, snapshot as names};
use skillmeat_shared::{Code, Error, Result, artifact};

use super::{Opened, Origin, SnapshotView, artifacts_in};
use crate::app::App;
use crate::app::change::Actor;
use crate::store::history::Batch;
use crate::store::history::snapshot::{self, Snapshot};

/// The folder in an unpacked archive; a name that nothing in it needs.
const UNPACKED: &str = "archive";

/// Links that are named.
const NAMED: usize = 5;

impl App {
    /// Writes a snapshot to a `.tar.gz`, as the ancestor makes them. Gives its size, and what a person should know of
    /// it.
    pub fn export_snapshot(
        &self,
        collection: &str,
        id: &str,
        target: &Path,
        force: bool,
    ) -> Result<(u64, Vec<String>)> {
        let name = self.collection_or_default(collection);
        let opened = self.open_snapshot(&name, id)?;
        let size = export::export(
            &opened.objects,
            &opened.node,
            &name,
            opened.view.at,
            target,
            force,
        )?;
        Ok((size, refused(&opened)?))
    }

    /// Takes in an archive that holds one collection, as a snapshot of `collection`. A file called like a
    /// snapshot keeps its name. Gives what a person should know of it, too.
    pub fn import_snapshot(
        &self,
        collection: &str,
        file: &Path,
        message: &str,
    ) -> Result<(SnapshotView, Vec<String>)> {
        let name = self.collection_or_default(collection);
        // Snapshots of a collection that is gone can be imported too: it is how to bring one back.
        artifact::name::validate(&name)?;
        let note = self.asked(&*self.store()?, &name, false).err();
        let note = note.filter(|error| error.code == Code::CollectionNotFound);
        let (node, batch) = self.unpacked(file).map_err(|error| match error.code {
            Code::ArchiveInvalid => hinted(
                error,
                "name a whole `.tar.gz` with one collection, as `sm snapshot export` writes it",
            ),
            Code::FileTooLarge => hinted(
                error,
                "unpack the archive yourself, and take its folder in with `sm collection import`",
            ),
            _ => error,
        })?;
        let called = file.file_name().unwrap_or_default().to_string_lossy();
        let stem = called.strip_suffix(".tar.gz").unwrap_or(&called);
        let said = names::moment_of(stem).ok();
        let at = said.unwrap_or_else(|| self.now());
        let held = artifacts_in(&batch, &node.node)?.len() as u64;
        let row = Snapshot {
            collection: name.clone(),
            id: names::id_at(at),
            at,
            message: match message.trim() {
                "" => format!("Imported from {called}"),
                message => message.to_owned(),
            },
            origin: Origin::Imported.as_str().to_owned(),
            node: node.node,
            artifacts: held,
            files: node.files,
            bytes: node.bytes,
            stored: batch.stored(),
        };
        let is_there = self.taken(&name).contains(&row.id);
        let inserted = row.clone();
        let is_new = batch.commit(|transaction| {
            if is_there || snapshot::get(transaction, &inserted.collection, &inserted.id)?.is_some()
            {
                return Ok(false);
            }
            snapshot::insert(transaction, &inserted).map(|()| true)
        })?;
        if !is_new {
            let message = format!("`{name}` has a snapshot `{}` already", row.id);
            return Err(Error::new(Code::SnapshotExists, message)
                .hint(format!("`sm snapshot show {}` tells what it holds", row.id))
                .at(file, None));
        }
        self.log_event("snapshot.imported", &name, &row.id);
        let what = format!("import the snapshot `{}` of `{name}`", row.id);
        self.record_deed(Actor::CommandLine, "snapshot.import", what);
        let note = note.map(|error| {
            let hints = error.hints.join(", ");
            format!("{}, but a rollback would make it; {hints}", error.message)
        });
        Ok((row.into(), note.into_iter().collect()))
    }

    /// Has the ancestor's archive ready to be read by its objects.
    pub(super) fn open_archive(&self, view: SnapshotView) -> Result<Opened<'_>> {
        let Some(file) = view.archive.clone() else {
            let message = format!("the archive of the snapshot `{}` is gone", view.id);
            return Err(Error::new(Code::FileNotFound, message).hint(format!(
                "put `{}.tar.gz` back into `{}`",
                view.id,
                self.boot.home.snapshots(&view.collection).display()
            )));
        };
        let (held, batch) = self.unpacked(&file).map_err(|error| match error.code {
            Code::ArchiveInvalid => hinted(error, "put a whole copy of the archive in its place"),
            _ => error,
        })?;
        // The next one begins before this one ends, so that what it kept is not collected in between.
        let objects = self.history.batch();
        batch.commit(|_| Ok(()))?;
        let view = SnapshotView {
            files: Some(held.files),
            bytes: Some(held.bytes),
            ..view
        };
        Ok(Opened {
            view,
            node: held.node,
            objects,
        })
    }

    /// Reads the ancestor's archive to its end; nothing if the snapshot is one of ours.
    pub(super) fn check_archive(&self, view: &SnapshotView) -> Option<Result<()>> {
        if let Some(file) = &view.archive {
            let unpacked = archive::unpack(file, &self.room(), UNPACKED, &LIMITS);
            return Some(unpacked.and_then(|one| ancestor::collection_in(one.root()).map(drop)));
        }
        view.problem
            .map(|why| Err(Error::new(Code::FileNotFound, why)))
    }

    /// Where archives are unpacked for as long as they are looked at.
    fn room(&self) -> PathBuf {
        self.boot.home.cache_dir().join("unpacked")
    }

    /// Reads an archive into objects.
    fn unpacked(&self, file: &Path) -> Result<(Held, Batch<'_>)> {
        let unpacked = archive::unpack(file, &self.room(), UNPACKED, &LIMITS)?;
        let root =
            ancestor::collection_in(unpacked.root()).map_err(|error| error.at(file, None))?;
        let batch = self.history.batch();
        let captured = capture(&root, &batch)?;
        let node = captured.node.ok_or_else(|| {
            Error::new(Code::ArchiveInvalid, "the archive holds nothing").at(file, None)
        })?;
        let held = Held {
            node,
            files: captured.files,
            bytes: captured.bytes,
        };
        Ok((held, batch))
    }
}

/// The same error with another hint.
fn hinted(mut error: Error, hint: &str) -> Error {
    error.hints = vec![hint.to_owned()];
    error
}

/// Notes on what an import will refuse the archive of a snapshot for.
fn refused(opened: &Opened<'_>) -> Result<Vec<String>> {
    let mut refused = Vec::new();
    let (mut files, mut folders, mut bytes) = (0, 0, 0_u64);
    diff::walk(&opened.objects, &opened.node, &mut |path, node| {
        // All of it lies in the archive's one folder.
        let depth = path.components().count();
        match node {
            Node::Folder { .. } => folders += 1,
            Node::File { size, .. } => (files, bytes) = (files + 1, bytes.saturating_add(*size)),
            Node::Link { .. } => files += 1,
        }
        if let Node::Link { target } = node
            && !archive::is_inside(depth, target.as_bytes())
        {
            refused.push(format!("`{}`", path.display()));
        }
        Ok(())
    })?;
    let more = match refused.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    refused.truncate(NAMED);
    let note = format!(
        "`sm snapshot import` will refuse the archive for links that lead out of it: {}{more}",
        refused.join(", ")
    );
    let note = (!refused.is_empty()).then_some(note);
    let is_too_much = files.max(folders) > LIMITS.entries || bytes > LIMITS.bytes;
    let large = is_too_much.then(|| {
        format!(
            "`sm snapshot import` will refuse the archive: it takes {} files, {} folders and {} GiB at most",
            LIMITS.entries,
            LIMITS.entries,
            LIMITS.bytes >> 30
        )
    });
    Ok(note.into_iter().chain(large).collect())
}

/// What an archive holds.
struct Held {
    node: Node,
    files: u64,
    bytes: u64,
}
