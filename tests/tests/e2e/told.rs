//! What is wrong is told once, under a name of its own, with what it means and what to do; with a daemon and without.

use std::fs;
use std::path::Path;

use serde_json::Value;
use skillmeat_tests::home::{codes, rename, skill, text, write};
use skillmeat_tests::{Sandbox, daemon};

use crate::doctor::OF_THE_MACHINE;

/// A home with an artifact and a history, and its stopped daemon.
fn stopped() -> Sandbox {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    sandbox.ready();
    sandbox.stop();
    sandbox
}

/// What the doctor finds of the home, however the machine is.
#[track_caller]
fn findings(sandbox: &Sandbox, code: i32) -> Vec<Value> {
    let seen = sandbox.run(&["doctor", "--json"]).exits(code).json();
    let all = seen["findings"].as_array().unwrap().iter();
    let found: Vec<Value> = all
        .filter(|one| !OF_THE_MACHINE.contains(&one["code"].as_str().unwrap()))
        .cloned()
        .collect();
    for one in &found {
        assert!(!text(&one["meaning"]).is_empty(), "{one:#}");
        assert!(!one["hints"].as_array().unwrap().is_empty(), "{one:#}");
    }
    found
}

fn codes_of(findings: &[Value]) -> Vec<&str> {
    let codes = findings.iter().map(|one| one["code"].as_str().unwrap());
    codes.collect()
}

fn set_schema(path: &Path, schema: u32) {
    let mut bytes = fs::read(path).unwrap();
    // The schema's number stands at byte 60.
    bytes[60..64].copy_from_slice(&schema.to_be_bytes());
    write(path, bytes);
}

#[test]
fn a_history_that_can_not_be_used_is_told_until_it_can() {
    let sandbox = stopped();
    let path = sandbox.home().history();
    let kept = sandbox.path("kept.db");
    let ways: [(&str, &dyn Fn()); 2] = [
        ("a newer version wrote it", &|| {
            fs::copy(&kept, &path).unwrap();
            set_schema(&path, 999);
        }),
        ("is no file", &|| fs::create_dir(&path).unwrap()),
    ];
    for (why, damage) in ways {
        sandbox.stop();
        rename(&path, &kept);
        damage();
        let told = |found: &[Value]| {
            assert_eq!(codes_of(found), ["history-unusable"], "{why}");
            assert!(text(&found[0]["message"]).contains(why), "{found:#?}");
            assert_eq!(found[0]["severity"], "error");
        };
        told(&findings(&sandbox, 9));
        assert!(daemon::processes(sandbox.home().root()).is_empty());
        let status = sandbox.ready();
        let warnings = status["warnings"].as_array().unwrap();
        told_by_status(warnings, why);
        told(&findings(&sandbox, 9));
        let args = ["tag", "add", "red", "one"];
        let refused = sandbox.fails(&args, 7);
        assert!(refused.to_string().contains(why), "{refused}");

        // In use: it is back, and the warning goes by itself.
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        }
        rename(&kept, &path);
        sandbox.status_until("no warning", |status| codes(&status["warnings"]).is_empty());
        drop(sandbox.run(&args).ok());
        assert_eq!(codes_of(&findings(&sandbox, 0)), [""; 0]);
        drop(sandbox.run(&["undo"]).ok());

        // It is noticed while the daemon runs, too.
        rename(&path, &kept);
        fs::create_dir(&path).unwrap();
        sandbox.status_until("a history that is gone", |status| {
            codes(&status["warnings"]) == ["history-unusable"]
        });
        fs::remove_dir(&path).unwrap();
        rename(&kept, &path);
        sandbox.status_until("no warning again", |status| {
            codes(&status["warnings"]).is_empty()
        });
    }
}

#[track_caller]
fn told_by_status(warnings: &[Value], why: &str) {
    assert_eq!(codes_of(warnings), ["history-unusable"], "{why}");
    assert!(text(&warnings[0]["message"]).contains(why), "{warnings:#?}");
    assert!(!warnings[0]["hints"].as_array().unwrap().is_empty());
}

#[test]
fn a_database_of_others_in_the_place_of_the_history_is_put_aside_whole() {
    for version in [0, 1, 2] {
        let sandbox = stopped();
        let path = sandbox.home().history();
        fs::remove_file(&path).unwrap();
        let theirs = rusqlite::Connection::open(&path).unwrap();
        theirs.execute_batch("CREATE TABLE t (x)").unwrap();
        theirs.pragma_update(None, "user_version", version).unwrap();
        drop(theirs);
        let bytes = fs::read(&path).unwrap();
        let found = findings(&sandbox, 9);
        assert_eq!(codes_of(&found), ["history-unusable"]);
        let why = "is no history of SkillMeat";
        assert!(text(&found[0]["message"]).contains(why), "{found:#?}");
        assert!(fs::read(&path).unwrap() == bytes);
        sandbox.status_until("a history that was replaced", |status| {
            codes(&status["warnings"]) == ["history-replaced"]
        });
        drop(sandbox.run(&["log"]).ok());
        drop(sandbox.run(&["tag", "add", "red", "one"]).ok());
        let found = findings(&sandbox, 0);
        assert_eq!(codes_of(&found), ["history-replaced"]);
        let aside = text(&found[0]["path"]);
        assert!(fs::read(aside).unwrap() == bytes, "{found:#?}");
    }
}

#[test]
fn a_history_that_becomes_rubbish_in_use_is_put_aside_although_somebody_goes_on_asking() {
    for ask in [&["log"][..], &["tag", "add", "red", "one"]] {
        let sandbox = stopped();
        let path = sandbox.home().history();
        drop(sandbox.run(&["log"]).ok());
        // Whoever would open it just now may find it empty, and begin it anew as it is written.
        sandbox.ready();
        write(&path, b"no database ".repeat(1000));
        // Who notices it fails; what is in memory still may be answered before.
        let ended: Vec<_> = (0..4).map(|_| sandbox.run(ask).code).collect();
        assert_eq!(ended.last(), Some(&Some(0)), "{ended:?}");
        drop(sandbox.run(&["tag", "add", "blue", "one"]));
        drop(sandbox.run(&["log"]).ok());
        sandbox.status_until("a history that was replaced", |status| {
            codes(&status["warnings"]) == ["history-replaced"]
        });
    }
}

#[test]
fn who_verifies_a_damaged_history_is_not_told_to_verify() {
    let sandbox = stopped();
    let path = sandbox.home().history();
    let mut bytes = fs::read(&path).unwrap();
    // All but the page that says what it is.
    bytes[16 * 1024..].fill(0xaa);
    write(&path, bytes);
    let error = sandbox.fails(&["snapshot", "verify"], 1);
    assert_eq!(error["code"], "history.damaged", "{error}");
    let hints = error["hints"].to_string();
    assert!(
        hints.contains("keep") && !hints.contains("verify"),
        "{error}"
    );
}

#[test]
fn a_damaged_history_is_never_called_a_cache() {
    let sandbox = stopped();
    let path = sandbox.home().history();
    write(&path, b"no database ".repeat(500));
    let found = findings(&sandbox, 9);
    assert_eq!(codes_of(&found), ["history-unusable"]);
    assert!(found[0]["hints"].to_string().contains("keep"), "{found:#?}");
    sandbox.ready();
    sandbox.status_until("a history that was replaced", |status| {
        codes(&status["warnings"]) == ["history-replaced"]
    });
    let aside = || {
        let all = fs::read_dir(sandbox.home().root()).unwrap();
        let mut all = all.map(|entry| entry.unwrap().path());
        all.find(|path| path.display().to_string().contains("history.db.corrupt-"))
    };
    let aside = aside().unwrap();
    // Files that go with it are told of with it.
    write(format!("{}-wal", aside.display()), "log");
    for is_running in [true, false] {
        let found = findings(&sandbox, 0);
        assert_eq!(codes_of(&found), ["history-replaced"], "{is_running}");
        assert!(text(&found[0]["message"]).contains(aside.to_str().unwrap()));
        let said = sandbox.run(&["doctor"]).ok().stdout;
        assert!(said.contains("keep that file"), "{said}");
        assert!(
            !said.contains("earlier cache") && !said.contains("delete it"),
            "{said}"
        );
        sandbox.stop();
    }
    drop(sandbox.run(&["doctor", "--fix"]).ok());
    assert!(aside.exists());
    // Kept at another place it is told of no more.
    rename(&aside, sandbox.path("kept.db"));
    assert_eq!(codes_of(&findings(&sandbox, 0)), [""; 0]);
    sandbox.status_until("no warning", |status| codes(&status["warnings"]).is_empty());
}

#[test]
fn a_log_that_can_not_be_written_is_no_mistake_in_the_config() {
    let sandbox = stopped();
    write(sandbox.home().config(), "[daemon]\nself_check = \"1s\"\n");
    let logs = sandbox.home().logs_dir();
    fs::remove_dir_all(&logs).unwrap();
    write(&logs, "a file");
    let status = sandbox.ready();
    assert_eq!(codes(&status["warnings"]), ["log-unwritable"]);
    let found = findings(&sandbox, 0);
    assert_eq!(codes_of(&found), ["log-unwritable"]);
    fs::remove_file(&logs).unwrap();
    sandbox.status_until("a log again", |status| {
        codes(&status["warnings"]).is_empty() && logs.is_dir()
    });
}

#[test]
fn a_collection_that_is_gone_is_missed_without_a_daemon() {
    let sandbox = stopped();
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    sandbox.ready();
    sandbox.stop();
    assert_eq!(codes_of(&findings(&sandbox, 0)), [""; 0]);
    let names = ["default", "work"];
    for name in names {
        rename(sandbox.collection(name, ""), sandbox.path(name));
    }
    let missed = |found: &[Value]| {
        assert_eq!(codes_of(found), ["collection-unreachable"; 2], "{found:#?}");
        let subjects: Vec<String> = found.iter().map(|one| text(&one["subject"])).collect();
        assert_eq!(subjects, names);
    };
    missed(&findings(&sandbox, 9));
    // With a daemon the same is told, and once.
    sandbox.status_until("collections that are gone", |status| {
        codes(&status["warnings"]) == ["collection-unreachable"; 2]
    });
    missed(&findings(&sandbox, 9));
    for name in names {
        rename(sandbox.path(name), sandbox.collection(name, ""));
    }
    sandbox.status_until("collections that are back", |status| {
        codes(&status["warnings"]).is_empty()
    });
    // What a command deletes is not missed.
    drop(sandbox.run(&["collection", "delete", "work", "--yes"]).ok());
    assert_eq!(codes_of(&findings(&sandbox, 0)), [""; 0]);
    sandbox.stop();
    assert_eq!(codes_of(&findings(&sandbox, 0)), [""; 0]);
    // Nor is one of a cache that was deleted, but for that which the config names.
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    sandbox.ready();
    sandbox.stop();
    fs::remove_dir_all(sandbox.home().cache_dir()).unwrap();
    for name in names {
        fs::remove_dir_all(sandbox.collection(name, "")).unwrap();
    }
    let found = findings(&sandbox, 9);
    assert_eq!(codes_of(&found), ["collection-unreachable"]);
    assert_eq!(found[0]["subject"], "default");
}

#[test]
fn what_stands_in_the_place_of_a_folder_is_named() {
    let sandbox = stopped();
    fs::remove_dir_all(sandbox.home().cache_dir()).unwrap();
    write(sandbox.home().cache_dir(), "a file");
    let path = sandbox.home().cache_dir().display().to_string();
    for _ in ["stopped", "running"] {
        let found = findings(&sandbox, 9);
        assert_eq!(codes_of(&found), ["not-a-folder"], "{found:#?}");
        assert_eq!(found[0]["subject"], path);
        // It serves all the same.
        let status = sandbox.ready();
        assert_eq!(status["artifacts"], 1);
        assert_eq!(codes(&status["warnings"]), ["not-a-folder"]);
    }
    let elsewhere = text(&sandbox.json(&["db", "current"])["path"]);
    fs::remove_file(sandbox.home().cache_dir()).unwrap();
    sandbox.status_until("no warning", |status| codes(&status["warnings"]).is_empty());
    sandbox.stop();
    drop(fs::remove_dir_all(Path::new(&elsewhere).parent().unwrap()));

    let run = sandbox.home().root().join("run");
    fs::remove_dir_all(&run).unwrap();
    write(&run, "a file");
    let found = findings(&sandbox, 9);
    assert_eq!(codes_of(&found), ["not-a-folder"], "{found:#?}");
    assert_eq!(found[0]["subject"], run.display().to_string());
    let error = sandbox.fails(&["list"], 5);
    assert_eq!(error["code"], "home.unusable", "{error}");
    assert_eq!(error["path"], run.display().to_string());
    assert_eq!(error["hints"], found[0]["hints"]);
    fs::remove_file(&run).unwrap();
    assert_eq!(sandbox.ready()["artifacts"], 1);
    for name in ["state", "snapshots"] {
        let place = sandbox.home().root().join(name);
        drop(fs::remove_dir_all(&place));
        write(&place, "a file");
        let found = findings(&sandbox, 9);
        assert_eq!(codes_of(&found), ["not-a-folder"], "{found:#?}");
        assert_eq!(found[0]["subject"], place.display().to_string());
        let warnings = codes(&sandbox.json(&["status"])["warnings"]);
        assert_eq!(warnings, ["not-a-folder"]);
        fs::remove_file(&place).unwrap();
    }
}

#[test]
fn mistakes_in_the_config_are_told_in_their_order_and_with_what_was_meant() {
    let sandbox = stopped();
    let mut lines = vec!["[log]", "levl = \"info\""];
    lines.extend(vec!["# nothing"; 8]);
    lines.push("nothing_like_it = 1");
    write(sandbox.home().config(), lines.join("\n"));
    let is_in_order = |all: &[Value]| {
        assert_eq!(codes_of(all), ["config-invalid"; 2], "{all:#?}");
        assert!(text(&all[0]["subject"]).ends_with(":2"), "{all:#?}");
        assert!(text(&all[1]["subject"]).ends_with(":11"), "{all:#?}");
        assert!(
            all[0]["hints"].to_string().contains("log.level"),
            "{all:#?}"
        );
    };
    is_in_order(&findings(&sandbox, 0));
    let status = sandbox.ready();
    is_in_order(status["warnings"].as_array().unwrap());
    is_in_order(&findings(&sandbox, 0));
}

/// The result of a check of the doctor, and its table.
#[track_caller]
fn check(sandbox: &Sandbox, name: &str) -> (Value, String) {
    let seen = sandbox.run(&["doctor", "--json"]).exits(9).json();
    let mut checks = seen["checks"].as_array().unwrap().iter();
    let check = checks.find(|one| one["name"] == name).unwrap().clone();
    (check, sandbox.run(&["doctor"]).exits(9).stdout)
}

#[test]
fn the_table_of_the_doctor_agrees_with_what_the_daemon_says() {
    let sandbox = stopped();
    let history = sandbox.home().history();
    let kept = fs::read(&history).unwrap();
    let operations = "SELECT rootpage FROM sqlite_schema WHERE name = 'operation'";
    let opened = rusqlite::Connection::open(&history).unwrap();
    let page = opened.query_row(operations, [], |row| row.get::<_, usize>(0));
    let size = opened.query_row("PRAGMA page_size", [], |row| row.get::<_, usize>(0));
    drop(opened);
    let (end, size) = (page.unwrap() * size.as_ref().unwrap(), size.unwrap());
    let mut damaged = kept.clone();
    // What is told without a daemon stands in other pages.
    damaged[end - size..end].fill(0xa5);
    write(&history, damaged);
    assert_eq!(codes_of(&findings(&sandbox, 0)), [""; 0]);
    sandbox.status_until("a damaged history", |status| {
        drop(sandbox.run(&["log"]).stdout);
        codes(&status["warnings"]) == ["history-unusable"]
    });
    let (seen, table) = check(&sandbox, "history");
    assert_eq!(seen["ok"], false, "{seen}");
    assert_eq!(seen["detail"], "1 finding");
    assert!(!table.contains("can be used"), "{table}");
    assert!(table.contains("[history-unusable]"), "{table}");
    sandbox.stop();
    write(&history, kept);

    let cache = sandbox.home().cache_dir();
    // Of another program, whose sums they are not.
    fs::remove_file(cache.join("skillmeatd.db-sums")).unwrap();
    set_schema(&cache.join("skillmeatd.db"), 999);
    sandbox.status_until("no cache", |status| {
        codes(&status["warnings"]) == ["cache-unavailable"]
    });
    let (seen, table) = check(&sandbox, "database");
    assert_eq!(seen["ok"], false, "{seen}");
    assert_eq!(seen["detail"], "1 finding");
    assert!(!table.contains("sound"), "{table}");
}
