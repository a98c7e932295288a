use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::doctor::tests::{codes, collection, folder, told};
use crate::{Code, Error};

/// A machine as a test wants it.
struct Made {
    now: Timestamp,
    free: u64,
    network: Vec<PathBuf>,
    ignores_case: bool,
    limits: BTreeMap<&'static str, u64>,
}

impl Probe for Made {
    fn now(&self) -> Timestamp {
        self.now
    }
    fn space(&self, _: &Path) -> Option<Space> {
        Some(Space { free: self.free })
    }
    fn is_local(&self, path: &Path) -> bool {
        !self.network.iter().any(|share| path.starts_with(share))
    }
    fn ignores_case(&self, _: &Path) -> bool {
        self.ignores_case
    }
    fn limit(&self, name: &str) -> Option<u64> {
        self.limits.get(name).copied()
    }
}

fn machine() -> Made {
    Made {
        now: Machine.now(),
        free: 1 << 40,
        network: Vec::new(),
        ignores_case: false,
        limits: BTreeMap::from([
            ("fs.inotify.max_user_watches", 65_536),
            ("fs.inotify.max_user_instances", 128),
            ("fs.inotify.max_queued_events", 16_384),
        ]),
    }
}

fn around(home: &Home, machine: &Made) -> Vec<Finding> {
    let cache = CachePlace {
        database: home.cache_dir().join("skillmeatd.db"),
        is_local: true,
    };
    examine(home, &cache, &[collection(home)], machine)
}

#[test]
fn disks_that_are_far_away_or_full_are_found() {
    let folder = folder();
    let home = &folder.home;
    assert_eq!(told(&around(home, &machine())), []);
    let mut far = machine();
    far.network.push(home.root().to_owned());
    assert_eq!(
        codes(&around(home, &far)),
        ["home-on-network-disk", "cache-on-network-disk"]
    );
    let external = Collection {
        external: true,
        ..collection(home)
    };
    let cache = CachePlace {
        database: "/local/db".into(),
        is_local: true,
    };
    let mut far = machine();
    far.network.push(external.path.clone());
    assert_eq!(
        codes(&examine(home, &cache, &[external], &far)),
        ["collection-on-network-disk"]
    );
    let mut full = machine();
    full.free = 10 << 20;
    // All on one disk: told once.
    assert_eq!(codes(&around(home, &full)), ["disk-space-low"]);
    assert!(around(home, &full)[0].message.contains("10 MB"));
}

#[test]
fn a_disk_that_ignores_case_is_told() {
    let folder = folder();
    let home = &folder.home;
    let mut ignoring = machine();
    ignoring.ignores_case = true;
    let findings = around(home, &ignoring);
    assert_eq!(codes(&findings), ["home-ignores-case"]);
    assert_eq!(findings[0].path.as_deref(), Some(home.root()));
    // The real one says what a look under the other name says.
    let (one, other) = (home.root().join("case"), home.root().join("CASE"));
    fs::create_dir(&one).unwrap();
    assert_eq!(Machine.ignores_case(&one), other.exists());
    if !other.exists() {
        std::os::unix::fs::symlink(&one, &other).unwrap();
        assert!(!Machine.ignores_case(&one), "a link is no other spelling");
    }
}

#[test]
fn limits_on_watches_are_compared_with_what_is_needed() {
    let folder = folder();
    let home = &folder.home;
    for number in 0..20 {
        fs::create_dir_all(home.collection("c").join(format!("skills/{number}"))).unwrap();
    }
    let mut low = machine();
    low.limits.insert("fs.inotify.max_user_watches", 2060);
    let findings = around(home, &low);
    assert_eq!(
        told(&findings),
        [("watch-limit-low", "fs.inotify.max_user_watches", None)]
    );
    // 22 folders and those of others.
    assert!(findings[0].message.contains("2070"), "{findings:?}");
    assert!(findings[0].message.contains("=4096"), "{findings:?}");
    low.limits.insert("fs.inotify.max_user_watches", 2070);
    assert_eq!(told(&around(home, &low)), []);
    low.limits.insert("fs.inotify.max_user_instances", 1);
    low.limits.insert("fs.inotify.max_queued_events", 1);
    assert_eq!(around(home, &low).len(), 2);
    low.limits.clear();
    assert_eq!(
        told(&around(home, &low)),
        [],
        "a system without these limits"
    );
}

#[test]
fn a_clock_that_can_not_be_right_is_found() {
    let folder = folder();
    let home = &folder.home;
    let mut past = machine();
    past.now = Timestamp(0);
    assert_eq!(codes(&around(home, &past)), ["clock-wrong"]);
    let report = StartupReport::from(&Error::new(Code::Internal, "x"));
    report.save(&home.last_start()).unwrap();
    assert_eq!(told(&around(home, &machine())), []);
    let mut behind = machine();
    behind.now = Timestamp(behind.now.0 - 3 * 86_400 * 1_000_000_000);
    assert_eq!(codes(&around(home, &behind)), ["clock-wrong"]);
}

#[test]
fn the_machine_tells_of_itself() {
    let folder = folder();
    assert!(Machine.space(folder.home.root()).unwrap().free > 0);
    assert_eq!(Machine.limit("no.such.limit"), None);
    if Path::new("/proc/sys/fs/inotify").exists() {
        assert!(Machine.limit("fs.inotify.max_user_watches").unwrap() > 0);
    }
}
