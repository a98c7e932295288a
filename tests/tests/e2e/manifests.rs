//! Manifests that are broken, emptied, doubled or gone: the last good rows stay, and the fault is named.

use std::path::PathBuf;

use serde_json::{Value, json};
use skillmeat_tests::home::{codes, rename, replace, skill, text, write};
use skillmeat_tests::{Sandbox, until};

/// A home with the collections `default` and `work`, one managed skill each.
fn two_collections() -> Sandbox {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    for (collection, name) in [("default", "one"), ("work", "two")] {
        let source = skill(&sandbox.path("src"), name, "Good");
        drop(
            sandbox
                .run(&["add", source.to_str().unwrap(), "-c", collection])
                .ok(),
        );
    }
    sandbox
}

#[test]
fn a_server_and_files_of_one_name_are_told_apart() {
    let sandbox = Sandbox::initialised();
    write(
        sandbox.collection("default", "mcp/fs/mcp.json"),
        r#"{"mcpServers":{"fs":{"command":"run"}}}"#,
    );
    let text_of = std::fs::read_to_string(manifest(&sandbox)).unwrap();
    let server = "\n[[mcp_servers]]\nname = \"fs\"\nrepo = \"some/where\"\n";
    write(manifest(&sandbox), text_of + server);
    drop(sandbox.run(&["cache", "refresh"]).ok());
    for status in ["unmanaged", "managed"] {
        let shown = sandbox.show("mcp:fs");
        assert_eq!(
            (&shown["status"], &shown["path"]),
            (&json!(status), &json!("mcp/fs"))
        );
        let twin = shown["problems"].as_array().unwrap().iter();
        let twin: Vec<_> = twin.filter(|one| one["code"] == "artifact.twin").collect();
        assert!(
            text(&twin[0]["message"]).contains("`some/where`"),
            "{shown}"
        );
        if status == "unmanaged" {
            for command in [&["collection", "validate"][..], &["doctor"]] {
                let told = sandbox.run(command).stdout;
                let says = "which declares a server `mcp:fs`";
                assert!(told.contains("mcp/fs") && told.contains(says), "{told}");
            }
            let folder = sandbox.collection("default", "mcp/fs");
            drop(sandbox.run(&["add", folder.to_str().unwrap()]).ok());
        }
    }
    drop(sandbox.run(&["remove", "--yes", "mcp:fs"]).ok());
    let left = sandbox.show("mcp:fs");
    assert_eq!(left["status"], "declared");
    assert_eq!(codes(&left["problems"]), Vec::<String>::new());
    assert!(!sandbox.collection("default", "mcp/fs").exists());
}

fn manifest(sandbox: &Sandbox) -> PathBuf {
    sandbox.collection("default", "collection.toml")
}

fn state(status: &Value, collection: &str) -> String {
    let all = status["collections"].as_array().unwrap();
    let one = all.iter().find(|one| one["name"] == collection);
    text(&one.unwrap_or_else(|| panic!("no {collection} in {status:#}"))["state"])
}

/// Whether a collection is in this state and the warnings say the same. The two come from two questions,
/// between which the daemon may learn something.
fn is(status: &Value, collection: &str, wanted: &str) -> bool {
    let is_warned = !status["warnings"].as_array().unwrap().is_empty();
    state(status, collection) == wanted && is_warned == (wanted != "ok")
}

#[test]
fn a_broken_manifest_is_named_with_its_line_and_its_rows_stay() {
    let sandbox = two_collections();
    let path = manifest(&sandbox);
    let good = std::fs::read_to_string(&path).unwrap();
    let broken = format!("{good}\nthis is = = not toml\n");
    let line = broken.lines().count();
    replace(&path, &broken);
    let status = sandbox.status_until("the broken manifest", |status| {
        is(status, "default", "broken")
    });
    let warnings = status["warnings"].to_string();
    assert!(warnings.contains("collection-broken"), "{warnings}");
    assert!(
        warnings.contains(&format!("collection.toml:{line}")),
        "{line} is not in {warnings}"
    );
    let seen = sandbox.run(&["status"]).ok().stdout;
    assert!(seen.contains(&format!("collection.toml:{line}")), "{seen}");
    let problems = &sandbox.json(&["collection", "show", "default"])["problems"];
    assert_eq!(codes(problems), ["manifest.invalid"]);
    assert_eq!(problems[0]["line"], line);
    // Its rows stay, edits of files are still seen, and the other collection is not affected.
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
    assert_eq!(sandbox.show("one")["status"], "managed");
    skill(&sandbox.collection("default", "skills"), "one", "Edited");
    sandbox.shows("one", "the edit", |shown| shown["description"] == "Edited");
    assert_eq!(state(&status, "work"), "ok");
    skill(&sandbox.collection("work", "skills"), "three", "New");
    sandbox.shows("three", "a new skill in the other collection", |shown| {
        shown["status"] == "unmanaged"
    });
    // A restart changes nothing of that.
    sandbox.stop();
    assert_eq!(state(&sandbox.ready(), "default"), "broken");
    assert_eq!(sandbox.show("one")["status"], "managed");
    // Mended, it is read at once.
    replace(&path, &good);
    let status = sandbox.status_until("the mended manifest", |status| is(status, "default", "ok"));
    assert_eq!(status["warnings"], serde_json::json!([]));
    assert_eq!(sandbox.ids(), ["skill:one", "skill:three", "skill:two"]);
}

#[test]
fn a_manifest_emptied_in_the_middle_of_a_save_loses_nothing() {
    let sandbox = two_collections();
    let path = manifest(&sandbox);
    let good = std::fs::read_to_string(&path).unwrap();
    let last = sandbox.json(&["daemon", "status"])["last_seq"].clone();
    write(&path, "");
    // Whatever the daemon sees at which moment, the entry's artifact never becomes unmanaged or lost.
    sandbox.status_until("the empty manifest", |status| {
        state(status, "default") != "ok"
    });
    assert_eq!(sandbox.show("one")["status"], "managed");
    write(&path, &good);
    sandbox.status_until("the manifest saved to its end", |status| {
        is(status, "default", "ok")
    });
    assert_eq!(sandbox.show("one")["status"], "managed");
    let mut watch = sandbox.stream(&["watch", "--json", "--since", &last.to_string()]);
    let events = watch.json_until(|event| event["kind"] == "collection.mended");
    assert!(
        events.iter().all(|event| event["artifact"].is_null()),
        "{events:#?}"
    );
}

#[test]
fn two_entries_for_one_artifact_are_told_and_the_first_counts() {
    let sandbox = two_collections();
    let path = manifest(&sandbox);
    let good = std::fs::read_to_string(&path).unwrap();
    let entry = good.split_once("[[artifacts]]").unwrap().1;
    let line = good.lines().count() + 2;
    replace(
        &path,
        format!(
            "{good}\n[[artifacts]]{}",
            entry.replace("\"local\"", "\"github\"")
        ),
    );
    let problems = until("the second entry to be told", || {
        let problems = sandbox.json(&["collection", "show"])["problems"].clone();
        (!codes(&problems).is_empty()).then_some(problems)
    });
    assert_eq!(codes(&problems), ["entry.duplicate"]);
    assert_eq!(problems[0]["line"], line, "{problems}");
    assert!(text(&problems[0]["message"]).contains("skill:one"));
    let seen = sandbox.run(&["collection", "show"]).ok().stdout;
    assert!(seen.contains(&format!("collection.toml:{line}")), "{seen}");
    let shown = sandbox.show("one");
    assert_eq!(shown["origin"], "local");
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
}

#[test]
fn one_bad_entry_spoils_no_other() {
    let sandbox = two_collections();
    let path = manifest(&sandbox);
    let good = std::fs::read_to_string(&path).unwrap();
    replace(
        &path,
        format!(
            "{good}\n[[artifacts]]\nname = [\"odd\"]\ntype = \"skill\"\npath = \"skills/x\"\n\n\
             [[artifacts]]\nname = \"outside\"\ntype = \"skill\"\npath = \"../../../etc\"\n\
             origin = \"local\"\nadded = \"2026-01-01T00:00:00\"\n"
        ),
    );
    let status = sandbox.status_until("the entry that leaves the collection", |status| {
        status["artifacts"].as_u64() >= Some(3)
    });
    assert_eq!(state(&status, "default"), "ok");
    assert_eq!(sandbox.show("one")["status"], "managed");
    let outside = sandbox.show("outside");
    assert_eq!(outside["files"], serde_json::json!([]), "{outside:#}");
    assert_eq!(outside["content_hash"], Value::Null);
    assert!(!codes(&outside["problems"]).is_empty());
    let problems = sandbox.json(&["collection", "show"])["problems"].clone();
    assert!(
        codes(&problems).contains(&"entry.broken".to_owned()),
        "{problems}"
    );
}

#[test]
fn a_broken_lock_is_told_and_hides_nothing() {
    let sandbox = two_collections();
    replace(sandbox.collection("default", "collection.lock"), "[lock\nx");
    sandbox.status_until("the broken lock", |status| {
        let collection = &status["collections"][0];
        !collection["problems"].as_array().unwrap().is_empty()
    });
    let shown = sandbox.show("one");
    assert_eq!(shown["status"], "managed");
    assert!(shown["content_hash"].is_string());
}

#[test]
fn a_collection_that_goes_away_is_unreachable_and_its_rows_stay() {
    let sandbox = two_collections();
    let place = sandbox.collection("work", "");
    let away = sandbox.path("away");
    rename(&place, &away);
    let status = sandbox.status_until("the collection to be unreachable", |status| {
        is(status, "work", "unreachable")
    });
    let warnings = status["warnings"].to_string();
    assert!(warnings.contains("collection-unreachable"), "{warnings}");
    assert_eq!(sandbox.show("two")["collection"], "work");
    let source = skill(&sandbox.path("src"), "late", "Late");
    let error = sandbox.fails(&["add", source.to_str().unwrap(), "-c", "work"], 3);
    assert_eq!(error["code"], "collection.unreachable");
    let hint = text(&error["hints"][0]);
    assert!(hint.contains("sm collection list"), "{error}");
    // A restart does not take the rows for gone either.
    sandbox.stop();
    sandbox.ready();
    assert_eq!(sandbox.show("two")["collection"], "work");
    rename(&away, &place);
    sandbox.status_until("the collection to be back", |status| {
        is(status, "work", "ok")
    });
    skill(&sandbox.collection("work", "skills"), "two", "Edited");
    sandbox.shows("two", "that it is watched again", |shown| {
        shown["description"] == "Edited"
    });
}

#[test]
fn artifacts_that_are_deleted_one_by_one_are_missing_or_gone() {
    let sandbox = two_collections();
    skill(&sandbox.collection("default", "skills"), "stray", "By hand");
    sandbox.shows("stray", "the stray skill", |_| true);
    std::fs::remove_dir_all(sandbox.collection("default", "skills/stray")).unwrap();
    std::fs::remove_dir_all(sandbox.collection("default", "skills/one")).unwrap();
    sandbox.shows("one", "the managed skill to be missing", |shown| {
        shown["status"] == "missing"
    });
    until("the stray skill to be gone", || {
        (sandbox.run(&["show", "stray"]).code == Some(3)).then_some(())
    });
    let status = sandbox.json(&["status"]);
    assert!(status["by_status"].to_string().contains("missing"));
}

#[test]
fn a_new_collection_folder_is_found_by_itself() {
    let sandbox = two_collections();
    let place = sandbox.path("made");
    write(
        place.join("collection.toml"),
        "artifacts = []\n[collection]\nname = \"fresh\"\nversion = \"1.0.0\"\n\
         created = \"2026-01-01T00:00:00\"\nupdated = \"2026-01-01T00:00:00\"\n",
    );
    skill(&place.join("skills"), "inside", "New");
    rename(&place, sandbox.collection("fresh", ""));
    sandbox.shows("inside", "the new collection", |shown| {
        shown["collection"] == "fresh"
    });
    skill(&sandbox.collection("fresh", "skills"), "inside", "Edited");
    sandbox.shows("inside", "that it is watched", |shown| {
        shown["description"] == "Edited"
    });
}

#[test]
fn an_artifact_of_an_unknown_kind_has_a_name() {
    let sandbox = Sandbox::initialised();
    write(
        sandbox.collection("default", "collection.toml"),
        "[collection]\nname = \"default\"\n\n[[artifacts]]\nname = \"q\"\ntype = \"weird\"\npath = \"weird/q\"\n\
         origin = \"local\"\n",
    );
    sandbox.shows("weird:q", "an artifact of an unknown kind", |shown| {
        shown["id"] == "weird:q"
    });
    drop(sandbox.run(&["cache", "invalidate", "weird:q"]).ok());
    let error = sandbox.fails(&["show", "weird:x"], 3);
    assert!(
        error["message"].as_str().unwrap().contains("weird:x"),
        "{error}"
    );
}

#[test]
fn a_lock_file_that_cant_be_read_stops_a_renaming_before_anything_changes() {
    let sandbox = Sandbox::initialised();
    for name in ["one", "two"] {
        let source = skill(&sandbox.path("src"), name, "One");
        drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    }
    let [manifest, lock] =
        ["collection.toml", "collection.lock"].map(|name| sandbox.collection("default", name));
    let good = std::fs::read_to_string(&lock).unwrap();
    replace(&lock, format!("{good}\nx = ["));
    let before = std::fs::read(&manifest).unwrap();
    sandbox.fails(&["rename", "one", "other"], 4);
    assert_eq!(before, std::fs::read(&manifest).unwrap());
    assert!(sandbox.collection("default", "skills/one").is_dir());
    replace(&lock, &good);
    sandbox.json(&["rename", "one", "other"]);
    assert_eq!(sandbox.show("other")["status"], "managed");
}
