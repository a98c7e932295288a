//! How old rows are: when they were last compared with their files. Kept in memory, so that verifying
//! unchanged files writes nothing; persisted only at the end of the process.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;
use std::time::Duration;

use rusqlite::Connection;
use skillmeat_shared::Error;
use skillmeat_shared::reconcile::{CollectionState, Scope};
use skillmeat_shared::time::Timestamp;

use super::App;
use super::health::first_problem;
use crate::store::collection;
use crate::store::list::Summary;

/// How fresh the rows behind an answer are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freshness {
    /// When the oldest of the collections asked was last compared as a whole.
    pub verified_at: Option<Timestamp>,
    /// Rows of them that are stale.
    pub stale: u64,
    /// Whether all their rows exist.
    pub complete: bool,
    /// Those of them that can't be compared with what is on disk.
    pub outdated: Vec<Outdated>,
    /// Whether any of the others has yet to be compared with its files since the start.
    pub catching_up: bool,
}

/// A collection whose last good rows are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outdated {
    /// Its name.
    pub collection: String,
    /// How it stands.
    pub state: &'static str,
    /// Why, with the file and the line at fault.
    pub reason: String,
}

/// When and why a collection was last compared as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullPass {
    /// When it began.
    pub at: Timestamp,
    /// Why, in a word or two.
    pub why: &'static str,
}

#[derive(Debug, Default)]
struct Of {
    verified_at: Option<Timestamp>,
    /// Why it was.
    verified_why: &'static str,
    /// Rows compared since then, alone.
    rows: HashMap<i64, Timestamp>,
}

/// When what was verified.
#[derive(Debug, Default)]
pub(super) struct Table {
    collections: HashMap<String, Of>,
    /// Collections whose rows are still being built for the first time.
    pub(super) building: HashSet<String>,
    /// Collections whose last pass failed, and why.
    pub(super) failing: HashMap<String, Error>,
    /// The first look at the home is not over: there may be collections that nobody knows yet.
    pub(super) unknown: bool,
}

/// What was being built at a moment.
#[derive(Debug, Default)]
pub(super) struct Building {
    unknown: bool,
    collections: HashSet<String>,
}

impl Building {
    /// Whether all rows of these collections were there.
    fn is_over<'a>(&self, mut collections: impl Iterator<Item = &'a String>) -> bool {
        !self.unknown && !collections.any(|name| self.collections.contains(name))
    }

    /// Whether a collection that was asked, by its name or with all others, has no row yet.
    pub(super) fn hides(&self, asked: &[(i64, String)], all: bool) -> bool {
        if all {
            let has_row = |name: &String| asked.iter().any(|(_, asked)| asked == name);
            !self.collections.iter().all(has_row)
        } else {
            asked.is_empty()
        }
    }
}

/// Whether a moment lies further back than `ttl`, or in the future, which only a clock set back explains.
fn is_old(moment: Timestamp, now: Timestamp, ttl: Duration) -> bool {
    moment > now || now.since(moment) > ttl
}

impl Table {
    /// Notes that a whole collection was compared with its files, and why.
    pub(super) fn verified(&mut self, collection: &str, at: Timestamp, why: &'static str) {
        let of = self.collections.entry(collection.to_owned()).or_default();
        of.verified_at = Some(at);
        of.verified_why = why;
        of.rows.clear();
    }

    /// Notes that some rows were.
    pub(super) fn verified_rows(&mut self, collection: &str, rows: &[i64], at: Timestamp) {
        let of = self.collections.entry(collection.to_owned()).or_default();
        of.rows.extend(rows.iter().map(|row| (*row, at)));
    }

    /// When a collection was last compared as a whole.
    pub(super) fn verified_at(&self, collection: &str) -> Option<Timestamp> {
        self.collections.get(collection)?.verified_at
    }

    /// When and why a collection was last compared as a whole.
    pub(super) fn full_pass(&self, collection: &str) -> Option<FullPass> {
        let of = self.collections.get(collection)?;
        let why = of.verified_why;
        of.verified_at.map(|at| FullPass { at, why })
    }

    pub(super) fn forget(&mut self) {
        self.collections.clear();
    }

    pub(super) fn is_stale(&self, row: &Summary, now: Timestamp, ttl: Duration) -> bool {
        if row.invalidated {
            return true;
        }
        let of = self.collections.get(&row.collection);
        let moments = [
            of.and_then(|of| of.verified_at),
            of.and_then(|of| of.rows.get(&row.row).copied()),
            Some(Timestamp(row.synced_at)),
        ];
        moments
            .into_iter()
            .flatten()
            .all(|moment| is_old(moment, now, ttl))
    }
}

impl App {
    /// How long a row is believed without being compared with its files.
    pub(super) fn metadata_ttl(&self) -> Duration {
        self.config().config.cache_metadata_ttl
    }

    /// What is being built now. Ask before rows are read: what is built while they are may be missing in
    /// them.
    pub(super) fn building(&self) -> Building {
        let table = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Building {
            unknown: table.unknown,
            collections: table.building.clone(),
        }
    }

    /// Whether this process has compared a whole collection with its files.
    pub(super) fn is_verified(&self, collection: &str) -> bool {
        let table = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table
            .verified_at(collection)
            .is_some_and(|at| at >= self.boot.started_at)
    }

    /// Whether a row is stale.
    pub fn is_stale(&self, row: &Summary) -> bool {
        let (now, ttl) = (self.now(), self.metadata_ttl());
        let table = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table.is_stale(row, now, ttl)
    }

    /// Stale rows of a collection.
    pub(super) fn stale_of(
        &self,
        connection: &Connection,
        collection: (i64, &str),
    ) -> rusqlite::Result<u64> {
        let (now, ttl) = (self.now(), self.metadata_ttl());
        let (row, name) = collection;
        let fresh: Option<HashSet<i64>> = {
            let table = self
                .freshness
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match table.collections.get(name) {
                Some(of) if of.verified_at.is_some_and(|at| !is_old(at, now, ttl)) => None,
                Some(of) => Some(
                    of.rows
                        .iter()
                        .filter(|(_, at)| !is_old(**at, now, ttl))
                        .map(|(row, _)| *row)
                        .collect(),
                ),
                None => Some(HashSet::new()),
            }
        };
        let Some(fresh) = fresh else {
            return connection
                .prepare_cached(
                    "SELECT count(*) FROM artifact INDEXED BY artifact_invalidated
                     WHERE invalidated = 1 AND collection_id = ?1",
                )?
                .query_row([row], |row| row.get(0));
        };
        let oldest = now
            .0
            .saturating_sub(i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX));
        let mut statement = connection.prepare_cached(
            "SELECT id, invalidated FROM artifact WHERE collection_id = ?1
               AND (invalidated = 1 OR synced_at < ?2 OR synced_at > ?3)",
        )?;
        let mut rows = statement.query([row, oldest, now.0])?;
        let mut stale = 0;
        while let Some(row) = rows.next()? {
            let (id, invalidated): (i64, bool) = (row.get(0)?, row.get(1)?);
            stale += u64::from(invalidated || !fresh.contains(&id));
        }
        Ok(stale)
    }

    /// How fresh an answer about these collections is. An answer that is not fresh asks for a pass in the
    /// background; it never waits for it.
    pub(super) fn freshness_of(
        &self,
        connection: &Connection,
        collections: &[(i64, String)],
        building: &Building,
    ) -> rusqlite::Result<Freshness> {
        let mut freshness = Freshness {
            complete: building.is_over(collections.iter().map(|(_, name)| name)),
            ..Freshness::default()
        };
        for (row, name) in collections {
            let stale = self.stale_of(connection, (*row, name))?;
            freshness.stale += stale;
            if stale > 0 {
                self.ingest.submit(name, Scope::WHOLE, "ttl");
            }
        }
        let table = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        freshness.verified_at = collections
            .iter()
            .map(|(_, name)| table.verified_at(name))
            .min()
            .flatten();
        drop(table);
        freshness.outdated = self.outdated(connection, collections)?;
        freshness.catching_up = collections.iter().any(|(_, name)| {
            let is_told = |one: &Outdated| one.collection == *name;
            !self.is_verified(name) && !freshness.outdated.iter().any(is_told)
        });
        Ok(freshness)
    }

    /// Those of these collections whose rows may be older than what is on disk.
    fn outdated(
        &self,
        connection: &Connection,
        collections: &[(i64, String)],
    ) -> rusqlite::Result<Vec<Outdated>> {
        let is_asked = |name: &str| collections.iter().any(|(_, asked)| asked == name);
        let mut outdated: Vec<Outdated> = collection::outdated(connection)?
            .into_iter()
            .filter(|view| is_asked(&view.name))
            .map(|view| Outdated {
                state: view.state.as_str(),
                reason: first_problem(&view),
                collection: view.name,
            })
            .collect();
        let table = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (name, error) in &table.failing {
            let is_told = outdated.iter().any(|one| one.collection == *name);
            if is_asked(name) && !is_told {
                outdated.push(Outdated {
                    collection: name.clone(),
                    state: CollectionState::Unreadable.as_str(),
                    reason: error.message.clone(),
                });
            }
        }
        outdated.sort_by(|a, b| a.collection.cmp(&b.collection));
        Ok(outdated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const NOW: Timestamp = Timestamp(1_000_000_000_000_000);

    fn at(seconds: i64) -> Timestamp {
        Timestamp(NOW.0 + seconds * 1_000_000_000)
    }

    fn row(synced: Timestamp) -> Summary {
        Summary {
            row: 1,
            collection: "c".to_owned(),
            synced_at: synced.0,
            ..Summary::default()
        }
    }

    #[test]
    fn what_was_verified_in_the_future_is_stale() {
        for (seconds, is_stale) in [
            (0, false),
            (-60, false),
            (-61, true),
            (1, true),
            (86_400, true),
        ] {
            let table = Table::default();
            let stale = table.is_stale(&row(at(seconds)), NOW, MINUTE);
            assert_eq!(stale, is_stale, "synced at {seconds} s");
            for whole in [true, false] {
                let mut table = Table::default();
                if whole {
                    table.verified("c", at(seconds), "watch");
                } else {
                    table.verified_rows("c", &[1], at(seconds));
                }
                let stale = table.is_stale(&row(at(-3_600)), NOW, MINUTE);
                assert_eq!(
                    stale, is_stale,
                    "verified at {seconds} s, as a whole: {whole}"
                );
            }
        }
    }

    #[test]
    fn a_pass_after_the_clock_was_set_back_makes_it_fresh_again() {
        let mut table = Table::default();
        table.verified("c", at(0), "watch");
        let back = at(-7_200);
        assert!(table.is_stale(&row(at(0)), back, MINUTE));
        table.verified_rows("c", &[1], back);
        assert!(!table.is_stale(&row(at(0)), back, MINUTE));
        table.verified("c", back, "clock");
        assert!(!table.is_stale(&row(at(0)), back, MINUTE));
        assert_eq!(table.full_pass("c").map(|pass| pass.why), Some("clock"));
    }
}
