//! How many artifacts of each kind and status a collection has, and their bytes: kept exact with each change, so that
//! totals cost nothing at any size.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};
use skillmeat_shared::reconcile::ArtifactRow;

use super::difference::Summary;

/// Kind and status.
type Class = (String, String);

/// What a transaction adds to the counts of a collection, or takes from them.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<Class, (i64, i64)>);

impl Counts {
    fn add(&mut self, class: Class, artifacts: i64, bytes: i64) {
        let sum = self.0.entry(class).or_default();
        sum.0 += artifacts;
        sum.1 += bytes;
    }

    /// A row is about to be taken away or overwritten.
    pub(super) fn take_out(&mut self, before: &Summary) {
        let class = (before.kind.clone(), before.status.clone());
        self.add(class, -1, -before.size);
    }

    /// The row of an artifact is written.
    pub(super) fn put_in(&mut self, artifact: &ArtifactRow, bytes: i64) {
        let class = (
            artifact.id.kind.as_str().to_owned(),
            artifact.status.as_str().to_owned(),
        );
        self.add(class, 1, bytes);
    }

    /// Writes what came together.
    pub(super) fn write(
        self,
        transaction: &Transaction<'_>,
        collection: i64,
    ) -> rusqlite::Result<()> {
        let mut add = transaction.prepare_cached(
            "INSERT INTO artifact_count VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET artifacts = artifacts + ?4, bytes = bytes + ?5",
        )?;
        for ((kind, status), sums) in self.0.into_iter().filter(|(_, sums)| *sums != (0, 0)) {
            add.execute(params![collection, kind, status, sums.0, sums.1])?;
        }
        Ok(())
    }
}
