//! `sm edit`, and taking back what was done to artifacts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{replace, text, write};

use crate::curation::library;

/// An editor that does what a script says with the file.
fn editor(sandbox: &mut Sandbox, script: &str) {
    let path = sandbox.path("editor");
    write(&path, format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    sandbox.set("EDITOR", &format!("{path} --wait"));
    let tmp = sandbox.path("tmp");
    fs::create_dir_all(&tmp).unwrap();
    sandbox.set("TMPDIR", tmp.to_str().unwrap());
}

#[test]
fn an_editor_changes_a_copy_that_is_saved() {
    let mut sandbox = library();
    editor(&mut sandbox, "sed -i 's/What pdf is for/Edited/' \"$2\"");
    assert_eq!(sandbox.json(&["edit", "pdf"])["saved"], 1);
    assert_eq!(sandbox.show("pdf")["description"], "Edited");
    assert_eq!(sandbox.json(&["edit", "pdf"])["unchanged"], 1);
    assert_eq!(
        fs::read_dir(sandbox.path("tmp")).unwrap().count(),
        0,
        "no copy is left"
    );
    write(
        sandbox.path("new"),
        "---\nname: pdf\ndescription: From a file\n---\n",
    );
    drop(
        sandbox
            .run(&[
                "edit",
                "pdf",
                "--from",
                sandbox.path("new").to_str().unwrap(),
            ])
            .ok(),
    );
    assert_eq!(sandbox.show("pdf")["description"], "From a file");
    for (args, code) in [
        (&["edit", "nothere"][..], 3),
        (&["edit", "pdf", "../review/SKILL.md"], 3),
        (&["edit", "pdf", "nothere.md"], 3),
    ] {
        sandbox.fails(args, code);
    }
    // Of a text that nobody touched nothing is kept.
    editor(&mut sandbox, "exit 3");
    let error = sandbox.fails(&["edit", "pdf"], 2);
    assert!(!error.to_string().contains("is kept"), "{error}");
    sandbox.set("EDITOR", "");
    let error = sandbox.fails(&["edit", "pdf"], 2);
    assert_eq!(error["message"], "no editor is named");
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 0);
}

#[test]
fn what_strict_readers_could_read_stays_so() {
    let mut sandbox = library();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    let before = fs::read_to_string(&file).unwrap();
    for fields in ["name: [unclosed", "name: pdf\\ndescription: one: two"] {
        editor(
            &mut sandbox,
            &format!("printf -- '---\\n{fields}\\n---\\nmine\\n' > \"$2\""),
        );
        let error = sandbox.fails(&["edit", "pdf"], 4);
        assert_eq!(error["code"], "artifact.frontmatter_invalid");
        assert!(text(&error["message"]).contains("(line "), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), before, "{fields}");
        let hint = text(&error["hints"][0]);
        let kept = hint.split('`').nth(1).unwrap();
        let mended = fs::read_to_string(kept).unwrap();
        assert!(mended.ends_with("mine\n"), "{hint}");
        sandbox.fails(&["edit", "pdf", "--from", kept], 4);
        write(kept, &before);
        assert_eq!(
            sandbox.json(&["edit", "pdf", "--from", kept])["unchanged"],
            1
        );
    }
}

#[test]
fn what_was_hard_to_read_before_is_saved_and_told() {
    let sandbox = library();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    let new = sandbox.path("new");
    for (fields, told) in [
        ("description: one: two", "strict readers can't read it: "),
        ("- broken", "it still can't be read: "),
    ] {
        replace(&file, format!("---\nname: pdf\n{fields}\n---\n"));
        write(&new, format!("---\nname: pdf\n{fields}\n---\nmine\n"));
        let saved = sandbox.json(&["edit", "pdf", "--from", new.to_str().unwrap()]);
        let reason = text(&saved["items"][0]["reason"]);
        assert!(reason.starts_with(told), "{reason}");
        assert!(fs::read_to_string(&file).unwrap().ends_with("mine\n"));
    }
}

#[test]
fn a_text_that_can_t_be_saved_is_kept() {
    let mut sandbox = library();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    let before = fs::read_to_string(&file).unwrap();
    editor(
        &mut sandbox,
        "printf -- '---\\nname: pdf\\n- broken\\n---\\nmine\\n' > \"$2\"",
    );
    let error = sandbox.fails(&["edit", "pdf"], 4);
    assert_eq!(error["code"], "artifact.frontmatter_invalid");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let hint = text(&error["hints"][0]);
    let kept = hint.split('`').nth(1).unwrap();
    assert!(
        fs::read_to_string(kept).unwrap().ends_with("mine\n"),
        "{hint}"
    );
    // Somebody else saves the file while it is open.
    let path = file.to_str().unwrap().to_owned();
    editor(
        &mut sandbox,
        &format!("echo theirs >> {path}; echo mine >> \"$2\""),
    );
    let error = sandbox.fails(&["edit", "pdf"], 4);
    assert!(text(&error["message"]).contains("somebody else"), "{error}");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!("{before}theirs\n")
    );
}

#[test]
fn a_text_from_stdin_is_kept_as_one_from_an_editor() {
    let mut sandbox = library();
    editor(&mut sandbox, "echo mine >> \"$2\"");
    let piped = |sandbox: &Sandbox, bytes: &str, more: &str, code: i32| {
        write(sandbox.path("piped"), bytes);
        let mut command = sandbox.sm(&["edit", "pdf", "--from", "-", "--json", more]);
        command.stdin(fs::File::open(sandbox.path("piped")).unwrap());
        skillmeat_tests::home::output(command).exits(code).error()
    };
    let kept = |error: &serde_json::Value| {
        let mut hints = error["hints"].as_array().unwrap().iter().map(text);
        let hint = hints.find(|hint| hint.contains("is kept"));
        let hint = hint.unwrap_or_else(|| panic!("{error:#}"));
        fs::read_to_string(hint.split('`').nth(1).unwrap()).unwrap()
    };
    let refused = "---\nname: pdf\n- broken\n---\nmine\n";
    let error = piped(&sandbox, refused, "-q", 4);
    assert_eq!(kept(&error), refused);
    // No daemon is there, and none is to be started.
    sandbox.json(&["daemon", "stop"]);
    let error = piped(&sandbox, refused, "--no-autostart", 7);
    assert_eq!(kept(&error), refused);
    // It goes while an editor is open.
    drop(sandbox.run(&["list"]).ok());
    let sm = skillmeat_tests::home::binary("sm");
    let stop = format!("{} daemon stop -q; echo mine >> \"$2\"", sm.display());
    editor(&mut sandbox, &stop);
    let error = sandbox.fails(&["edit", "pdf", "--no-autostart"], 7);
    assert!(kept(&error).ends_with("mine\n"), "{error:#}");
}

/// Every file of a home but those that the daemon keeps for itself, as its notes on the history, with its bytes.
fn files(
    folder: &std::path::Path,
    found: &mut std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>,
) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        // What was replaced is deleted after the answer.
        if name.contains(".skillmeat-tmp-") || name.contains("/state/history.") {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn each_change_is_undone_and_redone_as_one_operation() {
    let mut sandbox = library();
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    drop(sandbox.run(&["rate", "pdf", "5"]).ok());
    editor(&mut sandbox, "echo more >> \"$2\"");
    let root = sandbox.home().root().to_owned();
    let state = || {
        let mut found = std::collections::BTreeMap::new();
        for folder in ["collections", "state"] {
            files(&root.join(folder), &mut found);
        }
        found
    };
    for args in [
        &["set", "pdf*", "license=MIT", "version=2"][..],
        &["set", "pdf", "aliases=x"],
        &["rate", "*", "2"],
        &["rate", "pdf", "--clear"],
        &["rename", "pdf", "papers"],
        &["rename", "tidy", "clean"],
        &["copy", "pdf", "--as", "second"],
        &["move", "pdf", "tidy", "--to", "work", "--yes"],
        &["edit", "pdf"],
        &["remove", "pdf", "--keep-files"],
        &["remove", "*", "--yes"],
    ] {
        let before = state();
        let ids = sandbox.ids();
        let done = sandbox.json(args);
        let operation = text(&done["operation"]);
        let after = state();
        assert_ne!(before, after, "{args:?}");
        drop(sandbox.run(&["undo", &operation]).ok());
        assert_eq!(state(), before, "{args:?} undone");
        assert_eq!(sandbox.ids(), ids, "{args:?} undone");
        drop(sandbox.run(&["redo"]).ok());
        assert_eq!(state(), after, "{args:?} redone");
        drop(sandbox.run(&["undo"]).ok());
        assert_eq!(state(), before, "{args:?} undone again");
    }
}

#[test]
fn an_edit_that_brings_an_error_is_not_saved() {
    let mut sandbox = library();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    let before = fs::read_to_string(&file).unwrap();
    for (script, rule) in [
        ("printf 'mine\\n' > \"$2\"", "fields.missing"),
        ("sed -i '/^description/d' \"$2\"", "description.missing"),
        ("sed -i 's/^name: .*/name: Pdf_/' \"$2\"", "name.characters"),
    ] {
        editor(&mut sandbox, script);
        let error = sandbox.fails(&["edit", "pdf"], 4);
        assert_eq!(error["code"], "artifact.frontmatter_invalid");
        let message = text(&error["message"]);
        assert!(message.contains(&format!("({rule})")), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), before, "{rule}");
        let hint = text(&error["hints"][0]);
        let kept = hint.split('`').nth(1).unwrap();
        assert_ne!(fs::read_to_string(kept).unwrap(), before, "{hint}");
        sandbox.fails(&["edit", "pdf", "--from", kept, "--dry-run"], 4);
    }
    // What is no error is saved, and told if it is new.
    editor(&mut sandbox, "sed -i 's/^name: .*/name: other/' \"$2\"");
    let saved = sandbox.json(&["edit", "pdf"]);
    let reason = text(&saved["items"][0]["reason"]);
    assert!(reason.contains("(name.folder)"), "{saved}");
    editor(&mut sandbox, "echo more >> \"$2\"");
    let saved = sandbox.json(&["edit", "pdf"]);
    assert_eq!(saved["items"][0]["reason"], serde_json::Value::Null);
    // Other files are nobody's fields.
    write(file.with_file_name("notes.md"), "one\n");
    editor(&mut sandbox, "echo two >> \"$2\"");
    sandbox.json(&["edit", "pdf", "notes.md"]);
}

#[test]
fn errors_that_were_there_before_are_saved_and_told() {
    let sandbox = library();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    let new = sandbox.path("new");
    let edit = ["edit", "pdf", "--from", new.to_str().unwrap()];
    for (old, now, told) in [
        ("only text\n", "only text\nmine\n", "(fields.missing)"),
        // Of what could not be read nobody knew what else is wrong.
        (
            "only text\n",
            "---\nname: pdf\n---\nmine\n",
            "(description.missing)",
        ),
        (
            "---\nname: pdf\n---\n",
            "---\nname: pdf\n---\nmine\n",
            "(description.missing)",
        ),
    ] {
        replace(&file, old);
        write(&new, now);
        let saved = sandbox.json(&edit);
        let reason = text(&saved["items"][0]["reason"]);
        assert!(reason.contains(told), "{reason}");
        assert_eq!(fs::read_to_string(&file).unwrap(), now);
    }
    write(&new, "---\nname: Pdf_\n---\nmine\n");
    let error = sandbox.fails(&edit, 4);
    assert!(
        text(&error["message"]).contains("(name.characters)"),
        "{error}"
    );
}

#[test]
fn a_new_warning_is_told_beside_what_was_wrong_before() {
    let sandbox = library();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    let new = sandbox.path("new");
    let edit = ["edit", "pdf", "--from", new.to_str().unwrap()];
    let before = "---\nname: pdf\none: 1\n---\n[a](gone.md)\n";
    replace(&file, before);
    write(
        &new,
        before.replace("one: 1\n", "one: 1\ntwo: 2\n") + "[b](none.md)\n",
    );
    let saved = sandbox.json(&edit);
    let reason = text(&saved["items"][0]["reason"]);
    for told in ["`two`", "`none.md`", "(description.missing)"] {
        assert!(reason.contains(told), "{told}: {reason}");
    }
    for known in ["`one`", "`gone.md`"] {
        assert!(!reason.contains(known), "{known}: {reason}");
    }
}

#[test]
fn a_file_that_the_editor_deleted_is_kept_nowhere() {
    let mut sandbox = library();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    let before = fs::read_to_string(&file).unwrap();
    for script in ["rm \"$2\"", "rm \"$2\"; exit 3"] {
        editor(&mut sandbox, script);
        let error = sandbox.fails(&["edit", "pdf"], 2);
        assert!(!error.to_string().contains("is kept"), "{error}");
        assert!(error.to_string().contains("nothing was changed"), "{error}");
        assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 0);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
}
