//! Clients and daemons of different versions, all of them the real programs under another number.

use std::collections::BTreeSet;

use skillmeat_shared::version::VARIABLE;
use skillmeat_tests::home::text;
use skillmeat_tests::{Sandbox, daemon};

fn instance(sandbox: &Sandbox) -> String {
    text(&sandbox.json(&["daemon", "status"])["instance"])
}

/// Makes the daemon one that started long ago, as far as clients can tell.
pub(crate) fn age(sandbox: &Sandbox) {
    let mut at = daemon::rendezvous(sandbox.home()).unwrap();
    at.started_at = 0;
    at.save(&sandbox.home().rendezvous()).unwrap();
}

#[test]
fn two_versions_used_in_turn_restart_the_daemon_once() {
    let mut sandbox = Sandbox::new();
    sandbox.set(VARIABLE, "0.1.0");
    drop(sandbox.run(&["init"]).ok());
    let mut instances = BTreeSet::from([instance(&sandbox)]);
    // It has just started: the newer one works with it as it is.
    sandbox.set(VARIABLE, "0.2.0");
    drop(sandbox.run(&["list"]).ok());
    instances.insert(instance(&sandbox));
    assert_eq!(instances.len(), 1);
    age(&sandbox);
    for turn in 0..20 {
        sandbox.set(VARIABLE, if turn % 2 == 0 { "0.2.0" } else { "0.1.0" });
        drop(sandbox.run(&["list"]).ok());
        instances.insert(instance(&sandbox));
        age(&sandbox);
    }
    assert_eq!(instances.len(), 2, "{instances:?}");
    let status = sandbox.json(&["daemon", "status"]);
    assert_eq!(status["version"], "0.2.0");
    assert_eq!(daemon::processes(sandbox.home().root()).len(), 1);
}

#[test]
fn another_protocol_is_replaced_if_older_and_refused_if_newer() {
    let mut sandbox = Sandbox::new();
    sandbox.set(VARIABLE, "0.1.0/1.0");
    drop(sandbox.run(&["init"]).ok());
    sandbox.set(VARIABLE, "1.0.0/2.0");
    // Within the cool-down nothing is replaced, and it can't be used either.
    let error = sandbox.fails(&["list"], 7);
    assert_eq!(error["code"], "daemon.protocol");
    assert!(error["hints"].to_string().contains("sm daemon restart"));
    age(&sandbox);
    drop(sandbox.run(&["list"]).ok());
    assert_eq!(sandbox.json(&["daemon", "status"])["version"], "1.0.0");
    age(&sandbox);
    sandbox.set(VARIABLE, "0.1.0/1.0");
    let error = sandbox.fails(&["list"], 7);
    assert_eq!(error["code"], "daemon.protocol");
    assert!(
        error["hints"].to_string().contains("upgrade `sm`"),
        "{error:#}"
    );
}

#[test]
fn one_in_the_foreground_is_left_to_whoever_runs_it() {
    let mut sandbox = Sandbox::new();
    sandbox.set(VARIABLE, "0.1.0");
    let mut running = sandbox.stream(&["daemon", "run"]);
    running.line();
    age(&sandbox);
    sandbox.set(VARIABLE, "0.2.0");
    let before = instance(&sandbox);
    drop(sandbox.run(&["init"]).ok());
    assert_eq!(instance(&sandbox), before);
    let said = sandbox.run(&["status"]).ok();
    assert!(said.stderr.contains("sm daemon restart"), "{said:?}");
    drop(sandbox.run(&["daemon", "stop"]).ok());
}

#[test]
fn without_a_newer_program_an_older_daemon_stays() {
    let mut sandbox = Sandbox::new();
    sandbox.set(VARIABLE, "0.1.0");
    drop(sandbox.run(&["init"]).ok());
    let before = instance(&sandbox);
    age(&sandbox);
    sandbox.set(VARIABLE, "0.2.0");
    let program = sandbox.path("skillmeatd");
    skillmeat_tests::home::write(&program, "#!/bin/sh\necho skillmeatd 0.1.0\n");
    let mut all = std::fs::metadata(&program).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut all, 0o755);
    std::fs::set_permissions(&program, all).unwrap();
    sandbox.set("SKILLMEATD", program.to_str().unwrap());
    drop(sandbox.run(&["list"]).ok());
    assert_eq!(instance(&sandbox), before);
}
