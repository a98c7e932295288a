//! Which row stands for which artifact: names that differ in case, shared paths, entries that lead nowhere,
//! and passes that can't write.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::allow_attributes_without_reason,
    missing_docs
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use skillmeat_shared::Result;
use skillmeat_shared::reconcile::{CollectionState, Context, Report, Scope, Target, reconcile};
use skillmeat_shared::time::{Clock, SystemClock, Timestamp};
use skillmeatd::store::{Store, artifact, event};
use tempfile::TempDir;

const ALL: Scope = Scope::All {
    force: false,
    confirmed: false,
};

/// A clock that runs ahead, so that files count as old without waiting for them to age.
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + 10_000_000_000)
    }
}

struct Bench {
    folder: TempDir,
    store: Arc<Store>,
}

impl Bench {
    fn new(manifest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("cache.db"), true).unwrap();
        let bench = Self {
            folder,
            store: Arc::new(store),
        };
        bench.manifest(manifest);
        bench
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("c")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn manifest(&self, entries: &str) {
        let text = format!("[collection]\nname = \"c\"\nversion = \"1.0.0\"\n{entries}");
        self.write("collection.toml", &text);
    }

    fn pass(&self) -> Report {
        pass(&self.store, &self.root()).unwrap()
    }

    fn texts(&self, sql: &'static str) -> Vec<String> {
        let read = self.store.read(|connection| {
            connection
                .prepare(sql)?
                .query_map([], |row| row.get(0))?
                .collect()
        });
        read.unwrap()
    }

    fn rows(&self) -> Vec<String> {
        self.texts(
            "SELECT kind || ':' || name || ' ' || path || ' ' || status || ' ' || invalidated
             FROM artifact ORDER BY kind, name COLLATE BINARY, path",
        )
    }

    fn invalidate(&self) {
        let mark = |t: &rusqlite::Transaction<'_>| artifact::invalidate(t, "c", None);
        self.store.write(mark).unwrap();
    }
}

fn pass(store: &Store, root: &Path) -> Result<Report> {
    let target = Target {
        name: "c".to_owned(),
        path: root.to_owned(),
        external: false,
    };
    let context = Context {
        clock: &Ahead,
        threads: 2,
        is_cancelled: &|| false,
    };
    reconcile(&target, store, &ALL, &context)
}

fn entry(name: &str, path: &str) -> String {
    format!(
        "[[artifacts]]\nname = \"{name}\"\ntype = \"skill\"\npath = \"{path}\"\norigin = \"local\"\n"
    )
}

fn server(name: &str) -> String {
    format!("[[mcp_servers]]\nname = \"{name}\"\nrepo = \"a/b\"\n")
}

#[test]
fn names_that_differ_in_case_only_are_two_artifacts() {
    let bench = Bench::new(&(server("GitHub") + &server("github")));
    bench.write("skills/one/SKILL.md", "# one\n");
    bench.pass();
    assert_eq!(
        bench.rows(),
        [
            "mcp:GitHub  declared 0",
            "mcp:github  declared 0",
            "skill:one skills/one unmanaged 0"
        ]
    );
    // A server that was renamed is added before the old one goes.
    bench.manifest(&server("GITHUB"));
    bench.pass();
    assert_eq!(
        bench.rows(),
        ["mcp:GITHUB  declared 0", "skill:one skills/one unmanaged 0"]
    );
}

#[test]
fn an_entry_and_a_server_of_one_name_without_a_place_are_one_artifact() {
    let entry = "[[artifacts]]\nname = \"github\"\ntype = \"mcp\"\npath = \"../out\"\n";
    let bench = Bench::new(&(entry.to_owned() + &server("github")));
    bench.pass();
    assert_eq!(bench.rows(), ["mcp:github  missing 0"]);
    assert_eq!(bench.pass().changed, 0);
}

#[test]
fn an_artifact_keeps_its_row_when_another_one_takes_its_path() {
    let bench = Bench::new(&(entry("a", "skills/x") + &entry("b", "skills/x")));
    bench.write("skills/x/SKILL.md", "# x\n");
    bench.pass();
    let before = bench.texts("SELECT CAST(id AS TEXT) FROM artifact WHERE name = 'a'");
    bench.manifest(&(entry("c", "skills/x") + &entry("a", "skills/x")));
    assert_eq!(bench.pass().changed, 1, "b became c, and a is what it was");
    assert_eq!(
        bench.texts("SELECT CAST(id AS TEXT) FROM artifact WHERE name = 'a'"),
        before
    );
}

#[test]
fn whatever_is_invalidated_is_verified_by_the_next_pass() {
    let bench = Bench::new(&(server("github") + &entry("out", "../out")));
    bench.pass();
    let problems =
        "SELECT d.problems FROM artifact_detail d JOIN artifact a ON a.id = d.artifact_id
                    WHERE a.name = 'out'";
    let before = bench.texts(problems);
    bench.invalidate();
    bench.pass();
    assert_eq!(
        bench.rows(),
        ["mcp:github  declared 0", "skill:out  missing 0"]
    );
    assert_eq!(bench.texts(problems), before, "and it says what it said");
}

#[test]
fn a_manifest_that_comes_back_as_it_was_is_noticed() {
    let bench = Bench::new(&entry("a", "skills/x"));
    bench.write("skills/x/SKILL.md", "# x\n");
    bench.pass();
    // Moving the folder changes nothing about the files in it.
    let aside = bench.folder.path().join("aside");
    fs::rename(bench.root(), &aside).unwrap();
    bench.write("notes.txt", "another disk\n");
    assert_eq!(bench.pass().state, Some(CollectionState::NoManifest));
    fs::remove_dir_all(bench.root()).unwrap();
    fs::rename(&aside, bench.root()).unwrap();
    assert_eq!(bench.pass().state, Some(CollectionState::Ok));
    assert_eq!(bench.rows(), ["skill:a skills/x managed 0"]);
}

#[test]
fn a_new_collection_is_announced_once() {
    let bench = Bench::new(&entry("a", "skills/x"));
    bench.pass();
    let events = bench.store.read(|c| event::after(c, 0, 100)).unwrap();
    let added = events.iter().filter(|e| e.kind == "collection.added");
    assert_eq!(added.count(), 1, "{events:?}");
}

#[test]
fn a_pass_that_cannot_write_ends() {
    let bench = Bench::new("");
    bench.pass();
    for at in 0..1200 {
        bench.write(&format!("skills/s{at}/SKILL.md"), "# s\n");
    }
    // Long enough a wait for the lock that all who read have come to wait for the one who writes.
    let other = rusqlite::Connection::open(bench.store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (sender, receiver) = channel();
    let (store, root) = (Arc::clone(&bench.store), bench.root());
    std::thread::spawn(move || sender.send(pass(&store, &root).is_err()));
    let failed = receiver.recv_timeout(Duration::from_secs(30));
    assert_eq!(failed, Ok(true));
}
