//! `sm` against a daemon of canned answers: connecting, paging, streams, exit codes, and what happens when
//! the other side is wedged, foreign or of another age.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod canned;

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use canned::{Canned, TOTAL};
use serde_json::Value;
use skillmeat_proto::v1::artifact_service_server::ArtifactServiceServer;
use skillmeat_proto::v1::event_service_server::EventServiceServer;
use skillmeat_shared::paths::{Home, ensure_private_dir};
use skillmeat_shared::rendezvous::Rendezvous;
use tempfile::TempDir;
use tokio_stream::wrappers::UnixListenerStream;

/// A home of its own, and the place where its daemon would listen.
struct Place {
    folder: TempDir,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().canonicalize().unwrap().join("home"));
        ensure_private_dir(&home.run_dir()).unwrap();
        Self { folder, home }
    }

    fn socket(&self) -> PathBuf {
        self.home.run_dir().join("s")
    }

    fn rendezvous(&self, protocol: &str) {
        let rendezvous = Rendezvous {
            socket: self.socket(),
            pid: std::process::id(),
            instance: "canned".to_owned(),
            version: "0.0.9".to_owned(),
            protocol: protocol.to_owned(),
            manager: "auto".to_owned(),
            started_at: 1,
            exe: None,
            start_ticks: None,
            home: None,
        };
        rendezvous.save(&self.home.rendezvous()).unwrap();
    }

    /// Listens as the daemon does, and says so.
    fn listen(&self, protocol: &str) -> std::os::unix::net::UnixListener {
        let listener = std::os::unix::net::UnixListener::bind(self.socket()).unwrap();
        std::fs::set_permissions(self.socket(), std::fs::Permissions::from_mode(0o600)).unwrap();
        self.rendezvous(protocol);
        listener
    }

    /// Serves canned answers until the runtime is dropped.
    fn serve(&self) -> tokio::runtime::Runtime {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = self.listen(skillmeat_proto::PROTOCOL);
        listener.set_nonblocking(true).unwrap();
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::from_std(listener).unwrap()
        };
        let canned = Canned::default();
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(ArtifactServiceServer::new(canned.clone()))
                .add_service(EventServiceServer::new(canned))
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        runtime
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sm"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("SKILLMEAT_HOME", self.home.root())
            .env("SM_NO_AUTOSTART", "1")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_list_is_read_page_by_page() {
    let place = Place::new();
    let _daemon = place.serve();
    let output = place.run(&["list", "--json"]);
    assert!(output.status.success(), "{}", err(&output));
    let list = json(&out(&output));
    let artifacts = list["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 1_203);
    assert_eq!(artifacts[1_202]["id"], "skill:s1202");
    assert_eq!(
        (&list["total"], &list["complete"]),
        (&Value::from(TOTAL), &Value::from(false))
    );

    let output = place.run(&["list", "--limit", "501"]);
    assert_eq!(out(&output).lines().count(), 502);
    assert!(
        !out(&output).contains('\u{1b}'),
        "an escape code came through"
    );
    assert!(
        err(&output).contains("501 of 1203 artifacts"),
        "{}",
        err(&output)
    );
    assert!(
        err(&output).contains("still being read"),
        "{}",
        err(&output)
    );
    assert_eq!(err(&place.run(&["list", "--limit", "5", "-q"])), "");
    assert_eq!(
        out(&place.run(&["list", "--limit", "0", "--json"]))
            .matches("\"id\"")
            .count(),
        0
    );
}

#[test]
fn errors_of_the_daemon_keep_code_hint_and_exit() {
    let place = Place::new();
    let _daemon = place.serve();
    let output = place.run(&["show", "s2"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        err(&output),
        "error: there is no artifact `s2`\nhint: did you mean `s1`?\n"
    );
    let output = place.run(&["show", "s2", "--json"]);
    assert_eq!(json(&err(&output))["error"]["code"], "artifact.not_found");
    // A service that this daemon does not have.
    let output = place.run(&["cache", "status"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(
        err(&output).contains("sm daemon restart"),
        "{}",
        err(&output)
    );
}

#[test]
fn show_escapes_names_and_names_the_line() {
    let place = Place::new();
    let _daemon = place.serve();
    let text = out(&place.run(&["show", "skill:s1"]));
    assert!(text.contains("bad\\nname.md  2.0 KiB"), "{text}");
    assert!(
        text.contains("skills/s1/SKILL.md:3: a quote is missing"),
        "{text}"
    );
    let value = json(&out(&place.run(&["show", "s1", "--json"])));
    assert_eq!(value["files"][0]["path"], "bad\nname.md");
    assert_eq!(value["type"], "skill");
}

#[test]
fn a_call_outlives_start_and_end_of_a_daemon() {
    let place = Place::new();
    let _daemon = place.serve();
    let output = place.run(&["show", "busy", "--json"]);
    assert_eq!(json(&err(&output))["error"]["code"], "artifact.ambiguous");
}

#[test]
fn a_call_has_a_deadline() {
    let place = Place::new();
    let _daemon = place.serve();
    let start = Instant::now();
    let output = place.run(&["show", "slow", "--timeout", "1"]);
    assert_eq!(output.status.code(), Some(8), "{}", err(&output));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn exit_codes_of_add() {
    let place = Place::new();
    let _daemon = place.serve();
    for (args, code) in [
        (&["add", "added"][..], 0),
        (&["add", "conflict"], 4),
        (&["add", "failed"], 2),
        (&["add", "added", "conflict"], 9),
        (&["add", "added", "failed"], 9),
        (&["add", "--all", "added", "conflict", "skipped"], 0),
        (&["add", "--all", "added", "failed"], 9),
    ] {
        let output = place.run(args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            err(&output)
        );
    }
    let output = place.run(&["add", "--all", "added", "skipped", "--json"]);
    let value = json(&out(&output));
    assert_eq!(value["added"], 1);
    assert_eq!(value["items"][1]["result"], "skipped");
    let source = place.folder.path().canonicalize().unwrap().join("added");
    assert_eq!(value["items"][0]["source"], source.to_str().unwrap());
}

#[test]
fn watch_ends_when_its_reader_does() {
    let place = Place::new();
    let _daemon = place.serve();
    let mut child = place
        .command(&["watch", "--json", "--since", "7"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(json(&line)["continuous"], false);
    line.clear();
    reader.read_line(&mut line).unwrap();
    assert_eq!(json(&line)["seq"], 42);
    // The stream is silent now; closing the pipe alone must end the command.
    drop(reader);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn watch_ends_at_an_interrupt_with_130() {
    let place = Place::new();
    let _daemon = place.serve();
    let mut child = place
        .command(&["watch"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.contains("stream.started"), "{line}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn names_are_completed_from_the_daemon() {
    let place = Place::new();
    let _daemon = place.serve();
    let output = place
        .command(&["--", "sm", "show", "pd"])
        .env("SM_COMPLETE", "fish")
        .output()
        .unwrap();
    assert!(out(&output).contains("pd-artifact"), "{}", out(&output));
}

#[test]
fn a_wedged_daemon_is_told_within_a_second_and_a_half() {
    let place = Place::new();
    // It accepts, as the system does for it, and never says a word.
    let _listener = place.listen(skillmeat_proto::PROTOCOL);
    let start = Instant::now();
    let output = place.run(&["list"]);
    assert!(
        start.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(output.status.code(), Some(8));
    assert!(
        err(&output).contains("hint: run `sm daemon restart --force`"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_socket_that_others_can_use_is_refused() {
    let place = Place::new();
    let _daemon = place.serve();
    // Without an owner whatever stands there is none of a daemon's.
    let lock = place.home.lock_file();
    let _held = skillmeat_shared::fs::FileLock::acquire(&lock, Duration::ZERO).unwrap();
    std::fs::set_permissions(place.socket(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let output = place.run(&["list"]);
    assert_eq!(output.status.code(), Some(5), "{}", err(&output));
    std::fs::set_permissions(place.socket(), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(place.home.run_dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = place.run(&["list", "--json"]);
    assert_eq!(
        json(&err(&output))["error"]["code"],
        "daemon.untrusted_socket"
    );
}

#[test]
fn another_protocol_is_refused() {
    let place = Place::new();
    let _listener = place.listen("2.0");
    let output = place.run(&["list"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(
        err(&output).contains("speaks protocol 2.0"),
        "{}",
        err(&output)
    );
}

#[test]
fn what_an_older_daemon_does_not_know_is_told() {
    let place = Place::new();
    let _daemon = place.serve();
    // It knows neither the handshake nor these services, and what it knows goes on working.
    for args in [&["search", "x"][..], &["cache", "status"], &["db", "check"]] {
        let output = place.run(&[args, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(7), "{args:?}");
        let error = &json(&err(&output))["error"];
        assert_eq!(error["code"], "daemon.too_old", "{error}");
        let hints = error["hints"].to_string();
        assert!(hints.contains("sm daemon restart"), "{hints}");
    }
    assert!(place.run(&["list"]).status.success());
}

#[test]
fn leftovers_are_no_daemon() {
    let place = Place::new();
    drop(place.listen(skillmeat_proto::PROTOCOL));
    let output = place.run(&["list"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(
        err(&output).contains("no daemon is running"),
        "{}",
        err(&output)
    );
    std::fs::remove_file(place.socket()).unwrap();
    assert!(err(&place.run(&["list"])).contains("no daemon is running"));
    let held = skillmeat_shared::fs::FileLock::try_acquire(&place.home.lock_file())
        .unwrap()
        .unwrap();
    let output = place.run(&["list", "--json"]);
    assert_eq!(
        json(&err(&output))["error"]["code"],
        "daemon.unreachable_owner"
    );
    drop(held);
}
