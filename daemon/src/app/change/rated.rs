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
use crate::store::history::operation;

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
        let bytes = match before.as_ref().and_then(Node::hash) {
            Some(hash) => object::get(&*self.history, hash, MAX_DOCUMENT),
            None => Ok(Vec::new()),
        };
        match bytes {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).unwrap_or_default();
                Ok(Some((Ratings::parse(&text), called)))
            }
            Err(error) => {
                tracing::warn!(target: "history", "ratings of the past can't be read: {error}");
                Ok(None)
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
}
