//! `sm db`: what the database is, its schema up and down, checks, copies; also while it can't be opened.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::Value;
use skillmeat_tests::fault::{Faults, equals_a_fresh_one};
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::{Sandbox, until};

/// A home with three skills, all of it in the cache.
fn library() -> Sandbox {
    let sandbox = Sandbox::initialised();
    for name in ["one", "two", "three"] {
        skill(&sandbox.collection("default", "skills"), name, "Plain");
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    sandbox.cache_until("the text index", |cache| cache["unindexed_artifacts"] == 0);
    sandbox
}

fn database(sandbox: &Sandbox) -> PathBuf {
    PathBuf::from(text(&sandbox.json(&["db", "current"])["path"]))
}

fn rows(sandbox: &Sandbox) -> Vec<Value> {
    until("all rows", || {
        let list = sandbox.run(&["list", "--json"]);
        let fits = list.code == Some(0) && list.json()["total"] == 3;
        fits.then(|| list.json()["artifacts"].as_array().unwrap().clone())
    })
}

#[test]
fn what_the_database_is_and_how_it_got_there() {
    let sandbox = library();
    let current = sandbox.json(&["db", "current"]);
    assert_eq!(current["state"], "open");
    assert_eq!(current["schema"], current["known_schema"]);
    assert!(current["size_bytes"].as_u64().unwrap() > 0);
    assert_eq!(current["error"], Value::Null);
    assert_eq!(current["replaced_at"], Value::Null);
    assert_eq!(current["copies"], serde_json::json!([]));
    let history = sandbox.json(&["db", "history"]);
    let migrations = history["migrations"].as_array().unwrap();
    assert_eq!(migrations.len() as u64, current["schema"].as_u64().unwrap());
    for one in migrations {
        assert_eq!(one["applied"], true, "{one}");
        assert!(
            one["applied_at"].is_string() && one["program"].is_string(),
            "{one}"
        );
    }
    let seen = sandbox.run(&["db", "current"]).ok().stdout;
    assert!(
        seen.contains("skillmeatd.db") && seen.contains("open"),
        "{seen}"
    );
    let seen = sandbox.run(&["db", "history"]).ok().stdout;
    assert!(
        seen.contains("SCHEMA") && seen.lines().count() > migrations.len(),
        "{seen}"
    );
    for args in [&["db", "check"][..], &["db", "check", "--thorough"]] {
        let check = sandbox.json(args);
        assert_eq!(check["ok"], true, "{check}");
        assert_eq!(check["findings"], serde_json::json!([]));
    }
    let vacuum = sandbox.json(&["db", "vacuum"]);
    assert!(vacuum["after_bytes"].as_u64().unwrap() > 0, "{vacuum}");
    rows(&sandbox);
}

#[test]
fn down_for_an_older_daemon_and_up_again() {
    let sandbox = library();
    let before = rows(&sandbox);
    // Nobody can be asked here.
    let error = sandbox.fails(&["db", "downgrade", "1"], 2);
    assert!(text(&error["hints"][0]).contains("--yes"), "{error}");
    // Nobody is asked for what can't be done, or need not be.
    let error = sandbox.fails(&["db", "downgrade", "0"], 2);
    assert!(
        text(&error["message"]).contains("knows the schemas"),
        "{error}"
    );
    let known = text(
        &sandbox.json(&["db", "current"])["known_schema"]
            .to_string()
            .into(),
    );
    assert_eq!(sandbox.json(&["db", "downgrade", &known])["how"], "none");
    let error = sandbox.fails(&["db", "downgrade", "99", "--yes"], 2);
    assert!(text(&error["message"]).contains("99"), "{error}");
    let error = sandbox.fails(&["db", "upgrade", "1"], 2);
    assert!(text(&error["hints"][0]).contains("downgrade"), "{error}");
    assert_eq!(sandbox.json(&["db", "upgrade"])["how"], "none");

    let down = sandbox.json(&["db", "downgrade", "1", "--yes"]);
    assert_eq!(down["after"], 1);
    assert_eq!(down["how"], "in-place");
    let current = sandbox.json(&["db", "current"]);
    assert_eq!(current["state"], "closed", "{current}");
    assert_eq!(current["schema"], 1);
    assert_eq!(current["error"]["code"], "cache.closed");
    let error = sandbox.fails(&["list"], 7);
    assert_eq!(error["code"], "cache.closed");
    let status = sandbox.json(&["status"]);
    assert_eq!(status["daemon"]["state"], "degraded", "{status}");
    // Nothing is being read.
    let told = sandbox.run(&["status"]).stderr;
    assert!(!told.contains("being read"), "{told}");
    let history = sandbox.json(&["db", "history"]);
    assert_eq!(history["migrations"][1]["applied"], false, "{history}");
    assert_eq!(sandbox.json(&["db", "check"])["ok"], true);
    let message = |error: &Value| text(&error["message"]);
    assert!(
        message(&status["warnings"][0]).contains("schema 1 "),
        "{status}"
    );
    assert_eq!(sandbox.json(&["db", "upgrade", "2"])["after"], 2);
    let between = sandbox.json(&["db", "current"]);
    assert_eq!(between["schema"], 2);
    assert!(
        message(&between["error"]).contains("schema 2 "),
        "{between}"
    );
    let error = sandbox.fails(&["list"], 7);
    assert!(message(&error).contains("schema 2 "), "{error}");
    assert_eq!(
        sandbox.json(&["db", "downgrade", "1", "--yes"])["before"],
        2
    );
    let error = sandbox.fails(&["list"], 7);
    assert!(message(&error).contains("schema 1 "), "{error}");
    // What is done to the files meanwhile is found afterwards.
    skill(&sandbox.collection("default", "skills"), "two", "Edited");

    let up = sandbox.json(&["db", "upgrade"]);
    assert_eq!(
        (&up["before"], &up["after"]),
        (&serde_json::json!(1), &current["known_schema"])
    );
    assert_eq!(sandbox.json(&["db", "current"])["state"], "open");
    sandbox.shows("two", "the edit", |shown| shown["description"] == "Edited");
    assert_eq!(rows(&sandbox).len(), before.len());

    // A restart takes it up by itself, and keeps a copy of what was.
    drop(sandbox.run(&["db", "downgrade", "1", "-y"]).ok());
    sandbox.stop();
    rows(&sandbox);
    let current = sandbox.json(&["db", "current"]);
    assert_eq!(current["state"], "open");
    assert_eq!(current["schema"], current["known_schema"]);
    let copies = current["copies"].as_array().unwrap();
    assert_eq!(copies.len(), 1, "{current}");
    assert!(text(&copies[0]).ends_with(".pre-v2"), "{current}");
}

/// The schema that the program writes, as its commands take it.
fn known(sandbox: &Sandbox) -> String {
    sandbox.json(&["db", "current"])["known_schema"].to_string()
}

/// Makes the database one of a program that is to come.
fn make_newer(database: &std::path::Path) {
    // The schema's number stands at byte 60.
    let mut bytes = std::fs::read(database).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    write(database, bytes);
}

#[test]
fn a_newer_database_is_left_alone_until_somebody_decides() {
    let sandbox = library();
    let (database, known) = (database(&sandbox), known(&sandbox));
    sandbox.stop();
    make_newer(&database);
    let newer = std::fs::read(&database).unwrap();
    let error = sandbox.fails(&["list"], 7);
    assert_eq!(error["code"], "cache.newer_schema");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        text(&error["message"]),
        format!(
            "the cache has schema 99, this skillmeatd {version} knows {known}: a newer version wrote it"
        )
    );
    let hints = [
        "start the newer skillmeatd".to_owned(),
        format!(
            "or run `sm db downgrade {known}` (or `sm cache clear`), which loses nothing: all of it is made from your files"
        ),
    ];
    assert_eq!(error["hints"], serde_json::json!(hints));
    assert_eq!(text(&error["path"]), database.display().to_string());
    let status = sandbox.json(&["status"]);
    assert_eq!(status["daemon"]["state"], "degraded");
    let current = sandbox.json(&["db", "current"]);
    assert_eq!(current["state"], "newer", "{current}");
    assert_eq!(current["schema"], 99);
    let error = sandbox.fails(&["db", "upgrade"], 2);
    assert!(text(&error["message"]).contains("99"), "{error}");
    assert!(std::fs::read(&database).unwrap() == newer, "it was touched");
    let down = sandbox.json(&["db", "downgrade", &known, "--yes"]);
    assert_eq!(down["how"], "anew", "{down}");
    rows(&sandbox);
    // What the newer daemon wrote is still there for it.
    let kept = std::fs::read_dir(database.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let name = path.to_str().unwrap();
            name.contains(".corrupt-") && name.ends_with(|end: char| end.is_ascii_digit())
        })
        .unwrap();
    assert!(std::fs::read(kept).unwrap() == newer, "it was changed");
}

#[test]
fn a_newer_database_gives_way_to_the_copy_from_before() {
    let sandbox = library();
    let (database, known) = (database(&sandbox), known(&sandbox));
    sandbox.stop();
    let copy = PathBuf::from(format!("{}.pre-v99", database.display()));
    std::fs::copy(&database, &copy).unwrap();
    make_newer(&database);
    let down = sandbox.json(&["db", "downgrade", &known, "--yes"]);
    assert_eq!(down["how"], "copy", "{down}");
    rows(&sandbox);
    assert_eq!(sandbox.json(&["db", "current"])["state"], "open");
}

#[test]
fn a_newer_database_is_cleared_by_the_command_that_starts_the_daemon() {
    let sandbox = library();
    let database = database(&sandbox);
    for _ in 0..3 {
        sandbox.stop();
        make_newer(&database);
        drop(sandbox.run(&["cache", "clear"]).ok());
        rows(&sandbox);
    }
}

#[test]
fn who_waits_for_the_lock_of_another_program_is_told_so() {
    let sandbox = library();
    let theirs = Connection::open(database(&sandbox)).unwrap();
    theirs.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = sandbox.fails(&["cache", "invalidate", "one"], 7);
    assert_eq!(error["code"], "cache.unavailable", "{error}");
    let message = text(&error["message"]);
    assert!(message.contains("another program holds"), "{error}");
    let hints = error["hints"].to_string();
    assert!(
        hints.contains("fuser") && !hints.contains("clear"),
        "{error}"
    );
    theirs.execute_batch("ROLLBACK").unwrap();
    drop(sandbox.run(&["cache", "invalidate", "one"]).ok());
}

#[test]
fn a_copy_is_written_and_taken_over() {
    let sandbox = library();
    let before = rows(&sandbox);
    let instance = sandbox.json(&["db", "current"])["instance"].clone();
    let copy = sandbox.path("copy.db");
    let done = sandbox.json(&["db", "backup", "copy.db"]);
    assert_eq!(done["path"], copy.to_str().unwrap());
    let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = sandbox.fails(&["db", "backup", "copy.db"], 4);
    assert_eq!(error["code"], "file.exists");
    drop(sandbox.run(&["db", "backup", "copy.db", "--force"]).ok());
    let error = sandbox.fails(&["db", "backup", "nowhere/copy.db"], 3);
    assert_eq!(error["code"], "file.not_found");
    let own = database(&sandbox);
    for folder in [".", own.to_str().unwrap()] {
        drop(sandbox.fails(&["db", "backup", folder, "--force"], 2));
    }

    // What changed since is in the rows after all: they are compared with the files.
    skill(&sandbox.collection("default", "skills"), "two", "Edited");
    std::fs::remove_dir_all(sandbox.collection("default", "skills/three")).unwrap();
    skill(&sandbox.collection("default", "skills"), "four", "New");
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let seq = sandbox.json(&["status"])["last_seq"].as_u64();
    let error = sandbox.fails(&["db", "restore", "copy.db"], 2);
    assert!(text(&error["hints"][0]).contains("--yes"), "{error}");
    drop(sandbox.run(&["db", "restore", "copy.db", "--yes"]).ok());
    assert_eq!(sandbox.ids(), ["skill:four", "skill:one", "skill:two"]);
    assert_eq!(sandbox.show("two")["description"], "Edited");
    let current = sandbox.json(&["db", "current"]);
    assert_ne!(current["instance"], instance, "other rows, other name");
    assert!(sandbox.json(&["status"])["last_seq"].as_u64() >= seq);
    assert_eq!(before.len(), 3);

    for (name, content) in [
        ("rubbish", b"no database at all".repeat(300)),
        ("empty", vec![]),
    ] {
        write(sandbox.path(name), content);
        let error = sandbox.fails(&["db", "restore", name, "--yes"], 2);
        assert_eq!(error["code"], "usage.invalid_argument", "{name}");
    }
    let mut torn = std::fs::read(&copy).unwrap();
    torn.truncate(torn.len() / 2);
    write(sandbox.path("torn"), torn);
    drop(sandbox.fails(&["db", "restore", "torn", "--yes"], 2));
    for args in [
        &["db", "restore", "absent", "--yes"][..],
        &["db", "restore", "absent"],
    ] {
        assert_eq!(sandbox.fails(args, 3)["code"], "file.not_found");
    }
    drop(sandbox.fails(&["db", "restore", own.to_str().unwrap(), "--yes"], 2));
    assert_eq!(sandbox.ids(), ["skill:four", "skill:one", "skill:two"]);
}

#[test]
fn what_others_wrote_into_a_copy_is_not_believed() {
    let sandbox = library();
    drop(sandbox.run(&["tag", "add", "red", "one"]).ok());
    drop(sandbox.run(&["group", "create", "some", "two"]).ok());
    drop(sandbox.run(&["db", "backup", "copy.db"]).ok());
    let copy = Connection::open(sandbox.path("copy.db")).unwrap();
    // Sound, and what tells rows from files is as it was.
    for change in [
        "artifact SET description = 'Other' WHERE name = 'one'",
        "artifact SET tags = '[\"blue\"]', size = 7 WHERE name = 'two'",
        "artifact_tag SET tag = 'blue'",
        "artifact_detail SET frontmatter = '{}', files = '[]'",
        "artifact_text SET text = replace(text, 'Plain', 'Other')",
        "artifact_count SET artifacts = artifacts + 5",
        "collection SET header = '{}'",
        "collection_group SET description = 'Other'",
    ] {
        assert!(
            copy.execute(&format!("UPDATE {change}"), []).unwrap() > 0,
            "{change}"
        );
    }
    // What names are found by goes unnoticed by all other checks.
    copy.execute("DELETE FROM metadata_index", []).unwrap();
    drop(copy);
    let is_restored = || {
        drop(sandbox.run(&["db", "restore", "copy.db", "--yes"]).ok());
        assert_eq!(sandbox.show("one")["description"], "Plain");
        assert_eq!(sandbox.json(&["status"])["artifacts"], 3);
        let found = sandbox.json(&["search", "plain", "--in", "metadata"]);
        assert_eq!(found["hits"].as_array().unwrap().len(), 3, "{found}");
        equals_a_fresh_one(&sandbox, "a copy that others wrote to");
    };
    is_restored();
    // While the cache is closed, too.
    drop(sandbox.run(&["db", "downgrade", "1", "--yes"]).ok());
    is_restored();
}

#[test]
fn a_newer_copy_is_refused_as_what_it_is() {
    let sandbox = library();
    drop(sandbox.run(&["db", "backup", "copy.db"]).ok());
    make_newer(&sandbox.path("copy.db"));
    let error = sandbox.fails(&["db", "restore", "copy.db", "--yes"], 2);
    assert_eq!(error["code"], "usage.invalid_argument");
    let (message, hints) = (text(&error["message"]), error["hints"].to_string());
    assert!(
        message.contains("copy.db` can't be taken over: it has schema 99"),
        "{error}"
    );
    assert!(
        hints.contains("newer skillmeatd") && !hints.contains("downgrade"),
        "{error}"
    );
    rows(&sandbox);
}

#[test]
fn a_cache_that_is_being_opened_has_not_failed() {
    let mut sandbox = library();
    sandbox.stop();
    let faults = Faults::of(&mut sandbox);
    faults.tell("boot.before_cache=wait");
    let current = sandbox.json(&["db", "current"]);
    assert_eq!(current["state"], "opening", "{current}");
    assert_eq!(current["error"], Value::Null);
    faults.none();
    rows(&sandbox);
    assert_eq!(sandbox.json(&["db", "current"])["state"], "open");
}

#[test]
fn a_copy_replaces_nothing_of_the_home_or_of_a_collection() {
    let sandbox = library();
    let (home, outside) = (sandbox.home(), sandbox.path("outside"));
    write(
        outside.join("collection.toml"),
        "[collection]\nname = \"outside\"\nversion = \"1.0.0\"\n",
    );
    let folder = outside.to_str().unwrap();
    drop(sandbox.run(&["collection", "import", folder]).ok());
    std::os::unix::fs::symlink(home.root(), sandbox.path("link")).unwrap();
    drop(
        sandbox
            .run(&["config", "set", "history.keep_days", "30"])
            .ok(),
    );
    let refused = |target: PathBuf| {
        let before = std::fs::read(&target).ok();
        let name = target.to_str().unwrap();
        let error = sandbox.fails(&["db", "backup", name, "--force"], 2);
        assert!(text(&error["message"]).contains(" lies in the "), "{error}");
        assert!(
            text(&error["hints"][0]).contains("another folder"),
            "{error}"
        );
        // The log of writes goes on.
        if !name.ends_with("-wal") {
            assert!(
                std::fs::read(&target).ok() == before,
                "`{name}` was touched"
            );
        }
    };
    let log = format!("{}-wal", database(&sandbox).display());
    for target in [
        home.history(),
        home.config(),
        sandbox.collection("default", "collection.toml"),
        log.into(),
        home.lock_file(),
        home.rendezvous(),
        home.root().join("new.db"),
        sandbox.path("link/history.db"),
        sandbox.path("outside/../link/collections/new.db"),
        outside.join("collection.toml"),
        outside.join("new.db"),
    ] {
        refused(target);
    }
    // A name that only begins alike is somewhere else.
    let beside = sandbox.path(".skillmeat-copy.db");
    drop(
        sandbox
            .run(&["db", "backup", beside.to_str().unwrap()])
            .ok(),
    );
    rows(&sandbox);
}
