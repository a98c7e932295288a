//! What other programs do to a collection all at once: checkouts, editors, scripts, files without end.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use skillmeat_tests::home::{rename, skill, text, write};
use skillmeat_tests::{Sandbox, until};

/// Skills in the checkout, of five files each.
const SKILLS: usize = 1_000;

/// What is written without end.
const BUSY: Duration = Duration::from_secs(3);

fn run(sandbox: &Sandbox, folder: &Path, program: &str, args: &[&str]) {
    let mut command = Command::new(program);
    let status = command
        .args(args)
        .current_dir(folder)
        .env("HOME", sandbox.root())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap_or_else(|error| panic!("can't run `{program}`: {error}"));
    let errors = String::from_utf8_lossy(&status.stderr);
    assert!(status.status.success(), "{program} {args:?}: {errors}");
}

fn skills(sandbox: &Sandbox, count: usize, version: &str) {
    for number in 0..count {
        let name = format!("s{number}");
        let folder = sandbox.collection("default", "skills");
        let place = skill(&folder, &name, &format!("Version {version}"));
        for file in ["a.md", "b.md", "docs/c.md", "docs/d.md"] {
            write(place.join(file), format!("{version} of {name}"));
        }
    }
}

/// Everything that a list tells of each artifact but when it was last looked at.
fn rows(sandbox: &Sandbox) -> Vec<Value> {
    let mut rows = sandbox.list();
    for row in &mut rows {
        if let Some(row) = row.as_object_mut() {
            row.retain(|key, _| !key.ends_with("_at") && key != "stale");
        }
    }
    rows.sort_by_key(|row| text(&row["id"]));
    rows
}

/// Whether all skills are there in this version, and nothing else.
fn are_all(sandbox: &Sandbox, count: usize, version: &str) -> bool {
    let wanted = format!("Version {version}");
    let list = sandbox.list();
    list.len() == count && list.iter().all(|one| one["description"] == wanted)
}

#[test]
fn five_thousand_files_that_git_replaces_are_what_a_rebuild_would_find() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    let place = sandbox.collection("default", "");
    let git = |args: &[&str]| {
        let known = [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "gc.auto=0",
        ];
        run(&sandbox, &place, "git", &[&known, args].concat());
    };
    git(&["init", "-q", "-b", "one"]);
    skills(&sandbox, SKILLS, "one");
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "one"]);
    git(&["checkout", "-q", "-b", "two"]);
    skills(&sandbox, SKILLS, "two");
    // On this branch some are missing, which on the other come back.
    std::fs::remove_dir_all(place.join("skills/s7")).unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "two"]);
    let served = |version: &str| {
        let wanted = format!("Version {version}");
        sandbox.shows("s0", version, |shown| shown["description"] == wanted);
        sandbox.shows("s999", version, |shown| shown["description"] == wanted);
    };
    served("two");
    until("the second branch", || {
        are_all(&sandbox, SKILLS - 1, "two").then_some(())
    });
    git(&["checkout", "-q", "one"]);
    served("one");
    until("the first branch", || {
        are_all(&sandbox, SKILLS, "one").then_some(())
    });
    let followed = rows(&sandbox);
    drop(sandbox.run(&["cache", "clear"]).ok());
    drop(sandbox.ready());
    until("a rebuilt cache", || {
        (rows(&sandbox) == followed).then_some(())
    });
}

#[test]
fn a_thousand_writes_are_followed_by_none_of_ours() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    skills(&sandbox, 200, "one");
    until("all skills", || are_all(&sandbox, 200, "one").then_some(()));
    skills(&sandbox, 200, "two");
    until("the new versions", || {
        are_all(&sandbox, 200, "two").then_some(())
    });
    let written = || sandbox.json(&["cache", "status"])["rows_written"].clone();
    let numbers = || {
        let status = sandbox.json(&["status"]);
        let events = status["roots"][0]["events"].clone();
        (events, status["daemon"]["last_seq"].clone())
    };
    // Second looks at files that were young end by themselves; what feeds on itself never does.
    until("a quiet moment", || {
        let before = (written(), numbers());
        let deadline = Instant::now() + Duration::from_millis(2_500);
        while Instant::now() < deadline {
            if (written(), numbers()) != before {
                return None;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        Some(())
    });
}

#[test]
fn editors_and_scripts_are_followed_and_their_leavings_are_not() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    let folder = skill(&sandbox.collection("default", "skills"), "one", "First");
    let command = sandbox.collection("default", "commands/go.md");
    write(&command, "---\ndescription: Go\n---\nGo.\n");
    sandbox.shows("skill:one", "the skill", |_| true);
    sandbox.shows("command:go", "the command", |_| true);
    let served = |artifact: &str, wanted: &str| {
        sandbox.shows(artifact, wanted, |shown| shown["description"] == wanted);
    };
    run(
        &sandbox,
        &folder,
        "sed",
        &["-i", "s/First/Second/", "SKILL.md"],
    );
    served("skill:one", "Second");
    // As vim writes with `backupcopy=no`: a trial file, the old file aside, a new one, the old one away.
    let commands = command.parent().unwrap();
    write(commands.join("4913"), "");
    std::fs::remove_file(commands.join("4913")).unwrap();
    write(commands.join(".go.md.swp"), "swap");
    rename(&command, commands.join("go.md~"));
    write(&command, "---\ndescription: By vim\n---\nGo.\n");
    served("command:go", "By vim");
    // As others do: a lock, a temporary file, a rename over the old one.
    write(commands.join(".#go.md"), "lock");
    write(commands.join("#go.md#"), "saved");
    write(
        commands.join("go.md.tmp.123"),
        "---\ndescription: By rename\n---\nGo.\n",
    );
    rename(commands.join("go.md.tmp.123"), &command);
    served("command:go", "By rename");
    assert_eq!(sandbox.ids(), ["command:go", "skill:one"]);
}

#[test]
fn a_half_saved_manifest_changes_no_row_until_it_is_whole() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    let source = skill(&sandbox.path("src"), "one", "First");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let manifest = sandbox.collection("default", "collection.toml");
    let whole = std::fs::read_to_string(&manifest).unwrap();
    let before = rows(&sandbox);
    let half: String = whole.chars().take(whole.chars().count() - 12).collect();
    write(&manifest, format!("{half}\n[[artifacts\n"));
    sandbox.status_until("the broken manifest", |status| {
        status["collections"][0]["state"] == "broken"
    });
    assert_eq!(rows(&sandbox), before);
    write(&manifest, &whole);
    sandbox.status_until("the whole manifest", |status| {
        status["collections"][0]["state"] == "ok"
    });
    assert_eq!(rows(&sandbox), before);
}

#[test]
fn a_file_that_is_written_without_end_costs_little_and_ends_right() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    let place = skill(&sandbox.collection("default", "skills"), "one", "First");
    sandbox.shows("one", "the skill", |_| true);
    let pid = sandbox.pid();
    let before = ticks(pid);
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < BUSY {
        count += 1;
        write(place.join("log.md"), format!("line {count}\n"));
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let spent = Duration::from_millis((ticks(pid) - before) * 10);
    assert!(spent < BUSY / 2, "{spent:?} of {BUSY:?} for {count} writes");
    write(place.join("log.md"), "the end, at last\n");
    sandbox.shows("one", "the last size", |shown| {
        shown["files"].to_string().contains("\"size\":17")
    });
}

/// Time that a process has run on a processor, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name may hold spaces; it ends with the last parenthesis.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_collection_that_is_moved_away_keeps_its_rows_and_comes_back() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    skills(&sandbox, 30, "one");
    until("all skills", || are_all(&sandbox, 30, "one").then_some(()));
    let before = rows(&sandbox);
    let place = sandbox.home().collection("default");
    let away = sandbox.path("away");
    rename(&place, &away);
    let root = |status: &Value| text(&status["roots"][0]["state"]);
    let status = sandbox.status_until("a missing root", |status| {
        root(status) == "missing" && status["collections"][0]["state"] == "unreachable"
    });
    assert!(text(&status["roots"][0]["reason"]).contains("missing"));
    assert_eq!(rows(&sandbox), before);
    // An empty folder in its place, as an unmounted disk leaves it, is no user's will either.
    std::fs::create_dir(&place).unwrap();
    sandbox.status_until("an empty root", |status| {
        text(&status["roots"][0]["reason"]).contains("empty")
    });
    assert_eq!(rows(&sandbox), before);
    std::fs::remove_dir(&place).unwrap();
    rename(&away, &place);
    sandbox.status_until("a watched root", |status| {
        root(status) == "watching" && status["collections"][0]["state"] == "ok"
    });
    skills(&sandbox, 30, "two");
    until("an edit after that", || {
        are_all(&sandbox, 30, "two").then_some(())
    });
}
