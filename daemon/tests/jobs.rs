//! What the daemon does by the clock, and how the log of operations tells of it.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use skillmeat_shared::paths::Home;

const PATIENCE: Duration = Duration::from_secs(30);

const MANIFEST: &str = "[collection]\nname = \"default\"\nversion = \"1.0.0\"\nartifacts = []\n";

/// A daemon that is killed when the test ends.
struct Daemon(Child);

impl Daemon {
    fn start(home: &Home) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skillmeatd"));
        command
            .env_clear()
            .env("HOME", home.root())
            .env("SKILLMEAT_HOME", home.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        let stopped = until(|| self.0.try_wait().unwrap());
        assert!(stopped.success(), "{stopped:?}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "it does not come");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Operations of jobs: what they were, and how they stand.
fn by_jobs(history: &Path) -> Option<Vec<(String, String)>> {
    let connection = Connection::open(history).ok()?;
    let mut found = connection
        .prepare(
            "SELECT verb, what FROM operation WHERE actor = 'job' AND state = 'done' ORDER BY id",
        )
        .ok()?;
    let rows = found
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .ok()?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>().ok()?;
    (!rows.is_empty()).then_some(rows)
}

#[test]
fn snapshots_by_the_clock_are_operations_of_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().canonicalize().unwrap().join("home"));
    let collection = home.collection("default");
    fs::create_dir_all(collection.join("skills")).unwrap();
    fs::write(collection.join("collection.toml"), MANIFEST).unwrap();
    let due = |column: &str| {
        let connection = Connection::open(home.cache_dir().join("skillmeatd.db")).ok()?;
        let sql = format!("SELECT {column} FROM schedule WHERE name = 'snapshot'");
        connection
            .query_row(&sql, [], |row| row.get::<_, i64>(0))
            .ok()
    };
    let first = Daemon::start(&home);
    until(|| due("next_due"));
    // Killed, as a cache that was closed in good order is not believed when somebody else wrote to it.
    drop(first);
    // As if the machine had slept over it.
    let connection = Connection::open(home.cache_dir().join("skillmeatd.db")).unwrap();
    let missed = "UPDATE schedule SET next_due = 1 WHERE name = 'snapshot'";
    assert_eq!(connection.execute(missed, []).unwrap(), 1);
    drop(connection);
    // Nor if it knows of its pages how they were.
    fs::remove_file(home.cache_dir().join("skillmeatd.db-sums")).unwrap();
    let second = Daemon::start(&home);
    let made = until(|| by_jobs(&home.history()));
    second.stop();
    assert_eq!(made.len(), 1, "{made:?}");
    let (verb, what) = &made[0];
    assert_eq!(verb, "snapshot.create");
    assert!(
        what.starts_with("make the snapshot `") && what.ends_with("` of `default`"),
        "{what}"
    );
}
