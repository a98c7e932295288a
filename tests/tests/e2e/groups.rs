//! `sm group`: groups are made, filled, moved and put in order; the manifest keeps everything else, and everything
//! comes back from the files alone.

use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{replace, skill, write};
use skillmeat_tests::wait::until_true;

/// A home with three skills and a command of the name of one of them.
fn stocked() -> Sandbox {
    let sandbox = Sandbox::initialised();
    let source = sandbox.path("src");
    for name in ["a", "b", "c"] {
        skill(&source, name, "Good");
    }
    write(
        source.join("commands/a.md"),
        "---\ndescription: A\n---\nDo\n",
    );
    sandbox.json(&["add", "--all", source.to_str().unwrap()]);
    sandbox
}

fn manifest(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.collection("default", "collection.toml")).unwrap()
}

fn groups(sandbox: &Sandbox) -> Value {
    sandbox.json(&["group", "list", "-c", "default"])["groups"].clone()
}

/// Names of groups with their members as written.
fn outline(sandbox: &Sandbox) -> Vec<(String, Vec<String>)> {
    let groups = groups(sandbox);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let members = |group: &Value| {
        let members = group["members"].as_array().unwrap();
        members
            .iter()
            .map(|member| text(&member["member"]))
            .collect()
    };
    let groups = groups.as_array().unwrap().iter();
    groups
        .map(|group| (text(&group["name"]), members(group)))
        .collect()
}

fn with(groups: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    groups
        .iter()
        .map(|(name, members)| ((*name).to_owned(), owned(members)))
        .collect()
}

#[test]
fn groups_live_and_end() {
    let sandbox = stocked();
    let before = manifest(&sandbox);
    let made = sandbox.json(&[
        "group",
        "create",
        "Data Layer",
        "b",
        "skill:a",
        "--color",
        "#fa0",
        "--icon",
        "database",
        "--description",
        "Databases",
    ]);
    assert_eq!(made["created"], 1, "{made}");
    assert!(made["operation"].is_string(), "{made}");
    sandbox.json(&["group", "create", "Empty"]);
    assert_eq!(
        groups(&sandbox)[0],
        json!({
            "name": "Data Layer", "description": "Databases", "color": "#ffaa00", "icon": "database",
            "position": 0, "members": [
                {"member": "skill:b", "id": "skill:b"},
                {"member": "skill:a", "id": "skill:a"},
            ],
        })
    );
    let listed = sandbox.json(&["list", "-g", "Data Layer"]);
    assert_eq!(listed["total"], 2, "{listed}");
    let added = sandbox.json(&[
        "group",
        "add",
        "Data Layer",
        "c",
        "command:a",
        "b",
        "--at",
        "1",
    ]);
    assert_eq!(
        (&added["added"], &added["unchanged"]),
        (&json!(2), &json!(1)),
        "{added}"
    );
    assert_eq!(
        outline(&sandbox)[0].1,
        ["skill:b", "skill:c", "command:a", "skill:a"]
    );
    sandbox.json(&[
        "group",
        "move",
        "c",
        "--from",
        "Data Layer",
        "--to",
        "Empty",
    ]);
    sandbox.json(&["group", "remove", "Data Layer", "command:a"]);
    sandbox.json(&["group", "reorder", "--members", "Data Layer", "a"]);
    sandbox.json(&["group", "copy", "Data Layer", "--as", "Copy"]);
    sandbox.json(&[
        "group",
        "update",
        "Empty",
        "--name",
        "Full",
        "--description",
        "Not empty",
    ]);
    sandbox.json(&["group", "reorder", "Full"]);
    assert_eq!(
        outline(&sandbox),
        with(&[
            ("Full", &["skill:c"]),
            ("Data Layer", &["skill:a", "skill:b"]),
            ("Copy", &["skill:a", "skill:b"]),
        ])
    );
    let shown = sandbox.run(&["group", "show", "Full"]).ok().stdout;
    assert!(
        shown.contains("Not empty") && shown.contains("skill:c"),
        "{shown}"
    );
    let gone = sandbox.json(&["group", "delete", "Full", "Data Layer", "Copy"]);
    assert_eq!(gone["deleted"], 3, "{gone}");
    let date = |text: &str| -> String {
        text.lines()
            .filter(|line| !line.starts_with("updated"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(date(&manifest(&sandbox)), date(&before));
}

#[test]
fn a_position_is_a_number_from_0() {
    let sandbox = stocked();
    sandbox.json(&["group", "create", "one"]);
    let before = manifest(&sandbox);
    for args in [["create", "two"], ["update", "one"]] {
        let error = sandbox.fails(&[&["group"], &args[..], &["--position", "-1"]].concat(), 2);
        assert_eq!(error["code"], "usage.invalid_argument", "{error:#}");
    }
    assert_eq!(manifest(&sandbox), before);
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let sandbox = stocked();
    sandbox.json(&["group", "create", "Auth", "b"]);
    let before = manifest(&sandbox);
    for (args, code) in [
        (vec!["create", "Auth"], 4),
        (vec!["create", " x"], 2),
        (vec!["create", "x", "--color", "no colour"], 2),
        (vec!["create", "x", "--icon", "a b"], 2),
        (vec!["update", "Auth"], 2),
        (vec!["update", "none", "--name", "x"], 3),
        (vec!["delete", "none"], 3),
        (vec!["add", "none", "a"], 3),
        (vec!["add", "Auth", "nothing"], 3),
        (vec!["add", "Auth", "a"], 2),
        (vec!["remove", "Auth", "nothing"], 3),
        (vec!["move", "b", "--from", "Auth", "--to", "Auth"], 2),
        (vec!["move", "b", "--from", "Auth", "--to", "none"], 3),
        (vec!["copy", "Auth", "--to", "none"], 3),
        (vec!["copy", "Auth"], 2),
        (vec!["reorder", "none"], 3),
        (vec!["reorder", "--members", "Auth", "c"], 3),
        (vec!["show", "none"], 3),
        (vec!["add", "Auth", "c", "-c", "none"], 3),
    ] {
        let mut all = vec!["group"];
        all.extend(&args);
        sandbox.fails(&all, code);
    }
    let near = sandbox.fails(&["group", "add", "auht", "c"], 3);
    assert!(near.to_string().contains("did you mean `Auth`?"), "{near}");
    let batch = sandbox
        .run(&["group", "add", "Auth", "c", "nothing", "--json"])
        .exits(9)
        .json();
    assert_eq!((&batch["added"], &batch["failed"]), (&json!(1), &json!(1)));
    sandbox.json(&["group", "remove", "Auth", "c"]);
    let dry = sandbox.json(&["group", "add", "Auth", "c", "--dry-run"]);
    assert_eq!(dry["items"][0]["result"], "would-add");
    assert_eq!(dry["operation"], Value::Null);
    assert_eq!(
        dry["steps"][0],
        json!({"action": "edit", "collection": "default", "path": "collection.toml"})
    );
    assert_eq!(outline(&sandbox), with(&[("Auth", &["skill:b"])]));
    assert_eq!(before.lines().count(), manifest(&sandbox).lines().count());
}

#[test]
fn a_file_keeps_its_style_and_its_unknown_members() {
    let sandbox = stocked();
    let path = sandbox.collection("default", "collection.toml");
    let own = "\n# my groups\n[[groups]] # first\nname = \"Bare\"\nmembers = [\"ghost\", \"b\"] # two\nodd = 1\n";
    write(&path, manifest(&sandbox) + own);
    sandbox.status_until("the group", |_| outline(&sandbox).len() == 1);
    sandbox.json(&["group", "add", "Bare", "c", "skill:a"]);
    let text = manifest(&sandbox);
    // The name `a` alone would stand for the command.
    let line = "members = [\"ghost\", \"b\", \"c\", \"skill:a\"] # two\nodd = 1\n";
    assert!(
        text.contains(line) && text.contains("# my groups\n[[groups]] # first\n"),
        "{text}"
    );
    let shown = sandbox.json(&["group", "show", "Bare"]);
    assert_eq!(shown["members"][0], json!({"member": "ghost", "id": null}));
    assert!(
        sandbox
            .run(&["group", "show", "Bare"])
            .ok()
            .stdout
            .contains("ghost (unknown)")
    );
    sandbox.json(&["group", "remove", "Bare", "ghost"]);
    assert!(manifest(&sandbox).contains("members = [\"b\", \"c\", \"skill:a\"] # two"));
    sandbox.json(&["collection", "create", "work"]);
    sandbox.json(&["group", "copy", "Bare", "--to", "work"]);
    let there = sandbox.json(&["group", "list", "-c", "work"]);
    assert_eq!(
        there["groups"][0]["members"][0],
        json!({"member": "b", "id": null})
    );
}

#[test]
fn groups_tags_and_aliases_come_back_from_the_files() {
    let sandbox = stocked();
    sandbox.json(&["collection", "create", "work"]);
    let source = skill(&sandbox.path("more"), "w", "Work");
    sandbox.json(&["add", source.to_str().unwrap(), "-c", "work"]);
    for (collection, member) in [("default", "b"), ("work", "w")] {
        let at = |args: &[&str]| {
            let mut all = args.to_vec();
            all.extend(["-c", collection]);
            sandbox.json(&all)
        };
        at(&[
            "group",
            "create",
            "Two",
            "--color",
            "slate",
            "--position",
            "1",
        ]);
        at(&[
            "group",
            "create",
            "One",
            member,
            "--icon",
            "box",
            "--position",
            "0",
        ]);
        at(&[
            "tag",
            "define",
            "Back End",
            "--color",
            "#123456",
            "--description",
            "Servers",
        ]);
        at(&["tag", "add", "Back End", member]);
        at(&[
            "rate",
            member,
            if collection == "default" { "4" } else { "2" },
        ]);
        let path = sandbox.collection(collection, "collection.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let entry = format!("name = \"{member}\"\ntype = \"skill\"\n");
        assert!(text.contains(&entry), "{text}");
        write(
            &path,
            text.replace(
                &entry,
                &format!("{entry}aliases = [\"other-{member}\"]\nposition = 7\n"),
            ),
        );
    }
    let view = || {
        let all = ["default", "work"].map(|collection| {
            let shown = sandbox.json(&["collection", "show", collection]);
            let list = sandbox.json(&["list", "-c", collection]);
            let aliases: Vec<Value> = list["artifacts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| {
                    let keys = ["id", "aliases", "tags", "groups", "rating"];
                    json!(keys.map(|key| one[key].clone()))
                })
                .collect();
            json!([
                shown["is_default"],
                shown["groups"],
                shown["tag_definitions"],
                shown["tags"],
                aliases
            ])
        });
        json!(all)
    };
    drop(sandbox.run(&["collection", "use", "work"]).ok());
    until_true("the aliases", || view().to_string().contains("other-w"));
    let before = view();
    assert!(before.to_string().contains("other-b"), "{before}");
    // Ratings of both, and the one that is the default one.
    let all = before.as_array().unwrap();
    for (at, rating, is_default) in [(0, 4, false), (1, 2, true)] {
        assert_eq!(all[at][0], is_default, "{before}");
        let artifacts = all[at].as_array().unwrap().last().unwrap();
        let rated = artifacts.as_array().unwrap().iter();
        assert!(rated.clone().any(|one| one[4] == rating), "{before}");
    }
    sandbox.stop();
    std::fs::remove_dir_all(sandbox.home().root().join("cache")).unwrap();
    sandbox.ready();
    until_true("the same as before", || view() == before);
    // While the daemon is down the files change, and while it runs.
    sandbox.stop();
    let path = sandbox.collection("default", "collection.toml");
    let down = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"Two\"", "\"Down\"");
    write(&path, &down);
    sandbox.ready();
    until_true("the edit of before", || {
        groups(&sandbox).to_string().contains("Down")
    });
    write(
        &path,
        down.replace("\"Down\"", "\"Live\"")
            .replace("#123456", "#654321"),
    );
    until_true("the edit of now", || {
        let shown = sandbox.json(&["collection", "show", "default"]);
        let shown = shown.to_string();
        shown.contains("Live") && shown.contains("#654321")
    });
}

#[test]
fn old_manifests_stay_until_a_change_needs_them() {
    let sandbox = Sandbox::from_fixture("git");
    let path = sandbox.collection("default", "collection.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    sandbox.ready();
    assert_eq!(groups(&sandbox), json!([]));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    let first = sandbox.json(&["list"])["artifacts"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    sandbox.json(&["group", "create", "New", &first]);
    let after = std::fs::read_to_string(&path).unwrap();
    let dated = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("updated ="));
        lines.map(str::to_owned).collect()
    };
    let (before, after) = (dated(&before), dated(&after));
    assert!(after.starts_with(&before), "{after:#?}");
    assert_eq!(
        after.get(before.len() + 1).map(String::as_str),
        Some("[[groups]]")
    );
}

#[test]
fn a_group_at_a_position_moves_those_that_stand_there() {
    let sandbox = stocked();
    let order = || -> Vec<(String, i64)> {
        let groups = groups(&sandbox);
        let groups = groups.as_array().unwrap().iter();
        let of = |one: &Value| {
            (
                one["name"].as_str().unwrap().to_owned(),
                one["position"].as_i64().unwrap(),
            )
        };
        groups.map(of).collect()
    };
    let of = |names: &[(&str, i64)]| -> Vec<(String, i64)> {
        let names = names.iter();
        names.map(|(name, at)| ((*name).to_owned(), *at)).collect()
    };
    for (name, at) in [("A", "0"), ("B", "1"), ("C", "5")] {
        sandbox.json(&["group", "create", name, "--position", at]);
    }
    let created = sandbox.json(&["group", "create", "P0", "--position", "0"]);
    assert_eq!(created["created"], 1, "{created}");
    assert_eq!(order(), of(&[("P0", 0), ("A", 1), ("B", 2), ("C", 5)]));
    sandbox.json(&["group", "update", "C", "--position", "1"]);
    assert_eq!(order(), of(&[("P0", 0), ("C", 1), ("A", 2), ("B", 3)]));
    let same = sandbox.json(&["group", "update", "C", "--position", "1"]);
    assert_eq!(same["unchanged"], 1, "{same}");
    sandbox.json(&["undo"]);
    assert_eq!(order(), of(&[("P0", 0), ("A", 1), ("B", 2), ("C", 5)]));
}

#[test]
fn an_ending_counts_only_where_names_differ_without_it() {
    let sandbox = Sandbox::initialised();
    skill(&sandbox.collection("default", "skills"), "plan", "Plan");
    skill(&sandbox.collection("default", "skills"), "note.md", "Note");
    write(sandbox.collection("default", "commands/review.md"), "Do\n");
    let entry = "\n[[artifacts]]\nname = \"review.md\"\ntype = \"command\"\n\
                 path = \"commands/review.md\"\norigin = \"local\"\n";
    let mut text = manifest(&sandbox).replace("artifacts = []", "") + entry;
    let members = [
        ("review", "command:review.md"),
        ("command:review", "command:review.md"),
        ("command:review.md", "command:review.md"),
        ("Review.txt", "command:review.md"),
        ("plan.yaml", "skill:plan"),
        ("skill:note", "skill:note.md"),
    ];
    let groups = members.iter().enumerate().map(|(at, (member, _))| {
        format!("\n[[groups]]\nname = \"g{at}\"\nposition = {at}\nmembers = [\"{member}\"]\n")
    });
    text.extend(groups);
    text +=
        "\n[[groups]]\nname = \"none\"\nposition = 9\nmembers = [\"skill:review\", \"plan.rs\"]\n";
    replace(sandbox.collection("default", "collection.toml"), text);
    sandbox.json(&["cache", "refresh"]);
    for (at, (member, id)) in members.iter().enumerate() {
        let name = format!("g{at}");
        assert_eq!(sandbox.show(member)["id"], *id, "{member}");
        let group = sandbox.json(&["group", "show", &name]);
        assert_eq!(group["members"], json!([{"member": member, "id": id}]));
        let listed = sandbox.json(&["list", "--group", &name])["artifacts"].clone();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
        assert_eq!(listed[0]["id"], *id);
        let of_it = sandbox.show(id)["groups"].clone();
        assert!(of_it.as_array().unwrap().contains(&json!(name)), "{of_it}");
        assert_eq!(listed[0]["groups"], of_it);
        assert!(sandbox.show(id)["memberships"].to_string().contains(&name));
    }
    let none = sandbox.json(&["group", "show", "none"])["members"].clone();
    assert_eq!(none[0]["id"], Value::Null);
    assert_eq!(none[1]["id"], Value::Null);
    assert_eq!(
        sandbox.fails(&["show", "skill:review"], 3)["code"],
        "artifact.not_found"
    );
    // Whoever changes groups means the same.
    let added = sandbox.json(&["group", "add", "g0", "command:review"]);
    assert_eq!(added["items"][0]["result"], "unchanged", "{added:#}");
    sandbox.json(&["group", "remove", "g1", "review"]);
    assert_eq!(outline(&sandbox)[1], ("g1".to_owned(), Vec::new()));
}
