//! `sm search`: ranking, phrases, prefixes, slips, snippets, and queries of any bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::Value;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{text, write};

fn library() -> Sandbox {
    let sandbox = Sandbox::initialised();
    for (name, extra, description, body) in [
        (
            "kubernetes",
            "",
            "Operate clusters",
            "Roll out with care.\nThe ingress controller routes traffic.\n",
        ),
        (
            "helm",
            "aliases: [charts]\ntags: [deploy]\n",
            "Package manager for kubernetes",
            "Values and templates.\n",
        ),
        (
            "notes",
            "",
            "Take notes",
            "Nothing here.\nOnce we tried kubernetes and left it.\n",
        ),
        (
            "pdf-forms",
            "author: Ada Lovelace\n",
            "Fill in forms",
            "Text.\n",
        ),
    ] {
        write(
            sandbox.collection("default", &format!("skills/{name}/SKILL.md")),
            format!("---\nname: {name}\n{extra}description: {description}\n---\n{body}"),
        );
    }
    write(
        sandbox.collection("default", "skills/notes/references/deep.md"),
        "# Deep\n\nThe quokka smiles.\n",
    );
    write(
        sandbox.collection("default", "commands/ship.md"),
        "---\ndescription: Ship to kubernetes\n---\nGo.\n",
    );
    drop(sandbox.run(&["cache", "refresh"]).ok());
    sandbox.cache_until("the text index", |cache| {
        cache["unindexed_artifacts"] == 0 && cache["total_artifacts"] == 5
    });
    sandbox
}

fn hits(found: &Value) -> Vec<String> {
    let hits = found["hits"].as_array().unwrap();
    hits.iter()
        .map(|hit| text(&hit["artifact"]["id"]))
        .collect()
}

#[test]
fn names_come_before_descriptions_before_bodies() {
    let sandbox = library();
    let found = sandbox.json(&["search", "kubernetes"]);
    let ids = hits(&found);
    assert_eq!(ids[0], "skill:kubernetes");
    assert_eq!(ids.last().unwrap(), "skill:notes");
    assert_eq!(ids.len(), 4);
    assert_eq!(found["hits"][0]["matched"], "name");
    assert_eq!(found["hits"][3]["matched"], "content");
    let scores: Vec<f64> = found["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["score"].as_f64().unwrap())
        .collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(
        scores.iter().all(|score| (0.0..=1.0).contains(score)),
        "{scores:?}"
    );
}

#[test]
fn a_snippet_names_its_file_and_line() {
    let sandbox = library();
    let found = sandbox.json(&["search", "quokka"]);
    assert_eq!(hits(&found), ["skill:notes"]);
    let snippet = &found["hits"][0]["snippet"];
    assert_eq!(snippet["path"], "skills/notes/references/deep.md");
    assert_eq!(snippet["line"], 3);
    let line = text(&snippet["text"]);
    let range = &snippet["highlights"][0];
    let at = |n: usize| usize::try_from(range[n].as_u64().unwrap()).unwrap();
    assert_eq!(line.get(at(0)..at(1)), Some("quokka"));
    let seen = sandbox.run(&["search", "quokka"]).ok().stdout;
    assert!(seen.contains("deep.md:3"), "{seen}");
}

#[test]
fn prefixes_slips_phrases_aliases_and_authors() {
    let sandbox = library();
    let ids = |args: &[&str]| hits(&sandbox.json(&[&["search"], args].concat()));
    assert_eq!(ids(&["kube"])[0], "skill:kubernetes");
    let slip = sandbox.json(&["search", "kubernets"]);
    assert_eq!(hits(&slip)[0], "skill:kubernetes");
    assert_eq!(ids(&["\"ingress controller\""]), ["skill:kubernetes"]);
    assert_eq!(ids(&["\"controller ingress\""]), Vec::<String>::new());
    assert_eq!(ids(&["charts"])[0], "skill:helm");
    assert_eq!(ids(&["lovelace"]), ["skill:pdf-forms"]);
    assert_eq!(ids(&["PDF", "Forms"])[0], "skill:pdf-forms");
    assert_eq!(ids(&["kubernetes", "--type", "command"]), ["command:ship"]);
    assert_eq!(ids(&["kubernetes", "--tag", "deploy"]), ["skill:helm"]);
    assert_eq!(ids(&["quokka", "--in", "metadata"]), Vec::<String>::new());
    assert_eq!(ids(&["quokka", "--in", "content"]), ["skill:notes"]);
    assert_eq!(ids(&["clusters", "--in", "metadata"]), ["skill:kubernetes"]);
    let one = sandbox.json(&["search", "kubernetes", "--limit", "1"]);
    assert_eq!(hits(&one), ["skill:kubernetes"]);
    assert_eq!(one["more"], true);
    assert_eq!(ids(&["zzzzqqqq"]), Vec::<String>::new());
    let error = sandbox.fails(&["search", "x", "-c", "nowhere"], 3);
    assert_eq!(error["code"], "collection.not_found");
}

#[test]
fn one_entry_per_artifact_even_if_many_files_match() {
    let sandbox = library();
    for n in 0..20 {
        write(
            sandbox.collection("default", &format!("skills/notes/references/n{n}.md")),
            "walrus walrus walrus\n",
        );
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    skillmeat_tests::until("the new text", || {
        let found = sandbox.json(&["search", "walrus"]);
        (!hits(&found).is_empty()).then(|| assert_eq!(hits(&found), ["skill:notes"]))
    });
}

#[test]
fn any_bytes_are_a_safe_query() {
    let sandbox = library();
    for query in [
        &b"\""[..],
        b"\"\"",
        b"*",
        b"kube*",
        b"NEAR(a b)",
        b"name:kubernetes",
        b"a AND NOT b OR (c",
        b"-x",
        b"^a",
        b"{}[]()",
        b"';DROP TABLE artifact;--",
        b"\xff\xfe\xfd",
        b"%_\\",
        "\u{202e}\u{fffd}\u{1f600}".as_bytes(),
        b"   ",
        "a".repeat(50_000).as_bytes(),
        "ab ".repeat(5_000).as_bytes(),
    ] {
        let mut args = vec![OsStr::new("search"), OsStr::new("--json"), OsStr::new("--")];
        args.push(OsStr::from_bytes(query));
        let answer = sandbox.run(&args);
        // Without a letter or a digit there is nothing to look for, and that is said.
        if answer.code == Some(2) {
            assert_eq!(answer.error()["code"], "usage.invalid_argument");
            assert!(!query.iter().any(u8::is_ascii_alphanumeric), "{query:?}");
        } else {
            assert!(answer.ok().json()["hits"].is_array());
        }
    }
    let found = sandbox.json(&["search", "kubernetes OR \""]);
    assert!(found["hits"].is_array());
}
