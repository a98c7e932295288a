//! Power cuts in the midst of work.

use std::time::Duration;

use skillmeat_tests::bench::table::Table;
use skillmeat_tests::load::cuts::run;

const SEED: u64 = 20_260_102;
const CUTS: usize = 200;
/// From the command that starts the daemon to all rows compared.
const LONGEST_START: Duration = Duration::from_secs(5);

/// `CUTS_SEED` tries other moments.
pub(crate) fn measure(table: &mut Table) {
    let seed = std::env::var("CUTS_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    eprintln!("seed of the cuts: {seed}");
    let outcome = run(seed, CUTS);
    for lost in &outcome.lost {
        eprintln!("{lost}");
    }
    let promised = format!(
        "{} additions, {} edits, {} settings",
        outcome.added, outcome.edits, outcome.settings
    );
    let cuts = CUTS as u64;
    table.number(
        &format!("{CUTS} x kill -9 while all write: starts that fail"),
        cuts - outcome.starts as u64,
        0,
        "",
    );
    table.number(
        &format!("{CUTS} x kill -9 while all write: lost of what was acknowledged ({promised})"),
        outcome.lost.len() as u64,
        0,
        "",
    );
    table.time(
        &format!("{CUTS} x kill -9 while all write: slowest start, all rows compared"),
        outcome.slowest,
        LONGEST_START,
    );
}
