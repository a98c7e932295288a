//! What other programs change: seen by the passes, kept here, so that it can be looked at and taken back.
//!
//! A thread of low priority. It first sees to artifacts whose last state is known and that changed: their new
//! state is kept, and the change is an operation of `external`. States that nobody has kept yet follow when
//! all texts are indexed and nobody asks for anything. It sleeps while no pass finds a change.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Transaction;
use skillmeat_shared::artifact::scan;
use skillmeat_shared::collection::{LOCK, MANIFEST, layout};
use skillmeat_shared::history::{self, Node};
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Result, failpoint, fs};

use super::past;
use super::place::Place;
use crate::app::App;
use crate::store::history::known;
use crate::store::history::operation::{self, NewOperation, State, TouchedPath};
use crate::store::{Store, collection, list, text};

/// How long passes must rest before what they found is kept. A burst of changes is one operation.
const SETTLE: Duration = Duration::from_millis(500);

/// How long nobody must have asked for anything before states are kept for the first time.
const QUIET: Duration = Duration::from_secs(1);

/// How long it rests at most before it looks again whether somebody asks.
const LONGEST: Duration = Duration::from_mins(1);

/// Artifacts that are kept at once; changes wait meanwhile.
const CHUNK: usize = 32;

/// How much nicer than others the thread is.
const NICE: i32 = 15;

/// Paths that an operation names.
const NAMED: usize = 3;

#[derive(Default)]
struct Waiting {
    /// Collections in which something changed, and since when to look.
    changed: BTreeMap<String, Timestamp>,
    is_stopping: bool,
}

/// Wakes the thread.
#[derive(Default)]
pub(in crate::app) struct Keeper {
    waiting: Mutex<Waiting>,
    woken: Condvar,
}

impl Keeper {
    fn set(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.woken.notify_all();
    }

    /// A pass that began then found changes.
    pub(in crate::app) fn note(&self, collection: &str, since: Timestamp) {
        self.set(|waiting| {
            let known = waiting
                .changed
                .entry(collection.to_owned())
                .or_insert(since);
            *known = (*known).min(since);
        });
    }

    /// Ends the thread.
    pub(in crate::app) fn stop(&self) {
        self.set(|waiting| waiting.is_stopping = true);
    }

    /// Waits for changes; `None` at the end.
    fn next(&self) -> Option<BTreeMap<String, Timestamp>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if waiting.is_stopping {
                return None;
            }
            if !waiting.changed.is_empty() {
                return Some(std::mem::take(&mut waiting.changed));
            }
            waiting = self
                .woken
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Rests; false at the end.
    fn rest(&self, pause: Duration) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (waiting, _) = self
            .woken
            .wait_timeout_while(waiting, pause, |waiting| !waiting.is_stopping)
            .unwrap_or_else(PoisonError::into_inner);
        !waiting.is_stopping
    }

    fn is_stopping(&self) -> bool {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_stopping
    }

    fn has_more(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_stopping || !waiting.changed.is_empty()
    }
}

/// What is known of the places of one collection.
struct Survey {
    root: PathBuf,
    /// Places whose known state may be an old one.
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
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(target: "history", "the keeper works like everybody else: {error}");
        }
        while let Some(changed) = self.keeper.next() {
            failpoint::hit("task.keeper").ok();
            loop {
                if !self.keeper.rest(SETTLE) {
                    return;
                }
                if !self.ingest.is_busy() {
                    break;
                }
            }
            for (name, since) in &changed {
                if let Err(error) = self.keep_changes(name, *since) {
                    tracing::warn!(target: "history", collection = name, "can't keep what changed: {error}");
                }
            }
            for name in changed.keys() {
                if let Err(error) = self.keep_first(name) {
                    tracing::warn!(target: "history", collection = name, "can't keep what is new: {error}");
                }
            }
        }
    }

    fn look_for_unkept(
        &self,
        store: &Store,
        name: &str,
        since: Timestamp,
    ) -> Result<Option<Survey>> {
        let views = store.read(collection::all)?;
        let Some(view) = views.into_iter().find(|view| view.name == name) else {
            return Ok(None);
        };
        let root = PathBuf::from(&view.path);
        if !root.join(MANIFEST).exists() {
            // A disk that is not mounted: nothing was changed.
            return Ok(None);
        }
        let rows = store.read(|connection| list::places(connection, view.row))?;
        let known = self
            .history
            .read(|connection| known::paths(connection, name))?;
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
        let mut there = HashSet::new();
        for (path, synced) in rows {
            if !known.contains(&path) {
                survey.unknown.push(path.clone());
            } else if synced >= since {
                survey.changed.push(path.clone());
            }
            there.insert(path);
        }
        let is_document = |path: &str| path == MANIFEST || path == LOCK;
        survey.changed.extend(
            known
                .into_iter()
                .filter(|path| !there.contains(path) && !is_document(path)),
        );
        survey.changed.sort();
        Ok(Some(survey))
    }

    /// Keeps the new states of what changed, and records the change.
    fn keep_changes(&self, name: &str, since: Timestamp) -> Result<()> {
        let store = self.store()?;
        let Some(survey) = self.look_for_unkept(&store, name, since)? else {
            return Ok(());
        };
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
        if touched.is_empty() {
            return Ok(());
        }
        let new = external(self, &touched);
        let id = batch.commit(|transaction| record(transaction, &new, &touched))?;
        tracing::info!(target: "history", id, collection = name, paths = touched.len(), "{}", new.what);
        Ok(())
    }

    /// Keeps states for the first time, some at a time, while nobody needs the machine.
    fn keep_first(&self, name: &str) -> Result<()> {
        let store = self.store()?;
        let Some(survey) = self.look_for_unkept(&store, name, Timestamp(i64::MAX))? else {
            return Ok(());
        };
        let mut waiting = survey.unknown;
        while !waiting.is_empty() {
            if !self.until_nobody_asks(&store)? {
                return Ok(());
            }
            let rest = waiting.split_off(waiting.len().min(CHUNK));
            let chunk = std::mem::replace(&mut waiting, rest);
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
        Ok(())
    }

    /// Waits until all texts are indexed and nobody asks for anything. False if something else is to be done
    /// first: the rest is found again then.
    fn until_nobody_asks(&self, store: &Store) -> Result<bool> {
        let mut pause = QUIET;
        loop {
            let is_quiet = self.quiet_for().is_some_and(|quiet| quiet >= QUIET);
            if is_quiet
                && store
                    .read(|connection| text::waiting(connection, 0, 1))?
                    .is_empty()
            {
                return Ok(!self.keeper.is_stopping());
            }
            if self.keeper.has_more() || !self.keeper.rest(pause) {
                return Ok(false);
            }
            pause = (pause * 2).min(LONGEST);
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

/// Where a place is; a document that is a link, where that leads.
fn on_disk(root: &Path, path: &str) -> Result<PathBuf> {
    let place = fs::join(root, Path::new(path))?;
    if path == MANIFEST || path == LOCK {
        fs::resolve(&place)
    } else {
        Ok(place)
    }
}

/// The operation by another program that changed these paths of one collection.
fn external(app: &App, touched: &[TouchedPath]) -> NewOperation {
    NewOperation {
        at: app.now(),
        actor: "external".to_owned(),
        verb: "files.changed".to_owned(),
        what: told(touched),
        undoes: None,
        detail: String::new(),
    }
}

/// Records what another program did, and that its outcome is known. The number of the operation.
fn record(
    transaction: &Transaction<'_>,
    new: &NewOperation,
    touched: &[TouchedPath],
) -> rusqlite::Result<i64> {
    let id = operation::begin(transaction, new, touched)?;
    operation::set_state(transaction, id, State::Done, new.at)?;
    for one in touched {
        known::set(transaction, &one.root, &one.path, one.after.as_ref())?;
    }
    Ok(id)
}

/// What another program changed and nobody has told yet, of the places that a change of ours is about to touch.
#[derive(Debug, Default)]
pub(super) struct Missed(Vec<(NewOperation, Vec<TouchedPath>)>);

impl Missed {
    /// Records it, before the change that comes next.
    pub(super) fn record(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        self.0
            .iter()
            .try_for_each(|(new, touched)| record(transaction, new, touched).map(drop))
    }
}

/// Looks for what was missed at these places.
pub(super) fn missed<'a>(
    app: &App,
    draft: &super::Draft<'_>,
    places: impl Iterator<Item = (&'a Place, &'a Path)>,
) -> Result<Missed> {
    let mut found: BTreeMap<String, BTreeMap<String, TouchedPath>> = BTreeMap::new();
    for (place, target) in places.filter(|(place, _)| !place.collection_name().is_empty()) {
        let name = place.collection_name();
        for (at, on_disk) in around(app, place, target)? {
            let before = app
                .history
                .read(|connection| known::get(connection, name, &at.path))?;
            let after = draft.past.capture(&on_disk)?;
            if before != after {
                found
                    .entry(name.to_owned())
                    .or_default()
                    .insert(at.path.clone(), past::touched(&at, before, after));
            }
        }
    }
    let missed = found.into_values().map(|touched| {
        let touched: Vec<TouchedPath> = touched.into_values().collect();
        (external(app, &touched), touched)
    });
    Ok(Missed(missed.collect()))
}

/// The known places that are this one, lie in it, or hold it; and where they are.
fn around(app: &App, place: &Place, target: &Path) -> Result<Vec<(Place, PathBuf)>> {
    let name = place.collection_name();
    let known = app
        .history
        .read(|connection| known::around(connection, name, &place.path))?;
    Ok(known
        .into_iter()
        .filter_map(|path| {
            let at = Place::collection(name, path);
            let on_disk = above_or_below(place, target, &at)?;
            Some((at, on_disk))
        })
        .collect())
}

/// The operation in words.
fn told(touched: &[TouchedPath]) -> String {
    let name = touched.first().map_or("", |one| one.root.as_str());
    let how = |one: &TouchedPath| match (&one.before, &one.after) {
        (None, _) => "made",
        (_, None) => "removed",
        _ => "changed",
    };
    let named: Vec<String> = touched
        .iter()
        .take(NAMED)
        .map(|one| format!("`{}` {}", one.path, how(one)))
        .collect();
    let more = touched.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more} in `{name}` by another program", named.join(", "))
}

/// The states of these paths that are known from now on, and those known ones that hold or lie in them.
pub(super) fn renewed(
    app: &App,
    draft: &super::Draft<'_>,
    touched: &[(Place, PathBuf, bool)],
) -> Result<Vec<(Place, Option<Node>)>> {
    let mut renewed: BTreeMap<Place, Option<Node>> = BTreeMap::new();
    for (place, target, _) in touched {
        let name = place.collection_name();
        if name.is_empty() {
            // A collection as a whole.
            let made = place.path.strip_prefix("collections/");
            if let Some(name) = made.filter(|name| !name.contains('/')) {
                for document in [MANIFEST, LOCK] {
                    let node = draft.past.capture(&target.join(document))?;
                    renewed.insert(Place::collection(name, document), node);
                }
            }
            continue;
        }
        let mut places = around(app, place, target)?;
        let is_whole = match layout::classify(Path::new(&place.path)) {
            layout::Place::Artifact(artifact) => artifact == place.path,
            layout::Place::Manifest | layout::Place::Lock => true,
            layout::Place::Container | layout::Place::Ignored => false,
        };
        if is_whole {
            places.push((place.clone(), target.clone()));
        }
        for (at, on_disk) in places {
            if let Entry::Vacant(vacant) = renewed.entry(at) {
                vacant.insert(draft.past.capture(&on_disk)?);
            }
        }
    }
    Ok(renewed.into_iter().collect())
}

fn above_or_below(place: &Place, target: &Path, other: &Place) -> Option<PathBuf> {
    if let Some(rest) = other.below(place) {
        return Some(if rest.is_empty() {
            target.to_path_buf()
        } else {
            target.join(rest)
        });
    }
    let rest = place.below(other)?;
    target
        .ancestors()
        .nth(rest.split('/').count())
        .map(Path::to_path_buf)
}
