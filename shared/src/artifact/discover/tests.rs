use super::*;

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join("repo").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::Write::write_all(&mut fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
    }
    dir
}

fn found(dir: &tempfile::TempDir) -> (Vec<String>, Vec<String>) {
    let root = dir.path().join("repo");
    let found = discover(&root, &mut |_| {}).unwrap();
    let relative = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    let candidates = found.candidates.iter().map(|c| {
        let plugin = c.plugin.as_deref().unwrap_or("-");
        format!("{}:{} {} {plugin}", c.kind, c.name, relative(&c.path))
    });
    (
        candidates.collect(),
        found
            .skipped
            .iter()
            .map(|(path, _)| relative(path))
            .collect(),
    )
}

const AGENT: &str = "---\nname: x\ndescription: y\n---\nBody";

#[test]
fn a_plugin_is_taken_apart() {
    let dir = tree(&[
        ("plugins/p/.claude-plugin/plugin.json", "{}"),
        ("plugins/p/.mcp.json", "{}"),
        ("plugins/p/agents/a.md", AGENT),
        ("plugins/p/agents/README.md", "# About"),
        ("plugins/p/agents/notes.md", "words"),
        ("plugins/p/agents/broken.md", "---\nname: a: b\n<<<\n---\n"),
        ("plugins/p/commands/git/commit.md", "Do it"),
        ("plugins/p/commands/empty.md", ""),
        ("plugins/p/hooks/hooks.json", "{}"),
        ("plugins/p/skills/s/SKILL.md", "x"),
        ("plugins/p/skills/s/agents/inner.md", AGENT),
        ("plugins/p/skills/s/nested/SKILL.md", "x"),
        ("README.md", "# Repo"),
    ]);
    let (candidates, skipped) = found(&dir);
    assert_eq!(
        candidates,
        [
            "mcp:p plugins/p/.mcp.json p",
            "agent:a plugins/p/agents/a.md p",
            "agent:broken plugins/p/agents/broken.md p",
            "command:commit plugins/p/commands/git/commit.md p",
            "hook:p plugins/p/hooks p",
            "skill:s plugins/p/skills/s p",
        ]
    );
    assert_eq!(
        skipped,
        [
            "plugins/p/agents/README.md",
            "plugins/p/agents/notes.md",
            "plugins/p/commands/empty.md",
        ]
    );
}

#[test]
fn artifacts_outside_of_plugins_are_found_too() {
    let dir = tree(&[
        (".claude/agents/a.md", AGENT),
        (".claude/settings.json", r#"{"hooks":{}}"#),
        ("hooks/fmt/settings.json", r#"{"hooks":{}}"#),
        ("hooks/other/settings.json", "{}"),
        ("mcp/fs/.mcp.json", "{}"),
        ("deep/down/s/skill.md", "x"),
        ("flows/w/WORKFLOW.yaml", "x"),
        ("souls/calm/SOUL.md", "x"),
        (".git/s/SKILL.md", "x"),
        (".hidden/s/SKILL.md", "x"),
        ("node_modules/s/SKILL.md", "x"),
        ("docs/note.md", AGENT),
    ]);
    let (candidates, skipped) = found(&dir);
    assert_eq!(
        candidates,
        [
            "agent:a .claude/agents/a.md -",
            "skill:s deep/down/s -",
            "workflow:w flows/w -",
            "hook:fmt hooks/fmt -",
            "mcp:fs mcp/fs -",
            "soul:calm souls/calm/SOUL.md -",
        ]
    );
    assert_eq!(skipped, [".claude/settings.json"]);
}

#[test]
fn the_root_may_be_an_artifact_or_hold_more() {
    let dir = tree(&[("SKILL.md", "x"), ("a/SKILL.md", "x")]);
    assert_eq!(found(&dir), (vec!["skill:repo  -".to_owned()], vec![]));
    let dir = tree(&[("SKILL.md", "x"), ("skills/a/SKILL.md", "x")]);
    assert_eq!(
        found(&dir),
        (vec!["skill:a skills/a -".to_owned()], vec![String::new()])
    );
}

#[test]
fn links_and_loops_are_left_alone() {
    let dir = tree(&[
        ("skills/s/SKILL.md", "x"),
        ("agents/a.md", AGENT),
        ("docs/x", ""),
    ]);
    let link = |to: &str, at: &str| {
        std::os::unix::fs::symlink(to, dir.path().join("repo").join(at)).unwrap();
    };
    link("..", "docs/loop");
    link("s", "skills/linked");
    link("a.md", "agents/b.md");
    let (candidates, skipped) = found(&dir);
    assert_eq!(candidates, ["agent:a agents/a.md -", "skill:s skills/s -"]);
    assert_eq!(skipped, ["agents/b.md", "skills/linked"]);
}

#[test]
fn what_a_copy_would_have_no_manifest_of_is_told_and_left_out() {
    let dir = tree(&[
        ("shared/text.md", "x"),
        ("skills/inner/docs/real.md", "x"),
        ("skills/out/agents/a.md", AGENT),
        ("hooks/h/notes.txt", "x"),
        ("skills/lost/notes.txt", "x"),
    ]);
    let link = |to: &str, at: &str| {
        std::os::unix::fs::symlink(to, dir.path().join("repo").join(at)).unwrap();
    };
    link("docs/real.md", "skills/inner/SKILL.md");
    link("../../shared/text.md", "skills/out/SKILL.md");
    link("../../shared/text.md", "hooks/h/hooks.json");
    link("nowhere", "skills/lost/SKILL.md");
    let (candidates, skipped) = found(&dir);
    assert_eq!(candidates, ["skill:inner skills/inner -"]);
    assert_eq!(skipped, ["hooks/h", "skills/lost/SKILL.md", "skills/out"]);
}

#[test]
fn a_manifest_that_is_a_pipe_is_told_and_never_opened() {
    let dir = tree(&[
        ("skills/good/SKILL.md", AGENT),
        ("skills/pipe/notes.txt", "x"),
    ]);
    let pipe = dir.path().join("repo/skills/pipe/SKILL.md");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let (candidates, skipped) = found(&dir);
    assert_eq!(candidates, ["skill:good skills/good -"]);
    assert_eq!(skipped, ["skills/pipe/SKILL.md"]);
}

#[test]
fn progress_counts_up_and_the_root_must_be_a_folder() {
    let dir = tree(&[("a/SKILL.md", "x"), ("b/SKILL.md", "x")]);
    let mut counts = Vec::new();
    discover(dir.path(), &mut |count| counts.push(count)).unwrap();
    assert!(counts.is_sorted());
    assert_eq!(counts.last(), Some(&2));
    let file = dir.path().join("repo/a/SKILL.md");
    assert_eq!(
        discover(&file, &mut |_| {}).unwrap_err().code,
        Code::InvalidArgument
    );
    let none = dir.path().join("none");
    assert_eq!(
        discover(&none, &mut |_| {}).unwrap_err().code,
        Code::FileNotFound
    );
}
