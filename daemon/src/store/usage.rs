//! Notices when the store has been used, and then not for a while.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts uses. One thread may wait for quiet; while it is quiet that thread sleeps.
#[derive(Debug)]
pub(super) struct Usage {
    begun: Instant,
    /// Milliseconds from the beginning to the last use.
    last: AtomicU64,
    count: AtomicU64,
    /// Whether the waiting thread knows that there were uses.
    is_known: AtomicBool,
    is_stopped: Mutex<bool>,
    changed: Condvar,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            count: AtomicU64::new(0),
            is_known: AtomicBool::new(false),
            is_stopped: Mutex::default(),
            changed: Condvar::new(),
        }
    }
}

impl Usage {
    /// The store is being used.
    pub(super) fn note(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Rounded up: quiet is not shorter than asked for.
        self.last.store(now.saturating_add(1), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
        if !self.is_known.swap(true, Ordering::AcqRel) {
            // Under the lock, so that it is not missed between a look and the sleep.
            drop(
                self.is_stopped
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            self.changed.notify_all();
        }
    }

    fn unused_for(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(last)
    }

    /// Waits until the store has been used, and then not for so long. False when it is over. As long as it is used,
    /// `meanwhile` is called each time that so long has passed.
    pub(super) fn until_quiet(&self, quiet: Duration, meanwhile: &dyn Fn()) -> bool {
        let stopped = self
            .is_stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut stopped = self
            .changed
            .wait_while(stopped, |stopped| {
                !*stopped && !self.is_known.load(Ordering::Acquire)
            })
            .unwrap_or_else(PoisonError::into_inner);
        while !*stopped {
            // One use seldom comes alone: a little longer, so as not to wake up twice for those that come together.
            stopped = self
                .changed
                .wait_timeout_while(stopped, quiet + quiet / 4, |stopped| !*stopped)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            let before = self.count.load(Ordering::Acquire);
            if self.unused_for() >= quiet {
                self.is_known.store(false, Ordering::Release);
                // Used in just this moment: it is known to us, but nobody will say so again.
                if self.count.load(Ordering::Acquire) == before {
                    return !*stopped;
                }
                self.is_known.store(true, Ordering::Release);
            }
            meanwhile();
        }
        false
    }

    /// Ends the waiting for good.
    pub(super) fn stop(&self) {
        *self
            .is_stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{RecvTimeoutError, sync_channel};

    const QUIET: Duration = Duration::from_millis(30);
    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn quiet_comes_once_after_each_time_of_use() {
        let usage = Usage::default();
        std::thread::scope(|scope| {
            let (quiet, heard) = sync_channel(8);
            scope.spawn(|| {
                let quiet = quiet;
                while usage.until_quiet(QUIET, &|| ()) {
                    quiet.send(Instant::now()).unwrap();
                }
            });
            assert_eq!(
                heard.recv_timeout(4 * QUIET),
                Err(RecvTimeoutError::Timeout),
                "nothing was used"
            );
            for _ in 0..3 {
                let mut last = Instant::now();
                for _ in 0..1000 {
                    last = Instant::now();
                    usage.note();
                }
                let at = heard.recv_timeout(PATIENCE).unwrap();
                assert!(at >= last + QUIET);
                assert_eq!(
                    heard.recv_timeout(4 * QUIET),
                    Err(RecvTimeoutError::Timeout)
                );
            }
            usage.stop();
        });
        usage.note();
        assert!(!usage.until_quiet(PATIENCE, &|| ()), "it is over");
    }

    #[test]
    fn use_without_end_is_told_again_and_again() {
        let (usage, told) = (Usage::default(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let waiting = scope
                .spawn(|| usage.until_quiet(QUIET, &|| _ = told.fetch_add(1, Ordering::Relaxed)));
            let deadline = Instant::now() + PATIENCE;
            while told.load(Ordering::Relaxed) < 3 {
                assert!(Instant::now() < deadline, "nothing is told");
                usage.note();
                std::thread::yield_now();
            }
            assert!(waiting.join().unwrap());
        });
    }
}
