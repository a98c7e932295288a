//! The states that a change takes from the disk and gives back to it, kept in the history.

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::Transaction;
use skillmeat_shared::Result;
use skillmeat_shared::fs::FileHash;
use skillmeat_shared::history::{self, Keep, Node, Objects, restore};

use super::Asked;
use super::carry::{Way, carry_along};
use super::outside::Missed;
use super::place::Place;
use crate::app::App;
use crate::store::history::known;
use crate::store::history::operation::{self, NewOperation, State, TouchedPath};
use crate::store::history::{Batch, History};

/// Bytes of the largest document whose entries are undone.
pub(super) const MAX_DOCUMENT: u64 = 64 * 1024 * 1024;

/// What is recorded with an operation.
pub(in crate::app) type Along = Box<dyn Fn(&Transaction<'_>) -> rusqlite::Result<()>>;

/// Keeps the states of one change.
pub(super) struct Past<'a> {
    history: &'a History,
    batch: Batch<'a>,
    /// What was made and may not be on the disk yet.
    restored: RefCell<Vec<PathBuf>>,
    along: Option<Along>,
    /// From then on files may have changed.
    is_recorded: bool,
}

impl<'a> Past<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        Self {
            history,
            batch: history.batch(),
            restored: RefCell::default(),
            along: None,
            is_recorded: false,
        }
    }

    /// Keeps the state of a path; nothing if nothing stands there.
    pub(super) fn capture(&self, path: &Path) -> Result<Option<Node>> {
        history::capture(path, &self.batch).map(|captured| captured.node)
    }

    /// Keeps some bytes, as the state of a file.
    pub(super) fn keep(&self, bytes: &[u8], mode: u16) -> Result<Node> {
        Ok(Node::File {
            mode,
            size: bytes.len() as u64,
            hash: history::object::put(&self.batch, bytes)?,
        })
    }

    /// The bytes of a document of the past.
    pub(super) fn bytes(&self, hash: &FileHash) -> Result<Vec<u8>> {
        history::object::get(&self.batch, hash, MAX_DOCUMENT)
    }

    /// Has a state stand at a path where nothing stands; whether it is that very state. It may not be on the disk yet:
    /// see [`unflushed`](Self::unflushed).
    pub(super) fn restore(&self, node: &Node, path: &Path) -> Result<bool> {
        let is_exact = restore::restore(node, &self.batch, path)?;
        self.made(path);
        Ok(is_exact)
    }

    /// Something was made that is to be flushed.
    pub(super) fn made(&self, path: &Path) {
        self.restored.borrow_mut().push(path.to_path_buf());
    }

    /// Whether it was tried to record an operation.
    pub(super) const fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// The objects of this change, and all others.
    pub(super) const fn batch(&self) -> &Batch<'a> {
        &self.batch
    }

    /// Has something else recorded with the operation.
    pub(super) fn record_along(&mut self, along: Along) {
        self.along = Some(along);
    }

    /// What was made and may not be on the disk yet: who asks sees to it.
    pub(super) fn unflushed(&self) -> Vec<PathBuf> {
        self.restored.take()
    }

    /// Records an operation together with the states that it was given. From here on it is finished or rolled
    /// back, whatever happens. Its number.
    pub(super) fn record(
        &mut self,
        asked: &Asked,
        app: &App,
        paths: &[TouchedPath],
        missed: &Missed,
    ) -> Result<i64> {
        let new = NewOperation {
            at: app.now(),
            actor: asked.actor.as_str().to_owned(),
            verb: asked.verb.to_owned(),
            what: asked.what.clone(),
            undoes: asked.undoes,
            detail: String::new(),
        };
        let along = self.along.take();
        self.is_recorded = true;
        self.commit(|transaction| {
            along.map_or(Ok(()), |along| along(transaction))?;
            missed.record(transaction)?;
            operation::begin(transaction, &new, paths)
        })
    }

    /// Keeps the states that were captured, together with what `work` writes.
    pub(super) fn commit<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let full = std::mem::replace(&mut self.batch, self.history.batch());
        full.commit(work)
    }

    /// Notes how an operation ended. What it undoes is undone with it, and done again if it undid that.
    pub(super) fn close(&mut self, id: i64, state: State, app: &App) -> Result<()> {
        self.finish(id, state, app, &[])
    }

    /// As [`close`](Self::close), together with the states that are known from now on: what we wrote is no
    /// change by others.
    pub(super) fn finish(
        &mut self,
        id: i64,
        state: State,
        app: &App,
        renewed: &[(Place, Option<Node>)],
    ) -> Result<()> {
        let now = app.now();
        self.commit(|transaction| {
            let stood = operation::get(transaction, id)?.map(|one| one.state);
            operation::set_state(transaction, id, state, now)?;
            let paths = operation::paths(transaction, id)?;
            match (stood, state) {
                (Some(State::Done), State::Done) => {}
                (_, State::Done) => carry_along(transaction, &paths, Way::There)?,
                (Some(State::Done), _) => carry_along(transaction, &paths, Way::Back)?,
                _ => {}
            }
            for (place, node) in renewed {
                known::set(
                    transaction,
                    place.collection_name(),
                    &place.path,
                    node.as_ref(),
                )?;
            }
            let undone = operation::get(transaction, id)?.and_then(|one| one.undoes);
            match undone
                .map(|undone| operation::get(transaction, undone))
                .transpose()?
            {
                Some(Some(undone)) if state == State::Done => {
                    operation::set_state(transaction, undone.id, State::Undone, now)?;
                    match undone.undoes {
                        Some(first) => operation::set_state(transaction, first, State::Done, now),
                        None => Ok(()),
                    }
                }
                // It was noted as done, and the news of that was lost.
                Some(Some(undone)) if stood == Some(State::Done) => {
                    operation::set_state(transaction, undone.id, State::Done, now)?;
                    match undone.undoes {
                        Some(first) => operation::set_state(transaction, first, State::Undone, now),
                        None => Ok(()),
                    }
                }
                _ => Ok(()),
            }
        })
    }
}

/// The state of a path, of which nothing is kept.
pub(super) fn state_of(path: &Path) -> Result<Option<Node>> {
    history::capture(path, &Nowhere).map(|captured| captured.node)
}

/// As the history names a place.
pub(super) fn touched(place: &Place, before: Option<Node>, after: Option<Node>) -> TouchedPath {
    TouchedPath {
        root: place.collection_name().to_owned(),
        path: place.path.clone(),
        before,
        after,
    }
}

/// The place that the history names so.
pub(super) fn place_of(touched: &TouchedPath) -> Place {
    if touched.root.is_empty() {
        Place::home(&touched.path)
    } else {
        Place::collection(&touched.root, &touched.path)
    }
}

/// For states that are compared and not kept.
struct Nowhere;

impl Objects for Nowhere {
    fn has(&self, _: &FileHash) -> Result<bool> {
        Ok(true)
    }

    fn copy_to(&self, hash: &FileHash, _: &mut dyn Write) -> Result<()> {
        Err(history::object::missing(hash))
    }
}

impl Keep for Nowhere {
    fn put(&self, _: &FileHash, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn put_list(&self, _: &FileHash, _: u64, _: &[FileHash]) -> Result<()> {
        Ok(())
    }
}
