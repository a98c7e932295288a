//! Deeds of a person, of `sm undo` and of other programs, cut short now and then: whatever they were, all of
//! them can be taken back, and then every byte is as it was in the beginning. And whatever stood in a file is
//! in the history, also after garbage was collected.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use skillmeat_shared::failpoint;
use skillmeat_tests::fault::{Faults, equals_a_fresh_one};
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::{Sandbox, history, until};

/// Names of skills.
const NAMES: [&str; 4] = ["one", "two", "three", "four"];

/// One thing that is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Add(usize),
    Remove(usize),
    Rename(usize, usize),
    Move(usize),
    Copy(usize, usize),
    Set(usize),
    Rate(usize),
    Tag(usize),
    Group(usize),
    /// Another program writes into a skill.
    Write(usize),
    /// Another program deletes a skill.
    Delete(usize),
    /// Another program writes into the manifest.
    Manifest,
    Undo,
    /// Any operation that stands, not just the last one.
    UndoOne(prop::sample::Index),
    Redo,
    Snapshot,
    /// To any snapshot.
    Rollback(prop::sample::Index),
    /// One skill, from any snapshot.
    Restore(usize, prop::sample::Index),
    /// The process ends at some step of an addition.
    Cut(usize, usize),
    Restart,
}

pub(crate) fn deed() -> impl Strategy<Value = Deed> {
    let name = || 0..NAMES.len();
    prop_oneof![
        6 => name().prop_map(Deed::Add),
        2 => name().prop_map(Deed::Remove),
        2 => (name(), name()).prop_map(|(from, to)| Deed::Rename(from, to)),
        1 => name().prop_map(Deed::Move),
        1 => (name(), name()).prop_map(|(from, to)| Deed::Copy(from, to)),
        2 => name().prop_map(Deed::Set),
        1 => name().prop_map(Deed::Rate),
        2 => name().prop_map(Deed::Tag),
        2 => name().prop_map(Deed::Group),
        3 => name().prop_map(Deed::Write),
        1 => name().prop_map(Deed::Delete),
        1 => Just(Deed::Manifest),
        3 => Just(Deed::Undo),
        2 => any::<prop::sample::Index>().prop_map(Deed::UndoOne),
        2 => Just(Deed::Redo),
        2 => Just(Deed::Snapshot),
        2 => any::<prop::sample::Index>().prop_map(Deed::Rollback),
        2 => (name(), any::<prop::sample::Index>()).prop_map(|(name, at)| Deed::Restore(name, at)),
        3 => (name(), any::<prop::sample::Index>()).prop_map(|(name, step)| {
            Deed::Cut(name, step.index(1000))
        }),
        1 => Just(Deed::Restart),
    ]
}

/// What is in a file, in an order of its own for documents of entries, without dates that every change sets.
fn content(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let is_document = matches!(
        path.file_name().and_then(|name| name.to_str()),
        Some("collection.toml" | "collection.lock" | "ratings.toml")
    );
    if !is_document {
        return bytes;
    }
    let text = String::from_utf8(bytes).unwrap();
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("updated"))
        .collect();
    lines.sort_unstable();
    lines.join("\n").into_bytes()
}

/// Every file of the home that a person owns, as this reads it.
fn read_all(sandbox: &Sandbox, read: fn(&Path) -> Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    fn walk(
        top: &Path,
        folder: &Path,
        read: fn(&Path) -> Vec<u8>,
        into: &mut BTreeMap<String, Vec<u8>>,
    ) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().display().to_string();
            // No person owns what is being made, or the notes of the daemon on its own history.
            if name.contains(".skillmeat-tmp-") || name.starts_with("state/history.") {
                continue;
            }
            if path.is_dir() {
                walk(top, &path, read, into);
            } else {
                into.insert(name, read(&path));
            }
        }
    }
    let mut found = BTreeMap::new();
    let home = sandbox.home().root();
    for folder in ["collections", "state"] {
        walk(home, &home.join(folder), read, &mut found);
    }
    found
}

fn files(sandbox: &Sandbox) -> BTreeMap<String, Vec<u8>> {
    let mut found = read_all(sandbox, content);
    // A document without entries is as good as none.
    found.retain(|name, bytes| name != "state/ratings.toml" || !bytes.is_empty());
    found
}

/// Whether an operation is about no files.
fn is_deed(verb: &str) -> bool {
    verb.starts_with("snapshot.") || verb.starts_with("history.")
}

struct Life {
    sandbox: Sandbox,
    faults: Faults,
    round: usize,
    /// All that ever stood in a file, with a name that it had.
    stood: BTreeMap<Vec<u8>, String>,
}

impl Life {
    fn log(&self) -> Vec<Value> {
        let log = self.sandbox.json(&["log", "--limit", "1000"]);
        log["operations"].as_array().unwrap().clone()
    }

    fn external(&self) -> usize {
        let log = self.log();
        log.iter().filter(|one| one["actor"] == "external").count()
    }

    fn sm(&self, args: &[&str]) {
        let answer = self.sandbox.run(args);
        // Refused, not found, in conflict: whatever is right; but never a fault of ours, and never too late.
        assert!(
            matches!(answer.code, Some(0 | 2 | 3 | 4 | 5 | 9)),
            "{answer:#?}"
        );
    }

    fn add(&self, name: &str) -> String {
        let words = format!("Round {}", self.round);
        let source = skill(&self.sandbox.path("src"), name, &words);
        source.to_str().unwrap().to_owned()
    }

    /// Another program does something that must be told as an operation.
    fn outside(&self, deed: impl FnOnce()) {
        drop(self.sandbox.run(&["cache", "refresh"]).ok());
        let before = self.external();
        deed();
        until("the operation of another program", || {
            (self.external() > before).then_some(())
        });
    }

    fn live(&mut self, deed: Deed) {
        self.round += 1;
        let round = self.round.to_string();
        let at = |name: usize| {
            let path = format!("skills/{}/SKILL.md", NAMES[name]);
            self.sandbox.collection("default", &path)
        };
        match deed {
            Deed::Add(name) => self.sm(&["add", &self.add(NAMES[name]), "--force"]),
            Deed::Remove(name) => self.sm(&["remove", NAMES[name], "--yes"]),
            Deed::Rename(from, to) => self.sm(&["rename", NAMES[from], NAMES[to]]),
            Deed::Move(name) => self.sm(&["move", NAMES[name], "--to", "work"]),
            Deed::Copy(from, to) => self.sm(&["copy", NAMES[from], "--as", NAMES[to]]),
            Deed::Set(name) => {
                let value = format!("description=Set in round {round}");
                self.sm(&["set", NAMES[name], &value]);
            }
            Deed::Rate(name) => {
                let stars = (self.round % 5 + 1).to_string();
                self.sm(&["rate", NAMES[name], &stars]);
            }
            Deed::Tag(name) => {
                let tag = format!("tag{}", self.round % 3);
                self.sm(&["tag", "add", &tag, NAMES[name]]);
            }
            Deed::Group(name) => {
                let group = format!("group{}", self.round % 2);
                self.sm(&["group", "create", &group]);
                self.sm(&["group", "add", &group, NAMES[name]]);
            }
            Deed::Write(name) if at(name).exists() => {
                self.outside(|| write(at(name), format!("---\nname: x\n---\nRound {round}\n")));
            }
            Deed::Delete(name) if at(name).exists() => {
                self.outside(|| fs::remove_dir_all(at(name).parent().unwrap()).unwrap());
            }
            Deed::Write(_) | Deed::Delete(_) => {}
            Deed::Manifest => {
                let path = self.sandbox.collection("default", "collection.toml");
                let text = fs::read_to_string(&path).unwrap();
                let text = format!("{text}\n[[theirs]]\nname = \"round {round}\"\n");
                self.outside(|| write(&path, &text));
            }
            // The collections themselves stay.
            Deed::Undo if self.newest(false).is_none() => {}
            Deed::Undo => self.sm(&["undo"]),
            Deed::UndoOne(which) => {
                let standing = self.standing();
                if !standing.is_empty() {
                    self.sm(&["undo", &standing[which.index(standing.len())]]);
                }
            }
            Deed::Redo => self.sm(&["redo"]),
            Deed::Snapshot => self.sm(&["snapshot", &round]),
            Deed::Rollback(which) => {
                let snapshots = self.snapshots();
                if !snapshots.is_empty() {
                    self.sm(&[
                        "rollback",
                        &snapshots[which.index(snapshots.len())],
                        "--yes",
                    ]);
                }
            }
            Deed::Restore(name, which) => {
                let snapshots = self.snapshots();
                if !snapshots.is_empty() {
                    let what = format!(
                        "{}@{}",
                        NAMES[name],
                        snapshots[which.index(snapshots.len())]
                    );
                    self.sm(&["restore", &what]);
                }
            }
            Deed::Cut(name, step) => self.cut(NAMES[name], step),
            Deed::Restart => self.sandbox.stop(),
        }
    }

    fn cut(&self, name: &str, step: usize) {
        let steps: Vec<&str> = ["change", "exchange", "history"]
            .into_iter()
            .flat_map(failpoint::of_area)
            .collect();
        let which = steps[step % steps.len()];
        let nth = step / steps.len() % 3 + 1;
        let source = self.add(name);
        self.sandbox.stop();
        self.faults.tell(&format!("{which}=kill@{nth}"));
        let answer = self.sandbox.run(&["add", &source, "--force"]);
        assert!(matches!(answer.code, Some(0 | 4 | 7 | 9)), "{answer:#?}");
        self.faults.none();
        drop(self.sandbox.run(&["cache", "refresh"]).ok());
    }

    /// The numbers of the operations by commands that stand, without those that made the collections.
    fn standing(&self) -> Vec<String> {
        let log = self.log();
        let standing = log.iter().filter(|one| {
            let verb = text(&one["verb"]);
            one["state"] == "done"
                && one["undoes"].is_null()
                && one["actor"] != "external"
                && verb != "collection.create"
                && !is_deed(&verb)
        });
        standing.map(|one| one["id"].to_string()).collect()
    }

    fn snapshots(&self) -> Vec<String> {
        let listed = self.sandbox.json(&["snapshot", "list", "--limit", "1000"]);
        let all = listed["snapshots"].as_array().unwrap().iter();
        all.map(|one| text(&one["id"])).collect()
    }

    /// Notes what stands in files now.
    fn look(&mut self) {
        let all = read_all(&self.sandbox, |path| fs::read(path).unwrap());
        self.stood
            .extend(all.into_iter().map(|(name, bytes)| (bytes, name)));
    }

    /// All that stood in a file can be got back.
    fn nothing_is_lost(&self) {
        assert!(self.stood.len() > 1);
        drop(self.sandbox.run(&["gc"]).ok());
        let lost: BTreeSet<&String> = self
            .stood
            .iter()
            .filter(|(bytes, _)| !history::has(&self.sandbox, bytes))
            .map(|(_, name)| name)
            .collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
    }

    /// The newest operation that stands, after those that made the collections.
    fn newest(&self, with_external: bool) -> Option<String> {
        let log = self.log();
        let newest = log
            .iter()
            .filter(|one| with_external || one["actor"] != "external")
            .filter(|one| !is_deed(&text(&one["verb"])))
            .find(|one| one["state"] == "done" && one["undoes"].is_null())?;
        (text(&newest["verb"]) != "collection.create").then(|| newest["id"].to_string())
    }

    /// Takes back all that stands, the newest first.
    fn take_all_back(&self) {
        while let Some(newest) = self.newest(true) {
            drop(self.sandbox.run(&["undo", &newest]).ok());
        }
    }
}

/// Lives through some deeds, and takes all of them back.
pub(crate) fn live(deeds: &[Deed]) {
    let mut sandbox = Sandbox::new();
    let faults = Faults::of(&mut sandbox);
    drop(sandbox.run(&["init"]).ok());
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    let mut life = Life {
        sandbox,
        faults,
        round: 0,
        stood: BTreeMap::new(),
    };
    let beginning = files(&life.sandbox);
    for deed in deeds {
        life.live(*deed);
        life.look();
    }
    equals_a_fresh_one(&life.sandbox, "the deeds");
    life.take_all_back();
    let end = files(&life.sandbox);
    assert!(
        end == beginning,
        "{deeds:?}\nthe end: {:#?}\nthe beginning: {:#?}",
        end.keys(),
        beginning.keys()
    );
    equals_a_fresh_one(&life.sandbox, "taking all back");
    life.nothing_is_lost();
}
