//! A home to which things happen, and what of it can't be read at the moment.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use skillmeat_proto::v1;
use skillmeat_proto::v1::cache_service_client::CacheServiceClient;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{replace, write};
use skillmeat_tests::wait::{DEADLINE, until_true};

use crate::harm::Saved;
use crate::step::{Ask, At, How, Step};
use crate::story::{Story, instance};
use crate::view::View;

/// The rest between two looks.
const REST: Duration = Duration::from_millis(20);

pub(crate) const COLLECTIONS: [&str; 2] = ["default", "work"];

/// Kinds, their folders, and whether an artifact is a folder.
pub(crate) const KINDS: [(&str, &str, bool); 5] = [
    ("skill", "skills", true),
    ("command", "commands", false),
    ("agent", "agents", false),
    ("hook", "hooks", true),
    ("mcp", "mcp", true),
];

/// Two of them differ by their normal form, two by case.
const NAMES: [&str; 8] = [
    "alpha",
    "beta",
    "gamma delta",
    "na\u{ef}ve",
    "nai\u{308}ve",
    "日本-スキル",
    "UPPER",
    "upper",
];

/// Files of an artifact that is a folder; the first one describes it.
const FILES: [&str; 6] = [
    "",
    "references/one.md",
    "references/deep/two.md",
    "scripts/run.sh",
    "notes.txt",
    ".hidden/x.md",
];

/// Descriptions, of different lengths.
const WORDS: [&str; 6] = [
    "About alpha and walrus",
    "About beta and walnut!",
    "Zebra: stripes, many of them",
    "Shared words",
    "日本 naïve",
    "",
];

pub(crate) const fn name(number: u8) -> &'static str {
    NAMES[number as usize % NAMES.len()]
}

/// Where an artifact lies in its collection.
pub(crate) fn relative(kind: u8, called: u8) -> String {
    let (_, folder, is_folder) = KINDS[usize::from(kind)];
    let end = if is_folder { "" } else { ".md" };
    format!("{folder}/{}{end}", name(called))
}

/// The home.
#[derive(Debug)]
pub(crate) struct World {
    sandbox: Sandbox,
    pub(crate) broken: [Option<Saved>; 2],
    away: [bool; 2],
    /// The cache was made anew since the last look.
    was_rebuilt: bool,
    /// Caches that were deleted under a daemon that served them.
    deleted: BTreeSet<String>,
    story: Story,
}

impl World {
    /// A home with two collections, watched as the kernel tells or by looking once a second.
    pub(crate) fn new(is_polled: bool) -> Self {
        let sandbox = Sandbox::initialised();
        if is_polled {
            for (key, value) in [("watch.poll_interval", "1s"), ("watch.backend", "poll")] {
                drop(sandbox.run(&["config", "set", key, value]).ok());
            }
            drop(sandbox.run(&["daemon", "restart"]).ok());
        }
        drop(sandbox.run(&["collection", "create", COLLECTIONS[1]]).ok());
        let mut world = Self {
            sandbox,
            broken: [None, None],
            away: [false; 2],
            was_rebuilt: false,
            deleted: BTreeSet::new(),
            story: Story::default(),
        };
        world.settle();
        world
    }

    /// Where a collection's folder is now.
    pub(crate) fn root(&self, collection: u8) -> PathBuf {
        let name = COLLECTIONS[usize::from(collection)];
        if self.away[usize::from(collection)] {
            self.sandbox.path(&format!("away-{name}"))
        } else {
            self.sandbox.home().collection(name)
        }
    }

    fn place(&self, at: At) -> PathBuf {
        self.root(at.0).join(relative(at.1, at.2))
    }

    /// The file that describes an artifact.
    fn main_file(&self, at: At) -> PathBuf {
        let place = self.place(at);
        match KINDS[usize::from(at.1)].0 {
            "skill" => place.join("SKILL.md"),
            "hook" => place.join("HOOK.md"),
            "mcp" => place.join("mcp.json"),
            _ => place,
        }
    }

    fn file(&self, at: At, number: u8) -> PathBuf {
        match FILES[usize::from(number)] {
            "" => self.main_file(at),
            path => self.place(at).join(path),
        }
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match step {
            Step::Write(at, words, how) => self.write(*at, *words, *how),
            Step::AddFile(at, file, text) => {
                let path = self.file(*at, *file);
                if is_free(&path) {
                    write(&path, format!("body of {text} walrus\n"));
                }
            }
            Step::RemoveFile(at, file) => drop(fs::remove_file(self.file(*at, *file))),
            Step::Delete(at) => remove(&self.place(*at)),
            Step::Rename(from, to) => drop(fs::rename(self.place(*from), self.place(*to))),
            Step::Touch(at) => {
                let path = self.main_file(*at);
                if let Ok(same) = fs::read(&path) {
                    write(&path, same);
                }
            }
            Step::Executable(at, file, on) => {
                let mode = if *on { 0o755 } else { 0o644 };
                let permissions = fs::Permissions::from_mode(mode);
                drop(fs::set_permissions(self.file(*at, *file), permissions));
            }
            Step::Link(at, to) => self.link(*at, *to),
            Step::Swap(at) => {
                let place = self.place(*at);
                if place.is_dir() {
                    remove(&place);
                    write(&place, "a file now\n");
                } else if place.exists() {
                    remove(&place);
                    write(place.join("SKILL.md"), "# A folder now\n");
                }
            }
            Step::Container(collection, kind) => {
                let folder = self.root(*collection).join(KINDS[usize::from(*kind)].1);
                let other = folder.with_extension("off");
                if folder.exists() && !other.exists() {
                    fs::rename(folder, other).unwrap();
                } else if other.exists() && !folder.exists() {
                    fs::rename(other, folder).unwrap();
                }
            }
            Step::Many(collection, text) => {
                for number in 0..30 {
                    let path = format!("skills/many-{number}/SKILL.md");
                    write(
                        self.root(*collection).join(path),
                        format!("---\ndescription: many {text}\n---\nbody of many\n"),
                    );
                }
            }
            Step::Few(collection) => {
                for number in 0..30 {
                    remove(&self.root(*collection).join(format!("skills/many-{number}")));
                }
            }
            Step::Manifest(..) | Step::Break(..) | Step::Mend(..) => self.treat_manifest(step),
            Step::Away(collection) => self.go_away(*collection, true),
            Step::Back(collection) => self.go_away(*collection, false),
            Step::Sm(ask) => self.ask(*ask),
            Step::Kill => self.sandbox.kill(),
            Step::Restart => {
                self.start();
                drop(self.sandbox.run(&["daemon", "restart"]).ok());
            }
            Step::DeleteCache(first_kill) => {
                if *first_kill {
                    self.sandbox.kill();
                } else {
                    self.start();
                    self.deleted.insert(instance(&self.sandbox.rpc()));
                }
                self.was_rebuilt = true;
                remove(&self.sandbox.home().root().join("cache"));
            }
            Step::DamageCache(how) => self.damage(*how),
            Step::Settle => self.settle(),
        }
    }

    fn start(&self) {
        drop(self.sandbox.run(&["status"]).ok());
    }

    fn write(&self, at: At, words: u8, how: How) {
        let path = self.main_file(at);
        if !is_free(&path) {
            return;
        }
        let words = WORDS[usize::from(words)];
        let body =
            format!("---\ndescription: {words}\ntags: [one]\n---\n# Title\n\nThe body of it.\n");
        match how {
            How::Over => write(&path, body),
            How::Replace => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                replace(&path, body);
            }
            How::SameSize => {
                write(&path, &body);
                let modified = fs::metadata(&path).unwrap().modified().unwrap();
                let file = fs::File::options().write(true).open(&path).unwrap();
                std::io::Write::write_all(&mut &file, body.replace('o', "u").as_bytes()).unwrap();
                file.set_modified(modified).unwrap();
            }
        }
    }

    fn link(&self, at: At, to: u8) {
        let place = self.place(at);
        let inside = |target: &Path| {
            if place.is_dir() {
                drop(symlink(target, place.join("link.md")));
            }
        };
        match to {
            0..=3 => {
                remove(&place);
                if let Some(parent) = place.parent().filter(|parent| is_free(parent)) {
                    fs::create_dir_all(parent).unwrap();
                    let target = relative(at.1, to);
                    drop(symlink(target.rsplit('/').next().unwrap(), &place));
                }
            }
            4 => inside(Path::new("/etc/hostname")),
            5 => inside(Path::new("..")),
            6 => inside(Path::new("references/one.md")),
            _ => inside(Path::new("nowhere")),
        }
    }

    fn go_away(&mut self, collection: u8, away: bool) {
        let from = self.root(collection);
        let slot = usize::from(collection);
        let before = std::mem::replace(&mut self.away[slot], away);
        let to = self.root(collection);
        if before != away {
            fs::rename(from, to).unwrap();
        }
    }

    /// Mends whatever is broken or away.
    pub(crate) fn mend(&mut self) {
        for collection in 0..2 {
            self.go_away(collection, false);
            self.mend_one(collection);
        }
    }

    fn ask(&mut self, ask: Ask) {
        let collection = |number: u8| COLLECTIONS[usize::from(number) % 2];
        let mut lines: Vec<Vec<String>> = Vec::new();
        let mut line = |words: &[&str]| lines.push(words.iter().map(|&word| word.into()).collect());
        match ask {
            Ask::Add(at, words) => {
                let source = self.sandbox.path("sources").join(name(at.2));
                write(
                    source.join("SKILL.md"),
                    format!(
                        "---\ndescription: {}\n---\nAdded\n",
                        WORDS[usize::from(words)]
                    ),
                );
                line(&["add", source.to_str().unwrap(), "-c", collection(at.0)]);
            }
            Ask::AddAll(to, text) => {
                let tree = self.sandbox.path(&format!("tree-{}", text % 4));
                for number in 0..3 {
                    let path = format!("skills/tree-{}-{number}/SKILL.md", text % 4);
                    write(tree.join(path), format!("# Tree {text}\n"));
                }
                let tree = tree.to_str().unwrap();
                line(&["add", "--all", tree, "-c", collection(to)]);
            }
            Ask::Refresh(true) => line(&["cache", "refresh", "--force"]),
            Ask::Refresh(false) => line(&["cache", "refresh"]),
            Ask::Invalidate(2) => line(&["cache", "invalidate"]),
            Ask::Invalidate(of) => line(&["cache", "invalidate", "-c", collection(of)]),
            Ask::Clear => {
                self.was_rebuilt = true;
                line(&["cache", "clear"]);
            }
            Ask::Reads(at) => {
                line(&["list", "--all", "--sort", "updated"]);
                line(&["search", name(at.2), "--in", "content"]);
                line(&["show", name(at.2)]);
                line(&["collection", "show", collection(at.0)]);
            }
            Ask::Use(of) => line(&["collection", "use", collection(of)]),
            Ask::Undo => line(&["undo"]),
            Ask::Redo => line(&["redo"]),
            Ask::Remove(at) => line(&["remove", name(at.2), "-c", collection(at.0), "--yes"]),
            Ask::Create => line(&["collection", "create", "third"]),
            Ask::Setting(which) => {
                let (key, value) = [
                    ("watch.settle_ms", "20"),
                    ("watch.settle_ms", "120"),
                    ("cache.metadata_ttl", "10m"),
                    ("cache.max_size_mb", "400"),
                ][usize::from(which)];
                line(&["config", "set", key, value]);
            }
        }
        for line in lines {
            let answer = self.sandbox.run(&line);
            // Refused, not found, in conflict: whatever is right; but never a fault of ours, and never too late.
            assert!(
                matches!(answer.code, Some(0 | 2 | 3 | 4 | 5 | 9)),
                "{answer:#?}"
            );
        }
    }

    fn database(&self) -> PathBuf {
        self.sandbox.home().root().join("cache/skillmeatd.db")
    }

    fn damage(&mut self, how: u16) {
        self.sandbox.kill();
        let database = self.database();
        let Ok(bytes) = fs::read(&database) else {
            return;
        };
        self.was_rebuilt = true;
        match how % 4 {
            0 => write(&database, bytes.get(..bytes.len() / 2).unwrap()),
            1 => write(
                &database,
                [&[0xA5; 64][..], bytes.get(64..).unwrap()].concat(),
            ),
            2 => write(&database, ""),
            _ => {
                remove(&database);
                fs::create_dir(&database).unwrap();
            }
        }
    }

    /// Collections whose files can't be compared now.
    fn unreadable(&self) -> BTreeSet<String> {
        (0..2)
            .filter(|&slot| self.broken[slot].is_some() || self.away[slot])
            .map(|slot| COLLECTIONS[slot].to_owned())
            .collect()
    }

    /// Waits until the daemon tells what a fresh one tells of a copy of the home, and that events led there.
    pub(crate) fn settle(&mut self) {
        let skipped = self.unreadable();
        let fresh = self.rebuild().without(&skipped);
        drop(self.sandbox.ready());
        let rpc = self.sandbox.rpc();
        // A cache that was deleted is served until the daemon notices.
        until_true("a new cache", || !self.deleted.contains(&instance(&rpc)));
        let root = self.sandbox.root().to_str().unwrap();
        let give_up = Instant::now() + DEADLINE;
        let view = loop {
            let before = rpc.status().last_seq;
            let view = View::of(&rpc, root);
            if let Ok(view) = &view
                && view.clone().without(&skipped) == fresh
                && rpc.status().last_seq == before
            {
                break view.clone();
            }
            assert!(
                Instant::now() < give_up,
                "the rows do not become what a fresh daemon says:\n{}",
                view.map_or_else(
                    |status| format!("{status:?}"),
                    |view| view.without(&skipped).difference(&fresh)
                )
            );
            std::thread::park_timeout(REST);
        };
        self.story.read_on(&rpc, view, self.was_rebuilt);
        self.was_rebuilt = false;
        if skipped.is_empty() {
            let mut cache = CacheServiceClient::new(rpc.channel());
            let request = v1::RefreshCacheRequest::default();
            let done = rpc.wait(cache.refresh(request)).unwrap().into_inner();
            let report = done.report.unwrap();
            assert_eq!(
                (report.added, report.changed, report.removed),
                (0, 0, 0),
                "a pass over what was settled changed rows"
            );
        }
    }

    /// What a daemon tells that never saw this home before.
    fn rebuild(&self) -> View {
        let fresh = Sandbox::new();
        fs::create_dir_all(fresh.home().root()).unwrap();
        for part in ["collections", "config.toml"] {
            let copied = Command::new("cp")
                .arg("-a")
                .arg(self.sandbox.home().root().join(part))
                .arg(fresh.home().root().join(part))
                .status();
            assert!(copied.unwrap().success());
        }
        drop(fresh.ready());
        let rpc = fresh.rpc();
        let mut why;
        let give_up = Instant::now() + DEADLINE;
        loop {
            match View::of(&rpc, fresh.root().to_str().unwrap()) {
                Ok(view) => return view,
                Err(status) => why = status,
            }
            assert!(
                Instant::now() < give_up,
                "no rows from a fresh daemon: {why:?}"
            );
            std::thread::park_timeout(REST);
        }
    }
}

/// Removes whatever is there.
pub(crate) fn remove(path: &Path) {
    let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
    // It need not be there.
    drop(if is_folder {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    });
}

/// Whether a file can be written here: nothing above is a file or a link that leads nowhere.
fn is_free(path: &Path) -> bool {
    !path.is_dir()
        && path
            .ancestors()
            .skip(1)
            .all(|above| above.is_dir() || above.symlink_metadata().is_err())
        && path
            .symlink_metadata()
            .map_or(true, |found| !found.is_symlink() || path.is_file())
}
