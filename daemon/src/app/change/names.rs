//! What collections were called when. Operations name a collection as it was called then; who looks for what they
//! did must follow it through every renaming since.

use std::cmp::Reverse;
use std::path::Path;

use rusqlite::Connection;
use skillmeat_shared::Result;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::collection::{edit, ratings};
use skillmeat_shared::history::{Node, diff};

use super::carry::{Renamed, renamed_by};
use super::place::Place;
use crate::app::App;
use crate::store::history::operation::{self, Filter, Operation, TouchedPath};

/// The folder of collections in the home, and how paths in it begin.
const FOLDER: &str = "collections";

/// The renamings that took place, the oldest first, by the numbers of their operations.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<(i64, Renamed)>);

/// A name that a collection had, and the operations of that time: those between the two.
#[derive(Debug, PartialEq, Eq)]
struct Called {
    name: String,
    after: i64,
    before: Option<i64>,
}

/// A path of an operation, where its collection stands now.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    /// The path, and what the operation did there.
    pub(super) touched: TouchedPath,
    /// What the collection was called then, if that is not what it is called now.
    called: Option<String>,
    /// Of the ratings: the renamings since, the oldest first.
    renamed: Vec<Renamed>,
}

impl From<TouchedPath> for Followed {
    fn from(touched: TouchedPath) -> Self {
        Self {
            touched,
            called: None,
            renamed: Vec::new(),
        }
    }
}

impl Followed {
    /// The text of a manifest of that time, or of the ratings, with the names that collections have now.
    pub(super) fn said_now(&self, text: String) -> String {
        let text = self.renamed.iter().fold(text, |text, (old, new)| {
            ratings::rename(&text, old, new).unwrap_or(text)
        });
        let Some(called) = &self.called else {
            return text;
        };
        let said = Manifest::parse(&text).ok().and_then(|one| one.header.name);
        if said.as_ref() != Some(called) {
            return text;
        }
        edit::rename(&text, &self.touched.root).unwrap_or(text)
    }
}

impl Names {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let touched = operation::in_folder_of_home(connection, FOLDER)?;
        let renamings = touched.chunk_by(|one, next| one.0 == next.0);
        let renamings = renamings.filter_map(|paths| {
            let (id, _) = paths.first()?;
            let paths: Vec<TouchedPath> = paths.iter().map(|(_, path)| path.clone()).collect();
            Some((*id, renamed_by(&paths)?))
        });
        Ok(Self(renamings.collect()))
    }

    /// The renamings after an operation, the oldest first.
    fn since(&self, operation: i64) -> impl Iterator<Item = &Renamed> {
        let later = self.0.iter().filter(move |(id, _)| *id > operation);
        later.map(|(_, renamed)| renamed)
    }

    /// What the collection is called now that was called so when an operation was done.
    fn now<'n>(&'n self, name: &'n str, operation: i64) -> &'n str {
        self.since(operation).fold(
            name,
            |name, (old, new)| if name == old { new } else { name },
        )
    }

    /// The names that the collection had that is called so now, the last one first.
    fn past(&self, name: &str) -> Vec<Called> {
        let mut found = Vec::new();
        let (mut name, mut before) = (name, None);
        for (id, (old, new)) in self.0.iter().rev() {
            if name != new && name != old {
                continue;
            }
            found.push(Called {
                name: name.to_owned(),
                after: *id,
                before,
            });
            if name == old {
                // Who had this name before is called something else now.
                return found;
            }
            (name, before) = (old, Some(*id));
        }
        found.push(Called {
            name: name.to_owned(),
            after: 0,
            before,
        });
        found
    }

    /// What the collection was called just before an operation that is called so now.
    pub(super) fn then(&self, name: &str, operation: i64) -> Option<String> {
        let is_of_then = |called: &Called| {
            called.after < operation && called.before.is_none_or(|before| operation <= before)
        };
        let called = self.past(name).into_iter().find(is_of_then);
        called.map(|called| called.name)
    }

    /// Where a path of an operation is now.
    pub(super) fn follow(&self, mut touched: TouchedPath, operation: i64) -> Followed {
        if touched.root.is_empty() {
            let rest = touched.path.strip_prefix(FOLDER);
            if let Some(rest) = rest.and_then(|rest| rest.strip_prefix('/')) {
                let (name, inner) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                touched.path = format!("{FOLDER}/{}{inner}", self.now(name, operation));
            }
            let mut followed = Followed::from(touched);
            if followed.touched.path == ratings::FILE {
                followed.renamed = self.since(operation).cloned().collect();
            }
            return followed;
        }
        let now = self.now(&touched.root, operation).to_owned();
        let then = std::mem::replace(&mut touched.root, now);
        Followed {
            called: (then != touched.root).then_some(then),
            touched,
            renamed: Vec::new(),
        }
    }
}

impl App {
    /// Operations at a place, or below or above it, the newest first: also those of the time when its collection
    /// was called something else, and those on the collection as a whole that changed what stands there.
    pub(super) fn operations_at(
        &self,
        place: &Place,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Operation>> {
        let (mut found, wholes) = self.history.read(|connection| {
            let name = place.collection_name();
            let past = if name.is_empty() {
                Names::default().past(name)
            } else {
                Names::read(connection)?.past(name)
            };
            let (mut found, mut wholes) = (Vec::new(), Vec::new());
            for called in past {
                let whole = Place::collection_as_whole(&called.name).path;
                let mut filter = Filter {
                    place: Some((called.name, place.path.clone())),
                    after: called.after,
                    before: called.before.into_iter().chain(before).min(),
                    limit,
                };
                found.extend(operation::list(connection, &filter)?);
                if name.is_empty() {
                    continue;
                }
                filter.place = Some((String::new(), whole.clone()));
                filter.limit = u32::MAX;
                if place.path.is_empty() {
                    // The renaming to this name is of the whole, and of nothing in it.
                    filter.after = called.after - 1;
                }
                for one in operation::list(connection, &filter)? {
                    let mut paths = operation::paths(connection, one.id)?.into_iter();
                    let touched = paths.find(|path| path.root.is_empty() && path.path == whole);
                    let touched =
                        touched.filter(|path| one.id > called.after || path.after.is_some());
                    wholes.extend(touched.map(|touched| (one, touched)));
                }
            }
            Ok((found, wholes))
        })?;
        let changed = wholes
            .into_iter()
            .filter(|(_, touched)| self.is_changed_inside(touched, &place.path))
            .map(|(one, _)| one);
        found.extend(changed.take(usize::try_from(limit).unwrap_or(usize::MAX)));
        found.sort_by_key(|one| Reverse(one.id));
        Ok(found)
    }

    /// Whether something at a path in a folder was changed with it. In doubt it was.
    fn is_changed_inside(&self, touched: &TouchedPath, path: &str) -> bool {
        let inside = |node: Option<&Node>| match node {
            Some(node) => diff::find(&*self.history, node, Path::new(path)),
            None => Ok(None),
        };
        match (
            inside(touched.before.as_ref()),
            inside(touched.after.as_ref()),
        ) {
            (Ok(before), Ok(after)) => before != after,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let renamed = |id, old: &str, new: &str| (id, (old.to_owned(), new.to_owned()));
        // `b` was another one, which is `c` now; then `a` became `b`, and there is a new `a`.
        Names(vec![renamed(3, "b", "c"), renamed(5, "a", "b")])
    }

    fn past(name: &str) -> Vec<(String, i64, Option<i64>)> {
        let past = names().past(name);
        let told = past.into_iter();
        told.map(|one| (one.name, one.after, one.before)).collect()
    }

    #[test]
    fn a_name_means_another_collection_after_a_renaming() {
        let names = names();
        for (name, operation, now) in [
            ("a", 4, "b"),
            ("a", 5, "a"),
            ("a", 6, "a"),
            ("b", 2, "c"),
            ("b", 4, "b"),
            ("c", 1, "c"),
        ] {
            assert_eq!(names.now(name, operation), now, "{name} {operation}");
        }
        for (name, operation, then) in [
            ("b", 6, Some("b")),
            ("b", 5, Some("a")),
            ("b", 4, Some("a")),
            ("c", 2, Some("b")),
            ("a", 6, Some("a")),
            ("a", 4, None),
        ] {
            assert_eq!(names.then(name, operation).as_deref(), then, "{name}");
        }
    }

    #[test]
    fn each_name_counts_for_its_time_only() {
        let of = |name: &str, after, before| (name.to_owned(), after, before);
        assert_eq!(past("b"), [of("b", 5, None), of("a", 0, Some(5))]);
        assert_eq!(past("a"), [of("a", 5, None)]);
        assert_eq!(past("c"), [of("c", 3, None), of("b", 0, Some(3))]);
        assert_eq!(past("x"), [of("x", 0, None)]);
    }

    #[test]
    fn paths_follow_their_collection() {
        let follow = |root: &str, path: &str, operation| {
            let touched = TouchedPath {
                root: root.to_owned(),
                path: path.to_owned(),
                before: None,
                after: None,
            };
            let followed = names().follow(touched, operation);
            (
                followed.touched.root,
                followed.touched.path,
                followed.called,
            )
        };
        let of = |root: &str, path: &str, called: Option<&str>| {
            (root.to_owned(), path.to_owned(), called.map(str::to_owned))
        };
        assert_eq!(follow("a", "skills/x", 1), of("b", "skills/x", Some("a")));
        assert_eq!(follow("a", "skills/x", 6), of("a", "skills/x", None));
        assert_eq!(
            follow("", "collections/a", 1),
            of("", "collections/b", None)
        );
        assert_eq!(
            follow("", "collections/b/x", 1),
            of("", "collections/c/x", None)
        );
        assert_eq!(follow("", "config.toml", 1), of("", "config.toml", None));
    }
}
