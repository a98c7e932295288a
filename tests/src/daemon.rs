//! The daemon of a test's home, seen from outside: which process it is, ending it, its log.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use skillmeat_shared::paths::Home;
use skillmeat_shared::rendezvous::Rendezvous;

use crate::wait::until_true;

/// The lines of the log that a failed test shows.
const TAIL: usize = 60;

/// What the daemon says of where it is, if it says so.
pub fn rendezvous(home: &Home) -> Option<Rendezvous> {
    Rendezvous::load(&home.rendezvous()).ok().flatten()
}

/// Processes that are a daemon of this home: their program and their environment say so.
pub fn processes(home: &Path) -> Vec<u32> {
    let Ok(all) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_daemon_of(*pid, home))
        .collect()
}

/// Whether a process is a daemon of this home.
pub fn is_daemon_of(pid: u32, home: &Path) -> bool {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let is_daemon = program
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("skillmeatd"));
    let home_is = |name: &str, path: &Path| {
        [name.as_bytes(), b"=", path.as_os_str().as_encoded_bytes()].concat()
    };
    // A test may give its user several homes.
    let user = home.parent().unwrap_or(home);
    let wanted = [home_is("SKILLMEAT_HOME", home), home_is("HOME", user)];
    is_daemon
        && std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|variable| wanted.iter().any(|wanted| wanted == variable))
        })
}

/// Sends a signal to a process of this home; nothing if it is not (or no longer) one.
pub fn signal(pid: u32, home: &Path, signal: Signal) {
    if is_daemon_of(pid, home)
        && let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
    {
        // It may end by itself at the same moment.
        kill_process(pid, signal).ok();
    }
}

/// Ends every daemon of this home at once and waits until none is left.
#[track_caller]
pub fn kill_all(home: &Path) {
    until_true("the end of the daemon", || kill_running(home) == 0);
}

/// Ends the daemons that serve a home now, as a power cut would, and waits for nothing. How many there were.
pub fn kill_running(home: &Path) -> usize {
    let all = processes(home);
    for pid in &all {
        signal(*pid, home, Signal::KILL);
    }
    all.len()
}

/// The last lines of the daemon's log.
pub fn log_tail(home: &Home) -> String {
    let bytes = std::fs::read(home.log_file()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// How many places the daemon says that it has kept for the first time.
pub fn kept_first(home: &Home) -> u64 {
    let log = std::fs::read_to_string(home.log_file()).unwrap_or_default();
    let kept = log.lines().filter_map(|line| {
        let (_, fields) = line.split_once("kept for the first time")?;
        let (_, count) = fields.split_once("places=")?;
        count.split_whitespace().next()?.parse::<u64>().ok()
    });
    kept.sum()
}
