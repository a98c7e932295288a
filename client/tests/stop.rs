//! Ending a daemon that does not listen. A sleeping process that holds the lock plays the daemon.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use skillmeat_shared::fs::FileLock;
use skillmeat_shared::paths::Home;
use skillmeat_shared::rendezvous::{Rendezvous, start_ticks};
use tempfile::TempDir;

/// A home and the process that owns it.
struct Owned {
    _folder: TempDir,
    home: Home,
    owner: Child,
}

impl Owned {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().canonicalize().unwrap().join("home"));
        let lock = FileLock::try_acquire(&home.lock_file()).unwrap().unwrap();
        // The lock belongs to the open file, so the child goes on holding it after we let go.
        let owner = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::from(lock.file().try_clone().unwrap()))
            .spawn()
            .unwrap();
        Self {
            _folder: folder,
            home,
            owner,
        }
    }

    fn exe(&self) -> PathBuf {
        std::fs::read_link(format!("/proc/{}/exe", self.owner.id())).unwrap()
    }

    fn rendezvous(&self, pid: u32, exe: Option<PathBuf>) {
        self.rendezvous_of(pid, exe, start_ticks(pid));
    }

    fn rendezvous_of(&self, pid: u32, exe: Option<PathBuf>, start_ticks: Option<u64>) {
        let rendezvous = Rendezvous {
            socket: self.home.run_dir().join("gone"),
            pid,
            instance: "played".to_owned(),
            version: "0.0.9".to_owned(),
            protocol: "1.0".to_owned(),
            manager: "auto".to_owned(),
            started_at: 1,
            exe,
            start_ticks,
            home: None,
        };
        rendezvous.save(&self.home.rendezvous()).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sm"))
            .args(args)
            .arg("--home")
            .arg(self.home.root())
            .env_clear()
            .env("HOME", self.home.root())
            .env("SM_NO_AUTOSTART", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn is_alive(&mut self) -> bool {
        self.owner.try_wait().unwrap().is_none()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.owner.kill().ok();
        self.owner.wait().ok();
    }
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_daemon_without_a_socket_is_ended_by_force_only() {
    let mut owned = Owned::new();
    owned.rendezvous(owned.owner.id(), Some(owned.exe()));
    for args in [&["list"][..], &["daemon", "status"], &["daemon", "stop"]] {
        let output = owned.run(args);
        assert_eq!(output.status.code(), Some(7), "{args:?}: {}", err(&output));
        assert!(err(&output).contains("owns"), "{args:?}: {}", err(&output));
    }
    assert!(owned.is_alive());
    // Also when it is stopped and takes no notice of anything.
    kill_process(Pid::from_child(&owned.owner), Signal::STOP).unwrap();
    let output = owned.run(&["daemon", "stop", "--force"]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(!owned.owner.wait().unwrap().success());
}

#[test]
fn a_stranger_is_never_ended() {
    let mut owned = Owned::new();
    // Nobody says who it is; then the wrong one; then one that is no daemon by its name.
    let output = owned.run(&["daemon", "stop", "--force"]);
    assert_eq!(output.status.code(), Some(7), "{}", err(&output));
    owned.rendezvous(1, None);
    assert_eq!(
        owned.run(&["daemon", "stop", "--force"]).status.code(),
        Some(7)
    );
    owned.rendezvous(std::process::id(), std::env::current_exe().ok());
    let output = owned.run(&["daemon", "stop", "--force"]);
    assert!(
        err(&output).contains("does not hold its lock"),
        "{}",
        err(&output)
    );
    owned.rendezvous(owned.owner.id(), None);
    let output = owned.run(&["daemon", "stop", "--force"]);
    assert!(err(&output).contains("another program"), "{}", err(&output));
    assert!(owned.is_alive());
}

#[test]
fn a_process_that_took_over_the_number_is_never_ended() {
    let mut owned = Owned::new();
    let (pid, exe) = (owned.owner.id(), owned.exe());
    let Some(ticks) = start_ticks(pid) else {
        eprintln!("skipped: this system does not tell when a process started");
        return;
    };
    owned.rendezvous_of(pid, Some(exe.clone()), Some(ticks - 1));
    let output = owned.run(&["daemon", "stop", "--force"]);
    assert_eq!(output.status.code(), Some(7), "{}", err(&output));
    assert!(err(&output).contains("another time"), "{}", err(&output));
    assert!(owned.is_alive());
    // An earlier version did not say when.
    owned.rendezvous_of(pid, Some(exe), None);
    let output = owned.run(&["daemon", "stop", "--force"]);
    assert!(output.status.success(), "{}", err(&output));
}
