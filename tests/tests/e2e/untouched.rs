//! What people and other programs wrote beside the changed entry stays byte for byte as it was.

use std::fs;

use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{replace, text};

fn lock(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.collection("default", "collection.lock")).unwrap()
}

#[test]
fn other_entries_of_the_lock_stay() {
    let sandbox = Sandbox::with_two();
    let lines = lock(&sandbox);
    let (head, two) = lines.split_once("[lock.entries.\"two::skill\"]\n").unwrap();
    let head = head
        .replace(
            "[lock.entries.\"one::skill\"]",
            "[ lock . entries . 'one::skill' ] # hey",
        )
        .replace("content_hash = ", "content_hash=")
        .replace("version = \"1.0.0\"\n", "version = \"1.0.0\"\r\n");
    assert!(
        head.contains("# hey\ncontent_hash=\"") && head.contains("\r\n"),
        "{head}"
    );
    let foot = "[lock.entries.\"noname::skill\"]\r\ncontent_hash = \"x\"\r\n# tail\r\n\r\n[[ arr . y ]]\nz=1";
    let lines = format!("{head}[lock.entries.\"two::skill\"]\n{two}\n{foot}");
    replace(sandbox.collection("default", "collection.lock"), &lines);
    for command in [
        &["set", "two", "license=X"][..],
        &["rename", "two", "q2"],
        &["copy", "q2", "--as", "q3"],
        &["remove", "q3", "--yes"],
    ] {
        let before = lock(&sandbox);
        sandbox.json(command);
        let now = lock(&sandbox);
        assert_ne!(now, before, "{command:?}");
        assert!(now.starts_with(&head), "{command:?}\n{now:?}");
        let (entry, rest) = foot.split_once("# tail\r\n").unwrap();
        assert!(
            now.contains(entry) && now.ends_with(rest),
            "{command:?}\n{now:?}"
        );
    }
    assert!(lock(&sandbox).ends_with(foot));
}

#[test]
fn comments_are_in_no_way_of_an_undo() {
    let sandbox = Sandbox::with_two();
    let path = sandbox.collection("default", "collection.toml");
    let said = || fs::read_to_string(&path).unwrap();
    sandbox.json(&["group", "create", "G"]);
    sandbox.json(&["group", "add", "G", "one", "two"]);
    for command in [
        &["rename", "two", "q2"][..],
        &["tag", "add", "zz", "two"],
        &["set", "two", "license=X"],
    ] {
        let before = said();
        let operation = text(&sandbox.json(command)["operation"]);
        let now = said();
        let comment = |text: &str| {
            let text = text.replace("    \"one\",", "    \"one\", # first");
            format!("{text}# tail\n")
        };
        replace(&path, comment(&now));
        drop(sandbox.run(&["cache", "refresh"]).ok());
        sandbox.json(&["undo", &operation]);
        let undated = |text: &str| -> String {
            let lines = text.lines().filter(|line| !line.starts_with("updated = "));
            lines.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(undated(&said()), undated(&comment(&before)), "{command:?}");
        replace(&path, before);
        drop(sandbox.run(&["cache", "refresh"]).ok());
    }
    let operation = text(&sandbox.json(&["set", "two", "license=X"])["operation"]);
    replace(
        &path,
        said().replace("license = \"X\"", "license = \"X\" # why"),
    );
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let error = sandbox.fails(&["undo", &operation], 4);
    let told = text(&error["message"]);
    let says = "the comments of `artifacts/skill:two.metadata.license` in `collection.toml`";
    assert!(told.contains(says), "{told}");
}
