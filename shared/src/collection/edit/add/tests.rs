use proptest::prelude::*;

use super::*;
use crate::Kind;
use crate::collection::manifest::HeaderStyle;

const NOW: Timestamp = Timestamp(1_800_000_000_123_456_000);

fn entry(name: &str) -> NewEntry {
    NewEntry::local(
        ArtifactId::new(Kind::Skill, name),
        format!("skills/{name}"),
        NOW,
    )
}

fn full(name: &str) -> NewEntry {
    NewEntry {
        upstream: Some("https://example.com/a".to_owned()),
        tags: vec!["a b".to_owned(), "\"q\"\n".to_owned()],
        metadata: EntryMetadata {
            description: Some("two\nlines \\ \u{1}".to_owned()),
            tools: vec!["Read".to_owned()],
            ..EntryMetadata::default()
        },
        ..entry(name)
    }
}

fn read(text: &str) -> Manifest {
    Manifest::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn a_new_manifest_is_what_the_ancestor_writes() {
    let text = render_new("my \"own\"", NOW);
    let manifest = read(&text);
    assert_eq!(manifest.header.name.as_deref(), Some("my \"own\""));
    assert_eq!(manifest.header.style, HeaderStyle::Collection);
    assert_eq!(manifest.problems, []);
    assert!(text.starts_with("artifacts = []\n\n[collection]\n"));
    let added = add_entries(&text, &[full("a")], NOW).unwrap();
    assert_eq!(
        added
            .lines()
            .filter(|line| line.contains("artifacts"))
            .collect::<Vec<_>>(),
        ["[[artifacts]]", "[artifacts.metadata]"]
    );
}

#[test]
fn what_was_added_is_read_back() {
    for text in [
        render_new("x", NOW),
        include_str!("../../../../tests/fixtures/collections/synthetic.toml").to_owned(),
        include_str!("../../../../tests/fixtures/collections/git-default.toml").to_owned(),
        include_str!("../../../../tests/fixtures/collections/git-work.toml").to_owned(),
        "artifacts = [\n    { name = \"old\", type = \"skill\" }, # why\n]\n[tool.skillmeat]\nname = \"x\""
            .to_owned(),
    ] {
        let before = read(&text).entries.len();
        let out = add_entries(&text, &[full("new"), entry("other")], NOW).unwrap();
        let manifest = read(&out);
        assert_eq!(manifest.entries.len(), before + 2);
        assert_eq!(manifest.header.updated, Some(NOW.to_manifest()));
        assert_eq!(manifest.unknown_keys, read(&text).unknown_keys);
        let wanted = full("new");
        let got = manifest.entries.iter().find(|entry| entry.id == wanted.id).unwrap();
        assert_eq!(got.path, Some(wanted.path));
        assert_eq!(got.tags, wanted.tags);
        assert_eq!(got.upstream, wanted.upstream);
        assert_eq!(got.metadata, wanted.metadata);
        assert_eq!(got.added.as_deref().and_then(Timestamp::parse), Some(NOW));
        let again = add_entries(&out, &[entry("third")], NOW).unwrap();
        assert_eq!(read(&again).entries.len(), before + 3);
    }
}

#[test]
fn comments_order_and_line_ends_stay() {
    let text = "# top\r\nartifacts = [] # none yet\r\nodd = 1\r\n\r\n[collection] # head\r\n\
                name = 'x'\r\nupdated = 'old' # when\r\n[[groups]]\r\nname = \"g\" # last";
    let out = add_entries(text, &[entry("a")], NOW).unwrap();
    let moment = NOW.to_manifest();
    assert_eq!(
        out,
        format!(
            "# top\r\n # none yet\r\nodd = 1\r\n\r\n[collection] # head\r\nname = 'x'\r\n\
             updated = \"{moment}\" # when\r\n[[groups]]\r\nname = \"g\" # last\r\n\r\n[[artifacts]]\r\n\
             name = \"a\"\r\ntype = \"skill\"\r\npath = \"skills/a\"\r\norigin = \"local\"\r\n\
             added = \"{moment}\"\r\n"
        )
    );
}

#[test]
fn arrays_grow_in_their_own_way() {
    let one_line = "artifacts = [ { name = \"a\", type = \"skill\" } ]\n";
    let out = add_entries(one_line, &[entry("b")], NOW).unwrap();
    assert!(
        out.starts_with("artifacts = [ { name = \"a\", type = \"skill\" }, { name = \"b\""),
        "{out}"
    );
    let many = "artifacts = [\n  { name = \"a\", type = \"skill\" },\n]\n";
    let out = add_entries(many, &[entry("b"), entry("c")], NOW).unwrap();
    assert_eq!(out.matches("\n  { name").count(), 3, "{out}");
    let comment = "artifacts = [ # soon\n]\n";
    let out = add_entries(comment, &[entry("b"), entry("c")], NOW).unwrap();
    assert!(out.contains("# soon"), "{out}");
    assert_eq!(read(&out).entries.len(), 2);
    let bom = "\u{feff}artifacts = []\n[collection]\nname = \"x\"\n";
    let out = add_entries(bom, &[entry("b")], NOW).unwrap();
    assert!(out.starts_with("\u{feff}[collection]"), "{out}");
    assert_eq!(read(&out).header.updated, Some(NOW.to_manifest()));
}

#[test]
fn a_header_without_a_date_gets_one_where_that_is_safe() {
    let moment = NOW.to_manifest();
    for (text, dated) in [
        (
            "[collection]\nname = \"x\" # c\n\n[[groups]]\nname = \"g\"\n",
            true,
        ),
        ("[tool.skillmeat]\nname = \"x\"", true),
        ("collection = { name = \"x\" }\n", true),
        ("collection.name = \"x\"\n", false),
        ("[other]\na = 1\n", false),
        ("[collection]\n", false),
    ] {
        let out = add_entries(text, &[entry("a")], NOW).unwrap();
        let manifest = read(&out);
        assert_eq!(
            manifest.header.updated.as_ref() == Some(&moment),
            dated,
            "{out}"
        );
        assert_eq!(manifest.entries.len(), 1);
    }
}

#[test]
fn nothing_is_added_twice_or_to_what_can_not_be_read() {
    let text = render_new("x", NOW);
    let once = add_entries(&text, &[entry("a")], NOW).unwrap();
    let code = |text: &str, entries: &[NewEntry]| add_entries(text, entries, NOW).unwrap_err().code;
    assert_eq!(code(&once, &[entry("a")]), Code::ArtifactExists);
    assert_eq!(code(&text, &[entry("b"), entry("b")]), Code::ArtifactExists);
    for bad in ["", "artifacts = 1", "[artifacts]\nx = 1", "a = ["] {
        assert_eq!(code(bad, &[entry("a")]), Code::ManifestInvalid, "{bad}");
    }
}

/// Removes what an edit may put in, so that the rest can be compared with the old text.
fn without(out: &str, added: &str, moment: &str) -> String {
    out.replacen(added, "", 1).replacen(moment, "\"OLD\"", 1)
}

proptest! {
    #[test]
    fn untouched_bytes_stay_identical(
        comments in proptest::collection::vec("#[ -~é]{0,12}", 5),
        blanks in proptest::collection::vec("[ \t]{0,3}", 5),
        newline in prop_oneof![Just("\n"), Just("\r\n")],
        value in "[a-z0-9 ]{0,8}",
        strange in "[a-z_]{1,6}",
    ) {
        let line = |at: usize, code: &str| format!("{}{code}{}{newline}", blanks[at], comments[at]);
        let text = [
            line(0, &format!("z{strange} = '{value}' ")),
            line(1, "[collection] "),
            line(2, "updated = \"OLD\" "),
            line(3, "[[artifacts]] "),
            line(4, "name = 'a'\ntype = 'skill'\n"),
        ].concat();
        let out = add_entries(&text, &[full("new")], NOW).unwrap();
        let added = format!("\n{}", full("new").block().table);
        let added = if text.contains("\r\n") { added.replace('\n', "\r\n") } else { added };
        prop_assert_eq!(without(&out, &added, &quote(&NOW.to_manifest())), text);
    }
}
