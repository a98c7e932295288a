use super::*;

const HEAD: &str = "# mine\n[collection]\nname = \"c\" # why\nupdated = \"1\"\n";

fn entry(name: &str) -> String {
    format!(
        "\n# about {name}\n[[artifacts]]\nname = \"{name}\"\ntype = \"skill\"\npath = \"skills/{name}\"\n\n\
         [artifacts.metadata]\ntitle = \"{name}\"\n"
    )
}

fn group(name: &str) -> String {
    format!("\n[[groups]]\nname = \"{name}\"\nmembers = [\n    \"a\",\n]\n")
}

fn text(parts: &[&str]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| match part.split_once(' ') {
            Some(("group", name)) => group(name),
            _ => entry(part),
        })
        .collect();
    format!("{HEAD}{}", parts.concat())
}

#[track_caller]
fn becomes(before: &str, after: &str, now: &str, wanted: &str) {
    assert_eq!(take_back(before, after, now).unwrap(), wanted);
}

#[test]
fn an_entry_goes_and_later_ones_stay() {
    becomes(
        &text(&["a"]),
        &text(&["a", "b"]),
        &text(&["a", "b", "c"]),
        &text(&["a", "c"]),
    );
    becomes(
        &text(&[]),
        &text(&["a"]),
        &text(&["a", "group g"]),
        &text(&["group g"]),
    );
}

#[test]
fn an_entry_comes_back_to_its_place() {
    becomes(
        &text(&["a", "b", "c"]),
        &text(&["a", "c"]),
        &text(&["a", "c", "d", "group g"]),
        &text(&["a", "b", "c", "d", "group g"]),
    );
    becomes(
        &text(&["a", "b"]),
        &text(&["b"]),
        &text(&["b", "c"]),
        &text(&["a", "b", "c"]),
    );
}

#[test]
fn a_key_changes_back_and_other_keys_of_the_entry_stay() {
    let old = text(&["a", "b"]);
    let new = old.replace("title = \"a\"", "title = \"A\"");
    let now = new.replace("path = \"skills/a\"", "path = \"skills/a\"\ntags = [\"x\"]");
    becomes(
        &old,
        &new,
        &now,
        &now.replace("title = \"A\"", "title = \"a\""),
    );
    // Not if that key was changed again.
    let now = new.replace("title = \"A\"", "title = \"AA\"");
    assert_eq!(
        take_back(&old, &new, &now).unwrap_err(),
        Obstacle::Changed(vec!["artifacts/skill:a.metadata.title".to_owned()])
    );
    let title = ["artifacts/skill:a.metadata.title".to_owned()];
    assert!(touched(&new, &now, &title));
    assert!(!touched(&now, &now.replace("title = \"b\"", ""), &title));
    assert!(touched(&old, &new, &["artifacts/`skill:b`".to_owned()]));
}

#[test]
fn the_date_of_the_collection_is_in_nobodys_way() {
    let old = text(&["a"]);
    let new = text(&["a", "b"]).replace("updated = \"1\"", "updated = \"2\"");
    let now = text(&["a", "b", "c"]).replace("updated = \"1\"", "updated = \"3\"");
    let wanted = text(&["a", "c"]).replace("updated = \"1\"", "updated = \"3\"");
    becomes(&old, &new, &now, &wanted);
}

#[test]
fn an_entry_that_was_renamed_gets_its_old_name() {
    becomes(
        &text(&["a", "b", "c"]),
        &text(&["a", "x", "c"]),
        &text(&["a", "x", "c", "d"]),
        &text(&["a", "b", "c", "d"]),
    );
}

#[test]
fn lists_that_are_written_inline_are_undone_by_entry() {
    let list = |names: &[&str]| {
        let entries: Vec<String> = names
            .iter()
            .map(|name| format!("{{ name = \"{name}\", type = \"skill\" }}"))
            .collect();
        format!("{HEAD}\n[[groups]]\nname = \"g\"\n").replacen(
            '#',
            &format!("artifacts = [{}]\n#", entries.join(", ")),
            1,
        )
    };
    becomes(
        &list(&["a"]),
        &list(&["a", "b"]),
        &list(&["a", "b", "c"]),
        &list(&["a", "c"]),
    );
    let obstacle = take_back(&list(&["a"]), &list(&["a", "b"]), &list(&["a"]));
    assert_eq!(
        obstacle,
        Err(Obstacle::Changed(vec!["artifacts/`skill:b`".to_owned()]))
    );
}

#[test]
fn an_empty_list_does_not_come_back_beside_entries() {
    let old = format!("artifacts = []\n\n{HEAD}");
    let new = format!("{HEAD}{}", entry("a"));
    let now = format!("{new}{}", entry("b"));
    becomes(&old, &new, &now, &format!("{HEAD}{}", entry("b")));
    becomes(&old, &new, &new, &old);
}

#[test]
fn locks_are_undone_by_their_keys() {
    let head = "[lock]\nversion = \"1.0.0\"\n\n[lock.entries]\n";
    let entry = |name: &str, hash: &str| {
        format!("\n[lock.entries.\"{name}::skill\"]\ncontent_hash = \"{hash}\"\n")
    };
    let (a, b, c) = (entry("a", "1"), entry("b", "1"), entry("c", "1"));
    becomes(
        &format!("{head}{a}"),
        &format!("{head}{a}{b}"),
        &format!("{head}{a}{b}{c}"),
        &format!("{head}{a}{c}"),
    );
    let newer = entry("b", "2");
    let obstacle = take_back(
        &format!("{head}{a}"),
        &format!("{head}{a}{b}"),
        &format!("{head}{a}{newer}"),
    );
    assert!(matches!(obstacle, Err(Obstacle::Changed(_))));
}

#[test]
fn odd_texts_are_cut_without_loss() {
    for text in [
        "",
        "# only a comment\n",
        "\u{feff}a = 1\r\nb.c = 2\r\n# end",
        "x = '''\n[[artifacts]]\n'''\n[a]\n[a.b]\ny = [\n  1, # one\n]\n[[q]]\n[[q]]\nname = \"n\"",
        "[[artifacts]]\nname = \"a\"\n[[artifacts]]\nname = \"a\"\n",
        "i = { a = 1 }\nl = [{ name = \"x\" }, { name = \"y\" }]\n",
    ] {
        let cut = segments(text).unwrap();
        let whole: String = cut.iter().map(|one| one.text.as_str()).collect();
        if !cut.is_empty() {
            assert_eq!(whole, text);
        }
        let keys: HashSet<_> = cut.iter().map(|one| &one.key).collect();
        assert_eq!(keys.len(), cut.len(), "{text}");
    }
    assert!(matches!(
        take_back("a = 1", "a = 2", "a ="),
        Err(Obstacle::Syntax(_))
    ));
}

#[test]
fn comments_that_came_since_stay_and_are_in_nobodys_way() {
    let (old, new) = (
        text(&["a", "b"]),
        text(&["a", "b"]).replace("title = \"b\"", "title = \"B\""),
    );
    for (from, to) in [
        ("title = \"B\"\n", "title = \"B\"\n# tail\n"),
        ("title = \"B\"\n", "title = \"B\" # tail"),
        ("title = \"B\"\n", "# above\ntitle = \"B\" # tail\r\n"),
        ("title = \"B\"\n", "title=\"B\" # tail"),
    ] {
        let now = new.replace(from, to);
        becomes(&old, &new, &now, &now.replace("\"B\"", "\"b\""));
        becomes(&new, &old, &now.replace("\"B\"", "\"b\""), &now);
    }
    let (old, new) = (
        text(&["a", "group g"]),
        text(&["a", "group g"]).replace("\"a\",\n]", "\"x\",\n]"),
    );
    for to in [
        "\"x\", # of a\n]",
        "# above\n    \"x\",\n] # behind\n\n# tail",
    ] {
        let now = new.replace("\"x\",\n]", to);
        becomes(&old, &new, &now, &now.replace("\"x\"", "\"a\""));
    }
    // What was added goes, and what stands behind it stays.
    let (old, new) = (text(&["a"]), text(&["a", "b"]));
    becomes(
        &old,
        &new,
        &format!("{new}\n# tail\n"),
        &format!("{old}\n# tail\n"),
    );
    let tail = "\n# tail\n";
    let new = format!("{old}{tail}{}", entry("b"));
    becomes(
        &format!("{old}{tail}"),
        &new,
        &format!("{new}# more\n"),
        &format!("{old}{tail}# more\n"),
    );
}

#[test]
fn comments_that_would_go_are_told_as_such() {
    let (old, new) = (
        text(&["a"]),
        text(&["a"]).replace("title = \"a\"", "title = \"a\"\nx = 1"),
    );
    let key = |name: &str| vec![format!("artifacts/skill:a.{name}")];
    for comment in ["# why\nx = 1", "x = 1 # why"] {
        let now = new.replace("x = 1", comment);
        let obstacle = take_back(&old, &new, &now).unwrap_err();
        assert_eq!(obstacle, Obstacle::Commented(key("metadata.x")));
    }
    let obstacle = take_back(&old, &new, &new.replace("x = 1", "x = 2 # why")).unwrap_err();
    assert_eq!(obstacle, Obstacle::Changed(key("metadata.x")));
    let tags = |tags: &str| {
        old.replace(
            "\n\n[artifacts.m",
            &format!("\ntags = [{tags}]\n\n[artifacts.m"),
        )
    };
    let (old, new) = (tags("\"a\", \"b\""), tags("\"a\", \"b\", \"c\""));
    let now = tags("\"a\", # one\n \"b\", \"c\"");
    becomes(&old, &new, &now, &tags("\"a\", # one\n \"b\""));
    let now = tags("\"a\", \"b\", \"c\" # mine\n");
    assert_eq!(
        take_back(&old, &new, &now).unwrap_err(),
        Obstacle::Commented(key("tags"))
    );
}

#[test]
fn headers_are_told_from_the_comments_around_them() {
    let cut = segments("# top\n [ a . 'b # c' ] # d\nx.y = [ # e\n] # f\n[[q]]# g\n# h").unwrap();
    let parts: Vec<_> = cut
        .iter()
        .map(|one| (one.lead(), one.body(), one.value(), one.tail()))
        .collect();
    assert_eq!(
        parts,
        [
            ("# top\n", " [ a . 'b # c' ]", "", " # d\n"),
            ("", "x.y = [ # e\n]", "[ # e\n]", " # f\n"),
            ("", "[[q]]", "", "# g\n"),
            ("", "", "", "# h"),
        ]
    );
}
