//! The lock file after a change of ours: what we wrote into an artifact without an upstream is no modification that
//! anybody should be warned of. Of one with an upstream it is, and stays one.

use skillmeat_shared::collection::edit;
use skillmeat_shared::collection::lockfile::{LockEntry, Lockfile};
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::{ArtifactId, Code, Result};

use super::super::change::{Draft, Place};
use crate::store::list::Summary;

/// An artifact whose files are drafted.
#[derive(Debug, Clone)]
pub(in crate::app) struct Touched {
    /// As the lock file names it.
    id: ArtifactId,
    /// Where it is to lie.
    place: Place,
    /// Its content hash before.
    before: Option<String>,
}

impl Touched {
    /// The artifact of a row; nothing if it has an upstream, or no entry in the manifest.
    pub(in crate::app) fn of(manifest: &Manifest, row: &Summary, collection: &str) -> Option<Self> {
        let id = super::id_of(row);
        let entry = manifest.entries.iter().find(|entry| entry.id == id)?;
        let is_local = entry.origin.as_deref() == Some("local") && entry.upstream.is_none();
        is_local.then(|| Self {
            place: super::files::place_of(collection, row),
            before: row.content_hash.clone(),
            id,
        })
    }

    /// The same artifact under another name.
    pub(super) fn renamed(self, id: ArtifactId, place: Place) -> Self {
        Self { id, place, ..self }
    }
}

/// Drafts the hashes of these artifacts in the lock file, of those that were as the lock file says.
pub(in crate::app) fn relock(
    draft: &mut Draft<'_>,
    collection: &str,
    touched: &[Touched],
) -> Result<()> {
    if touched.is_empty() || !draft.exists(&Place::lock(collection))? {
        return Ok(());
    }
    let Ok(lock) = Lockfile::parse(&draft.lock(collection)?) else {
        return Ok(());
    };
    let now = draft.now().to_manifest();
    let mut entries: Vec<(ArtifactId, LockEntry)> = Vec::new();
    for one in touched {
        let Some(entry) = lock.entries.get(&one.id) else {
            continue;
        };
        if entry.content_hash.is_none() || entry.content_hash != one.before {
            // Somebody changed it before us: that stays visible.
            continue;
        }
        let hash = match draft.content_hash(&one.place) {
            Ok(hash) => hash,
            Err(error) if error.code == Code::FileChanged => return Err(error),
            Err(_) => None,
        };
        let Some(hash) = hash.filter(|hash| Some(hash) != one.before.as_ref()) else {
            continue;
        };
        // The ancestor may note the hash a second time.
        let is_hash = entry.resolved_sha == entry.content_hash;
        entries.push((
            one.id.clone(),
            LockEntry {
                resolved_sha: if is_hash {
                    Some(hash.clone())
                } else {
                    entry.resolved_sha.clone()
                },
                content_hash: Some(hash),
                fetched: Some(now.clone()),
                ..entry.clone()
            },
        ));
    }
    if entries.is_empty() {
        return Ok(());
    }
    draft.edit_lock(collection, &|text| edit::set_lock(text, &entries))
}
