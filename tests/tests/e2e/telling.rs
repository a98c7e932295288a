//! Answers that lack something, or may be old, say so, and why.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::process::Stdio;

use serde_json::json;
use skillmeat_tests::home::{rename, skill, text, write};
use skillmeat_tests::{Sandbox, until};

fn library() -> Sandbox {
    let sandbox = Sandbox::initialised();
    for name in ["one", "two"] {
        skill(&sandbox.collection("default", "skills"), name, "Plain");
    }
    sandbox.shows("two", "the skills", |_| true);
    sandbox
}

/// What lists, search and those that show one thing say on standard error and under `outdated`.
#[track_caller]
fn says_old(sandbox: &Sandbox, state: &str, reason: &str) {
    for command in [
        &["list"][..],
        &["search", "plain"],
        &["show", "one"],
        &["group", "list"],
        &["group", "show", "P"],
        &["tag", "list"],
        &["tag", "show", "t"],
    ] {
        let seen = sandbox.run(command).ok();
        let said: Vec<&str> = seen
            .stderr
            .lines()
            .filter(|line| line.contains("what is shown of it may be old"))
            .collect();
        assert_eq!(said.len(), 1, "{command:?}: {}", seen.stderr);
        assert!(said[0].contains(reason), "{command:?}: {said:?}");
        let told = sandbox.json(command);
        let outdated = &told["outdated"][0];
        assert_eq!(outdated["collection"], "default", "{told:#}");
        assert_eq!(outdated["state"], state, "{told:#}");
        assert!(text(&outdated["reason"]).contains(reason), "{told:#}");
    }
}

#[track_caller]
fn says_nothing(sandbox: &Sandbox) {
    until("the collection is mended", || {
        (sandbox.json(&["list"])["outdated"] == json!([])).then_some(())
    });
    for command in [["show", "one"], ["group", "list"], ["tag", "list"]] {
        assert_eq!(sandbox.json(&command)["outdated"], json!([]));
        let seen = sandbox.run(&command).ok();
        assert!(!seen.stderr.contains("may be old"), "{}", seen.stderr);
    }
    let group = sandbox.json(&["group", "show", "P"]);
    assert_eq!(group["members"][0]["id"], "skill:one", "{group:#}");
}

#[test]
fn rows_that_are_old_are_told_to_be() {
    let sandbox = library();
    sandbox.json(&["group", "create", "P", "one"]);
    sandbox.json(&["tag", "define", "t"]);
    says_nothing(&sandbox);
    let manifest = sandbox.collection("default", "collection.toml");
    let good = fs::read(&manifest).unwrap();
    let until_it_is = |state: &str| {
        until(state, || {
            let shown = sandbox.json(&["collection", "show", "default"]);
            (shown["state"] == state).then_some(())
        });
    };
    write(&manifest, "[collection]\nname = \n");
    until_it_is("broken");
    // At once: warnings wait for what lasts.
    let status = sandbox.run(&["status"]).ok().stdout;
    assert!(status.contains("collection.toml:2"), "{status}");
    says_old(&sandbox, "broken", "collection.toml:2: ");
    // What was known stays known, also to the next daemon.
    sandbox.stop();
    says_old(&sandbox, "broken", "collection.toml:2: ");
    // Without a cache nothing is: that there is no group is no news of the files.
    sandbox.stop();
    fs::remove_dir_all(sandbox.home().cache_dir()).unwrap();
    until("all rows are there", || {
        (sandbox.json(&["list"])["complete"] == true).then_some(())
    });
    let seen = sandbox.run(&["group", "list"]).ok().stderr;
    assert!(seen.contains("may be old"), "{seen}");
    write(&manifest, &good);
    until_it_is("ok");
    says_nothing(&sandbox);
    fs::remove_file(&manifest).unwrap();
    until_it_is("no-manifest");
    says_old(&sandbox, "no-manifest", "there is no collection.toml");
    write(&manifest, &good);
    until_it_is("ok");
    says_nothing(&sandbox);
    let away = sandbox.path("away");
    rename(sandbox.collection("default", ""), &away);
    until_it_is("unreachable");
    says_old(&sandbox, "unreachable", "can't open");
    rename(&away, sandbox.collection("default", ""));
    says_nothing(&sandbox);
}

#[test]
fn the_tables_of_the_status_are_in_one_order() {
    let sandbox = library();
    for name in ["zebra", "beta", "alpha"] {
        drop(sandbox.run(&["collection", "create", name]).ok());
    }
    let status = sandbox.status_until("all watches", |status| {
        status["roots"]
            .as_array()
            .is_some_and(|roots| roots.len() == 4)
    });
    for (table, key) in [("roots", "collection"), ("collections", "name")] {
        let rows = status[table].as_array().unwrap().iter();
        let names: Vec<String> = rows.map(|row| text(&row[key])).collect();
        assert_eq!(names, ["alpha", "beta", "default", "zebra"], "{table}");
    }
}

#[test]
fn who_wants_to_hear_little_hears_that_events_were_lost() {
    let sandbox = library();
    let status = sandbox.json(&["status"]);
    let instance = text(&status["daemon"]["log_instance"]);
    let since = format!("{instance}:{}", status["daemon"]["last_seq"]);
    let greeting = sandbox
        .stream(&["watch", "--json", "--since", &since])
        .json();
    assert_eq!(greeting["continuous"], true, "{greeting:#}");
    assert_eq!(greeting["instance"], instance);
    let seen = sandbox.run(&["daemon", "status", "-v"]).ok().stdout;
    assert!(seen.contains(&format!("{instance}:")), "{seen}");
    let mut watch = sandbox.sm(&["watch", "-q", "--since", "other:1"]);
    let mut watch = watch.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut lines = BufReader::new(watch.stderr.take().unwrap());
    lines.read_line(&mut line).unwrap();
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert!(line.contains("events were lost"), "{line}");
}

#[test]
fn a_page_of_nothing_still_tells_how_many_there_are() {
    let sandbox = library();
    let seen = sandbox.run(&["list", "--limit", "0"]).ok();
    assert!(seen.stderr.contains("0 of 2 artifacts"), "{}", seen.stderr);
    let seen = sandbox.run(&["list", "--limit", "0", "--status", "missing"]);
    assert!(seen.ok().stderr.contains("matches"));
}

#[test]
fn a_refresh_names_what_failed_and_counts_it_once() {
    let sandbox = library();
    write(sandbox.path("elsewhere/SKILL.md"), "outside");
    symlink(
        sandbox.path("elsewhere"),
        sandbox.collection("default", "skills/out"),
    )
    .unwrap();
    let first = sandbox.json(&["cache", "refresh"]);
    assert_eq!(first["failed"], 1, "{first:#}");
    assert_eq!(first["failures"][0]["collection"], "default");
    assert_eq!(first["failures"][0]["path"], "skills/out");
    assert!(!text(&first["failures"][0]["reason"]).is_empty());
    let count = || sandbox.json(&["cache", "status"])["ingest_failures"].clone();
    let before = count();
    assert_eq!(before, 1);
    let seen = sandbox.run(&["cache", "refresh", "--force"]).ok();
    assert!(
        seen.stderr.contains("`skills/out` of `default`: "),
        "{}",
        seen.stderr
    );
    assert_eq!(count(), before);
}

#[test]
fn a_kind_that_is_shown_can_be_asked_for() {
    let sandbox = library();
    write(
        sandbox.collection("default", "collection.toml"),
        "[collection]\nname = \"default\"\n\n[[artifacts]]\nname = \"odd\"\ntype = \"Zorkmid\"\npath = \"odd\"\n",
    );
    sandbox.shows("odd", "the entry", |_| true);
    for kind in ["Zorkmid", "zorkmid"] {
        let list = sandbox.json(&["list", "--type", kind]);
        assert_eq!(list["total"], 1, "{list:#}");
        assert_eq!(list["artifacts"][0]["name"], "odd");
    }
    let found = sandbox.json(&["search", "odd", "--type", "zorkmid"]);
    assert_eq!(found["hits"].as_array().unwrap().len(), 1, "{found:#}");
    for command in [&["list"][..], &["search", "odd"]] {
        let error = sandbox.fails(&[command, &["--type", "skil"]].concat(), 2);
        assert!(text(&error["message"]).contains("`skil` is no artifact kind"));
    }
}
