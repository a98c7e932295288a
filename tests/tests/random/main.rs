//! Whatever happens to a home, in whatever order, the daemon's rows end up equal to a fresh rebuild.
//!
//! `SKILLMEAT_RANDOM_CASES` asks for more histories than continuous integration runs, `SKILLMEAT_RANDOM_SEED`
//! for others, and `SKILLMEAT_RANDOM_SHRINK` for more tries to make a failing one shorter.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may stop at the first surprise, and treats files as others do"
)]

mod harm;
mod manifest;
mod step;
mod story;
mod view;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};

use step::{Step, step};
use world::World;

/// Histories that continuous integration runs.
const CASES: u32 = 6;

/// Steps of a history.
const STEPS: std::ops::Range<usize> = 10..28;

/// Steps in their order; printed one to a line.
struct History(Vec<Step>);

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|step| format!("{step:?},")).collect();
        f.write_str(&lines.join("\n"))
    }
}

fn history() -> impl Strategy<Value = History> {
    prop::collection::vec(step(), STEPS).prop_map(History)
}

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: setting("SKILLMEAT_RANDOM_CASES", CASES),
        rng_seed: RngSeed::Fixed(setting("SKILLMEAT_RANDOM_SEED", 3).into()),
        // Each try runs two daemons, and one that fails waits for what never comes.
        max_shrink_iters: setting("SKILLMEAT_RANDOM_SHRINK", 0),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/random/regressions.txt",
        ))),
        ..ProptestConfig::default()
    }
}

/// Runs a history, and settles at its end with everything mended.
fn replay(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.take(step);
    }
    world.mend();
    world.settle();
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_rows_equal_a_fresh_rebuild(history in history()) {
        replay(&history.0);
    }
}
