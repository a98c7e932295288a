//! The files of an artifact, as a draft has them.

use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::scan::{self, Scan};
use skillmeat_shared::artifact::{frontmatter, metadata};
use skillmeat_shared::{Code, Error, Kind, Result};

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
/// changed alone stays.
pub(super) fn rename_inside(
    draft: &mut Draft<'_>,
    collection: &str,
    row: &Summary,
    place: &Place,
    new: &str,
) -> Result<()> {
    let kind = Kind::from_manifest(&row.kind);
    let scan = scanned(draft, collection, place)?;
    let Some(file) = metadata::manifest_file(&kind, &scan) else {
        return Ok(());
    };
    let target = inside(place, &scan, &file);
    let Some(bytes) = draft.read(&target)? else {
        return Ok(());
    };
    let own = frontmatter::parse_file(&file, &bytes);
    if own.fields.get("name").and_then(|name| name.as_str()) != Some(&row.name) {
        return Ok(());
    }
    let change = frontmatter::edit::Change::Set("name", new.to_owned());
    match frontmatter::edit::edit(&bytes, &file, &kind, &[change]) {
        Ok(edited) => draft.write(&target, edited),
        Err(error) if error.code == Code::FrontmatterInvalid => Ok(()),
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

/// Fails if the files of an artifact are those of another one, too.
pub(super) fn not_shared(row: &Summary, existing: &[Existing]) -> Result<()> {
    let inside = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let other = existing.iter().find(|other| {
        let is_same = other.id.kind.as_str() == row.kind && other.id.name == row.name;
        let shares = inside(&other.path, &row.path) || inside(&row.path, &other.path);
        !is_same && !other.path.is_empty() && other.status != "unmanaged" && shares
    });
    match other {
        None => Ok(()),
        Some(other) => {
            let message = format!("its files belong to `{}`, too", other.id);
            Err(Error::new(Code::ArtifactInvalid, message)
                .hint("change the paths in `collection.toml`"))
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
}
