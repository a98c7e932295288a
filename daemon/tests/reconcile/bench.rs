//! A collection with a store and a clock of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use skillmeat_shared::Result;
use skillmeat_shared::reconcile::{Context, Report, Scope, Target, reconcile};
use skillmeat_shared::time::{Clock, SystemClock, Timestamp};
use skillmeatd::store::{Store, artifact};
use tempfile::TempDir;

pub(crate) const ALL: Scope = Scope::WHOLE;

/// A clock that runs ahead, so that files count as old without waiting for them to age.
pub(crate) struct Ahead(pub(crate) AtomicI64);

impl Default for Ahead {
    fn default() -> Self {
        Self(AtomicI64::new(10_000_000_000))
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Ahead,
}

impl Bench {
    /// A collection whose manifest holds these entries.
    pub(crate) fn new(entries: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("cache.db"), true).unwrap();
        let clock = Ahead::default();
        let bench = Self {
            folder,
            store: Arc::new(store),
            clock,
        };
        bench.manifest(entries);
        bench
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("c")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn manifest(&self, entries: &str) {
        let text = format!("[collection]\nname = \"c\"\nversion = \"1.0.0\"\n{entries}");
        self.write("collection.toml", &text);
    }

    pub(crate) fn skill(&self, name: &str, description: &str) {
        let text = format!("---\nname: {name}\ndescription: {description}\n---\nbody of {name}\n");
        self.write(&format!("skills/{name}/SKILL.md"), &text);
    }

    pub(crate) fn pass(&self, scope: &Scope) -> Report {
        pass(&self.store, &self.root(), &self.clock, scope).unwrap()
    }

    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        texts(&self.store, sql)
    }

    /// Every artifact with its path, status, and whether it is invalidated.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.texts(
            "SELECT kind || ':' || name || ' ' || path || ' ' || status || ' ' || invalidated
             FROM artifact ORDER BY kind, name COLLATE BINARY, path",
        )
    }

    pub(crate) fn invalidate(&self) {
        self.store
            .write(|transaction| artifact::invalidate(transaction, "c", None))
            .unwrap();
    }
}

pub(crate) fn pass(store: &Store, root: &Path, clock: &Ahead, scope: &Scope) -> Result<Report> {
    pass_during(store, root, clock, scope, &|| {})
}

/// A pass during which something happens after the folders were listed.
pub(crate) fn pass_during(
    store: &Store,
    root: &Path,
    clock: &Ahead,
    scope: &Scope,
    happens: &(dyn Fn() + Sync),
) -> Result<Report> {
    let target = Target {
        name: "c".to_owned(),
        path: root.to_owned(),
        external: false,
    };
    let context = Context {
        clock,
        threads: 2,
        is_cancelled: &|| {
            happens();
            false
        },
    };
    reconcile(&target, store, scope, &context)
}

/// What a query gives, row by row.
pub(crate) fn texts(store: &Store, sql: &str) -> Vec<String> {
    let read = store.read(|connection| {
        connection
            .prepare(sql)?
            .query_map([], |row| row.get(0))?
            .collect()
    });
    read.unwrap()
}

pub(crate) fn paths(names: &[&str]) -> Scope {
    Scope::Paths(
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>(),
    )
}
