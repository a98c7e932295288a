//! What the machine itself needs for the same work, in the same run.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// Starts of a process.
pub(crate) const STARTS: usize = 300;

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

/// How long one thread takes to walk over all files, to read and to hash them; the page cache is to be warm.
pub(crate) fn reading(root: &Path) -> Duration {
    let start = Instant::now();
    let (mut buffer, mut sum) = (Vec::new(), 0);
    walk(root, &mut |path| {
        buffer.clear();
        File::open(path).unwrap().read_to_end(&mut buffer).unwrap();
        sum ^= Sha256::digest(&buffer).first().copied().unwrap();
    });
    std::hint::black_box(sum);
    start.elapsed()
}

/// How long one thread takes to walk over all files and to ask for size and times of each.
pub(crate) fn looking(root: &Path) -> Duration {
    let start = Instant::now();
    let mut sum = 0;
    walk(root, &mut |path| {
        let stat = fs::symlink_metadata(path).unwrap();
        sum ^= stat.size() ^ stat.mtime().unsigned_abs();
    });
    std::hint::black_box(sum);
    start.elapsed()
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
