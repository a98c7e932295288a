//! How urgent the work of a thread is.

/// Lets other threads go before this one, by so many steps of niceness. Where that would be said of the whole process,
/// and where it is refused, nothing changes.
pub fn give_way(steps: i32) {
    if cfg!(target_os = "linux") {
        rustix::process::setpriority_process(None, steps).ok();
    }
}
