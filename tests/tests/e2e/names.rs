//! Names on disk that no program would give: listed as they are, told, and harmless to terminals.

use std::path::Path;

use serde_json::json;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{codes, skill, text, write};

const ODD: &[&str] = &[
    "with space",
    "größe",
    "日本語",
    "new\nline",
    "co:lon",
    "skill:prefixed",
    "tab\there",
    "quote'\"s",
    "esc\u{1b}[31mred",
    "rtl\u{202e}txt",
    "-dash",
    "--json",
    "per%cent_",
    "back\\slash",
    "e\u{301}accent",
    "*",
    ".hidden",
];

#[test]
fn every_name_on_disk_is_listed_shown_and_found() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    for name in ODD {
        let place = sandbox.collection("default", "skills").join(name);
        write(
            place.join("SKILL.md"),
            "---\ndescription: An odd one\n---\nBody with a walnut.\n",
        );
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let list = sandbox.list();
    for name in ODD.iter().filter(|name| !name.starts_with('.')) {
        let one = list
            .iter()
            .find(|one| one["name"] == *name)
            .unwrap_or_else(|| panic!("{name:?} is not listed"));
        assert_eq!(one["id"], format!("skill:{name}"));
        let shown = sandbox
            .run(&["show", "--json", "--", &format!("skill:{name}")])
            .ok()
            .json();
        assert_eq!(shown["name"], *name);
        assert_eq!(shown["description"], "An odd one");
    }
    // Nothing that a terminal would obey comes through.
    for args in [
        &["list"][..],
        &["list", "--verbose"],
        &["status"],
        &["search", "walnut"],
    ] {
        let seen = sandbox.run(args).ok();
        for text in [&seen.stdout, &seen.stderr] {
            assert!(
                !text
                    .chars()
                    .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'),
                "{text:?}"
            );
        }
    }
    let lines = sandbox.run(&["list"]).ok().stdout;
    assert_eq!(lines.lines().count(), list.len() + 1, "{lines}");
    let seen = sandbox
        .run(&["show", "--", "skill:esc\u{1b}[31mred"])
        .ok()
        .stdout;
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
    for line in sandbox
        .run(&["show", "--", "skill:new\nline"])
        .ok()
        .stdout
        .lines()
    {
        assert_ne!(line, "line");
    }
}

#[test]
fn names_that_are_no_text_are_told_and_stop_nothing() {
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = Sandbox::watched(crate::BACKEND);
    let bytes = std::ffi::OsStr::from_bytes(b"bad\xff\xfename");
    write(
        sandbox
            .collection("default", "skills")
            .join(bytes)
            .join("SKILL.md"),
        "---\ndescription: odd\n---\n",
    );
    write(
        sandbox.collection("default", "skills/good").join(bytes),
        "words",
    );
    skill(&sandbox.collection("default", "skills"), "good", "Fine");
    drop(sandbox.run(&["cache", "refresh"]).ok());
    assert_eq!(sandbox.show("good")["description"], "Fine");
    assert_eq!(sandbox.show("good")["file_count"], 2);
    assert_eq!(sandbox.ids(), [r"skill:bad\xff\xfename", "skill:good"]);
    let shown = sandbox.show(r"skill:bad\xff\xfename");
    assert_eq!(shown["description"], "odd");
    assert_eq!(shown["status"], "unmanaged");
    assert_eq!(shown["path"], r"skills/bad\xff\xfename");
    assert_eq!(shown["files"][0]["path"], "SKILL.md");
    assert_eq!(codes(&shown["problems"]), ["name.encoding"]);
    let status = sandbox.json(&["status"]);
    assert_eq!(status["artifacts"], 2, "{status}");
    let checked = sandbox.run(&["validate", "--json"]).stdout;
    assert!(checked.contains(r"bad\\xff\\xfename"), "{checked}");
    let told = sandbox.run(&["doctor", "--json"]).stdout;
    assert!(told.contains("not UTF-8"), "{told}");
}

#[test]
fn names_that_are_no_text_are_each_one_of_their_own_and_only_read() {
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = Sandbox::watched(crate::BACKEND);
    let skills = sandbox.collection("default", "skills");
    let names = [&b"bad\xff"[..], b"bad\xfe", br"bad\xff", b"fine"];
    for (name, word) in names.iter().zip(["first", "second", "third", "fourth"]) {
        let place = skills.join(std::ffi::OsStr::from_bytes(name));
        let text = format!("---\ndescription: The {word}\n---\nBody {word}.\n");
        write(place.join("SKILL.md"), text);
    }
    let command = std::ffi::OsStr::from_bytes(b"c\xff.md");
    write(
        sandbox.collection("default", "commands").join(command),
        "---\ndescription: A command\n---\n",
    );
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let odd = [
        (r"skill:bad\xff", "The first"),
        (r"skill:bad\xfe", "The second"),
        (r"skill:bad\x5cxff", "The third"),
        (r"command:c\xff", "A command"),
    ];
    for (id, description) in odd {
        assert_eq!(sandbox.show(id)["description"], description, "{id}");
    }
    assert_eq!(sandbox.ids().len(), 5);
    let found = sandbox.json(&["search", "first", "--in", "content"]);
    assert_eq!(
        found["hits"][0]["artifact"]["id"], r"skill:bad\xff",
        "{found}"
    );
    // A change that the watch tells of is seen.
    write(
        skills
            .join(std::ffi::OsStr::from_bytes(b"bad\xff"))
            .join("SKILL.md"),
        "---\ndescription: Another\n---\n",
    );
    sandbox.shows(r"skill:bad\xff", "the change", |shown| {
        shown["description"] == "Another"
    });
    let before = sandbox.json(&["collection", "show"]);
    for (id, _) in odd {
        for args in [
            &["remove", "--yes", id][..],
            &["rename", id, "other"],
            &["tag", "add", "one", id],
            &["set", id, "description=x"],
            &["copy", id, "--to", "default", "--as", "other"],
            &["edit", id],
        ] {
            let answer = sandbox.run(args);
            assert_ne!(answer.code, Some(0), "{args:?}: {answer:?}");
            let told = answer.stdout.clone() + &answer.stderr;
            assert!(told.contains("not UTF-8"), "{args:?}: {answer:?}");
        }
    }
    drop(sandbox.run(&["repair", "orphans", "--execute"]));
    assert_eq!(
        sandbox.json(&["collection", "show"])["artifacts"],
        before["artifacts"]
    );
    assert_eq!(sandbox.ids().len(), 5);
    for name in names {
        assert!(
            skills
                .join(std::ffi::OsStr::from_bytes(name))
                .join("SKILL.md")
                .is_file()
        );
    }
}

#[test]
fn a_tree_with_odd_names_adds_the_good_and_says_why_not_the_others() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    let tree = sandbox.path("tree");
    for name in ["fine", "also fine", "co:lon", "new\nline"] {
        write(
            tree.join("skills").join(name).join("SKILL.md"),
            format!("---\ndescription: {}\n---\n", name.len()),
        );
    }
    let answer = sandbox
        .run(&["add", "--all", tree.to_str().unwrap(), "--json"])
        .exits(9);
    let added = answer.json();
    assert_eq!(added["added"], 2);
    assert_eq!(added["failed"], 2);
    for item in added["items"].as_array().unwrap() {
        if item["result"] == "failed" {
            assert_eq!(item["code"], "usage.invalid_name");
            assert!(!text(&item["reason"]).is_empty());
        }
    }
    assert_eq!(sandbox.ids(), ["skill:also fine", "skill:fine"]);
    assert_eq!(added["collection"], json!("default"));
}

#[test]
fn names_that_differ_only_in_case_or_normal_form_are_two() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    for name in ["Case", "case", "caf\u{e9}", "cafe\u{301}"] {
        skill(&sandbox.collection("default", "skills"), name, "One of two");
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let names: Vec<_> = sandbox
        .list()
        .iter()
        .map(|one| text(&one["name"]))
        .collect();
    for name in ["Case", "case", "caf\u{e9}", "cafe\u{301}"] {
        assert!(
            names.contains(&name.to_owned()),
            "{name} is not in {names:?}"
        );
        let shown = sandbox.json(&["show", &format!("skill:{name}")]);
        assert_eq!(shown["name"], name);
    }
    // What is there once is found however its name is spelt.
    for (name, asked) in [
        ("nin\u{303}o", "ni\u{f1}o"),
        ("\u{fc}ber", "u\u{308}ber"),
        ("Once", "once"),
    ] {
        skill(
            &sandbox.collection("default", "skills"),
            name,
            "The only one",
        );
        drop(sandbox.run(&["cache", "refresh"]).ok());
        let shown = sandbox.json(&["show", &format!("skill:{asked}")]);
        assert_eq!(shown["name"], name);
    }
    let report = sandbox.run(&["doctor", "--json"]).stdout;
    assert_eq!(report.matches("\"artifact-clash\"").count(), 2, "{report}");
}

#[test]
fn no_name_is_given_that_means_something_in_a_selection() {
    let sandbox = Sandbox::with_two();
    let source = skill(&sandbox.path("new"), "x", "New");
    let folder = sandbox.path("team");
    write(folder.join("collection.toml"), "[collection]\n");
    let (source, folder) = (source.to_str().unwrap(), folder.to_str().unwrap());
    for name in ["*", "a?", "[a]", "k=v", "-", "-x"] {
        let given = format!("--as={name}");
        for args in [
            ["add", source, &given].as_slice(),
            &["copy", "one", &given],
            &["rename", "one", "--", name],
            &["collection", "create", "--", name],
            &["collection", "rename", "default", "--", name],
            &["collection", "import", folder, &format!("--name={name}")],
        ] {
            // What follows `--` is no flag.
            let mut command = sandbox.sm(&["--json"]);
            command.args(args);
            let error = skillmeat_tests::home::output(command).exits(2).error();
            assert_eq!(error["code"], "usage.invalid_name", "{args:?}: {error}");
        }
    }
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
}

/// Writes a group into a manifest, as another program does.
fn add_group(manifest: &Path, name: &str) {
    let text = std::fs::read_to_string(manifest).unwrap();
    let group = format!("\n[[groups]]\nname = \"{name}\"\nmembers = []\n");
    write(manifest, text + &group);
}

#[test]
fn the_pattern_of_all_means_all_also_beside_one_of_that_name() {
    let sandbox = Sandbox::with_two();
    let place = sandbox.collection("default", "skills/*/SKILL.md");
    write(place, "---\nname: odd\ndescription: Odd\n---\n");
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let of = |name: &str| sandbox.json(&["rate", name, "5", "--dry-run"])["rated"].clone();
    assert_eq!(of("*"), 3);
    assert_eq!(of("skill:*"), 1);
    // Groups are chosen likewise.
    let manifest = sandbox.collection("default", "collection.toml");
    add_group(&manifest, "*");
    sandbox.json(&["group", "create", "other"]);
    let gone = sandbox.json(&["group", "delete", "*"]);
    assert_eq!(gone["deleted"], 2, "{gone}");
}

#[test]
fn groups_and_tags_get_no_name_that_means_something_where_they_are_chosen() {
    let sandbox = Sandbox::with_two();
    let manifest = sandbox.collection("default", "collection.toml");
    sandbox.json(&["group", "create", "real"]);
    sandbox.json(&["tag", "create", "real"]);
    let before = std::fs::read_to_string(&manifest).unwrap();
    for name in ["*", "b*", "?", "[z]", "k=v", "-x", "-"] {
        for args in [
            ["group", "create", "--", name].as_slice(),
            &["group", "update", "real", &format!("--name={name}")],
            &["group", "copy", "real", &format!("--as={name}")],
            &["tag", "create", "--", name],
            &["tag", "define", "--", name],
            &["tag", "rename", "real", "--", name],
            &["tag", "add", "--", name, "one"],
        ] {
            let mut command = sandbox.sm(&["--json"]);
            command.args(args);
            let error = skillmeat_tests::home::output(command).exits(2).error();
            assert_eq!(error["code"], "usage.invalid_name", "{args:?}: {error}");
        }
    }
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), before);
    // What is called so already is used as any other.
    add_group(&manifest, "b*");
    let place = sandbox.collection("default", "skills/one/SKILL.md");
    write(
        place,
        "---\nname: one\ndescription: Good\ntags: [\"k=v\"]\n---\n",
    );
    drop(sandbox.run(&["cache", "refresh"]).ok());
    for (args, done) in [
        (&["group", "add", "b*", "one"][..], "added"),
        (
            &["group", "update", "b*", "--name=b*", "--icon=x"],
            "updated",
        ),
        (&["tag", "define", "k=v"], "defined"),
        (&["tag", "add", "k=v", "two"], "added"),
        (&["tag", "rename", "k=v", "kept"], "renamed"),
        (&["group", "update", "b*", "--name", "kept"], "updated"),
    ] {
        let told = sandbox.json(args);
        assert!(told[done].as_u64() > Some(0), "{args:?}: {told:#}");
    }
}
