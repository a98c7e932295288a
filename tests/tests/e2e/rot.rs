//! Bits that turn over in the cache between a kill and the next start: whatever they made of a row, an index or a text
//! is gone once the daemon has settled.

use std::path::{Path, PathBuf};

use skillmeat_shared::collection::MANIFEST;
use skillmeat_tests::fault::equals_a_fresh_one;
use skillmeat_tests::home::{rename, skill, text, write};
use skillmeat_tests::wait::until_true;
use skillmeat_tests::{Sandbox, daemon, until};

/// Bits that are turned over before each start.
const BITS: u64 = 25;

/// What the daemon says of a cache that is whole.
const WHOLE: &str = "every page of the cache is as it was written";

/// A home whose rows, groups, tags and texts fill pages of every table and index.
fn library() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::initialised();
    let mut entries = vec!["[collection]\nname = \"default\"\nversion = \"1.0.0\"\n".to_owned()];
    for n in 0..60 {
        let name = format!("s{n:02}");
        let folder = sandbox.collection("default", "skills");
        let place = skill(&folder, &name, &format!("Plain words of number {n}"));
        let words: Vec<String> = (0..400).map(|word| format!("w{n}x{word}")).collect();
        write(place.join("notes.md"), words.join(" "));
        let entry = "[[artifacts]]\ntype = \"skill\"\norigin = \"local\"";
        let tag = n % 7;
        entries.push(format!(
            "{entry}\nname = \"{name}\"\npath = \"skills/{name}\"\ntags = [\"t{tag}\"]\n"
        ));
    }
    write(sandbox.collection("default", MANIFEST), entries.join("\n"));
    drop(sandbox.run(&["cache", "refresh"]).ok());
    drop(sandbox.run(&["group", "create", "some", "s1*"]).ok());
    drop(
        sandbox
            .run(&["tag", "define", "t3", "--description", "The third"])
            .ok(),
    );
    settled(&sandbox);
    let path = PathBuf::from(text(&sandbox.json(&["db", "current"])["path"]));
    (sandbox, path)
}

fn settled(sandbox: &Sandbox) {
    sandbox.ready();
    sandbox.cache_until("the text index", |cache| cache["unindexed_artifacts"] == 0);
}

/// How often the daemons of a home found their cache whole, and how often damaged.
fn judged(sandbox: &Sandbox) -> (usize, usize) {
    let log = sandbox.run(&["daemon", "logs", "-n", "5000"]).ok().stdout;
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    (count(WHOLE), count(".corrupt-"))
}

/// Kills the daemon, has its cache harmed, and waits until the next one has judged it. Whether it was put aside.
fn restart(sandbox: &Sandbox, harm: impl FnOnce()) -> bool {
    let before = judged(sandbox);
    sandbox.kill();
    harm();
    sandbox.ready();
    until_true("what the cache is worth", || judged(sandbox) != before);
    settled(sandbox);
    judged(sandbox).1 > before.1
}

/// A number that looks drawn.
fn drawn(seed: u64) -> u64 {
    let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 8
}

fn turn_over(path: &Path, places: impl IntoIterator<Item = u64>) {
    let mut bytes = std::fs::read(path).unwrap();
    for place in places {
        let at = usize::try_from(place % bytes.len() as u64).unwrap();
        bytes[at] ^= 1 << (place % 7);
    }
    // In place, as a disk would do it.
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
}

/// Where each occurrence of some words begins.
fn places(path: &Path, words: &str) -> Vec<u64> {
    let bytes = std::fs::read(path).unwrap();
    let all = bytes.windows(words.len()).enumerate();
    all.filter(|(_, window)| *window == words.as_bytes())
        .map(|(at, _)| at as u64)
        .collect()
}

#[test]
fn bits_that_turn_over_after_a_kill() {
    let (sandbox, path) = library();
    assert!(!restart(&sandbox, || ()), "nothing was wrong");
    // A letter of a description, and of a text: no structure of the database tells of it.
    for words in ["Plain words of number 17", "w23x399"] {
        sandbox.json(&["db", "vacuum"]);
        let harm = || {
            let found = places(&path, words);
            assert!(!found.is_empty(), "`{words}` is nowhere");
            turn_over(&path, found.into_iter().map(|at| at + 3));
        };
        assert!(restart(&sandbox, harm), "`{words}` is not as it was");
        equals_a_fresh_one(&sandbox, words);
    }
    // All over the file: rows, indexes, texts, what the search consists of.
    for round in 0..5 {
        sandbox.json(&["db", "vacuum"]);
        let at = |n| drawn(round * BITS + n);
        let is_aside = restart(&sandbox, || turn_over(&path, (0..BITS).map(at)));
        assert!(is_aside, "round {round}");
        equals_a_fresh_one(&sandbox, &format!("turned bits, round {round}"));
    }
}

#[test]
fn bits_of_the_log_of_writes_that_turn_over_after_a_kill() {
    let (sandbox, path) = library();
    let log = PathBuf::from(format!("{}-wal", path.display()));
    for round in 0..4 {
        sandbox.json(&["db", "vacuum"]);
        for n in 0..10 {
            let name = format!("s{n:02}");
            let words = format!("Edited {round} times");
            skill(&sandbox.collection("default", "skills"), &name, &words);
        }
        sandbox.shows("s09", "the last edit", |shown| {
            shown["description"] == format!("Edited {round} times")
        });
        settled(&sandbox);
        let at = |n| drawn(1000 + round * BITS + n);
        let is_aside = restart(&sandbox, || turn_over(&log, (0..BITS).map(at)));
        // What is lost of the log is as if it had not been written yet.
        assert!(!is_aside, "round {round}");
        equals_a_fresh_one(&sandbox, &format!("turned bits of the log, round {round}"));
    }
}

#[test]
fn a_home_that_was_moved_under_its_daemon_is_not_called_damaged() {
    let mut sandbox = Sandbox::new();
    write(sandbox.home().config(), "[daemon]\nself_check = \"1s\"\n");
    drop(sandbox.run(&["init"]).ok());
    sandbox.stop();
    // Closed in order once, so that pages and sums are there; then more is written.
    for number in 0..30 {
        let name = format!("skill{number}");
        skill(&sandbox.collection("default", "skills"), &name, "Plain");
    }
    let all_are_indexed = |sandbox: &Sandbox| {
        sandbox.status_until("all rows", |status| status["artifacts"] == 30);
        sandbox.cache_until("the text index", |cache| cache["unindexed_artifacts"] == 0);
    };
    all_are_indexed(&sandbox);
    let (root, moved) = (sandbox.home().root().to_owned(), sandbox.path("moved"));
    rename(&root, &moved);
    until("the end of its daemon", || {
        daemon::processes(&root).is_empty().then_some(())
    });
    sandbox.set("SKILLMEAT_HOME", moved.to_str().unwrap());
    all_are_indexed(&sandbox);
    let check = sandbox.json(&["db", "check"]);
    assert_eq!(check["ok"], true, "{check}");
    let current = sandbox.json(&["db", "current"]);
    assert_eq!(current["replaced_at"], serde_json::Value::Null, "{current}");
    let log = std::fs::read_to_string(moved.join("logs/skillmeat.log")).unwrap();
    assert!(!log.contains("not as it was written"), "{log}");
    drop(sandbox.run(&["daemon", "stop"]).ok());
}
