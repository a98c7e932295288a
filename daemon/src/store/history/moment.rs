//! Many questions to the database as it is at one moment: a transaction for each would cost more than its answer.

use std::sync::Mutex;

use rusqlite::Connection;
use skillmeat_shared::Result;

use super::{History, Reader, lock};

/// A moment that begins with the first question. Threads that ask at the same time do so through connections of their
/// own: of what is never deleted meanwhile their answers are the same.
pub(super) struct Moment<'a> {
    history: &'a History,
    begun: Mutex<Begun>,
}

#[derive(Default)]
struct Begun {
    idle: Vec<Reader>,
    /// How often it ended.
    ended: u64,
}

impl<'a> Moment<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        Self {
            history,
            begun: Mutex::default(),
        }
    }

    /// Asks the database as it was when this thread's connection was first asked.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let (idle, ended) = {
            let mut begun = lock(&self.begun);
            (begun.idle.pop(), begun.ended)
        };
        let reader = match idle {
            Some(reader) => reader,
            None => self.begin()?,
        };
        let answer = question(&reader.connection);
        let answer = self.history.noticed(reader.generation, answer);
        let mut begun = lock(&self.begun);
        if begun.ended == ended {
            begun.idle.push(reader);
        } else {
            drop(begun);
            self.end(reader);
        }
        answer
    }

    fn begin(&self) -> Result<Reader> {
        let reader = self.history.reader()?;
        let begun = reader.connection.execute_batch("BEGIN");
        self.history.noticed(reader.generation, begun)?;
        Ok(reader)
    }

    /// Which file was asked, if any was, and no other.
    pub(super) fn generation(&self) -> Option<u64> {
        let begun = lock(&self.begun);
        let mut all = begun.idle.iter().map(|reader| reader.generation);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// Ends it: the next question begins another one.
    pub(super) fn pass(&self) {
        let idle = {
            let mut begun = lock(&self.begun);
            begun.ended += 1;
            std::mem::take(&mut begun.idle)
        };
        for reader in idle {
            self.end(reader);
        }
    }

    fn end(&self, reader: Reader) {
        // A connection that can't even end what it read is of no more use.
        if reader.connection.execute_batch("ROLLBACK").is_ok() {
            self.history.give_back(reader);
        }
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        self.pass();
    }
}
