//! Modes of collections' folders and of those that hold artifacts: no state of an artifact tells them, and a folder that
//! another program deleted is to be as it was once what lay in it is brought back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use skillmeat_shared::Result;
use skillmeat_shared::collection::layout;
use skillmeat_shared::history::{Node, tree::Tree};

use super::draft::Draft;
use super::place::Place;
use crate::app::App;
use crate::store::history::known;

/// What is kept of a mode: what a restored folder may have.
const KEPT: u32 = 0o3777;

/// Folders of a collection, relative to it, with their modes; its own is the empty path.
pub(super) fn seen(root: &Path) -> Vec<(String, u16)> {
    let all = std::iter::once(root.to_path_buf()).chain(layout::containers(root));
    all.filter_map(|folder| {
        let found = folder.symlink_metadata().ok()?;
        let path = folder.strip_prefix(root).ok()?.to_str()?.to_owned();
        let mode = u16::try_from(found.permissions().mode() & KEPT).ok()?;
        found.is_dir().then_some((path, mode))
    })
    .collect()
}

impl App {
    /// Keeps modes that are not known yet. Those of folders that are gone stay known.
    pub(super) fn keep_modes(&self, collection: &str, seen: &[(String, u16)]) -> Result<()> {
        let known = self
            .history
            .read(|connection| known::modes(connection, collection))?;
        let new: Vec<_> = seen.iter().filter(|one| !known.contains(one)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let batch = self.history.batch();
        let hash = Tree::default().keep(&batch, None)?;
        batch.commit(|transaction| {
            new.iter().try_for_each(|(path, mode)| {
                let node = Node::Folder { mode: *mode, hash };
                known::set_mode(transaction, collection, path, &node)
            })
        })
    }
}

impl Draft<'_> {
    /// Gives a folder of artifacts, if it is one of those that were made to have something at a place, the mode that it
    /// had.
    pub(super) fn give_mode(&self, place: &Place, target: &Path, made: &[PathBuf]) -> Result<()> {
        let Some(inner) = place.in_collection().filter(|_| !made.is_empty()) else {
            return Ok(());
        };
        let Some((container, rest)) = inner.path.split_once('/') else {
            return Ok(());
        };
        let Some(folder) = made.iter().find(|folder| folder.join(rest) == target) else {
            return Ok(());
        };
        let modes = self
            .app
            .history
            .read(|connection| known::modes(connection, inner.collection_name()))?;
        if let Some((_, mode)) = modes.iter().find(|(path, _)| path == container) {
            // A disk without modes keeps none; the user must be able to write in any case.
            let kept = Permissions::from_mode(u32::from(*mode) | 0o700);
            drop(fs::set_permissions(folder, kept));
        }
        Ok(())
    }
}
