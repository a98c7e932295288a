//! The store's promises to its readers: one moment per read, and numbers of events that only grow.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use skillmeatd::store::Store;
use skillmeatd::store::event::{self, NewEvent};

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&folder.path().join("cache.db"), true).unwrap();
    (folder, store)
}

fn log(store: &Store, times: usize) {
    let events = vec![NewEvent::collection("collection.changed", "c", ""); times];
    let append = move |t: &rusqlite::Transaction<'_>| event::append(t, &events);
    store.write(append).unwrap();
}

#[test]
fn a_read_sees_one_moment() {
    let (_folder, store) = open();
    log(&store, 3);
    let seen = store.read(|connection| {
        let before = event::bounds(connection)?;
        log(&store, 2);
        Ok((before, event::bounds(connection)?))
    });
    assert_eq!(seen.unwrap(), ((1, 3), (1, 3)));
    assert_eq!(store.read(event::bounds).unwrap(), (1, 5));
}

#[test]
fn numbers_of_events_go_on_after_a_rebuild_and_leave_a_gap() {
    let (_folder, store) = open();
    log(&store, 3);
    store.rebuild().unwrap();
    assert_eq!(store.read(event::bounds).unwrap(), (0, 0));
    log(&store, 2);
    assert_eq!(store.read(event::bounds).unwrap(), (5, 6));
    // Also over two rebuilds without an event in between, and when the file was deleted.
    store.rebuild().unwrap();
    std::fs::remove_file(store.path()).unwrap();
    store.rebuild().unwrap();
    log(&store, 1);
    assert_eq!(store.read(event::bounds).unwrap(), (8, 8));
}
