//! Folders and manifests that can't be read: every command says the same of them, and each is told until it is mended.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{codes, output, replace, skill, text, write};
use skillmeat_tests::wait::until_true;

use crate::doctor::OF_THE_MACHINE;
use crate::permissions;

/// Starts a daemon with a command of `sm`, such that modes of files bind it, also if root runs this. False where it
/// can't be so.
fn bind(sandbox: &Sandbox, arguments: &[&str]) -> bool {
    if rustix::process::geteuid().is_root() && !Path::new("/usr/bin/setpriv").exists() {
        return false;
    }
    drop(output(permissions::bound(sandbox, arguments)).ok());
    true
}

/// A home with the skill `one`, whose daemon modes of files bind. `None` where it can't be so.
fn bound() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    let folder = skill(&sandbox.path("src"), "one", "One");
    if !bind(&sandbox, &["init"]) {
        return None;
    }
    drop(sandbox.run(&["add", folder.to_str().unwrap()]).ok());
    // Once more, when the manifest is no longer too young to be believed.
    drop(sandbox.run(&["cache", "refresh"]).ok());
    Some(sandbox)
}

fn close(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
}

fn open(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What all that tell the state of the collection say, and the first problem.
fn told(sandbox: &Sandbox) -> (Vec<String>, String) {
    let status = sandbox.json(&["status"]);
    let list = sandbox.json(&["collection", "list"]);
    let shown = sandbox.json(&["collection", "show"]);
    let outdated = sandbox.json(&["list"])["outdated"][0].clone();
    let all = [
        &status["collections"][0],
        &list["collections"][0],
        &shown,
        &outdated,
    ];
    let first = &shown["problems"][0];
    assert_eq!(first["message"], outdated["reason"], "{shown:#}");
    let states = all.iter().map(|one| text(&one["state"])).collect();
    (states, text(&first["message"]))
}

/// The codes of the warnings about the collection.
fn warnings(status: &Value) -> Vec<String> {
    let mut all = codes(&status["warnings"]);
    all.retain(|code| code.starts_with("collection-"));
    all
}

#[test]
fn a_folder_that_cant_be_read_is_told_alike_everywhere() {
    let Some(sandbox) = bound() else { return };
    let skills = sandbox.collection("default", "skills");
    close(&skills);
    let refreshed = sandbox.run(&["cache", "refresh", "--json"]).exits(5).json();
    let failure = &refreshed["failures"][0];
    assert_eq!(failure["path"], "skills", "{refreshed:#}");
    assert!(text(&failure["reason"]).contains("permission denied"));
    let (states, why) = told(&sandbox);
    assert_eq!(states, ["unreadable"; 4]);
    assert!(why.contains(skills.to_str().unwrap()), "{why}");
    let shown = sandbox.json(&["collection", "show"]);
    assert_eq!(codes(&shown["problems"]), ["collection.unreadable"]);
    let table = sandbox.run(&["status"]).ok().stdout;
    assert!(table.contains("unreadable"), "{table}");
    let checked = sandbox.run(&["collection", "validate", "--json"]).exits(9);
    assert!(checked.stdout.contains("unreadable"), "{checked:?}");
    // The last good rows are served, and others are still taken in.
    assert_eq!(sandbox.show("one")["description"], "One");
    let other = sandbox.collection("default", "agents/other.md");
    write(&other, "---\ndescription: Other\n---\n");
    sandbox.shows("other", "a new agent", |shown| {
        shown["description"] == "Other"
    });
    assert_eq!(told(&sandbox).0, ["unreadable"; 4]);

    open(&skills, 0o700);
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let status = sandbox.status_until("no warning", |status| warnings(status).is_empty());
    assert_eq!(status["collections"][0]["state"], "ok");
    assert!(codes(&status["collections"][0]["problems"]).is_empty());
}

#[test]
fn a_folder_that_cant_be_read_keeps_its_rows_and_no_other_from_being_looked_at() {
    let Some(sandbox) = bound() else { return };
    let skills = sandbox.collection("default", "skills");
    let agents = sandbox.collection("default", "agents");
    skill(&skills, "loose", "Loose");
    for name in ["goes", "changes"] {
        let text = "---\ndescription: Before\n---\n";
        write(agents.join(name).with_extension("md"), text);
    }
    sandbox.json(&["cache", "refresh"]);
    assert_eq!(sandbox.json(&["list"])["total"], 4);

    sandbox.stop();
    // Its names could be read.
    open(&skills, 0o400);
    std::fs::remove_file(agents.join("goes.md")).unwrap();
    for name in ["changes", "comes"] {
        let text = "---\ndescription: After\n---\n";
        write(agents.join(name).with_extension("md"), text);
    }
    assert!(bind(&sandbox, &["list"]));
    // Only passes over the whole tell of what changed while nobody watched.
    for name in ["changes", "comes"] {
        sandbox.shows(name, "the folder beside it", |shown| {
            shown["description"] == "After"
        });
    }
    let refreshed = sandbox.run(&["cache", "refresh", "--json"]).exits(5).json();
    assert_eq!(refreshed["failed"], 1, "{refreshed:#}");
    sandbox.fails(&["show", "goes"], 3);
    // What the manifest says of the collection itself is taken over, and what was done is no failure.
    sandbox.json(&["group", "create", "ours"]);
    sandbox.json(&["group", "add", "ours", "changes"]);
    assert_eq!(sandbox.show("changes")["groups"][0], "ours");
    assert_eq!(sandbox.show("one")["status"], "managed");
    assert_eq!(sandbox.show("loose")["status"], "unmanaged");
    assert_eq!(told(&sandbox).0, ["unreadable"; 4]);

    // What is written there comes when it can be read again.
    open(&skills, 0o700);
    skill(&skills, "loose", "Tied");
    sandbox.json(&["cache", "refresh"]);
    assert_eq!(sandbox.show("loose")["description"], "Tied");
    let status = sandbox.status_until("no warning", |status| warnings(status).is_empty());
    assert_eq!(status["collections"][0]["state"], "ok");
}

#[test]
fn a_folder_that_cant_be_watched_keeps_no_other_from_being_heard() {
    let Some(sandbox) = bound() else { return };
    let skills = sandbox.collection("default", "skills");
    let closed = skills.join("one/closed");
    skill(&skills, "other", "Before");
    write(closed.join("notes.md"), "closed words");
    sandbox.stop();
    close(&closed);
    assert!(bind(&sandbox, &["list"]));
    sandbox.ready();
    for round in 0..4 {
        let words = format!("Round {round}");
        skill(&skills, "other", &words);
        sandbox.shows("other", &words, |shown| {
            shown["description"] == words.as_str()
        });
    }
    let root = sandbox.json(&["status"])["roots"][0].clone();
    assert_eq!(root["overflows"], 0, "{root:#}");
    // It is watched as soon as it can be, and what is below it.
    open(&closed, 0o700);
    let found = |words: &str| {
        let hits = sandbox.json(&["search", words, "--in", "content"]);
        hits["hits"].as_array().is_some_and(|hits| hits.len() == 1)
    };
    until_true("what was closed", || found("closed words"));
    write(closed.join("notes.md"), "open words");
    until_true("what is open", || found("open words"));
}

#[test]
fn an_entry_whose_files_nobody_can_see_is_not_repaired_away() {
    let Some(sandbox) = bound() else { return };
    let skills = sandbox.collection("default", "skills");
    sandbox.json(&["group", "create", "ours"]);
    sandbox.json(&["group", "add", "ours", "one"]);
    let manifest = || std::fs::read(sandbox.collection("default", "collection.toml")).unwrap();
    let before = manifest();
    close(&skills);
    for what in ["missing", "all"] {
        let done = sandbox.run(&["repair", what, "--execute", "--json"]);
        let done = done.exits(2).json();
        let mut items = done["items"].as_array().unwrap().iter();
        assert!(items.all(|item| item["result"] == "failed"), "{done:#}");
        assert!(done.to_string().contains("permission denied"), "{done:#}");
        assert!(manifest() == before, "{what}");
    }
    // Nor is it renamed without its files.
    sandbox.fails(&["rename", "one", "two"], 5);
    assert!(manifest() == before);
    open(&skills, 0o700);
    drop(sandbox.run(&["repair", "missing", "--execute"]).ok());
    assert!(manifest() == before);
}

#[test]
fn the_doctor_tells_of_a_folder_that_cant_be_read_and_not_of_what_lies_in_it() {
    let Some(sandbox) = bound() else { return };
    let skills = sandbox.collection("default", "skills");
    // Its entry names no folder of a kind.
    let manifest = sandbox.collection("default", "collection.toml");
    let elsewhere = sandbox.collection("default", "more");
    skill(&elsewhere, "far", "Far");
    let entry = "\n[[artifacts]]\nname = \"far\"\ntype = \"skill\"\npath = \"more/far\"\norigin = \"local\"\n";
    let text_of_manifest = std::fs::read_to_string(&manifest).unwrap();
    write(&manifest, text_of_manifest + entry);
    let told = |closed: &Path| {
        let seen = output(permissions::bound(&sandbox, &["doctor", "--json"])).exits(9);
        let all = seen.json()["findings"].clone();
        let all = all.as_array().unwrap().iter();
        let found: Vec<&Value> = all
            .filter(|one| !OF_THE_MACHINE.contains(&one["code"].as_str().unwrap()))
            .filter(|one| one["code"] != "lock-entry-missing")
            .collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0]["code"], "collection-unreadable", "{found:#?}");
        let message = text(&found[0]["message"]);
        assert!(message.contains(closed.to_str().unwrap()), "{message}");
        assert!(message.contains("permission denied"), "{message}");
    };
    for (folder, mode) in [(&skills, 0o000), (&skills, 0o400), (&elsewhere, 0o000)] {
        sandbox.stop();
        open(folder, mode);
        told(folder);
        if *folder == skills {
            assert!(bind(&sandbox, &["list"]));
            sandbox.status_until("the folder", |status| {
                warnings(status) == ["collection-unreadable"]
            });
            told(folder);
        }
        open(folder, 0o700);
    }
}

#[test]
fn a_collection_of_which_only_names_can_be_read_is_not_one_without_a_manifest() {
    let Some(sandbox) = bound() else { return };
    let folder = sandbox.collection("default", "");
    for mode in [0o400, 0o000] {
        open(&folder, mode);
        let refreshed = sandbox.run(&["cache", "refresh", "--json"]).exits(5).json();
        assert_eq!(refreshed["failed"], 1, "{refreshed:#}");
        assert_eq!(refreshed["failures"][0]["path"], "");
        let told = sandbox.run(&["cache", "refresh"]).exits(5).stderr;
        assert!(told.contains("`default`: can't open"), "{told}");
        let status = sandbox.json(&["status"]);
        assert_eq!(status["collections"][0]["state"], "unreachable");
        assert!(
            status.to_string().contains("permission denied"),
            "{status:#}"
        );
        open(&folder, 0o700);
        assert_eq!(sandbox.json(&["cache", "refresh"])["failed"], 0);
    }
}

#[test]
fn a_manifest_that_is_mended_is_broken_no_more_whatever_else_came() {
    let Some(sandbox) = bound() else { return };
    let (manifest, skills) = (
        sandbox.collection("default", "collection.toml"),
        sandbox.collection("default", "skills"),
    );
    let good = std::fs::read_to_string(&manifest).unwrap();
    for is_closed in [false, true] {
        if is_closed {
            close(&manifest);
        } else {
            replace(&manifest, format!("{good}[[x"));
        }
        sandbox.status_until("the broken manifest", |status| {
            warnings(status) == ["collection-broken"]
        });
        close(&skills);
        if is_closed {
            open(&manifest, 0o600);
        } else {
            replace(&manifest, &good);
        }
        sandbox.status_until("the folder instead", |status| {
            warnings(status) == ["collection-unreadable"]
        });
        let (states, why) = told(&sandbox);
        assert_eq!(states, ["unreadable"; 4]);
        assert!(why.contains(skills.to_str().unwrap()), "{why}");
        open(&skills, 0o700);
        drop(sandbox.run(&["cache", "refresh"]).ok());
        let status = sandbox.status_until("no warning", |status| warnings(status).is_empty());
        assert_eq!(status["collections"][0]["state"], "ok");
        assert_eq!(sandbox.show("one")["status"], "managed");
    }
}

#[test]
fn refreshing_names_the_manifest_that_cant_be_read() {
    let sandbox = Sandbox::initialised();
    for name in ["collection.toml", "collection.lock"] {
        let file = sandbox.collection("default", name);
        let good = std::fs::read_to_string(&file).unwrap();
        replace(&file, format!("{good}\n[[x"));
        for _ in 0..2 {
            let answer = sandbox.run(&["cache", "refresh", "--json"]).exits(5);
            let failures = answer.json()["failures"].clone();
            assert_eq!(failures.as_array().unwrap().len(), 1, "{failures:#}");
            assert_eq!(failures[0]["path"], name);
            assert_eq!(failures[0]["collection"], "default");
            let reason = text(&failures[0]["reason"]);
            assert!(reason.starts_with("line "), "{reason}");
        }
        let said = sandbox.run(&["cache", "refresh"]).exits(5).stderr;
        assert!(said.contains(name) && said.contains("1 failed"), "{said}");
        replace(&file, &good);
        let answer = sandbox.json(&["cache", "refresh"]);
        assert_eq!(answer["failed"], 0, "{answer:#}");
    }
}
