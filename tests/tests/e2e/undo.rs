//! `sm undo`, `sm redo`, `sm log`: what was done is told, and can be taken back and done again.

use std::collections::BTreeMap;
use std::path::Path;

use skillmeat_tests::Sandbox;
use skillmeat_tests::fault::{Faults, equals_a_fresh_one, until_dead};
use skillmeat_tests::history;
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::wait::until_true;

use skillmeat_shared::failpoint;

/// Every file below a folder with its bytes; folders have none.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(top: &Path, folder: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().display().to_string();
            if name.contains(".skillmeat-tmp-") {
                continue;
            }
            if path.is_dir() {
                into.insert(name, Vec::new());
                walk(top, &path, into);
            } else {
                into.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

fn add(sandbox: &Sandbox, name: &str) -> String {
    let source = skill(&sandbox.path("src"), name, &format!("About {name}"));
    let added = sandbox.json(&["add", source.to_str().unwrap()]);
    text(&added["operation"])
}

#[test]
fn the_last_change_is_undone_and_redone_byte_for_byte() {
    let sandbox = Sandbox::initialised();
    let collection = sandbox.collection("default", "");
    let mut states = vec![tree(&collection)];
    for name in ["one", "two", "three"] {
        add(&sandbox, name);
        states.push(tree(&collection));
    }
    for (left, state) in states.iter().enumerate().take(3).rev() {
        let undone = sandbox.json(&["undo"]);
        assert_eq!(undone["undone"], 1, "{undone:#}");
        assert!(tree(&collection) == *state, "{left}");
        assert_eq!(sandbox.ids().len(), left);
    }
    for (there, state) in states.iter().enumerate().skip(1) {
        let redone = sandbox.json(&["redo"]);
        assert_eq!(redone["redone"], 1, "{redone:#}");
        assert!(tree(&collection) == *state, "{there}");
        assert_eq!(sandbox.ids().len(), there);
    }
    let error = sandbox.fails(&["redo"], 3);
    assert_eq!(error["code"], "operation.not_found");
    // What is changed after an undoing ends what can be redone.
    drop(sandbox.run(&["undo"]).ok());
    add(&sandbox, "four");
    assert_eq!(sandbox.fails(&["redo"], 3)["code"], "operation.not_found");
    equals_a_fresh_one(&sandbox, "undoing");
}

#[test]
fn an_older_change_is_undone_if_nothing_is_in_the_way() {
    let sandbox = Sandbox::initialised();
    let one = add(&sandbox, "one");
    add(&sandbox, "two");
    let plan = sandbox.json(&["undo", &one, "--dry-run"]);
    assert_eq!(plan["dry_run"], true);
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
    let undone = sandbox.json(&["undo", &one]);
    assert_eq!(undone["steps"], plan["steps"]);
    assert_eq!(sandbox.ids(), ["skill:two"]);
    assert_eq!(sandbox.show("two")["status"], "managed");
    let manifest = std::fs::read_to_string(sandbox.collection("default", "collection.toml"));
    assert!(!manifest.unwrap().contains("\"one\""));
    let error = sandbox.fails(&["undo", &one], 4);
    assert_eq!(error["code"], "operation.superseded");
    assert_eq!(
        sandbox.fails(&["undo", "999"], 3)["code"],
        "operation.not_found"
    );

    let again = add(&sandbox, "three");
    let file = sandbox.collection("default", "skills/three/SKILL.md");
    write(&file, "---\nname: three\ndescription: Mine\n---\n");
    let before = tree(&sandbox.collection("default", ""));
    let error = sandbox.fails(&["undo", &again], 4);
    assert_eq!(error["code"], "operation.superseded");
    assert!(text(&error["message"]).contains("skills/three"), "{error}");
    assert!(tree(&sandbox.collection("default", "")) == before);
}

#[test]
fn the_log_tells_what_was_done() {
    let sandbox = Sandbox::initialised();
    let one = add(&sandbox, "one");
    add(&sandbox, "two");
    drop(sandbox.run(&["undo"]).ok());
    let log = sandbox.json(&["log"]);
    let told: Vec<(String, String)> = log["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (text(&one["verb"]), text(&one["state"])))
        .collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        told,
        [
            ("operation.undo", "done"),
            ("artifact.add", "undone"),
            ("artifact.add", "done"),
            ("collection.create", "done"),
        ]
    );
    assert_eq!(log["operations"][2]["actor"], "cli");
    let of = sandbox.json(&["log", "--artifact", "one"]);
    assert_eq!(of["operations"].as_array().unwrap().len(), 1);
    // Also of one that is gone.
    let of = sandbox.json(&["log", "--artifact", "skill:two"]);
    assert_eq!(of["operations"].as_array().unwrap().len(), 2);
    let few = sandbox.json(&["log", "--limit", "1"]);
    assert_eq!(
        (&few["more"], few["operations"].as_array().unwrap().len()),
        (&true.into(), 1)
    );
    let error = sandbox.fails(&["log", "--artifact", "nobody"], 3);
    assert_eq!(error["code"], "artifact.not_found");

    let shown = sandbox.json(&["log", "show", &one]);
    let files = shown["files"].as_array().unwrap();
    let file = files
        .iter()
        .find(|file| file["path"] == "skills/one/SKILL.md")
        .unwrap();
    assert_eq!(file["action"], "create");
    assert!(
        text(&file["diff"]).contains("+description: About one"),
        "{file}"
    );
    let told = sandbox.run(&["log", "show", &one]).ok().stdout;
    assert!(told.contains("+name = \"one\""), "{told}");
    let told = sandbox.run(&["log"]).ok().stdout;
    assert!(told.contains("undo operation 3: add"), "{told}");
}

#[test]
fn a_collection_that_was_made_can_be_unmade() {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    assert!(sandbox.collection("work", "collection.toml").exists());
    drop(sandbox.run(&["undo"]).ok());
    assert!(!sandbox.collection("work", "").exists());
    let names = sandbox.json(&["collection", "list"]);
    assert_eq!(names["total"], 1, "{names:#}");
    drop(sandbox.run(&["redo"]).ok());
    assert_eq!(sandbox.json(&["collection", "list"])["total"], 2);
}

#[test]
fn what_failed_while_it_was_recorded_takes_nothing_back_later() {
    let mut sandbox = Sandbox::new();
    let faults = Faults::of(&mut sandbox);
    drop(sandbox.run(&["init"]).ok());
    add(&sandbox, "one");
    drop(sandbox.run(&["group", "create", "G"]).ok());
    // It is on the disk, and nobody was told.
    faults.tell("history.after_commit=eio@1");
    let answer = sandbox.run(&["group", "add", "G", "one"]);
    assert_ne!(answer.code, Some(0), "{answer:?}");
    faults.none();
    drop(sandbox.run(&["group", "add", "G", "one"]).ok());
    sandbox.stop();
    let shown = sandbox.json(&["group", "show", "G"]);
    assert!(shown.to_string().contains("skill:one"), "{shown:#}");
    let log = sandbox.json(&["log"]);
    assert_eq!(log["operations"][0]["state"], "done", "{log:#}");
    assert_eq!(log["operations"][1]["state"], "rolled-back", "{log:#}");
}

#[test]
fn what_another_program_writes_into_something_new_outlives_its_taking_back() {
    let mut sandbox = Sandbox::new();
    let faults = Faults::of(&mut sandbox);
    drop(sandbox.run(&["init"]).ok());
    let source = skill(&sandbox.path("src"), "one", "One");
    // The skill stands already, the manifest is to follow.
    faults.tell("change.placing=wait@2");
    let mut adding = sandbox
        .sm(&["add", source.to_str().unwrap()])
        .spawn()
        .unwrap();
    until_true("the step", || !faults.passed().is_empty());
    let file = sandbox.collection("default", "skills/one/SKILL.md");
    write(&file, "theirs");
    let manifest = sandbox.collection("default", "collection.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    write(&manifest, format!("{text}\n# theirs\n"));
    faults.none();
    // It is taken back, and planned again with what the manifest says now.
    assert!(adding.wait().is_ok());
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("# theirs"), "{text}");
    let log = sandbox.json(&["log"]);
    assert!(log.to_string().contains("external"), "{log:#}");
    assert!(history::has(&sandbox, b"theirs"), "{log:#}");
    drop(sandbox.run(&["cache", "refresh"]).ok());
    equals_a_fresh_one(&sandbox, "two writers");
}

/// Steps at which a change may be cut short.
fn steps() -> Vec<&'static str> {
    ["change", "exchange", "history"]
        .into_iter()
        .flat_map(failpoint::of_area)
        .collect()
}

#[test]
fn killed_at_any_step_the_old_or_the_new_state_stands() {
    let mut sandbox = Sandbox::new();
    let faults = Faults::of(&mut sandbox);
    drop(sandbox.run(&["init"]).ok());
    add(&sandbox, "first");
    let collection = sandbox.collection("default", "");
    let source = skill(&sandbox.path("src"), "second", "Another");
    let source = source.to_str().unwrap();
    let old = tree(&collection);
    // The second time a step is passed, something stands already.
    for (name, nth) in steps()
        .iter()
        .flat_map(|name| ["", "@2", "@3"].map(|nth| (*name, nth)))
    {
        let what = format!("{name}=kill{nth}");
        sandbox.stop();
        faults.tell(&what);
        let killed = sandbox.run(&["add", source]).code != Some(0);
        if killed {
            until_dead(&sandbox, &what);
        }
        faults.none();
        drop(sandbox.run(&["cache", "refresh"]).ok());
        let ids = sandbox.ids();
        let now = tree(&collection);
        if ids == ["skill:first"] {
            assert!(now == old, "{what}: {:?}", now.keys());
        } else {
            assert_eq!(ids, ["skill:first", "skill:second"], "{what}");
            assert_eq!(sandbox.show("second")["status"], "managed", "{what}");
            assert_eq!(sandbox.show("second")["modified"], false, "{what}");
            drop(sandbox.run(&["undo"]).ok());
            assert!(tree(&collection) == old, "{what}");
        }
        let log = sandbox.json(&["log"]);
        assert!(!log.to_string().contains("\"open\""), "{what}: {log:#}");
    }
    equals_a_fresh_one(&sandbox, "changes that were cut short");
}

#[test]
fn what_changed_no_file_is_told_and_not_undone() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let made = sandbox.json(&["snapshot", "x"]);
    let id = text(&made["snapshot"]["id"]);
    sandbox.json(&["snapshot", "delete", &id, "--yes"]);
    let log = sandbox.json(&["log"]);
    let told: Vec<String> = log["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["what"]))
        .collect();
    assert_eq!(told[0], format!("delete the snapshot `{id}`"));
    assert_eq!(told[1], format!("make the snapshot `{id}` of `default`"));
    let number = log["operations"][0]["id"].to_string();
    let error = sandbox.fails(&["undo", &number], 4);
    assert!(
        text(&error["message"]).contains("changed no files"),
        "{error}"
    );
    // What is undone and redone without a number is what changed files.
    drop(sandbox.run(&["undo"]).ok());
    assert!(sandbox.ids().is_empty());
    sandbox.json(&["snapshot", "y"]);
    drop(sandbox.run(&["redo"]).ok());
    assert_eq!(sandbox.ids(), ["skill:one"]);
}

#[test]
fn only_what_changed_the_same_entries_is_named_as_in_the_way() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "pdf", "Pdf");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let made = text(&sandbox.json(&["group", "create", "Work"])["operation"]);
    let added = text(&sandbox.json(&["group", "add", "Work", "pdf"])["operation"]);
    for number in 0..8 {
        let tag = format!("tag-{number}");
        drop(sandbox.run(&["tag", "define", &tag]).ok());
    }
    let error = sandbox.fails(&["undo", &made], 4);
    let hints = error["hints"].to_string();
    assert!(
        hints.contains(&format!("operation {added} is in the way")),
        "{hints}"
    );
    assert!(!hints.contains("tag-"), "{hints}");
    drop(sandbox.run(&["undo", &added]).ok());
    drop(sandbox.run(&["undo", &made]).ok());
}

#[test]
fn what_was_done_in_a_collection_is_in_the_way_of_undoing_its_creation() {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["collection", "create", "more"]).ok());
    let made = sandbox.json(&["log"])["operations"][0]["id"].to_string();
    let source = skill(&sandbox.path("src"), "pdf", "Pdf");
    let add = ["add", source.to_str().unwrap(), "-c", "more"];
    let added = text(&sandbox.json(&add)["operation"]);
    let hints = sandbox.fails(&["undo", &made], 4)["hints"].to_string();
    let named = format!("operation {added} is in the way");
    assert!(hints.contains(&named), "{hints}");
    assert!(!hints.contains("outside"), "{hints}");
    drop(sandbox.run(&["undo", &added]).ok());
    drop(sandbox.run(&["undo", &made]).ok());
    assert!(!sandbox.collection("more", "").exists());
}

#[test]
fn what_was_done_to_a_collection_as_a_whole_is_in_the_way_of_what_was_done_in_it() {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["collection", "create", "more"]).ok());
    for name in ["one", "two"] {
        let source = skill(&sandbox.path("src"), name, "One");
        let add = ["add", source.to_str().unwrap(), "-c", "more"];
        drop(sandbox.run(&add).ok());
    }
    let saved = sandbox.json(&["snapshot", "create", "-c", "more"]);
    let saved = text(&saved["snapshot"]["id"]);
    let operation = |args: &[&str]| text(&sandbox.json(args)["operation"]);
    let set = operation(&["set", "one", "license=MIT", "-c", "more"]);
    let set_two = operation(&["set", "two", "license=MIT", "-c", "more"]);
    let deleted = operation(&["collection", "delete", "more", "--yes"]);
    let is_named = |undone: &str, named: &[&str]| {
        let error = sandbox.fails(&["undo", undone], 4);
        assert_eq!(error["code"], "operation.superseded");
        let hints = error["hints"].to_string();
        for one in named {
            let one = format!("operation {one} is in the way");
            assert!(hints.contains(&one), "{one}: {hints}");
        }
        assert!(!hints.contains("outside"), "{hints}");
        assert_eq!(hints.matches("is in the way").count(), named.len());
    };
    is_named(&set, &[&deleted]);
    let back = operation(&["rollback", &saved, "-c", "more", "--yes"]);
    is_named(&set, &[&deleted, &back]);
    // Who takes back all that is named gets there.
    for one in [&back, &deleted, &set_two, &set] {
        drop(sandbox.run(&["undo", one]).ok());
    }
    equals_a_fresh_one(&sandbox, "a collection that went and came");
}

#[test]
fn an_artifact_that_came_and_went_with_its_collection_has_it_in_its_log() {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["collection", "create", "more"]).ok());
    let operation = |args: &[&str]| text(&sandbox.json(args)["operation"]);
    let add = |name: &str| {
        let source = skill(&sandbox.path("src"), name, "Some");
        operation(&["add", source.to_str().unwrap(), "-c", "more"])
    };
    let numbers = |name: &str| -> Vec<String> {
        let told = sandbox.json(&["log", "--artifact", name, "-c", "more"]);
        let all = told["operations"].as_array().unwrap();
        all.iter().map(|one| one["id"].to_string()).collect()
    };
    let one = add("one");
    let saved = sandbox.json(&["snapshot", "create", "-c", "more"]);
    let saved = text(&saved["snapshot"]["id"]);
    let deleted = operation(&["collection", "delete", "more", "--yes"]);
    assert_eq!(numbers("one"), [deleted.as_str(), &one]);
    let unknown = ["log", "--artifact", "one", "-c", "nobody"];
    let error = sandbox.fails(&unknown, 3);
    assert_eq!(error["code"], "collection.not_found", "{error}");
    let back = operation(&["rollback", &saved, "-c", "more", "--yes"]);
    assert_eq!(numbers("one"), [back.as_str(), &deleted, &one]);
    // What was not in it then was not touched.
    let two = add("two");
    assert_eq!(numbers("two"), [two.as_str()]);
    let first = sandbox.json(&["log", "--artifact", "one", "-c", "more", "--limit", "1"]);
    assert_eq!(first["operations"][0]["id"].to_string(), back);
    assert_eq!(first["more"], true, "{first:#}");
}

#[test]
fn help_says_what_is_undone_and_what_never_is() {
    let sandbox = Sandbox::new();
    for (args, said) in [
        (
            &["undo", "--help"][..],
            "the last one of `sm` that changed files",
        ),
        (&["snapshot", "delete", "--help"], "This is final"),
        (&["snapshot", "prune", "--help"], "This is final"),
    ] {
        let help = sandbox.run(args).ok().stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(said), "{args:?}: {help}");
    }
}

#[test]
fn the_log_of_a_collection_is_what_touched_it() {
    let sandbox = Sandbox::initialised();
    let made = sandbox.json(&["collection", "create", "work"]);
    assert_eq!(made["name"], "work", "{made}");
    add(&sandbox, "one");
    let source = skill(&sandbox.path("src"), "two", "About two");
    sandbox.json(&["add", source.to_str().unwrap(), "-c", "work"]);
    let verbs = |name: &str| -> Vec<String> {
        let log = sandbox.json(&["log", "-c", name]);
        let all = log["operations"].as_array().unwrap();
        all.iter().map(|one| text(&one["verb"])).collect()
    };
    assert_eq!(verbs("work"), ["artifact.add", "collection.create"]);
    assert_eq!(verbs("default"), ["artifact.add", "collection.create"]);
    sandbox.json(&["collection", "rename", "work", "office"]);
    let renamed = ["collection.rename", "artifact.add", "collection.create"];
    assert_eq!(verbs("office"), renamed);
    sandbox.json(&["collection", "delete", "office", "--yes"]);
    assert_eq!(verbs("office")[0], "collection.delete");
    let error = sandbox.fails(&["log", "-c", "nobody"], 3);
    assert_eq!(error["code"], "collection.not_found");
}

#[test]
fn the_log_tells_from_which_mode_to_which() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::initialised();
    add(&sandbox, "one");
    let file = sandbox.collection("default", "skills/one/SKILL.md");
    let set = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o644);
    let id = text(&sandbox.json(&["snapshot"])["snapshot"]["id"]);
    set(0o755);
    let back = ["rollback", &id, "--yes"];
    let change = |file: &str| {
        let shown = sandbox.json(&["log", "show"]);
        let files = shown["files"].as_array().unwrap();
        let found = files.iter().find(|one| one["path"] == file).unwrap();
        (text(&found["action"]), text(&found["diff"]))
    };
    sandbox.json(&back);
    let path = "skills/one/SKILL.md";
    assert_eq!(
        change(path),
        ("mode".to_owned(), "mode 755 -> 644\n".to_owned())
    );
    let shown = sandbox.run(&["log", "show"]).ok().stdout;
    assert!(shown.contains("\nmode 755 -> 644\n"), "{shown}");
    // With the text.
    write(&file, "other\n");
    set(0o700);
    sandbox.json(&back);
    let (action, diff) = change(path);
    assert_eq!(action, "edit");
    assert!(diff.starts_with("mode 700 -> 644\n--- a/"), "{diff}");
}
