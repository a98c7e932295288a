//! What the daemon does by the clock: snapshots and their retention, collecting garbage, verifying.

use serde_json::{Value, json};
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::wait::until_true;
use skillmeat_tests::{Sandbox, history};

fn add(sandbox: &Sandbox, name: &str) {
    let source = skill(&sandbox.path("src"), name, &format!("About {name}"));
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
}

/// Has a schedule come due while no daemon runs, and waits until the next daemon has run it.
fn run_late(sandbox: &Sandbox, schedule: &str) {
    sandbox.stop();
    history::make_due(sandbox, schedule);
    drop(sandbox.ready());
    until_true(schedule, || history::last_run(sandbox, schedule).is_some());
}

/// Origin and message of each snapshot, the newest first.
fn snapshots(sandbox: &Sandbox) -> Vec<[String; 2]> {
    let listed = sandbox.json(&["snapshot", "list", "--all", "--limit", "100"]);
    let all = listed["snapshots"].as_array().unwrap().iter();
    all.map(|one| ["origin", "message"].map(|key| text(&one[key])))
        .collect()
}

fn count(sandbox: &Sandbox) -> usize {
    let all = snapshots(sandbox);
    all.iter()
        .filter(|[origin, _]| origin == "scheduled")
        .count()
}

#[test]
fn a_snapshot_that_is_due_is_made_if_something_changed() {
    let sandbox = Sandbox::initialised();
    add(&sandbox, "one");
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    // The ancestor's index is nothing that ours need.
    let theirs = sandbox.home().snapshots("work").join("snapshots.toml");
    write(theirs, "[[broken\n");
    run_late(&sandbox, "snapshot");
    until_true("a snapshot of each collection", || count(&sandbox) == 2);
    assert_eq!(snapshots(&sandbox)[0][1], "Scheduled snapshot");

    // Nothing changed: none. Something changed, while no daemon ran: one, of that collection.
    run_late(&sandbox, "snapshot");
    sandbox.stop();
    write(sandbox.collection("default", "skills/one/more.md"), "more");
    run_late(&sandbox, "snapshot");
    until_true("one more snapshot", || count(&sandbox) >= 3);
    assert_eq!(count(&sandbox), 3);
    let newest = &sandbox.json(&["history", "--all"])["snapshots"][0];
    assert_eq!(newest["collection"], "default");
    let since = sandbox.json(&["snapshot", "diff", &text(&newest["id"])]);
    assert_eq!(since["changes"], json!([]));

    // Those that nobody wants go, manual ones never.
    drop(sandbox.run(&["snapshot", "by hand"]).ok());
    for key in ["keep_last", "keep_daily", "keep_weekly", "keep_monthly"] {
        let value = if key == "keep_last" { "1" } else { "0" };
        let key = format!("snapshot.{key}");
        drop(sandbox.run(&["config", "set", &key, value]).ok());
    }
    write(sandbox.collection("default", "skills/one/more.md"), "again");
    run_late(&sandbox, "snapshot");
    // The newest one of each collection.
    until_true("those that are kept", || count(&sandbox) == 2);
    let all = snapshots(&sandbox);
    assert!(
        all.iter().any(|[_, message]| message == "by hand"),
        "{all:?}"
    );

    // Where no schedule is wanted none is kept.
    drop(
        sandbox
            .run(&["config", "set", "snapshot.schedule", "off"])
            .ok(),
    );
    write(
        sandbox.collection("default", "skills/one/more.md"),
        "once more",
    );
    run_late(&sandbox, "snapshot");
    assert_eq!(snapshots(&sandbox), all);
}

#[test]
fn what_nothing_needs_is_collected_once_a_week() {
    let sandbox = Sandbox::initialised();
    add(&sandbox, "one");
    let kept = text(&sandbox.json(&["snapshot", "kept"])["snapshot"]["id"]);
    // No artifact, and so no operation needs it.
    let file = sandbox.collection("default", "notes.txt");
    write(&file, "only in the snapshot that goes");
    let gone = text(&sandbox.json(&["snapshot", "gone"])["snapshot"]["id"]);
    std::fs::remove_file(&file).unwrap();
    drop(sandbox.run(&["snapshot", "delete", &gone, "--yes"]).ok());
    let garbage = || {
        sandbox.json(&["gc", "--dry-run"])["objects"]
            .as_u64()
            .unwrap()
    };
    assert!(garbage() > 0);
    run_late(&sandbox, "collect");
    until_true("no garbage", || garbage() == 0);
    drop(sandbox.run(&["snapshot", "verify", "--all"]).ok());
    drop(sandbox.run(&["rollback", &kept, "--yes"]).ok());
    assert_eq!(sandbox.show("one")["description"], "About one");
}

/// The warning of damaged snapshots, if there is one.
fn warning(status: &Value) -> Option<Value> {
    let warnings = status["warnings"].as_array().unwrap();
    let mut found = warnings
        .iter()
        .filter(|one| one["code"] == "snapshot-damaged");
    found.next().cloned()
}

#[test]
fn damage_that_the_monthly_look_finds_is_a_warning_until_it_is_mended() {
    let sandbox = Sandbox::initialised();
    add(&sandbox, "one");
    let id = text(&sandbox.json(&["snapshot", "whole"])["snapshot"]["id"]);
    let bytes = std::fs::read(sandbox.collection("default", "skills/one/SKILL.md")).unwrap();
    sandbox.stop();
    history::alter(&sandbox, &bytes);
    run_late(&sandbox, "verify-snapshots");
    let status = sandbox.status_until("the warning", |status| warning(status).is_some());
    let told = warning(&status).unwrap();
    assert_eq!(told["subject"], "default");
    for part in [&id, "skills/one/SKILL.md"] {
        assert!(text(&told["message"]).contains(part), "{told}");
    }
    let log = std::fs::read_to_string(sandbox.home().log_file()).unwrap();
    assert!(log.contains("a snapshot is damaged"), "{log}");
    let told = sandbox.run(&["snapshot", "verify"]).exits(9).stderr;
    assert!(told.contains("`sm snapshot delete` removes one"), "{told}");

    // The next daemon knows, too.
    sandbox.stop();
    sandbox.status_until("the warning", |status| warning(status).is_some());
    sandbox.stop();
    history::alter(&sandbox, &bytes);
    drop(sandbox.run(&["snapshot", "verify"]).ok());
    sandbox.status_until("no warning", |status| warning(status).is_none());

    // Found by hand it is told likewise, and goes with the snapshot.
    sandbox.stop();
    history::alter(&sandbox, &bytes);
    drop(sandbox.run(&["snapshot", "verify"]).exits(9));
    sandbox.status_until("the warning", |status| warning(status).is_some());
    drop(sandbox.run(&["snapshot", "delete", &id, "--yes"]).ok());
    sandbox.status_until("no warning", |status| warning(status).is_none());
}

#[test]
fn without_the_cache_the_history_is_looked_after_as_before() {
    let sandbox = Sandbox::initialised();
    add(&sandbox, "one");
    sandbox.ready();
    run_late(&sandbox, "verify-snapshots");
    run_late(&sandbox, "collect");
    let of_the_history = || {
        let status = sandbox.ready();
        let all = status["schedules"].as_array().unwrap().iter();
        let ours = all.filter(|one| {
            ["snapshot", "collect", "verify-snapshots"].contains(&one["name"].as_str().unwrap())
        });
        ours.cloned().collect::<Vec<Value>>()
    };
    let before = of_the_history();
    assert_eq!(before.len(), 3, "{before:#?}");
    let ran = before.iter().filter(|one| !one["last_run"].is_null());
    assert_eq!(ran.count(), 2, "{before:#?}");
    sandbox.stop();
    std::fs::remove_dir_all(sandbox.home().cache_dir()).unwrap();
    assert_eq!(of_the_history(), before);
}

#[test]
fn rows_are_kept_true_and_small_by_the_clock() {
    let sandbox = Sandbox::initialised();
    sandbox.stop();
    let all = ["safety", "verify-stale", "evict", "verify-cache"];
    for schedule in all {
        history::make_due(&sandbox, schedule);
    }
    drop(sandbox.ready());
    for schedule in all {
        until_true(schedule, || history::last_run(&sandbox, schedule).is_some());
    }
    // Each comes again, the look at everything within the hour.
    let status = sandbox.json(&["status"]);
    let schedules = status["schedules"].as_array().unwrap();
    for name in all {
        let one = schedules.iter().find(|one| one["name"] == name).unwrap();
        assert!(text(&one["next_due"]) > text(&one["last_run"]), "{one}");
    }
    let safety = schedules.iter().find(|one| one["name"] == "safety");
    assert_eq!(safety.unwrap()["every"], "1h");
}
