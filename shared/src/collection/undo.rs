//! Taking back one change of a TOML document after others have changed it since: entry by entry.
//!
//! A document is cut into segments: every header, every key with its value, each with the comments above it.
//! An entry of an array of tables (`[[artifacts]]`, `[[groups]]`) is known by what it names, not by where it
//! stands. A segment that a change made is taken back if it is still as the change left it; segments that the
//! change did not touch stay as they are now, byte for byte.

use std::collections::{HashMap, HashSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::edit::{List, inline};
use crate::document::{self, Lines, SyntaxError};

/// Keys by which an entry of an array of tables is known, as far as it has them.
const NAMING: [&str; 5] = ["type", "name", "slug", "id", "key"];

/// Keys that every change sets: what stands there now is right.
const DATED: [&str; 2] = ["collection.updated", "tool.skillmeat.updated"];

/// Why a change can't be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// These segments were changed since: the names of keys and entries.
    Changed(Vec<String>),
    /// A text is no TOML.
    Syntax(SyntaxError),
}

/// What `now` would be if the change from `before` to `after` had not been made.
///
/// # Errors
/// [`Obstacle`].
pub fn take_back(before: &str, after: &str, now: &str) -> Result<String, Obstacle> {
    if now == after {
        return Ok(before.to_owned());
    }
    let cut = |text| segments(text).map_err(Obstacle::Syntax);
    let (old, new, mut out) = (cut(before)?, cut(after)?, cut(now)?);
    let (olds, news) = (by_key(&old), by_key(&new));
    let mut obstacles = Vec::new();
    let mut keys = HashSet::new();
    for segment in new
        .iter()
        .chain(&old)
        .filter(|one| keys.insert(one.key.as_str()))
    {
        let key = segment.key.as_str();
        let (was, made) = (olds.get(key), news.get(key));
        if same(was.copied(), made.copied()) || DATED.contains(&key) {
            continue;
        }
        let at = out.iter().position(|one| one.key == key);
        let stands = at.and_then(|at| out.get(at));
        if !same(stands, made.copied()) {
            match (at, by_entry(key, was.copied(), made.copied(), stands)) {
                (Some(at), Ok(text)) => {
                    if let Some(slot) = out.get_mut(at) {
                        slot.text = text;
                    }
                }
                (_, Ok(_)) => {}
                (_, Err(entries)) => obstacles.extend(entries),
            }
            continue;
        }
        match (at, was) {
            (Some(at), Some(was)) => {
                if let Some(slot) = out.get_mut(at) {
                    slot.text.clone_from(&was.text);
                }
            }
            (Some(at), None) => drop(out.remove(at)),
            (None, Some(was)) => insert(&mut out, &old, was),
            (None, None) => {}
        }
    }
    if !obstacles.is_empty() {
        return Err(Obstacle::Changed(obstacles));
    }
    let text = joined(&out, now);
    let again = segments(&text).map_err(Obstacle::Syntax)?;
    if again
        .iter()
        .map(|one| &one.key)
        .ne(out.iter().map(|one| &one.key))
    {
        return Err(Obstacle::Changed(vec!["the whole file".to_owned()]));
    }
    Ok(text)
}

/// Whether a change touched one of these segments, as an [`Obstacle`] names them. Entries of a list that is written
/// inline count as the list. In doubt it did.
pub fn touched(before: &str, after: &str, names: &[String]) -> bool {
    let (Ok(old), Ok(new)) = (segments(before), segments(after)) else {
        return true;
    };
    let (olds, news) = (by_key(&old), by_key(&new));
    names.iter().any(|name| {
        let list = name
            .split_once("/`")
            .map_or(name.as_str(), |(list, _)| list);
        let is_known = olds.contains_key(list) || news.contains_key(list);
        !is_known || !same(olds.get(list).copied(), news.get(list).copied())
    })
}

/// A list of the manifest that is written inline is one segment: its entries are taken back one by one. Else the
/// segments that are in the way.
fn by_entry(
    key: &str,
    was: Option<&Segment>,
    made: Option<&Segment>,
    stands: Option<&Segment>,
) -> Result<String, Vec<String>> {
    let list = List::ALL.into_iter().find(|list| list.as_str() == key);
    let (Some(list), Some(was), Some(made), Some(stands)) = (list, was, made, stands) else {
        return Err(vec![key.to_owned()]);
    };
    inline::take_back(list, &was.text, &made.text, &stands.text).map_err(|entries| {
        if entries.is_empty() {
            vec![key.to_owned()]
        } else {
            entries
        }
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    /// Unique in the document.
    key: String,
    /// The entry or table that it is a part of.
    block: String,
    is_header: bool,
    text: String,
}

fn by_key(segments: &[Segment]) -> HashMap<&str, &Segment> {
    segments.iter().map(|one| (one.key.as_str(), one)).collect()
}

/// Whether two segments say the same; blank lines around them do not matter.
fn same(one: Option<&Segment>, other: Option<&Segment>) -> bool {
    one.map(|one| one.text.trim()) == other.map(|other| other.text.trim())
}

/// Puts a segment back where it stood: behind the one that it followed, if that is still there.
fn insert(out: &mut Vec<Segment>, old: &[Segment], segment: &Segment) {
    let is_empty_list = segment.text.trim_end().ends_with("[]") && !segment.is_header;
    let entries = format!("{}/", segment.key);
    if is_empty_list && out.iter().any(|one| one.key.starts_with(&entries)) {
        // Entries that were added since: the list is not empty any more.
        return;
    }
    let before = old.iter().take_while(|one| one.key != segment.key);
    let followed = before
        .filter_map(|one| out.iter().position(|other| other.key == one.key))
        .last();
    let mut at = followed.map_or(0, |at| at + 1);
    if segment.is_header {
        // Not into the middle of what stands there: all of that block comes first.
        let block = followed
            .and_then(|at| out.get(at))
            .map(|one| one.block.clone());
        while out.get(at).is_some_and(|next| {
            !next.is_header || (block.as_ref() == Some(&next.block) && next.block != segment.block)
        }) {
            at += 1;
        }
    }
    out.insert(at, segment.clone());
}

fn joined(segments: &[Segment], now: &str) -> String {
    let mut text = String::with_capacity(now.len() + 1024);
    let end = if now.contains("\r\n") { "\r\n" } else { "\n" };
    for segment in segments {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str(end);
        }
        text.push_str(&segment.text);
    }
    text
}

/// Where a segment begins and ends, without comments above and behind it.
struct Mark {
    start: usize,
    end: usize,
    key: String,
    block: String,
    is_header: bool,
}

fn segments(text: &str) -> Result<Vec<Segment>, SyntaxError> {
    let lines = Lines::of(text);
    let root = document::parse(text, &lines)?;
    let mut marks = Vec::new();
    walk(text, root.get_ref(), "", "", &mut marks);
    marks.sort_by_key(|mark| mark.start);
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut segments = Vec::with_capacity(marks.len());
    let mut at = 0;
    let last = marks.len().saturating_sub(1);
    for (index, mark) in marks.into_iter().enumerate() {
        let rest = text.get(mark.end..).unwrap_or_default();
        let end = match rest.find('\n') {
            // What stands behind the last one belongs to it.
            _ if index == last => text.len(),
            Some(found) => mark.end + found + 1,
            None => text.len(),
        };
        let count = counts.entry(mark.key.clone()).or_default();
        *count += 1;
        let key = if *count > 1 {
            format!("{} (number {count})", mark.key)
        } else {
            mark.key
        };
        segments.push(Segment {
            key,
            block: mark.block,
            is_header: mark.is_header,
            text: text.get(at..end).unwrap_or_default().to_owned(),
        });
        at = end;
    }
    Ok(segments)
}

fn walk(text: &str, table: &DeTable<'_>, prefix: &str, block: &str, marks: &mut Vec<Mark>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        let written = text.get(value.span()).unwrap_or_default();
        match value.get_ref() {
            DeValue::Table(inner) if written.starts_with('[') => {
                let block = if block.is_empty() { &key } else { block };
                marks.push(header(value, &key, block));
                walk(text, inner, &key, block, marks);
            }
            // Of dotted keys, or of headers below it.
            DeValue::Table(inner) if !written.starts_with('{') => {
                walk(text, inner, &key, block, marks);
            }
            DeValue::Array(items) if items.iter().any(|item| is_entry(text, item)) => {
                for item in items {
                    let Some(inner) = item.get_ref().as_table() else {
                        continue;
                    };
                    let key = format!("{key}/{}", called(inner));
                    let block = if block.is_empty() { &key } else { block };
                    marks.push(header(item, &key, block));
                    walk(text, inner, &key, block, marks);
                }
            }
            _ => marks.push(Mark {
                start: name.span().start,
                end: value.span().end,
                block: block.to_owned(),
                is_header: false,
                key,
            }),
        }
    }
}

fn is_entry(text: &str, item: &Spanned<DeValue<'_>>) -> bool {
    item.get_ref().is_table()
        && text
            .get(item.span())
            .is_some_and(|written| written.starts_with("[["))
}

fn header(value: &Spanned<DeValue<'_>>, key: &str, block: &str) -> Mark {
    Mark {
        start: value.span().start,
        end: value.span().start,
        // Not the name of any key: a key in brackets.
        key: format!("[{key}]"),
        block: block.to_owned(),
        is_header: true,
    }
}

/// What an entry names.
fn called(entry: &DeTable<'_>) -> String {
    let parts: Vec<String> = NAMING
        .iter()
        .filter_map(|name| entry.get(*name)?.get_ref().as_str().map(str::to_owned))
        .collect();
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# mine\n[collection]\nname = \"c\" # why\nupdated = \"1\"\n";

    fn entry(name: &str) -> String {
        format!(
            "\n# about {name}\n[[artifacts]]\nname = \"{name}\"\ntype = \"skill\"\npath = \"skills/{name}\"\n\n\
             [artifacts.metadata]\ntitle = \"{name}\"\n"
        )
    }

    fn group(name: &str) -> String {
        format!("\n[[groups]]\nname = \"{name}\"\nmembers = [\n    \"a\",\n]\n")
    }

    fn text(parts: &[&str]) -> String {
        let parts: Vec<String> = parts
            .iter()
            .map(|part| match part.split_once(' ') {
                Some(("group", name)) => group(name),
                _ => entry(part),
            })
            .collect();
        format!("{HEAD}{}", parts.concat())
    }

    #[track_caller]
    fn becomes(before: &str, after: &str, now: &str, wanted: &str) {
        assert_eq!(take_back(before, after, now).unwrap(), wanted);
    }

    #[test]
    fn an_entry_goes_and_later_ones_stay() {
        becomes(
            &text(&["a"]),
            &text(&["a", "b"]),
            &text(&["a", "b", "c"]),
            &text(&["a", "c"]),
        );
        becomes(
            &text(&[]),
            &text(&["a"]),
            &text(&["a", "group g"]),
            &text(&["group g"]),
        );
    }

    #[test]
    fn an_entry_comes_back_to_its_place() {
        becomes(
            &text(&["a", "b", "c"]),
            &text(&["a", "c"]),
            &text(&["a", "c", "d", "group g"]),
            &text(&["a", "b", "c", "d", "group g"]),
        );
        becomes(
            &text(&["a", "b"]),
            &text(&["b"]),
            &text(&["b", "c"]),
            &text(&["a", "b", "c"]),
        );
    }

    #[test]
    fn a_key_changes_back_and_other_keys_of_the_entry_stay() {
        let old = text(&["a", "b"]);
        let new = old.replace("title = \"a\"", "title = \"A\"");
        let now = new.replace("path = \"skills/a\"", "path = \"skills/a\"\ntags = [\"x\"]");
        becomes(
            &old,
            &new,
            &now,
            &now.replace("title = \"A\"", "title = \"a\""),
        );
        // Not if that key was changed again.
        let now = new.replace("title = \"A\"", "title = \"AA\"");
        assert_eq!(
            take_back(&old, &new, &now).unwrap_err(),
            Obstacle::Changed(vec!["artifacts/skill:a.metadata.title".to_owned()])
        );
        let title = ["artifacts/skill:a.metadata.title".to_owned()];
        assert!(touched(&new, &now, &title));
        assert!(!touched(&now, &now.replace("title = \"b\"", ""), &title));
        assert!(touched(&old, &new, &["artifacts/`skill:b`".to_owned()]));
    }

    #[test]
    fn the_date_of_the_collection_is_in_nobodys_way() {
        let old = text(&["a"]);
        let new = text(&["a", "b"]).replace("updated = \"1\"", "updated = \"2\"");
        let now = text(&["a", "b", "c"]).replace("updated = \"1\"", "updated = \"3\"");
        let wanted = text(&["a", "c"]).replace("updated = \"1\"", "updated = \"3\"");
        becomes(&old, &new, &now, &wanted);
    }

    #[test]
    fn an_entry_that_was_renamed_gets_its_old_name() {
        becomes(
            &text(&["a", "b", "c"]),
            &text(&["a", "x", "c"]),
            &text(&["a", "x", "c", "d"]),
            &text(&["a", "b", "c", "d"]),
        );
    }

    #[test]
    fn lists_that_are_written_inline_are_undone_by_entry() {
        let list = |names: &[&str]| {
            let entries: Vec<String> = names
                .iter()
                .map(|name| format!("{{ name = \"{name}\", type = \"skill\" }}"))
                .collect();
            format!("{HEAD}\n[[groups]]\nname = \"g\"\n").replacen(
                '#',
                &format!("artifacts = [{}]\n#", entries.join(", ")),
                1,
            )
        };
        becomes(
            &list(&["a"]),
            &list(&["a", "b"]),
            &list(&["a", "b", "c"]),
            &list(&["a", "c"]),
        );
        let obstacle = take_back(&list(&["a"]), &list(&["a", "b"]), &list(&["a"]));
        assert_eq!(
            obstacle,
            Err(Obstacle::Changed(vec!["artifacts/`skill:b`".to_owned()]))
        );
    }

    #[test]
    fn an_empty_list_does_not_come_back_beside_entries() {
        let old = format!("artifacts = []\n\n{HEAD}");
        let new = format!("{HEAD}{}", entry("a"));
        let now = format!("{new}{}", entry("b"));
        becomes(&old, &new, &now, &format!("{HEAD}{}", entry("b")));
        becomes(&old, &new, &new, &old);
    }

    #[test]
    fn locks_are_undone_by_their_keys() {
        let head = "[lock]\nversion = \"1.0.0\"\n\n[lock.entries]\n";
        let entry = |name: &str, hash: &str| {
            format!("\n[lock.entries.\"{name}::skill\"]\ncontent_hash = \"{hash}\"\n")
        };
        let (a, b, c) = (entry("a", "1"), entry("b", "1"), entry("c", "1"));
        becomes(
            &format!("{head}{a}"),
            &format!("{head}{a}{b}"),
            &format!("{head}{a}{b}{c}"),
            &format!("{head}{a}{c}"),
        );
        let newer = entry("b", "2");
        let obstacle = take_back(
            &format!("{head}{a}"),
            &format!("{head}{a}{b}"),
            &format!("{head}{a}{newer}"),
        );
        assert!(matches!(obstacle, Err(Obstacle::Changed(_))));
    }

    #[test]
    fn odd_texts_are_cut_without_loss() {
        for text in [
            "",
            "# only a comment\n",
            "\u{feff}a = 1\r\nb.c = 2\r\n# end",
            "x = '''\n[[artifacts]]\n'''\n[a]\n[a.b]\ny = [\n  1, # one\n]\n[[q]]\n[[q]]\nname = \"n\"",
            "[[artifacts]]\nname = \"a\"\n[[artifacts]]\nname = \"a\"\n",
            "i = { a = 1 }\nl = [{ name = \"x\" }, { name = \"y\" }]\n",
        ] {
            let cut = segments(text).unwrap();
            let whole: String = cut.iter().map(|one| one.text.as_str()).collect();
            if !cut.is_empty() {
                assert_eq!(whole, text);
            }
            let keys: HashSet<_> = cut.iter().map(|one| &one.key).collect();
            assert_eq!(keys.len(), cut.len(), "{text}");
        }
        assert!(matches!(
            take_back("a = 1", "a = 2", "a ="),
            Err(Obstacle::Syntax(_))
        ));
    }
}
