//! Artifacts that are brought back from snapshots by names and patterns.

use std::fs;

use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{skill, text, write};

/// Three skills, a snapshot of them, and what was in them changed since.
fn changed() -> (Sandbox, String) {
    let sandbox = Sandbox::initialised();
    for name in ["python-a", "python-b", "rust"] {
        let source = skill(&sandbox.path("src"), name, "Before");
        drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    }
    let id = text(&sandbox.json(&["snapshot"])["snapshot"]["id"]);
    let root = sandbox.collection("default", "skills");
    fs::remove_dir_all(root.join("python-a")).unwrap();
    for name in ["python-b", "rust"] {
        write(root.join(name).join("SKILL.md"), "after");
    }
    (sandbox, id)
}

/// Whether the text of a skill is the one of the snapshot.
fn is_back(sandbox: &Sandbox, name: &str) -> bool {
    let file = sandbox.collection("default", &format!("skills/{name}/SKILL.md"));
    fs::read_to_string(file).is_ok_and(|text| text.contains("Before"))
}

#[test]
fn what_fits_a_pattern_comes_back() {
    for restores in [false, true] {
        let (sandbox, id) = changed();
        let at = format!("python-*@{id}");
        let args = if restores {
            vec!["restore", &at]
        } else {
            vec!["rollback", &id, "--yes", "--artifact", "skill:python-*"]
        };
        let done = sandbox.json(&args);
        assert_eq!(done["restored"], 2, "{done:#}");
        assert!(is_back(&sandbox, "python-a") && is_back(&sandbox, "python-b"));
        assert!(!is_back(&sandbox, "rust"));
        assert_eq!(sandbox.show("python-a")["status"], "managed");
    }
}

#[test]
fn each_comes_back_once_and_what_fits_nothing_fails() {
    let (sandbox, id) = changed();
    let args = ["rollback", &id, "--yes", "--artifact", "python-*"];
    let twice = [&args[..], &["--artifact", "python-a", "--dry-run"]].concat();
    let done = sandbox.json(&twice);
    assert_eq!(done["restored"], 2, "{done:#}");
    let some = [&args[..], &["--artifact", "zz-*"]].concat();
    let error = sandbox.fails(&some, 3);
    assert!(text(&error["message"]).contains("`zz-*`"), "{error:#}");
    assert!(!is_back(&sandbox, "python-a"), "all of it or nothing");
}

#[test]
fn one_artifact_that_a_snapshot_lacks_is_an_error_of_its_own() {
    let (sandbox, id) = changed();
    let args = ["rollback", &id, "--yes", "--artifact", "nope"];
    let error = sandbox.fails(&args, 3);
    assert_eq!(error["code"], "artifact.not_found");
    assert!(text(&error["message"]).contains("`nope`"), "{error}");
}
