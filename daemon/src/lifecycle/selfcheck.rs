//! The daemon looks after itself, on a thread that nothing else runs on: once a period it calls itself
//! through its own socket, and then runs the checks that the rooms have added.
//!
//! A process whose server no longer answers looks alive to everybody but its clients. So after
//! [`FAILURES`] calls in a row without an answer it ends with exit code 70, and a service manager or the
//! next `sm` starts another one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skillmeat_shared::failpoint;

use super::ping;
use super::shutdown::Shutdown;
use super::supervisor::Supervisor;

/// Calls in a row without an answer that end the process. Once may be a machine that just woke up.
const FAILURES: u32 = 3;

/// An answer may take a third of the period, within these bounds.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(20));

/// What a round has found before the checks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Findings {
    /// The daemon answered its own call.
    pub answers: bool,
}

/// Something that is looked at once a period. It must not take long.
pub type Check = Box<dyn FnMut(Findings) + Send>;

struct Inner {
    checks: Mutex<Vec<Check>>,
    period: Mutex<Duration>,
    failures: Mutex<u32>,
}

/// The thread and its checks. Clones are one and the same.
#[derive(Clone)]
pub struct SelfCheck {
    inner: Arc<Inner>,
}

impl SelfCheck {
    /// Nothing to check yet.
    pub fn new(period: Duration) -> Self {
        let inner = Inner {
            checks: Mutex::default(),
            period: Mutex::new(period),
            failures: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Adds a check, which runs from the next round on.
    pub fn add(&self, check: impl FnMut(Findings) + Send + 'static) {
        lock(&self.inner.checks).push(Box::new(check));
    }

    /// Looks at least this often; for whoever waits for a sign of life.
    pub fn at_least_every(&self, period: Duration) {
        let mut current = lock(&self.inner.period);
        *current = (*current).min(period);
    }

    /// Starts the thread. `socket` tells where the daemon can be reached now.
    pub(crate) fn start(
        &self,
        socket: impl Fn() -> Option<PathBuf> + Send + Sync + 'static,
        supervisor: &Supervisor,
        shutdown: &Shutdown,
    ) {
        let (this, shutdown) = (self.clone(), shutdown.clone());
        supervisor.spawn_lasting("self-check", move || {
            while !shutdown.wait_timeout(this.period()) {
                this.round(socket().as_deref(), &shutdown);
            }
        });
    }

    fn period(&self) -> Duration {
        *lock(&self.inner.period)
    }

    fn round(&self, socket: Option<&std::path::Path>, shutdown: &Shutdown) {
        failpoint::hit("task.self_check").ok();
        let (least, most) = PATIENCE;
        let patience = (self.period() / 3).clamp(least, most);
        let answer = socket.map_or(Ok(()), |socket| ping::call(socket, patience));
        let findings = Findings {
            answers: answer.is_ok(),
        };
        let failures = {
            let mut failures = lock(&self.inner.failures);
            *failures = if findings.answers { 0 } else { *failures + 1 };
            *failures
        };
        if let Err(error) = answer {
            tracing::warn!(%error, failures, "the daemon does not answer itself");
        }
        // The socket may only be gone: the checks put it back.
        for check in lock(&self.inner.checks).iter_mut() {
            check(findings);
        }
        if failures >= FAILURES {
            shutdown.fail("the daemon does not answer its own calls");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::shutdown::EXIT_FAILED;
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn silence_ends_the_process_at_the_third_time_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _silent = UnixListener::bind(&path).unwrap();
        let shutdown = Shutdown::new();
        let check = SelfCheck::new(Duration::from_secs(1));
        let silent = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&silent);
        check.add(move |found| {
            counted.fetch_add(u32::from(!found.answers), Ordering::Relaxed);
        });
        check.round(Some(&path), &shutdown);
        check.round(Some(&path), &shutdown);
        assert!(!shutdown.is_requested());
        // An answer, or nothing to ask, begins the count anew.
        check.round(None, &shutdown);
        check.round(Some(&path), &shutdown);
        check.round(Some(&path), &shutdown);
        assert!(!shutdown.is_requested());
        check.round(Some(&path), &shutdown);
        assert_eq!(shutdown.reason().unwrap().exit, EXIT_FAILED);
        assert_eq!(silent.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn whoever_waits_for_a_sign_shortens_the_period() {
        let check = SelfCheck::new(Duration::from_mins(1));
        check.at_least_every(Duration::from_secs(10));
        check.at_least_every(Duration::from_secs(30));
        assert_eq!(check.period(), Duration::from_secs(10));
    }
}
