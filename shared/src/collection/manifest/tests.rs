use super::*;
use crate::{ArtifactId, Kind};

fn parse(text: &str) -> Manifest {
    Manifest::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn codes(manifest: &Manifest) -> Vec<(&str, u32)> {
    manifest
        .problems
        .iter()
        .map(|problem| (problem.code.as_str(), problem.line.unwrap()))
        .collect()
}

#[test]
fn the_ancestors_manifests_are_read() {
    let manifest = parse(include_str!(
        "../../../tests/fixtures/collections/git-default.toml"
    ));
    assert_eq!(manifest.problems, []);
    assert_eq!(manifest.unknown_keys, [""; 0]);
    let ids: Vec<String> = manifest
        .entries
        .iter()
        .map(|entry| entry.id.to_string())
        .collect();
    assert_eq!(
        ids,
        [
            "skill:pdf-tools",
            "skill:doc-writer",
            "command:review",
            "agent:db-admin",
            "agent:code-reviewer"
        ]
    );
    let pdf = &manifest.entries[0];
    assert_eq!(pdf.line, 7);
    assert_eq!(pdf.tags, ["pdf", "documents", "extraction"]);
    assert_eq!(pdf.metadata.tools, ["Read", "Write", "Bash"]);
    assert_eq!(pdf.raw["metadata"]["extra"]["model"], "sonnet");
    assert_eq!(pdf.problems, []);
    assert_eq!(manifest.mcp_servers[0].env_names, ["ROOT_PATH"]);
    assert_eq!(manifest.header.style, HeaderStyle::Collection);

    let manifest = parse(include_str!(
        "../../../tests/fixtures/collections/synthetic.toml"
    ));
    assert_eq!(manifest.problems, []);
    assert_eq!(manifest.tag_definitions[0].color, "#F59E0B");
    assert_eq!(manifest.groups[0].members, ["skill:canvas"]);
    assert_eq!(manifest.entries[1].origin_source.as_deref(), Some("github"));
    assert_eq!(manifest.entries[1].problems, []);

    let manifest = parse(include_str!(
        "../../../tests/fixtures/collections/git-work.toml"
    ));
    assert_eq!(
        (manifest.entries.len(), manifest.header.name.as_deref()),
        (0, Some("work"))
    );
}

#[test]
fn the_documented_style_is_read_too() {
    let text = "[tool.skillmeat]\nname = \"my\"\nversion = \"1.0.0\"\n\n[[groups]]\nname = \"A\"\n\
                members = [\"jwt\", \"skill:x\"]\n\n[[groups]]\nname = \"B\"\n\n[[tag_definitions]]\n\
                name = \"ui\"\n\n[[artifacts]]\nname = \"jwt\"\ntype = \"skill\"\nsource = \"o/r/jwt\"\n\
                scope = \"user\"\naliases = [\"j\"]\nposition = 3\n";
    let manifest = parse(text);
    assert_eq!(manifest.problems, []);
    assert_eq!(manifest.header.style, HeaderStyle::ToolSkillmeat);
    assert_eq!(manifest.header.name.as_deref(), Some("my"));
    assert_eq!(
        manifest
            .groups
            .iter()
            .map(|group| group.position)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    assert_eq!(manifest.tag_definitions[0].slug, "ui");
    let entry = &manifest.entries[0];
    assert_eq!(entry.source.as_deref(), Some("o/r/jwt"));
    assert_eq!(
        (entry.position, entry.aliases.len(), entry.problems.len()),
        (Some(3), 1, 0)
    );
    assert_eq!(entry.scope.as_deref(), Some("user"));
}

#[test]
fn inline_arrays_and_dates_without_quotes_are_read() {
    let text = "artifacts = [\n  { name = \"a\", type = \"skill\", added = 2026-01-02T03:04:05 },\n\
                  { name = \"b\", type = \"mcp_server\", metadata = { extra = { on = 2026-01-02 } } },\n]\n\
                groups = [ { name = \"g\", members = [\"a\"] } ]\n[collection]\nname = \"x\"\n";
    let manifest = parse(text);
    assert_eq!(manifest.problems, []);
    let [a, b] = manifest.entries.as_slice() else {
        panic!("{:?}", manifest.entries)
    };
    assert_eq!((a.line, b.line), (2, 3));
    assert_eq!(a.added.as_deref(), Some("2026-01-02T03:04:05"));
    assert_eq!(b.raw["metadata"]["extra"]["on"], "2026-01-02");
    assert_eq!(b.id.kind, Kind::Mcp);
    assert_eq!(manifest.groups.len(), 1);
}

#[test]
fn one_bad_entry_hides_no_other() {
    let text = "[collection]\nname = 5\n[[artifacts]]\nname = \"no-type\"\n[[artifacts]]\ntype = \"skill\"\n\
                [[artifacts]]\nname = \"good\"\ntype = \"skill\"\norigin = \"moon\"\ntags = [1, \"t\"]\n\
                path = true\n[[artifacts]]\nname = \"good\"\ntype = \"skill\"\n[[artifacts]]\nname = \"odd\"\n\
                type = \"spell\"\norigin_source = \"github\"\nmystery = 1\n[artifacts.metadata]\n\
                version = 1.20\n[[groups]]\ncolor = \"x\"\n[[mcp_servers]]\nname = \"m\"\n\
                env_vars = { TOKEN = \"hunter2\" }\n[future]\na = 1\n";
    let manifest = parse(text);
    assert_eq!(
        codes(&manifest),
        [
            ("manifest.wrong_type", 2),
            ("entry.broken", 3),
            ("entry.broken", 5),
            ("entry.duplicate", 13),
            ("manifest.no_name", 23),
        ]
    );
    assert_eq!(manifest.broken.len(), 2);
    assert_eq!(manifest.broken[0].raw["name"], "no-type");
    let [good, odd] = manifest.entries.as_slice() else {
        panic!("{:?}", manifest.entries)
    };
    assert_eq!(good.tags, ["t"]);
    assert_eq!(good.origin.as_deref(), Some("moon"));
    let lines = |entry: &Entry| {
        entry
            .problems
            .iter()
            .map(|p| p.line.unwrap())
            .collect::<Vec<_>>()
    };
    let mut found = lines(good);
    found.sort_unstable();
    assert_eq!(found, [10, 11, 12]);
    assert_eq!(odd.id, ArtifactId::new(Kind::Other("spell".into()), "odd"));
    assert_eq!(odd.metadata.version.as_deref(), Some("1.20"));
    assert_eq!(lines(odd), [18, 19, 22]);
    assert_eq!(manifest.unknown_keys, ["artifacts.mystery", "future"]);
    assert!(!format!("{manifest:?}").contains("hunter2"));
}

#[test]
fn what_is_no_manifest_at_all_says_where() {
    for empty in ["", " \n\t\r\n", "\u{feff}\n"] {
        let error = Manifest::parse(empty).unwrap_err();
        assert_eq!(
            (error.message.as_str(), error.line),
            ("the manifest is empty", 1)
        );
    }
    let error = Manifest::parse("[collection]\nname = \"x\"\nupdated = \n").unwrap_err();
    assert_eq!(error.line, 3);
    for text in [
        "artifacts = 1\n",
        "artifacts = [1]\n",
        "[artifacts]\nname = \"x\"\n",
    ] {
        let manifest = parse(text);
        let found: Vec<_> = manifest.problems.iter().map(|p| p.code.as_str()).collect();
        assert_eq!(
            found,
            ["manifest.no_header", "manifest.wrong_type"],
            "{text}"
        );
    }
    assert_eq!(parse("# only a comment\n").problems.len(), 1);
}

#[test]
fn an_entry_survives_being_stored() {
    let manifest = parse(include_str!(
        "../../../tests/fixtures/collections/synthetic.toml"
    ));
    for entry in manifest.entries {
        let text = serde_json::to_string(&entry).unwrap();
        let back: Entry = serde_json::from_str(&text).unwrap();
        assert_eq!(back, Entry { line: 0, ..entry });
    }
}

#[test]
fn ten_thousand_entries_are_read_in_one_go() {
    use std::fmt::Write;
    let mut text = String::from("[collection]\nname = \"big\"\n");
    for at in 0..10_000 {
        write!(
            text,
            "\n[[artifacts]]\nname = \"skill-{at}\"\ntype = \"skill\"\npath = \"skills/skill-{at}\"\n\
             origin = \"local\"\nadded = \"2026-11-20T15:52:21.711987\"\ntags = [\n    \"one\",\n    \"two\",\n]\n\n\
             [artifacts.metadata]\ndescription = \"{}\"\ntools = [\n    \"Read\",\n]\n",
            "long text ".repeat(20)
        )
        .unwrap();
    }
    let manifest = parse(&text);
    assert_eq!(
        (manifest.entries.len(), manifest.problems.len()),
        (10_000, 0)
    );
    let last = manifest.entries.last().unwrap();
    assert_eq!(
        text.lines().nth(last.line as usize - 1),
        Some("[[artifacts]]")
    );
}

#[test]
fn a_type_with_a_colon_names_no_artifact() {
    let manifest = Manifest::parse("[[artifacts]]\nname = \"x\"\ntype = \"skill:odd\"\n").unwrap();
    assert_eq!(manifest.entries, []);
    assert_eq!(manifest.broken.len(), 1);
    let problem = &manifest.broken[0].problem;
    assert_eq!(
        (problem.code.as_str(), problem.line),
        ("entry.broken", Some(1))
    );
}

#[test]
fn aliases_and_positions_are_found_where_the_ancestor_keeps_them() {
    let text = "[[artifacts]]\nname = \"a\"\ntype = \"skill\"\n\
                [artifacts.metadata.extra]\naliases = [\"x\", \"y\"]\nposition = 4\n";
    let entry = Manifest::parse(text).unwrap().entries.remove(0);
    assert_eq!((entry.aliases.len(), entry.position), (2, Some(4)));
    let own = text.replace("type =", "aliases = [\"own\"]\nposition = 1\ntype =");
    let entry = Manifest::parse(&own).unwrap().entries.remove(0);
    assert_eq!(
        (entry.aliases, entry.position),
        (vec!["own".to_owned()], Some(1))
    );
    let odd = text
        .replace("[\"x\", \"y\"]", "3")
        .replace("= 4", "= \"4\"");
    let entry = Manifest::parse(&odd).unwrap().entries.remove(0);
    assert_eq!((entry.aliases.len(), entry.position), (0, None));
    assert_eq!(entry.problems, []);
}

#[test]
fn an_alias_that_means_another_artifact_is_a_problem() {
    let entry = |name: &str, kind: &str, aliases: &str| {
        format!("[[artifacts]]\nname = \"{name}\"\ntype = \"{kind}\"\naliases = [{aliases}]\n")
    };
    let text = "[collection]\nname = \"c\"\n".to_owned()
        + &entry("a", "skill", "\"a\", \"x\", \"X\"")
        + &entry("b", "skill", "\"y\", \"x\"")
        + &entry("a", "command", "\"B\", \"server\"")
        + "[[mcp_servers]]\nname = \"server\"\n";
    let manifest = Manifest::parse(&text).unwrap();
    let told = |problem: &Problem| {
        assert_eq!(problem.code, "entry.alias");
        assert_eq!(problem.path.as_deref(), Some("collection.toml"));
        (problem.line.unwrap(), problem.message.clone())
    };
    let told: Vec<_> = manifest.problems.iter().map(told).collect();
    let of = |line, message: &str| (line, message.to_owned());
    assert_eq!(
        told,
        [
            of(3, "the alias `a` of `skill:a` means `command:a`, too"),
            of(7, "the alias `x` of `skill:b` means `skill:a`, too"),
            of(11, "the alias `B` of `command:a` means `skill:b`, too"),
            of(
                11,
                "the alias `server` of `command:a` means `mcp:server`, too"
            ),
        ]
    );
}
