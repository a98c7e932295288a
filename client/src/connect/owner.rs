//! Who owns a home: whether a daemon lives, and how to end one that does not listen.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
#[cfg(target_os = "linux")]
use rustix::process::{PidfdFlags, pidfd_open};
use skillmeat_shared::fs::FileLock;
use skillmeat_shared::paths::Home;
use skillmeat_shared::rendezvous::{Rendezvous, StartupReport, start_ticks};
use skillmeat_shared::{Code, Error, Result};
use tokio::time::{Instant, sleep};

/// How long to wait between two looks at the lock.
const REST: Duration = Duration::from_millis(10);

/// How long a process may take to end once it has given up the home.
#[cfg(target_os = "linux")]
const AFTER_ALL: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// How long the system may take to end a process after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(5);

/// Whether some daemon holds the home's lock. Never makes the lock file.
///
/// The look itself takes the lock for an instant, and a daemon that starts in that instant would believe
/// in another one: so hold the start lock meanwhile if you can.
pub(crate) fn is_owned(home: &Home) -> Result<bool> {
    let path = home.lock_file();
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("open", &path, &error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path, &error)),
    }
}

/// As [`is_owned`], for a look that interferes with no start: while somebody starts a daemon, the home
/// counts as owned.
pub(crate) fn is_owned_or_starting(home: &Home) -> Result<bool> {
    if !home.lock_file().exists() {
        return Ok(false);
    }
    match FileLock::try_acquire(&home.start_lock())? {
        Some(_held) => is_owned(home),
        None => Ok(true),
    }
}

/// Why the last start of a daemon failed, if it did.
pub(crate) fn last_failure(home: &Home) -> Option<Error> {
    let last = StartupReport::load(&home.last_start()).ok().flatten();
    last?.into_result().err()
}

/// Waits until nobody owns the home. Whether that came true within `patience`.
pub(crate) async fn wait_until_free(home: &Home, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        if !is_owned(home)? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(REST).await;
    }
}

/// The process of this number, if one may have it.
pub(crate) fn numbered(pid: u32) -> Option<Pid> {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 1)?;
    Pid::from_raw(pid)
}

/// Waits until the process of a daemon that owns the home no more has let go of all its files, where that can be seen.
pub(crate) fn wait_until_ended(pid: Option<Pid>) {
    // Told once its last thread has closed all that it had open, also while nobody has reaped it. What /proc says of
    // the first thread is said while others may still hold files.
    #[cfg(target_os = "linux")]
    if let Some(Ok(ended)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
        poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&AFTER_ALL)).ok();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = pid;
}

/// Asks a daemon that can't be called to end, by SIGTERM, after making sure that it is the one. Hold the
/// start lock.
pub(super) fn ask_to_end(home: &Home) -> Result<()> {
    if is_owned(home)? {
        // It may end by itself at the same moment; whether it does is seen by the lock.
        kill_process(identify(home)?, Signal::TERM).ok();
    }
    Ok(())
}

/// Ends a daemon that does not listen: SIGTERM, after `patience` SIGKILL, after making sure that the process is the
/// one that wrote the rendezvous. Hold the start lock.
pub(crate) async fn end_by_force(home: &Home, patience: Duration) -> Result<()> {
    if !is_owned(home)? {
        return Ok(());
    }
    let process = identify(home)?;
    for (signal, patience) in [(Signal::TERM, patience), (Signal::KILL, AFTER_KILL)] {
        // Stopped processes act on SIGTERM only after they are continued.
        for signal in [signal, Signal::CONT] {
            match kill_process(process, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => {
                    return Err(Error::new(
                        Code::DaemonUnreachableOwner,
                        format!(
                            "can't end the daemon (pid {}): {error}",
                            process.as_raw_nonzero()
                        ),
                    ));
                }
            }
        }
        if wait_until_free(home, patience).await? {
            wait_until_ended(Some(process));
            return Ok(());
        }
    }
    Err(Error::new(
        Code::DaemonUnreachableOwner,
        format!("the daemon (pid {}) does not end", process.as_raw_nonzero()),
    )
    .hint("the system may wait for a disk or a network share; try again later"))
}

/// The process of the daemon that owns the home, if the rendezvous names it truly: the process exists, is
/// still the one that wrote it, runs a program called `skillmeatd`, and has the lock file open.
fn identify(home: &Home) -> Result<Pid> {
    let unknown = |why: &str| {
        Error::new(
            Code::DaemonUnreachableOwner,
            format!("some process owns `{}`, but {why}", home.root().display()),
        )
        .hint(format!(
            "find it with `fuser {}` and end it",
            home.lock_file().display()
        ))
    };
    let rendezvous = Rendezvous::load(&home.rendezvous())?
        .ok_or_else(|| unknown("it left no word about which one it is"))?;
    let pid =
        numbered(rendezvous.pid).ok_or_else(|| unknown("the number that it left is no process"))?;
    let process = Path::new("/proc").join(rendezvous.pid.to_string());
    if Path::new("/proc/self").exists() {
        let exe = std::fs::read_link(process.join("exe")).map_err(|_| {
            unknown("the process that it names is gone or belongs to somebody else")
        })?;
        // After an upgrade the system says "skillmeatd (deleted)".
        let named = exe
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let same = rendezvous
            .exe
            .as_ref()
            .is_some_and(|started| *started == exe);
        if !same && named.split(' ').next() != Some("skillmeatd") {
            return Err(unknown(&format!(
                "process {} is another program",
                rendezvous.pid
            )));
        }
        if rendezvous.start_ticks.is_some() && rendezvous.start_ticks != start_ticks(rendezvous.pid)
        {
            return Err(unknown(&format!(
                "process {} started at another time than the one that it names",
                rendezvous.pid
            )));
        }
        if !holds(&process, &home.lock_file()) {
            return Err(unknown(&format!(
                "process {} does not hold its lock",
                rendezvous.pid
            )));
        }
    }
    Ok(pid)
}

/// Whether a process has the file open.
fn holds(process: &Path, file: &Path) -> bool {
    std::fs::read_dir(process.join("fd")).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|open| open == file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().canonicalize().unwrap().join("home"));
        (folder, home)
    }

    #[test]
    fn a_home_is_owned_while_its_lock_is_held() {
        let (_folder, home) = home();
        assert!(!is_owned(&home).unwrap());
        assert!(!home.lock_file().exists());
        let held = FileLock::try_acquire(&home.lock_file()).unwrap().unwrap();
        assert!(is_owned(&home).unwrap());
        assert!(is_owned_or_starting(&home).unwrap());
        drop(held);
        assert!(!is_owned_or_starting(&home).unwrap());
    }

    #[tokio::test]
    async fn only_the_daemon_is_ended() {
        let (_folder, home) = home();
        let _held = FileLock::try_acquire(&home.lock_file()).unwrap().unwrap();
        let error = end_by_force(&home, AFTER_KILL).await.unwrap_err();
        assert_eq!(error.code, Code::DaemonUnreachableOwner);
        // This test is a living process and holds the lock, but it is no daemon.
        let rendezvous = Rendezvous {
            socket: home.run_dir().join("s"),
            pid: std::process::id(),
            instance: "x".to_owned(),
            version: "0".to_owned(),
            protocol: "1.0".to_owned(),
            manager: "auto".to_owned(),
            started_at: 0,
            exe: None,
            start_ticks: None,
            home: None,
        };
        rendezvous.save(&home.rendezvous()).unwrap();
        let error = end_by_force(&home, AFTER_KILL).await.unwrap_err();
        assert!(
            error.message.contains("another program"),
            "{}",
            error.message
        );
    }
}
