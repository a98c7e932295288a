//! Help, versions, completions, manual pages, pipes.

use std::os::unix::fs::symlink;

use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{binary, output, skill, write};

/// Completions of a command line, one for each line of output.
fn complete(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let mut command = sandbox.sm(&[&["--"], words].concat());
    command
        .env("SM_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "false")
        .env("_CLAP_IFS", "\n");
    let answer = output(command).ok();
    answer.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn every_command_has_help_with_examples() {
    let sandbox = Sandbox::new();
    for command in [
        "init",
        "add",
        "list",
        "show",
        "search",
        "doctor",
        "status",
        "watch",
        "version",
        "completions",
        "collection list",
        "collection show",
        "collection use",
        "collection create",
        "cache status",
        "cache refresh",
        "cache invalidate",
        "cache clear",
        "config get",
        "config set",
        "config unset",
        "config list",
        "config path",
        "config edit",
        "daemon run",
        "daemon start",
        "daemon stop",
        "daemon restart",
        "daemon status",
        "daemon logs",
    ] {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("--help");
        let help = sandbox.run(&args).ok().stdout;
        assert!(help.contains("Examples:"), "{command}: {help}");
        assert!(help.contains("--json"), "{command}");
    }
    // Nothing of that needs a home or makes one.
    assert!(!sandbox.home().root().exists());
    let nothing = sandbox.run::<&str>(&[]).exits(2);
    assert!(nothing.stderr.contains("Usage"), "{}", nothing.stderr);
    let slip = sandbox.run(&["lst"]).exits(2);
    assert!(slip.stderr.contains("list"), "{}", slip.stderr);
}

#[test]
fn versions_of_both_programs() {
    let sandbox = Sandbox::new();
    let version = sandbox.json(&["version"]);
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert!(version["daemon"].is_null());
    assert!(!sandbox.home().root().exists());
    drop(sandbox.run(&["init"]).ok());
    let version = sandbox.json(&["version"]);
    assert_eq!(version["daemon"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["daemon"]["protocol"], version["protocol"]);
    for program in ["sm", "skillmeatd"] {
        let mut command = sandbox.command(&binary(program));
        command.arg("--version");
        let said = output(command).ok().stdout;
        assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    }
}

#[test]
fn the_second_name_is_the_same_program() {
    let sandbox = Sandbox::initialised();
    let link = sandbox.path("bin/skillmeat");
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(binary("sm"), &link).unwrap();
    let mut command = sandbox.command(&link);
    command.args(["list", "--json"]);
    assert_eq!(output(command).ok().json()["total"], 0);
}

#[test]
fn completion_scripts_for_every_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sandbox.run(&["completions", shell]).ok().stdout;
        assert!(script.contains("sm"), "{shell}: {script}");
        assert!(script.contains("SM_COMPLETE"), "{shell}: {script}");
    }
    // For both names of the program.
    for (shell, names) in [
        ("bash", "_clap_complete_sm sm skillmeat\n"),
        ("zsh", "#compdef sm skillmeat\n"),
        ("zsh", "_clap_dynamic_completer_sm sm skillmeat\n"),
        ("fish", "--command sm --command skillmeat "),
    ] {
        let script = sandbox.run(&["completions", shell]).ok().stdout;
        assert!(script.contains(names), "{shell}: {script}");
    }
    drop(sandbox.run(&["completions", "tcsh"]).exits(2));
    let script = sandbox.path("sm.bash");
    write(&script, sandbox.run(&["completions", "bash"]).ok().stdout);
    let bash = std::path::Path::new("/bin/bash");
    if bash.is_file() {
        let mut command = sandbox.command(bash);
        command.arg("-n").arg(&script);
        drop(output(command).ok());
    }
}

#[test]
fn names_are_completed_from_the_daemon_and_never_start_one() {
    let sandbox = Sandbox::new();
    let nothing = complete(&sandbox, &["sm", "show", ""]);
    assert!(
        nothing.iter().all(|word| word.starts_with("--")),
        "{nothing:?}"
    );
    assert!(!sandbox.home().root().exists());
    assert!(complete(&sandbox, &["sm", "sea"]).contains(&"search".to_owned()));
    drop(sandbox.run(&["init"]).ok());
    for name in ["pdf-tools", "pdf-forms", "web"] {
        let source = skill(&sandbox.path("src"), name, "One");
        drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    }
    let names = complete(&sandbox, &["sm", "show", "pdf"]);
    assert!(
        names.iter().any(|name| name.contains("pdf-tools")),
        "{names:?}"
    );
    assert!(
        names.iter().any(|name| name.contains("pdf-forms")),
        "{names:?}"
    );
    assert!(!names.iter().any(|name| name.contains("web")), "{names:?}");
    let collections = complete(&sandbox, &["sm", "list", "-c", ""]);
    assert!(
        collections.contains(&"default".to_owned()),
        "{collections:?}"
    );
    let keys = complete(&sandbox, &["sm", "config", "get", "cache."]);
    assert!(keys.contains(&"cache.metadata_ttl".to_owned()), "{keys:?}");
}

#[test]
fn bash_gets_names_that_it_can_put_into_a_line() {
    let bash = std::path::Path::new("/bin/bash");
    if !bash.is_file() {
        return;
    }
    let sandbox = Sandbox::initialised();
    for name in ["With Space", "quote'x", "dollar$x", "tick`\"x"] {
        let source = skill(&sandbox.path("src"), name, "One");
        drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    }
    let script = sandbox.path("sm.bash");
    write(&script, sandbox.run(&["completions", "bash"]).ok().stdout);
    // What bash sets before it calls the function: the line, its words as they are typed, split at some signs, and what
    // is to be replaced, without its quote.
    let reply = |line: &str, words: &[&str], unquoted: &str| {
        let mut command = sandbox.command(bash);
        let test = "source \"$1\"; PATH=$2:$PATH; COMP_LINE=$3; last=$4; shift 4; COMP_WORDS=(\"$@\"); \
                    COMP_CWORD=$(($# - 1)); COMP_TYPE=9; \
                    _clap_complete_sm sm \"$last\" show; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let folder = binary("sm").parent().unwrap().to_owned();
        command.args(["-c", test, "bash"]).arg(&script).arg(folder);
        command.args([line, unquoted]).args(words);
        output(command).ok().stdout
    };
    let show = |typed: &str, unquoted: &str| {
        let line = format!("sm  show {typed}");
        reply(&line, &["sm", "show", typed], unquoted)
    };
    assert_eq!(show("With", "With"), "With\\ Space\n");
    assert_eq!(show("With\\ Sp", "With\\ Sp"), "With\\ Space\n");
    assert_eq!(show("\"With Sp", "With Sp"), "With Space\n");
    // What would end the open quote, or mean something in it.
    assert_eq!(show("'quo", "quo"), "quote'\\''x\n");
    assert_eq!(show("'quote'\\''", ""), "x\n");
    assert_eq!(show("\"quo", "quo"), "quote'x\n");
    assert_eq!(show("'dol", "dol"), "dollar$x\n");
    assert_eq!(show("\"dol", "dol"), "dollar\\$x\n");
    assert_eq!(show("\"dollar\\$", "dollar\\$"), "dollar\\$x\n");
    assert_eq!(show("'ti", "ti"), "tick`\"x\n");
    assert_eq!(show("\"ti", "ti"), "tick\\`\\\"x\n");
    for (line, words, last, answer) in [
        (
            "sm show skill:Wi",
            &["sm", "show", "skill", ":", "Wi"][..],
            "Wi",
            "With\\ Space\n",
        ),
        (
            "sm show skill:",
            &["sm", "show", "skill", ":"],
            "",
            "With\\ Space\ndollar\\$x\nquote\\'x\ntick\\`\\\"x\n",
        ),
        (
            "sm list --collection=de",
            &["sm", "list", "--collection", "=", "de"],
            "de",
            "default\n",
        ),
        (
            "sm list -c : de",
            &["sm", "list", "-c", ":", "de"],
            "de",
            "\n",
        ),
    ] {
        assert_eq!(reply(line, words, last), answer, "{line}");
    }
}

#[test]
fn with_json_every_command_prints_json() {
    let mut sandbox = Sandbox::new();
    let folder = sandbox.path("man");
    let man = sandbox.json(&["man", "--dir", folder.to_str().unwrap()]);
    assert_eq!(man["dir"], folder.to_str().unwrap());
    assert!(man["files"].to_string().contains("\"sm-add.1\""), "{man}");
    let man = sandbox.json(&["man"]);
    assert!(man["page"].as_str().unwrap().contains(".TH SM 1"));
    let script = sandbox.json(&["completions", "bash"]);
    assert_eq!(script["shell"], "bash");
    assert!(script["script"].as_str().unwrap().contains("SM_COMPLETE"));
    drop(sandbox.run(&["init"]).ok());
    sandbox.set("EDITOR", "true");
    let path = sandbox.home().config().display().to_string();
    assert_eq!(
        sandbox.json(&["config", "edit"]),
        serde_json::json!({"changed": false, "path": path, "operation": null})
    );
    sandbox.set("EDITOR", "printf '[log]\\nlevel = \"debug\"\\n' >");
    let edited = sandbox.json(&["config", "edit"]);
    assert_eq!(edited["changed"], true);
    assert!(edited["operation"].is_string(), "{edited}");
    let log = sandbox.run(&["daemon", "logs", "--json"]).ok().stdout;
    let lines = log.lines();
    let lines: Vec<serde_json::Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().any(|line| line["level"] == "INFO"), "{log}");
    for line in &lines {
        assert!(line["at"].as_str().unwrap().ends_with('Z'), "{line}");
        assert!(line["message"].is_string(), "{line}");
    }
    let mut follow = sandbox.stream(&["daemon", "logs", "-f", "-n", "1", "--json"]);
    assert!(follow.json()["target"].is_string());
    let second = sandbox.fails(&["daemon", "run"], 75);
    assert_eq!(second["code"], "daemon.already_running");
    sandbox.stop();
    let mut first = sandbox.stream(&["daemon", "run", "--json"]);
    let served = first.json();
    assert_eq!(
        (&served["running"], &served["pid"]),
        (&true.into(), &first.pid().into())
    );
}

#[test]
fn manual_pages_of_all_commands() {
    let sandbox = Sandbox::new();
    let page = sandbox.run(&["man"]).ok().stdout;
    assert!(page.contains(".TH SM 1"), "{page}");
    let folder = sandbox.path("man");
    drop(
        sandbox
            .run(&["man", "--dir", folder.to_str().unwrap()])
            .ok(),
    );
    for page in [
        "sm.1",
        "sm-add.1",
        "sm-cache-invalidate.1",
        "sm-daemon-logs.1",
    ] {
        assert!(folder.join(page).is_file(), "{page}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let sandbox = Sandbox::initialised();
    for n in 0..300 {
        write(
            sandbox.collection("default", &format!("commands/c{n}.md")),
            format!("---\ndescription: {}\n---\n", "many words ".repeat(50)),
        );
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let mut command = sandbox.command(std::path::Path::new("/bin/sh"));
    command
        .arg("-c")
        .arg("{ \"$0\" list --json; echo \"exit $?\" >&2; } | head -n 1")
        .arg(binary("sm"));
    let answer = output(command).ok();
    assert_eq!(answer.stderr.trim(), "exit 0", "{answer:?}");
}

#[test]
fn errors_look_the_same_everywhere() {
    let sandbox = Sandbox::initialised();
    for (args, code) in [
        (&["show", "nobody"][..], 3),
        (&["list", "-c", "nowhere"], 3),
        (&["collection", "create", "default"], 4),
        (&["config", "get", "no.such.key"], 2),
        (&["add", "/nonexistent"], 3),
    ] {
        let told = sandbox.run(args).exits(code);
        assert_eq!(told.stdout, "", "{args:?}");
        assert!(told.stderr.starts_with("error: "), "{}", told.stderr);
        let first = told
            .stderr
            .lines()
            .next()
            .unwrap()
            .trim_start_matches("error: ");
        assert!(!first.ends_with('.'), "{first}");
        let start = first.chars().next().unwrap();
        assert!(!start.is_uppercase(), "{first}");
        let error = sandbox.fails(args, code);
        let message = error["message"].as_str().unwrap();
        assert!(first.contains(message), "{first} / {message}");
        let verbose = sandbox.run(&[args, &["--verbose"]].concat()).exits(code);
        assert!(verbose.stderr.contains(error["code"].as_str().unwrap()));
    }
}

#[test]
fn empty_values_are_refused() {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["group", "create", "Some"]).ok());
    let before = sandbox.json(&["log"]);
    for args in [
        &["list", "-c", ""][..],
        &["list", "--collection="],
        &["list", "--group", ""],
        &["list", "--tag", ""],
        &["show", "x", "-c", ""],
        &["search", "x", "-c", ""],
        &["set", "x", "version=1", "-c", ""],
        &["copy", "x", "--to", ""],
        &["copy", "x", "--as", ""],
        &["move", "x", "--to", ""],
        &["add", ".", "-c", ""],
        &["init", "--name", ""],
        &["rollback", "x", "--artifact", ""],
        &["log", "--artifact", ""],
        &["log", "-c", ""],
        &["status", "-c", ""],
        &["snapshot", "-c", ""],
        &["snapshot", "list", "-c", ""],
        &["group", "update", "Some", "--name", ""],
        &["group", "list", "-c", ""],
        &["collection", "import", ""],
        &["collection", "import", ".", "--name", ""],
        &["collection", "show", "-c", ""],
        &["adopt", "--from", ""],
        &["show", ""],
    ] {
        let error = sandbox.fails(args, 2);
        assert_eq!(error["code"], "usage.invalid_argument", "{args:?}");
        assert!(error["message"].to_string().contains("empty"), "{error}");
    }
    // They are told as they were typed.
    for (args, name) in [
        (&["list", "--type", ""][..], "`--type <"),
        (&["list", "--tag", ""], "`--tag <"),
        (&["remove", "", "--yes"], "ARTIFACT"),
        (&["set", "x", "version=1", "-c", ""], "`--collection <"),
        (&["group", "add", "Some", ""], "ARTIFACT"),
    ] {
        let told = sandbox.run(args).exits(2).stderr;
        assert!(told.contains("is empty") && told.contains(name), "{told}");
    }
    assert_eq!(sandbox.json(&["log"]), before);
    // Where nothing is something to say.
    sandbox.json(&["group", "update", "Some", "--description", ""]);
}
