use std::fs;
use std::path::Path;

use skillmeat_shared::history::restore::restore;
use skillmeat_shared::history::seen::Seen as _;
use skillmeat_shared::history::{capture, capture_collection, object as port};
use skillmeat_shared::time::Timestamp;

use super::collect::Limits;
use super::operation::{Filter, NewOperation, State, TouchedPath};
use super::seen::SeenFolders;
use super::snapshot::Snapshot;
use super::*;

fn fresh(folder: &Path) -> History {
    History::new(&folder.join("history.db"), true)
}

fn touch(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    skillmeat_shared::fs::write(path, bytes, 0o600).unwrap();
}

fn count(history: &History, table: &str) -> u64 {
    let query = format!("SELECT count(*) FROM {table}");
    history
        .read(|connection| connection.query_row(&query, [], |row| row.get(0)))
        .unwrap()
}

fn new(at: i64, verb: &str) -> NewOperation {
    NewOperation {
        at: Timestamp(at),
        actor: "cli".to_owned(),
        verb: verb.to_owned(),
        what: "something".to_owned(),
        undoes: None,
        detail: String::new(),
    }
}

/// Records an operation that changed a file from one text to another.
fn operate(history: &History, at: i64, path: &str, before: &[u8], after: &[u8]) -> i64 {
    let batch = history.batch();
    let node = |bytes: &[u8]| Node::File {
        mode: 0o600,
        size: bytes.len() as u64,
        hash: port::put(&batch, bytes).unwrap(),
    };
    let touched = TouchedPath {
        root: "default".to_owned(),
        path: path.to_owned(),
        before: Some(node(before)),
        after: Some(node(after)),
    };
    batch
        .commit(|transaction| {
            let id = operation::begin(transaction, &new(at, "test"), &[touched])?;
            operation::set_state(transaction, id, State::Done, Timestamp(at + 1))?;
            Ok(id)
        })
        .unwrap()
}

#[test]
fn a_folder_survives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    touch(&from.join("a"), b"a");
    touch(&from.join("deep/b"), &b"many words ".repeat(300_000));
    fs::create_dir_all(from.join("empty")).unwrap();
    let history = fresh(folder.path());
    let batch = history.batch();
    let node = capture(&from, &batch).unwrap().node.unwrap();
    assert!(batch.has(node.hash().unwrap()).unwrap());
    assert!(
        !history.has(node.hash().unwrap()).unwrap(),
        "not before the commit"
    );
    batch.commit(|_| Ok(())).unwrap();
    drop(history);
    let history = fresh(folder.path());
    let to = folder.path().join("to");
    restore(&node, &history, &to).unwrap();
    assert_eq!(fs::read(to.join("deep/b")).unwrap().len(), 3_300_000);
    let again = history.batch();
    assert_eq!(capture(&to, &again).unwrap().node.unwrap(), node);
    assert_eq!(again.stored(), 0, "it was kept already");
    assert_eq!(history.verify(&node, 9), []);
}

#[test]
fn what_was_not_committed_is_named_by_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path());
    let batch = history.batch();
    port::put(&batch, b"x").unwrap();
    drop(batch);
    assert_eq!(count(&history, "object"), 0);
    let failed: Result<()> = {
        let batch = history.batch();
        port::put(&batch, b"y").unwrap();
        batch.commit(|_| Err(rusqlite::Error::InvalidQuery))
    };
    assert_eq!(failed.unwrap_err().code, Code::HistoryUnavailable);
    assert_eq!(count(&history, "object"), 0);
}

#[test]
fn a_batch_finds_what_was_written_since_its_first_question() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path());
    let batch = history.batch();
    let theirs = FileHash::of(b"theirs");
    assert!(!batch.has(&theirs).unwrap());
    let other = history.batch();
    port::put(&other, b"theirs").unwrap();
    other.commit(|_| Ok(())).unwrap();
    assert_eq!(port::get(&batch, &theirs, 99).unwrap(), b"theirs");
    // Once it is full it writes itself.
    let mut noise: Vec<u8> = (0..port::PART / 32)
        .flat_map(|at| FileHash::of(&at.to_le_bytes()).0)
        .collect();
    let kept: Vec<FileHash> = (0..10)
        .map(|number| {
            noise[0] = number;
            port::put(&batch, &noise).unwrap()
        })
        .collect();
    assert!(count(&history, "object") > 1, "it was not full");
    for hash in &kept {
        assert!(batch.has(hash).unwrap());
        assert_eq!(port::get(&batch, hash, u64::MAX).unwrap().len(), port::PART);
    }
}

#[test]
fn operations_are_listed_and_change_their_state() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path());
    let first = operate(&history, 100, "skills/a", b"1", b"2");
    let second = operate(&history, 200, "skills/b/SKILL.md", b"3", b"4");
    let list = |filter: Filter| -> Vec<i64> {
        let rows = history.read(|connection| operation::list(connection, &filter));
        rows.unwrap().into_iter().map(|row| row.id).collect()
    };
    let all = || Filter {
        limit: 10,
        ..Filter::default()
    };
    assert_eq!(list(all()), [second, first]);
    assert_eq!(list(Filter { limit: 1, ..all() }), [second]);
    let before = Some(second);
    assert_eq!(list(Filter { before, ..all() }), [first]);
    for (path, found) in [
        ("skills/a", vec![first]),
        ("skills/b", vec![second]),
        ("skills/b/SKILL.md", vec![second]),
        ("skills", vec![second, first]),
        ("skills/a/inner", vec![first]),
        ("skills/ab", vec![]),
    ] {
        let place = Some(("default".to_owned(), path.to_owned()));
        assert_eq!(list(Filter { place, ..all() }), found, "{path}");
    }
    let open = history
        .write(|transaction| {
            let undo = NewOperation {
                undoes: Some(first),
                ..new(300, "undo")
            };
            operation::begin(transaction, &undo, &[])
        })
        .unwrap();
    let read = || {
        history
            .read(|connection| {
                Ok((
                    operation::open(connection)?,
                    operation::undone_by(connection, first)?,
                ))
            })
            .unwrap()
    };
    let (opened, undone) = read();
    assert_eq!((opened.len(), opened[0].id, undone), (1, open, None));
    history
        .write(|transaction| {
            operation::set_state(transaction, open, State::Done, Timestamp(301))?;
            operation::set_state(transaction, first, State::Undone, Timestamp(301))
        })
        .unwrap();
    assert_eq!(read(), (vec![], Some(open)));
    let row = history
        .read(|connection| operation::get(connection, first))
        .unwrap()
        .unwrap();
    assert_eq!(row.state, State::Undone);
    assert_eq!(row.finished_at, Some(Timestamp(101)), "when it was done");
    let paths = history
        .read(|connection| operation::paths(connection, first))
        .unwrap();
    assert_eq!(paths[0].path, "skills/a");
    let bytes = port::get(
        &history,
        paths[0].before.as_ref().unwrap().hash().unwrap(),
        9,
    );
    assert_eq!(bytes.unwrap(), b"1");
}

#[test]
fn only_what_nothing_needs_is_collected() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path());
    let root = folder.path().join("c");
    touch(&root.join("skills/a/SKILL.md"), b"kept by the snapshot");
    let seen = SeenFolders::default();
    let batch = history.batch();
    let captured = capture_collection(&root, &batch, &seen, &|_| {}).unwrap();
    let node = captured.node.unwrap();
    let snapshot = Snapshot {
        collection: "c".to_owned(),
        id: "20261120-155145-120724".to_owned(),
        at: Timestamp(1),
        message: "m".to_owned(),
        origin: "manual".to_owned(),
        node: node.clone(),
        artifacts: 1,
        files: 1,
        bytes: 20,
        stored: batch.stored(),
    };
    let row = snapshot.clone();
    batch
        .commit(|transaction| {
            seen.save(transaction, &root)?;
            snapshot::insert(transaction, &row)
        })
        .unwrap();
    let has = |name: &str, node: &Node| {
        history.read(|connection| snapshot::has_state(connection, name, node))
    };
    assert!(has("c", &node).unwrap());
    assert!(!has("d", &node).unwrap());
    let needed = count(&history, "object");
    operate(&history, 100, "x", b"old before", b"old after");
    let new = operate(&history, 900, "x", b"new before", b"new after");
    let open = history
        .write(|transaction| {
            operation::begin(
                transaction,
                &NewOperation {
                    at: Timestamp(1),
                    ..self::new(1, "open")
                },
                &[],
            )
        })
        .unwrap();
    let limits = Limits {
        since: Timestamp(500),
        max_bytes: u64::MAX,
    };
    let dry = history.collect(limits, true).unwrap();
    assert_eq!((dry.operations, dry.objects), (1, 2));
    assert_eq!(count(&history, "object"), needed + 4);
    assert_eq!(history.collect(limits, false).unwrap(), dry);
    assert_eq!(count(&history, "object"), needed + 2);
    let left: Vec<i64> = history
        .read(|connection| {
            operation::list(
                connection,
                &Filter {
                    limit: 9,
                    ..Filter::default()
                },
            )
        })
        .unwrap()
        .into_iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(left, [open, new], "what is under way stays however old");
    assert_eq!(history.verify(&node, 9), []);
    let again = history.collect(limits, false).unwrap();
    assert_eq!((again.operations, again.objects), (0, 0));
    // Too much: the operation goes, the snapshot stays.
    let tight = Limits {
        since: Timestamp(0),
        max_bytes: 1,
    };
    let collected = history.collect(tight, false).unwrap();
    assert_eq!((collected.operations, collected.objects), (1, 2));
    assert_eq!(count(&history, "object"), needed);
    assert_eq!(count(&history, "seen"), 3);
    let found = history
        .write(|transaction| snapshot::delete(transaction, "c", &snapshot.id))
        .unwrap();
    assert!(found);
    assert_eq!(history.collect(tight, false).unwrap().objects, needed);
    assert_eq!((count(&history, "object"), count(&history, "seen")), (0, 0));
}

#[test]
fn many_objects_are_kept_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path());
    for round in 0..2 {
        let batch = history.batch();
        for number in 0..1000_u32 {
            port::put(&batch, format!("object {}", number % 700).as_bytes()).unwrap();
        }
        assert_eq!(batch.stored() > 0, round == 0);
        batch.commit(|_| Ok(())).unwrap();
        assert_eq!(count(&history, "object"), 700);
    }
}

#[test]
fn damage_is_found_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path());
    let root = folder.path().join("c");
    let text = b"some text that is long enough to be packed; ".repeat(9);
    touch(&root.join("skills/a/SKILL.md"), &text);
    touch(&root.join("skills/b/SKILL.md"), b"sound");
    let batch = history.batch();
    let node = capture(&root, &batch).unwrap().node.unwrap();
    batch.commit(|_| Ok(())).unwrap();
    let hash = FileHash::of(&text);
    history
        .write(|transaction| {
            transaction.execute(
                "UPDATE object SET data = zeroblob(20) WHERE hash = ?1",
                [hash.0],
            )
        })
        .unwrap();
    let found = history.verify(&node, 9);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, Path::new("skills/a/SKILL.md"));
    history
        .write(|transaction| transaction.execute("DELETE FROM object WHERE hash = ?1", [hash.0]))
        .unwrap();
    let found = history.verify(&node, 9);
    assert!(found[0].1.contains("lacks"), "{found:?}");
}

#[test]
fn batches_and_collections_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path());
    let limits = Limits {
        since: Timestamp(0),
        max_bytes: u64::MAX,
    };
    let batch = history.batch();
    port::put(&batch, b"kept").unwrap();
    std::thread::scope(|scope| {
        let collecting = scope.spawn(|| history.collect(limits, false));
        let nested = history.batch();
        drop(nested);
        batch
            .commit(|transaction| {
                let node = Node::File {
                    mode: 0o600,
                    size: 4,
                    hash: FileHash::of(b"kept"),
                };
                known::set(transaction, "default", "x", Some(&node))
            })
            .unwrap();
        let collected = collecting.join().unwrap().unwrap();
        assert_eq!(collected.objects, 0);
    });
    history.rest();
    assert!(history.has(&FileHash::of(b"kept")).unwrap());
}

#[test]
fn a_deleted_file_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path());
    operate(&history, 1, "a", b"1", b"2");
    for file in crate::store::files::files_of(history.path()) {
        drop(fs::remove_file(file));
    }
    operate(&history, 2, "a", b"2", b"3");
    assert_eq!(count(&history, "operation"), 1);
}

#[test]
fn what_is_remembered_of_some_places_is_loaded_alone() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path());
    let top = Path::new("/c");
    let all = [
        "",
        "skills",
        "skills/a",
        "skills/a/deep",
        "skills/a!",
        "skills/ab",
        "notes",
    ];
    let whole = SeenFolders::default();
    for path in all {
        whole.note(path.as_bytes(), path.as_bytes().to_vec());
    }
    history
        .write(|transaction| whole.save(transaction, top))
        .unwrap();
    let places = ["skills/a", "skills/gone"].map(PathBuf::from).into();
    let load = || {
        history
            .read(|connection| SeenFolders::load_around(connection, top, &places))
            .unwrap()
    };
    let some = load();
    let loaded: Vec<&str> = all
        .into_iter()
        .filter(|path| some.recall(path.as_bytes()).is_some())
        .collect();
    assert_eq!(loaded, ["", "skills", "skills/a", "skills/a/deep"]);
    // What nobody asks for is gone; what was not loaded stays.
    let some = load();
    some.recall(b"skills");
    some.recall(b"");
    history
        .write(|transaction| some.save(transaction, top))
        .unwrap();
    let left = history
        .read(|connection| SeenFolders::load(connection, top))
        .unwrap();
    let left = all
        .into_iter()
        .filter(|path| left.recall(path.as_bytes()).is_some());
    assert_eq!(
        left.collect::<Vec<_>>(),
        ["", "skills", "skills/a!", "skills/ab", "notes"]
    );
}

#[test]
fn operations_that_free_nothing_stay_whatever_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path());
    let noise = |seed: u8| -> Vec<u8> {
        let parts = (0..200_u8).flat_map(|at| FileHash::of(&[seed, at]).0);
        parts.collect()
    };
    let first = operate(&history, 100, "a", &noise(1), &noise(2));
    let second = operate(&history, 200, "b", b"x", &noise(3));
    let third = operate(&history, 300, "a", &noise(4), &noise(2));
    let kept = [noise(2), noise(3)].map(|bytes| Node::File {
        mode: 0o644,
        size: bytes.len() as u64,
        hash: FileHash::of(&bytes),
    });
    let known = |transaction: &rusqlite::Transaction<'_>| {
        known::set(transaction, "default", "a", Some(&kept[0]))?;
        known::set(transaction, "default", "b", Some(&kept[1]))
    };
    history.write(known).unwrap();
    let limits = Limits {
        since: Timestamp(0),
        max_bytes: 1,
    };
    let dry = history.collect(limits, true).unwrap();
    assert_eq!((dry.operations, dry.objects), (2, 2), "{first} {third}");
    assert!(dry.needed > 12_000 && dry.left > dry.needed, "{dry:?}");
    assert_eq!(history.collect(limits, false).unwrap(), dry);
    let left = history.read(|connection| operation::get(connection, second));
    assert!(left.unwrap().is_some());
    let again = history.collect(limits, false).unwrap();
    assert_eq!((again.operations, again.objects), (0, 0));
}
