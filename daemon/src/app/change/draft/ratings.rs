//! The ratings, which stand in a file of the home.

use skillmeat_shared::collection::ratings::{self, FILE, Rating, Ratings};
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::Draft;
use crate::app::change::Place;

impl Draft<'_> {
    /// The ratings as they are drafted.
    pub(in crate::app) fn ratings(&mut self) -> Result<Ratings> {
        let text = self.text(&Place::home(FILE))?;
        Ok(Ratings::parse(&text.unwrap_or_default()))
    }

    /// Drafts ratings.
    ///
    /// # Errors
    /// [`Code::ConfigInvalid`] if their file can't be changed.
    pub(in crate::app) fn rate(&mut self, new: &[Rating]) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        self.edit_ratings(&|text| ratings::set(text, new))
    }

    /// Drafts that an artifact's rating follows it to another name.
    ///
    /// # Errors
    /// [`Code::ConfigInvalid`] if their file can't be changed.
    pub(in crate::app) fn rename_rating(
        &mut self,
        collection: &str,
        old: &ArtifactId,
        new: &ArtifactId,
    ) -> Result<()> {
        self.edit_ratings(&|text| ratings::rename_artifact(text, collection, old, new))
    }

    /// Drafts that the ratings of a collection follow it to another name.
    pub(super) fn rename_rated(&mut self, old: &str, new: &str) -> Result<()> {
        let renamed = self.edit_ratings(&|text| ratings::rename(text, old, new));
        unless_unreadable(renamed).map(drop)
    }

    /// Drafts that nothing of a collection is rated any more.
    pub(in crate::app) fn forget_rated(&mut self, collection: &str) -> Result<()> {
        let forgotten = self.edit_ratings(&|text| ratings::forget(text, collection));
        unless_unreadable(forgotten).map(drop)
    }

    fn edit_ratings(&mut self, edit: &dyn Fn(&str) -> Result<String>) -> Result<()> {
        let place = Place::home(FILE);
        let text = self.text(&place)?.unwrap_or_default();
        let edited = edit(&text)?;
        if edited == text {
            return Ok(());
        }
        self.write(&place, edited.into_bytes())
    }
}

/// What is there, or nothing if a file is not what it should be: ratings are in nobody's way.
pub(in crate::app) fn unless_unreadable<T>(outcome: Result<T>) -> Result<Option<T>> {
    let is_unreadable = |error: &Error| {
        matches!(
            error.code,
            Code::ManifestInvalid | Code::ConfigInvalid | Code::FileTooLarge
        )
    };
    match outcome {
        Err(error) if is_unreadable(&error) => {
            tracing::warn!(target: "change", "the ratings stay as they are: {error}");
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}
