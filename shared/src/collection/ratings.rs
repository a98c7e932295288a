//! What a person thinks of artifacts: `state/ratings.toml` in the home, as no file of a collection has a place
//! for it.
//!
//! One table for each collection, one key for each artifact: `"skill:pdf" = 5`. Read tolerantly, edited in place.

use std::collections::BTreeMap;

use toml_edit::{DocumentMut, Item, Table};

use crate::document::{self, Lines};
use crate::{ArtifactId, Code, Error, Result};

/// The file, relative to the home.
pub const FILE: &str = "state/ratings.toml";

/// Largest file that is read, bytes.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The best that an artifact can get; the least is 1.
pub const BEST: u8 = 5;

/// Ratings by collection and `type:name`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ratings(BTreeMap<String, BTreeMap<String, u8>>);

impl Ratings {
    /// Reads a file. What is no rating is passed over; a file that is no TOML has none.
    pub fn parse(text: &str) -> Self {
        let Ok(root) = text.parse::<DocumentMut>() else {
            return Self::default();
        };
        let collections = root.iter().filter_map(|(collection, item)| {
            let ratings = item.as_table_like()?.iter().filter_map(|(id, item)| {
                let stars = u8::try_from(item.as_integer()?).ok()?;
                (1..=BEST).contains(&stars).then(|| (id.to_owned(), stars))
            });
            Some((collection.to_owned(), ratings.collect()))
        });
        Self(collections.collect())
    }

    /// Whether nothing of a collection is rated.
    pub fn is_empty(&self, collection: &str) -> bool {
        self.0.get(collection).is_none_or(BTreeMap::is_empty)
    }

    /// All ratings of a collection, by the artifacts' keys.
    pub fn all(&self, collection: &str) -> impl Iterator<Item = (&str, u8)> {
        let ratings = self.0.get(collection).into_iter().flatten();
        ratings.map(|(id, stars)| (id.as_str(), *stars))
    }

    /// The rating of an artifact.
    pub fn of(&self, collection: &str, id: &str) -> Option<u8> {
        self.0.get(collection)?.get(id).copied()
    }
}

/// One rating: collection, artifact, and what it is from now on.
pub type Rating = (String, ArtifactId, Option<u8>);

fn invalid(message: String, line: Option<u32>) -> Error {
    Error::new(Code::ConfigInvalid, message)
        .hint(format!("mend `{FILE}` in the home, or move it away"))
        .at(FILE, line)
}

fn parse(text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error.span().map(|span| Lines::of(text).start(&span));
        let why = document::one_line(error.message());
        invalid(format!("the ratings have a syntax error: {why}"), line)
    })
}

/// The text in which a collection is called something else; every other byte as it was. What is left there of another
/// one of the new name gives way.
///
/// # Errors
/// [`Code::ConfigInvalid`] with the line if the text is no TOML.
pub fn rename(text: &str, old: &str, new: &str) -> Result<String> {
    let mut root = parse(text)?;
    if old == new || !root.contains_key(old) {
        return Ok(text.to_owned());
    }
    root.remove(new);
    if let Some((key, item)) = root.remove_entry(old) {
        let key = toml_edit::Key::new(new).with_leaf_decor(key.leaf_decor().clone());
        root.insert_formatted(&key, item);
    }
    Ok(document::restore(text, &root.to_string()))
}

/// The text without the ratings of a collection; every other byte as it was.
///
/// # Errors
/// As [`rename`].
pub fn forget(text: &str, collection: &str) -> Result<String> {
    let mut root = parse(text)?;
    root.remove(collection);
    Ok(document::restore(text, &root.to_string()))
}

/// The text with these ratings; every other byte as it was.
///
/// # Errors
/// [`Code::ConfigInvalid`] with the line if the text is no TOML, or something else stands in the way.
pub fn set(text: &str, ratings: &[Rating]) -> Result<String> {
    let mut root = parse(text)?;
    for (collection, id, stars) in ratings {
        let key = id.to_string();
        if stars.is_none() && !root.contains_key(collection) {
            continue;
        }
        let table = root
            .entry(collection)
            .or_insert_with(|| Item::Table(Table::new()));
        let table = table
            .as_table_like_mut()
            .ok_or_else(|| invalid(format!("`{collection}` is not a table"), None))?;
        match stars {
            Some(stars) => document::put(table, &key, i64::from(*stars).into()),
            None => drop(table.remove(&key)),
        }
        if table.is_empty() {
            root.remove(collection);
        }
    }
    Ok(document::restore(text, &root.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn rating(collection: &str, name: &str, stars: Option<u8>) -> Rating {
        let id = ArtifactId::new(Kind::Skill, name);
        (collection.to_owned(), id, stars)
    }

    #[test]
    fn ratings_come_and_go_and_leave_the_rest() {
        let one = set("", &[rating("default", "pdf", Some(5))]).unwrap();
        assert_eq!(one, "[default]\n\"skill:pdf\" = 5\n");
        let text = format!("# mine\n{one}\"skill:x\" = 2 # so so\n\n[other]\nnote = \"kept\"\n");
        let two = set(
            &text,
            &[
                rating("default", "pdf", Some(1)),
                rating("other", "y", None),
            ],
        )
        .unwrap();
        assert_eq!(two, text.replace("= 5", "= 1"));
        let ratings = Ratings::parse(&two);
        assert_eq!(ratings.of("default", "skill:pdf"), Some(1));
        assert_eq!(ratings.of("default", "skill:x"), Some(2));
        assert_eq!(ratings.of("other", "note"), None);
        let all: Vec<_> = ratings.all("default").collect();
        assert_eq!(all, [("skill:pdf", 1), ("skill:x", 2)]);
        assert_eq!(ratings.all("other").count(), 0);
        assert!(!ratings.is_empty("default") && ratings.is_empty("other"));
        let gone = set(
            &one,
            &[rating("default", "pdf", None), rating("new", "a", None)],
        )
        .unwrap();
        assert_eq!(gone, "");
    }

    #[test]
    fn collections_are_renamed_and_forgotten_where_they_stand() {
        let text = "# all\n[a]\n\"skill:x\" = 1\n\n# ours\n[b] # so\n\"skill:y\" = 2 # well\n\n[c]\n\"skill:z\" = 3\n";
        assert_eq!(
            rename(text, "b", "other one").unwrap(),
            text.replace("[b]", "[\"other one\"]")
        );
        assert_eq!(rename(text, "none", "b").unwrap(), text);
        assert_eq!(rename(text, "b", "b").unwrap(), text);
        let over = rename(text, "b", "c").unwrap();
        assert_eq!(
            over,
            "# all\n[a]\n\"skill:x\" = 1\n\n# ours\n[c] # so\n\"skill:y\" = 2 # well\n"
        );
        assert_eq!(
            forget(text, "b").unwrap(),
            "# all\n[a]\n\"skill:x\" = 1\n\n[c]\n\"skill:z\" = 3\n"
        );
        let inline = "a = { \"skill:x\" = 1 }\nb = 2\n";
        assert_eq!(
            rename(inline, "a", "z").unwrap(),
            "b = 2\nz = { \"skill:x\" = 1 }\n"
        );
        assert_eq!(rename("[a", "a", "b").unwrap_err().line, Some(1));
    }

    #[test]
    fn what_is_no_rating_is_passed_over_and_not_overwritten() {
        let text = "default = 1\n";
        assert_eq!(Ratings::parse(text), Ratings::default());
        assert_eq!(Ratings::parse("[default"), Ratings::default());
        let odd = Ratings::parse("[c]\n\"skill:a\" = 6\n\"skill:b\" = \"5\"\n\"skill:d\" = 3\n");
        assert_eq!(
            (odd.of("c", "skill:a"), odd.of("c", "skill:d")),
            (None, Some(3))
        );
        let broken = set("a = 1\n[default", &[rating("default", "pdf", Some(5))]).unwrap_err();
        assert_eq!((broken.code, broken.line), (Code::ConfigInvalid, Some(2)));
        assert!(set(text, &[rating("default", "pdf", Some(5))]).is_err());
    }
}
