//! What the databases of a test's home hold, beyond what commands tell.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use sha2::{Digest as _, Sha256};

use crate::Sandbox;

fn open(path: &Path, flags: OpenFlags) -> Connection {
    let connection = Connection::open_with_flags(path, flags).unwrap();
    connection.busy_timeout(crate::wait::DEADLINE).unwrap();
    connection
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether these bytes can be got back from the history.
///
/// # Panics
/// If there is no history.
pub fn has(sandbox: &Sandbox, bytes: &[u8]) -> bool {
    open(&sandbox.home().history(), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .query_row(
            "SELECT 1 FROM object WHERE hash = ?1",
            [hash(bytes)],
            |_| Ok(()),
        )
        .optional()
        .unwrap()
        .is_some()
}

/// Whether the mode of a folder of a collection is known to be this one; the collection's own has no path.
///
/// # Panics
/// If there is no history.
pub fn knows_mode(sandbox: &Sandbox, collection: &str, path: &str, mode: u16) -> bool {
    let known: Option<Vec<u8>> = open(&sandbox.home().history(), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .query_row(
            "SELECT state FROM known WHERE root = ?1 || '/' AND path = ?2",
            [collection, path],
            |row| row.get(0),
        )
        .optional()
        .unwrap();
    known.is_some_and(|state| state.get(1..3) == Some(&mode.to_le_bytes()[..]))
}

/// Alters a byte of what the history keeps for these bytes; again: mends it.
///
/// # Panics
/// If the history does not have them.
pub fn alter(sandbox: &Sandbox, bytes: &[u8]) {
    let connection = open(&sandbox.home().history(), OpenFlags::SQLITE_OPEN_READ_WRITE);
    let mut data: Vec<u8> = connection
        .query_row(
            "SELECT data FROM object WHERE hash = ?1",
            [hash(bytes)],
            |row| row.get(0),
        )
        .unwrap();
    *data.last_mut().unwrap() ^= 0xff;
    connection
        .execute(
            "UPDATE object SET data = ?2 WHERE hash = ?1",
            (hash(bytes), data),
        )
        .unwrap();
}

/// Has a schedule of a daemon that is stopped be due since long, and never have run.
///
/// # Panics
/// If it has none of this name.
pub fn make_due(sandbox: &Sandbox, schedule: &str) {
    let cache = sandbox.home().cache_dir().join("skillmeatd.db");
    let changed = open(&cache, OpenFlags::SQLITE_OPEN_READ_WRITE).execute(
        "UPDATE schedule SET next_due = 1, last_run = NULL WHERE name = ?1",
        [schedule],
    );
    assert_eq!(changed.unwrap(), 1, "no schedule `{schedule}`");
    // Whom nobody else may write to is as good as one that was not closed in order.
    for proof in ["db-sealed", "db-sums"] {
        match std::fs::remove_file(cache.with_extension(proof)) {
            // Several may be made due.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.unwrap(),
        }
    }
}

/// When a schedule ran last, nanoseconds since the epoch.
///
/// # Panics
/// If the cache can't be read.
pub fn last_run(sandbox: &Sandbox, schedule: &str) -> Option<i64> {
    let cache = sandbox.home().cache_dir().join("skillmeatd.db");
    open(&cache, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .query_row(
            "SELECT last_run FROM schedule WHERE name = ?1",
            [schedule],
            |row| row.get(0),
        )
        .unwrap()
}
