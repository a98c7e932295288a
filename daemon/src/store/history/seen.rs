//! How files looked when they were last read. Lost, it costs reading them once more.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, ToSql, Transaction, params};
use skillmeat_shared::history::seen::Seen;

use super::lock;

/// What is remembered of all folders below one, while they are captured.
#[derive(Debug, Default)]
pub struct SeenFolders {
    loaded: HashMap<Vec<u8>, Loaded>,
    noted: Mutex<Vec<(Vec<u8>, Vec<u8>)>>,
}

#[derive(Debug)]
struct Loaded {
    said: Vec<u8>,
    /// Whether the folder is still there.
    is_used: AtomicBool,
}

impl SeenFolders {
    /// What was noted of the folders below `top`.
    pub fn load(connection: &Connection, top: &Path) -> rusqlite::Result<Self> {
        let mut seen = Self::default();
        seen.add(
            connection,
            "SELECT folder, said FROM seen WHERE top = ?1",
            params![top.as_os_str().as_bytes()],
        )?;
        Ok(seen)
    }

    /// As [`load`](Self::load), but only of `top` itself, of these places in it, which are paths relative to it,
    /// of the folders that hold them, and of all that lies in them.
    pub fn load_around(
        connection: &Connection,
        top: &Path,
        places: &BTreeSet<PathBuf>,
    ) -> rusqlite::Result<Self> {
        let top = top.as_os_str().as_bytes();
        let mut seen = Self::default();
        let above = places.iter().filter_map(|place| place.parent());
        let alone: BTreeSet<&Path> = above
            .chain([Path::new("")])
            .chain(places.iter().map(PathBuf::as_path))
            .collect();
        for folder in alone {
            let folder = folder.as_os_str().as_bytes();
            let one = "SELECT folder, said FROM seen WHERE top = ?1 AND folder = ?2";
            seen.add(connection, one, params![top, folder])?;
        }
        for place in places.iter().filter(|place| !place.as_os_str().is_empty()) {
            let place = place.as_os_str().as_bytes();
            // `0` comes after `/`.
            let (first, end) = ([place, b"/"].concat(), [place, b"0"].concat());
            let below =
                "SELECT folder, said FROM seen WHERE top = ?1 AND folder > ?2 AND folder < ?3";
            seen.add(connection, below, params![top, first, end])?;
        }
        Ok(seen)
    }

    fn add(
        &mut self,
        connection: &Connection,
        query: &str,
        of: &[&dyn ToSql],
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(query)?;
        let mut rows = statement.query(of)?;
        while let Some(row) = rows.next()? {
            let loaded = Loaded {
                said: row.get(1)?,
                is_used: AtomicBool::new(false),
            };
            self.loaded.insert(row.get(0)?, loaded);
        }
        Ok(())
    }

    /// Writes what was noted, and forgets folders that nobody asked for: they are gone.
    pub fn save(&self, transaction: &Transaction<'_>, top: &Path) -> rusqlite::Result<()> {
        let top = top.as_os_str().as_bytes();
        let mut insert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO seen (top, folder, said) VALUES (?1, ?2, ?3)",
        )?;
        for (folder, said) in lock(&self.noted).iter() {
            insert.execute(params![top, folder, said])?;
        }
        let mut delete =
            transaction.prepare_cached("DELETE FROM seen WHERE top = ?1 AND folder = ?2")?;
        for (folder, loaded) in &self.loaded {
            if !loaded.is_used.load(Ordering::Relaxed) {
                delete.execute(params![top, folder])?;
            }
        }
        Ok(())
    }
}

impl Seen for SeenFolders {
    fn recall(&self, folder: &[u8]) -> Option<&[u8]> {
        let loaded = self.loaded.get(folder)?;
        loaded.is_used.store(true, Ordering::Relaxed);
        Some(&loaded.said)
    }

    fn note(&self, folder: &[u8], said: Vec<u8>) {
        lock(&self.noted).push((folder.to_vec(), said));
    }
}
