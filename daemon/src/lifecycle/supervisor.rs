//! Starts tasks and threads, and notices when they end.
//!
//! A panic ends its task, never the process, and is logged with its place. When an essential task ends by
//! itself, however it ends, the process shuts down with exit code 70: a daemon that can't do its work must
//! not look alive.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use skillmeat_shared::health::{Health, TASK_FAILED};
use tokio::runtime::Handle;

use super::shutdown::Shutdown;
use crate::telemetry::take_panic;

/// The rest before a task that panicked runs again: the first, and the longest.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_mins(5);

/// A task that ran for so long panicked for another reason than its start.
const STEADY: Duration = Duration::from_mins(10);

/// What the end of a task means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The process can't go on without it.
    Essential,
    /// It may end.
    Background,
}

/// What status tells of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskState {
    /// Its name.
    pub name: String,
    /// Whether the process ends with it.
    pub essential: bool,
    /// Whether one of this name runs.
    pub running: bool,
}

struct Task {
    name: String,
    policy: Policy,
    running: usize,
}

struct Inner {
    tasks: Mutex<Vec<Task>>,
    ended: Condvar,
    shutdown: Shutdown,
    runtime: Handle,
    health: Arc<Health>,
}

/// Starts and watches tasks. Clones are one and the same.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

impl Supervisor {
    /// A supervisor of nothing yet.
    pub fn new(runtime: Handle, shutdown: Shutdown, health: Arc<Health>) -> Self {
        let inner = Inner {
            tasks: Mutex::new(Vec::new()),
            ended: Condvar::new(),
            shutdown,
            runtime,
            health,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The runtime of the transport and of timers.
    pub fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// Runs a future on the runtime.
    pub fn spawn(
        &self,
        name: impl Into<String>,
        policy: Policy,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let running = Running::begin(Arc::clone(&self.inner), name.into(), policy);
        let mut future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(future);
        // Detached: `running` reports its end.
        drop(self.inner.runtime.spawn(async move {
            let end = poll_fn(move |context| {
                match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
                    Ok(Poll::Pending) => Poll::Pending,
                    Ok(Poll::Ready(())) => Poll::Ready(None),
                    Err(payload) => Poll::Ready(Some(payload)),
                }
            })
            .await;
            running.end(end);
        }));
    }

    /// Runs a function on a thread of its own.
    pub fn spawn_thread(
        &self,
        name: impl Into<String>,
        policy: Policy,
        work: impl FnOnce() + Send + 'static,
    ) {
        let name = name.into();
        let running = Running::begin(Arc::clone(&self.inner), name.clone(), policy);
        let spawned = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || {
                let end = catch_unwind(AssertUnwindSafe(work)).err();
                running.end(end);
            });
        if let Err(error) = spawned {
            // The closure, and `running` in it, was dropped: the end is counted.
            tracing::error!(task = name, %error, "no thread could be started");
        }
    }

    /// Runs a function on a thread of its own that must not be missing for long: after a panic it runs
    /// again, at first soon, then less and less often. It ends when the function returns.
    pub fn spawn_lasting(&self, name: &'static str, work: impl Fn() + Send + 'static) {
        let this = self.clone();
        self.spawn_thread(name, Policy::Background, move || {
            let mut rest = FIRST_REST;
            loop {
                let began = Instant::now();
                let Err(payload) = catch_unwind(AssertUnwindSafe(&work)) else {
                    return;
                };
                let said = panic_text(payload.as_ref());
                if began.elapsed() > STEADY {
                    rest = FIRST_REST;
                }
                tracing::error!(
                    task = name,
                    ?rest,
                    "the task panicked and starts again: {said}"
                );
                let what = format!("the task `{name}` failed and will be started again: {said}");
                this.inner.raise(name, what);
                if this.inner.shutdown.wait_timeout(rest) {
                    return;
                }
                this.inner.health.clear(&TASK_FAILED, name);
                rest = (rest * 2).min(LONGEST_REST);
            }
        });
    }

    /// Runs one turn of what is done again and again. A panic is logged, and told as a warning until a later
    /// turn goes well.
    pub fn attempt(&self, name: &str, turn: impl FnOnce()) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(turn)) else {
            self.inner.health.clear(&TASK_FAILED, name);
            return;
        };
        let said = panic_text(payload.as_ref());
        tracing::error!(
            task = name,
            "the task panicked and runs again when it is due: {said}"
        );
        let what = format!("the task `{name}` failed and runs again when it is due: {said}");
        self.inner.raise(name, what);
    }

    /// All tasks so far, by the order of their first start.
    pub fn status(&self) -> Vec<TaskState> {
        let tasks = self.inner.tasks();
        let states = tasks.iter().map(|task| TaskState {
            name: task.name.clone(),
            essential: task.policy == Policy::Essential,
            running: task.running > 0,
        });
        states.collect()
    }

    /// Waits until the tasks of these names have ended, at most so long. Whether they have.
    pub fn wait_for(&self, wanted: impl Fn(&str) -> bool, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut tasks = self.inner.tasks();
        while tasks
            .iter()
            .any(|task| task.running > 0 && wanted(&task.name))
        {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            tasks = self
                .inner
                .ended
                .wait_timeout(tasks, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

impl Inner {
    fn tasks(&self) -> MutexGuard<'_, Vec<Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, name: &str, what: String) {
        let hint = "look at `sm daemon logs`, and report it".to_owned();
        self.health.raise(&TASK_FAILED, name, what, vec![hint]);
    }
}

/// Counts a task as running until it is dropped.
struct Running {
    inner: Arc<Inner>,
    name: String,
    policy: Policy,
}

impl Running {
    fn begin(inner: Arc<Inner>, name: String, policy: Policy) -> Self {
        let mut tasks = inner.tasks();
        match tasks.iter_mut().find(|task| task.name == name) {
            Some(task) => {
                task.running += 1;
                task.policy = policy;
            }
            None => tasks.push(Task {
                name: name.clone(),
                policy,
                running: 1,
            }),
        }
        drop(tasks);
        Self {
            inner,
            name,
            policy,
        }
    }

    fn end(self, panic: Option<Box<dyn Any + Send>>) {
        let Some(payload) = panic else { return };
        let said = panic_text(payload.as_ref());
        tracing::error!(task = self.name, "the task panicked: {said}");
        if self.policy == Policy::Essential {
            self.inner
                .shutdown
                .fail(format!("the task `{}` panicked: {said}", self.name));
        }
    }
}

/// What a panic said, with its place if this thread knows it.
fn panic_text(payload: &(dyn Any + Send)) -> String {
    let said = take_panic().or_else(|| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned())
    });
    said.unwrap_or_else(|| "no message".to_owned())
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = self
            .inner
            .tasks()
            .iter_mut()
            .find(|task| task.name == self.name)
        {
            task.running = task.running.saturating_sub(1);
        }
        self.inner.ended.notify_all();
        if self.policy == Policy::Essential && !self.inner.shutdown.is_requested() {
            self.inner
                .shutdown
                .fail(format!("the task `{}` ended", self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shutdown::EXIT_FAILED;
    use super::*;
    use skillmeat_shared::time::SystemClock;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn supervised(work: impl FnOnce(&Supervisor)) -> Shutdown {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let shutdown = Shutdown::new();
        let health = Arc::new(Health::new(Arc::new(SystemClock)));
        let handle = runtime.handle().clone();
        work(&Supervisor::new(handle, shutdown.clone(), health));
        shutdown
    }

    fn any(_: &str) -> bool {
        true
    }

    #[test]
    fn a_background_panic_ends_the_task_only() {
        let shutdown = supervised(|supervisor| {
            supervisor.spawn("async", Policy::Background, async { panic!("first") });
            supervisor.spawn_thread("thread", Policy::Background, || panic!("second"));
            assert!(supervisor.wait_for(any, PATIENCE));
            assert!(
                supervisor
                    .status()
                    .iter()
                    .all(|task| !task.running && !task.essential)
            );
            assert_eq!(supervisor.status().len(), 2);
        });
        assert!(!shutdown.is_requested());
    }

    #[test]
    fn a_lasting_task_runs_again_after_a_panic() {
        let runs = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&runs);
        let shutdown = supervised(|supervisor| {
            supervisor.spawn_lasting("again", move || {
                let mut runs = counted.lock().unwrap_or_else(PoisonError::into_inner);
                *runs += 1;
                assert_ne!(*runs, 1, "the first run panics");
            });
            let raised = || !supervisor.inner.health.current().is_empty();
            let deadline = Instant::now() + PATIENCE;
            while !raised() {
                assert!(Instant::now() < deadline, "nobody is told");
                std::thread::yield_now();
            }
            assert!(supervisor.wait_for(any, PATIENCE));
            assert!(!raised(), "it runs again");
        });
        assert!(!shutdown.is_requested());
        assert_eq!(*runs.lock().unwrap_or_else(PoisonError::into_inner), 2);
    }

    #[test]
    fn a_turn_that_panics_is_told_until_one_goes_well() {
        let shutdown = supervised(|supervisor| {
            let told = || supervisor.inner.health.current();
            supervisor.attempt("daily", || panic!("no luck"));
            let warnings = told();
            assert_eq!(warnings.len(), 1);
            assert_eq!(
                (warnings[0].code, &*warnings[0].subject),
                ("task-failed", "daily")
            );
            assert!(warnings[0].message.contains("no luck"), "{warnings:?}");
            supervisor.attempt("other", || {});
            assert_eq!(told(), warnings);
            supervisor.attempt("daily", || {});
            assert_eq!(told(), []);
        });
        assert!(!shutdown.is_requested());
    }

    #[test]
    fn an_essential_panic_ends_the_process() {
        let shutdown = supervised(|supervisor| {
            supervisor.spawn_thread("store", Policy::Essential, || panic!("disk gone"));
            assert!(supervisor.wait_for(any, PATIENCE));
        });
        assert!(shutdown.wait_timeout(PATIENCE));
        let reason = shutdown.reason().unwrap();
        assert_eq!(reason.exit, EXIT_FAILED);
        assert!(
            reason.text.contains("store") && reason.text.contains("disk gone"),
            "{reason:?}"
        );
    }

    #[test]
    fn an_essential_task_that_returns_ends_the_process_too() {
        let shutdown = supervised(|supervisor| {
            supervisor.spawn("server", Policy::Essential, async {});
            assert!(supervisor.wait_for(any, PATIENCE));
        });
        assert!(shutdown.wait_timeout(PATIENCE));
        assert_eq!(shutdown.reason().unwrap().exit, EXIT_FAILED);
    }

    #[test]
    fn an_essential_task_may_end_while_shutting_down() {
        let shutdown = supervised(|supervisor| {
            supervisor.inner.shutdown.request("asked");
            supervisor.spawn("server", Policy::Essential, async {});
            assert!(supervisor.wait_for(any, PATIENCE));
        });
        assert_eq!(shutdown.reason().unwrap().exit, 0);
    }
}
