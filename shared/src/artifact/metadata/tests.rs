use super::*;
use crate::artifact::{ParseStatus, frontmatter};

fn of(text: &str) -> Metadata {
    extract(&Kind::Skill, "x", &frontmatter::parse(text.as_bytes()))
}

fn head(fields: &str) -> Metadata {
    of(&format!("---\n{fields}\n---\n"))
}

#[test]
fn texts_are_taken_in_any_form() {
    for (fields, version) in [
        ("version: 1.0", Some("1.0")),
        ("version: 1.10 # now", Some("1.10")),
        ("version: '2'", Some("2")),
        ("version: 2026-01-02", Some("2026-01-02")),
        ("version: true", Some("true")),
        ("version: [1, 2]", Some("1, 2")),
        ("version: \" a \\n b\\0 \"", Some("a b")),
        ("version:", None),
        ("version: ''", None),
        ("version: {a: b}", None),
        ("metadata: {version: 0.1}", Some("0.1")),
        ("version: 3\nmetadata: {version: 0.1}", Some("3")),
    ] {
        assert_eq!(head(fields).version.as_deref(), version, "{fields}");
    }
}

#[test]
fn an_author_may_be_a_mapping_or_a_list() {
    for (fields, author) in [
        ("author: Ada", "Ada"),
        ("author: {name: Ada, email: a@b}", "Ada"),
        ("author: {email: a@b}", "a@b"),
        ("author: [Ada, {name: Grace}]", "Ada, Grace"),
        ("metadata: {author: Ada}", "Ada"),
    ] {
        assert_eq!(head(fields).author.as_deref(), Some(author), "{fields}");
    }
}

#[test]
fn lists_are_taken_in_any_form() {
    for (fields, tags) in [
        ("tags: [a, b, a]", &["a", "b"][..]),
        ("tags: a, b ,, a", &["a", "b"]),
        ("tags: [2024, 1.0, true, null]", &["2024", "1.0", "true"]),
        ("tags: {a: 1, b: 2}", &["a", "b"]),
        ("keywords: [a]", &["a"]),
        ("metadata: {tags: a}", &["a"]),
        ("tags:", &[]),
    ] {
        assert_eq!(head(fields).tags, tags, "{fields}");
    }
    let metadata = head("dependencies: [pypdf, {name: other, version: 1}]\naliases: p, pdf");
    assert_eq!(metadata.dependencies, ["pypdf", "other"]);
    assert_eq!(metadata.aliases, ["p", "pdf"]);
}

#[test]
fn tools_are_known_names_and_patterns() {
    for (fields, tools, patterns) in [
        (
            "tools: Read, bash",
            &["Read", "Bash"][..],
            &["Read", "bash"][..],
        ),
        (
            "allowed-tools: Bash(git diff:*, x), Read",
            &["Read"],
            &["Bash(git diff:*, x)", "Read"],
        ),
        (
            "allowed-tools: Bash(git:*) Read",
            &["Read"],
            &["Bash(git:*)", "Read"],
        ),
        (
            "allowedTools: [Read, NoSuchTool]",
            &["Read"],
            &["Read", "NoSuchTool"],
        ),
        ("tools: []\nallowed-tools: Grep", &["Grep"], &["Grep"]),
        ("tools: Read\nallowed-tools: Grep", &["Read"], &["Read"]),
        ("tools: {bash: true, write: false}", &["Bash"], &["bash"]),
        ("tools: [Read, read]", &["Read"], &["Read", "read"]),
        ("tools: 7", &[], &["7"]),
    ] {
        let metadata = head(fields);
        assert_eq!(metadata.tools, tools, "{fields}");
        assert_eq!(metadata.tool_patterns, patterns, "{fields}");
    }
}

#[test]
fn a_description_comes_from_the_body_when_none_is_given() {
    let long = "é".repeat(300);
    for (text, description) in [
        ("---\ndescription: Given\n---\nBody", Some("Given")),
        ("---\ndescription: |\n  a\n  b\n---\n", Some("a\nb")),
        (
            "---\ndescription: ''\n---\n# T\n\n  First line\nsecond",
            Some("First line"),
        ),
        ("# Title\n\n<!-- note -->\n***\nText", Some("Text")),
        ("Title\n=====\n\nText", Some("Text")),
        ("x\n\nText", Some("Text")),
        ("---\n\nText after a rule", Some("Text after a rule")),
        ("# only\n## headings", None),
        ("", None),
        (&long, Some(&"é".repeat(200))),
    ] {
        assert_eq!(of(text).description.as_deref(), description, "{text:?}");
    }
}

#[test]
fn broken_frontmatter_still_gives_what_can_be_had() {
    let metadata =
        of("---\nname: y\n<<<<<<< HEAD\nallowed-tools: Read, Bash(a:*)\n---\n# T\n\nFirst.\n");
    assert_eq!(metadata.parse_status, ParseStatus::Fallback);
    assert_eq!(metadata.description.as_deref(), Some("First."));
    assert_eq!(metadata.tools, ["Read"]);
    assert!(metadata.parse_error.is_some());
}

#[test]
fn plugins_and_workflows_describe_themselves_in_their_own_files() {
    let plugin = frontmatter::parse_json(
        br#"{"name":"p","displayName":"The P","version":"1.0","author":{"name":"Ada"},"keywords":["k"]}"#,
    );
    let plugin = extract(&Kind::Composite, "p", &plugin);
    assert_eq!(plugin.title.as_deref(), Some("The P"));
    assert_eq!(plugin.author.as_deref(), Some("Ada"));
    assert_eq!(
        (plugin.version.as_deref(), plugin.tags),
        (Some("1.0"), vec!["k".to_owned()])
    );

    let workflow = "workflow:\n  version: \"1.0.0\"\n  description: Cut a release\nstages: []\n";
    let workflow = extract(
        &Kind::Workflow,
        "w",
        &frontmatter::parse_yaml(workflow.as_bytes()),
    );
    assert_eq!(workflow.description.as_deref(), Some("Cut a release"));
    assert_eq!(workflow.version.as_deref(), Some("1.0.0"));
}

#[test]
fn settings_keep_their_secrets() {
    let settings = frontmatter::parse_json(
        br#"{"description":"d","mcpServers":{"fs":{"command":"x","env":{"TOKEN":"s3cret"}}},"other":"s3cret"}"#,
    );
    let metadata = extract(&Kind::Mcp, "fs", &settings);
    assert_eq!(
        serde_json::to_string(&metadata.frontmatter).unwrap(),
        r#"{"description":"d","mcpServers":["fs"]}"#
    );
    assert_eq!(metadata.description.as_deref(), Some("d"));
}

#[test]
fn each_kind_has_its_manifest_file() {
    for (kind, files, expected) in [
        (Kind::Skill, &["SKILL.md", "a.md"][..], Some("SKILL.md")),
        (Kind::Skill, &["skill.md", "a.md"], Some("skill.md")),
        (Kind::Skill, &["SKILL.md", "skill.md"], Some("SKILL.md")),
        (Kind::Skill, &["sub/SKILL.md"], None),
        (Kind::Command, &["b.md", "command.md"], Some("command.md")),
        (Kind::Command, &["b.md", "c.md", "a/a.md"], Some("b.md")),
        (Kind::Agent, &["a.txt"], None),
        (
            Kind::Hook,
            &["settings.json", "README.md"],
            Some("README.md"),
        ),
        (Kind::Hook, &["settings.json"], Some("settings.json")),
        (Kind::Mcp, &[".mcp.json"], Some(".mcp.json")),
        (
            Kind::Composite,
            &[".claude-plugin/plugin.json", "README.md"],
            Some(".claude-plugin/plugin.json"),
        ),
        (Kind::Workflow, &["workflow.YAML"], Some("workflow.YAML")),
        (
            Kind::Other("context_module".into()),
            &["CONTEXT-MODULE.md"],
            Some("CONTEXT-MODULE.md"),
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::File::create(path).unwrap();
        }
        let scan = crate::artifact::scan::scan(dir.path(), dir.path()).unwrap();
        if scan.entries.len() < files.len() {
            continue; // This file system takes two spellings for one name.
        }
        let found = manifest_file(&kind, &scan);
        assert_eq!(
            found.as_deref(),
            expected.map(Path::new),
            "{kind} {files:?}"
        );
    }
}
