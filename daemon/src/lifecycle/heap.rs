//! Memory that was freed and that the system does not have back yet.
//!
//! A first index needs ten times what an idle daemon does. The allocator of glibc keeps what was freed, for each
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

    /// Free bytes that each thread may keep at the end of its heap.
    const KEPT: libc::c_int = 256 * 1024;

    pub(super) fn limit() {
        // By itself the allocator raises both to what was once freed in one piece, up to 64 MB for each thread.
        for (name, value) in [
            (libc::M_MMAP_THRESHOLD, OWN_PAGES),
            (libc::M_TRIM_THRESHOLD, KEPT),
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
