//! What goes wrong with the cache while it is in use, and what is done about it.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use skillmeat_shared::fs::atomic::TEMP_PREFIX;
use skillmeat_shared::health::DISK_FULL;
use skillmeat_shared::reconcile::{Scope, Target};
use skillmeat_shared::thread::give_way;
use skillmeat_shared::{Code, Error, Result};

use super::pass::Pass;
use super::queue::Change;
use super::{App, REOPEN, RowsState};
use crate::lifecycle::Policy;
use crate::store::{Store, meta, migrate};

/// The longest pause before a pass that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// When to try again what failed for want of room, or else.
pub(in crate::app) const AGAIN: Duration = Duration::from_secs(3);

/// How often and after which pauses a database is opened again before it counts as one that can't be.
const TRIES: u32 = 3;
const SOON: Duration = Duration::from_millis(100);

/// How much nicer than others the comparison of pages is.
const NICE: i32 = 10;

/// Free bytes below which a disk counts as full, once it was.
const ROOM: u64 = 16 * 1024 * 1024;

/// Whether there is room on the disk of a folder. What is free there may be more than a quota lets this user
/// have, so some is taken and given back.
fn has_room(folder: &Path) -> bool {
    let free = rustix::fs::statvfs(folder)
        .map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize));
    free >= ROOM && can_take(folder, ROOM)
}

/// Whether the disk lets us have a file of so many bytes. Leaves none.
fn can_take(folder: &Path, bytes: u64) -> bool {
    let path = folder.join(format!("{TEMP_PREFIX}room-{}", std::process::id()));
    // One of a daemon that ended between the two next lines and had the same number.
    drop(std::fs::remove_file(&path));
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    drop(std::fs::remove_file(&path));
    let taken = made.map(|file| fallocate(&file, FallocateFlags::empty(), 0, bytes));
    // A disk that takes no such wishes is believed.
    !matches!(taken, Err(_) | Ok(Err(Errno::NOSPC | Errno::DQUOT)))
}

impl App {
    /// Tells everybody that the cache can't be opened, and why.
    pub(in crate::app) fn cannot_open(&self, error: Error) {
        if self.gate.failure().as_ref() != Some(&error) {
            tracing::error!(target: "store", "{error}");
        }
        self.tell_room(error.code == Code::DiskFull);
        self.gate.fail(error);
        self.set_rows(RowsState::Failed);
    }

    /// A pass that failed is tried again by itself: nobody may notice what it should have found.
    pub(super) fn pass_failed(
        &self,
        collection: &str,
        scope: Scope,
        (looks, tries): (usize, u32),
        error: &Error,
    ) {
        if tries == 0 {
            tracing::error!(target: "ingest", collection, "pass failed: {error}");
        } else {
            tracing::debug!(target: "ingest", collection, tries, "pass failed again: {error}");
        }
        {
            let mut table = self
                .freshness
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            table.building.remove(collection);
            table.failing.insert(collection.to_owned(), error.clone());
        }
        self.boot.health.stir();
        let again = Pass {
            looks,
            tries: tries.saturating_add(1),
            ..Pass::new(collection, scope, "retry")
        };
        let pause = Duration::from_secs(1 << tries.min(6)).min(LONGEST_PAUSE);
        self.ingest.later(again, pause);
    }

    /// What failed is mended. A pass over some paths says nothing about the others, unless it is the one
    /// that had failed.
    pub(super) fn pass_went_well(&self, collection: &str) {
        let mut table = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let was_failing = table.failing.remove(collection).is_some();
        drop(table);
        if was_failing {
            tracing::info!(target: "ingest", collection, "it can be compared with its files again");
            self.boot.health.stir();
        }
    }

    /// Notices that the cache was deleted under a running daemon or turned out to be damaged, and builds it
    /// anew; notices that the disk is full, and that it no longer is.
    pub(super) fn check_store(&self, store: &Arc<Store>, targets: &mut HashMap<String, Target>) {
        let why = if store.is_gone() {
            Some("the cache's file is gone")
        } else if store.is_damaged() {
            Some("the cache is damaged")
        } else {
            None
        };
        if let Some(why) = why {
            // At the place of a home that was moved it would be another daemon's.
            if self.boot.tenure.check().is_err() {
                return;
            }
            tracing::warn!(target: "store", "{why}; it is built anew");
            if let Err(error) = self.rebuild(store, targets) {
                tracing::error!(target: "store", "can't build the cache anew: {error}");
                self.tell_room(error.code == Code::DiskFull);
                return;
            }
        }
        self.look_for_room(store);
    }

    /// Has a database that was not closed in order compared with the sums of its pages, if need be.
    pub(super) fn prove(&self, store: &Arc<Store>) {
        if !store.is_unproven() {
            return;
        }
        let store = Arc::clone(store);
        let work = move || {
            give_way(NICE);
            store.prove();
        };
        self.boot
            .supervisor
            .spawn_thread("proof", Policy::Background, work);
    }

    fn look_for_room(&self, store: &Store) {
        if store.is_full() && store.path().parent().is_some_and(has_room) {
            let now = self.now().nanos().to_string();
            if store.write(move |t| meta::set(t, meta::ROOM, &now)).is_ok() {
                tracing::info!(target: "store", "there is room on the disk again");
                store.found_room();
            }
        }
        let is_full = store.is_full();
        self.tell_room(is_full);
        if is_full {
            self.ingest.look_at_cache_in(AGAIN);
        } else if self.indexer.has_failed() {
            self.indexer.wake();
        }
    }

    fn tell_room(&self, is_full: bool) {
        let health = &self.boot.health;
        if is_full {
            let place = self.cache_place().database;
            let folder = place.parent().unwrap_or(&place).display().to_string();
            health.raise(
                &DISK_FULL,
                "",
                format!(
                    "the disk that holds `{folder}` is full: the cache keeps the rows that it has"
                ),
                vec![
                    "make room on that disk; what changed meanwhile is then taken over by itself"
                        .to_owned(),
                ],
            );
        } else {
            health.clear(&DISK_FULL, "");
        }
    }

    /// Does something to the database as a whole, between passes. False at the end of the process.
    pub(super) fn change_store(
        &self,
        store: &Arc<Store>,
        targets: &mut HashMap<String, Target>,
        change: Change,
        waiter: &SyncSender<Result<()>>,
    ) -> bool {
        let result = match change {
            Change::Restore(fresh) => {
                self.forget_freshness();
                self.set_rows(RowsState::Building);
                self.ingest.disown(None);
                store.restore(&fresh)
            }
            Change::Down(version) => {
                self.ingest.disown(None);
                // It is closed for good then: nobody would compare it later.
                store.prove();
                store.close_file();
                match migrate::move_file(store.path(), version) {
                    Ok(()) => {
                        self.cannot_open(taken_down(version));
                        // Who asked may have given up.
                        drop(waiter.send(Ok(())));
                        // Nobody but a person decides that the older program is done with it.
                        return self.wait_until_reopened(store, targets, None);
                    }
                    Err(error) => {
                        self.forget_freshness();
                        self.set_rows(RowsState::Building);
                        // If it can't be opened the store tells so.
                        drop(store.reopen());
                        Err(error)
                    }
                }
            }
        };
        match store.why_closed() {
            None => self.look_anew(store, targets),
            Some(error) => self.cannot_open(error),
        }
        drop(waiter.send(result));
        true
    }

    /// Opens the database again that a change which failed has left closed, or waits for it as for one that can't be
    /// opened. False at the end of the process.
    pub(super) fn until_open(
        &self,
        store: &Arc<Store>,
        targets: &mut HashMap<String, Target>,
    ) -> bool {
        let Some(mut why) = store.why_closed() else {
            return true;
        };
        // Who deletes it may be at work yet.
        for _ in 0..TRIES {
            if !self.ingest.wait_for_retry(Some(SOON)) {
                return false;
            }
            match store.reopen() {
                Ok(()) => {
                    self.serve_again(store, targets);
                    return true;
                }
                Err(error) => why = error,
            }
        }
        self.cannot_open(why);
        self.wait_until_reopened(store, targets, Some(REOPEN))
    }

    fn wait_until_reopened(
        &self,
        store: &Arc<Store>,
        targets: &mut HashMap<String, Target>,
        mut patience: Option<Duration>,
    ) -> bool {
        loop {
            if !self.ingest.wait_for_retry(patience) {
                return false;
            }
            patience = Some(REOPEN);
            self.forget_freshness();
            match store.reopen() {
                Ok(()) => break,
                Err(error) => self.cannot_open(error),
            }
        }
        self.serve_again(store, targets);
        true
    }

    fn serve_again(&self, store: &Arc<Store>, targets: &mut HashMap<String, Target>) {
        self.place_rows(store);
        self.gate.admit(Arc::clone(store));
        self.look_anew(store, targets);
    }

    /// All rows are of unknown age now.
    fn look_anew(&self, store: &Arc<Store>, targets: &mut HashMap<String, Target>) {
        self.prove(store);
        self.log_event("cache.rebuilt", "", "");
        self.indexer.wake();
        targets.clear();
        self.look_at_home(store, targets, "rebuild");
    }
}

/// The cache was brought to a schema that only an older daemon serves.
pub(in crate::app) fn taken_down(version: u32) -> Error {
    Error::new(
        Code::CacheClosed,
        format!("the cache was taken to schema {version} for an older skillmeatd"),
    )
    .hint("stop this daemon and start the older one; or `sm db upgrade` takes the cache up again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        assert!(can_take(folder.path(), 1 << 20));
        assert!(!can_take(&folder.path().join("nowhere"), 1));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
