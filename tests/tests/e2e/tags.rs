//! `sm tag`: a tag stands in the artifact's file and in the manifest, its meaning in the manifest.

use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{skill, write};

fn stocked() -> Sandbox {
    let sandbox = Sandbox::initialised();
    let source = sandbox.path("src");
    skill(&source, "plain", "Good");
    write(
        source.join("listed/SKILL.md"),
        "---\n# mine\nname: listed\ntags:\n  - Old # first\n  - kept\ndescription: \"Good\"\n---\nBody\n",
    );
    write(
        source.join("flow/SKILL.md"),
        "---\nname: flow\ndescription: Good\ntags: [kept, old]\n---\nBody\n",
    );
    sandbox.json(&["add", "--all", source.to_str().unwrap()]);
    sandbox
}

fn file(sandbox: &Sandbox, name: &str) -> String {
    let path = format!("skills/{name}/SKILL.md");
    std::fs::read_to_string(sandbox.collection("default", &path)).unwrap()
}

fn manifest(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.collection("default", "collection.toml")).unwrap()
}

fn tags(sandbox: &Sandbox, name: &str) -> Value {
    sandbox.show(name)["tags"].clone()
}

#[test]
fn tags_are_set_in_the_file_and_in_the_manifest() {
    let sandbox = stocked();
    let before = file(&sandbox, "plain");
    let added = sandbox.json(&["tag", "add", "new,more", "plain", "flow"]);
    assert_eq!(added["added"], 2, "{added}");
    assert_eq!(tags(&sandbox, "plain"), json!(["new", "more"]));
    assert!(
        file(&sandbox, "plain").contains("tags: [new, more]"),
        "{}",
        file(&sandbox, "plain")
    );
    assert!(file(&sandbox, "flow").contains("tags: [kept, old, new, more]"));
    assert_eq!(manifest(&sandbox).matches("\"new\"").count(), 2);
    let again = sandbox.json(&["tag", "add", "NEW", "plain"]);
    assert_eq!(again["unchanged"], 1, "{again}");
    let gone = sandbox.json(&["tag", "remove", "new,more", "plain"]);
    assert_eq!(gone["removed"], 1, "{gone}");
    assert_eq!(tags(&sandbox, "plain"), json!([]));
    assert!(
        !file(&sandbox, "plain").contains("new")
            && file(&sandbox, "plain").contains(before.lines().nth(1).unwrap())
    );
    assert_eq!(manifest(&sandbox).matches("\"new\"").count(), 1);
    sandbox.fails(&["tag", "add", "x", "nothing"], 3);
    sandbox.fails(&["tag", "add", " ", "plain"], 2);
    let batch = sandbox
        .run(&["tag", "add", "x", "plain", "nothing", "--json"])
        .exits(9)
        .json();
    assert_eq!((&batch["added"], &batch["failed"]), (&json!(1), &json!(1)));
}

#[test]
fn a_tag_is_renamed_and_deleted_wherever_it_is() {
    let sandbox = stocked();
    sandbox.json(&[
        "tag",
        "create",
        "old",
        "--color",
        "#fff",
        "--description",
        "Was",
    ]);
    let dry = sandbox.json(&["tag", "rename", "old", "fresh", "--dry-run"]);
    assert_eq!(dry["renamed"], 3, "{dry}");
    assert_eq!(dry["steps"].as_array().unwrap().len(), 4, "{dry}");
    assert!(file(&sandbox, "listed").contains("- Old # first"));
    let renamed = sandbox.json(&["tag", "rename", "old", "fresh"]);
    assert_eq!(renamed["renamed"], 3, "{renamed}");
    assert_eq!(
        file(&sandbox, "listed"),
        "---\n# mine\nname: listed\ntags:\n  - fresh # first\n  - kept\ndescription: \"Good\"\n---\nBody\n"
    );
    assert!(file(&sandbox, "flow").contains("tags: [kept, fresh]"));
    let text = manifest(&sandbox);
    assert!(
        text.contains("name = \"fresh\"\nslug = \"fresh\"\ncolor = \"#ffffff\"\n"),
        "{text}"
    );
    assert!(!text.to_lowercase().contains("\"old\""), "{text}");
    let listed = sandbox.json(&["tag", "list"]);
    assert_eq!(listed["total"], 2);
    let shown = sandbox.json(&["tag", "show", "FRESH"]);
    assert_eq!(shown["members"], json!(["skill:flow", "skill:listed"]));
    assert_eq!(
        (&shown["defined"], &shown["description"]),
        (&json!(true), &json!("Was"))
    );
    let gone = sandbox.json(&["tag", "delete", "fresh"]);
    assert_eq!(gone["deleted"], 3, "{gone}");
    assert_eq!(tags(&sandbox, "listed"), json!(["kept"]));
    assert_eq!(tags(&sandbox, "flow"), json!(["kept"]));
    assert!(!manifest(&sandbox).contains("fresh"));
    sandbox.fails(&["tag", "rename", "fresh", "x"], 3);
    sandbox.fails(&["tag", "delete", "fresh"], 3);
}

#[test]
fn tags_are_deleted_by_patterns_and_by_names_on_stdin() {
    let sandbox = stocked();
    sandbox.json(&["tag", "create", "older"]);
    let dry = sandbox.json(&["tag", "delete", "o*", "--dry-run"]);
    // `Old` of one and `old` of another are one tag.
    assert_eq!(dry["deleted"], 3, "{dry:#}");
    let mut command = sandbox.sm(&["tag", "delete", "-", "kep?", "--json"]);
    write(sandbox.path("names"), "old\nnobody\n");
    command.stdin(std::fs::File::open(sandbox.path("names")).unwrap());
    let done = skillmeat_tests::home::output(command).exits(9).json();
    assert_eq!((&done["deleted"], &done["failed"]), (&2.into(), &1.into()));
    for name in ["listed", "flow"] {
        assert_eq!(tags(&sandbox, name), json!([]));
    }
    sandbox.json(&["undo"]);
    assert_eq!(tags(&sandbox, "flow"), json!(["kept", "old"]));
    let error = sandbox.fails(&["tag", "delete", "zz*"], 3);
    assert_eq!(error["code"], "tag.not_found");
}

#[test]
fn a_tag_that_becomes_another_one_is_told_of() {
    let sandbox = stocked();
    let args = ["tag", "rename", "old", "kept"];
    let dry = sandbox.json(&[&args[..], &["--dry-run"]].concat());
    let note = dry["notes"][0].as_str().unwrap().to_owned();
    assert!(
        note.contains("would become one tag; 2 artifacts had"),
        "{note}"
    );
    let done = sandbox.json(&args);
    let note = done["notes"][0].as_str().unwrap().to_owned();
    let undo = format!("`sm undo {}`", done["operation"].as_str().unwrap());
    assert!(
        note.contains("became one tag") && note.contains(&undo),
        "{note}"
    );
    assert_eq!(tags(&sandbox, "flow"), json!(["kept"]));
    // Only spelled in another way, or new: nothing becomes one.
    for new in ["KEPT", "fresh"] {
        let done = sandbox.json(&["tag", "rename", "kept", new]);
        assert_eq!(done["notes"], json!([]), "{done:#}");
    }
}

#[test]
fn definitions_are_made_and_changed() {
    let sandbox = stocked();
    sandbox.json(&["tag", "create", "Back End", "--color", "#3B82F6"]);
    sandbox.fails(&["tag", "create", "back-end"], 4);
    sandbox.json(&["tag", "define", "back end", "--description", "Servers"]);
    let text = manifest(&sandbox);
    assert!(
        text.contains(
            "name = \"Back End\"\nslug = \"back-end\"\ncolor = \"#3B82F6\"\ndescription = \"Servers\"\n"
        ),
        "{text}"
    );
    let listed = sandbox.run(&["tag", "list"]).ok().stdout;
    assert!(
        listed.contains("Servers") && listed.contains("kept"),
        "{listed}"
    );
    sandbox.fails(&["tag", "define", "x", "--color", "no colour"], 2);
    // Renamed to one that is defined, the two become one.
    sandbox.json(&["tag", "define", "server"]);
    sandbox.json(&["tag", "rename", "Back End", "server"]);
    assert_eq!(manifest(&sandbox).matches("[[tag_definitions]]").count(), 1);
}

#[test]
fn no_tag_has_a_comma_in_its_name() {
    let sandbox = stocked();
    let before = (manifest(&sandbox), file(&sandbox, "flow"));
    for args in [
        ["tag", "create", "a,b"].as_slice(),
        &["tag", "define", "a,b"],
        &["tag", "rename", "kept", "p,q"],
    ] {
        let error = sandbox.fails(args, 2);
        assert_eq!(error["code"], "usage.invalid_name", "{error}");
        assert!(
            error["message"].as_str().unwrap().contains("comma"),
            "{error}"
        );
    }
    assert_eq!((manifest(&sandbox), file(&sandbox, "flow")), before);
}
