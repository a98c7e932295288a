//! The program itself, without a daemon: versions, usage errors, completions, manual pages, config.
//! (Owning a test here also makes plain `cargo test` build the binary that the end-to-end tests run.)

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may stop at the first surprise, and its files need not survive a crash"
)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A machine with nothing on it: no home, no daemon, no variables.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sm"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.path())
            // No test of this file may start a daemon, even where one is installed.
            .env("SM_NO_AUTOSTART", "1")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The standard output of a command that must succeed.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The standard error of a command that must end with this code.
    fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        stderr
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_version_is_told_in_every_way() {
    let machine = Machine::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(machine.ok(&["--version"]), format!("sm {version}\n"));
    assert_eq!(
        machine.ok(&["version"]),
        format!("sm {version} (protocol 1.0)\n")
    );
    let told = json(&machine.ok(&["version", "--json"]));
    assert_eq!(told["version"], version);
    assert_eq!(told["protocol"], "1.0");
    assert_eq!(told["daemon"], Value::Null);
    assert!(
        !machine.path().join(".skillmeat").exists(),
        "a look must not make a home"
    );
}

#[test]
fn wrong_arguments_exit_2() {
    let machine = Machine::new();
    assert!(machine.fails(&["lst"], 2).contains("list"));
    machine.fails(&[], 2);
    machine.fails(&["list", "--limit", "many"], 2);
    machine.fails(&["add", ".", "--type", "rubbish"], 2);
    let error = json(&machine.fails(&["list", "--json", "--colour"], 2));
    assert_eq!(error["error"]["code"], "usage.invalid_argument");
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("--colour")
    );
    let error = json(&machine.fails(&["config", "get", "cache.metadata_tl", "--json"], 2));
    assert_eq!(error["error"]["code"], "config.unknown_key");
    assert!(
        error["error"]["hints"][0]
            .as_str()
            .unwrap()
            .contains("cache.metadata_ttl")
    );
}

#[test]
fn help_goes_to_standard_output() {
    let machine = Machine::new();
    for args in [
        &["--help"][..],
        &["list", "-h"],
        &["daemon", "--help"],
        &["help", "add"],
    ] {
        assert!(machine.ok(args).contains("Usage: sm"), "{args:?}");
    }
}

#[test]
fn without_a_daemon_and_leave_to_start_one_exit_7() {
    let machine = Machine::new();
    for args in [
        &["list"][..],
        &["status"],
        &["add", "x"],
        &["cache", "clear"],
        &["watch"],
    ] {
        let text = machine.fails(args, 7);
        assert!(text.contains("no daemon is running"), "{args:?}: {text}");
        assert!(
            text.contains("hint: start it with `sm daemon start`"),
            "{args:?}: {text}"
        );
    }
    let error = json(&machine.fails(&["list", "--json"], 7));
    assert_eq!(error["error"]["code"], "daemon.unavailable");
    machine.fails(&["daemon", "status"], 7);
    let output = machine.run(&["daemon", "status", "--json"]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        json(&String::from_utf8(output.stdout).unwrap())["running"],
        false
    );
    assert_eq!(
        json(&machine.ok(&["daemon", "stop", "--json"]))["running"],
        false
    );
    assert!(
        !machine.path().join(".skillmeat").exists(),
        "a look must not make a home"
    );
}

#[test]
fn config_can_forbid_to_start_a_daemon() {
    let machine = Machine::new();
    machine.ok(&["config", "set", "daemon.autostart", "false"]);
    let output = machine
        .command(&["list"])
        .env_remove("SM_NO_AUTOSTART")
        .env("SKILLMEATD", "/nonexistent/skillmeatd")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("none may be started"));
}

/// A program that stands where the daemon should be.
fn impostor(machine: &Machine, script: &str) -> Output {
    use std::os::unix::fs::PermissionsExt as _;
    let program = machine.path().join("impostor");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    machine
        .command(&["list"])
        .env_remove("SM_NO_AUTOSTART")
        .env("SKILLMEATD", &program)
        .output()
        .unwrap()
}

#[test]
fn a_daemon_that_gives_up_is_quoted() {
    let machine = Machine::new();
    let report = r#"{"ok":false,"error":{"code":"cache.newer_schema","message":"the cache is of a newer version","hints":["install it again"]}}"#;
    let output = impostor(&machine, &format!("echo '{report}'; exit 78"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    assert_eq!(
        stderr,
        "error: the cache is of a newer version\nhint: install it again\n"
    );
}

#[test]
fn a_daemon_that_dies_without_a_word_is_told() {
    let machine = Machine::new();
    for script in ["exit 3", "echo rubbish"] {
        let output = impostor(&machine, script);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(7), "{stderr}");
        assert!(
            stderr.contains("sm daemon logs") && stderr.contains("last-start.json"),
            "{stderr}"
        );
    }
}

#[test]
fn every_shell_gets_its_script() {
    let machine = Machine::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = machine.ok(&["completions", shell]);
        assert!(
            script.contains("SM_COMPLETE") && script.contains("sm"),
            "{shell}: {script}"
        );
    }
}

#[test]
fn the_script_is_answered_without_a_daemon() {
    let machine = Machine::new();
    let output = machine
        .command(&["--", "sm", "config", "get", "cache.m"])
        .env("SM_COMPLETE", "fish")
        .env("_CLAP_COMPLETE_INDEX", "3")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(
        text.contains("cache.metadata_ttl") && text.contains("cache.max_size_mb"),
        "{text}"
    );
    let output = machine
        .command(&["--", "sm", "show", ""])
        .env("SM_COMPLETE", "fish")
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let machine = Machine::new();
    assert!(machine.ok(&["man"]).contains(".TH SM 1"));
    let dir = machine.path().join("man");
    machine.ok(&["man", "--dir", dir.to_str().unwrap()]);
    for page in [
        "sm",
        "sm-list",
        "sm-collection-create",
        "sm-daemon-restart",
        "sm-config-set",
    ] {
        let text = std::fs::read_to_string(dir.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
        assert!(
            text.contains(&page.replace('-', "\\-")) || page == "sm",
            "{page}: {text}"
        );
    }
}

#[test]
fn config_round_trips() {
    let machine = Machine::new();
    let path = machine.ok(&["config", "path"]);
    let file = machine
        .path()
        .canonicalize()
        .unwrap()
        .join(".skillmeat/config.toml");
    assert_eq!(path.trim(), file.to_str().unwrap());
    assert_eq!(
        machine.ok(&["config", "get", "cache.metadata_ttl"]),
        "30m\n"
    );
    machine.ok(&["config", "set", "cache.metadata_ttl", "1h30m"]);
    assert_eq!(
        machine.ok(&["config", "get", "cache.metadata_ttl"]),
        "1h30m\n"
    );
    let value = json(&machine.ok(&["config", "get", "cache.metadata_ttl", "--json"]));
    assert_eq!(value["origin"], "file");
    assert!(value["line"].as_u64().is_some());
    let listed = json(&machine.ok(&["config", "list", "--changed", "--json"]));
    assert_eq!(listed["settings"].as_array().unwrap().len(), 1);
    machine.fails(&["config", "set", "cache.metadata_ttl", "soon"], 2);
    assert_eq!(
        json(&machine.ok(&["config", "unset", "cache.metadata_ttl", "--json"]))["changed"],
        true
    );
    assert_eq!(
        machine.ok(&["config", "get", "cache.metadata_ttl"]),
        "30m\n"
    );
}

#[test]
fn a_secret_is_never_shown() {
    let machine = Machine::new();
    let secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let token = machine.path().join("token");
    std::fs::write(&token, format!("{secret}\n")).unwrap();
    let status = machine
        .command(&["config", "set", "github-token", "-"])
        .stdin(std::fs::File::open(&token).unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    let file = machine.path().join(".skillmeat/config.toml");
    assert!(std::fs::read_to_string(&file).unwrap().contains(secret));
    for args in [
        &["config", "get", "github-token"][..],
        &["config", "get", "settings.github-token", "--json"],
        &["config", "list", "-v"],
        &["config", "list", "--json"],
    ] {
        let shown = machine.ok(args);
        assert!(!shown.contains(secret), "{args:?}");
        assert!(shown.contains("ghp_"), "{args:?}: {shown}");
    }
}

#[test]
fn the_environment_overrides_and_says_so() {
    let machine = Machine::new();
    let output = machine
        .command(&["config", "set", "log.level", "info"])
        .env("SKILLMEAT_LOG_LEVEL", "DEBUG")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("SKILLMEAT_LOG_LEVEL"));
}

#[test]
fn an_edit_with_errors_is_not_kept() {
    let machine = Machine::new();
    machine.ok(&["config", "set", "log.level", "info"]);
    let file = machine.path().join(".skillmeat/config.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let edit = |script: &str| {
        machine
            .command(&["config", "edit"])
            .env("EDITOR", script)
            .output()
            .unwrap()
    };
    let output = edit("sh -c 'echo \"[broken\" > \"$0\"'");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    assert!(stderr.contains("your text is in"), "{stderr}");

    let output = edit("sh -c 'echo \"# mine\" >> \"$0\"'");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        format!("{before}# mine\n")
    );

    assert!(edit("true").status.success());
    assert!(!edit("false").status.success());
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .ends_with("# mine\n")
    );
}

#[test]
fn logs_are_read_without_a_daemon() {
    let machine = Machine::new();
    assert!(machine.fails(&["daemon", "logs"], 3).contains("no log yet"));
    let dir = machine.path().join(".skillmeat/logs");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("skillmeat.log"), "one\ntwo\u{1b}[31m\nthree\n").unwrap();
    assert_eq!(
        machine.ok(&["daemon", "logs", "-n", "2"]),
        "two\\u{1b}[31m\nthree\n"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let machine = Machine::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = machine
        .command(&["config", "list", "--json"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
