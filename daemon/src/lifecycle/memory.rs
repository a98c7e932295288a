//! How much memory the process may take.
//!
//! Above the soft limit it drops what it can have again. Above the hard limit, if that was of no use, it ends
//! with exit code 70 before the system ends something else: whoever manages it starts a fresh one.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use skillmeat_shared::health::{Health, MEMORY_HIGH};

use super::shutdown::Shutdown;
use super::{Application, Findings};

/// The limits, in bytes; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Above it caches are dropped.
    pub soft: u64,
    /// Above it the process ends.
    pub hard: u64,
}

/// How long dropped caches may fill up again before they are dropped anew.
const REST: Duration = Duration::from_mins(5);

/// Resident memory of this process in bytes; 0 where the system does not tell.
pub fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages.saturating_mul(rustix::param::page_size() as u64)
}

/// What a size asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fine,
    High,
    TooMuch,
}

const fn judge(size: u64, limits: MemoryLimits) -> Verdict {
    if limits.hard > 0 && size > limits.hard {
        Verdict::TooMuch
    } else if limits.soft > 0 && size > limits.soft {
        Verdict::High
    } else {
        Verdict::Fine
    }
}

/// The check.
pub(crate) fn look_after(
    health: Arc<Health>,
    application: Weak<dyn Application>,
    shutdown: Shutdown,
) -> impl FnMut(Findings) + Send {
    let mut shed_at: Option<Instant> = None;
    move |_| {
        let Some(application) = application.upgrade() else {
            return;
        };
        let limits = application.memory_limits();
        let mut size = resident();
        let before = judge(size, limits);
        if before == Verdict::TooMuch
            || (before == Verdict::High && shed_at.is_none_or(|at| at.elapsed() >= REST))
        {
            shed_at = Some(Instant::now());
            application.shed_memory();
            let was = std::mem::replace(&mut size, resident());
            tracing::info!(was, now = size, "caches were dropped to give back memory");
        }
        let megabytes = size >> 20;
        match judge(size, limits) {
            Verdict::Fine => health.clear(&MEMORY_HIGH, ""),
            Verdict::High => {
                let soft = limits.soft >> 20;
                health.raise(
                    &MEMORY_HIGH,
                    "",
                    format!("the daemon holds {megabytes} MB of memory, more than {soft} MB"),
                    vec!["raise `daemon.memory_soft_mb` if your collections need it".to_owned()],
                );
            }
            Verdict::TooMuch => shutdown.fail(format!(
                "{megabytes} MB of memory are more than `daemon.memory_hard_mb` allows"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_limit() {
        let limits = |soft, hard| MemoryLimits { soft, hard };
        assert_eq!(judge(5, limits(5, 9)), Verdict::Fine);
        assert_eq!(judge(6, limits(5, 9)), Verdict::High);
        assert_eq!(judge(10, limits(5, 9)), Verdict::TooMuch);
        assert_eq!(judge(10, limits(0, 9)), Verdict::TooMuch);
        assert_eq!(judge(u64::MAX, limits(5, 0)), Verdict::High);
        assert_eq!(judge(u64::MAX, limits(0, 0)), Verdict::Fine);
    }

    #[test]
    fn the_system_tells_how_much_it_is() {
        assert!(resident() > 0 || !std::path::Path::new("/proc/self/statm").exists());
    }
}
