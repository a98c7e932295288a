//! `sm init` and `sm collection`.

use std::path::Path;

use serde_json::json;
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::{Sandbox, until};

#[test]
fn init_sets_up_a_home_and_twice_is_harmless() {
    let sandbox = Sandbox::new();
    let first = sandbox.json(&["init"]);
    assert_eq!(first["home"], sandbox.home().root().to_str().unwrap());
    assert_eq!(first["collection"], "default");
    assert_eq!(first["created_collection"], true);
    assert_eq!(first["created_config"], true);
    assert!(sandbox.collection("default", "collection.toml").is_file());
    assert!(sandbox.home().config().is_file());
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    write(
        sandbox.home().config(),
        "# mine\n[settings]\ndefault-collection = \"default\"\n",
    );
    let manifest = std::fs::read(sandbox.collection("default", "collection.toml")).unwrap();
    let again = sandbox.json(&["init"]);
    assert_eq!(again["created_collection"], false);
    assert_eq!(again["created_config"], false);
    assert_eq!(again["artifacts"], 1);
    assert_eq!(
        std::fs::read(sandbox.collection("default", "collection.toml")).unwrap(),
        manifest
    );
    assert!(
        std::fs::read_to_string(sandbox.home().config())
            .unwrap()
            .starts_with("# mine\n")
    );
    assert_eq!(sandbox.ready()["warnings"], json!([]));
}

#[test]
fn one_collection_is_named_in_the_same_way_everywhere() {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    for name in ["one", "two"] {
        let source = skill(&sandbox.path("src"), name, "One");
        let source = source.to_str().unwrap();
        drop(sandbox.run(&["add", source, "-c", "work"]).ok());
    }
    let shown = sandbox.json(&["collection", "show", "-c", "work"]);
    assert_eq!(
        (text(&shown["name"]), &shown["artifacts"]),
        ("work".to_owned(), &json!(2))
    );
    // Whatever the manifest says, scripts get one spelling.
    let created = text(&shown["created"]);
    assert!(created.ends_with('Z') && created.len() == 24, "{created}");
    assert_eq!(
        sandbox.json(&["collection", "validate", "-c", "work"])["collection"],
        "work"
    );
    let status = sandbox.json(&["status", "-c", "work"]);
    assert_eq!(status["artifacts"], 2);
    assert_eq!(
        status["by_status"],
        json!([{"name": "managed", "count": 2}])
    );
    let named = |list: &str| {
        status[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| text(&one["path"]))
            .collect::<Vec<_>>()
    };
    let path = sandbox.collection("work", "").display().to_string();
    assert_eq!(named("collections"), [path.trim_end_matches('/')]);
    assert!(
        named("roots")
            .iter()
            .all(|root| root.starts_with(path.trim_end_matches('/'))),
        "{status}"
    );
    let error = sandbox.fails(&["status", "-c", "wrok"], 3);
    assert!(error["hints"].to_string().contains("`work`"), "{error}");
    drop(
        sandbox
            .run(&["collection", "show", "work", "-c", "work"])
            .exits(2),
    );
    let manifest = std::fs::read_to_string(sandbox.collection("work", "collection.toml")).unwrap();
    assert!(manifest.starts_with("[collection]\n"), "{manifest}");
    // A failed item has no id that it could be called by.
    let done = sandbox
        .run(&["add", "/nonexistent", "/neither", "--json"])
        .exits(9)
        .json();
    assert!(done["items"][0]["id"].is_null(), "{done}");
}

#[test]
fn a_folder_becomes_a_collection_when_it_gets_its_manifest() {
    let sandbox = Sandbox::initialised();
    sandbox.stop();
    let manifest = |name: &str| sandbox.collection(name, "collection.toml");
    let text = "[collection]\nname = \"x\"\nversion = \"1.0.0\"\n";
    let appears = |name: &str| {
        until("a collection that has its manifest", || {
            let all = sandbox.json(&["collection", "list"]);
            let all = all["collections"].as_array().unwrap();
            all.iter().any(|one| one["name"] == name).then_some(())
        });
    };
    // One folder is there before the daemon starts, another one is made while it watches.
    skill(&sandbox.collection("early", "skills"), "one", "One");
    sandbox.ready();
    skill(&sandbox.collection("late", "skills"), "two", "Two");
    write(manifest("marker"), text);
    appears("marker");
    for name in ["early", "late"] {
        write(manifest(name), text);
        appears(name);
    }
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
    // One that was forgotten comes back in the same way.
    std::fs::remove_file(manifest("late")).unwrap();
    drop(sandbox.run(&["cache", "clear"]).ok());
    assert_eq!(sandbox.ids(), ["skill:one"]);
    write(manifest("late"), text);
    appears("late");
}

#[test]
fn init_with_a_name_makes_that_the_default() {
    let sandbox = Sandbox::new();
    let first = sandbox.json(&["init", "--name", "work"]);
    assert_eq!(first["collection"], "work");
    let source = skill(&sandbox.path("src"), "one", "One");
    let added = sandbox.json(&["add", source.to_str().unwrap()]);
    assert_eq!(added["collection"], "work");
    assert_eq!(sandbox.json(&["list"])["collections"], json!(["work"]));
    let error = sandbox.fails(&["init", "--name", "../evil"], 2);
    assert_eq!(error["code"], "usage.invalid_name");
}

#[test]
fn init_makes_the_collection_that_the_config_names() {
    let sandbox = Sandbox::new();
    let config = "[settings]\ndefault-collection = \"work\"\n";
    write(sandbox.home().config(), config);
    assert_eq!(sandbox.json(&["init"])["collection"], "work");
    let source = skill(&sandbox.path("src"), "one", "One");
    let added = sandbox.json(&["add", source.to_str().unwrap()]);
    assert_eq!(added["collection"], "work");
}

#[test]
fn what_init_writes_the_ancestor_reads() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let manifest =
        std::fs::read_to_string(sandbox.collection("default", "collection.toml")).unwrap();
    for required in [
        "[collection]",
        "name = \"default\"",
        "version = \"1.0.0\"",
        "created = \"",
        "updated = \"",
        "[[artifacts]]",
        "type = \"skill\"",
        "path = \"skills/one\"",
        "origin = \"local\"",
        "added = \"",
    ] {
        assert!(manifest.contains(required), "{required}: {manifest}");
    }
    let lock = std::fs::read_to_string(sandbox.collection("default", "collection.lock")).unwrap();
    for required in [
        "[lock]",
        "[lock.entries.\"one::skill\"]",
        "content_hash = \"",
        "fetched = \"",
    ] {
        assert!(lock.contains(required), "{required}: {lock}");
    }
}

#[test]
fn create_list_show_use() {
    let sandbox = Sandbox::initialised();
    let made = sandbox.json(&["collection", "create", "work"]);
    assert_eq!(made["name"], "work");
    assert_eq!(made["state"], "ok");
    assert!(sandbox.collection("work", "collection.toml").is_file());
    let error = sandbox.fails(&["collection", "create", "work"], 4);
    assert_eq!(error["code"], "collection.exists");
    for bad in ["../evil", "a/b", "", ".x", "a\nb"] {
        let error = sandbox.fails(&["collection", "create", bad], 2);
        assert_eq!(error["code"], "usage.invalid_name", "{bad:?}");
    }
    // What is named instead is what may have been meant.
    for (asked, hint) in [
        ("wrok", "did you mean `work`?"),
        ("nope", "sm collection list"),
    ] {
        let error = sandbox.fails(&["list", "-c", asked], 3);
        assert!(error["hints"].to_string().contains(hint), "{error}");
    }
    let list = sandbox.json(&["collection", "list"]);
    let names: Vec<String> = list["collections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["name"]))
        .collect();
    assert_eq!(names, ["default", "work"]);
    assert_eq!(list["collections"][0]["is_default"], true);

    let used = sandbox.json(&["collection", "use", "work"]);
    assert_eq!(used, json!({"name": "work", "before": "default"}));
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let shown = sandbox.json(&["collection", "show"]);
    assert_eq!(shown["name"], "work");
    assert_eq!(shown["artifacts"], 1);
    assert_eq!(shown["by_type"], json!([{"name": "skill", "count": 1}]));
    assert_eq!(
        sandbox.json(&["config", "get", "settings.default-collection"])["value"],
        "work"
    );
    let error = sandbox.fails(&["collection", "use", "nowhere"], 3);
    assert_eq!(error["code"], "collection.not_found");
    let error = sandbox.fails(&["collection", "show", "wrk"], 3);
    assert!(error["hints"].to_string().contains("work"), "{error}");
    let seen = sandbox.run(&["collection", "list"]).ok().stdout;
    assert!(seen.contains("default") && seen.contains("work"), "{seen}");
}

#[test]
fn a_folder_without_a_manifest_is_no_collection_and_one_that_loses_it_stays() {
    let sandbox = Sandbox::initialised();
    skill(&sandbox.collection("bare", "skills"), "stray", "Bare");
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let manifest = sandbox.collection("default", "collection.toml");
    let content = std::fs::read(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    let state = |wanted: &str| {
        sandbox.status_until(wanted, |status| {
            let is_warned = status["warnings"] != json!([]);
            status["collections"][0]["state"] == wanted && is_warned == (wanted != "ok")
        })
    };
    let status = state("no-manifest");
    assert!(text(&status["warnings"][0]["message"]).contains("collection.toml"));
    assert_eq!(sandbox.show("one")["status"], "managed");
    assert_eq!(sandbox.ids(), ["skill:one"]);
    // A new one would forget all that it said.
    let other = skill(&sandbox.path("src"), "two", "Two");
    for change in [
        &["add", other.to_str().unwrap()][..],
        &["group", "create", "G"],
    ] {
        let error = sandbox.fails(change, 4);
        assert_eq!(error["code"], "manifest.invalid", "{error}");
        assert!(!manifest.exists());
    }
    write(&manifest, content);
    assert_eq!(state("ok")["warnings"], json!([]));
    drop(sandbox.run(&["add", other.to_str().unwrap()]).ok());
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
    assert_eq!(sandbox.json(&["collection", "list"])["total"], 1);
}

#[test]
fn a_home_without_anything_answers() {
    let sandbox = Sandbox::new();
    let status = sandbox.ready();
    assert_eq!(status["artifacts"], 0);
    assert_eq!(sandbox.json(&["collection", "list"])["total"], 0);
    let error = sandbox.fails(&["show", "anything"], 3);
    assert_eq!(error["code"], "artifact.not_found");
    assert_eq!(sandbox.json(&["search", "anything"])["hits"], json!([]));
    // Listing tells what to do first.
    let listed = sandbox.run(&["list"]);
    let said = format!("{}{}", listed.stdout, listed.stderr);
    assert!(
        said.contains("sm init") || said.contains("sm add"),
        "{said}"
    );
}

#[test]
fn snapshots_follow_a_collection_that_is_renamed() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "As it was");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let ours = text(&sandbox.json(&["snapshot", "ours"])["snapshot"]["id"]);
    // One that the ancestor made, too.
    let theirs = "20200102-030405-000006";
    let folder = sandbox.home().root().join("snapshots/default");
    std::fs::create_dir_all(&folder).unwrap();
    let archive = folder.join(format!("{theirs}.tar.gz"));
    sandbox.json(&["snapshot", "export", &ours, archive.to_str().unwrap()]);
    write(
        folder.join("snapshots.toml"),
        format!(
            "[[snapshots]]\nid = \"{theirs}\"\ntimestamp = \"2020-01-02T03:04:05.000006\"\nmessage = \"theirs\"\n\
             artifact_count = 1\ntarball_path = \"{}\"\n",
            archive.display()
        ),
    );
    let ids = |collection: &str| -> Vec<String> {
        let listed = sandbox.json(&["snapshot", "list", "-c", collection]);
        let all = listed["snapshots"].as_array().unwrap();
        all.iter().map(|one| text(&one["id"])).collect()
    };
    assert_eq!(ids("default"), [ours.as_str(), theirs]);
    let before = std::fs::read(sandbox.collection("default", "skills/one/SKILL.md")).unwrap();
    sandbox.json(&["collection", "rename", "default", "mine"]);
    assert_eq!(ids("mine"), [ours.as_str(), theirs]);
    assert!(!folder.exists());
    for id in [ours.as_str(), theirs] {
        let file = sandbox.collection("mine", "skills/one/SKILL.md");
        write(&file, "---\nname: one\n---\nOther\n");
        sandbox.json(&["rollback", id, "--yes", "-c", "mine"]);
        assert_eq!(std::fs::read(&file).unwrap(), before, "{id}");
    }
    sandbox.json(&["snapshot", "delete", &ours, "-c", "mine", "--yes"]);
    assert!(!ids("mine").contains(&ours));
}

#[test]
fn undoing_a_renaming_brings_the_snapshots_back() {
    let sandbox = Sandbox::initialised();
    let id = text(&sandbox.json(&["snapshot", "ours"])["snapshot"]["id"]);
    sandbox.json(&["collection", "rename", "default", "mine"]);
    sandbox.json(&["undo"]);
    let listed = sandbox.json(&["snapshot", "list"]);
    assert_eq!(listed["snapshots"][0]["id"], id.as_str());
    sandbox.json(&["redo"]);
    let listed = sandbox.json(&["snapshot", "list", "-c", "mine"]);
    assert_eq!(listed["snapshots"][0]["id"], id.as_str());
}

#[test]
fn what_was_exported_can_be_imported() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let at = |path: &str| sandbox.collection("default", &format!("skills/one/{path}"));
    write(sandbox.path("elsewhere/secret"), "mine");
    std::fs::create_dir(at("deep")).unwrap();
    for (link, target) in [
        ("inside", "SKILL.md".to_owned()),
        ("deep/up", "../SKILL.md".to_owned()),
        ("dangling", "nothing/there".to_owned()),
        ("out", sandbox.path("elsewhere").display().to_string()),
        ("deep/out", "../../../../../../elsewhere".to_owned()),
        ("through", "out/secret".to_owned()),
    ] {
        std::os::unix::fs::symlink(target, at(link)).unwrap();
    }
    let archive = sandbox.path("all.tar.gz");
    let done = sandbox.json(&["collection", "export", "default", archive.to_str().unwrap()]);
    let left_out = [
        "skills/one/deep/out",
        "skills/one/out",
        "skills/one/through",
    ];
    assert_eq!(done["left_out"], json!(left_out), "{done}");
    sandbox.json(&[
        "collection",
        "import",
        archive.to_str().unwrap(),
        "--name",
        "again",
    ]);
    let copied = |path: &str| {
        let path = sandbox.collection("again", &format!("skills/one/{path}"));
        std::fs::read(path).ok()
    };
    let own = copied("SKILL.md");
    assert!(own.is_some());
    for (path, target) in [("inside", "SKILL.md"), ("deep/up", "../SKILL.md")] {
        let path = sandbox.collection("again", &format!("skills/one/{path}"));
        assert_eq!(std::fs::read_link(path).unwrap(), Path::new(target));
    }
    for (path, is_there) in [
        ("inside", true),
        ("deep/up", true),
        ("out", false),
        ("deep/out", false),
        ("through", false),
    ] {
        assert_eq!(copied(path), own.clone().filter(|_| is_there), "{path}");
    }
}

#[test]
fn what_would_be_created_or_used_is_told_and_not_done() {
    let sandbox = Sandbox::initialised();
    let names = || -> Vec<(String, bool)> {
        let list = sandbox.json(&["collection", "list"]);
        let all = list["collections"].as_array().unwrap().iter();
        all.map(|one| (text(&one["name"]), one["is_default"] == true))
            .collect()
    };
    let would = |verb: &str, name: &str| {
        let done = sandbox.json(&["collection", verb, name, "--dry-run"]);
        assert_eq!(done["dry_run"], true, "{done:#}");
        assert!(done["operation"].is_null(), "{done:#}");
        text(&done["items"][0]["result"])
    };
    let before = names();
    assert_eq!(would("create", "work"), "would-create");
    assert_eq!(names(), before);
    assert!(!sandbox.collection("work", "").exists());
    sandbox.json(&["collection", "create", "work"]);
    let before = names();
    assert_eq!(would("use", "work"), "would-change");
    assert_eq!(would("use", "default"), "unchanged");
    assert_eq!(names(), before);
    for (args, code) in [
        (["create", "work"], 4),
        (["create", "../x"], 2),
        (["use", "nobody"], 3),
    ] {
        sandbox.fails(&[&["collection"], &args[..], &["--dry-run"]].concat(), code);
    }
}
