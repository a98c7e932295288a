//! What a person thinks of artifacts: `state/ratings.toml` in the home, as no file of a collection has a place
//! for it.
//!
//! One table for each collection, one key for each artifact: `"skill:pdf" = 5`. Read tolerantly, edited in place.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use toml_edit::DocumentMut;

use super::edit::Value;
use super::edit::keys::{self, Keys};
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

fn said(text: &str) -> Result<Map<String, Json>> {
    keys::model(text).map_err(|error| {
        let message = format!("the ratings have a syntax error: {}", error.message);
        invalid(message, Some(error.line))
    })
}

fn blocked(what: &str) -> Error {
    invalid(
        format!("`{what}` is written in a way that can't be changed"),
        None,
    )
}

/// The text in which a collection is called something else; every other byte as it was. What is left there of another
/// one of the new name gives way.
///
/// # Errors
/// [`Code::ConfigInvalid`] with the line if the text is no TOML.
pub fn rename(text: &str, old: &str, new: &str) -> Result<String> {
    if old == new || !said(text)?.contains_key(old) {
        return Ok(text.to_owned());
    }
    let text = forget(text, new)?;
    let renamed = keys::renamed(&text, &[old], new);
    let renamed = keys::verified(&text, &renamed, |model| {
        if let Some(ratings) = model.remove(old) {
            model.insert(new.to_owned(), ratings);
        }
    });
    renamed.ok_or_else(|| blocked(old))
}

/// The text in which an artifact of a collection is called something else; every other byte as it was. What is left
/// there of another one of the new name gives way.
///
/// # Errors
/// As [`set`].
pub fn rename_artifact(
    text: &str,
    collection: &str,
    old: &ArtifactId,
    new: &ArtifactId,
) -> Result<String> {
    let (from, to) = (old.to_string(), new.to_string());
    let model = said(text)?;
    let rated = model.get(collection).and_then(Json::as_object);
    let Some(stars) = rated.and_then(|rated| rated.get(&from)) else {
        return Ok(text.to_owned());
    };
    let text = set(text, &[(collection.to_owned(), new.clone(), None)])?;
    let renamed = keys::renamed(&text, &[collection, &from], &to);
    let renamed = keys::verified(&text, &renamed, |model| {
        let rated = model.get_mut(collection).and_then(Json::as_object_mut);
        if let Some(rated) = rated
            && let Some(stars) = rated.remove(&from)
        {
            rated.insert(to, stars);
        }
    });
    // Within braces: it goes, and stands there anew.
    renamed.map_or_else(
        || {
            let stars = stars.as_u64().and_then(|stars| u8::try_from(stars).ok());
            let [old, new] = [(old, None), (new, stars)]
                .map(|(id, stars)| (collection.to_owned(), id.clone(), stars));
            set(&text, &[new, old])
        },
        Ok,
    )
}

/// The text without the ratings of a collection; every other byte as it was.
///
/// # Errors
/// As [`rename`].
pub fn forget(text: &str, collection: &str) -> Result<String> {
    if !said(text)?.contains_key(collection) {
        return Ok(text.to_owned());
    }
    let left = keys::without(text, &[collection]);
    let left = left.and_then(|left| {
        keys::verified(text, &left, |model| {
            model.remove(collection);
        })
    });
    left.ok_or_else(|| blocked(collection))
}

/// The text with these ratings; every other byte as it was.
///
/// # Errors
/// [`Code::ConfigInvalid`] with the line if the text is no TOML, or something else stands in the way.
pub fn set(text: &str, ratings: &[Rating]) -> Result<String> {
    let there = said(text)?;
    let mut tables: BTreeMap<&str, Vec<(String, Option<Value>)>> = BTreeMap::new();
    for (collection, id, stars) in ratings {
        if stars.is_some() || there.contains_key(collection) {
            let stars = stars.map(|stars| Value::from(i64::from(stars)));
            let keys = tables.entry(collection).or_default();
            keys.push((id.to_string(), stars));
        }
    }
    for collection in tables.keys() {
        if there.get(*collection).is_some_and(|said| !said.is_object()) {
            return Err(invalid(format!("`{collection}` is not a table"), None));
        }
    }
    let names: Vec<&str> = tables.keys().copied().collect();
    let tables: Vec<Keys> = tables
        .into_iter()
        .map(|(collection, keys)| Keys {
            path: vec![collection.to_owned()],
            keys,
        })
        .collect();
    let edited = keys::set(text, &tables);
    let mut text = edited.ok_or_else(|| blocked(&names.join("`, `")))?;
    let now = said(&text)?;
    for name in names {
        let left = now.get(name).and_then(Json::as_object);
        if left.is_some_and(Map::is_empty) {
            let bare = forget(&text, name)?;
            // A table in which somebody wrote something stays.
            let comments = |text: &str| text.matches('#').count();
            if comments(&bare) == comments(&text) {
                text = bare;
            }
        }
    }
    Ok(text)
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
            "z = { \"skill:x\" = 1 }\nb = 2\n"
        );
        assert_eq!(rename("[a", "a", "b").unwrap_err().line, Some(1));
    }

    #[test]
    fn an_artifact_is_renamed_where_it_stands_and_the_end_of_the_file_stays() {
        let text = "[ a ] # mine\r\n'skill:q1'=3 # good\n\n\"skill:x\" = 1\n\n[[ arr . y ]]\nz=1";
        let [q1, q2, x] = ["q1", "q2", "x"].map(|name| ArtifactId::new(Kind::Skill, name));
        assert_eq!(
            rename_artifact(text, "a", &q1, &q2).unwrap(),
            text.replace("'skill:q1'", "\"skill:q2\"")
        );
        assert_eq!(
            rename_artifact(text, "a", &q1, &x).unwrap(),
            text.replace("\"skill:x\" = 1\n", "")
                .replace("'skill:q1'", "\"skill:x\"")
        );
        assert_eq!(rename_artifact(text, "a", &q2, &x).unwrap(), text);
        assert_eq!(rename_artifact(text, "b", &q1, &q2).unwrap(), text);
        let inline = "a = { \"skill:q1\" = 3 } # mine\n";
        assert_eq!(
            rename_artifact(inline, "a", &q1, &q2).unwrap(),
            inline.replace("q1", "q2")
        );
        assert_eq!(
            set(text, &[rating("a", "q1", Some(5))]).unwrap(),
            text.replace("=3", "=5")
        );
        let open = "[a]\n\"skill:x\" = 1";
        assert_eq!(
            set(open, &[rating("a", "y", Some(5))]).unwrap(),
            format!("{open}\n\"skill:y\" = 5")
        );
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

    #[test]
    fn comments_of_a_table_stay_without_its_last_rating() {
        let text =
            "# my ratings\n[default] # team scale\n# five = best\n\"skill:pdf\" = 3\n# ask Bob\n";
        let cleared = set(text, &[rating("default", "pdf", None)]).unwrap();
        assert_eq!(cleared, text.replace("\"skill:pdf\" = 3\n", ""));
        assert!(Ratings::parse(&cleared).is_empty("default"));
    }
}
