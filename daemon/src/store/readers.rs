//! The readers: a small pool of read-only connections.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::Connection;
use skillmeat_shared::Result;

use super::{ANEW, connection, files, sql_error};

/// Connections; more callers wait for one.
const CONNECTIONS: usize = 4;

/// The connection of a snapshot, and the address of the readers that it is one of.
type Held = (usize, Rc<Connection>);

thread_local! {
    /// The snapshot in which this thread reads.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Pool {
    idle: Vec<Connection>,
    open: usize,
    closed: bool,
}

/// Hands out read-only connections. All of them are open from the start and stay so: SQLite keeps the descriptors of
/// closed ones while another connection is open, so closing them would free nothing, and their number would wander.
#[derive(Debug)]
pub struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
    returned: Condvar,
}

/// Gives the connection back, also when the reading panics.
struct Lease<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut pool = self
            .readers
            .pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match self.connection.take() {
            Some(connection) if !pool.closed => pool.idle.push(connection),
            _ => pool.open -= 1,
        }
        drop(pool);
        self.readers.returned.notify_one();
    }
}

/// A snapshot in which this thread reads until it is dropped, also by a panic.
struct Holding<'a>(Lease<'a>);

impl<'a> Holding<'a> {
    fn begin(mut lease: Lease<'a>) -> Option<Self> {
        let connection = lease.connection.take()?;
        connection.execute_batch("BEGIN").ok()?;
        HELD.set(Some((lease.readers.address(), Rc::new(connection))));
        Some(Self(lease))
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        let connection = HELD.take().and_then(|(_, held)| Rc::into_inner(held));
        // Ends with a rollback, which gives nothing up: nothing was written.
        self.0.connection =
            connection.filter(|connection| connection.execute_batch("ROLLBACK").is_ok());
    }
}

impl Readers {
    /// Readers of the database at `path`. A connection that can't be opened is tried again when it is needed.
    pub fn open(path: &Path) -> Self {
        let open = |_| connection::open_reader(path).ok();
        let idle: Vec<Connection> = (0..CONNECTIONS).map_while(open).collect();
        let pool = Pool {
            open: idle.len(),
            idle,
            closed: false,
        };
        Self {
            path: path.to_owned(),
            pool: Mutex::new(pool),
            returned: Condvar::new(),
        }
    }

    /// What names these readers as long as they are there.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Has all that `work` reads on this thread be of one moment.
    pub fn hold<T>(&self, work: impl FnOnce() -> T) -> T {
        let is_free = HELD.with_borrow(Option::is_none);
        // Without a connection each read tells why there is none.
        let lease = is_free.then(|| self.lease().ok()).flatten();
        let _holding = lease.and_then(Holding::begin);
        work()
    }

    /// Runs `work` on a connection; waits while all are in use. All that it reads is of one moment, whatever
    /// the writer does meanwhile.
    pub fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let held = HELD.with_borrow(Option::clone);
        if let Some((_, connection)) = held.filter(|(of, _)| *of == self.address()) {
            return work(&connection).map_err(|error| sql_error(&error));
        }
        let lease = self.lease()?;
        let connection = lease
            .connection
            .as_ref()
            .ok_or_else(|| sql_error(&rusqlite::Error::InvalidQuery))?;
        let read = || {
            let snapshot = connection.unchecked_transaction()?;
            work(&snapshot)
        };
        read().map_err(|error| sql_error(&error))
    }

    /// Closes all connections: those in use when they come back. Who asks for one from now on is refused.
    pub fn close(&self) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.closed = true;
        pool.open -= pool.idle.len();
        let idle = std::mem::take(&mut pool.idle);
        drop(pool);
        drop(idle);
        self.returned.notify_all();
    }

    /// Gives back the memory of the connections that nobody uses.
    pub fn shrink(&self) {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in &pool.idle {
            connection.flush_prepared_statement_cache();
            // A connection that can't shrink keeps its pages.
            drop(connection.execute_batch("PRAGMA shrink_memory"));
        }
    }

    fn lease(&self) -> Result<Lease<'_>> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if pool.closed {
                return Err(super::writer::gone());
            }
            if let Some(connection) = pool.idle.pop() {
                return Ok(Lease {
                    readers: self,
                    connection: Some(connection),
                });
            }
            if pool.open < CONNECTIONS {
                pool.open += 1;
                drop(pool);
                let mut lease = Lease {
                    readers: self,
                    connection: None,
                };
                if files::is_cut_short(&self.path) {
                    let why = "the cache's file was cut short";
                    return Err(files::damaged(&self.path, why).hint(ANEW));
                }
                lease.connection =
                    Some(connection::open_reader(&self.path).map_err(|error| sql_error(&error))?);
                return Ok(lease);
            }
            pool = self
                .returned
                .wait(pool)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
