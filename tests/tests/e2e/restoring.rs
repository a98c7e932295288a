//! Single artifacts that go back to a snapshot: what makes sure of today, and what comes along.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use skillmeat_tests::home::{replace, skill, text, write};
use skillmeat_tests::wait::until_true;
use skillmeat_tests::{Sandbox, history};

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
    drop(sandbox.run(&none).exits(3));
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

#[test]
fn an_artifact_comes_back_into_its_groups() {
    let sandbox = Sandbox::with_two();
    let toml = sandbox.collection("default", "collection.toml");
    let manifest = || fs::read_to_string(&toml).unwrap();
    let ours = "\n# my groups\n[[groups]]\nname = \"P\" # first\nodd = 1\n\
                members = [\n    \"one\", # the first\n    \"two\",\n    \"ghost\",\n]\n\
                [[groups]]\nname = \"gone\"\nmembers = [\"skill:two\"]\n\
                [[groups]]\nname = \"later\"\nmembers = []\n";
    replace(&toml, manifest() + ours);
    let then = snapshot(&sandbox);
    let back = format!("two@{then}");
    sandbox.json(&["remove", "two", "--yes"]);
    sandbox.json(&["group", "delete", "gone"]);
    let removed = manifest();
    assert!(!removed.contains("two"), "{removed}");
    let wanted = [
        "the group `gone` that held `skill:two` is gone, and is not made anew: \
                   `sm group create gone` makes it",
    ];
    let dry = sandbox.json(&["restore", &back, "--dry-run"]);
    assert_eq!(dry["notes"], json!(wanted));
    assert_eq!(manifest(), removed);
    let restored = sandbox.json(&["restore", &back]);
    assert_eq!(restored["notes"], json!(wanted));
    let members = "    \"one\", # the first\n    \"two\",\n    \"ghost\",\n";
    let now = manifest();
    assert!(now.contains(members), "{now}");
    assert!(
        now.contains("# my groups") && !now.contains("\"gone\""),
        "{now}"
    );
    let shown = sandbox.json(&["group", "show", "P"]);
    assert_eq!(shown["members"][1]["id"], "skill:two", "{shown:#}");
    sandbox.json(&["undo"]);
    assert_eq!(manifest(), removed);
    // What is there stays in the groups of today, and its place alone is something that comes back.
    sandbox.json(&["redo"]);
    sandbox.json(&["group", "remove", "P", "two"]);
    sandbox.json(&["group", "add", "later", "two"]);
    let args = ["rollback", &then, "--artifact", "two", "--yes"];
    let joined = sandbox.json(&args);
    assert_eq!(joined["items"][0]["result"], "restored", "{joined:#}");
    assert!(manifest().contains(members), "{}", manifest());
    assert!(
        manifest().contains("\"later\"\nmembers = [\n    \"two\",\n]"),
        "{}",
        manifest()
    );
    assert_eq!(sandbox.json(&args)["items"][0]["result"], "unchanged");
}

#[test]
fn a_setuid_that_is_not_brought_back_makes_no_difference() {
    let sandbox = Sandbox::with_two();
    let script = sandbox.collection("default", "skills/one/run.sh");
    write(&script, "#!/bin/sh\n");
    let mode = |mode| fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o6755);
    let then = snapshot(&sandbox);
    mode(0o644);
    sandbox.json(&["rollback", &then, "--yes"]);
    let now = fs::metadata(&script).unwrap().permissions().mode();
    assert_eq!(now & 0o7777, 0o755);
    let changes = &sandbox.json(&["snapshot", "diff", &then])["changes"];
    assert_eq!(changes, &json!([]));
    let again = sandbox.json(&["rollback", &then, "--dry-run"]);
    assert_eq!(again["items"], json!([]), "{again:#}");
}

#[test]
fn a_rollback_of_artifacts_refuses_a_name_as_a_whole() {
    let sandbox = Sandbox::with_two();
    let then = snapshot(&sandbox);
    let file = sandbox.collection("default", "skills/one/SKILL.md");
    write(&file, "mine");
    let both = ["--artifact", "one", "--artifact", "nosuch"];
    for more in ["--yes", "--dry-run"] {
        let args = [&["rollback", &then][..], &both, &[more]].concat();
        let error = sandbox.fails(&args, 3);
        assert_eq!(error["code"], "artifact.not_found", "{error:#}");
        assert!(text(&error["message"]).contains("`nosuch`"), "{error:#}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine", "nothing was changed");
    assert_eq!(snapshots(&sandbox).len(), 1);
}

#[test]
fn a_rollback_of_artifacts_removes_what_the_snapshot_did_not_have() {
    let sandbox = Sandbox::with_two();
    let at = |path: &str| sandbox.collection("default", path);
    let manifest = || fs::read_to_string(at("collection.toml")).unwrap();
    let then = snapshot(&sandbox);
    for name in ["three", "third"] {
        let source = skill(&sandbox.path("src"), name, "later");
        sandbox.json(&["add", source.to_str().unwrap()]);
    }
    sandbox.json(&["rate", "three", "4"]);
    let back = ["rollback", &then, "--artifact", "three"];
    let dry = sandbox.json(&[&back[..], &["--dry-run"]].concat());
    assert_eq!(dry["items"][0]["result"], "would-remove", "{dry:#}");
    assert_eq!((&dry["removed"], &dry["restored"]), (&json!(1), &json!(0)));
    assert!(at("skills/three").exists());
    // A snapshot brings back what it had, and takes nothing away.
    let error = sandbox.fails(&["restore", &format!("three@{then}")], 3);
    assert_eq!(error["code"], "artifact.not_found", "{error:#}");
    let done = sandbox.json(&[&back[..], &["--yes"]].concat());
    assert_eq!(done["items"][0]["result"], "removed", "{done:#}");
    assert!(!at("skills/three").exists() && !manifest().contains("three"));
    assert_eq!(snapshots(&sandbox)[0].0, "safety");
    let log = sandbox.json(&["log", "--limit", "1"]);
    let what = text(&log["operations"][0]["what"]);
    assert_eq!(what, format!("rollback three to {then}"));
    sandbox.json(&["undo"]);
    assert_eq!(sandbox.show("three")["rating"], 4);
    // A pattern means those of then and of now.
    write(at("skills/two/SKILL.md"), "mine");
    let all = ["rollback", &then, "--artifact", "t*", "--yes"];
    let done = sandbox.json(&all);
    assert_eq!(
        (&done["removed"], &done["restored"]),
        (&json!(2), &json!(1)),
        "{done:#}"
    );
    assert!(at("skills/one").exists() && !at("skills/third").exists());
}

#[test]
fn folders_that_were_deleted_come_back_with_their_modes() {
    let sandbox = Sandbox::with_two();
    let at = |path: &str| sandbox.collection("default", path);
    let mode = |path: &str| fs::metadata(at(path)).unwrap().permissions().mode() & 0o7777;
    let wanted = [("", 0o751), ("skills", 0o750)];
    for (path, mode) in wanted {
        fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    until_true("modes", || {
        let known = |(path, mode): (&str, u32)| {
            let mode = u16::try_from(mode).unwrap();
            history::knows_mode(&sandbox, "default", path, mode)
        };
        wanted.into_iter().all(known)
    });
    for gone in ["skills", ""] {
        fs::remove_dir_all(at(gone)).unwrap();
        let last = || sandbox.json(&["log"])["operations"][0].clone();
        until_true("the deletion", || last()["actor"] == "external");
        sandbox.json(&["undo", &last()["id"].to_string()]);
        for (path, wanted) in wanted {
            assert_eq!(mode(path), wanted, "`{path}` without `{gone}`");
        }
    }
}

#[test]
fn the_mode_of_the_folder_of_a_collection_is_no_difference() {
    let sandbox = Sandbox::with_two();
    let then = snapshot(&sandbox);
    let root = sandbox.collection("default", "");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    let differs = || sandbox.json(&["snapshot", "diff", &then])["changes"].clone();
    assert_eq!(differs(), json!([]));
    fs::set_permissions(root.join("skills"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(differs()[0]["path"], "skills/");
    sandbox.json(&["rollback", &then, "--yes"]);
    assert_eq!(differs(), json!([]));
}
