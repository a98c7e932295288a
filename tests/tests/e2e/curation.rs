//! Artifacts are removed, renamed, moved, copied, described, rated and edited.

use std::fs;

use serde_json::Value;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{fixture, replace, skill, text, write};

/// The items of a change by id: result and reason.
fn items(change: &Value) -> Vec<(String, String)> {
    let items = change["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| (text(&item["id"]), text(&item["result"])))
        .collect()
}

fn read(sandbox: &Sandbox, path: &str) -> String {
    fs::read_to_string(sandbox.collection("default", path)).unwrap()
}

/// A home with three skills and a command, in a group and under comments.
pub(crate) fn library() -> Sandbox {
    let sandbox = Sandbox::initialised();
    let source = sandbox.path("source");
    for name in ["pdf", "pdf-forms", "review"] {
        skill(&source, name, &format!("What {name} is for"));
    }
    write(
        source.join("commands/tidy.md"),
        "---\ndescription: Tidy up\n---\nDo it.\n",
    );
    drop(
        sandbox
            .run(&["add", "--all", source.to_str().unwrap()])
            .ok(),
    );
    let manifest = sandbox.collection("default", "collection.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let text = format!(
        "# kept at the top\n{text}\n[[groups]] # kept, too\nname = \"Papers\"\ndescription = \"\"\ncolor = \"slate\"\n\
         icon = \"layers\"\nposition = 0\nmembers = [\n    \"skill:pdf\", # first\n    \"skill:review\",\n]\n"
    );
    replace(&manifest, text);
    let of_group = |show: &Value| show["groups"] == serde_json::json!(["Papers"]);
    drop(sandbox.shows("skill:pdf", "the group", of_group));
    sandbox
}

#[test]
fn removing_takes_files_entries_members_and_ratings() {
    let sandbox = library();
    drop(sandbox.run(&["rate", "pdf", "5"]).ok());
    let dry = sandbox.json(&["remove", "pdf", "--dry-run"]);
    assert_eq!(
        items(&dry),
        [("skill:pdf".to_owned(), "would-remove".to_owned())]
    );
    let steps: Vec<String> = dry["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| text(&step["path"]))
        .collect();
    assert!(
        sandbox
            .collection("default", "skills/pdf/SKILL.md")
            .exists()
    );
    let done = sandbox.json(&["remove", "pdf"]);
    assert_eq!(
        items(&done),
        [("skill:pdf".to_owned(), "removed".to_owned())]
    );
    assert_eq!(done["removed"], 1);
    let did: Vec<String> = done["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| text(&step["path"]))
        .collect();
    assert_eq!(did, steps, "the dry run shows the very plan");
    assert_eq!(
        sandbox.ids(),
        ["command:tidy", "skill:pdf-forms", "skill:review"]
    );
    assert!(!sandbox.collection("default", "skills/pdf").exists());
    let manifest = read(&sandbox, "collection.toml");
    assert!(
        manifest.starts_with("# kept at the top\n") && manifest.contains("[[groups]] # kept, too")
    );
    assert!(
        !manifest.contains("\"pdf\"") && !manifest.contains("skill:pdf\""),
        "{manifest}"
    );
    assert!(!read(&sandbox, "collection.lock").contains("pdf::skill"));
    let ratings = fs::read_to_string(sandbox.home().root().join("state/ratings.toml")).unwrap();
    assert_eq!(ratings, "");
    sandbox.stop();
    fs::remove_dir_all(sandbox.home().cache_dir()).unwrap();
    assert_eq!(
        sandbox.ids(),
        ["command:tidy", "skill:pdf-forms", "skill:review"]
    );
}

#[test]
fn files_can_be_kept() {
    let sandbox = library();
    drop(sandbox.run(&["remove", "pdf", "--keep-files"]).ok());
    assert_eq!(sandbox.show("pdf")["status"], "unmanaged");
    let again = sandbox.json(&["remove", "pdf", "--keep-files"]);
    assert_eq!(again["skipped"], 1);
    drop(sandbox.run(&["remove", "pdf"]).ok());
    assert!(!sandbox.collection("default", "skills/pdf").exists());
}

#[test]
fn batches_are_chosen_by_patterns_filters_and_stdin_and_report_each_item() {
    let sandbox = library();
    // Several are not removed without an answer, and nobody can be asked here.
    let refused = sandbox.fails(&["remove", "pdf*"], 2);
    assert_eq!(refused["code"], "usage.invalid_argument");
    assert_eq!(sandbox.ids().len(), 4);
    let answer = sandbox
        .run(&["remove", "nothere", "pdf*", "skill:pdf", "--yes", "--json"])
        .exits(9);
    let done = answer.json();
    assert_eq!(
        (done["removed"].as_u64(), done["failed"].as_u64()),
        (Some(2), Some(1))
    );
    assert_eq!(done["items"][0]["code"], "artifact.not_found");
    assert_eq!(sandbox.ids(), ["command:tidy", "skill:review"]);
    for (args, code) in [
        (&["remove"][..], 2),
        (&["remove", "nothere"], 3),
        (&["remove", "--tag", "none", "--yes"], 3),
        (&["remove", "--type", "hook", "--yes"], 0),
        (&["remove", "review", "--type", "command"], 3),
        (&["remove", "review", "-c", "nowhere"], 3),
        (&["remove", "x*"], 3),
    ] {
        let answer = sandbox.run(args);
        let code = if args.contains(&"x*") { 9 } else { code };
        assert_eq!(answer.code, Some(code), "{args:?}: {answer:?}");
    }
    let mut command = sandbox.sm(&["set", "-", "license=MIT", "--json"]);
    write(sandbox.path("names"), "review\n\n  command:tidy  \n");
    command.stdin(fs::File::open(sandbox.path("names")).unwrap());
    let done = skillmeat_tests::home::output(command).ok().json();
    assert_eq!(done["changed"], 2);
    assert!(sandbox.list().iter().all(|one| one["license"] == "MIT"));
    let all = sandbox.json(&["rate", "*", "4", "--type", "skill"]);
    assert_eq!(
        items(&all),
        [("skill:review".to_owned(), "rated".to_owned())]
    );
}

#[test]
fn renaming_reaches_files_manifest_groups_lock_and_rating() {
    let sandbox = library();
    drop(sandbox.run(&["rate", "pdf", "3"]).ok());
    for (args, code) in [
        (["rename", "pdf", "review"], 4),
        (["rename", "pdf", "../evil"], 2),
        (["rename", "nothere", "x"], 3),
    ] {
        sandbox.fails(&args, code);
    }
    write(
        sandbox.collection("default", "skills/taken/notes.txt"),
        "mine",
    );
    sandbox.fails(&["rename", "pdf", "taken"], 4);
    assert_eq!(sandbox.json(&["rename", "pdf", "pdf"])["unchanged"], 1);
    let done = sandbox.json(&["rename", "pdf", "papers"]);
    assert_eq!(done["renamed"], 1);
    let show = sandbox.show("skill:papers");
    assert_eq!(
        (&show["status"], &show["rating"]),
        (&Value::from("managed"), &Value::from(3))
    );
    assert_eq!(show["groups"], serde_json::json!(["Papers"]));
    assert!(read(&sandbox, "skills/papers/SKILL.md").starts_with("---\nname: papers\n"));
    let manifest = read(&sandbox, "collection.toml");
    assert!(manifest.contains("    \"skill:papers\","), "{manifest}");
    assert!(read(&sandbox, "collection.lock").contains("papers::skill"));
    sandbox.fails(&["show", "skill:pdf"], 3);
    drop(sandbox.run(&["rename", "tidy", "clean"]).ok());
    assert!(sandbox.collection("default", "commands/clean.md").is_file());
}

#[test]
fn artifacts_move_and_are_copied_and_nothing_is_overwritten() {
    let sandbox = library();
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    drop(sandbox.run(&["rate", "pdf", "2"]).ok());
    let moved = sandbox.json(&["move", "pdf", "tidy", "--to", "work", "--yes"]);
    assert_eq!(moved["moved"], 2);
    let show = sandbox.json(&["show", "pdf", "-c", "work"]);
    assert_eq!(
        (&show["status"], &show["rating"]),
        (&Value::from("managed"), &Value::from(2))
    );
    assert_eq!(
        (&show["modified"], &show["groups"]),
        (&Value::from(false), &serde_json::json!([]))
    );
    assert!(!read(&sandbox, "collection.toml").contains("\"pdf\""));
    drop(sandbox.run(&["copy", "review", "--to", "work"]).ok());
    sandbox.fails(&["copy", "review", "--to", "work"], 4);
    sandbox.fails(&["move", "review", "--to", "work"], 4);
    sandbox.fails(&["move", "review", "--to", "nowhere"], 3);
    sandbox.fails(&["move", "review", "--to", "default"], 2);
    sandbox.fails(&["copy", "review"], 2);
    sandbox.fails(&["copy", "review", "pdf-forms", "--as", "one"], 2);
    drop(sandbox.run(&["copy", "review", "--as", "second-look"]).ok());
    let copy = sandbox.show("second-look");
    assert_eq!(copy["status"], "managed");
    assert!(read(&sandbox, "skills/second-look/SKILL.md").contains("name: second-look\n"));
    assert!(read(&sandbox, "skills/review/SKILL.md").contains("name: review\n"));
    assert_eq!(
        sandbox.ids(),
        [
            "command:tidy",
            "skill:pdf",
            "skill:pdf-forms",
            "skill:review",
            "skill:review",
            "skill:second-look"
        ]
    );
}

#[test]
fn fields_are_set_in_files_and_manifest_and_the_rest_stays() {
    let sandbox = Sandbox::from_fixture("git");
    let file = sandbox.collection("default", "skills/pdf-tools/SKILL.md");
    let before = fs::read_to_string(&file).unwrap();
    let manifest = read(&sandbox, "collection.toml");
    let done = sandbox.json(&[
        "set",
        "pdf-tools",
        "description=New: text",
        "version=1.3",
        "aliases=forms, acro",
        "position=7",
    ]);
    assert_eq!(done["changed"], 1);
    let after = fs::read_to_string(&file).unwrap();
    let differing = |a: &str, b: &str| {
        a.lines()
            .filter(|line| !b.lines().any(|other| other == *line))
            .count()
    };
    assert_eq!(
        (differing(&before, &after), differing(&after, &before)),
        (2, 2),
        "{after}"
    );
    let show = sandbox.show("pdf-tools");
    assert_eq!(
        (&show["description"], &show["version"]),
        (&Value::from("New: text"), &Value::from("1.3"))
    );
    assert_eq!(show["aliases"], serde_json::json!(["forms", "acro"]));
    assert_eq!(show["position"], 7);
    assert_eq!(show["differences"], serde_json::json!([]));
    assert_eq!(sandbox.show("acro")["name"], "pdf-tools");
    let new = read(&sandbox, "collection.toml");
    assert!(
        differing(&manifest, &new) == 1 && new.contains("position = 7\n"),
        "{new}"
    );
    assert_eq!(
        sandbox.json(&["set", "pdf-tools", "version=1.3"])["unchanged"],
        1
    );
    drop(sandbox.run(&["set", "pdf-tools", "author="]).ok());
    assert_eq!(sandbox.show("pdf-tools")["author"], Value::Null);
    for args in [
        &["set", "pdf-tools"][..],
        &["set", "pdf-tools", "colour=red"],
        &["set", "pdf-tools", "tags=a"],
        &["set", "pdf-tools", "position=first"],
        &["set", "author=me"],
        &["rate", "pdf-tools", "6"],
        &["rate", "pdf-tools"],
        &["rate", "5"],
    ] {
        sandbox.fails(args, 2);
    }
}

#[test]
fn what_can_t_be_changed_is_named_with_its_line() {
    let sandbox = library();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    write(&file, "---\nname: pdf\nauthor:\n  name: Ada\n---\nbody\n");
    let answer = sandbox
        .run(&["set", "pdf*", "author=Grace", "--json"])
        .exits(9);
    let done = answer.json();
    assert_eq!(
        (done["changed"].as_u64(), done["failed"].as_u64()),
        (Some(1), Some(1))
    );
    assert_eq!(done["items"][0]["code"], "artifact.frontmatter_invalid");
    let reason = text(&done["items"][0]["reason"]);
    assert!(
        reason.contains("SKILL.md") && reason.contains("(line 3)"),
        "{reason}"
    );
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "---\nname: pdf\nauthor:\n  name: Ada\n---\nbody\n"
    );
    assert_eq!(sandbox.show("pdf-forms")["author"], "Grace");
}

#[test]
fn ratings_survive_the_cache_and_follow_the_file() {
    let sandbox = library();
    drop(sandbox.run(&["rate", "pdf", "review", "4"]).ok());
    sandbox.stop();
    fs::remove_dir_all(sandbox.home().cache_dir()).unwrap();
    assert_eq!(sandbox.show("pdf")["rating"], 4);
    let file = sandbox.home().root().join("state/ratings.toml");
    let text = fs::read_to_string(&file).unwrap();
    write(
        &file,
        format!(
            "# mine\n{}",
            text.replace("\"skill:pdf\" = 4", "\"skill:pdf\" = 1")
        ),
    );
    assert_eq!(sandbox.show("pdf")["rating"], 1);
    drop(sandbox.run(&["rate", "review", "--clear"]).ok());
    assert_eq!(sandbox.show("review")["rating"], Value::Null);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "# mine\n[default]\n\"skill:pdf\" = 1\n"
    );
    write(&file, "[default\n");
    sandbox.fails(&["rate", "review", "2"], 2);
    assert_eq!(fs::read_to_string(&file).unwrap(), "[default\n");
}

#[test]
fn another_writer_at_the_same_time_loses_nothing() {
    let sandbox = library();
    let manifest = sandbox.collection("default", "collection.toml");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..40 {
                let text = fs::read_to_string(&manifest).unwrap();
                let text = text.replace(
                    "# kept at the top",
                    &format!("# kept at the top\n# {round}"),
                );
                replace(&manifest, text);
            }
        });
        for round in 0..8 {
            // Whoever comes too late may be told so; what was done stays done.
            let answer = sandbox.run(&["set", "pdf", &format!("version=v{round}"), "--json"]);
            assert!(matches!(answer.code, Some(0 | 4 | 9)), "{answer:?}");
        }
        writer.join().unwrap();
    });
    drop(sandbox.run(&["set", "pdf", "version=last"]).ok());
    let show = sandbox.shows("pdf", "the last version", |show| show["version"] == "last");
    assert_eq!(show["status"], "managed");
    assert!(read(&sandbox, "skills/pdf/SKILL.md").contains("version: last\n"));
    assert_eq!(sandbox.ids().len(), 4);
}

#[test]
fn a_plugin_tree_is_renamed_set_and_moved_whole() {
    let sandbox = Sandbox::initialised();
    drop(
        sandbox
            .run(&["add", "--all", fixture("corpus").to_str().unwrap()])
            .ok(),
    );
    drop(sandbox.run(&["collection", "create", "other"]).ok());
    let all = sandbox.ids();
    let set = sandbox
        .run(&["set", "*", "author=Somebody", "--json"])
        .json();
    let changed = set["changed"].as_u64().unwrap() + set["unchanged"].as_u64().unwrap();
    assert_eq!(usize::try_from(changed).unwrap(), all.len(), "{set}");
    let moved = sandbox.json(&["move", "*", "--to", "other", "--yes"]);
    assert_eq!(moved["moved"], changed);
    assert_eq!(sandbox.ids(), all);
    let list = sandbox.list();
    assert!(
        list.iter()
            .all(|one| one["collection"] == "other" && one["author"] == "Somebody")
    );
    assert!(list.iter().all(|one| one["status"] == "managed"));
    let gone = sandbox.json(&["remove", "*", "-c", "other", "--yes"]);
    assert_eq!(gone["removed"], changed);
    assert!(sandbox.ids().is_empty());
}

#[test]
fn a_pattern_of_several_is_not_renamed_to_one_name() {
    let sandbox = library();
    let before = sandbox.ids();
    let error = sandbox.fails(&["rename", "pdf*", "x"], 2);
    assert_eq!(error["code"], "artifact.ambiguous");
    assert_eq!(sandbox.ids(), before);
    sandbox.json(&["rename", "tid?", "neat"]);
    assert!(sandbox.ids().contains(&"command:neat".to_owned()));
}

#[test]
fn the_lock_file_follows_an_artifact_that_is_one_file() {
    let sandbox = Sandbox::initialised();
    let source = sandbox.path("source/agents");
    for name in ["a", "b"] {
        let file = source.join(format!("{name}.md"));
        write(
            &file,
            format!("---\nname: {name}\ndescription: What {name} is\n---\nText.\n"),
        );
        drop(sandbox.run(&["add", file.to_str().unwrap()]).ok());
    }
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    let is_as_locked = |args: &[&str]| {
        let show = sandbox.json(&[&["show"], args].concat());
        assert_eq!(show["modified"], false, "{args:?}: {show:#}");
    };
    drop(sandbox.run(&["rename", "a", "c"]).ok());
    assert!(read(&sandbox, "agents/c.md").starts_with("---\nname: c\n"));
    is_as_locked(&["c"]);
    drop(sandbox.run(&["copy", "c", "--as", "d"]).ok());
    is_as_locked(&["d"]);
    drop(
        sandbox
            .run(&["copy", "c", "--to", "work", "--as", "e"])
            .ok(),
    );
    is_as_locked(&["e", "-c", "work"]);
    drop(sandbox.run(&["set", "c", "description=Other"]).ok());
    is_as_locked(&["c"]);
    drop(sandbox.run(&["move", "c", "--to", "work"]).ok());
    is_as_locked(&["c", "-c", "work"]);
    // What somebody else wrote before stays told.
    replace(
        sandbox.collection("default", "agents/b.md"),
        "---\nname: b\ndescription: Theirs\n---\n",
    );
    drop(sandbox.shows("b", "the change", |show| show["modified"] == true));
    drop(sandbox.run(&["rename", "b", "f"]).ok());
    assert_eq!(sandbox.show("f")["modified"], true);
}

#[test]
fn a_copy_beside_the_original_has_none_of_its_aliases() {
    let sandbox = library();
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    sandbox.json(&["set", "review", "aliases=look,see"]);
    sandbox.json(&["copy", "review", "--as", "second"]);
    assert_eq!(sandbox.show("look")["id"], "skill:review");
    assert_eq!(sandbox.show("second")["aliases"], serde_json::json!([]));
    sandbox.json(&["copy", "review", "--to", "work"]);
    let there = sandbox.json(&["show", "look", "-c", "work"]);
    assert_eq!(there["id"], "skill:review");
}

#[test]
fn commands_in_hints_are_those_of_a_shell() {
    let sandbox = library();
    let error = sandbox.fails(&["show", "nothing like $it"], 3);
    let hint = text(&error["hints"][0]);
    assert_eq!(
        hint,
        "`sm search 'nothing like $it'` looks for it everywhere"
    );
    let told = sandbox.run(&["show", "--", "-q"]).exits(3).stderr;
    assert!(told.contains("`sm search -- -q`"), "{told}");
    write(
        sandbox.collection("default", "agents/skill:odd.md"),
        "An agent\n",
    );
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let error = sandbox.fails(&["show", "skill:odd"], 3);
    let hint = text(&error["hints"][0]);
    assert_eq!(hint, "did you mean `agent:skill:odd`?");
    assert_eq!(sandbox.show("agent:skill:odd")["name"], "skill:odd");
}
