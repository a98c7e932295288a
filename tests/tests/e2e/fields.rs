//! `sm set`: what it refuses, and whose an alias is.

use serde_json::json;
use skillmeat_tests::home::text;

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
    skillmeat_tests::home::replace(&manifest, both);
    sandbox.shows("skill:review", "the alias", |shown| {
        shown["aliases"][0] == "look"
    });
    sandbox.json(&["set", "review", "aliases=look,other"]);
    sandbox.json(&["set", "review", "aliases=other"]);
    assert_eq!(sandbox.show("look")["id"], "skill:pdf");
}
