//! `sm repair` where something is not known: what nobody can tell is left alone, and said.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{rename, replace, skill, text};

/// What a repair did, one `result id` each, and why.
fn repair(sandbox: &Sandbox, args: &[&str], code: i32) -> (Vec<String>, Value) {
    let args = [&["repair"], args, &["--execute", "--json"]].concat();
    let report = sandbox.run(&args).exits(code).json();
    let items = report["items"].as_array().unwrap().iter();
    let told = items.map(|item| format!("{} {}", text(&item["result"]), text(&item["id"])));
    let mut told: Vec<String> = told.collect();
    told.sort();
    told.dedup();
    (told, report)
}

fn manifest(sandbox: &Sandbox) -> PathBuf {
    sandbox.collection("default", "collection.toml")
}

#[test]
fn nothing_is_taken_out_of_a_collection_whose_manifest_cant_be_read() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["collection", "create", "work"]);
    sandbox.json(&["copy", "one", "--to", "work"]);
    fs::remove_dir_all(sandbox.collection("default", "skills/one")).unwrap();
    let files = sandbox.collection("work", "skills/one/SKILL.md");
    let broken = sandbox.collection("work", "collection.toml");
    let was = fs::read_to_string(&broken).unwrap();
    let before = fs::read_to_string(manifest(&sandbox)).unwrap();
    replace(&broken, "oops = [\n");
    // Nobody remembers what it said.
    sandbox.stop();
    fs::remove_dir_all(sandbox.home().root().join("cache")).unwrap();
    for what in ["misplaced", "missing", "all"] {
        let (told, report) = repair(&sandbox, &[what], 2);
        assert!(told.contains(&"skipped skill:one".to_owned()), "{report:#}");
        assert_eq!(report["fixed"], 0, "{report:#}");
        let why = "another collection may have it: the manifest of `work` can't be read";
        assert!(report.to_string().contains(why), "{report:#}");
        assert!(files.exists(), "{what}");
        assert_eq!(fs::read_to_string(manifest(&sandbox)).unwrap(), before);
    }
    // An artifact without an entry may be one of those that it lists.
    skill(&sandbox.collection("default", "skills"), "stray", "Stray");
    drop(sandbox.run(&["cache", "refresh"]));
    let (told, report) = repair(&sandbox, &["orphans"], 2);
    assert_eq!(told, ["failed work", "skipped skill:stray"], "{report:#}");
    replace(&broken, was);
    let (told, _) = repair(&sandbox, &["all"], 0);
    assert!(told.contains(&"fixed skill:one".to_owned()), "{told:?}");
    assert!(files.exists());
}

#[test]
fn a_lock_file_that_cant_be_read_keeps_no_other_collection_from_being_repaired() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["collection", "create", "work"]);
    // The files of one lie in `work`, those of another one are gone.
    sandbox.json(&["copy", "one", "--to", "work"]);
    sandbox.json(&["remove", "one", "-c", "work", "--keep-files"]);
    for name in ["one", "two"] {
        fs::remove_dir_all(sandbox.collection("default", "skills").join(name)).unwrap();
    }
    skill(&sandbox.collection("default", "skills"), "stray", "Stray");
    let lock = sandbox.collection("work", "collection.lock");
    let sound = fs::read_to_string(&lock).unwrap();
    replace(&lock, "x = [\n");
    drop(sandbox.run(&["cache", "refresh"]));
    let wanted = [
        "failed skill:one",
        "failed work",
        "fixed skill:stray",
        "fixed skill:two",
        "skipped skill:one",
    ];
    let plan = sandbox.run(&["repair", "all", "--json"]).exits(2).json();
    assert_eq!(plan["fixed"], 2, "{plan:#}");
    let (told, report) = repair(&sandbox, &["all"], 2);
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    assert!(wanted.iter().all(|one| told.contains(one)), "{report:#}");
    let place = format!("{}:1", lock.display());
    assert!(report.to_string().contains(&place), "{report:#}");
    let (told, report) = repair(&sandbox, &["orphans"], 2);
    assert!(told.contains(&"failed work".to_owned()), "{report:#}");
    replace(&lock, sound);
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let (told, _) = repair(&sandbox, &["all"], 0);
    assert!(told.contains(&"fixed skill:one".to_owned()), "{told:?}");
}

#[test]
fn what_lies_behind_a_link_that_leads_nowhere_is_not_missing() {
    let sandbox = Sandbox::with_two();
    let at = |path: &str| sandbox.collection("default", path);
    sandbox.json(&["group", "create", "ours"]);
    sandbox.json(&["group", "add", "ours", "one"]);
    let disk = sandbox.path("disk");
    let unmounted = sandbox.path("unmounted");
    let files = |name: &str| (at("").join(name), fs::read(at(name)).unwrap());
    let kept = [files("collection.toml"), files("collection.lock")];
    let stays = |sandbox: &Sandbox, wanted: &[&str], why: &str| {
        drop(sandbox.run(&["cache", "refresh"]));
        for what in ["missing", "all"] {
            let (told, report) = repair(sandbox, &[what], 2);
            assert_eq!(report["fixed"], 0, "{report:#}");
            assert!(wanted.iter().all(|one| told.contains(&(*one).to_owned())));
            assert!(report.to_string().contains(why), "{report:#}");
            for (path, bytes) in &kept {
                assert!(fs::read(path).unwrap() == *bytes, "{what}");
            }
        }
    };
    // The folder of all skills.
    rename(at("skills"), &disk);
    std::os::unix::fs::symlink(&disk, at("skills")).unwrap();
    rename(&disk, &unmounted);
    let why = format!("the link `{}` can't be followed", at("skills").display());
    stays(&sandbox, &["failed skill:one", "failed skill:two"], &why);
    // Nor is one renamed without its files.
    sandbox.fails(&["rename", "one", "other"], 3);
    // A single one.
    fs::remove_file(at("skills")).unwrap();
    rename(&unmounted, at("skills"));
    rename(at("skills/one"), &unmounted);
    std::os::unix::fs::symlink(&disk, at("skills/one")).unwrap();
    let why = format!(
        "the link `{}` can't be followed",
        at("skills/one").display()
    );
    stays(&sandbox, &["failed skill:one"], &why);
}

#[test]
fn an_entry_of_a_wrong_path_keeps_all_that_is_said_of_it() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["group", "create", "ours"]);
    sandbox.json(&["group", "add", "ours", "one"]);
    sandbox.json(&["set", "one", "aliases=first", "position=3"]);
    let path = manifest(&sandbox);
    let right = fs::read_to_string(&path).unwrap();
    let wrong = right.replace("path = \"skills/one\"", "path = \"skills/won\"");
    assert_ne!(right, wrong);
    let same = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("updated = "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for what in ["layout", "all"] {
        replace(&path, &wrong);
        drop(sandbox.run(&["cache", "refresh"]).ok());
        // It is not missing: only its path is wrong.
        let (told, report) = repair(&sandbox, &["missing"], 0);
        assert_eq!(told, ["skipped skill:one"], "{report:#}");
        let (told, report) = repair(&sandbox, &[what], 0);
        assert!(told.contains(&"fixed skill:one".to_owned()), "{report:#}");
        assert_eq!(same(&fs::read_to_string(&path).unwrap()), same(&right));
        let (_, again) = repair(&sandbox, &["all"], 0);
        assert_eq!(
            (&again["fixed"], &again["steps"]),
            (&json!(0), &json!([])),
            "{again:#}"
        );
    }
    let shown = sandbox.show("one");
    assert_eq!(
        (&shown["status"], &shown["groups"]),
        (&json!("managed"), &json!(["ours"]))
    );
}

#[test]
fn what_lies_behind_a_link_out_of_another_collection_is_not_missing() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["collection", "create", "work"]);
    sandbox.json(&["move", "one", "two", "--to", "work", "--yes"]);
    // The files of one are moved back, behind a link; those of the other one are gone.
    let (skills, real) = (
        sandbox.collection("default", "skills"),
        sandbox.path("real"),
    );
    fs::create_dir_all(&skills).unwrap();
    let work = sandbox.collection("work", "skills");
    rename(work.join("one"), skills.join("one"));
    fs::remove_dir_all(work.join("two")).unwrap();
    rename(&skills, &real);
    std::os::unix::fs::symlink(&real, &skills).unwrap();
    drop(sandbox.run(&["cache", "refresh"]));
    let (told, report) = repair(&sandbox, &["missing", "-c", "work"], 0);
    assert_eq!(told, ["fixed skill:two", "skipped skill:one"], "{report:#}");
    let why = "another collection may have it";
    assert!(report.to_string().contains(why), "{report:#}");
    drop(repair(&sandbox, &["all"], 0));
    let manifest = fs::read_to_string(sandbox.collection("work", "collection.toml")).unwrap();
    assert!(manifest.contains("name = \"one\""), "{manifest}");
}

#[test]
fn a_path_that_leads_out_is_mended_where_the_files_are_in_their_place() {
    let sandbox = Sandbox::with_two();
    let path = manifest(&sandbox);
    let right = fs::read_to_string(&path).unwrap();
    for (wrong, told_as) in [
        ("path = \"\"\n", "where no path stood"),
        (
            "path = \"../work/skills/one\"\n",
            "where `../work/skills/one` stood",
        ),
        (
            "path = \"/elsewhere/one\"\n",
            "where `/elsewhere/one` stood",
        ),
        ("", "where no path stood"),
    ] {
        let text = right.replace("path = \"skills/one\"\n", wrong);
        assert_ne!(text, right);
        replace(&path, text);
        drop(sandbox.run(&["cache", "refresh"]));
        let (told, report) = repair(&sandbox, &["layout"], 0);
        assert_eq!(told, ["fixed skill:one"], "{wrong:?}: {report:#}");
        assert!(report.to_string().contains(told_as), "{report:#}");
        let mended = fs::read_to_string(&path).unwrap();
        assert!(mended.contains("path = \"skills/one\"\n"), "{mended}");
    }
    // Where nothing lies it stays, and is told.
    replace(&path, right.replace("\"skills/one\"", "\"../gone\""));
    fs::remove_dir_all(sandbox.collection("default", "skills/one")).unwrap();
    drop(sandbox.run(&["cache", "refresh"]));
    let (told, report) = repair(&sandbox, &["layout"], 2);
    assert_eq!(told, ["failed skill:one"], "{report:#}");
}
