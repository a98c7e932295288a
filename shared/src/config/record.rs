//! What is remembered of a change of the config: the keys that it changed, with their values, and nothing else of
//! the file. A value that is a secret, or may be one for all that we know, is never in there: only that it changed.
//!
//! A record is a text for each of the two sides, one line for each key: `settings.default-collection = "work"`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::edit::{parse, put, remove, segments};
use super::keys;
use super::value::Kind;
use crate::document;
use crate::{Error, Result};

/// Stands for the file, where what changed is no value of a key.
const FILE: &str = "config.toml";

/// How often tables are nested at most.
const DEPTH: usize = 32;

/// The two sides of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the keys were; those that are absent were not set.
    pub before: String,
    /// What they are.
    pub after: String,
}

/// Why a change can't be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// These keys were changed since.
    Changed(Vec<String>),
    /// The values of these are not remembered.
    NotKept(Vec<String>),
    /// The config can't be edited.
    Error(Error),
}

/// What a key is on one side of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Value(String),
    Hidden,
}

type Keys = BTreeMap<String, Said>;

/// What is remembered of the change from one text of the config to another.
pub fn record(before: &str, after: &str) -> Record {
    let (Ok(old), Ok(new)) = (values(before), values(after)) else {
        return of_the_file();
    };
    let mut record = Record {
        before: String::new(),
        after: String::new(),
    };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (was, is) = (old.get(name), new.get(name));
        if was == is {
            continue;
        }
        let shows = shows_value(name);
        let line = |value: Option<&String>, hidden: &str| match value {
            None => String::new(),
            Some(value) if shows => format!("{name} = {value}\n"),
            Some(_) => format!("{name} = {hidden}\n"),
        };
        record.before.push_str(&line(was, "{}"));
        record.after.push_str(&line(is, "{ changed = true }"));
    }
    if record.before.is_empty() && record.after.is_empty() {
        return of_the_file();
    }
    record
}

/// The config without a change that is remembered so.
///
/// # Errors
/// [`Obstacle`].
pub fn take_back(before: &str, after: &str, now: &str) -> Result<String, Obstacle> {
    let (was, made) = (said(before)?, said(after)?);
    let names: BTreeSet<&String> = was.keys().chain(made.keys()).collect();
    let is_hidden = |name: &&&String| {
        let sides = [was.get(**name), made.get(**name)];
        sides.contains(&Some(&Said::Hidden))
    };
    let hidden: Vec<String> = names
        .iter()
        .filter(is_hidden)
        .map(|name| (*name).clone())
        .collect();
    if !hidden.is_empty() {
        return Err(Obstacle::NotKept(hidden));
    }
    let stands = values(now).map_err(Obstacle::Error)?;
    let value = |side: &Keys, name: &str| match side.get(name) {
        Some(Said::Value(value)) => Some(value.clone()),
        Some(Said::Hidden) | None => None,
    };
    let is_changed = |name: &&&String| {
        let now = stands.get(**name);
        now != value(&made, name).as_ref() && now != value(&was, name).as_ref()
    };
    let changed: Vec<String> = names
        .iter()
        .filter(is_changed)
        .map(|name| (*name).clone())
        .collect();
    if !changed.is_empty() {
        return Err(Obstacle::Changed(changed));
    }
    let edited = || {
        let path = Path::new(FILE);
        let mut document = parse(path, now)?;
        for name in names {
            let segments = segments(name)?;
            match value(&was, name) {
                Some(value) => {
                    let value: Value = value.parse().map_err(|_| super::unknown_key(name))?;
                    put(&mut document, path, name, &segments, value)?;
                }
                None => {
                    remove(document.as_table_mut(), &segments);
                }
            }
        }
        Ok(document::restore(now, &document.to_string()))
    };
    edited().map_err(Obstacle::Error)
}

/// Whether the config is as one side of a record says, of which `other` is the other side.
pub fn holds(side: &str, other: &str, now: &str) -> bool {
    let (Ok(side), Ok(other), Ok(now)) = (said(side), said(other), values(now)) else {
        return false;
    };
    let mut names = side.keys().chain(other.keys());
    names.all(|name| match (side.get(name), other.get(name)) {
        (Some(Said::Value(value)), _) => now.get(name) == Some(value),
        // Which of two values it is nobody can tell.
        (Some(Said::Hidden), Some(_)) => true,
        (Some(Said::Hidden), None) => now.contains_key(name),
        (None, _) => !now.contains_key(name),
    })
}

/// What did change is nothing that is remembered: comments, or a text that is no config.
fn of_the_file() -> Record {
    let key = format!("{FILE:?}");
    Record {
        before: format!("{key} = {{}}\n"),
        after: format!("{key} = {{ changed = true }}\n"),
    }
}

/// Whether the value of a key may be remembered: what we do not know may be a secret.
pub fn shows_value(name: &str) -> bool {
    keys::find(name).is_some_and(|key| !key.secret && key.kind != Kind::Open)
}

/// The values of a config by their dotted names.
fn values(text: &str) -> Result<BTreeMap<String, String>> {
    let document: DocumentMut = parse(Path::new(FILE), text)?;
    let mut found = BTreeMap::new();
    walk(document.as_table(), "", DEPTH, &mut found);
    Ok(found)
}

fn walk(table: &dyn TableLike, prefix: &str, depth: usize, into: &mut BTreeMap<String, String>) {
    for (key, item) in table.iter() {
        let key = toml_edit::Key::new(key).display_repr().into_owned();
        let name = if prefix.is_empty() {
            key
        } else {
            format!("{prefix}.{key}")
        };
        match (item.as_table_like(), item) {
            (Some(inner), _) if depth > 0 => walk(inner, &name, depth - 1, into),
            (_, Item::None) => {}
            (_, Item::Value(value)) => {
                let mut value = value.clone();
                value.decor_mut().clear();
                into.insert(name, value.to_string());
            }
            (_, item) => {
                into.insert(name, item.to_string());
            }
        }
    }
}

/// The keys of one side of a record.
fn said(side: &str) -> Result<Keys, Obstacle> {
    let document = parse(Path::new(FILE), side).map_err(Obstacle::Error)?;
    let mut keys = Keys::new();
    collect(document.as_table(), "", &mut keys);
    Ok(keys)
}

fn collect(table: &dyn TableLike, prefix: &str, into: &mut Keys) {
    for (key, item) in table.iter() {
        let key = toml_edit::Key::new(key).display_repr().into_owned();
        let name = if prefix.is_empty() {
            key
        } else {
            format!("{prefix}.{key}")
        };
        match item {
            Item::Table(inner) => collect(inner, &name, into),
            Item::Value(Value::InlineTable(_)) => {
                into.insert(name, Said::Hidden);
            }
            item => {
                let value = item.as_value().cloned().map(|mut value| {
                    value.decor_mut().clear();
                    value.to_string()
                });
                into.extend(value.map(|value| (name, Said::Value(value))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str =
        "# mine\n[settings]\ndefault-collection = \"a\" # first\ngithub-token = \"ghp_one\"\n";

    fn back(before: &str, after: &str, now: &str) -> Result<String, Obstacle> {
        let record = record(before, after);
        take_back(&record.before, &record.after, now)
    }

    #[test]
    fn the_changed_key_goes_back_and_others_stay() {
        let new = OLD.replace("\"a\"", "\"b\"");
        let now = new.replace("ghp_one", "ghp_two") + "[cache]\nttl = \"1h\"\n";
        let kept = record(OLD, &new);
        assert_eq!(kept.before, "settings.default-collection = \"a\"\n");
        assert_eq!(kept.after, "settings.default-collection = \"b\"\n");
        assert_eq!(
            back(OLD, &new, &now).unwrap(),
            now.replace("\"b\"", "\"a\"")
        );
        let changed = Obstacle::Changed(vec!["settings.default-collection".to_owned()]);
        assert_eq!(
            back(OLD, &new, &now.replace("\"b\"", "\"c\"")),
            Err(changed)
        );
        // Taken back by hand.
        assert_eq!(back(OLD, &new, OLD).unwrap(), OLD);
    }

    #[test]
    fn a_key_that_was_not_there_goes() {
        let new = format!("{OLD}[cache]\nttl = \"1h\"\n");
        assert_eq!(back(OLD, &new, &new).unwrap(), OLD);
        assert_eq!(back(&new, OLD, &format!("{OLD}[cache]\n")).unwrap(), new);
        let made = back(&new, OLD, OLD).unwrap();
        assert!(
            made.starts_with(OLD) && made.ends_with("[cache]\nttl = \"1h\"\n"),
            "{made}"
        );
    }

    #[test]
    fn secrets_and_what_is_not_known_are_not_kept() {
        for (old, new) in [
            (OLD.to_owned(), OLD.replace("ghp_one", "ghp_two")),
            (
                OLD.to_owned(),
                OLD.replace("github-token = \"ghp_one\"\n", ""),
            ),
            (String::new(), "github-token = \"ghp_two\"\n".to_owned()),
            (String::new(), "[github]\ntoken = \"ghp_two\"\n".to_owned()),
            (
                String::new(),
                "[instances.x]\nurl = \"https://ghp_two@h\"\n".to_owned(),
            ),
            (String::new(), "[[servers]]\nkey = \"ghp_two\"\n".to_owned()),
            (String::new(), "mine = { key = \"ghp_two\" }\n".to_owned()),
            // Nothing that is remembered changed, or it can't be told.
            (OLD.to_owned(), format!("{OLD}# ghp_two\n")),
            (OLD.to_owned(), "[a\nghp_two = 1\n".to_owned()),
        ] {
            let kept = record(&old, &new);
            assert!(!format!("{kept:?}").contains("ghp_"), "{kept:?}");
            assert_ne!(kept.before, kept.after);
            let refused = take_back(&kept.before, &kept.after, &new);
            assert!(matches!(refused, Err(Obstacle::NotKept(_))), "{refused:?}");
        }
    }

    #[test]
    fn it_is_told_on_which_side_a_config_is() {
        let new = OLD.replace("\"a\"", "\"b\"");
        let kept = record(OLD, &new);
        assert!(holds(&kept.before, &kept.after, OLD) && holds(&kept.after, &kept.before, &new));
        assert!(!holds(&kept.after, &kept.before, OLD) && !holds(&kept.before, &kept.after, &new));
        let gone = OLD.replace("github-token = \"ghp_one\"\n", "");
        let kept = record(OLD, &gone);
        assert!(holds(&kept.after, &kept.before, &gone) && !holds(&kept.after, &kept.before, OLD));
        assert!(holds(&kept.before, &kept.after, OLD) && !holds(&kept.before, &kept.after, &gone));
    }
}
