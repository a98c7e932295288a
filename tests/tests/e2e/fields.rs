//! `sm set`: what it refuses, and whose an alias is; names that an entry says again.

use serde_json::json;
use skillmeat_tests::home::{replace, skill, text, write};

use crate::curation::library;

#[test]
fn a_field_is_given_once() {
    let sandbox = library();
    let error = sandbox.fails(&["set", "pdf", "version=1", "license=MIT", "version=2"], 2);
    assert_eq!(error["code"], "usage.invalid_argument");
    assert!(text(&error["message"]).contains("`version`"), "{error}");
    assert_eq!(sandbox.show("pdf")["version"], json!(null));
}

#[test]
fn what_an_edit_would_refuse_is_not_set() {
    let sandbox = library();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    let before = std::fs::read(&file).unwrap();
    let long = format!("description={}", "x".repeat(1025));
    for field in ["description=", "description=  ", &long] {
        for more in [&[][..], &["--dry-run"]] {
            let args = [&["set", "pdf", field, "license=MIT"][..], more].concat();
            let error = sandbox.fails(&args, 4);
            assert_eq!(error["code"], "artifact.frontmatter_invalid", "{error:#}");
            assert!(
                text(&error["message"]).contains("(description."),
                "{error:#}"
            );
        }
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
    let shown = sandbox.show("pdf");
    assert_eq!(shown["description"], "What pdf is for");
    assert_eq!(shown["license"], json!(null));
    // A command needs no description; what was wrong before may stay so.
    sandbox.json(&["set", "command:tidy", "description="]);
    let broken = text(&json!(String::from_utf8(before).unwrap())).replace("description", "about");
    replace(&file, broken);
    sandbox.json(&["set", "pdf", "license=MIT"]);
}

#[test]
fn an_alias_is_that_of_one_artifact() {
    let sandbox = library();
    sandbox.json(&["set", "review", "aliases=look,see"]);
    for (alias, whose) in [
        ("look", "`skill:review`"),
        ("LOOK", "`skill:review`"),
        ("review", "`skill:review`"),
        ("mine,tidy", "`command:tidy`"),
        ("skill:pdf-forms", "`skill:pdf-forms`"),
    ] {
        let field = format!("aliases={alias}");
        let error = sandbox.fails(&["set", "pdf", &field], 4);
        assert_eq!(error["code"], "artifact.exists", "{alias}");
        assert!(text(&error["message"]).contains(whose), "{alias}: {error}");
    }
    assert_eq!(sandbox.show("look")["id"], "skill:review");
    // Its own stay its own, also its name.
    sandbox.json(&["set", "review", "aliases=look,review"]);
    // Free again.
    sandbox.json(&["set", "review", "aliases="]);
    sandbox.json(&["set", "pdf", "aliases=look,see"]);
    assert_eq!(sandbox.show("look")["id"], "skill:pdf");
    // In another collection it is another one's.
    sandbox.json(&["collection", "create", "work"]);
    sandbox.json(&["copy", "review", "--to", "work"]);
    sandbox.json(&["set", "review", "aliases=look", "-c", "work"]);
    // Where both have one it can be taken away, and the rest be set.
    let manifest = sandbox.collection("default", "collection.toml");
    let before = std::fs::read_to_string(&manifest).unwrap();
    let entry = "name = \"review\"\n";
    assert!(before.contains(entry), "{before}");
    let both = before.replacen(entry, &format!("{entry}aliases = [\"look\"]\n"), 1);
    replace(&manifest, both);
    sandbox.shows("skill:review", "the alias", |shown| {
        shown["aliases"][0] == "look"
    });
    sandbox.json(&["set", "review", "aliases=look,other"]);
    sandbox.json(&["set", "review", "aliases=other"]);
    assert_eq!(sandbox.show("look")["id"], "skill:pdf");
}

#[test]
fn a_name_is_no_alias_of_another_artifact() {
    let sandbox = library();
    sandbox.json(&["set", "review", "aliases=look"]);
    let source = sandbox.path("more");
    let [look, new] = ["look", "new"].map(|name| skill(&source, name, "A new one"));
    let [look, new] = [&look, &new].map(|path| path.to_str().unwrap());
    for args in [
        &["rename", "pdf", "look"][..],
        &["rename", "tidy", "Look"],
        &["copy", "pdf", "--as", "look"],
        &["copy", "review", "--as", "look"],
        &["add", look],
        &["add", new, "--as", "look"],
        &["add", look, "--force"],
    ] {
        let error = sandbox.fails(args, 4);
        assert_eq!(error["code"], "artifact.exists", "{args:?}");
        let message = text(&error["message"]);
        assert!(
            message.contains("is an alias of `skill:review`"),
            "{args:?}: {error}"
        );
    }
    // Of many it alone is not added.
    let told = sandbox.run(&["add", look, new, "--json"]).exits(9).json();
    assert_eq!(told["items"][0]["result"], "conflict", "{told}");
    assert_eq!(told["items"][0]["code"], "artifact.exists", "{told}");
    assert!(sandbox.ids().contains(&"skill:new".to_owned()));
    assert_eq!(sandbox.show("look")["id"], "skill:review");
    // What is its own alias may become its name.
    sandbox.json(&["rename", "review", "look"]);
    sandbox.json(&["rename", "look", "review"]);
    sandbox.json(&["set", "review", "aliases="]);
    sandbox.json(&["add", look]);
}

#[test]
fn names_and_aliases_of_another_collection_are_free_there() {
    let sandbox = library();
    for name in ["work", "other"] {
        sandbox.json(&["collection", "create", name]);
    }
    sandbox.json(&["copy", "review", "tidy", "--to", "work"]);
    sandbox.json(&["set", "review", "aliases=look", "-c", "work"]);
    let look = skill(&sandbox.path("more"), "look", "A new one");
    sandbox.json(&["add", look.to_str().unwrap(), "-c", "other"]);
    sandbox.json(&["set", "pdf", "aliases=mine,Look"]);
    sandbox.json(&["remove", "tidy", "--yes"]);
    sandbox.json(&["set", "pdf-forms", "aliases=tidy"]);
    for (what, from, whose) in [
        ("look", "other", "`look` is an alias of `skill:review`"),
        ("pdf", "default", "`Look` is a name of `skill:review`"),
        ("pdf-forms", "default", "`tidy` is a name of `command:tidy`"),
    ] {
        for verb in ["copy", "move"] {
            let error = sandbox.fails(&[verb, what, "-c", from, "--to", "work"], 4);
            assert_eq!(error["code"], "artifact.exists", "{verb} {what}");
            assert!(error.to_string().contains(whose), "{verb} {what}: {error}");
        }
    }
    sandbox.json(&["set", "pdf", "aliases=mine"]);
    sandbox.json(&["move", "pdf", "--to", "work"]);
    assert_eq!(text(&sandbox.show("mine")["collection"]), "work");
}

#[test]
fn one_alias_is_not_given_to_several_artifacts() {
    let sandbox = library();
    let error = sandbox.fails(&["set", "pdf*", "license=MIT", "aliases=x"], 2);
    assert_eq!(error["code"], "usage.invalid_argument");
    assert_eq!(sandbox.show("pdf")["license"], json!(null));
    sandbox.json(&["set", "pdf", "aliases=x"]);
    sandbox.json(&["set", "pdf*", "license=MIT", "aliases="]);
    assert_eq!(sandbox.show("pdf")["aliases"], json!([]));
}

#[test]
fn an_alias_of_two_artifacts_is_told() {
    let sandbox = library();
    let manifest = sandbox.collection("default", "collection.toml");
    let mut lines = std::fs::read_to_string(&manifest).unwrap();
    for (name, alias) in [("pdf", "x"), ("pdf-forms", "X"), ("review", "tidy")] {
        let entry = format!("name = \"{name}\"\n");
        lines = lines.replacen(&entry, &format!("{entry}aliases = [\"{alias}\"]\n"), 1);
    }
    replace(&manifest, &lines);
    let line = |name: &str| {
        let entry = format!("name = \"{name}\"");
        // The entry begins a line before its name.
        lines.lines().position(|line| line == entry).unwrap()
    };
    let told = skillmeat_tests::until("the findings", || {
        let report = sandbox.run(&["collection", "validate", "--json"]).json();
        (report["errors"] == 2).then_some(report)
    });
    drop(sandbox.run(&["collection", "validate"]).exits(9));
    for (finding, name, other) in [
        (&told["findings"][0], "pdf-forms", "`skill:pdf`"),
        (&told["findings"][1], "review", "`command:tidy`"),
    ] {
        assert_eq!(finding["code"], "entry.alias", "{told:#}");
        assert_eq!(finding["path"], "collection.toml");
        assert_eq!(finding["line"], line(name), "{told:#}\n{lines}");
        assert!(text(&finding["message"]).contains(other), "{finding}");
    }
}

#[test]
fn a_name_that_an_entry_says_again_follows() {
    let sandbox = library();
    let path = sandbox.collection("default", "collection.toml");
    let entry = "\n[artifacts.metadata]\ndescription = \"What pdf is for\"\n";
    let read = || std::fs::read_to_string(&path).unwrap();
    let before = read();
    assert!(before.contains(entry), "{before}");
    let extra = "[artifacts.metadata.extra]\nname = 'pdf' # again\nother = \"pdf\"\n";
    replace(
        &path,
        before.replacen(entry, &format!("{entry}\n{extra}"), 1),
    );
    sandbox.json(&["rename", "pdf", "papers"]);
    let is_in = |name: &str| {
        let extra = extra.replace("'pdf'", &format!("\"{name}\""));
        let now = read();
        assert!(now.contains(&extra), "{now}");
    };
    is_in("papers");
    sandbox.json(&["copy", "papers", "--as", "second"]);
    is_in("papers");
    is_in("second");
}

#[test]
fn keys_that_stand_twice_are_told_and_none_is_added() {
    let sandbox = library();
    let file = sandbox.collection("default", "skills/pdf/SKILL.md");
    let head = "---\nname: pdf\n";
    let explicit = format!("{head}? description\n: What it is for\n---\nBody\n");
    replace(&file, &explicit);
    let error = sandbox.fails(&["set", "pdf", "description=Other"], 4);
    assert_eq!(error["code"], "artifact.frontmatter_invalid", "{error:#}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), explicit);
    let twice = format!("{head}description: one\ndescription: two\n---\nBody\n");
    replace(&file, twice);
    let told = sandbox.run(&["validate", "pdf"]).stdout;
    assert!(
        told.contains("SKILL.md:4") && told.contains("`description` stands twice"),
        "{told}"
    );
    let open = format!("{head}description: d\ntags: [a\n---\nBody\n");
    replace(&file, &open);
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let told = sandbox.json(&["tag", "add", "zz,b", "pdf"]);
    assert!(
        told.to_string().contains("in the manifest only: "),
        "{told:#}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), open);
}

#[test]
fn a_name_that_stays_in_the_file_is_told() {
    let sandbox = library();
    for (name, fields) in [
        ("flow", "{name: flow, description: x}"),
        ("anchored", "name: &n anchored\ndescription: *n"),
    ] {
        let place = sandbox.path("src").join(name);
        write(
            place.join("SKILL.md"),
            format!("---\n{fields}\n---\nText\n"),
        );
        sandbox.json(&["add", place.to_str().unwrap()]);
        let new = format!("{name}-new");
        let copy = format!("{name}-copy");
        let would_copy = sandbox.json(&["copy", name, "--as", &copy, "--dry-run"]);
        let copied = sandbox.json(&["copy", name, "--as", &copy]);
        let again = format!("{name}-again");
        let added = sandbox.json(&["add", place.to_str().unwrap(), "--as", &again]);
        let renamed = sandbox.json(&["rename", name, &new]);
        for told in [would_copy, copied, added, renamed] {
            let reason = text(&told["items"][0]["reason"]);
            assert!(
                reason.contains("the name in `SKILL.md` stays: "),
                "{told:#}"
            );
        }
        // What can't be mended is not offered to be.
        for args in [&["validate", &new][..], &["validate", &new, "--fix"]] {
            let found = sandbox.json(args);
            let finding = &found["artifacts"][0]["findings"][0];
            assert_eq!(finding["rule"], "name.folder", "{found:#}");
            assert_eq!(finding["fixable"], false, "{found:#}");
            assert_eq!(
                (&found["mended"], &found["failed"]),
                (&json!([]), &json!([]))
            );
        }
    }
}

#[test]
fn what_stands_in_the_manifest_alone_is_told() {
    let sandbox = library();
    let hook = sandbox.path("src/hk/hooks.json");
    write(&hook, "{\"hooks\": {}}");
    let folder = sandbox.path("src/hk");
    sandbox.json(&["add", folder.to_str().unwrap(), "--type", "hook"]);
    let set = sandbox.json(&["set", "hook:hk", "description=hd"]);
    let reason = "in the manifest only: `hooks.json` has no place for it";
    assert_eq!(set["items"][0]["reason"], reason, "{set:#}");
    let again = sandbox.json(&["set", "hook:hk", "description=hd"]);
    assert_eq!(again["items"][0]["reason"], json!(null), "{again:#}");
    let set = sandbox.json(&["set", "pdf", "description=hd"]);
    assert_eq!(set["items"][0]["reason"], json!(null), "{set:#}");
}
