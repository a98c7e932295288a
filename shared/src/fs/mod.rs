//! Files: the only ways in which this program reads, writes, copies and locks them.
//!
//! Invariants: a file is replaced whole or not at all, and is on the disk before the call returns; nothing
//! that exists is overwritten unless its content is what the caller read; only regular files are opened;
//! every read and every copy has a limit.

mod aside;
pub mod atomic;
pub mod contain;
pub mod copy;
mod exchange;
mod flush;
pub mod glob;
pub mod lock;
pub(crate) mod pattern;
mod sweep;

pub use aside::set_aside;
pub use atomic::{
    Expected, FileHash, TEMP_PREFIX, create_new, own_temporaries, read_bounded, resolve, swap,
    write,
};
pub use contain::{join, relative};
pub use exchange::{Placed, Staged, has_content, make_folders, remove_folders, take_out};
pub use flush::{flush, write_out};
pub use lock::FileLock;
pub use sweep::{LEFT_BEHIND, is_left_behind, sweep, sweep_below, sweep_predecessors};
