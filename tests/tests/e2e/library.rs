//! `sm collection rename|delete|validate|export|import`, and a folder that is a collection already.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::wait::until_true;
use skillmeat_tests::{Answer, Sandbox};

/// A folder that somebody shares: a manifest with a group and a tag, and two skills.
fn shared(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.path("team/skills-repo");
    for name in ["one", "two"] {
        skill(&folder.join("skills"), name, "Shared");
    }
    let entry = |name: &str| {
        format!(
            "[[artifacts]]\nname = \"{name}\"\ntype = \"skill\"\npath = \"skills/{name}\"\norigin = \"local\"\n\
             added = \"2026-01-01T00:00:00\"\ntags = [\"shared\"]\n\n"
        )
    };
    let manifest = format!(
        "[tool.skillmeat]\nname = \"team\"\nversion = \"1.0.0\"\n\n{}{}[[groups]]\nname = \"Both\"\n\
         members = [\"two\", \"one\"]\n\n[[tag_definitions]]\nname = \"shared\"\nslug = \"shared\"\n\
         color = \"#112233\"\n",
        entry("one"),
        entry("two")
    );
    write(folder.join("collection.toml"), manifest);
    folder
}

fn names(sandbox: &Sandbox) -> Vec<String> {
    let all = sandbox.json(&["collection", "list"]);
    let all = all["collections"].as_array().unwrap().iter();
    let mut names: Vec<String> = all.map(|one| text(&one["name"])).collect();
    names.sort();
    names
}

/// That a collection brought its groups and tags along.
fn is_whole(sandbox: &Sandbox, name: &str) {
    until_true("the rows of what was imported", || {
        sandbox.json(&["list", "-c", name])["total"] == 2
    });
    let shown = sandbox.json(&["collection", "show", name]);
    assert_eq!(
        shown["groups"][0]["members"],
        json!([{"member": "two", "id": "skill:two"}, {"member": "one", "id": "skill:one"}]),
        "{shown}"
    );
    assert_eq!(shown["tag_definitions"][0]["color"], "#112233");
    assert_eq!(shown["tags"], json!([{"name": "shared", "count": 2}]));
}

#[test]
fn a_folder_is_adopted_in_place() {
    let sandbox = Sandbox::initialised();
    let folder = shared(&sandbox);
    let path = folder.to_str().unwrap();
    let dry = sandbox.json(&["collection", "import", path, "--dry-run"]);
    assert_eq!(dry["items"][0]["result"], "would-import");
    assert_eq!(names(&sandbox), ["default"]);
    let done = sandbox.json(&["collection", "import", path]);
    assert_eq!(done["collection"], "team", "{done}");
    is_whole(&sandbox, "team");
    // What is changed is changed there, and what changes there is seen.
    sandbox.json(&["group", "create", "More", "one", "-c", "team"]);
    let manifest = std::fs::read_to_string(folder.join("collection.toml")).unwrap();
    assert!(
        manifest.contains("members = [\n    \"one\",\n]"),
        "{manifest}"
    );
    skill(&folder.join("skills"), "three", "New");
    until_true("a skill that was made there", || {
        sandbox.json(&["list", "-c", "team"])["total"] == 3
    });
    // One folder is one collection, whatever way leads to it.
    let link = sandbox.path("tl");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let own = sandbox.home().collection("default");
    for (path, called) in [(&folder, "team"), (&link, "team"), (&own, "default")] {
        for name in [&[][..], &["--name", "other"]] {
            let path = path.to_str().unwrap();
            let error = sandbox.fails(&[&["collection", "import", path], name].concat(), 4);
            let said = text(&error["message"]);
            assert!(
                said.ends_with(&format!("is served already, as `{called}`")),
                "{error}"
            );
            // The command of the hint works as it stands.
            let hints = error["hints"].as_array().unwrap();
            let hint = text(hints.last().unwrap());
            let given = hint.split('`').nth(1).unwrap().split(' ').skip(1);
            let given: Vec<&str> = given.chain(["--dry-run"]).collect();
            let copied = sandbox.json(&given);
            assert_eq!(copied["imported"], 1, "{hint}: {copied}");
        }
    }
    assert_eq!(names(&sandbox), ["default", "team"]);
    sandbox.json(&["collection", "import", path, "--name", "copied", "--copy"]);
    until_true("the copy", || {
        sandbox.json(&["list", "-c", "copied"])["total"] == 3
    });
    assert!(!sandbox.collection("copied", "").is_symlink());
    // Only the link goes, and it comes back.
    sandbox.json(&["collection", "delete", "team", "--yes"]);
    assert_eq!(names(&sandbox), ["copied", "default"]);
    assert!(folder.join("collection.toml").is_file());
    sandbox.json(&["undo"]);
    until_true("the link again", || {
        names(&sandbox).contains(&"team".to_owned())
    });
}

/// What `sm init` in a folder does.
fn init_in(sandbox: &Sandbox, folder: &Path, args: &[&str]) -> Answer {
    let mut command = sandbox.sm(&["init", "--json"]);
    command.current_dir(folder).args(args);
    skillmeat_tests::home::output(command)
}

#[test]
fn init_in_a_collections_folder_adopts_it() {
    let sandbox = Sandbox::new();
    let folder = shared(&sandbox);
    let init = || init_in(&sandbox, &folder, &[]).ok().json();
    let first = init();
    assert_eq!(
        (&first["adopted"], &first["collection"]),
        (&json!("team"), &json!("default"))
    );
    is_whole(&sandbox, "team");
    assert_eq!(init()["adopted"], "team");
    assert_eq!(names(&sandbox), ["default", "team"]);
    sandbox.json(&["collection", "rename", "team", "ours"]);
    assert_eq!(init()["adopted"], "ours");
    assert_eq!(
        init_in(&sandbox, sandbox.root(), &[]).ok().json()["adopted"],
        Value::Null
    );
}

/// A shared collection whose manifest says that it is called `default`.
fn shared_default(sandbox: &Sandbox) -> PathBuf {
    let folder = shared(sandbox);
    let manifest = folder.join("collection.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    write(&manifest, text.replace("\"team\"", "\"default\""));
    folder
}

#[test]
fn init_in_a_folder_called_default_makes_it_the_first_collection() {
    let sandbox = Sandbox::new();
    let folder = shared_default(&sandbox);
    let first = init_in(&sandbox, &folder, &[]).ok().json();
    assert_eq!(
        (&first["adopted"], &first["collection"]),
        (&json!("default"), &json!("default")),
        "{first}"
    );
    assert_eq!(first["artifacts"], 2, "{first}");
    is_whole(&sandbox, "default");
    assert_eq!(names(&sandbox), ["default"]);
}

#[test]
fn init_in_a_folder_whose_name_is_taken_takes_another_one() {
    let sandbox = Sandbox::initialised();
    let folder = shared_default(&sandbox);
    let error = init_in(&sandbox, &folder, &[]).exits(4).error();
    assert_eq!(error["code"], "collection.exists", "{error}");
    assert!(error["hints"].to_string().contains("`--name`"), "{error}");
    assert_eq!(names(&sandbox), ["default"]);
    let error = init_in(&sandbox, &folder, &["--name", "no/name"])
        .exits(2)
        .error();
    assert_eq!(names(&sandbox), ["default"], "{error}");
    let done = init_in(&sandbox, &folder, &["--name", "other"]).ok().json();
    assert_eq!(
        (&done["adopted"], &done["collection"]),
        (&json!("other"), &json!("other"))
    );
    assert!(sandbox.home().collection("other").is_symlink());
    is_whole(&sandbox, "other");
    assert_eq!(names(&sandbox), ["default", "other"]);
}

#[test]
fn init_in_a_folder_that_is_served_does_not_call_it_something_else() {
    let sandbox = Sandbox::initialised();
    let folder = shared(&sandbox);
    let _team = init_in(&sandbox, &folder, &[]).ok();
    let own = sandbox.home().collection("default");
    for (folder, called) in [(&folder, "team"), (&own, "default")] {
        let error = init_in(&sandbox, folder, &["--name", "mine"]).exits(4);
        let error = error.error();
        assert_eq!(error["code"], "collection.exists", "{error}");
        assert!(text(&error["message"]).contains(called), "{error}");
        let way = format!("`sm collection rename {called} mine`");
        assert!(text(&error["hints"][0]).contains(&way), "{error}");
        assert_eq!(names(&sandbox), ["default", "team"]);
        let _same = init_in(&sandbox, folder, &["--name", called]).ok();
    }
}

#[test]
fn what_is_no_collection_is_not_imported() {
    let sandbox = Sandbox::initialised();
    let empty = sandbox.path("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let own = sandbox.home().collection("default");
    let inner = own.join("skills");
    write(inner.join("collection.toml"), "[collection]\n");
    for (source, code) in [
        (empty.to_str().unwrap(), 3),
        (own.to_str().unwrap(), 4),
        (inner.to_str().unwrap(), 2),
        ("nowhere", 3),
        ("ext::sh -c 'touch x'", 3),
    ] {
        sandbox.fails(&["collection", "import", source, "--name", "x"], code);
    }
    assert_eq!(names(&sandbox), ["default"]);
}

#[test]
fn an_export_can_be_imported() {
    let sandbox = Sandbox::initialised();
    let folder = shared(&sandbox);
    std::os::unix::fs::symlink("SKILL.md", folder.join("skills/one/link.md")).unwrap();
    sandbox.json(&["collection", "import", folder.to_str().unwrap()]);
    let archive = sandbox.path("team.tar.gz");
    let file = archive.to_str().unwrap();
    let done = sandbox.json(&["collection", "export", "team", file]);
    assert_eq!(
        (&done["collection"], &done["files"]),
        (&json!("team"), &json!(4)),
        "{done}"
    );
    sandbox.fails(&["collection", "export", "team", file], 4);
    sandbox.json(&["collection", "export", "team", file, "--force"]);
    sandbox.fails(&["collection", "export", "none", file, "--force"], 3);
    sandbox.json(&["collection", "import", file, "--name", "back"]);
    is_whole(&sandbox, "back");
    let inside = sandbox.collection("team", "inside.tar.gz");
    sandbox.fails(
        &["collection", "export", "team", inside.to_str().unwrap()],
        2,
    );
}

#[test]
fn collections_are_renamed_and_deleted() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "Good");
    sandbox.json(&["add", source.to_str().unwrap()]);
    sandbox.json(&["group", "create", "G", "one"]);
    sandbox.json(&["collection", "create", "work"]);
    sandbox.fails(&["collection", "rename", "default", "work"], 4);
    sandbox.fails(&["collection", "rename", "default", "../x"], 2);
    sandbox.fails(&["collection", "rename", "none", "x"], 3);
    sandbox.json(&["collection", "rename", "default", "main"]);
    assert_eq!(names(&sandbox), ["main", "work"]);
    let listed = sandbox.json(&["list"]);
    assert_eq!(
        (&listed["collections"], &listed["total"]),
        (&json!(["main"]), &json!(1))
    );
    let manifest = std::fs::read_to_string(sandbox.collection("main", "collection.toml")).unwrap();
    assert!(manifest.contains("name = \"main\"") && !sandbox.collection("default", "").exists());
    assert_eq!(sandbox.json(&["group", "list"])["total"], 1);
    sandbox.json(&["undo"]);
    assert_eq!(names(&sandbox), ["default", "work"]);
    assert_eq!(sandbox.json(&["list"])["collections"], json!(["default"]));
    sandbox.fails(&["collection", "delete", "default", "--yes"], 2);
    sandbox.fails(&["collection", "delete", "work"], 2);
    let dry = sandbox.json(&["collection", "delete", "work", "--dry-run"]);
    assert_eq!(dry["items"][0]["result"], "would-delete");
    sandbox.json(&["collection", "use", "work"]);
    // Again and again: what the watcher asks for meanwhile must not bring back what is deleted.
    for _ in 0..8 {
        sandbox.json(&["collection", "delete", "default", "--yes"]);
        assert_eq!(names(&sandbox), ["work"]);
        sandbox.json(&["undo"]);
        assert_eq!(names(&sandbox), ["default", "work"]);
    }
    until_true("the artifact again", || {
        sandbox.json(&["list", "-c", "default"])["total"] == 1
    });
}

#[test]
fn what_is_wrong_in_a_collection_is_told() {
    let sandbox = Sandbox::initialised();
    let fine = sandbox.json(&["collection", "validate"]);
    assert_eq!(
        (&fine["valid"], &fine["findings"]),
        (&json!(true), &json!([]))
    );
    let path = sandbox.collection("default", "collection.toml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("artifacts = []\n", "");
    let more = "[[artifacts]]\nname = \"gone\"\ntype = \"skill\"\npath = \"skills/gone\"\norigin = \"local\"\n\
                [[groups]]\nname = \"G\"\nmembers = [\"ghost\"]\n";
    write(&path, text + more);
    skill(&sandbox.collection("default", "skills"), "stray", "Stray");
    let codes = |report: &Value| -> Vec<String> {
        let all = report["findings"].as_array().unwrap().iter();
        let mut codes: Vec<String> = all.map(|one| self::text(&one["code"])).collect();
        codes.sort();
        codes
    };
    until_true("the findings", || {
        let report = sandbox.run(&["collection", "validate", "--json"]);
        codes(&report.json())
            == [
                "artifact.missing",
                "artifact.unmanaged",
                "group.unknown_member",
            ]
    });
    let told = sandbox.run(&["collection", "validate"]).exits(9);
    assert!(
        told.stdout.contains("`ghost`") && told.stderr.contains("1 error, 2 warnings"),
        "{told:?}"
    );
}

#[test]
fn what_is_neither_a_folder_nor_an_archive_is_not_imported() {
    let sandbox = Sandbox::initialised();
    let file = sandbox.path("notes.txt");
    write(&file, "text");
    for path in ["/dev/null", file.to_str().unwrap()] {
        for more in [&[][..], &["--copy"]] {
            let error = sandbox.fails(&[&["collection", "import", path], more].concat(), 2);
            assert_eq!(error["code"], "usage.invalid_argument", "{error}");
            let said = format!("`{path}` is neither a folder nor an archive");
            assert_eq!(error["message"], said, "{error}");
        }
    }
}
