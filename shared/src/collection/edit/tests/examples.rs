use super::*;
use crate::Code;
use crate::collection::manifest::{Group, TagDefinition};
use crate::time::Timestamp;

/// As the ancestor writes it, with what people put in.
const HOME: &str = r##"tag_definitions = [
    { name = "ui", slug = "ui", color = "#F59E0B", description = "" }, # amber
]

# the collection
[collection]
name = "work"
updated = "2026-01-01T00:00:00"

# the first one
[[artifacts]]
name = "a"
type = "skill"
path = "skills/a"
tags = [
    "one", # why
    "two",
]

[artifacts.metadata]
description = 'old' # keep

[artifacts.metadata.extra]
model = "sonnet"

[[artifacts.metadata.linked_artifacts]]
artifact_name = "b"

[[artifacts]]
name = "b"
type = "skill"
path = "skills/b"
# the end of b

# --- groups ---

[[groups]]
name = "G"
description = ""
color = "slate"
icon = "layers"
position = 0
members = [
    "skill:a",
    "skill:ghost",
]
"##;

#[test]
fn an_entry_goes_with_its_tables_and_its_comments() {
    let out = remove(HOME, &[skill("a")]).unwrap();
    let (before, rest) = HOME.split_once("# the first one\n").unwrap();
    let after = rest.split_once("[[artifacts]]\nname = \"b\"").unwrap().1;
    assert_eq!(out, format!("{before}[[artifacts]]\nname = \"b\"{after}"));
    let out = remove(&out, &[skill("b")]).unwrap();
    assert!(
        !out.contains("the end of b") && out.contains("\n\n# --- groups ---\n\n[[groups]]"),
        "{out}"
    );
    let out = remove(&out, &[group("G"), Key::Tag("ui".to_owned())]).unwrap();
    assert_eq!(
        out,
        "tag_definitions = []\n\n# the collection\n[collection]\nname = \"work\"\n\
         updated = \"2026-01-01T00:00:00\"\n\n# --- groups ---\n"
    );
    let missing = |key: Key| remove(HOME, &[skill("a"), key]).unwrap_err().code;
    assert_eq!(missing(skill("x")), Code::ArtifactNotFound);
    assert_eq!(missing(group("x")), Code::GroupNotFound);
    assert_eq!(missing(Key::Tag("x".to_owned())), Code::TagNotFound);
}

#[test]
fn a_key_changes_where_it_stands() {
    let b = set(HOME, skill("b"), "position", 3);
    assert_eq!(
        b,
        HOME.replace(
            "path = \"skills/b\"\n",
            "path = \"skills/b\"\nposition = 3\n"
        )
    );
    assert_eq!(
        edit(&b, skill("b"), Change::unset("position")).unwrap(),
        HOME
    );
    let said = set(HOME, skill("a"), "metadata.description", "new \"one\"");
    assert_eq!(
        said,
        HOME.replace("'old' # keep", "\"new \\\"one\\\"\" # keep")
    );
    let title = set(HOME, skill("b"), "metadata.title", "T");
    assert_eq!(
        title,
        HOME.replace(
            "path = \"skills/b\"\n",
            "path = \"skills/b\"\n\n[artifacts.metadata]\ntitle = \"T\"\n"
        )
    );
    assert_eq!(
        edit(&title, skill("b"), Change::unset("metadata.title")).unwrap(),
        HOME
    );
    let whole = edit(HOME, skill("a"), Change::unset("metadata")).unwrap();
    assert!(!whole.contains("sonnet") && !whole.contains("linked") && whole.contains("# why"));
    assert_eq!(
        edit(HOME, skill("a"), Change::set("path", "skills/a")).unwrap(),
        HOME
    );
    for bad in [
        "metadata",
        "metadata.extra",
        "metadata.linked_artifacts",
        "tags.x",
        "metadata.linked_artifacts.x",
    ] {
        let error = edit(HOME, skill("a"), Change::set(bad, "x")).unwrap_err();
        assert_eq!(error.code, Code::ManifestInvalid, "{bad}");
    }
}

#[test]
fn a_list_keeps_the_comments_of_its_items() {
    let texts = |items: &[&str]| {
        items
            .iter()
            .map(|&item| item.to_owned())
            .collect::<Vec<_>>()
    };
    let tags = |items: &[&str]| set(HOME, skill("a"), "tags", texts(items).as_slice());
    assert_eq!(
        tags(&["two", "one", "three"]),
        HOME.replace(
            "    \"one\", # why\n    \"two\",\n",
            "    \"two\",\n    \"one\", # why\n    \"three\",\n"
        )
    );
    assert_eq!(tags(&["one"]), HOME.replace("    \"two\",\n", ""));
    assert_eq!(tags(&["two"]), HOME.replace("    \"one\", # why\n", ""));
    let none = edit(HOME, skill("a"), Change::texts("tags", &[])).unwrap();
    assert!(read(&none).entries[0].tags.is_empty() && !none.contains("why"));
    assert_eq!(
        set(HOME, skill("b"), "aliases", texts(&["x", "y"]).as_slice()),
        HOME.replace(
            "path = \"skills/b\"\n",
            "path = \"skills/b\"\naliases = [\n    \"x\",\n    \"y\",\n]\n"
        )
    );
    for (old, items, new) in [
        ("['a']", vec!["a", "b"], "['a', \"b\"]"),
        ("[ 'a', 'b' ]", vec!["b"], "[ 'b' ]"),
        ("[]", vec!["b"], "[\n    \"b\",\n]"),
        ("[ # none\n]", vec!["b"], "[\n    \"b\", # none\n]"),
        ("[ 'a' # x\n]", vec!["a", "b"], "[ 'a', # x\n    \"b\"\n]"),
        ("['a', 'b' # x\n]", vec!["b", "a"], "[ 'b', # x\n    'a'\n]"),
        ("['a' # x\n , 'b']", vec!["a"], "['a' # x\n ]"),
        ("'a'", vec!["b"], "[\n    \"b\",\n]"),
        ("[1, 2]", vec!["b"], "[ \"b\"]"),
    ] {
        let text = format!("[[artifacts]]\nname = \"a\"\ntype = \"skill\"\ntags = {old} # end\n");
        let out = set(&text, skill("a"), "tags", texts(&items).as_slice());
        assert_eq!(read(&out).entries[0].tags, items, "{out}");
        let written = out.split_once("tags = ").unwrap().1.replace(" # end\n", "");
        if old.contains("none") || old == "[1, 2]" {
            assert!(out.ends_with(" # end\n") && out.contains("none") == old.contains("none"));
        } else {
            assert_eq!(written, new, "{old}");
        }
    }
}

#[test]
fn inline_forms_are_edited_in_their_own_way() {
    let text = "artifacts = [ { name = \"a\", type = \"skill\", metadata = { title = 'x' } }, # one\n\
                {name='b',type='skill',metadata.title='y'} ]\n\
                groups = [{ name = \"g\", members = ['a', 'ghost'] }]\n[collection]\nname = \"x\"\n";
    let out = set(text, skill("a"), "metadata.author", "me");
    assert_eq!(
        out,
        text.replace("{ title = 'x' }", "{ title = 'x', author = \"me\" }")
    );
    let out = set(text, skill("b"), "metadata.author", "me");
    assert_eq!(
        out,
        text.replace("title='y'}", "title='y', metadata.author = \"me\"}")
    );
    let out = set(text, skill("b"), "aliases", ["z".to_owned()].as_slice());
    assert_eq!(
        out,
        text.replace("title='y'}", "title='y', aliases = [\"z\"]}")
    );
    let out = edit(text, skill("a"), Change::unset("metadata")).unwrap();
    assert_eq!(out, text.replace(", metadata = { title = 'x' }", ""));
    let out = remove(text, &[skill("a")]).unwrap();
    assert!(
        out.starts_with("artifacts = [\n{name='b',type='skill',metadata.title='y'} ]\n"),
        "{out}"
    );
    let more = add_group(
        text,
        &Group {
            name: "h".to_owned(),
            ..Group::default()
        },
    )
    .unwrap();
    assert!(
        more.contains("'ghost'] }, { name = \"h\", description = \"\""),
        "{more}"
    );
    assert_eq!(remove(&more, &[group("h")]).unwrap(), text);
    assert_eq!(
        block(text, &skill("b")).unwrap().unwrap(),
        "[[artifacts]]\nname='b'\ntype='skill'\nmetadata.title='y'\n"
    );
}

#[test]
fn dotted_keys_and_scattered_tables_are_one_entry() {
    let text = "[collection]\nname = \"x\"\n\n[[artifacts]]\nname = \"a\"\ntype = \"skill\"\n\
                metadata.title = \"t\"\n\n[[groups]]\nname = \"g\"\n\n[artifacts.extra]\nx = 1\n\n[other]\ny = 1\n";
    let out = set(text, skill("a"), "metadata.author", "me");
    assert_eq!(
        out,
        text.replace(
            "title = \"t\"\n",
            "title = \"t\"\nmetadata.author = \"me\"\n"
        )
        .replace("[artifacts.extra]\nx = 1\n\n", "")
        .replace("\"me\"\n", "\"me\"\n[artifacts.extra]\nx = 1\n")
    );
    let out = remove(text, &[skill("a")]).unwrap();
    assert_eq!(
        out,
        "[collection]\nname = \"x\"\n\n[[groups]]\nname = \"g\"\n\n[other]\ny = 1\n"
    );
}

#[test]
fn an_entry_moves_to_another_manifest_as_it_is() {
    let entry = block(HOME, &skill("a")).unwrap().unwrap();
    assert!(entry.starts_with("# the first one\n[[artifacts]]\n"));
    assert!(entry.ends_with("artifact_name = \"b\"\n"));
    assert_eq!(block(HOME, &skill("x")).unwrap(), None);
    for target in [
        "[collection]\nname = \"y\"\n",
        "artifacts = []\n\n[collection]\r\nname = \"y\"\r\n",
        "artifacts = [{ name = \"z\", type = \"agent\" }]\n",
        HOME.split("# the first one").next().unwrap(),
    ] {
        let out = insert(target, &entry, None).unwrap();
        let (moved, own) = (read(&out), read(HOME));
        assert_eq!(
            moved.entries.last().unwrap().raw,
            own.entries[0].raw,
            "{out}"
        );
        assert_eq!(out.contains("# why"), !target.contains("agent"), "{out}");
    }
    let without = remove(HOME, &[skill("a")]).unwrap();
    assert_eq!(insert(&without, &entry, Some(&skill("b"))).unwrap(), HOME);
}

#[test]
fn groups_are_made_changed_and_removed() {
    let new = Group {
        name: "New \"one\"".to_owned(),
        description: "d".to_owned(),
        color: "#fff".to_owned(),
        icon: "box".to_owned(),
        position: 1,
        members: vec!["skill:b".to_owned()],
    };
    let text = add_group(HOME, &new).unwrap();
    assert!(text.starts_with(HOME));
    assert_eq!(read(&text).groups[1], new);
    assert_eq!(add_group(&text, &new).unwrap_err().code, Code::GroupExists);
    assert_eq!(remove(&text, &[group(&new.name)]).unwrap(), HOME);
    let change = GroupChange {
        name: Some("H".to_owned()),
        icon: Some("layers".to_owned()),
        position: Some(7),
        members: Some(vec![
            "skill:ghost".to_owned(),
            "skill:b".to_owned(),
            "skill:a".to_owned(),
        ]),
        ..GroupChange::default()
    };
    assert_eq!(
        update_group(HOME, "G", &change).unwrap(),
        HOME.replace("name = \"G\"", "name = \"H\"")
            .replace("position = 0", "position = 7")
            .replace(
                "    \"skill:a\",\n    \"skill:ghost\",\n",
                "    \"skill:ghost\",\n    \"skill:b\",\n    \"skill:a\",\n"
            )
    );
    let taken = GroupChange {
        name: Some("G".to_owned()),
        ..GroupChange::default()
    };
    assert_eq!(
        update_group(&text, &new.name, &taken).unwrap_err().code,
        Code::GroupExists
    );
    assert_eq!(
        update_group(HOME, "no", &taken).unwrap_err().code,
        Code::GroupExists
    );
    assert_eq!(
        update_group(HOME, "no", &change).unwrap_err().code,
        Code::GroupNotFound
    );
}

#[test]
fn members_follow_their_artifacts() {
    let text = "[[artifacts]]\nname = \"a\"\ntype = \"skill\"\n[[artifacts]]\nname = \"a\"\ntype = \"command\"\n\
                [[artifacts]]\nname = \"b\"\ntype = \"skill\"\n\
                [[groups]]\nname = \"typed\"\nmembers = [\"skill:a\", \"command:a\", \"skill:ghost\"]\n\
                [[groups]]\nname = \"bare\"\nmembers = [\"b\", \"ghost\", \"a\"]\n";
    let id = |kind: Kind, name: &str| ArtifactId::new(kind, name);
    let moved = [
        (id(Kind::Skill, "a"), Some("z".to_owned())),
        (id(Kind::Skill, "b"), Some("a".to_owned())),
    ];
    let out = rename_members(text, &moved).unwrap();
    assert!(
        out.contains("members = [\"skill:z\", \"command:a\", \"skill:ghost\"]"),
        "{out}"
    );
    assert!(
        out.contains("members = [\"skill:a\", \"ghost\", \"a\"]"),
        "{out}"
    );
    let out = rename_members(text, &[(id(Kind::Skill, "b"), Some("c".to_owned()))]).unwrap();
    assert!(out.contains("[\"c\", \"ghost\", \"a\"]"), "{out}");
    let out = rename_members(
        text,
        &[(id(Kind::Skill, "b"), None), (id(Kind::Skill, "a"), None)],
    )
    .unwrap();
    assert!(
        out.contains("[\"command:a\", \"skill:ghost\"]") && out.contains("[\"ghost\", \"a\"]"),
        "{out}"
    );
    let gone = text.replace("[[artifacts]]\nname = \"b\"\ntype = \"skill\"\n", "");
    let out = rename_members(&gone, &[(id(Kind::Skill, "b"), None)]).unwrap();
    assert!(out.contains("[\"ghost\", \"a\"]"), "{out}");
}

#[test]
fn comments_of_members_stay_when_members_are_renamed() {
    let text = "[[artifacts]]\nname = \"b\"\ntype = \"skill\"\n[[groups]]\nname = \"g\"\nmembers = [\n                    # the first\n    \"skill:a\", # one\n    \"skill:b\" , # two\n    \"skill:c\" # three\n    # end\n]\n";
    let id = |name: &str| ArtifactId::new(Kind::Skill, name);
    let to = |old: &str, new: &str| (id(old), Some(new.to_owned()));
    let out = rename_members(text, &[to("b", "z")]).unwrap();
    assert_eq!(out, text.replace("\"skill:b\" ", "\"skill:z\" "));
    // Two at once, one to the name of the other; and one that goes.
    let out = rename_members(text, &[to("b", "c"), to("c", "b")]).unwrap();
    assert_eq!(
        out.lines().filter(|line| line.contains("skill:")).count(),
        3
    );
    let out = rename_members(text, &[to("a", "z"), (id("b"), None)]).unwrap();
    let wanted = text
        .replace("skill:a", "skill:z")
        .replace("    \"skill:b\" , # two\n", "");
    assert_eq!(out, wanted);
}

#[test]
fn definitions_of_tags_change_by_their_slugs() {
    let tag = TagDefinition {
        name: "Back End".to_owned(),
        slug: "back-end".to_owned(),
        ..TagDefinition::default()
    };
    let out = define_tag(HOME, &tag).unwrap();
    assert!(out.contains("# amber\n    { name = \"Back End\", slug = \"back-end\", color = \"\", description = \"\" },\n]"), "{out}");
    assert_eq!(define_tag(&out, &tag).unwrap_err().code, Code::TagExists);
    let change = TagChange {
        name: Some("u".to_owned()),
        slug: Some("u".to_owned()),
        color: Some("#000".to_owned()),
        description: Some("d".to_owned()),
    };
    let out = update_tag(&out, "ui", &change).unwrap();
    assert!(
        out.contains(
            "    { name = \"u\", slug = \"u\", color = \"#000\", description = \"d\" }, # amber\n"
        ),
        "{out}"
    );
    assert_eq!(
        update_tag(&out, "back-end", &change).unwrap_err().code,
        Code::TagExists
    );
    assert_eq!(
        update_tag(&out, "ui", &TagChange::default())
            .unwrap_err()
            .code,
        Code::TagNotFound
    );
    let fresh = define_tag("[collection]\nname = \"x\"\n", &tag).unwrap();
    assert_eq!(
        fresh,
        "[collection]\nname = \"x\"\n\n[[tag_definitions]]\nname = \"Back End\"\nslug = \"back-end\"\n\
         color = \"\"\ndescription = \"\"\n"
    );
}

#[test]
fn the_header_is_renamed_and_dated() {
    let now = Timestamp(1_800_000_000_123_456_000);
    let moment = now.to_manifest();
    let out = date(&rename(HOME, "home").unwrap(), now).unwrap();
    assert_eq!(
        out,
        HOME.replace("name = \"work\"", "name = \"home\"")
            .replace("2026-01-01T00:00:00", &moment)
    );
    let tool = "[tool.skillmeat] # x\nname = 'a'\n";
    assert_eq!(
        rename(tool, "b").unwrap(),
        "[tool.skillmeat] # x\nname = \"b\"\n"
    );
    let none = "# only\n[[groups]]\nname = \"g\"\n";
    assert_eq!(
        read(&rename(none, "b").unwrap()).header.name.as_deref(),
        Some("b")
    );
    assert_eq!(date(none, now).unwrap(), none);
    assert_eq!(
        rename("a = [", "b").unwrap_err().code,
        Code::ManifestInvalid
    );
}

#[test]
fn the_lock_file_follows() {
    let id = |name: &str| ArtifactId::new(Kind::Skill, name);
    let text = "[lock]\nversion = \"1.0.0\" # v\n\n# first\n[lock.entries.\"a::skill\"]\ncontent_hash = \"1\"\n\
                odd = 1 # mine\n\n[lock.entries.'b::skill']\ncontent_hash = \"2\"\n";
    let out = remove_lock(text, &[id("a"), id("x")]).unwrap();
    assert_eq!(
        out,
        "[lock]\nversion = \"1.0.0\" # v\n\n[lock.entries.'b::skill']\ncontent_hash = \"2\"\n"
    );
    let both = remove_lock(text, &[id("b"), id("a")]).unwrap();
    assert_eq!(remove_lock(&out, &[id("b")]).unwrap(), both);
    assert_eq!(both.trim_end(), "[lock]\nversion = \"1.0.0\" # v");
    let kept = lock_block(text, &id("a")).unwrap().unwrap();
    assert!(kept.starts_with("# first\n") && kept.ends_with("odd = 1 # mine\n"));
    let back = put_lock(&out, &id("a"), &kept).unwrap();
    assert_eq!(model(&back), model(text));
    assert_eq!(put_lock(text, &id("a"), &kept).unwrap(), text);
    let renamed = rename_lock(text, &id("b"), &id("c \"d\"")).unwrap();
    assert_eq!(
        renamed,
        text.replace("'b::skill'", "\"c \\\"d\\\"::skill\"")
    );
    assert_eq!(rename_lock(text, &id("x"), &id("y")).unwrap(), text);
    assert_eq!(
        rename_lock(text, &id("a"), &id("b")).unwrap_err().code,
        Code::ManifestInvalid
    );
    let inline = "[lock.entries]\n\"a::skill\" = { content_hash = \"1\" } # x\n\"b::skill\".content_hash = \"2\"\n";
    assert_eq!(
        rename_lock(inline, &id("b"), &id("c")).unwrap(),
        inline.replace("b::skill", "c::skill")
    );
    assert_eq!(
        lock_block(inline, &id("a")).unwrap().unwrap(),
        "[lock.entries.\"a::skill\"]\ncontent_hash = \"1\"\n"
    );
    assert_eq!(
        remove_lock(inline, &[id("a"), id("b")]).unwrap().trim_end(),
        "[lock.entries]"
    );
    let fresh = put_lock("", &id("a"), &kept).unwrap();
    assert!(
        fresh.starts_with("[lock]\nversion = \"1.0.0\"\n"),
        "{fresh}"
    );
}
