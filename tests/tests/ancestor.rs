//! Together with the ancestor: the published Python program and ours on one home. Each reads what the other
//! wrote, and nothing of either is lost.
//!
//! Slow, and in need of Python and a package index, so only on demand: `SM_TEST_ANCESTOR=1` installs the
//! program once into the build's own folder; any other value names a virtual environment that has it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use skillmeat_shared::fs::FileLock;
use skillmeat_tests::Sandbox;
use skillmeat_tests::command::Answer;
use skillmeat_tests::home::{fixture, output, skill, text, write};

/// What asks for these tests.
const VARIABLE: &str = "SM_TEST_ANCESTOR";

/// How long another of these tests may take to install.
const INSTALLING: Duration = Duration::from_mins(10);

/// The ancestor's program; nothing, with the reason printed, if it can't be had.
fn ancestor() -> Option<PathBuf> {
    let skip = |why: &str| {
        eprintln!("skipped: {why}");
        None
    };
    let wanted = match std::env::var(VARIABLE) {
        Ok(wanted) if !wanted.is_empty() => wanted,
        _ => return skip(&format!("`{VARIABLE}` does not ask for it")),
    };
    let folder = if wanted == "1" {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ancestor");
        match install(&folder) {
            Ok(()) => folder,
            Err(why) => return skip(&why),
        }
    } else {
        PathBuf::from(wanted)
    };
    let program = folder.join("bin/skillmeat");
    if program.is_file() {
        Some(program)
    } else {
        skip(&format!("`{}` is not there", program.display()))
    }
}

/// Makes the virtual environment, once.
fn install(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).unwrap();
    let lock = folder.with_extension("lock");
    let _held = FileLock::acquire(&lock, INSTALLING).map_err(|error| error.message)?;
    let done = folder.join("installed");
    if done.is_file() {
        return Ok(());
    }
    let run = |program: &Path, args: &[&str]| {
        let outcome = Command::new(program).args(args).output();
        match outcome {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(format!("`{}`: {error}", program.display())),
        }
    };
    let place = folder.to_str().unwrap();
    run(Path::new("python3"), &["-m", "venv", place])?;
    let pip = folder.join("bin/pip");
    run(&pip, &["install", "--quiet", "--no-input", "skillmeat"])?;
    write(done, "");
    Ok(())
}

/// A home that both programs use.
struct Both {
    sandbox: Sandbox,
    program: PathBuf,
}

impl Both {
    fn new() -> Option<Self> {
        let program = ancestor()?;
        let sandbox = Sandbox::initialised();
        Some(Self { sandbox, program })
    }

    /// Runs the ancestor's program; it is asked nothing.
    #[track_caller]
    fn theirs(&self, args: &[&str]) -> Answer {
        let mut command = self.sandbox.command(&self.program);
        command
            .args(args)
            .env("COLUMNS", "200")
            .env("NO_COLOR", "1");
        let answers = self.sandbox.path("answers");
        write(&answers, "y\n".repeat(10));
        command.stdin(std::fs::File::open(answers).unwrap());
        output(command).ok()
    }

    /// What the ancestor lists: description and tags by id.
    fn their_list(&self) -> BTreeMap<String, (String, Vec<String>)> {
        let listed = self
            .theirs(&["list", "--json", "--local", "--no-cache"])
            .json();
        let tags = |one: &Value| {
            let mut tags: Vec<String> = one["tags"].as_array().unwrap().iter().map(text).collect();
            tags.sort();
            tags
        };
        let all = listed.as_array().unwrap().iter().map(|one| {
            let id = format!("{}:{}", text(&one["type"]), text(&one["name"]));
            let description = one["description"].as_str().unwrap_or_default().to_owned();
            (id, (description, tags(one)))
        });
        all.collect()
    }

    /// The same, as we list it.
    fn our_list(&self) -> BTreeMap<String, (String, Vec<String>)> {
        let tags = |one: &Value| {
            let mut tags: Vec<String> = one["tags"].as_array().unwrap().iter().map(text).collect();
            tags.sort();
            tags
        };
        let all = self.sandbox.list();
        let all = all.iter().map(|one| {
            let description = one["description"].as_str().unwrap_or_default().to_owned();
            (text(&one["id"]), (description, tags(one)))
        });
        all.collect()
    }

    #[track_caller]
    fn agree(&self) {
        assert_eq!(self.our_list(), self.their_list());
    }

    fn add(&self, path: &str) {
        let path = fixture("../../shared/tests/fixtures/sources").join(path);
        drop(self.ours(&["add", path.to_str().unwrap()]));
    }

    #[track_caller]
    fn ours(&self, args: &[&str]) -> Value {
        self.sandbox.json(args)
    }

    /// Files of the collection with their bytes.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let root = self.sandbox.collection("default", "");
        let mut files = BTreeMap::new();
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let bytes = std::fs::read(&path).unwrap();
                    files.insert(path.strip_prefix(&root).unwrap().to_owned(), bytes);
                }
            }
        }
        files
    }

    /// The newest snapshot that the ancestor lists.
    fn snapshot(&self) -> String {
        drop(self.theirs(&["snapshot", "-m", "before"]));
        let index = self
            .sandbox
            .home()
            .root()
            .join("snapshots/default/snapshots.toml");
        let index = std::fs::read_to_string(index).unwrap();
        let id = index
            .lines()
            .filter_map(|line| line.strip_prefix("id = \""))
            .next_back();
        id.unwrap().trim_end_matches('"').to_owned()
    }
}

#[test]
fn it_reads_what_we_wrote() {
    let Some(both) = Both::new() else { return };
    for path in [
        "skills/pdf-tools",
        "commands/review.md",
        "agents/code-reviewer.md",
    ] {
        both.add(path);
    }
    both.agree();
    assert!(
        both.theirs(&["show", "pdf-tools"])
            .stdout
            .contains("Extract text and tables")
    );

    // And after everything that we do to it.
    drop(both.ours(&["rename", "review", "code-review"]));
    drop(both.ours(&["set", "pdf-tools", "description=Set by us", "version=2.0"]));
    drop(both.ours(&["copy", "code-reviewer", "--as", "second-reviewer"]));
    drop(both.ours(&["tag", "add", "fresh", "pdf-tools"]));
    drop(both.ours(&["group", "create", "Docs"]));
    drop(both.ours(&["group", "add", "Docs", "pdf-tools"]));
    drop(both.ours(&["rate", "pdf-tools", "5"]));
    both.agree();
    drop(both.ours(&["remove", "second-reviewer", "--yes"]));
    both.agree();
    drop(both.ours(&["undo"]));
    both.agree();
    assert!(both.their_list().contains_key("agent:second-reviewer"));
}

#[test]
fn we_read_what_it_wrote() {
    let Some(both) = Both::new() else { return };
    let source = skill(&both.sandbox.path("src"), "theirs", "Written by them");
    write(source.join("scripts/run.sh"), "echo\n");
    write(source.join("assets/data.bin"), [0, 159, 146, 150]);
    drop(both.theirs(&["add", "skill", "./src/theirs", "--yes"]));
    let shown = both.sandbox.shows("theirs", "what it added", |shown| {
        shown["modified"] == false
    });
    // Its hash is ours.
    assert_eq!(shown["lock"]["content_hash"], shown["content_hash"]);
    assert_eq!(shown["status"], "managed");
    both.agree();
    drop(both.theirs(&["remove", "theirs", "--force"]));
    skillmeat_tests::until("the removal", || {
        both.sandbox.ids().is_empty().then_some(())
    });
    // What it removed can be had back.
    let log = skillmeat_tests::until("an operation for it", || {
        let log = both.ours(&["log"]);
        let first = log["operations"][0].clone();
        (first["actor"] == "external").then_some(first)
    });
    drop(both.ours(&["undo", &log["id"].to_string().replace('"', "")]));
    assert_eq!(
        both.sandbox.show("theirs")["content_hash"],
        shown["content_hash"]
    );
    both.agree();
}

#[test]
fn nothing_of_ours_is_lost_when_it_writes() {
    let Some(both) = Both::new() else { return };
    both.add("skills/pdf-tools");
    both.add("commands/review.md");
    drop(both.ours(&[
        "group",
        "create",
        "Docs",
        "--description",
        "About documents",
    ]));
    drop(both.ours(&["group", "add", "Docs", "review", "pdf-tools"]));
    drop(both.ours(&["tag", "define", "pdf", "--color", "#00ff00"]));
    drop(both.ours(&["set", "pdf-tools", "aliases=pt,forms", "position=2"]));
    drop(both.ours(&["rate", "pdf-tools", "5"]));
    let facts = || {
        let shown = both.sandbox.show("pdf-tools");
        let pick = |key: &str| shown[key].clone();
        let groups = both.ours(&["group", "list"])["groups"].clone();
        let tags = both.ours(&["tag", "list"]).to_string();
        let of = [
            "aliases",
            "position",
            "rating",
            "tags",
            "description",
            "memberships",
        ]
        .map(pick);
        (of, groups, tags.contains("#00ff00"))
    };
    let before = facts();
    assert_eq!(before.0[0][0], "pt");

    // Any addition has it write the whole manifest anew.
    skill(&both.sandbox.path("src"), "theirs", "Written by them");
    drop(both.theirs(&["add", "skill", "./src/theirs", "--yes"]));
    drop(both.sandbox.shows("theirs", "what it added", |_| true));
    drop(both.theirs(&["remove", "theirs", "--force"]));
    skillmeat_tests::until("the removal", || {
        (both.sandbox.ids().len() == 2).then_some(())
    });
    assert_eq!(facts(), before);
    // Nor is it lost with the cache.
    drop(both.ours(&["cache", "clear"]));
    both.sandbox.ready();
    assert_eq!(facts(), before);
}

#[test]
fn snapshots_of_the_ancestor_bring_back_what_was_there() {
    let Some(both) = Both::new() else { return };
    both.add("skills/pdf-tools");
    both.add("commands/review.md");
    let before = both.files();
    let list = both.our_list();
    let id = both.snapshot();
    let spoil = || {
        drop(both.ours(&["set", "pdf-tools", "description=Changed by us"]));
        drop(both.ours(&["remove", "review", "--yes"]));
    };
    let is_back = || {
        skillmeat_tests::until("the rows of the snapshot", || {
            (both.our_list() == list).then_some(())
        });
        assert_eq!(both.files(), before);
        both.agree();
        assert_eq!(both.sandbox.show("pdf-tools")["modified"], false);
    };
    // By its own hand, and by ours.
    spoil();
    drop(both.theirs(&["rollback", &id, "--yes"]));
    is_back();
    spoil();
    let listed = both.ours(&["snapshot", "list"]).to_string();
    assert!(listed.contains(&id), "{listed}");
    drop(both.ours(&["rollback", &id, "--yes"]));
    is_back();
    drop(both.ours(&["undo"]));
    assert_eq!(both.sandbox.ids(), ["skill:pdf-tools"]);
    both.agree();
}
