//! What the benches share: a home whose daemon is measured, the programs as they are shipped, the table.

use std::time::{Duration, Instant};

pub mod daemon;
pub mod programs;
pub mod table;

/// Lets time pass, which is what some rows are about.
pub fn pause(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        std::thread::park_timeout(left);
    }
}
