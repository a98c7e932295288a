//! The system around the home: disks, limits, the clock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    CACHE_ON_NETWORK_DISK, CLOCK_WRONG, COLLECTION_ON_NETWORK_DISK, Collection, DISK_SPACE_LOW,
    Finding, HOME_IGNORES_CASE, HOME_ON_NETWORK_DISK, WATCH_LIMIT_LOW,
};
use crate::paths::{CachePlace, Home, is_local_fs};
use crate::rendezvous::StartupReport;
use crate::time::{Clock as _, SystemClock, Timestamp};

/// Less room than this is little, bytes.
const LITTLE: u64 = 256 << 20;

/// The year 2025: no program of ours is older.
const EARLIEST: Timestamp = Timestamp(1_735_689_600_000_000_000);

/// A file that is newer than now by more than this was not written by a clock that is right.
const AHEAD: Duration = Duration::from_hours(24);

/// Watches that other programs of the user need, roughly.
const OF_OTHERS: u64 = 2048;

/// What the daemon needs at least: instances of inotify, events in the queue.
const LEAST: [(&str, u64); 2] = [
    ("fs.inotify.max_user_instances", 16),
    ("fs.inotify.max_queued_events", 4096),
];

/// The most folders that are counted: more need more watches than any system gives by itself.
const MAX_FOLDERS: u64 = 600_000;

/// How deep folders are counted.
const MAX_DEPTH: usize = 64;

/// Room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that the user may still write.
    pub free: u64,
}

/// What the system tells. A port, so that tests bring their own.
pub trait Probe {
    /// The time.
    fn now(&self) -> Timestamp;
    /// Room on the disk of a path.
    fn space(&self, path: &Path) -> Option<Space>;
    /// Whether a path is on a disk of this machine.
    fn is_local(&self, path: &Path) -> bool;
    /// Whether a folder that exists is found under another spelling too.
    fn ignores_case(&self, folder: &Path) -> bool;
    /// A limit of the kernel, by its name with dots.
    fn limit(&self, name: &str) -> Option<u64>;
}

/// The machine that we run on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Probe for Machine {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn space(&self, path: &Path) -> Option<Space> {
        let found = rustix::fs::statvfs(path).ok()?;
        Some(Space {
            free: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }

    fn is_local(&self, path: &Path) -> bool {
        is_local_fs(path)
    }

    fn ignores_case(&self, folder: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        // A link of the other spelling is something else.
        let identity = |path: &Path| {
            let found = std::fs::symlink_metadata(path).ok()?;
            Some((found.dev(), found.ino()))
        };
        folder.file_name().is_some_and(|name| {
            let other = folder.with_file_name(name.to_ascii_uppercase());
            identity(folder).is_some_and(|one| identity(&other) == Some(one))
        })
    }

    fn limit(&self, name: &str) -> Option<u64> {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        let bytes = crate::fs::read_bounded(&path, 4096).ok()?;
        String::from_utf8(bytes).ok()?.trim().parse().ok()
    }
}

/// What is wrong around a home and its collections.
pub fn examine(
    home: &Home,
    cache: &CachePlace,
    collections: &[Collection],
    probe: &dyn Probe,
) -> Vec<Finding> {
    let mut findings = disks(home, cache, collections, probe);
    findings.extend(room(home, cache, collections, probe));
    findings.extend(limits(collections, probe));
    findings.extend(clock(home, probe));
    findings
}

fn disks(
    home: &Home,
    cache: &CachePlace,
    collections: &[Collection],
    probe: &dyn Probe,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let on_network = |diagnosis, what: &str, path: &Path| {
        let subject = path.display().to_string();
        let message = format!("{what} `{subject}` is on a network disk");
        Finding::new(diagnosis, subject, message).at(path, None)
    };
    if !probe.is_local(home.root()) {
        findings.push(on_network(&HOME_ON_NETWORK_DISK, "the home", home.root()));
    }
    if !probe.is_local(&cache.database) {
        // As the daemon says it: without a subject, as there is only one cache.
        let mut finding = on_network(&CACHE_ON_NETWORK_DISK, "the cache", &cache.database);
        finding.subject.clear();
        findings.push(finding);
    }
    for collection in collections.iter().filter(|one| one.external) {
        if !probe.is_local(&collection.path) {
            findings.push(on_network(
                &COLLECTION_ON_NETWORK_DISK,
                "the collection",
                &collection.path,
            ));
        }
    }
    if probe.ignores_case(&home.collections()) {
        let path = home.root();
        let subject = path.display().to_string();
        let message = format!("the disk of `{subject}` does not tell upper from lower case");
        findings.push(Finding::new(&HOME_IGNORES_CASE, subject, message).at(path, None));
    }
    findings
}

fn room(
    home: &Home,
    cache: &CachePlace,
    collections: &[Collection],
    probe: &dyn Probe,
) -> Vec<Finding> {
    let mut places: Vec<PathBuf> = vec![home.root().to_path_buf()];
    places.extend(cache.database.parent().map(Path::to_path_buf));
    places.extend(collections.iter().map(|one| one.path.clone()));
    let mut seen = Vec::new();
    let mut findings = Vec::new();
    for place in places {
        let Some(space) = probe.space(&place) else {
            continue;
        };
        // Places on one disk tell the same.
        if space.free >= LITTLE || seen.contains(&space) {
            continue;
        }
        seen.push(space);
        let subject = place.display().to_string();
        let message = format!("{} MB are free at `{subject}`", space.free >> 20);
        findings.push(Finding::new(&DISK_SPACE_LOW, subject, message).at(place, None));
    }
    findings
}

fn limits(collections: &[Collection], probe: &dyn Probe) -> Vec<Finding> {
    let low = |name: &str, limit: u64, needed: u64| {
        let message = format!("`{name}` is {limit}, and about {needed} are needed");
        let line = format!("{name}={}", needed.next_power_of_two().max(limit));
        Finding::new(&WATCH_LIMIT_LOW, name, format!("{message}: `{line}`"))
    };
    let mut findings: Vec<Finding> = LEAST
        .iter()
        .filter_map(|(name, least)| {
            let limit = probe.limit(name)?;
            (limit < *least).then(|| low(name, limit, *least))
        })
        .collect();
    let name = "fs.inotify.max_user_watches";
    if let Some(limit) = probe.limit(name) {
        // Counting stops as soon as the answer is clear.
        let mut folders = 0;
        for collection in collections {
            count_folders(&collection.path, 0, &mut folders);
        }
        let needed = folders.saturating_add(OF_OTHERS);
        if limit < needed {
            findings.push(low(name, limit, needed));
        }
    }
    findings
}

/// Counts a folder and those below it, without following links.
fn count_folders(folder: &Path, depth: usize, count: &mut u64) {
    if depth > MAX_DEPTH || *count >= MAX_FOLDERS {
        return;
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    *count += 1;
    for entry in entries.filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            count_folders(&entry.path(), depth + 1, count);
        }
    }
}

fn clock(home: &Home, probe: &dyn Probe) -> Option<Finding> {
    let now = probe.now();
    if now < EARLIEST {
        let message = format!("the clock says {}", now.to_rfc3339());
        return Some(Finding::new(&CLOCK_WRONG, "", message));
    }
    let file = home.last_start();
    let written = StartupReport::load(&file).ok().flatten().and_then(|_| {
        let at = file.metadata().ok()?.modified().ok()?;
        Some(Timestamp::of(at.into()))
    })?;
    (written.since(now) > AHEAD).then(|| {
        let message = format!(
            "the clock says {}, but the daemon last started at {}",
            now.to_rfc3339(),
            written.to_rfc3339()
        );
        Finding::new(&CLOCK_WRONG, "", message).at(file, None)
    })
}

#[cfg(test)]
mod tests;
