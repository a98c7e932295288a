//! Clients that leave before a change is done: it is given up, or comes to its end.

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{skill, write};
use skillmeat_tests::wait::until_true;

/// Connections that the daemon has, and what it listens on.
fn sockets(sandbox: &Sandbox) -> usize {
    let open = fs::read_dir(format!("/proc/{}/fd", sandbox.pid())).unwrap();
    let links = open.filter_map(|one| fs::read_link(one.ok()?.path()).ok());
    links
        .filter(|link| link.to_string_lossy().starts_with("socket:"))
        .count()
}

/// Interrupts an addition that waits at a step, and lets the daemon go on once it knows.
fn interrupt_at(step: &str) -> (Sandbox, Value) {
    let mut sandbox = Sandbox::new();
    let spec = sandbox.path("failpoints");
    write(&spec, "");
    sandbox.set("SKILLMEAT_FAILPOINTS", &format!("@{}", spec.display()));
    drop(sandbox.run(&["init"]).ok());
    let source = skill(&sandbox.path("src"), "one", "Comes or not");
    let before = sockets(&sandbox);
    write(&spec, format!("{step}=wait"));
    let mut command = sandbox.sm(&["add", source.to_str().unwrap(), "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = command.spawn().unwrap();
    until_true("the change to wait", || {
        sandbox.path("failpoints.passed").exists()
    });
    let pid = Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ended = running.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let told = serde_json::from_slice(&ended.stderr).unwrap();
    until_true("the daemon to know", || sockets(&sandbox) <= before);
    write(&spec, "");
    (sandbox, told)
}

#[test]
fn a_change_of_which_nothing_stands_is_given_up() {
    let (sandbox, told) = interrupt_at("change.planned");
    assert_eq!(told["error"]["code"], "usage.interrupted", "{told}");
    // The next change comes after it.
    let other = skill(&sandbox.path("src"), "two", "Comes later");
    sandbox.json(&["add", other.to_str().unwrap()]);
    assert_eq!(sandbox.ids(), ["skill:two"]);
    assert!(!sandbox.collection("default", "skills/one").exists());
    let log = sandbox.json(&["log"]);
    assert_eq!(log["operations"][0]["verb"], "artifact.add");
    assert_eq!(log["operations"].as_array().unwrap().len(), 2, "{log}");
}

#[test]
fn a_change_that_has_begun_comes_to_its_end() {
    let (sandbox, _) = interrupt_at("change.recorded");
    until_true("the artifact", || sandbox.ids() == ["skill:one"]);
    let log = sandbox.json(&["log"]);
    assert_eq!(log["operations"][0]["state"], json!("done"), "{log}");
}
