//! The lock file after changes of ours: what `sm` wrote into a local artifact is no modification; what others wrote
//! is one, and so is every change of an artifact that comes from elsewhere.

use serde_json::json;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{output, skill, write};

fn stocked() -> Sandbox {
    let sandbox = Sandbox::initialised();
    let source = sandbox.path("src");
    for name in ["one", "two", "far"] {
        let folder = skill(&source, name, "Good");
        write(folder.join("more/text.md"), "More\n");
    }
    write(
        source.join("commands/do.md"),
        "---\ndescription: Good\n---\nDo\n",
    );
    sandbox.json(&["add", "--all", source.to_str().unwrap()]);
    let manifest = sandbox.collection("default", "collection.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let (head, tail) = text.split_once("name = \"far\"").unwrap();
    let tail = tail.replacen(
        "origin = \"local\"",
        "origin = \"github\"\nupstream = \"https://github.com/o/r/tree/x/far\"",
        1,
    );
    write(&manifest, format!("{head}name = \"far\"{tail}"));
    sandbox.shows("far", "its origin", |shown| shown["origin"] == "github");
    sandbox
}

fn modified(sandbox: &Sandbox) -> Vec<(String, bool)> {
    let ids = sandbox.ids();
    let of = |id: &String| sandbox.show(id)["modified"].as_bool().unwrap();
    ids.iter().map(|id| (id.clone(), of(id))).collect()
}

fn lock(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.collection("default", "collection.lock")).unwrap()
}

#[test]
fn own_changes_of_local_artifacts_are_no_modifications() {
    let sandbox = stocked();
    let before = lock(&sandbox);
    let dry = sandbox.json(&["set", "*", "author=Me", "--dry-run"]);
    let steps = dry["steps"].as_array().unwrap();
    assert!(
        steps.iter().any(|step| step["path"] == "collection.lock"),
        "{dry}"
    );
    assert_eq!(lock(&sandbox), before);
    let set = sandbox.json(&["set", "*", "author=Me"]);
    assert_eq!(set["steps"], dry["steps"]);
    let only_far = |names: [&str; 4]| {
        names
            .map(|name| (name.to_owned(), name == "skill:far"))
            .to_vec()
    };
    assert_eq!(
        modified(&sandbox),
        only_far(["command:do", "skill:far", "skill:one", "skill:two"])
    );
    sandbox.json(&["tag", "add", "mine", "*"]);
    sandbox.json(&["rename", "two", "second"]);
    sandbox.json(&["rename", "command:do", "done"]);
    let text = sandbox.path("text");
    write(&text, "---\nname: one\ndescription: Better\n---\nBody\n");
    let mut edit = sandbox.sm(&["edit", "one", "--from", text.to_str().unwrap()]);
    edit.env("NO_COLOR", "1");
    drop(output(edit).ok());
    sandbox.json(&["copy", "one", "--as", "third"]);
    let names = ["command:done", "skill:far", "skill:one", "skill:second"];
    let mut wanted = only_far(names);
    wanted.push(("skill:third".to_owned(), false));
    assert_eq!(modified(&sandbox), wanted);
    for (id, _) in wanted.iter().filter(|(id, _)| id != "skill:far") {
        let hash = sandbox.show(id)["content_hash"].clone();
        assert!(lock(&sandbox).contains(hash.as_str().unwrap()), "{id}");
    }
    // All of it in one operation.
    for _ in 0..6 {
        sandbox.json(&["undo"]);
    }
    assert_eq!(lock(&sandbox), before);
    assert_eq!(modified(&sandbox).iter().filter(|(_, is)| *is).count(), 0);
}

#[test]
fn what_others_changed_stays_visible() {
    let sandbox = stocked();
    let file = sandbox.collection("default", "skills/one/more/text.md");
    write(&file, "By hand\n");
    sandbox.shows("one", "the edit", |shown| shown["modified"] == true);
    let set = sandbox.json(&["set", "one", "two", "license=MIT"]);
    assert_eq!(set["changed"], json!(2), "{set}");
    assert_eq!(sandbox.show("one")["modified"], true);
    assert_eq!(sandbox.show("two")["modified"], false);
    sandbox.json(&["validate", "one", "--fix"]);
    assert_eq!(sandbox.show("one")["modified"], true);
}
