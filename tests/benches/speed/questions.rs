//! Questions to a warm daemon over a channel that stays open.

use std::process::Command;
use std::time::{Duration, Instant};

use skillmeat_proto::v1;
use skillmeat_proto::v1::artifact_service_client::ArtifactServiceClient as Artifacts;
use skillmeat_proto::v1::cache_service_client::CacheServiceClient as Cache;
use skillmeat_proto::v1::search_service_client::SearchServiceClient as Search;
use skillmeat_tests::generate::{Random, Weight, Words, generate};
use tonic::Status;

use skillmeat_tests::bench::daemon::{Daemon, Home};
use skillmeat_tests::bench::table::{Samples, Table};

use crate::floor::{STARTS, run};

/// Questions of each kind. A tenth as many before them does not count.
const QUESTIONS: usize = 2_000;

/// How often two daemons that are compared take turns: the pace of the machine may change by the second.
const TURNS: usize = 100;

/// Time for one kind of question: some answers are larger, none may be slow.
const P50: Duration = Duration::from_micros(500);
const P99: Duration = Duration::from_millis(3);

async fn times<R, F: Future<Output = Result<R, Status>>>(
    questions: usize,
    mut question: impl FnMut(usize) -> F,
) -> Vec<Duration> {
    let warm_up = questions / 10;
    let mut times = Vec::new();
    for at in 0..warm_up + questions {
        let start = Instant::now();
        question(at).await.unwrap();
        if at >= warm_up {
            times.push(start.elapsed());
        }
    }
    times
}

fn page(daemon: &Daemon, questions: usize) -> Vec<Duration> {
    let client = Artifacts::new(daemon.rpc.channel());
    daemon.wait(times(questions, |_| {
        let mut client = client.clone();
        async move {
            let request = v1::ListArtifactsRequest {
                page_size: 50,
                ..Default::default()
            };
            client.list(request).await
        }
    }))
}

fn show(daemon: &Daemon, questions: usize) -> Vec<Duration> {
    let client = Artifacts::new(daemon.rpc.channel());
    let names: Vec<(String, String)> = daemon
        .page(500)
        .unwrap()
        .artifacts
        .into_iter()
        .map(|summary| (summary.kind, summary.name))
        .collect();
    daemon.wait(times(questions, |at| {
        let mut client = client.clone();
        let named = names.get(at % names.len()).cloned();
        async move {
            let artifact = named.map(|(kind, name)| v1::ArtifactRef { kind, name });
            client
                .show(v1::ShowArtifactRequest {
                    artifact,
                    ..Default::default()
                })
                .await
        }
    }))
}

fn cache(daemon: &Daemon, questions: usize) -> Vec<Duration> {
    let client = Cache::new(daemon.rpc.channel());
    daemon.wait(times(questions, |_| {
        let mut client = client.clone();
        async move { client.status(v1::CacheStatusRequest {}).await }
    }))
}

/// Asks one kind of question so many times.
type Question = fn(&Daemon, usize) -> Vec<Duration>;

const KINDS: [(&str, Question); 3] = [
    ("page of 50", page),
    ("`show`", show),
    ("`cache status`", cache),
];

/// The plain questions.
pub(crate) fn ask(daemon: &Daemon, table: &mut Table) {
    for (name, question) in KINDS {
        let (samples, program) = beside_a_program(|| question(daemon, QUESTIONS));
        table.paced(&format!("{name}, p50"), samples.p50(), P50, program);
        table.paced(&format!("{name}, p99"), samples.p99(), P99, program);
    }
}

/// Answers, and what a program that does nothing takes just before and after.
fn beside_a_program(questions: impl FnOnce() -> Vec<Duration>) -> (Samples, Duration) {
    let program = || (0..STARTS).map(|_| run(Command::new("/bin/true")));
    let mut programs: Vec<Duration> = program().collect();
    let samples = Samples::new(questions());
    programs.extend(program());
    (samples, Samples::new(programs).p50())
}

/// Searches: frequent and rare words, several words, beginnings, phrases, words nobody wrote.
fn queries() -> Vec<String> {
    let (words, mut random) = (Words::new(), Random::new(11));
    (0..500)
        .map(|at| {
            let mut word = |from, to| words.at(from + random.below(to - from)).to_owned();
            match at % 10 {
                0 => word(0, 40),
                1 | 2 => word(40, 400),
                3 => word(400, 16_000),
                4 | 5 => format!("{} {}", word(40, 400), word(40, 400)),
                6 => format!("{} {} {}", word(10, 100), word(40, 400), word(400, 4000)),
                7 => word(40, 400).chars().take(4).collect(),
                8 => format!("\"{} {}\"", word(0, 40), word(0, 100)),
                _ => format!("{}x", word(60, 400)),
            }
        })
        .collect()
}

/// Searches over all text.
pub(crate) fn search(daemon: &Daemon, table: &mut Table) {
    let client = Search::new(daemon.rpc.channel());
    let queries = queries();
    let search = times(QUESTIONS, |at| {
        let mut client = client.clone();
        let query = queries
            .get(at % queries.len())
            .cloned()
            .unwrap_or_default()
            .into_bytes();
        async move {
            client
                .search(v1::SearchRequest {
                    query,
                    ..Default::default()
                })
                .await
        }
    });
    let (samples, program) = beside_a_program(|| daemon.wait(search));
    let [p50, p99] = [3, 15].map(Duration::from_millis);
    table.paced("search over all text, p50", samples.p50(), p50, program);
    table.paced("search over all text, p99", samples.p99(), p99, program);
}

/// A large collection must answer about as fast as a small one. Both daemons are asked in turns.
pub(crate) fn compare(few: usize, many: usize, seed: u64, table: &mut Table) {
    let homes = [few, many].map(|artifacts| {
        let home = Home::new();
        generate(&home.collection(), artifacts, seed, Weight::Light);
        let daemon = home.start();
        daemon.wait_until_complete(artifacts);
        daemon.wait_until_indexed();
        // Its cleaning up afterwards is not what is measured.
        drop(daemon);
        home
    });
    let [small, large] = &homes;
    let (small, large) = (small.start(), large.start());
    small.wait_until_verified();
    large.wait_until_verified();
    for (name, question) in KINDS {
        let mut both = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            for (times, daemon) in both.iter_mut().zip([&large, &small]) {
                times.extend(question(daemon, QUESTIONS / TURNS));
            }
        }
        let [of_many, of_few] = both.map(|times| Samples::new(times).p50());
        table.against(
            &format!("{name}, p50 at {many} artifacts"),
            of_many,
            (&format!("at {few}"), of_few),
            1.5,
        );
    }
}
