//! A machine that sleeps, and clocks that are set while the daemon runs.

use std::path::{Path, PathBuf};

use skillmeat_tests::Sandbox;
use skillmeat_tests::fault::Faults;
use skillmeat_tests::home::{output, replace, skill, text, write};
use skillmeat_tests::wait::until_true;

/// A user whose programs see the wall clock moved by the seconds in the file, and the steady one as it is: to them
/// that is a machine that slept, or whose clock was set.
fn with_a_clock() -> (Sandbox, PathBuf) {
    let mut sandbox = Sandbox::new();
    let (source, library) = (sandbox.path("clock.c"), sandbox.path("clock.so"));
    write(&source, include_str!("clock.c"));
    let mut compiler = sandbox.command(Path::new("/usr/bin/cc"));
    compiler.args(["-shared", "-fPIC", "-o"]);
    compiler.args([&library, &source]);
    drop(output(compiler).ok());
    let clock = sandbox.path("moved");
    write(&clock, "0");
    sandbox.set("MOVED_CLOCK", clock.to_str().unwrap());
    sandbox.set("LD_PRELOAD", library.to_str().unwrap());
    sandbox.configure(crate::BACKEND, "[daemon]\nself_check = \"1s\"\n");
    drop(sandbox.run(&["init"]).ok());
    (sandbox, clock)
}

/// Waits until everything was compared for this reason and nothing is stale; what was said of the root.
fn compared(sandbox: &Sandbox, reason: &str) {
    let status = sandbox.status_until(reason, |status| {
        status["roots"][0]["last_full_pass_reason"] == reason && status["stale"] == 0
    });
    assert_eq!(status["daemon"]["state"], "ready", "{status:#}");
}

#[test]
fn after_a_sleep_and_after_a_set_clock_everything_is_compared() {
    let (sandbox, clock) = with_a_clock();
    skill(&sandbox.collection("default", "skills"), "one", "Plain");
    sandbox.shows("one", "the skill", |_| true);
    let (pid, began) = (sandbox.pid(), sandbox.json(&["daemon", "status"]));
    // Eight hours are more than any row may go unverified.
    replace(&clock, "28800");
    compared(&sandbox, "wake");
    // A day back: what was verified just now was verified in the future, which proves nothing.
    replace(&clock, "-57600");
    compared(&sandbox, "clock set back");
    // Nothing else is upset by it.
    skill(&sandbox.collection("default", "skills"), "two", "Later");
    sandbox.shows("two", "a skill of before", |_| true);
    drop(sandbox.run(&["rate", "one", "4"]).ok());
    let log = sandbox.json(&["log", "--limit", "1"]);
    assert!(text(&log["operations"][0]["at"]) < text(&began["started_at"]));
    assert_eq!(sandbox.pid(), pid);
}

#[test]
fn rows_of_before_a_start_tell_their_age_until_they_are_compared() {
    let (mut sandbox, clock) = with_a_clock();
    let faults = Faults::of(&mut sandbox);
    let skills = sandbox.collection("default", "skills");
    skill(&skills, "one", "Before");
    sandbox.shows("one", "the skill", |_| true);
    sandbox.stop();
    skill(&skills, "one", "After");
    // Less than rows may go unverified.
    replace(&clock, "600");
    faults.tell("reconcile.before_begin=wait");
    let listed = sandbox.run(&["list"]).ok();
    assert!(listed.stdout.contains("Before"), "{listed:?}");
    assert!(listed.stderr.contains("as of 10 min"), "{listed:?}");
    faults.none();
    until_true("the present", || {
        let listed = sandbox.run(&["list"]).ok();
        listed.stdout.contains("After") && !listed.stderr.contains("as of")
    });
}
