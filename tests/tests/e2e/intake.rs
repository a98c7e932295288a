//! `sm add` beyond one path: replacing, patterns, standard input, archives, folders of agents.

use std::path::Path;

use serde_json::Value;
use skillmeat_tests::Sandbox;
use skillmeat_tests::command::Answer;
use skillmeat_tests::home::{fixture, output, skill, text, write};

fn results(changed: &Value) -> Vec<String> {
    let items = changed["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            let id = item["id"].as_str().unwrap_or("-");
            format!("{} {id}", text(&item["result"]))
        })
        .collect()
}

fn read(sandbox: &Sandbox, path: &str) -> String {
    std::fs::read_to_string(sandbox.collection("default", path)).unwrap()
}

fn archives(name: &str) -> String {
    let path = fixture("../../shared/tests/fixtures/archives").join(name);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

fn with_input(sandbox: &Sandbox, args: &[&str], input: &str) -> Answer {
    let file = sandbox.path("input");
    write(&file, input);
    let mut command = sandbox.sm(args);
    command.stdin(std::fs::File::open(file).unwrap());
    output(command)
}

#[test]
fn force_replaces_and_keeps_what_is_the_users() {
    let sandbox = Sandbox::initialised();
    let first = skill(&sandbox.path("a"), "pdf", "The first");
    let other = skill(&sandbox.path("b"), "pdf", "The second");
    write(first.join("old.md"), "gone afterwards");
    drop(sandbox.run(&["add", first.to_str().unwrap()]).ok());
    let manifest = sandbox.collection("default", "collection.toml");
    let edited = std::fs::read_to_string(&manifest).unwrap().replace(
        "name = \"pdf\"",
        "# mine\nname = \"pdf\"\nuuid = \"12\"\naliases = [\"p\"]",
    );
    write(&manifest, edited);
    sandbox.shows("pdf", "the alias", |shown| shown["aliases"][0] == "p");

    let dry = sandbox.json(&["add", "--force", "--dry-run", other.to_str().unwrap()]);
    assert_eq!(results(&dry), ["would-replace skill:pdf"]);
    assert_eq!(dry["replaced"], 1);
    assert!(read(&sandbox, "skills/pdf/SKILL.md").contains("The first"));

    let done = sandbox.json(&["add", "--force", other.to_str().unwrap()]);
    assert_eq!(results(&done), ["replaced skill:pdf"]);
    assert_eq!(dry["steps"], done["steps"]);
    assert!(done["operation"].is_string(), "{done:#}");
    assert!(!sandbox.collection("default", "skills/pdf/old.md").exists());
    let shown = sandbox.show("pdf");
    assert_eq!(shown["description"], "The second");
    assert_eq!(shown["modified"], false);
    assert_eq!(shown["differences"].as_array().unwrap().len(), 0);
    assert_eq!(shown["aliases"][0], "p");
    let manifest = read(&sandbox, "collection.toml");
    assert!(
        manifest.contains("# mine\nname = \"pdf\"\nuuid = \"12\""),
        "{manifest}"
    );
    assert!(
        manifest.contains("description = \"The second\""),
        "{manifest}"
    );

    let again = sandbox.json(&["add", "--force", other.to_str().unwrap()]);
    assert_eq!(results(&again), ["unchanged skill:pdf"]);
    assert!(again["operation"].is_null());
    sandbox.fails(&["add", "--force", "--update", "x"], 2);
}

#[test]
fn force_replaces_what_nobody_named_and_what_came_from_elsewhere() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("a"), "pdf", "Ours");
    let place = sandbox.collection("default", "skills/pdf");
    write(place.join("notes.txt"), "no skill");
    sandbox.fails(&["add", source.to_str().unwrap()], 4);
    let done = sandbox.json(&["add", "-f", source.to_str().unwrap()]);
    assert_eq!(results(&done), ["replaced skill:pdf"]);
    assert!(!place.join("notes.txt").exists());
    assert_eq!(sandbox.show("pdf")["status"], "managed");

    let manifest = sandbox.collection("default", "collection.toml");
    let edited = std::fs::read_to_string(&manifest).unwrap().replace(
        "origin = \"local\"",
        "origin = \"github\"\nupstream = \"https://example.org/o/r\"\nresolved_sha = \"abc\"",
    );
    write(&manifest, edited);
    sandbox.shows("pdf", "the origin", |shown| shown["origin"] == "github");
    let other = skill(&sandbox.path("b"), "pdf", "Other");
    let error = sandbox.fails(&["add", "--update", other.to_str().unwrap()], 4);
    assert!(
        text(&error["message"]).contains("https://example.org/o/r"),
        "{error}"
    );
    drop(
        sandbox
            .run(&["add", "--force", other.to_str().unwrap()])
            .ok(),
    );
    let shown = sandbox.show("pdf");
    assert_eq!(shown["origin"], "local");
    assert!(!read(&sandbox, "collection.toml").contains("upstream"));
}

#[test]
fn update_replaces_what_changed_but_no_edit() {
    let sandbox = Sandbox::initialised();
    let sources = sandbox.path("src/skills");
    for name in ["same", "changed", "edited"] {
        skill(&sources, name, "First");
    }
    let tree = sandbox.path("src");
    let tree = tree.to_str().unwrap();
    drop(sandbox.run(&["add", "--all", tree]).ok());
    skill(&sources, "changed", "Second");
    skill(&sources, "edited", "Second");
    skill(&sources, "new", "New");
    write(
        sandbox.collection("default", "skills/edited/SKILL.md"),
        "---\nname: edited\ndescription: By hand\n---\n",
    );
    sandbox.shows("edited", "the edit", |shown| shown["modified"] == true);
    let answer = sandbox
        .run(&["add", "--all", "--update", tree, "--json"])
        .exits(9);
    let mut found = results(&answer.json());
    found.sort();
    assert_eq!(
        found,
        [
            "added skill:new",
            "conflict skill:edited",
            "replaced skill:changed",
            "unchanged skill:same"
        ]
    );
    assert_eq!(sandbox.show("changed")["description"], "Second");
    assert_eq!(sandbox.show("edited")["description"], "By hand");
}

#[test]
fn paths_come_from_patterns_and_standard_input() {
    let sandbox = Sandbox::initialised();
    for name in ["pdf-one", "pdf-two", "xlsx"] {
        skill(&sandbox.path("src"), name, "A skill");
    }
    let done = sandbox.json(&["add", "src/pdf-*"]);
    assert_eq!(
        results(&done),
        ["added skill:pdf-one", "added skill:pdf-two"]
    );
    let done = sandbox.json(&["add", "~/src/[x]*"]);
    assert_eq!(results(&done), ["added skill:xlsx"]);
    let error = sandbox.fails(&["add", "src/none-*"], 3);
    assert!(text(&error["message"]).contains("none-*"));
    sandbox.fails(&["add", "src/*", "--as", "one"], 2);

    skill(&sandbox.path("more"), "by name", "A skill");
    skill(&sandbox.path("more"), "last", "A skill");
    let answer = with_input(
        &sandbox,
        &["add", "-", "--json"],
        "more/by name\nmore/last\n",
    );
    assert_eq!(
        results(&answer.ok().json()),
        ["added skill:by name", "added skill:last"]
    );
    let answer = with_input(&sandbox, &["add", "-"], "");
    drop(answer.exits(2));
    let renamed = sandbox.json(&["add", "src/xlsx", "--as", "sheets"]);
    assert_eq!(results(&renamed), ["added skill:sheets"]);
}

#[test]
fn archives_are_added_by_what_they_hold() {
    let sandbox = Sandbox::initialised();
    let done = sandbox.json(&["add", &archives("python-zipfile.skill")]);
    assert_eq!(results(&done), ["added skill:pdf-forms"]);
    assert!(text(&done["items"][0]["source"]).ends_with("python-zipfile.skill/pdf-forms"));
    for other in ["info-zip.zip", "gnu-tar.tar.gz", "python-tarfile-pax.tgz"] {
        let again = sandbox.json(&["add", &archives(other)]);
        assert_eq!(results(&again), ["unchanged skill:pdf-forms"], "{other}");
    }
    let named = sandbox.json(&["add", &archives("gnu-tar.tar.gz"), "--as", "forms"]);
    assert_eq!(results(&named), ["added skill:forms"]);
    assert_eq!(sandbox.show("forms")["modified"], false);

    // A whole repository, and one without a folder of its own.
    let repository = sandbox.path("repository-main");
    skill(&repository.join("skills"), "one", "One");
    skill(&repository.join("skills"), "two", "Two");
    write(repository.join("README.md"), "# About\n");
    let pack = |archive: &str, folder: &Path, what: &str| {
        let mut tar = sandbox.command(Path::new("tar"));
        tar.arg("-czf")
            .arg(sandbox.path(archive))
            .arg("-C")
            .arg(folder)
            .arg(what);
        assert!(tar.status().unwrap().success());
    };
    pack("all.tar.gz", sandbox.root(), "repository-main");
    let done = sandbox.json(&["add", "all.tar.gz"]);
    assert_eq!(results(&done), ["added skill:one", "added skill:two"]);
    let error = sandbox.fails(&["add", "all.tar.gz", "--as", "x"], 2);
    assert!(
        text(&error["message"]).contains("holds 2 artifacts"),
        "{error}"
    );
    pack("bare.tgz", &skill(&sandbox.path("x"), "inner", "Bare"), ".");
    let done = sandbox.json(&["add", "bare.tgz"]);
    assert_eq!(results(&done), ["added skill:bare"]);
    write(sandbox.path("empty/notes.txt"), "nothing");
    pack("empty.tgz", sandbox.root(), "empty");
    let error = sandbox.fails(&["add", "empty.tgz"], 2);
    assert_eq!(error["code"], "artifact.undetected");
}

#[test]
fn hostile_and_broken_archives_add_nothing() {
    let sandbox = Sandbox::initialised();
    let evil = sandbox.path("evil");
    skill(&evil, "pdf", "Evil");
    std::os::unix::fs::symlink("/etc/passwd", evil.join("pdf/passwd")).unwrap();
    let mut tar = sandbox.command(Path::new("tar"));
    tar.arg("-czf")
        .arg(sandbox.path("evil.tar.gz"))
        .arg("-C")
        .arg(&evil)
        .arg("pdf");
    assert!(tar.status().unwrap().success());
    write(sandbox.path("broken.skill"), "PK\x03\x04 and no more");
    for (name, exit, code, why) in [
        (
            "evil.tar.gz",
            5,
            "archive.refused",
            "`pdf/passwd` is a link that leads out",
        ),
        ("broken.skill", 2, "archive.invalid", "broken.skill"),
    ] {
        let error = sandbox.fails(&["add", name], exit);
        assert_eq!(error["code"], code);
        assert!(text(&error["message"]).contains(why), "{error}");
    }
    assert!(sandbox.ids().is_empty());
    let unpacked = sandbox.home().unpacked();
    assert_eq!(std::fs::read_dir(unpacked).unwrap().count(), 0);
    assert!(!sandbox.collection("default", "skills/pdf").exists());
}

#[test]
fn a_folder_of_an_agent_is_taken_as_what_it_holds() {
    let sandbox = Sandbox::initialised();
    let claude = sandbox.path(".claude");
    skill(&claude.join("skills"), "own", "Own");
    skill(&sandbox.path(".agents/skills"), "shared", "Shared");
    std::os::unix::fs::symlink("../../.agents/skills/shared", claude.join("skills/shared"))
        .unwrap();
    write(claude.join("commands/git/commit.md"), "Commit.\n");
    write(claude.join("settings.json"), "{\"hooks\": {\"Stop\": []}}");
    let done = sandbox.json(&["add", "~/.claude"]);
    assert_eq!(
        results(&done),
        [
            "skipped -",
            "added skill:own",
            "added skill:shared",
            "added command:commit"
        ]
    );
    assert!(text(&done["items"][0]["reason"]).contains("hooks among other settings"));
    assert_eq!(
        text(&done["items"][2]["source"]),
        claude.join("skills/shared").display().to_string()
    );
    assert!(
        sandbox
            .collection("default", "skills/shared/SKILL.md")
            .is_file()
    );
    let again = sandbox.json(&["add", ".claude/skills"]);
    assert_eq!(
        results(&again),
        ["unchanged skill:own", "unchanged skill:shared"]
    );
    std::fs::create_dir_all(sandbox.path("p/.cursor/skills")).unwrap();
    sandbox.fails(&["add", "p/.cursor"], 2);
}

#[test]
fn an_archive_of_another_kind_is_told_by_its_own_path() {
    let sandbox = Sandbox::initialised();
    let archive = archives("python-zipfile.skill");
    let error = sandbox.fails(&["add", &archive, "--type", "agent"], 2);
    assert_eq!(error["code"], "artifact.invalid", "{error}");
    assert!(
        text(&error["message"]).contains("python-zipfile.skill"),
        "{error}"
    );
    assert!(!error.to_string().contains("unpacked"), "{error}");
}

/// The results of adding an archive of what lies in a folder, only looked at.
fn packed(sandbox: &Sandbox, folder: &str, archive: &str) -> Vec<String> {
    let mut tar = sandbox.command(Path::new("tar"));
    tar.arg("-czf").arg(sandbox.path(archive)).arg("-C");
    tar.arg(sandbox.path(folder));
    for entry in std::fs::read_dir(sandbox.path(folder)).unwrap() {
        tar.arg(entry.unwrap().file_name());
    }
    assert!(tar.status().unwrap().success());
    results(&sandbox.json(&["add", archive, "--dry-run"]))
}

#[test]
fn an_archive_of_several_artifacts_is_taken_as_all_of_them() {
    let sandbox = Sandbox::initialised();
    let at = |path: &str| sandbox.path(path);
    let agent = "---\nname: ag\ndescription: D\n---\n# A\n";
    skill(&at("two/skills"), "one", "One");
    write(at("two/agents/ag.md"), agent);
    assert_eq!(
        packed(&sandbox, "two", "two.tgz"),
        ["would-add agent:ag", "would-add skill:one"]
    );

    skill(&at("parts/p/skills"), "a", "A");
    write(at("parts/p/hooks/hooks.json"), "{\"hooks\": {}}");
    write(at("parts/p/.mcp.json"), "{\"mcpServers\": {}}");
    let all = ["would-add mcp:p", "would-add hook:p", "would-add skill:a"];
    assert_eq!(packed(&sandbox, "parts", "parts.tgz"), all);
    let folder = sandbox.json(&["add", "--all", "parts/p", "--dry-run"]);
    assert_eq!(results(&folder), all);
    let error = sandbox.fails(&["add", "parts/p", "--dry-run"], 2);
    assert!(error.to_string().contains("sm add --all"), "{error}");
    write(
        at("parts/p/.claude-plugin/plugin.json"),
        "{\"name\": \"p\"}",
    );
    assert_eq!(
        packed(&sandbox, "parts", "parts.tgz"),
        ["would-add composite:p"]
    );

    write(at("single/b.md"), "Do it.\n");
    assert_eq!(
        packed(&sandbox, "single", "archive.tgz"),
        ["would-add command:b"]
    );
    write(at("single/b.md"), agent);
    assert_eq!(
        results(&sandbox.json(&["add", "archive.tgz", "--type", "agent", "--dry-run"])),
        ["would-add agent:b"]
    );
}
