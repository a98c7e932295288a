//! What other programs change is kept, told by `sm log`, and can be taken back.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::wait::until_true;
use skillmeat_tests::{Sandbox, daemon, until};

/// The newest operation by another program that names this.
fn external(sandbox: &Sandbox, what: &str) -> Option<Value> {
    let log = sandbox.json(&["log", "--limit", "100"]);
    let operations = log["operations"].as_array().unwrap();
    operations
        .iter()
        .find(|one| one["actor"] == "external" && text(&one["what"]).contains(what))
        .cloned()
}

fn until_external(sandbox: &Sandbox, what: &str) -> String {
    let found = until(what, || external(sandbox, what));
    found["id"].to_string()
}

#[test]
fn an_edit_by_another_program_is_told_and_taken_back() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "As it was");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let file = sandbox.collection("default", "skills/one/SKILL.md");
    let before = std::fs::read(&file).unwrap();
    let edited = "---\nname: one\ndescription: Edited\n---\n";
    write(&file, edited);
    let id = until_external(&sandbox, "`skills/one` changed");
    let shown = sandbox.json(&["log", "show", &id]);
    let diff = text(&shown["files"][0]["diff"]);
    assert!(diff.contains("-description: As it was"), "{shown:#}");
    assert!(diff.contains("+description: Edited"), "{shown:#}");
    // Without a number it is what a person asked for, and says what is in the way.
    let error = sandbox.fails(&["undo"], 4);
    assert!(text(&error["message"]).contains("operation 2"), "{error}");
    let hint = format!("operation {id} is in the way");
    assert!(text(&error["hints"][0]).contains(&hint), "{error}");
    drop(sandbox.run(&["undo", &id]).ok());
    assert_eq!(std::fs::read(&file).unwrap(), before);
    drop(sandbox.run(&["redo"]).ok());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
    // What was done again is what was done last.
    drop(sandbox.run(&["undo"]).ok());
    assert_eq!(std::fs::read(&file).unwrap(), before);
    drop(sandbox.run(&["redo"]).ok());

    // A redo that is blocked names what would be done again, and how.
    let first = text(&sandbox.json(&["set", "one", "license=MIT"])["operation"]);
    let undoing = text(&sandbox.json(&["undo"])["operation"]);
    write(&file, "---\nname: one\ndescription: Again\n---\n");
    let last: Value = id.parse().unwrap();
    let next = || external(&sandbox, "`skills/one` changed");
    let again = until("the edit", || next().filter(|one| one["id"] != last));
    let error = sandbox.fails(&["redo"], 4);
    let told = format!("can't redo operation {first}:");
    assert!(text(&error["message"]).starts_with(&told), "{error}");
    let hint = format!("then `sm undo {undoing}` does operation {first} again");
    assert!(error.to_string().contains(&hint), "{error}");
    drop(sandbox.run(&["undo", &again["id"].to_string()]).ok());
    drop(sandbox.run(&["undo", &undoing]).ok());
    assert_eq!(sandbox.show("one")["license"], "MIT");
    drop(sandbox.run(&["undo", &first]).ok());

    std::fs::remove_dir_all(sandbox.collection("default", "skills/one")).unwrap();
    let id = until_external(&sandbox, "`skills/one` removed");
    drop(sandbox.run(&["undo", &id]).ok());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
}

#[test]
fn an_edit_of_the_manifest_is_taken_back_entry_by_entry() {
    let sandbox = Sandbox::initialised();
    let add = |name: &str| {
        let source = skill(&sandbox.path("src"), name, name);
        drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    };
    add("one");
    let manifest = sandbox.collection("default", "collection.toml");
    let mut edited = std::fs::read_to_string(&manifest).unwrap();
    edited.push_str("\n[[groups]]\nname = \"mine\"\nmembers = [\"one\"]\n");
    write(&manifest, &edited);
    let id = until_external(&sandbox, "`collection.toml` changed");
    add("two");
    drop(sandbox.run(&["undo", &id]).ok());
    let now = std::fs::read_to_string(&manifest).unwrap();
    assert!(
        !now.contains("[[groups]]") && now.contains("\"two\""),
        "{now}"
    );
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
}

#[test]
fn files_that_nobody_added_are_kept_when_it_is_quiet() {
    let sandbox = Sandbox::initialised();
    let folder = sandbox.collection("default", "skills");
    skill(&folder, "found", "As it was found");
    // Without a call: the daemon waits until nobody asks for anything.
    until_true("the first states", || {
        daemon::kept_first(sandbox.home()) >= 1
    });
    sandbox.shows("found", "the row", |_| true);
    skill(&folder, "found", "Edited");
    let id = until_external(&sandbox, "`skills/found` changed");
    let shown = sandbox.json(&["log", "show", &id]);
    let diff = text(&shown["files"][0]["diff"]);
    assert!(diff.contains("-description: As it was found"), "{shown:#}");
}

#[test]
fn files_that_nobody_added_are_kept_under_a_load_that_never_rests() {
    let sandbox = Sandbox::initialised();
    let folder = sandbox.collection("default", "skills");
    skill(&folder, "found", "As it was found");
    let mut round = 0;
    until_true("the first states", || {
        round += 1;
        skill(&folder, "busy", &format!("Round {round}"));
        drop(sandbox.run(&["status"]).ok());
        daemon::kept_first(sandbox.home()) >= 2
    });
    skill(&folder, "found", "Edited");
    let id = until_external(&sandbox, "`skills/found` changed");
    drop(sandbox.run(&["undo", &id]).ok());
    assert_eq!(sandbox.show("found")["description"], "As it was found");
}

#[test]
fn what_changes_elsewhere_meanwhile_keeps_nothing_from_being_kept() {
    let sandbox = Sandbox::initialised();
    sandbox.json(&["collection", "create", "other"]);
    skill(&sandbox.collection("default", "skills"), "found", "First");
    let seen = Instant::now();
    sandbox.shows("found", "the row", |_| true);
    // Until then somebody asks all the time.
    until_true("it waits for quiet", || {
        drop(sandbox.run(&["status"]).ok());
        seen.elapsed() > Duration::from_millis(900)
    });
    skill(&sandbox.collection("other", "skills"), "busy", "Second");
    until_true("the first states of both", || {
        daemon::kept_first(sandbox.home()) >= 2
    });
}

#[test]
fn an_edit_just_before_a_change_of_ours_is_an_operation_of_its_own() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "As it was");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let file = sandbox.collection("default", "skills/one/SKILL.md");
    let edited = "---\nname: one\ndescription: Edited\n---\n";
    write(&file, edited);
    // Nobody had time to look.
    drop(sandbox.run(&["set", "one", "license=MIT"]).ok());
    let id = external(&sandbox, "`skills/one` changed").unwrap()["id"].to_string();
    drop(sandbox.run(&["undo"]).ok());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
    drop(sandbox.run(&["undo", &id]).ok());
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains("As it was")
    );
}

#[test]
fn what_an_open_descriptor_still_writes_is_kept() {
    use std::io::Write as _;

    let mut sandbox = Sandbox::new();
    let spec = sandbox.path("failpoints");
    write(&spec, "");
    sandbox.set("SKILLMEAT_FAILPOINTS", &format!("@{}", spec.display()));
    drop(sandbox.run(&["init"]).ok());
    let source = skill(&sandbox.path("src"), "one", "As it was");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let file = sandbox.collection("default", "skills/one/SKILL.md");
    let before = std::fs::read_to_string(&file).unwrap();
    let mut editor = std::fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .unwrap();
    // It is compared and replaced, and about to be let go.
    write(&spec, "late.sealed=wait");
    let mut command = sandbox.sm(&["set", "one", "license=MIT", "--json"]);
    command.stdout(std::process::Stdio::piped());
    let running = command.spawn().unwrap();
    until_true("the change to be sealed", || {
        sandbox.path("failpoints.passed").exists()
    });
    editor.write_all(b"One more line\n").unwrap();
    write(&spec, "");
    let done = running.wait_with_output().unwrap();
    assert!(done.status.success());
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    let note = text(&done["notes"][0]);
    assert!(note.contains("`skills/one/SKILL.md`"), "{note}");
    let now = std::fs::read_to_string(&file).unwrap();
    assert!(
        now.contains("MIT") && !now.contains("One more line"),
        "{now}"
    );
    let id = external(&sandbox, "`skills/one/SKILL.md` changed").unwrap()["id"].to_string();
    assert!(note.contains(&format!("`sm log show {id}`")), "{note}");
    let shown = sandbox.json(&["log", "show", &id]);
    let diff = text(&shown["files"][0]["diff"]);
    assert!(diff.contains("+One more line"), "{shown:#}");
    // Taken back, the file is what it was in the end.
    drop(sandbox.run(&["undo"]).ok());
    let now = std::fs::read_to_string(&file).unwrap();
    assert_eq!(now, before + "One more line\n");
}

#[test]
fn a_manifest_that_is_deleted_is_told_and_brought_back() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "one");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    drop(sandbox.run(&["group", "create", "mine", "one"]).ok());
    let manifest = sandbox.collection("default", "collection.toml");
    let before = std::fs::read(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    let id = until_external(&sandbox, "`collection.toml` removed in `default`");
    for command in [&["init"][..], &["collection", "create", "default"]] {
        let error = sandbox.fails(command, 4);
        assert!(text(&error["message"]).contains("is gone"), "{error}");
        assert!(text(&error["hints"][0]).contains("sm undo"), "{error}");
    }
    drop(sandbox.run(&["undo", &id]).ok());
    assert_eq!(std::fs::read(&manifest).unwrap(), before);
    let group = sandbox.json(&["group", "show", "mine"]);
    assert!(group["members"].to_string().contains("one"), "{group}");
}

#[test]
fn a_collection_that_is_deleted_is_told_and_brought_back() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "one");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let at = |path: &str| sandbox.collection("default", path);
    let manifest = std::fs::read(at("collection.toml")).unwrap();
    write(
        at("skills/one/SKILL.md"),
        "---\nname: one\ndescription: Edited\n---\n",
    );
    until_external(&sandbox, "`skills/one` changed");
    let deleted = "the collection `default` deleted";
    std::fs::remove_dir_all(at("")).unwrap();
    let id = until_external(&sandbox, deleted);
    // What it held is served until it is known to be given up.
    assert_eq!(sandbox.ids(), ["skill:one"]);
    let error = sandbox.fails(&["undo"], 4);
    let hint = text(&error["hints"][0]);
    assert!(
        hint.contains(&format!("operation {id} is in the way")),
        "{error}"
    );
    sandbox.stop();
    assert_eq!(sandbox.ids(), ["skill:one"]);
    drop(sandbox.run(&["undo", &id]).ok());
    assert_eq!(std::fs::read(at("collection.toml")).unwrap(), manifest);
    assert_eq!(sandbox.show("one")["description"], "Edited");

    // While nobody looks, and another one is made in its place.
    sandbox.stop();
    std::fs::remove_dir_all(at("")).unwrap();
    drop(sandbox.run(&["init"]).ok());
    let last = until_external(&sandbox, deleted);
    assert_ne!(last, id);
    let made = sandbox.json(&["log"])["operations"][0]["id"].to_string();
    drop(sandbox.run(&["undo", &made]).ok());
    drop(sandbox.run(&["undo", &last]).ok());
    assert_eq!(sandbox.show("one")["description"], "Edited");
}

#[test]
fn all_that_is_taken_out_of_a_collection_at_once_is_brought_back() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "one");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let at = |path: &str| sandbox.collection("default", path);
    write(
        at("skills/one/SKILL.md"),
        "---\nname: one\ndescription: Edited\n---\n",
    );
    until_external(&sandbox, "`skills/one` changed");
    write(at(".git/HEAD"), "ref: refs/heads/main\n");
    for inner in ["skills", "agents", "commands"] {
        drop(std::fs::remove_dir_all(at(inner)));
    }
    for document in ["collection.toml", "collection.lock"] {
        std::fs::remove_file(at(document)).unwrap();
    }
    until_external(&sandbox, "`skills/one` removed");
    while let Some(one) = external(&sandbox, "removed").filter(|one| one["state"] == "done") {
        drop(sandbox.run(&["undo", &one["id"].to_string()]).ok());
    }
    assert_eq!(sandbox.show("one")["description"], "Edited");
    assert_eq!(sandbox.ids(), ["skill:one"]);
}

#[test]
fn a_link_to_a_collection_that_is_deleted_is_made_again() {
    let sandbox = Sandbox::initialised();
    let elsewhere = sandbox.path("elsewhere");
    write(
        elsewhere.join("collection.toml"),
        "[collection]\nname = \"linked\"\n",
    );
    skill(&elsewhere.join("skills"), "one", "one");
    drop(
        sandbox
            .run(&["collection", "import", elsewhere.to_str().unwrap()])
            .ok(),
    );
    let link = sandbox.home().collection("linked");
    assert!(link.is_symlink());
    std::fs::remove_file(&link).unwrap();
    let id = until_external(&sandbox, "the collection `linked` deleted");
    drop(sandbox.run(&["undo", &id]).ok());
    assert!(link.is_symlink());
    assert!(elsewhere.join("skills/one/SKILL.md").exists());
}

#[test]
fn a_comment_in_the_manifest_can_be_had_again() {
    let sandbox = Sandbox::initialised();
    let manifest = sandbox.collection("default", "collection.toml");
    let before = std::fs::read_to_string(&manifest).unwrap();
    write(&manifest, format!("# a word to myself\n{before}"));
    until_external(&sandbox, "`collection.toml` changed");
    write(&manifest, &before);
    let word = || {
        let log = sandbox.json(&["log"]);
        let newest = log["operations"][0]["id"].to_string();
        let shown = sandbox.json(&["log", "show", &newest]);
        shown
            .to_string()
            .contains("-# a word to myself")
            .then_some(())
    };
    until("the operation that took it out", word);
}

#[test]
fn what_comes_back_where_it_was_removed_is_told_and_taken_back() {
    let sandbox = Sandbox::with_two();
    let at = |path: &str| sandbox.collection("default", path);
    let file = at("skills/two/SKILL.md");
    let documents = ["collection.toml", "collection.lock"];
    let before = documents.map(|name| std::fs::read(at(name)).unwrap());
    let content = std::fs::read(&file).unwrap();
    sandbox.json(&["remove", "two", "--yes"]);
    // As `git checkout` does it; and a new one, which nobody knew of.
    write(&file, &content);
    for (name, bytes) in documents.iter().zip(&before) {
        write(at(name), bytes);
    }
    let new = skill(&at("skills"), "new", "Never seen");
    sandbox.shows("new", "the new one", |_| true);
    let id = until_external(&sandbox, "`skills/two` made");
    assert!(external(&sandbox, "skills/new").is_none());
    until_true("the manifest is told of", || {
        external(&sandbox, "`collection.toml` changed").is_some()
    });
    drop(sandbox.run(&["undo", &id]).ok());
    assert!(!file.exists());
    assert!(new.exists());
}

#[test]
fn files_beside_the_artifacts_are_kept_and_brought_back() {
    let sandbox = Sandbox::with_two();
    let at = |path: &str| sandbox.collection("default", path);
    let paths = ["README.md", "docs/deep/a.md", "skills/notes.txt"];
    for path in paths {
        write(at(path), format!("{path} as it was\n"));
    }
    until_true("the first states", || {
        daemon::kept_first(sandbox.home()) >= 3
    });
    for path in paths {
        write(at(path), "edited\n");
        let id = until_external(&sandbox, &format!("`{path}` changed"));
        let shown = sandbox.json(&["log", "show", &id]);
        let diff = text(&shown["files"][0]["diff"]);
        assert!(diff.contains(&format!("-{path} as it was")), "{shown:#}");
        drop(sandbox.run(&["undo", &id]).ok());
        let now = std::fs::read_to_string(at(path)).unwrap();
        assert_eq!(now, format!("{path} as it was\n"));
    }
    // A folder that goes as a whole, and while nobody looks.
    std::fs::remove_dir_all(at("docs")).unwrap();
    let id = until_external(&sandbox, "`docs/deep/a.md` removed");
    drop(sandbox.run(&["undo", &id]).ok());
    assert!(at("docs/deep/a.md").is_file());
    sandbox.stop();
    std::fs::remove_file(at("README.md")).unwrap();
    until_external(&sandbox, "`README.md` removed");
    // A collection that goes takes them along.
    std::fs::remove_dir_all(at("")).unwrap();
    let id = until_external(&sandbox, "the collection `default` deleted");
    drop(sandbox.run(&["undo", &id]).ok());
    assert!(at("docs/deep/a.md").is_file() && at("skills/notes.txt").is_file());
}

#[test]
fn ratings_of_an_older_program_are_kept_before_they_are_edited() {
    let sandbox = Sandbox::with_two();
    sandbox.stop();
    let ratings = sandbox.home().root().join("state/ratings.toml");
    write(&ratings, "[default]\n\"skill:one\" = 3\n");
    assert_eq!(sandbox.show("one")["rating"], 3);
    until_true("the first state", || {
        daemon::log_tail(sandbox.home()).contains("the ratings kept for the first time")
    });
    write(&ratings, "");
    let id = until_external(&sandbox, "`state/ratings.toml` changed");
    assert_eq!(sandbox.show("one")["rating"], Value::Null);
    drop(sandbox.run(&["undo", &id]).ok());
    assert_eq!(sandbox.show("one")["rating"], 3);
}

#[test]
fn edits_of_ratings_and_config_are_told_and_taken_back() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["rate", "one", "4"]);
    let ratings = sandbox.home().root().join("state/ratings.toml");
    let rated = std::fs::read_to_string(&ratings).unwrap();
    write(&ratings, rated.replace('4', "2"));
    let id = until_external(&sandbox, "`state/ratings.toml` changed");
    assert_eq!(sandbox.show("one")["rating"], 2);
    drop(sandbox.run(&["undo", &id]).ok());
    assert_eq!(sandbox.show("one")["rating"], 4);
    // Right before a change of ours.
    write(&ratings, rated.replace('4', "1"));
    sandbox.json(&["rate", "two", "5"]);
    let last = until_external(&sandbox, "`state/ratings.toml` changed");
    assert_ne!(last, id);
    drop(sandbox.run(&["undo", &last]).ok());
    assert_eq!(sandbox.show("one")["rating"], 4);
    assert_eq!(sandbox.show("two")["rating"], 5);

    let config = sandbox.home().config();
    sandbox.json(&["config", "set", "history.keep_days", "30"]);
    let set = std::fs::read_to_string(&config).unwrap();
    write(
        &config,
        format!("{}github_token = \"hidden\"\n", set.replace("30", "40")),
    );
    let id = until_external(&sandbox, "`config.toml` changed");
    let first: Value = id.parse().unwrap();
    let shown = sandbox.run(&["log", "show", &id, "--json"]).ok().stdout;
    assert!(shown.contains("keep_days = 40"), "{shown}");
    assert!(!shown.contains("hidden"), "{shown}");
    let log = sandbox.json(&["log", "--limit", "100"]);
    assert_eq!(log["operations"].as_array().unwrap().len(), 11);
    write(&config, &set);
    let back = until("the edit back", || {
        external(&sandbox, "`config.toml` changed").filter(|one| one["id"] != first)
    });
    write(&config, set.replace("30", "50"));
    let third = until("the third edit", || {
        external(&sandbox, "`config.toml` changed").filter(|one| one["id"] != back["id"])
    });
    drop(sandbox.run(&["undo", &third["id"].to_string()]).ok());
    assert_eq!(std::fs::read_to_string(&config).unwrap(), set);
}

#[test]
fn modes_of_documents_are_told_and_taken_back() {
    let sandbox = Sandbox::with_two();
    let manifest = sandbox.collection("default", "collection.toml");
    let mode = || std::fs::metadata(&manifest).unwrap().permissions().mode() & 0o777;
    let chmod = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&manifest, mode).unwrap();
    };
    let snapshot = text(&sandbox.json(&["snapshot", "as it was"])["snapshot"]["id"]);
    let first = mode();
    chmod(0o644);
    let id = until_external(&sandbox, "`collection.toml` changed");
    drop(sandbox.run(&["undo", &id]).ok());
    assert_eq!(mode(), first);
    drop(sandbox.run(&["redo"]).ok());
    assert_eq!(mode(), 0o644);
    drop(sandbox.run(&["rollback", &snapshot, "--yes"]).ok());
    assert_eq!(mode(), first);
    drop(sandbox.run(&["undo"]).ok());
    assert_eq!(mode(), 0o644);
}
