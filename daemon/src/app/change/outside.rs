//! Changes by other programs as operations, and what is known of the states of places: what a change of ours is
//! about to touch is compared with it first, and what it wrote is known afterwards.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Transaction;
use skillmeat_shared::Result;
use skillmeat_shared::collection::layout::Found;
use skillmeat_shared::collection::{LOCK, MANIFEST, beside, layout, spelling};
use skillmeat_shared::history::{Node, tree};

use super::carry::{Way, carry_along, collection_at};
use super::owned::is_owned;
use super::past;
use super::place::Place;
use crate::app::App;
use crate::app::snapshots::{artifacts_in, artifacts_of};
use crate::store::history::operation::{self, NewOperation, State, TouchedPath};
use crate::store::history::{Batch, known};

/// Paths that an operation names.
const NAMED: usize = 3;

/// The operation by another program that changed these paths of one collection.
pub(super) fn external(app: &App, touched: &[TouchedPath]) -> NewOperation {
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
pub(super) fn record(
    transaction: &Transaction<'_>,
    new: &NewOperation,
    touched: &[TouchedPath],
) -> rusqlite::Result<i64> {
    let id = operation::begin(transaction, new, touched)?;
    operation::set_state(transaction, id, State::Done, new.at)?;
    carry_along(transaction, touched, Way::There)?;
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

/// Records what other programs did, with the states that were captured.
pub(super) fn told_of_others(draft: &mut super::Draft<'_>, touched: &[TouchedPath]) -> Result<()> {
    let new = external(draft.app, touched);
    draft
        .past
        .commit(|transaction| record(transaction, &new, touched).map(drop))
}

/// Looks for what was missed at these places.
pub(super) fn missed<'a>(
    app: &App,
    draft: &super::Draft<'_>,
    places: impl Iterator<Item = (&'a Place, &'a Path)>,
) -> Result<Missed> {
    let mut found: BTreeMap<String, Vec<TouchedPath>> = BTreeMap::new();
    let places: Vec<_> = places.collect();
    for name in places.iter().filter_map(|(place, _)| collection_at(place)) {
        let gone = deleted(app, name, &app.boot.home.collection(name), draft.objects())?;
        found.entry(String::new()).or_default().extend(gone);
    }
    if places.iter().any(|(place, _)| is_owned(place)) {
        let owned = app.owned_by_others(draft.objects())?;
        found.entry(String::new()).or_default().extend(owned);
    }
    found.retain(|_, touched| !touched.is_empty());
    for (at, (on_disk, before)) in around(app, places.into_iter())? {
        let after = match draft.believed.get(&at) {
            Some((now, _)) => now.clone(),
            None => draft.past.capture(&on_disk)?,
        };
        if before != after {
            found
                .entry(at.collection_name().to_owned())
                .or_default()
                .push(past::touched(&at, before, after));
        }
    }
    let missed = found
        .into_values()
        .map(|touched| (external(app, &touched), touched));
    Ok(Missed(missed.collect()))
}

/// A collection that another program deleted as a whole, with all that is known of it; `None` if it is there, or if
/// nothing is known of it. Where a disk is not mounted its folder stands, or the link to it does.
pub(super) fn deleted(
    app: &App,
    name: &str,
    folder: &Path,
    objects: &Batch<'_>,
) -> Result<Option<TouchedPath>> {
    let is_gone = |path: &Path| {
        let outer = path.parent().map(Path::metadata);
        outer.is_some_and(|outer| outer.is_ok_and(|outer| outer.is_dir()))
            && path
                .symlink_metadata()
                .is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    if app.reach.through(folder, is_gone) != Some(true) {
        return Ok(None);
    }
    let place = Place::collection_as_whole(name);
    let (left, known, modes) = app.history.read(|connection| {
        let left = operation::left_at(connection, "", &place.path, false)?;
        let modes = known::modes(connection, name)?;
        Ok((left, known::all(connection, name)?, modes))
    })?;
    if known.is_empty() {
        return Ok(None);
    }
    if let Some(Some(link @ Node::Link { .. })) = left {
        // What it leads to is not deleted.
        return Ok(Some(past::touched(&place, Some(link), None)));
    }
    let states = known
        .into_iter()
        .map(|(path, node)| (spelling::unspell(&path), node))
        .collect();
    let modes = modes
        .into_iter()
        .map(|(path, mode)| (path.into(), mode))
        .collect();
    let before = tree::keep_all(states, &modes, objects)?;
    Ok(Some(past::touched(&place, Some(before), None)))
}

/// The known places that are one of these, lie in it, or hold it; where they are, and their known states.
fn around<'a>(
    app: &App,
    places: impl Iterator<Item = (&'a Place, &'a Path)>,
) -> Result<BTreeMap<Place, (PathBuf, Option<Node>)>> {
    let places: Vec<_> = places
        .filter_map(|(place, target)| Some((place.in_collection()?, target)))
        .collect();
    app.history.read(|connection| {
        let mut all = BTreeMap::new();
        for (place, target) in &places {
            let name = place.collection_name();
            for path in known::around(connection, name, &place.path)? {
                let at = Place::collection(name, path);
                let on_disk = above_or_below(place, target, &at);
                // Many places may lie in one.
                if let (Some(on_disk), Entry::Vacant(vacant)) = (on_disk, all.entry(at)) {
                    let state = known::get(connection, name, &vacant.key().path)?;
                    vacant.insert((on_disk, state));
                }
            }
        }
        Ok(all)
    })
}

/// The operation in words.
fn told(touched: &[TouchedPath]) -> String {
    let name = touched.first().map_or("", |one| one.root.as_str());
    let how = |one: &TouchedPath| match (&one.before, &one.after) {
        (None, _) => "made",
        (_, None) => "removed",
        _ => "changed",
    };
    let whole = touched.first().map(past::place_of);
    if let Some(name) = whole.as_ref().and_then(collection_at) {
        return format!("the collection `{name}` deleted by another program");
    }
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
    let place = if name.is_empty() {
        String::new()
    } else {
        format!(" in `{name}`")
    };
    format!("{}{more}{place} by another program", named.join(", "))
}

/// The states of these paths that are known from now on, and those known ones that hold or lie in them.
pub(super) fn renewed(
    app: &App,
    draft: &super::Draft<'_>,
    touched: &[(Place, PathBuf, bool)],
) -> Result<Vec<(Place, Option<Node>)>> {
    let mut renewed: BTreeMap<Place, Option<Node>> = BTreeMap::new();
    let places = touched
        .iter()
        .map(|(place, target, _)| (place, target.as_path()));
    let known = around(app, places)?;
    let mut places: BTreeMap<Place, PathBuf> = known
        .into_iter()
        .map(|(at, (on_disk, _))| (at, on_disk))
        .collect();
    for (place, target, _) in touched {
        if let Some(name) = collection_at(place) {
            for document in [MANIFEST, LOCK] {
                let node = draft.past.capture(&target.join(document))?;
                renewed.insert(Place::collection(name, document), node);
            }
        }
        if is_owned(place) && !place.is_config() {
            renewed.insert(place.clone(), draft.past.capture(target)?);
        }
        let Some(place) = place.in_collection() else {
            continue;
        };
        let is_whole = match layout::classify(Path::new(&place.path)) {
            layout::Place::Artifact(artifact) => artifact == place.path,
            layout::Place::Manifest | layout::Place::Lock => true,
            layout::Place::Container => false,
            layout::Place::Ignored => {
                !target.is_dir() && beside::is_beside(Path::new(&place.path), false)
            }
        };
        if is_whole {
            places.entry(place).or_insert_with(|| target.clone());
        }
    }
    for (at, on_disk) in places {
        let node = match draft.believed.get(&at) {
            Some((_, then)) => then.clone(),
            None => draft.past.capture(&on_disk)?,
        };
        renewed.insert(at, node);
    }
    Ok(renewed.into_iter().collect())
}

/// The states of the artifacts that an operation brought with the collection, or with the folder of one, that they are
/// in: nothing was known of them, or that they are gone.
pub(super) fn came_as_a_whole(app: &App, id: i64) -> Result<Vec<(Place, Option<Node>)>> {
    let paths = app
        .history
        .read(|connection| operation::paths(connection, id))?;
    let mut all = Vec::new();
    for one in paths {
        let place = past::place_of(&one);
        let Some(node) = one.after else {
            continue;
        };
        let (name, artifacts) = match (collection_at(&place), place.in_collection()) {
            (Some(name), _) if one.before.is_none() => {
                (name.to_owned(), artifacts_in(&*app.history, &node)?)
            }
            (None, Some(inner)) => {
                let container = OsStr::new(&inner.path);
                let artifacts = artifacts_of(&*app.history, container, &node)?;
                (inner.collection_name().to_owned(), artifacts)
            }
            _ => continue,
        };
        let known =
            |(found, node): (Found, Node)| (Place::collection(&name, found.path), Some(node));
        all.extend(artifacts.into_iter().map(known));
    }
    Ok(all)
}

fn above_or_below(place: &Place, target: &Path, other: &Place) -> Option<PathBuf> {
    if let Some(rest) = other.below(place) {
        return Some(if rest.is_empty() {
            target.to_path_buf()
        } else {
            spelling::on_disk(target, rest)
        });
    }
    let rest = place.below(other)?;
    target
        .ancestors()
        .nth(rest.split('/').count())
        .map(Path::to_path_buf)
}
