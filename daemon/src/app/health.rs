//! What is wrong with the home, told to the health register; and what becomes of changes in it.

use std::path::Path;
use std::time::Duration;

use skillmeat_shared::collection::layout;
use skillmeat_shared::failpoint;
use skillmeat_shared::health::{
    self, CACHE_EVICTED, CACHE_ON_NETWORK_DISK, CACHE_REPLACED, CACHE_UNAVAILABLE,
    COLLECTION_BROKEN, COLLECTION_LINKED_OUT, COLLECTION_NO_MANIFEST, COLLECTION_UNREACHABLE,
    COLLECTION_UNREADABLE, CONFIG_INVALID, Finding, HISTORY_ABOVE_LIMIT, HISTORY_LOST,
    HISTORY_REPLACED, HISTORY_UNUSABLE, NOT_A_FOLDER, SNAPSHOT_DAMAGED, Wake, Warning,
};
use skillmeat_shared::paths::{CachePlace, Environment as _, ProcessEnvironment};
use skillmeat_shared::reconcile::CollectionState;

use skillmeat_shared::time::Timestamp;

use super::App;
use crate::store::collection::{self, CollectionView};
use crate::store::{Store, meta, text};

/// The shortest time between two looks that nobody waits for.
const REST: Duration = Duration::from_millis(200);

/// How long it is told that the cache was built anew.
const NEWS: Duration = Duration::from_hours(24);

/// Variables that decide where things lie and how they are said. None of them holds a secret.
const ENVIRONMENT: [&str; 14] = [
    "HOME",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LANG",
    "LC_ALL",
    "PATH",
    "SKILLMEAT_CACHE_PATH",
    "SKILLMEAT_COLLECTION_PATH",
    "SKILLMEAT_HOME",
    "TMPDIR",
    "USER",
    "WATCHDOG_USEC",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
];

/// The kind of the events that tell of warnings.
const CHANGED: &str = "health.changed";

impl App {
    /// Everything that should be mended, as of now.
    pub fn warnings(&self) -> Vec<Warning> {
        self.look_for_warnings();
        self.boot.health.current()
    }

    /// The variables of this process's environment that matter and are set.
    pub fn environment(&self) -> Vec<(String, String)> {
        let set = |name: &str| {
            ProcessEnvironment
                .var(name)
                .map(|value| (name.to_owned(), value))
        };
        ENVIRONMENT.into_iter().filter_map(set).collect()
    }

    /// The thread: looks again when something moved, and tells subscribers and the health service of what
    /// comes and goes. Sleeps while nothing does.
    pub(super) fn follow_health(&self) {
        failpoint::hit("task.warnings").ok();
        self.look_for_warnings();
        // Nobody could have seen what was wrong before there was anybody to ask.
        let mut known = self.boot.health.current();
        self.report_ready();
        loop {
            match self.boot.health.wait(&known) {
                Wake::Closed => return,
                Wake::Stirred => {
                    self.look_for_warnings();
                    if self.boot.shutdown.wait_timeout(REST) {
                        return;
                    }
                }
                Wake::Changed(now) => {
                    self.report_ready();
                    self.tell(&known, &now);
                    known = now;
                }
            }
        }
    }

    /// Logs what came and what went.
    fn tell(&self, before: &[Warning], now: &[Warning]) {
        let is_in = |list: &[Warning], wanted: &Warning| {
            list.iter()
                .any(|one| one.code == wanted.code && one.subject == wanted.subject)
        };
        for came in now.iter().filter(|one| !is_in(before, one)) {
            tracing::warn!(target: "health", code = came.code, subject = came.subject, "{}", came.message);
            let detail = format!("{} `{}`: {}", came.severity, came.code, came.message);
            self.log_event(CHANGED, "", &detail);
        }
        for gone in before.iter().filter(|one| !is_in(now, one)) {
            tracing::info!(target: "health", code = gone.code, subject = gone.subject, "mended");
            let detail = format!("mended `{}`: {}", gone.code, gone.message);
            self.log_event(CHANGED, "", &detail);
        }
    }

    /// Looks anew at a history: what made it unusable may have gone without a trace, and nobody may have asked since it
    /// became so.
    pub(super) fn doubt_history(&self) {
        let before = self.history.trouble();
        self.history.doubt();
        let warned = self.boot.health.current();
        let is_told = warned.iter().any(|one| one.code == HISTORY_LOST.code);
        if self.history.trouble() != before || self.history.lost().is_some() != is_told {
            self.boot.health.stir();
        }
    }

    /// Raises and clears what is computed from the state of the application.
    fn look_for_warnings(&self) {
        let _one_at_a_time = self
            .looking
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let health = &self.boot.health;
        let config = self.config();
        let problems = config.problems.iter().map(health::of_config);
        health.replace(&CONFIG_INVALID, problems.collect());
        let failure = self.gate.failure();
        let failure =
            failure.map(|error| (String::new(), error.message.clone(), error.hints.clone()));
        health.replace(&CACHE_UNAVAILABLE, failure.into_iter().collect());
        health.replace(&CACHE_ON_NETWORK_DISK, network_finding(&self.cache_place()));
        let misplaced = self.boot.home.misplaced();
        let misplaced = misplaced.iter().map(|path| health::of_misplaced(path));
        health.replace(&NOT_A_FOLDER, misplaced.collect());
        let aside = health::of_histories_aside(&self.history.put_aside());
        health.replace(&HISTORY_REPLACED, aside.into_iter().collect());
        let trouble = self.history.trouble();
        let trouble = trouble.as_ref().map(health::of_history);
        health.replace(&HISTORY_UNUSABLE, trouble.into_iter().collect());
        let lost = health::of_lost_history(self.history.path(), self.history.lost());
        health.replace(&HISTORY_LOST, lost.into_iter().collect());
        health.replace(&SNAPSHOT_DAMAGED, self.damage_findings());
        self.tell_of_watches(health);
        if let Some(store) = self.gate.open() {
            self.look_at_rows(&store);
        }
    }

    fn look_at_rows(&self, store: &Store) {
        let health = &self.boot.health;
        // Rows that can't be read now say nothing about the collections.
        let Ok(views) = store.read(collection::all) else {
            return;
        };
        let of_state = |state: CollectionState, what: &str, hint: fn(bool) -> &'static str| {
            let views = views.iter().filter(|view| view.state == state);
            views
                .map(|view| {
                    let message = format!("`{}` {what}{}", view.name, first_problem(view));
                    (
                        view.name.clone(),
                        message,
                        vec![hint(view.external).to_owned()],
                    )
                })
                .collect::<Vec<Finding>>()
        };
        let broken = of_state(
            CollectionState::Broken,
            "can't be read: ",
            |_| "mend the file; until then the last good rows are served",
        );
        health.replace(&COLLECTION_BROKEN, broken);
        let unreachable = of_state(
            CollectionState::Unreachable,
            "can't be reached: ",
            |external| {
                if external {
                    "bring its folder back, or mend its rights; or have it forgotten with `sm config unset collection.path`; until then the last good rows are served"
                } else {
                    "bring its folder back (`sm undo` does, with the number of its deletion in `sm log`), or mend its rights; or have it forgotten with `sm cache clear`; until then the last good rows are served"
                }
            },
        );
        health.replace(&COLLECTION_UNREACHABLE, unreachable);
        let bare = views
            .iter()
            .filter(|view| view.state == CollectionState::NoManifest && !view.external)
            .map(|view| {
                let message = format!("`{}` has no collection.toml", view.name);
                let hint = "bring the file back (`sm undo` does, with the number of its removal in `sm log`); until then the last good rows are served";
                (view.name.clone(), message, vec![hint.to_owned()])
            });
        health.replace(&COLLECTION_NO_MANIFEST, bare.collect());
        let linked = views.iter().filter_map(|view| {
            let outside = self
                .reach
                .through(Path::new(&view.path), layout::linked_out);
            link_finding(view, &outside?)
        });
        health.replace(&COLLECTION_LINKED_OUT, linked.collect());
        health.replace(&COLLECTION_UNREADABLE, self.failing(&views));
        let large = self.large_history(store);
        health.replace(&HISTORY_ABOVE_LIMIT, large.into_iter().collect());
        health.replace(&CACHE_REPLACED, self.replaced_finding(store));
        let evicted = store
            .read(text::outstanding)
            .map_or(0, |(_, evicted)| evicted);
        let evicted = (evicted > 0).then(|| {
            (
                String::new(),
                format!("the texts of {evicted} artifacts left the search index to save space"),
                vec!["raise `cache.max_size_mb`, if searching their contents matters".to_owned()],
            )
        });
        health.replace(&CACHE_EVICTED, evicted.into_iter().collect());
    }

    /// What the history has to keep was too much when it was collected last, and still would be.
    fn large_history(&self, store: &Store) -> Option<Finding> {
        let needs = store.read(|rows| meta::get(rows, meta::HISTORY_NEEDS));
        let needed = needs.ok().flatten()?.parse().ok()?;
        health::of_large_history(needed, self.config().config.history_max_size_mb)
    }

    /// The cache was built anew, as long as that is news.
    fn replaced_finding(&self, store: &Store) -> Vec<Finding> {
        let replaced = store.read(meta::replaced).ok().flatten();
        let fresh = replaced.filter(|(at, _)| self.now().since(Timestamp(*at)) < NEWS);
        let finding = |(_, why): (i64, String)| {
            let message = format!("the cache was put aside and built anew: {why}");
            let hint =
                "nothing is to be done; if it comes again, have the disk and the memory tested";
            (String::new(), message, vec![hint.to_owned()])
        };
        fresh.map(finding).into_iter().collect()
    }

    /// Collections that are there and could not be compared with their files.
    fn failing(&self, views: &[CollectionView]) -> Vec<Finding> {
        let table = self
            .freshness
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let failing = views.iter().filter_map(|view| {
            let error = table.failing.get(&view.name)?;
            let message = format!("`{}` can't be compared with its files: {error}", view.name);
            let hint = "mend what the message names; until then the last good rows are served";
            Some((view.name.clone(), message, vec![hint.to_owned()]))
        });
        failing.collect()
    }
}

fn network_finding(place: &CachePlace) -> Vec<Finding> {
    if place.is_local {
        return Vec::new();
    }
    let message = format!(
        "the cache lies on a network disk: `{}`",
        place.database.display()
    );
    let hint = "name a folder on a local disk: `sm config set cache.path FOLDER`, then `sm daemon restart`";
    vec![(String::new(), message, vec![hint.to_owned()])]
}

/// What is wrong with a collection, with its place.
pub(super) fn first_problem(view: &CollectionView) -> String {
    let Some(problem) = view.problems.first() else {
        return String::new();
    };
    let Some(path) = &problem.path else {
        return problem.message.clone();
    };
    let place = format!("{}/{path}", view.path);
    if problem.message.contains(&place) {
        return problem.message.clone();
    }
    let line = problem
        .line
        .map(|line| format!(":{line}"))
        .unwrap_or_default();
    format!("{place}{line}: {}", problem.message)
}

fn link_finding(view: &CollectionView, outside: &[&str]) -> Option<Finding> {
    let folders: Vec<String> = outside.iter().map(|folder| format!("`{folder}`")).collect();
    (!folders.is_empty()).then(|| {
        (
            view.name.clone(),
            format!(
                "{} of `{}` leads out of the collection and is not read",
                folders.join(", "),
                view.name
            ),
            vec![
                "make it a folder, or name the collection that it leads to as `collection.path`"
                    .to_owned(),
            ],
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_on_a_network_disk_is_told() {
        let place = |is_local| CachePlace {
            database: "/net/cache/skillmeatd.db".into(),
            is_local,
        };
        assert_eq!(network_finding(&place(true)), []);
        let health = health::Health::new(std::sync::Arc::new(skillmeat_shared::time::SystemClock));
        health.replace(&CACHE_ON_NETWORK_DISK, network_finding(&place(false)));
        let told = health.current();
        assert_eq!(told[0].code, "cache-on-network-disk");
        assert!(
            told[0].message.contains("`/net/cache/skillmeatd.db`"),
            "{told:?}"
        );
    }
}
