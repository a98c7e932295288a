//! How far the rows are. While they are built for the first time, or anew after the cache was lost, what they lack
//! may well be there: nobody is told then that it is not. Nor is anybody before the rows of the last run were compared
//! with the files, if that does not take long.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use skillmeat_shared::{Code, Error, Result};
use tokio::sync::watch as signal;

use super::App;
use crate::store::Store;

/// How long a change waits for the first look at all collections.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// How far the rows are, as those who wait for them need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowsState {
    /// Some collection has never been looked at completely.
    Building,
    /// All collections have rows.
    Built,
    /// The cache can't be opened.
    Failed,
}

impl RowsState {
    /// For the log.
    const fn text(self) -> &'static str {
        match self {
            Self::Building => "rows are being built",
            Self::Built => "all rows are there",
            Self::Failed => "there are no rows",
        }
    }
}

/// What a look at the rows gave.
#[derive(Debug)]
pub struct Looked<T> {
    /// What it found.
    pub result: Result<T>,
    /// The rows were not all there, or others took their place meanwhile: it should be done again.
    pub in_doubt: bool,
    /// What it did not find may be among what changed since the last run.
    pub is_early: bool,
}

/// The rows at a moment.
struct Moment {
    instance: Option<String>,
    is_building: bool,
    is_compared: bool,
}

/// Whether every collection was looked at since the start, for those who wait for it with a thread and without.
#[derive(Debug, Default)]
pub(super) struct FirstLook {
    told: signal::Sender<bool>,
    lock: Mutex<()>,
    moved: Condvar,
}

impl FirstLook {
    fn is_so(&self) -> bool {
        *self.told.borrow()
    }

    fn set(&self) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.told.send_replace(true);
        drop(lock);
        self.moved.notify_all();
    }

    /// Waits for it; whether it is so.
    fn wait(&self, patience: Duration) -> bool {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.moved
                .wait_timeout_while(lock, patience, |()| !self.is_so()),
        );
        self.is_so()
    }
}

/// Whether an error says that something is not there.
const fn denies(code: Code) -> bool {
    matches!(
        code,
        Code::ArtifactNotFound | Code::CollectionNotFound | Code::GroupNotFound | Code::TagNotFound
    )
}

/// The error in place of one that denies what may be there.
fn still_read(error: &Error) -> Error {
    let message = match error.message.strip_prefix("there is no ") {
        Some(what) => format!("{what} may be among the files that are still being read"),
        None => format!(
            "the files are still being read; until now, {}",
            error.message
        ),
    };
    Error::new(Code::CacheUnavailable, message)
        .hint("try again in a moment; `sm status` tells when the daemon is `ready`")
}

impl App {
    /// Has the cache built anew if its file was deleted.
    pub(super) fn notice_loss(&self, store: &Store) {
        if store.is_gone() {
            // First: whoever waits for rows must not go by the old ones. The ingest thread corrects it.
            self.set_rows(RowsState::Building);
            self.ingest.look_for_lost_cache();
        }
    }

    /// Waits until every collection has rows, or none can have any; not longer than `patience`. Who asks a
    /// daemon that has just begun to build its cache would otherwise learn nothing.
    pub async fn until_built(&self, patience: Duration) {
        let mut rows = self.rows.subscribe();
        let built = rows.wait_for(|state| *state != RowsState::Building);
        // Neither the end of the time nor that of the sender is an error: the answer says what is missing.
        drop(tokio::time::timeout(patience, built).await);
    }

    /// The same, and until every collection was looked at since the start, as far as it can be: until then the rows are
    /// those of the last run.
    pub async fn until_compared(&self, patience: Duration) {
        let (mut rows, mut compared) = (self.rows.subscribe(), self.compared.told.subscribe());
        let both = async {
            drop(rows.wait_for(|state| *state != RowsState::Building).await);
            drop(compared.wait_for(|compared| *compared).await);
        };
        // As above.
        drop(tokio::time::timeout(patience, both).await);
    }

    /// Waits for the same on a thread that may block, if an error denies what may be among what changed since the last
    /// run. True if it is worth to look again.
    pub(super) fn may_have_come(&self, error: &Error) -> bool {
        if !denies(error.code) || self.is_compared() {
            return false;
        }
        self.compared.wait(FIRST_LOOK)
    }

    /// Notes that every collection was looked at since the start.
    pub(super) fn note_compared(&self) {
        self.compared.set();
    }

    /// Whether every collection was looked at since the start.
    pub(super) fn is_compared(&self) -> bool {
        self.compared.is_so()
    }

    /// As [`until_built`](Self::until_built), for who can't look twice: notices before whether the cache is gone.
    pub async fn until_rebuilt(self: &Arc<Self>, patience: Duration) {
        let app = Arc::clone(self);
        let notice = move || {
            if let Some(store) = app.gate.open() {
                app.notice_loss(&store);
            }
        };
        // The cache's disk may be slow. If nobody notices, who asks is told later.
        drop(tokio::task::spawn_blocking(notice).await);
        self.until_built(patience).await;
    }

    /// Looks at the rows, and whether all of them were there.
    pub fn look<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Looked<T> {
        let before = self.moment();
        let result = match self.gate.open() {
            Some(store) => store.at_once(|| work(self)),
            None => work(self),
        };
        let after = self.moment();
        let was_replaced = match (&before.instance, &after.instance) {
            (Some(before), Some(after)) => before != after,
            _ => false,
        };
        let is_early = match &result {
            Ok(_) => false,
            Err(error) => denies(error.code) && !before.is_compared,
        };
        let in_doubt = match &result {
            Ok(_) => was_replaced,
            Err(error) => {
                let is_lost = denies(error.code) || error.code == Code::CacheUnavailable;
                is_lost && (was_replaced || before.is_building || after.is_building)
            }
        };
        Looked {
            result,
            in_doubt,
            is_early,
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            instance: self.gate.open().map(|store| store.instance()),
            is_building: self.is_building(),
            is_compared: self.is_compared(),
        }
    }

    pub(super) fn is_building(&self) -> bool {
        *self.rows.borrow() == RowsState::Building
    }

    /// An error as it may be told: while rows are being built nothing is said not to be there.
    pub fn told(&self, error: Error) -> Error {
        if denies(error.code) && self.is_building() {
            still_read(&error)
        } else {
            error
        }
    }

    /// Tells those who wait, and the health service, how far the rows are.
    pub(super) fn set_rows(&self, state: RowsState) {
        let before = self.rows.send_replace(state);
        if before == state {
            return;
        }
        tracing::info!(target: "ingest", "{}", state.text());
        self.report_ready();
        self.boot.health.stir();
    }

    /// Tells the health service whether all is served.
    pub(super) fn report_ready(&self) {
        let ready = *self.rows.borrow() == RowsState::Built && self.boot.health.is_serving();
        if let Some(report) = self.ready.get() {
            report(ready);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_there_is_not_denied() {
        let error = Error::new(Code::ArtifactNotFound, "there is no artifact `pdf`");
        let told = still_read(&error);
        assert_eq!(told.code, Code::CacheUnavailable);
        assert_eq!(
            told.message,
            "artifact `pdf` may be among the files that are still being read"
        );
        let error = Error::new(Code::ArtifactNotFound, "nothing in `default` fits `p*`");
        let told = still_read(&error).message;
        assert!(told.starts_with("the files are still being read"), "{told}");
    }
}
