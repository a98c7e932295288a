//! What the machine itself needs for the same work, in the same run.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use skillmeat_tests::bench::table::Samples;

/// Rounds of each sweep; the middle one counts.
const ROUNDS: usize = 5;

/// Starts of a process.
pub(crate) const STARTS: usize = 300;

/// The floors.
pub(crate) struct Floors {
    /// One thread walks over all files, reads and hashes them; the page cache is warm.
    pub(crate) reading: Duration,
    /// One thread walks over all files and asks for size and times of each.
    pub(crate) looking: Duration,
}

fn walk(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), each);
        } else {
            each(&entry.path());
        }
    }
}

fn middle(mut work: impl FnMut()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    Samples::new(rounds.collect()).p50()
}

/// Measures both sweeps.
pub(crate) fn of(root: &Path) -> Floors {
    let read = || {
        let (mut buffer, mut sum) = (Vec::new(), 0);
        walk(root, &mut |path| {
            buffer.clear();
            File::open(path).unwrap().read_to_end(&mut buffer).unwrap();
            sum ^= Sha256::digest(&buffer).first().copied().unwrap();
        });
        std::hint::black_box(sum);
    };
    // The page cache gets warm.
    read();
    Floors {
        reading: middle(read),
        looking: middle(|| {
            let mut sum = 0;
            walk(root, &mut |path| {
                let stat = fs::symlink_metadata(path).unwrap();
                sum ^= stat.size() ^ stat.mtime().unsigned_abs();
            });
            std::hint::black_box(sum);
        }),
    }
}

/// From the start of a process to its end.
pub(crate) fn run(mut command: Command) -> Duration {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap();
    let took = start.elapsed();
    assert!(
        status.success(),
        "`{}` failed",
        command.get_program().display()
    );
    took
}
