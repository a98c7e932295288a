//! The collections of a home: folders below `collections/`, and one more that the config may name.

use std::collections::BTreeMap;
use std::path::Path;

use skillmeat_shared::collection::MANIFEST;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::fs::read_bounded;
use skillmeat_shared::reconcile::Target;
use skillmeat_shared::{Result, artifact};

use super::App;
use crate::store::{Store, collection};
use crate::watch::WatchRoot;

/// Largest manifest that is read for the name of an external collection, bytes.
const MAX_MANIFEST: u64 = 64 * 1024 * 1024;

/// Folders that hold a manifest.
fn on_disk(collections: &Path) -> Vec<Target> {
    let Ok(entries) = std::fs::read_dir(collections) else {
        return Vec::new();
    };
    let mut targets: Vec<Target> = entries
        .filter_map(std::result::Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let path = entry.path();
            let is_collection =
                !name.starts_with('.') && std::fs::symlink_metadata(path.join(MANIFEST)).is_ok();
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

/// The name of an external collection: what its manifest says, or its folder's, with a mark if another
/// collection has it already.
fn external_name(path: &Path, taken: impl Fn(&str) -> bool) -> String {
    let said = read_bounded(&path.join(MANIFEST), MAX_MANIFEST)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| Manifest::parse(&text).ok())
        .and_then(|manifest| manifest.header.name)
        .filter(|name| artifact::name::validate(name).is_ok());
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

/// Clears away what a daemon that was killed left half-copied.
pub(super) fn sweep_collection(root: &Path) {
    let folders = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let folders = folders
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path());
    let swept: usize = folders
        .chain([root.to_owned()])
        .map(|folder| skillmeat_shared::fs::sweep(&folder))
        .sum();
    if swept > 0 {
        tracing::info!(target: "add", "{swept} half-made copies were cleared away in `{}`", root.display());
    }
}

impl App {
    /// All collections that should be served, the default one first. Those that rows know stay, even if
    /// their folder is gone: their rows then say that they are unreachable.
    pub(super) fn targets(&self, store: &Store) -> Result<Vec<Target>> {
        let config = self.config();
        let mut targets: BTreeMap<String, Target> = on_disk(&self.boot.home.collections())
            .into_iter()
            .map(|target| (target.name.clone(), target))
            .collect();
        let known = store.read(collection::all)?;
        for view in known.iter().filter(|view| !view.external) {
            targets.entry(view.name.clone()).or_insert_with(|| Target {
                name: view.name.clone(),
                path: view.path.clone().into(),
                external: false,
            });
        }
        if let Some(path) = &config.config.collection_path {
            let is_inside = |target: &Target| {
                std::fs::canonicalize(&target.path).ok() == std::fs::canonicalize(path).ok()
            };
            if !targets
                .values()
                .any(|target| path.exists() && is_inside(target))
            {
                let known_as = known
                    .iter()
                    .find(|view| view.external && Path::new(&view.path) == path.as_path())
                    .map(|view| view.name.clone())
                    // A collection of the home that was made since then has the name now.
                    .filter(|name| !targets.contains_key(name));
                let name = known_as
                    .unwrap_or_else(|| external_name(path, |name| targets.contains_key(name)));
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

    /// Watches exactly these collections.
    pub(super) fn watch_targets(&self, targets: &[Target]) {
        if let Some(watcher) = self.watcher.get() {
            watcher.set_roots(
                targets
                    .iter()
                    .map(|target| WatchRoot {
                        name: target.name.clone(),
                        path: target.path.clone(),
                    })
                    .collect(),
            );
        }
    }
}
