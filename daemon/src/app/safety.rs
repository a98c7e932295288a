//! What keeps rows true although nobody told of a change: passes over everything every hour, after a sleep
//! and after a set clock, and a look whether those who should tell still do.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use skillmeat_shared::collection::{LOCK, MANIFEST};
use skillmeat_shared::health::{Finding, Health, WATCH_FAILED, WATCH_LIMIT, WATCH_SILENT};
use skillmeat_shared::reconcile::Scope;

use super::{App, FullPass};
use crate::jobs::jump::Clocks;
use crate::watch::{RootState, State, Trouble};

impl App {
    /// Has everything looked at when the machine has slept or its clock was set.
    pub(super) fn watch_the_clock(self: &Arc<Self>) {
        let mut clocks = Clocks::new(self.now(), Instant::now());
        let app = Arc::downgrade(self);
        self.boot.self_check.add(move |_| {
            if let Some(app) = app.upgrade()
                && let Some(jump) = clocks.look(app.now(), Instant::now())
            {
                tracing::info!(target: "schedule", ?jump, "the clocks came apart");
                let runtime = app.boot.supervisor.runtime().clone();
                // Detached: whoever checks has no time to wait.
                drop(runtime.spawn_blocking(move || app.look_at_everything(jump.reason())));
            }
        });
    }

    /// Has what tells nobody of a change looked at every time the process looks after itself.
    pub(super) fn watch_the_mute(self: &Arc<Self>) {
        let app = Arc::downgrade(self);
        self.boot.self_check.add(move |_| {
            if let Some(app) = app.upgrade() {
                let runtime = app.boot.supervisor.runtime().clone();
                // Detached: whoever checks has no time to wait.
                drop(runtime.spawn_blocking(move || app.look_at_the_mute()));
            }
        });
    }

    /// Folders behind other links or below other disks than before; manifests and lock files elsewhere, behind links.
    fn look_at_the_mute(&self) {
        let Some(watcher) = self.watcher.get() else {
            return;
        };
        watcher.look_at_places();
        for root in watcher.status() {
            let has_link = |folder: &Path| {
                let found = [MANIFEST, LOCK].map(|name| folder.join(name).symlink_metadata());
                let mut found = found.into_iter().flatten();
                found.any(|found| found.is_symlink())
            };
            if self.reach.through(&root.path, has_link) == Some(true) {
                let manifest = Scope::Paths([MANIFEST.to_owned()].into());
                self.ingest.submit(&root.name, manifest, "watch");
            }
        }
    }

    /// Asks for passes over all collections, and finds out whether they are watched as they should be.
    pub(super) fn look_at_everything(&self, reason: &'static str) {
        for (root, _) in self.roots() {
            self.reach.ask(&root.path);
            self.ingest.submit(&root.name, Scope::WHOLE, reason);
        }
        let all_answer = self
            .roots()
            .iter()
            .all(|(root, _)| root.state == State::Unresponsive || self.reach.answers(&root.path));
        if let Some(watcher) = self.watcher.get().filter(|_| all_answer) {
            // Otherwise the passes find out which does not, and have it left alone.
            watcher.check();
        }
    }

    /// Watched folders, and when each was last compared as a whole.
    pub fn roots(&self) -> Vec<(RootState, Option<FullPass>)> {
        let Some(watcher) = self.watcher.get() else {
            return Vec::new();
        };
        let mut roots = watcher.status();
        let silent = self.silent_roots();
        roots.retain(|root| silent.iter().all(|other| other.name != root.name));
        roots.extend(silent);
        roots.sort_by(|a, b| a.name.cmp(&b.name));
        let table = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        roots
            .into_iter()
            .map(|root| {
                let pass = table.full_pass(&root.name);
                (root, pass)
            })
            .collect()
    }

    /// Tells the register which collections nobody watches, or not as they should be.
    pub(super) fn tell_of_watches(&self, health: &Health) {
        let roots: Vec<RootState> = self.roots().into_iter().map(|(root, _)| root).collect();
        let of = |finding: fn(&RootState) -> Option<Finding>| {
            roots.iter().filter_map(finding).collect::<Vec<_>>()
        };
        health.replace(&WATCH_LIMIT, of(limit));
        health.replace(&WATCH_FAILED, of(failure));
        let silent = roots
            .iter()
            .any(|root| root.trouble == Some(Trouble::Silent));
        let silence = silent.then(|| {
            let message = "the kernel's events don't arrive; collections are looked at every \
                           `watch.poll_interval` instead";
            let hint = "the kernel is asked again every hour; `sm daemon restart` asks at once";
            (String::new(), message.to_owned(), vec![hint.to_owned()])
        });
        health.replace(&WATCH_SILENT, silence.into_iter().collect());
    }
}

/// How a limit of the kernel is raised.
const RAISE: [&str; 2] = [
    "raise the limit: `sudo sysctl fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=1024`",
    "keep it: write the same two settings into a file of `/etc/sysctl.d/`",
];

fn limit(root: &RootState) -> Option<Finding> {
    let Some(Trouble::Limit { needed }) = root.trouble else {
        return None;
    };
    (root.state == State::Watching).then(|| {
        let number = match needed {
            0 => String::new(),
            needed => format!("{needed} "),
        };
        let message = format!(
            "`{}` needs {number}watches, and {}; it is looked at every `watch.poll_interval` instead",
            root.path.display(),
            root.reason
        );
        (root.name.clone(), message, RAISE.map(str::to_owned).to_vec())
    })
}

fn failure(root: &RootState) -> Option<Finding> {
    (root.state == State::Failed).then(|| {
        let message = format!(
            "`{}` can't be watched: {}",
            root.path.display(),
            root.reason
        );
        let is_limit = matches!(root.trouble, Some(Trouble::Limit { .. }));
        let raise: &[&str] = if is_limit { &RAISE } else { &[] };
        let late = "until then changes are seen only every `cache.metadata_ttl`";
        let hints = raise.iter().chain([&late]).map(|hint| (*hint).to_owned());
        (root.name.clone(), message, hints.collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::By;

    fn root(state: State, trouble: Option<Trouble>) -> RootState {
        RootState {
            name: "work".to_owned(),
            path: "/c/work".into(),
            state,
            by: By::Poll,
            trouble,
            last_event_at: None,
            reason: "the limit is reached (8192)".to_owned(),
            events: 0,
            echoes: 0,
            overflows: 0,
        }
    }

    #[test]
    fn the_limit_tells_what_is_needed_and_how_to_raise_it() {
        let limited = root(State::Watching, Some(Trouble::Limit { needed: 12_000 }));
        let (subject, message, hints) = limit(&limited).unwrap();
        assert_eq!(subject, "work");
        assert!(
            message.contains("12000") && message.contains("8192"),
            "{message}"
        );
        assert!(hints[0].contains("max_user_watches"), "{hints:?}");
        assert_eq!(failure(&limited), None);
        let refused = root(State::Failed, Some(Trouble::Limit { needed: 0 }));
        assert_eq!(limit(&refused), None, "nobody looks at it instead");
        let (_, message, hints) = failure(&refused).unwrap();
        assert!(message.contains("can't be watched"), "{message}");
        assert!(hints[0].contains("max_user_watches"), "{hints:?}");
    }

    #[test]
    fn only_what_is_not_watched_at_all_has_failed() {
        assert!(failure(&root(State::Failed, Some(Trouble::Refused))).is_some());
        assert!(failure(&root(State::Failed, None)).is_some());
        for state in [State::Watching, State::Missing] {
            assert_eq!(failure(&root(state, Some(Trouble::Silent))), None);
            assert_eq!(limit(&root(state, None)), None);
        }
    }
}
