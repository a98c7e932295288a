//! A daemon that nobody asks and for which nothing changes.

use std::time::{Duration, Instant};

use skillmeat_tests::bench::daemon::{Daemon, Home};
use skillmeat_tests::bench::pause;
use skillmeat_tests::bench::table::Table;
use skillmeat_tests::generate::{Weight, generate};

const ARTIFACTS: usize = 10_000;
const SEED: u64 = 20_260_102;

/// How long it is left alone.
const IDLE: Duration = Duration::from_mins(1);

/// After the last text was indexed: what is put in order then is not idleness.
const REST: Duration = Duration::from_secs(10);

/// Of one core.
const MOST_PERCENT: f64 = 0.2;
const MOST_MB: u64 = 40;

/// Idles after a first index, which needs the most memory, and after a start with a warm cache.
pub(crate) fn measure(table: &mut Table) {
    let home = Home::new();
    generate(&home.collection(), ARTIFACTS, SEED, Weight::Full);
    let daemon = home.start();
    daemon.wait_until_complete(ARTIFACTS);
    daemon.wait_until_indexed();
    idle(&daemon, "first index", table);
    drop(daemon);
    let daemon = home.start();
    daemon.wait_until_verified();
    idle(&daemon, "restart", table);
}

fn idle(daemon: &Daemon, after: &str, table: &mut Table) {
    pause(REST);
    let process = daemon.process();
    let before = process.processor_time();
    let start = Instant::now();
    pause(IDLE);
    let used = process.processor_time().saturating_sub(before);
    let percent = used.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0;
    let what = format!("idle for {} s after {after}", IDLE.as_secs());
    table.fraction(&format!("{what}: of a core"), percent, MOST_PERCENT, " %");
    table.number(
        &format!("{what}: memory"),
        process.resident_bytes() / 1_000_000,
        MOST_MB,
        " MB",
    );
}
