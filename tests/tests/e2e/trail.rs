//! Snapshots that look only where events told of changes: what was written a moment before is in them.

use std::fs;
use std::path::Path;

use skillmeat_shared::history::{MemoryObjects, Node, capture};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{rename, text, write};

fn state(sandbox: &Sandbox) -> Node {
    let root = sandbox.collection("default", "");
    capture(&root, &MemoryObjects::default())
        .unwrap()
        .node
        .unwrap()
}

/// Changes the collection as other programs do, each time in another way.
fn disturb(root: &Path, round: usize) {
    let at = |path: &str| root.join(path);
    let name = format!("skills/s{}", round % 5);
    match round % 8 {
        0 => {
            write(at(&format!("{name}/deep/er/new-{round}")), "new");
            write(at(&format!("{name}/SKILL.md")), format!("round {round}"));
        }
        1 => {
            // Made elsewhere and moved here.
            write(at(&format!("made/{round}/SKILL.md")), "moved");
            rename(
                at(&format!("made/{round}")),
                at(&format!("skills/moved-{round}")),
            );
        }
        2 => drop(fs::remove_dir_all(at(&name))),
        3 => write(at(&format!("commands/c{round}.md")), "a command"),
        4 => write(
            at("collection.toml"),
            format!("# {round}\n[collection]\nname = \"default\"\n"),
        ),
        5 => {
            drop(fs::remove_dir_all(at("commands")));
            write(at(&format!("notes/{round}")), "not an artifact");
        }
        6 => {
            write(at(&format!("{name}/keep")), "x");
            rename(at(&name), at(&format!("skills/renamed-{round}")));
        }
        _ => write(
            at(&format!(".git/objects/{round}")),
            "not part of a snapshot",
        ),
    }
}

#[test]
fn what_was_written_a_moment_before_is_in_the_snapshot() {
    let sandbox = Sandbox::initialised();
    let root = sandbox.collection("default", "");
    for number in 0..5 {
        write(root.join(format!("skills/s{number}/SKILL.md")), "first");
    }
    let mut kept: Vec<(String, Node)> = Vec::new();
    for round in 0..24 {
        disturb(&root, round);
        // Its own `.git` is not part of a collection.
        drop(fs::remove_dir_all(root.join(".git")));
        let made = sandbox.json(&["snapshot"]);
        kept.push((text(&made["snapshot"]["id"]), state(&sandbox)));
        let shown = sandbox.json(&["snapshot", "show", &kept[round].0]);
        let held = shown["held"].as_array().unwrap();
        assert_eq!(made["snapshot"]["artifacts"], held.len(), "{round}");
        let same = sandbox.json(&["snapshot", "diff", &kept[round].0]);
        assert_eq!(same["changes"], serde_json::json!([]), "{round}");
    }
    // Whoever has seen nothing of this looks at everything, and finds the same.
    sandbox.stop();
    let last = &kept.last().unwrap().0;
    let same = sandbox.json(&["snapshot", "diff", last]);
    assert_eq!(same["changes"], serde_json::json!([]));
    let whole = sandbox.json(&["snapshot"]);
    let listed = sandbox.json(&["snapshot", "list"]);
    let of = |id: &str| {
        let all = listed["snapshots"].as_array().unwrap();
        let one = all.iter().find(|one| one["id"] == id).unwrap().clone();
        ["artifacts", "files", "bytes"].map(|key| one[key].clone())
    };
    assert_eq!(of(last), of(&text(&whole["snapshot"]["id"])));
    drop(sandbox.run(&["snapshot", "verify"]).ok());
    // A rollback takes what was written just before it along.
    for (id, then) in kept.iter().rev().step_by(5) {
        write(root.join("skills/late/SKILL.md"), id);
        let now = state(&sandbox);
        drop(sandbox.run(&["rollback", id, "--yes"]).ok());
        assert!(state(&sandbox) == *then, "{id}");
        let safety = text(&sandbox.json(&["history"])["snapshots"][0]["id"]);
        drop(sandbox.run(&["rollback", &safety, "--yes"]).ok());
        assert!(state(&sandbox) == now, "{id}");
        drop(sandbox.run(&["undo"]).ok());
        assert!(state(&sandbox) == *then, "{id}");
    }
}

#[test]
fn few_files_go_back_alone_and_many_as_a_whole() {
    let sandbox = Sandbox::initialised();
    let at = |path: &str| sandbox.collection("default", path);
    for number in 0..40 {
        write(at(&format!("skills/many/f{number}")), "first");
        write(at(&format!("skills/few/f{number}")), "first");
    }
    let then = state(&sandbox);
    let id = text(&sandbox.json(&["snapshot"])["snapshot"]["id"]);
    for number in 0..40 {
        write(at(&format!("skills/many/f{number}")), "later");
    }
    write(at("skills/few/f3"), "later");
    write(at("skills/few/new/deep"), "later");
    fs::remove_file(at("skills/few/f4")).unwrap();
    let now = state(&sandbox);
    let done = sandbox.json(&["rollback", &id, "--yes"]);
    let steps: Vec<String> = done["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| format!("{} {}", text(&step["action"]), text(&step["path"])))
        .collect();
    let expected = [
        "replace skills/few/f3",
        "create skills/few/f4",
        "remove skills/few/new",
        "replace skills/many",
    ];
    assert_eq!(steps, expected);
    assert_eq!(done["restored"], 2, "{done:#}");
    assert!(state(&sandbox) == then);
    drop(sandbox.run(&["undo"]).ok());
    assert!(state(&sandbox) == now);
    drop(sandbox.run(&["redo"]).ok());
    assert!(state(&sandbox) == then);
    // The artifacts are known as they are: nobody else changed them.
    sandbox.stop();
    drop(sandbox.ready());
    let log = sandbox
        .json(&["log", "--artifact", "skill:few"])
        .to_string();
    assert!(log.contains("rollback"), "{log}");
}

#[test]
fn another_folder_in_its_place_is_looked_at_as_a_whole() {
    let sandbox = Sandbox::initialised();
    let root = sandbox.collection("default", "");
    write(root.join("skills/one/SKILL.md"), "first");
    drop(sandbox.json(&["snapshot"]));
    // Nobody watches what lies above the home.
    let home = sandbox.home().root().to_owned();
    let copy = sandbox.path("copy");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(&root)
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    write(copy.join("skills/one/SKILL.md"), "second");
    let above = home.join("collections");
    rename(&above, home.join("before"));
    fs::create_dir(&above).unwrap();
    rename(&copy, &root);
    let id = text(&sandbox.json(&["snapshot"])["snapshot"]["id"]);
    sandbox.stop();
    let same = sandbox.json(&["snapshot", "diff", &id]);
    assert_eq!(same["changes"], serde_json::json!([]));
}
