//! Ends of the daemon, and what stands between two states for a moment.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use skillmeat_tests::load::rude::{silent, stuck};
use skillmeat_tests::{Sandbox, daemon, until};

/// Far below the ten seconds in which calls may end.
const SOON: Duration = Duration::from_secs(5);

fn pid(sandbox: &Sandbox) -> u32 {
    daemon::rendezvous(sandbox.home()).unwrap().pid
}

#[test]
fn clients_that_say_nothing_delay_no_end() {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["daemon", "start"]).ok());
    let socket = daemon::rendezvous(sandbox.home()).unwrap().socket;
    let held = (silent(&socket), stuck(&socket));
    let mut watching = sandbox.stream(&["watch", "--json"]);
    watching.line();
    let begun = Instant::now();
    drop(sandbox.run(&["daemon", "restart"]).ok());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    drop(held);
    let _silent = silent(&daemon::rendezvous(sandbox.home()).unwrap().socket);
    sandbox.signal(Signal::TERM);
    let begun = Instant::now();
    drop(sandbox.run(&["list"]).ok());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_start_right_after_a_kill_starts_another_one() {
    let sandbox = Sandbox::initialised();
    for _ in 0..5 {
        drop(sandbox.run(&["daemon", "start"]).ok());
        let before = pid(&sandbox);
        // Its socket takes connections until the kernel has closed all that it had open.
        daemon::signal(before, sandbox.home().root(), Signal::KILL);
        let started = sandbox.json(&["daemon", "start"]);
        assert_eq!(started["started"], true, "{started}");
        assert_ne!(started["pid"], before);
        daemon::signal(pid(&sandbox), sandbox.home().root(), Signal::KILL);
        let status = sandbox.run(&["daemon", "status"]);
        assert!(status.stdout.contains("not running"), "{status:?}");
    }
    let again = sandbox.json(&["daemon", "start"]);
    assert_eq!(again["started"], true, "{again}");
    assert_eq!(sandbox.json(&["daemon", "start"])["started"], false);
}

#[test]
fn a_daemon_that_could_not_be_started_again_is_not_stopped() {
    let mut sandbox = Sandbox::initialised();
    drop(sandbox.run(&["daemon", "start"]).ok());
    let before = pid(&sandbox);
    sandbox.set("SKILLMEATD", "/nowhere/skillmeatd");
    let error = sandbox.fails(&["daemon", "restart"], 7);
    assert_eq!(error["code"], "daemon.start_failed", "{error}");
    assert_eq!(daemon::processes(sandbox.home().root()), [before]);
}

#[test]
fn one_whose_socket_was_just_removed_is_stopped_in_order() {
    let sandbox = Sandbox::initialised();
    drop(sandbox.run(&["daemon", "start"]).ok());
    std::fs::remove_file(daemon::rendezvous(sandbox.home()).unwrap().socket).unwrap();
    drop(sandbox.run(&["daemon", "stop"]).ok());
    until("its end", || {
        daemon::processes(sandbox.home().root())
            .is_empty()
            .then_some(())
    });
}

/// Whether a thread of a process still has files open.
fn holds_files(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().any(|thread| {
        let files = std::fs::read_dir(thread.path().join("fd"));
        files.is_ok_and(|mut files| files.next().is_some())
    })
}

#[test]
fn who_stops_a_daemon_finds_no_file_held_by_it() {
    let sandbox = Sandbox::initialised();
    for force in [&["daemon", "stop"][..], &["daemon", "stop", "--force"]] {
        for _ in 0..8 {
            drop(sandbox.run(&["daemon", "start"]).ok());
            let pid = pid(&sandbox);
            assert!(holds_files(pid));
            drop(sandbox.run(force).ok());
            assert!(!holds_files(pid), "{force:?}");
        }
    }
}
