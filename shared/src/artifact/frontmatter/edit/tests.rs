use super::*;

pub(super) fn run(text: &str, changes: &[Change]) -> Result<String> {
    let bytes = edit(
        text.as_bytes(),
        Path::new("SKILL.md"),
        &Kind::Skill,
        changes,
    )?;
    Ok(String::from_utf8(bytes).unwrap())
}

pub(super) fn set(key: &'static str, value: &str) -> Change {
    Change::Set(key, value.to_owned())
}

pub(super) fn add(tags: &[&str]) -> Change {
    Change::AddTags(tags.iter().map(|tag| (*tag).to_owned()).collect())
}

pub(super) fn remove(tags: &[&str]) -> Change {
    Change::RemoveTags(tags.iter().map(|tag| (*tag).to_owned()).collect())
}

pub(super) fn rename(from: &str, to: &str) -> Change {
    Change::RenameTag(from.to_owned(), to.to_owned())
}

/// Each: the fields before, the change, the fields after.
#[track_caller]
fn check(cases: &[(&str, Change, &str)]) {
    for (before, change, after) in cases {
        let text = format!("---\n{before}---\n# Body\n---\nend");
        let wanted = format!("---\n{after}---\n# Body\n---\nend");
        let edited = run(&text, std::slice::from_ref(change));
        assert_eq!(edited.as_ref(), Ok(&wanted), "{before} {change:?}");
        let dos = run(&text.replace('\n', "\r\n"), std::slice::from_ref(change)).unwrap();
        assert_eq!(dos, wanted.replace('\n', "\r\n"), "{change:?}");
        let marked = run(&format!("\u{feff}{text}"), std::slice::from_ref(change)).unwrap();
        assert_eq!(marked, format!("\u{feff}{wanted}"), "{change:?}");
    }
}

#[test]
fn values_keep_their_form_and_their_comments() {
    check(&[
        (
            "a: 1\ndescription: old # why\nz: 2\n",
            set("description", "new"),
            "a: 1\ndescription: new # why\nz: 2\n",
        ),
        (
            "description: 'o''ld'\n",
            set("description", "it's"),
            "description: 'it''s'\n",
        ),
        (
            "description: \"o\\\"ld\" # why\n",
            set("description", "say \"x\""),
            "description: \"say \\\"x\\\"\" # why\n",
        ),
        (
            "description: old\n",
            set("description", "Use: always"),
            "description: \"Use: always\"\n",
        ),
        (
            "version: 1.10\n",
            set("version", "1.2"),
            "version: \"1.2\"\n",
        ),
        (
            "version: 1.2.0\n",
            set("version", "1.3.0"),
            "version: 1.3.0\n",
        ),
        (
            "\"description\": old\n",
            set("description", "new"),
            "\"description\": new\n",
        ),
        (
            "description:\nname: x\n",
            set("description", "new"),
            "description: new\nname: x\n",
        ),
        (
            "description: # none yet\nname: x\n",
            set("description", "new"),
            "description: new # none yet\nname: x\n",
        ),
        (
            "  description: old\n  name: x\n",
            set("title", "T"),
            "  description: old\n  name: x\n  title: T\n",
        ),
    ]);
}

#[test]
fn values_over_several_lines_are_replaced_as_a_whole() {
    check(&[
        (
            "description: >-\n  one\n  two\n\n  three\nname: x\n",
            set("description", "new"),
            "description: new\nname: x\n",
        ),
        (
            "description: | # kept\n  one\n\nname: x\n",
            set("description", "new"),
            "description: new # kept\n\nname: x\n",
        ),
        (
            "description: one\n  two\n  three # why\nname: x\n",
            set("description", "new"),
            "description: new # why\nname: x\n",
        ),
        (
            "description: \"one\n  two: x\n  three\"\nname: x\n",
            set("description", "new"),
            "description: \"new\"\nname: x\n",
        ),
        (
            "description:\n  one\n  two\nname: x\n",
            set("description", "new"),
            "description: new\nname: x\n",
        ),
        (
            "description: # c\n  'one'\nname: x\n",
            set("description", "new"),
            "description: 'new' # c\nname: x\n",
        ),
        (
            "description: one\nname: x\n",
            set("description", "a\n\nb: c # d"),
            "description: |-\n  a\n\n  b: c # d\nname: x\n",
        ),
        (
            "description: one # why\n",
            set("description", "a\nb"),
            "description: \"a\\nb\" # why\n",
        ),
        (
            "description: 'one'\n",
            set("description", "a\nb"),
            "description: |-\n  a\n  b\n",
        ),
        (
            "description: >\n  one\n\n\n# c\nname: x\n",
            Change::Unset("description"),
            "\n\n# c\nname: x\n",
        ),
    ]);
}

#[test]
fn broken_values_are_mended_by_setting_them() {
    check(&[
        (
            "name: x\ndescription: Use when: asked #1 # or\nz: 1\n",
            set("description", "new"),
            "name: x\ndescription: new\nz: 1\n",
        ),
        (
            "name: x\ndescription: Use when: asked\n",
            set("title", "T"),
            "name: x\ndescription: Use when: asked\ntitle: T\n",
        ),
    ]);
}

#[test]
fn fields_stand_where_they_count() {
    check(&[
        (
            "metadata:\n  version: \"1\"\n  author: me # c\nname: x\n",
            set("version", "2"),
            "metadata:\n  version: \"2\"\n  author: me # c\nname: x\n",
        ),
        (
            "metadata:\n  version: \"1\"\n  author: me # c\nname: x\n",
            Change::Unset("author"),
            "metadata:\n  version: \"1\"\nname: x\n",
        ),
        (
            "metadata:\n  tags: a, b\n",
            add(&["c"]),
            "metadata:\n  tags: a, b, c\n",
        ),
        ("keywords:\n- a\n", add(&["c"]), "keywords:\n- a\n- c\n"),
        (
            "metadata:\n  x: y\n",
            set("version", "v1"),
            "metadata:\n  x: y\nversion: v1\n",
        ),
        (
            "a: 1\n# the end\n",
            set("version", "v1"),
            "a: 1\nversion: v1\n# the end\n",
        ),
        (
            "version: one\nversion: two\n",
            set("version", "three"),
            "version: one\nversion: three\n",
        ),
        (
            "version: one\nx: 1\nversion: two\n",
            Change::Unset("version"),
            "x: 1\n",
        ),
    ]);
}

#[test]
fn tags_keep_the_form_of_their_list() {
    check(&[
        (
            "a: |+\n  -\n  a\n\n",
            add(&["new"]),
            "a: |+\n  -\n  a\n\ntags: [new]\n",
        ),
        (
            "tags:\n  - a # first\n  - 'b'\nz: 1\n",
            add(&["c", "d e"]),
            "tags:\n  - a # first\n  - 'b'\n  - c\n  - d e\nz: 1\n",
        ),
        (
            "tags:\n- a\n-   b\n",
            add(&["c"]),
            "tags:\n- a\n-   b\n-   c\n",
        ),
        (
            "tags:\n  - a # first\n  - 'b'\n  - c\nz: 1\n",
            remove(&["b", "x"]),
            "tags:\n  - a # first\n  - c\nz: 1\n",
        ),
        (
            "tags:\n  - a # first\n  - 'b'\n",
            rename("b", "it's"),
            "tags:\n  - a # first\n  - 'it''s'\n",
        ),
        (
            "tags:\n  - a\n  - b\n  - c\n",
            rename("a", "c"),
            "tags:\n  - b\n  - c\n",
        ),
        ("tags:\n  - a\n", remove(&["a"]), "tags: []\n"),
        (
            "tags: [a, \"b, c\", d] # why\n",
            add(&["e,f"]),
            "tags: [a, \"b, c\", d, \"e,f\"] # why\n",
        ),
        (
            "tags: [a, \"b, c\", d] # why\n",
            remove(&["b, c"]),
            "tags: [a, d] # why\n",
        ),
        (
            "tags: [a, b, c, d]\n",
            remove(&["b", "d", "c"]),
            "tags: [a]\n",
        ),
        (
            "tags: [a, b, c, d]\n",
            remove(&["a", "c"]),
            "tags: [b, d]\n",
        ),
        (
            "tags: [ a, b ]\n",
            rename("a", "x: y"),
            "tags: [ \"x: y\", b ]\n",
        ),
        ("tags: [a, b]\n", remove(&["b", "a"]), "tags: []\n"),
        (
            "tags: [\n  a, # one\n  b,\n]\n",
            add(&["c"]),
            "tags: [\n  a, # one\n  b,\n  c,\n]\n",
        ),
        (
            "tags: [\n  a, # one\n  b,\n  ]\n",
            remove(&["b"]),
            "tags: [\n  a, # one\n  ]\n",
        ),
        (
            "tags: [\n  a, # one\n  b,\n  ]\n",
            remove(&["a"]),
            "tags: [\n  b,\n  ]\n",
        ),
        ("tags: a,b\n", add(&["c"]), "tags: a,b, c\n"),
        ("tags: 'a, b'\n", remove(&["a"]), "tags: 'b'\n"),
        ("tags: a, b, c\n", rename("b", "x"), "tags: a, x, c\n"),
        ("tags: a\n", add(&["b"]), "tags: a, b\n"),
        ("tags: a\n", remove(&["a"]), "tags: \"\"\n"),
        ("tags:\nz: 1\n", add(&["a"]), "tags: [a]\nz: 1\n"),
        ("tags: []\n", add(&["a"]), "tags: [a]\n"),
        ("tags: ''\n", add(&["a"]), "tags: 'a'\n"),
        ("z: 1\n", add(&["a", "b"]), "z: 1\ntags: [a, b]\n"),
        ("tags: [a, b]\n", add(&["b"]), "tags: [a, b]\n"),
        ("tags: [a, 2024, b]\n", remove(&["2024"]), "tags: [a, b]\n"),
    ]);
}

#[test]
fn a_file_without_fields_gets_them_at_its_top() {
    for (before, after) in [
        (
            "# Title\n\ntext\n",
            "---\nauthor: me\n---\n\n# Title\n\ntext\n",
        ),
        ("\ntext", "---\nauthor: me\n---\n\ntext"),
        ("", "---\nauthor: me\n---\n"),
        (
            "\u{feff}a\r\nb",
            "\u{feff}---\r\nauthor: me\r\n---\r\n\r\na\r\nb",
        ),
        ("---\n\na rule\n", "---\nauthor: me\n---\n\n---\n\na rule\n"),
        ("---\n---\nbody", "---\nauthor: me\n---\nbody"),
        ("\n---\n# c\n---\nbody", "\n---\n# c\nauthor: me\n---\nbody"),
    ] {
        assert_eq!(run(before, &[set("author", "me")]).unwrap(), after);
    }
}

#[test]
fn files_of_fields_alone_are_changed_too() {
    let file = Path::new("WORKFLOW.yaml");
    let edited = |text: &str, change: Change| {
        let bytes = edit(text.as_bytes(), file, &Kind::Workflow, &[change]).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(
        edited("workflow:\n  name: x\n  tags: [a]\nstages: []", add(&["b"])),
        "workflow:\n  name: x\n  tags: [a, b]\nstages: []"
    );
    assert_eq!(
        edited("workflow:\n  name: x\nstages: []", set("version", "v2")),
        "workflow:\n  name: x\n  version: v2\nstages: []"
    );
    assert_eq!(
        edited("name: x", set("author", "me")),
        "name: x\nauthor: me\n"
    );
}

#[test]
fn what_can_t_be_changed_alone_is_refused_with_its_line() {
    for (text, change, line) in [
        (
            "---\nname: x\nauthor:\n  name: me\n---\n",
            set("author", "you"),
            3,
        ),
        (
            "---\nname: x\nauthor: [a, b]\n---\n",
            set("author", "you"),
            3,
        ),
        ("---\n{name: x, author: me}\n---\n", set("author", "you"), 2),
        (
            "---\nname: x\nmetadata: {version: a}\n---\n",
            set("version", "b"),
            3,
        ),
        (
            "---\nx: &a one\nversion: *a\ny: 2\nauthor: &b me\nz: *b\n---\n",
            set("author", "you"),
            5,
        ),
        ("---\nname: x\n- item\n---\n", set("author", "you"), 3),
        ("---\nname: x\n", set("author", "you"), 1),
        ("---\ntags: {a: 1}\n---\n", add(&["b"]), 2),
    ] {
        let error = run(text, std::slice::from_ref(&change)).unwrap_err();
        assert_eq!(error.code, Code::FrontmatterInvalid, "{text}");
        assert_eq!(error.line, Some(line), "{text}: {}", error.message);
        assert_eq!(error.path.as_deref(), Some(Path::new("SKILL.md")));
    }
    let json = edit(
        b"{}",
        Path::new("plugin.json"),
        &Kind::Composite,
        &[set("author", "x")],
    );
    assert_eq!(json.unwrap_err().code, Code::FrontmatterInvalid);
    let binary = edit(
        b"---\na: \xff\n---\n",
        Path::new("x.md"),
        &Kind::Agent,
        &[set("author", "x")],
    );
    assert_eq!(binary.unwrap_err().line, Some(1));
}

#[test]
fn no_key_comes_to_stand_twice_and_no_open_list_is_written_on() {
    for (fields, change, line) in [
        (
            "name: x\n? description\n: old\n",
            set("description", "new"),
            2,
        ),
        ("? license\n: MIT\nname: x\n", set("license", "X"), 2),
        ("name: x\n? tags\n: [a]\n", add(&["b"]), 2),
        ("name: x\ntags: [a\n", add(&["zz", "b"]), 3),
        ("name: x\nkeywords: {a: b\n", add(&["b"]), 3),
        ("name: x\ntags: [a, b\n", rename("b", "c"), 3),
    ] {
        let text = format!("---\n{fields}---\n# Body\n");
        let error = run(&text, std::slice::from_ref(&change)).unwrap_err();
        assert_eq!(error.code, Code::FrontmatterInvalid, "{fields}");
        assert_eq!(error.line, Some(line), "{fields}");
    }
    // One that stands twice already changes where it counts.
    check(&[
        (
            "description: one\ndescription: two\n",
            set("description", "new"),
            "description: one\ndescription: new\n",
        ),
        ("tags: [a\n", set("tags", "x"), "tags: x\n"),
    ]);
}
