//! Manifest and lock as they stand, compared with what was last taken over.

use std::path::Path;

use super::candidate::Entries;
use super::row::{CollectionState, ManifestPart};
use super::{Context, KnownCollection, Seen};
use crate::artifact::Problem;
use crate::collection::lockfile::Lockfile;
use crate::collection::manifest::Manifest;
use crate::collection::{LOCK, MANIFEST};
use crate::error::Result;
use crate::fs::read_bounded;

/// Largest manifest or lock that is read, bytes.
const MAX_MANIFEST: u64 = 64 * 1024 * 1024;

/// The manifest and lock as they stand, compared with what was last taken over.
pub(super) struct Look {
    pub(super) entries: Entries,
    pub(super) state: CollectionState,
    pub(super) problems: Vec<Problem>,
    pub(super) manifest: Option<Seen>,
    pub(super) lock: Option<Seen>,
    pub(super) part: Option<ManifestPart>,
    /// Nothing about the collection itself can have changed.
    pub(super) same: bool,
}

/// Looks at manifest and lock, and reads them if they are not what was taken over before, or are to be read `anew`.
pub(super) fn look_at_manifest(
    root: &Path,
    known: Option<&KnownCollection>,
    anew: bool,
    context: &Context<'_>,
) -> Look {
    let manifest_path = root.join(MANIFEST);
    let lock_path = root.join(LOCK);
    let now = context.clock.now();
    let manifest = Seen::of_file(&manifest_path, now);
    let lock = Seen::of_file(&lock_path, now);
    let is_same = |new: Option<Seen>, old: Option<Seen>| match (new, old) {
        (Some(new), Some(old)) => new.proves_unchanged_since(&old),
        (None, None) => true,
        _ => false,
    };
    if let Some(known) = known
        && !anew
        && matches!(
            (known.state, manifest),
            (CollectionState::Ok | CollectionState::Unreadable, Some(_))
                | (CollectionState::NoManifest, None)
        )
        && is_same(manifest, known.manifest)
        && is_same(lock, known.lock)
    {
        return Look {
            entries: Entries::Kept,
            state: known.state,
            problems: Vec::new(),
            manifest: known.manifest,
            lock: known.lock,
            part: None,
            same: true,
        };
    }
    let mut look = Look {
        entries: Entries::Kept,
        state: CollectionState::Broken,
        problems: Vec::new(),
        manifest,
        lock,
        part: None,
        same: false,
    };
    let has_rows = known.is_some_and(|known| known.manifest.is_some());
    if manifest.is_none() {
        look.state = CollectionState::NoManifest;
        look.problems.push(
            Problem::new("manifest.absent", "there is no collection.toml").at(MANIFEST, None),
        );
        // The entries of a manifest that was just there stay, until it is back or the cache is rebuilt. Where there is
        // none, there are no entries.
        look.manifest = known.and_then(|known| known.manifest);
        if known.is_some_and(|known| known.manifest.is_none()) {
            look.entries = Entries::Read(Box::default(), Lockfile::default());
        }
        return look;
    }
    // Large ones take as long as a good part of the files.
    let both = std::thread::scope(|scope| {
        let lock = lock.map(|_| scope.spawn(|| parse_lock(&lock_path)));
        let manifest = parse_manifest(&manifest_path);
        let lock = lock.map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        (manifest, lock.unwrap_or_else(|| Ok(Lockfile::default())))
    });
    match both {
        (Ok(manifest), Ok(lock)) => take_over(&mut look, manifest, lock, CollectionState::Ok),
        (Ok(manifest), Err(problem)) if !has_rows => {
            look.problems.push(problem);
            take_over(
                &mut look,
                manifest,
                Lockfile::default(),
                CollectionState::Broken,
            );
        }
        (Ok(_), Err(problem)) | (Err(problem), Ok(_)) => look.problems.push(problem),
        (Err(manifest), Err(lock)) => look.problems.extend([manifest, lock]),
    }
    look
}

fn take_over(look: &mut Look, manifest: Manifest, lock: Lockfile, state: CollectionState) {
    look.state = state;
    look.problems.extend(manifest.problems.iter().cloned());
    look.problems.extend(lock.problems.iter().cloned());
    look.part = Some(ManifestPart {
        header: manifest.header.clone(),
        unknown_keys: manifest.unknown_keys.clone(),
        groups: manifest.groups.clone(),
        tag_definitions: manifest.tag_definitions.clone(),
    });
    look.entries = Entries::Read(Box::new(manifest), lock);
}

fn read_text(path: &Path, name: &str) -> Result<String, Problem> {
    let bytes = read_bounded(path, MAX_MANIFEST)
        .map_err(|error| Problem::new("manifest.unreadable", error.message).at(name, None))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..good).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        Problem::new("manifest.invalid", "the file is not valid UTF-8")
            .at(name, u32::try_from(line).ok())
    })
}

fn parse_manifest(path: &Path) -> Result<Manifest, Problem> {
    let text = read_text(path, MANIFEST)?;
    Manifest::parse(&text).map_err(|error| {
        Problem::new("manifest.invalid", error.message).at(MANIFEST, Some(error.line))
    })
}

fn parse_lock(path: &Path) -> Result<Lockfile, Problem> {
    let text = read_text(path, LOCK)?;
    Lockfile::parse(&text)
        .map_err(|error| Problem::new("manifest.invalid", error.message).at(LOCK, Some(error.line)))
}
