//! Thousands of files replaced at once, as a checkout of another branch does.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use skillmeat_proto::v1::ArtifactSummary;
use skillmeat_tests::bench::daemon::Home;
use skillmeat_tests::bench::table::Table;
use skillmeat_tests::generate::{Weight, generate};
use skillmeat_tests::rows;

const ARTIFACTS: usize = 10_000;
const SEED: u64 = 20_260_102;
const REPLACED: usize = 5_000;
const LONGEST: Duration = Duration::from_secs(5);
/// Longer than it may ever take.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at all rows, which take the machine from the daemon.
const REST: Duration = Duration::from_millis(250);

const NEW: &str = "Of the other branch";

/// Replaces, waits, and compares with a daemon that begins anew.
pub(crate) fn measure(table: &mut Table) {
    let home = Home::new();
    generate(&home.collection(), ARTIFACTS, SEED, Weight::Full);
    let daemon = home.start();
    daemon.wait_until_complete(ARTIFACTS);
    daemon.wait_until_indexed();
    daemon.wait_until_verified();
    let replaced: Vec<ArtifactSummary> = rows::summaries(&daemon.rpc)
        .into_iter()
        .step_by(ARTIFACTS / REPLACED)
        .collect();
    assert_eq!(replaced.len(), REPLACED);

    let start = Instant::now();
    for row in &replaced {
        replace(&home.collection().join(&row.path), row);
    }
    let written = start.elapsed();
    until(start, || {
        let all = rows::summaries(&daemon.rpc);
        let is_new = |row: &&ArtifactSummary| row.description.as_deref() == Some(NEW);
        all.iter().filter(is_new).count() == REPLACED
    });
    let rows_took = start.elapsed();
    until(start, || daemon.cache().unindexed_artifacts == 0);
    let what = format!(
        "{REPLACED} files replaced (which takes {} ms)",
        written.as_millis()
    );
    table.time(&format!("{what}: all rows new"), rows_took, LONGEST);
    table.time(&format!("{what}: text index too"), start.elapsed(), LONGEST);

    let followed = rows::artifacts(&daemon.rpc);
    drop(daemon);
    fs::remove_dir_all(home.paths().cache_dir()).unwrap();
    let fresh = home.start();
    fresh.wait_until_complete(ARTIFACTS);
    fresh.wait_until_indexed();
    let built = rows::artifacts(&fresh.rpc);
    table.number(
        &format!("{REPLACED} files replaced: rows unlike those of a new cache"),
        rows::differences(&followed, &built).len() as u64,
        0,
        &format!(" of {}", built.len()),
    );
}

/// The old file goes, a new one comes, as in a checkout.
fn replace(artifact: &Path, row: &ArtifactSummary) {
    let file = if artifact.is_dir() {
        artifact.join("SKILL.md")
    } else {
        artifact.to_owned()
    };
    let text = format!(
        "---\nname: {}\ndescription: {NEW}\n---\n# {}\n\nWhat the other branch says of {}.\n",
        row.name, row.name, row.name
    );
    fs::remove_file(&file).unwrap();
    File::create_new(&file)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn until(start: Instant, mut holds: impl FnMut() -> bool) {
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for the daemon");
        std::thread::park_timeout(REST);
    }
}
