//! An end at any step, and a disk that fails at any step: the next start works, nothing that was told as done
//! is lost, and the rows are those that the files give.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use skillmeat_shared::failpoint;
use skillmeat_tests::fault::{Faults, equals_a_fresh_one, until_dead};
use skillmeat_tests::home::{skill, text};
use skillmeat_tests::{Sandbox, until};

/// A home with some skills, whose daemon does what it is told.
fn library() -> (Sandbox, Faults) {
    let mut sandbox = Sandbox::new();
    let faults = Faults::of(&mut sandbox);
    drop(sandbox.run(&["init"]).ok());
    for name in ["one", "two"] {
        skill(&sandbox.collection("default", "skills"), name, "Plain");
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    (sandbox, faults)
}

/// One with so many skills that their texts are indexed after the rows.
fn large_library() -> (Sandbox, Faults) {
    let (sandbox, faults) = library();
    for n in 0..80 {
        let name = format!("s{n:02}");
        skill(&sandbox.collection("default", "skills"), &name, "Plain");
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    (sandbox, faults)
}

fn edit(sandbox: &Sandbox, round: usize) {
    let words = format!("Edited {round}");
    skill(&sandbox.collection("default", "skills"), "two", &words);
}

fn log_of(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.home().log_file()).unwrap()
}

/// The temporary files of ours below a folder.
fn leftovers(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(leftovers(&path));
        }
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(".skillmeat-tmp-")
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn killed_at_any_step_of_a_start() {
    let (sandbox, faults) = library();
    for (round, name) in failpoint::of_area("boot").enumerate() {
        sandbox.stop();
        edit(&sandbox, round);
        faults.tell(&format!("{name}=kill"));
        let answer = sandbox.run(&["list"]);
        if answer.code != Some(0) {
            assert_eq!(answer.code, Some(7), "{name}: {answer:?}");
        }
        until_dead(&sandbox, name);
        faults.none();
        // The first try works.
        drop(sandbox.run(&["list"]).ok());
        let words = format!("Edited {round}");
        sandbox.shows("two", name, |shown| shown["description"] == words.as_str());
        equals_a_fresh_one(&sandbox, name);
    }
}

#[test]
fn killed_at_any_step_of_an_end() {
    let (sandbox, faults) = library();
    for name in failpoint::of_area("shutdown") {
        faults.tell(&format!("{name}=kill"));
        // Whoever asked may hear of it or not.
        drop(sandbox.run(&["daemon", "stop"]));
        until_dead(&sandbox, name);
        faults.none();
        assert_eq!(sandbox.ready()["artifacts"], 2, "{name}");
        equals_a_fresh_one(&sandbox, name);
    }
}

#[test]
fn killed_at_any_step_of_writing_rows() {
    let (sandbox, faults) = library();
    let areas = ["reconcile", "store"];
    let names = areas.into_iter().flat_map(failpoint::of_area);
    for (round, name) in names.enumerate() {
        sandbox.ready();
        faults.tell(&format!("{name}=kill"));
        edit(&sandbox, round);
        until_dead(&sandbox, name);
        faults.none();
        let words = format!("Edited {round}");
        sandbox.shows("two", name, |shown| shown["description"] == words.as_str());
        let log = sandbox.run(&["daemon", "logs", "-n", "50"]).ok().stdout;
        assert!(log.contains("was not closed in order"), "{name}: {log}");
        equals_a_fresh_one(&sandbox, name);
    }
}

#[test]
fn killed_at_any_step_of_a_migration() {
    let (sandbox, faults) = library();
    let names = failpoint::of_area("migrate").chain(failpoint::of_area("backup"));
    for name in names {
        drop(sandbox.run(&["db", "downgrade", "1", "--yes"]).ok());
        sandbox.stop();
        faults.tell(&format!("{name}=kill"));
        drop(sandbox.run(&["list"]));
        until_dead(&sandbox, name);
        faults.none();
        assert_eq!(sandbox.ready()["artifacts"], 2, "{name}");
        let current = sandbox.json(&["db", "current"]);
        assert_eq!(current["schema"], current["known_schema"], "{name}");
    }
    // Also on the way down.
    for name in failpoint::of_area("migrate").filter(|name| *name != "migrate.before_commit") {
        faults.tell(&format!("{name}=kill"));
        drop(sandbox.run(&["db", "downgrade", "1", "--yes"]));
        until_dead(&sandbox, name);
        faults.none();
        assert_eq!(sandbox.ready()["artifacts"], 2, "{name}");
    }
    equals_a_fresh_one(&sandbox, "migrations that were cut short");
}

/// Every step of an addition.
fn steps_of_an_addition() -> impl Iterator<Item = &'static str> {
    ["change", "copy", "exchange", "atomic"]
        .into_iter()
        .flat_map(failpoint::of_area)
        // Files that stand alone are replaced and flushed so; an addition lets places change. Only many folders are
        // flushed so.
        .filter(|name| {
            let others = [
                "atomic.before_rename",
                "atomic.after_rename",
                "atomic.sync",
                "exchange.flush",
            ];
            !others.contains(name)
        })
}

fn source(sandbox: &Sandbox, name: &str) -> String {
    let folder = skill(&sandbox.path("source"), name, "Plain");
    folder.to_str().unwrap().to_owned()
}

#[test]
fn killed_at_any_step_of_an_addition() {
    let (sandbox, faults) = library();
    let mut added = BTreeSet::new();
    for (round, name) in steps_of_an_addition().enumerate() {
        // An addition that goes well is never lost by what happens to the next one.
        let whole = format!("whole{round}");
        drop(sandbox.run(&["add", &source(&sandbox, &whole)]).ok());
        added.insert(format!("skill:{whole}"));
        let part = format!("part{round}");
        let from = source(&sandbox, &part);
        faults.tell(&format!("{name}=kill"));
        let answer = sandbox.run(&["add", &from]);
        assert_ne!(answer.code, Some(0), "{name}");
        until_dead(&sandbox, name);
        faults.none();
        // Whatever was done is done, and the rest can be done again.
        drop(sandbox.run(&["add", &from]).ok());
        added.insert(format!("skill:{part}"));
    }
    let managed = sandbox.json(&["list", "--status", "managed", "--limit", "100"]);
    let ids: BTreeSet<String> = managed["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|artifact| text(&artifact["id"]))
        .collect();
    assert_eq!(ids, added);
    assert_eq!(
        sandbox.json(&["status"])["warnings"],
        Value::Array(Vec::new())
    );
    equals_a_fresh_one(&sandbox, "additions that were cut short");
}

#[test]
fn a_disk_that_fails_at_any_step_of_an_addition() {
    let (sandbox, faults) = library();
    let steps: Vec<&str> = steps_of_an_addition().collect();
    let ways = ["enospc", "eio"];
    for (round, (name, way)) in steps
        .iter()
        .flat_map(|name| ways.map(|way| (*name, way)))
        .enumerate()
    {
        let what = format!("{name}={way}");
        let before = sandbox.ids();
        let id = format!("skill:part{round}");
        let from = source(&sandbox, &format!("part{round}"));
        faults.tell(&what);
        let answer = sandbox.run(&["add", &from, "--json"]);
        faults.none();
        assert_ne!(answer.code, Some(0), "{what}");
        let said = format!("{}{}", answer.stdout, answer.stderr);
        // Steps of our own are no files; the others say what the disk said.
        let wanted = if way == "enospc" {
            "no space left"
        } else {
            "input/output error"
        };
        let lower = said.to_lowercase();
        assert!(
            lower.contains(wanted) || lower.contains("os error"),
            "{what}: {said}"
        );
        // All of it or nothing.
        drop(sandbox.run(&["cache", "refresh"]).ok());
        let after = sandbox.ids();
        if after != before {
            assert!(after.contains(&id), "{what}: {after:?}");
            let status = sandbox.show(&id)["status"].clone();
            assert_eq!(status, "managed", "{what}");
        }
        let left = leftovers(&sandbox.collection("default", ""));
        assert_eq!(left, Vec::<String>::new(), "{what}");
        drop(sandbox.run(&["add", &from]).ok());
        assert_eq!(sandbox.show(&id)["status"], "managed", "{what}");
    }
    equals_a_fresh_one(&sandbox, "additions that failed");
}

#[test]
fn a_full_disk_stops_writing_and_nothing_else() {
    let (sandbox, faults) = library();
    let full =
        "store.before_begin=enospc;reconcile.before_commit=enospc;index.before_commit=enospc";
    faults.tell(full);
    edit(&sandbox, 1);
    let status = sandbox.status_until("the warning", |status| {
        status["warnings"].to_string().contains("disk-full")
    });
    assert_eq!(status["artifacts"], 2);
    // The old rows are served.
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
    assert_eq!(sandbox.show("two")["description"], "Plain");
    let error = sandbox.fails(&["cache", "refresh"], 1);
    assert_eq!(error["code"], "file.disk_full", "{error}");
    faults.none();
    // It clears itself, and what was missed is found without anybody asking.
    sandbox.shows("two", "the edit", |shown| {
        shown["description"] == "Edited 1"
    });
    sandbox.status_until("no warning", |status| {
        !status["warnings"].to_string().contains("disk-full")
    });
    equals_a_fresh_one(&sandbox, "a full disk");
}

#[test]
fn a_disk_that_fails_at_any_write_of_rows() {
    let (sandbox, faults) = library();
    let names = ["reconcile", "store"]
        .into_iter()
        .flat_map(failpoint::of_area);
    for (round, (name, way)) in names
        .flat_map(|name| ["enospc", "eio"].map(|way| (name, way)))
        .enumerate()
    {
        let what = format!("{name}={way}");
        let before = log_of(&sandbox).len();
        faults.tell(&what);
        edit(&sandbox, round);
        until(&what, || {
            let words = if way == "enospc" {
                "no space left"
            } else {
                "input/output error"
            };
            let log = log_of(&sandbox);
            log.get(before..)
                .unwrap()
                .to_lowercase()
                .contains(words)
                .then_some(())
        });
        assert_eq!(sandbox.ids(), ["skill:one", "skill:two"], "{what}");
        faults.none();
        let words = format!("Edited {round}");
        sandbox.shows("two", &what, |shown| shown["description"] == words.as_str());
    }
    equals_a_fresh_one(&sandbox, "writes that failed");
}

#[test]
fn a_collection_that_cant_be_compared_is_told_until_it_can() {
    let (sandbox, faults) = library();
    faults.tell("reconcile.before_commit=eio");
    edit(&sandbox, 1);
    let is_told = |status: &Value| {
        let warnings = status["warnings"].as_array().unwrap();
        let mut told = warnings.iter().filter(|one| one["subject"] == "default");
        told.any(|one| one["code"] == "collection-unreadable")
    };
    sandbox.status_until("the warning", is_told);
    assert_eq!(sandbox.show("two")["description"], "Plain");
    faults.none();
    sandbox.status_until("no warning", |status| !is_told(status));
    assert_eq!(sandbox.show("two")["description"], "Edited 1");
}

#[test]
fn an_index_that_is_cut_short_is_finished_later() {
    let (sandbox, faults) = large_library();
    let indexed = |what: &str| {
        sandbox.cache_until(what, |cache| cache["unindexed_artifacts"] == 0);
    };
    for name in failpoint::of_area("index") {
        faults.tell(&format!("{name}=kill"));
        drop(sandbox.run(&["cache", "clear"]));
        until_dead(&sandbox, name);
        faults.none();
        drop(sandbox.run(&["cache", "refresh"]).ok());
        indexed(name);
        for way in ["enospc", "eio"] {
            let what = format!("{name}={way}");
            let before = log_of(&sandbox).len();
            faults.tell(&what);
            drop(sandbox.run(&["cache", "clear"]).ok());
            until(&what, || {
                let log = log_of(&sandbox);
                log.get(before..)
                    .unwrap()
                    .contains("WARN text-index")
                    .then_some(())
            });
            assert_eq!(sandbox.json(&["list"])["total"], 82, "{what}");
            faults.none();
            indexed(&what);
        }
    }
    equals_a_fresh_one(&sandbox, "an index that was cut short");
}

#[test]
fn a_start_that_fails_says_so_and_the_next_one_works() {
    let (sandbox, faults) = library();
    let names = failpoint::of_area("boot").chain(failpoint::of_area("migrate"));
    let ways = ["enospc", "eio"];
    for (name, way) in names.flat_map(|name| ways.map(|way| (name, way))) {
        if name.starts_with("migrate") {
            drop(sandbox.run(&["db", "downgrade", "1", "--yes"]).ok());
        }
        sandbox.stop();
        let what = format!("{name}={way}");
        let before = log_of(&sandbox).len();
        faults.tell(&what);
        let answer = sandbox.run(&["list"]);
        let log = log_of(&sandbox);
        let said = format!("{}{}", answer.stderr, log.get(before..).unwrap());
        let words = if way == "enospc" {
            "no space left"
        } else {
            "input/output error"
        };
        assert!(
            said.contains(&format!("{name}` failed")) || said.to_lowercase().contains(words),
            "{what}: {said}"
        );
        faults.none();
        if name.starts_with("boot.after_cache")
            || name.starts_with("boot.before_cache")
            || name.starts_with("migrate")
        {
            // It serves its status meanwhile, and tries again when it is asked to.
            assert_eq!(
                sandbox.json(&["status"])["daemon"]["state"],
                "degraded",
                "{what}"
            );
            drop(sandbox.run(&["db", "upgrade"]).ok());
        }
        assert_eq!(sandbox.ready()["artifacts"], 2, "{what}");
        equals_a_fresh_one(&sandbox, &what);
    }
}

#[test]
fn an_end_that_fails_is_an_end() {
    let (sandbox, faults) = library();
    let ways = ["enospc", "eio"];
    for (name, way) in failpoint::of_area("shutdown").flat_map(|name| ways.map(|way| (name, way))) {
        let what = format!("{name}={way}");
        faults.tell(&what);
        sandbox.stop();
        faults.none();
        assert_eq!(sandbox.ready()["artifacts"], 2, "{what}");
        equals_a_fresh_one(&sandbox, &what);
    }
}

#[test]
fn what_a_killed_change_made_ready_goes_with_the_next_start() {
    let (sandbox, faults) = library();
    let source = skill(&sandbox.path("source"), "new", "Plain");
    let add = ["add", source.to_str().unwrap()];
    let ways = [
        (&add[..], "change.planned=kill"),
        (&add, "change.ready=kill"),
        (&add, "change.recorded=kill"),
        (&add, "change.placing=kill@2"),
        (&["remove", "one", "--yes"], "change.placing=kill@2"),
        (&["remove", "one", "--yes"], "change.placed=kill"),
        (&["collection", "create", "work"], "change.recorded=kill"),
        (&["rate", "two", "5"], "change.recorded=kill"),
    ];
    // What another daemon is making ready in the same place.
    let theirs = sandbox.collection("default", "skills/.skillmeat-tmp-1-2-01234567");
    let mut left = 0;
    for (args, step) in ways {
        faults.tell(step);
        drop(sandbox.run(args));
        until_dead(&sandbox, step);
        faults.none();
        left += leftovers(sandbox.home().root()).len();
        std::fs::create_dir_all(&theirs).unwrap();
        sandbox.ready();
        let found = leftovers(sandbox.home().root());
        assert_eq!(found, [theirs.to_str().unwrap()], "{args:?} {step}");
    }
    assert!(left > 5, "{left}");
}
