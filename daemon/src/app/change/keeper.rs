//! What other programs change: seen by the passes, kept here, so that it can be looked at and taken back.
//!
//! A thread of low priority. It first sees to artifacts whose last state is known and that changed: their new
//! state is kept, and the change is an operation of `external`. States that nobody has kept yet follow when
//! all texts are indexed and nobody asks for anything. It sleeps while no pass finds a change.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use skillmeat_shared::artifact::{hash, scan};
use skillmeat_shared::collection::{LOCK, MANIFEST, beside, spelling};
use skillmeat_shared::history;
use skillmeat_shared::reconcile::KnownCollection;
use skillmeat_shared::thread::give_way;
use skillmeat_shared::{Code, Result, failpoint, fs};

use super::found::{Found, NOTHING, Waiting};
use super::modes;
use super::outside::{deleted, external, record};
use super::past;
use super::place::Place;
use crate::app::App;
use crate::store::history::operation::{self, TouchedPath};
use crate::store::history::{Batch, known};
use crate::store::{Store, collection, files, list, text};

/// How long passes must rest before what they found is kept. A burst of changes is one operation.
const SETTLE: Duration = Duration::from_millis(500);

/// How long nobody must have asked for anything before states are kept for the first time.
const QUIET: Duration = Duration::from_secs(1);

/// How long it waits for that. Under a load that never rests some are kept each time that this has passed: what was
/// never kept can't be had again once another program changes it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Artifacts that are kept at once; changes wait meanwhile.
const CHUNK: usize = 32;

/// How much nicer than others the thread is.
const NICE: i32 = 15;

/// What is known of the places of one collection.
struct Survey {
    root: PathBuf,
    /// Places whose known state may be an old one, also that nothing stands there.
    changed: Vec<String>,
    /// Places of which no state is known.
    unknown: Vec<String>,
}

impl App {
    /// The thread.
    pub(in crate::app) fn run_keeper(self: Arc<Self>) {
        if self.boot.home.is_read_only() {
            return;
        }
        give_way(NICE);
        let mut waits_since = None;
        // In which states may be left that are to be kept for the first time.
        let mut unkept = BTreeSet::new();
        drop(self.look_at_own_config());
        self.keeper.note_home();
        while let Some((changed, home)) = self.keeper.next() {
            failpoint::hit("task.keeper").ok();
            loop {
                self.keeper.rest(SETTLE, |waiting| waiting.is_stopping);
                if self.keeper.is_stopping() {
                    return;
                }
                if !self.ingest.is_busy() {
                    break;
                }
            }
            if home && let Err(error) = self.keep_owned() {
                tracing::warn!(target: "history", "can't keep what changed in the home: {error}");
            }
            for (name, found) in &changed {
                if let Err(error) = self.keep_changes(name, found) {
                    tracing::warn!(target: "history", collection = name, "can't keep what changed: {error}");
                }
            }
            unkept.extend(changed.into_keys());
            unkept.retain(|name| {
                self.keep_first(name, &mut waits_since).unwrap_or_else(|error| {
                    tracing::warn!(target: "history", collection = name, "can't keep what is new: {error}");
                    false
                })
            });
        }
    }

    /// Looks through a collection; `None` if it can't be told what stands there.
    fn look_for_unkept(
        &self,
        store: &Store,
        (name, row): (&str, &KnownCollection),
        wanted: &Found,
    ) -> Result<Option<Survey>> {
        let root = PathBuf::from(&row.path);
        let known = self
            .history
            .read(|connection| known::paths(connection, name))?;
        let still_known = known.clone();
        let look = move |root: &Path| {
            let stands = root.join(MANIFEST).exists()
                || still_known.iter().any(|path| {
                    let place = on_disk(root, path);
                    place.is_ok_and(|place| place.symlink_metadata().is_ok())
                });
            let folders = modes::seen(root);
            Some((files::identity(root)?, stands, beside::list(root), folders))
        };
        let Some(Some((folder, stands, beside, folders))) = self.reach.through(&root, look) else {
            return Ok(None);
        };
        if !stands {
            // Emptied, if it is the very folder that it was; else a disk is not mounted, and nothing was changed.
            let is_the_same = self.keeper.folders().get(name) == Some(&folder);
            return Ok(is_the_same.then_some(Survey {
                root,
                changed: known,
                unknown: Vec::new(),
            }));
        }
        self.keeper.folders().insert(name.to_owned(), folder);
        self.keep_modes(name, &folders)?;
        let rows = store.read(|connection| list::places(connection, row.row))?;
        let known: HashSet<String> = known.into_iter().collect();
        let mut survey = Survey {
            root,
            changed: Vec::new(),
            unknown: Vec::new(),
        };
        for document in [MANIFEST, LOCK] {
            if known.contains(document) {
                survey.changed.push(document.to_owned());
            } else {
                survey.unknown.push(document.to_owned());
            }
        }
        let (mut there, mut new) = (HashSet::new(), Vec::new());
        for (path, synced) in rows {
            let is_changed = synced >= wanted.since;
            if known.contains(&path) {
                survey.changed.extend(is_changed.then(|| path.clone()));
            } else {
                survey.unknown.push(path.clone());
                new.extend(is_changed.then(|| path.clone()));
            }
            there.insert(path);
        }
        for path in beside {
            if has_outer(&there, &path) {
                continue;
            }
            let on_disk = spelling::unspell(&path);
            let is_changed = on_disk.ancestors().any(|at| wanted.beside.contains(at));
            if known.contains(&path) {
                survey.changed.extend(is_changed.then(|| path.clone()));
            } else {
                survey.unknown.push(path.clone());
                new.extend(is_changed.then(|| path.clone()));
            }
            there.insert(path);
        }
        survey.changed.extend(self.removed_before(name, &new)?);
        let is_document = |path: &str| path == MANIFEST || path == LOCK;
        survey.changed.extend(
            known
                .into_iter()
                .filter(|path| !there.contains(path) && !is_document(path)),
        );
        survey.changed.sort();
        Ok(Some(survey))
    }

    /// Those of these places of which it is known that nothing stood there: an operation left them so.
    fn removed_before(&self, name: &str, places: &[String]) -> Result<Vec<String>> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        self.history.read(|connection| {
            let mut removed = Vec::new();
            for path in places {
                if operation::left_at(connection, name, path, false)? == Some(None) {
                    removed.push(path.clone());
                }
            }
            Ok(removed)
        })
    }

    /// Keeps the new states of what changed, and records the change.
    fn keep_changes(&self, name: &str, found: &Found) -> Result<()> {
        let store = self.store()?;
        let Some(row) = store.read(|connection| collection::known(connection, name))? else {
            return Ok(());
        };
        let Some(survey) = self.look_for_unkept(&store, (name, &row), found)? else {
            return self.keep_deleted(name, &row);
        };
        if !self.can_be_kept(&survey.root, &survey.changed) {
            return Ok(());
        }
        // Our own changes must not be under way.
        let _no_change = self.mutation.lock();
        let batch = self.history.batch();
        let mut touched: Vec<TouchedPath> = Vec::new();
        for path in survey.changed {
            if self.keeper.is_stopping() {
                return Ok(());
            }
            let before = self
                .history
                .read(|connection| known::get(connection, name, &path))?;
            let place = on_disk(&survey.root, &path)?;
            if self.is_too_large(&place) {
                continue;
            }
            let after = history::capture(&place, &batch)?.node;
            if before != after {
                touched.push(past::touched(&Place::collection(name, path), before, after));
            }
        }
        self.tell_of_others(batch, &touched)
    }

    /// Records that a collection of the home was deleted as a whole, if it was.
    fn keep_deleted(&self, name: &str, row: &KnownCollection) -> Result<()> {
        if row.external {
            return Ok(());
        }
        let _no_change = self.mutation.lock();
        let batch = self.history.batch();
        let deleted = deleted(self, name, Path::new(&row.path), &batch)?;
        let touched: Vec<TouchedPath> = deleted.into_iter().collect();
        self.tell_of_others(batch, &touched)
    }

    /// Records what others changed of the home's own files.
    fn keep_owned(&self) -> Result<()> {
        // Our own changes must not be under way.
        let _no_change = self.mutation.lock();
        let batch = self.history.batch();
        let touched = self.owned_by_others(&batch)?;
        self.tell_of_others(batch, &touched)?;
        self.keep_first_ratings()
    }

    /// Records what another program changed, if it was anything.
    fn tell_of_others(&self, batch: Batch<'_>, touched: &[TouchedPath]) -> Result<()> {
        if touched.is_empty() {
            return Ok(());
        }
        let new = external(self, touched);
        let id = batch.commit(|transaction| record(transaction, &new, touched))?;
        tracing::info!(target: "history", id, paths = touched.len(), "{}", new.what);
        Ok(())
    }

    /// Keeps states for the first time, some at a time, while nobody needs the machine. It waits for that since this
    /// moment. Whether some are left, as something else comes first.
    fn keep_first(&self, name: &str, waits_since: &mut Option<Instant>) -> Result<bool> {
        let store = self.store()?;
        let mut found = None;
        loop {
            if !self.until_nobody_asks(&store, waits_since)? {
                return Ok(true);
            }
            // Only now: it looks through all rows.
            let survey = match found.take() {
                Some(survey) => Some(survey),
                None => match store.read(|connection| collection::known(connection, name))? {
                    Some(row) => self.look_for_unkept(&store, (name, &row), &NOTHING)?,
                    None => None,
                },
            };
            let Some(mut survey) = survey.filter(|survey| !survey.unknown.is_empty()) else {
                break;
            };
            let rest = survey.unknown.split_off(survey.unknown.len().min(CHUNK));
            let chunk = std::mem::replace(&mut survey.unknown, rest);
            let survey = found.insert(survey);
            if !self.can_be_kept(&survey.root, &chunk) {
                return Ok(false);
            }
            let _no_change = self.mutation.lock();
            let batch = self.history.batch();
            let mut states = Vec::new();
            for path in chunk {
                let place = on_disk(&survey.root, &path)?;
                if self.is_too_large(&place) {
                    continue;
                }
                match history::capture(&place, &batch) {
                    Ok(captured) => states.extend(captured.node.map(|node| (path, node))),
                    // One that can't be read keeps none of the others from being kept.
                    Err(error) if error.code == Code::DiskFull => return Err(error),
                    Err(error) => tracing::debug!(target: "history", "not kept: {error}"),
                }
            }
            batch.commit(|transaction| {
                states
                    .iter()
                    .try_for_each(|(path, node)| known::set(transaction, name, path, Some(node)))
            })?;
            tracing::info!(target: "history", collection = name, places = states.len(), "kept for the first time");
        }
        *waits_since = None;
        Ok(false)
    }

    /// Whether places can be read to their ends: all changes wait while they are kept.
    fn can_be_kept(&self, root: &Path, places: &[String]) -> bool {
        let (boundary, places) = (root.to_owned(), places.to_owned());
        self.goes_well(root, move |beat| {
            for place in places {
                beat.tick();
                // What can't be read is told when it is kept.
                drop(hash::hash_path(
                    &spelling::on_disk(&boundary, &place),
                    &boundary,
                ));
            }
        })
    }

    /// Waits until all texts are indexed and nobody asks for anything, as long as it has patience. False if something
    /// else is to be done first.
    fn until_nobody_asks(&self, store: &Store, since: &mut Option<Instant>) -> Result<bool> {
        let give_up = *since.get_or_insert_with(Instant::now) + PATIENCE;
        loop {
            let is_over = Instant::now() >= give_up;
            // Before anything else: what was changed may soon be changed back.
            if !is_over && self.keeper.has_more() {
                return Ok(false);
            }
            let is_quiet = self.quiet_for().is_some_and(|quiet| quiet >= QUIET);
            if is_over
                || is_quiet
                    && store
                        .read(|connection| text::waiting(connection, 0, 1))?
                        .is_empty()
            {
                *since = None;
                return Ok(!self.keeper.is_stopping());
            }
            self.keeper.rest(QUIET, Waiting::has_more);
        }
    }

    /// Whether one of the files at a path is larger than those that are kept.
    fn is_too_large(&self, path: &Path) -> bool {
        let limit = self.config().config.history_max_file_mb << 20;
        match scan::scan(path, path) {
            Ok(scan) => scan.entries.iter().any(|entry| entry.size > limit),
            // Nothing stands there: that is small.
            Err(_) => false,
        }
    }
}

/// Whether a path is one of these, or lies in one.
fn has_outer(places: &HashSet<String>, path: &str) -> bool {
    std::iter::successors(Some(path), |inner| Some(inner.rsplit_once('/')?.0))
        .any(|outer| places.contains(outer))
}

/// Where a place is; a document that is a link, where that leads.
fn on_disk(root: &Path, path: &str) -> Result<PathBuf> {
    let place = fs::join(root, &spelling::unspell(path))?;
    if path == MANIFEST || path == LOCK {
        fs::resolve(&place)
    } else {
        Ok(place)
    }
}
