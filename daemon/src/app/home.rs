//! The collections of a home: folders below `collections/`, and one more that the config may name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::collection::{MANIFEST, layout};
use skillmeat_shared::fs::{self, read_bounded};
use skillmeat_shared::paths::Disk;
use skillmeat_shared::reconcile::Target;
use skillmeat_shared::{Result, artifact};

use super::App;
use super::errand::{self, Beat, Waited};
use super::reach::Reach;
use crate::store::Store;
use crate::store::collection::{self, CollectionView};
use crate::watch::WatchRoot;

/// Largest manifest that is read for the name of an external collection, bytes.
const MAX_MANIFEST: u64 = 64 * 1024 * 1024;

/// Folders that hold a manifest.
fn on_disk(collections: &Path, reach: &Reach) -> Vec<Target> {
    let Ok(entries) = std::fs::read_dir(collections) else {
        return Vec::new();
    };
    let named: Vec<(String, PathBuf)> = entries
        .filter_map(std::result::Result::ok)
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    // All at once: those that are silent take one time together.
    for (_, path) in &named {
        reach.ask(path);
    }
    let mut targets: Vec<Target> = named
        .into_iter()
        .filter_map(|(name, path)| {
            let has_manifest = |path: &Path| path.join(MANIFEST).symlink_metadata().is_ok();
            let is_collection = reach.through(&path, has_manifest) == Some(true);
            is_collection.then_some(Target {
                name,
                path,
                external: false,
            })
        })
        .collect();
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    targets
}

/// The name that the manifest of an external collection says.
fn said_name(path: &Path) -> Option<String> {
    let bytes = read_bounded(&path.join(MANIFEST), MAX_MANIFEST).ok()?;
    let manifest = Manifest::parse(&String::from_utf8(bytes).ok()?).ok()?;
    let name = manifest.header.name?;
    artifact::name::validate(&name).is_ok().then_some(name)
}

/// The name of an external collection: what its manifest says, or its folder's, with a mark if another
/// collection has it already.
fn external_name(path: &Path, reach: &Reach, taken: impl Fn(&str) -> bool) -> String {
    let said = reach.through(path, said_name).flatten();
    let folder = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = [said, folder.clone()]
        .into_iter()
        .flatten()
        .find(|name| !taken(name))
        .or(folder)
        .unwrap_or_else(|| "external".to_owned());
    if taken(&name) {
        format!("{name}-external")
    } else {
        name
    }
}

/// Clears away what daemons that were killed left half-copied; at once, if all of their changes are settled and this was
/// ours.
pub(super) fn sweep_collection(root: &Path, at_once: bool) {
    let folders = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let folders = folders
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path());
    let swept: usize = folders
        .chain([root.to_owned()])
        .map(|folder| {
            let ours = if at_once {
                fs::sweep_predecessors(&folder)
            } else {
                0
            };
            ours + fs::sweep(&folder)
        })
        .sum();
    if swept > 0 {
        tracing::info!(target: "add", "{swept} half-made copies were cleared away in `{}`", root.display());
    }
}

/// Whether a path without links lies in a folder, or is it.
fn is_inside(path: &Path, folder: &Path) -> bool {
    path.starts_with(folder)
        || folder
            .canonicalize()
            .is_ok_and(|real| path.starts_with(real))
}

/// Levels of folders in an artifact, and entries of a collection, in which leftovers are looked for.
const LEVELS: usize = 32;
const ENTRIES: usize = 1_000_000;

impl App {
    /// Clears away what daemons that were killed left half-written inside of artifacts.
    pub(super) fn sweep_artifacts(&self) -> Result<usize> {
        let store = self.store()?;
        let views = store.read(collection::all)?;
        // Nothing of ours is at work meanwhile.
        let _one_at_a_time = self.mutation.lock();
        let mut swept = 0;
        for view in views {
            let mut entries = ENTRIES;
            let root = self.folder_of(&view);
            if !self.reach.answers(&root) {
                continue;
            }
            let folders = std::fs::read_dir(root).into_iter().flatten().flatten();
            for folder in folders {
                let is_folder = folder.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder && layout::is_container(&folder.file_name()) {
                    swept += fs::sweep_below(&folder.path(), LEVELS, &mut entries);
                }
            }
        }
        if swept > 0 {
            tracing::info!(target: "add", "{swept} half-written files were cleared away in artifacts");
        }
        Ok(swept)
    }

    /// Where a collection is: those of the home lie in it, wherever it was moved to since the row was written.
    pub(super) fn folder_of(&self, view: &CollectionView) -> PathBuf {
        if view.external {
            PathBuf::from(&view.path)
        } else {
            self.boot.home.collection(&view.name)
        }
    }

    /// Has the rows say where the collections of the home are, which may have been moved since they were written.
    pub(super) fn place_rows(&self, store: &Store) {
        let placed = store.read(collection::all).and_then(|views| {
            let mut views = views
                .into_iter()
                .map(|view| (self.folder_of(&view).display().to_string(), view));
            views.try_for_each(|(folder, view)| {
                if folder == view.path {
                    return Ok(());
                }
                tracing::info!(target: "ingest", "`{}` was moved to `{folder}`", view.path);
                store.write(move |rows| collection::relocate(rows, &view.name, &folder))
            })
        });
        if let Err(error) = placed {
            tracing::error!(target: "ingest", "rows say where collections were before: {error}");
        }
    }

    /// All collections that should be served, the default one first. Those that rows know stay, even if
    /// their folder is gone: their rows then say that they are unreachable.
    pub(super) fn targets(&self, store: &Store) -> Result<Vec<Target>> {
        let config = self.config();
        let mut targets: BTreeMap<String, Target> =
            on_disk(&self.boot.home.collections(), &self.reach)
                .into_iter()
                .map(|target| (target.name.clone(), target))
                .collect();
        let known = store.read(collection::all)?;
        for view in known.iter().filter(|view| !view.external) {
            targets.entry(view.name.clone()).or_insert_with(|| Target {
                name: view.name.clone(),
                path: self.folder_of(view),
                external: false,
            });
        }
        if let Some(path) = &config.config.collection_path {
            let real = |path: &Path| {
                let real = self
                    .reach
                    .through(path, |path| std::fs::canonicalize(path).ok());
                real.flatten()
            };
            let place = real(path);
            let is_it = |target: &Target| place.is_some() && real(&target.path) == place;
            if !targets.values().any(is_it) {
                let known_as = known
                    .iter()
                    .find(|view| view.external && Path::new(&view.path) == path.as_path())
                    .map(|view| view.name.clone())
                    // A collection of the home that was made since then has the name now.
                    .filter(|name| !targets.contains_key(name));
                let name = known_as.unwrap_or_else(|| {
                    external_name(path, &self.reach, |name| targets.contains_key(name))
                });
                let target = Target {
                    name: name.clone(),
                    path: path.clone(),
                    external: true,
                };
                targets.insert(name, target);
            }
        }
        // An external collection that the config no longer names is no longer ours.
        for view in known.iter().filter(|view| view.external) {
            if !targets.contains_key(&view.name) {
                let name = view.name.clone();
                store.write(move |transaction| collection::remove(transaction, &name))?;
                self.announce_change();
            }
        }
        let mut targets: Vec<Target> = targets.into_values().collect();
        let default = &config.config.default_collection;
        targets.sort_by_key(|target| target.name != *default);
        Ok(targets)
    }

    /// The collection whose folder this is, a path without links.
    pub(super) fn served_at(&self, folder: &Path) -> Option<String> {
        let known = self
            .gate
            .open()
            .and_then(|store| store.read(collection::all).ok());
        let known = known.into_iter().flatten();
        let known = known.map(|view| (self.folder_of(&view), view.name));
        // Rows may not know yet what was made a moment ago.
        let on_disk = on_disk(&self.boot.home.collections(), &self.reach);
        let on_disk = on_disk.into_iter().map(|target| (target.path, target.name));
        let mut all = known.chain(on_disk);
        let is_it = |(path, _): &(PathBuf, String)| {
            let real = self.reach.through(path, |path| path.canonicalize().ok());
            real.flatten().as_deref() == Some(folder)
        };
        all.find(is_it).map(|(_, name)| name)
    }

    /// In which folder of ours a place lies that has no links in its folder: the home, or a collection.
    pub(super) fn owner_of(&self, place: &Path) -> Option<String> {
        let home = self.boot.home.root();
        if is_inside(place, home) {
            return Some(format!("the home `{}`", home.display()));
        }
        let config = self.config();
        let named = config.config.collection_path.iter().cloned();
        let on_disk = on_disk(&self.boot.home.collections(), &self.reach);
        let known = self
            .gate
            .open()
            .and_then(|store| store.read(collection::all).ok());
        let known = known.into_iter().flatten().map(|view| view.path.into());
        let mut folders = on_disk
            .into_iter()
            .map(|target| target.path)
            .chain(named)
            .chain(known);
        folders
            .find(|folder| {
                let at = place.to_owned();
                let is_inside = move |folder: &Path| is_inside(&at, folder);
                self.reach.through(folder, is_inside) == Some(true)
            })
            .map(|folder| format!("the collection at `{}`", folder.display()))
    }

    /// Whether what can't be given up may be done below a folder: where its disk may fall silent, somebody whom nobody
    /// needs does the same first.
    pub(super) fn goes_well(
        &self,
        path: &Path,
        first: impl FnOnce(&Beat) + Send + 'static,
    ) -> bool {
        let tells = self
            .reach
            .through(path, |path| Disk::of(path).tells_changes);
        let try_first = || errand::run("try", (&self.reach, path), first, |_| ());
        match tells {
            Some(true) => true,
            Some(false) => matches!(try_first(), Ok(Waited::Done(()))),
            None => false,
        }
    }

    /// Watches exactly these collections.
    pub(super) fn watch_targets(&self, targets: &[Target]) {
        if let Some(watcher) = self.watcher.get() {
            let mut answering: Vec<&Target> = targets.iter().collect();
            answering.retain(|target| self.reach.answers(&target.path));
            watcher.leave_alone(self.reach.silent());
            watcher.set_roots(
                answering
                    .into_iter()
                    .map(|target| WatchRoot {
                        name: target.name.clone(),
                        path: target.path.clone(),
                    })
                    .collect(),
            );
        }
    }
}
