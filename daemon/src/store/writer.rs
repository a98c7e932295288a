//! The writer: a thread that owns the one writing connection and runs closures in transactions.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use skillmeat_shared::{Code, Error, Result};

use super::connection::{BUSY_TIMEOUT, JOURNAL_LIMIT};
use super::{evict, files, sql_error, sql_hit};

/// Closures that may wait for the writer before callers block.
const QUEUE: usize = 64;

/// How long the writer waits for readers when it shortens the log.
const READERS_PATIENCE: Duration = Duration::from_millis(100);

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

enum Message {
    Run(Job),
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
    /// Starts the thread of the database at `path`.
    pub fn start(connection: Connection, path: &Path) -> Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let waiting = Arc::default();
        let log = Log::of(path);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || serve(connection, &receiver, log))
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

fn close(connection: &Connection) -> rusqlite::Result<()> {
    sql_hit("shutdown.before_checkpoint")?;
    evict::checkpoint(connection)
}

/// The write-ahead log. SQLite moves it into the database by itself, but can't begin it anew while readers
/// overlap without end: then it would grow for ever.
struct Log {
    path: PathBuf,
    /// Bytes beyond which it is shortened.
    limit: u64,
}

impl Log {
    fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            limit: JOURNAL_LIMIT.into(),
        }
    }

    /// Waits a moment for the readers and empties the log, if it has grown too long.
    fn shorten(&mut self, connection: &Connection) {
        let length = files::log_bytes(&self.path);
        if length <= self.limit {
            return;
        }
        let emptied = connection
            .busy_timeout(READERS_PATIENCE)
            .and_then(|()| evict::checkpoint(connection));
        let restored = connection.busy_timeout(BUSY_TIMEOUT);
        if let Err(error) = emptied.and(restored) {
            tracing::warn!(target: "store", "can't shorten the log of writes: {error}");
        }
        let left = files::log_bytes(&self.path);
        self.limit = u64::from(JOURNAL_LIMIT);
        if left > self.limit {
            // Some reader holds on. Not at every write: each try waits.
            self.limit = left.saturating_add(self.limit / 4);
            tracing::debug!(target: "store", bytes = left, "a long read keeps the log of writes");
        }
    }
}

fn serve(mut connection: Connection, receiver: &Receiver<Message>, mut log: Log) -> bool {
    while let Ok(message) = receiver.recv() {
        match message {
            Message::Run(job) => {
                let outcome =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut connection)));
                if outcome.is_err() {
                    tracing::error!(target: "store", "a write panicked and was rolled back");
                }
                log.shorten(&connection);
            }
            Message::Close => {
                let closed = close(&connection);
                if let Err(error) = &closed {
                    tracing::warn!(target: "store", "can't close the cache in order: {error}");
                }
                return closed.is_ok();
            }
            Message::Stop => break,
        }
    }
    false
}
