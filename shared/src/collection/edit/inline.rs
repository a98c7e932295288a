//! Taking back a change of a list that is written inline (`artifacts = [ { … }, … ]`), entry by entry.

use std::ops::Range;

use toml::de::DeValue;

use super::lexer::{self, Items};
use super::list::{Key, List, own};
use super::value::{Slot, rebuild};
use crate::document::{self, Lines};

/// A statement `list = [ … ]`, with its entries.
struct Statement<'t> {
    text: &'t str,
    array: Range<usize>,
    items: Items,
    keys: Vec<Key>,
}

impl<'t> Statement<'t> {
    /// Nothing if it is no such list, or an entry has no name of its own.
    fn of(text: &'t str, list: List) -> Option<Self> {
        let root = document::parse(text, &Lines::of(text)).ok()?;
        let value = root.get_ref().get(list.as_str())?;
        let DeValue::Array(entries) = value.get_ref() else {
            return None;
        };
        let array = value.span();
        let written = text.get(array.clone())?;
        let items = lexer::items(written);
        let mut keys: Vec<Key> = Vec::new();
        for entry in entries {
            let key = Key::of(list, entry.get_ref().as_table()?)?;
            if keys.contains(&key) {
                return None;
            }
            keys.push(key);
        }
        (items.items.len() == keys.len()).then_some(Self {
            text,
            array,
            items,
            keys,
        })
    }

    fn written(&self) -> &'t str {
        self.text.get(self.array.clone()).unwrap_or_default()
    }

    fn place(&self, key: &Key) -> Option<usize> {
        self.keys.iter().position(|other| other == key)
    }

    fn entry(&self, key: &Key) -> Option<&'t str> {
        let item = self.items.items.get(self.place(key)?)?;
        Some(own(self.written(), item))
    }
}

/// The statement `now` without the change from `before` to `after`.
///
/// # Errors
/// The entries that were changed since; none if the lists can't be told apart by entries.
pub(in crate::collection) fn take_back(
    list: List,
    before: &str,
    after: &str,
    now: &str,
) -> Result<String, Vec<String>> {
    let all = [before, after, now].map(|text| Statement::of(text, list));
    let [Some(before), Some(after), Some(now)] = all else {
        return Err(Vec::new());
    };
    let changed: Vec<&Key> = before
        .keys
        .iter()
        .chain(after.keys.iter().filter(|key| before.place(key).is_none()))
        .filter(|key| before.entry(key) != after.entry(key))
        .collect();
    let is_other = |key: &&&Key| now.entry(key) != after.entry(key);
    let others: Vec<String> = changed
        .iter()
        .filter(is_other)
        .map(|key| format!("{}/{key}", list.as_str()))
        .collect();
    if !others.is_empty() {
        return Err(others);
    }
    let mut slots: Vec<(&Key, Slot)> = Vec::new();
    for (at, key) in now.keys.iter().enumerate() {
        let slot = match before.entry(key) {
            None if changed.contains(&key) => continue,
            Some(old) if changed.contains(&key) => Slot {
                old: Some(at),
                new: Some(old.to_owned()),
            },
            _ => Slot::old(at),
        };
        slots.push((key, slot));
    }
    for (at, key) in before.keys.iter().enumerate() {
        let Some(old) = before.entry(key).filter(|_| now.place(key).is_none()) else {
            continue;
        };
        if after.place(key).is_some() {
            continue;
        }
        // Behind the nearest one that it followed.
        let above = before.keys.iter().take(at).rev();
        let place = |other: &Key| slots.iter().position(|(key, _)| *key == other);
        let followed = above.into_iter().find_map(place);
        slots.insert(
            followed.map_or(0, |at| at + 1),
            (key, Slot::new(old.to_owned())),
        );
    }
    let slots: Vec<Slot> = slots.into_iter().map(|(_, slot)| slot).collect();
    let array = rebuild(now.written(), &now.items, &slots);
    let head = now.text.get(..now.array.start).unwrap_or_default();
    let foot = now.text.get(now.array.end..).unwrap_or_default();
    Ok(format!("{head}{array}{foot}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> String {
        let entries: Vec<String> = entries
            .iter()
            .map(|entry| {
                let (name, title) = entry.split_once('=').unwrap_or((entry, "x"));
                format!(
                    "    {{ name = \"{name}\", type = \"skill\", title = \"{title}\" }}, # {name}\n"
                )
            })
            .collect();
        format!("# mine\nartifacts = [\n{}]\n", entries.concat())
    }

    #[track_caller]
    fn becomes(before: &[&str], after: &[&str], now: &[&str], wanted: &str) {
        let out = take_back(List::Artifacts, &list(before), &list(after), &list(now)).unwrap();
        assert_eq!(out, wanted);
    }

    #[test]
    fn what_others_did_stays() {
        becomes(&["a"], &["a", "b"], &["a", "b", "c"], &list(&["a", "c"]));
        becomes(&["a"], &["a=y"], &["a=y", "c=z"], &list(&["a", "c=z"]));
        becomes(
            &["a", "b"],
            &["b"],
            &["b", "c"],
            &list(&["a", "b", "c"]).replace(" # a", ""),
        );
        becomes(&["a"], &[], &[], &list(&["a"]).replace(" # a", ""));
        becomes(&["a"], &["a", "b"], &["b"], "# mine\nartifacts = []\n");
    }

    #[test]
    fn what_was_changed_since_is_in_the_way() {
        let other = |before: &[&str], after: &[&str], now: &[&str]| {
            take_back(List::Artifacts, &list(before), &list(after), &list(now)).unwrap_err()
        };
        let a = ["artifacts/`skill:a`".to_owned()];
        assert_eq!(other(&["a"], &["a=y"], &["a=z"]), a);
        assert_eq!(other(&["a"], &["a=y"], &["b"]), a);
        assert_eq!(other(&["a", "b"], &["b"], &["a=z", "b"]), a);
        let twice = ["a", "a"];
        assert_eq!(other(&["a"], &["b"], &twice), [""; 0]);
    }
}
