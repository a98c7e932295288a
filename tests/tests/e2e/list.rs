//! `sm list` and `sm show`: filters, order, names.

use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{skill, text, write};

/// A home with a few artifacts of several kinds, tags and sizes.
fn library() -> Sandbox {
    let sandbox = Sandbox::initialised();
    for (name, tags, words) in [
        ("alpha", "pdf, forms", 10),
        ("beta", "pdf", 1000),
        ("gamma", "web", 100),
    ] {
        write(
            sandbox.path(&format!("src/{name}/SKILL.md")),
            format!(
                "---\nname: {name}\ndescription: The skill {name}\ntags: [{tags}]\n---\n{}",
                "word ".repeat(words)
            ),
        );
    }
    for name in ["alpha", "delta"] {
        write(
            sandbox.path(&format!("src/commands/{name}.md")),
            format!("---\ndescription: The command {name}\n---\nDo it.\n"),
        );
    }
    for path in ["alpha", "beta", "gamma"] {
        let path = sandbox.path("src").join(path);
        drop(sandbox.run(&["add", path.to_str().unwrap()]).ok());
    }
    for path in ["commands/alpha.md", "commands/delta.md"] {
        let path = sandbox.path("src").join(path);
        drop(
            sandbox
                .run(&["add", path.to_str().unwrap(), "--type", "command"])
                .ok(),
        );
    }
    sandbox
}

fn ids(list: &Value) -> Vec<String> {
    let all = list["artifacts"].as_array().unwrap();
    all.iter().map(|one| text(&one["id"])).collect()
}

#[test]
fn filters_and_orders() {
    let sandbox = library();
    let list = |args: &[&str]| ids(&sandbox.json(&[&["list"], args].concat()));
    assert_eq!(
        list(&[]),
        [
            "command:alpha",
            "skill:alpha",
            "skill:beta",
            "command:delta",
            "skill:gamma"
        ]
    );
    assert_eq!(
        list(&["--type", "command"]),
        ["command:alpha", "command:delta"]
    );
    assert_eq!(list(&["--type", "skill", "--type", "command"]).len(), 5);
    assert_eq!(list(&["--type", "agent"]), Vec::<String>::new());
    assert_eq!(list(&["--tag", "pdf"]), ["skill:alpha", "skill:beta"]);
    assert_eq!(list(&["--tag", "pdf", "--tag", "forms"]), ["skill:alpha"]);
    assert_eq!(list(&["--origin", "local"]).len(), 5);
    assert_eq!(list(&["--origin", "github"]).len(), 0);
    assert_eq!(list(&["--status", "managed"]).len(), 5);
    assert_eq!(list(&["--sort", "size"])[0], "skill:beta");
    write(
        sandbox.collection("default", "skills/gamma/more.md"),
        "newer",
    );
    sandbox.shows("gamma", "the newer file", |shown| shown["file_count"] == 2);
    assert_eq!(list(&["--sort", "updated"])[0], "skill:gamma");
    let page = sandbox.json(&["list", "--limit", "2"]);
    assert_eq!(ids(&page), ["command:alpha", "skill:alpha"]);
    assert_eq!(page["total"], 5);
    drop(sandbox.run(&["list", "--status", "odd"]).exits(2));
    drop(sandbox.run(&["list", "--type", "odd"]).exits(2));
    let error = sandbox.fails(&["list", "-c", "nowhere"], 3);
    assert_eq!(error["code"], "collection.not_found");
    assert_eq!(list(&["--group", "nobody"]).len(), 0);
}

#[test]
fn positions_come_first_and_in_their_order() {
    let sandbox = library();
    let list =
        |args: &[&str]| ids(&sandbox.json(&[&["list", "--sort", "position"], args].concat()));
    // Nothing has a position: by name.
    assert_eq!(list(&[]), ids(&sandbox.json(&["list"])));
    sandbox.json(&["set", "gamma", "position=2"]);
    sandbox.json(&["set", "delta", "skill:alpha", "position=10"]);
    let wanted = [
        "skill:gamma",
        "skill:alpha",
        "command:delta",
        "command:alpha",
        "skill:beta",
    ];
    assert_eq!(list(&[]), wanted);
    assert_eq!(list(&["--all"]), wanted);
    for count in 1..=wanted.len() {
        assert_eq!(list(&["--limit", &count.to_string()]), &wanted[..count]);
    }
    // The order is the manifest's, whoever wrote it, and outlasts the cache.
    sandbox.json(&["set", "gamma", "position="]);
    drop(sandbox.run(&["cache", "clear"]).ok());
    assert_eq!(
        list(&[])[..3],
        ["skill:alpha", "command:delta", "command:alpha"]
    );
}

#[test]
fn an_empty_collection_has_no_origins_to_name() {
    let sandbox = Sandbox::initialised();
    let told = sandbox.run(&["list", "--origin", "local"]).ok().stderr;
    assert!(told.contains("there are no artifacts at all"), "{told}");
}

#[test]
fn long_lists_come_whole() {
    let sandbox = Sandbox::initialised();
    for n in 0..1203 {
        write(
            sandbox.collection("default", &format!("commands/c{n:04}.md")),
            format!("---\ndescription: Number {n}\n---\n"),
        );
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let list = sandbox.json(&["list"]);
    assert_eq!(list["total"], 1203);
    let all = ids(&list);
    assert_eq!(all.len(), 1203);
    let mut once = all.clone();
    once.sort();
    once.dedup();
    assert_eq!(once, all);
    let by_size = sandbox.json(&["list", "--sort", "size"]);
    assert_eq!(by_size["artifacts"].as_array().unwrap().len(), 1203);
}

#[test]
fn tables_are_for_people_and_pipes() {
    let sandbox = library();
    let list = sandbox.run(&["list"]).ok();
    assert!(list.stdout.starts_with("NAME"), "{}", list.stdout);
    assert!(!list.stdout.contains('\u{1b}'));
    assert_eq!(list.stdout.lines().count(), 6);
    let quiet = sandbox.run(&["list", "--quiet"]).ok();
    assert_eq!(quiet.stderr, "");
    let coloured = sandbox.run(&["list", "--color", "always"]).ok();
    assert!(coloured.stdout.contains('\u{1b}'));
    let mut command = sandbox.sm(&["list", "--type", "skill"]);
    command.env("COLUMNS", "40");
    let narrow = skillmeat_tests::home::output(command).ok();
    assert!(
        narrow.stdout.lines().all(|line| line.chars().count() <= 40),
        "{}",
        narrow.stdout
    );
}

#[test]
fn an_ambiguous_name_lists_its_candidates() {
    let sandbox = library();
    let error = sandbox.fails(&["show", "alpha"], 2);
    assert_eq!(error["code"], "artifact.ambiguous");
    let said = error.to_string();
    assert!(
        said.contains("skill:alpha") && said.contains("command:alpha"),
        "{said}"
    );
    assert_eq!(sandbox.show("skill:alpha")["type"], "skill");
    assert_eq!(sandbox.show("command:alpha")["type"], "command");
    assert_eq!(sandbox.show("skills:alpha")["type"], "skill");
}

#[test]
fn an_unknown_name_suggests_near_ones() {
    let sandbox = library();
    let error = sandbox.fails(&["show", "gama"], 3);
    assert_eq!(error["code"], "artifact.not_found");
    assert!(error["hints"].to_string().contains("gamma"), "{error}");
    let told = sandbox.run(&["show", "gama"]).exits(3);
    assert!(told.stderr.starts_with("error: "), "{}", told.stderr);
    assert!(told.stderr.contains("hint: "), "{}", told.stderr);
    assert_eq!(told.stdout, "");
    let error = sandbox.fails(&["show", "alpha", "-c", "nowhere"], 3);
    assert_eq!(error["code"], "collection.not_found");
    let error = sandbox.fails(&["show", "command:beta"], 3);
    assert_eq!(error["code"], "artifact.not_found");
    let error = sandbox.fails(&["show", "bogus:beta"], 3);
    let hints = error["hints"].to_string();
    assert!(hints.contains("`bogus` is no artifact kind"), "{error}");
}

#[test]
fn every_artifact_of_a_list_has_the_documented_keys() {
    let sandbox = library();
    let keys = [
        "id",
        "name",
        "type",
        "collection",
        "path",
        "status",
        "origin",
        "origin_source",
        "source",
        "title",
        "description",
        "author",
        "license",
        "version",
        "version_spec",
        "resolved_sha",
        "resolved_version",
        "tags",
        "tools",
        "aliases",
        "groups",
        "rating",
        "scope",
        "content_hash",
        "structure_hash",
        "file_count",
        "size",
        "parse_status",
        "problem_count",
        "stale",
        "synced_at",
        "updated_at",
    ];
    for one in sandbox.list() {
        let have: Vec<&str> = one
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(have, keys);
    }
    let list = sandbox.json(&["list"]);
    for key in [
        "artifacts",
        "total",
        "collections",
        "hints",
        "stale",
        "complete",
        "verified_at",
    ] {
        assert!(list.get(key).is_some(), "{key}");
    }
}

#[test]
fn the_default_collection_comes_first_then_all_others() {
    let sandbox = library();
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    for name in ["beta", "other"] {
        let source = skill(&sandbox.path("more"), name, "Of work");
        drop(
            sandbox
                .run(&["add", source.to_str().unwrap(), "-c", "work"])
                .ok(),
        );
    }
    assert_eq!(sandbox.show("beta")["collection"], "default");
    assert_eq!(sandbox.show("other")["collection"], "work");
    let work = sandbox.json(&["show", "beta", "-c", "work"]);
    assert_eq!(work["description"], "Of work");
    assert_eq!(
        sandbox.json(&["list", "--all"])["collections"],
        json!(["default", "work"])
    );
    assert_eq!(sandbox.json(&["list"])["total"], 5);
    assert_eq!(sandbox.json(&["list", "--all"])["total"], 7);
}

#[test]
fn a_filter_that_names_what_is_not_there_says_so() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "pdf", "About pdf");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    drop(sandbox.run(&["tag", "add", "papers", "pdf"]).ok());
    drop(sandbox.run(&["tag", "define", "planned"]).ok());
    drop(sandbox.run(&["group", "create", "Work", "pdf"]).ok());
    for (args, hint) in [
        (
            ["list", "--tag", "paper"],
            "there is no tag `paper`; did you mean `papers`?",
        ),
        (
            ["list", "--group", "Wrok"],
            "there is no group `Wrok`; did you mean `Work`?",
        ),
        (
            ["list", "--origin", "gitlab"],
            "there is no artifact of origin `gitlab`; there are `local`",
        ),
        (
            ["list", "--tag", "quite-another"],
            "there is no tag `quite-another`; `sm tag list` shows those that there are",
        ),
    ] {
        let listed = sandbox.json(&args);
        assert_eq!(listed["total"], 0, "{args:?}");
        assert_eq!(listed["hints"], json!([hint]));
        let said = sandbox.run(&args).ok();
        assert_eq!(said.stdout, "", "{args:?}");
        assert!(said.stderr.contains(&format!("hint: {hint}")), "{said:?}");
    }
    let found = sandbox.json(&["search", "pdf", "--tag", "paper"]);
    assert_eq!(
        found["hints"],
        json!(["there is no tag `paper`; did you mean `papers`?"])
    );
    // What is there, and only has nothing, is no mistake.
    for args in [
        &["list", "--tag", "papers"][..],
        &["list", "--tag", "planned"],
        &["list", "--tag", "papers", "--type", "agent"],
        &["list", "--group", "work"],
        &["search", "pdf", "--tag", "planned"],
    ] {
        assert_eq!(sandbox.json(args)["hints"], json!([]), "{args:?}");
    }
    for command in [&["list"][..], &["search", "pdf"]] {
        let args = [command, &["-c", "defualt"]].concat();
        let error = sandbox.fails(&args, 3);
        assert_eq!(error["code"], "collection.not_found");
        assert!(error["hints"].to_string().contains("`default`"), "{error}");
    }
}

#[test]
fn a_manifest_that_was_never_readable_is_told_rather_than_an_empty_library() {
    let sandbox = Sandbox::new();
    write(
        sandbox.collection("default", "collection.toml"),
        "[collection]\nname = \"default\"\nversion =\n",
    );
    for args in [&["list"][..], &["group", "list"], &["tag", "list"]] {
        let answer = sandbox.run(args).ok();
        assert!(!answer.stderr.contains("no artifacts in"), "{answer:?}");
        assert!(!answer.stderr.contains("; `sm "), "{answer:?}");
        assert!(
            answer.stderr.contains("`default` is broken")
                && answer.stderr.contains("collection.toml:3: "),
            "{answer:?}"
        );
    }
}
