//! Collections that are renamed: what was done before can be looked at and taken back all the same.

use serde_json::Value;
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::{Sandbox, until};

fn done(sandbox: &Sandbox, args: &[&str]) -> String {
    let told = sandbox.json(args);
    let operation = text(&told["operation"]);
    assert!(!operation.is_empty(), "{args:?}: {told:#}");
    operation
}

fn rated(sandbox: &Sandbox, name: &str) -> Value {
    sandbox.show(name)["rating"].clone()
}

fn manifest(sandbox: &Sandbox, collection: &str) -> String {
    std::fs::read_to_string(sandbox.collection(collection, "collection.toml")).unwrap()
}

#[test]
fn what_was_done_before_a_renaming_can_be_undone_after_it() {
    let sandbox = Sandbox::with_two();
    let described = done(&sandbox, &["set", "one", "description=Other"]);
    let rated_two = done(&sandbox, &["rate", "two", "4"]);
    done(&sandbox, &["collection", "rename", "default", "mine"]);
    done(&sandbox, &["collection", "rename", "mine", "ours"]);
    // Another one has the old name now, and is nobody's past.
    sandbox.json(&["collection", "create", "default"]);
    let source = skill(&sandbox.path("src"), "other", "Other");
    let add = ["add", source.to_str().unwrap(), "-c", "default"];
    drop(sandbox.run(&add).ok());

    let undone = done(&sandbox, &["undo", &described]);
    assert_eq!(sandbox.show("one")["description"], "As it was");
    done(&sandbox, &["undo", &rated_two]);
    assert!(rated(&sandbox, "two").is_null());
    assert!(manifest(&sandbox, "ours").contains("name = \"ours\""));
    done(&sandbox, &["undo", &undone]);
    assert_eq!(sandbox.show("one")["description"], "Other");

    // What was changed since is in the way, and named, under whatever name it was done.
    done(&sandbox, &["set", "one", "description=Third"]);
    let error = sandbox.fails(&["undo", &described], 4);
    assert_eq!(error["code"], "operation.superseded");
    assert!(error.to_string().contains("is in the way: set"), "{error}");
}

#[test]
fn the_log_of_an_artifact_goes_back_beyond_a_renaming() {
    let sandbox = Sandbox::with_two();
    let numbers = |args: &[&str]| -> Vec<String> {
        let told = sandbox.json(args);
        let all = told["operations"].as_array().unwrap();
        all.iter().map(|one| one["id"].to_string()).collect()
    };
    let rate = done(&sandbox, &["set", "one", "description=Other"]);
    done(&sandbox, &["collection", "rename", "default", "mine"]);
    let again = done(&sandbox, &["set", "one", "description=Third"]);
    let log = ["log", "--artifact", "one", "-c", "mine"];
    let before = numbers(&log);
    let quoted = |number: &str| number.trim_matches('"').to_owned();
    let before: Vec<String> = before.iter().map(|one| quoted(one)).collect();
    assert_eq!(before.len(), 3, "{before:?}");
    assert_eq!(before[..2], [again, rate]);
    // An edit by another program is told as a change of what was known under the old name.
    write(
        sandbox.collection("mine", "skills/one/SKILL.md"),
        "---\nname: one\ndescription: By hand\n---\nText\n",
    );
    until("the edit in the log", || {
        let log = sandbox.json(&log);
        let newest = &log["operations"][0];
        (newest["actor"] == "external").then(|| assert_eq!(newest["state"], "done"))
    });
    let shown = sandbox.json(&["log", "show"]);
    assert_eq!(shown["files"][0]["action"], "edit", "{shown:#}");
}

#[test]
fn a_rollback_beyond_a_renaming_keeps_the_name() {
    let sandbox = Sandbox::with_two();
    let snapshot = text(&sandbox.json(&["snapshot", "early"])["snapshot"]["id"]);
    let early = manifest(&sandbox, "default");
    done(&sandbox, &["collection", "rename", "default", "mine"]);
    done(&sandbox, &["remove", "two"]);
    done(&sandbox, &["set", "one", "description=Other"]);
    let in_time = format!("one@{snapshot}");
    let compared = sandbox.json(&["snapshot", "diff", &snapshot, "-c", "mine"]);
    assert!(compared.to_string().contains("skills/two"), "{compared:#}");
    done(&sandbox, &["restore", &in_time]);
    assert_eq!(sandbox.show("one")["description"], "As it was");
    let planned = sandbox.json(&["rollback", &snapshot, "--dry-run"]);
    let told = sandbox.json(&["rollback", &snapshot, "--yes"]);
    assert_eq!(planned["steps"], told["steps"]);
    assert_eq!(
        manifest(&sandbox, "mine"),
        early.replace("name = \"default\"", "name = \"mine\"")
    );
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
    // And once more there is nothing to do.
    let again = sandbox.json(&["rollback", &snapshot, "--yes"]);
    assert_eq!(
        again["steps"].as_array().map(Vec::len),
        Some(0),
        "{again:#}"
    );
    done(&sandbox, &["undo"]);
    assert_eq!(sandbox.ids(), ["skill:one"]);
    assert!(manifest(&sandbox, "mine").contains("name = \"mine\""));
}

#[test]
fn a_renaming_is_undone_before_and_after_other_changes() {
    let sandbox = Sandbox::with_two();
    let before = manifest(&sandbox, "default");
    let rate = done(&sandbox, &["rate", "one", "3"]);
    done(&sandbox, &["undo", &rate]);
    let renaming = done(&sandbox, &["collection", "rename", "default", "mine"]);
    done(&sandbox, &["undo", &renaming]);
    assert_eq!(
        without_dates(&manifest(&sandbox, "default")),
        without_dates(&before)
    );
    done(&sandbox, &["redo"]);
    assert!(!sandbox.collection("default", "").exists());

    // What was done since goes along, and can still be undone.
    let set = done(&sandbox, &["set", "one", "description=Other"]);
    let planned = sandbox.json(&["undo", &renaming, "--dry-run"]);
    assert!(sandbox.collection("mine", "").exists());
    let told = sandbox.json(&["undo", &renaming]);
    assert_eq!(planned["steps"], told["steps"]);
    let text = manifest(&sandbox, "default");
    assert!(text.contains("name = \"default\""), "{text}");
    assert_eq!(sandbox.show("one")["description"], "Other");
    let shown = sandbox.json(&["collection", "list"]);
    assert_eq!(shown["collections"][0]["is_default"], true, "{shown:#}");
    done(&sandbox, &["undo", &set]);
    assert_eq!(sandbox.show("one")["description"], "As it was");
}

#[test]
fn a_name_that_is_taken_is_in_the_way_of_undoing_a_renaming() {
    let sandbox = Sandbox::with_two();
    let renaming = done(&sandbox, &["collection", "rename", "default", "mine"]);
    sandbox.json(&["collection", "create", "default"]);
    done(&sandbox, &["rate", "one", "3"]);
    let error = sandbox.fails(&["undo", &renaming], 4);
    assert_eq!(error["code"], "operation.superseded");
    assert!(error.to_string().contains("collections/default"), "{error}");
    assert_eq!(rated(&sandbox, "one"), 3);
}

fn without_dates(text: &str) -> String {
    let lines = text.lines();
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with("updated")).collect();
    lines.join("\n")
}
