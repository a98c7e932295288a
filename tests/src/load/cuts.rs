//! Power cuts: a daemon that is killed again and again while commands and editors write. What was acknowledged
//! must be there after every one of them: in the files, in the manifest, and in the rows.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use crate::generate::Random;
use crate::home::{codes, replace, write};
use crate::wait::until_true;
use crate::{Sandbox, rows};

/// The longest time from the beginning of the load to the cut.
const LONGEST: u64 = 400;

/// Threads that add, one artifact after the other.
const ADDERS: usize = 2;

/// The key whose value changes all the time.
const KEY: &str = "log.max_files";

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Starts after a cut, each with all rows compared.
    pub starts: usize,
    /// The longest of them, from the command that starts the daemon to all rows compared.
    pub slowest: Duration,
    /// Additions that were acknowledged.
    pub added: usize,
    /// Edits of added artifacts.
    pub edits: usize,
    /// Settings that were acknowledged.
    pub settings: usize,
    /// What is not as it was acknowledged; empty as it should be.
    pub lost: Vec<String>,
}

/// What must be there.
#[derive(Debug, Default)]
struct Promised {
    /// Names of artifacts with their descriptions.
    artifacts: BTreeMap<String, String>,
    /// The value of [`KEY`].
    setting: Option<usize>,
    edits: usize,
    settings: usize,
}

struct Cuts {
    sandbox: Sandbox,
    promised: Mutex<Promised>,
    /// Makes names and values that are new.
    number: AtomicUsize,
    stop: AtomicBool,
}

/// Cuts the power so often, at moments that depend on the seed.
///
/// # Panics
/// If a command does not end, or a daemon does not become ready.
pub fn run(seed: u64, cuts: usize) -> Outcome {
    let mut random = Random::new(seed);
    let all = Cuts {
        sandbox: Sandbox::initialised(),
        promised: Mutex::default(),
        number: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    };
    let mut outcome = Outcome::default();
    for _ in 0..cuts {
        all.cut(random.next());
        let start = (Instant::now(), SystemTime::now());
        all.verified_since(start.1);
        outcome.slowest = outcome.slowest.max(start.0.elapsed());
        outcome.starts += 1;
        outcome.lost.extend(all.lost());
        if !outcome.lost.is_empty() {
            break;
        }
    }
    let followed = rows::artifacts(&all.sandbox.rpc());
    let cleared = SystemTime::now();
    drop(all.sandbox.json(&["cache", "clear"]));
    all.verified_since(cleared);
    let built = rows::artifacts(&all.sandbox.rpc());
    let differences = rows::differences(&followed, &built);
    let differ = |name| format!("the row of {name} is not as a new cache has it");
    outcome.lost.extend(differences.into_iter().map(differ));
    let promised = all.promised();
    (outcome.added, outcome.edits) = (promised.artifacts.len(), promised.edits);
    outcome.settings = promised.settings;
    drop(promised);
    outcome
}

impl Cuts {
    fn promised(&self) -> MutexGuard<'_, Promised> {
        self.promised.lock().unwrap()
    }

    fn new_number(&self) -> usize {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    fn skill(&self, name: &str) -> PathBuf {
        self.sandbox
            .collection("default", &format!("skills/{name}"))
    }

    /// Writes from several sides at once, and kills the daemon in the midst of it.
    fn cut(&self, random: u64) {
        let wait = Duration::from_millis(20 + random % (LONGEST - 20));
        self.stop.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..ADDERS {
                scope.spawn(|| self.until_stopped(|| self.add()));
            }
            scope.spawn(|| self.until_stopped(|| self.set()));
            let mut random = Random::new(random);
            scope.spawn(move || self.until_stopped(|| self.edit(&mut random)));
            let end = Instant::now() + wait;
            while Instant::now() < end {
                std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
            }
            // Not until there is none: who writes starts another one.
            self.sandbox.kill_running();
            self.stop.store(true, Ordering::Relaxed);
        });
        // A command that was under way may have started another one.
        self.sandbox.kill();
    }

    /// Starts the daemon if none runs, and waits until it has compared all rows.
    fn verified_since(&self, moment: SystemTime) {
        drop(self.sandbox.ready());
        let rpc = self.sandbox.rpc();
        until_true("rows that are compared", || {
            rows::are_verified_since(&rpc, moment)
        });
    }

    fn until_stopped(&self, mut work: impl FnMut()) {
        while !self.stop.load(Ordering::Relaxed) {
            work();
        }
    }

    fn add(&self) {
        let name = format!("skill-{}", self.new_number());
        let description = format!("What {name} is for");
        let source = self.sandbox.path(&format!("src/{name}"));
        write(source.join("SKILL.md"), text(&name, &description));
        write(
            source.join("references/more.md"),
            format!("# More of {name}\n"),
        );
        if self
            .sandbox
            .run(&["add", source.to_str().unwrap()])
            .code
            .is_some_and(|code| code == 0)
        {
            self.promised().artifacts.insert(name, description);
        }
    }

    fn set(&self) {
        let value = self.new_number() % 90 + 1;
        let answer = self
            .sandbox
            .run(&["config", "set", KEY, &value.to_string()]);
        let mut promised = self.promised();
        // After a failure either value may stand.
        promised.setting = (answer.code == Some(0)).then_some(value);
        promised.settings += usize::from(answer.code == Some(0));
    }

    fn edit(&self, random: &mut Random) {
        let promised = self.promised();
        let Some(name) = promised
            .artifacts
            .keys()
            .nth(random.below(promised.artifacts.len().max(1)))
            .cloned()
        else {
            drop(promised);
            std::thread::yield_now();
            return;
        };
        drop(promised);
        let description = format!("Edited as {}", self.new_number());
        replace(
            self.skill(&name).join("SKILL.md"),
            text(&name, &description),
        );
        let mut promised = self.promised();
        promised.artifacts.insert(name, description);
        promised.edits += 1;
        drop(promised);
        // As fast as a busy person with many windows.
        std::thread::park_timeout(Duration::from_millis(5));
    }

    /// What was promised and is not there.
    fn lost(&self) -> Vec<String> {
        let collection = self.sandbox.home().collection("default");
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        let manifest = read(collection.join("collection.toml"));
        let lock = read(collection.join("collection.lock"));
        let served: BTreeMap<String, Option<String>> = rows::summaries(&self.sandbox.rpc())
            .into_iter()
            .filter(|row| row.kind == "skill" && row.status == "managed")
            .map(|row| (row.name, row.description))
            .collect();
        let promised = self.promised();
        let mut lost = Vec::new();
        for (name, description) in &promised.artifacts {
            let mut must = |holds: bool, what: &str| {
                if !holds {
                    lost.push(format!("{name}: {what}"));
                }
            };
            must(
                read(self.skill(name).join("SKILL.md")) == text(name, description),
                "the file",
            );
            must(
                self.skill(name).join("references/more.md").is_file(),
                "the second file",
            );
            must(
                manifest.contains(&format!("name = \"{name}\"\n")),
                "the manifest's entry",
            );
            must(lock.contains(&format!("{name}::skill")), "the lock's entry");
            must(
                served.get(name) == Some(&Some(description.clone())),
                "the row",
            );
        }
        if let Some(value) = promised.setting
            && !read(self.sandbox.home().config()).contains(&format!("max_files = {value}\n"))
        {
            lost.push(format!("the setting {value}"));
        }
        drop(promised);
        let warnings = codes(&self.sandbox.json(&["status"])["warnings"]);
        let of_history = warnings.into_iter().filter(|code| code == "history-lost");
        lost.extend(of_history.map(|code| format!("`{code}` is told")));
        let cache = fs::read_dir(self.sandbox.home().cache_dir()).unwrap();
        let damaged = cache
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.contains(".corrupt-"));
        lost.extend(damaged.map(|name| format!("the cache was put aside as {name}")));
        lost
    }
}

fn text(name: &str, description: &str) -> String {
    format!("---\nname: {name}\ndescription: {description}\n---\n# {name}\n")
}
