//! The store's promises to its readers: one moment per read, and numbers of events that only grow.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use skillmeatd::store::event::{self, NewEvent};
use skillmeatd::store::{Opened, Store, backup};

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
fn reads_at_once_see_one_moment_and_give_their_connection_back() {
    let (_folder, store) = open();
    log(&store, 3);
    store.at_once(|| {
        let before = store.read(event::bounds).unwrap();
        log(&store, 2);
        assert_eq!(store.read(event::bounds).unwrap(), before);
        // Within another one, too.
        let inner = store.at_once(|| store.read(event::bounds));
        assert_eq!(inner.unwrap(), before);
    });
    // More often than there are connections.
    for _ in 0..20 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            store.at_once(|| {
                store.read(event::bounds).unwrap();
                resume_unwind(Box::new("a defect"));
            });
        }));
        assert!(panicked.is_err());
    }
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

fn copied(store: &Store, folder: &Path) -> PathBuf {
    let copy = folder.join("copy.db");
    let looking = backup::open_to_look(store.path()).unwrap();
    backup::copy(&looking, &copy).unwrap();
    copy
}

#[test]
fn what_a_copy_replaces_stays_only_if_it_was_damaged() {
    let (folder, store) = open();
    log(&store, 1);
    let copy = copied(&store, folder.path());
    let aside = || {
        let all = std::fs::read_dir(folder.path()).unwrap();
        let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.starts_with("cache.db.corrupt-"))
            .count()
    };
    let restore = || {
        let fresh = backup::prepare(&copy, store.path()).unwrap();
        store.restore(&fresh).unwrap();
    };
    restore();
    assert_eq!(aside(), 0);
    store.note_damage("it is not as it was written");
    restore();
    let kept = aside();
    assert!(kept > 0);
    // That was of the one before.
    restore();
    assert_eq!(aside(), kept);
}

#[test]
fn a_copy_that_is_taken_over_goes_on_after_the_events_of_the_one_before() {
    let (folder, store) = open();
    log(&store, 3);
    let copy = copied(&store, folder.path());
    log(&store, 4);
    let fresh = backup::prepare(&copy, store.path()).unwrap();
    store.restore(&fresh).unwrap();
    log(&store, 1);
    assert_eq!(store.read(event::bounds).unwrap(), (1, 9));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
fn what_cant_be_opened_any_more_says_so_and_can_be_tried_again() {
    let (folder, store) = open();
    log(&store, 3);
    let copy = copied(&store, folder.path());
    let fresh = backup::prepare(&copy, store.path()).unwrap();
    let (place, away) = (folder.path(), folder.path().with_extension("away"));
    std::fs::rename(place, &away).unwrap();
    std::fs::write(place, "no folder").unwrap();
    store.restore(&fresh).unwrap_err();
    assert!(store.why_closed().is_some());
    store.reopen().unwrap_err();
    std::fs::remove_file(place).unwrap();
    std::fs::rename(&away, place).unwrap();
    store.reopen().unwrap();
    assert_eq!(store.why_closed(), None);
    // Nothing of it was changed.
    log(&store, 1);
    assert_eq!(store.read(event::bounds).unwrap(), (1, 4));
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
    const LONGEST: u64 = 320 << 20;
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
        let longest = (0..45)
            .map(|_| {
                write_much(store);
                log_bytes(store)
            })
            .max();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(longest < Some(LONGEST), "{longest:?}");
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
    // As soon as nobody writes.
    let begun = std::time::Instant::now();
    while log_bytes(store) >= 48 << 20 {
        let waited = begun.elapsed();
        assert!(
            waited < std::time::Duration::from_secs(20),
            "{}",
            log_bytes(store)
        );
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
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

/// A database as a kill leaves it: pages in the file, some of them older than those in its log.
fn killed(folder: &Path) -> PathBuf {
    let path = folder.join("killed.db");
    let (store, _) = Store::open(&path, true).unwrap();
    store
        .write(|t| skillmeatd::store::meta::set(t, "aged", &"aged words ".repeat(9000)))
        .unwrap();
    for round in 0..3 {
        for n in 0..40 {
            let (key, value) = (format!("key{n}"), format!("{round} ").repeat(400));
            let set =
                move |t: &rusqlite::Transaction<'_>| skillmeatd::store::meta::set(t, &key, &value);
            store.write(set).unwrap();
        }
        log(&store, 20);
        if round < 2 {
            store.checkpoint().unwrap();
        }
    }
    drop(store);
    assert!(skillmeatd::store::files::log_bytes(&path) > 0);
    path
}

/// Opens a copy of the database after something was done to its files.
fn opened(path: &Path, harm: impl FnOnce(&Path)) -> (tempfile::TempDir, Store, Opened) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("cache.db");
    for suffix in ["", "-wal", "-sums"] {
        let of = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(of(path), of(&copy)).unwrap();
    }
    harm(&copy);
    let (store, opened) = Store::open(&copy, true).unwrap();
    (folder, store, opened)
}

fn turn_over(path: &Path, at: usize) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).unwrap();
    let turned = byte.map(|byte| byte ^ (1 << (at % 8)));
    file.write_all_at(&turned, at as u64).unwrap();
}

#[test]
fn after_a_kill_every_turned_bit_of_a_page_that_counts_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = killed(folder.path());
    let value = |store: &Store| {
        store
            .read(|c| skillmeatd::store::meta::get(c, "key7"))
            .unwrap()
    };
    let (_copy, store, how) = opened(&path, |_| ());
    assert_eq!(how, Opened::Existing);
    assert!(store.is_unproven());
    store.prove();
    assert!(!store.is_unproven() && !store.is_damaged());
    let whole = value(&store);
    assert!(whole.as_ref().is_some_and(|value| value.starts_with("2 2")));
    let length = usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
    let (mut found, mut covered) = (0, 0);
    for at in (5..length).step_by(length / 150) {
        let (_copy, store, how) = opened(&path, |copy| turn_over(copy, at));
        // Rows on top of it do not make it right.
        if how == Opened::Existing {
            log(&store, 3);
        }
        store.prove();
        if matches!(how, Opened::Replaced(_)) || store.is_damaged() {
            found += 1;
        } else {
            // The page stands in the log, and nobody reads the one in the file.
            covered += 1;
            assert_eq!(value(&store), whole, "{at}");
            assert_eq!(store.read(event::bounds).unwrap(), (1, 63), "{at}");
        }
    }
    assert!(
        found > 75 && covered > 5,
        "{found} found, {covered} covered"
    );
}

#[test]
fn after_a_kill_a_turned_bit_in_the_log_takes_back_whole_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = killed(folder.path());
    let wal = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    let length = usize::try_from(std::fs::metadata(wal(&path)).unwrap().len()).unwrap();
    let mut last = 0;
    for at in (50..length).step_by(length / 60) {
        let (_copy, store, how) = opened(&path, |copy| turn_over(&wal(copy), at));
        assert_eq!(how, Opened::Existing, "{at}");
        store.prove();
        assert!(!store.is_damaged(), "{at}");
        let rows = |n: i64| {
            move |c: &rusqlite::Connection| skillmeatd::store::meta::get(c, &format!("key{n}"))
        };
        let is_new = |n| {
            store
                .read(rows(n))
                .unwrap()
                .is_some_and(|v| v.starts_with("2 "))
        };
        let new = (0..40).filter(|n| is_new(*n)).count();
        assert!((0..40).map(is_new).take(new).all(|is_new| is_new), "{at}");
        assert!(new >= last, "{at}");
        last = new;
    }
    assert!(last > 20, "{last}");
}

#[test]
fn what_was_not_compared_is_not_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = killed(folder.path());
    let harm = |copy: &Path| {
        let bytes = std::fs::read(copy).unwrap();
        let words = b"aged words ".repeat(500);
        turn_over(
            copy,
            bytes
                .windows(words.len())
                .position(|found| found == words)
                .unwrap(),
        );
    };
    let (_copy, store, how) = opened(&path, harm);
    assert_eq!(how, Opened::Existing);
    log(&store, 1);
    store.close();
    let (store, _) = Store::open(store.path(), true).unwrap();
    assert!(store.is_unproven());
    store.prove();
    assert!(store.is_damaged());
    store.rebuild().unwrap();
    assert!(!store.is_unproven() && !store.is_damaged());
    let because = store
        .read(skillmeatd::store::meta::replaced)
        .unwrap()
        .unwrap()
        .1;
    assert!(because.contains("is not as it was written"), "{because}");
    store.close();
    let (store, how) = Store::open(store.path(), true).unwrap();
    assert_eq!(how, Opened::Existing);
    assert!(!store.is_unproven(), "it was closed in order");
}
