//! Collections that were emptied and deleted: all of it comes back, and is told as what it is.

use serde_json::Value;
use skillmeat_tests::home::{skill, text};
use skillmeat_tests::{Sandbox, until};

fn told(sandbox: &Sandbox, args: &[&str]) -> String {
    sandbox.run(args).ok().stderr
}

#[test]
fn a_collection_that_was_emptied_and_deleted_comes_back_step_by_step() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["rate", "one", "4"]);
    sandbox.json(&["remove", "*", "--yes"]);
    sandbox.json(&["collection", "delete", "default", "--yes"]);
    let would = told(&sandbox, &["undo", "--dry-run"]);
    assert!(
        would.contains("collection `default` would be restored"),
        "{would}"
    );
    // The one who brings it back need not be the one who took it away.
    sandbox.stop();
    let undone = told(&sandbox, &["undo"]);
    assert!(
        undone.contains("collection `default` restored; `sm redo`"),
        "{undone}"
    );
    assert_eq!(sandbox.ids(), [""; 0]);
    let undone = told(&sandbox, &["undo"]);
    assert!(undone.contains("paths changed"), "{undone}");
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
    assert_eq!(sandbox.show("one")["rating"], 4);
    drop(sandbox.run(&["redo"]).ok());
    let undone = told(&sandbox, &["collection", "delete", "default", "--yes"]);
    assert!(undone.contains("`default` was deleted"), "{undone}");
    drop(sandbox.run(&["undo"]).ok());
    let redone = told(&sandbox, &["redo"]);
    assert!(redone.contains("collection `default` removed"), "{redone}");
}

/// What each operation after this one was, the oldest first.
fn told_since(sandbox: &Sandbox, number: u64) -> Vec<String> {
    let log = sandbox.json(&["log", "--limit", "100"]);
    let operations = log["operations"].as_array().unwrap().iter().rev();
    let since = operations.filter(|one| one["id"].as_u64().unwrap() > number);
    since.map(|one| text(&one["verb"])).collect()
}

fn newest(sandbox: &Sandbox) -> Value {
    sandbox.json(&["log", "--limit", "1"])["operations"][0].clone()
}

/// The newest operation is by another program and names this.
fn is_told(sandbox: &Sandbox, what: &str) -> Option<()> {
    let newest = newest(sandbox);
    let is_it = newest["actor"] == "external" && text(&newest["what"]).contains(what);
    is_it.then_some(())
}

#[test]
fn what_brings_an_emptied_collection_back_is_told_once() {
    for (way, is_at_once) in [("rollback", true), ("rollback", false), ("undo", false)] {
        let sandbox = Sandbox::with_two();
        skill(&sandbox.collection("default", "skills"), "one", "Edited");
        until("an edit that is told", || is_told(&sandbox, "skills/one"));
        let snapshot = sandbox.json(&["snapshot"]);
        let before = newest(&sandbox)["id"].as_u64().unwrap();
        for entry in std::fs::read_dir(sandbox.collection("default", "")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
        if !is_at_once {
            until("a loss that is told", || {
                is_told(&sandbox, "collection.toml")
            });
        }
        let args = match way {
            "undo" => vec![way.to_owned(), newest(&sandbox)["id"].to_string()],
            _ => vec![
                way.to_owned(),
                text(&snapshot["snapshot"]["id"]),
                "--yes".to_owned(),
            ],
        };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        drop(sandbox.run(&args).ok());
        assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
        // What comes next is looked at together with what was brought back.
        skill(&sandbox.collection("default", "skills"), "two", "Edited");
        until("a second edit that is told", || {
            is_told(&sandbox, "skills/two")
        });
        let mut told = told_since(&sandbox, before);
        let brought = if way == "undo" {
            "operation.undo"
        } else {
            "collection.rollback"
        };
        told.retain(|verb| !verb.starts_with("snapshot."));
        assert_eq!(told, ["files.changed", brought, "files.changed"]);
        let edit = newest(&sandbox);
        assert!(!edit.to_string().contains("skills/one"), "{edit:#}");
    }
}
