//! Changing collections: one road for every mutation.
//!
//! A use-case plans into a [`Draft`]; that is all that a dry run does. Then everything is made ready beside its
//! place, what stands there is compared with what the plan saw, and all of it changes places by renames.
//! The rows of exactly those paths follow before the answer.
//!
//! Invariants: one change at a time; what stood there and what shall stand there are in the history before the
//! first file changes; either all of a change stands afterwards or nothing of it, whatever ends the process;
//! what another program wrote since the plan looked is never overwritten: the plan is made again.

mod apply;
mod caller;
mod carry;
mod clone;
mod deed;
mod draft;
mod found;
mod keeper;
mod late;
mod log;
mod modes;
mod names;
mod obstacle;
mod outside;
mod owned;
mod past;
mod place;
mod placing;
mod progress;
mod rated;
mod recover;
mod settings;
mod undo;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use skillmeat_shared::{Code, Result};

use super::App;

pub use caller::Caller;
pub use log::{ChangedFile, LogRequest, ShownOperation};

pub(in crate::app) use caller::{Nobody, is_wanted};
pub(in crate::app) use deed::named;
pub(in crate::app) use draft::{Draft, Source, Turn, unless_unreadable};
pub(in crate::app) use found::{Keeper, everywhere};
pub(in crate::app) use owned::SeenConfig;
pub(in crate::app) use place::{Place, can_be_followed};
pub(in crate::app) use progress::Progress;

/// How often a change is planned when other programs write at the same time.
const TRIES: usize = 5;

/// How long it is planned again at least: another program may write all the time.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who asked for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person or script, with `sm`.
    CommandLine,
    /// The daemon, by the clock.
    Job,
}

impl Actor {
    /// As the log of operations names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CommandLine => "cli",
            Self::Job => "job",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(in crate::app) struct Asked {
    /// The use-case, such as `artifact.remove`.
    pub(in crate::app) verb: &'static str,
    /// The same in the words of whoever asked.
    pub(in crate::app) what: String,
    /// Who asked.
    pub(in crate::app) actor: Actor,
    /// Plan only.
    pub(in crate::app) dry_run: bool,
    /// The operation that is taken back.
    pub(in crate::app) undoes: Option<i64>,
}

/// What a change did, or would do.
#[derive(Debug, Clone)]
pub(in crate::app) struct Changed<R> {
    /// What the plan gave.
    pub(in crate::app) report: R,
    /// Planned only.
    pub(in crate::app) dry_run: bool,
    /// What happened to files.
    pub(in crate::app) steps: Vec<Step>,
    /// The operation that it is known as; nothing if nothing changed.
    pub(in crate::app) operation: Option<String>,
    /// Number of the last event that it caused.
    pub(in crate::app) seq: u64,
    /// What the person should know besides.
    pub(in crate::app) notes: Vec<String>,
}

/// What happens to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// create, replace, edit or remove.
    pub action: &'static str,
    /// The collection; empty for the home.
    pub collection: String,
    /// Relative to the collection, or to the home.
    pub path: String,
}

/// What is told while something changes.
#[derive(Debug, Clone)]
pub enum Telling {
    /// How far it is: done, all, and with what.
    Progress(u64, u64, &'static str),
    /// One thing is done.
    Item(ChangeItem),
}

/// What became of one thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of ChangeItem; see change.proto")]
pub struct ChangeItem {
    pub id: String,
    pub source: String,
    pub result: &'static str,
    pub reason: String,
    pub path: String,
    pub code: Option<Code>,
}

/// How a change ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of ChangeSummary; see change.proto")]
pub struct ChangeSummary {
    pub collection: String,
    pub dry_run: bool,
    pub seq: u64,
    pub counts: Vec<(&'static str, u64)>,
    pub operation: Option<String>,
    pub steps: Vec<Step>,
    pub notes: Vec<String>,
}

impl ChangeSummary {
    /// Tells of each item, and sums them up. `results` are always counted; what a dry run would do counts as done.
    pub(in crate::app) fn told<R>(
        collection: &str,
        results: &[&'static str],
        items: &[ChangeItem],
        changed: &Changed<R>,
        caller: &dyn Caller,
    ) -> Self {
        let mut counts: Vec<(&'static str, u64)> = results.iter().map(|one| (*one, 0)).collect();
        for item in items {
            caller.tell(Telling::Item(item.clone()));
            let result = match item.result.strip_prefix("would-") {
                Some(verb) => {
                    let done = results.iter().find(|done| done.starts_with(verb));
                    done.or(results.first()).copied().unwrap_or(item.result)
                }
                None => item.result,
            };
            match counts.iter_mut().find(|(other, _)| *other == result) {
                Some((_, count)) => *count += 1,
                None => counts.push((result, 1)),
            }
        }
        Self {
            collection: collection.to_owned(),
            dry_run: changed.dry_run,
            seq: changed.seq,
            counts,
            operation: changed.operation.clone(),
            steps: changed.steps.clone(),
            notes: changed.notes.clone(),
        }
    }
}

impl App {
    /// Plans, applies, and brings the rows up to date before it answers. `plan` is run again when another
    /// program wrote meanwhile.
    ///
    /// # Errors
    /// What the plan says; [`Code::FileChanged`] if others write all the time; what the disk says. Nothing is
    /// changed then, but for an error that says that the rows will follow.
    pub(in crate::app) fn change<R>(
        &self,
        asked: &Asked,
        plan: &dyn Fn(&mut Draft<'_>) -> Result<R>,
    ) -> Result<Changed<R>> {
        self.change_told(asked, &Nobody, plan)
    }

    /// A change that is told thing by thing, and summed up. `words` are its verb, and what is said of a thing that was
    /// changed and of one that would be; `what` was asked; the plan gets the word to say.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub(in crate::app) fn change_things(
        &self,
        collection: &str,
        (verb, done, would): (&'static str, &'static str, &'static str),
        what: String,
        dry_run: bool,
        caller: &dyn Caller,
        plan: &dyn Fn(&'static str, &mut Draft<'_>) -> Result<Vec<ChangeItem>>,
    ) -> Result<ChangeSummary> {
        let asked = Asked {
            verb,
            what,
            actor: Actor::CommandLine,
            dry_run,
            undoes: None,
        };
        let said = if dry_run { would } else { done };
        let changed = self.change_told(&asked, caller, &|draft| plan(said, draft))?;
        let results = [done, "unchanged", "failed"];
        let items = &changed.report;
        Ok(ChangeSummary::told(
            collection, &results, items, &changed, caller,
        ))
    }

    /// The same as [`change`](Self::change) for changes of many things, whose progress is told.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub(in crate::app) fn change_told<R>(
        &self,
        asked: &Asked,
        caller: &dyn Caller,
        plan: &dyn Fn(&mut Draft<'_>) -> Result<R>,
    ) -> Result<Changed<R>> {
        // First: who opens the cache looks for changes that were cut short, and nobody else changes anything then.
        self.store()?;
        let _one_at_a_time = self.mutation.lock();
        self.boot.tenure.check()?;
        if self.unsettled.swap(false, Ordering::Relaxed) {
            // Before anything stands on it.
            self.recover_changes();
        }
        let begun = Instant::now();
        let (mut tries, mut has_waited, mut is_opened_again) = (0, false, false);
        let given_up = self.history.times_given_up();
        loop {
            tries += 1;
            let mut draft = Draft::new(self, asked.dry_run, caller);
            // Somebody else wrote between plan and apply, which may be otherwise the next time.
            let mut has_clashed = false;
            let planned = plan(&mut draft).and_then(|report| {
                draft.is_whole()?;
                let steps = draft.steps();
                let mut notes = draft.copied_without();
                let operation = if asked.dry_run || steps.is_empty() {
                    None
                } else {
                    let applied = self.apply(asked, &mut draft);
                    let (id, late) = applied.inspect_err(|_| has_clashed = true)?;
                    notes.extend(late);
                    Some(id.to_string())
                };
                Ok(Changed {
                    report,
                    dry_run: asked.dry_run,
                    steps,
                    operation,
                    seq: self.last_seq(),
                    notes,
                })
            });
            match planned {
                Err(error)
                    if error.code == Code::FileChanged
                        && (tries < TRIES || has_clashed && begun.elapsed() < PATIENCE) =>
                {
                    tracing::info!(target: "change", verb = asked.verb, "planned again: {error}");
                }
                Err(error) if !has_waited && self.may_have_come(&error) => has_waited = true,
                // Its files were not as they were left, and it can be opened again.
                Err(_)
                    if !is_opened_again
                        && !draft.past.is_recorded()
                        && self.history.times_given_up() != given_up =>
                {
                    is_opened_again = true;
                }
                outcome => return outcome,
            }
        }
    }
}
