//! What was changed, by whom and how: for `sm log`.

use std::path::Path;

use skillmeat_shared::fs::FileHash;
use skillmeat_shared::history::diff::{self, Change};
use skillmeat_shared::history::unified::unified;
use skillmeat_shared::history::{Node, Tree, object};
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{Code, Error, Kind, Result};

use super::place::{CONFIG, Place};
use crate::app::App;
use crate::app::curation::id_of;
use crate::store::history::operation::{self, Filter, Operation, TouchedPath};

/// Operations of one answer, if nobody says how many, and at most.
const FEW: u32 = 20;
const MOST: u32 = 1000;

/// Files of one answer.
const MAX_FILES: usize = 500;

/// Bytes of a file whose lines are compared.
const MAX_TEXT: u64 = 512 * 1024;

/// Bytes of the differences of one answer.
const MAX_DIFFS: usize = 4 * 1024 * 1024;

/// Which operations are asked for.
#[derive(Debug, Clone, Default)]
pub struct LogRequest {
    /// Only those that touched it. Empty: all, or with an artifact the default collection.
    pub collection: String,
    /// Only those on the files of this artifact; empty: all.
    pub artifact: String,
    /// 0: some.
    pub limit: u32,
    /// Only older ones.
    pub before: Option<i64>,
}

/// One file that an operation changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedFile {
    /// Empty for the home.
    pub collection: String,
    /// Relative to the collection, or to the home.
    pub path: String,
    /// create, edit, remove or mode.
    pub action: &'static str,
    /// Bytes before.
    pub size_before: Option<u64>,
    /// Bytes after.
    pub size_after: Option<u64>,
    /// The difference line by line, after a changed mode.
    pub diff: String,
    /// It is no text.
    pub binary: bool,
}

/// An operation with all that it changed.
#[derive(Debug, Clone)]
pub struct ShownOperation {
    /// The operation.
    pub operation: Operation,
    /// Its files.
    pub files: Vec<ChangedFile>,
    /// There is more than is told.
    pub cut: bool,
}

impl App {
    /// Operations, the newest first, and whether there are more.
    pub fn operations(&self, request: &LogRequest) -> Result<(Vec<Operation>, bool)> {
        let limit = match request.limit {
            0 => FEW,
            limit => limit.min(MOST),
        };
        let (mut found, mut gone) = (Vec::new(), None);
        if request.artifact.is_empty() && !request.collection.is_empty() {
            let whole = Place::collection(&request.collection, "");
            found = self.operations_at(&whole, request.before, limit + 1)?;
            let rated =
                self.operations_rating(&request.collection, &[], request.before, limit + 1)?;
            found.extend(rated);
            if found.is_empty() {
                // Nothing was ever done to it, or it never was.
                self.asked(&*self.store()?, &request.collection, false)?;
            }
        } else if request.artifact.is_empty() {
            let filter = Filter {
                before: request.before,
                limit: limit + 1,
                ..Filter::default()
            };
            found = self
                .history
                .read(|connection| operation::list(connection, &filter))?;
        } else {
            let (places, ids, why) = self.places_of(request)?;
            gone = why;
            for place in places {
                found.extend(self.operations_at(&place, request.before, limit + 1)?);
            }
            let collection = self.collection_or_default(&request.collection);
            let rated = self.operations_rating(&collection, &ids, request.before, limit + 1)?;
            found.extend(rated);
        }
        found.sort_by_key(|one| std::cmp::Reverse(one.id));
        found.dedup_by_key(|one| one.id);
        if found.is_empty() && !request.artifact.is_empty() && request.before.is_none() {
            if let Some(gone) = gone {
                return Err(gone);
            }
            let message = format!(
                "nothing was ever done to an artifact `{}`",
                request.artifact
            );
            return Err(Error::new(Code::ArtifactNotFound, message)
                .hint("`sm log` lists everything that was done"));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        Ok((found, more))
    }

    /// Where an artifact lies, or may have lain, and what its id is or may have been: it may be gone, also with its
    /// collection, and then why nothing is known of that.
    fn places_of(&self, request: &LogRequest) -> Result<(Vec<Place>, Vec<String>, Option<Error>)> {
        let collection = self.collection_or_default(&request.collection);
        let Ok(reference) = request.artifact.parse::<ArtifactRef>();
        let store = self.store()?;
        let (mut paths, mut ids, mut gone) = (Vec::new(), Vec::new(), None);
        match self.resolve_in(&store, &collection, &reference) {
            Ok(row) => {
                ids.push(id_of(&row).to_string());
                paths.extend(Some(row.path).filter(|path| !path.is_empty()));
            }
            Err(error) if error.code == Code::ArtifactNotFound => {}
            Err(error) if error.code == Code::CollectionNotFound => gone = Some(error),
            Err(error) => return Err(error),
        }
        let kinds: Vec<Kind> = match &reference.kind {
            Some(kind) => vec![kind.clone()],
            None => Kind::KNOWN.to_vec(),
        };
        ids.extend(
            kinds
                .iter()
                .map(|kind| format!("{kind}:{}", reference.name)),
        );
        for container in kinds.iter().filter_map(Kind::container) {
            for end in ["", ".md"] {
                paths.push(format!("{container}/{}{end}", reference.name));
            }
        }
        paths.sort();
        paths.dedup();
        let places = paths.into_iter();
        let places = places.map(|path| Place::collection(&collection, path));
        Ok((places.collect(), ids, gone))
    }

    /// One operation, or the newest one, with what it changed.
    pub fn operation(&self, number: Option<i64>) -> Result<ShownOperation> {
        let operation = if let Some(number) = number {
            self.operation_numbered(number)?
        } else {
            let newest = self.history.read(|connection| {
                let filter = Filter {
                    limit: 1,
                    ..Filter::default()
                };
                operation::list(connection, &filter)
            })?;
            newest.into_iter().next().ok_or_else(|| {
                let error = Error::new(Code::OperationNotFound, "nothing was changed yet");
                self.or_lost(error.hint("`sm add` adds a first artifact"))
            })?
        };
        let paths = self
            .history
            .read(|connection| operation::paths(connection, operation.id))?;
        let mut shown = ShownOperation {
            operation,
            files: Vec::new(),
            cut: false,
        };
        for touched in &paths {
            self.show_path(touched, &mut shown)?;
        }
        Ok(shown)
    }

    fn show_path(&self, touched: &TouchedPath, shown: &mut ShownOperation) -> Result<()> {
        let history = &*self.history;
        let (before, after) = (touched.before.as_ref(), touched.after.as_ref());
        for change in diff::diff(history, before, after, usize::MAX)? {
            let mut files = Vec::new();
            self.leaves(change, &mut files)?;
            for file in files {
                if shown.files.len() >= MAX_FILES {
                    shown.cut = true;
                    return Ok(());
                }
                let path = if file.path.as_os_str().is_empty() {
                    touched.path.clone()
                } else {
                    format!("{}/{}", touched.path, file.path.display())
                };
                let told = self.tell_file(&touched.root, path, &file, shown)?;
                shown.files.push(told);
            }
        }
        Ok(())
    }

    /// The files in a folder that came or went; else the change itself.
    fn leaves(&self, change: Change, into: &mut Vec<Change>) -> Result<()> {
        if into.len() > MAX_FILES {
            return Ok(());
        }
        let tree = |node: Option<&Node>| match node {
            Some(Node::Folder { hash, .. }) => Tree::load(&*self.history, hash).map(Some),
            _ => Ok(None),
        };
        let old = tree(change.before.as_ref())?;
        let new = tree(change.after.as_ref())?;
        let entries = match (old, new) {
            (Some(old), None) => Some((old, false)),
            (None, Some(new)) => Some((new, true)),
            _ => None,
        };
        let Some((tree, is_new)) = entries.filter(|(tree, _)| !tree.entries().is_empty()) else {
            into.push(change);
            return Ok(());
        };
        for entry in tree.into_entries() {
            let node = Some(entry.node);
            let (before, after) = if is_new { (None, node) } else { (node, None) };
            let path = change.path.join(&entry.name);
            self.leaves(
                Change {
                    path,
                    before,
                    after,
                },
                into,
            )?;
        }
        Ok(())
    }

    fn tell_file(
        &self,
        collection: &str,
        path: String,
        change: &Change,
        shown: &mut ShownOperation,
    ) -> Result<ChangedFile> {
        let (before, after) = (change.before.as_ref(), change.after.as_ref());
        let action = match (before, after) {
            (None, _) => "create",
            (_, None) => "remove",
            (Some(old), Some(new)) if old.hash().is_some() && old.hash() == new.hash() => "mode",
            _ => "edit",
        };
        let mut told = ChangedFile {
            collection: collection.to_owned(),
            path,
            action,
            size_before: size_of(before),
            size_after: size_of(after),
            ..ChangedFile::default()
        };
        if collection.is_empty() && told.path == CONFIG {
            // A record of keys: its size is not the file's.
            (told.size_before, told.size_after) = (None, None);
        }
        if let (Some(old), Some(new)) = (mode_of(before), mode_of(after))
            && old != new
        {
            told.diff = format!("mode {old:o} -> {new:o}\n");
        }
        if action == "mode" {
            return Ok(told);
        }
        let used: usize = shown.files.iter().map(|file| file.diff.len()).sum();
        let is_large = [told.size_before, told.size_after]
            .into_iter()
            .flatten()
            .any(|size| size > MAX_TEXT);
        if is_large || used > MAX_DIFFS {
            shown.cut = true;
            return Ok(told);
        }
        let (old, new) = (self.text_of(before)?, self.text_of(after)?);
        match unified(&told.path, old.as_deref(), new.as_deref()) {
            Some(diff) => told.diff.push_str(&diff),
            None => told.binary = true,
        }
        Ok(told)
    }

    /// The bytes of a file, what a link says, nothing for a folder.
    fn text_of(&self, node: Option<&Node>) -> Result<Option<Vec<u8>>> {
        let object = |hash: &FileHash| object::get(&*self.history, hash, MAX_TEXT).map(Some);
        match node {
            Some(Node::File { hash, .. }) => object(hash),
            Some(Node::Link { target }) => Ok(Some(
                format!("link to {}\n", Path::new(target).display()).into_bytes(),
            )),
            Some(Node::Folder { .. }) | None => Ok(None),
        }
    }
}

const fn mode_of(node: Option<&Node>) -> Option<u16> {
    match node {
        Some(Node::File { mode, .. } | Node::Folder { mode, .. }) => Some(*mode),
        _ => None,
    }
}

const fn size_of(node: Option<&Node>) -> Option<u64> {
    match node {
        Some(Node::File { size, .. }) => Some(*size),
        _ => None,
    }
}
