//! Reading the history: its connections are kept for who reads next, and one that can't be read is opened again.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use skillmeat_shared::fs::FileHash;
use skillmeat_shared::{Code, Error, Result};

use super::super::files;
use super::loss::{Kept, is_of_the_file};
use super::parts::Parts;
use super::{History, lock, open, sql_error};

/// Connections that are kept for those who read next.
const READERS: usize = 2;

/// How long a history that is opened again waits for those who still read it as it was.
const OLD_READERS: Duration = Duration::from_millis(500);

/// Connections that only read, while nobody uses them.
#[derive(Debug, Default)]
pub(super) struct Readers {
    pub(super) idle: Vec<Connection>,
    /// Parts of lists that are kept: what is read with these most.
    pub(super) parts: Parts,
    /// Which file they are of: one that was deleted is followed by another one at its path.
    pub(super) generation: u64,
    /// That file.
    pub(super) identity: Option<(u64, u64)>,
    /// Bytes that its log has at least.
    pub(super) log_bytes: u64,
    /// What it held when it was opened or written last, until it is closed in order.
    pub(super) kept: Option<Kept>,
    /// Shared by all who read.
    pub(super) in_use: Arc<()>,
}

impl Readers {
    /// The file is another one.
    pub(super) fn begin_anew(&mut self) {
        self.idle.clear();
        self.parts.clear();
        self.generation += 1;
    }
}

/// A connection that only reads, in use.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) connection: Connection,
    pub(super) generation: u64,
    in_use: Arc<()>,
}

impl History {
    /// Those who still read it share what they know of its log, which may be gone, with whoever opens it.
    pub(super) fn wait_for_old_readers(&self) -> Result<()> {
        let deadline = Instant::now() + OLD_READERS;
        let mut readers = lock(&self.readers);
        while Arc::strong_count(&readers.in_use) > 1 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = "the history was changed by somebody else while it was read";
                return Err(Error::new(Code::HistoryUnavailable, why).hint("try again in a moment"));
            }
            readers = self
                .has_read
                .wait_timeout(readers, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        drop(readers);
        Ok(())
    }

    /// Runs `work` on a connection that only reads; once more if the file had to be opened again meanwhile.
    pub fn read<T>(&self, work: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let given_up = self.times_given_up();
        match self.read_once(&work) {
            Err(_) if self.times_given_up() != given_up => self.read_once(&work),
            outcome => outcome,
        }
    }

    fn read_once<T>(&self, work: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let reader = self.reader()?;
        let outcome = {
            // All that it reads is of one moment; it ends with a rollback, which gives nothing up.
            let moment = reader.connection.unchecked_transaction();
            moment.and_then(|moment| work(&moment))
        };
        let outcome = self.noticed(reader.generation, outcome);
        self.give_back(reader);
        outcome
    }

    /// Has a database in which something can't be read opened anew, unless somebody is writing it, or did so already.
    pub(super) fn noticed<T>(&self, generation: u64, outcome: rusqlite::Result<T>) -> Result<T> {
        outcome.map_err(|error| {
            let told = sql_error(&error);
            if is_of_the_file(&error) {
                let mut readers = lock(&self.readers);
                // Who opens it anew begins with the readers: as long as they are held, the damaged file stands there.
                if self.is_read_only || readers.generation == generation {
                    if told.code == Code::HistoryDamaged {
                        lock(&self.trouble).note_damage(&self.path, &told);
                    }
                    readers.begin_anew();
                    drop(readers);
                    if let Ok(mut slot) = self.writer.try_lock() {
                        self.give_up(&mut slot);
                    }
                }
            }
            told
        })
    }

    /// A connection that only reads, which nobody else uses.
    pub(super) fn reader(&self) -> Result<Reader> {
        if self.is_read_only {
            return Ok(Reader {
                connection: self.open_as_it_is()?,
                generation: 0,
                in_use: Arc::default(),
            });
        }
        let has_one = {
            let readers = lock(&self.readers);
            !readers.idle.is_empty() && readers.identity == files::identity(&self.path)
        };
        if !has_one || !self.is_as_left() {
            // Makes and migrates it, if need be. What a file held that was deleted is kept nowhere.
            self.with_writer(|_| Ok(()))?;
        }
        let (idle, generation, in_use) = {
            let mut readers = lock(&self.readers);
            let in_use = Arc::clone(&readers.in_use);
            (readers.idle.pop(), readers.generation, in_use)
        };
        let connection = match idle {
            Some(connection) => connection,
            None => self
                .noticed(generation, open::reader(&self.path))
                .map_err(|error| error.at(&self.path, None))?,
        };
        Ok(Reader {
            connection,
            generation,
            in_use,
        })
    }

    pub(super) fn open_as_it_is(&self) -> Result<Connection> {
        let opened = open::reader_of_read_only(&self.path);
        lock(&self.trouble).note_open(&self.path, opened.as_ref().err());
        opened
    }

    /// Keeps a connection for whoever reads next. One that takes the file for unchanging is not kept: others may write it.
    pub(super) fn give_back(&self, reader: Reader) {
        let Reader {
            connection,
            generation,
            in_use,
        } = reader;
        let mut readers = lock(&self.readers);
        let is_kept = generation == readers.generation && readers.idle.len() < READERS;
        if is_kept && !self.is_read_only {
            readers.idle.push(connection);
        } else {
            drop(connection);
        }
        // Who waits for this opens the file once nobody has it open.
        drop(in_use);
        drop(readers);
        self.has_read.notify_all();
    }

    /// The bytes of a part of a list, if they are at hand.
    pub(super) fn part(&self, hash: &FileHash) -> Option<Arc<[u8]>> {
        lock(&self.readers).parts.get(hash)
    }

    /// Has parts at hand that are kept in the file of this generation.
    pub(super) fn hold_parts(&self, generation: Option<u64>, parts: &Parts) {
        let mut readers = lock(&self.readers);
        if generation == Some(readers.generation) && !self.is_read_only {
            readers.parts.take_in(parts);
        }
    }
}
