//! Whatever holds for changes that the kernel tells holds for those that we must look for.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

/// How changes are noticed here.
const BACKEND: &str = "poll";

#[path = "e2e/clocks.rs"]
mod clocks;
#[path = "e2e/disks.rs"]
mod disks;
#[path = "e2e/external.rs"]
mod external;
#[path = "e2e/links.rs"]
mod links;
#[path = "e2e/mounts.rs"]
mod mounts;
#[path = "e2e/names.rs"]
mod names;
#[path = "e2e/storms.rs"]
mod storms;
#[path = "e2e/watch.rs"]
mod watch;
