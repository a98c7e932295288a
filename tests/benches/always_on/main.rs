//! The table of what it costs to be always on, and what it survives.
//!
//! `cargo bench -p skillmeat-tests --bench always-on` builds the programs, measures, prints the table as Markdown, and
//! fails if a row misses. Names after `--` choose parts (`idle storm crowd cuts soak`); `SOAK_MINUTES` shortens the
//! longest of them.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that goes wrong must stop, and the table is printed"
)]

mod crowd;
mod cuts;
mod idle;
mod soak;
mod storm;

use std::process::ExitCode;

use skillmeat_tests::bench::programs::build;
use skillmeat_tests::bench::table::Table;

/// Measures one part.
type Part = fn(&mut Table);

const PARTS: [(&str, Part); 5] = [
    ("idle", idle::measure),
    ("storm", storm::measure),
    ("crowd", crowd::measure),
    ("cuts", cuts::measure),
    ("soak", soak::measure),
];

fn main() -> ExitCode {
    // The first arguments are those of cargo.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| PARTS.iter().all(|(part, _)| part != name))
    {
        eprintln!("there is no part `{unknown}`");
        return ExitCode::FAILURE;
    }
    build();
    let mut table = Table::default();
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure(&mut table);
        }
    }
    println!("{table}");
    if table.is_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
