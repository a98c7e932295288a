//! What a pass is asked to do.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use skillmeat_shared::Result;
use skillmeat_shared::reconcile::{Report, Scope};

use super::scope::merge;

/// Somebody who waits for the report of a pass.
pub(super) type Waiter = SyncSender<Result<(Report, Duration)>>;

/// A pass that is asked for.
pub(super) struct Pass {
    pub(super) collection: String,
    pub(super) scope: Scope,
    pub(super) reason: &'static str,
    /// How often young files were looked at again already.
    pub(super) looks: usize,
    /// How often it failed already.
    pub(super) tries: u32,
    pub(super) waiters: Vec<Waiter>,
}

impl Pass {
    /// The first of its kind, for which nobody waits.
    pub(super) fn new(collection: &str, scope: Scope, reason: &'static str) -> Self {
        Self {
            collection: collection.to_owned(),
            scope,
            reason,
            looks: 0,
            tries: 0,
            waiters: Vec::new(),
        }
    }

    /// Does what another one over the same collection should do, too.
    pub(super) fn join(&mut self, other: Self) {
        let is_wider =
            matches!(self.scope, Scope::Paths(_)) && matches!(other.scope, Scope::All { .. });
        if is_wider {
            self.reason = other.reason;
        }
        merge(&mut self.scope, other.scope);
        self.looks = self.looks.min(other.looks);
        self.tries = self.tries.max(other.tries);
        self.waiters.extend(other.waiters);
    }
}
