//! Whether the daemon runs, answers, and is the one that should run.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use skillmeat_proto::v1;
use skillmeat_shared::doctor::{
    self, DAEMON_INCOMPATIBLE, DAEMON_OTHER_VERSION, DAEMON_SILENT, DAEMON_START_FAILED,
    DAEMON_UNREACHABLE, FOREIGN_OWNER, Finding, NOT_WRITABLE, Repair, SOCKET_UNTRUSTED,
    STALE_BINARY,
};
use skillmeat_shared::paths::Home;
use skillmeat_shared::rendezvous::Rendezvous;
use skillmeat_shared::{Code, Error, Result};
use tokio::time::{Instant, sleep};

use crate::commands::{Context, status};
use crate::connect::{self, Session};

/// How long the daemon may take for an answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How long the check of its database may take.
const CHECK: Duration = Duration::from_mins(2);

/// How long a daemon that is about to start or to end is waited for.
const SETTLES: Duration = Duration::from_secs(2);

/// What was learnt of the daemon.
#[derive(Default)]
pub(super) struct Daemon {
    /// `running`, `stopped`, `silent`, `incompatible`, `untrusted` or `unreachable`.
    pub(super) state: &'static str,
    /// What stands in the rendezvous.
    pub(super) at: Option<Rendezvous>,
    pub(super) status: Option<v1::StatusResponse>,
    told: Option<v1::DiagnoseResponse>,
    /// What SQLite finds wrong with the cache, if the daemon could be asked.
    pub(super) checked: Option<Result<Vec<String>>>,
}

impl Daemon {
    /// What it is, in words.
    pub(super) fn words(&self) -> String {
        match (&self.status, &self.at) {
            (Some(status), _) => format!(
                "{}, pid {}, version {}, {}",
                status.state,
                status.pid,
                status.version,
                run_by(&status.manager)
            ),
            (None, Some(at)) if self.state != "stopped" => {
                format!("{}, pid {}, version {}", self.state, at.pid, at.version)
            }
            _ if self.state == "stopped" => "not running".to_owned(),
            _ => self.state.to_owned(),
        }
    }

    /// A variable of its environment.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let mut all = self.environment().iter();
        let found = all.find(|variable| variable.name == name)?;
        Some(found.value.clone())
    }

    pub(super) fn environment(&self) -> &[v1::EnvironmentVariable] {
        self.told.as_ref().map_or(&[], |told| &told.environment)
    }

    pub(super) fn warnings(&self) -> &[v1::Warning] {
        self.status.as_ref().map_or(&[], |status| &status.warnings)
    }
}

/// Who runs a daemon, in words.
fn run_by(manager: &str) -> String {
    match manager {
        "auto" => "started by a command".to_owned(),
        "foreground" => "in the foreground".to_owned(),
        other => format!("run by {other}"),
    }
}

/// Looks for the daemon and asks it how it is.
pub(super) async fn look(home: &Home, context: &Context) -> (Daemon, Vec<Finding>) {
    let mut daemon = Daemon {
        state: "stopped",
        at: Rendezvous::load(&home.rendezvous()).ok().flatten(),
        ..Daemon::default()
    };
    match reach(home).await {
        Ok(Some((at, status))) => {
            daemon.at = Some(at);
            daemon.status = Some(status);
        }
        Ok(None) => return (daemon, without_daemon(home)),
        Err(error) => {
            let finding = of_error(home, &mut daemon, &error);
            // What is wrong with a folder the check of the folders tells.
            let is_blocked = error.code == Code::HomeUnusable || !home.misplaced().is_empty();
            let told = (!is_blocked).then_some(finding);
            return (daemon, told.into_iter().collect());
        }
    }
    daemon.state = "running";
    let patience = context.deadline(CHECK);
    if let Ok(Some(session)) = connect::existing(home, patience).await {
        daemon.told = surroundings(&session).await.ok();
        daemon.checked = Some(check(&session).await);
    }
    let findings = of_running(&daemon);
    (daemon, findings)
}

/// The daemon that runs, and its status. One that is starting or ending is waited for.
async fn reach(home: &Home) -> Result<Option<(Rendezvous, v1::StatusResponse)>> {
    let give_up = Instant::now() + SETTLES;
    loop {
        let is_late = Instant::now() >= give_up;
        if let Some(session) = connect::existing(home, ANSWER).await? {
            match status::ask(&session).await {
                Ok(status) => return Ok(Some((session.rendezvous, status))),
                // It ends in this moment.
                Err(error) if !is_late && connect::is_end(error.code) => {}
                Err(error) => return Err(error),
            }
        } else if !connect::is_owned_or_starting(home)? {
            return Ok(None);
        } else if is_late {
            return Err(Error::new(
                Code::DaemonUnreachableOwner,
                format!(
                    "a daemon owns `{}`, but its socket can't be reached",
                    home.root().display()
                ),
            ));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What the daemon was started with.
async fn surroundings(session: &Session) -> Result<v1::DiagnoseResponse> {
    session.call(v1::DiagnoseRequest {}).await
}

/// What SQLite finds wrong with the cache.
async fn check(session: &Session) -> Result<Vec<String>> {
    let request = v1::DbCheckRequest { thorough: false };
    let found: v1::DbCheckResponse = session.call(request).await?;
    Ok(found.findings)
}

fn of_error(home: &Home, daemon: &mut Daemon, error: &Error) -> Finding {
    let (state, diagnosis) = match error.code {
        Code::DaemonTimeout => ("silent", &DAEMON_SILENT),
        Code::DaemonProtocol => ("incompatible", &DAEMON_INCOMPATIBLE),
        Code::DaemonUntrustedSocket => ("untrusted", &SOCKET_UNTRUSTED),
        _ => match (&error.path, connect::is_owned(home)) {
            (None, _) | (_, Ok(true)) => ("unreachable", &DAEMON_UNREACHABLE),
            // A file kept us from looking: nobody saw a daemon.
            (Some(path), owned) => (
                if owned.is_ok() {
                    "stopped"
                } else {
                    "unreachable"
                },
                if is_foreign(path) {
                    &FOREIGN_OWNER
                } else {
                    &NOT_WRITABLE
                },
            ),
        },
    };
    daemon.state = state;
    let finding = Finding::new(diagnosis, "", error.message.clone());
    let Some(path) = &error.path else {
        return finding;
    };
    let finding = finding.at(path, None);
    if error.code == Code::DaemonUntrustedSocket && is_own_folder(path) {
        return finding.mended_by(Repair::Mode(path.clone(), 0o700));
    }
    finding
}

/// Whether a file belongs to another user.
fn is_foreign(path: &Path) -> bool {
    std::fs::symlink_metadata(path)
        .is_ok_and(|found| found.uid() != rustix::process::geteuid().as_raw())
}

/// Whether only the mode of a folder is wrong.
fn is_own_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) && !is_foreign(path)
}

fn of_running(daemon: &Daemon) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(status) = &daemon.status else {
        return findings;
    };
    let ours = env!("CARGO_PKG_VERSION");
    if status.version != ours {
        let message = format!(
            "the daemon is of version {}, this program of {ours}",
            status.version
        );
        findings.push(Finding::new(&DAEMON_OTHER_VERSION, "", message));
    }
    let exe = std::fs::read_link(format!("/proc/{}/exe", status.pid));
    if let Some(path) = exe.ok().and_then(|exe| {
        let path = exe.to_str()?.strip_suffix(" (deleted)")?;
        Some(path.to_owned())
    }) {
        let message = format!("`{path}` is not what process {} runs", status.pid);
        findings.push(Finding::new(&STALE_BINARY, "", message).at(path, None));
    }
    findings
}

/// What is wrong where no daemon runs.
fn without_daemon(home: &Home) -> Vec<Finding> {
    let mut findings = doctor::left_by_a_daemon(home);
    if let Some(error) = connect::last_failure(home) {
        let message = format!("the last start failed: {error}");
        let path = error.path.clone().unwrap_or_else(|| home.last_start());
        findings.push(Finding::new(&DAEMON_START_FAILED, "", message).at(path, error.line));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|one| one.diagnosis.code).collect()
    }

    #[test]
    fn a_daemon_that_can_not_be_asked_is_told_by_why() {
        let cases = [
            (Code::DaemonTimeout, "silent", "daemon-silent"),
            (Code::DaemonProtocol, "incompatible", "daemon-incompatible"),
            (Code::DaemonUntrustedSocket, "untrusted", "socket-untrusted"),
            (
                Code::DaemonUnreachableOwner,
                "unreachable",
                "daemon-unreachable",
            ),
        ];
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        for (code, state, diagnosis) in cases {
            let mut daemon = Daemon::default();
            let finding = of_error(&home, &mut daemon, &Error::new(code, "why"));
            assert_eq!((daemon.state, finding.diagnosis.code), (state, diagnosis));
            assert_eq!((&*finding.message, finding.repair), ("why", None));
        }
        // Where a file can't be used and nobody owns the home there is none.
        let mut daemon = Daemon::default();
        let lock = folder.path().join("lock");
        let error = Error::new(Code::FileIo, "why").at(lock, None);
        let finding = of_error(&home, &mut daemon, &error);
        let told = (daemon.state, finding.diagnosis.code);
        assert_eq!(told, ("stopped", "not-writable"));
    }

    #[test]
    fn a_daemon_of_another_version_is_told() {
        let running = |version: &str| {
            let status = v1::StatusResponse {
                version: version.to_owned(),
                ..v1::StatusResponse::default()
            };
            of_running(&Daemon {
                status: Some(status),
                ..Daemon::default()
            })
        };
        assert!(running(env!("CARGO_PKG_VERSION")).is_empty());
        let findings = running("0.0.1");
        assert_eq!(codes(&findings), ["daemon-other-version"]);
        assert!(findings[0].message.contains("0.0.1"), "{findings:?}");
        assert!(of_running(&Daemon::default()).is_empty());
    }
}
