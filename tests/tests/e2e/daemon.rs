//! The life of the daemon: one per home, started by whoever needs it, never lost for good.

use std::process::Stdio;

use rustix::process::Signal;
use skillmeat_tests::home::{binary, codes, fixture, output, rename, skill, text, write};
use skillmeat_tests::{Sandbox, Stream, daemon, until};

fn instance(sandbox: &Sandbox) -> String {
    text(&sandbox.json(&["daemon", "status"])["instance"])
}

#[test]
fn killed_it_starts_again_at_the_first_try() {
    let sandbox = Sandbox::initialised();
    skill(&sandbox.collection("default", "skills"), "one", "One");
    sandbox.shows("one", "the skill", |_| true);
    for _ in 0..3 {
        let before = instance(&sandbox);
        sandbox.kill();
        assert_eq!(sandbox.show("one")["description"], "One");
        assert_ne!(instance(&sandbox), before);
    }
}

#[test]
fn killed_in_the_middle_of_a_big_addition_nothing_is_lost_or_torn() {
    let sandbox = Sandbox::initialised();
    let tree = sandbox.path("tree");
    for n in 0..400 {
        skill(
            &tree.join("skills"),
            &format!("s{n:03}"),
            &format!("Number {n}"),
        );
    }
    let mut adding = sandbox.sm(&["add", "--all", tree.to_str().unwrap()]);
    let mut child = adding
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let skills = sandbox.collection("default", "skills");
    until("half of the copies", || {
        let count = std::fs::read_dir(&skills).map_or(0, Iterator::count);
        (count > 100 || child.try_wait().unwrap().is_some()).then_some(())
    });
    sandbox.kill();
    let ended = until("the end of the client", || child.try_wait().unwrap());
    assert!(matches!(ended.code(), Some(7 | 0)), "{ended:?}");
    // The manifest can be read, and everything on disk is listed, whole.
    let status = sandbox.ready();
    assert_eq!(status["collections"][0]["state"], "ok");
    let names = || {
        let entries = std::fs::read_dir(&skills).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // The copy in the middle of which it died is nobody's artifact.
        names
            .filter(|name| !name.starts_with(".skillmeat-tmp-"))
            .collect::<Vec<_>>()
    };
    let count = names().len();
    until("everything on disk in the list", || {
        (sandbox.list().len() == count).then_some(())
    });
    for one in sandbox.list() {
        assert!(text(&one["description"]).starts_with("Number "), "{one:#}");
        assert_eq!(one["problem_count"], 0, "{one:#}");
    }
    // Again, it completes: also when no pass of the new daemon has been over the files yet.
    sandbox.kill();
    write(
        skills.join("s399/SKILL.md"),
        std::fs::read(tree.join("skills/s399/SKILL.md")).unwrap(),
    );
    let added = sandbox.json(&["add", "--all", tree.to_str().unwrap()]);
    assert_eq!(added["failed"], 0);
    assert_eq!(added["conflicts"], 0);
    let list = sandbox.json(&["list", "--status", "managed"]);
    assert_eq!(list["total"], 400);
    assert_eq!(names().len(), 400);
}

#[test]
fn start_stop_restart_status() {
    let sandbox = Sandbox::initialised();
    sandbox.stop();
    let none = sandbox.run(&["daemon", "status", "--json"]).exits(7);
    assert_eq!(none.json()["running"], false);
    assert!(daemon::processes(sandbox.home().root()).is_empty());
    let started = sandbox.json(&["daemon", "start"]);
    assert_eq!(started["started"], true);
    let again = sandbox.json(&["daemon", "start"]);
    assert_eq!(again["started"], false);
    assert_eq!(again["pid"], started["pid"]);
    let status = sandbox.json(&["daemon", "status"]);
    assert_eq!(status["running"], true);
    assert_eq!(status["pid"], started["pid"]);
    assert_eq!(status["manager"], "auto");
    assert!(status["memory_bytes"].as_u64().unwrap() > 0);
    assert!(!status["tasks"].as_array().unwrap().is_empty());
    let before = instance(&sandbox);
    let restarted = sandbox.json(&["daemon", "restart"]);
    assert_eq!(restarted["running"], true);
    assert_ne!(instance(&sandbox), before);
    let stopped = sandbox.json(&["daemon", "stop"]);
    assert_eq!(stopped["running"], false);
    assert_eq!(stopped["stopped"], restarted["pid"]);
    // It holds no file any more: its disk may be unmounted.
    let program = format!("/proc/{}/exe", restarted["pid"]);
    assert!(std::fs::read_link(program).is_err());
    assert!(sandbox.json(&["daemon", "stop"])["stopped"].is_null());
}

#[test]
fn without_autostart_a_missing_daemon_is_an_error() {
    let mut sandbox = Sandbox::initialised();
    sandbox.stop();
    let error = sandbox.fails(&["list", "--no-autostart"], 7);
    assert_eq!(error["code"], "daemon.unavailable");
    assert!(error["hints"].to_string().contains("sm daemon start"));
    let told = |args: &[&str]| sandbox.run(args).exits(7).stderr;
    let by_itself = "it starts by itself when a command needs it";
    assert!(told(&["daemon", "status"]).contains(by_itself));
    assert!(!told(&["daemon", "status", "--no-autostart"]).contains(by_itself));
    // Not where the last start failed.
    std::fs::remove_file(sandbox.home().lock_file()).unwrap();
    std::fs::create_dir(sandbox.home().lock_file()).unwrap();
    assert_ne!(sandbox.run(&["list"]).code, Some(0));
    std::fs::remove_dir(sandbox.home().lock_file()).unwrap();
    let status = told(&["daemon", "status"]);
    assert!(
        status.contains("the last start failed: ") && status.contains("`sm doctor`"),
        "{status}"
    );
    assert!(!status.contains(by_itself), "{status}");
    sandbox.set("SM_NO_AUTOSTART", "1");
    let error = sandbox.fails(&["list"], 7);
    assert_eq!(error["code"], "daemon.unavailable");
    assert!(daemon::processes(sandbox.home().root()).is_empty());
    sandbox.set("SM_NO_AUTOSTART", "0");
    drop(
        sandbox
            .run(&["config", "set", "daemon.autostart", "false"])
            .ok(),
    );
    drop(sandbox.run(&["list"]).exits(7));
    drop(sandbox.run(&["daemon", "start"]).ok());
    drop(sandbox.run(&["list"]).ok());
}

#[test]
fn a_second_daemon_gives_up_and_harms_nobody() {
    let sandbox = Sandbox::initialised();
    let before = instance(&sandbox);
    let second = output(sandbox.command(&binary("skillmeatd"))).exits(75);
    assert!(second.stderr.contains("error: "), "{second:?}");
    assert_eq!(instance(&sandbox), before);
}

#[test]
fn in_the_foreground_it_says_where_it_serves_and_ends_at_a_signal() {
    let sandbox = Sandbox::new();
    for through_sm in [false, true] {
        let mut command = if through_sm {
            sandbox.sm(&["daemon", "run"])
        } else {
            sandbox.command(&binary("skillmeatd"))
        };
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = child.id();
        let line = {
            use std::io::BufRead as _;
            let mut line = String::new();
            std::io::BufReader::new(child.stdout.take().unwrap())
                .read_line(&mut line)
                .unwrap();
            line
        };
        assert!(
            line.starts_with("skillmeatd ")
                && line.contains(sandbox.home().root().to_str().unwrap()),
            "{line}"
        );
        let status = sandbox.json(&["daemon", "status"]);
        assert_eq!(status["manager"], "foreground");
        assert_eq!(status["pid"], pid);
        sandbox.signal(Signal::TERM);
        let ended = until("the end of the daemon", || child.try_wait().unwrap());
        assert_eq!(ended.code(), Some(0));
        assert!(daemon::rendezvous(sandbox.home()).is_none());
    }
}

#[test]
fn why_a_daemon_does_not_start_is_said() {
    let sandbox = Sandbox::new();
    drop(sandbox.run(&["init"]).ok());
    sandbox.stop();
    let lock = sandbox.home().lock_file();
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let error = sandbox.run(&["list", "--json"]);
    assert_ne!(error.code, Some(0), "{error:?}");
    assert!(
        error.error().to_string().contains(lock.to_str().unwrap()),
        "{error:?}"
    );
    std::fs::remove_dir(&lock).unwrap();
    drop(sandbox.run(&["list"]).ok());
    // A log that can't be written is no reason not to serve.
    sandbox.stop();
    std::fs::remove_dir_all(sandbox.home().logs_dir()).unwrap();
    write(sandbox.home().logs_dir(), "a file");
    drop(sandbox.run(&["list"]).ok());
}

#[test]
fn what_a_daemon_finds_wrong_at_its_start_is_said_word_for_word() {
    let mut sandbox = Sandbox::initialised();
    let config = sandbox.home().config();
    // Mistakes in the config keep it from nothing.
    let mistakes = [
        (
            "[log]\nlevel = \"loud\"\n",
            "`log.level` in the config can't be used: it must be one of `error`, `warning`, `info`, `debug`, `trace`, but is `loud`",
            ":2",
            "mend the line, or run `sm config unset log.level`",
        ),
        (
            "[log\n",
            "the config has a syntax error: unclosed table, expected `]`",
            ":1",
            "mend it with `sm config edit`; the defaults are used until then",
        ),
    ];
    for (content, message, line, hint) in mistakes {
        sandbox.stop();
        write(&config, content);
        drop(sandbox.run(&["list"]).ok());
        let status = sandbox.json(&["status"]);
        let [warning] = &status["warnings"].as_array().unwrap()[..] else {
            panic!("{status}");
        };
        let said = format!("{message} ({}{line})", config.display());
        assert_eq!(text(&warning["message"]), said);
        assert_eq!(warning["hints"], serde_json::json!([hint]));
    }
    sandbox.stop();
    write(&config, "");
    // A cache that nobody can make.
    let file = sandbox.path("file");
    write(&file, "");
    let place = file.join("cache");
    sandbox.set("SKILLMEAT_CACHE_PATH", place.to_str().unwrap());
    let error = sandbox.fails(&["list"], 7);
    let place = place.display();
    let message = format!(
        "there is no place for the cache: the folder `{place}` can't be used: not a directory"
    );
    assert_eq!(text(&error["message"]), message);
    let hint = "name another folder with `cache.path` or `SKILLMEAT_CACHE_PATH`, then run `sm daemon restart`";
    assert_eq!(error["hints"], serde_json::json!([hint]));
    let status = sandbox.json(&["status"]);
    assert_eq!(status["daemon"]["state"], "degraded");
    assert_eq!(codes(&status["warnings"]), ["cache-unavailable"]);
    assert_eq!(text(&status["warnings"][0]["message"]), message);
    sandbox.stop();
}

#[test]
fn logs_are_printed_with_and_without_a_daemon() {
    let sandbox = Sandbox::initialised();
    let logs = sandbox.run(&["daemon", "logs"]).ok().stdout;
    assert!(logs.contains("serving"), "{logs}");
    let mut follow: Stream = sandbox.stream(&["daemon", "logs", "-f", "-n", "1"]);
    follow.line();
    sandbox.stop();
    let logs = sandbox.run(&["daemon", "logs", "-n", "3"]).ok().stdout;
    assert!(logs.lines().count() <= 3, "{logs}");
    drop(sandbox.run(&["daemon", "start"]).ok());
    while !follow.line().contains("serving") {}
}

#[test]
fn a_stop_lets_open_calls_end() {
    let sandbox = Sandbox::initialised();
    let corpus = fixture("corpus");
    let mut adding = sandbox.sm(&["add", "--all", corpus.to_str().unwrap(), "--json"]);
    let child = adding
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let skills = sandbox.collection("default", "skills");
    until("the first copy", || {
        std::fs::read_dir(&skills)
            .is_ok_and(|mut entries| entries.next().is_some())
            .then_some(())
    });
    sandbox.stop();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let added: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = sandbox.json(&["list", "--status", "managed"]);
    assert_eq!(list["total"], added["added"]);
}

#[test]
fn a_frozen_daemon_is_told_apart_from_none() {
    let sandbox = Sandbox::initialised();
    sandbox.signal(Signal::STOP);
    let error = sandbox.fails(&["list", "--timeout", "1"], 8);
    assert_eq!(error["code"], "daemon.timeout");
    let set = ["config", "set", "daemon.idle_exit", "1h", "--timeout", "1"];
    let told = sandbox.run(&set).ok().stderr;
    assert!(told.contains("`sm undo` will not know of it"), "{told}");
    sandbox.signal(Signal::CONT);
    drop(sandbox.run(&["list"]).ok());
    // By force it ends even so.
    sandbox.signal(Signal::STOP);
    drop(
        sandbox
            .run(&["daemon", "stop", "--force", "--timeout", "1"])
            .ok(),
    );
    until("the end of the daemon", || {
        daemon::processes(sandbox.home().root())
            .is_empty()
            .then_some(())
    });
    drop(sandbox.run(&["list"]).ok());
}

/// A user whose daemon looks after itself every second.
fn watchful() -> Sandbox {
    let sandbox = Sandbox::new();
    write(sandbox.home().config(), "[daemon]\nself_check = \"1s\"\n");
    drop(sandbox.run(&["init"]).ok());
    sandbox.ready();
    sandbox
}

#[test]
fn a_home_that_is_deleted_ends_its_daemon() {
    let sandbox = watchful();
    let root = sandbox.home().root();
    rename(root, sandbox.path("gone"));
    std::fs::remove_dir_all(sandbox.path("gone")).unwrap();
    until("its end", || {
        daemon::processes(root).is_empty().then_some(())
    });
    assert!(!root.exists(), "nothing is made in its place");
    // A new home at the same place is served by a new daemon.
    drop(sandbox.run(&["init"]).ok());
    let status = sandbox.ready();
    assert_eq!(status["artifacts"], 0);
}

#[test]
fn a_home_that_is_moved_and_one_at_its_old_place_have_a_daemon_each() {
    let sandbox = watchful();
    skill(&sandbox.collection("default", "skills"), "mine", "Mine");
    sandbox.shows("mine", "the skill", |_| true);
    let first = sandbox.pid();
    let moved = sandbox.path("moved");
    rename(sandbox.home().root(), &moved);
    // At once: the first one may still run.
    write(sandbox.home().config(), "[daemon]\nself_check = \"1s\"\n");
    drop(sandbox.run(&["init"]).ok());
    let here = sandbox.ready();
    assert_eq!(here["artifacts"], 0);
    let of_moved = ["--home", moved.to_str().unwrap(), "status", "--json"];
    let there = until("the moved home, served where it is now", || {
        let answer = sandbox.run(&of_moved);
        let status = (answer.code == Some(0)).then(|| answer.json())?;
        assert_eq!(text(&status["home"]), of_moved[1]);
        (status["artifacts"] == 1).then_some(status)
    });
    until("the end of the first daemon", || {
        (!daemon::is_daemon_of(first, sandbox.home().root())).then_some(())
    });
    // Neither of the others takes anything from the other.
    let instances = |status: &serde_json::Value| text(&status["daemon"]["instance"]);
    assert_ne!(instances(&here), instances(&there));
    assert_eq!(instances(&sandbox.ready()), instances(&here));
    assert_eq!(instances(&sandbox.json(&of_moved[..3])), instances(&there));
    assert_eq!(daemon::processes(sandbox.home().root()).len(), 2);
}

#[test]
fn a_daemon_whose_lock_was_deleted_gives_way() {
    let sandbox = watchful();
    let before = instance(&sandbox);
    std::fs::remove_file(sandbox.home().lock_file()).unwrap();
    until("the end of who can't be told from others", || {
        let left = daemon::processes(sandbox.home().root());
        left.is_empty().then_some(())
    });
    sandbox.ready();
    assert_ne!(instance(&sandbox), before);
}

#[test]
fn two_homes_have_two_daemons() {
    let (one, two) = (Sandbox::initialised(), Sandbox::initialised());
    assert_ne!(instance(&one), instance(&two));
    skill(&one.collection("default", "skills"), "mine", "One");
    one.shows("mine", "the skill", |_| true);
    drop(two.run(&["show", "mine"]).exits(3));
    // The flag names the other one's home.
    let flag = two.run(&[
        "--home",
        one.home().root().to_str().unwrap(),
        "show",
        "mine",
    ]);
    drop(flag.ok());
}

#[test]
fn a_home_with_a_very_long_path_is_served() {
    let mut sandbox = Sandbox::new();
    let long = sandbox.path(&format!("{}/{}", "d".repeat(120), "e".repeat(60)));
    std::fs::create_dir_all(&long).unwrap();
    let home = long.join("home");
    sandbox.set("SKILLMEAT_HOME", home.to_str().unwrap());
    drop(sandbox.run(&["init"]).ok());
    drop(sandbox.run(&["list"]).ok());
    drop(sandbox.run(&["daemon", "stop"]).ok());
}
