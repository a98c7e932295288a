mod settings;

use super::*;

/// The rules that a skill in the folder `pdf` breaks, with their lines.
fn skill(text: &str, strict: bool) -> Vec<(&'static str, Option<u32>)> {
    found(&Kind::Skill, "SKILL.md", text, strict)
}

fn found(kind: &Kind, file: &str, text: &str, strict: bool) -> Vec<(&'static str, Option<u32>)> {
    let files = [file, "references/forms.md", "a b.md"].map(PathBuf::from);
    let subject = Subject {
        kind,
        name: "pdf",
        is_file: *kind != Kind::Skill,
        manifest: Some((Path::new(file), text.as_bytes())),
        files: &files,
        settings: &[],
    };
    let findings = validate(&subject, strict);
    findings
        .into_iter()
        .map(|one| (one.rule.id, one.line))
        .collect()
}

const GOOD: &str = "---\nname: pdf\ndescription: Fill in forms\nlicense: MIT\nmetadata:\n  version: \"1\"\n---\nDo it.\n";

#[test]
fn a_good_skill_breaks_no_rule() {
    assert_eq!(skill(GOOD, true), []);
}

#[test]
fn each_rule_of_skills_is_found_at_its_line() {
    let with = |old: &str, new: &str| GOOD.replace(old, new);
    let long = "x".repeat(1025);
    for (text, rule, line) in [
        (String::new(), "file.empty", None),
        (
            with("license: MIT\n", "license: MIT\nlicense: MIT\n"),
            "fields.invalid",
            Some(5),
        ),
        (
            with("license: MIT\n", "license: MIT\n? name\n: pdf\n"),
            "fields.invalid",
            Some(5),
        ),
        (
            with("  version", "  a: b\n  'a': c\n  version"),
            "fields.invalid",
            Some(7),
        ),
        ("# Title\n".to_owned(), "fields.missing", Some(1)),
        (with("license: MIT", "- broken"), "fields.invalid", Some(4)),
        (
            with("Fill in forms", "Use when: asked"),
            "fields.quotes",
            Some(3),
        ),
        (with("name: pdf\n", ""), "name.missing", None),
        (with("name: pdf", "name:"), "name.missing", Some(2)),
        (
            with("name: pdf", &format!("name: {}", "n".repeat(65))),
            "name.length",
            Some(2),
        ),
        (with("name: pdf", "name: PDF"), "name.characters", Some(2)),
        (with("name: pdf", "name: -pdf"), "name.characters", Some(2)),
        (with("name: pdf", "name: p--f"), "name.characters", Some(2)),
        (with("name: pdf", "name: p_f"), "name.characters", Some(2)),
        (with("name: pdf", "name: other"), "name.folder", Some(2)),
        (
            with("description: Fill in forms\n", ""),
            "description.missing",
            None,
        ),
        (with("Fill in forms", "''"), "description.missing", Some(3)),
        (with("Fill in forms", &long), "description.length", Some(3)),
        (
            with(
                "license: MIT",
                &format!("when_to_use: {}", "x".repeat(1530)),
            ),
            "description.listing",
            Some(3),
        ),
        (
            with("license: MIT", "license: [MIT]"),
            "field.type",
            Some(4),
        ),
        (with("\"1\"", "1"), "field.type", Some(5)),
        (
            with("license: MIT", "compatibility: ''"),
            "field.type",
            Some(4),
        ),
        (
            with("license: MIT", "user-invocable: maybe"),
            "field.type",
            Some(4),
        ),
        (
            with("license: MIT", "context: spoon"),
            "field.value",
            Some(4),
        ),
        (
            with("license: MIT", "licence: MIT"),
            "field.unknown",
            Some(4),
        ),
        (
            with("license: MIT", "model: opus"),
            "field.foreign",
            Some(4),
        ),
        (
            with("license: MIT", "allowed-tools: [Read]"),
            "tools.form",
            Some(4),
        ),
        (with("Do it.", ""), "body.empty", None),
        (with("Do it.", &"line\n".repeat(500)), "body.long", None),
        (with("Do it.", "Now: !`date`"), "body.shell", Some(8)),
        (with("Do it.", "```!\ndate\n```"), "body.shell", Some(8)),
        (
            with("Do it.", "a\nSee [x](references/other.md#top)."),
            "link.broken",
            Some(9),
        ),
        (
            with("Do it.", "See [x](../other/SKILL.md)."),
            "link.outside",
            Some(8),
        ),
    ] {
        let found = skill(&text, false);
        assert!(found.contains(&(rule, line)), "{rule}: {found:?}\n{text}");
    }
}

#[test]
fn what_is_no_link_and_no_command_is_let_be() {
    for body in [
        "See [x](references/forms.md), [y](references/), [z](./SKILL.md#a) and [w](https://e.org/x).",
        "`[x](nothere.md)` and [mail](mailto:a@b.c), [h](#top), [v](${CLAUDE_SKILL_DIR}/x)",
        "```\n[x](nothere.md)\n!`date`\n```",
        "Wow!`x` and a `!` mark",
    ] {
        assert_eq!(skill(&GOOD.replace("Do it.", body), false), [], "{body}");
    }
}

#[test]
fn strictness_makes_errors_of_warnings() {
    let text = GOOD.replace("name: pdf", "name: other");
    let severity = |strict| {
        let subject = Subject {
            kind: &Kind::Skill,
            name: "pdf",
            is_file: false,
            manifest: Some((Path::new("skill.md"), text.as_bytes())),
            files: &[],
            settings: &[],
        };
        let findings = validate(&subject, strict);
        findings
            .iter()
            .map(|one| (one.rule.id, one.severity))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        severity(false),
        [
            ("file.name", Severity::Warning),
            ("name.folder", Severity::Warning)
        ]
    );
    assert_eq!(
        severity(true),
        [
            ("file.name", Severity::Error),
            ("name.folder", Severity::Error)
        ]
    );
    assert!(RULES.iter().all(|rule| rule.strict <= rule.severity));
}

#[test]
fn rules_of_agents_and_commands() {
    let agent = |text: &str| found(&Kind::Agent, "pdf.md", text, false);
    assert_eq!(
        agent("---\nname: any\ndescription: d\ncolor: red\n---\nb\n"),
        []
    );
    assert_eq!(agent("no fields\n")[0], ("fields.missing", Some(1)));
    let broken = agent("---\nname: a:b\npermissionMode: all\nmaxTurns: 0\ncolour: red\n---\nb\n");
    let rules: Vec<&str> = broken.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(
        rules,
        [
            "description.missing",
            "name.characters",
            "field.value",
            "field.type",
            "field.unknown"
        ]
    );
    let command = |text: &str| found(&Kind::Command, "pdf.md", text, false);
    assert_eq!(
        command("---\ndescription: d\nargument-hint: \"[x]\"\n---\nb\n"),
        []
    );
    assert_eq!(command("b\n"), [("description.recommended", None)]);
    assert_eq!(
        command("---\ndescription: d\nname: x\n---\nb\n"),
        [("field.ignored", Some(3))]
    );
}

#[test]
fn fixes_mend_what_they_promise() {
    let text = "---\nname: other # mine\ndescription: Use when: asked\n---\nb\n";
    let subject = |bytes: &'static [u8]| Subject {
        kind: &Kind::Skill,
        name: "pdf",
        is_file: false,
        manifest: Some((Path::new("SKILL.md"), bytes)),
        files: &[],
        settings: &[],
    };
    let mut bytes = text.as_bytes().to_vec();
    for finding in validate(&subject(text.as_bytes()), false) {
        let file = Path::new("SKILL.md");
        bytes = match finding.fix.unwrap() {
            Fix::Fields(change) => frontmatter::edit::edit(&bytes, file, &Kind::Skill, &[change]),
            Fix::Quote => frontmatter::edit::quote(&bytes, file, &Kind::Skill),
            Fix::Rename(_) => continue,
        }
        .unwrap();
    }
    let mended = "---\nname: pdf # mine\ndescription: \"Use when: asked\"\n---\nb\n";
    assert_eq!(String::from_utf8(bytes).unwrap(), mended);
    assert_eq!(validate(&subject(mended.as_bytes()), true), []);
}

#[test]
fn a_missing_file_is_an_error() {
    let subject = Subject {
        kind: &Kind::Skill,
        name: "pdf",
        is_file: false,
        manifest: None,
        files: &[],
        settings: &[],
    };
    assert_eq!(validate(&subject, false)[0].rule.id, "file.missing");
}
