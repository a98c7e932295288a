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
        ratings: home.join("state/ratings.toml"),
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
