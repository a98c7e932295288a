//! A draft of what is to stand on disk: use-cases write into it, and read from it what they wrote.
//!
//! Invariants: nothing that stands in its place is touched before the draft is applied; what the draft's
//! author read must still be so then; a draft of a dry run writes nothing anywhere.

mod hash;
mod on_disk;
mod ratings;
mod thing;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::Problem;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::collection::{MANIFEST, edit, lockfile};
use skillmeat_shared::fs::FileHash;
use skillmeat_shared::history::Node;
use skillmeat_shared::reconcile::Scope;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Error, Result};

use super::past::{Along, Past};
use super::place::{Place, Root, is_there};
use super::{Caller, Progress, Step};
use thing::{bytes_of, inside};

use crate::app::ingest::OWN_WRITE;
use crate::app::{App, collections};
use crate::store::collection as rows;
use crate::store::history::Batch;
use crate::store::list::{self, Existing};
pub(in crate::app) use ratings::unless_unreadable;
pub(in crate::app) use thing::Source;
pub(super) use thing::{After, Before};
pub(in crate::app) use whole::Turn;

/// What the draft says of one place.
#[derive(Debug)]
pub(super) struct Touch {
    pub(super) before: Before,
    /// Nothing: it was only read.
    pub(super) after: Option<After>,
}

/// A draft of what is to stand on disk afterwards. Reads through it see what was drafted; what was read is
/// compared again when it is applied.
pub(in crate::app) struct Draft<'a> {
    pub(super) app: &'a App,
    is_dry: bool,
    pub(in crate::app) progress: Progress<'a>,
    pub(super) past: Past<'a>,
    roots: BTreeMap<String, PathBuf>,
    pub(super) touches: BTreeMap<Place, Touch>,
    /// Places whose files lie elsewhere, behind links: their rows change with those files.
    pub(super) linked: BTreeSet<Place>,
    /// Modes of documents that are to be other ones.
    pub(super) modes: BTreeMap<Place, u16>,
    /// Folders of collections that were found to lie in them, and whether a link is on the way.
    pub(super) inside: BTreeMap<(String, String), bool>,
    /// Folders that were made to have something beside a place.
    pub(super) made: Vec<PathBuf>,
    /// States of places before the draft and after it, where these need not be looked at.
    pub(super) believed: BTreeMap<Place, (Option<Node>, Option<Node>)>,
    /// What the copies leave out of what they are copies of.
    left_out: BTreeMap<Place, Vec<Problem>>,
    /// Why what was drafted may be a part of what was meant.
    broken: Option<Error>,
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // What is staged lies in the folders.
        self.touches.clear();
        skillmeat_shared::fs::remove_folders(&self.made);
    }
}

impl<'a> Draft<'a> {
    pub(super) fn new(app: &'a App, is_dry: bool, caller: &'a dyn Caller) -> Self {
        Self {
            app,
            is_dry,
            progress: Progress::new(caller),
            past: Past::new(&app.history),
            roots: BTreeMap::new(),
            touches: BTreeMap::new(),
            linked: BTreeSet::new(),
            modes: BTreeMap::new(),
            inside: BTreeMap::new(),
            made: Vec::new(),
            believed: BTreeMap::new(),
            left_out: BTreeMap::new(),
            broken: None,
        }
    }

    /// Whether all is drafted that was meant: what the disk refused in the middle of one thing spoils the whole,
    /// also where a plan goes on with the next thing.
    pub(super) fn is_whole(&mut self) -> Result<()> {
        self.broken.take().map_or(Ok(()), Err)
    }

    fn noting<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome
            && matches!(
                error.code,
                Code::DiskFull | Code::FileIo | Code::HistoryUnavailable
            )
        {
            self.broken.get_or_insert_with(|| error.clone());
        }
        outcome
    }

    /// The time now.
    pub(in crate::app) fn now(&self) -> Timestamp {
        self.app.now()
    }

    /// Objects that are recorded with the operation, and all that are kept.
    pub(in crate::app) const fn objects(&self) -> &Batch<'a> {
        self.past.batch()
    }

    /// Has something else recorded in the transaction that records the operation.
    pub(in crate::app) fn record_along(&mut self, along: Along) {
        self.past.record_along(along);
    }

    /// The artifacts of a collection, after making sure that the rows are those of the files as they are.
    pub(in crate::app) fn existing(&mut self, collection: &str) -> Result<Vec<Existing>> {
        let store = self.app.store()?;
        if !self.app.is_verified(collection) {
            // The rows are still to come, or those of the process before us: files may have changed since.
            // Of a folder that can't be read they stay as they were: nothing can be written there either.
            self.app.ingest.run(collection, Scope::WHOLE, OWN_WRITE)?;
        }
        let asked = self.app.asked(&store, collection, false)?;
        let Some((row, _)) = asked.first().cloned() else {
            return Err(collections::not_found(collection));
        };
        store.read(|connection| list::existing(connection, row))
    }

    /// The manifest's text as drafted so far; that of a new manifest if there is none.
    ///
    /// # Errors
    /// [`Code::ManifestInvalid`] if it is not UTF-8 or no manifest.
    pub(in crate::app) fn manifest(&mut self, collection: &str) -> Result<String> {
        self.parsed(collection).map(|(text, _)| text)
    }

    /// The same, with what it says.
    ///
    /// # Errors
    /// As [`manifest`](Self::manifest).
    pub(in crate::app) fn parsed(&mut self, collection: &str) -> Result<(String, Manifest)> {
        let place = Place::manifest(collection);
        let text = match self.text(&place)? {
            Some(text) => text,
            None => self.new_manifest(collection, &place)?,
        };
        match Manifest::parse(&text) {
            Ok(manifest) => Ok((text, manifest)),
            Err(error) => {
                let message = format!(
                    "the manifest of `{collection}` can't be read: {}",
                    error.message
                );
                Err(Error::new(Code::ManifestInvalid, message)
                    .at(self.on_disk(&place)?, Some(error.line))
                    .hint("mend the file, then try again; nothing was changed"))
            }
        }
    }

    /// The text of the first manifest of a collection. One that was there and is gone is not written anew: all that it
    /// said would be lost.
    pub(in crate::app) fn new_manifest(
        &mut self,
        collection: &str,
        place: &Place,
    ) -> Result<String> {
        let store = self.app.store()?;
        if store.read(|connection| rows::has_entries(connection, collection))? {
            let message = format!("the manifest of `{collection}` is gone");
            return Err(Error::new(Code::ManifestInvalid, message)
                .at(self.on_disk(place)?, None)
                .hint("bring the file back: `sm log` names its removal, `sm undo NUMBER` takes that back")
                .hint("or have it forgotten with `sm cache clear`: a new one begins without its entries"));
        }
        Ok(edit::render_new(collection, self.app.now()))
    }

    /// Changes the manifest's text.
    pub(in crate::app) fn edit_manifest(
        &mut self,
        collection: &str,
        edit: &dyn Fn(&str) -> Result<String>,
    ) -> Result<()> {
        let text = self.manifest(collection)?;
        let place = Place::manifest(collection);
        let edited = self.edited(&place, &text, edit)?;
        self.write(&place, edited.into_bytes())
    }

    /// The lock file's text as drafted so far; that of a new one if there is none.
    pub(in crate::app) fn lock(&mut self, collection: &str) -> Result<String> {
        let text = self.text(&Place::lock(collection))?;
        Ok(text.unwrap_or_else(|| lockfile::render_new().to_owned()))
    }

    /// Changes the lock file's text.
    pub(in crate::app) fn edit_lock(
        &mut self,
        collection: &str,
        edit: &dyn Fn(&str) -> Result<String>,
    ) -> Result<()> {
        let text = self.lock(collection)?;
        let place = Place::lock(collection);
        let edited = self.edited(&place, &text, edit)?;
        self.write(&place, edited.into_bytes())
    }

    fn edited(
        &mut self,
        place: &Place,
        text: &str,
        edit: &dyn Fn(&str) -> Result<String>,
    ) -> Result<String> {
        let path = self.on_disk(place)?;
        edit(text).map_err(|error| {
            let line = error.line;
            error.at(path, line)
        })
    }

    /// The text of a file as drafted so far.
    ///
    /// # Errors
    /// [`Code::ManifestInvalid`] if it is not UTF-8.
    pub(in crate::app) fn text(&mut self, place: &Place) -> Result<Option<String>> {
        let Some(bytes) = self.read(place)? else {
            return Ok(None);
        };
        let path = self.on_disk(place)?;
        String::from_utf8(bytes).map(Some).map_err(|_| {
            let message = format!("`{}` is not UTF-8", path.display());
            Error::new(Code::ManifestInvalid, message)
                .at(path, None)
                .hint("mend the file, then try again")
        })
    }

    /// The bytes of a file as drafted so far; nothing if there is none.
    pub(in crate::app) fn read(&mut self, place: &Place) -> Result<Option<Vec<u8>>> {
        let real = self.real(place)?;
        self.read_real(&real)
    }

    /// Whether something else than what stands at a place is drafted for it.
    pub(in crate::app) fn is_drafted(&mut self, place: &Place) -> Result<bool> {
        let real = self.real(place)?;
        Ok(self.outer(&real).is_some())
    }

    fn read_real(&mut self, place: &Place) -> Result<Option<Vec<u8>>> {
        match self.touch_over(place) {
            Some((After::Absent, _)) => return Ok(None),
            Some((After::Bytes(bytes), rest)) => {
                return Ok(rest.is_empty().then(|| bytes.clone()));
            }
            Some((After::Thing(thing), rest)) => return thing.read(&rest),
            None => {}
        }
        let path = self.on_disk(place)?;
        let bytes = bytes_of(&path)?;
        let found = bytes
            .as_ref()
            .map_or(Before::Absent, |bytes| Before::Content(FileHash::of(bytes)));
        match self.touches.get(place) {
            // It was read before: what was believed first must hold.
            Some(touch) if touch.before != found => return Err(changed(&path)),
            Some(_) => {}
            None => {
                let touch = Touch {
                    before: found,
                    after: None,
                };
                self.touches.insert(place.clone(), touch);
            }
        }
        Ok(bytes)
    }

    /// Where the content of a place can be read as drafted so far: a file or folder.
    ///
    /// # Errors
    /// [`Code::FileNotFound`] if nothing is to stand there.
    pub(in crate::app) fn content(&mut self, place: &Place) -> Result<PathBuf> {
        let path = self.on_disk(place)?;
        let missing = || {
            let message = format!("there is no `{}`", path.display());
            Error::new(Code::FileNotFound, message).at(&path, None)
        };
        match self.touch_over(place) {
            Some((After::Absent, _)) => Err(missing()),
            Some((After::Bytes(_), _)) | None => Ok(path),
            Some((After::Thing(thing), rest)) => {
                let content = thing.content().ok_or_else(missing)?;
                Ok(inside(content, &rest))
            }
        }
    }

    /// Whether something stands at a place, as drafted so far. It is an error if nobody can tell.
    pub(in crate::app) fn exists(&mut self, place: &Place) -> Result<bool> {
        let path = self.on_disk(place)?;
        Ok(match self.touch_over(place) {
            Some((After::Absent, _)) => false,
            Some((After::Bytes(_), rest)) => rest.is_empty(),
            Some((After::Thing(thing), rest)) => match thing.below.get(&rest) {
                Some(drafted) => drafted.is_some(),
                None => match thing.content() {
                    _ if rest.is_empty() => true,
                    Some(content) => is_there(&inside(content, &rest))?,
                    None => false,
                },
            },
            None => is_there(&path)?,
        })
    }

    /// What is drafted for a place or a folder that it lies in, and the rest of the path in there.
    fn touch_over(&self, place: &Place) -> Option<(&After, String)> {
        let outer = self.outer(place)?;
        let rest = place.below(&outer)?.to_owned();
        let after = self.touches.get(&outer)?.after.as_ref()?;
        Some((after, rest))
    }

    fn outer(&self, place: &Place) -> Option<Place> {
        let is_drafted = |outer: &Place| {
            let touch = self.touches.get(outer);
            touch.is_some_and(|touch| touch.after.is_some())
        };
        place.and_outer().find(is_drafted)
    }

    /// Drafts a file's bytes. An existing file keeps its mode.
    pub(in crate::app) fn write(&mut self, place: &Place, bytes: Vec<u8>) -> Result<()> {
        let outcome = self.write_file(place, bytes);
        self.noting(outcome)
    }

    fn write_file(&mut self, named: &Place, bytes: Vec<u8>) -> Result<()> {
        let place = &self.real(named)?;
        if place != named {
            self.linked.insert(named.clone());
        }
        if let Some(outer) = self.outer(place) {
            let rest = place.below(&outer).unwrap_or_default().to_owned();
            let path = self.on_disk(place)?;
            return match self.touches.get_mut(&outer).and_then(|t| t.after.as_mut()) {
                Some(After::Thing(thing)) => thing.write(&rest, bytes),
                Some(after) if rest.is_empty() => {
                    *after = After::Bytes(bytes);
                    Ok(())
                }
                _ => Err(no_folder(&path)),
            };
        }
        let is_same = self.read_real(place)?.as_deref() == Some(bytes.as_slice());
        if let Some(touch) = self.touches.get_mut(place).filter(|_| !is_same) {
            touch.after = Some(After::Bytes(bytes));
        }
        Ok(())
    }

    /// Drafts another mode of a document, with the bytes that are drafted for it or that it has.
    pub(in crate::app) fn set_mode(&mut self, place: &Place, mode: u16) -> Result<()> {
        let Some(bytes) = self.read(place)? else {
            return Ok(());
        };
        if let Some(touch) = self.touches.get_mut(place) {
            touch.after.get_or_insert(After::Bytes(bytes));
            self.modes.insert(place.clone(), mode);
        }
        Ok(())
    }

    /// Whether what was read at a place is so until now.
    pub(super) fn check(&mut self, place: &Place) -> Result<()> {
        let path = self.on_disk(place)?;
        let holds = match self.touches.get(place).map(|touch| &touch.before) {
            Some(Before::Absent) => std::fs::symlink_metadata(&path).is_err(),
            Some(Before::Content(hash)) => {
                bytes_of(&path)?.is_some_and(|bytes| FileHash::of(&bytes) == *hash)
            }
            Some(Before::Thing(_)) | None => true,
        };
        if holds { Ok(()) } else { Err(changed(&path)) }
    }

    /// What applying the draft does to files, in order of places.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.touches
            .iter()
            .filter_map(|(place, touch)| {
                let action = match (&touch.before, touch.after.as_ref()?) {
                    (_, After::Absent) => "remove",
                    (Before::Absent, _) => "create",
                    (_, After::Bytes(_)) => "edit",
                    (_, After::Thing(_)) => "replace",
                };
                Some(Step {
                    action,
                    collection: place.collection_name().to_owned(),
                    path: place.path.clone(),
                })
            })
            .collect()
    }
}

pub(super) fn changed(path: &Path) -> Error {
    let message = format!(
        "`{}` was changed by somebody else meanwhile",
        path.display()
    );
    Error::new(Code::FileChanged, message)
        .hint("run the command again: nothing was written")
        .at(path, None)
}

/// The name of the manifest, for those who look at places.
pub(super) fn is_manifest(place: &Place) -> bool {
    place.root != Root::Home && place.path == MANIFEST
}

fn no_folder(path: &Path) -> Error {
    let message = format!("`{}` does not lie in a folder", path.display());
    Error::new(Code::FileExists, message).at(path, None)
}
