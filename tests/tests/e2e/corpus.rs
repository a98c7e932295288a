//! A real repository of plugins is added and found.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use skillmeat_shared::Kind;
use skillmeat_shared::artifact::frontmatter;
use skillmeat_shared::artifact::frontmatter::edit::{Change, edit};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{fixture, text};

/// The items of `sm add` with this result, by id.
fn with<'a>(added: &'a Value, result: &str) -> BTreeMap<&'a str, &'a Value> {
    added["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["result"] == result)
        .map(|item| (item["id"].as_str().unwrap(), item))
        .collect()
}

fn corner() -> String {
    fixture("corpus").to_str().unwrap().to_owned()
}

#[test]
fn a_tree_of_plugins_is_added_and_says_what_it_skipped_and_why() {
    let sandbox = Sandbox::initialised();
    let added = sandbox.json(&["add", "--all", &corner()]);
    let new = with(&added, "added");
    for id in [
        "skill:avoid-ai-writing",
        "skill:block-no-verify-hook",
        "skill:protect-mcp-setup",
        "agent:policy-enforcer",
        "agent:ruby-pro",
        "command:verify-receipt",
        "command:block-no-verify",
        "hook:protect-mcp",
    ] {
        assert!(new.contains_key(id), "{id} is not in {:?}", new.keys());
    }
    assert_eq!(added["added"], new.len());
    assert_eq!(added["failed"], 0);
    let skipped = with(&added, "skipped");
    assert_eq!(added["skipped"], skipped.len());
    // One command stands in two plugins, byte for byte.
    let same = text(&skipped["command:context-restore"]["reason"]);
    assert!(same.contains("the same artifact as"), "{same}");
    assert!(
        same.contains("code-refactoring/commands/context-restore.md"),
        "{same}"
    );
    // What `sm add` says is what `sm list` shows.
    let mut ids: Vec<String> = new.keys().map(|id| (*id).to_owned()).collect();
    ids.sort();
    assert_eq!(sandbox.ids(), ids);
    assert!(sandbox.list().iter().all(|one| one["status"] == "managed"));
    let skill = sandbox.show("skill:avoid-ai-writing");
    assert_eq!(skill["file_count"], 4);
    assert_eq!(skill["modified"], false);
    // A hook's scripts are found by their text, a plugin's README is no artifact.
    let status = sandbox.ready();
    assert_eq!(status["warnings"], serde_json::json!([]));

    // Again: nothing is done twice.
    let again = sandbox.json(&["add", "--all", &corner()]);
    assert_eq!(again["added"], 0);
    assert_eq!(again["conflicts"], 0);
    // The command that two plugins share is there for both of them.
    assert_eq!(again["unchanged"], new.len() + 1);
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let sandbox = Sandbox::initialised();
    let manifest = sandbox.collection("default", "collection.toml");
    let before = std::fs::read(&manifest).unwrap();
    let dry = sandbox.json(&["add", "--all", "--dry-run", &corner()]);
    assert_eq!(dry["dry_run"], true);
    assert_eq!(std::fs::read(&manifest).unwrap(), before);
    assert_eq!(sandbox.ids(), Vec::<String>::new());
    let real = sandbox.json(&["add", "--all", &corner()]);
    assert_eq!(real["dry_run"], false);
    for count in ["added", "skipped", "unchanged", "conflicts", "failed"] {
        assert_eq!(dry[count], real[count], "{count}");
    }
    let would: Vec<&str> = with(&dry, "would-add").into_keys().collect();
    let did: Vec<&str> = with(&real, "added").into_keys().collect();
    assert_eq!(would, did);
}

#[test]
fn one_kind_of_a_tree_can_be_added_alone() {
    let sandbox = Sandbox::initialised();
    let added = sandbox.json(&["add", "--all", &corner(), "--type", "hook"]);
    assert_eq!(added["added"], 1);
    assert_eq!(sandbox.ids(), ["hook:protect-mcp"]);
    let hook = sandbox.show("hook:protect-mcp");
    assert!(Path::new(hook["absolute_path"].as_str().unwrap()).is_dir());
}

#[test]
fn what_was_added_is_found() {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["add", "--all", &corner()]).ok());
    sandbox.cache_until("the text index", |cache| cache["unindexed_artifacts"] == 0);
    let first = |query: &str| {
        let found = sandbox.json(&["search", query]);
        text(&found["hits"][0]["artifact"]["id"])
    };
    assert_eq!(first("ruby-pro"), "agent:ruby-pro");
    assert_eq!(first("avoid-ai-writ"), "skill:avoid-ai-writing");
    // A phrase of a file that is neither name nor description.
    let phrase = sandbox.json(&["search", "\"word tiers\"", "--in", "content"]);
    assert_eq!(
        phrase["hits"][0]["artifact"]["id"],
        "skill:avoid-ai-writing"
    );
    let snippet = &phrase["hits"][0]["snippet"];
    let path = sandbox.collection("default", snippet["path"].as_str().unwrap());
    let line = usize::try_from(snippet["line"].as_u64().unwrap()).unwrap();
    let file = std::fs::read_to_string(&path).unwrap();
    let there = file.lines().nth(line - 1).unwrap().to_lowercase();
    assert!(there.contains("word") && there.contains("tier"), "{there}");
}

/// Runs on a whole corpus if `SKILLMEAT_CORPUS` names one.
#[test]
fn a_whole_corpus_is_added_and_found() {
    let Some(corpus) = std::env::var_os("SKILLMEAT_CORPUS") else {
        return;
    };
    let corpus = corpus.into_string().unwrap();
    let sandbox = Sandbox::initialised();
    let added = sandbox.json(&["add", "--all", &corpus]);
    assert_eq!(added["failed"], 0);
    assert_eq!(added["conflicts"], 0);
    let count = added["added"].as_u64().unwrap();
    assert!(count > 300, "{count}");
    assert_eq!(u64::try_from(sandbox.list().len()).unwrap(), count);
    let found = sandbox.json(&["search", "kubernetes", "--limit", "5"]);
    assert!(
        text(&found["hits"][0]["artifact"]["name"]).contains("kubernetes"),
        "{found:#}"
    );
    let again = sandbox.json(&["add", "--all", &corpus]);
    assert_eq!(again["added"], 0);
    assert!(
        again["unchanged"].as_u64().unwrap() >= count,
        "{}",
        again["unchanged"]
    );
    for one in sandbox.list() {
        assert_eq!(one["status"], "managed");
    }
}

/// Markdown files under a folder.
fn markdown(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            markdown(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn the_fields_of_every_file_can_be_changed_and_changed_back() {
    let mut files = Vec::new();
    markdown(&fixture("corpus"), &mut files);
    assert!(files.len() > 20);
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let run = |bytes: &[u8], change: Change| {
            edit(bytes, &path, &Kind::Skill, &[change]).unwrap_or_else(|e| panic!("{e:?}"))
        };
        let tag = vec!["a tag: of ours".to_owned()];
        let tagged = run(&bytes, Change::AddTags(tag.clone()));
        let was = frontmatter::parse(&bytes);
        let is = frontmatter::parse(&tagged);
        assert!(is.fields.len() <= was.fields.len() + 1 && is.body.ends_with(&was.body));
        let untagged = run(&tagged, Change::RemoveTags(tag));
        let plain = run(&untagged, Change::Unset("tags"));
        if was.has_frontmatter && !was.fields.contains_key("tags") {
            assert_eq!(plain, bytes, "{}", path.display());
        }
        let new = "What it does: \"all\" # of it";
        let told = run(&bytes, Change::Set("description", new.to_owned()));
        let back = match was.fields.get("description").and_then(Value::as_str) {
            Some(old) => run(&told, Change::Set("description", old.to_owned())),
            None => run(&told, Change::Unset("description")),
        };
        assert_eq!(frontmatter::parse(&told).fields["description"], new);
        assert_eq!(
            frontmatter::parse(&back).fields,
            was.fields,
            "{}",
            path.display()
        );
    }
}
