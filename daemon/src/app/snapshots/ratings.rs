//! The ratings of artifacts that come back with a snapshot, and of those that go: no file of a collection has a
//! place for them.
//!
//! Who comes back has the rating that it had when the snapshot was made; who goes has none any more, as after a
//! removal. Those that stay keep theirs: what a person thinks of them is of today.

use std::collections::BTreeSet;
use std::path::Path;

use skillmeat_shared::collection::MANIFEST;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::history::{Node, Objects};
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{ArtifactId, Kind, Result};

use super::artifacts_in;
use super::restore::text_of;
use crate::app::App;
use crate::app::change::{Draft, unless_unreadable};

/// Artifacts that a change of states brings back, and those that it takes away.
#[derive(Debug, Default)]
pub(super) struct Turned {
    pub(super) come: BTreeSet<ArtifactId>,
    pub(super) go: BTreeSet<ArtifactId>,
}

impl Turned {
    /// From one state of a collection to another. Of a manifest that can't be read nobody knows which there are:
    /// nothing comes or goes then.
    pub(super) fn between(objects: &dyn Objects, now: &Node, then: &Node) -> Result<Self> {
        let (Some(now), Some(then)) = (ids_in(objects, now)?, ids_in(objects, then)?) else {
            return Ok(Self::default());
        };
        Ok(Self {
            come: then.difference(&now).cloned().collect(),
            go: now.difference(&then).cloned().collect(),
        })
    }

    /// To a state of a collection of which nothing is there.
    pub(super) fn into(objects: &dyn Objects, then: &Node) -> Result<Self> {
        Ok(Self {
            come: ids_in(objects, then)?.unwrap_or_default(),
            go: BTreeSet::new(),
        })
    }
}

/// The artifacts of a state, by their places and by their entries.
pub(super) fn ids_in(objects: &dyn Objects, node: &Node) -> Result<Option<BTreeSet<ArtifactId>>> {
    let found = artifacts_in(objects, node)?.into_iter();
    let mut ids: BTreeSet<ArtifactId> = found
        .map(|(found, _)| ArtifactId::new(found.kind, found.name))
        .collect();
    if let Some(text) = text_of(objects, node, Path::new(MANIFEST))? {
        let Ok(manifest) = Manifest::parse(&text) else {
            return Ok(None);
        };
        ids.extend(manifest.entries.into_iter().map(|entry| entry.id));
        let servers = manifest.mcp_servers.into_iter();
        ids.extend(servers.map(|server| ArtifactId::new(Kind::Mcp, server.name)));
    }
    Ok(Some(ids))
}

impl App {
    /// Drafts the ratings of what comes back from a moment, and of what goes. A file of ratings that can't be
    /// changed is in nobody's way.
    pub(super) fn turn_ratings(
        &self,
        name: &str,
        at: Timestamp,
        draft: &mut Draft<'_>,
        turned: &dyn Fn(&Draft<'_>) -> Result<Turned>,
    ) -> Result<()> {
        let Some(now) = unless_unreadable(draft.ratings())? else {
            return Ok(());
        };
        let then = self.ratings_at(name, at)?;
        let was_rated = then
            .as_ref()
            .is_some_and(|(then, called)| !then.is_empty(called));
        if now.is_empty(name) && !was_rated {
            return Ok(());
        }
        let Turned { come, go } = turned(draft)?;
        let come = come.into_iter().filter_map(|id| {
            let (then, called) = then.as_ref()?;
            let key = id.to_string();
            let stars = then
                .of(called, &key)
                .filter(|_| now.of(name, &key).is_none())?;
            Some((name.to_owned(), id, Some(stars)))
        });
        let go = go
            .into_iter()
            .filter(|id| now.of(name, &id.to_string()).is_some())
            .map(|id| (name.to_owned(), id, None));
        let ratings: Vec<_> = come.chain(go).collect();
        unless_unreadable(draft.rate(&ratings)).map(drop)
    }
}
