//! Ratings of the past. Each operation that changed them has kept the file as it was before.

use skillmeat_shared::Result;
use skillmeat_shared::collection::ratings::{FILE, Ratings};
use skillmeat_shared::history::{Node, object};
use skillmeat_shared::time::Timestamp;

use super::names::Names;
use super::past::MAX_DOCUMENT;
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
        let found = self.history.read(|connection| {
            let Some((id, before)) = operation::first_at(connection, "", FILE, at)? else {
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
}
