//! Files of a collection that belong to no artifact: its README, notes in a container.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::layout::{self, Place};
use super::spelling;
use crate::fs::atomic;

/// The most files that are listed.
const MOST: usize = 10_000;

/// How deep folders are looked into.
const DEEPEST: usize = 32;

/// Names of what programs make for a moment, or keep for themselves: nobody's text.
const PASSING: [&str; 6] = ["~", ".swp", ".swo", ".swx", ".skillmeat-lock", ".DS_Store"];

/// Whether a path, relative to the collection, is one of such a file, or of a folder of them. Only the names count: it
/// may be gone.
pub fn is_beside(relative: &Path, is_folder: bool) -> bool {
    if relative.iter().any(is_passing) {
        return false;
    }
    match layout::classify(relative) {
        Place::Ignored => true,
        // A folder of this name would be an artifact.
        Place::Artifact(_) if !is_folder => {
            let parts: Vec<&OsStr> = relative.iter().collect();
            matches!(parts[..], [container, name] if layout::named(container, name, false).is_none())
        }
        _ => false,
    }
}

fn is_passing(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name == b".git"
        || name == b"4913"
        || name.starts_with(atomic::TEMP_PREFIX.as_bytes())
        || name.starts_with(b".#")
        || PASSING.iter().any(|end| name.ends_with(end.as_bytes()))
}

/// Such files and links, relative and as [`spelling`] has them. At most 10,000, not behind links, and none of folders
/// that can't be read.
pub fn list(root: &Path) -> Vec<String> {
    let mut listed = Vec::new();
    list_in(root, Path::new(""), 0, &mut listed);
    listed
}

fn list_in(root: &Path, folder: &Path, depth: usize, listed: &mut Vec<String>) {
    let entries = fs::read_dir(root.join(folder)).into_iter().flatten();
    for entry in entries.flatten() {
        let path = folder.join(entry.file_name());
        let is_folder = match entry.file_type() {
            Ok(kind) if kind.is_dir() => true,
            Ok(kind) if kind.is_file() || kind.is_symlink() => false,
            _ => continue,
        };
        let is_container = layout::classify(&path) == Place::Container;
        if is_folder && depth < DEEPEST && (is_container || is_beside(&path, true)) {
            list_in(root, &path, depth + 1, listed);
        } else if !is_folder && is_beside(&path, false) {
            if listed.len() >= MOST {
                return;
            }
            listed.push(spelling::spell(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_belongs_to_no_artifact_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let all = [
            "README.md",
            ".gitignore",
            "docs/deep/a.md",
            "skills/README.md",
            "skills/.notes/x",
            "skills/notes.txt",
            "commands/b.txt",
            "skills/pdf/SKILL.md",
            "commands/b.md",
            "collection.toml",
            "collection.lock",
            ".git/index",
            "docs/.git/index",
            ".README.md.swp",
            "docs/a.md~",
            ".#a",
            ".skillmeat-tmp-1-2-3",
        ];
        for path in all {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            atomic::write(&root.join(path), b"x", 0o644).unwrap();
        }
        symlink("/", root.join("docs/out")).unwrap();
        let mut listed = list(root);
        listed.sort();
        let mut wanted: Vec<&str> = all[..7].to_vec();
        wanted.push("docs/out");
        wanted.sort_unstable();
        assert_eq!(listed, wanted);
        assert!(is_beside(Path::new("gone/x"), false));
        assert!(!is_beside(Path::new("skills/gone/x"), false));
        assert!(!is_beside(Path::new("skills"), true));
    }
}
