//! Work on a disk that may fall silent. It is done on a thread of its own, so that whoever waits for it can go on with
//! something else when it no longer moves: the thread is left behind, and tells when it comes back after all.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use skillmeat_shared::{Code, Error, Result};

use super::reach::Reach;

/// Without progress for so long, the disk is asked whether it is there.
const DOUBT: Duration = Duration::from_secs(1);

/// Without progress for so long it is left behind, although its disk answers: one file of it may not.
const LONGEST: Duration = Duration::from_secs(30);

/// How work tells that it moves.
pub(super) struct Beat {
    begun: Instant,
    /// Milliseconds from the beginning to the last sign.
    last: AtomicU64,
    /// Threads that are busy with something other than the disk.
    elsewhere: AtomicUsize,
}

impl Beat {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            elsewhere: AtomicUsize::new(0),
        }
    }

    /// It moves.
    pub(super) fn tick(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Does something that has nothing to do with the disk, and may take its time.
    pub(super) fn elsewhere<T>(&self, work: impl FnOnce() -> T) -> T {
        self.elsewhere.fetch_add(1, Ordering::Relaxed);
        let done = work();
        self.tick();
        self.elsewhere.fetch_sub(1, Ordering::Relaxed);
        done
    }

    /// How long nothing has moved.
    fn still_for(&self) -> Duration {
        if self.elsewhere.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(last)
    }
}

/// What became of work that somebody waited for.
pub(super) enum Waited<T> {
    /// It is done.
    Done(T),
    /// Its disk does not answer: it was left behind.
    Silent,
    /// It does not move although its disk answers: it was left behind.
    Stuck,
}

enum Stage<T> {
    Working,
    LeftBehind,
    Done(std::thread::Result<T>),
}

struct Errand<T> {
    stage: Mutex<Stage<T>>,
    ended: Condvar,
    beat: Beat,
}

impl<T> Errand<T> {
    fn stage(&self) -> MutexGuard<'_, Stage<T>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it ends, or has not moved for so long.
    fn wait(&self, still: Duration) -> Option<T> {
        let mut stage = self.stage();
        loop {
            match std::mem::replace(&mut *stage, Stage::Working) {
                Stage::Done(Ok(done)) => return Some(done),
                Stage::Done(Err(panic)) => {
                    drop(stage);
                    resume_unwind(panic)
                }
                Stage::Working | Stage::LeftBehind => {}
            }
            let left = still.saturating_sub(self.beat.still_for());
            if left.is_zero() {
                return None;
            }
            let waited = self.ended.wait_timeout(stage, left);
            stage = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits no longer, unless it has just ended.
    fn leave(&self) -> Option<T> {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::LeftBehind) {
            Stage::Done(Ok(done)) => Some(done),
            Stage::Done(Err(panic)) => {
                drop(stage);
                resume_unwind(panic)
            }
            Stage::Working | Stage::LeftBehind => None,
        }
    }
}

/// Does work below a folder and waits for it as long as it moves. Work that was left behind hands what it has done to
/// `late`, on its own thread; nothing if it panicked.
pub(super) fn run<T: Send + 'static>(
    name: &'static str,
    place: (&Reach, &Path),
    work: impl FnOnce(&Beat) -> T + Send + 'static,
    late: impl FnOnce(Option<T>) + Send + 'static,
) -> Result<Waited<T>> {
    run_within((DOUBT, LONGEST), name, place, work, late)
}

fn run_within<T: Send + 'static>(
    (doubt, longest): (Duration, Duration),
    name: &'static str,
    (reach, path): (&Reach, &Path),
    work: impl FnOnce(&Beat) -> T + Send + 'static,
    late: impl FnOnce(Option<T>) + Send + 'static,
) -> Result<Waited<T>> {
    let errand = Arc::new(Errand {
        stage: Mutex::new(Stage::Working),
        ended: Condvar::new(),
        beat: Beat::new(),
    });
    let other = Arc::clone(&errand);
    let spawned = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let done = catch_unwind(AssertUnwindSafe(|| work(&other.beat)));
            let mut stage = other.stage();
            if matches!(*stage, Stage::LeftBehind) {
                drop(stage);
                late(done.ok());
            } else {
                *stage = Stage::Done(done);
                drop(stage);
                other.ended.notify_all();
            }
        });
    spawned.map_err(|error| {
        Error::new(Code::Internal, format!("can't start a thread: {error}")).hint("try again later")
    })?;
    let mut still = doubt;
    loop {
        if let Some(done) = errand.wait(still) {
            return Ok(Waited::Done(done));
        }
        let answers = reach.answers_now(path);
        let is_stuck = errand.beat.still_for() >= longest;
        if answers && !is_stuck {
            still = errand.beat.still_for() + doubt;
            continue;
        }
        return Ok(match errand.leave() {
            Some(done) => Waited::Done(done),
            None if answers => Waited::Stuck,
            None => Waited::Silent,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn what_moves_is_waited_for_and_a_panic_is_handed_on() {
        let folder = tempfile::tempdir().unwrap();
        let reach = Reach::default();
        let place = (&reach, folder.path());
        let run = run("test", place, |_| 7, |_: Option<i32>| panic!("it is late")).unwrap();
        assert!(matches!(run, Waited::Done(7)));
        let panics = std::panic::catch_unwind(AssertUnwindSafe(|| {
            super::run("test", place, |_| panic!("on purpose"), |_: Option<()>| {})
        }));
        assert!(panics.is_err());
    }

    #[test]
    fn what_is_elsewhere_does_not_hang() {
        let beat = Beat::new();
        let within = beat.elsewhere(|| beat.still_for());
        assert_eq!(within, Duration::ZERO);
        assert!(beat.still_for() < DOUBT);
    }

    #[test]
    fn what_hangs_is_left_although_its_disk_answers() {
        let folder = tempfile::tempdir().unwrap();
        let (free, work_waits) = sync_channel::<()>(0);
        let (tell, told) = sync_channel(1);
        let limits = (Duration::from_millis(5), Duration::from_millis(30));
        let ran = run_within(
            limits,
            "test",
            (&Reach::default(), folder.path()),
            move |_| work_waits.recv().is_ok(),
            move |done| tell.send(done).unwrap(),
        );
        assert!(matches!(ran.unwrap(), Waited::Stuck));
        free.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), Some(true));
    }

    #[test]
    fn what_hangs_on_a_silent_disk_is_left_and_comes_back_late() {
        let (release, held) = sync_channel::<()>(0);
        let held = Arc::new(Mutex::new(held));
        let asked = Arc::clone(&held);
        let reach = Reach::by(move |_| asked.lock().unwrap().recv().unwrap());
        let (free, work_waits) = sync_channel::<()>(0);
        let (tell, told) = sync_channel(1);
        let began = Instant::now();
        let ran = run(
            "test",
            (&reach, Path::new("/silent")),
            move |_| work_waits.recv().is_ok(),
            move |done| tell.send(done).unwrap(),
        );
        assert!(matches!(ran.unwrap(), Waited::Silent));
        assert!(began.elapsed() < LONGEST / 2, "{:?}", began.elapsed());
        assert!(told.try_recv().is_err());
        free.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), Some(true));
        release.send(()).unwrap();
    }
}
