//! Memory goes back: what is free while the store is used, and what can be had again once it is not.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use crate::lifecycle::heap;
use crate::store::Store;

/// How long the store must not have been used. What was given back costs some milliseconds to have again.
const QUIET: Duration = Duration::from_secs(5);

impl App {
    /// The thread.
    pub(super) fn run_quiet(self: Arc<Self>, store: &Store) {
        while store.until_quiet(QUIET, &heap::give_back) {
            self.shed_memory();
        }
    }
}
