//! `sm repair`: what older programs left is found, told, and mended on demand; twice is harmless.

use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::wait::until_true;

fn entry(name: &str, kind: &str, path: &str, more: &str) -> String {
    format!(
        "\n[[artifacts]]\nname = \"{name}\"\ntype = \"{kind}\"\npath = \"{path}\"\norigin = \"local\"\n\
         added = \"2026-01-01T00:00:00\"\n{more}"
    )
}

/// Two collections with one fault of every sort.
fn broken() -> Sandbox {
    let sandbox = Sandbox::initialised();
    sandbox.json(&["collection", "create", "work"]);
    sandbox.stop();
    let root = sandbox.collection("default", "");
    let tooled = "---\nname: tooled\ndescription: D\ntools: [Read, Write]\n---\n";
    write(root.join("skills/tooled/SKILL.md"), tooled);
    skill(&root.join("skills"), "plain", "No tools");
    skill(&root.join("skills"), "stray", "No entry");
    skill(&sandbox.collection("work", "skills"), "canvas", "Misplaced");
    skill(&sandbox.collection("work", "skills"), "both", "Of work");
    write(
        root.join("collection.toml"),
        [
            "# mine\n[collection]\nname = \"default\"\nversion = \"1.0.0\"\n",
            &entry(
                "tooled",
                "skill",
                &root.join("skills/tooled").display().to_string(),
                "",
            ),
            &entry(
                "plain",
                "skill",
                "skills/plain/",
                "origin_source = \"https://github.com/a/b\" # url\n",
            ),
            &entry(
                "canvas",
                "skill",
                "skills/canvas",
                "origin_source = \"https://example.org/x\"\n",
            ),
            &entry("both", "skill", "skills/both", ""),
            &entry("gone", "agent", "agents/gone.md", ""),
            "\n[[groups]]\nname = \"G\"\nmembers = [\"agent:gone\", \"skill:plain\"]\n",
        ]
        .concat(),
    );
    write(
        root.join("collection.lock"),
        "[lock]\nversion = \"1.0.0\"\n\n[lock.entries.\"old::skill\"]\ncontent_hash = \"0\"\nfetched = \"x\"\n",
    );
    let work = sandbox.collection("work", "collection.toml");
    let text = std::fs::read_to_string(&work)
        .unwrap()
        .replace("artifacts = []\n", "");
    write(work, text + &entry("both", "skill", "skills/both", ""));
    sandbox.ready();
    until_true("all rows", || {
        sandbox.json(&["list", "--all"])["total"] == 8
    });
    sandbox
}

fn results(report: &Value) -> Vec<String> {
    let all = report["items"].as_array().unwrap().iter();
    let mut all: Vec<String> = all
        .map(|item| format!("{} {}", text(&item["result"]), text(&item["id"])))
        .collect();
    all.sort();
    all
}

fn repair(sandbox: &Sandbox, args: &[&str], code: i32) -> Value {
    let mut all = vec!["repair"];
    all.extend(args);
    all.push("--json");
    sandbox.run(&all).exits(code).json()
}

#[test]
fn each_fault_is_told_first_and_mended_on_demand() {
    let sandbox = broken();
    let manifest = sandbox.collection("default", "collection.toml");
    let before = std::fs::read_to_string(&manifest).unwrap();
    let default = ["-c", "default"];
    for (repair_name, code, wanted) in [
        (
            "tools",
            2,
            vec![
                "failed skill:both",
                "skipped agent:gone",
                "skipped skill:canvas",
                "unchanged skill:plain",
                "would-fix skill:tooled",
            ],
        ),
        (
            "origin-source",
            2,
            vec!["failed skill:canvas", "would-fix skill:plain"],
        ),
        (
            "layout",
            0,
            vec!["would-fix skill:plain", "would-fix skill:tooled"],
        ),
        (
            "misplaced",
            0,
            vec!["skipped skill:both", "would-fix skill:canvas"],
        ),
        (
            "orphans",
            0,
            vec!["would-fix skill:old", "would-fix skill:stray"],
        ),
        (
            "missing",
            0,
            vec![
                "skipped skill:canvas",
                "would-fix agent:gone",
                "would-fix skill:both",
            ],
        ),
    ] {
        let report = repair(&sandbox, &[repair_name, default[0], default[1]], code);
        assert_eq!(results(&report), wanted, "{repair_name}: {report:#}");
        assert_eq!(report["dry_run"], true);
    }
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), before);
    let told = sandbox.run(&["repair", "misplaced"]).ok();
    assert!(told.stdout.contains("from `work` to `default`"), "{told:?}");
    assert!(
        told.stderr.contains("Summary:\n  Fixed: 1\n")
            && told.stderr.contains("\n  Errors: 0\n")
            && told.stderr.contains("DRY RUN MODE - no changes made"),
        "{told:?}"
    );
    let told = sandbox.run(&["repair", "tools"]).exits(2).stderr;
    assert!(
        told.contains("  Updated: 1\n    With tools: 1\n  No tools: "),
        "{told}"
    );

    let fixed = repair(&sandbox, &["origin-source", "--execute"], 2);
    assert_eq!((&fixed["fixed"], &fixed["failed"]), (&json!(1), &json!(1)));
    let after = std::fs::read_to_string(&manifest).unwrap();
    assert!(after.contains("origin_source = \"github\" # url\n") && after.starts_with("# mine\n"));
    let kept =
        std::fs::read_to_string(sandbox.collection("default", "collection.toml.bak")).unwrap();
    assert_eq!(kept, before);
    repair(&sandbox, &["misplaced", "--execute"], 0);
    assert!(
        sandbox
            .collection("default", "skills/canvas/SKILL.md")
            .is_file()
    );
    assert!(!sandbox.collection("work", "skills/canvas").exists());
    assert_eq!(sandbox.show("canvas")["status"], "managed");
    sandbox.json(&["undo"]);
    assert!(
        sandbox
            .collection("work", "skills/canvas/SKILL.md")
            .is_file()
    );
}

#[test]
fn absolute_paths_of_the_place_before_are_written_anew() {
    let sandbox = Sandbox::initialised();
    let root = sandbox.collection("default", "");
    skill(&root.join("skills"), "here", "Came along");
    let manifest = root.join("collection.toml");
    let header = "[collection]\nname = \"default\"\nversion = \"1.0.0\"\n";
    let old = "/gone/.skillmeat/collections/default/skills";
    let entries = [
        ("here", format!("{old}/here")),
        ("lost", format!("{old}/lost")),
    ]
    .map(|(name, path)| entry(name, "skill", &path, ""));
    write(&manifest, format!("{header}{}", entries.concat()));
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let report = repair(&sandbox, &["layout", "--execute"], 2);
    assert_eq!(results(&report), ["failed skill:lost", "fixed skill:here"]);
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("path = \"skills/here\"\n"), "{text}");
    assert_eq!(sandbox.show("here")["status"], "managed");
}

#[test]
fn all_repairs_mend_all_and_a_second_time_nothing() {
    let sandbox = broken();
    let planned = repair(&sandbox, &["all"], 2);
    let report = repair(&sandbox, &["all", "--execute"], 2);
    assert_eq!(report["failed"], 1, "{report:#}");
    // Each repair was planned upon what those before it would leave.
    let told = planned.to_string().replace("would-fix", "fixed");
    assert_eq!(
        results(&serde_json::from_str(&told).unwrap()),
        results(&report)
    );
    let text = std::fs::read_to_string(sandbox.collection("default", "collection.toml")).unwrap();
    for wanted in [
        "path = \"skills/tooled\"\n",
        "path = \"skills/plain\"\n",
        "tools = [\n    \"Read\",\n    \"Write\",\n]",
        "name = \"stray\"\n",
        "members = [\"skill:plain\"]\n",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert!(
        !text.contains("\"gone\"") && !text.contains("\"both\""),
        "{text}"
    );
    let lock = std::fs::read_to_string(sandbox.collection("default", "collection.lock")).unwrap();
    assert!(
        !lock.contains("old::skill") && lock.contains("stray::skill"),
        "{lock}"
    );
    until_true("everything in its place", || {
        let listed = sandbox.json(&["list", "--all"]);
        let all = listed["artifacts"].as_array().unwrap();
        all.len() == 5 && all.iter().all(|one| one["status"] == "managed")
    });
    let again = repair(&sandbox, &["all", "--execute"], 2);
    assert_eq!(
        (&again["fixed"], &again["steps"]),
        (&json!(0), &json!([])),
        "{again:#}"
    );
    assert_eq!(again["operation"], Value::Null);
    sandbox.fails(&["repair", "tools", "-c", "none"], 3);
}

#[test]
fn what_lies_misplaced_is_left_to_the_repair_that_moves_it() {
    let sandbox = Sandbox::initialised();
    sandbox.json(&["collection", "create", "work"]);
    let root = sandbox.collection("default", "");
    skill(&sandbox.collection("work", "skills"), "canvas", "Misplaced");
    write(
        root.join("collection.toml"),
        "[collection]\nname = \"default\"\nversion = \"1.0.0\"\n".to_owned()
            + &entry("canvas", "skill", "skills/canvas", "tags = [\"mine\"]\n"),
    );
    drop(sandbox.run(&["cache", "refresh"]).ok());
    for repair_name in ["orphans", "missing", "tools"] {
        let report = repair(&sandbox, &[repair_name, "--execute"], 0);
        assert_eq!(results(&report), ["skipped skill:canvas"], "{report:#}");
        let reason = text(&report["items"][0]["reason"]);
        assert!(reason.contains("`sm repair misplaced`"), "{reason}");
        let told = sandbox.run(&["repair", repair_name]).ok();
        assert!(told.stderr.contains("`sm repair misplaced`"), "{told:?}");
    }
    let kept = |name: &str, be: &str| {
        format!("the manifest of `{name}` as it was {be} kept as `collection.toml.bak`")
    };
    let planned = sandbox.run(&["repair", "misplaced"]).ok().stderr;
    assert!(planned.contains(&kept("default", "would be")), "{planned}");
    assert!(
        !sandbox
            .collection("default", "collection.toml.bak")
            .exists()
    );
    let moved = sandbox.run(&["repair", "misplaced", "--execute"]).ok();
    let operation = sandbox.json(&["log"])["operations"][0]["id"].to_string();
    let how = format!("`sm undo {operation}`");
    assert!(moved.stderr.contains(&how), "{how} in {moved:?}");
    for name in ["default", "work"] {
        let text = |file: &str| std::fs::read_to_string(sandbox.collection(name, file)).unwrap();
        assert_eq!(text("collection.toml.bak"), text("collection.toml"));
        assert!(moved.stderr.contains(&kept(name, "is")), "{moved:?}");
    }
    let shown = sandbox.show("canvas");
    assert_eq!(
        (&shown["collection"], &shown["tags"]),
        (&json!("default"), &json!(["mine"]))
    );
}

#[test]
fn tools_are_written_once() {
    let sandbox = broken();
    for wanted in [
        "  Updated: 1\n    With tools: 1\n",
        "  Updated: 0\n    With tools: 0\n",
    ] {
        let told = sandbox.run(&["repair", "tools", "--execute"]).exits(2);
        assert!(told.stderr.contains(wanted), "{told:?}");
    }
}

#[test]
fn a_backup_of_somebody_else_is_not_overwritten() {
    let sandbox = broken();
    let manifest = sandbox.collection("default", "collection.toml");
    let backup = |end: &str| sandbox.collection("default", &format!("collection.toml.bak{end}"));
    write(backup(""), "# of somebody else\n");
    let before = std::fs::read_to_string(&manifest).unwrap();
    let done = sandbox
        .run(&["repair", "origin-source", "--execute"])
        .exits(2);
    let kept = |end: &str| std::fs::read_to_string(backup(end)).unwrap();
    assert_eq!(
        (kept(""), kept(".2")),
        ("# of somebody else\n".to_owned(), before)
    );
    assert!(done.stderr.contains("`collection.toml.bak.2`"), "{done:?}");
}

#[test]
fn a_dry_run_may_be_asked_for_and_errors_name_the_line() {
    let sandbox = broken();
    let planned = repair(&sandbox, &["layout", "--dry-run"], 0);
    assert_eq!(
        (&planned["dry_run"], &planned["fixed"]),
        (&json!(true), &json!(2))
    );
    sandbox.fails(&["repair", "layout", "--dry-run", "--execute"], 2);
    let manifest = sandbox.collection("work", "collection.toml");
    write(&manifest, "[collection]\nname = \"work\"\nx = = 1\n");
    let told = sandbox.run(&["repair", "layout"]).exits(2);
    let place = format!("{}:3", manifest.display());
    assert!(told.stdout.contains(&place), "{place} in {told:?}");
    let report = repair(&sandbox, &["layout"], 2);
    let item = &report["items"].as_array().unwrap()[2];
    assert_eq!(
        (&item["id"], &item["source"]),
        (&json!("work"), &json!(place))
    );
}
