//! The harness of the end-to-end tests: hermetic homes, the real binaries, a daemon that never outlives its
//! test, and waiting on conditions.
//!
//! Invariants: every test has a home of its own and an empty environment; nothing waits without a deadline;
//! nothing sleeps, it looks again until the condition holds; only processes of the test's own home are ended.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and says what it saw"
)]

pub mod bench;
pub mod client;
pub mod command;
pub mod daemon;

pub mod fault;
pub mod fuse;
pub mod fuzz;
pub mod generate;
pub mod history;
pub mod home;
pub mod load;
pub mod namespace;
pub mod process;
pub mod repository;
pub mod rows;
pub mod terminal;
pub mod wait;

pub use command::{Answer, Stream};
pub use home::Sandbox;
pub use wait::until;
