//! Distrusting the cache: invalidating rows, dropping it all, keeping its counters.

use std::sync::{Arc, PoisonError};

use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::reconcile::Scope;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Error, Result};

use super::{App, RowsState, Tally};
use crate::store::{Opened, Store, artifact, collection, meta};

/// What was invalidated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invalidated {
    /// Rows.
    pub rows: u64,
    /// Collections that they belong to.
    pub collections: Vec<String>,
}

const VERIFIED: &str = "verified:";
const COUNTERS: &str = "counters";

impl App {
    /// Marks rows as stale: those named, or whole collections. A name that means nothing is an error and
    /// nothing is marked. The rows are read again in the background.
    pub fn invalidate(&self, collection: &str, artifacts: &[String]) -> Result<Invalidated> {
        let store = self.store()?;
        if artifacts.is_empty() {
            let asked = self.asked(&store, collection, collection.is_empty())?;
            let mut done = Invalidated::default();
            for (_, name) in asked {
                let of = name.clone();
                let rows =
                    store.write(move |transaction| artifact::invalidate(transaction, &of, None))?;
                done.rows += rows as u64;
                self.ingest.submit(&name, Scope::WHOLE, "request");
                done.collections.push(name);
            }
            return Ok(done);
        }
        let mut rows = Vec::new();
        let mut scopes =
            std::collections::BTreeMap::<String, std::collections::BTreeSet<String>>::new();
        for name in artifacts {
            let Ok(reference) = name.parse::<ArtifactRef>();
            let found =
                self.resolve_in(&store, &self.collection_or_default(collection), &reference)?;
            rows.push(found.row);
            scopes
                .entry(found.collection)
                .or_default()
                .insert(found.path);
        }
        rows.sort_unstable();
        rows.dedup();
        let count =
            store.write(move |transaction| artifact::invalidate(transaction, "", Some(&rows)))?;
        let done = Invalidated {
            rows: count as u64,
            collections: scopes.keys().cloned().collect(),
        };
        for (name, paths) in scopes {
            self.ingest.submit(&name, Scope::Paths(paths), "request");
        }
        Ok(done)
    }

    /// Drops the cache and builds it anew from files; waits until all rows are there.
    pub fn clear(&self) -> Result<Tally> {
        // First: a daemon that was started for this does not know yet whether it can open the cache.
        self.until_open_or_failed()?;
        if self.gate.failure().is_none() {
            let passes = self.ingest.rebuild()?;
            return self.sum_up(passes, "rebuild");
        }
        crate::store::files::remove_files(&self.cache_place().database)?;
        let store = self.open_again()?;
        let names: Vec<String> = self
            .targets(&store)?
            .into_iter()
            .map(|target| target.name)
            .collect();
        self.refresh(&names, false, "rebuild")
    }

    /// Makes the database anew. On the ingest thread only, between passes.
    pub(super) fn rebuild_store(&self, store: &Arc<Store>) -> Result<()> {
        self.forget_freshness();
        self.set_rows(RowsState::Building);
        store.rebuild()?;
        self.log_event("cache.rebuilt", "", "");
        self.indexer.wake();
        Ok(())
    }

    /// Nothing is known of the age of any row.
    pub(super) fn forget_freshness(&self) {
        let mut table = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table.forget();
        table.unknown = true;
    }

    /// Takes over what the process before us persisted.
    pub(super) fn recall(&self, store: &Store, opened: &Opened) -> Result<()> {
        if *opened != Opened::Existing {
            let mut table = self
                .freshness
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            table.unknown = true;
            return Ok(());
        }
        let (names, counters) = store.read(|connection| {
            let mut moments = Vec::new();
            for (_, name) in collection::names(connection)? {
                let key = format!("{VERIFIED}{name}");
                let moment = meta::get(connection, &key)?.and_then(|text| text.parse().ok());
                moments.push((name, moment));
            }
            Ok((moments, meta::get(connection, COUNTERS)?))
        })?;
        if let Some(counters) = counters {
            self.counters.recall(&counters);
        }
        let mut table = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (name, moment) in names {
            if let Some(moment) = moment {
                table.verified(&name, Timestamp(moment), "before the start");
            }
        }
        Ok(())
    }

    /// Persists ages and counters, at the end.
    pub(super) fn persist(&self, store: &Store) -> Result<()> {
        let moments: Vec<(String, i64)> = {
            let names = store.read(collection::names)?;
            let table = self
                .freshness
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            names
                .into_iter()
                .filter_map(|(_, name)| {
                    table
                        .verified_at(&name)
                        .map(|at| (format!("{VERIFIED}{name}"), at.0))
                })
                .collect()
        };
        let counters = self.counters.to_text();
        store.write(move |transaction| {
            for (key, at) in &moments {
                meta::set(transaction, key, &at.to_string())?;
            }
            meta::set(transaction, COUNTERS, &counters)
        })
    }

    /// The name, or the default collection's if it is empty.
    pub(super) fn collection_or_default(&self, name: &str) -> String {
        if name.is_empty() {
            self.config().config.default_collection.clone()
        } else {
            name.to_owned()
        }
    }

    /// Rows and names of the collections that a request means: all, one, or the default one.
    pub(super) fn asked(
        &self,
        store: &Store,
        collection: &str,
        all: bool,
    ) -> Result<Vec<(i64, String)>> {
        let names = store.read(collection::names)?;
        if all {
            if !collection.is_empty() {
                return Err(Error::new(
                    Code::InvalidArgument,
                    "a collection is named, and all are asked for",
                )
                .hint("leave out either `--collection` or `--all`"));
            }
            return Ok(names);
        }
        let wanted = self.collection_or_default(collection);
        let found: Vec<(i64, String)> = names
            .iter()
            .filter(|(_, name)| *name == wanted)
            .cloned()
            .collect();
        if found.is_empty() {
            // While rows are being built, what is on disk counts.
            if self
                .targets(store)?
                .iter()
                .any(|target| target.name == wanted)
            {
                return Ok(found);
            }
            return Err(super::collections::not_found_near(&wanted, &names));
        }
        Ok(found)
    }
}
