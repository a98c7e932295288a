//! The config: what a person sets, where each value comes from, and what is wrong with it.
//!
//! Layers, the strongest first: environment, `config.toml`, default. A value that can't be used is reported
//! and the next layer counts, so that a slip in the file never stops the program. The file is edited, never
//! rewritten: comments, order and unknown keys stay.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::history::retention::Retention;
use crate::{Code, Error, Result};

pub mod duration;
mod edit;
pub mod keys;
mod load;
pub mod record;
mod tables;
pub mod value;

pub use edit::{check, default_text, protect, set, turn, unset, with, without};
pub use load::load;
pub use value::{Level, Secret, mask};

/// The values that the program acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The collection that commands use.
    pub default_collection: String,
    /// The token for GitHub.
    pub github_token: Option<Secret>,
    /// One more collection folder, absolute.
    pub collection_path: Option<PathBuf>,
    /// The folder of the cache, if it is not the home's own.
    pub cache_path: Option<PathBuf>,
    /// How long a cached artifact counts as fresh.
    pub cache_metadata_ttl: Duration,
    /// How long a fact from upstream counts as fresh.
    pub cache_ttl: Duration,
    /// How large the cache may become, in MB.
    pub cache_max_size_mb: u64,
    /// The largest file of which changes by other programs are kept, MB.
    pub history_max_file_mb: u64,
    /// How much is logged.
    pub log_level: Level,
    /// When a new log file begins, in MB.
    pub log_max_size_mb: u64,
    /// How many old log files are kept.
    pub log_max_files: u32,
    /// How long a file must be quiet before it is read again.
    pub watch_settle: Duration,
    /// How long a busy file may put that off. Never less than `watch_settle`.
    pub watch_max_delay: Duration,
    /// How changes are noticed.
    pub watch_backend: WatchBackend,
    /// How often folders are looked at whose changes nobody tells.
    pub watch_poll_interval: Duration,
    /// How long open calls may take to end at shutdown.
    pub daemon_drain_timeout: Duration,
    /// Whether commands start the daemon.
    pub daemon_autostart: bool,
    /// How often the daemon looks after itself.
    pub daemon_self_check: Duration,
    /// After how long without a call the daemon ends; zero is never.
    pub daemon_idle_exit: Duration,
    /// Above how much memory the daemon drops its caches, in MB; zero is no limit.
    pub daemon_memory_soft_mb: u64,
    /// Above how much memory the daemon ends, in MB; zero is no limit.
    pub daemon_memory_hard_mb: u64,
    /// Folders below which projects are looked for.
    pub search_project_roots: Vec<PathBuf>,
    /// How many folders deep.
    pub search_max_depth: usize,
    /// Names of folders that are left out.
    pub search_exclude_dirs: Vec<String>,
    /// How long changes can be undone, in days.
    pub history_keep_days: u64,
    /// How large the history may become, in MB.
    pub history_max_size_mb: u64,
    /// How often snapshots are made by themselves; zero is never.
    pub snapshot_schedule: Duration,
    /// Which automatic snapshots are kept.
    pub snapshot_retention: Retention,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            default_collection: "default".to_owned(),
            github_token: None,
            collection_path: None,
            cache_path: None,
            cache_metadata_ttl: Duration::from_mins(30),
            cache_ttl: Duration::from_hours(6),
            cache_max_size_mb: 500,
            history_max_file_mb: 16,
            log_level: Level::Info,
            log_max_size_mb: 10,
            log_max_files: 5,
            watch_settle: Duration::from_millis(50),
            watch_max_delay: Duration::from_secs(2),
            watch_backend: WatchBackend::Auto,
            watch_poll_interval: Duration::from_secs(30),
            daemon_drain_timeout: Duration::from_secs(10),
            daemon_autostart: true,
            daemon_self_check: Duration::from_mins(1),
            daemon_idle_exit: Duration::from_mins(30),
            daemon_memory_soft_mb: 512,
            daemon_memory_hard_mb: 2_048,
            search_project_roots: Vec::new(),
            search_max_depth: 3,
            search_exclude_dirs: ["node_modules", ".venv", "venv", ".git", "__pycache__"]
                .map(str::to_owned)
                .into(),
            history_keep_days: 90,
            history_max_size_mb: 2_048,
            snapshot_schedule: Duration::from_hours(24),
            snapshot_retention: Retention {
                last: 5,
                daily: 7,
                weekly: 4,
                monthly: 12,
            },
        }
    }
}

/// How changes of files are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WatchBackend {
    /// The kernel tells them. Where its disk can't, or its limit is reached, we look.
    #[default]
    Auto,
    /// The kernel tells them, or nobody.
    Native,
    /// We look every so often.
    Poll,
}

impl WatchBackend {
    /// What a word of the config means; what is none counts as the default.
    fn parse(word: &str) -> Self {
        match word {
            "native" => Self::Native,
            "poll" => Self::Poll,
            _ => Self::Auto,
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nothing sets it.
    Default,
    /// The file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        name: String,
    },
}

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The dotted name.
    pub key: String,
    /// The value; durations and levels as texts, null if there is none. A secret is masked already.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it is a secret.
    pub secret: bool,
    /// What it means; empty for keys inside tables that are only kept.
    pub description: &'static str,
    /// What its value must be, in a word.
    pub kind: &'static str,
    /// Whether this version acts on it.
    pub used: bool,
}

/// The config as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Every key with its value: the known ones in the order of [`keys::KEYS`], then what the tables that
    /// are only kept hold.
    pub settings: Vec<Setting>,
    /// What is wrong with the file and the environment.
    pub problems: Vec<Error>,
}

impl Loaded {
    /// The setting with this name, in any of its spellings; or all of a table that is only kept.
    ///
    /// # Errors
    /// [`Code::ConfigUnknownKey`], with the name that was probably meant.
    pub fn setting(&self, name: &str) -> Result<Cow<'_, Setting>> {
        let known = keys::find(name).map_or(tables::spelled(name), |key| key.name);
        let found = self.settings.iter().find(|setting| setting.key == known);
        found
            .map(Cow::Borrowed)
            .or_else(|| tables::gathered(&self.settings, known).map(Cow::Owned))
            .ok_or_else(|| unknown_key(name))
    }
}

fn unknown_key(name: &str) -> Error {
    let error = Error::new(
        Code::ConfigUnknownKey,
        format!("there is no config key `{name}`"),
    );
    match keys::nearest(name) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("run `sm config list` to see the keys"),
    }
}

#[cfg(test)]
mod tests;
