//! The files of an artifact, as a draft has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::scan::{self, Scan};
use skillmeat_shared::artifact::{frontmatter, metadata};
use skillmeat_shared::{ArtifactId, Code, Error, Kind, Result};

use super::super::change::{Draft, Place};
use crate::store::list::{Existing, Summary};

/// Where an artifact lies.
pub(super) fn place_of(collection: &str, row: &Summary) -> Place {
    Place::collection(collection, row.path.as_str())
}

/// What is in an artifact's place now.
pub(super) fn scanned(draft: &mut Draft<'_>, collection: &str, place: &Place) -> Result<Scan> {
    let root = draft.root(collection)?;
    let content = draft.content(place)?;
    scan::scan(&content, &root)
}

/// The file that says what an artifact is, and its path in the artifact; the file's own name for artifacts of
/// one file.
pub(super) fn manifest_file(
    draft: &mut Draft<'_>,
    collection: &str,
    row: &Summary,
) -> Result<Option<(Place, PathBuf)>> {
    let place = place_of(collection, row);
    let scan = scanned(draft, collection, &place)?;
    let kind = Kind::from_manifest(&row.kind);
    let Some(file) = metadata::manifest_file(&kind, &scan) else {
        return Ok(None);
    };
    Ok(Some((inside(&place, &scan, &file), file)))
}

/// The place of a file of an artifact.
pub(super) fn inside(place: &Place, scan: &Scan, file: &Path) -> Place {
    if scan.is_file {
        return place.clone();
    }
    Place {
        root: place.root.clone(),
        path: format!("{}/{}", place.path, file.to_string_lossy()),
    }
}

/// Drafts another `name` in the file that says what an artifact is, if it has the old one there. What can't be
/// changed alone stays, which is told.
pub(super) fn rename_inside(
    draft: &mut Draft<'_>,
    collection: &str,
    row: &Summary,
    place: &Place,
    new: &str,
) -> Result<Option<String>> {
    let (target, becomes) = renamed_inside(draft, collection, row, place, new)?;
    match becomes {
        WithName::Edited(edited) => draft.write(&target, edited).map(|()| None),
        WithName::Stays(told) => Ok(Some(told)),
        WithName::Other => Ok(None),
    }
}

/// What [`rename_inside`] would tell.
pub(super) fn name_that_stays(
    draft: &mut Draft<'_>,
    collection: &str,
    row: &Summary,
    place: &Place,
    new: &str,
) -> Result<Option<String>> {
    Ok(
        match renamed_inside(draft, collection, row, place, new)?.1 {
            WithName::Stays(told) => Some(told),
            WithName::Edited(_) | WithName::Other => None,
        },
    )
}

fn renamed_inside(
    draft: &mut Draft<'_>,
    collection: &str,
    row: &Summary,
    place: &Place,
    new: &str,
) -> Result<(Place, WithName)> {
    let kind = Kind::from_manifest(&row.kind);
    let scan = scanned(draft, collection, place)?;
    let Some(file) = metadata::manifest_file(&kind, &scan) else {
        return Ok((place.clone(), WithName::Other));
    };
    let target = inside(place, &scan, &file);
    let Some(bytes) = draft.read(&target)? else {
        return Ok((target, WithName::Other));
    };
    let becomes = with_name(&kind, &file, &bytes, (&row.name, new))?;
    Ok((target, becomes))
}

/// What becomes of the `name` in the file that says what an artifact is, when that gets another one.
pub(in crate::app) enum WithName {
    /// The file with the new one.
    Edited(Vec<u8>),
    /// It has the old one, which can't be changed alone: what to tell of it.
    Stays(String),
    /// It has no name, or one of its own.
    Other,
}

/// The file that says what an artifact is with another `name`, if it has the old one there.
pub(in crate::app) fn with_name(
    kind: &Kind,
    file: &Path,
    bytes: &[u8],
    (old, new): (&str, &str),
) -> Result<WithName> {
    let own = frontmatter::parse_file(file, bytes);
    if own.fields.get("name").and_then(|name| name.as_str()) != Some(old) {
        return Ok(WithName::Other);
    }
    let change = frontmatter::edit::Change::Set("name", new.to_owned());
    match frontmatter::edit::edit(bytes, file, kind, &[change]) {
        Ok(edited) => Ok(WithName::Edited(edited)),
        Err(error) if error.code == Code::FrontmatterInvalid => {
            let file = file.display();
            let told = format!("the name in `{file}` stays: {}", error.message);
            Ok(WithName::Stays(told))
        }
        Err(error) => Err(error),
    }
}

/// The path of an artifact under another name: beside the old one, with its extension.
pub(super) fn renamed_path(row: &Summary, new: &str) -> String {
    let (folder, file) = match row.path.rsplit_once('/') {
        Some((folder, file)) => (format!("{folder}/"), file),
        None => (String::new(), row.path.as_str()),
    };
    // What follows the name is the extension; a file of another name keeps its last one.
    let rest = match file.strip_prefix(row.name.as_str()) {
        Some(rest) => rest,
        None => Path::new(file)
            .extension()
            .and_then(|extension| file.get(file.len() - extension.len() - 1..))
            .unwrap_or_default(),
    };
    format!("{folder}{new}{rest}")
}

/// Whose files lie where in a collection.
pub(super) struct Owners(BTreeMap<String, Vec<ArtifactId>>);

impl Owners {
    /// Those of all artifacts that the manifest names.
    pub(super) fn of<'a>(existing: impl IntoIterator<Item = &'a Existing>) -> Self {
        let mut owners: BTreeMap<String, Vec<ArtifactId>> = BTreeMap::new();
        for one in existing {
            if !one.path.is_empty() && one.status != "unmanaged" {
                owners
                    .entry(one.path.clone())
                    .or_default()
                    .push(one.id.clone());
            }
        }
        Self(owners)
    }

    /// Fails if the files of an artifact are those of another one, too.
    pub(super) fn only(&self, row: &Summary) -> Result<()> {
        let id = super::id_of(row);
        let path = row.path.as_str();
        let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        let above = above.chain([path]).filter_map(|outer| self.0.get(outer));
        let inner = format!("{path}/");
        let below = self
            .0
            .range(inner.clone()..)
            .take_while(|(path, _)| path.starts_with(&inner))
            .map(|(_, ids)| ids);
        match above.chain(below).flatten().find(|other| **other != id) {
            None => Ok(()),
            Some(other) => {
                let message = format!("its files belong to `{other}`, too");
                Err(Error::new(Code::ArtifactInvalid, message)
                    .hint("change the paths in `collection.toml`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str, path: &str) -> String {
        let row = Summary {
            name: name.to_owned(),
            path: path.to_owned(),
            ..Summary::default()
        };
        renamed_path(&row, "new")
    }

    #[test]
    fn names_change_and_extensions_stay() {
        assert_eq!(path("pdf", "skills/pdf"), "skills/new");
        assert_eq!(path("pdf", "commands/pdf.md"), "commands/new.md");
        assert_eq!(path("v1.2", "skills/v1.2"), "skills/new");
        assert_eq!(path("x", "workflows/other.flow.yaml"), "workflows/new.yaml");
        assert_eq!(path("x", "odd"), "new");
        assert_eq!(path("x", "x.md"), "new.md");
    }

    #[test]
    fn files_of_two_are_told() {
        let existing = |name: &str, path: &str, status: &str| Existing {
            id: ArtifactId::new(Kind::Skill, name),
            path: path.to_owned(),
            status: status.to_owned(),
            content_hash: None,
        };
        let owners = Owners::of(&[
            existing("a", "skills/a", "managed"),
            existing("twin", "skills/a", "managed"),
            existing("outer", "skills/o", "managed"),
            existing("inner", "skills/o/inner", "missing"),
            existing("b", "skills/b", "managed"),
            existing("bb", "skills/bb", "managed"),
            existing("found", "skills/b/found", "unmanaged"),
        ]);
        let is_alone = |name: &str, path: &str| {
            let row = Summary {
                kind: "skill".to_owned(),
                name: name.to_owned(),
                path: path.to_owned(),
                ..Summary::default()
            };
            owners.only(&row).is_ok()
        };
        assert!(is_alone("b", "skills/b") && is_alone("bb", "skills/bb"));
        for (name, path) in [
            ("a", "skills/a"),
            ("outer", "skills/o"),
            ("inner", "skills/o/inner"),
        ] {
            assert!(!is_alone(name, path), "{name}");
        }
    }
}
