//! Many clients at once, rude ones among them, and power cuts; the benches do the same for longer.

use std::time::Duration;

use skillmeat_tests::Sandbox;
use skillmeat_tests::generate::{Weight, generate};
use skillmeat_tests::load::{crowd, cuts, rude};

/// Far more than a busy machine needs, far less than a client that waits for a rude one would see.
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn nobody_waits_for_a_stuck_or_a_silent_client() {
    let sandbox = Sandbox::new();
    let folder = sandbox.home().collection("default");
    generate(&folder, 1_000, 7, Weight::Light);
    sandbox.ready();
    let socket = skillmeat_tests::daemon::rendezvous(sandbox.home())
        .unwrap()
        .socket;
    let _rude = (rude::stuck(&socket), rude::silent(&socket));
    let heard = crowd::ask(&socket, 64, Duration::from_secs(2));
    assert_eq!(heard.refused, Vec::<String>::new());
    assert!(heard.answers.len() >= 64, "{}", heard.answers.len());
    let slowest = heard.answers.iter().max().unwrap();
    assert!(*slowest < PATIENCE, "{slowest:?}");
}

#[test]
fn power_cuts_take_nothing_that_was_acknowledged() {
    let seed = 20_260_102;
    let outcome = cuts::run(seed, 10);
    assert_eq!(outcome.lost, Vec::<String>::new(), "seed {seed}");
    assert_eq!(outcome.starts, 10);
    assert!(outcome.added > 0 && outcome.edits > 0, "{outcome:?}");
}
