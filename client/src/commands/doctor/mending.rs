//! `--fix`: mends what is safe to mend.

use std::path::PathBuf;
use std::time::Duration;

use skillmeat_shared::doctor::{Finding, RENDEZVOUS_STALE, SOCKET_STALE, mend};
use skillmeat_shared::fs::FileLock;
use skillmeat_shared::paths::Home;
use skillmeat_shared::{Code, Error, Result};

use super::Examined;
use crate::commands::now;
use crate::connect;

/// How long to wait for whoever is starting a daemon.
const START_LOCK: Duration = Duration::from_secs(15);

/// What became of one finding.
pub(super) struct Attempt {
    pub(super) code: &'static str,
    pub(super) subject: String,
    pub(super) result: Result<mend::Mended>,
}

/// What was mended.
pub(super) struct Mending {
    pub(super) attempts: Vec<Attempt>,
    /// Where the bytes are that were taken away.
    pub(super) kept_in: Option<PathBuf>,
}

impl Mending {
    pub(super) const fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }
}

/// Mends everything that says how.
pub(super) async fn mend(home: &Home, examined: &Examined) -> Result<Mending> {
    let wanted: Vec<&Finding> = examined
        .findings()
        .filter(|finding| finding.repair.is_some())
        .collect();
    // Nobody starts a daemon while we take away what a former one left.
    let of_daemon = |finding: &Finding| {
        [&RENDEZVOUS_STALE, &SOCKET_STALE]
            .into_iter()
            .any(|one| one.code == finding.diagnosis.code)
    };
    let held = if wanted.iter().any(|finding| of_daemon(finding)) {
        Some(FileLock::acquire(&home.start_lock(), START_LOCK)?)
    } else {
        None
    };
    let is_free = held.is_some() && connect::wait_until_free(home, Duration::ZERO).await?;
    let keep = mend::keep(home, now());
    let mut attempts = Vec::new();
    for finding in wanted {
        let Some(repair) = &finding.repair else {
            continue;
        };
        let result = if of_daemon(finding) && !is_free {
            Err(Error::new(
                Code::DaemonAlreadyRunning,
                "a daemon has started meanwhile",
            ))
        } else {
            mend::mend(repair, &keep)
        };
        attempts.push(Attempt {
            code: finding.diagnosis.code,
            subject: finding.subject.clone(),
            result,
        });
    }
    let has_kept = |attempt: &Attempt| {
        let mended = attempt.result.as_ref();
        mended.is_ok_and(|mended| mended.saved.is_some())
    };
    let kept_in = attempts.iter().any(has_kept).then_some(keep);
    Ok(Mending { attempts, kept_in })
}
