//! The content hash that an artifact will have.

use std::collections::BTreeMap;
use std::path::PathBuf;

use skillmeat_shared::Result;
use skillmeat_shared::artifact::{hash, scan};
use skillmeat_shared::fs::FileHash;

use super::{After, Draft};
use crate::app::change::Place;

impl Draft<'_> {
    /// The content hash of an artifact as drafted so far; nothing if it can't be told.
    ///
    /// # Errors
    /// [`skillmeat_shared::Code::FileNotFound`] if nothing is to stand there.
    pub(in crate::app) fn content_hash(&mut self, place: &Place) -> Result<Option<String>> {
        let place = &self.real(place)?;
        // An artifact of one file: its place may be one where nothing stands yet.
        let own = self
            .touches
            .get(place)
            .and_then(|touch| touch.after.as_ref());
        if let Some(After::Bytes(bytes)) = own {
            return Ok(Some(FileHash::of(bytes).to_hex()));
        }
        let root = self.root(place.collection_name())?;
        let content = self.content(place)?;
        let scan = scan::scan(&content, &root)?;
        let instead = self.instead(place)?;
        Ok(hash::with(&content, &scan, &instead))
    }

    /// What is drafted for the files of an artifact.
    fn instead(&self, place: &Place) -> Result<BTreeMap<PathBuf, Option<Vec<u8>>>> {
        let inner = place.inside();
        let below = self
            .touches
            .range(inner.clone()..)
            .take_while(|(other, _)| {
                other.root == inner.root && other.path.starts_with(&inner.path)
            });
        let mut instead = BTreeMap::new();
        for (other, touch) in self.touches.get_key_value(place).into_iter().chain(below) {
            let rest = other.below(place).unwrap_or_default();
            let drafted = match &touch.after {
                None => continue,
                Some(After::Absent) => None,
                Some(After::Bytes(bytes)) => Some(bytes.clone()),
                // What a dry run would write into the whole.
                Some(After::Thing(thing)) if rest.is_empty() => {
                    let below = thing.below.iter();
                    instead.extend(below.map(|(path, bytes)| (path.into(), bytes.clone())));
                    continue;
                }
                Some(After::Thing(thing)) => thing.read("")?,
            };
            instead.insert(PathBuf::from(rest), drafted);
        }
        Ok(instead)
    }
}
