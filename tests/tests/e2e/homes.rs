//! Homes that the ancestor left are read as they are.

use serde_json::{Value, json};
use skillmeat_tests::home::{codes, copy, fixture, rename, skill, text, write};
use skillmeat_tests::{Sandbox, daemon, until, wait};

/// The part of a JSON array whose `key` has this value.
fn find<'a>(all: &'a Value, key: &str, value: &str) -> &'a Value {
    all.as_array()
        .unwrap()
        .iter()
        .find(|one| one[key] == value)
        .unwrap_or_else(|| panic!("no {key} = {value} in {all:#}"))
}

#[test]
fn the_home_of_the_ancestor_is_read_with_its_damage() {
    let sandbox = Sandbox::from_fixture("git");
    let status = sandbox.ready();
    assert_eq!(status["default_collection"], "default");
    let by_status = &status["by_status"];
    for (name, count) in [
        ("managed", 4),
        ("missing", 1),
        ("unmanaged", 1),
        ("declared", 1),
    ] {
        assert_eq!(find(by_status, "name", name)["count"], count, "{name}");
    }
    assert_eq!(status["artifacts"], 7);
    assert_eq!(
        sandbox.ids(),
        [
            "agent:code-reviewer",
            "agent:db-admin",
            "command:plain",
            "command:review",
            "mcp:filesystem",
            "skill:doc-writer",
            "skill:pdf-tools",
        ]
    );
    let list = sandbox.json(&["list"]);
    assert_eq!(list["total"], 7);
    assert_eq!(list["collections"], json!(["default"]));
    assert_eq!(list["complete"], true);
    for (id, status) in [
        ("command:plain", "unmanaged"),
        ("agent:db-admin", "missing"),
        ("mcp:filesystem", "declared"),
        ("skill:pdf-tools", "managed"),
    ] {
        assert_eq!(find(&list["artifacts"], "id", id)["status"], status, "{id}");
    }
    let work = sandbox.json(&["list", "-c", "work"]);
    assert_eq!(work["total"], 0);
    let collections = sandbox.json(&["collection", "list"]);
    assert_eq!(collections["total"], 2);
    assert_eq!(
        find(&collections["collections"], "name", "work")["state"],
        "ok"
    );
}

#[test]
fn hashes_agree_with_the_lock() {
    let sandbox = Sandbox::from_fixture("git");
    sandbox.ready();
    for (id, hash) in [
        (
            "skill:pdf-tools",
            "be78a0e3d3753a99c9304392852a03b815ed9493880dec6227874610b91b84c6",
        ),
        (
            "skill:doc-writer",
            "f5251883df39c000bb3ea8624cf200cec6f2cb63bed6a6675d22fcc18649f093",
        ),
        (
            "command:review",
            "f9e566a2dfe79a867920e09e1450dbb887c1a56cd6aa789b6ba85f65a6727601",
        ),
        (
            "agent:code-reviewer",
            "5b30779d5a24499bc0702c2252770917923ada0ea6ab073d7d8b29bc3736df6a",
        ),
    ] {
        let shown = sandbox.show(id);
        assert_eq!(shown["content_hash"], hash, "{id}");
        assert_eq!(shown["lock"]["content_hash"], hash, "{id}");
        assert_eq!(shown["modified"], false, "{id}");
    }
    let missing = sandbox.show("db-admin");
    assert_eq!(missing["content_hash"], Value::Null);
    assert_eq!(missing["modified"], Value::Null);
    assert_eq!(missing["files"], json!([]));
}

#[test]
fn everything_known_of_an_artifact_is_shown() {
    let sandbox = Sandbox::from_fixture("git");
    sandbox.ready();
    let shown = sandbox.show("pdf-tools");
    assert_eq!(shown["id"], "skill:pdf-tools");
    assert_eq!(shown["title"], "PDF Tools");
    assert_eq!(
        shown["description"],
        "Extract text and tables from PDF documents and fill in forms."
    );
    assert_eq!(shown["author"], "Ada Example");
    assert_eq!(shown["license"], "MIT");
    assert_eq!(shown["version"], "1.2.0");
    assert_eq!(shown["tags"], json!(["pdf", "documents", "extraction"]));
    assert_eq!(shown["tools"], json!(["Read", "Write", "Bash"]));
    assert_eq!(shown["dependencies"], json!(["pypdf"]));
    assert_eq!(shown["origin"], "local");
    assert_eq!(shown["parse_status"], "strict");
    assert_eq!(shown["frontmatter"]["effort"], "medium");
    assert_eq!(shown["manifest"]["added"], "2026-11-20T15:52:21.711987");
    assert_eq!(shown["file_count"], 3);
    let paths: Vec<_> = shown["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| text(&file["path"]))
        .collect();
    assert_eq!(
        paths,
        ["SKILL.md", "references/forms.md", "scripts/extract.sh"]
    );
    let sizes: u64 = shown["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["size"].as_u64().unwrap())
        .sum();
    assert_eq!(shown["size"], sizes);
    assert_eq!(
        shown["absolute_path"],
        sandbox
            .collection("default", "skills/pdf-tools")
            .display()
            .to_string()
    );
    // Patterns stay as they are written; known tools are named.
    let review = sandbox.show("review");
    assert_eq!(review["tool_patterns"], json!(["Bash(git diff:*)", "Read"]));
    assert!(review["tools"].as_array().unwrap().contains(&json!("Read")));
    // A person sees the same.
    let seen = sandbox.run(&["show", "pdf-tools"]).ok().stdout;
    for word in ["pdf-tools", "Ada Example", "scripts/extract.sh", "pypdf"] {
        assert!(seen.contains(word), "{word} is not in\n{seen}");
    }
}

#[test]
fn where_manifest_and_files_differ_show_says_so() {
    let sandbox = Sandbox::from_fixture("git");
    let file = sandbox.collection("default", "skills/pdf-tools/SKILL.md");
    let old = std::fs::read_to_string(&file).unwrap();
    write(&file, old.replace("Ada Example", "Charles Sample"));
    sandbox.ready();
    let shown = sandbox.show("pdf-tools");
    assert_eq!(shown["author"], "Charles Sample");
    assert_eq!(shown["modified"], true);
    assert_eq!(
        shown["differences"],
        json!([{"field": "author", "in_files": "Charles Sample", "in_manifest": "Ada Example"}])
    );
    let seen = sandbox.run(&["show", "pdf-tools"]).ok().stdout;
    assert!(seen.contains("Ada Example") && seen.contains("Charles Sample"));
}

#[test]
fn what_only_the_manifest_says_is_not_said_to_be_in_the_files() {
    let sandbox = Sandbox::initialised();
    let manifest = sandbox.collection("default", "collection.toml");
    let head = std::fs::read_to_string(&manifest).unwrap();
    let entry = "[[artifacts]]\nname = \"odd\"\ntype = \"skill\"\npath = \"skills/odd\"\norigin = \"local\"\n\
                 added = \"2026-11-20T15:47:33.275064\"\ntags = [\"manifest-tag\", \"b\"]\n\n[artifacts.metadata]\n\
                 author = \"Ada\"\nversion = \"1.10\"\ntools = [\"Read\", \"Bash\"]\ndependencies = [\"pypdf\"]\n";
    write(
        &manifest,
        head.replace("artifacts = []\n\n", "") + "\n" + entry,
    );
    write(
        sandbox.collection("default", "skills/odd/SKILL.md"),
        "---\nname: odd\ndescription: Odd\nversion: 1.10\nlicense: MIT\ntags: [b, file-tag]\n\
         tools: Bash, Read\n---\nText\n",
    );
    let shown = sandbox.shows("odd", "the entry", |shown| shown["author"] == "Ada");
    assert_eq!(
        shown["differences"],
        json!([
            {"field": "author", "in_files": null, "in_manifest": "Ada"},
            {"field": "tags", "in_files": "b, file-tag", "in_manifest": "manifest-tag, b"},
            {"field": "dependencies", "in_files": null, "in_manifest": "pypdf"},
        ])
    );
    assert_eq!(shown["tags"], json!(["manifest-tag", "b", "file-tag"]));
}

#[test]
fn reading_changes_no_file() {
    let sandbox = Sandbox::from_fixture("git");
    sandbox.ready();
    for args in [
        &["list"][..],
        &["show", "pdf-tools"],
        &["search", "pdf"],
        &["cache", "refresh", "--force"],
    ] {
        drop(sandbox.run(args).ok());
    }
    for path in [
        "collections/default/collection.toml",
        "collections/default/collection.lock",
        "collections/work/collection.toml",
        "config.toml",
    ] {
        let now = std::fs::read(sandbox.home().root().join(path)).unwrap();
        assert_eq!(now, std::fs::read(fixture("homes/git").join(path)).unwrap());
    }
}

#[test]
fn origins_on_github_and_in_the_marketplace_are_known() {
    let sandbox = Sandbox::from_fixture("git");
    let place = sandbox.collection("synthetic", "");
    copy(&fixture("homes/synthetic"), &place);
    write(
        place.join("skills/canvas/SKILL.md"),
        "---\nname: canvas\ndescription: Draw\n---\n",
    );
    sandbox.ready();
    let shown = sandbox.json(&["show", "canvas", "-c", "synthetic"]);
    assert_eq!(shown["origin"], "github");
    assert_eq!(shown["version_spec"], "v2.1.0");
    assert_eq!(shown["resolved_version"], "v2.1.0");
    assert_eq!(shown["resolved_sha"], "a".repeat(40));
    assert!(text(&shown["source"]).starts_with("https://github.com/anthropics/skills/"));
    assert_eq!(shown["groups"], json!(["Design"]));
    assert_eq!(
        shown["memberships"],
        json!([{"name": "Design", "position": 0}])
    );
    assert_eq!(shown["modified"], true);
    let other = sandbox.json(&["show", "api-testing", "-c", "synthetic"]);
    assert_eq!(other["status"], "missing");
    assert_eq!(other["origin"], "marketplace");
    assert_eq!(other["origin_source"], "github");
    let github = sandbox.json(&["list", "-c", "synthetic", "--origin", "github"]);
    assert_eq!(github["total"], 1);
    let group = sandbox.json(&["list", "-c", "synthetic", "--group", "Design"]);
    assert_eq!(group["artifacts"][0]["id"], "skill:canvas");
    let collection = sandbox.json(&["collection", "show", "synthetic"]);
    assert_eq!(collection["tag_definitions"][0]["color"], "#F59E0B");
    assert_eq!(collection["groups"][0]["icon"], "layers");
}

#[test]
fn the_documented_header_and_everything_unknown_are_read_and_kept() {
    let sandbox = Sandbox::new();
    copy(
        &fixture("homes/documented"),
        &sandbox.collection("documented", ""),
    );
    drop(
        sandbox
            .run(&["config", "set", "settings.default-collection", "documented"])
            .ok(),
    );
    sandbox.ready();
    let collection = sandbox.json(&["collection", "show"]);
    assert_eq!(collection["name"], "documented");
    assert_eq!(collection["version"], "1.0.0");
    assert_eq!(collection["state"], "ok");
    let unknown = collection["unknown_keys"].to_string();
    assert!(
        unknown.contains("curator") && unknown.contains("house"),
        "{unknown}"
    );
    let group = &collection["groups"][0];
    assert_eq!(group["name"], "Daily");
    assert_eq!(group["color"], "amber");
    assert_eq!(
        group["members"],
        json!([
            {"member": "command:commit", "id": "command:commit"},
            {"member": "jwt-auth", "id": "skill:jwt-auth"},
            {"member": "skill:gone", "id": null},
        ])
    );
    let jwt = sandbox.show("jwt-auth");
    assert_eq!(jwt["aliases"], json!(["jwt", "tokens"]));
    assert_eq!(jwt["scope"], "user");
    assert_eq!(
        jwt["memberships"],
        json!([{"name": "Daily", "position": 1}])
    );
    assert_eq!(jwt["tags"], json!(["auth"]));
    let members = sandbox.json(&["list", "--group", "Daily"]);
    assert_eq!(members["total"], 2);
    // A kind that no program knows is shown like any other.
    let odd = sandbox.show("night-owl");
    assert_eq!(odd["type"], "colour_scheme");
    assert_eq!(odd["status"], "missing");
    assert_eq!(sandbox.show("filesystem")["status"], "declared");
    let hit = sandbox.json(&["search", "tokens"]);
    assert_eq!(hit["hits"][0]["artifact"]["id"], "skill:jwt-auth");
    assert_eq!(hit["hits"][0]["matched"], "alias");
    // Adding keeps the header, the comments and the unknown keys.
    let source = skillmeat_tests::home::skill(&sandbox.path("src"), "fresh", "A new one");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let manifest =
        std::fs::read_to_string(sandbox.collection("documented", "collection.toml")).unwrap();
    for kept in [
        "# Written by hand",
        "[tool.skillmeat]",
        "curator = \"Ada\"            # no program knows this key",
        "[house]",
        "name = \"fresh\"",
    ] {
        assert!(manifest.contains(kept), "{kept} is not in\n{manifest}");
    }
    assert!(codes(&sandbox.show("fresh")["problems"]).is_empty());
}

/// A home with two skills whose manifest nobody has touched for a while.
fn settled() -> Sandbox {
    let sandbox = Sandbox::with_two();
    for _ in 0..2 {
        sandbox.stop();
        sandbox.ready();
    }
    sandbox
}

#[test]
fn a_home_that_was_moved_is_served_and_changed_where_it_is() {
    let mut sandbox = settled();
    sandbox.stop();
    let (old, new) = (sandbox.home().root().to_owned(), sandbox.path("new"));
    rename(&old, &new);
    // Another home, with the same artifacts, lies in its place by now.
    copy(&new, &old);
    sandbox.set("SKILLMEAT_HOME", new.to_str().unwrap());
    // Also before anything was compared.
    drop(sandbox.run(&["remove", "one", "--yes"]).ok());
    drop(sandbox.run(&["rate", "two", "3"]).ok());
    let place = new.join("collections/default");
    assert!(!place.join("skills/one").exists());
    assert!(old.join("collections/default/skills/one").exists());
    sandbox.ready();
    let collections = sandbox.json(&["collection", "list"]);
    let listed = find(&collections["collections"], "name", "default");
    assert_eq!(text(&listed["path"]), place.to_str().unwrap());
    assert_eq!(sandbox.show("two")["rating"], 3);
    drop(sandbox.run(&["snapshot", "there"]).ok());
    drop(sandbox.run(&["undo", "--json"]).ok());
    drop(sandbox.run(&["daemon", "stop"]).ok());
    wait::until_true("the end of the daemon", || {
        daemon::processes(&new).is_empty()
    });
}

#[test]
fn a_collection_outside_that_was_moved_is_changed_where_it_is() {
    let sandbox = settled();
    let place = |folder: &str| sandbox.path(folder).join("shared");
    skill(&place("old").join("skills"), "far", "Away");
    write(
        place("old").join("collection.toml"),
        "[collection]\nname = \"shared\"\n",
    );
    let name = |folder: &str| {
        let path = place(folder);
        drop(
            sandbox
                .run(&["config", "set", "collection.path", path.to_str().unwrap()])
                .ok(),
        );
        until("a collection that is served", || {
            let collections = sandbox.json(&["collection", "list"]);
            let all = collections["collections"].as_array().unwrap();
            all.iter()
                .find(|one| text(&one["path"]) == path.to_str().unwrap())?;
            (sandbox.ready()["artifacts"] == 3).then_some(())
        });
    };
    name("old");
    sandbox.stop();
    sandbox.ready();
    std::fs::create_dir(sandbox.path("new")).unwrap();
    rename(place("old"), place("new"));
    name("new");
    drop(
        sandbox
            .run(&["set", "far", "author=Me", "-c", "shared"])
            .ok(),
    );
    let text = std::fs::read_to_string(place("new").join("skills/far/SKILL.md")).unwrap();
    assert!(text.contains("author: Me"), "{text}");
}
