//! Snapshots: what is captured comes back, byte for byte; what the ancestor made is used like ours.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::Value;
use skillmeat_shared::failpoint;
use skillmeat_shared::history::{MemoryObjects, Node, capture};
use skillmeat_tests::Sandbox;
use skillmeat_tests::fault::{Faults, equals_a_fresh_one, until_dead};
use skillmeat_tests::home::{rename, skill, text, write};

/// The state of the whole collection, down to modes and names.
fn state(sandbox: &Sandbox) -> Node {
    capture(
        &sandbox.collection("default", ""),
        &MemoryObjects::default(),
    )
    .unwrap()
    .node
    .unwrap()
}

/// A collection with two artifacts, one of them strange.
fn strange() -> Sandbox {
    let sandbox = Sandbox::initialised();
    for name in ["plain", "strange"] {
        let source = skill(&sandbox.path("src"), name, "A thing");
        drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    }
    let at = |path: &str| sandbox.collection("default", "skills/strange").join(path);
    write(at(".hidden/.git/config"), "[core]");
    write(at("bin/data"), [0, 159, 146, 150].repeat(1000));
    write(at("").join(OsStr::from_bytes(b"caf\xe9 \n")), "latin");
    fs::create_dir_all(at("empty/deep")).unwrap();
    symlink("bin/data", at("link")).unwrap();
    symlink("/nowhere/at/all", at("broken")).unwrap();
    for (path, mode) in [("bin", 0o750), ("bin/data", 0o755), ("SKILL.md", 0o640)] {
        fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    sandbox.shows("strange", "the changed artifact", |shown| {
        shown["file_count"].as_u64() >= Some(3)
    });
    sandbox
}

fn snapshot(sandbox: &Sandbox, message: &str) -> String {
    let made = sandbox.json(&["snapshot", message]);
    assert_eq!(made["snapshot"]["message"], message);
    text(&made["snapshot"]["id"])
}

/// What the rows say of each artifact, but for times.
fn hashes(sandbox: &Sandbox) -> Vec<[Value; 3]> {
    let rows = sandbox.list();
    let row = |one: &Value| ["id", "status", "content_hash"].map(|key| one[key].clone());
    rows.iter().map(row).collect()
}

fn origins(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.json(&["history"]);
    let all = listed["snapshots"].as_array().unwrap();
    all.iter().map(|one| text(&one["origin"])).collect()
}

#[test]
fn a_rollback_brings_back_every_byte_and_removes_the_rest() {
    let sandbox = strange();
    let before = state(&sandbox);
    let rows = hashes(&sandbox);
    let id = snapshot(&sandbox, "whole");
    // All that can happen to files.
    let at = |path: &str| sandbox.collection("default", path);
    fs::remove_dir_all(at("skills/strange")).unwrap();
    write(at("skills/plain/SKILL.md"), "broken");
    write(at("skills/plain/new"), "new");
    write(at("skills/later/SKILL.md"), "---\nname: later\n---\n");
    write(at("notes.txt"), "mine");
    write(at("collection.toml"), "[collection]\nname = \"default\"\n");
    fs::remove_file(at("collection.lock")).unwrap();
    let changed = state(&sandbox);
    let planned = sandbox.json(&["rollback", &id, "--dry-run"]);
    assert_eq!(planned["restored"], 4, "{planned:#}");
    assert_eq!(planned["removed"], 2, "{planned:#}");
    assert_eq!(state(&sandbox), changed, "a dry run changes nothing");
    assert_eq!(origins(&sandbox), ["manual"]);
    let done = sandbox.json(&["rollback", &id, "--yes"]);
    assert_eq!(
        (&done["restored"], &done["removed"]),
        (&planned["restored"], &planned["removed"])
    );
    assert_eq!(done["steps"], planned["steps"]);
    assert_eq!(state(&sandbox), before);
    assert_eq!(hashes(&sandbox), rows);
    assert_eq!(origins(&sandbox), ["safety", "manual"]);
    // The safety snapshot holds what was there before, and so does the operation.
    let safety = text(&sandbox.json(&["history"])["snapshots"][0]["id"]);
    drop(sandbox.run(&["undo", "--json"]).ok());
    assert_eq!(state(&sandbox), changed);
    drop(sandbox.run(&["rollback", &id, "--yes"]).ok());
    drop(sandbox.run(&["rollback", &safety, "--yes"]).ok());
    assert_eq!(state(&sandbox), changed);
    let again = sandbox.json(&["rollback", &safety, "--yes"]);
    assert_eq!(
        (&again["operation"], &again["restored"]),
        (&Value::Null, &0.into())
    );
}

#[test]
fn unchanged_files_are_not_read_again_and_cost_nothing() {
    let sandbox = strange();
    let first = sandbox.json(&["snapshot"]);
    assert_eq!(first["snapshot"]["message"], "Manual snapshot");
    assert!(first["files_read"].as_u64() > Some(5));
    // By now all files are old enough to be trusted.
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    skillmeat_tests::wait::until_true("a snapshot that reads nothing", || {
        sandbox.json(&["snapshot", "again"])["files_read"] == 0
    });
    let made = sandbox.json(&["snapshot", "nothing new"]);
    assert_eq!(made["snapshot"]["stored_bytes"], 0);
    write(sandbox.collection("default", "skills/plain/SKILL.md"), "x");
    let changed = sandbox.json(&["snapshot", "one"]);
    assert_eq!(changed["files_read"], 1);
    sandbox.stop();
    assert!(size(&sandbox.home().history()) > 0);
}

#[test]
fn differences_are_told_by_path() {
    let sandbox = strange();
    let id = snapshot(&sandbox, "before");
    let at = |path: &str| sandbox.collection("default", path);
    let same = sandbox.json(&["snapshot", "diff", &id]);
    assert_eq!(same["changes"], serde_json::json!([]));
    write(
        at("skills/plain/SKILL.md"),
        "longer than before, by some bytes",
    );
    fs::set_permissions(
        at("skills/strange/bin/data"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    fs::remove_file(at("skills/strange/link")).unwrap();
    write(at("skills/strange/link"), "a file now");
    fs::remove_dir_all(at("skills/strange/empty")).unwrap();
    write(at("commands/new.md"), "n");
    let later = snapshot(&sandbox, "after");
    for args in [vec![id.as_str()], vec![&id, &later]] {
        let args = [vec!["snapshot", "diff"], args].concat();
        let diff = sandbox.json(&args);
        let changes: Vec<(String, String, Value)> = diff["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    text(&one["change"]),
                    text(&one["path"]),
                    one["artifact"].clone(),
                )
            })
            .collect();
        let expected = [
            ("added", "commands/new.md", "command:new"),
            ("changed", "skills/plain/SKILL.md", "skill:plain"),
            ("mode", "skills/strange/bin/data", "skill:strange"),
            ("removed", "skills/strange/empty/", "skill:strange"),
            ("removed", "skills/strange/empty/deep/", "skill:strange"),
            ("type", "skills/strange/link", "skill:strange"),
        ];
        let expected =
            expected.map(|(change, path, id)| (change.to_owned(), path.to_owned(), id.into()));
        assert_eq!(changes, expected);
    }
    let shown = sandbox.json(&["snapshot", "show", &later]);
    let held: Vec<String> = shown["held"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["id"]))
        .collect();
    assert_eq!(held, ["command:new", "skill:plain", "skill:strange"]);
}

#[test]
fn one_artifact_comes_back_with_its_entry() {
    let sandbox = strange();
    let manifest = || fs::read_to_string(sandbox.collection("default", "collection.toml")).unwrap();
    let (before, whole) = (manifest(), state(&sandbox));
    let id = snapshot(&sandbox, "both");
    fs::remove_dir_all(sandbox.collection("default", "skills/strange")).unwrap();
    let (rest, _) = before.rsplit_once("\n[[artifacts]]").unwrap();
    write(sandbox.collection("default", "collection.toml"), rest);
    write(
        sandbox.collection("default", "skills/plain/SKILL.md"),
        "mine",
    );
    let dry = sandbox.json(&["restore", &format!("strange@{id}"), "--dry-run"]);
    assert_eq!(dry["items"][0]["result"], "would-restore", "{dry:#}");
    let done = sandbox.json(&["restore", &format!("strange@{id}")]);
    assert_eq!(done["items"][0]["id"], "skill:strange");
    assert_eq!(manifest(), before);
    assert_eq!(sandbox.show("strange")["status"], "managed");
    let plain = fs::read(sandbox.collection("default", "skills/plain/SKILL.md")).unwrap();
    assert_eq!(plain, b"mine", "nothing else is touched");
    let again = sandbox.json(&["restore", &format!("skill:strange@{id}")]);
    assert_eq!(again["items"][0]["result"], "unchanged");
    let rest = sandbox.json(&["rollback", &id, "--artifact", "plain", "--yes"]);
    assert_eq!(rest["restored"], 1, "{rest:#}");
    assert_eq!(state(&sandbox), whole);
    // All of it or nothing.
    let args = [
        "rollback",
        &id,
        "--yes",
        "--artifact",
        "plain",
        "--artifact",
        "nobody",
        "--json",
    ];
    drop(sandbox.run(&args).exits(3));
    let error = sandbox.fails(&["restore", &format!("nobody@{id}")], 3);
    assert_eq!(error["code"], "artifact.not_found");
    for nonsense in ["strange", "@", "strange@", "strange@latest"] {
        drop(sandbox.run(&["restore", nonsense]).exits(2));
    }
}

/// Makes the ancestor's snapshot of what an export holds, with an index that a home was moved away from.
fn as_the_ancestor(sandbox: &Sandbox, export: &Path, id: &str) {
    let folder = sandbox.home().snapshots("default");
    fs::create_dir_all(&folder).unwrap();
    rename(export, folder.join(format!("{id}.tar.gz")));
    let index = format!(
        "[[snapshots]]\nid = \"{id}\"\ntimestamp = \"2026-11-20T15:51:45.120724\"\n\
         message = \"First backup\"\nartifact_count = 2\n\
         tarball_path = \"/gone/.skillmeat/snapshots/default/{id}.tar.gz\"\n\n\
         [[snapshots]]\nid = \"20200101-000000-000000\"\ntimestamp = \"2020-01-01T00:00:00.000000\"\n\
         message = \"lost\"\nartifact_count = 1\ntarball_path = \"/gone/x.tar.gz\"\n"
    );
    write(folder.join("snapshots.toml"), index);
}

#[test]
fn the_ancestors_snapshots_are_used_like_ours() {
    let sandbox = strange();
    // Links out of the collection are refused in archives.
    fs::remove_file(sandbox.collection("default", "skills/strange/broken")).unwrap();
    let before = state(&sandbox);
    let id = snapshot(&sandbox, "to export");
    let file = sandbox.path("out.tar.gz");
    let exported = sandbox.json(&["snapshot", "export", &id, file.to_str().unwrap()]);
    assert_eq!(exported["size_bytes"], fs::metadata(&file).unwrap().len());
    let error = sandbox.fails(&["snapshot", "export", &id, file.to_str().unwrap()], 4);
    assert_eq!(error["code"], "file.exists");
    let copy = sandbox.path("copy.tar.gz");
    fs::copy(&file, &copy).unwrap();
    drop(sandbox.run(&["snapshot", "delete", &id, "--yes"]).ok());
    let theirs = "20261120-155145-120724";
    as_the_ancestor(&sandbox, &file, theirs);
    let listed = sandbox.json(&["snapshot", "list"]);
    assert_eq!(listed["total"], 2, "{listed:#}");
    assert_eq!(listed["snapshots"][0]["origin"], "archive");
    assert_eq!(listed["snapshots"][0]["message"], "First backup");
    assert_eq!(listed["snapshots"][1]["problem"], "its archive is gone");
    drop(sandbox.run(&["snapshot", "verify", theirs]).ok());
    let verified = sandbox
        .run(&["snapshot", "verify", "--json"])
        .exits(9)
        .json();
    assert_eq!(verified["ok"], false);
    // Theirs are not deleted by us.
    let told = sandbox.run(&["snapshot", "verify"]).exits(9).stderr;
    assert!(told.contains("1 of 2 snapshots damaged"), "{told}");
    assert!(!told.contains("delete"), "{told}");
    fs::remove_dir_all(sandbox.collection("default", "skills")).unwrap();
    let shown = sandbox.json(&["snapshot", "show", theirs]);
    assert_eq!(shown["held"].as_array().unwrap().len(), 2);
    drop(sandbox.run(&["rollback", theirs, "--yes"]).ok());
    assert_eq!(state(&sandbox), before);
    let error = sandbox.fails(&["snapshot", "delete", theirs, "--yes"], 2);
    assert!(text(&error["message"]).contains("ancestor"), "{error:#}");
    // And any archive can be taken in.
    let imported = sandbox.json(&["snapshot", "import", copy.to_str().unwrap()]);
    assert_eq!(imported["origin"], "imported");
    let same = sandbox.json(&["snapshot", "diff", &text(&imported["id"])]);
    assert_eq!(same["changes"], serde_json::json!([]));
}

#[test]
fn what_an_import_will_refuse_is_told_by_the_export() {
    let sandbox = strange();
    let (id, file) = (snapshot(&sandbox, "links"), sandbox.path("out.tar.gz"));
    let file = file.to_str().unwrap();
    let told = sandbox.run(&["snapshot", "export", &id, file]).ok().stderr;
    assert!(told.contains("`skills/strange/broken`"), "{told}");
    assert!(!told.contains("strange/link"), "{told}");
    let error = sandbox.fails(&["snapshot", "import", file], 5);
    assert!(text(&error["message"]).contains("broken"), "{error}");
    fs::remove_file(sandbox.collection("default", "skills/strange/broken")).unwrap();
    let id = snapshot(&sandbox, "sound");
    let export = ["snapshot", "export", &id, file, "--force"];
    let told = sandbox.run(&export).ok().stderr;
    assert!(!told.contains("import"), "{told}");
    drop(sandbox.run(&["snapshot", "import", file]).ok());
}

#[test]
fn bad_archives_and_unknown_snapshots_are_refused_by_name() {
    let sandbox = Sandbox::initialised();
    let file = sandbox.path("bad.tar.gz");
    write(&file, "no archive at all");
    let error = sandbox.fails(&["snapshot", "import", file.to_str().unwrap()], 2);
    assert_eq!(error["code"], "archive.invalid");
    let unknown = "20200101-000000-000000";
    for args in [
        vec!["snapshot", "show", unknown],
        vec!["snapshot", "diff", unknown],
        vec!["snapshot", "verify", unknown],
        vec!["snapshot", "delete", unknown, "--yes"],
        vec!["snapshot", "export", unknown, "x.tar.gz"],
        vec!["rollback", unknown, "--yes"],
    ] {
        let error = sandbox.fails(&args, 3);
        assert_eq!(error["code"], "snapshot.not_found", "{args:?}");
        let bad: Vec<&str> = args
            .iter()
            .map(|arg| if *arg == unknown { "../x" } else { arg })
            .collect();
        assert_eq!(
            sandbox.fails(&bad, 2)["code"],
            "usage.invalid_argument",
            "{bad:?}"
        );
    }
    assert_eq!(
        sandbox.fails(&["snapshot", "-c", "nobody"], 3)["code"],
        "collection.not_found"
    );
}

#[test]
fn garbage_goes_and_snapshots_stay() {
    let sandbox = strange();
    let id = snapshot(&sandbox, "kept");
    let before = state(&sandbox);
    write(sandbox.collection("default", "skills/plain/SKILL.md"), "x");
    let gone = snapshot(&sandbox, "to go");
    drop(sandbox.run(&["snapshot", "delete", &gone, "--yes"]).ok());
    let pruned = sandbox.json(&["snapshot", "prune", "--keep-last", "0", "--all"]);
    assert_eq!(pruned["deleted"], serde_json::json!([]), "manual ones stay");
    let planned = sandbox.json(&["gc", "--dry-run"]);
    assert!(planned["objects"].as_u64() > Some(0), "{planned:#}");
    let done = sandbox.json(&["gc"]);
    assert_eq!(done["objects"], planned["objects"]);
    assert_eq!(sandbox.json(&["gc"])["objects"], 0);
    drop(sandbox.run(&["snapshot", "verify", "--all"]).ok());
    drop(sandbox.run(&["rollback", &id, "--yes"]).ok());
    assert_eq!(state(&sandbox), before);
    let pruned = sandbox.json(&[
        "snapshot",
        "prune",
        "--keep-last",
        "0",
        "--keep-daily",
        "0",
        "--keep-weekly",
        "0",
        "--keep-monthly",
        "0",
    ]);
    assert_eq!(pruned["deleted"][0]["origin"], "safety");
    assert_eq!(origins(&sandbox), ["manual"]);
}

#[test]
fn cut_short_anywhere_a_rollback_happened_or_did_not() {
    let mut sandbox = Sandbox::new();
    let faults = Faults::of(&mut sandbox);
    drop(sandbox.run(&["init"]).ok());
    for name in ["one", "two"] {
        let source = skill(&sandbox.path("src"), name, "A thing");
        drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    }
    let then = state(&sandbox);
    let id = snapshot(&sandbox, "then");
    fs::remove_dir_all(sandbox.collection("default", "skills/one")).unwrap();
    write(
        sandbox.collection("default", "skills/two/SKILL.md"),
        "later",
    );
    write(
        sandbox.collection("default", "skills/three/SKILL.md"),
        "later",
    );
    let now = state(&sandbox);
    let steps = ["change", "exchange", "history", "restore"]
        .into_iter()
        .flat_map(failpoint::of_area);
    let (mut happened, mut cut) = (0, 0);
    for (name, action) in steps.flat_map(|name| [(name, "kill"), (name, "enospc@2")]) {
        let what = format!("{name}={action}");
        sandbox.stop();
        faults.tell(&what);
        let is_cut = sandbox.run(&["rollback", &id, "--yes"]).code != Some(0);
        if is_cut && action == "kill" {
            until_dead(&sandbox, &what);
        }
        faults.none();
        cut += u32::from(is_cut);
        drop(sandbox.run(&["cache", "refresh"]).ok());
        if state(&sandbox) == then {
            happened += 1;
            drop(sandbox.run(&["undo"]).ok());
        }
        assert!(state(&sandbox) == now, "{what}");
        // What failed right after it was recorded is settled by the next start.
        let is_open = || sandbox.json(&["log"]).to_string().contains("\"open\"");
        if is_open() {
            sandbox.stop();
            drop(sandbox.ready());
            assert!(!is_open(), "{what}");
        }
    }
    assert!(
        happened > 0 && cut > 5,
        "{happened} happened, {cut} were cut"
    );
    drop(sandbox.run(&["snapshot", "verify"]).ok());
    equals_a_fresh_one(&sandbox, "rollbacks that were cut short");
}

#[test]
fn a_rollback_of_many_things_is_cut_short_like_one_of_few() {
    const MANY: usize = 40;
    let mut sandbox = Sandbox::new();
    let faults = Faults::of(&mut sandbox);
    drop(sandbox.run(&["init"]).ok());
    let skills = sandbox.collection("default", "skills");
    let say = |words: &str| {
        for number in 0..MANY {
            let file = skills.join(format!("s{number:02}/SKILL.md"));
            write(file, format!("{words} {number}"));
        }
    };
    say("then");
    let then = state(&sandbox);
    let id = snapshot(&sandbox, "then");
    say("now");
    let now = state(&sandbox);
    for (action, left) in [
        ("restore.write=enospc@30", &now),
        ("change.before_rows=enospc;change.placed=enospc", &now),
        ("restore.write=kill@30", &now),
        ("change.placing=enospc@30", &now),
        ("change.placing=kill@30", &now),
        ("change.before_rows=kill", &then),
    ] {
        faults.tell(action);
        assert_ne!(sandbox.run(&["rollback", &id, "--yes"]).code, Some(0));
        if action.contains("kill") {
            until_dead(&sandbox, action);
        }
        faults.none();
        drop(sandbox.run(&["cache", "refresh"]).ok());
        assert!(state(&sandbox) == *left, "{action}");
        if !action.contains("kill") {
            let standing = fs::read_dir(&skills).unwrap().count();
            assert_eq!(standing, MANY, "{action}: something is left beside them");
        }
    }
    drop(sandbox.run(&["undo"]).ok());
    assert!(state(&sandbox) == now);
    drop(sandbox.run(&["rollback", &id, "--yes"]).ok());
    assert!(state(&sandbox) == then);
    equals_a_fresh_one(&sandbox, "rollbacks of many things");
}

#[test]
fn the_cache_may_go_and_the_history_stays() {
    let sandbox = strange();
    let id = snapshot(&sandbox, "durable");
    sandbox.stop();
    fs::remove_dir_all(sandbox.home().cache_dir()).unwrap();
    let listed = sandbox.json(&["history", "--all"]);
    assert_eq!(listed["snapshots"][0]["id"], id.as_str());
    drop(sandbox.run(&["cache", "clear"]).ok());
    assert_eq!(sandbox.json(&["history"])["total"], 1);
}
