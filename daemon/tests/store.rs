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

/// Bytes of the log of writes.
fn log_bytes(store: &Store) -> u64 {
    skillmeatd::store::files::log_bytes(store.path())
}

/// Writes some megabytes.
fn write_much(store: &Store) {
    let big = "x".repeat(1 << 20);
    for round in 0..8 {
        let key = format!("big{round}");
        let value = format!("{round}{big}");
        let set =
            move |t: &rusqlite::Transaction<'_>| skillmeatd::store::meta::set(t, &key, &value);
        store.write(set).unwrap();
    }
    // So that the next time something is written again.
    store
        .write(|t| t.execute("DELETE FROM meta WHERE key LIKE 'big%'", []))
        .unwrap();
}

#[test]
fn the_log_of_writes_stays_short_whatever_readers_do() {
    const LONGEST: u64 = 96 << 20;
    let (_folder, store) = open();
    let store = &store;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let stop = &stop;
    // Readers that overlap without end: SQLite alone would never begin the log anew.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    store
                        .read(|connection| {
                            event::bounds(connection)?;
                            std::thread::park_timeout(std::time::Duration::from_millis(3));
                            event::bounds(connection)
                        })
                        .unwrap();
                }
            });
        }
        for _ in 0..20 {
            write_much(store);
            assert!(log_bytes(store) < LONGEST, "{}", log_bytes(store));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    // One reader that stays for long keeps it, and it shrinks when that one has gone.
    store
        .read(|connection| {
            event::bounds(connection)?;
            for _ in 0..5 {
                write_much(store);
            }
            event::bounds(connection)
        })
        .unwrap();
    for _ in 0..4 {
        write_much(store);
    }
    assert!(log_bytes(store) < 48 << 20, "{}", log_bytes(store));
}

#[test]
fn the_database_is_never_locked_for_anybody() {
    for is_local in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("cache.db"), is_local).unwrap();
        let store = &store;
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(move || {
                        for _ in 0..150 {
                            store.read(event::bounds).unwrap();
                        }
                    })
                })
                .chain((0..4).map(|_| {
                    scope.spawn(move || {
                        for _ in 0..40 {
                            log(store, 3);
                        }
                    })
                }))
                .collect();
            for thread in all {
                thread.join().unwrap();
            }
        });
        assert_eq!(store.read(event::bounds).unwrap().1, 480, "{is_local}");
        store.close();
        let (_, opened) = Store::open(&folder.path().join("cache.db"), is_local).unwrap();
        assert_eq!(opened, skillmeatd::store::Opened::Existing);
    }
}

#[test]
fn a_full_disk_aborts_the_write_and_keeps_what_was() {
    let (_folder, store) = open();
    log(&store, 5);
    // SQLite itself refuses to let the file grow, as it does on a disk without room.
    store
        .maintain(|connection| {
            let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            connection.pragma_update(None, "max_page_count", pages)
        })
        .unwrap();
    let big = "x".repeat(1 << 20);
    let set = move |t: &rusqlite::Transaction<'_>| {
        event::append(t, &[NewEvent::collection("collection.changed", "c", "")])?;
        skillmeatd::store::meta::set(t, "big", &big)
    };
    let error = store.write(set).unwrap_err();
    assert_eq!(error.code, skillmeat_shared::Code::DiskFull, "{error}");
    assert!(store.is_full());
    assert_eq!(
        store.read(event::bounds).unwrap(),
        (1, 5),
        "half of it was kept"
    );
    store
        .maintain(|connection| connection.pragma_update(None, "max_page_count", 1_000_000))
        .unwrap();
    log(&store, 1);
    assert!(store.is_full(), "a small write proves nothing");
    store.found_room();
    assert!(!store.is_full());
    assert_eq!(store.read(event::bounds).unwrap().1, 6);
}
