//! Links in collections, and collections behind links: what changes at their other end is seen.

use std::os::unix::fs::symlink;
use std::path::Path;

use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{rename, skill, write};
use skillmeat_tests::wait::until;

/// Lets a link lead elsewhere, in one step.
fn retarget(link: &Path, to: &Path) {
    let new = link.with_file_name(".new~");
    symlink(to, &new).unwrap();
    rename(&new, link);
}

fn described(sandbox: &Sandbox, name: &str, as_what: &str) {
    sandbox.shows(name, &format!("`{name}` {as_what}"), |shown| {
        shown["description"] == as_what
    });
}

fn markdown(path: &Path, description: &str) {
    write(path, format!("---\ndescription: {description}\n---\n"));
}

/// A home whose daemon looks after itself every second.
fn watchful() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(crate::BACKEND, "[daemon]\nself_check = \"1s\"\n");
    drop(sandbox.run(&["init"]).ok());
    sandbox
}

#[test]
fn what_changes_behind_a_link_in_the_collection_is_seen() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    let at = |path: &str| sandbox.collection("default", path);
    let (kept, plain) = (at("store/kept"), at("skills/plain"));
    let write_all = |what: &str| {
        skill(kept.parent().unwrap(), "kept", what);
        skill(plain.parent().unwrap(), "plain", what);
        markdown(&at("store/one.md"), what);
        markdown(&at("others/two.md"), what);
    };
    write_all("Before");
    symlink("../store/kept", at("skills/linked")).unwrap();
    symlink("plain", at("skills/second")).unwrap();
    std::fs::create_dir_all(at("commands")).unwrap();
    symlink("../store/one.md", at("commands/one.md")).unwrap();
    std::fs::remove_dir(at("agents")).unwrap();
    symlink("others", at("agents")).unwrap();
    let names = ["skill:linked", "skill:second", "command:one", "agent:two"];
    for name in names {
        described(&sandbox, name, "Before");
    }
    write_all("After");
    for name in names {
        described(&sandbox, name, "After");
    }
    markdown(&at("others/three.md"), "New");
    described(&sandbox, "agent:three", "New");
    std::fs::remove_file(at("others/two.md")).unwrap();
    until("the agent to be gone", || {
        (sandbox.run(&["show", "agent:two"]).code == Some(3)).then_some(())
    });
}

#[test]
fn a_collection_behind_a_link_is_the_one_that_it_leads_to_now() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    for (place, what) in [("first", "First"), ("second", "Second")] {
        let folder = sandbox.path(place);
        skill(&folder.join("skills"), "one", what);
        write(folder.join("collection.toml"), "[collection]\n");
    }
    let link = sandbox.collection("linked", "");
    let link = link.parent().unwrap().join("linked");
    symlink(sandbox.path("first"), &link).unwrap();
    described(&sandbox, "one", "First");
    retarget(&link, &sandbox.path("second"));
    described(&sandbox, "one", "Second");
    skill(&sandbox.path("second/skills"), "one", "Edited");
    described(&sandbox, "one", "Edited");
}

#[test]
fn what_tells_nobody_of_a_change_is_looked_at_by_the_daemon_itself() {
    let sandbox = watchful();
    for (place, what) in [("first", "First"), ("second", "Second")] {
        skill(&sandbox.path(place).join("skills"), "one", what);
    }
    // Nobody watches the folder in which this link stands.
    let link = sandbox.path("current");
    symlink(sandbox.path("first"), &link).unwrap();
    sandbox.json(&["config", "set", "collection.path", link.to_str().unwrap()]);
    described(&sandbox, "one", "First");
    retarget(&link, &sandbox.path("second"));
    described(&sandbox, "one", "Second");
    skill(&sandbox.path("second/skills"), "one", "Edited");
    described(&sandbox, "one", "Edited");

    // A manifest that lies elsewhere.
    let manifest = sandbox.collection("default", "collection.toml");
    let away = sandbox.path("dotfiles/collection.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    write(&away, &text);
    retarget(&manifest, &away);
    sandbox.json(&["cache", "refresh"]);
    write(&away, format!("{text}\n[[groups]]\nname = \"ours\"\n"));
    until("the group", || {
        let groups = sandbox.json(&["group", "list"]);
        groups.to_string().contains("ours").then_some(())
    });
}

#[test]
fn a_file_that_two_artifacts_share_is_written_once() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "own", "Its own");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    symlink("own", sandbox.collection("default", "skills/linked")).unwrap();
    let agent = sandbox.collection("default", "agents/third.md");
    std::fs::create_dir_all(agent.parent().unwrap()).unwrap();
    symlink("../skills/own/SKILL.md", &agent).unwrap();
    let inner = sandbox.collection("default", "skills/inner");
    std::fs::create_dir(&inner).unwrap();
    symlink("../own/SKILL.md", inner.join("SKILL.md")).unwrap();
    for name in ["linked", "third", "inner"] {
        described(&sandbox, name, "Its own");
    }
    let file = sandbox.collection("default", "skills/own/SKILL.md");
    let before = std::fs::read_to_string(&file).unwrap();
    for args in [
        &["tag", "add", "t", "*"][..],
        &["set", "*", "license=MIT"],
        &["set", "linked", "license=MIT"],
        &["set", "inner", "license=MIT"],
    ] {
        let done = sandbox.json(args);
        assert_eq!(done["failed"], 0, "{done:#}");
        let now = std::fs::read_to_string(&file).unwrap();
        assert_ne!(now, before, "{args:?}");
        let log = sandbox.json(&["log", "--limit", "100"]);
        let operations = log["operations"].as_array().unwrap();
        let states = operations.iter().map(|one| one["state"].as_str().unwrap());
        assert!(
            states.into_iter().all(|state| state != "rolled-back"),
            "{log:#}"
        );
        let shown = sandbox.json(&["log", "show"]);
        let paths: Vec<&str> = shown["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["path"].as_str().unwrap())
            .filter(|path| path.contains("SKILL"))
            .collect();
        assert_eq!(paths, ["skills/own/SKILL.md"], "{args:?}");
        if args[0] == "set" {
            // In the same reply, of whom it was asked for.
            let asked = if args[1] == "*" { "inner" } else { args[1] };
            assert_eq!(sandbox.show(asked)["license"], "MIT", "{args:?}");
        }
        drop(sandbox.run(&["undo"]).ok());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before, "{args:?}");
    }
    assert!(agent.is_symlink());
    // Elsewhere they would lead nowhere.
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    for (name, told) in [
        ("linked", "it is a link to another artifact"),
        ("inner", "its `SKILL.md` is a link that leads out of it"),
    ] {
        let error = sandbox.fails(&["move", name, "--to", "work", "--yes"], 2);
        assert!(error.to_string().contains(told), "{error:#}");
    }
    sandbox.fails(&["copy", "inner", "--to", "work"], 2);
    sandbox.json(&["copy", "linked", "--to", "work"]);
    let copied = sandbox.collection("work", "skills/linked/SKILL.md");
    assert_eq!(std::fs::read_to_string(copied).unwrap(), before);
    // Each has a name of its own, and the file has one.
    let checked = sandbox.run(&["validate", "*", "--fix", "--json"]).stdout;
    let checked: serde_json::Value = serde_json::from_str(&checked).unwrap();
    assert_eq!(checked["mended"], serde_json::json!([]), "{checked:#}");
    assert!(
        !checked.to_string().contains("\"fixable\":true"),
        "{checked:#}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
}

#[test]
fn a_copy_of_a_collection_keeps_its_links() {
    let sandbox = Sandbox::initialised();
    let folder = sandbox.path("team");
    let one = skill(&folder.join("skills"), "one", "One");
    write(folder.join("collection.toml"), "[collection]\n");
    write(one.join("deep/.git/config"), "left out");
    let absolute = one.join("SKILL.md");
    for (link, target) in [
        ("l", Path::new("SKILL.md")),
        ("deep/up", Path::new("../SKILL.md")),
        ("../two", Path::new("one")),
        ("absolute", &absolute),
        ("uncopied", Path::new("deep/.git/config")),
        ("around", Path::new("../../../team/skills/one/SKILL.md")),
        ("out", Path::new("/etc/hostname")),
    ] {
        symlink(target, one.join(link)).unwrap();
    }
    let import = [
        "collection",
        "import",
        folder.to_str().unwrap(),
        "--copy",
        "--name",
        "mine",
    ];
    let planned = sandbox.json(&[&import[..], &["--dry-run"]].concat());
    let done = sandbox.json(&import);
    assert_eq!(planned["notes"], done["notes"]);
    assert!(done["notes"].to_string().contains("out"), "{done:#}");
    let at = |path: &str| sandbox.collection("mine", &format!("skills/one/{path}"));
    for (link, target) in [
        ("l", "SKILL.md"),
        ("deep/up", "../SKILL.md"),
        ("../two", "one"),
    ] {
        assert_eq!(std::fs::read_link(at(link)).unwrap(), Path::new(target));
    }
    // What would lead back to the original is a file.
    let text = std::fs::read(at("SKILL.md")).unwrap();
    for path in ["absolute", "around"] {
        assert!(!at(path).is_symlink(), "{path}");
        assert_eq!(std::fs::read(at(path)).unwrap(), text, "{path}");
    }
    assert_eq!(std::fs::read_to_string(at("uncopied")).unwrap(), "left out");
    assert!(!at("uncopied").is_symlink() && at("out").symlink_metadata().is_err());
}

#[test]
fn a_link_that_leads_nowhere_is_found_where_an_artifact_would_stand() {
    let sandbox = Sandbox::with_two();
    let link = sandbox.collection("default", "skills/ol");
    symlink("one", &link).unwrap();
    drop(sandbox.run(&["cache", "refresh"]).ok());
    assert_eq!(sandbox.ids(), ["skill:ol", "skill:one", "skill:two"]);
    sandbox.json(&["rename", "one", "one9"]);
    let found = sandbox.json(&["collection", "validate"]);
    let finding = &found["findings"][0];
    assert_eq!(
        (&finding["code"], &finding["severity"]),
        (&"link.broken".into(), &"warning".into()),
        "{found:#}"
    );
    assert_eq!(finding["path"], link.to_str().unwrap(), "{found:#}");
    assert_eq!(found["valid"], true, "{found:#}");
}
