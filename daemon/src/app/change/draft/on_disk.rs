//! Where the places of a draft are on disk.

use std::path::{Path, PathBuf};

use skillmeat_shared::collection::spelling;
use skillmeat_shared::{Result, fs};

use super::Draft;
use crate::app::change::place::{Place, Root};
use crate::app::collections;

impl Draft<'_> {
    /// The folder of a collection, without links in its path.
    pub(in crate::app) fn root(&mut self, collection: &str) -> Result<PathBuf> {
        if let Some(root) = self.roots.get(collection) {
            return Ok(root.clone());
        }
        let store = self.app.store()?;
        let view = store
            .read(crate::store::collection::all)?
            .into_iter()
            .find(|view| view.name == collection);
        let path = if let Some(view) = view {
            self.app.folder_of(&view)
        } else {
            // The rows are still to come.
            let targets = self.app.targets(&store)?;
            let target = targets.into_iter().find(|one| one.name == collection);
            target
                .ok_or_else(|| collections::not_found(collection))?
                .path
        };
        let root = self.app.real_root(&path)?;
        self.roots.insert(collection.to_owned(), root.clone());
        Ok(root)
    }

    /// Where a place is on disk. Whether its folder lies in the collection is looked at once; applying begins anew.
    pub(in crate::app::change) fn on_disk(&mut self, place: &Place) -> Result<PathBuf> {
        let Root::Collection(name) = &place.root else {
            return place.on_disk(self.app.boot.home.root());
        };
        let root = self.root(name)?;
        let folder = place.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if spelling::is_plain(&place.path) && self.lies_inside(name, &root, folder) {
            return fs::join(&root, Path::new(&place.path));
        }
        let path = place.on_disk(&root)?;
        self.inside.insert((name.clone(), folder.to_owned()), true);
        Ok(path)
    }

    /// Whether a folder of a collection is known to lie in it, or is no link in one that does.
    fn lies_inside(&mut self, name: &str, root: &Path, folder: &str) -> bool {
        let key = (name.to_owned(), folder.to_owned());
        if folder.is_empty() || self.inside.contains_key(&key) {
            return true;
        }
        let outer = folder.rsplit_once('/').map_or("", |(outer, _)| outer);
        let lies_inside = self.lies_inside(name, root, outer)
            && match std::fs::symlink_metadata(root.join(folder)) {
                Ok(found) => found.is_dir(),
                Err(error) => error.kind() == std::io::ErrorKind::NotFound,
            };
        if lies_inside {
            let linked = self.is_linked(name, outer);
            self.inside.insert(key, linked);
        }
        lies_inside
    }

    /// Whether a link is on the way to a folder of a collection, of which it is known that it lies in there.
    fn is_linked(&self, name: &str, folder: &str) -> bool {
        let key = (name.to_owned(), folder.to_owned());
        self.inside.get(&key).copied().unwrap_or_default()
    }

    /// Where the file of a place lies if links lead there that stay in the collection: what two artifacts share is
    /// drafted once.
    pub(in crate::app) fn real(&mut self, place: &Place) -> Result<Place> {
        let Root::Collection(name) = &place.root else {
            return Ok(place.clone());
        };
        if place.is_document() || self.outer(place).is_some() {
            return Ok(place.clone());
        }
        let root = self.root(name)?;
        let path = self.on_disk(place)?;
        let folder = place.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !self.is_linked(name, folder) && !path.is_symlink() {
            return Ok(place.clone());
        }
        let real = std::fs::canonicalize(&path).ok();
        let real = real
            .as_deref()
            .and_then(|real| real.strip_prefix(&root).ok());
        Ok(match real.and_then(Path::to_str) {
            Some(real) if spelling::is_plain(real) => Place::collection(name, real),
            _ => place.clone(),
        })
    }
}
