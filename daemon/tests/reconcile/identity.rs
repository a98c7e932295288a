//! Which row stands for which artifact: names that differ in case, shared paths, entries that lead nowhere,
//! and passes that can't write.

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use rusqlite::Connection;
use skillmeat_shared::reconcile::CollectionState;
use skillmeatd::store::event;
use skillmeatd::store::search::{self, Filter, Hit};

use crate::bench::{ALL, Ahead, Bench, pass, paths};

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
    bench.pass(&ALL);
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
    bench.pass(&ALL);
    assert_eq!(
        bench.rows(),
        ["mcp:GITHUB  declared 0", "skill:one skills/one unmanaged 0"]
    );
}

#[test]
fn an_entry_and_a_server_of_one_name_without_a_place_are_one_artifact() {
    let entry = "[[artifacts]]\nname = \"github\"\ntype = \"mcp\"\npath = \"../out\"\n";
    let bench = Bench::new(&(entry.to_owned() + &server("github")));
    bench.pass(&ALL);
    assert_eq!(bench.rows(), ["mcp:github  missing 0"]);
    assert_eq!(bench.pass(&ALL).changed, 0);
}

#[test]
fn an_artifact_keeps_its_row_when_another_one_takes_its_path() {
    let bench = Bench::new(&(entry("a", "skills/x") + &entry("b", "skills/x")));
    bench.write("skills/x/SKILL.md", "# x\n");
    bench.pass(&ALL);
    let before = bench.texts("SELECT CAST(id AS TEXT) FROM artifact WHERE name = 'a'");
    bench.manifest(&(entry("c", "skills/x") + &entry("a", "skills/x")));
    assert_eq!(
        bench.pass(&ALL).changed,
        1,
        "b became c, and a is what it was"
    );
    assert_eq!(
        bench.texts("SELECT CAST(id AS TEXT) FROM artifact WHERE name = 'a'"),
        before
    );
}

#[test]
fn whatever_is_invalidated_is_verified_by_the_next_pass() {
    let bench = Bench::new(&(server("github") + &entry("out", "../out")));
    bench.pass(&ALL);
    let problems =
        "SELECT d.problems FROM artifact_detail d JOIN artifact a ON a.id = d.artifact_id
                    WHERE a.name = 'out'";
    let before = bench.texts(problems);
    bench.invalidate();
    bench.pass(&ALL);
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
    bench.pass(&ALL);
    // Moving the folder changes nothing about the files in it.
    let aside = bench.folder.path().join("aside");
    fs::rename(bench.root(), &aside).unwrap();
    bench.write("notes.txt", "another disk\n");
    assert_eq!(bench.pass(&ALL).state, Some(CollectionState::NoManifest));
    fs::remove_dir_all(bench.root()).unwrap();
    fs::rename(&aside, bench.root()).unwrap();
    assert_eq!(bench.pass(&ALL).state, Some(CollectionState::Ok));
    assert_eq!(bench.rows(), ["skill:a skills/x managed 0"]);
}

#[test]
fn a_new_collection_is_announced_once() {
    let bench = Bench::new(&entry("a", "skills/x"));
    bench.pass(&ALL);
    let events = bench.store.read(|c| event::after(c, 0, 100)).unwrap();
    let added = events.iter().filter(|e| e.kind == "collection.added");
    assert_eq!(added.count(), 1, "{events:?}");
}

#[test]
fn a_pass_that_cannot_write_ends() {
    let bench = Bench::new("");
    bench.pass(&ALL);
    for at in 0..1200 {
        bench.write(&format!("skills/s{at}/SKILL.md"), "# s\n");
    }
    // Long enough a wait for the lock that all who read have come to wait for the one who writes.
    let other = rusqlite::Connection::open(bench.store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (sender, receiver) = channel();
    let (store, root) = (Arc::clone(&bench.store), bench.root());
    std::thread::spawn(move || sender.send(pass(&store, &root, &Ahead::default(), &ALL).is_err()));
    let failed = receiver.recv_timeout(Duration::from_secs(30));
    assert_eq!(failed, Ok(true));
}

#[test]
fn a_folder_that_leads_out_of_the_collection_is_not_read() {
    let bench = Bench::new(&entry("mine", "skills/mine"));
    let outside = bench.folder.path().join("outside");
    fs::create_dir_all(outside.join("mine")).unwrap();
    fs::create_dir_all(outside.join("other")).unwrap();
    fs::write(
        outside.join("mine/SKILL.md"),
        "---\ndescription: secret\n---\n",
    )
    .unwrap();
    fs::write(
        outside.join("other/SKILL.md"),
        "---\ndescription: secret\n---\n",
    )
    .unwrap();
    std::os::unix::fs::symlink(&outside, bench.root().join("skills")).unwrap();
    bench.pass(&ALL);
    assert_eq!(bench.rows(), ["skill:mine skills/mine managed 0"]);
    assert_eq!(
        bench.texts("SELECT coalesce(description, 'none') FROM artifact"),
        ["none"]
    );
    assert_eq!(bench.texts("SELECT text FROM artifact_text"), [""; 0]);
    let problems = bench.texts("SELECT problems FROM artifact_detail");
    assert!(problems[0].contains("link.outside"), "{problems:?}");
    // A link that stays inside is as good as a folder.
    fs::remove_file(bench.root().join("skills")).unwrap();
    fs::rename(&outside, bench.root().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", bench.root().join("skills")).unwrap();
    bench.pass(&ALL);
    assert_eq!(bench.rows().len(), 2);
}

#[test]
fn what_is_missing_stays_so_behind_a_folder_that_leads_out() {
    let bench = Bench::new(&entry("mine", "skills/mine"));
    let problems = || bench.texts("SELECT problems FROM artifact_detail").concat();
    bench.pass(&ALL);
    assert_eq!(bench.rows(), ["skill:mine skills/mine missing 0"]);
    let outside = bench.folder.path().join("outside");
    fs::create_dir_all(&outside).unwrap();
    let skills = bench.root().join("skills");
    std::os::unix::fs::symlink(&outside, &skills).unwrap();
    for _ in 0..2 {
        let report = bench.pass(&ALL);
        assert_eq!(bench.rows(), ["skill:mine skills/mine missing 0"]);
        assert_eq!(report.failed, 0);
        let told = problems();
        assert!(
            told.contains("artifact.missing") && told.contains("link.outside"),
            "{told}"
        );
    }
    assert_eq!(bench.pass(&ALL).read, 0);
    fs::remove_file(skills).unwrap();
    bench.pass(&ALL);
    assert_eq!(bench.rows(), ["skill:mine skills/mine missing 0"]);
    assert!(!problems().contains("link.outside"));
}

#[test]
fn equally_good_hits_stand_in_one_order_however_their_rows_came_to_be() {
    let bench = Bench::new("");
    for name in ["c-same", "a-same", "b-same"] {
        bench.skill(name, "words");
        bench.pass(&ALL);
    }
    let first_written = bench.texts("SELECT name FROM artifact ORDER BY id");
    assert_eq!(first_written, ["c-same", "a-same", "b-same"]);
    let names = |find: fn(&Connection, &str, &Filter) -> rusqlite::Result<Vec<Hit>>| {
        let read = bench.store.read(|connection| {
            let hits = find(connection, "\"same\"*", &Filter::default())?;
            let name = |hit: &Hit| search::summary(connection, hit.artifact).map(|row| row.name);
            hits.iter().map(name).collect::<rusqlite::Result<Vec<_>>>()
        });
        read.unwrap()
    };
    let in_names: fn(&Connection, &str, &Filter) -> _ =
        |connection, words, filter| search::in_metadata(connection, words, true, filter);
    let in_texts: fn(&Connection, &str, &Filter) -> _ =
        |connection, words, filter| search::in_texts(connection, words, filter, Some(10));
    assert_eq!(names(in_names), ["a-same", "b-same", "c-same"]);
    assert_eq!(names(in_texts), ["a-same", "b-same", "c-same"]);
}

#[test]
fn a_folder_that_arrives_brings_what_entries_name_inside_of_it() {
    let bench = Bench::new(&(entry("inner", "skills/outer/refs") + &entry("extra", "extra/one")));
    bench.pass(&ALL);
    let missing = [
        "skill:extra extra/one missing 0",
        "skill:inner skills/outer/refs missing 0",
    ];
    assert_eq!(bench.rows(), missing);
    // Where a folder should be stands a file: nothing is there.
    bench.write("skills/outer", "a file");
    bench.pass(&paths(&["skills/outer"]));
    assert_eq!(bench.rows(), missing);
    fs::remove_file(bench.root().join("skills/outer")).unwrap();
    // A folder that is moved is told by its own name alone.
    for (folder, inside) in [("skills/outer", "refs"), ("extra", "one")] {
        bench.write(&format!("elsewhere/{inside}/SKILL.md"), "# Inside");
        fs::rename(bench.root().join("elsewhere"), bench.root().join(folder)).unwrap();
        bench.pass(&paths(&[folder]));
    }
    let rows = bench.rows();
    assert!(
        rows.contains(&"skill:inner skills/outer/refs managed 0".to_owned()),
        "{rows:?}"
    );
    assert!(
        rows.contains(&"skill:extra extra/one managed 0".to_owned()),
        "{rows:?}"
    );
    fs::remove_dir_all(bench.root().join("extra")).unwrap();
    bench.pass(&paths(&["extra"]));
    assert_eq!(bench.rows()[0], missing[0]);
}
