//! What the values of the config may be, and how each is read from a file or from a text.

use std::time::Duration;

use serde_json::Value;
use toml::de::DeValue;

use super::duration;
use crate::document;

/// What the value of a key must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// The name of a collection.
    Name,
    /// A path that is absolute or begins with `~/`.
    Path,
    /// `true` or `false`.
    Bool,
    /// A whole number within limits.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A duration within limits, in seconds.
    Duration {
        /// The shortest.
        min: u64,
        /// The longest.
        max: u64,
    },
    /// How much is logged.
    Level,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts.
    List,
    /// Anything: a table of the ancestor that is kept as it is.
    Open,
}

impl Kind {
    /// What it is called in lists of settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Name => "name",
            Self::Path => "path",
            Self::Bool => "boolean",
            Self::Integer { .. } => "integer",
            Self::Duration { .. } => "duration",
            Self::Level => "level",
            Self::Choice(_) => "choice",
            Self::List => "list",
            Self::Open => "table",
        }
    }

    /// What a value must be, as the end of the sentence "it must be".
    pub fn wanted(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Name => "the name of a collection".to_owned(),
            Self::Path => "an absolute path, or one that begins with `~/`".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Duration { min, max } => {
                let [min, max] = [min, max].map(|secs| duration::format(Duration::from_secs(secs)));
                format!(
                    "a duration from {min} to {max} with its unit, such as `90s`, `30m` or `1h30m`"
                )
            }
            Self::Level => "one of `error`, `warning`, `info`, `debug`, `trace`".to_owned(),
            Self::Choice(words) => format!("one of `{}`", words.join("`, `")),
            Self::List => "a list of texts".to_owned(),
            Self::Open => "a table".to_owned(),
        }
    }

    /// Reads a value from a text: of the command line, an environment variable, or a string of the file.
    ///
    /// # Errors
    /// What is wanted instead.
    pub fn parse(self, text: &str, unit: Unit) -> Result<Value, String> {
        let wanted = || self.wanted();
        let trimmed = text.trim();
        match self {
            Self::Text => Ok(Value::String(text.to_owned())),
            Self::Name => {
                let bad = trimmed.is_empty()
                    || trimmed.starts_with('.')
                    || trimmed.contains(['/', '\\', '\0']);
                if bad {
                    Err(wanted())
                } else {
                    Ok(trimmed.into())
                }
            }
            Self::Path => {
                let absolute =
                    trimmed.starts_with('/') || trimmed == "~" || trimmed.starts_with("~/");
                if absolute {
                    Ok(trimmed.into())
                } else {
                    Err(wanted())
                }
            }
            Self::Bool => match trimmed.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(true.into()),
                "false" | "no" | "off" | "0" => Ok(false.into()),
                _ => Err(wanted()),
            },
            Self::Integer { min, max } => match trimmed.parse::<i64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(number.into()),
                _ => Err(wanted()),
            },
            Self::Duration { min, max } => {
                let read = match unit {
                    Unit::Plain => duration::parse(trimmed),
                    Unit::Hours => duration::parse_hours(trimmed),
                };
                match read {
                    Some(found)
                        if (Duration::from_secs(min)..=Duration::from_secs(max))
                            .contains(&found) =>
                    {
                        Ok(duration::format(found).into())
                    }
                    _ if unit == Unit::Hours => Err("a number of hours".to_owned()),
                    _ => Err(wanted()),
                }
            }
            Self::Level => Level::parse(trimmed)
                .map(|level| level.as_str().into())
                .ok_or_else(wanted),
            Self::Choice(words) => {
                let lower = trimmed.to_ascii_lowercase();
                words
                    .iter()
                    .find(|word| **word == lower)
                    .map(|word| (*word).into())
                    .ok_or_else(wanted)
            }
            Self::List => {
                if trimmed.starts_with('[')
                    && let Ok(Value::Array(items)) = serde_json::from_str(trimmed)
                    && items.iter().all(Value::is_string)
                {
                    return Ok(Value::Array(items));
                }
                let items = trimmed
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                Ok(Value::Array(items.map(Into::into).collect()))
            }
            Self::Open => Err(wanted()),
        }
    }

    /// Reads a value from the file. Strings are read as texts are, since the ancestor writes every value
    /// as one.
    ///
    /// # Errors
    /// What is wanted instead.
    pub(crate) fn value_of(self, value: &DeValue<'_>, unit: Unit) -> Result<Value, String> {
        match (self, value) {
            (Self::Open, DeValue::Table(table)) => {
                Ok(Value::Object(document::table_to_json(table)))
            }
            (Self::List, DeValue::Array(items))
                if items.iter().all(|item| item.get_ref().is_str()) =>
            {
                Ok(document::to_json(value))
            }
            (Self::Bool, DeValue::Boolean(flag)) => Ok((*flag).into()),
            (_, DeValue::String(text)) => self.parse(text, unit),
            (Self::Integer { .. } | Self::Duration { .. }, DeValue::Integer(number)) => {
                let text = document::integer(number).map(|number| number.to_string());
                self.parse(&text.unwrap_or_default(), unit)
            }
            (Self::Duration { .. }, DeValue::Float(number)) if unit == Unit::Hours => {
                self.parse(number.as_str(), unit)
            }
            _ => Err(self.wanted()),
        }
    }
}

/// How a number in a duration is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As it is written; a duration has its unit.
    Plain,
    /// As hours.
    Hours,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What failed.
    Error,
    /// And what may need attention.
    Warning,
    /// And what happens.
    Info,
    /// And why.
    Debug,
    /// And every step.
    Trace,
}

impl Level {
    /// The name in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// Reads a name in any case; the ancestor's `CRITICAL` and `WARN` too.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "error" | "critical" => Some(Self::Error),
            "warning" | "warn" => Some(Self::Warning),
            "info" => Some(Self::Info),
            "debug" => Some(Self::Debug),
            "trace" => Some(Self::Trace),
            _ => None,
        }
    }
}

/// A text that is never shown: it has no `Display`, and its `Debug` is a mask.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for those who must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

/// The first and the last four characters of a secret; of a short one nothing.
pub fn mask(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    match (letters.first_chunk::<4>(), letters.last_chunk::<4>()) {
        // Eight of fewer than twelve characters would give too much of it away.
        (Some(first), Some(last)) if letters.len() >= 12 => {
            let ends = [first, last].map(|part| part.iter().collect::<String>());
            ends.join("****")
        }
        _ => "****".to_owned(),
    }
}
