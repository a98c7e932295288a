//! What is done to the history and not to files: told by `sm log` like everything else, and never undone.

use skillmeat_shared::Result;

use super::Actor;
use crate::app::App;
use crate::store::history::operation::{self, NewOperation, State};

/// Things that an operation names.
const NAMED: usize = 3;

impl App {
    /// Records it as an operation without paths. It is done already: a failure is logged, and no failure of it.
    pub(in crate::app) fn record_deed(&self, actor: Actor, verb: &str, what: String) {
        let new = NewOperation {
            at: self.now(),
            actor: actor.as_str().to_owned(),
            verb: verb.to_owned(),
            what,
            undoes: None,
            detail: String::new(),
        };
        let outcome: Result<()> = self.history.write(|transaction| {
            let id = operation::begin(transaction, &new, &[])?;
            operation::set_state(transaction, id, State::Done, new.at)
        });
        if let Err(error) = outcome {
            tracing::warn!(target: "change", verb, "can't note it in the log of operations: {error}");
        }
    }
}

/// Some of many, as an operation names them: `` `a`, `b` and 3 more ``.
pub(in crate::app) fn named(all: &[String]) -> String {
    let some: Vec<String> = all
        .iter()
        .take(NAMED)
        .map(|one| format!("`{one}`"))
        .collect();
    match all.len().saturating_sub(NAMED) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}
