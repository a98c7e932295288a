use super::*;

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::Write::write_all(&mut fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
    }
    dir
}

#[test]
fn folders_are_told_by_their_manifest() {
    for (files, kind) in [
        (
            &[("SKILL.md", "x"), (".claude-plugin/plugin.json", "{}")][..],
            Some(Kind::Skill),
        ),
        (&[("skill.md", "x")], Some(Kind::Skill)),
        (
            &[("AGENT.md", "x"), ("settings.json", r#"{"hooks":{}}"#)],
            Some(Kind::Agent),
        ),
        (
            &[("settings.json", r#"{"hooks":{}}"#), (".mcp.json", "{}")],
            Some(Kind::Hook),
        ),
        (&[("settings.json", r#"{"theme":1}"#)], None),
        (&[("hooks.json", "{}")], Some(Kind::Hook)),
        (&[("hooks/hooks.json", "{}")], Some(Kind::Hook)),
        (&[(".mcp.json", "{}")], Some(Kind::Mcp)),
        (&[("mcp.json", "{}"), ("README.md", "x")], Some(Kind::Mcp)),
        (
            &[
                (".claude-plugin/plugin.json", "{}"),
                ("hooks/hooks.json", "{}"),
                (".mcp.json", "{}"),
            ],
            Some(Kind::Composite),
        ),
        (
            &[
                ("skills/a/SKILL.md", "x"),
                ("hooks/hooks.json", "{}"),
                (".mcp.json", "{}"),
            ],
            None,
        ),
        (&[("hooks/hooks.json", "{}"), (".mcp.json", "{}")], None),
        (&[(".mcp.json", "{}"), ("commands/x.md", "x")], None),
        (
            &[("hooks.json", "{}"), ("commands/run.sh", "x")],
            Some(Kind::Hook),
        ),
        (&[("PLUGIN.md", "x")], Some(Kind::Composite)),
        (&[("WORKFLOW.yaml", "x")], Some(Kind::Workflow)),
        (&[("run.md", "x")], Some(Kind::Command)),
        (&[("README.md", "x")], None),
        (&[("a.md", "x"), ("b.md", "x")], None),
        (&[("a.md", "x"), ("skills/y/SKILL.md", "x")], None),
        (&[], None),
    ] {
        let dir = tree(files);
        let found = detect(dir.path());
        let Some(kind) = kind else {
            let error = found.unwrap_err();
            assert_eq!(error.code, Code::ArtifactUndetected, "{files:?}");
            assert!(error.hints[0].contains("SKILL.md"), "{files:?}");
            continue;
        };
        assert_eq!(found, Ok(kind), "{files:?}");
    }
}

#[test]
fn files_are_told_by_their_folder_then_by_their_fields() {
    let agent = "---\nname: x\ndescription: y\ntools: Read\n---\n";
    let hinted = "---\nname: x\ndescription: y\nmodel: z\nargument-hint: a\n---\n";
    for (path, text, kind) in [
        ("agents/x.md", "x", Kind::Agent),
        ("agents/sub/x.md", "x", Kind::Agent),
        ("commands/x.md", agent, Kind::Command),
        ("souls/x.md", "x", Kind::Soul),
        ("else/x.md", agent, Kind::Agent),
        ("else/x.md", hinted, Kind::Command),
        ("else/x.md", "# Text", Kind::Command),
        ("else/AGENT.md", "x", Kind::Agent),
        ("else/SOUL.md", "x", Kind::Soul),
        ("else/.mcp.json", "{}", Kind::Mcp),
        ("workflows/x.yaml", "x", Kind::Workflow),
        ("workflows/x.js", "x", Kind::Orchestration),
    ] {
        let dir = tree(&[(path, text)]);
        assert_eq!(detect(&dir.path().join(path)), Ok(kind), "{path} {text:?}");
    }
    for (path, hint) in [
        ("else/x.js", "--type"),
        ("else/x.yaml", "--type"),
        ("pdf/SKILL.md", "pdf"),
        ("hooks/hooks.json", "hooks"),
    ] {
        let dir = tree(&[(path, "x")]);
        let error = detect(&dir.path().join(path)).unwrap_err();
        assert_eq!(error.code, Code::ArtifactUndetected);
        assert!(error.hints[0].contains(hint), "{path}: {:?}", error.hints);
    }
    assert_eq!(
        detect(Path::new("/no/such")).unwrap_err().code,
        Code::FileNotFound
    );
}

#[test]
fn only_valid_artifacts_pass_the_check() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sources");
    for (kind, path) in [
        (Kind::Skill, "skills/pdf-tools"),
        (Kind::Command, "commands/review.md"),
        (Kind::Agent, "agents/db-admin.md"),
        (Kind::Soul, "SOUL.md"),
        (Kind::Hook, "hooks/format-on-save"),
        (Kind::Mcp, "mcp/filesystem"),
        (Kind::Mcp, "mcp/filesystem/.mcp.json"),
        (Kind::Workflow, "workflows/release"),
        (Kind::Orchestration, "workflows/deploy.js"),
        (Kind::Composite, "."),
    ] {
        assert_eq!(check(&kind, &fixtures.join(path)), Ok(()), "{path}");
    }
    let dir = tree(&[
        ("blank/SKILL.md", "\u{feff} \n"),
        ("other/x.txt", "x"),
        ("text.txt", "x"),
        ("blank.md", ""),
    ]);
    std::io::Write::write_all(
        &mut fs::File::create(dir.path().join("latin.md")).unwrap(),
        b"caf\xE9 au lait",
    )
    .unwrap();
    for (kind, path, why) in [
        (Kind::Skill, "blank", "empty"),
        (Kind::Skill, "other", "SKILL.md"),
        (Kind::Skill, "text.txt", "folder"),
        (Kind::Command, "other", "Markdown"),
        (Kind::Command, "text.txt", "Markdown"),
        (Kind::Agent, "blank.md", "empty"),
        (Kind::Agent, "latin.md", "UTF-8"),
        (Kind::Hook, "other", "settings.json"),
        (Kind::Mcp, "other", ".mcp.json"),
        (Kind::Composite, "other", "plugin"),
        (Kind::Workflow, "other", "WORKFLOW.yaml"),
    ] {
        let error = check(&kind, &dir.path().join(path)).unwrap_err();
        assert_eq!(error.code, Code::ArtifactInvalid, "{kind} {path}");
        assert!(
            error.message.contains(why),
            "{kind} {path}: {}",
            error.message
        );
    }
}

#[test]
fn a_readme_is_no_artifact_by_itself() {
    let dir = tree(&[
        ("agents/README.md", "# About these agents\n"),
        ("agents/LICENSE.md", "as is\n"),
    ]);
    for name in ["agents/README.md", "agents/LICENSE.md"] {
        let error = detect(&dir.path().join(name)).unwrap_err();
        assert_eq!(error.code, Code::ArtifactUndetected, "{name}");
    }
}

#[test]
fn a_link_is_told_by_the_folder_that_it_stands_in() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["shared", "agents", "elsewhere"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let put = |path: &str| crate::fs::write(&dir.path().join(path), b"Do it", 0o600).unwrap();
    put("shared/one.md");
    put("agents/two.md");
    for (to, at, kind) in [
        ("../shared/one.md", "agents/one.md", Kind::Agent),
        ("../agents/two.md", "elsewhere/two.md", Kind::Agent),
        ("../shared/one.md", "elsewhere/one.md", Kind::Command),
    ] {
        std::os::unix::fs::symlink(to, dir.path().join(at)).unwrap();
        assert_eq!(detect(&dir.path().join(at)).unwrap(), kind, "{at}");
    }
}
