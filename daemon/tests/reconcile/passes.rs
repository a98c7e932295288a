//! What a pass writes and what it keeps, and that rows that followed step by step equal a fresh rebuild.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use skillmeat_shared::reconcile::{CollectionState, Rows as _, Scope};
use skillmeatd::store::Store;

use crate::bench::{ALL, Bench, pass, pass_during, paths, texts};

/// All that files decide, in an order that does not depend on how it came to be.
fn dump(store: &Store) -> Vec<String> {
    let queries = [
        "SELECT kind || '|' || name || '|' || path || '|' || status || '|' || origin || '|' ||
                coalesce(description, '') || '|' || tags || '|' || tools || '|' || aliases || '|' ||
                coalesce(content_hash, '') || '|' || coalesce(structure_hash, '') || '|' || file_count
                || '|' || size || '|' || parse_status || '|' || problem_count || '|' || updated_at
                || '|' || hex(row_hash) || '|' || hex(entry_hash) FROM artifact ORDER BY 1",
        "SELECT a.path || '|' || (f.value ->> 0) || '|' || (f.value ->> 1) || '|' || (f.value ->> 2)
         FROM artifact_detail d JOIN artifact a ON a.id = d.artifact_id, json_each(d.files) f ORDER BY 1",
        "SELECT a.path || '|' || t.tag FROM artifact_tag t JOIN artifact a ON a.id = t.artifact_id ORDER BY 1",
        "SELECT a.path || '|' || t.files || '|' || t.text FROM artifact_text t
         JOIN artifact a ON a.id = t.artifact_id ORDER BY 1",
        "SELECT kind || '|' || status || '|' || artifacts || '|' || bytes FROM artifact_count
         WHERE artifacts <> 0 ORDER BY 1",
        "SELECT g.name || '|' || m.position || '|' || m.member FROM group_member m
         JOIN collection_group g ON g.id = m.group_id ORDER BY 1",
        "SELECT name || '|' || state || '|' || header || '|' || problems FROM collection ORDER BY 1",
        "SELECT count(*) || ' ' || (SELECT count(*) FROM artifact) FROM metadata_index",
        "SELECT count(*) || ' ' || (SELECT count(*) FROM artifact_text) FROM text_index",
    ];
    queries
        .iter()
        .flat_map(|query| texts(store, query))
        .collect()
}

#[test]
fn a_pass_over_unchanged_files_writes_nothing() {
    let bench = Bench::new("");
    bench.skill("one", "first");
    bench.write("commands/two.md", "do it\n");
    assert_eq!(bench.pass(&ALL).added, 2);
    let written = bench.store.rows_written();
    let report = bench.pass(&ALL);
    assert_eq!((report.verified, report.read), (2, 0));
    bench.pass(&paths(&["skills/one", "collection.toml"]));
    assert_eq!(bench.store.rows_written(), written);
}

#[test]
fn the_index_of_metadata_is_written_for_what_it_holds_and_nothing_else() {
    let bench = Bench::new("");
    bench.skill("one", "first");
    bench.pass(&ALL);
    let index = || {
        let query = "SELECT id || ' ' || hex(block) FROM metadata_index_data ORDER BY id";
        texts(&bench.store, query)
    };
    let found = |word: &str| {
        let query = "SELECT rowid || '' FROM metadata_index WHERE metadata_index MATCH";
        texts(&bench.store, &format!("{query} '{word}'")).len()
    };
    let before = index();
    bench.write("skills/one/more.md", "other words\n");
    assert_eq!(bench.pass(&ALL).changed, 1);
    assert_eq!(index(), before);
    bench.skill("one", "second");
    assert_eq!(bench.pass(&ALL).changed, 1);
    assert_eq!((found("first"), found("second")), (0, 1));
}

#[test]
fn a_forced_pass_reads_everything_and_still_writes_nothing() {
    let bench = Bench::new("");
    bench.skill("one", "first");
    bench.pass(&ALL);
    let written = bench.store.rows_written();
    let report = bench.pass(&Scope::All {
        force: true,
        confirmed: false,
    });
    assert_eq!(report.read, 1);
    assert_eq!(bench.store.rows_written(), written);
}

#[test]
fn files_as_young_as_the_clock_are_read_again_until_they_are_old() {
    let bench = Bench::new("");
    // A clock that runs behind: every file looks as if it were being written now.
    bench.clock.0.store(-1_000_000_000, Ordering::Relaxed);
    bench.skill("one", "first");
    let report = bench.pass(&paths(&["skills/one"]));
    assert!(
        report.young.contains(&"skills/one".to_owned()),
        "{report:?}"
    );
    assert_eq!(
        bench.pass(&paths(&["skills/one"])).read,
        1,
        "a young file proves nothing"
    );
    bench.clock.0.store(10_000_000_000, Ordering::Relaxed);
    assert_eq!(
        bench.pass(&ALL).read,
        1,
        "the last look was too early to be trusted"
    );
    let written = bench.store.rows_written();
    assert_eq!(bench.pass(&ALL).read, 0);
    assert_eq!(bench.store.rows_written(), written);
}

#[test]
fn a_change_that_keeps_size_and_time_is_seen() {
    let bench = Bench::new("");
    bench.skill("one", "first");
    bench.pass(&ALL);
    let file = bench.root().join("skills/one/SKILL.md");
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    bench.skill("one", "fir5t");
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    assert_eq!(bench.pass(&ALL).changed, 1);
    assert!(dump(&bench.store).iter().any(|line| line.contains("fir5t")));
}

#[test]
fn a_broken_manifest_keeps_the_last_good_rows() {
    let bench = Bench::new("");
    let good = "[collection]\nname = \"c\"\nversion = \"1.0.0\"\n\n[[artifacts]]\nname = \"one\"\n\
                type = \"skill\"\npath = \"skills/one\"\norigin = \"github\"\ntags = [\"kept\"]\n";
    bench.write("collection.toml", good);
    bench.skill("one", "first");
    bench.pass(&ALL);
    let before = dump(&bench.store);
    for broken in ["[collection\n", "", "\n \n", "\u{0}"] {
        bench.write("collection.toml", broken);
        let report = bench.pass(&ALL);
        assert_eq!(report.state, Some(CollectionState::Broken), "{broken:?}");
        let rows = dump(&bench.store);
        assert!(
            rows[0].contains("github") && rows[0].contains("kept"),
            "{broken:?}: {rows:?}"
        );
        // Files go on to be read meanwhile, with the entry that the rows keep.
        bench.skill("one", "second");
        assert_eq!(bench.pass(&paths(&["skills/one"])).changed, 1);
        bench.skill("one", "first");
        bench.pass(&paths(&["skills/one"]));
        bench.write("collection.toml", good);
        assert_eq!(bench.pass(&ALL).state, Some(CollectionState::Ok));
    }
    let ageless = |lines: &[String]| -> Vec<String> {
        // The file was rewritten: only its time differs.
        lines.iter().skip(1).cloned().collect()
    };
    assert_eq!(ageless(&dump(&bench.store)), ageless(&before));
}

#[test]
fn a_broken_lock_keeps_rows_too() {
    let bench = Bench::new("");
    bench.skill("one", "first");
    bench.pass(&ALL);
    bench.write("collection.lock", "[lock\n");
    assert_eq!(bench.pass(&ALL).state, Some(CollectionState::Broken));
    assert_eq!(bench.pass(&ALL).removed, 0);
    bench.write(
        "collection.lock",
        "[lock]\nversion = \"1.0.0\"\n\n[lock.entries]\n",
    );
    assert_eq!(bench.pass(&ALL).state, Some(CollectionState::Ok));
}

#[test]
fn a_collection_that_was_deleted_with_its_rows_gets_none_again() {
    let bench = Bench::new("");
    fs::remove_dir_all(bench.root()).unwrap();
    let report = bench.pass(&ALL);
    assert_eq!(report.state, Some(CollectionState::Unreachable));
    assert!(!report.collection_changed);
    assert!(bench.texts("SELECT name FROM collection").is_empty());
}

#[test]
fn a_collection_that_vanishes_keeps_its_rows() {
    let bench = Bench::new("");
    bench.skill("one", "first");
    bench.pass(&ALL);
    let away = bench.folder.path().join("away");
    fs::rename(bench.root(), &away).unwrap();
    let report = bench.pass(&ALL);
    assert_eq!(
        (report.state, report.removed),
        (Some(CollectionState::Unreachable), 0)
    );
    // An unmounted disk leaves an empty folder behind.
    fs::create_dir(bench.root()).unwrap();
    assert_eq!(bench.pass(&ALL).state, Some(CollectionState::Unreachable));
    let written = bench.store.rows_written();
    bench.pass(&ALL);
    assert_eq!(
        bench.store.rows_written(),
        written,
        "saying it once is enough"
    );
    fs::remove_dir(bench.root()).unwrap();
    fs::rename(&away, bench.root()).unwrap();
    let report = bench.pass(&ALL);
    assert_eq!(
        (report.state, report.removed),
        (Some(CollectionState::Ok), 0)
    );
}

#[test]
fn a_great_loss_is_believed_at_the_second_look() {
    let bench = Bench::new("");
    for number in 0..30 {
        bench.skill(&format!("skill-{number}"), "one of many");
    }
    bench.pass(&ALL);
    fs::remove_dir_all(bench.root().join("skills")).unwrap();
    let report = bench.pass(&ALL);
    assert!(report.doubtful && report.removed == 0);
    let report = bench.pass(&Scope::All {
        force: false,
        confirmed: true,
    });
    assert!(!report.doubtful && report.removed == 30);
}

#[test]
fn what_goes_during_a_pass_leaves_no_row() {
    for known in [false, true] {
        let bench = Bench::new("");
        bench.skill("stays", "x");
        bench.skill("goes", "x");
        if known {
            bench.pass(&ALL);
        }
        let remove = || drop(fs::remove_dir_all(bench.root().join("skills/goes")));
        let report = pass_during(&bench.store, &bench.root(), &bench.clock, &ALL, &remove).unwrap();
        assert_eq!(report.young, ["skills/goes"], "it is looked for again");
        bench.pass(&paths(&["skills/goes"]));
        let rows = ["skill:stays skills/stays unmanaged 0"];
        assert_eq!(bench.rows(), rows, "known before: {known}");
    }
}

#[test]
fn a_row_that_is_missing_without_an_entry_goes() {
    let bench = Bench::new("");
    bench.skill("gone", "x");
    bench.pass(&ALL);
    fs::remove_dir_all(bench.root().join("skills/gone")).unwrap();
    let missing = "UPDATE artifact SET status = 'missing'";
    bench
        .store
        .write(|transaction| transaction.execute(missing, []))
        .unwrap();
    assert_eq!(bench.pass(&paths(&["skills/gone"])).removed, 1);
    assert_eq!(bench.rows(), Vec::<String>::new());
}

#[test]
fn two_entries_for_one_artifact_are_one_row_with_a_problem() {
    let bench = Bench::new("");
    let entry = "\n[[artifacts]]\nname = \"one\"\ntype = \"skill\"\npath = \"skills/one\"\norigin = \"local\"\n";
    bench.write(
        "collection.toml",
        &format!("[collection]\nname = \"c\"\n{entry}{entry}"),
    );
    bench.skill("one", "first");
    bench.pass(&ALL);
    let dump = dump(&bench.store);
    assert_eq!(
        dump.iter()
            .filter(|line| line.starts_with("skill|one|"))
            .count(),
        1
    );
    assert!(
        dump.iter().any(|line| line.contains("entry.duplicate")),
        "{dump:?}"
    );
}

#[test]
fn a_row_that_is_invalidated_is_read_again() {
    let bench = Bench::new("");
    bench.skill("one", "first");
    bench.skill("two", "second");
    bench.pass(&ALL);
    let row = bench
        .store
        .known(bench.store.collection("c").unwrap().unwrap().row, None)
        .unwrap()[0]
        .row;
    bench
        .store
        .write(move |transaction| {
            skillmeatd::store::artifact::invalidate(transaction, "", Some(&[row]))
        })
        .unwrap();
    assert_eq!(bench.pass(&ALL).read, 1);
    assert_eq!(bench.pass(&ALL).read, 0);
}

/// What may happen to a collection between two passes.
#[derive(Debug, Clone)]
enum Step {
    Write(u8, u8),
    AddFile(u8, u8),
    Remove(u8),
    Rename(u8, u8),
    Manifest(Vec<(u8, u8)>),
    BreakManifest,
    Command(u8, u8),
    Link(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let small = 0u8..5;
    prop_oneof![
        (small.clone(), any::<u8>()).prop_map(|(a, b)| Step::Write(a, b)),
        (small.clone(), any::<u8>()).prop_map(|(a, b)| Step::AddFile(a, b)),
        small.clone().prop_map(Step::Remove),
        (small.clone(), small.clone()).prop_map(|(a, b)| Step::Rename(a, b)),
        prop::collection::vec((small.clone(), any::<u8>()), 0..4).prop_map(Step::Manifest),
        Just(Step::BreakManifest),
        (small.clone(), any::<u8>()).prop_map(|(a, b)| Step::Command(a, b)),
        small.prop_map(Step::Link),
    ]
}

/// Takes a step and tells which paths a watcher would report.
fn take(bench: &Bench, step: &Step) -> BTreeSet<String> {
    let skill = |number: u8| format!("skills/s{number}");
    let mut dirty = BTreeSet::new();
    match step {
        Step::Write(number, text) => {
            bench.skill(&format!("s{number}"), &format!("text {text}"));
            dirty.insert(skill(*number));
        }
        Step::AddFile(number, text) => {
            bench.write(
                &format!("skills/s{number}/references/r{}.md", text % 3),
                &format!("{text}"),
            );
            dirty.insert(skill(*number));
        }
        Step::Remove(number) => {
            drop(fs::remove_dir_all(bench.root().join(skill(*number))));
            dirty.insert(skill(*number));
        }
        Step::Rename(from, to) => {
            drop(fs::rename(
                bench.root().join(skill(*from)),
                bench.root().join(skill(*to)),
            ));
            dirty.extend([skill(*from), skill(*to)]);
        }
        Step::Manifest(entries) => {
            let mut text = "[collection]\nname = \"c\"\nversion = \"1.0.0\"\n".to_owned();
            for (number, tag) in entries {
                text.push_str(&format!(
                    "\n[[artifacts]]\nname = \"s{number}\"\ntype = \"skill\"\npath = \"skills/s{number}\"\n\
                     origin = \"local\"\ntags = [\"t{}\"]\n",
                    tag % 3
                ));
            }
            text.push_str("\n[[groups]]\nname = \"g\"\nmembers = [\"skill:s1\", \"s2\"]\n");
            bench.write("collection.toml", &text);
            dirty.insert("collection.toml".to_owned());
        }
        Step::BreakManifest => {
            bench.write("collection.toml", "[[artifacts]\n");
            dirty.insert("collection.toml".to_owned());
        }
        Step::Command(number, text) => {
            let path = format!("commands/c{number}.md");
            if text % 4 == 0 {
                drop(fs::remove_file(bench.root().join(&path)));
            } else {
                bench.write(&path, &format!("---\ndescription: {text}\n---\n"));
            }
            dirty.insert(path);
        }
        Step::Link(number) => {
            let place = bench.root().join(skill(*number));
            drop(fs::create_dir_all(&place));
            drop(std::os::unix::fs::symlink("..", place.join("loop")));
            drop(std::os::unix::fs::symlink(
                "/etc/hostname",
                place.join("outside"),
            ));
            dirty.insert(skill(*number));
        }
    }
    dirty
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, rows that followed step by step equal rows built from scratch.
    #[test]
    fn incremental_rows_equal_a_fresh_rebuild(steps in prop::collection::vec((step(), any::<bool>()), 1..14)) {
        let bench = Bench::new("");
        bench.pass(&ALL);
        for (step, whole) in &steps {
            let dirty = take(&bench, step);
            bench.pass(&if *whole { ALL } else { Scope::Paths(dirty) });
        }
        // A broken manifest is mended last: what it hides only the rows remember.
        take(&bench, &Step::Manifest(vec![(1, 0), (3, 1)]));
        bench.pass(&paths(&["collection.toml"]));
        let (fresh, _) = Store::open(&bench.folder.path().join("fresh.db"), true).unwrap();
        pass(&fresh, &bench.root(), &bench.clock, &ALL).unwrap();
        prop_assert_eq!(dump(&bench.store), dump(&fresh));
        let written = bench.store.rows_written();
        let report = bench.pass(&ALL);
        prop_assert_eq!(report.read, 0);
        prop_assert_eq!(bench.store.rows_written(), written);
    }
}
