//! The collections whose snapshots are asked for.

use skillmeat_shared::history::ancestor;
use skillmeat_shared::{Code, Error, Result};

use crate::app::App;
use crate::store::history::snapshot;

impl App {
    /// The collections that are asked for; of all, those that are served, also before they have rows, and those that
    /// only snapshots tell of: ours, or the ancestor's.
    pub(super) fn with_snapshots(&self, collection: &str, all: bool) -> Result<Vec<String>> {
        if !all {
            let name = self.collection_or_default(collection);
            self.check_known(&name)?;
            return Ok(vec![name]);
        }
        if !collection.is_empty() {
            let message = "a collection is named, and all are asked for";
            return Err(Error::new(Code::InvalidArgument, message)
                .hint("leave out either `--collection` or `--all`"));
        }
        let served = self.targets(&*self.store()?)?;
        let mut names: Vec<String> = served.into_iter().map(|target| target.name).collect();
        let rows = self
            .history
            .read(|connection| snapshot::list(connection, ""))?;
        names.extend(rows.into_iter().map(|row| row.collection));
        names.extend(ancestor::collections(&self.boot.home.all_snapshots()));
        // The damaged one may have been all that was left.
        names.extend(self.damaged().into_iter().map(|one| one.collection));
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Fails if there is no collection of this name, and nothing that snapshots tell of it.
    pub(super) fn check_known(&self, name: &str) -> Result<()> {
        let rows = self
            .history
            .read(|connection| snapshot::list(connection, name))?;
        let is_theirs = || ancestor::has_index(&self.boot.home.snapshots(name));
        let is_damaged = || self.damaged().iter().any(|one| one.collection == name);
        if !rows.is_empty() || is_theirs() || is_damaged() {
            return Ok(());
        }
        self.asked(&*self.store()?, name, false).map(drop)
    }
}
