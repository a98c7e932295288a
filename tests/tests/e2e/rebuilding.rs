//! A cache that is lost under a running daemon: while its rows are made anew, nobody is told that something is not there.

use std::thread;

use skillmeat_tests::Sandbox;
use skillmeat_tests::fault::Faults;
use skillmeat_tests::home::{skill, write};
use skillmeat_tests::wait::until_true;

/// Where a pass writes its rows.
const ROWS: &str = "reconcile.before_begin";

/// A collection with a group and a tag, and a daemon whose passes can be held up.
fn library() -> (Sandbox, Faults) {
    let mut sandbox = Sandbox::new();
    let faults = Faults::of(&mut sandbox);
    write(
        sandbox.collection("default", "collection.toml"),
        "[collection]\nname = \"default\"\n\n[[groups]]\nname = \"Data\"\nmembers = [\"skill:one\"]\n\n\
         [[tag_definitions]]\nname = \"db\"\n",
    );
    for name in ["one", "two"] {
        skill(&sandbox.collection("default", "skills"), name, "Plain");
    }
    sandbox.ready();
    (sandbox, faults)
}

fn lose_the_cache(sandbox: &Sandbox) {
    for entry in std::fs::read_dir(sandbox.home().cache_dir()).unwrap() {
        drop(std::fs::remove_file(entry.unwrap().path()));
    }
}

/// Commands that name what is there.
const ASKING: [&[&str]; 9] = [
    &["show", "one"],
    &["collection", "show"],
    &["cache", "invalidate", "one"],
    &["group", "show", "Data"],
    &["tag", "show", "db"],
    &["validate", "one"],
    &["group", "add", "Data", "one", "two", "--dry-run"],
    &["rate", "one", "5", "--dry-run"],
    &["collection", "use", "default"],
];

#[test]
fn who_notices_that_the_cache_is_gone_finds_what_is_there() {
    let (sandbox, _) = library();
    for _ in 0..4 {
        for command in ASKING {
            lose_the_cache(&sandbox);
            drop(sandbox.run(command).ok());
        }
        lose_the_cache(&sandbox);
        let invalidated = sandbox.json(&["cache", "invalidate"]);
        assert_eq!(invalidated["invalidated"], 2);
        lose_the_cache(&sandbox);
        let status = sandbox.json(&["status"]);
        assert_eq!(status["artifacts"], 2, "{status:#}");
        assert_eq!(status["collections"][0]["artifacts"], 2, "{status:#}");
    }
}

/// Loses the cache, and has the pass wait that makes its rows anew.
fn hold_up_the_rows(sandbox: &Sandbox, faults: &Faults) {
    faults.tell(&format!("{ROWS}=wait"));
    lose_the_cache(sandbox);
    // Somebody must notice; the rows of before may still answer.
    drop(sandbox.run(&["list"]).ok());
    until_true("the pass", || faults.passed().contains(ROWS));
}

#[test]
fn who_asks_while_rows_are_made_anew_waits_for_them() {
    let (sandbox, faults) = library();
    for command in ASKING {
        hold_up_the_rows(&sandbox, &faults);
        thread::scope(|scope| {
            let asked = scope.spawn(|| sandbox.run(command));
            faults.none();
            drop(asked.join().unwrap().ok());
        });
        until_true("all rows", || sandbox.json(&["list"])["complete"] == true);
    }
}

#[test]
fn who_asks_in_vain_is_told_that_files_are_still_read() {
    let (sandbox, faults) = library();
    hold_up_the_rows(&sandbox, &faults);
    for command in [
        &["show", "one"][..],
        &["collection", "show"],
        &["cache", "invalidate", "one"],
        &["group", "show", "Data"],
        &["tag", "show", "db"],
        &["collection", "use", "default"],
    ] {
        let error = sandbox.fails(command, 7);
        assert_eq!(error["code"], "cache.unavailable", "{error:#}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("still being read"), "{error:#}");
        assert!(!message.contains("there is no"), "{error:#}");
    }
    let list = sandbox.json(&["list", "--tag", "db"]);
    assert_eq!(list["complete"], false);
    assert_eq!(list["hints"], serde_json::json!([]));
    assert_eq!(sandbox.json(&["collection", "list"])["complete"], false);
    faults.none();
    // What is not there is not there, once all is read.
    sandbox.shows("one", "the rows", |_| true);
    let error = sandbox.fails(&["show", "three"], 3);
    assert_eq!(error["code"], "artifact.not_found", "{error:#}");
}
