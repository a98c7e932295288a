//! `sm add`: kinds, names, conflicts, and that nothing is ever overwritten.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{fixture, skill, text, write};

fn sources(path: &str) -> PathBuf {
    fixture("../../shared/tests/fixtures/sources")
        .join(path)
        .canonicalize()
        .unwrap()
}

fn manifest(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.collection("default", "collection.toml")).unwrap()
}

#[test]
fn every_kind_is_detected_and_lies_where_it_belongs() {
    let sandbox = Sandbox::initialised();
    for (source, id, path) in [
        ("skills/pdf-tools", "skill:pdf-tools", "skills/pdf-tools"),
        ("commands/review.md", "command:review", "commands/review.md"),
        (
            "agents/code-reviewer.md",
            "agent:code-reviewer",
            "agents/code-reviewer.md",
        ),
        (
            "hooks/format-on-save",
            "hook:format-on-save",
            "hooks/format-on-save",
        ),
        ("mcp/filesystem", "mcp:filesystem", "mcp/filesystem"),
    ] {
        let added = sandbox.json(&["add", sources(source).to_str().unwrap()]);
        assert_eq!(added["items"][0]["id"], id, "{added:#}");
        assert_eq!(added["items"][0]["result"], "added");
        assert_eq!(added["items"][0]["path"], path);
        assert!(sandbox.collection("default", path).exists(), "{path}");
        let shown = sandbox.show(id);
        assert_eq!(shown["status"], "managed", "{id}");
        assert_eq!(shown["modified"], false, "{id}");
        assert_eq!(shown["origin"], "local", "{id}");
        assert_eq!(shown["lock"]["content_hash"], shown["content_hash"], "{id}");
    }
    // The hashes are those that existing homes record.
    assert_eq!(
        sandbox.show("pdf-tools")["content_hash"],
        "be78a0e3d3753a99c9304392852a03b815ed9493880dec6227874610b91b84c6"
    );
    let mode =
        std::fs::metadata(sandbox.collection("default", "skills/pdf-tools/scripts/extract.sh"))
            .unwrap()
            .permissions()
            .mode();
    let source = std::fs::metadata(sources("skills/pdf-tools/scripts/extract.sh")).unwrap();
    assert_eq!(mode & 0o111, source.permissions().mode() & 0o111);
}

#[test]
fn the_answer_holds_what_the_next_read_shows() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "fresh", "A fresh one");
    let added = sandbox.json(&["add", source.to_str().unwrap()]);
    assert_eq!(added["collection"], "default");
    assert_eq!(added["added"], 1);
    assert!(added["seq"].as_u64().unwrap() > 0);
    // No wait: the rows are written before the answer.
    assert_eq!(sandbox.show("fresh")["description"], "A fresh one");
    assert!(manifest(&sandbox).contains("name = \"fresh\""));
    // A person is told, too.
    let other = skill(&sandbox.path("src"), "second", "Another one");
    let told = sandbox.run(&["add", other.to_str().unwrap()]).ok();
    assert!(
        format!("{}{}", told.stdout, told.stderr).contains("skill:second"),
        "{told:?}"
    );
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("a"), "pdf", "The first");
    let path = source.to_str().unwrap();
    drop(sandbox.run(&["add", path]).ok());
    let before = manifest(&sandbox);

    let same = sandbox.json(&["add", path]);
    assert_eq!(same["items"][0]["result"], "unchanged");

    let other = skill(&sandbox.path("b"), "pdf", "The second");
    let other = other.to_str().unwrap();
    let error = sandbox.run(&["add", other]).exits(4);
    assert!(error.stderr.contains("exists already"), "{error:?}");
    let error = sandbox.run(&["add", other, "--json"]).exits(4);
    assert_eq!(error.error()["code"], "artifact.exists");
    assert_eq!(error.stderr.matches("nothing was overwritten").count(), 1);
    assert_eq!(sandbox.show("pdf")["description"], "The first");
    assert_eq!(manifest(&sandbox), before);

    let renamed = sandbox.json(&["add", other, "--name", "pdf-two"]);
    assert_eq!(renamed["items"][0]["id"], "skill:pdf-two");
    assert_eq!(sandbox.show("pdf-two")["description"], "The second");
}

#[test]
fn what_is_added_under_another_name_says_it_itself() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("a"), "pdf", "Reads");
    let agent = sandbox.path("agents/old.md");
    write(
        &agent,
        "---\nname: old # mine\ndescription: Looks\n---\nLook.\n",
    );
    let other = skill(&sandbox.path("b"), "odd", "Reads");
    write(
        other.join("SKILL.md"),
        "---\nname: else\ndescription: Is\n---\n",
    );
    for (source, path) in [
        (&source, "skills/new/SKILL.md"),
        (&agent, "agents/new.md"),
        (&other, "skills/newer/SKILL.md"),
    ] {
        let name = if path.contains("newer") {
            "newer"
        } else {
            "new"
        };
        let args = ["add", source.to_str().unwrap(), "--as", name];
        sandbox.json(&[&args[..], &["--dry-run"]].concat());
        let added = sandbox.json(&args);
        assert_eq!(added["added"], 1, "{added:#}");
        let text = std::fs::read_to_string(sandbox.collection("default", path)).unwrap();
        let said = match path {
            "skills/new/SKILL.md" => "name: new\n",
            "agents/new.md" => "name: new # mine\n",
            // It had another name of its own before.
            _ => "name: else\n",
        };
        assert!(text.contains(said), "{text}");
        let again = sandbox.json(&args);
        assert_eq!(again["items"][0]["result"], "unchanged", "{again:#}");
    }
    let source = std::fs::read_to_string(source.join("SKILL.md")).unwrap();
    assert!(source.contains("name: pdf"), "{source}");
}

#[test]
fn files_in_the_way_are_left_alone() {
    let sandbox = Sandbox::initialised();
    // Not an artifact that is listed, but somebody's file all the same.
    let place = sandbox.collection("default", "skills/pdf");
    write(&place, "not a folder");
    let source = skill(&sandbox.path("a"), "pdf", "A new one");
    let error = sandbox.fails(&["add", source.to_str().unwrap()], 4);
    assert_eq!(error["code"], "artifact.exists");
    assert_eq!(std::fs::read_to_string(&place).unwrap(), "not a folder");
}

#[test]
fn an_unmanaged_artifact_becomes_managed_where_it_lies() {
    let sandbox = Sandbox::initialised();
    let place = skill(
        &sandbox.collection("default", "skills"),
        "found",
        "Put there by hand",
    );
    sandbox.shows("found", "the unmanaged skill", |shown| {
        shown["status"] == "unmanaged"
    });
    let before = std::fs::metadata(place.join("SKILL.md")).unwrap();
    let added = sandbox.json(&["add", place.to_str().unwrap()]);
    assert_eq!(added["added"], 1, "{added:#}");
    assert_eq!(sandbox.show("found")["status"], "managed");
    let after = std::fs::metadata(place.join("SKILL.md")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}

#[test]
fn what_lies_in_the_collection_is_taken_in_before_any_row_knows_it() {
    let sandbox = Sandbox::initialised();
    let agents = sandbox.collection("default", "agents");
    for round in 0..5 {
        let name = format!("new{round}");
        let place = agents.join(format!("{name}.md"));
        let text = |what: &str| format!("---\nname: {name}\ndescription: {what}\n---\n");
        write(&place, text("First"));
        let path = place.to_str().unwrap();
        let added = sandbox.json(&["add", path]);
        assert_eq!(added["added"], 1, "{added:#}");
        let shown = sandbox.show(&name);
        assert_eq!(
            (&shown["status"], &shown["description"]),
            (&"managed".into(), &"First".into())
        );
        // It was edited, and nobody has seen that yet.
        write(&place, text("Second"));
        let again = sandbox.json(&["add", path]);
        assert_eq!(
            (&again["added"], &again["unchanged"]),
            (&0.into(), &1.into()),
            "{again:#}"
        );
        assert_eq!(std::fs::read_to_string(&place).unwrap(), text("Second"));
    }
    // Something else of that name is in the way as ever.
    let other = sandbox.path("other/new0.md");
    write(&other, "---\nname: new0\ndescription: Other\n---\n");
    let other = other.to_str().unwrap();
    let error = sandbox.fails(&["add", other, "--type", "agent"], 4);
    assert_eq!(error["code"], "artifact.exists");
}

#[test]
fn names_are_checked_before_anything_is_written() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("a"), "good", "Fine");
    let source = source.to_str().unwrap();
    let before = manifest(&sandbox);
    for name in [
        "../evil",
        "a/b",
        "a\\b",
        ".hidden",
        "a:b",
        "a\nb",
        "a..b",
        "",
        " a",
        "a\u{202e}b",
    ] {
        let error = sandbox.fails(&["add", source, "--name", name], 2);
        assert_eq!(error["code"], "usage.invalid_name", "{name:?}: {error}");
        assert!(!text(&error["message"]).contains('\n'), "{error}");
    }
    assert_eq!(manifest(&sandbox), before);
    assert!(!sandbox.path(".skillmeat/collections/evil").exists());
    assert_eq!(sandbox.ids(), Vec::<String>::new());
    // Spaces and letters of every script are fine.
    for name in ["My Skill", "größe", "日本語"] {
        drop(sandbox.run(&["add", source, "--name", name]).ok());
        assert_eq!(sandbox.show(name)["name"], name);
    }
}

#[test]
fn what_can_not_be_added_says_why_with_its_own_exit_code() {
    let sandbox = Sandbox::initialised();
    let error = sandbox.fails(&["add", "/nonexistent/skill"], 3);
    assert_eq!(error["code"], "file.not_found");
    assert!(text(&error["message"]).contains("/nonexistent/skill"));
    write(sandbox.path("odd/data.bin"), [0, 1, 2]);
    let error = sandbox.fails(&["add", sandbox.path("odd").to_str().unwrap()], 2);
    assert_eq!(error["code"], "artifact.undetected");
    let source = skill(&sandbox.path("a"), "one", "One");
    let source = source.to_str().unwrap();
    let error = sandbox.fails(&["add", source, "-c", "nowhere"], 3);
    assert_eq!(error["code"], "collection.not_found");
    for flag in ["--as", "--name"] {
        let error = sandbox.fails(&["add", source, source, flag, "x"], 2);
        assert_eq!(error["code"], "usage.invalid_argument");
        let said = "`--as` names one artifact, but several paths are given";
        assert_eq!(error["message"], said);
    }
    let odd = sandbox.path("odd");
    let error = sandbox.fails(&["add", odd.to_str().unwrap(), "--type", "skill"], 2);
    assert_eq!(error["code"], "artifact.invalid");
    assert!(text(&error["message"]).contains("SKILL.md"), "{error}");
    drop(sandbox.run(&["add"]).exits(2));
    drop(sandbox.run(&["add", source, "--type", "rubbish"]).exits(2));
}

#[test]
fn a_batch_goes_on_past_what_fails() {
    let sandbox = Sandbox::initialised();
    let one = skill(&sandbox.path("a"), "one", "One");
    let two = skill(&sandbox.path("a"), "two", "Two");
    let answer = sandbox
        .run(&[
            "add",
            one.to_str().unwrap(),
            "/nonexistent",
            two.to_str().unwrap(),
            "--json",
        ])
        .exits(9);
    let added = answer.json();
    assert_eq!(added["added"], 2);
    assert_eq!(added["failed"], 1);
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
}

#[test]
fn relative_paths_are_those_of_the_caller() {
    let sandbox = Sandbox::initialised();
    skill(&sandbox.path("work/skills"), "near", "Near");
    let mut command = sandbox.sm(&["add", "../skills/near", "--json"]);
    std::fs::create_dir_all(sandbox.path("work/deep")).unwrap();
    command.current_dir(sandbox.path("work/deep"));
    let added = skillmeat_tests::home::output(command).ok().json();
    assert_eq!(added["items"][0]["id"], "skill:near");
    let mut command = sandbox.sm(&["add", ".", "--json"]);
    command.current_dir(sandbox.path("work/skills/near"));
    let again = skillmeat_tests::home::output(command).ok().json();
    assert_eq!(again["items"][0]["result"], "unchanged", "{again:#}");
}

#[test]
fn rubbish_of_tools_is_not_copied() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("a"), "clean", "Clean");
    write(source.join(".git/config"), "secret");
    write(source.join("node_modules/x/index.js"), "x");
    write(source.join("__pycache__/x.pyc"), "x");
    write(source.join(".hidden/note.txt"), "kept");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let shown = sandbox.show("clean");
    let files: Vec<String> = shown["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| text(&file["path"]))
        .collect();
    assert_eq!(files, [".hidden/note.txt", "SKILL.md"]);
    assert_eq!(shown["modified"], false);
}

#[test]
fn content_that_is_there_under_another_name_is_skipped_in_a_tree() {
    let sandbox = Sandbox::initialised();
    let tree = sources("");
    let added = sandbox.json(&["add", "--all", tree.to_str().unwrap()]);
    let copy: &Value = added["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["id"] == "skill:doc-writer-copy")
        .unwrap();
    assert_eq!(copy["result"], "skipped");
    assert!(text(&copy["reason"]).contains("same content as `skill:doc-writer`"));
    // Asked for by name, it is added all the same.
    let alone = sources("skills/doc-writer-copy");
    let added = sandbox.json(&["add", alone.to_str().unwrap()]);
    assert_eq!(added["added"], 1);
}

#[test]
fn a_manifest_that_is_broken_is_not_written() {
    let sandbox = Sandbox::initialised();
    let path = sandbox.collection("default", "collection.toml");
    let broken = format!("{}\n[[artifacts]\n", manifest(&sandbox));
    write(&path, &broken);
    let source = skill(&sandbox.path("a"), "one", "One");
    let error = sandbox.fails(&["add", source.to_str().unwrap()], 4);
    assert_eq!(error["code"], "manifest.invalid");
    assert_eq!(text(&error["path"]), path.display().to_string());
    assert!(error["line"].as_u64().unwrap() > 1);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
    assert!(!sandbox.collection("default", "skills/one").exists());
}

#[test]
fn what_was_edited_a_moment_ago_is_not_taken_for_what_was_added() {
    let sandbox = Sandbox::new();
    // So long that rows surely are older than the files.
    sandbox.configure(
        crate::BACKEND,
        "[watch]\nsettle_ms = 10000\nmax_delay_ms = 60000\n",
    );
    drop(sandbox.run(&["init"]).ok());
    let source = skill(&sandbox.path("src"), "one", "First");
    let add = |how: &str| {
        let args = ["add", source.to_str().unwrap(), "--json", how];
        sandbox.run(&args[..3 + usize::from(!how.is_empty())])
    };
    drop(add("").ok());
    let file = sandbox.collection("default", "skills/one/SKILL.md");
    let edited = "---\nname: one\ndescription: Edited here\n---\n";
    write(&file, edited);
    // The same content as the one that was added, and another one.
    drop(add("").exits(4));
    skill(&sandbox.path("src"), "one", "Second");
    drop(add("--update").exits(4));
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
    drop(add("--force").ok());
    assert!(fs::read_to_string(&file).unwrap().contains("Second"));
}
