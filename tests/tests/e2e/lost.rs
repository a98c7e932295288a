//! A history that others delete, empty or cut off: it is used again at once, and what is lost is told.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{codes, rename, skill, text, write};
use skillmeat_tests::wait::until_true;

use crate::doctor::OF_THE_MACHINE;

/// A home with an artifact and some operations, as they were, and its running daemon.
fn begun() -> Sandbox {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    sandbox
}

fn log_of(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().root().join("history.db-wal")
}

fn note_of(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().root().join("state/history.note")
}

/// A history that is in use, with something in its log alone.
fn in_use() -> Sandbox {
    let sandbox = begun();
    let mut number = 0;
    until_true("something in the log", || {
        number += 1;
        drop(
            sandbox
                .run(&["tag", "add", &format!("t{number}"), "one"])
                .ok(),
        );
        fs::metadata(log_of(&sandbox)).is_ok_and(|found| found.len() > 0)
    });
    sandbox
}

fn empty(path: &Path) {
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(0)
        .unwrap();
}

#[track_caller]
fn doctor_says(sandbox: &Sandbox) -> Vec<String> {
    let seen = sandbox.run(&["doctor", "--json"]).ok().json();
    let all = seen["findings"].as_array().unwrap().iter();
    let all = all.map(|one| text(&one["code"]));
    all.filter(|one| !OF_THE_MACHINE.contains(&one.as_str()))
        .collect()
}

/// It is told everywhere until it is acknowledged.
#[track_caller]
fn told(sandbox: &Sandbox, why: &str) {
    let status = sandbox.status_until("a history that is lost", |status| {
        codes(&status["warnings"]) == ["history-lost"]
    });
    let warning: &Value = &status["warnings"][0];
    assert!(text(&warning["message"]).contains(why), "{warning:#}");
    let note = note_of(sandbox);
    let hints = warning["hints"].to_string();
    assert!(hints.contains(note.to_str().unwrap()), "{warning:#}");
    let log = sandbox.run(&["daemon", "logs", "-n", "200"]).ok().stdout;
    let is_warned = |line: &str| line.contains("WARN") && line.contains(why);
    assert!(log.lines().any(is_warned), "{log}");
    assert_eq!(doctor_says(sandbox), ["history-lost"]);
    sandbox.stop();
    assert_eq!(doctor_says(sandbox), ["history-lost"]);
    sandbox.status_until("the same after a start", |status| {
        codes(&status["warnings"]) == ["history-lost"]
    });
    fs::remove_file(&note).unwrap();
    sandbox.status_until("no warning", |status| codes(&status["warnings"]).is_empty());
    assert_eq!(doctor_says(sandbox), [""; 0]);
    // The next one is missed, too.
    drop(sandbox.run(&["tag", "add", "again", "one"]).ok());
    for file in [sandbox.home().history(), log_of(sandbox)] {
        drop(fs::remove_file(file));
    }
    drop(sandbox.run(&["log"]).ok());
    sandbox.status_until("a loss after the first", |status| {
        codes(&status["warnings"]) == ["history-lost"]
    });
}

#[test]
fn a_log_that_is_emptied_in_use_is_told_and_the_history_goes_on() {
    for ask in [&["log"][..], &["tag", "add", "red", "one"], &["snapshot"]] {
        let sandbox = in_use();
        empty(&log_of(&sandbox));
        drop(sandbox.run(ask).ok());
        drop(sandbox.run(&["tag", "add", "blue", "one"]).ok());
        drop(sandbox.run(&["undo"]).ok());
        told(&sandbox, "was deleted or cut off");
    }
}

#[test]
fn a_log_that_is_emptied_in_use_is_noticed_by_who_asks_for_the_status() {
    let sandbox = in_use();
    empty(&log_of(&sandbox));
    told(&sandbox, "was deleted or cut off");
}

/// The number of the newest operation.
fn newest(sandbox: &Sandbox) -> i64 {
    sandbox.json(&["log", "--limit", "1"])["operations"][0]["id"]
        .as_i64()
        .unwrap()
}

#[test]
fn a_log_that_is_gone_after_a_kill_is_told_with_how_much_stood_in_it() {
    for is_cut in [true, false] {
        let sandbox = in_use();
        let last = newest(&sandbox);
        sandbox.kill();
        if is_cut {
            empty(&log_of(&sandbox));
        } else {
            fs::remove_file(log_of(&sandbox)).unwrap();
        }
        let status = sandbox.status_until("a history that lacks something", |status| {
            codes(&status["warnings"]) == ["history-lost"]
        });
        let message = text(&status["warnings"][0]["message"]);
        assert!(message.contains(&format!("{last}) ")), "{message}");
        drop(sandbox.run(&["tag", "add", "after", "one"]).ok());
        assert_eq!(newest(&sandbox), last + 1);
        told(&sandbox, "not in it any more");
    }
}

#[test]
fn a_history_that_is_emptied_with_its_log_in_use_is_begun_anew() {
    for ask in [&["log"][..], &["tag", "add", "red", "one"]] {
        let sandbox = in_use();
        empty(&sandbox.home().history());
        empty(&log_of(&sandbox));
        drop(sandbox.run(ask).ok());
        told(&sandbox, "a new one was begun");
    }
}

#[test]
fn a_history_that_is_emptied_beside_its_log_is_put_aside_with_it() {
    let sandbox = in_use();
    empty(&sandbox.home().history());
    drop(sandbox.run(&["tag", "add", "red", "one"]).ok());
    sandbox.status_until("a history that was replaced", |status| {
        codes(&status["warnings"]) == ["history-replaced"]
    });
    let all = fs::read_dir(sandbox.home().root()).unwrap();
    let mut all = all.map(|entry| text(&entry.unwrap().file_name().to_str().unwrap().into()));
    assert!(all.any(|name| name.contains(".corrupt-") && name.ends_with("-wal")));
}

#[test]
fn a_history_that_was_deleted_is_missed() {
    for (is_running, is_asked) in [(true, true), (true, false), (false, true), (false, false)] {
        let sandbox = begun();
        let history = sandbox.home().history();
        let kept = sandbox.path("kept.db");
        sandbox.ready();
        if !is_running {
            sandbox.stop();
        }
        fs::copy(&history, &kept).unwrap();
        for file in [history.clone(), log_of(&sandbox)] {
            drop(fs::remove_file(file));
        }
        if !is_running {
            assert_eq!(doctor_says(&sandbox), ["history-lost"]);
        }
        if is_asked {
            drop(sandbox.run(&["tag", "add", "red", "one"]).ok());
            told(&sandbox, "a new one was begun");
        } else {
            sandbox.status_until("a history that is gone", |status| {
                codes(&status["warnings"]) == ["history-lost"]
            });
        }
    }
}

#[test]
fn a_history_that_was_emptied_at_rest_is_missed() {
    let sandbox = begun();
    sandbox.ready();
    sandbox.stop();
    write(sandbox.home().history(), "");
    assert_eq!(doctor_says(&sandbox), ["history-lost"]);
    sandbox.ready();
    drop(sandbox.run(&["tag", "add", "red", "one"]).ok());
    told(&sandbox, "a new one was begun");
}

#[test]
fn a_history_that_nobody_knows_of_is_not_missed() {
    // A fresh home, one of a version that did not note it, and one whose history is put back.
    let sandbox = begun();
    sandbox.ready();
    sandbox.stop();
    assert_eq!(doctor_says(&sandbox), [""; 0]);
    let (history, kept) = (sandbox.home().history(), sandbox.path("kept.db"));
    rename(&history, &kept);
    assert_eq!(doctor_says(&sandbox), ["history-lost"]);
    rename(&kept, &history);
    assert_eq!(doctor_says(&sandbox), [""; 0]);
    for _ in ["unknown", "known again"] {
        fs::remove_file(note_of(&sandbox)).unwrap();
        assert!(codes(&sandbox.ready()["warnings"]).is_empty());
        drop(sandbox.run(&["log"]).ok());
        sandbox.stop();
        assert!(note_of(&sandbox).exists());
        assert_eq!(doctor_says(&sandbox), [""; 0]);
    }
    fs::remove_file(note_of(&sandbox)).unwrap();
    fs::remove_file(&history).unwrap();
    drop(sandbox.run(&["tag", "add", "red", "one"]).ok());
    assert!(codes(&sandbox.ready()["warnings"]).is_empty());
}

#[test]
fn who_looks_for_what_was_done_is_told_that_it_was_lost() {
    let sandbox = begun();
    let told = sandbox.json(&["log"]);
    assert_eq!(told["lost"], Value::Null, "{told:#}");
    for file in [sandbox.home().history(), log_of(&sandbox)] {
        drop(fs::remove_file(file));
    }
    for args in [&["undo"][..], &["redo"], &["undo", "1"], &["log", "show"]] {
        let error = sandbox.fails(args, 3);
        let hints = error["hints"].to_string();
        assert!(hints.contains("the history is lost"), "{args:?}: {error:#}");
    }
    let log = sandbox.run(&["log"]).ok().stderr;
    assert!(log.contains("the history is lost"), "{log}");
    assert!(!log.contains("nothing was changed"), "{log}");
    // Also where it goes on, at both ends.
    drop(sandbox.run(&["tag", "add", "red", "one"]).ok());
    drop(sandbox.run(&["tag", "add", "blue", "one"]).ok());
    assert!(text(&sandbox.json(&["log"])["lost"]).contains("lost"));
    let newest = sandbox.json(&["log", "--limit", "1"]);
    assert!(text(&newest["lost"]).contains("lost"), "{newest:#}");
    drop(sandbox.run(&["tag", "add", "green", "one"]).ok());
    let before = newest["operations"][0]["id"].as_u64().unwrap() + 1;
    let before = before.to_string();
    let some = sandbox.json(&["log", "--limit", "1", "--before", &before]);
    assert_eq!(some["lost"], Value::Null, "{some:#}");
    fs::remove_file(note_of(&sandbox)).unwrap();
    assert_eq!(sandbox.json(&["log"])["lost"], Value::Null);
}

#[test]
fn who_takes_back_what_was_not_the_last_change_is_told_that_later_ones_are_lost() {
    let sandbox = begun();
    drop(sandbox.run(&["tag", "add", "kept", "one"]).ok());
    sandbox.stop();
    let history = sandbox.home().history();
    let older = sandbox.path("older.db");
    fs::copy(&history, &older).unwrap();
    for value in ["3", "4"] {
        drop(sandbox.run(&["rate", "one", value]).ok());
    }
    sandbox.stop();
    fs::copy(&older, &history).unwrap();
    for suffix in ["-wal", "-shm"] {
        let mut file = history.clone().into_os_string();
        file.push(suffix);
        drop(fs::remove_file(file));
    }
    let is_told = |args: &[&str]| {
        let notes = sandbox.json(args)["notes"].to_string();
        notes.contains("2 operations") && notes.contains("the history is lost")
    };
    // Of the last one, without a number, also where what was done meanwhile is to be done again.
    assert!(is_told(&["undo", "--dry-run"]));
    let last = sandbox.json(&["log", "--limit", "1"])["operations"][0]["id"].to_string();
    assert!(!is_told(&["undo", &last, "--dry-run"]));
    assert!(is_told(&["undo"]));
    assert!(!is_told(&["redo", "--dry-run"]));
    assert!(!is_told(&["rate", "one", "5"]));
    assert!(!is_told(&["undo"]));
    assert!(is_told(&["undo"]));
}
