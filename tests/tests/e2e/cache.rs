//! `sm cache`: status, refresh, invalidate, clear, staleness, the size limit, and a database that is lost.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use skillmeat_tests::home::{copy, fixture, skill, text, write};
use skillmeat_tests::{Sandbox, until};

/// The home with groups and tags, and two more skills.
fn library() -> Sandbox {
    let sandbox = Sandbox::new();
    copy(
        &fixture("homes/documented"),
        &sandbox.collection("default", ""),
    );
    for name in ["one", "two"] {
        skill(&sandbox.collection("default", "skills"), name, "Plain");
    }
    sandbox.ready();
    sandbox
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn status_tells_what_the_cache_holds() {
    let sandbox = library();
    let status = sandbox.json(&["cache", "status"]);
    assert_eq!(status["total_artifacts"], 6);
    assert_eq!(status["total_collections"], 1);
    assert!(number(&status["size_bytes"]) > 0);
    assert_eq!(status["max_size_bytes"], 500 << 20);
    assert_eq!(status["metadata_ttl_seconds"], 1800);
    assert_eq!(status["ttl_seconds"], 21_600);
    assert_eq!(status["stale_artifacts"], 0);
    assert!(status["last_refresh"].is_string());
    assert_eq!(status["ingest_failures"], 0);
    assert!(number(&status["ingest_successes"]) >= 4);
    let before = number(&status["reads"]);
    for _ in 0..3 {
        drop(sandbox.run(&["list"]).ok());
    }
    let status = sandbox.json(&["cache", "status"]);
    assert_eq!(number(&status["reads"]), before + 3);
    assert!(status["hit_rate"].as_f64().unwrap() > 0.5);
    let report = &status["last_reconcile"];
    for key in [
        "reason",
        "duration_us",
        "verified",
        "read",
        "added",
        "changed",
        "removed",
        "failed",
    ] {
        assert!(!report[key].is_null(), "{key}: {report}");
    }
    let seen = sandbox.run(&["cache", "status"]).ok().stdout;
    for word in [
        "artifacts",
        "stale",
        "hit rate",
        "last refresh",
        "metadata ttl",
    ] {
        assert!(seen.contains(word), "{word}: {seen}");
    }
}

#[test]
fn a_pass_without_changes_reads_and_writes_nothing() {
    let sandbox = library();
    drop(sandbox.run(&["cache", "refresh"]).ok());
    // Files as young as the clock's resolution are read again; wait until they are old enough.
    until("a pass that reads nothing", || {
        let report = sandbox.json(&["cache", "refresh"]);
        (report["read"] == 0).then_some(())
    });
    let before = sandbox.json(&["cache", "status"])["rows_written"].clone();
    let report = sandbox.json(&["cache", "refresh"]);
    for count in ["read", "added", "changed", "removed", "failed"] {
        assert_eq!(report[count], 0, "{count}");
    }
    assert!(number(&report["verified"]) >= 4, "{report}");
    let forced = sandbox.json(&["cache", "refresh", "--force", "-c", "default"]);
    assert!(number(&forced["read"]) >= 4, "{forced}");
    assert_eq!(forced["changed"], 0);
    assert_eq!(sandbox.json(&["cache", "status"])["rows_written"], before);
    let error = sandbox.fails(&["cache", "refresh", "-c", "nowhere"], 3);
    assert_eq!(error["code"], "collection.not_found");
}

#[test]
fn a_restart_keeps_the_rows_and_writes_none() {
    let sandbox = library();
    until("a pass that reads nothing", || {
        let report = sandbox.json(&["cache", "refresh"]);
        (report["read"] == 0).then_some(())
    });
    sandbox.cache_until("the text index", |cache| cache["unindexed_artifacts"] == 0);
    let before = sandbox.list();
    sandbox.stop();
    let after = sandbox.list();
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before["id"], after["id"]);
        assert_eq!(before["synced_at"], after["synced_at"]);
    }
    let cache = sandbox.cache_until("the pass after the start", |cache| {
        // The look after the watches are set comes last.
        cache["last_reconcile"]["reason"] == "safety"
    });
    assert_eq!(cache["last_reconcile"]["read"], 0, "{cache:#}");
    assert_eq!(cache["rows_written"], 0, "{cache:#}");
    assert_eq!(cache["stale_artifacts"], 0);
}

#[test]
fn what_changed_while_nobody_watched_is_found_at_the_start() {
    let sandbox = library();
    sandbox.stop();
    skill(
        &sandbox.collection("default", "skills"),
        "one",
        "Edited meanwhile",
    );
    skill(
        &sandbox.collection("default", "skills"),
        "three",
        "New meanwhile",
    );
    std::fs::remove_dir_all(sandbox.collection("default", "skills/two")).unwrap();
    sandbox.shows("one", "the edit", |shown| {
        shown["description"] == "Edited meanwhile"
    });
    sandbox.shows("three", "the new one", |_| true);
    until("the one that is gone", || {
        (sandbox.run(&["show", "two"]).code == Some(3)).then_some(())
    });
}

#[test]
fn invalidation_marks_what_was_named_and_no_more() {
    let mut sandbox = Sandbox::new();
    // Long enough that nothing becomes stale by itself.
    sandbox.set("SKILLMEAT_CACHE_METADATA_TTL", "1h");
    drop(sandbox.run(&["init"]).ok());
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    for name in ["one", "two"] {
        skill(&sandbox.collection("default", "skills"), name, "Plain");
        skill(&sandbox.collection("work", "skills"), name, "Plain");
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let done = sandbox.json(&["cache", "invalidate", "one"]);
    assert_eq!(done, json!({"invalidated": 1, "collections": ["default"]}));
    let done = sandbox.json(&["cache", "invalidate", "skill:one", "two", "-c", "work"]);
    assert_eq!(done, json!({"invalidated": 2, "collections": ["work"]}));
    let done = sandbox.json(&["cache", "invalidate", "-c", "work"]);
    assert_eq!(done, json!({"invalidated": 2, "collections": ["work"]}));
    let done = sandbox.json(&["cache", "invalidate"]);
    assert_eq!(done["invalidated"], 4);
    sandbox.cache_until("the stale rows to be read again", |cache| {
        cache["stale_artifacts"] == 0
    });
    // An unknown name is an error, and the known one beside it stays as it was.
    let seq = sandbox.json(&["cache", "status"])["rows_written"].clone();
    let error = sandbox.fails(&["cache", "invalidate", "one", "nobody"], 3);
    assert_eq!(error["code"], "artifact.not_found");
    assert!(text(&error["message"]).contains("nobody"));
    let error = sandbox.fails(&["cache", "invalidate", "-c", "nowhere"], 3);
    assert_eq!(error["code"], "collection.not_found");
    let cache = sandbox.json(&["cache", "status"]);
    assert_eq!(cache["stale_artifacts"], 0);
    assert_eq!(cache["rows_written"], seq);
}

#[test]
fn clear_drops_and_rebuilds_groups_and_tags_and_all() {
    let sandbox = library();
    let before = sandbox.json(&["collection", "show"]);
    let list = sandbox.ids();
    // What is told is what filled the new cache, and not a pass after that.
    for _ in 0..5 {
        let report = sandbox.json(&["cache", "clear"]);
        assert_eq!(report["reason"], "rebuild", "{report}");
        assert_eq!(report["added"], list.len(), "{report}");
    }
    assert_eq!(sandbox.ids(), list);
    let after = sandbox.json(&["collection", "show"]);
    for key in [
        "groups",
        "tag_definitions",
        "tags",
        "by_type",
        "by_status",
        "unknown_keys",
    ] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert!(!after["groups"].as_array().unwrap().is_empty());
}

#[test]
fn the_database_may_be_deleted_while_the_daemon_runs() {
    let sandbox = library();
    let before = sandbox.json(&["collection", "show"]);
    let ids = sandbox.ids();
    let pid = sandbox.pid();
    let database = PathBuf::from(text(&sandbox.json(&["cache", "status"])["path"]));
    let folder = database.parent().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    skill(&sandbox.collection("default", "skills"), "one", "Edited");
    sandbox.shows("one", "the edit", |shown| shown["description"] == "Edited");
    until("the database on disk", || database.exists().then_some(()));
    until("all rows", || {
        let list = sandbox.run(&["list", "--json"]);
        (list.code == Some(0) && list.json()["total"] == 6).then_some(())
    });
    assert_eq!(sandbox.ids(), ids);
    let after = sandbox.json(&["collection", "show"]);
    for key in ["groups", "tag_definitions", "tags"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!(sandbox.pid(), pid);
    // What is on disk now is what the next start finds.
    sandbox.stop();
    assert_eq!(sandbox.ready()["artifacts"], 6);
}

#[test]
fn a_database_that_is_rubbish_is_made_anew() {
    let sandbox = library();
    let ids = sandbox.ids();
    let database = PathBuf::from(text(&sandbox.json(&["cache", "status"])["path"]));
    sandbox.stop();
    for (name, content) in [
        ("rubbish", vec![b'x'; 10_000]),
        ("empty", Vec::new()),
        ("torn", {
            let mut half = std::fs::read(&database).unwrap();
            half.truncate(half.len() / 2);
            half
        }),
    ] {
        write(&database, content);
        sandbox.ready();
        assert_eq!(sandbox.ids(), ids, "{name}");
        sandbox.stop();
    }
}

#[test]
fn stale_rows_are_verified_by_themselves() {
    let sandbox = library();
    drop(
        sandbox
            .run(&["config", "set", "cache.metadata_ttl", "2s"])
            .ok(),
    );
    let cache = sandbox.cache_until("the new setting", |cache| {
        cache["metadata_ttl_seconds"] == 2
    });
    let first = cache["last_refresh"].clone();
    // Again and again, without anybody asking for it.
    let second = sandbox.cache_until("a further pass", |cache| {
        cache["last_refresh"] != first && cache["stale_artifacts"] == 0
    });
    let later = sandbox.cache_until("one more pass", |cache| {
        cache["last_refresh"] != second["last_refresh"] && cache["stale_artifacts"] == 0
    });
    assert_eq!(later["rows_written"], second["rows_written"]);
    let status = sandbox.json(&["status"]);
    let schedules = status["schedules"].as_array().unwrap();
    assert!(
        schedules
            .iter()
            .any(|schedule| !schedule["last_run"].is_null()),
        "{schedules:#?}"
    );
}

#[test]
fn the_size_limit_evicts_texts_and_says_so() {
    let sandbox = Sandbox::initialised();
    let words: Vec<String> = (0..4000u32)
        .map(|n| format!("w{:07x}", n.wrapping_mul(2_654_435_761)))
        .collect();
    for n in 0..80usize {
        let body: Vec<&str> = (0..6000usize)
            .map(|i| words[(i * 31 + n * 977 + i * i) % words.len()].as_str())
            .collect();
        write(
            sandbox.collection("default", &format!("commands/c{n:02}.md")),
            format!("---\ndescription: Number {n}\n---\n{}\n", body.join(" ")),
        );
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    sandbox.cache_until("the text index", |cache| cache["unindexed_artifacts"] == 0);
    let big = number(&sandbox.json(&["cache", "status"])["size_bytes"]);
    assert!(big > 2 << 20, "{big}");
    drop(
        sandbox
            .run(&["config", "set", "cache.max_size_mb", "1"])
            .ok(),
    );
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let cache = sandbox.cache_until("the eviction", |cache| number(&cache["evicted_texts"]) > 0);
    assert_eq!(cache["total_artifacts"], 80);
    let status = sandbox.status_until("the warning", |status| {
        status["warnings"].to_string().contains("cache-evicted")
    });
    assert_eq!(status["artifacts"], 80);
    // Metadata is never evicted.
    let found = sandbox.json(&["search", "number", "--limit", "5"]);
    assert_eq!(found["hits"].as_array().unwrap().len(), 5);
    let seen = sandbox.run(&["cache", "status"]).ok().stdout;
    assert!(seen.contains("evicted"), "{seen}");
    // What was not searched is not said to match nothing, nor taken for mistyped.
    let found = sandbox.json(&["search", "\"w0000000 w0000000\"", "--in", "content"]);
    assert_eq!(found["complete"], false, "{found:#}");
    assert!(number(&found["evicted"]) > 0, "{found:#}");
    assert_eq!(found["corrections"], json!([]), "{found:#}");
    let found = sandbox.json(&["search", "number", "--in", "metadata"]);
    assert_eq!(found["complete"], true);
    assert_eq!(found["evicted"], 0);
    let seen = sandbox
        .run(&["search", "nowhere-at-all", "--in", "content"])
        .ok();
    let place = |text: &str| seen.stderr.find(text);
    let (why, what) = (place("left the index"), place("nothing matches"));
    assert!(why.is_some() && why < what, "{}", seen.stderr);
}

#[test]
fn a_read_never_waits_for_a_pass() {
    let sandbox = Sandbox::initialised();
    for n in 0..600 {
        skill(
            &sandbox.collection("default", "skills"),
            &format!("s{n:03}"),
            "Many",
        );
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let rpc = sandbox.rpc();
    let mut cache =
        skillmeat_proto::v1::cache_service_client::CacheServiceClient::new(rpc.channel());
    let mut artifacts =
        skillmeat_proto::v1::artifact_service_client::ArtifactServiceClient::new(rpc.channel());
    let answered = rpc.wait(async {
        let mut pass = std::pin::pin!(cache.refresh(skillmeat_proto::v1::RefreshCacheRequest {
            force: true,
            ..Default::default()
        }));
        let mut answered = 0;
        loop {
            let list = artifacts.list(skillmeat_proto::v1::ListArtifactsRequest::default());
            tokio::select! {
                biased;
                done = &mut pass => {
                    done.unwrap();
                    return answered;
                }
                list = list => {
                    assert_eq!(list.unwrap().into_inner().total, 600);
                    answered += 1;
                }
            }
            tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>())
                .await
                .unwrap_err();
        }
    });
    assert!(answered > 0, "no read was answered during the pass");
}

#[test]
fn who_names_the_log_is_told_that_another_one_took_its_place() {
    let sandbox = Sandbox::initialised();
    skill(&sandbox.collection("default", "skills"), "one", "One");
    sandbox.shows("one", "the skill", |_| true);
    let greeting = sandbox.stream(&["watch", "--json", "--since", "0"]).json();
    let before = text(&greeting["instance"]);
    let watch = |instance: &str, seq: u64| {
        let since = format!("{instance}:{seq}");
        let mut stream = sandbox.stream(&["watch", "--json", "--since", &since]);
        stream.json()
    };
    assert_eq!(watch(&before, 1)["continuous"], true);
    sandbox.stop();
    std::fs::remove_dir_all(sandbox.home().cache_dir()).unwrap();
    let status = sandbox.ready();
    assert!(
        status["daemon"]["last_seq"]
            .as_u64()
            .is_none_or(|last| last > 0)
    );
    // The new log has an event of this number too, which is another one.
    let told = watch(&before, 1);
    assert_eq!(told["continuous"], false, "{told:#}");
    let now = text(&told["instance"]);
    assert_ne!(now, before);
    assert_eq!(watch(&now, 1)["continuous"], true);
}
