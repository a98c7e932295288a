//! How long snapshots and operations are kept: deleting, pruning, collecting garbage, and what the clock does
//! of it by itself.

use std::time::Duration;

use skillmeat_shared::health;
use skillmeat_shared::history::file;
use skillmeat_shared::history::retention::Retention;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Error, Result};

use super::{How, Origin, SnapshotView, not_found};
use crate::app::App;
use crate::app::change::{Actor, named};
use crate::store::history::collect::{self, Limits};
use crate::store::history::snapshot::{self, Snapshot};
use crate::store::meta;

/// What a scheduled snapshot says.
const SCHEDULED: &str = "Scheduled snapshot";

/// Findings that are told of one snapshot.
const MOST_FINDINGS: usize = 20;

/// What was collected, and the size of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// What went and what stayed.
    pub collected: collect::Collected,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// More is needed than the history may hold, in words, and what to do.
    pub warnings: Vec<String>,
}

/// A snapshot and what is wrong with it.
pub(super) type Verified = (SnapshotView, Vec<(String, String)>);

impl App {
    /// Deletes snapshots of ours. All must be there.
    pub fn delete_snapshots(&self, collection: &str, ids: &[String]) -> Result<Vec<SnapshotView>> {
        let name = self.collection_or_default(collection);
        let mut rows = Vec::new();
        for id in ids {
            skillmeat_shared::history::snapshot::moment_of(id)?;
            let row = self
                .history
                .read(|connection| snapshot::get(connection, &name, id))?;
            match row {
                Some(row) if rows.contains(&row) => {}
                Some(row) => rows.push(row),
                None => return Err(self.not_ours(&name, id)),
            }
        }
        self.forget(Actor::CommandLine, "delete", &rows)?;
        Ok(rows.into_iter().map(SnapshotView::from).collect())
    }

    fn not_ours(&self, name: &str, id: &str) -> Error {
        let theirs = self
            .ancestors(name)
            .is_ok_and(|(all, _)| all.iter().any(|one| one.id == id));
        if theirs {
            let message = format!("the snapshot `{id}` was made by the ancestor and stays its");
            return Error::new(Code::InvalidArgument, message).hint(format!(
                "delete its archive yourself, and {}",
                self.way_out_of_index(name)
            ));
        }
        self.no_snapshot(name, id)
    }

    fn forget(&self, actor: Actor, verb: &str, rows: &[Snapshot]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.history.write(|transaction| {
            for row in rows {
                snapshot::delete(transaction, &row.collection, &row.id)?;
            }
            Ok(())
        })?;
        for row in rows {
            self.log_event("snapshot.deleted", &row.collection, &row.id);
        }
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let many = if ids.len() == 1 { "" } else { "s" };
        let what = format!("{verb} the snapshot{many} {}", named(&ids));
        self.record_deed(actor, &format!("snapshot.{verb}"), what);
        self.recall_damage();
        Ok(())
    }

    /// Which automatic snapshots are kept, as configured.
    pub fn retention(&self) -> Retention {
        self.config().config.snapshot_retention
    }

    /// Deletes automatic snapshots that the retention does not want, or only tells them.
    pub fn prune_snapshots(
        &self,
        actor: Actor,
        collection: &str,
        all: bool,
        retention: Retention,
        dry_run: bool,
    ) -> Result<Vec<SnapshotView>> {
        let mut doomed = Vec::new();
        for name in self.with_snapshots(collection, all)? {
            let rows = self
                .history
                .read(|connection| snapshot::list(connection, &name))?;
            doomed.extend(unwanted(rows, retention));
        }
        if !dry_run {
            self.forget(actor, "prune", &doomed)?;
        }
        Ok(doomed.into_iter().map(SnapshotView::from).collect())
    }

    /// Forgets operations that are too old or too much, and deletes what nothing needs any more.
    pub fn collect_garbage(&self, actor: Actor, dry_run: bool) -> Result<Collected> {
        let config = self.config();
        let days = config.config.history_keep_days;
        let kept = Duration::from_hours(24).saturating_mul(u32::try_from(days).unwrap_or(u32::MAX));
        let kept = i64::try_from(kept.as_nanos()).unwrap_or(i64::MAX);
        let limits = Limits {
            since: Timestamp(self.now().0.saturating_sub(kept)),
            max_bytes: config.config.history_max_size_mb.saturating_mul(1 << 20),
        };
        let collected = self.history.collect(limits, dry_run)?;
        let large = health::of_large_history(collected.needed, config.config.history_max_size_mb);
        if !dry_run {
            self.note_need(large.is_some().then_some(collected.needed));
            self.sweep_artifacts()?;
        }
        tracing::info!(
            target: "history",
            operations = collected.operations, objects = collected.objects, bytes = collected.bytes,
            dry_run, "collected"
        );
        if !dry_run && collected.operations + collected.objects > 0 {
            let many = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            let counted = [
                (collected.operations, "operation"),
                (collected.objects, "object"),
            ];
            let counted = counted.into_iter().filter(|(count, _)| *count > 0);
            let counted: Vec<String> = counted.map(|(count, what)| many(count, what)).collect();
            let what = format!("forget {} of the history", counted.join(" and "));
            self.record_deed(actor, "history.collect", what);
        }
        Ok(Collected {
            collected,
            size_bytes: self.history.size_bytes(),
            warnings: large
                .into_iter()
                .map(|(_, message, hints)| format!("{message}; {}", hints.join(", ")))
                .collect(),
        })
    }

    /// Notes how much the history needs if that is more than it may hold, for the warning.
    fn note_need(&self, needed: Option<u64>) {
        let needed = needed.unwrap_or_default().to_string();
        let noted = self.store().and_then(|store| {
            store.write(move |rows| meta::set(rows, meta::HISTORY_NEEDS, &needed))
        });
        if let Err(error) = noted {
            tracing::warn!(target: "history", "can't note how much it needs: {error}");
        }
        self.boot.health.stir();
    }

    /// Reads all that snapshots need. Each with what is wrong: path and reason. That is told as a warning, too,
    /// until it is mended. And what is wrong with the ancestor's indexes, if all are asked for.
    pub fn verify_snapshots(
        &self,
        collection: &str,
        all: bool,
        ids: &[String],
    ) -> Result<(Vec<Verified>, Vec<Error>)> {
        let listed = self.snapshots(collection, all, usize::MAX);
        let (views, _, mut problems) = listed.map_err(unverified)?;
        let name = self.collection_or_default(collection);
        if let Some(missing) = ids
            .iter()
            .find(|id| !views.iter().any(|one| one.id == **id))
        {
            skillmeat_shared::history::snapshot::moment_of(missing)?;
            // It may stand in an index that can't be read.
            self.ancestors(&name)?;
            return Err(not_found(&name, missing));
        }
        let whole = if ids.is_empty() {
            self.with_snapshots(collection, all)?
        } else {
            problems.clear();
            Vec::new()
        };
        let wanted = views
            .into_iter()
            .filter(|view| ids.is_empty() || ids.contains(&view.id));
        let verified: Vec<Verified> = wanted.map(|view| self.verify(view)).collect();
        self.note_damage(&verified, &whole).map_err(unverified)?;
        Ok((verified, problems))
    }

    fn verify(&self, view: SnapshotView) -> Verified {
        // An archive proves itself by its checksum, and is not taken in for that.
        let problems = match self.check_archive(&view) {
            Some(Ok(())) => Vec::new(),
            Some(Err(error)) => vec![(String::new(), error.message)],
            None => self.verify_ours(&view),
        };
        (view, problems)
    }

    fn verify_ours(&self, view: &SnapshotView) -> Vec<(String, String)> {
        match self.open_snapshot(&view.collection, &view.id) {
            Ok(opened) => self
                .history
                .verify(&opened.node, MOST_FINDINGS)
                .into_iter()
                .map(|(path, why)| (path.display().to_string(), why))
                .collect(),
            Err(error) => vec![(String::new(), error.message)],
        }
    }

    /// By the clock: a snapshot of each collection that changed since its last one; then those go that are not
    /// wanted any more.
    pub(in crate::app) fn snapshot_by_schedule(&self) {
        if self.config().config.snapshot_schedule.is_zero() {
            return;
        }
        let Ok(store) = self.store() else { return };
        let names = match store.read(crate::store::collection::names) {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(target: "history", "can't make snapshots: {error}");
                return;
            }
        };
        for (_, name) in names {
            if let Err(error) = self.snapshot_if_changed(&name) {
                tracing::warn!(target: "history", collection = name, "can't make a snapshot: {error}");
            }
        }
        if let Err(error) = self.prune_snapshots(Actor::Job, "", true, self.retention(), false) {
            tracing::warn!(target: "history", "can't prune snapshots: {error}");
        }
    }

    fn snapshot_if_changed(&self, name: &str) -> Result<()> {
        let newest = self
            .history
            .read(|connection| snapshot::list(connection, name))?
            .into_iter()
            .next();
        let _one_at_a_time = self.mutation.lock();
        // All of it is looked at now and then, whatever the watcher knows.
        let why = (Origin::Scheduled, How::Whole);
        let made = self.take(name, SCHEDULED, why, newest.as_ref(), &|_| {})?;
        if newest.is_none_or(|newest| newest.id != made.snapshot.id) {
            self.log_event("snapshot.created", name, &made.snapshot.id);
            self.record_deed(
                Actor::Job,
                "snapshot.create",
                format!("make the snapshot `{}` of `{name}`", made.snapshot.id),
            );
        }
        Ok(())
    }

    /// By the clock.
    pub(in crate::app) fn collect_by_schedule(&self) {
        if let Err(error) = self.collect_garbage(Actor::Job, false) {
            tracing::warn!(target: "history", "can't collect: {error}");
        }
    }

    /// By the clock: what is not whole any more is told in the log, as an event, and as a warning.
    pub(in crate::app) fn verify_by_schedule(&self) {
        match self.verify_snapshots("", true, &[]) {
            Ok((all, unreadable)) => {
                for error in unreadable {
                    tracing::error!(target: "history", "can't verify all snapshots: {error}");
                }
                for (view, problems) in all {
                    let Some((path, why)) = problems.first() else {
                        continue;
                    };
                    tracing::error!(
                        target: "history",
                        collection = view.collection, id = view.id, path, "a snapshot is damaged: {why}"
                    );
                    self.log_event("snapshot.damaged", &view.collection, &view.id);
                }
            }
            Err(error) => tracing::warn!(target: "history", "can't verify snapshots: {error}"),
        }
    }
}

/// The error of who verifies and can't read the history: the hint to verify leads nowhere there.
fn unverified(mut error: Error) -> Error {
    if error.code == Code::HistoryDamaged {
        error.hints.clear();
    }
    file::with_way(error)
}

/// Automatic snapshots that the retention does not want.
fn unwanted(rows: Vec<Snapshot>, retention: Retention) -> Vec<Snapshot> {
    let is_automatic = |row: &Snapshot| {
        [Origin::Scheduled, Origin::Safety]
            .iter()
            .any(|origin| origin.as_str() == row.origin)
    };
    let automatic: Vec<(String, Timestamp)> = rows
        .iter()
        .filter(|row| is_automatic(row))
        .map(|row| (row.id.clone(), row.at))
        .collect();
    let doomed = retention.doomed(&automatic);
    rows.into_iter()
        .filter(|row| doomed.contains(&row.id))
        .collect()
}
