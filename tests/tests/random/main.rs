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
mod past;
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

/// Lives that continuous integration runs, and deeds of one.
const LIVES: u32 = 3;
const DEEDS: std::ops::Range<usize> = 6..14;

/// Steps of a history.
const STEPS: std::ops::Range<usize> = 10..28;

/// How the home is watched, and what happens to it; printed one step to a line.
struct History {
    is_polled: bool,
    steps: Vec<Step>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<String> = self.steps.iter().map(|step| format!("{step:?},")).collect();
        write!(f, "polled: {}\n{}", self.is_polled, lines.join("\n"))
    }
}

fn history() -> impl Strategy<Value = History> {
    let steps = prop::collection::vec(step(), STEPS);
    (prop::bool::weighted(0.2), steps).prop_map(|(is_polled, steps)| History { is_polled, steps })
}

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: setting("SKILLMEAT_RANDOM_CASES", cases),
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
fn replay(history: &History) {
    let mut world = World::new(history.is_polled);
    for step in &history.steps {
        world.take(step);
    }
    world.mend();
    world.settle();
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn whatever_happens_rows_equal_a_fresh_rebuild(history in history()) {
        replay(&history);
    }
}

proptest! {
    #![proptest_config(config(LIVES))]

    #[test]
    fn whatever_was_done_can_be_taken_back(deeds in prop::collection::vec(past::deed(), DEEDS)) {
        past::live(&deeds);
    }
}
