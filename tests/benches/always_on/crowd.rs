//! Many clients at once.

use std::time::Duration;

use skillmeat_tests::bench::daemon::Home;
use skillmeat_tests::bench::table::{Samples, Table};
use skillmeat_tests::daemon::rendezvous;
use skillmeat_tests::generate::{Weight, generate};
use skillmeat_tests::load::crowd::{Heard, ask};
use skillmeat_tests::load::rude;

const ARTIFACTS: usize = 10_000;
const SEED: u64 = 20_260_102;
const CLIENTS: usize = 64;
const TIME: Duration = Duration::from_secs(20);
const LONGEST: Duration = Duration::from_millis(250);

/// Asks with and without rude clients.
pub(crate) fn measure(table: &mut Table) {
    let home = Home::new();
    generate(&home.collection(), ARTIFACTS, SEED, Weight::Full);
    let daemon = home.start();
    daemon.wait_until_complete(ARTIFACTS);
    daemon.wait_until_indexed();
    let socket = rendezvous(&home.paths()).unwrap().socket;
    // Opens what is opened at the first questions.
    ask(&socket, CLIENTS, Duration::from_secs(1));
    add(&ask(&socket, CLIENTS, TIME), "", table);
    let _rude = (rude::stuck(&socket), rude::silent(&socket));
    let among = ", one stuck and one silent among them";
    add(&ask(&socket, CLIENTS, TIME), among, table);
}

fn add(heard: &Heard, among: &str, table: &mut Table) {
    for refusal in &heard.refused {
        eprintln!("{refusal}");
    }
    let what = format!("{CLIENTS} clients ask without a rest{among}");
    let answers = Samples::new(heard.answers.clone());
    table.number(
        &format!("{what}: refused"),
        heard.refused.len() as u64,
        0,
        &format!(" of {}", heard.answers.len()),
    );
    table.time(&format!("{what}: p99"), answers.p99(), LONGEST);
    table.time(
        &format!("{what}: slowest answer"),
        answers.longest(),
        LONGEST,
    );
}
