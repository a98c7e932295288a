//! The gate before the cache: requests wait here while the daemon starts, and learn why when it can't.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skillmeat_shared::{Code, Error, Result};

use crate::store::Store;

/// How long a request waits for the cache to be opened.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
enum State {
    #[default]
    Starting,
    Open(Arc<Store>),
    Failed(Error),
}

/// Holds the store once it is open.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

impl Gate {
    /// Lets all in.
    pub(super) fn admit(&self, store: Arc<Store>) {
        self.set(State::Open(store));
    }

    /// Turns all away with a reason.
    pub(super) fn fail(&self, error: Error) {
        self.set(State::Failed(error));
    }

    /// Makes all wait again.
    pub(super) fn restart(&self) {
        self.set(State::Starting);
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.moved.notify_all();
    }

    /// The store, if it is open now.
    pub(super) fn open(&self) -> Option<Arc<Store>> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Open(store) => Some(Arc::clone(store)),
            State::Starting | State::Failed(_) => None,
        }
    }

    /// Why the store can't be opened.
    pub(super) fn failure(&self) -> Option<Error> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Failed(error) => Some(error.clone()),
            State::Starting | State::Open(_) => None,
        }
    }

    /// The store; waits for it.
    pub(super) fn wait(&self) -> Result<Arc<Store>> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*state {
                State::Open(store) => return Ok(Arc::clone(store)),
                State::Failed(error) => return Err(error.clone()),
                State::Starting => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(
                    Error::new(Code::DaemonStarting, "the daemon is still starting")
                        .hint("try again in a moment; `sm daemon logs` tells what it does"),
                );
            }
            state = self
                .moved
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
