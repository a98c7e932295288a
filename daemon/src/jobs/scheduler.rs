//! Runs things every so often, by the wall clock.
//!
//! One tick a second compares the clock with when each schedule is due next, and that moment is
//! persisted. Hence what came due while the machine slept or the daemon was down runs once, not once per
//! missed period; a clock that was set back makes a schedule due instead of silent; and no timer drifts.
//! One schedule never overlaps itself. Runs happen on the blocking pool.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skillmeat_shared::time::{Clock, Timestamp};
use skillmeat_shared::{Code, Error, Result};
use tokio::runtime::Handle;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::due::later;
pub use super::due::{Due, next_due};

/// Every second.
const TICK: &str = "* * * * * *";

/// The shortest period; the clock is looked at no more often.
pub const SHORTEST: Duration = Duration::from_secs(1);

/// Keeps due times over restarts.
pub trait DueStore: Send + Sync {
    /// All that is kept. Empty when nothing can be read.
    fn load(&self) -> Vec<Due>;
    /// Keeps one. A failure costs at most one run too many after the next start.
    fn save(&self, due: &Due);
}

/// What status tells of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleStatus {
    /// The name.
    pub name: String,
    /// When it runs next.
    pub next_due: Timestamp,
    /// When it last began to run.
    pub last_run: Option<Timestamp>,
    /// The period.
    pub every: Duration,
}

/// What a schedule runs.
pub type Run = Arc<dyn Fn() + Send + Sync>;

/// Runs things every so often.
pub trait Scheduler: Send + Sync {
    /// Runs `run` every `period` (at least [`SHORTEST`]), under a name that is new or replaces the one
    /// before. A kept due time stands; otherwise it is first due after one period.
    fn every(&self, name: &str, period: Duration, run: Run);
    /// Changes a period. An unknown name is ignored.
    fn set_period(&self, name: &str, period: Duration);
    /// All schedules, by name.
    fn status(&self) -> Vec<ScheduleStatus>;
    /// Starts no further runs.
    fn stop(&self);
}

struct Schedule {
    due: Due,
    every: Duration,
    run: Run,
    running: bool,
}

struct Core {
    clock: Arc<dyn Clock>,
    store: Arc<dyn DueStore>,
    state: Mutex<State>,
}

struct State {
    kept: BTreeMap<String, Due>,
    schedules: BTreeMap<String, Schedule>,
    stopped: bool,
}

impl Core {
    fn new(clock: Arc<dyn Clock>, store: Arc<dyn DueStore>) -> Self {
        let kept = store
            .load()
            .into_iter()
            .map(|due| (due.name.clone(), due))
            .collect();
        let state = State {
            kept,
            schedules: BTreeMap::new(),
            stopped: false,
        };
        Self {
            clock,
            store,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn every(&self, name: &str, period: Duration, run: Run) {
        let every = period.max(SHORTEST);
        let now = self.clock.now();
        let mut state = self.state();
        let kept = state.kept.remove(name).or_else(|| {
            state
                .schedules
                .get(name)
                .map(|schedule| schedule.due.clone())
        });
        let mut due = kept.unwrap_or_else(|| Due {
            name: name.to_owned(),
            next_due: later(now, every),
            last_run: None,
        });
        due.next_due = next_due(&due, every, now);
        let running = state
            .schedules
            .get(name)
            .is_some_and(|schedule| schedule.running);
        state.schedules.insert(
            name.to_owned(),
            Schedule {
                due: due.clone(),
                every,
                run,
                running,
            },
        );
        drop(state);
        self.store.save(&due);
    }

    fn set_period(&self, name: &str, period: Duration) {
        let now = self.clock.now();
        let mut state = self.state();
        let Some(schedule) = state.schedules.get_mut(name) else {
            return;
        };
        schedule.every = period.max(SHORTEST);
        let from = schedule
            .due
            .last_run
            .filter(|last| *last <= now)
            .unwrap_or(now);
        schedule.due.next_due = later(from, schedule.every);
        let due = schedule.due.clone();
        drop(state);
        self.store.save(&due);
    }

    /// Takes the schedules that are due now and marks them as running.
    fn take_due(&self) -> Vec<(Due, Run)> {
        let now = self.clock.now();
        let mut state = self.state();
        if state.stopped {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for schedule in state.schedules.values_mut() {
            schedule.due.next_due = next_due(&schedule.due, schedule.every, now);
            if !schedule.running && schedule.due.next_due <= now {
                schedule.running = true;
                schedule.due.last_run = Some(now);
                schedule.due.next_due = later(now, schedule.every);
                taken.push((schedule.due.clone(), Arc::clone(&schedule.run)));
            }
        }
        taken
    }

    fn finished(&self, name: &str) {
        if let Some(schedule) = self.state().schedules.get_mut(name) {
            schedule.running = false;
        }
    }

    fn status(&self) -> Vec<ScheduleStatus> {
        let state = self.state();
        let schedules = state.schedules.values();
        schedules
            .map(|schedule| ScheduleStatus {
                name: schedule.due.name.clone(),
                next_due: schedule.due.next_due,
                last_run: schedule.due.last_run,
                every: schedule.every,
            })
            .collect()
    }
}

/// Marks a schedule as finished, also when its run panics.
struct Finish<'a>(&'a Core, &'a str);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.finished(self.1);
    }
}

fn tick(core: &Arc<Core>, runtime: &Handle) {
    for (due, run) in core.take_due() {
        let core = Arc::clone(core);
        // Detached: the supervisor's panic hook tells of a panic, `Finish` frees the schedule.
        drop(runtime.spawn_blocking(move || {
            let _finish = Finish(&core, &due.name);
            core.store.save(&due);
            tracing::debug!(schedule = due.name, "due");
            run();
        }));
    }
}

/// The scheduler of the daemon, on the ticks of `tokio-cron-scheduler`.
pub struct CronScheduler {
    core: Arc<Core>,
    ticks: Mutex<Option<JobScheduler>>,
    runtime: Handle,
}

impl CronScheduler {
    /// Starts to tick on this runtime. Blocks for the moment that takes.
    ///
    /// # Errors
    /// When the ticks can't be started.
    pub fn start(
        store: Arc<dyn DueStore>,
        clock: Arc<dyn Clock>,
        runtime: &Handle,
    ) -> Result<Self> {
        let core = Arc::new(Core::new(clock, store));
        let ticked = Arc::clone(&core);
        let handle = runtime.clone();
        let failed =
            |why: &str| Error::new(Code::Internal, format!("can't start the scheduler: {why}"));
        let start = async move {
            let ticks = JobScheduler::new().await?;
            let job = Job::new(TICK, move |_, _| tick(&ticked, &handle))?;
            ticks.add(job).await?;
            ticks.start().await?;
            Ok::<_, JobSchedulerError>(ticks)
        };
        // On a thread of its own: the caller may be one of the runtime's, which can't wait for it.
        let started = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(start)).join());
        let ticks = started
            .map_err(|_| failed("its thread panicked"))?
            .map_err(|error| failed(&error.to_string()))?;
        Ok(Self {
            core,
            ticks: Mutex::new(Some(ticks)),
            runtime: runtime.clone(),
        })
    }
}

impl Scheduler for CronScheduler {
    fn every(&self, name: &str, period: Duration, run: Run) {
        self.core.every(name, period, run);
    }

    fn set_period(&self, name: &str, period: Duration) {
        self.core.set_period(name, period);
    }

    fn status(&self) -> Vec<ScheduleStatus> {
        self.core.status()
    }

    fn stop(&self) {
        self.core.state().stopped = true;
        let ticks = self
            .ticks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut ticks) = ticks {
            drop(self.runtime.spawn(async move {
                if let Err(error) = ticks.shutdown().await {
                    tracing::debug!(%error, "the ticks did not stop");
                }
            }));
        }
    }
}

impl Drop for CronScheduler {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
    use std::time::Instant;

    const MINUTE: Duration = Duration::from_mins(1);

    struct Hands(AtomicI64);

    impl Hands {
        fn turn(&self, by: i64) {
            self.0.fetch_add(by * 1_000_000_000, Ordering::SeqCst);
        }
    }

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }
    }

    #[derive(Default)]
    struct Shelf(Mutex<BTreeMap<String, Due>>);

    impl DueStore for Shelf {
        fn load(&self) -> Vec<Due> {
            self.0.lock().unwrap().values().cloned().collect()
        }

        fn save(&self, due: &Due) {
            self.0.lock().unwrap().insert(due.name.clone(), due.clone());
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    fn setting() -> (Arc<Hands>, Arc<Shelf>, Core) {
        let hands = Arc::new(Hands(AtomicI64::new(at(1_000_000).nanos())));
        let shelf = Arc::new(Shelf::default());
        let core = Core::new(Arc::clone(&hands) as _, Arc::clone(&shelf) as _);
        (hands, shelf, core)
    }

    /// Runs what is due on this thread; returns how many.
    fn run_due(core: &Core) -> usize {
        let taken = core.take_due();
        for (due, run) in &taken {
            core.store.save(due);
            run();
            core.finished(&due.name);
        }
        taken.len()
    }

    #[test]
    fn eight_hours_of_sleep_are_one_run() {
        let (hands, _, core) = setting();
        core.every("x", MINUTE, Arc::new(|| {}));
        assert_eq!(run_due(&core), 0);
        hands.turn(61);
        assert_eq!(run_due(&core), 1);
        hands.turn(8 * 3_600);
        assert_eq!(run_due(&core), 1);
        assert_eq!(run_due(&core), 0);
        hands.turn(59);
        assert_eq!(run_due(&core), 0);
        hands.turn(1);
        assert_eq!(run_due(&core), 1);
    }

    #[test]
    fn a_clock_set_back_runs_once_and_goes_on() {
        let (hands, _, core) = setting();
        core.every("x", MINUTE, Arc::new(|| {}));
        hands.turn(60);
        assert_eq!(run_due(&core), 1);
        hands.turn(-36_000);
        assert_eq!(run_due(&core), 1);
        assert_eq!(run_due(&core), 0);
        hands.turn(60);
        assert_eq!(run_due(&core), 1);
    }

    #[test]
    fn what_was_due_while_the_daemon_was_down_runs_at_start() {
        let (hands, shelf, core) = setting();
        core.every("x", MINUTE, Arc::new(|| {}));
        drop(core);
        hands.turn(600);
        let core = Core::new(Arc::clone(&hands) as _, Arc::clone(&shelf) as _);
        core.every("x", MINUTE, Arc::new(|| {}));
        assert_eq!(run_due(&core), 1);
        drop(core);
        let core = Core::new(hands as _, shelf as _);
        core.every("x", MINUTE, Arc::new(|| {}));
        assert_eq!(run_due(&core), 0, "the run was kept");
    }

    #[test]
    fn a_schedule_never_overlaps_itself() {
        let (hands, _, core) = setting();
        core.every("x", MINUTE, Arc::new(|| {}));
        hands.turn(60);
        assert_eq!(core.take_due().len(), 1);
        hands.turn(600);
        assert_eq!(core.take_due().len(), 0, "it still runs");
        core.finished("x");
        assert_eq!(core.take_due().len(), 1);
    }

    #[test]
    fn a_new_period_counts_from_the_last_run() {
        let (hands, _, core) = setting();
        core.every("x", MINUTE, Arc::new(|| {}));
        hands.turn(60);
        assert_eq!(run_due(&core), 1);
        core.set_period("x", 10 * MINUTE);
        hands.turn(599);
        assert_eq!(run_due(&core), 0);
        hands.turn(1);
        assert_eq!(run_due(&core), 1);
        assert_eq!(
            core.status().first().map(|status| status.every),
            Some(10 * MINUTE)
        );
    }

    #[test]
    fn real_ticks_run_it_and_a_panic_does_not_end_it() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let clock = Arc::new(skillmeat_shared::time::SystemClock);
        let scheduler =
            CronScheduler::start(Arc::new(Shelf::default()), clock, runtime.handle()).unwrap();
        let runs = Arc::new((Mutex::new(0_usize), Condvar::new()));
        let counted = Arc::clone(&runs);
        let calls = AtomicUsize::new(0);
        scheduler.every(
            "x",
            SHORTEST,
            Arc::new(move || {
                assert_ne!(
                    calls.fetch_add(1, Ordering::SeqCst),
                    0,
                    "the first run panics"
                );
                *counted.0.lock().unwrap() += 1;
                counted.1.notify_all();
            }),
        );
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut seen = runs.0.lock().unwrap();
        while *seen == 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no second run");
            seen = runs.1.wait_timeout(seen, left).unwrap().0;
        }
        drop(seen);
        scheduler.stop();
    }
}
