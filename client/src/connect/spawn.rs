//! Starting the daemon: which program, how, and what it says about it.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use skillmeat_shared::paths::{Environment, Home};
use skillmeat_shared::rendezvous::StartupReport;
use skillmeat_shared::{Code, Error, Result};

/// How long a daemon may take to report that it serves.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest report, in bytes.
const MAX_REPORT: usize = 64 * 1024;

/// The daemon's program: `$SKILLMEATD`, else the one beside this program, else the one on `PATH`.
pub(crate) fn program(env: &dyn Environment) -> Result<PathBuf> {
    if let Some(given) = env
        .path("SKILLMEATD")
        .filter(|path| !path.as_os_str().is_empty())
    {
        return if given.is_file() {
            Ok(given)
        } else {
            Err(Error::new(
                Code::DaemonStartFailed,
                format!(
                    "`SKILLMEATD` names `{}`, which is no program",
                    given.display()
                ),
            )
            .hint("unset `SKILLMEATD`, or let it name `skillmeatd`"))
        };
    }
    let beside = std::env::current_exe()
        .and_then(|exe| exe.canonicalize())
        .ok()
        .and_then(|exe| exe.parent().map(|folder| folder.join("skillmeatd")));
    if let Some(beside) = beside.filter(|path| path.is_file()) {
        return Ok(beside);
    }
    env.path("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        // A relative folder would mean another program in every folder.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("skillmeatd"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Error::new(
                Code::DaemonStartFailed,
                "the program `skillmeatd` is not installed",
            )
            .hint("put `skillmeatd` beside `sm` or on `PATH`, or let `SKILLMEATD` name it")
        })
}

/// Starts a daemon for this home and waits until it serves or gives up.
///
/// # Errors
/// What the daemon itself reports; [`Code::DaemonStartFailed`] if it reports nothing.
pub(super) fn start(home: &Home, env: &dyn Environment) -> Result<StartupReport> {
    let program = program(env)?;
    let mut child = Command::new(&program)
        .arg("--startup-report")
        .arg("--home")
        .arg(home.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| {
            let io = Error::io("start", &program, &error);
            Error {
                code: Code::DaemonStartFailed,
                ..io
            }
            .hint("check that it is a program which may be run on this machine")
        })?;
    if let Some(line) = read_report(&mut child)? {
        return StartupReport::parse(&line)
            .ok_or_else(|| mute(home, &program, "said something that is no start-up report"))?
            .into_result();
    }
    // The pipe is closed, so the process has ended or is about to.
    let how = match child.try_wait() {
        Ok(Some(status)) => format!("ended without a report ({status})"),
        _ => "closed its output without a report".to_owned(),
    };
    Err(mute(home, &program, &how))
}

fn mute(home: &Home, program: &Path, how: &str) -> Error {
    Error::new(
        Code::DaemonStartFailed,
        format!("`{}` {how}", program.display()),
    )
    .hint("look at the last lines of `sm daemon logs`")
    .hint(format!(
        "`{}` tells how the last start went",
        home.last_start().display()
    ))
    .hint("run `sm daemon run` to see it fail in the foreground")
}

/// The first line that the process prints; `None` if its output ends before.
fn read_report(child: &mut Child) -> Result<Option<String>> {
    let Some(mut stdout) = child.stdout.take() else {
        return Ok(None);
    };
    let deadline = Instant::now() + PATIENCE;
    let mut line = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || line.len() > MAX_REPORT {
            return Err(Error::new(
                Code::DaemonStartFailed,
                format!(
                    "the daemon (pid {}) did not report within {} s",
                    child.id(),
                    PATIENCE.as_secs()
                ),
            )
            .hint("look at `sm daemon status` and the last lines of `sm daemon logs`"));
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let ready = {
            let mut polled = [PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::IN)];
            poll(&mut polled, Some(&timeout))
        };
        match ready {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => {
                return Err(Error::new(
                    Code::DaemonStartFailed,
                    format!("can't wait for the daemon's report: {error}"),
                ));
            }
        }
        let mut chunk = [0; 4096];
        let read = match stdout.read(&mut chunk) {
            Ok(0) => return Ok(None),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Error::new(
                    Code::DaemonStartFailed,
                    format!("can't read the daemon's report: {error}"),
                ));
            }
        };
        line.extend(chunk.iter().take(read));
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
        }
    }
}
