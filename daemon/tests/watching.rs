//! The watcher on real folders: what is written is reported, once it is quiet, and nothing else.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use skillmeat_shared::config::WatchBackend;
use skillmeat_shared::paths::Home;
use skillmeatd::watch::{By, Dirty, Ledger, Options, RootState, Sink, State, WatchRoot, Watcher};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Heard {
    dirty: Vec<(String, Dirty)>,
    collections: usize,
    config: usize,
}

/// The same demands on every way of noticing changes.
macro_rules! with_each_backend {
    ($($name:ident),* $(,)?) => {
        mod native {
            $(#[test]
            fn $name() {
                super::$name(super::WatchBackend::Native);
            })*
        }

        mod poll {
            $(#[test]
            fn $name() {
                super::$name(super::WatchBackend::Poll);
            })*
        }
    };
}

with_each_backend!(
    a_saved_file_is_reported_soon,
    reading_and_our_own_temporary_files_are_silent,
    a_save_by_rename_is_reported_under_its_name,
    what_is_written_into_a_new_tree_at_once_is_not_missed,
    config_and_collections_are_told_apart,
    a_collection_that_goes_is_missing_and_comes_back,
    a_root_outside_the_home_appears_later,
    echoes_are_counted_and_dropped_only_when_settled,
    a_burst_collapses_into_the_whole,
    stopping_twice_is_harmless_and_final,
);

/// Remembers what it hears and wakes who waits.
#[derive(Default)]
struct Ear {
    heard: Mutex<Heard>,
    more: Condvar,
}

impl Ear {
    fn hear(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.heard.lock().unwrap());
        self.more.notify_all();
    }

    fn wait(&self, what: &str, found: impl Fn(&Heard) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = self.heard.lock().unwrap();
        while !found(&heard) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "never heard: {what}; but {:?}",
                heard.dirty
            );
            heard = self.more.wait_timeout(heard, left).unwrap().0;
        }
    }

    fn wait_for_path(&self, root: &str, path: &str) {
        self.wait(path, |heard| heard.covers(root, path));
    }

    fn clear(&self) {
        *self.heard.lock().unwrap() = Heard::default();
    }
}

impl Heard {
    fn covers(&self, root: &str, path: &str) -> bool {
        self.dirty.iter().any(|(name, dirty)| {
            name == root
                && match dirty {
                    Dirty::All => true,
                    Dirty::Paths(paths) => Path::new(path).ancestors().any(|p| paths.contains(p)),
                }
        })
    }

    fn paths(&self) -> BTreeSet<PathBuf> {
        let paths = self.dirty.iter().filter_map(|(_, dirty)| match dirty {
            Dirty::Paths(paths) => Some(paths.clone()),
            Dirty::All => None,
        });
        paths.flatten().collect()
    }
}

impl Sink for Ear {
    fn root_dirty(&self, root: &str, dirty: Dirty, _: &'static str) {
        self.hear(|heard| heard.dirty.push((root.to_owned(), dirty)));
    }

    fn collections_changed(&self) {
        self.hear(|heard| heard.collections += 1);
    }

    fn config_changed(&self) {
        self.hear(|heard| heard.config += 1);
    }

    fn roots_changed(&self) {}

    fn root_slow(&self, _: PathBuf) {}
}

struct Setting {
    dir: tempfile::TempDir,
    home: Home,
    ear: Arc<Ear>,
    ledger: Arc<Ledger>,
    watcher: Watcher,
    backend: WatchBackend,
}

impl Setting {
    fn new(backend: WatchBackend) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().canonicalize().unwrap().join("home"));
        fs::create_dir_all(home.collection("work").join("skills")).unwrap();
        let ear = Arc::new(Ear::default());
        let ledger = Arc::new(Ledger::new());
        let sink: Arc<dyn Sink> = Arc::clone(&ear) as _;
        let options = Options {
            backend,
            poll_interval: Duration::from_millis(50),
            ..Options::default()
        };
        let watcher = Watcher::start(&home, options, sink, Arc::clone(&ledger)).unwrap();
        let this = Self {
            dir,
            home,
            ear,
            ledger,
            watcher,
            backend,
        };
        this.watcher.set_roots(vec![this.root("work")]);
        if backend == WatchBackend::Poll {
            // With the first look all counts as changed.
            this.ear.wait_for_path("work", "first look");
            this.ear.clear();
        }
        this
    }

    fn root(&self, name: &str) -> WatchRoot {
        WatchRoot {
            name: name.to_owned(),
            path: self.home.collection(name),
        }
    }

    fn work(&self, path: &str) -> PathBuf {
        self.home.collection("work").join(path)
    }

    fn state(&self, name: &str) -> RootState {
        self.watcher
            .status()
            .into_iter()
            .find(|root| root.name == name)
            .unwrap()
    }
}

fn a_saved_file_is_reported_soon(backend: WatchBackend) {
    let setting = Setting::new(backend);
    let start = Instant::now();
    fs::write(setting.work("collection.toml"), "x").unwrap();
    setting.ear.wait_for_path("work", "collection.toml");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    let state = setting.state("work");
    let by = match setting.backend {
        WatchBackend::Poll => By::Poll,
        WatchBackend::Auto | WatchBackend::Native => By::Native,
    };
    assert_eq!((state.state, state.by), (State::Watching, by));
    assert!(state.events > 0 && state.last_event_at.is_some() && state.echoes == 0);
}

fn reading_and_our_own_temporary_files_are_silent(backend: WatchBackend) {
    let setting = Setting::new(backend);
    fs::write(setting.work("skills/a.md"), "x").unwrap();
    setting.ear.wait_for_path("work", "skills/a.md");
    setting.ear.clear();
    for _ in 0..50 {
        fs::read(setting.work("skills/a.md")).unwrap();
    }
    fs::write(setting.work("skills/.skillmeat-tmp-1"), "x").unwrap();
    fs::write(setting.work("marker"), "x").unwrap();
    setting.ear.wait_for_path("work", "marker");
    let paths = setting.ear.heard.lock().unwrap().paths();
    if backend == WatchBackend::Poll {
        // The time of a folder tells that something came or went in it, but not what.
        assert!(paths.is_subset(&BTreeSet::from(["marker".into(), "skills".into()])));
    } else {
        assert_eq!(paths, BTreeSet::from(["marker".into()]));
    }
}

fn a_save_by_rename_is_reported_under_its_name(backend: WatchBackend) {
    let setting = Setting::new(backend);
    fs::write(setting.work("skills/new~"), "x").unwrap();
    fs::rename(setting.work("skills/new~"), setting.work("skills/a.md")).unwrap();
    setting.ear.wait_for_path("work", "skills/a.md");
}

fn what_is_written_into_a_new_tree_at_once_is_not_missed(backend: WatchBackend) {
    let setting = Setting::new(backend);
    for number in 0..40 {
        let folder = setting.work(&format!("skills/s{number}/deep/deeper"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("x.md"), "x").unwrap();
    }
    for number in 0..40 {
        let path = format!("skills/s{number}/deep/deeper/x.md");
        // Covered by its folder at the latest when that is looked at the second time.
        setting.ear.wait(&path, |heard| {
            let folder = Path::new("skills").join(format!("s{number}"));
            heard
                .dirty
                .iter()
                .filter(|(_, dirty)| match dirty {
                    Dirty::All => true,
                    Dirty::Paths(paths) => paths.contains(&folder),
                })
                .count()
                >= 2
        });
    }
    setting.ear.clear();
    fs::write(setting.work("skills/s7/deep/deeper/late.md"), "x").unwrap();
    setting
        .ear
        .wait_for_path("work", "skills/s7/deep/deeper/late.md");
}

fn config_and_collections_are_told_apart(backend: WatchBackend) {
    let setting = Setting::new(backend);
    fs::write(setting.home.config(), "x").unwrap();
    setting.ear.wait("config", |heard| heard.config > 0);
    fs::create_dir(setting.home.logs_dir()).unwrap();
    fs::create_dir(setting.home.collection("new")).unwrap();
    setting
        .ear
        .wait("collections", |heard| heard.collections > 0);
    assert_eq!(setting.ear.heard.lock().unwrap().dirty, []);
}

fn a_collection_that_goes_is_missing_and_comes_back(backend: WatchBackend) {
    let setting = Setting::new(backend);
    let aside = setting.dir.path().join("aside");
    fs::rename(setting.work(""), &aside).unwrap();
    setting.ear.wait("gone", |heard| {
        heard.covers("work", "x") && heard.collections > 0
    });
    assert_eq!(setting.state("work").state, State::Missing);
    setting.ear.clear();
    fs::rename(&aside, setting.work("")).unwrap();
    setting.ear.wait("back", |heard| heard.covers("work", "x"));
    assert_eq!(setting.state("work").state, State::Watching);
    setting.ear.clear();
    fs::write(setting.work("skills/a.md"), "x").unwrap();
    setting.ear.wait_for_path("work", "skills/a.md");
}

fn a_root_outside_the_home_appears_later(backend: WatchBackend) {
    let setting = Setting::new(backend);
    let outside = setting
        .dir
        .path()
        .canonicalize()
        .unwrap()
        .join("team/library");
    let root = WatchRoot {
        name: "team".to_owned(),
        path: outside.clone(),
    };
    setting.watcher.set_roots(vec![setting.root("work"), root]);
    assert_eq!(setting.state("team").state, State::Missing);
    // As the place of a disk that is still to be mounted.
    fs::create_dir_all(&outside).unwrap();
    setting.ear.clear();
    fs::write(outside.join("collection.toml"), "x").unwrap();
    setting.ear.wait("watching", |heard| {
        heard.covers("team", "collection.toml") && setting.state("team").state == State::Watching
    });
    setting.ear.clear();
    fs::write(outside.join("collection.toml"), "other").unwrap();
    setting.ear.wait_for_path("team", "collection.toml");
}

fn echoes_are_counted_and_dropped_only_when_settled(backend: WatchBackend) {
    let setting = Setting::new(backend);
    let labelled = setting.work("skills/labelled.md");
    setting.ledger.note(&labelled);
    fs::write(&labelled, "x").unwrap();
    setting.ear.wait_for_path("work", "skills/labelled.md");
    assert!(setting.state("work").echoes > 0);
}

fn a_burst_collapses_into_the_whole(backend: WatchBackend) {
    let setting = Setting::new(backend);
    for number in 0..6_000 {
        fs::write(setting.work(&format!("skills/f{number}")), "").unwrap();
    }
    setting.ear.wait("all", |heard| {
        (0..6_000)
            .step_by(500)
            .all(|number| heard.covers("work", &format!("skills/f{number}")))
    });
}

fn stopping_twice_is_harmless_and_final(backend: WatchBackend) {
    let setting = Setting::new(backend);
    setting.watcher.stop();
    setting.watcher.stop();
    assert_eq!(setting.state("work").state, State::Watching);
}
