//! The daemon looks after itself: what cleaners remove comes back, and a server that hangs ends.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use skillmeat_tests::generate::Random;
use skillmeat_tests::home::{binary, codes, copy, rename, replace, skill, text, write};
use skillmeat_tests::{Sandbox, daemon, until};

/// A user whose daemon looks after itself every second.
fn attentive() -> Sandbox {
    let sandbox = Sandbox::new();
    write(sandbox.home().config(), "[daemon]\nself_check = \"1s\"\n");
    drop(sandbox.run(&["init"]).ok());
    sandbox
}

#[test]
fn a_socket_and_a_rendezvous_that_cleaners_remove_come_back() {
    let sandbox = attentive();
    let before = daemon::rendezvous(sandbox.home()).unwrap();
    std::fs::remove_file(&before.socket).unwrap();
    until("the socket", || before.socket.exists().then_some(()));
    drop(sandbox.run(&["list", "--no-autostart"]).ok());
    std::fs::remove_file(sandbox.home().rendezvous()).unwrap();
    let after = until("the rendezvous", || daemon::rendezvous(sandbox.home()));
    assert_eq!(after, before, "it is the same daemon");
    // With its folder, as a reboot of the session does it.
    std::fs::remove_file(&before.socket).unwrap();
    let folder = before.socket.parent().unwrap();
    if folder != sandbox.home().run_dir() && std::fs::remove_dir(folder).is_ok() {
        until("the socket", || before.socket.exists().then_some(()));
        drop(sandbox.run(&["list", "--no-autostart"]).ok());
    }
    assert_eq!(daemon::processes(sandbox.home().root()), [before.pid]);
}

#[test]
fn a_socket_that_a_cleaner_removes_comes_back_at_once() {
    let sandbox = Sandbox::initialised();
    let before = daemon::rendezvous(sandbox.home()).unwrap();
    // Long before the first of its checks of itself, which comes after a minute.
    for _ in 0..2 {
        let gone = Instant::now();
        std::fs::remove_file(&before.socket).unwrap();
        until("the socket", || before.socket.exists().then_some(()));
        assert!(gone.elapsed() < Duration::from_secs(20));
        drop(sandbox.run(&["list", "--no-autostart"]).ok());
    }
    std::fs::remove_file(sandbox.home().rendezvous()).unwrap();
    let after = until("the rendezvous", || daemon::rendezvous(sandbox.home()));
    assert_eq!(after, before, "it is the same daemon");
}

/// How often the threads of a process have been woken, all together.
fn wake_ups(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok())
        .filter_map(|status| {
            let line = status
                .lines()
                .find(|line| line.starts_with("voluntary_ctxt_switches"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum()
}

#[test]
fn nothing_wakes_a_daemon_that_nobody_needs() {
    let sandbox = Sandbox::from_fixture("git");
    sandbox.ready();
    let pid = sandbox.pid();
    let window = Duration::from_secs(4);
    // It settles first: texts, watches, the second look. Twice a second would be eight in a window.
    until("a window without wake-ups", || {
        let before = wake_ups(pid);
        let quiet = Instant::now();
        while quiet.elapsed() < window {
            std::thread::park_timeout(window.saturating_sub(quiet.elapsed()));
        }
        // A thread that ended meanwhile takes its count along.
        let woken = wake_ups(pid).checked_sub(before)?;
        (woken <= 2).then_some(())
    });
}

/// Puts the daemon's program at a path, as a package manager does it.
fn install(program: &Path) {
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    let new = program.with_extension("new");
    copy(&binary("skillmeatd"), &new);
    rename(&new, program);
}

#[test]
fn a_program_that_was_replaced_ends_when_idle_and_the_next_command_starts_the_new_one() {
    let mut sandbox = Sandbox::new();
    let program = sandbox.path("bin/skillmeatd");
    install(&program);
    sandbox.set("SKILLMEATD", program.to_str().unwrap());
    write(sandbox.home().config(), "[daemon]\nself_check = \"1s\"\n");
    drop(sandbox.run(&["init"]).ok());
    let before = sandbox.pid();
    // Gone is not replaced: it says so and stays.
    std::fs::remove_file(&program).unwrap();
    let status = until("the warning", || {
        let status = sandbox.json(&["status"]);
        status
            .to_string()
            .contains("stale-binary")
            .then_some(status)
    });
    assert_eq!(status["daemon"]["pid"], before);
    assert!(
        status.to_string().contains("install it again"),
        "{status:#}"
    );
    let stops = sandbox.run(&["doctor"]);
    assert!(stops.stdout.contains("install it first"), "{stops:?}");
    sandbox.fails(&["daemon", "restart"], 7);
    assert_eq!(
        sandbox.pid(),
        before,
        "what can't be started again is not stopped"
    );
    install(&program);
    until("the end of the old daemon", || {
        daemon::processes(sandbox.home().root())
            .is_empty()
            .then_some(())
    });
    drop(sandbox.run(&["list"]).ok());
    assert_ne!(sandbox.pid(), before);
    let status = sandbox.json(&["status"]);
    assert!(!status.to_string().contains("stale-binary"), "{status:#}");
}

#[test]
fn one_in_the_foreground_stays_although_its_program_was_replaced() {
    let sandbox = Sandbox::new();
    let program = sandbox.path("bin/skillmeatd");
    install(&program);
    write(sandbox.home().config(), "[daemon]\nself_check = \"1s\"\n");
    let mut child = sandbox
        .command(&program)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("the daemon", || daemon::rendezvous(sandbox.home()));
    install(&program);
    for _ in 0..2 {
        until("the warning", || {
            let status = sandbox.json(&["status", "--no-autostart"]);
            status.to_string().contains("stale-binary").then_some(())
        });
    }
    assert_eq!(child.try_wait().unwrap(), None);
    sandbox.stop();
    child.wait().unwrap();
}

#[test]
fn a_daemon_that_watches_nothing_ends_when_idle_and_one_that_watches_when_told_to() {
    let sandbox = Sandbox::new();
    let config = |exit: &str| {
        let text = format!("[daemon]\nself_check = \"1s\"\nidle_exit = \"{exit}\"\n");
        replace(sandbox.home().config(), text);
    };
    std::fs::create_dir_all(sandbox.home().root()).unwrap();
    config("2s");
    drop(sandbox.run(&["init"]).ok());
    until("the end of the daemon", || {
        daemon::processes(sandbox.home().root())
            .is_empty()
            .then_some(())
    });
    assert!(daemon::rendezvous(sandbox.home()).is_none());
    config("0s");
    drop(sandbox.run(&["list"]).ok());
    let log = || std::fs::read_to_string(sandbox.home().log_file()).unwrap();
    assert!(log().contains("nobody has asked"), "{}", log());
}

#[test]
fn above_its_memory_a_daemon_drops_caches_and_then_ends_with_70() {
    let sandbox = attentive();
    let pid = sandbox.pid();
    drop(
        sandbox
            .run(&["config", "set", "daemon.memory_soft_mb", "1"])
            .ok(),
    );
    until("the warning", || {
        let status = sandbox.json(&["status"]);
        status.to_string().contains("memory-high").then_some(())
    });
    assert_eq!(sandbox.pid(), pid);
    drop(
        sandbox
            .run(&["config", "set", "daemon.memory_soft_mb", "0"])
            .ok(),
    );
    until("the warning to go", || {
        let status = sandbox.json(&["status"]);
        (!status.to_string().contains("memory-high")).then_some(())
    });
    drop(
        sandbox
            .run(&["config", "set", "daemon.memory_hard_mb", "1"])
            .ok(),
    );
    until("the end of the daemon", || {
        (!daemon::is_daemon_of(pid, sandbox.home().root())).then_some(())
    });
    let log = std::fs::read_to_string(sandbox.home().log_file()).unwrap();
    assert!(log.contains("ended code=70"), "{log}");
    drop(
        sandbox
            .run(&["config", "set", "daemon.memory_hard_mb", "0"])
            .ok(),
    );
    drop(sandbox.run(&["list"]).ok());
}

#[test]
fn what_a_killed_daemon_left_inside_of_an_artifact_goes() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let inside = |name: &str| sandbox.collection("default", &format!("skills/one/deep/er/{name}"));
    let ours = inside(".skillmeat-tmp-123-0-0a1b2c3d");
    let theirs = inside(".skillmeat-tmp-notes");
    let long_ago = SystemTime::now() - Duration::from_hours(1);
    for path in [&ours, &theirs] {
        write(path, "half");
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    sandbox.json(&["gc", "--dry-run"]);
    assert!(ours.exists());
    sandbox.json(&["gc"]);
    assert!(!ours.exists() && theirs.exists());
    sandbox.shows("one", "the file that is left", |shown| {
        shown["file_count"] == 2
    });
}

#[test]
fn a_limit_below_what_is_needed_forgets_nothing_in_vain_and_is_told() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["tag", "add", "red", "one"]);
    let mut random = Random::new(1);
    let noise: Vec<u8> = (0..17 << 17)
        .flat_map(|_| random.next().to_le_bytes())
        .collect();
    write(sandbox.collection("default", "noise"), &noise);
    sandbox.json(&["snapshot"]);
    sandbox.json(&["config", "set", "history.max_size_mb", "16"]);
    let log = || sandbox.json(&["log", "--limit", "100"]);
    let before = log();
    let planned = sandbox.json(&["gc", "--dry-run"]);
    assert_eq!(planned["operations"], 0, "{planned:#}");
    let warning = text(&planned["warnings"][0]);
    assert!(warning.contains("need 18 MB"), "{warning}");
    let done = sandbox.json(&["gc"]);
    assert_eq!(done["warnings"], planned["warnings"]);
    assert_eq!(log(), before);
    let told = sandbox.run(&["gc"]).ok().stderr;
    assert!(told.contains("warning: `history.max_size_mb`"), "{told}");
    let code = "history-above-limit";
    sandbox.status_until("the warning", |status| codes(&status["warnings"]) == [code]);
    sandbox.stop();
    sandbox.status_until("the warning of the next one", |status| {
        codes(&status["warnings"]) == [code]
    });
    sandbox.json(&["config", "set", "history.max_size_mb", "23"]);
    sandbox.status_until("no warning", |status| codes(&status["warnings"]).is_empty());
}
