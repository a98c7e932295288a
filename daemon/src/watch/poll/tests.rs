//! What a poller tells of real folders.

use std::collections::BTreeSet;
use std::fs;
use std::sync::mpsc::{Receiver, sync_channel};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

struct Setting {
    _dir: tempfile::TempDir,
    base: PathBuf,
    poll: Poll,
    signals: Receiver<Signal>,
}

impl Setting {
    fn new(interval: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (queue, signals) = sync_channel(1_000);
        let poll = Poll::new(base.join("home"), interval, queue, Arc::default());
        Self {
            _dir: dir,
            base,
            poll,
            signals,
        }
    }

    /// Waits for an event of this kind at this path.
    fn hears(&self, change: Change, path: &str) {
        let wanted = self.base.join(path);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.signals.recv_timeout(left) {
                Ok(Signal::Event(heard, paths)) if heard == change && paths.contains(&wanted) => {
                    return;
                }
                Ok(_) => {}
                Err(error) => panic!("never heard {change:?} of {path}: {error}"),
            }
        }
    }

    /// Waits for the end of the next whole round.
    fn round(&self) -> BTreeSet<PathBuf> {
        let deadline = Instant::now() + PATIENCE;
        let mut all = BTreeSet::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.signals.recv_timeout(left).unwrap() {
                Signal::Polled => return all,
                Signal::Event(_, paths) => all.extend(paths),
                _ => {}
            }
        }
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.poll.stop();
    }
}

#[test]
fn what_changes_is_told_and_what_rests_is_not() {
    let mut setting = Setting::new(Duration::from_millis(20));
    let folder = setting.base.join("c");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("rests"), "x").unwrap();
    fs::write(folder.join("goes"), "x").unwrap();
    setting.poll.watch(&folder, Depth::Tree).unwrap();
    setting.hears(Change::Touched, "c");
    fs::write(folder.join("rests"), "longer").unwrap();
    setting.hears(Change::Touched, "c/rests");
    fs::create_dir_all(folder.join("new/deep")).unwrap();
    setting.hears(Change::Created { folder: true }, "c/new");
    fs::remove_file(folder.join("goes")).unwrap();
    setting.hears(Change::Gone, "c/goes");
    drop(setting.round());
    assert_eq!(setting.round(), BTreeSet::new());
    fs::remove_dir_all(&folder).unwrap();
    setting.hears(Change::Gone, "c");
}

#[test]
fn a_folder_that_is_waited_for_is_told_once_it_holds_something() {
    let mut setting = Setting::new(Duration::from_millis(20));
    let folder = setting.base.join("c");
    setting.poll.watch(&folder, Depth::Presence).unwrap();
    drop(setting.round());
    fs::create_dir(&folder).unwrap();
    drop(setting.round());
    assert_eq!(setting.round(), BTreeSet::new(), "it is empty");
    fs::write(folder.join("x"), "").unwrap();
    setting.hears(Change::Created { folder: true }, "c");
    drop(setting.round());
    assert_eq!(setting.round(), BTreeSet::new(), "once is enough");
    setting.poll.watch(&folder, Depth::Presence).unwrap();
    setting.hears(Change::Created { folder: true }, "c");
}

#[test]
fn nothing_polled_means_no_round() {
    let mut setting = Setting::new(Duration::from_millis(5));
    let folder = setting.base.join("c");
    fs::create_dir(&folder).unwrap();
    setting.poll.watch(&folder, Depth::Tree).unwrap();
    drop(setting.round());
    setting.poll.unwatch(&folder);
    // At most the round that was under way is still told.
    let deadline = Instant::now() + PATIENCE;
    while setting
        .signals
        .recv_timeout(Duration::from_millis(300))
        .is_ok()
    {
        assert!(Instant::now() < deadline, "it goes on");
    }
    assert_eq!(setting.poll.0.state().next, None);
}

#[test]
fn slow_rounds_are_further_apart() {
    let second = Duration::from_secs(1);
    assert_eq!(pause(30 * second, second), 30 * second);
    assert_eq!(pause(30 * second, 20 * second), 200 * second);
}

#[test]
fn a_change_of_very_many_files_is_one_of_the_folder() {
    let setting = Setting::new(PATIENCE);
    let folder = setting.base.join("c");
    let many = |count: usize| {
        let told = |n| (Change::Gone, folder.join(format!("{n}")));
        (0..count).map(told).collect::<Vec<_>>()
    };
    setting.poll.0.tell(&folder, many(MAX_PATHS + 1));
    let whole = Signal::Event(Change::Touched, vec![folder.clone()]);
    assert_eq!(setting.signals.try_recv(), Ok(whole));
    assert!(setting.signals.try_recv().is_err());
    setting.poll.0.tell(&folder, many(BATCH + 1));
    assert_eq!(setting.signals.try_iter().count(), 2);
}

#[test]
fn a_full_queue_raises_the_flag() {
    let setting = Setting::new(PATIENCE);
    for _ in 0..1_001 {
        assert!(!setting.poll.0.overflow.load(Ordering::Acquire));
        setting.poll.0.send(Signal::Polled);
    }
    assert!(setting.poll.0.overflow.load(Ordering::Acquire));
}

#[test]
fn a_look_that_takes_long_has_only_its_own_folder_rest() {
    let start = Instant::now();
    let mut state = State {
        interval: Duration::from_secs(1),
        next: Some(start),
        ..State::default()
    };
    for (number, name) in [(1, "/slow"), (2, "/other")] {
        let watched = Watched {
            depth: Depth::Tree,
            known: Known::Nothing,
            number,
            rests_until: None,
        };
        state.watched.insert(name.into(), watched);
    }
    let (slow, other) = (PathBuf::from("/slow"), PathBuf::from("/other"));
    let took = Duration::from_secs(20);
    // It hung until its disk answered, which brought it back.
    state.looked(&slow, Some(0), start, took);
    assert_eq!(state.due_paths(start).len(), 2);
    state.looked(&slow, Some(1), start, took);
    assert_eq!(state.next, Some(start));
    assert_eq!(state.due_paths(start + took), [other]);
    assert_eq!(state.due_paths(start + took * (REST + 1)).len(), 2);
}
