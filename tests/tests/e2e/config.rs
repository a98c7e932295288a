//! `sm config`, what overrides what, and a config that is wrong.

use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{copy, fixture, output, skill, text, write};

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
    write(
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
    write(sandbox.home().config(), "[cache]\nmax_size_mb = = 3\n");
    sandbox.status_until("the syntax error", fits);
    assert_eq!(
        sandbox.json(&["cache", "status"])["max_size_bytes"],
        500 << 20
    );
    // Mended, the warning goes.
    write(sandbox.home().config(), "[cache]\nmax_size_mb = 300\n");
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
