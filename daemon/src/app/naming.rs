//! What may be called how: no name and no alias means two artifacts of one collection.

use std::collections::HashMap;

use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::App;
use super::curation::id_of;
use super::selection::parsed;
use crate::store::show;

/// Whose aliases a collection has, in small letters: an alias means the same in any case.
pub(super) struct Aliases(HashMap<String, Vec<ArtifactId>>);

impl Aliases {
    /// Fails if a name that an artifact is to have is an alias of another one than this.
    pub(super) fn are_no_name(&self, name: &str, own: Option<&ArtifactId>) -> Result<()> {
        let holders = self.0.get(&name.to_ascii_lowercase()).into_iter().flatten();
        match holders.filter(|id| Some(*id) != own).min() {
            None => Ok(()),
            Some(other) => Err(taken(format!("`{name}` is an alias of `{other}`"), "name")),
        }
    }
}

fn taken(message: String, what: &str) -> Error {
    Error::new(Code::ArtifactExists, message).hint(format!("choose another {what}"))
}

impl App {
    /// The aliases of a collection.
    pub(super) fn aliases_in(&self, collection: &str) -> Result<Aliases> {
        let store = self.store()?;
        let asked = self.asked(&store, collection, false)?;
        let row = asked.first().map_or(0, |(row, _)| *row);
        let mut aliases: HashMap<String, Vec<ArtifactId>> = HashMap::new();
        for (alias, id) in store.read(|connection| show::aliases(connection, row))? {
            aliases
                .entry(alias.to_ascii_lowercase())
                .or_default()
                .push(id);
        }
        Ok(Aliases(aliases))
    }

    /// Fails if one of the aliases that an artifact is to have means another one of the collection.
    pub(super) fn are_free<'a>(
        &self,
        aliases: impl Iterator<Item = &'a String>,
        collection: &str,
        own: &ArtifactId,
    ) -> Result<()> {
        let store = self.store()?;
        for alias in aliases {
            let meant = self.meant_by(&store, collection, &parsed(alias))?;
            if let Some(other) = meant.iter().map(id_of).find(|other| other != own) {
                return Err(taken(format!("`{alias}` is a name of `{other}`"), "alias"));
            }
        }
        Ok(())
    }
}
