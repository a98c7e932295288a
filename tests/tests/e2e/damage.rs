//! A database that others damage, at rest and in use: the daemon says so, and builds it anew from the files.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use skillmeat_tests::fault::equals_a_fresh_one;
use skillmeat_tests::home::{codes, rename, skill, text, write};
use skillmeat_tests::{Sandbox, until};

/// What the names of the database's files end with, after its own.
const PARTS: [&str; 6] = ["", "-wal", "-shm", "-journal", "-sums", "-sealed"];

/// A home with some skills, and where its database lies.
fn library() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::initialised();
    for n in 0..30 {
        let name = format!("s{n:02}");
        skill(&sandbox.collection("default", "skills"), &name, "Plain");
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    sandbox.cache_until("the text index", |cache| cache["unindexed_artifacts"] == 0);
    let path = PathBuf::from(text(&sandbox.json(&["db", "current"])["path"]));
    (sandbox, path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Turns one bit over.
fn flip(path: &Path, at: u64) {
    let mut file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 0x10]).unwrap();
}

fn truncate(path: &Path, to: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(to).unwrap();
}

/// The database was put aside, and the daemon says when and why.
fn says_so(sandbox: &Sandbox, what: &str) {
    let current = sandbox.json(&["db", "current"]);
    assert!(current["replaced_at"].is_string(), "{what}: {current}");
    assert!(!text(&current["replaced_because"]).is_empty(), "{what}");
    let log = sandbox.run(&["daemon", "logs", "-n", "50"]).ok().stdout;
    assert!(log.contains(".corrupt-"), "{what}: {log}");
    let warnings = codes(&sandbox.json(&["status"])["warnings"]);
    assert_eq!(warnings, ["cache-replaced"], "{what}");
}

#[test]
fn bits_that_were_turned_over_at_rest() {
    let (sandbox, path) = library();
    let length = std::fs::metadata(&path).unwrap().len();
    // In the header, in the first page, and in pages all over the file.
    let places = [
        17,
        30,
        101,
        5_000,
        length / 4,
        length / 2,
        length * 3 / 4,
        length - 20,
    ];
    for at in places {
        let what = format!("byte {at} of {length}");
        sandbox.stop();
        flip(&path, at);
        assert_eq!(sandbox.ready()["artifacts"], 30, "{what}");
        says_so(&sandbox, &what);
        equals_a_fresh_one(&sandbox, &what);
    }
    // What was put aside is bounded.
    let aside = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
            name.contains(".corrupt-") && name.ends_with(|end: char| end.is_ascii_digit())
        })
        .count();
    assert!((1..=2).contains(&aside), "{aside}");
}

#[test]
fn a_file_that_was_cut_short_at_rest() {
    let (sandbox, path) = library();
    let length = std::fs::metadata(&path).unwrap().len();
    for to in [
        0,
        1,
        50,
        100,
        4095,
        4096,
        10_000,
        length / 2,
        length - 4096,
        length - 1,
    ] {
        let what = format!("{to} of {length} bytes");
        sandbox.stop();
        truncate(&path, to);
        assert_eq!(sandbox.ready()["artifacts"], 30, "{what}");
        says_so(&sandbox, &what);
        equals_a_fresh_one(&sandbox, &what);
    }
}

#[test]
fn a_file_that_was_emptied_after_a_kill() {
    let (sandbox, path) = library();
    // Also where what tells of its rows is gone with them.
    for lost in [&[][..], &["-wal", "-shm"], &["-sums"]] {
        let what = format!("without {lost:?}");
        let log = beside(&path, "-wal");
        drop(sandbox.run(&["db", "vacuum"]).ok());
        skill(&sandbox.collection("default", "skills"), "s07", &what);
        sandbox.shows("s07", &what, |shown| shown["description"] == what.as_str());
        assert!(std::fs::metadata(log).unwrap().len() > 0, "{what}");
        sandbox.kill();
        truncate(&path, 0);
        for suffix in lost {
            std::fs::remove_file(beside(&path, suffix)).unwrap();
        }
        assert_eq!(sandbox.ready()["artifacts"], 30, "{what}");
        says_so(&sandbox, &what);
        equals_a_fresh_one(&sandbox, &what);
    }
}

/// Ends the daemon and takes a part of its database away; where it stood.
fn vacated(sandbox: &Sandbox, path: &Path, suffix: &str) -> PathBuf {
    sandbox.stop();
    let place = beside(path, suffix);
    if place.exists() {
        std::fs::remove_file(&place).unwrap();
    }
    place
}

#[test]
fn something_else_in_its_place() {
    let (sandbox, path) = library();
    for suffix in PARTS {
        let place = vacated(&sandbox, &path, suffix);
        write(place.join("theirs"), "theirs");
        assert_eq!(sandbox.ready()["artifacts"], 30, "{suffix}");
        says_so(&sandbox, suffix);
        equals_a_fresh_one(&sandbox, suffix);
    }
    // Also where it leads to a file, or to nothing.
    let theirs = sandbox.path("theirs");
    for what in ["a link to a file", "a link to nothing"] {
        sandbox.stop();
        if what == "a link to a file" {
            rename(&path, &theirs);
        } else {
            std::fs::remove_file(&path).unwrap();
            std::fs::remove_file(&theirs).unwrap();
        }
        std::os::unix::fs::symlink(&theirs, &path).unwrap();
        assert_eq!(sandbox.ready()["artifacts"], 30, "{what}");
        says_so(&sandbox, what);
        equals_a_fresh_one(&sandbox, what);
        assert!(!path.is_symlink(), "{what}");
    }
    assert!(!theirs.exists());
    // Nothing of it was deleted.
    let kept = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().join("theirs").exists())
        .count();
    assert_eq!(kept, PARTS.len());
    // A log that belongs to nothing.
    sandbox.stop();
    write(beside(&path, "-wal"), b"rubbish".repeat(1000));
    assert_eq!(sandbox.ready()["artifacts"], 30);
    equals_a_fresh_one(&sandbox, "a log that belongs to nothing");
}

#[test]
fn a_pipe_in_the_place_of_a_part_of_it() {
    let (sandbox, path) = library();
    for suffix in PARTS {
        let place = vacated(&sandbox, &path, suffix);
        mknodat(CWD, &place, FileType::Fifo, Mode::RWXU, 0).unwrap();
        // Also for who has it built anew at once.
        drop(sandbox.run(&["cache", "clear"]).ok());
        assert_eq!(sandbox.ready()["artifacts"], 30, "{suffix}");
        equals_a_fresh_one(&sandbox, suffix);
    }
}

#[test]
fn a_database_that_was_deleted_alone_is_no_damage() {
    let (sandbox, path) = library();
    for what in ["sealed", "with a log", "killed"] {
        if what == "killed" {
            sandbox.kill();
        }
        sandbox.stop();
        if what == "with a log" {
            write(beside(&path, "-wal"), b"rubbish".repeat(1000));
        }
        std::fs::remove_file(&path).unwrap();
        let status = sandbox.ready();
        assert_eq!(status["artifacts"], 30, "{what}");
        assert_eq!(codes(&status["warnings"]), [""; 0], "{what}");
        let mut beside = std::fs::read_dir(path.parent().unwrap()).unwrap();
        let is_aside = beside.any(|one| {
            let name = one.unwrap().file_name();
            name.to_string_lossy().contains(".corrupt-")
        });
        assert!(!is_aside, "{what}");
        equals_a_fresh_one(&sandbox, what);
    }
}

#[test]
fn damage_while_it_is_in_use() {
    let (sandbox, path) = library();
    let pid = sandbox.pid();
    let ways: [(&str, &dyn Fn()); 4] = [
        ("cut short", &|| truncate(&path, 4096)),
        ("emptied", &|| truncate(&path, 0)),
        ("overwritten", &|| {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            let length = file.metadata().unwrap().len();
            (&file)
                .write_all(&vec![0xaa; usize::try_from(length).unwrap()])
                .unwrap();
        }),
        ("a folder", &|| {
            std::fs::remove_file(&path).unwrap();
            write(path.join("theirs"), "theirs");
        }),
    ];
    for (round, (what, damage)) in ways.into_iter().enumerate() {
        // The log is empty now, so that the rows are in the file alone.
        sandbox.json(&["db", "vacuum"]);
        damage();
        let words = format!("Edited {round}");
        skill(&sandbox.collection("default", "skills"), "s07", &words);
        // Whatever the first answers are, the daemon stays, notices, and is whole again.
        sandbox.shows("s07", what, |shown| shown["description"] == words.as_str());
        until(&format!("all rows, {what}"), || {
            let list = sandbox.run(&["list", "--json"]);
            let is_whole = list.code == Some(0) && list.json()["total"] == 30;
            (is_whole && path.is_file()).then_some(())
        });
        says_so(&sandbox, what);
        equals_a_fresh_one(&sandbox, what);
        assert_eq!(sandbox.pid(), pid, "{what}");
    }
}

#[test]
fn a_bit_that_turns_over_in_use_is_found_by_a_check() {
    let (sandbox, path) = library();
    drop(sandbox.run(&["db", "vacuum"]).ok());
    let check = || sandbox.run(&["db", "check"]);
    assert_eq!(check().code, Some(0));
    let length = std::fs::metadata(&path).unwrap().len();
    flip(&path, length - 7);
    let found = check();
    assert_eq!(found.code, Some(9), "{found:?}");
    assert!(found.stdout.contains("not as it was written"), "{found:?}");
    until("a sound database", || {
        (check().code == Some(0)).then_some(())
    });
    says_so(&sandbox, "after a check");
    equals_a_fresh_one(&sandbox, "a check");
}
