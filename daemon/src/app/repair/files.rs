//! Repairs of what lies where: files in another collection, files without an entry, entries without files.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use skillmeat_shared::artifact::{read, scan};
use skillmeat_shared::collection::MANIFEST;
use skillmeat_shared::collection::edit::{self, Key, NewEntry};
use skillmeat_shared::collection::entry::Entry;
use skillmeat_shared::collection::layout;
use skillmeat_shared::collection::lockfile::LockEntry;
use skillmeat_shared::collection::manifest::{EntryMetadata, Manifest};
use skillmeat_shared::collection::spelling;
use skillmeat_shared::maintenance::{Home, moved_path, normal_path};
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::{MISPLACED, Site, sound_lock};
use crate::app::change::{Place, can_be_followed};
use crate::store::list::Existing;

/// Where the files of an entry are, if not in its collection.
enum Elsewhere {
    Nowhere,
    /// In a collection that has no entry for them, at a path.
    Unclaimed(String, String),
    /// In a collection that has an entry for them.
    Claimed(String),
    /// Nobody can tell, and why.
    Unknown(String),
}

impl Site<'_, '_> {
    /// Where the files of a collection's entry should lie; `None` if it does not say and no place is usual.
    pub(super) fn place_of(&mut self, collection: &str, entry: &Entry) -> Result<Option<Place>> {
        let path = match &entry.path {
            Some(path) => self.inside(collection, entry, path)?,
            None => Home::of(&entry.id).map(|home| home.0),
        };
        Ok(path.map(|path| Place::collection(collection, path)))
    }

    /// The path of an entry as it should be written; `None` if it leads out of the collection. An absolute one that
    /// leads nowhere is of a place where the collection lay before, if what it names is here.
    pub(super) fn inside(
        &mut self,
        collection: &str,
        entry: &Entry,
        path: &str,
    ) -> Result<Option<String>> {
        let root = self.draft.root(collection)?;
        if let Ok(normal) = normal_path(path, &root) {
            return Ok(Some(normal.unwrap_or_else(|| path.to_owned())));
        }
        let moved = moved_path(path, &entry.id.kind);
        let Some(moved) = moved.filter(|_| Path::new(path).symlink_metadata().is_err()) else {
            return Ok(None);
        };
        let place = Place::collection(collection, moved.as_str());
        Ok(self.draft.exists(&place)?.then_some(moved))
    }

    /// The entries whose files are not there, with their places. Where nobody can tell, none is.
    fn without_files(&mut self) -> Result<Vec<(Entry, Place)>> {
        let root = self.draft.root(self.name)?;
        let mut without = Vec::new();
        for entry in self.manifest.entries.clone() {
            let seen = self.place_of(self.name, &entry).and_then(|place| {
                let Some(place) = place else { return Ok(None) };
                let is_there = self.draft.exists(&place)?;
                can_be_followed(&root.join(&place.path))?;
                Ok((!is_there).then_some(place))
            });
            match seen {
                Ok(Some(place)) => without.push((entry, place)),
                Ok(None) => {}
                Err(error) if error.code == Code::FileChanged => return Err(error),
                Err(error) => self.fail(&entry.id, &error),
            }
        }
        Ok(without)
    }

    /// Where artifacts of this id lie in the collection that no entry names.
    pub(super) fn unnamed(&mut self, id: &ArtifactId) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for one in self.draft.existing(self.name)? {
            if one.id != *id || one.status != "unmanaged" || !spelling::is_plain(&one.path) {
                continue;
            }
            let is_named = |entry: &Entry| entry.path.as_deref() == Some(one.path.as_str());
            let place = Place::collection(self.name, one.path.as_str());
            if !self.manifest.entries.iter().any(is_named) && self.draft.exists(&place)? {
                found.push(one.path);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Why these artifacts are left to other collections: those list them, though their files are not there, or nobody
    /// can tell.
    fn listed_elsewhere(&mut self, existing: &[Existing]) -> Result<HashMap<ArtifactId, String>> {
        let mut listed = HashMap::new();
        let stray = existing.iter().filter(|one| one.status == "unmanaged");
        let stray: HashSet<&ArtifactId> = stray.map(|one| &one.id).collect();
        if stray.is_empty() {
            return Ok(listed);
        }
        let (all, name) = (self.all, self.name);
        let unknown = |error: &Error| format!("another collection may list it: {}", error.message);
        for other in all.iter().filter(|other| *other != name) {
            let read = self.draft.root(other);
            let entries = match read.and_then(|_| self.draft.parsed(other)) {
                Ok((_, manifest)) => manifest.entries,
                Err(error) if error.code == Code::FileChanged => return Err(error),
                Err(error) => {
                    for id in &stray {
                        let reason = listed.entry((*id).clone());
                        reason.or_insert_with(|| unknown(&error));
                    }
                    continue;
                }
            };
            for entry in entries.into_iter().filter(|one| stray.contains(&one.id)) {
                let place = self.place_of(other, &entry);
                let is_there = place.and_then(|place| match place {
                    Some(place) => self.draft.exists(&place),
                    None => Ok(true),
                });
                let reason = match is_there {
                    Ok(true) => continue,
                    Ok(false) => format!("`{other}` lists it; {MISPLACED} moves it there"),
                    Err(error) if error.code == Code::FileChanged => return Err(error),
                    Err(error) => unknown(&error),
                };
                listed.insert(entry.id, reason);
            }
        }
        Ok(listed)
    }

    /// Leaves an entry alone whose files lie in a collection that has no entry for them, or may; says whether it is one.
    pub(super) fn leave_misplaced(&mut self, id: &ArtifactId) -> Result<bool> {
        let reason = match self.elsewhere(id)? {
            Elsewhere::Unclaimed(other, _) => {
                format!("its files lie in `{other}`; {MISPLACED} moves them")
            }
            Elsewhere::Unknown(why) => why,
            Elsewhere::Claimed(_) | Elsewhere::Nowhere => return Ok(false),
        };
        self.tell(id, "skipped", &reason);
        Ok(true)
    }

    /// Looks for an artifact in the other collections. One that no entry claims comes first.
    fn elsewhere(&mut self, id: &ArtifactId) -> Result<Elsewhere> {
        let (mut claimed, mut unknown) = (None, None);
        let (all, name) = (self.all, self.name);
        for other in all.iter().filter(|other| *other != name) {
            match self.found_in(other, id) {
                Ok(Some((path, false))) => return Ok(Elsewhere::Unclaimed(other.clone(), path)),
                Ok(Some((_, true))) => claimed = claimed.or_else(|| Some(other.clone())),
                Ok(None) => {}
                Err(error) if error.code == Code::FileChanged => return Err(error),
                Err(error) => unknown = unknown.or(Some(error.message)),
            }
        }
        Ok(match (unknown, claimed) {
            (Some(why), _) => Elsewhere::Unknown(format!("another collection may have it: {why}")),
            (None, Some(other)) => Elsewhere::Claimed(other),
            (None, None) => Elsewhere::Nowhere,
        })
    }

    /// Where an artifact lies in another collection, and whether that has an entry for it. It is an error if nobody can
    /// tell.
    fn found_in(&mut self, other: &str, id: &ArtifactId) -> Result<Option<(String, bool)>> {
        drop(self.draft.root(other)?);
        let existing = self.draft.existing(other)?;
        let is_it = |one: &&Existing| one.id == *id && spelling::is_plain(&one.path);
        for one in existing.iter().filter(is_it) {
            // It may have been moved before this.
            let place = Place::collection(other, one.path.as_str());
            if self.draft.exists(&place)? {
                let entries = self.draft.parsed(other)?.1.entries;
                let is_claimed =
                    one.status != "unmanaged" || entries.iter().any(|entry| entry.id == *id);
                return Ok(Some((one.path.clone(), is_claimed)));
            }
        }
        self.is_nowhere(other, id).map(|()| None)
    }

    /// Whether it can be told of a collection that an artifact is not where it would usually lie in it.
    fn is_nowhere(&mut self, collection: &str, id: &ArtifactId) -> Result<()> {
        let Some(Home(path)) = Home::of(id) else {
            return Ok(());
        };
        let on_disk = self.draft.root(collection)?.join(&path);
        match self.draft.exists(&Place::collection(collection, path)) {
            // What is not even behind a link out of the collection is not in it.
            Err(error) if error.code == Code::FileOutside => {
                let seen = on_disk.symlink_metadata();
                let is_absent = seen.is_err_and(|seen| layout::is_absence(&seen));
                if is_absent { Ok(()) } else { Err(error) }
            }
            outcome => outcome.map(drop),
        }
    }

    /// Moves files here that lie in another collection which has no entry for them.
    pub(super) fn misplaced(&mut self) -> Result<()> {
        let mut moved = BTreeSet::new();
        for (entry, place) in self.without_files()? {
            let (collection, path) = match self.elsewhere(&entry.id)? {
                Elsewhere::Nowhere => continue,
                Elsewhere::Unclaimed(other, path) => (other, path),
                Elsewhere::Claimed(other) => {
                    let reason = format!("`{other}` has it, with an entry of its own");
                    self.tell(&entry.id, "skipped", &reason);
                    continue;
                }
                Elsewhere::Unknown(why) => {
                    self.tell(&entry.id, "skipped", &why);
                    continue;
                }
            };
            let from = Place::collection(&collection, path);
            // The lock comes along with the files.
            let lock = sound_lock(self.draft, &collection);
            match lock.and_then(|_| self.draft.rename(&from, &place)) {
                Ok(()) => {
                    self.fixed(
                        &entry.id,
                        &format!("from `{collection}` to `{}`", self.name),
                    );
                    self.move_lock(&entry.id, &collection)?;
                    moved.insert(collection);
                }
                Err(error) if error.code == Code::FileChanged => return Err(error),
                Err(error) => self.fail(&entry.id, &error),
            }
        }
        if !moved.is_empty() {
            self.back_up(self.name)?;
        }
        moved.iter().try_for_each(|from| self.back_up(from))
    }

    fn move_lock(&mut self, id: &ArtifactId, from: &str) -> Result<()> {
        let Some(kept) = edit::lock_block(&self.draft.lock(from)?, id)? else {
            return Ok(());
        };
        let ids = [id.clone()];
        self.draft
            .edit_lock(from, &|text| edit::remove_lock(text, &ids))?;
        if edit::lock_block(&self.draft.lock(self.name)?, id)?.is_none() {
            self.draft
                .edit_lock(self.name, &|text| edit::put_lock(text, id, &kept))?;
        }
        Ok(())
    }

    /// Gives an entry to artifacts that have none, and forgets locks of what is gone.
    pub(super) fn orphans(&mut self) -> Result<()> {
        let existing = self.draft.existing(self.name)?;
        let listed = self.listed_elsewhere(&existing)?;
        let root = self.draft.root(self.name)?;
        let now = self.app.now();
        let mut entries: Vec<NewEntry> = Vec::new();
        let mut locks = Vec::new();
        for one in existing.iter().filter(|one| one.status == "unmanaged") {
            if let Err(error) = spelling::plain(&one.path) {
                self.fail(&one.id, &error);
                continue;
            }
            let place = Place::collection(self.name, one.path.as_str());
            let has_entry = |entry: &Entry| {
                entry.id == one.id && entry.path.as_deref() == Some(one.path.as_str())
            };
            let is_there = match self.draft.exists(&place) {
                Ok(is_there) => is_there,
                Err(error) => {
                    self.fail(&one.id, &error);
                    continue;
                }
            };
            // A repair before this one moves it away, or mends its entry.
            if !is_there || self.manifest.entries.iter().any(has_entry) {
                continue;
            }
            let is_taken = self.manifest.entries.iter().any(|entry| entry.id == one.id)
                || entries.iter().any(|entry| entry.id == one.id);
            if is_taken {
                self.tell(&one.id, "skipped", "another artifact has the name");
                continue;
            }
            if let Some(reason) = listed.get(&one.id) {
                self.tell(&one.id, "skipped", reason);
                continue;
            }
            let full = root.join(&one.path);
            let reading = scan::scan(&full, &root)
                .and_then(|scan| read::read(&one.id.kind, &one.id.name, &full, &scan, false));
            let reading = match reading {
                Ok(reading) => reading,
                Err(error) => {
                    self.fail(&one.id, &error);
                    continue;
                }
            };
            let said = reading.metadata;
            entries.push(NewEntry {
                tags: said.tags,
                metadata: EntryMetadata {
                    title: said.title,
                    description: said.description,
                    author: said.author,
                    license: said.license,
                    version: said.version,
                    tags: Vec::new(),
                    tools: said.tools,
                    dependencies: said.dependencies,
                },
                ..NewEntry::local(one.id.clone(), one.path.as_str(), now)
            });
            if let Some(hash) = reading.hashes.content {
                let lock = LockEntry {
                    content_hash: Some(hash),
                    fetched: Some(now.to_manifest()),
                    ..LockEntry::default()
                };
                locks.push((one.id.clone(), lock));
            }
            self.fixed(&one.id, &format!("an entry in `{}`", self.name));
        }
        if !entries.is_empty() {
            self.text = edit::add_entries(&self.text, &entries, now)?;
        }
        if !locks.is_empty() {
            self.draft
                .edit_lock(self.name, &|text| edit::set_lock(text, &locks))?;
        }
        self.stray_locks(&existing)
    }

    fn stray_locks(&mut self, existing: &[Existing]) -> Result<()> {
        let lock = sound_lock(self.draft, self.name)?;
        let root = self.draft.root(self.name)?;
        let manifest = Manifest::parse(&self.text).map_err(|error| {
            let message = format!("the manifest can't be read: {}", error.message);
            Error::new(Code::ManifestInvalid, message).at(root.join(MANIFEST), Some(error.line))
        })?;
        let is_known = |id: &ArtifactId| {
            manifest.entries.iter().any(|entry| entry.id == *id)
                || existing.iter().any(|one| one.id == *id)
        };
        let mut stray = Vec::new();
        for id in lock.entries.into_keys().filter(|id| !is_known(id)) {
            if let Err(error) = self.is_nowhere(self.name, &id) {
                self.fail(&id, &error);
                continue;
            }
            self.fixed(&id, &format!("no lock in `{}` any more", self.name));
            stray.push(id);
        }
        if stray.is_empty() {
            return Ok(());
        }
        self.draft
            .edit_lock(self.name, &|text| edit::remove_lock(text, &stray))
    }

    /// Removes entries whose files are nowhere.
    pub(super) fn missing(&mut self) -> Result<()> {
        let mut gone = Vec::new();
        for (entry, _) in self.without_files()? {
            if self.leave_misplaced(&entry.id)? {
                continue;
            }
            let here = self.unnamed(&entry.id)?;
            if here.is_empty() {
                self.fixed(&entry.id, &format!("no entry in `{}` any more", self.name));
                gone.push(entry.id);
                continue;
            }
            let here: Vec<String> = here.iter().map(|path| format!("`{path}`")).collect();
            let reason = format!(
                "its path is wrong; {} may be it: `sm repair layout` writes the path if there is one such",
                here.join(", ")
            );
            self.tell(&entry.id, "skipped", &reason);
        }
        if gone.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = gone.iter().cloned().map(Key::Artifact).collect();
        let moved: Vec<(ArtifactId, Option<String>)> =
            gone.iter().cloned().map(|id| (id, None)).collect();
        self.text = edit::rename_members(&edit::remove(&self.text, &keys)?, &moved)?;
        self.draft
            .edit_lock(self.name, &|text| edit::remove_lock(text, &gone))
    }
}
