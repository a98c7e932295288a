//! The watch thread: takes signals, sorts paths to roots, waits until it is quiet, tells the sink.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use skillmeat_shared::collection::MANIFEST;
use skillmeat_shared::failpoint;
use skillmeat_shared::time::{Clock as _, SystemClock};

use super::Shared;
use super::backend::{Change, Refusal, Signal};
use super::debounce::{Debounce, Due, Settings};
use super::ledger::Echo;
use super::losses::Losses;
use super::state::State;

/// Signals taken in one go before due things are looked at.
const BATCH: usize = 4_096;

const LOST: &str = "events were lost";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Config,
    Collections,
    Root(String),
}

/// The state of the watch thread.
pub(crate) struct Pump {
    shared: Arc<Shared>,
    debounce: Debounce<Key>,
    losses: Losses,
}

impl Pump {
    pub(crate) fn new(shared: Arc<Shared>, settings: Settings) -> Self {
        Self {
            shared,
            debounce: Debounce::new(settings),
            losses: Losses::default(),
        }
    }

    /// Runs until the watcher stops.
    pub(crate) fn run(mut self, signals: &Receiver<Signal>) {
        let _fails_if_it_ends = Guard(Arc::clone(&self.shared));
        loop {
            let first = match self.debounce.deadline() {
                None => signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => signals.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            if self.shared.stopping.load(Ordering::Acquire)
                || first == Err(RecvTimeoutError::Disconnected)
            {
                return;
            }
            failpoint::hit("task.watch").ok();
            for signal in first.into_iter().chain(signals.try_iter()).take(BATCH) {
                self.take(signal);
            }
            if self.shared.overflow.swap(false, Ordering::AcqRel) {
                self.take(Signal::Lost);
            }
            // Only now: what the queue lost before is known, too.
            self.shared.canary.tell();
            let due = self.debounce.take_due(Instant::now());
            if !due.is_empty() {
                self.shared.ledger.prune();
            }
            for due in due {
                self.deliver(due);
            }
        }
    }

    fn take(&mut self, signal: Signal) {
        let now = Instant::now();
        match signal {
            Signal::Event(change, paths) => {
                for path in paths {
                    self.event(change, &path, now);
                }
            }
            Signal::Lost => {
                let mut names = Vec::new();
                for root in &mut self.shared.table().roots {
                    root.shown.overflows += 1;
                    root.trail.lose();
                    names.push(root.shown.name.clone());
                }
                tracing::warn!("events were lost; every collection is looked at again");
                for name in names {
                    let earliest = self.losses.earliest(&name, now);
                    self.debounce
                        .all_after(&Key::Root(name), LOST, earliest, now);
                }
                self.debounce.all(&Key::Collections, LOST, now);
                self.debounce.all(&Key::Config, LOST, now);
            }
            Signal::Limit(path) => self.limit(path.as_deref(), now),
            Signal::Polled => self.try_limited(now),
            Signal::Back(name) => self.debounce.all(&Key::Root(name), "watched again", now),
            Signal::Slow(folder) => {
                let given = self.shared.table().given(&folder);
                if let Some(path) = given {
                    self.shared.sink.root_slow(path);
                }
            }
            Signal::Wake => {}
        }
    }

    /// The kernel refused a folder that is new below some roots: they are looked at instead.
    fn limit(&mut self, path: Option<&Path>, now: Instant) {
        let mut watches = self.shared.watches();
        let mut table = self.shared.table();
        let hit = match path {
            Some(path) => table.at(path),
            None => (0..table.roots.len()).collect(),
        };
        let mut names = Vec::new();
        for at in hit {
            table.degrade(at, &Refusal::Limit, &mut watches);
            names.extend(table.roots.get(at).map(|root| root.shown.name.clone()));
        }
        drop(table);
        drop(watches);
        for name in names {
            let reason = Refusal::Limit.reason();
            tracing::warn!(collection = name, reason, "not watched by the kernel");
            self.debounce.all(&Key::Root(name), "watch limit", now);
        }
        self.shared.sink.roots_changed();
    }

    /// Asks the kernel again for what it refused, once its limit is another one.
    fn try_limited(&mut self, now: Instant) {
        let limited = self.shared.table().limited();
        if !limited.is_empty() && self.shared.watches().limit_moved() {
            for at in limited {
                self.rearm(at, now);
            }
        }
    }

    fn event(&mut self, change: Change, path: &Path, now: Instant) {
        if self.shared.canary.hears(path) {
            return;
        }
        let is_new_home = path == self.shared.home && change != Change::Touched;
        if path == self.shared.config || is_new_home {
            self.debounce.all(&Key::Config, "event", now);
            return;
        }
        let is_child = |path: &Path| path.parent() == Some(&self.shared.collections);
        let makes_one = path.ends_with(MANIFEST) && path.parent().is_some_and(is_child);
        if change != Change::Touched
            && (is_child(path) || makes_one || path == self.shared.collections)
        {
            self.debounce.all(&Key::Collections, "event", now);
        }
        let echo = self.shared.ledger.judge(path);
        let mut inside: Vec<(String, PathBuf)> = Vec::new();
        let mut again: Vec<usize> = Vec::new();
        let mut table = self.shared.table();
        for at in table.at(path) {
            let Some(root) = table.roots.get_mut(at) else {
                continue;
            };
            root.shown.events += 1;
            root.shown.last_event_at = Some(SystemClock.now());
            if echo != Echo::Foreign {
                root.shown.echoes += 1;
            }
            let relative = path.strip_prefix(&root.real).unwrap_or(path).to_owned();
            root.trail.note(&relative);
            let is_root = relative.as_os_str().is_empty();
            // The first thing in a folder in which nothing was.
            let is_first = root.shown.state == State::Missing && change != Change::Gone;
            if (is_root && change != Change::Touched) || is_first {
                again.push(at);
            } else if echo != Echo::Settled {
                inside.push((root.shown.name.clone(), relative));
            }
        }
        if change != Change::Touched && change != Change::Gone {
            again.extend(table.waiting_below(path));
            again.sort_unstable();
            again.dedup();
        }
        drop(table);
        for (name, relative) in inside {
            let key = Key::Root(name);
            if is_new_folder(change, path) {
                self.debounce.folder(&key, &relative, now);
            } else {
                self.debounce.path(&key, relative, "event", now);
            }
        }
        for at in again {
            self.rearm(at, now);
        }
    }

    /// The root's own folder came, went or was replaced.
    fn rearm(&mut self, at: usize, now: Instant) {
        let mut watches = self.shared.watches();
        let mut table = self.shared.table();
        let watching = table.rearm(at, &mut watches);
        let name = table.roots.get(at).map(|root| root.shown.name.clone());
        drop(table);
        drop(watches);
        self.shared.sink.roots_changed();
        if let Some(name) = name {
            let why = if watching {
                "folder appeared"
            } else {
                "folder is missing"
            };
            tracing::info!(collection = name, "the collection's {why}");
            self.debounce.all(&Key::Root(name), why, now);
            self.debounce.all(&Key::Collections, why, now);
        }
    }

    fn deliver(&mut self, due: Due<Key>) {
        match due.key {
            Key::Config => self.shared.sink.config_changed(),
            Key::Collections => {
                self.shared.watch_home();
                let now = Instant::now();
                let missing = self.shared.table().missing();
                for at in missing {
                    let mut watches = self.shared.watches();
                    let mut table = self.shared.table();
                    let back = table.rearm(at, &mut watches);
                    let name = table.roots.get(at).map(|root| root.shown.name.clone());
                    drop(table);
                    drop(watches);
                    if let (true, Some(name)) = (back, name) {
                        self.debounce.all(&Key::Root(name), "folder appeared", now);
                    }
                }
                self.shared.sink.collections_changed();
            }
            Key::Root(name) => {
                // Folders that were made while events were lost have no watch yet.
                if due.why == LOST {
                    self.losses.looked(&name, Instant::now());
                    self.watch_again(&name);
                }
                self.shared.sink.root_dirty(&name, due.dirty, due.why);
            }
        }
    }

    fn watch_again(&self, name: &str) {
        let mut watches = self.shared.watches();
        let mut table = self.shared.table();
        if let Some(at) = table.roots.iter().position(|root| root.shown.name == name) {
            table.rearm(at, &mut watches);
        }
    }
}

fn is_new_folder(change: Change, path: &Path) -> bool {
    match change {
        Change::Created { folder } => folder,
        Change::Arrived => path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir()),
        Change::Gone | Change::Touched => false,
    }
}

/// Shows each root as failed when the thread ends although nobody asked it to.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.0.stopping.load(Ordering::Acquire) {
            for root in &mut self.0.table().roots {
                root.shown.state = State::Failed;
                "the watch thread ended; restart the daemon".clone_into(&mut root.shown.reason);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use std::fs;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use skillmeat_shared::config::WatchBackend;

    use super::super::canary::Canary;
    use super::super::choice::{By, fake};
    use super::super::roots::{Table, WatchRoot};
    use super::super::{Dirty, Ledger, Sink};
    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Sink for Heard {
        fn root_dirty(&self, root: &str, dirty: Dirty, why: &'static str) {
            let what = match dirty {
                Dirty::All => "all".to_owned(),
                Dirty::Paths(paths) => format!("{paths:?}"),
            };
            self.0
                .lock()
                .unwrap()
                .push(format!("{root}: {what}: {why}"));
        }

        fn collections_changed(&self) {
            self.0.lock().unwrap().push("collections".to_owned());
        }

        fn config_changed(&self) {
            self.0.lock().unwrap().push("config".to_owned());
        }

        fn roots_changed(&self) {}

        fn root_slow(&self, path: PathBuf) {
            self.0
                .lock()
                .unwrap()
                .push(format!("slow {}", path.display()));
        }
    }

    struct Setting {
        _dir: tempfile::TempDir,
        root: PathBuf,
        heard: Arc<Heard>,
        native: fake::Fake,
        pump: Pump,
    }

    fn setting() -> Setting {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let collections = home.join("collections");
        let root = collections.join("work");
        fs::create_dir_all(root.join("skills")).unwrap();
        let heard = Arc::new(Heard::default());
        let (native, _, watches) = fake::watches(WatchBackend::Auto);
        let shared = Arc::new(Shared {
            config: home.join("config.toml"),
            canary: Canary::new(&home.join("run")),
            home,
            collections,
            table: Mutex::new(Table::default()),
            watches: Mutex::new(watches),
            overflow: Arc::new(AtomicBool::new(false)),
            stopping: AtomicBool::new(false),
            sink: Arc::clone(&heard) as Arc<dyn Sink>,
            ledger: Arc::new(Ledger::new()),
        });
        let wanted = WatchRoot {
            name: "work".to_owned(),
            path: root.clone(),
        };
        shared.table().replace(vec![wanted], &mut shared.watches());
        native.clear();
        let pump = Pump::new(shared, Settings::default());
        Setting {
            _dir: dir,
            root,
            heard,
            native,
            pump,
        }
    }

    #[test]
    fn a_look_that_takes_long_is_told_for_the_roots_own_folder() {
        let mut setting = setting();
        for folder in [setting.root.join("skills"), setting.root.clone()] {
            setting.pump.take(Signal::Slow(folder));
        }
        let told = format!("slow {}", setting.root.display());
        assert_eq!(*setting.heard.0.lock().unwrap(), [told]);
    }

    fn deliver_all(setting: &mut Setting) -> Vec<String> {
        for due in setting
            .pump
            .debounce
            .take_due(Instant::now() + Duration::from_mins(1))
        {
            setting.pump.deliver(due);
        }
        setting.heard.0.lock().unwrap().clone()
    }

    #[test]
    fn lost_events_dirty_everything_and_watch_anew() {
        let mut setting = setting();
        setting
            .pump
            .take(Signal::Event(Change::Touched, vec![setting.root.join("a")]));
        setting.pump.take(Signal::Lost);
        setting.pump.take(Signal::Lost);
        let heard = deliver_all(&mut setting);
        assert_eq!(
            heard,
            ["config", "collections", "work: all: events were lost"]
        );
        let root = setting.root.display();
        let asked = setting.native.0.lock().unwrap().asked.clone();
        let again = [format!("-{root}"), format!("+{root}")];
        assert_eq!(
            asked.iter().filter(|asked| again.contains(asked)).count(),
            2,
            "{asked:?}"
        );
        assert_eq!(setting.pump.shared.table().roots[0].shown.overflows, 2);
    }

    #[test]
    fn the_limit_makes_the_root_it_hits_polled() {
        let mut setting = setting();
        setting
            .pump
            .take(Signal::Limit(Some(setting.root.join("skills/deep"))));
        let shown = setting.pump.shared.table().roots[0].shown.clone();
        assert_eq!((shown.state, shown.by), (State::Watching, By::Poll));
        assert_eq!(deliver_all(&mut setting), ["work: all: watch limit"]);
        // The kernel isn't asked again while its limit is what it was.
        setting.native.clear();
        setting.pump.take(Signal::Polled);
        assert!(setting.native.0.lock().unwrap().asked.is_empty());
    }

    #[test]
    fn the_first_thing_in_an_empty_folder_brings_the_root_back() {
        let mut setting = setting();
        fs::remove_dir(setting.root.join("skills")).unwrap();
        let root = setting.root.clone();
        setting
            .pump
            .take(Signal::Event(Change::Gone, vec![root.clone()]));
        let state = |setting: &Setting| setting.pump.shared.table().roots[0].shown.state;
        assert_eq!(state(&setting), State::Missing);
        fs::write(root.join("collection.toml"), "x").unwrap();
        let file = root.join("collection.toml");
        setting
            .pump
            .take(Signal::Event(Change::Created { folder: false }, vec![file]));
        assert_eq!(state(&setting), State::Watching);
        let heard = deliver_all(&mut setting);
        assert!(
            heard.contains(&"work: all: folder appeared".to_owned()),
            "{heard:?}"
        );
    }

    #[test]
    fn a_settled_echo_is_counted_and_goes_no_further() {
        let mut setting = setting();
        let file = setting.root.join("a.md");
        fs::write(&file, "x").unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while setting.pump.shared.ledger.judge(&file) != Echo::Settled {
            assert!(Instant::now() < deadline, "it never settles");
            setting.pump.shared.ledger.note_settled(&file);
        }
        setting
            .pump
            .take(Signal::Event(Change::Touched, vec![file.clone()]));
        assert_eq!(setting.pump.debounce.deadline(), None);
        assert_eq!(setting.pump.shared.table().roots[0].shown.echoes, 1);
        fs::write(&file, "foreign").unwrap();
        setting
            .pump
            .take(Signal::Event(Change::Touched, vec![file]));
        assert_eq!(deliver_all(&mut setting), ["work: {\"a.md\"}: event"]);
    }

    #[test]
    fn a_thread_that_ends_unasked_shows() {
        let setting = setting();
        let shared = Arc::clone(&setting.pump.shared);
        drop(Guard(Arc::clone(&shared)));
        assert_eq!(shared.table().roots[0].shown.state, State::Failed);
    }
}
