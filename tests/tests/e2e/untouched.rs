//! What people and other programs wrote beside the changed entry stays byte for byte as it was.

use std::fs;

use skillmeat_tests::Sandbox;
use skillmeat_tests::home::replace;

fn lock(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.collection("default", "collection.lock")).unwrap()
}

#[test]
fn other_entries_of_the_lock_stay() {
    let sandbox = Sandbox::with_two();
    let text = lock(&sandbox);
    let (head, two) = text.split_once("[lock.entries.\"two::skill\"]\n").unwrap();
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
    let text = format!("{head}[lock.entries.\"two::skill\"]\n{two}\n{foot}");
    replace(sandbox.collection("default", "collection.lock"), &text);
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
