//! Starts of the daemon: without a cache, and with one that is still right.

use std::time::Duration;

use crate::floor;
use skillmeat_tests::bench::daemon::Home;
use skillmeat_tests::bench::table::{Samples, Table};

/// Starts without a cache, and with one. Before each its floor is measured, so that both meet the same neighbours; the
/// middle ones count.
const FIRST: usize = 5;
const AGAIN: usize = 7;

/// From nothing to all rows, and to the whole full-text index.
pub(crate) fn first(home: &Home, artifacts: usize, table: &mut Table) {
    let root = home.collection();
    // The page cache gets warm.
    floor::reading(&root);
    let (mut floors, mut rows, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..FIRST {
        floors.push(floor::reading(&root));
        std::fs::remove_dir_all(home.paths().cache_dir()).ok();
        let daemon = home.start();
        rows.push(daemon.wait_until_complete(artifacts));
        texts.push(daemon.wait_until_indexed());
    }
    let floor = ("one thread reads and hashes", Samples::new(floors).p50());
    table.against(
        "first index: all rows served",
        Samples::new(rows).p50(),
        floor,
        3.0,
    );
    table.against(
        "first index: full text complete",
        Samples::new(texts).p50(),
        floor,
        8.0,
    );
}

/// The cache is there and nothing has changed.
pub(crate) fn again(home: &Home, artifacts: usize, table: &mut Table) {
    let (mut floors, mut answers, mut verified, mut written) =
        (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..AGAIN {
        floors.push(floor::looking(&home.collection()));
        let daemon = home.start();
        answers.push(daemon.first_answer);
        verified.push(daemon.wait_until_verified());
        daemon.wait_until_complete(artifacts);
        written += daemon.cache().rows_written;
    }
    table.time(
        "restart: first answer since exec",
        Samples::new(answers).p50(),
        Duration::from_millis(50),
    );
    let floor = ("one thread looks", Samples::new(floors).p50());
    table.against(
        "restart: all rows verified",
        Samples::new(verified).p50(),
        floor,
        3.0,
    );
    table.number("restart: rows written", written, 0, "");
}
