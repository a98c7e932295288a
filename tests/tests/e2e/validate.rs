//! `sm validate`: findings, fixes, exit codes.

use std::fs;

use serde_json::Value;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{fixture, skill, text, write};

/// Rules that an answer names, with artifact, line and severity.
fn findings(answer: &Value) -> Vec<(String, String, Option<u64>, String)> {
    let mut found = Vec::new();
    for artifact in answer["artifacts"].as_array().unwrap() {
        for one in artifact["findings"].as_array().unwrap() {
            found.push((
                text(&artifact["id"]),
                text(&one["rule"]),
                one["line"].as_u64(),
                text(&one["severity"]),
            ));
        }
    }
    found
}

fn broken(folder: &std::path::Path) {
    write(
        folder.join("pdf/SKILL.md"),
        "---\nname: other # mine\ndescription: Use when: asked\n---\nSee [it](nothere.md).\n",
    );
    skill(folder, "good", "Does good");
}

#[test]
fn findings_have_file_line_rule_and_a_fix_that_can_be_undone() {
    let sandbox = Sandbox::initialised();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    broken(&sandbox.collection("default", "skills"));
    drop(sandbox.shows("pdf", "the skill", |show| show["status"] == "unmanaged"));
    let before = fs::read_to_string(&file).unwrap();
    let answer = sandbox.json(&["validate"]);
    let of = |rule: &str, line, severity: &str| {
        (
            "skill:pdf".to_owned(),
            rule.to_owned(),
            Some(line),
            severity.to_owned(),
        )
    };
    let wanted = [
        of("name.folder", 2, "warning"),
        of("fields.quotes", 3, "warning"),
        of("link.broken", 5, "warning"),
    ];
    assert_eq!(findings(&answer), wanted);
    assert_eq!(
        (&answer["checked"], &answer["errors"], &answer["warnings"]),
        (&2.into(), &0.into(), &3.into())
    );
    // By the letter they are errors.
    let strict = sandbox
        .run(&["validate", "pdf", "--strict", "--json"])
        .exits(9);
    assert_eq!(strict.json()["errors"], 3);
    let dry = sandbox.json(&["validate", "--fix", "--dry-run"]);
    assert_eq!(dry["mended"].as_array().unwrap().len(), 2);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let fixed = sandbox.json(&["validate", "--fix"]);
    assert_eq!(findings(&fixed), [of("link.broken", 5, "warning")]);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "---\nname: pdf # mine\ndescription: \"Use when: asked\"\n---\nSee [it](nothere.md).\n"
    );
    drop(sandbox.run(&["undo", &text(&fixed["operation"])]).ok());
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let text = sandbox.run(&["validate", "pdf"]).ok().stdout;
    assert!(
        text.contains("SKILL.md:3") && text.contains("fields.quotes, `--fix` mends it"),
        "{text}"
    );
}

#[test]
fn paths_outside_are_held_to_the_same_rules() {
    let sandbox = Sandbox::initialised();
    let source = sandbox.path("source");
    broken(&source);
    let folder = source.to_str().unwrap();
    let answer = sandbox.json(&["validate", folder]);
    assert_eq!(
        (answer["checked"].as_u64(), findings(&answer).len()),
        (Some(2), 3)
    );
    let fixed = sandbox.json(&["validate", &format!("{folder}/pdf"), "--fix"]);
    assert_eq!(
        (
            fixed["mended"].as_array().unwrap().len(),
            &fixed["operation"]
        ),
        (2, &Value::Null)
    );
    assert!(
        fs::read_to_string(source.join("pdf/SKILL.md"))
            .unwrap()
            .contains("name: pdf # mine")
    );
    let file = sandbox.json(&["validate", &format!("{folder}/pdf/SKILL.md")]);
    assert_eq!(findings(&file).len(), 1);
    write(source.join("bad/SKILL.md"), "no fields\n");
    assert_eq!(
        sandbox.run(&["validate", &format!("{folder}/bad")]).code,
        Some(9)
    );
    sandbox.fails(&["validate", &format!("{folder}/nothere")], 3);
    sandbox.fails(&["validate", "nothere"], 3);
    // What lies in a collection is mended by its name only.
    broken(&sandbox.collection("default", "skills"));
    let inside = sandbox.collection("default", "skills/pdf");
    let answer = sandbox
        .run(&["validate", inside.to_str().unwrap(), "--fix", "--json"])
        .exits(9);
    assert!(text(&answer.json()["failed"][0]["reason"]).contains("lies in a collection"));
}

#[test]
fn a_plugin_is_looked_at_with_its_parts_and_settings() {
    let sandbox = Sandbox::initialised();
    let market = sandbox.path("market");
    let plugin = market.join("plugins/one");
    let json = |path: &str, text: &str| write(market.join(path), text);
    json(
        ".claude-plugin/marketplace.json",
        r#"{"name": "m", "owner": {"name": "o"}, "plugins": [
            {"name": "one", "source": "./plugins/one"},
            {"name": "two", "source": "./plugins/two"}]}"#,
    );
    json(
        "plugins/one/.claude-plugin/plugin.json",
        "{\n\"name\": \"One\"}",
    );
    json(
        "plugins/one/hooks/hooks.json",
        "{\"hooks\": {\n\"PreToolUsed\": [{\"hooks\": [\n{\"type\": \"command\"}]}]}}",
    );
    json("plugins/one/.mcp.json", "{\"mcpServers\": {\"x\":\n{}}}");
    broken(&plugin.join("skills"));
    let answer = |path: &std::path::Path| {
        let run = sandbox.run(&["validate", path.to_str().unwrap(), "--json"]);
        run.exits(9).json()
    };
    let of = |rule: &str, line, severity: &str| {
        let id = "composite:one".to_owned();
        (id, rule.to_owned(), Some(line), severity.to_owned())
    };
    let of_plugin = [
        of("mcp.incomplete", 1, "error"),
        of("plugin.name", 2, "error"),
        of("hook.incomplete", 3, "error"),
        of("hook.event", 2, "warning"),
    ];
    for path in [&plugin, &plugin.join(".claude-plugin/plugin.json")] {
        let all = findings(&answer(path));
        assert_eq!(all[..4], of_plugin, "{all:#?}");
        assert!(all[4..].iter().all(|one| one.0 == "skill:pdf"), "{all:#?}");
        assert_eq!(all.len(), 7);
    }
    let all = findings(&answer(&market));
    assert_eq!(
        (all[0].1.as_str(), all[0].2, all.len()),
        ("link.broken", Some(3), 8),
        "{all:#?}"
    );
    // One file by itself, and an artifact of a collection.
    let mcp = findings(&answer(&plugin.join(".mcp.json")));
    assert_eq!(mcp[0].1, "mcp.incomplete");
    let hooks = findings(&answer(&plugin.join("hooks/hooks.json")));
    assert_eq!((hooks[0].1.as_str(), hooks.len()), ("hook.incomplete", 2));
    drop(
        sandbox
            .run(&["add", plugin.join("hooks").to_str().unwrap(), "--as", "h"])
            .ok(),
    );
    let own = sandbox
        .run(&["validate", "hook:h", "--verbose"])
        .exits(9)
        .stdout;
    assert!(
        own.contains("hooks.json:3  a handler of `PreToolUsed` has no `command`")
            && own.contains("as its type asks for"),
        "{own}"
    );
}

#[test]
fn plugins_and_marketplaces_below_a_folder_are_looked_at() {
    let sandbox = Sandbox::initialised();
    let folder = sandbox.path("all");
    write(
        folder.join("x/bare/.claude-plugin/plugin.json"),
        "{\"name\": \"Bare\"}",
    );
    write(
        folder.join("y/market/.claude-plugin/marketplace.json"),
        "{\"name\": \"m\",\n\"plugins\": []}",
    );
    let validate = || {
        let run = sandbox.run(&["validate", folder.to_str().unwrap(), "--json"]);
        run.exits(9).json()
    };
    let answer = validate();
    let found: Vec<(String, String)> = findings(&answer)
        .into_iter()
        .map(|one| (one.0, one.1))
        .collect();
    let of = |id: &str, rule: &str| (id.to_owned(), rule.to_owned());
    assert_eq!(answer["checked"], 2, "{answer:#}");
    assert!(
        found.contains(&of("composite:bare", "plugin.name"))
            && found.iter().any(|(id, _)| id == "composite:market"),
        "{found:?}"
    );
    // Also beside what a folder would be without them, and below what is a plugin itself.
    write(folder.join("notes.md"), "Notes.\n");
    assert_eq!(validate()["checked"], 2);
    skill(&folder.join("skills"), "fine", "Fine");
    write(
        folder.join(".claude-plugin/plugin.json"),
        "{\"name\": \"all\"}",
    );
    assert_eq!(validate()["checked"], 4);
}

#[test]
fn the_corpus_is_good_but_for_what_is_known() {
    let sandbox = Sandbox::initialised();
    let corpus = fixture("corpus");
    let answer = sandbox
        .run(&["validate", corpus.to_str().unwrap(), "--json"])
        .json();
    assert!(answer["checked"].as_u64().unwrap() > 10);
    let errors: Vec<_> = findings(&answer)
        .into_iter()
        .filter(|(_, _, _, severity)| severity == "error")
        .collect();
    assert_eq!(errors, []);
}

#[test]
fn every_rule_is_listed_without_a_daemon() {
    let sandbox = Sandbox::new();
    let rules = sandbox.json(&["validate", "--rules", "--no-autostart"]);
    let known = skillmeat_shared::artifact::validate::RULES;
    assert_eq!(rules.as_array().unwrap().len(), known.len());
    assert_eq!(rules[0]["rule"], known[0].id);
}
