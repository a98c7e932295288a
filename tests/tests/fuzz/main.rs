//! Bytes that are almost right, and bytes that are anything, for every format that is read from outside.
//!
//! `SKILLMEAT_FUZZ_ROUNDS` asks for more mutations than continuous integration runs, `SKILLMEAT_FUZZ_SEED` for
//! others.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, and says what it saw"
)]

mod large;
mod mutate;
mod socket;

use std::panic::catch_unwind;

use proptest::test_runner::TestError;
use skillmeat_tests::fuzz::target;

/// Mutations of a format that continuous integration runs; fewer of those that cost more.
const ROUNDS: usize = 4000;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Checks every sample and many mutations of a format; shows the bytes that broke a promise.
fn run(name: &str) {
    let target = target(name).unwrap();
    let show = |bytes: &[u8]| eprintln!("--- the bytes: b\"{}\"", bytes.escape_ascii());
    for bytes in target.corpus() {
        if let Err(panic) = catch_unwind(|| (target.check)(&bytes)) {
            show(&bytes);
            std::panic::resume_unwind(panic);
        }
    }
    let seed = u64::try_from(setting("SKILLMEAT_FUZZ_SEED", 1)).unwrap();
    let rounds = setting("SKILLMEAT_FUZZ_ROUNDS", ROUNDS) / target.cost;
    let outcome = mutate::runner(rounds, seed).run(&mutate::mutated(target), |bytes| {
        (target.check)(&bytes);
        Ok(())
    });
    if let Err(TestError::Fail(_, bytes)) = &outcome {
        show(bytes);
    }
    outcome.unwrap();
}

macro_rules! runs {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            let all: Vec<&str> = skillmeat_tests::fuzz::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(all, run);
        }
    };
}

runs!(
    frontmatter,
    manifest,
    lock,
    config,
    query,
    names,
    archive,
    wire
);
