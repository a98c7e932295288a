//! Memory that was freed and that the system does not have back yet.
//!
//! A first index needs several times what an idle daemon does. The allocator of glibc keeps what was freed, for each
//! thread apart and for ever, unless it is told.
#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(
        unsafe_code,
        reason = "only the allocator's own interface tells it to let go"
    )
)]

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    /// Above this, an allocation has pages of its own, which go back when it is freed.
    const OWN_PAGES: libc::c_int = 512 * 1024;

    /// Free bytes that each heap may keep at its end, which [`give_back`] does not reach. A first index is no slower
    /// with this than with four times as much.
    const KEPT: libc::c_int = 1024 * 1024;

    /// Heaps besides one for each core. By itself the allocator makes up to eight for each core, and threads that come
    /// and go leave free pieces in all of them. With fewer than this, those wait for each other that index.
    const MORE: usize = 3;

    /// Heaps at most.
    const MOST: usize = 16;

    pub(super) fn limit() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let heaps = (cores + MORE).min(MOST);
        // By itself the allocator raises both to what was once freed in one piece, up to 64 MB for each thread.
        for (name, value) in [
            (libc::M_MMAP_THRESHOLD, OWN_PAGES),
            (libc::M_TRIM_THRESHOLD, KEPT),
            (
                libc::M_ARENA_MAX,
                libc::c_int::try_from(heaps).unwrap_or(libc::c_int::MAX),
            ),
        ] {
            // SAFETY: takes numbers, and takes the allocator's locks itself. If it refuses, nothing changes.
            let _accepted = unsafe { libc::mallopt(name, value) };
        }
    }

    pub(super) fn give_back() {
        // SAFETY: takes a number, and takes the allocator's locks itself.
        let _was_any = unsafe { libc::malloc_trim(0) };
    }
}

/// Limits what is kept for later. Call it before threads start.
pub fn limit() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::limit();
}

/// Gives back to the system what is free. Takes some milliseconds. Other allocators do it by themselves.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::give_back();
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;
    use crate::lifecycle::memory;

    #[test]
    fn what_was_freed_goes_back() {
        const PIECE: usize = 1_000;
        const PIECES: usize = 60_000;
        limit();
        let many: Vec<Box<[u8]>> = (0..PIECES).map(|_| vec![1; PIECE].into()).collect();
        // The end of the heap stays in use, as it does in a daemon: only what lies before it can go.
        let _last: Box<[u8]> = vec![1; PIECE].into();
        let before = memory::resident();
        drop(many);
        give_back();
        let after = memory::resident();
        let most = before.saturating_sub((PIECE * PIECES / 2) as u64);
        assert!(after < most, "{before} bytes before, {after} after");
    }
}
