//! Runs things every so often, by the wall clock.
//!
//! A tick compares the clock with when each schedule is due next, and that moment is persisted. Hence what came due while the machine slept or the daemon was down runs once, not once per
//! missed period; a clock that was set back makes a schedule due instead of silent; and no timer drifts.
//! One schedule never overlaps itself. Runs happen on the blocking pool.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skillmeat_shared::time::{Clock, Timestamp};
use skillmeat_shared::{Code, Error, Result};
use tokio::runtime::Handle;
use tokio::sync::{Notify, RwLock};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError, MetaDataStorage};

use super::due::later;
pub use super::due::{Due, next_due};

/// Every second, while ticks are let through.
const TICK: &str = "* * * * * *";

/// How long ticks are held back at most. Timers stand still while the machine sleeps, and a clock can be
/// set: so the clock is looked at this often.
const SLICE: Duration = Duration::from_mins(1);

/// How long to wait for a tick that was let through.
const TICK_PATIENCE: Duration = Duration::from_secs(5);

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
    /// What is due when may have changed.
    changed: Notify,
    ticked: Notify,
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
            changed: Notify::new(),
            ticked: Notify::new(),
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
        self.changed.notify_one();
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
        self.changed.notify_one();
        self.store.save(&due);
    }

    /// How long nothing is due, as far as one can look ahead.
    fn rest(&self) -> Duration {
        let now = self.clock.now();
        let state = self.state();
        if state.stopped {
            return Duration::ZERO;
        }
        let waiting = state
            .schedules
            .values()
            .filter(|schedule| !schedule.running);
        let rests = waiting.map(|one| next_due(&one.due, one.every, now).since(now));
        rests.min().unwrap_or(SLICE).min(SLICE)
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
        self.changed.notify_one();
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
        // Detached: after a panic `Finish` frees the schedule, and whoever gave the run tells of it.
        drop(runtime.spawn_blocking(move || {
            let _finish = Finish(&core, &due.name);
            core.store.save(&due);
            tracing::debug!(schedule = due.name, "due");
            run();
        }));
    }
}

/// Holds the ticks back while nothing is due. `tokio-cron-scheduler` looks into its storage twice a second,
/// for ever; while this holds the storage, it waits for it without waking up.
async fn brake(core: Arc<Core>, storage: Arc<RwLock<Box<dyn MetaDataStorage + Send + Sync>>>) {
    loop {
        let held = storage.write().await;
        loop {
            let rest = core.rest();
            if rest.is_zero() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = core.changed.notified() => {}
            }
        }
        drop(held);
        if core.state().stopped {
            return;
        }
        // The storage is handed out in the order of asking: the tick comes first.
        drop(tokio::time::timeout(TICK_PATIENCE, core.ticked.notified()).await);
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
            let braked = Arc::clone(&ticked);
            let job = Job::new(TICK, move |_, _| {
                tick(&ticked, &handle);
                ticked.ticked.notify_one();
            })?;
            ticks.add(job).await?;
            ticks.start().await?;
            let storage = Arc::clone(&ticks.context.metadata_storage);
            // Detached: it ends when the scheduler stops.
            drop(tokio::spawn(brake(braked, storage)));
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
        self.core.changed.notify_one();
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
mod tests;
