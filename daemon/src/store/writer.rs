//! The writer: a thread that owns the one writing connection and runs closures in transactions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use skillmeat_shared::{Code, Error, Result};

use super::checkpoint::Checkpoints;
use super::{sql_error, sql_hit};

/// Closures that may wait for the writer before callers block.
const QUEUE: usize = 64;

/// Nobody writes when nothing came for so long.
const PAUSE: Duration = Duration::from_millis(20);

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

enum Message {
    Run(Job),
    /// Move the log into the database.
    Empty(SyncSender<rusqlite::Result<()>>),
    /// Compare the pages of the database with their sums.
    Compare(SyncSender<Option<String>>),
    /// Checkpoint and stop.
    Close,
    /// Stop at once; the files are about to be deleted.
    Stop,
}

/// Handle of the writer thread.
#[derive(Debug)]
pub struct Writer {
    sender: SyncSender<Message>,
    /// Closures that were sent and have not begun.
    waiting: Arc<AtomicUsize>,
    /// It gives back whether everything was moved from the log into the database at the end.
    thread: Mutex<Option<JoinHandle<bool>>>,
}

impl Writer {
    /// Starts the thread of a database.
    pub(super) fn start(connection: Connection, checkpoints: Checkpoints) -> Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let waiting = Arc::default();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || serve(connection, &receiver, checkpoints))
            .map_err(|error| {
                Error::new(
                    Code::Internal,
                    format!("can't start the writer thread: {error}"),
                )
            })?;
        Ok(Self {
            sender,
            waiting,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs `work` in an immediate transaction, commits, and returns its result; an error or a panic
    /// rolls back.
    pub fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.run_outside(move |connection| transact(connection, work))
    }

    /// As [`Writer::run`], for long work: it can ask whether others wait, and should then come to its end.
    pub fn run_politely<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>, &dyn Fn() -> bool) -> rusqlite::Result<T> + Send + 'static,
    {
        let waiting = Arc::clone(&self.waiting);
        self.run(move |transaction| work(transaction, &|| waiting.load(Ordering::Relaxed) > 0))
    }

    /// Runs `work` outside of a transaction, for what SQLite allows only there.
    pub fn run_outside<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = sync_channel(1);
        let waiting = Arc::clone(&self.waiting);
        let job: Job = Box::new(move |connection| {
            waiting.fetch_sub(1, Ordering::Relaxed);
            let result = work(connection);
            // The caller may have given up waiting.
            drop(reply.send(result));
        });
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.sender.send(Message::Run(job)).map_err(|_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            gone()
        })?;
        match answer.recv() {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(sql_error(&error)),
            Err(_) => Err(gone()),
        }
    }

    /// Moves the log into the database and empties it.
    pub fn empty_log(&self) -> Result<()> {
        let (reply, answer) = sync_channel(1);
        self.sender
            .send(Message::Empty(reply))
            .map_err(|_| gone())?;
        match answer.recv() {
            Ok(done) => done.map_err(|error| sql_error(&error)),
            Err(_) => Err(gone()),
        }
    }

    /// Compares all pages of the database with their sums; what is wrong.
    pub(super) fn compare(&self) -> Result<Option<String>> {
        let (reply, answer) = sync_channel(1);
        self.sender
            .send(Message::Compare(reply))
            .map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())
    }

    /// Moves the log into the database and waits for the thread. Whether all of it was moved.
    pub fn close(&self) -> bool {
        self.end(Message::Close)
    }

    /// Waits for the closures that are queued and ends the thread.
    pub fn stop(&self) {
        self.end(Message::Stop);
    }

    fn end(&self, message: Message) -> bool {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(thread) = thread else { return false };
        // An error means that the thread has ended already.
        drop(self.sender.send(message));
        thread.join().unwrap_or(false)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(super) fn gone() -> Error {
    Error::new(
        Code::CacheUnavailable,
        "the cache is being closed or rebuilt",
    )
    .hint("run the command again")
}

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    sql_hit("store.before_begin")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    sql_hit("store.before_commit")?;
    transaction.commit()?;
    sql_hit("store.after_commit")?;
    Ok(value)
}

fn serve(
    mut connection: Connection,
    receiver: &Receiver<Message>,
    mut checkpoints: Checkpoints,
) -> bool {
    let mut is_behind = false;
    loop {
        let message = if is_behind {
            receiver.recv_timeout(PAUSE)
        } else {
            receiver.recv().map_err(RecvTimeoutError::from)
        };
        match message {
            Err(RecvTimeoutError::Timeout) => {
                is_behind = false;
                checkpoints.settle(&connection);
            }
            Err(RecvTimeoutError::Disconnected) | Ok(Message::Stop) => return false,
            Ok(Message::Run(job)) => {
                let outcome =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut connection)));
                if outcome.is_err() {
                    tracing::error!(target: "store", "a write panicked and was rolled back");
                }
                is_behind = checkpoints.after_write(&connection);
            }
            Ok(Message::Empty(reply)) => {
                // The caller may have given up waiting.
                drop(reply.send(checkpoints.empty(&connection)));
            }
            Ok(Message::Compare(reply)) => drop(reply.send(checkpoints.compare())),
            Ok(Message::Close) => {
                let closed = sql_hit("shutdown.before_checkpoint")
                    .and_then(|()| checkpoints.close(&connection));
                if let Err(error) = &closed {
                    tracing::warn!(target: "store", "can't close the cache in order: {error}");
                }
                return closed.unwrap_or(false);
            }
        }
    }
}
