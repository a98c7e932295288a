//! The tags of one artifact: in its own file, and in its entry of the manifest.

use std::path::Path;

use skillmeat_shared::artifact::frontmatter::edit::{self as fields, Change as FieldChange};
use skillmeat_shared::artifact::{metadata, scan};
use skillmeat_shared::collection::edit::{Change, Key};
use skillmeat_shared::collection::spelling;
use skillmeat_shared::{ArtifactId, Code, Result};

use super::{Plan, id_of};
use crate::app::change::Place;
use crate::app::curation::relock::Touched;

/// What is to become of the tags of one artifact.
pub(super) struct Retag {
    pub(super) gone: Vec<String>,
    pub(super) new: Vec<String>,
}

impl Retag {
    /// The tags afterwards: new ones stand where the first that goes stood, else at the end.
    fn of(&self, tags: &[String]) -> Vec<String> {
        let is_gone = |tag: &String| self.gone.contains(tag);
        let stood = tags.iter().position(is_gone);
        let mut after: Vec<String> = Vec::new();
        for (at, tag) in tags.iter().enumerate() {
            if stood == Some(at) {
                after.extend(self.new.iter().filter(|new| !tags.contains(new)).cloned());
            }
            if !is_gone(tag) {
                after.push(tag.clone());
            }
        }
        let rest = self.new.iter().filter(|new| !after.contains(new)).cloned();
        let rest: Vec<String> = rest.collect();
        after.extend(rest);
        after
    }

    fn field_changes(&self) -> Vec<FieldChange> {
        match (self.gone.as_slice(), self.new.as_slice()) {
            (gone, [new]) if !gone.is_empty() => gone
                .iter()
                .map(|old| FieldChange::RenameTag(old.clone(), new.clone()))
                .collect(),
            ([], new) => vec![FieldChange::AddTags(new.to_vec())],
            (gone, new) => {
                let mut changes = vec![FieldChange::RemoveTags(gone.to_vec())];
                if !new.is_empty() {
                    changes.push(FieldChange::AddTags(new.to_vec()));
                }
                changes
            }
        }
    }
}

impl Plan<'_, '_> {
    /// Changes the tags of one artifact, in its file and in its entry.
    pub(super) fn retag(&mut self, at: usize, to: &Retag) {
        let Some(row) = self.rows.get(at).cloned() else {
            return;
        };
        let id = id_of(&row);
        if to.gone.is_empty() && to.new.is_empty() {
            self.tell(&id.to_string(), "unchanged", "");
            return;
        }
        let mut entries = self.manifest.entries.iter();
        let in_entry = entries
            .find(|entry| entry.id == id)
            .map(|entry| (entry.tags.clone(), to.of(&entry.tags)));
        let (path, has_files) = (
            row.path.clone(),
            row.status != "missing" && row.status != "declared",
        );
        let in_file = if has_files {
            self.retag_file(&id, &path, to)
        } else {
            Ok(false)
        };
        if matches!(in_file, Ok(true)) {
            let touched = Touched::of(&self.manifest, &row, self.collection);
            self.touched.extend(touched);
        }
        let moves = in_entry.as_ref().is_some_and(|(old, new)| old != new);
        match in_file {
            // What stands in the manifest can be changed all the same.
            Err(error) if !(moves && error.code == Code::FrontmatterInvalid) => {
                self.fail(&id.to_string(), &error);
                return;
            }
            Ok(false) if !moves => {
                let reason = if in_entry.is_none() {
                    "it has no file that tags can stand in"
                } else {
                    ""
                };
                self.tell(&id.to_string(), "unchanged", reason);
                return;
            }
            Err(error) => {
                let reason = format!("in the manifest only: {}", error.message);
                self.tell(&id.to_string(), self.done, &reason);
            }
            Ok(_) => self.tell(&id.to_string(), self.done, ""),
        }
        if let Some((_, new)) = in_entry.filter(|_| moves) {
            let change = Change::texts("tags", &new);
            self.entries.push((Key::Artifact(id), vec![change]));
        }
    }

    /// Changes the tags in an artifact's own file; whether there was something to change.
    fn retag_file(&mut self, id: &ArtifactId, path: &str, to: &Retag) -> Result<bool> {
        spelling::plain(path)?;
        let root = self.draft.root(self.collection)?;
        let full = root.join(path);
        let scan = scan::scan(&full, &root)?;
        let Some(file) = metadata::manifest_file(&id.kind, &scan) else {
            return Ok(false);
        };
        let relative = if scan.is_file {
            path.to_owned()
        } else {
            format!("{path}/{}", file.display())
        };
        let place = Place::collection(self.collection, relative.as_str());
        let Some(bytes) = self.draft.read(&place)? else {
            return Ok(false);
        };
        let edited = fields::edit(&bytes, Path::new(&relative), &id.kind, &to.field_changes())?;
        self.draft.write(&place, edited)?;
        // Another artifact may have the same file.
        self.draft.is_drafted(&place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_tags_stand_where_the_old_ones_stood() {
        let texts = |items: &[&str]| {
            items
                .iter()
                .map(|&item| item.to_owned())
                .collect::<Vec<_>>()
        };
        let after = |gone: &[&str], new: &[&str], tags: &[&str]| {
            let retag = Retag {
                gone: texts(gone),
                new: texts(new),
            };
            retag.of(&texts(tags))
        };
        assert_eq!(after(&["b"], &["x"], &["a", "b", "c"]), ["a", "x", "c"]);
        assert_eq!(after(&["b", "B"], &["x"], &["b", "a", "B"]), ["x", "a"]);
        assert_eq!(after(&["b"], &["a"], &["a", "b"]), ["a"]);
        assert_eq!(after(&[], &["x", "a"], &["a"]), ["a", "x"]);
        assert_eq!(after(&["a"], &[], &["a"]), [""; 0]);
    }
}
