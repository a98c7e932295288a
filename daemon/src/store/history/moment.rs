//! Many questions to the database as it is at one moment: a transaction for each would cost more than its answer.

use std::sync::Mutex;

use rusqlite::Connection;
use skillmeat_shared::Result;

use super::{History, Reader, lock, sql_error};

/// A moment that begins with the first question.
pub(super) struct Moment<'a> {
    history: &'a History,
    reader: Mutex<Option<Reader>>,
}

impl<'a> Moment<'a> {
    pub(super) const fn new(history: &'a History) -> Self {
        Self {
            history,
            reader: Mutex::new(None),
        }
    }

    /// Asks the database as it was at the first question.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let mut slot = lock(&self.reader);
        let reader = if let Some(reader) = slot.as_mut() {
            reader
        } else {
            let reader = self.history.reader()?;
            let begun = reader.connection.execute_batch("BEGIN");
            let begun = begun.map_err(|error| sql_error(&error));
            self.history.noticed(reader.generation, begun)?;
            slot.insert(reader)
        };
        let answer = question(&reader.connection).map_err(|error| sql_error(&error));
        self.history.noticed(reader.generation, answer)
    }

    /// Which file was asked, if any was.
    pub(super) fn generation(&self) -> Option<u64> {
        lock(&self.reader).as_ref().map(|reader| reader.generation)
    }

    /// Ends it: the next question begins another one.
    pub(super) fn pass(&self) {
        let Some(reader) = lock(&self.reader).take() else {
            return;
        };
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
