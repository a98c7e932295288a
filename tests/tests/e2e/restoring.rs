//! Single artifacts that go back to a snapshot: what makes sure of today, and what comes along.

use std::fs;

use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{text, write};

fn snapshot(sandbox: &Sandbox) -> String {
    text(&sandbox.json(&["snapshot", "then"])["snapshot"]["id"])
}

/// Why there are snapshots, the newest first, with their ids.
fn snapshots(sandbox: &Sandbox) -> Vec<(String, String)> {
    let listed = sandbox.json(&["history"]);
    let all = listed["snapshots"].as_array().unwrap();
    let one = |one: &serde_json::Value| (text(&one["origin"]), text(&one["id"]));
    all.iter().map(one).collect()
}

#[test]
fn a_rollback_of_an_artifact_makes_a_snapshot_before() {
    let sandbox = Sandbox::with_two();
    let at = |path: &str| sandbox.collection("default", path);
    let then = snapshot(&sandbox);
    write(at("skills/one/SKILL.md"), "mine");
    write(at("notes.txt"), "no operation knows of it");
    let count = || snapshots(&sandbox).len();
    let back = ["rollback", &then, "--artifact", "one"];
    sandbox.json(&[&back[..], &["--dry-run"]].concat());
    assert_eq!(count(), 1, "a dry run makes none");
    let unchanged = ["rollback", &then, "--artifact", "two", "--yes"];
    assert!(sandbox.json(&unchanged)["operation"].is_null());
    assert_eq!(count(), 1, "nothing was changed");
    let none = ["rollback", &then, "--artifact", "three", "--yes", "--json"];
    drop(sandbox.run(&none).exits(9));
    assert_eq!(count(), 1, "nothing could be changed");
    sandbox.json(&[&back[..], &["--yes"]].concat());
    let all = snapshots(&sandbox);
    assert_eq!((all.len(), all[0].0.as_str()), (2, "safety"), "{all:?}");
    let message = sandbox.json(&["history"])["snapshots"][0]["message"].clone();
    assert_eq!(message, "[auto] Before rollback");
    // All of the collection is in it.
    fs::remove_file(at("notes.txt")).unwrap();
    sandbox.json(&["rollback", &all[0].1, "--yes"]);
    assert_eq!(fs::read(at("skills/one/SKILL.md")).unwrap(), b"mine");
    assert!(at("notes.txt").exists());
    // Restoring is no rollback.
    let before = count();
    sandbox.json(&["restore", &format!("one@{then}")]);
    assert_eq!(count(), before);
}
