//! Everything that can be wrong with a daemon.

use std::time::Duration;

use super::{Severity, Warnable};

/// Defines one constant for each, and the table of all.
macro_rules! warnables {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident, $after:expr, [$($cause:literal),*], stops: $stops:literal;)*) => {
        $(
            $(#[$doc])*
            pub static $name: Warnable = Warnable {
                code: $code,
                severity: Severity::$severity,
                visible_after: $after,
                depends_on: &[$($cause),*],
                stops_serving: $stops,
            };
        )*

        /// Every warnable, by its code.
        pub static ALL: &[&Warnable] = &[$(&$name),*];
    };
}

/// Seen at once: it does not go away by itself.
const AT_ONCE: Duration = Duration::ZERO;

/// Seen after a moment: a file that is being saved, a folder that is being replaced.
const SOON: Duration = Duration::from_millis(500);

warnables! {
    /// The texts of some artifacts left the search index to save space.
    CACHE_EVICTED = "cache-evicted", Warning, AT_ONCE, ["cache-unavailable"], stops: false;
    /// The cache lies where SQLite's shared memory can't be used.
    CACHE_ON_NETWORK_DISK = "cache-on-network-disk", Warning, AT_ONCE, [], stops: false;
    /// The cache was damaged and built anew, not long ago.
    CACHE_REPLACED = "cache-replaced", Info, AT_ONCE, ["cache-unavailable"], stops: false;
    /// The cache can't be opened.
    CACHE_UNAVAILABLE = "cache-unavailable", Error, AT_ONCE, [], stops: true;
    /// A manifest can't be read. Subject: the collection.
    COLLECTION_BROKEN = "collection-broken", Error, SOON, ["cache-unavailable", "collection-unreachable"], stops: false;
    /// A folder of a collection leads out of it. Subject: the collection.
    COLLECTION_LINKED_OUT = "collection-linked-out", Warning, AT_ONCE, ["cache-unavailable", "collection-unreachable"], stops: false;
    /// A collection has no manifest. Subject: the collection.
    COLLECTION_NO_MANIFEST = "collection-no-manifest", Warning, SOON, ["cache-unavailable", "collection-unreachable"], stops: false;
    /// A collection's folder is gone. Subject: the collection.
    COLLECTION_UNREACHABLE = "collection-unreachable", Error, SOON, ["cache-unavailable"], stops: false;
    /// A collection could not be compared with its files. Subject: the collection.
    COLLECTION_UNREADABLE = "collection-unreadable", Error, SOON, ["cache-unavailable", "collection-unreachable", "disk-full"], stops: false;
    /// The config has a mistake. Subject: the key or the place.
    CONFIG_INVALID = "config-invalid", Warning, AT_ONCE, [], stops: false;
    /// There is no room on the disk that holds the cache.
    DISK_FULL = "disk-full", Error, AT_ONCE, [], stops: false;
    /// What the history has to keep is more than it may hold.
    HISTORY_ABOVE_LIMIT = "history-above-limit", Warning, AT_ONCE, ["cache-unavailable"], stops: false;
    /// The history is gone, or a part of it.
    HISTORY_LOST = "history-lost", Warning, AT_ONCE, [], stops: false;
    /// The history was damaged, put aside and begun anew.
    HISTORY_REPLACED = "history-replaced", Warning, AT_ONCE, [], stops: false;
    /// The history can't be used.
    HISTORY_UNUSABLE = "history-unusable", Error, AT_ONCE, ["home-read-only"], stops: false;
    /// Nothing can be written in the home.
    HOME_READ_ONLY = "home-read-only", Warning, AT_ONCE, [], stops: false;
    /// The log can't be written.
    LOG_UNWRITABLE = "log-unwritable", Warning, AT_ONCE, ["disk-full", "home-read-only"], stops: false;
    /// The process takes more memory than it should.
    MEMORY_HIGH = "memory-high", Warning, AT_ONCE, [], stops: false;
    /// Something else stands in the place of a folder of the home. Subject: its path.
    NOT_A_FOLDER = "not-a-folder", Error, AT_ONCE, [], stops: false;
    /// Snapshots are not whole any more. Subject: the collection.
    SNAPSHOT_DAMAGED = "snapshot-damaged", Error, AT_ONCE, [], stops: false;
    /// The program was replaced on disk while it runs.
    STALE_BINARY = "stale-binary", Warning, AT_ONCE, [], stops: false;
    /// A task panicked and waits to be started again. Subject: the task.
    TASK_FAILED = "task-failed", Warning, AT_ONCE, [], stops: false;
    /// A folder can't be watched. Subject: the collection.
    WATCH_FAILED = "watch-failed", Warning, SOON, ["collection-unreachable"], stops: false;
    /// The kernel watches no further folder, so a collection is looked at instead. Subject: the collection.
    WATCH_LIMIT = "watch-limit", Warning, SOON, ["collection-unreachable"], stops: false;
    /// The kernel's events don't arrive, so collections are looked at instead.
    WATCH_SILENT = "watch-silent", Warning, SOON, [], stops: false;
}
