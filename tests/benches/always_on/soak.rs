//! A long time of ordinary use: reads, edits, clients that come and go.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use skillmeat_tests::bench::daemon::{Daemon, Home};
use skillmeat_tests::bench::pause;
use skillmeat_tests::bench::table::Table;
use skillmeat_tests::client::Rpc;
use skillmeat_tests::daemon::rendezvous;
use skillmeat_tests::generate::{Random, Weight, generate};
use skillmeat_tests::load::reads::Reads;
use skillmeat_tests::rows;

const ARTIFACTS: usize = 2_000;
const SEED: u64 = 20_260_102;

const MINUTES: u32 = 20;
/// The first share of the time, in which everything is used for the first time.
const WARM_UP: u32 = 4;
/// What is given back in the pause after it fills up again: this share of the rest tells nothing about a leak.
const REFILL: usize = 3;

const READERS: u64 = 8;
/// Each reads so often: 200 times a second together.
const READ_EVERY: Duration = Duration::from_millis(40);
/// Reads after which a reader connects anew: ten seconds.
const READS_PER_CONNECTION: usize = 250;
const EDIT_EVERY: Duration = Duration::from_millis(50);
/// A command of its own, which connects, asks and ends.
const COMMAND_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Until all connections are closed, and what is only needed under load is given back.
const AFTERWARDS: Duration = Duration::from_secs(90);

/// What can't be told from nothing in a quarter of an hour.
const STEEPEST: f64 = 8.0;
/// Of the reads that were to be made: a load that was not put on proves nothing.
const LEAST_PERCENT: f64 = 95.0;

/// What happened meanwhile.
#[derive(Default)]
struct Log {
    over: AtomicBool,
    reads: AtomicUsize,
    edits: AtomicUsize,
    errors: Mutex<Vec<String>>,
    /// Hours since the start, and megabytes.
    memory: Mutex<Vec<(f64, f64)>>,
}

struct Soak {
    home: Home,
    daemon: Daemon,
    files: Vec<(PathBuf, String)>,
}

/// `SOAK_MINUTES` makes it shorter or longer.
pub(crate) fn measure(table: &mut Table) {
    let minutes = std::env::var("SOAK_MINUTES").map_or(MINUTES, |text| text.parse().unwrap());
    let time = Duration::from_mins(minutes.into());
    let home = Home::new();
    generate(&home.collection(), ARTIFACTS, SEED, Weight::Full);
    let daemon = home.start();
    daemon.wait_until_complete(ARTIFACTS);
    daemon.wait_until_indexed();
    let files = rows::summaries(&daemon.rpc)
        .into_iter()
        .filter(|row| row.kind == "skill")
        .map(|row| (home.collection().join(&row.path).join("SKILL.md"), row.name))
        .collect();
    let soak = Soak {
        home,
        daemon,
        files,
    };
    let warm_up = time / WARM_UP;
    let time = time.saturating_sub(warm_up);
    soak.run(warm_up, 0);
    let before = soak.at_rest();
    let log = soak.run(time, 1);
    let after = soak.at_rest();

    let errors = log.errors.into_inner().unwrap();
    for error in errors.iter().take(20) {
        eprintln!("{error}");
    }
    let (reads, edits) = (log.reads.into_inner(), log.edits.into_inner());
    let what = format!("soak for {minutes} min, {reads} reads, {edits} edits");
    table.number(&format!("{what}: errors"), errors.len() as u64, 0, "");
    let wanted = time.as_secs_f64() / READ_EVERY.as_secs_f64() * READERS as f64;
    let missing = 100.0 - 100.0 * reads as f64 / wanted;
    table.fraction(
        &format!("{what}: reads that were not made"),
        missing.max(0.0),
        100.0 - LEAST_PERCENT,
        " %",
    );
    let memory = log.memory.into_inner().unwrap();
    let memory = memory.get(memory.len() / REFILL..).unwrap_or_default();
    let most = memory.iter().map(|(_, size)| *size).fold(0.0, f64::max);
    let slope = slope(memory);
    table.fraction(
        &format!(
            "{what}: growth of memory from rest ({:.0} MB) to rest; under load at most {most:.0} MB, slope {slope:.0} MB/h",
            before.megabytes
        ),
        (after.megabytes - before.megabytes) * 3600.0 / time.as_secs_f64(),
        STEEPEST,
        " MB/h",
    );
    table.number(
        &format!(
            "{what}: descriptors more than the {} before",
            before.descriptors
        ),
        after.descriptors.saturating_sub(before.descriptors) as u64,
        0,
        "",
    );
}

/// What the daemon holds when nobody asks and nothing is at work. Under load pages of the database fill its memory and
/// are given back again: that tells little about a leak.
struct AtRest {
    megabytes: f64,
    descriptors: usize,
}

/// The slope of the line that is nearest to the points by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let squares: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    both / squares
}

impl Soak {
    /// Puts the load on for so long, and waits until it has faded away.
    fn run(&self, time: Duration, part: u64) -> Log {
        let log = Log::default();
        std::thread::scope(|scope| {
            for reader in 0..READERS {
                let log = &log;
                scope.spawn(move || self.read(part * READERS + reader, log));
            }
            scope.spawn(|| self.edit(part, &log));
            scope.spawn(|| self.command(&log));
            scope.spawn(|| self.look(&log));
            pause(time);
            log.over.store(true, Ordering::Relaxed);
        });
        pause(AFTERWARDS);
        log
    }

    fn read(&self, seed: u64, log: &Log) {
        let socket = rendezvous(&self.home.paths()).unwrap().socket;
        let mut rpc = Rpc::new(&socket);
        let mut reads = rpc.wait(Reads::new(rpc.channel(), seed)).unwrap();
        let mut done = 0;
        every(READ_EVERY, log, || {
            done += 1;
            if done % READS_PER_CONNECTION == 0 {
                rpc = Rpc::new(&socket);
            }
            match rpc.wait(reads.next(rpc.channel())) {
                Ok(()) => drop(log.reads.fetch_add(1, Ordering::Relaxed)),
                Err(status) => log.fail(status.to_string()),
            }
        });
    }

    fn edit(&self, seed: u64, log: &Log) {
        let mut random = Random::new(seed);
        every(EDIT_EVERY, log, || {
            let (file, name) = self.files.get(random.below(self.files.len())).unwrap();
            // Always as long, so that nothing grows for a good reason.
            let number = random.below(1_000_000);
            let text = format!(
                "---\nname: {name}\ndescription: Edited as {number:06}\n---\n# {name}\n\nEdit {number:06}.\n"
            );
            let written = File::create(file).and_then(|mut file| file.write_all(text.as_bytes()));
            match written {
                Ok(()) => drop(log.edits.fetch_add(1, Ordering::Relaxed)),
                Err(error) => log.fail(error.to_string()),
            }
        });
    }

    fn command(&self, log: &Log) {
        every(COMMAND_EVERY, log, || {
            let mut command = self.home.command("sm");
            command.args(["list", "--limit", "5"]).stdin(Stdio::null());
            let output = command.output().unwrap();
            if !output.status.success() {
                log.fail(String::from_utf8_lossy(&output.stderr).into_owned());
            }
        });
    }

    fn megabytes(&self) -> f64 {
        self.daemon.process().resident_bytes() as f64 / 1e6
    }

    fn at_rest(&self) -> AtRest {
        AtRest {
            megabytes: self.megabytes(),
            descriptors: self.daemon.process().descriptors(),
        }
    }

    fn look(&self, log: &Log) {
        let start = Instant::now();
        every(LOOK_EVERY, log, || {
            let hours = start.elapsed().as_secs_f64() / 3600.0;
            let megabytes = self.megabytes();
            log.memory.lock().unwrap().push((hours, megabytes));
        });
    }
}

impl Log {
    fn fail(&self, error: String) {
        self.errors.lock().unwrap().push(error);
    }
}

/// Works by the clock: who falls behind catches up.
fn every(period: Duration, log: &Log, mut work: impl FnMut()) {
    let mut next = Instant::now();
    while !log.over.load(Ordering::Relaxed) {
        work();
        next += period;
        pause(next.saturating_duration_since(Instant::now()));
    }
}
