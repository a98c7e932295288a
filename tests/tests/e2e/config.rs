//! `sm config`, what overrides what, and a config that is wrong.

use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{copy, fixture, output, replace, skill, text, write};

fn find<'a>(list: &'a Value, key: &str) -> &'a Value {
    list["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["key"] == key)
        .unwrap_or_else(|| panic!("no {key} in {list:#}"))
}

#[test]
fn get_set_unset_know_where_a_value_comes_from() {
    let sandbox = Sandbox::initialised();
    let config = sandbox.home().config();
    let default = sandbox.json(&["config", "get", "cache.metadata_ttl"]);
    assert_eq!(default["origin"], "default");
    write(
        &config,
        "# my file\n[settings]\ndefault-collection = \"default\" # mine\n\n[other]\nkept = 1\n",
    );
    let set = sandbox.json(&["config", "set", "cache.metadata_ttl", "1h"]);
    assert_eq!(set["changed"], true);
    let value = sandbox.json(&["config", "get", "cache.metadata_ttl"]);
    assert_eq!(value["origin"], "file");
    assert_eq!(value["path"], config.to_str().unwrap());
    assert!(value["line"].as_u64().unwrap() > 0);
    let file = std::fs::read_to_string(&config).unwrap();
    for kept in ["# my file", "# mine", "[other]\nkept = 1"] {
        assert!(file.contains(kept), "{kept}: {file}");
    }
    sandbox.cache_until("the daemon to see it", |cache| {
        cache["metadata_ttl_seconds"] == 3600
    });
    let seen = sandbox.run(&["config", "get", "cache.metadata_ttl"]).ok();
    assert_eq!(seen.stdout.trim(), "1h");
    let unset = sandbox.json(&["config", "unset", "cache.metadata_ttl"]);
    assert_eq!(unset["changed"], true);
    let again = sandbox.json(&["config", "unset", "cache.metadata_ttl"]);
    assert_eq!(again["changed"], false);
    assert_eq!(
        sandbox.json(&["config", "path"])["path"],
        config.to_str().unwrap()
    );
    let list = sandbox.json(&["config", "list"]);
    assert_eq!(find(&list, "cache.ttl")["value"], "6h");
    let changed = sandbox.json(&["config", "list", "--changed"]);
    assert!(changed.to_string().contains("settings.default-collection"));
    assert!(!changed.to_string().contains("cache.ttl"));
}

#[test]
fn unknown_keys_get_a_suggestion_and_wrong_values_a_reason() {
    let sandbox = Sandbox::initialised();
    let before = std::fs::read(sandbox.home().config()).unwrap();
    let error = sandbox.fails(&["config", "set", "cache.metadata_tll", "1h"], 2);
    assert_eq!(error["code"], "config.unknown_key");
    assert!(
        error["hints"].to_string().contains("cache.metadata_ttl"),
        "{error}"
    );
    let error = sandbox.fails(&["config", "get", "cache.metadata_tll"], 2);
    assert_eq!(error["code"], "config.unknown_key");
    for (key, value) in [
        ("cache.metadata_ttl", "soon"),
        ("cache.metadata_ttl", "-5m"),
        ("cache.max_size_mb", "many"),
        ("cache.max_size_mb", "0"),
        ("daemon.autostart", "perhaps"),
        ("log.level", "shout"),
        ("settings.default-collection", "../evil"),
    ] {
        let error = sandbox.fails(&["config", "set", key, value], 2);
        assert!(text(&error["message"]).contains(key), "{error}");
    }
    assert_eq!(std::fs::read(sandbox.home().config()).unwrap(), before);
}

#[test]
fn a_default_collection_that_is_not_there_is_refused() {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    let before = std::fs::read(sandbox.home().config()).unwrap();
    for key in ["default-collection", "settings.default-collection"] {
        let error = sandbox.fails(&["config", "set", key, "wrok"], 3);
        assert_eq!(error["code"], "collection.not_found");
        assert!(error["hints"].to_string().contains("`work`"), "{error}");
    }
    assert_eq!(std::fs::read(sandbox.home().config()).unwrap(), before);
    drop(
        sandbox
            .run(&["config", "set", "default-collection", "work"])
            .ok(),
    );
    assert_eq!(sandbox.json(&["status"])["default_collection"], "work");
}

#[test]
fn weights_are_set_as_the_ancestor_spells_them() {
    let sandbox = Sandbox::initialised();
    let set = [
        "config",
        "set",
        "score-weights",
        "trust=0.5,quality=0.3,match=0.2",
    ];
    drop(sandbox.run(&set).ok());
    let weights = sandbox.json(&["config", "get", "score-weights"]);
    assert_eq!(weights["key"], "scoring.weights");
    assert_eq!(
        weights["value"],
        json!({"trust": 0.5, "quality": 0.3, "match": 0.2})
    );
    let file = std::fs::read_to_string(sandbox.home().config()).unwrap();
    assert!(file.contains("[scoring.weights]\ntrust = 0.5\n"), "{file}");
    assert_eq!(sandbox.json(&["config", "list"])["problems"], json!([]));
    drop(sandbox.fails(&["config", "set", "cache.ttl", "6"], 2));
    drop(sandbox.fails(&["config", "set", "platform.x", "y"], 2));
    assert_eq!(
        std::fs::read_to_string(sandbox.home().config()).unwrap(),
        file
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let mut sandbox = Sandbox::initialised();
    drop(sandbox.run(&["config", "set", "cache.ttl", "3h"]).ok());
    drop(sandbox.run(&["config", "set", "log.level", "warning"]).ok());
    sandbox.stop();
    sandbox.set("SKILLMEAT_CACHE_TTL_HOURS", "12");
    sandbox.set("SKILLMEAT_LOG_LEVEL", "DEBUG");
    let value = sandbox.json(&["config", "get", "cache.ttl"]);
    assert_eq!(value["origin"], "environment");
    assert_eq!(value["variable"], "SKILLMEAT_CACHE_TTL_HOURS");
    assert_eq!(value["value"], "12h");
    assert_eq!(sandbox.json(&["cache", "status"])["ttl_seconds"], 12 * 3600);
    assert_eq!(
        sandbox.json(&["config", "get", "log.level"])["value"],
        "debug"
    );
}

#[test]
fn the_ancestors_spellings_are_read() {
    let sandbox = Sandbox::from_fixture("git");
    let token = sandbox.json(&["config", "get", "github-token"]);
    assert_eq!(token["key"], "settings.github-token");
    write(
        sandbox.home().config(),
        "default-collection = \"work\"\n[api]\ncache_ttl_hours = 2\nlog_level = \"WARNING\"\n",
    );
    assert_eq!(
        sandbox.json(&["config", "get", "settings.default-collection"])["value"],
        "work"
    );
    assert_eq!(sandbox.json(&["config", "get", "cache.ttl"])["value"], "2h");
    assert_eq!(sandbox.json(&["list"])["collections"], json!(["work"]));
}

#[test]
fn a_token_is_never_printed() {
    let mut sandbox = Sandbox::from_fixture("git");
    sandbox.set("GITHUB_TOKEN", "ghp_fromtheenvironment");
    sandbox.ready();
    for args in [
        &["config", "get", "github-token"][..],
        &["config", "get", "settings.github-token", "--json"],
        &["config", "list"],
        &["config", "list", "--json", "--verbose"],
        &["status", "--json", "--verbose"],
    ] {
        let answer = sandbox.run(args).ok();
        for secret in ["ghp_dummy", "ghp_fromtheenvironment"] {
            assert!(!answer.stdout.contains(secret), "{answer:?}");
            assert!(!answer.stderr.contains(secret), "{answer:?}");
        }
    }
    let log = std::fs::read_to_string(sandbox.home().log_file()).unwrap();
    assert!(!log.contains("ghp_"), "{log}");
    // From standard input it shows in no list of processes.
    let mut command = sandbox.sm(&["config", "set", "github-token", "-"]);
    let input = sandbox.path("token");
    write(&input, "ghp_fromafile\n");
    command.stdin(std::fs::File::open(&input).unwrap());
    let answer = output(command).ok();
    assert!(!answer.stdout.contains("ghp_fromafile"), "{answer:?}");
    let file = std::fs::read_to_string(sandbox.home().config()).unwrap();
    assert!(file.contains("ghp_fromafile"), "{file}");
}

#[test]
fn wrong_types_are_told_with_their_line_and_the_daemon_serves() {
    let sandbox = Sandbox::initialised();
    skill(&sandbox.collection("default", "skills"), "one", "One");
    sandbox.shows("one", "the skill", |_| true);
    replace(
        sandbox.home().config(),
        "[cache]\nmax_size_mb = \"lots\"\nmetadata_ttl = [1]\n\n[log]\nlevel = 7\n",
    );
    let fits = |status: &Value| {
        let warnings = status["warnings"].to_string();
        warnings.contains("config-invalid") && warnings.contains("config.toml:2")
    };
    let status = sandbox.status_until("the warnings", fits);
    let told = status["warnings"].to_string();
    for line in [2, 3, 6] {
        assert!(told.contains(&format!("config.toml:{line}")), "{told}");
    }
    assert_eq!(sandbox.show("one")["description"], "One");
    // Also at a start.
    sandbox.stop();
    let status = sandbox.ready();
    assert!(fits(&status), "{status:#}");
    let seen = sandbox.run(&["status"]).ok().stdout;
    assert!(seen.contains("config.toml:2"), "{seen}");
    let listed = sandbox.run(&["config", "list"]).ok();
    assert!(listed.stderr.contains("config.toml:3"), "{}", listed.stderr);
    // One syntax error, the same way.
    replace(sandbox.home().config(), "[cache]\nmax_size_mb = = 3\n");
    sandbox.status_until("the syntax error", |status| {
        fits(status) && status["warnings"].as_array().unwrap().len() == 1
    });
    assert_eq!(
        sandbox.json(&["cache", "status"])["max_size_bytes"],
        500 << 20
    );
    // Mended, the warning goes.
    replace(sandbox.home().config(), "[cache]\nmax_size_mb = 300\n");
    sandbox.status_until("the mended config", |status| {
        status["warnings"] == json!([])
    });
    assert_eq!(
        sandbox.json(&["cache", "status"])["max_size_bytes"],
        300 << 20
    );
}

#[test]
fn a_broken_file_is_not_edited_by_set() {
    let sandbox = Sandbox::initialised();
    let broken = "[cache\nx = = 1\n";
    write(sandbox.home().config(), broken);
    let error = sandbox.fails(&["config", "set", "cache.ttl", "1h"], 2);
    assert_eq!(error["code"], "config.invalid");
    assert_eq!(error["path"], sandbox.home().config().to_str().unwrap());
    assert!(error["line"].as_u64().is_some());
    assert_eq!(
        std::fs::read_to_string(sandbox.home().config()).unwrap(),
        broken
    );
}

#[test]
fn edit_keeps_only_what_is_sound() {
    let mut sandbox = Sandbox::initialised();
    let before = std::fs::read(sandbox.home().config()).unwrap();
    let editor = |script: &str| {
        let path = sandbox.path("editor.sh");
        write(&path, format!("#!/bin/sh\n{script}\n"));
        rustix::fs::chmod(&path, rustix::fs::Mode::from_raw_mode(0o700)).unwrap();
        path
    };
    let good = editor("printf '[cache]\\nmax_size_mb = 77\\n' > \"$1\"");
    sandbox.set("EDITOR", good.to_str().unwrap());
    drop(sandbox.run(&["config", "edit"]).ok());
    assert_eq!(
        sandbox.json(&["config", "get", "cache.max_size_mb"])["value"],
        77
    );
    write(sandbox.home().config(), &before);
    let path = sandbox.path("editor.sh");
    write(&path, "#!/bin/sh\nprintf '[cache\\n' > \"$1\"\n");
    let error = sandbox.run(&["config", "edit"]).exits(2);
    assert!(error.stderr.contains("not kept"), "{}", error.stderr);
    // The line at fault is one of the text that was made.
    let place = "toml:1";
    let told = error.stderr.lines().find(|line| line.contains(place));
    assert!(
        told.is_some_and(|line| line.contains(".config-edit-")),
        "{}",
        error.stderr
    );
    assert_eq!(std::fs::read(sandbox.home().config()).unwrap(), before);
}

#[test]
fn the_log_level_is_obeyed() {
    let mut sandbox = Sandbox::new();
    sandbox.set("SKILLMEAT_LOG_LEVEL", "ERROR");
    drop(sandbox.run(&["init"]).ok());
    sandbox.ready();
    let log = std::fs::read_to_string(sandbox.home().log_file()).unwrap_or_default();
    assert!(!log.contains(" INFO "), "{log}");
    let other = Sandbox::new();
    copy(&fixture("homes/git"), other.home().root());
    other.ready();
    let log = std::fs::read_to_string(other.home().log_file()).unwrap();
    assert!(log.contains(" INFO "), "{log}");
}

#[test]
fn changes_are_operations_and_can_be_undone() {
    let sandbox = Sandbox::initialised();
    let value = |key: &str| sandbox.json(&["config", "get", key])["value"].clone();
    let config = sandbox.home().config();
    let set = sandbox.json(&["config", "set", "cache.ttl", "3h"]);
    let set = text(&set["operation"]);
    let log = sandbox.json(&["log"]);
    assert_eq!(log["operations"][0]["id"].to_string(), set);
    assert_eq!(log["operations"][0]["what"], "set `cache.ttl` to `3h`");
    let shown = sandbox.run(&["log", "show", &set]).ok().stdout;
    assert!(shown.contains("+cache.ttl = \"3h\""), "{shown}");
    // What others changed since stays.
    let by_hand = std::fs::read_to_string(&config).unwrap() + "max_size_mb = 77 # mine\n";
    write(&config, &by_hand);
    sandbox.json(&["undo", &set]);
    assert_eq!(value("cache.ttl"), "6h");
    assert_eq!(value("cache.max_size_mb"), 77);
    assert!(std::fs::read_to_string(&config).unwrap().contains("# mine"));
    sandbox.json(&["redo"]);
    assert_eq!(value("cache.ttl"), "3h");
    sandbox.json(&["config", "unset", "cache.ttl"]);
    sandbox.json(&["config", "unset", "cache.max_size_mb"]);
    sandbox.json(&["undo"]);
    assert_eq!(value("cache.max_size_mb"), 77);
    sandbox.json(&["undo"]);
    assert_eq!(value("cache.ttl"), "3h");
    write(&config, by_hand.replace("3h", "4h"));
    let refused = sandbox.fails(&["undo", &set], 4);
    assert!(
        text(&refused["message"]).contains("`cache.ttl`"),
        "{refused}"
    );
    // The default collection.
    sandbox.json(&["collection", "create", "work"]);
    sandbox.json(&["collection", "use", "work"]);
    assert_eq!(sandbox.json(&["list"])["collections"], json!(["work"]));
    sandbox.json(&["undo"]);
    assert_eq!(sandbox.json(&["list"])["collections"], json!(["default"]));
    sandbox.json(&["collection", "rename", "default", "mine"]);
    assert_eq!(value("settings.default-collection"), "mine");
    sandbox.json(&["undo"]);
    assert_eq!(value("settings.default-collection"), "default");
    // Without a daemon nobody notes it, and it is done all the same.
    sandbox.stop();
    let alone = sandbox.json(&["config", "set", "cache.ttl", "5h"]);
    assert_eq!(
        (&alone["changed"], &alone["operation"]),
        (&json!(true), &json!(null))
    );
    assert_eq!(value("cache.ttl"), "5h");
}

/// The files below a folder that hold a text.
fn holding(folder: &std::path::Path, wanted: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(holding(&entry.path(), wanted));
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            let is_there = bytes
                .windows(wanted.len())
                .any(|part| part == wanted.as_bytes());
            found.extend(is_there.then(|| entry.path()));
        }
    }
    found
}

#[test]
fn a_secret_is_in_no_file_but_the_config() {
    let mut sandbox = Sandbox::initialised();
    let config = sandbox.home().config();
    let everybody = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::chmod(&config, everybody).unwrap();
    for (key, secret) in [
        ("github-token", "ghp_firstsecret"),
        ("settings.github-token", "ghp_othersecret"),
        ("instances.team.url", "https://ghp_inaurl@example.org"),
    ] {
        sandbox.json(&["config", "set", key, secret]);
    }
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&config).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    let unkeepable = sandbox.json(&["log"])["operations"][1].clone();
    assert_eq!(unkeepable["what"], "set `settings.github-token`");
    let number = &unkeepable["id"].to_string();
    let shown = sandbox.run(&["log", "show", number]).ok().stdout;
    assert!(
        shown.contains("settings.github-token = { changed = true }"),
        "{shown}"
    );
    let refused = sandbox.fails(&["undo", number], 4);
    assert!(
        text(&refused["message"]).contains("may be a secret"),
        "{refused}"
    );
    // The whole file takes part in these.
    sandbox.json(&["collection", "create", "work"]);
    sandbox.json(&["collection", "use", "work"]);
    sandbox.json(&["collection", "rename", "work", "job"]);
    let editor = sandbox.path("editor.sh");
    write(
        &editor,
        "#!/bin/sh\nsed -i s/othersecret/thirdsecret/ \"$1\"\n",
    );
    rustix::fs::chmod(&editor, rustix::fs::Mode::from_raw_mode(0o700)).unwrap();
    sandbox.set("EDITOR", editor.to_str().unwrap());
    drop(sandbox.run(&["config", "edit"]).ok());
    assert_eq!(
        sandbox.json(&["config", "get", "settings.default-collection"])["value"],
        "job"
    );
    sandbox.fails(&["undo"], 4);
    sandbox.json(&["config", "unset", "github-token"]);
    sandbox.json(&["snapshot", "-c", "job"]);
    for running in [true, false] {
        if !running {
            sandbox.stop();
        }
        assert_eq!(
            holding(sandbox.home().root(), "ghp_inaurl"),
            std::slice::from_ref(&config)
        );
        for secret in ["ghp_first", "ghp_other", "ghp_third"] {
            assert_eq!(
                holding(sandbox.home().root(), secret),
                [""; 0].map(std::path::PathBuf::from)
            );
        }
    }
}

#[test]
fn a_change_that_is_cut_short_stands_or_does_not() {
    let mut sandbox = Sandbox::initialised();
    sandbox.json(&["collection", "create", "work"]);
    sandbox.json(&["config", "set", "github-token", "ghp_secret"]);
    sandbox.stop();
    let file = sandbox.path("failpoints");
    sandbox.set(
        skillmeat_shared::failpoint::VARIABLE,
        &format!("@{}", file.display()),
    );
    for (point, stands) in [
        ("change.ready", false),
        ("change.recorded", false),
        ("change.placing", false),
        ("change.placed", true),
        ("change.before_rows", true),
    ] {
        write(&file, "");
        sandbox.json(&["collection", "use", "default"]);
        write(&file, format!("{point}=kill"));
        sandbox.fails(&["collection", "use", "work"], 7);
        write(&file, "");
        let default = sandbox.json(&["list"])["collections"][0].clone();
        assert_eq!(default, if stands { "work" } else { "default" }, "{point}");
        let last = sandbox.json(&["log"])["operations"][0].clone();
        let state = match point {
            "change.ready" => None,
            _ if stands => Some("done"),
            _ => Some("rolled-back"),
        };
        if let Some(state) = state {
            assert_eq!(last["state"], state, "{point}: {last}");
        }
        for file in holding(sandbox.home().root(), "ghp_secret") {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let is_beside =
                name.starts_with(".skillmeat-tmp-") && file.parent() == Some(sandbox.home().root());
            assert!(
                name == "config.toml" || is_beside,
                "{point}: {}",
                file.display()
            );
        }
    }
}
