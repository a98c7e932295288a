//! The table of what snapshots, rollbacks and changes of many artifacts cost.
//!
//! `cargo bench -p skillmeat-tests --bench history` builds the programs, measures, prints the table as Markdown, and fails
//! if a row misses. `HISTORY_ARTIFACTS` makes the collection smaller or larger than 10,000.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that goes wrong must stop, and the table is printed"
)]

mod batches;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use skillmeat_proto::v1;
use skillmeat_proto::v1::operation_service_client::OperationServiceClient as Operations;
use skillmeat_proto::v1::snapshot_service_client::SnapshotServiceClient as Snapshots;
use skillmeat_tests::bench::daemon::{Daemon, Home};
use skillmeat_tests::bench::pause;
use skillmeat_tests::bench::programs::build;
use skillmeat_tests::bench::table::{Samples, Table};
use skillmeat_tests::daemon::kept_first;
use skillmeat_tests::generate::{Weight, generate};

/// Rounds of what can be repeated; the middle one counts.
const ROUNDS: usize = 3;

/// Rounds of what is measured in turns with its floor; of each the middle one counts.
const TURNS: usize = 9;

/// Artifacts that are changed before a rollback.
const CHANGED: usize = 100;

/// Files are trusted once they are older than the clock is coarse.
const SETTLED: Duration = Duration::from_millis(100);

/// Bytes that a snapshot without changes may add.
const NOTHING: u64 = 1 << 20;

fn main() -> ExitCode {
    let artifacts = std::env::var("HISTORY_ARTIFACTS")
        .ok()
        .map_or(10_000, |count| count.parse().unwrap());
    build();
    let home = Home::new();
    let root = home.collection();
    let made = generate(&root, artifacts, 7, Weight::Full);
    eprintln!("{made:?}");
    let scratch = tempfile::Builder::new().prefix("sm").tempdir().unwrap();
    let mut table = Table::default();
    let packing = middle(|| tar(&root, &scratch.path().join("out.tar.gz")));
    let daemon = home.start();
    daemon.wait_until_complete(artifacts);
    daemon.wait_until_indexed();
    let bench = Bench {
        home: &home,
        daemon: &daemon,
    };
    bench.measure(&root, packing, &mut table);
    // Nobody asks meanwhile: the daemon would wait.
    daemon.wait_for(|| kept_first(&home.paths()) >= artifacts as u64);
    bench.go_back(&root, scratch.path(), &mut table);
    batches::measure(&bench, &root, scratch.path(), &mut table);
    println!("{table}");
    if table.is_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn middle(mut work: impl FnMut() -> Duration) -> Duration {
    Samples::new((0..ROUNDS).map(|_| work()).collect()).p50()
}

fn timed(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap();
    let took = start.elapsed();
    assert!(status.success(), "{command:?}");
    took
}

fn tar(root: &Path, target: &Path) -> Duration {
    timed(
        Command::new("tar")
            .arg("-czf")
            .arg(target)
            .arg("-C")
            .arg(root)
            .arg("."),
    )
}

struct Bench<'a> {
    home: &'a Home,
    daemon: &'a Daemon,
}

impl Bench<'_> {
    /// Makes a snapshot; what it says of it, and how long it took.
    fn snapshot(&self) -> (v1::CreatedSnapshot, Duration) {
        let mut client = Snapshots::new(self.daemon.rpc.channel());
        let start = Instant::now();
        let made = self.daemon.wait(async {
            let request = v1::CreateSnapshotRequest::default();
            let mut stream = client.create(request).await.unwrap().into_inner();
            let mut done = None;
            while let Some(message) = stream.message().await.unwrap() {
                done = message.done.or(done);
            }
            done.unwrap()
        });
        (made, start.elapsed())
    }

    /// Bytes of the history on the disk.
    fn size(&self) -> u64 {
        let path = self.home.paths().history();
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        [path, PathBuf::from(log)]
            .iter()
            .filter_map(|file| fs::metadata(file).ok())
            .map(|found| found.len())
            .sum()
    }

    fn measure(&self, root: &Path, packing: Duration, table: &mut Table) {
        let floor = ("tar -czf", packing);
        let (first, took) = self.snapshot();
        table.against("first snapshot", took, floor, 0.5);
        eprintln!("{:?}, history {}", first.snapshot, self.size());
        pause(SETTLED);
        // What was as young as the clock before is trusted from here on.
        self.snapshot();
        let before = self.size();
        let mut read = 0;
        let again = middle(|| {
            let (made, took) = self.snapshot();
            read += made.read;
            took
        });
        table.against("another one, nothing changed", again, floor, 0.02);
        table.number("files that it reads", read, 0, "");
        let grown = self.size().saturating_sub(before) / ROUNDS as u64;
        table.number("bytes that it adds", grown, NOTHING, " B");
        change(&skills(root, 1), "one");
        pause(SETTLED);
        let (made, _) = self.snapshot();
        table.number("one file changed: files that it reads", made.read, 1, "");
        let stored = made.snapshot.unwrap_or_default().stored;
        table.number("bytes of its objects", stored, 64 * 1024, " B");
    }

    /// Changes some artifacts and goes back.
    fn go_back(&self, root: &Path, scratch: &Path, table: &mut Table) {
        let changed = skills(root, CHANGED);
        let kept = self.snapshot().0.snapshot.unwrap_or_default().id;
        let (mut copying, mut back) = (Vec::new(), Vec::new());
        // In turns: both meet the same disk and the same machine.
        for round in 0..TURNS {
            change(&changed, "anew");
            self.wait_until_kept(changed.last().unwrap());
            let target = scratch.join(format!("copy-{round}"));
            fs::create_dir(&target).unwrap();
            copying.push(timed(
                Command::new("cp").arg("-a").args(&changed).arg(target),
            ));
            back.push(self.roll_back(&kept));
        }
        eprintln!("copying {copying:?}, rollback {back:?}");
        let [copying, back] = [copying, back].map(|all| Samples::new(all).p50());
        let what = format!("rollback of {CHANGED} changed artifacts");
        table.against(&what, back, ("cp -a of them", copying), 2.0);
    }

    /// Waits until the daemon has seen all that was changed, up to this artifact: its bytes are in the history, its text
    /// is in the index.
    fn wait_until_kept(&self, last: &Path) {
        let mut client = Operations::new(self.daemon.rpc.channel());
        let request = v1::ListOperationsRequest {
            artifact: last.file_name().unwrap().to_string_lossy().into_owned(),
            limit: 1,
            ..Default::default()
        };
        self.daemon.wait_for(|| {
            // One of which nothing is recorded yet is not found.
            let listed = self.daemon.wait(client.list(request.clone()));
            let newest = listed.map(|listed| listed.into_inner().operations.pop());
            newest.is_ok_and(|newest| newest.is_some_and(|newest| newest.actor == "external"))
        });
        self.daemon.wait_until_indexed();
    }

    fn roll_back(&self, id: &str) -> Duration {
        let mut client = Snapshots::new(self.daemon.rpc.channel());
        let request = v1::RollbackRequest {
            id: id.to_owned(),
            ..Default::default()
        };
        let start = Instant::now();
        let restored = self.daemon.wait(async {
            let mut stream = client.rollback(request).await.unwrap().into_inner();
            let mut restored = 0;
            while let Some(message) = stream.message().await.unwrap() {
                if let Some(v1::change_event::Event::Item(item)) = message.event {
                    restored += usize::from(item.result == "restored");
                }
            }
            restored
        });
        let took = start.elapsed();
        assert!(restored >= CHANGED.min(1), "nothing went back");
        took
    }
}

/// The first folders of skills.
fn skills(root: &Path, count: usize) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(root.join("skills"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("SKILL.md").is_file())
        .collect();
    all.sort();
    all.truncate(count);
    all
}

/// Adds a line to a file of each.
fn change(artifacts: &[PathBuf], what: &str) {
    use std::io::Write as _;
    for artifact in artifacts {
        let mut file = fs::File::options()
            .append(true)
            .open(artifact.join("SKILL.md"))
            .unwrap();
        writeln!(file, "{what}").unwrap();
    }
}
