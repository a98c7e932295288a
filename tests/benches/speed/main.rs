//! The table of speeds: what must be reached, measured on the real binaries, against floors of the same run.
//!
//! `cargo bench -p skillmeat-tests --bench speed` builds the programs, measures, prints the table as Markdown, and fails if a
//! row misses. Ratios are to be trusted more than times: machines differ, and are shared.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that goes wrong must stop, and the table is printed"
)]

mod floor;
mod index;
mod programs;
mod questions;
mod saving;

use std::process::ExitCode;

use skillmeat_tests::bench::daemon::Home;
use skillmeat_tests::bench::programs::build;
use skillmeat_tests::bench::table::Table;
use skillmeat_tests::generate::{Weight, generate};

const SEED: u64 = 20_260_102;
/// Artifacts, unless a row says otherwise.
const ARTIFACTS: usize = 10_000;
/// Artifacts of the small and of the large collection whose answers must take about as long.
const FEW: usize = 1_000;
const MANY: usize = 100_000;

fn main() -> ExitCode {
    build();
    let mut table = Table::default();
    programs::sizes(&mut table);

    let home = Home::new();
    let made = generate(&home.collection(), ARTIFACTS, SEED, Weight::Full);
    eprintln!(
        "{} artifacts, {} files, {} MB",
        made.artifacts,
        made.files,
        made.bytes / 1_000_000
    );
    index::first(&home, made.artifacts, &mut table);
    index::again(&home, made.artifacts, &mut table);
    {
        let daemon = home.start();
        daemon.wait_until_verified();
        programs::list(&home, &mut table);
        questions::ask(&daemon, &mut table);
        questions::search(&daemon, &mut table);
        saving::measure(&home, &daemon, &mut table);
    }
    drop(home);
    questions::compare(FEW, MANY, SEED, &mut table);

    println!("{table}");
    if table.is_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
