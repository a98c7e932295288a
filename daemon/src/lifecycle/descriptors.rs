//! Descriptors and standard streams that the daemon inherits.
//!
//! Whatever the starter had open (a build's job server, a terminal's pipe) would stay open for as long as
//! the daemon lives, and its owner would wait for the end of it for ever. Hence everything above the three
//! standard streams is closed before anything is opened, except for sockets that a service manager hands
//! over.
#![expect(
    unsafe_code,
    reason = "an inherited descriptor is a bare number, which must be closed or made somebody's own"
)]

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use rustix::io::FdFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors below this are the standard streams.
const FIRST: RawFd = 3;

/// How many descriptors the daemon wants to be able to have; the service units say the same.
const WANTED: u64 = 8192;

/// Raises the limit of open descriptors, as far as that is allowed: the soft limit of a shell may be 256, which many
/// clients and a pass at work would reach.
pub(crate) fn raise_limit() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.map_or(WANTED, |hard| hard.min(WANTED));
    if limit.current.is_none_or(|soft| soft >= allowed) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(allowed),
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// Closes every descriptor above the standard streams, but for the first `keep` of them, which are
/// returned in their order and are inherited by nobody further. Call it first thing in `main`: nothing in
/// the process may own a descriptor yet.
pub(crate) fn close_inherited(keep: RawFd) -> Vec<OwnedFd> {
    let mut kept = Vec::new();
    let mut open = open_descriptors();
    open.sort_unstable();
    for descriptor in open {
        // SAFETY: only asked whether it is open, which the number need not be. It is not -1.
        let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
        // The listing had a descriptor itself, which is closed by now.
        if rustix::io::fcntl_getfd(borrowed).is_err() {
            continue;
        }
        if descriptor - FIRST < keep && rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC).is_ok()
        {
            // SAFETY: it is open, and nothing in this process owns it: this runs before anything is opened,
            // and visits each descriptor once.
            kept.push(unsafe { OwnedFd::from_raw_fd(descriptor) });
        } else {
            // SAFETY: this runs before the process opens anything or starts a thread, so no object of ours
            // owns a descriptor of this range, and none can come to own it meanwhile.
            unsafe { rustix::io::close(descriptor) };
        }
    }
    kept
}

fn open_descriptors() -> Vec<RawFd> {
    let list = ["/proc/self/fd", "/dev/fd"]
        .iter()
        .find_map(|list| fs::read_dir(Path::new(list)).ok());
    let Some(list) = list else {
        // No listing in this system: the ones that a shell or a build hands on are low.
        return (FIRST..256).collect();
    };
    list.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor >= FIRST)
        .collect()
}

/// Lets go of the starter's terminal or pipes: the standard streams lead nowhere from now on.
pub(crate) fn leave_streams() -> io::Result<()> {
    let nowhere = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nowhere)?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn open_descriptors_are_listed_without_the_standard_streams() {
        let file = fs::File::open("/dev/null").unwrap();
        let listed = open_descriptors();
        assert!(listed.contains(&file.as_raw_fd()));
        assert!(listed.iter().all(|descriptor| *descriptor >= FIRST));
    }
}
