//! How files looked when they were last read. Lost, it costs reading them once more.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, Transaction, params};
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
        let loaded = connection
            .prepare_cached("SELECT folder, said FROM seen WHERE top = ?1")?
            .query_map([top.as_os_str().as_bytes()], |row| {
                let loaded = Loaded {
                    said: row.get(1)?,
                    is_used: AtomicBool::new(false),
                };
                Ok((row.get(0)?, loaded))
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            loaded,
            noted: Mutex::default(),
        })
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
