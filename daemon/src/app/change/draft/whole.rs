//! Files and folders as a whole: put, removed, and moved somewhere else.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::Problem;
use skillmeat_shared::collection::{MANIFEST, edit};
use skillmeat_shared::fs::{self, Staged};
use skillmeat_shared::history::Node;
use skillmeat_shared::history::restore::restore;
use skillmeat_shared::thread::in_halves;
use skillmeat_shared::{Code, Error, Result};

use super::thing::{Thing, inside};
use super::{After, Before, Draft, Source, Touch, changed, no_folder};
use crate::app::change::Place;
use crate::store::history::Batch;

/// Things from which on two threads make them ready sooner than one.
const MANY: usize = 16;

/// What a copy leaves out that is named one by one.
const NAMED: usize = 3;

/// A place that goes from one state to another.
#[derive(Debug)]
pub(in crate::app) struct Turn {
    pub(in crate::app) place: Place,
    pub(in crate::app) before: Option<Node>,
    pub(in crate::app) after: Option<Node>,
}

impl Draft<'_> {
    /// Drafts a file or folder. What stands there is replaced as a whole.
    pub(in crate::app) fn put(&mut self, place: &Place, from: Source) -> Result<()> {
        // A source that can't be copied is one thing that fails, and nothing of it was drafted.
        let is_foreign = matches!(from, Source::Disk(..));
        let outcome = self.put_whole(place, from);
        if is_foreign {
            outcome
        } else {
            self.noting(outcome)
        }
    }

    fn put_whole(&mut self, place: &Place, from: Source) -> Result<()> {
        let target = self.on_disk(place)?;
        if let (true, Source::Disk(path, links)) = (self.is_dry, &from) {
            let notes = fs::copy::left_out(path, *links)?;
            self.note_left_out(place, notes);
        }
        if let Some(outer) = self.outer(place).filter(|outer| outer != place) {
            return self.put_inside(&outer, place, from);
        }
        let thing = if self.is_dry {
            Thing::like(match from {
                Source::Disk(path, _) | Source::Ours(path) => Some(path),
                Source::Past(_) | Source::Folder => None,
            })
        } else {
            self.stage(place, &target, from)?
        };
        self.draft_whole(place, After::Thing(thing))
    }

    /// Drafts that places go from one state, which they were just seen in and which must hold until the draft is
    /// applied, to another. Their objects must be kept. No place lies in another one.
    pub(in crate::app) fn turn(&mut self, turns: Vec<Turn>) -> Result<()> {
        let mut waiting = Vec::new();
        for turn in turns {
            let before = turn
                .before
                .map_or(Before::Absent, |node| Before::Thing(Some(node)));
            self.note_state(&turn.place, before)?;
            match turn.after {
                None => self.remove(&turn.place)?,
                Some(node) if self.is_dry || self.outer(&turn.place).is_some() => {
                    self.put(&turn.place, Source::Past(node))?;
                }
                Some(node) => {
                    let staged = self.reserve(&turn.place);
                    waiting.push((turn.place, self.noting(staged)?, node));
                }
            }
        }
        let made = make_all(self.past.batch(), &waiting);
        let made = self.noting(made)?;
        for ((place, staged, node), is_exact) in waiting.into_iter().zip(made) {
            self.past.made(staged.path());
            let thing = Thing::staged(staged, is_exact.then_some(node));
            let drafted = self.draft_whole(&place, After::Thing(thing));
            self.noting(drafted)?;
        }
        Ok(())
    }

    /// A name beside a place, for what is to stand there.
    fn reserve(&mut self, place: &Place) -> Result<Staged> {
        let target = self.on_disk(place)?;
        self.make_room(place, &target)?;
        let room = self.room(place, &target)?;
        Ok(Staged::reserve(&target, room.as_deref()))
    }

    /// Tells of which state something is that known places are part of, before the draft and after it.
    pub(in crate::app) fn believe(
        &mut self,
        place: &Place,
        before: Option<Node>,
        after: Option<Node>,
    ) {
        self.believed.insert(place.clone(), (before, after));
    }

    /// Puts something into a folder that is drafted itself.
    fn put_inside(&mut self, outer: &Place, place: &Place, from: Source) -> Result<()> {
        let rest = place.below(outer).unwrap_or_default().to_owned();
        let target = self.on_disk(place)?;
        let Some(After::Thing(thing)) = self.touches.get_mut(outer).and_then(|t| t.after.as_mut())
        else {
            return Err(no_folder(&target));
        };
        thing.state = None;
        let Some(staged) = &thing.staged else {
            thing.like = match from {
                Source::Disk(path, _) | Source::Ours(path) if thing.like.is_none() => {
                    path.parent().map(Path::to_path_buf)
                }
                _ => thing.like.take(),
            };
            return Ok(());
        };
        let path = inside(staged.path(), &rest);
        if let Some(folder) = path.parent() {
            fs::make_folders(folder)?;
        }
        match from {
            Source::Disk(source, links) => {
                let notes = fs::copy::copy_tree(&source, &path, links)?;
                self.note_left_out(place, notes);
                Ok(())
            }
            Source::Ours(made) => fs::set_aside(&made, &path),
            Source::Past(node) => self.past.restore(&node, &path).map(drop),
            Source::Folder => fs::make_folders(&path).map(drop),
        }
    }

    fn stage(&mut self, place: &Place, target: &Path, from: Source) -> Result<Thing> {
        self.make_room(place, target)?;
        let room = self.room(place, target)?;
        match from {
            Source::Disk(source, links) => {
                let (staged, notes) = Staged::copy(&source, target, room.as_deref(), links)?;
                self.note_left_out(place, notes);
                Ok(Thing::staged(staged, None))
            }
            Source::Ours(made) => {
                let staged = Staged::reserve(target, room.as_deref());
                fs::set_aside(&made, staged.path())?;
                Ok(Thing::staged(staged, None))
            }
            Source::Past(node) => {
                let staged = Staged::reserve(target, room.as_deref());
                let is_exact = self.past.restore(&node, staged.path())?;
                Ok(Thing::staged(staged, is_exact.then_some(node)))
            }
            Source::Folder => {
                let staged = Staged::folder(target, room.as_deref())?;
                Ok(Thing::staged(staged, None))
            }
        }
    }

    /// Makes the folder that a place on disk lies in.
    pub(in crate::app::change) fn make_room(&mut self, place: &Place, target: &Path) -> Result<()> {
        if let Some(folder) = target.parent() {
            let made = fs::make_folders(folder)?;
            let given = self.give_mode(place, target, &made);
            self.made.extend(made);
            given?;
        }
        Ok(())
    }

    /// Where things for a place are made ready, if not beside it: what a killed process leaves in an artifact would
    /// be a part of it.
    pub(in crate::app::change) fn room(
        &mut self,
        place: &Place,
        target: &Path,
    ) -> Result<Option<PathBuf>> {
        let Some(container) = place.container() else {
            return Ok(None);
        };
        let container = self.root(place.collection_name())?.join(container);
        let disk = |path: &Path| std::fs::metadata(path).map(|found| found.dev()).ok();
        let there = disk(&container);
        let is_same = there.is_some() && there == target.parent().and_then(disk);
        Ok(is_same.then_some(container))
    }

    /// Drafts nothing for a file or folder after all: what stands there stays.
    pub(in crate::app) fn leave(&mut self, place: &Place) {
        self.touches.remove(place);
        self.left_out
            .retain(|other, _| other.below(place).is_none());
    }

    fn note_left_out(&mut self, place: &Place, notes: Vec<Problem>) {
        if !notes.is_empty() {
            self.left_out.insert(place.clone(), notes);
        }
    }

    /// What copies leave out, a sentence for each.
    pub(in crate::app::change) fn copied_without(&self) -> Vec<String> {
        let said = |(place, notes): (&Place, &Vec<Problem>)| {
            let mut without: Vec<(&str, &str)> = notes
                .iter()
                .map(|note| (note.path.as_deref().unwrap_or_default(), what(&note.code)))
                .collect();
            without.sort_unstable();
            without.dedup();
            let named: Vec<String> = without
                .iter()
                .take(NAMED)
                .map(|(path, what)| format!("`{path}` ({what})"))
                .collect();
            let more = match without.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "`{}` is copied without {}{more}",
                place.path,
                named.join(", ")
            )
        };
        self.left_out.iter().map(said).collect()
    }

    /// Drafts the removal of a file or folder. Nothing stands there: nothing happens.
    pub(in crate::app) fn remove(&mut self, place: &Place) -> Result<()> {
        let outcome = self.remove_whole(place);
        self.noting(outcome)
    }

    fn remove_whole(&mut self, place: &Place) -> Result<()> {
        if let Some(outer) = self.outer(place).filter(|outer| outer != place) {
            let rest = place.below(&outer).unwrap_or_default().to_owned();
            return match self.touches.get_mut(&outer).and_then(|t| t.after.as_mut()) {
                Some(After::Thing(thing)) => thing.remove(&rest),
                _ => Ok(()),
            };
        }
        self.draft_whole(place, After::Absent)
    }

    /// Drafts what is to stand at a place as a whole; what was drafted below it is of no account any more.
    fn draft_whole(&mut self, place: &Place, after: After) -> Result<()> {
        self.forget_below(place)?;
        let before = match self.touches.remove(place) {
            Some(touch) => touch.before,
            None => self.look(place)?,
        };
        if !(before == Before::Absent && matches!(after, After::Absent)) {
            let touch = Touch {
                before,
                after: Some(after),
            };
            self.touches.insert(place.clone(), touch);
        }
        Ok(())
    }

    fn look(&mut self, place: &Place) -> Result<Before> {
        let path = self.on_disk(place)?;
        Ok(match std::fs::symlink_metadata(path) {
            Ok(_) => Before::Thing(None),
            Err(_) => Before::Absent,
        })
    }

    /// Forgets what was read and drafted below a place. What was read there must be so until now.
    fn forget_below(&mut self, place: &Place) -> Result<Vec<(Place, Option<After>)>> {
        let below: Vec<Place> = self
            .touches
            .range(place.inside()..)
            .map(|(other, _)| other)
            .take_while(|other| other.below(place).is_some())
            .cloned()
            .collect();
        let mut forgotten = Vec::new();
        for inner in below {
            self.check(&inner)?;
            if let Some(touch) = self.touches.remove(&inner) {
                forgotten.push((inner, touch.after));
            }
        }
        Ok(forgotten)
    }

    /// Drafts that a file or folder stands somewhere else, with all that was drafted in it.
    ///
    /// # Errors
    /// [`Code::FileNotFound`] if nothing stands at `from`; [`Code::FileExists`] if something stands at `to`.
    pub(in crate::app) fn rename(&mut self, from: &Place, to: &Place) -> Result<()> {
        let outcome = self.rename_whole(from, to);
        self.noting(outcome)
    }

    /// Drafts that a collection of the home is called something else, also where it is rated.
    ///
    /// # Errors
    /// As [`rename`](Self::rename); [`Code::ManifestInvalid`].
    pub(in crate::app) fn rename_collection(&mut self, old: &str, new: &str) -> Result<()> {
        let from = Place::collection_as_whole(old);
        let is_link =
            std::fs::symlink_metadata(self.on_disk(&from)?).is_ok_and(|found| found.is_symlink());
        let place = Place::collection_as_whole(new);
        self.rename(&from, &place)?;
        // Through a link the manifest is somebody else's, too.
        let manifest = Place::home(format!("{}/{MANIFEST}", place.path));
        if !is_link && let Some(text) = self.text(&manifest)? {
            let text = edit::date(&edit::rename(&text, new)?, self.now())?;
            self.write(&manifest, text.into_bytes())?;
        }
        self.rename_rated(old, new)
    }

    fn rename_whole(&mut self, from: &Place, to: &Place) -> Result<()> {
        let (source, target) = (self.on_disk(from)?, self.on_disk(to)?);
        if !self.exists(from)? {
            let message = format!("there is no `{}`", source.display());
            return Err(Error::new(Code::FileNotFound, message).at(source, None));
        }
        if self.exists(to)? {
            let message = format!("`{}` exists already", target.display());
            return Err(Error::new(Code::FileExists, message).at(target, None));
        }
        let drafted = self.touches.get_mut(from).and_then(|t| t.after.take());
        let after = match drafted {
            Some(After::Thing(thing)) => After::Thing(Thing {
                staged: thing.staged.map(|staged| staged.moved_to(&target)),
                ..thing
            }),
            Some(after) => after,
            None if self.is_dry => After::Thing(Thing::like(Some(source))),
            None => {
                let node = self
                    .past
                    .capture(&source)?
                    .ok_or_else(|| changed(&source))?;
                let thing = self.stage(to, &target, Source::Past(node.clone()))?;
                let before = Before::Thing(Some(node));
                self.note_state(from, before)?;
                After::Thing(thing)
            }
        };
        let inner = self.forget_below(from)?;
        self.draft_whole(from, After::Absent)?;
        self.draft_whole(to, after)?;
        for (place, after) in inner {
            let rest = place.below(from).unwrap_or_default();
            let moved = Place {
                root: to.root.clone(),
                path: format!("{}/{rest}", to.path),
            };
            match after {
                Some(After::Bytes(bytes)) => self.write(&moved, bytes)?,
                Some(After::Absent) => self.remove(&moved)?,
                Some(After::Thing(_)) => {
                    let path = self.on_disk(&place)?;
                    return Err(no_folder(&path));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The state of a place as it stands, which must hold until the draft is applied.
    pub(in crate::app) fn state(&mut self, place: &Place) -> Result<Option<Node>> {
        let path = self.on_disk(place)?;
        let node = self.past.capture(&path)?;
        if !self.touches.contains_key(place) {
            let before = node
                .clone()
                .map_or(Before::Absent, |node| Before::Thing(Some(node)));
            self.note_state(place, before)?;
        }
        Ok(node)
    }

    /// Drafts that a place is as it was once. A document is written into the file that stands there, so that it
    /// keeps its mode, and a link to it stays one.
    pub(in crate::app) fn restore(&mut self, place: &Place, node: Option<&Node>) -> Result<()> {
        match node {
            None => self.remove(place),
            Some(Node::File { hash, .. }) if place.is_document() && self.exists(place)? => {
                let bytes = self.past.bytes(hash)?;
                self.write(place, bytes)
            }
            Some(node) => self.put(place, Source::Past(node.clone())),
        }
    }

    /// Notes the state of a place that nothing was drafted for; what was read there must be of that state.
    fn note_state(&mut self, place: &Place, before: Before) -> Result<()> {
        self.check(place)?;
        self.touches.insert(
            place.clone(),
            Touch {
                before,
                after: None,
            },
        );
        Ok(())
    }
}

/// Makes states of the past ready, on two threads if they are many: whether each is that very state.
fn make_all(objects: &Batch<'_>, wanted: &[(Place, Staged, Node)]) -> Result<Vec<bool>> {
    let make = |some: &[(Place, Staged, Node)]| -> Result<Vec<bool>> {
        let restored =
            |(_, staged, node): &(Place, Staged, Node)| restore(node, objects, staged.path());
        some.iter().map(restored).collect()
    };
    let made: Result<Vec<_>> = in_halves("restore", wanted, MANY, &make)
        .into_iter()
        .collect();
    Ok(made?.concat())
}

/// Why a copy leaves something out.
fn what(code: &str) -> &'static str {
    match code {
        "link.outside" => "a link that leads out of it",
        "link.loop" => "a link to a folder that it lies in",
        "link.broken" => "a link that leads nowhere",
        _ => "a pipe, socket or device",
    }
}
