//! A cache that can't be changed as a whole serves on; one that others empty, or write rubbish into, is built anew.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;
use skillmeat_tests::fault::{Faults, equals_a_fresh_one};
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::{Sandbox, until};

const IDS: [&str; 3] = ["skill:one", "skill:three", "skill:two"];

/// A home with three skills, all of it in the cache.
fn library() -> (Sandbox, Faults) {
    let mut sandbox = Sandbox::initialised();
    sandbox.stop();
    let faults = Faults::of(&mut sandbox);
    for name in ["one", "two", "three"] {
        skill(&sandbox.collection("default", "skills"), name, "Plain");
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    sandbox.cache_until("the text index", |cache| cache["unindexed_artifacts"] == 0);
    (sandbox, faults)
}

fn current(sandbox: &Sandbox) -> Value {
    sandbox.json(&["db", "current"])
}

fn database(sandbox: &Sandbox) -> PathBuf {
    PathBuf::from(text(&current(sandbox)["path"]))
}

/// The daemon answers as ever, from the same cache.
#[track_caller]
fn serves_on(sandbox: &Sandbox, before: &Value, what: &str) {
    assert_eq!(sandbox.ids(), IDS, "{what}");
    let now = current(sandbox);
    for key in ["state", "instance", "schema", "error", "replaced_at"] {
        assert_eq!(now[key], before[key], "{what}: {now}");
    }
    sandbox.ready();
}

#[test]
fn a_copy_that_cant_be_taken_over_leaves_the_cache_as_it_is() {
    let (sandbox, faults) = library();
    drop(sandbox.run(&["db", "backup", "copy.db"]).ok());
    drop(sandbox.run(&["db", "downgrade", "1", "--yes"]).ok());
    drop(sandbox.run(&["db", "backup", "old.db"]).ok());
    drop(sandbox.run(&["db", "upgrade"]).ok());
    sandbox.ready();
    let before = current(&sandbox);
    for (copy, fault) in [
        ("copy.db", "backup.before_copy=enospc"),
        ("copy.db", "backup.before_rename=eio"),
        // It is in its place already, and can't be opened there.
        ("old.db", "migrate.before=enospc"),
    ] {
        faults.tell(fault);
        let answer = sandbox.run(&["db", "restore", copy, "--yes"]);
        assert_ne!(answer.code, Some(0), "{fault}");
        serves_on(&sandbox, &before, fault);
        faults.none();
    }
    let folder = database(&sandbox);
    let left = std::fs::read_dir(folder.parent().unwrap()).unwrap();
    let mut names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.any(|name| name.contains("-taken") || name.contains("-copy")));
    for copy in ["copy.db", "old.db"] {
        drop(sandbox.run(&["db", "restore", copy, "--yes"]).ok());
        assert_ne!(current(&sandbox)["instance"], before["instance"]);
    }
    equals_a_fresh_one(&sandbox, "copies that were not taken over");
}

#[test]
fn a_downgrade_that_fails_leaves_the_cache_as_it_is() {
    let (sandbox, faults) = library();
    let before = current(&sandbox);
    // Before the first step, and after the last one.
    for fault in ["migrate.before=enospc", "migrate.after=enospc@1"] {
        faults.tell(fault);
        let error = sandbox.fails(&["db", "downgrade", "1", "--yes"], 1);
        assert_eq!(error["code"], "file.disk_full", "{error}");
        serves_on(&sandbox, &before, fault);
        faults.none();
    }
    equals_a_fresh_one(&sandbox, "downgrades that failed");
    drop(sandbox.run(&["db", "downgrade", "1", "--yes"]).ok());
    assert_eq!(current(&sandbox)["state"], "closed");
}

/// Makes a word of a database's texts something that is no text.
fn spoil(path: &Path, word: &str) {
    let mut bytes = std::fs::read(path).unwrap();
    let is_word = |at: &usize| bytes[*at..].starts_with(word.as_bytes());
    let places: Vec<usize> = (0..bytes.len()).filter(is_word).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] ^= 0xff;
    }
    write(path, bytes);
}

#[test]
fn a_copy_whose_texts_are_none_is_refused() {
    let (sandbox, _) = library();
    let before = current(&sandbox);
    drop(sandbox.run(&["db", "backup", "copy.db"]).ok());
    spoil(&sandbox.path("copy.db"), "Plain");
    let error = sandbox.fails(&["db", "restore", "copy.db", "--yes"], 2);
    assert_eq!(error["code"], "usage.invalid_argument");
    assert!(text(&error["message"]).contains("copy.db"), "{error}");
    serves_on(&sandbox, &before, "a copy that was refused");
}

/// Waits until the cache was put aside and built anew.
fn is_built_anew(sandbox: &Sandbox, before: &Value, what: &str) {
    let now = until(&format!("a new cache after {what}"), || {
        let now = current(sandbox);
        let is_new = now["state"] == "open" && now["replaced_at"].is_string();
        (is_new && now["instance"] != before["instance"]).then_some(now)
    });
    assert!(!text(&now["replaced_because"]).is_empty(), "{what}: {now}");
    assert_eq!(now["schema"], before["schema"], "{what}");
    sandbox.ready();
    assert_eq!(sandbox.ids(), IDS, "{what}");
}

#[test]
fn rows_that_cant_be_read_are_damage() {
    let (sandbox, _) = library();
    let path = database(&sandbox);
    for change in [
        "artifact SET description = CAST(x'ff' AS TEXT) WHERE name = 'two'",
        "collection SET name = CAST(x'64ff' AS TEXT)",
    ] {
        let before = current(&sandbox);
        let other = Connection::open(&path).unwrap();
        assert_eq!(other.execute(&format!("UPDATE {change}"), []), Ok(1));
        other.close().unwrap();
        drop(sandbox.run(&["list", "--all"]));
        is_built_anew(&sandbox, &before, change);
        assert_eq!(sandbox.show("two")["description"], "Plain");
    }
    let before = current(&sandbox);
    let other = Connection::open(&path).unwrap();
    let change = "UPDATE artifact SET license = CAST(x'ff' AS TEXT) WHERE name = 'two'";
    assert_eq!(other.execute(change, []), Ok(1));
    other.close().unwrap();
    // Who only looks for damage sees to it, too.
    let check = sandbox.run(&["db", "check", "--thorough", "--json"]);
    assert_eq!(check.code, Some(9), "{check:?}");
    assert_eq!(check.json()["rebuilding"], true, "{check:?}");
    is_built_anew(&sandbox, &before, change);
    equals_a_fresh_one(&sandbox, "rows that could not be read");
}

#[test]
fn a_file_that_was_emptied_below_its_log_is_noticed_before_it_is_opened() {
    let (sandbox, _) = library();
    let path = database(&sandbox);
    let log = PathBuf::from(format!("{}-wal", path.display()));
    let copy = sandbox.path("copy.db");
    let empty = || {
        let before = current(&sandbox);
        // All rows stand in it.
        assert!(std::fs::metadata(&log).unwrap().len() > 100_000);
        let file = std::fs::File::options().write(true).open(&path);
        file.unwrap().set_len(0).unwrap();
        before
    };
    let before = empty();
    let seen = current(&sandbox);
    assert_ne!(seen["schema"], 0, "{seen}");
    is_built_anew(&sandbox, &before, "`db current`");
    let before = empty();
    let check = sandbox.run(&["db", "check"]);
    assert_eq!(check.code, Some(9), "{check:?}");
    is_built_anew(&sandbox, &before, "`db check`");
    let before = empty();
    let error = sandbox.fails(&["db", "backup", "copy.db"], 7);
    assert_eq!(error["code"], "cache.damaged", "{error}");
    assert!(!copy.exists());
    is_built_anew(&sandbox, &before, "`db backup`");
    let before = empty();
    drop(sandbox.run(&["list"]));
    is_built_anew(&sandbox, &before, "`list`");
    let before = empty();
    skill(&sandbox.collection("default", "skills"), "two", "Edited");
    sandbox.shows("two", "the edit", |shown| shown["description"] == "Edited");
    is_built_anew(&sandbox, &before, "an edit");
    equals_a_fresh_one(&sandbox, "a file that was emptied");
}

#[test]
fn a_sound_cache_is_needed_until_the_copy_in_its_place_is_open() {
    let (sandbox, _) = library();
    let folder = database(&sandbox).parent().unwrap().to_owned();
    drop(sandbox.run(&["db", "backup", "copy.db"]).ok());
    for _ in 0..2 {
        let before = current(&sandbox);
        drop(sandbox.run(&["db", "restore", "copy.db", "--yes"]).ok());
        assert_ne!(current(&sandbox)["instance"], before["instance"]);
        assert_eq!(sandbox.ids(), IDS);
        let left = std::fs::read_dir(&folder).unwrap();
        let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let aside: Vec<String> = names.filter(|name| name.contains(".corrupt-")).collect();
        assert!(aside.is_empty(), "{aside:?}");
    }
    equals_a_fresh_one(&sandbox, "copies that were taken over");
}
