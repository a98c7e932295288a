//! The request to end the process: who asked, and who waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Exit code of an orderly end.
pub const EXIT_OK: u8 = 0;
/// Exit code when an essential part ended by itself.
pub const EXIT_FAILED: u8 = 70;

/// Why the process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What happened, for the log.
    pub text: String,
    /// The exit code of the process.
    pub exit: u8,
}

struct Inner {
    reason: Mutex<Option<Reason>>,
    asked: Condvar,
    signal: watch::Sender<bool>,
    hasty: AtomicBool,
}

/// Asks the process to end, or waits until somebody does. Clones are one and the same.
#[derive(Clone)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        let (signal, _) = watch::channel(false);
        let inner = Inner {
            reason: Mutex::new(None),
            asked: Condvar::new(),
            signal,
            hasty: AtomicBool::new(false),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Asks for an orderly end. Only the first reason counts.
    pub fn request(&self, why: impl Into<String>) {
        self.ask(Reason {
            text: why.into(),
            exit: EXIT_OK,
        });
    }

    /// Asks for an orderly end that does not wait for open calls.
    pub fn request_now(&self, why: impl Into<String>) {
        self.inner.hasty.store(true, Ordering::Release);
        self.request(why);
    }

    /// Whether open calls are not waited for.
    pub fn is_hasty(&self) -> bool {
        self.inner.hasty.load(Ordering::Acquire)
    }

    /// Asks for the end because something essential failed: the process exits with 70.
    pub fn fail(&self, why: impl Into<String>) {
        self.ask(Reason {
            text: why.into(),
            exit: EXIT_FAILED,
        });
    }

    fn ask(&self, reason: Reason) {
        let mut asked = self.reason_guard();
        if asked.is_none() {
            tracing::info!(reason = reason.text, "shutting down");
            *asked = Some(reason);
            drop(asked);
            self.inner.asked.notify_all();
            self.inner.signal.send_replace(true);
        }
    }

    /// Whether somebody has asked.
    pub fn is_requested(&self) -> bool {
        *self.inner.signal.borrow()
    }

    /// Why, once somebody has asked.
    pub fn reason(&self) -> Option<Reason> {
        self.reason_guard().clone()
    }

    /// Waits until somebody asks.
    pub async fn wait(&self) {
        let mut signal = self.inner.signal.subscribe();
        // The sender lives as long as `self`.
        drop(signal.wait_for(|asked| *asked).await);
    }

    /// Blocks this thread until somebody asks, at most so long. Whether somebody has.
    pub fn wait_timeout(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut asked = self.reason_guard();
        while asked.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            asked = self
                .inner
                .asked
                .wait_timeout(asked, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    fn reason_guard(&self) -> MutexGuard<'_, Option<Reason>> {
        self.inner
            .reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_requested() && shutdown.reason().is_none());
        assert!(!shutdown.is_hasty());
        shutdown.clone().fail("a task ended");
        shutdown.request("later");
        let reason = shutdown.reason().unwrap();
        assert_eq!(
            (reason.text.as_str(), reason.exit),
            ("a task ended", EXIT_FAILED)
        );
    }

    #[test]
    fn both_sorts_of_waiters_wake() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.wait_timeout(Duration::ZERO));
        let asker = shutdown.clone();
        let asking = std::thread::spawn(move || asker.request("now"));
        assert!(shutdown.wait_timeout(Duration::from_secs(10)));
        asking.join().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(shutdown.wait());
    }
}
