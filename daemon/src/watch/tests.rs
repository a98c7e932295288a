use std::fs;
use std::path::Path;
use std::sync::Condvar;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use super::backend::Refusal;
use super::*;

/// Long enough for a busy kernel, and short enough to wait for three times.
const SHORT: Duration = Duration::from_secs(1);

/// The kernel, or what is left of one whose events don't arrive.
struct Kernel {
    native: Native,
    deaf: Arc<AtomicBool>,
    rebuilt: Arc<AtomicUsize>,
    /// The rebuild that mends it.
    mended_by: usize,
}

impl Backend for Kernel {
    fn watch(&mut self, path: &Path, depth: Depth) -> Result<(), Refusal> {
        if self.deaf.load(Ordering::Acquire) {
            // Nor is anything heard of what was watched before.
            self.native.unwatch(path);
            return Ok(());
        }
        self.native.watch(path, depth)
    }

    fn unwatch(&mut self, path: &Path) {
        self.native.unwatch(path);
    }

    fn rebuild(&mut self) -> Result<(), Refusal> {
        if self.rebuilt.fetch_add(1, Ordering::AcqRel) + 1 == self.mended_by {
            self.deaf.store(false, Ordering::Release);
        }
        self.native.rebuild()
    }
}

#[derive(Default)]
struct Ear {
    dirty: Mutex<Vec<String>>,
    more: Condvar,
}

impl Sink for Ear {
    fn root_dirty(&self, root: &str, dirty: Dirty, _: &'static str) {
        let what = if dirty == Dirty::All { "all" } else { "paths" };
        self.dirty.lock().unwrap().push(format!("{root}: {what}"));
        self.more.notify_all();
    }

    fn collections_changed(&self) {}

    fn config_changed(&self) {}

    fn roots_changed(&self) {}

    fn root_slow(&self, _: PathBuf) {}
}

struct Setting {
    _dir: tempfile::TempDir,
    folder: PathBuf,
    watcher: Watcher,
    ear: Arc<Ear>,
    deaf: Arc<AtomicBool>,
    rebuilt: Arc<AtomicUsize>,
}

impl Setting {
    fn new(mended_by: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().canonicalize().unwrap());
        let folder = home.collection("work");
        fs::create_dir_all(folder.join("skills")).unwrap();
        fs::create_dir_all(home.run_dir()).unwrap();
        let (deaf, rebuilt) = (Arc::default(), Arc::default());
        let (deaf_too, rebuilt_too) = (Arc::clone(&deaf), Arc::clone(&rebuilt));
        let root = home.root().to_owned();
        let kernel = |queue, overflow| {
            Box::new(Kernel {
                native: Native::new(root, queue, overflow),
                deaf: deaf_too,
                rebuilt: rebuilt_too,
                mended_by,
            }) as Box<dyn Backend>
        };
        let ear = Arc::new(Ear::default());
        let options = Options {
            // What is meant is whether the kernel is used where it can be.
            backend: WatchBackend::Auto,
            poll_interval: Duration::from_millis(50),
            ..Options::default()
        };
        let sink: Arc<dyn Sink> = Arc::clone(&ear) as _;
        let watcher = Watcher::over(kernel, &home, options, sink, Arc::default()).unwrap();
        watcher.set_roots(vec![WatchRoot {
            name: "work".to_owned(),
            path: folder.clone(),
        }]);
        Self {
            _dir: dir,
            folder,
            watcher,
            ear,
            deaf,
            rebuilt,
        }
    }

    fn uses_kernel(&self) -> bool {
        self.watcher.status()[0].by != By::Poll
    }

    fn rebuilt(&self) -> usize {
        self.rebuilt.load(Ordering::Acquire)
    }

    fn waits_for(&self, wanted: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        let mut dirty = self.ear.dirty.lock().unwrap();
        while !dirty.iter().any(|heard| heard == wanted) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never heard {wanted}: {dirty:?}");
            dirty = self.ear.more.wait_timeout(dirty, left).unwrap().0;
        }
        dirty.clear();
    }
}

#[test]
fn a_kernel_that_tells_is_left_alone() {
    let setting = Setting::new(0);
    setting.watcher.check_within(Duration::from_secs(20));
    assert!(setting.uses_kernel());
    assert_eq!(setting.rebuilt(), 0);
}

#[test]
fn a_watcher_that_died_silently_is_made_anew() {
    let setting = Setting::new(1);
    setting.deaf.store(true, Ordering::Release);
    setting.watcher.check_within(SHORT);
    assert!(setting.uses_kernel());
    assert!(setting.rebuilt() >= 1);
    // What was missed may be anything, and what comes is heard.
    setting.waits_for("work: all");
    fs::create_dir(setting.folder.join("new")).unwrap();
    setting.waits_for("work: paths");
}

#[test]
fn a_kernel_that_stays_silent_is_replaced_until_it_speaks() {
    let setting = Setting::new(TRIES + 1);
    setting.deaf.store(true, Ordering::Release);
    setting.watcher.check_within(Duration::from_millis(100));
    let state = setting.watcher.status().remove(0);
    assert_eq!((state.by, state.trouble), (By::Poll, Some(Trouble::Silent)));
    assert_eq!(setting.rebuilt(), TRIES);
    setting.waits_for("work: all");
    setting.waits_for("work: all");
    fs::create_dir(setting.folder.join("skills/new")).unwrap();
    setting.waits_for("work: paths");
    setting.watcher.check_within(Duration::from_secs(20));
    assert!(setting.uses_kernel());
    assert_eq!(setting.watcher.status()[0].trouble, None);
}

#[test]
fn the_backend_changes_while_it_runs() {
    let setting = Setting::new(0);
    let interval = Duration::from_millis(20);
    setting.watcher.set_backend(WatchBackend::Poll, interval);
    assert!(!setting.uses_kernel());
    setting.waits_for("work: all");
    setting.watcher.check();
    assert_eq!(setting.rebuilt(), 0, "nobody listens to the kernel");
    setting.watcher.set_backend(WatchBackend::Native, interval);
    assert_eq!(setting.watcher.status()[0].by, By::Native);
}

#[test]
fn nobody_waits_for_the_canary_when_all_ends() {
    let setting = Setting::new(0);
    setting.deaf.store(true, Ordering::Release);
    setting.watcher.stop();
    let start = Instant::now();
    setting.watcher.check();
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

/// A kernel that sends a burst of events, and says in the midst of it that it lost some.
#[test]
fn fifty_thousand_events_of_which_some_were_lost_are_one_look_at_everything() {
    let setting = Setting::new(0);
    let event = |kind: notify::EventKind| notify::Event::new(kind);
    let created = notify::EventKind::Create(notify::event::CreateKind::File);
    let mut handler = native::Handler {
        home: setting.watcher.shared.home.clone(),
        queue: setting.watcher.queue.clone(),
        overflow: Arc::clone(&setting.watcher.shared.overflow),
        is_far: false,
    };
    for number in 0..50_000 {
        let path = setting
            .folder
            .join(format!("skills/s{}/f{number}", number % 999));
        let mut told = event(created).add_path(path);
        if number == 40_000 {
            // It has no path.
            told = event(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan);
        }
        notify::EventHandler::handle_event(&mut handler, Ok(told));
    }
    setting.waits_for("work: all");
    let root = setting.watcher.status().remove(0);
    assert!(root.overflows >= 1 && root.state == State::Watching);
    // However many there were, they were told in few words.
    let told = setting.ear.dirty.lock().unwrap().len();
    assert!(told < 20, "{told}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "as other programs write")]
fn what_changed_is_known_the_moment_it_is_asked_for() {
    let setting = Setting::new(0);
    let changes = |anew| setting.watcher.changes("work", anew);
    let is_told = setting.watcher.status()[0].by == By::Native && cfg!(target_os = "linux");
    if !is_told {
        assert_eq!(changes(true), Changes::Unknown);
        return;
    }
    assert_eq!(changes(false), Changes::Unknown);
    assert_eq!(changes(true), Changes::FromNowOn);
    for round in 0..20 {
        // New folders, and files in them before anybody can have noticed.
        let new = setting.folder.join(format!("skills/new-{round}/deep"));
        fs::create_dir_all(&new).unwrap();
        fs::write(new.join("file"), "x").unwrap();
        let place = PathBuf::from(format!("skills/new-{round}"));
        for anew in [false, true] {
            let Changes::Only(places) = changes(anew) else {
                panic!("it is not known");
            };
            assert!(places.contains(&place), "{round}: {places:?}");
        }
        // From here on it is watched.
        fs::write(new.join("file"), "y").unwrap();
        let Changes::Only(places) = changes(true) else {
            panic!("it is not known");
        };
        assert_eq!(places, [place].into());
        assert_eq!(changes(true), Changes::Only([].into()));
    }
    assert_eq!(setting.watcher.changes("nobody", true), Changes::Unknown);
    setting.deaf.store(true, Ordering::Release);
    assert_eq!(changes(true), Changes::Unknown);
    setting.deaf.store(false, Ordering::Release);
    assert_eq!(changes(true), Changes::FromNowOn, "what was, nobody told");
}
