//! Databases as every version of the schema left them: each is opened, brought up, and kept in a copy; and
//! none of them is out of date.
//!
//! `SKILLMEAT_STORE_DATABASES=1 cargo test -p skillmeatd --test databases made` writes them anew. Do that for a version that has
//! not been released only.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use skillmeatd::store::migrate::{self, SCHEMA_VERSION};
use skillmeatd::store::{Opened, Store, collection, event};

/// The variable that has the databases written anew.
const WRITE: &str = "SKILLMEAT_STORE_DATABASES";

fn stored(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/databases/v{version}.db"))
}

/// Makes the database of a version, with a few rows.
fn make(version: u32, path: &Path) {
    let mut connection = Connection::open(path).unwrap();
    migrate::to_version(&mut connection, version).unwrap();
    connection
        .execute_batch(
            "INSERT INTO collection VALUES (1, 'default', '/nowhere', 0, 'ok', NULL, NULL, x'00', '{}', '[]', '[]');
             INSERT INTO event (at, kind, collection, artifact, detail) VALUES (1, 'artifact.added', 'default', 'skill:a', '');
             INSERT INTO meta VALUES ('counters', '1 2 3 4');",
        )
        .unwrap();
}

/// Everything that a database consists of.
fn schema(connection: &Connection) -> Vec<(String, Option<String>)> {
    connection
        .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap()
}

#[test]
fn they_are_as_made_by_the_migrations() {
    let folder = tempfile::tempdir().unwrap();
    for version in 1..=SCHEMA_VERSION {
        let fresh = folder.path().join(format!("v{version}.db"));
        make(version, &fresh);
        if std::env::var_os(WRITE).is_some() {
            std::fs::create_dir_all(stored(version).parent().unwrap()).unwrap();
            std::fs::copy(&fresh, stored(version)).unwrap();
        }
        let copy = folder.path().join(format!("stored{version}.db"));
        std::fs::copy(stored(version), &copy).unwrap();
        let (made, kept) = (
            Connection::open(&fresh).unwrap(),
            Connection::open(&copy).unwrap(),
        );
        assert_eq!(migrate::version(&kept).unwrap(), version);
        assert_eq!(
            schema(&made),
            schema(&kept),
            "a migration was changed: if version {version} was released, change it back; else write the database \
             anew with `{WRITE}=1 cargo test -p skillmeatd --test databases made`"
        );
    }
}

#[test]
fn each_is_opened_and_brought_up() {
    for version in 1..=SCHEMA_VERSION {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        std::fs::copy(stored(version), &path).unwrap();
        let (store, opened) = Store::open(&path, true).unwrap();
        assert_eq!(opened, Opened::Existing, "{version}");
        let names = store.read(collection::names).unwrap();
        assert_eq!(names, [(1, "default".to_owned())], "{version}");
        assert_eq!(store.read(event::bounds).unwrap(), (1, 1), "{version}");
        store.close();
        let up = Connection::open(&path).unwrap();
        assert_eq!(migrate::version(&up).unwrap(), SCHEMA_VERSION);
        let copies = migrate::copies(&path);
        if version == SCHEMA_VERSION {
            assert_eq!(copies, Vec::<PathBuf>::new());
            continue;
        }
        // The program that knows no more than this can go on with the copy.
        assert_eq!(copies, [migrate::copy_before(&path, version + 1)]);
        for copy in copies {
            let kept = Connection::open(copy).unwrap();
            assert_eq!(migrate::version(&kept).unwrap(), version);
            assert_eq!(
                schema(&kept),
                schema(&Connection::open(stored(version)).unwrap())
            );
        }
    }
}

#[test]
fn positions_that_stood_in_entries_only_come_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    std::fs::copy(stored(3), &path).unwrap();
    let connection = Connection::open(&path).unwrap();
    let entries = [
        ("placed", r#"{"name":"placed","position":3}"#),
        ("unplaced", r#"{"name":"unplaced","position":null}"#),
        ("odd", r#"{"name":"odd","position":"third"}"#),
        ("broken", "{"),
    ];
    for (id, (name, entry)) in (1..).zip(entries) {
        connection
            .execute(
                "INSERT INTO artifact VALUES (?1, 1, 'skill', ?2, ?2, 'managed', 'local', NULL, NULL, NULL, NULL, NULL,
                 '[]', '[]', '[]', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 'strict', 0, 0, 0, x'00', 0, 0,
                 x'00', x'00', 0, 0)",
                (id, name),
            )
            .unwrap();
        connection
            .execute(
                "INSERT INTO artifact_detail VALUES (?1, '[]', '[]', '{}', NULL, NULL, ?2, NULL, '[]', '[]')",
                (id, entry),
            )
            .unwrap();
    }
    connection.close().unwrap();
    migrate::move_file(&path, 4).unwrap();
    let positions: Vec<(String, Option<i64>)> = Connection::open(&path)
        .unwrap()
        .prepare("SELECT name, position FROM artifact WHERE position IS NOT NULL")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(positions, [("placed".to_owned(), Some(3))]);
}

#[test]
fn each_goes_down_to_all_before_it_and_up_again() {
    for version in 1..=SCHEMA_VERSION {
        for target in 1..version {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache.db");
            std::fs::copy(stored(version), &path).unwrap();
            migrate::move_file(&path, target).unwrap();
            let down = Connection::open(&path).unwrap();
            let expected = schema(&Connection::open(stored(target)).unwrap());
            assert_eq!(schema(&down), expected, "{version} to {target}");
            drop(down);
            let (store, opened) = Store::open(&path, true).unwrap();
            assert_eq!(opened, Opened::Existing);
            assert_eq!(store.read(event::bounds).unwrap(), (1, 1));
        }
    }
}
