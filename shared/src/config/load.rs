//! Reading the config.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::keys::{self, KEYS, Key};
use super::value::{Kind, Level, Secret, Unit, mask};
use super::{Config, Loaded, Origin, Setting, WatchBackend, duration, tables, unknown_key};
use crate::document::{self, Lines, SyntaxError};
use crate::paths::{Environment, Home, expand_tilde};
use crate::{Code, Error};

/// The largest config that is read, in bytes.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// Reads the config. Never fails: what is wrong stands in the problems, and the next layer counts.
pub fn load(home: &Home, env: &dyn Environment) -> Loaded {
    let path = home.config();
    let mut problems = Vec::new();
    let text = match crate::fs::read_bounded(&path, MAX_BYTES) {
        Ok(bytes) => match document::decode(&bytes) {
            Ok(text) => text.to_owned(),
            Err(error) => {
                problems.push(syntax(&path, &error));
                String::new()
            }
        },
        Err(error) if error.code == Code::FileNotFound => String::new(),
        Err(error) => {
            let hint = if path.metadata().is_ok_and(|found| !found.is_file()) {
                "move what stands there away"
            } else {
                "mend its rights: until it can be read the defaults are used"
            };
            let error = Error::new(Code::ConfigInvalid, error.message);
            problems.push(error.hint(hint).at(&path, None));
            String::new()
        }
    };
    evaluate(&path, &text, env, problems)
}

/// What a config file with this text would mean in this environment.
pub(super) fn evaluate(
    path: &Path,
    text: &str,
    env: &dyn Environment,
    mut problems: Vec<Error>,
) -> Loaded {
    let lines = Lines::of(text);
    let parsed = document::parse(text, &lines);
    let mut found = Found::default();
    match &parsed {
        Ok(table) => found.collect("", table.get_ref(), &lines),
        Err(error) => problems.push(syntax(path, error)),
    }
    let mut config = Config::default();
    let mut settings = Vec::new();
    let mut kept = Vec::new();
    for key in KEYS {
        let (value, origin) = layers(key, &found, path, env, &mut problems);
        if key.kind == Kind::Open {
            if let Some((DeValue::Table(table), _)) = found.known.get(key.name) {
                let wrong = tables::wrong(key.name, table, &lines);
                problems.extend(wrong.into_iter().map(|one| unfit(one, path)));
            }
            flatten(key.name, &value, &origin, &mut kept);
            continue;
        }
        let value = apply(&mut config, key, value, env);
        settings.push(Setting {
            key: key.name.to_owned(),
            value,
            origin,
            secret: key.secret,
            description: key.description,
            kind: key.kind.as_str(),
            used: key.used,
        });
    }
    settings.append(&mut kept);
    config.watch_max_delay = config.watch_max_delay.max(config.watch_settle);
    for (name, line) in &found.unknown {
        let table = format!("{name}.");
        let error = if KEYS.iter().any(|key| key.name.starts_with(&table)) {
            Error::new(
                Code::ConfigInvalid,
                format!("`{name}` in the config must be a table"),
            )
            .hint(format!(
                "write `[{name}]` on a line of its own, and its keys below"
            ))
        } else {
            unknown_key(name)
        };
        problems.push(error.at(path, Some(*line)));
    }
    problems.sort_by_key(|problem| problem.line);
    Loaded {
        config,
        settings,
        problems,
    }
}

/// The problem of a key in a table that is only kept: name, line, and what it must be.
fn unfit((name, line, wanted): (String, u32, &str), path: &Path) -> Error {
    let message = format!("`{name}` in the config must be {wanted}");
    Error::new(Code::ConfigInvalid, message)
        .hint(format!("mend the line, or run `sm config unset {name}`"))
        .at(path, Some(line))
}

/// The error for a config that is no TOML.
pub(super) fn syntax(path: &Path, error: &SyntaxError) -> Error {
    Error::new(
        Code::ConfigInvalid,
        format!("the config has a syntax error: {}", error.message),
    )
    .hint("mend it with `sm config edit`; the defaults are used until then")
    .at(path, Some(error.line))
}

/// What the file holds: known names with value and line, and the names that nobody knows.
#[derive(Default)]
struct Found<'t, 'a> {
    known: BTreeMap<String, (&'t DeValue<'a>, u32)>,
    unknown: Vec<(String, u32)>,
}

impl<'t, 'a> Found<'t, 'a> {
    fn collect(&mut self, prefix: &str, table: &'t DeTable<'a>, lines: &Lines) {
        for (key, value) in document::in_order(table) {
            let name = match prefix {
                "" => key.get_ref().as_ref().to_owned(),
                _ => format!("{prefix}.{}", key.get_ref()),
            };
            let line = lines.start(&key.span());
            if keys::find(&name).is_some() {
                self.known.insert(name, (value.get_ref(), line));
            } else if let DeValue::Table(inner) = value.get_ref() {
                self.collect(&name, inner, lines);
            } else {
                self.unknown.push((name, line));
            }
        }
    }
}

/// The strongest layer whose value can be used.
fn layers(
    key: &Key,
    found: &Found<'_, '_>,
    path: &Path,
    env: &dyn Environment,
    problems: &mut Vec<Error>,
) -> (Value, Origin) {
    for (name, unit) in key.env {
        let Some(text) = env.var(name).filter(|text| !text.trim().is_empty()) else {
            continue;
        };
        match key.kind.parse(&text, *unit) {
            Ok(value) => {
                return (
                    value,
                    Origin::Environment {
                        name: (*name).to_owned(),
                    },
                );
            }
            Err(wanted) => problems.push(
                Error::new(
                    Code::ConfigInvalid,
                    format!("the environment variable `{name}` can't be used: it must be {wanted}"),
                )
                .hint(format!("unset `{name}`, or give it such a value")),
            ),
        }
    }
    for (name, unit) in std::iter::once(&(key.name, Unit::Plain)).chain(key.aliases) {
        let Some((value, line)) = found.known.get(*name) else {
            continue;
        };
        match key.kind.value_of(value, *unit) {
            // An empty text is how people blank out a value.
            Ok(Value::String(text)) if text.is_empty() => {}
            Ok(value) => {
                return (
                    value,
                    Origin::File {
                        path: path.to_owned(),
                        line: *line,
                    },
                );
            }
            Err(wanted) => {
                let is = shown(key, value);
                problems.push(
                    Error::new(
                        Code::ConfigInvalid,
                        format!(
                            "`{name}` in the config can't be used: it must be {wanted}, but is {is}"
                        ),
                    )
                    .hint(format!(
                        "mend the line, or run `sm config unset {}`",
                        key.name
                    ))
                    .at(path, Some(*line)),
                );
            }
        }
    }
    let value = key
        .default
        .and_then(|text| key.kind.parse(text, Unit::Plain).ok());
    (value.unwrap_or(Value::Null), Origin::Default)
}

/// How a value that can't be used is called in its message.
fn shown(key: &Key, value: &DeValue<'_>) -> String {
    match (key.kind, value) {
        _ if key.secret => document::type_name(value).to_owned(),
        (_, DeValue::String(text)) => format!("`{}`", text.chars().take(60).collect::<String>()),
        (Kind::Integer { .. } | Kind::Duration { .. }, DeValue::Integer(number)) => {
            format!("`{number}`")
        }
        _ => document::type_name(value).to_owned(),
    }
}

/// Puts a value into the config and gives it as it may be shown.
fn apply(config: &mut Config, key: &Key, value: Value, env: &dyn Environment) -> Value {
    let text = value.as_str().unwrap_or_default();
    let number = value.as_u64().unwrap_or_default();
    let span = || duration::parse(text).unwrap_or_default();
    match key.name {
        "settings.default-collection" => text.clone_into(&mut config.default_collection),
        "settings.github-token" if value.is_string() => {
            config.github_token = Some(Secret::new(text.trim()));
            return mask(text.trim()).into();
        }
        "collection.path" | "cache.path" if value.is_string() => {
            let path: PathBuf = expand_tilde(Path::new(text), env);
            let shown = path.to_string_lossy().into_owned();
            let slot = if key.name == "cache.path" {
                &mut config.cache_path
            } else {
                &mut config.collection_path
            };
            *slot = Some(path);
            return shown.into();
        }
        "cache.metadata_ttl" => config.cache_metadata_ttl = span(),
        "cache.ttl" => config.cache_ttl = span(),
        "cache.max_size_mb" => config.cache_max_size_mb = number,
        "history.max_file_mb" => config.history_max_file_mb = number,
        "log.level" => config.log_level = Level::parse(text).unwrap_or(Level::Info),
        "log.max_size_mb" => config.log_max_size_mb = number,
        "log.max_files" => config.log_max_files = u32::try_from(number).unwrap_or(u32::MAX),
        "watch.settle_ms" => config.watch_settle = Duration::from_millis(number),
        "watch.max_delay_ms" => config.watch_max_delay = Duration::from_millis(number),
        "watch.backend" => config.watch_backend = WatchBackend::parse(text),
        "watch.poll_interval" => config.watch_poll_interval = span(),
        "daemon.drain_timeout" => config.daemon_drain_timeout = span(),
        "daemon.idle_exit" => config.daemon_idle_exit = span(),
        "daemon.memory_soft_mb" => config.daemon_memory_soft_mb = number,
        "daemon.memory_hard_mb" => config.daemon_memory_hard_mb = number,
        "history.keep_days" => config.history_keep_days = number,
        "history.max_size_mb" => config.history_max_size_mb = number,
        "snapshot.schedule" => config.snapshot_schedule = schedule(text),
        "snapshot.keep_last" => config.snapshot_retention.last = number,
        "snapshot.keep_daily" => config.snapshot_retention.daily = number,
        "snapshot.keep_weekly" => config.snapshot_retention.weekly = number,
        "snapshot.keep_monthly" => config.snapshot_retention.monthly = number,
        "daemon.self_check" => config.daemon_self_check = span(),
        "search.project-roots" => {
            let roots = texts(&value).map(|root| expand_tilde(Path::new(root), env));
            config.search_project_roots = roots.collect();
        }
        "search.max-depth" => {
            config.search_max_depth = usize::try_from(number).unwrap_or_default();
        }
        "search.exclude-dirs" => {
            config.search_exclude_dirs = texts(&value).map(str::to_owned).collect();
        }
        "daemon.autostart" => config.daemon_autostart = value.as_bool().unwrap_or(true),
        _ => {}
    }
    value
}

/// The texts of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// How much time lies between two runs; zero: it never runs.
const fn schedule(word: &str) -> Duration {
    match word.as_bytes() {
        b"hourly" => Duration::from_hours(1),
        b"weekly" => Duration::from_hours(7 * 24),
        b"off" => Duration::ZERO,
        _ => Duration::from_hours(24),
    }
}

/// The single keys inside a table that is only kept.
fn flatten(name: &str, value: &Value, origin: &Origin, into: &mut Vec<Setting>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                flatten(&format!("{name}.{key}"), value, origin, into);
            }
        }
        Value::Null => {}
        _ => {
            let secret = looks_secret(name);
            let shown = if secret {
                mask(value.as_str().unwrap_or_default()).into()
            } else {
                value.clone()
            };
            into.push(Setting {
                key: name.to_owned(),
                value: shown,
                origin: origin.clone(),
                secret,
                description: "",
                kind: tables::ANY,
                used: false,
            });
        }
    }
}

/// Whether a key that we know nothing of is better not shown.
fn looks_secret(name: &str) -> bool {
    let last = name
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .replace('-', "_");
    ["token", "secret", "password", "api_key", "apikey"]
        .iter()
        .any(|word| last.contains(word))
}
