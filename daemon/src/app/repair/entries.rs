//! Repairs of what entries say.

use std::path::Path;

use skillmeat_shared::artifact::{frontmatter, metadata};
use skillmeat_shared::collection::MANIFEST;
use skillmeat_shared::collection::edit::{self, Change, Key};
use skillmeat_shared::collection::entry::Entry;
use skillmeat_shared::maintenance::{Home, platform_of};
use skillmeat_shared::{Code, Error, Kind, Result};

use super::{BACKUP, Site};
use crate::app::change::Place;

/// Characters of an old value that are shown.
const SHOWN: usize = 80;

/// Tools that are named.
const NAMED: usize = 5;

impl Site<'_, '_> {
    fn change(&mut self, edits: &[(Key, Vec<Change>)]) -> Result<()> {
        let path = self.draft.root(self.name)?.join(MANIFEST);
        self.text = edit::change(&self.text, edits).map_err(|error| {
            let line = error.line;
            error.at(path, line)
        })?;
        Ok(())
    }

    /// Keeps the manifest of a collection as it was before the repair, under a name that nothing has, unless that is kept
    /// already.
    pub(super) fn back_up(&mut self, collection: &str) -> Result<()> {
        let Some(bytes) = self.draft.read(&Place::manifest(collection))? else {
            return Ok(());
        };
        let mut place = Place::collection(collection, BACKUP);
        let mut others = 2_u32..;
        while self.draft.exists(&place)?
            && let Some(number) = others.next()
        {
            if self
                .draft
                .read(&place)
                .is_ok_and(|kept| kept.as_ref() == Some(&bytes))
            {
                return Ok(());
            }
            place = Place::collection(collection, format!("{BACKUP}.{number}"));
        }
        self.draft.write(&place, bytes)
    }

    /// Writes tools from the frontmatter of skills into entries that have none.
    pub(super) fn tools(&mut self) -> Result<()> {
        let mut edits = Vec::new();
        for entry in self.manifest.entries.clone() {
            let id = &entry.id;
            if id.kind != Kind::Skill {
                self.tell(id, "skipped", "not a skill");
                continue;
            }
            if !entry.metadata.tools.is_empty() {
                self.tell(id, "skipped", "its entry names tools already");
                continue;
            }
            let folder = match self.place_of(self.name, &entry) {
                Ok(Some(folder)) => folder,
                Ok(None) => {
                    let message = "its entry names no place in the collection";
                    self.fail(id, &Error::new(Code::FileOutside, message));
                    continue;
                }
                Err(error) => {
                    self.fail(id, &error);
                    continue;
                }
            };
            let place = Place::collection(self.name, format!("{}/SKILL.md", folder.path));
            let bytes = match self.draft.read(&place) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => {
                    match self.draft.exists(&folder) {
                        Ok(false) if self.leave_misplaced(id)? => {}
                        Ok(_) => {
                            let message = format!("there is no `{}`", place.path);
                            self.fail(id, &Error::new(Code::FileNotFound, message));
                        }
                        Err(error) => self.fail(id, &error),
                    }
                    continue;
                }
                Err(error) if error.code == Code::FileChanged => return Err(error),
                Err(error) => {
                    self.fail(id, &error);
                    continue;
                }
            };
            let document = frontmatter::parse_file(Path::new("SKILL.md"), &bytes);
            let tools = metadata::extract(&id.kind, &id.name, &document).tools;
            if tools.is_empty() {
                self.tell(id, "unchanged", "its frontmatter names no tools");
                continue;
            }
            let mut named = tools
                .iter()
                .take(NAMED)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            if tools.len() > NAMED {
                named.push_str(", …");
            }
            self.fixed(id, &format!("{} tools: {named}", tools.len()));
            edits.push((
                Key::Artifact(id.clone()),
                vec![Change::texts("metadata.tools", &tools)],
            ));
        }
        self.change(&edits)
    }

    /// Puts the names of platforms where URLs stand.
    pub(super) fn origin_source(&mut self) -> Result<()> {
        let mut edits = Vec::new();
        for entry in self.manifest.entries.clone() {
            let Some(old) = entry.origin_source.as_deref() else {
                continue;
            };
            let shown: String = old.chars().take(SHOWN).collect();
            match platform_of(old) {
                Ok(None) => {}
                Ok(Some(platform)) => {
                    self.fixed(&entry.id, &format!("`{shown}` is `{platform}`"));
                    let change = Change::set("origin_source", platform);
                    edits.push((Key::Artifact(entry.id), vec![change]));
                }
                Err(()) => {
                    let message = format!("`{shown}` is no platform that is known");
                    self.fail(&entry.id, &Error::new(Code::ManifestInvalid, message));
                }
            }
        }
        if !edits.is_empty() {
            self.back_up(self.name)?;
        }
        self.change(&edits)
    }

    /// Writes paths as they should be, and those that are not there.
    pub(super) fn layout(&mut self) -> Result<()> {
        let mut edits = Vec::new();
        for entry in self.manifest.entries.clone() {
            let new = match self.right_path(&entry) {
                Ok(Some(new)) => new,
                Ok(None) => continue,
                Err(error) if error.code == Code::FileChanged => return Err(error),
                Err(error) => {
                    self.fail(&entry.id, &error);
                    continue;
                }
            };
            let old = entry.path.as_deref().filter(|old| !old.is_empty());
            let old = old.map_or_else(|| "no path".to_owned(), |old| format!("`{old}`"));
            self.fixed(
                &entry.id,
                &format!("its path is `{new}`, where {old} stood"),
            );
            let change = Change::set("path", new.as_str());
            edits.push((Key::Artifact(entry.id), vec![change]));
        }
        self.change(&edits)
    }

    /// The path that an entry should have, if it is not the one that it has. Where nothing stands at that, it is the path
    /// of the one artifact of its type and name that no entry names.
    fn right_path(&mut self, entry: &Entry) -> Result<Option<String>> {
        let old = entry.path.as_deref();
        let written = match old {
            Some(path) => self.inside(self.name, entry, path)?,
            None => Home::of(&entry.id).map(|home| home.0),
        };
        let is_there = match &written {
            // Where nobody can tell, it is left to be what it says.
            Some(path) => {
                let place = Place::collection(self.name, path.as_str());
                self.draft.exists(&place).unwrap_or(true)
            }
            None => false,
        };
        let mut found = if is_there {
            Vec::new()
        } else {
            self.unnamed(&entry.id)?
        };
        let only = found.pop().filter(|_| found.is_empty());
        if let (Some(path), None, None) = (old, &written, &only) {
            let message = format!("its path `{path}` leads out of the collection");
            return Err(Error::new(Code::FileOutside, message));
        }
        let right = only.or(written.filter(|_| is_there || old.is_some()));
        Ok(right.filter(|right| Some(right.as_str()) != old))
    }
}
