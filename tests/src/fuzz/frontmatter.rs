//! Frontmatter, and files that are nothing but fields.

use std::path::{Path, PathBuf};

use skillmeat_shared::Kind;
use skillmeat_shared::artifact::ParseStatus;
use skillmeat_shared::artifact::frontmatter::edit::{Change, edit};
use skillmeat_shared::artifact::frontmatter::{self, Document, MAX_BYTES};
use skillmeat_shared::artifact::metadata;
use skillmeat_shared::artifact::validate::{Subject, validate};

use super::lines_of;

/// Bytes of fields as JSON, at most: aliases may repeat what is written once.
const MAX_JSON: usize = 16 * MAX_BYTES;

pub(super) fn check(bytes: &[u8]) {
    for name in ["x.md", "x.yaml"] {
        let document = frontmatter::parse_file(Path::new(name), bytes);
        holds(bytes, &document);
        let json = serde_json::to_string(&document.fields).unwrap();
        assert!(json.len() <= MAX_JSON, "{} bytes of fields", json.len());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let document = frontmatter::parse(bytes);
        assert!(!document.lossy);
        assert!(text.ends_with(&document.body), "the body is the file's end");
    }
    holds(bytes, &frontmatter::parse_file(Path::new("x.json"), bytes));
    changes_one_field(bytes);
}

/// What an edit gives says what was asked, and all else as before; and rules hold for anything.
fn changes_one_field(bytes: &[u8]) {
    let file = Path::new("SKILL.md");
    let was = frontmatter::parse_file(file, bytes);
    let set = Change::Set("description", "it's: #new".to_owned());
    for (key, change) in [
        ("description", set),
        ("tags", Change::AddTags(vec!["a new, tag".to_owned()])),
        ("version", Change::Unset("version")),
    ] {
        let Ok(edited) = edit(bytes, file, &Kind::Skill, &[change]) else {
            continue;
        };
        let is = frontmatter::parse_file(file, &edited);
        let others = |document: &Document| {
            let mut fields = document.fields.clone();
            for key in [key, "keywords", "metadata"] {
                fields.shift_remove(key);
            }
            fields
        };
        assert_eq!(others(&is), others(&was), "only `{key}` was to change");
    }
    let subject = Subject {
        kind: &Kind::Skill,
        name: "name",
        is_file: false,
        manifest: Some((file, bytes)),
        files: &[],
        settings: &[],
    };
    let settings = ["hooks.json", ".mcp.json", "plugin.json", "marketplace.json"]
        .map(|name| (PathBuf::from(name), bytes.to_vec()));
    let plugin = Subject {
        kind: &Kind::Composite,
        settings: &settings,
        ..subject
    };
    for finding in [validate(&subject, true), validate(&plugin, true)].concat() {
        let line = finding.line.unwrap_or(1);
        assert!((1..=lines_of(bytes)).contains(&line), "{finding:?}");
    }
}

fn holds(bytes: &[u8], document: &Document) {
    let strict = document.status == ParseStatus::Strict;
    assert_eq!(
        strict,
        document.error.is_none(),
        "what was not read as it stands is told: {:?}",
        document.error
    );
    if let Some((message, line)) = &document.error {
        assert!(
            !message.is_empty() && !message.contains('\n'),
            "{message:?}"
        );
        let line = line.unwrap_or(1);
        assert!(
            (1..=lines_of(bytes)).contains(&line),
            "line {line} of {}: {message}",
            lines_of(bytes)
        );
    }
    for key in document.spellings.keys() {
        assert!(document.fields.contains_key(key), "{key} is no field");
    }
    for kind in ["skill", "command", "hook", "mcp", "workflow"] {
        let kind: Kind = kind.parse().unwrap();
        let found = metadata::extract(&kind, "name", document);
        let again = metadata::extract(&kind, "name", document);
        assert_eq!(found, again);
        for text in [&found.title, &found.description, &found.author]
            .into_iter()
            .flatten()
        {
            assert!(!text.is_empty(), "what is empty is not there");
        }
    }
}
