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
fn it_rests_until_something_is_due_and_a_minute_at_most() {
    let (hands, _, core) = setting();
    assert_eq!(core.rest(), SLICE);
    core.every("seldom", 10 * MINUTE, Arc::new(|| {}));
    assert_eq!(core.rest(), SLICE);
    core.every("often", MINUTE / 2, Arc::new(|| {}));
    assert_eq!(core.rest(), MINUTE / 2);
    hands.turn(20);
    assert_eq!(core.rest(), MINUTE / 6);
    hands.turn(20);
    assert_eq!(core.rest(), Duration::ZERO);
    assert_eq!(core.take_due().len(), 1);
    assert_eq!(core.rest(), SLICE, "what runs is not waited for");
    core.finished("often");
    assert_eq!(core.rest(), MINUTE / 2);
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
