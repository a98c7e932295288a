//! `sm adopt`: what agents have, as a table, and taken into a collection.

use serde_json::Value;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{skill, text, write};

/// A user with agents, and two projects.
fn user() -> Sandbox {
    let sandbox = Sandbox::initialised();
    let at = |path: &str| sandbox.path(path);
    skill(&at(".claude/skills"), "pdf", "Reads PDF");
    skill(&at(".codex/skills"), "pdf", "Reads PDF");
    skill(&at(".cursor/skills"), "pdf", "Another one");
    write(
        at(".claude/agents/review.md"),
        "---\nname: review\ndescription: Reviews\n---\n# R\n",
    );
    skill(&at("src/shop/.claude/skills"), "deploy", "Deploys the shop");
    skill(&at("src/team/blog/.agents/skills"), "post", "Writes posts");
    std::os::unix::fs::symlink("gone", at(".claude/skills/dead")).unwrap();
    sandbox
}

fn rows(survey: &Value) -> Vec<String> {
    let rows = survey["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| {
            let places = row["places"].as_array().unwrap().len();
            format!("{} {} {places}", text(&row["id"]), text(&row["state"]))
        })
        .collect()
}

#[test]
fn what_agents_have_is_shown_once_for_each_content() {
    let sandbox = user();
    let survey = sandbox.json(&["adopt"]);
    assert_eq!(
        rows(&survey),
        ["skill:pdf new 2", "skill:pdf rival 1", "agent:review new 1"]
    );
    assert_eq!(survey["rows"][0]["places"][0]["agents"][0], "claude-code");
    assert_eq!(survey["rows"][0]["places"][1]["agents"][0], "codex");
    assert!(text(&survey["skipped"][0]["reason"]).contains("nowhere"));
    assert!(sandbox.ids().is_empty());

    let shown = sandbox.run(&["adopt", "-v"]).ok();
    for expected in ["~/.codex/skills/pdf", "differs from above", "Reads PDF"] {
        assert!(shown.stdout.contains(expected), "{shown:?}");
    }
    assert!(shown.stderr.contains("nothing was taken in"), "{shown:?}");
    assert!(shown.stderr.contains("~/.claude/skills/dead"), "{shown:?}");
}

#[test]
fn all_that_is_new_is_taken_in_as_one_change() {
    let sandbox = user();
    let dry = sandbox.json(&["adopt", "--all", "--dry-run"]);
    assert_eq!(dry["added"], 2);
    assert!(sandbox.ids().is_empty());
    let done = sandbox.json(&["adopt", "--all", "--yes"]);
    assert_eq!(done["added"], 2);
    assert!(done["operation"].is_string());
    assert_eq!(dry["steps"], done["steps"]);
    assert_eq!(sandbox.ids(), ["agent:review", "skill:pdf"]);
    assert_eq!(sandbox.show("pdf")["description"], "Reads PDF");
    let survey = sandbox.json(&["adopt"]);
    assert_eq!(
        rows(&survey),
        [
            "skill:pdf present 2",
            "skill:pdf differs 1",
            "agent:review present 1"
        ]
    );
    let again = sandbox.run(&["adopt", "--all"]).ok();
    assert!(again.stderr.contains("nothing is new"), "{again:?}");
    // What the agents have is theirs.
    assert!(sandbox.path(".claude/skills/pdf/SKILL.md").is_file());
}

#[test]
fn some_are_taken_by_name_from_an_agent_a_folder_or_projects() {
    let mut sandbox = user();
    let done = sandbox.json(&["adopt", "--from", "cursor", "pdf"]);
    assert_eq!(done["added"], 1);
    assert_eq!(sandbox.show("pdf")["description"], "Another one");
    let survey = sandbox.json(&["adopt", "--from", "src"]);
    assert_eq!(rows(&survey), ["skill:deploy new 1", "skill:post new 1"]);
    let survey = sandbox.json(&["adopt", "--from", "~/src/shop"]);
    assert_eq!(rows(&survey), ["skill:deploy new 1"]);
    let survey = sandbox.json(&["adopt", "--from", "./.claude/agents"]);
    assert_eq!(rows(&survey), ["agent:review new 1"]);
    drop(
        sandbox
            .run(&["config", "set", "search.project-roots", "~/src"])
            .ok(),
    );
    let done = sandbox.json(&["adopt", "skill:d*", "agent:review"]);
    assert_eq!(done["added"], 2);
    assert_eq!(sandbox.ids(), ["agent:review", "skill:deploy", "skill:pdf"]);

    for (args, exit, why) in [
        (&["adopt", "nothing"][..], 3, "nothing called `nothing`"),
        (&["adopt", "--from", "cursro"], 2, "no agent"),
        (&["adopt", "--from", "./none"], 3, "none"),
        (
            &["adopt", "--from", "src/team/blog/.agents/skills/post"],
            3,
            "no folder of an agent",
        ),
        (&["adopt", "-c", "none"], 3, "none"),
    ] {
        let error = sandbox.fails(args, exit);
        assert!(text(&error["message"]).contains(why), "{error}");
    }
    // The user's environment counts, not the daemon's.
    skill(&sandbox.path("elsewhere/skills"), "moved", "Moved");
    let elsewhere = sandbox.path("elsewhere");
    sandbox.set("CLAUDE_CONFIG_DIR", elsewhere.to_str().unwrap());
    let survey = sandbox.json(&["adopt", "--from", "claude-code"]);
    assert_eq!(rows(&survey), ["skill:moved new 1"]);
}

#[test]
fn the_users_own_agents_count() {
    let sandbox = user();
    skill(&sandbox.path(".house/skills"), "home", "Of the house");
    write(
        sandbox.home().agents(),
        "version = 1\n[[agent]]\nid = \"house\"\nname = \"House\"\nuser = { skills = [\".house/skills\"] }\n",
    );
    let survey = sandbox.json(&["adopt", "--from", "house"]);
    assert_eq!(rows(&survey), ["skill:home new 1"]);
    write(sandbox.home().agents(), "version = 1\n[[agent]]\nid = 1\n");
    let error = sandbox.fails(&["adopt"], 2);
    assert_eq!(error["code"], "config.invalid");
    assert_eq!(error["line"], 3);
}

#[test]
fn some_are_taken_by_pattern_and_from_stdin() {
    let sandbox = user();
    let names = sandbox.path("names");
    write(&names, "agent:review\n\n");
    let mut command = sandbox.sm(&["adopt", "-", "--json"]);
    command.stdin(std::fs::File::open(&names).unwrap());
    let done = skillmeat_tests::home::output(command).ok().json();
    assert_eq!(done["added"], 1, "{done}");
    assert_eq!(sandbox.ids(), ["agent:review"]);
    let done = sandbox.json(&["adopt", "p*"]);
    assert_eq!(done["added"], 1, "{done}");
    assert_eq!(sandbox.ids(), ["agent:review", "skill:pdf"]);
    let error = sandbox.fails(&["adopt", "-"], 2);
    assert_eq!(error["message"], "stdin holds no name");
    sandbox.fails(&["adopt", "zz*"], 3);
}

#[test]
fn parts_of_a_project_have_folders_of_agents_too() {
    let sandbox = user();
    let at = |path: &str| sandbox.path(path);
    skill(
        &at("src/shop/packages/cart/.claude/skills"),
        "cart",
        "The cart",
    );
    skill(
        &at("src/shop/node_modules/x/.claude/skills"),
        "x",
        "Of others",
    );
    let of_shop = ["skill:cart new 1", "skill:deploy new 1"];
    assert_eq!(
        rows(&sandbox.json(&["adopt", "--from", "src/shop"])),
        of_shop
    );
    let all = rows(&sandbox.json(&["adopt", "--from", "src"]));
    assert_eq!((&all[..2], all.len()), (&of_shop.map(str::to_owned)[..], 3));
}

#[test]
fn what_only_an_agent_reads_is_told_and_not_taken() {
    let sandbox = user();
    write(
        sandbox.path(".codex/agents/planner.toml"),
        "name = \"planner\"\n",
    );
    write(
        sandbox.path(".claude/settings.json"),
        "{\"hooks\": {\"Stop\": []}}",
    );
    write(
        sandbox.path(".claude/settings.local.json"),
        "{\"model\": \"x\"}",
    );
    write(
        sandbox.path("src/shop/.claude/settings.local.json"),
        "{\"hooks\": {}}",
    );
    let why = |survey: &Value, path: &str| {
        let path = sandbox.path(path).display().to_string();
        let skipped = survey["skipped"].as_array().unwrap();
        let found = skipped.iter().find(|one| one["path"] == path.as_str());
        found.map(|one| text(&one["reason"]).clone())
    };
    let survey = sandbox.json(&["adopt"]);
    let agent = why(&survey, ".codex/agents/planner.toml").unwrap();
    assert!(agent.contains("only its agent"), "{agent}");
    let hooks = why(&survey, ".claude/settings.json").unwrap();
    assert!(hooks.contains("hooks among other settings"), "{hooks}");
    assert_eq!(why(&survey, ".claude/settings.local.json"), None);
    let survey = sandbox.json(&["adopt", "--from", "src/shop"]);
    assert!(why(&survey, "src/shop/.claude/settings.local.json").is_some());
}

#[test]
fn kinds_are_chosen_from_what_agents_have() {
    let sandbox = user();
    let survey = sandbox.json(&["adopt", "--type", "agent"]);
    assert_eq!(rows(&survey), ["agent:review new 1"]);
    let error = sandbox.fails(&["adopt", "pdf", "--type", "agents"], 3);
    assert_eq!(error["code"], "artifact.not_found", "{error:#}");
    let taken = sandbox.json(&["adopt", "--all", "--type", "skill"]);
    assert_eq!(taken["added"], 1, "{taken:#}");
    assert_eq!(sandbox.ids(), ["skill:pdf"]);
}
