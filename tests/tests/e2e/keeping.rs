//! A cache that can't be changed as a whole serves on.

use std::path::PathBuf;

use serde_json::Value;
use skillmeat_tests::Sandbox;
use skillmeat_tests::fault::{Faults, equals_a_fresh_one};
use skillmeat_tests::home::{skill, text};

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
