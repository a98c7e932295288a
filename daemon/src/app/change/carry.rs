//! What goes along when a collection gets another name: its snapshots, in the history and those of the ancestor, and
//! what is known of its files.

use std::path::Path;

use rusqlite::Transaction;
use skillmeat_shared::Result;

use super::past::place_of;
use super::place::{Place, Root};
use crate::app::App;
use crate::store::history::operation::TouchedPath;
use crate::store::history::{known, snapshot};

/// The old name of a collection and its new one.
pub(super) type Renamed = (String, String);

/// Whether an operation is done, or taken back after it was noted as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    There,
    Back,
}

/// The collection that an operation renames, by what it touches: one goes as a whole, and one comes. Undoing it
/// looks the same, the other way round.
pub(super) fn renamed<'t>(
    touched: impl Iterator<Item = (&'t Place, bool, bool)>,
) -> Option<Renamed> {
    let (mut old, mut new) = (None, None);
    for (place, is_there_before, is_there_after) in touched {
        let Some(name) = collection_at(place) else {
            continue;
        };
        let side = match (is_there_before, is_there_after) {
            (true, false) => &mut old,
            (false, true) => &mut new,
            _ => return None,
        };
        if side.replace(name.to_owned()).is_some() {
            return None;
        }
    }
    old.zip(new)
}

/// The same of an operation that is recorded.
pub(super) fn renamed_by(paths: &[TouchedPath]) -> Option<Renamed> {
    let places: Vec<Place> = paths.iter().map(place_of).collect();
    let touched = places.iter().zip(paths);
    renamed(touched.map(|(place, path)| (place, path.before.is_some(), path.after.is_some())))
}

/// Has the snapshots of a collection that an operation renames follow, and what is known of its files. Of one that
/// goes nothing is known any more: another one of its name has other files.
pub(super) fn carry_along(
    transaction: &Transaction<'_>,
    paths: &[TouchedPath],
    way: Way,
) -> rusqlite::Result<()> {
    let (from, to) = match (renamed_by(paths), way) {
        (Some((old, new)), Way::There) => (old, new),
        (Some((old, new)), Way::Back) => (new, old),
        (None, _) => {
            let places = paths.iter().filter(|path| path.after.is_none());
            return places
                .filter_map(|path| collection_at(&place_of(path)).map(str::to_owned))
                .try_for_each(|gone| known::forget(transaction, &gone));
        }
    };
    snapshot::rename(transaction, &from, &to)?;
    known::rename(transaction, &from, &to)
}

/// The collection that a place of the home is, as a whole.
pub(super) fn collection_at(place: &Place) -> Option<&str> {
    let name = place.path.strip_prefix("collections/")?;
    (place.root == Root::Home && !name.contains('/')).then_some(name)
}

impl App {
    /// Has the ancestor's archives of a collection lie under its new name; whether something moved. Archives that
    /// lie there from before stay as they are, and these, too.
    pub(super) fn carry_archives(&self, (old, new): &Renamed) -> Result<bool> {
        let (from, to) = (self.boot.home.snapshots(old), self.boot.home.snapshots(new));
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        if !is_there(&from) {
            return Ok(false);
        }
        if is_there(&to) {
            tracing::warn!(
                target: "change",
                "`{}` stays: `{}` is there already", from.display(), to.display()
            );
            return Ok(false);
        }
        skillmeat_shared::fs::set_aside(&from, &to).map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_that_goes_and_one_that_comes_are_one_that_is_renamed() {
        let home = Place::home;
        let of = |touched: &[(Place, bool, bool)]| {
            renamed(
                touched
                    .iter()
                    .map(|(place, before, after)| (place, *before, *after)),
            )
        };
        let (gone, made) = (home("collections/a"), home("collections/b"));
        let names = Some(("a".to_owned(), "b".to_owned()));
        let config = (Place::config(), true, true);
        assert_eq!(
            of(&[
                (gone.clone(), true, false),
                config,
                (made.clone(), false, true)
            ]),
            names
        );
        assert_eq!(of(&[(gone.clone(), true, false)]), None);
        assert_eq!(of(&[(made.clone(), false, true)]), None);
        let other = home("collections/c");
        assert_eq!(
            of(&[
                (gone, true, false),
                (made, false, true),
                (other, false, true)
            ]),
            None
        );
        let inner = home("collections/a/collection.toml");
        assert_eq!(of(&[(inner, true, false)]), None);
    }
}
