//! Every key of the config, as data.

use super::value::{Kind, Unit};

/// One key: what it is, where else its value may come from, and what it means.
#[derive(Debug)]
pub struct Key {
    /// The dotted name. The only one that is written.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// The value when nothing sets it, as a person would type it.
    pub default: Option<&'static str>,
    /// Environment variables that override the file, the strongest first.
    pub env: &'static [(&'static str, Unit)],
    /// Other names under which the file may hold it, the strongest first; all weaker than `name`.
    pub aliases: &'static [(&'static str, Unit)],
    /// Whether the value may not be shown.
    pub secret: bool,
    /// Whether this version acts on it. The others are checked, kept and shown.
    pub used: bool,
    /// What it means, in one line.
    pub description: &'static str,
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    description: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default,
        env: &[],
        aliases: &[],
        secret: false,
        used: true,
        description,
    }
}

/// A key that only the ancestor acts on.
const fn kept(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    description: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default,
        env: &[],
        aliases: &[],
        secret: false,
        used: false,
        description,
    }
}

/// A table of which every key is kept as it is.
const fn open(name: &'static str, description: &'static str) -> Key {
    kept(name, Kind::Open, None, description)
}

/// All keys, in the order in which they are listed.
pub const KEYS: &[Key] = &[
    Key {
        aliases: &[("default-collection", Unit::Plain)],
        ..key(
            "settings.default-collection",
            Kind::Name,
            Some("default"),
            "the collection that commands use",
        )
    },
    kept(
        "settings.update-strategy",
        Kind::Choice(&["prompt", "upstream", "local"]),
        Some("prompt"),
        "what an update does with local edits",
    ),
    Key {
        env: &[
            ("SKILLMEAT_GITHUB_TOKEN", Unit::Plain),
            ("GITHUB_TOKEN", Unit::Plain),
        ],
        aliases: &[("github-token", Unit::Plain), ("github.token", Unit::Plain)],
        secret: true,
        used: false,
        ..key(
            "settings.github-token",
            Kind::Text,
            None,
            "the token for GitHub",
        )
    },
    Key {
        env: &[("SKILLMEAT_COLLECTION_PATH", Unit::Plain)],
        ..key(
            "collection.path",
            Kind::Path,
            None,
            "one more collection folder, outside the home",
        )
    },
    Key {
        env: &[("SKILLMEAT_CACHE_PATH", Unit::Plain)],
        ..key(
            "cache.path",
            Kind::Path,
            None,
            "the folder of the cache, if not the home's own; takes effect at the next start",
        )
    },
    Key {
        env: &[("SKILLMEAT_CACHE_METADATA_TTL", Unit::Plain)],
        ..key(
            "cache.metadata_ttl",
            Kind::Duration { min: 1, max: YEAR },
            Some("30m"),
            "how long a cached artifact counts as fresh",
        )
    },
    Key {
        env: &[("SKILLMEAT_CACHE_TTL_HOURS", Unit::Hours)],
        aliases: &[("api.cache_ttl_hours", Unit::Hours)],
        ..key(
            "cache.ttl",
            Kind::Duration { min: 1, max: YEAR },
            Some("6h"),
            "how long a fact from upstream counts as fresh",
        )
    },
    key(
        "cache.max_size_mb",
        Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        Some("500"),
        "how large the cache may become, in MB",
    ),
    key(
        "history.max_file_mb",
        Kind::Integer {
            min: 0,
            max: 10_000,
        },
        Some("16"),
        "the largest file whose changes by other programs are kept, in MB",
    ),
    Key {
        env: &[("SKILLMEAT_LOG_LEVEL", Unit::Plain)],
        aliases: &[("api.log_level", Unit::Plain)],
        ..key(
            "log.level",
            Kind::Level,
            Some("info"),
            "how much the daemon logs",
        )
    },
    key(
        "log.max_size_mb",
        Kind::Integer {
            min: 1,
            max: 10_000,
        },
        Some("10"),
        "when a new log file begins, in MB",
    ),
    key(
        "log.max_files",
        Kind::Integer { min: 1, max: 100 },
        Some("5"),
        "how many old log files are kept",
    ),
    key(
        "watch.settle_ms",
        Kind::Integer {
            min: 1,
            max: 10_000,
        },
        Some("50"),
        "how long a file must be quiet before it is read again, in ms",
    ),
    key(
        "watch.max_delay_ms",
        Kind::Integer {
            min: 1,
            max: 60_000,
        },
        Some("2000"),
        "how long a busy file may put that off, in ms",
    ),
    key(
        "watch.backend",
        Kind::Choice(&["auto", "native", "poll"]),
        Some("auto"),
        "how changes are noticed: told by the kernel, by looking, or as the disk needs",
    ),
    key(
        "watch.poll_interval",
        Kind::Duration { min: 1, max: HOUR },
        Some("30s"),
        "how often folders are looked at whose changes nobody tells",
    ),
    key(
        "daemon.drain_timeout",
        Kind::Duration { min: 0, max: 15 },
        Some("10s"),
        "how long open calls may take to end at shutdown",
    ),
    key(
        "daemon.autostart",
        Kind::Bool,
        Some("true"),
        "whether commands start the daemon",
    ),
    key(
        "daemon.self_check",
        Kind::Duration { min: 1, max: 3_600 },
        Some("1m"),
        "how often the daemon looks after itself; takes effect at the next start",
    ),
    key(
        "daemon.idle_exit",
        Kind::Duration { min: 0, max: YEAR },
        Some("30m"),
        "after how long without a call the daemon ends; unless set, only one that watches nothing; 0 is never",
    ),
    key(
        "daemon.memory_soft_mb",
        Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        Some("512"),
        "above how much memory the daemon drops its caches, in MB; 0 is no limit",
    ),
    key(
        "daemon.memory_hard_mb",
        Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        Some("2048"),
        "above how much memory the daemon ends, to be started anew, in MB; 0 is no limit",
    ),
    key(
        "history.keep_days",
        Kind::Integer {
            min: 1,
            max: 36_500,
        },
        Some("90"),
        "how long changes can be undone, in days",
    ),
    key(
        "history.max_size_mb",
        Kind::Integer {
            min: 16,
            max: 1_000_000,
        },
        Some("2048"),
        "how large the history may become, in MB: then the oldest changes go first; snapshots stay",
    ),
    key(
        "snapshot.schedule",
        Kind::Choice(&["off", "hourly", "daily", "weekly"]),
        Some("daily"),
        "how often snapshots are made by themselves, of collections that changed",
    ),
    key(
        "snapshot.keep_last",
        KEEP,
        Some("5"),
        "automatic snapshots that are kept: the newest",
    ),
    key(
        "snapshot.keep_daily",
        KEEP,
        Some("7"),
        "the newest of each day, for so many days",
    ),
    key(
        "snapshot.keep_weekly",
        KEEP,
        Some("4"),
        "the newest of each week, for so many weeks",
    ),
    key(
        "snapshot.keep_monthly",
        KEEP,
        Some("12"),
        "the newest of each month, for so many months",
    ),
    kept(
        "analytics.enabled",
        Kind::Bool,
        Some("true"),
        "whether use is counted",
    ),
    kept(
        "analytics.retention-days",
        Kind::Integer {
            min: 0,
            max: 36_500,
        },
        Some("90"),
        "how long counts are kept, in days; 0 keeps them all",
    ),
    kept(
        "analytics.db-path",
        Kind::Text,
        None,
        "the file of the counts",
    ),
    kept(
        "artifact_search.indexing_mode",
        Kind::Choice(&["off", "on", "opt_in"]),
        Some("opt_in"),
        "which projects are indexed",
    ),
    kept(
        "api.base_url",
        Kind::Text,
        Some("http://localhost:8080"),
        "where the API server is",
    ),
    Key {
        env: &[("SKILLMEAT_API_HOST", Unit::Plain)],
        ..kept("api.host", Kind::Text, None, "where the API server listens")
    },
    Key {
        env: &[("SKILLMEAT_API_PORT", Unit::Plain)],
        ..kept(
            "api.port",
            Kind::Integer {
                min: 0,
                max: 65_535,
            },
            None,
            "the port of the API server",
        )
    },
    Key {
        env: &[("SKILLMEAT_CORS_ORIGINS", Unit::Plain)],
        ..kept(
            "api.cors_origins",
            Kind::List,
            None,
            "who may call the API server from a browser",
        )
    },
    key(
        "search.project-roots",
        Kind::List,
        None,
        "folders below which `sm adopt` looks for projects",
    ),
    key(
        "search.max-depth",
        Kind::Integer { min: 0, max: 100 },
        Some("3"),
        "how many folders deep it looks",
    ),
    key(
        "search.exclude-dirs",
        Kind::List,
        Some("node_modules,.venv,venv,.git,__pycache__"),
        "names of folders that it leaves out",
    ),
    kept(
        "collection.scope",
        Kind::Choice(&["personal", "team", "admin"]),
        None,
        "whose collection it is",
    ),
    kept(
        "collection.scope_team",
        Kind::Text,
        None,
        "the team of a team's collection",
    ),
    open("scoring", "weights of the scores"),
    open("similarity", "thresholds and colours of similarity"),
    open("platform", "settings of the platforms"),
    open("instances", "servers"),
    open("deployment", "deployment profiles"),
    open("assembly", "assembly of recipes"),
    open("memory", "memory of projects"),
];

/// How many automatic snapshots may be kept by one rule.
const KEEP: Kind = Kind::Integer {
    min: 0,
    max: 10_000,
};

/// In seconds.
const YEAR: u64 = 366 * 86_400;

/// In seconds.
const HOUR: u64 = 3_600;

/// The key with this name or alias.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name).or_else(|| {
        KEYS.iter()
            .find(|key| key.aliases.iter().any(|(alias, _)| *alias == name))
    })
}

/// The open table that this name lies in.
pub fn open_table(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        key.kind == Kind::Open
            && name
                .strip_prefix(key.name)
                .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The key that somebody who wrote `name` probably meant.
pub fn nearest(name: &str) -> Option<&'static str> {
    let wanted = name.to_ascii_lowercase().replace('_', "-");
    let last = wanted.rsplit('.').next().unwrap_or_default();
    KEYS.iter()
        .flat_map(|key| {
            let aliases = key.aliases.iter().map(|(alias, _)| *alias);
            std::iter::once(key.name)
                .chain(aliases)
                .map(move |spelled| (key.name, spelled))
        })
        .map(|(name, spelled)| {
            let spelled = spelled.replace('_', "-");
            let tail = spelled.rsplit('.').next().unwrap_or_default();
            let whole = strsim::normalized_damerau_levenshtein(&wanted, &spelled);
            // `log_lvl` or `ttl` means the key with such an end, but less surely so.
            let end = strsim::normalized_damerau_levenshtein(last, tail) * 0.9;
            (name, whole.max(end))
        })
        .filter(|(_, likeness)| *likeness >= 0.6)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_described() {
        let mut seen = std::collections::BTreeSet::new();
        for key in KEYS {
            assert!(seen.insert(key.name), "{}", key.name);
            assert!(!key.description.is_empty());
            for (alias, _) in key.aliases {
                assert!(seen.insert(*alias), "{alias}");
            }
        }
    }

    #[test]
    fn every_default_is_a_value_of_its_key() {
        for key in KEYS {
            if let Some(text) = key.default {
                key.kind
                    .parse(text, Unit::Plain)
                    .unwrap_or_else(|why| panic!("{}: {why}", key.name));
            }
        }
    }

    #[test]
    fn slips_lead_to_the_key_that_was_meant() {
        let cases = [
            ("cache.metadata_tll", "cache.metadata_ttl"),
            ("cache.metadata-ttl", "cache.metadata_ttl"),
            ("settings.default_collection", "settings.default-collection"),
            ("defaultcollection", "settings.default-collection"),
            ("github_token", "settings.github-token"),
            ("log_level", "log.level"),
            ("watch.settle", "watch.settle_ms"),
        ];
        for (typed, meant) in cases {
            assert_eq!(nearest(typed), Some(meant), "{typed}");
        }
        assert_eq!(nearest("qqqqqqqqqqqqqqq"), None);
    }
}
