//! Ratings of the past. Each operation that changed them has kept the file as it was before.

use skillmeat_shared::collection::ratings::{FILE, Ratings};
use skillmeat_shared::history::{Node, object};
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{ArtifactId, Result};

use super::carry::collection_at;
use super::draft::{Draft, unless_unreadable};
use super::names::{Followed, Names};
use super::past::{MAX_DOCUMENT, place_of};
use super::place::Place;
use crate::app::App;
use crate::store::history::operation::{self, Filter, Operation};

/// Operations that are looked through at once.
const PAGE: u32 = 200;

impl App {
    /// The ratings at a moment, and what a collection was called then. Nothing if no operation changed ratings since:
    /// they are those of now; or if what was kept can't be read.
    pub(in crate::app) fn ratings_at(
        &self,
        collection: &str,
        at: Timestamp,
    ) -> Result<Option<(Ratings, String)>> {
        self.ratings_before(collection, at, 0)
    }

    /// The same before the first operation since a moment, and after the one of this number.
    fn ratings_before(
        &self,
        collection: &str,
        at: Timestamp,
        after: i64,
    ) -> Result<Option<(Ratings, String)>> {
        let found = self.history.read(|connection| {
            let first = operation::first_at(connection, "", FILE, at, after)?;
            let Some((id, before)) = first else {
                return Ok(None);
            };
            let called = Names::read(connection)?.then(collection, id);
            Ok(called.map(|called| (before, called)))
        })?;
        let Some((before, called)) = found else {
            return Ok(None);
        };
        Ok(self.ratings_of(before.as_ref()).map(|then| (then, called)))
    }

    /// The ratings of a state of their file; nothing if what was kept can't be read.
    fn ratings_of(&self, node: Option<&Node>) -> Option<Ratings> {
        let bytes = match node.and_then(Node::hash) {
            Some(hash) => object::get(&*self.history, hash, MAX_DOCUMENT),
            None => Ok(Vec::new()),
        };
        match bytes {
            Ok(bytes) => Some(Ratings::parse(
                &String::from_utf8(bytes).unwrap_or_default(),
            )),
            Err(error) => {
                tracing::warn!(target: "history", "ratings of the past can't be read: {error}");
                None
            }
        }
    }

    /// Drafts, for the undoing of an operation, that a collection that it took away has the ratings that it had. Another
    /// program leaves them behind, and they go when another collection is made under that name. Ratings that went with
    /// the operation itself come back with it.
    pub(super) fn bring_ratings_back(
        &self,
        draft: &mut Draft<'_>,
        id: i64,
        paths: &[Followed],
    ) -> Result<()> {
        let touched = paths.iter().map(|one| &one.touched);
        if touched
            .clone()
            .any(|one| place_of(one) == Place::home(FILE))
        {
            return Ok(());
        }
        for touched in touched {
            let place = place_of(touched);
            let (Some(name), Some(_), None) =
                (collection_at(&place), &touched.before, &touched.after)
            else {
                continue;
            };
            let Some((then, called)) = self.ratings_before(name, Timestamp(i64::MIN), id)? else {
                continue;
            };
            let Some(now) = unless_unreadable(draft.ratings())? else {
                return Ok(());
            };
            let rating = |key: &str, stars| Some((name.to_owned(), ArtifactId::parse(key)?, stars));
            let come = then
                .all(&called)
                .filter(|(key, stars)| now.of(name, key) != Some(*stars))
                .filter_map(|(key, stars)| rating(key, Some(stars)));
            let go = now
                .all(name)
                .filter(|(key, _)| then.of(&called, key).is_none())
                .filter_map(|(key, _)| rating(key, None));
            let ratings: Vec<_> = come.chain(go).collect();
            unless_unreadable(draft.rate(&ratings))?;
        }
        Ok(())
    }

    /// The operations that changed ratings of a collection, also while it was called something else, the newest
    /// first: those of these artifacts, by `type:name`, or of all if none is named.
    pub(super) fn operations_rating(
        &self,
        collection: &str,
        ids: &[String],
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Operation>> {
        let names = self.history.read(Names::read)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut found, mut before) = (Vec::new(), before);
        loop {
            let filter = Filter {
                place: Some((String::new(), FILE.to_owned())),
                before,
                limit: PAGE,
                ..Filter::default()
            };
            let page = self
                .history
                .read(|connection| operation::list(connection, &filter))?;
            for one in &page {
                if self.has_rated(one.id, &names, collection, ids)? {
                    found.push(one.clone());
                    if found.len() >= limit {
                        return Ok(found);
                    }
                }
            }
            match page.last() {
                Some(last) => before = Some(last.id),
                None => return Ok(found),
            }
        }
    }

    /// Whether an operation changed ratings of a collection.
    fn has_rated(&self, id: i64, names: &Names, collection: &str, ids: &[String]) -> Result<bool> {
        let mut paths = self
            .history
            .read(|connection| operation::paths(connection, id))?
            .into_iter();
        let Some(touched) = paths.find(|one| one.root.is_empty() && one.path == FILE) else {
            return Ok(false);
        };
        let ratings = |node: Option<&Node>, at: i64| {
            let called = names.then(collection, at).unwrap_or_default();
            let all = self.ratings_of(node).unwrap_or_default();
            let meant = all.all(&called);
            let meant = meant.filter(|(id, _)| ids.is_empty() || ids.iter().any(|one| one == id));
            let meant = meant.map(|(id, stars)| (id.to_owned(), stars));
            meant.collect::<Vec<_>>()
        };
        Ok(ratings(touched.before.as_ref(), id) != ratings(touched.after.as_ref(), id + 1))
    }
}
