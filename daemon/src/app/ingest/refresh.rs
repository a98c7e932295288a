//! Passes that somebody asks for and waits for.

use skillmeat_shared::Result;
use skillmeat_shared::reconcile::Scope;

use super::queue::{Passes, draining};
use super::{App, Tally};

impl App {
    /// Runs passes over collections and sums up what they did.
    pub fn refresh(
        &self,
        collections: &[String],
        force: bool,
        reason: &'static str,
    ) -> Result<Tally> {
        let passes = self.ask_for(collections.iter().map(String::as_str), force, reason);
        self.sum_up(passes, reason)
    }

    /// Asks for passes over whole collections.
    pub(super) fn ask_for<'n>(
        &self,
        collections: impl Iterator<Item = &'n str>,
        force: bool,
        reason: &'static str,
    ) -> Passes {
        let scope = Scope::All {
            force,
            confirmed: false,
        };
        collections
            .map(|name| self.ingest.request(name, scope.clone(), reason))
            .collect()
    }

    /// Waits for passes and sums up what they did.
    pub(in crate::app) fn sum_up(&self, passes: Passes, reason: &'static str) -> Result<Tally> {
        let mut tally = Tally {
            reason,
            ..Tally::default()
        };
        for receiver in passes {
            let (report, duration) = receiver.recv().map_err(|_| draining())??;
            tally.add(&report, duration, self.now());
        }
        Ok(tally)
    }

    /// Compares one collection, or all, with their files now.
    pub fn refresh_cache(&self, collection: &str, force: bool) -> Result<Tally> {
        let store = self.store()?;
        let asked = self.asked(&store, collection, collection.is_empty())?;
        let names: Vec<String> = asked.into_iter().map(|(_, name)| name).collect();
        self.refresh(&names, force, "request")
    }
}
