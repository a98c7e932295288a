//! Where a change touches the disk.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use skillmeat_shared::collection::{LOCK, MANIFEST, layout, spelling};
use skillmeat_shared::fs;
use skillmeat_shared::{Code, Error, Result};

use super::carry::collection_at;

/// The path of the config in the home.
pub(in crate::app) const CONFIG: &str = "config.toml";

/// What a path is relative to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::app) enum Root {
    /// The home.
    Home,
    /// The folder of a collection that is served.
    Collection(String),
}

/// A path that a change reads or writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::app) struct Place {
    /// What the path is relative to.
    pub(in crate::app) root: Root,
    /// Relative, with `/`.
    pub(in crate::app) path: String,
}

impl Place {
    /// A path in the home.
    pub(in crate::app) fn home(path: impl Into<String>) -> Self {
        Self {
            root: Root::Home,
            path: path.into(),
        }
    }

    /// A path in a collection.
    pub(in crate::app) fn collection(name: &str, path: impl Into<String>) -> Self {
        Self {
            root: Root::Collection(name.to_owned()),
            path: path.into(),
        }
    }

    /// The folder of a collection in the home.
    pub(in crate::app) fn collection_as_whole(name: &str) -> Self {
        Self::home(format!("collections/{name}"))
    }

    /// The config.
    pub(in crate::app) fn config() -> Self {
        Self::home(CONFIG)
    }

    /// The manifest of a collection.
    pub(in crate::app) fn manifest(name: &str) -> Self {
        Self::collection(name, MANIFEST)
    }

    /// The lock file of a collection.
    pub(in crate::app) fn lock(name: &str) -> Self {
        Self::collection(name, LOCK)
    }

    /// The same place as one in a collection, if it lies in the folder of one.
    pub(super) fn in_collection(&self) -> Option<Self> {
        match &self.root {
            Root::Collection(_) => Some(self.clone()),
            Root::Home => {
                let (name, path) = self.path.strip_prefix("collections/")?.split_once('/')?;
                Some(Self::collection(name, path))
            }
        }
    }

    /// The collection that it lies in; empty for the home.
    pub(in crate::app) fn collection_name(&self) -> &str {
        match &self.root {
            Root::Home => "",
            Root::Collection(name) => name,
        }
    }

    /// Whether it is a document of entries, which are undone one by one, rather than a whole.
    pub(in crate::app) fn is_document(&self) -> bool {
        match &self.root {
            Root::Home => Path::new(&self.path)
                .extension()
                .is_some_and(|extension| extension == "toml"),
            Root::Collection(_) => self.path == MANIFEST || self.path == LOCK,
        }
    }

    /// Whether it is a collection, or a folder of artifacts in one.
    pub(super) fn holds_artifacts(&self) -> bool {
        let inner = self.in_collection();
        collection_at(self).is_some()
            || inner.is_some_and(|inner| layout::is_container(OsStr::new(&inner.path)))
    }

    /// Where places below this one begin, in order.
    pub(super) fn inside(&self) -> Self {
        Self {
            root: self.root.clone(),
            path: format!("{}/", self.path),
        }
    }

    /// This place and those that hold it, the innermost first.
    pub(super) fn and_outer(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), |inner| {
            let (path, _) = inner.path.rsplit_once('/')?;
            Some(Self {
                root: inner.root.clone(),
                path: path.to_owned(),
            })
        })
    }

    /// Whether it is the config: of its changes the keys and values are recorded, not the file, which may hold
    /// secrets.
    pub(in crate::app) fn is_config(&self) -> bool {
        self.root == Root::Home && self.path == CONFIG
    }

    /// The folder of artifacts that it lies in, if it is a part of an artifact.
    pub(super) fn container(&self) -> Option<&str> {
        let Root::Collection(_) = self.root else {
            return None;
        };
        match layout::classify(Path::new(&self.path)) {
            layout::Place::Artifact(artifact) if artifact != self.path => {
                self.path.split('/').next()
            }
            _ => None,
        }
    }

    /// The rest of this path below another one; empty if they are the same.
    pub(in crate::app) fn below(&self, outer: &Self) -> Option<&str> {
        if self.root != outer.root {
            return None;
        }
        let rest = self.path.strip_prefix(&outer.path)?;
        if rest.is_empty() {
            return Some(rest);
        }
        rest.strip_prefix('/')
    }

    /// The path on disk, below the folder of its root, which has no links in it. What lies in a collection must not
    /// be reached through a link that leads out of it.
    pub(super) fn on_disk(&self, root: &Path) -> Result<PathBuf> {
        let path = fs::join(root, Path::new(&self.path))?;
        if self.root == Root::Home {
            return Ok(path);
        }
        spelling::plain(&self.path)?;
        if leads_nowhere_else(root, path.parent().unwrap_or(root)) {
            return Ok(path);
        }
        let nearest = path
            .ancestors()
            .skip(1)
            .find_map(|folder| std::fs::canonicalize(folder).ok());
        if nearest.is_some_and(|folder| folder.starts_with(root)) {
            return Ok(path);
        }
        Err(Error::new(
            Code::FileOutside,
            format!(
                "`{}` lies behind a link that leads out of the collection",
                path.display()
            ),
        )
        .hint("make the link a folder, or name the folder that it leads to as `collection.path`")
        .at(path, None))
    }
}

/// Whether something stands at a path. It is an error if nobody can tell: behind a link that leads nowhere, as to a disk
/// that is not mounted, it may.
pub(super) fn is_there(path: &Path) -> Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => return Ok(true),
        Err(error) if layout::is_absence(&error) => {}
        Err(error) => return Err(Error::io("look at", path, &error)),
    }
    let nearest = path
        .ancestors()
        .skip(1)
        .find(|folder| folder.symlink_metadata().is_ok());
    nearest.map_or(Ok(()), can_be_followed).map(|()| false)
}

/// Whether what stands at a path is no link, or leads to something.
///
/// # Errors
/// [`Code::CollectionUnreachable`], which names the link.
pub(in crate::app) fn can_be_followed(path: &Path) -> Result<()> {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let Some(error) = std::fs::metadata(path).err().filter(|_| is_link) else {
        return Ok(());
    };
    let message = format!("the link `{}` can't be followed: {error}", path.display());
    Err(Error::new(Code::CollectionUnreachable, message)
        .hint("mount the disk that it leads to, or mend or remove the link")
        .at(path, None))
}

/// Whether all folders from a root to one below it are no links, as far as they are there.
fn leads_nowhere_else(root: &Path, folder: &Path) -> bool {
    let Ok(rest) = folder.strip_prefix(root) else {
        return false;
    };
    let mut at = root.to_path_buf();
    for name in rest {
        at.push(name);
        match std::fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() => {}
            Err(error) => return error.kind() == ErrorKind::NotFound,
            Ok(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_goes_by_parts() {
        let outer = Place::collection("c", "skills/a");
        let below = |path: &str| {
            Place::collection("c", path)
                .below(&outer)
                .map(str::to_owned)
        };
        assert_eq!(below("skills/a").as_deref(), Some(""));
        assert_eq!(below("skills/a/SKILL.md").as_deref(), Some("SKILL.md"));
        assert_eq!(below("skills/ab"), None);
        assert_eq!(Place::home("skills/a").below(&outer), None);
        let first = Place::collection("c", "skills/a/!");
        assert!(outer < outer.inside() && outer.inside() < first);
        assert!(Place::collection("c", "skills/a!") < outer.inside());
        let outer: Vec<String> = first.and_outer().map(|place| place.path).collect();
        assert_eq!(outer, ["skills/a/!", "skills/a", "skills"]);
    }

    #[test]
    fn documents_are_those_that_we_know_the_entries_of() {
        assert!(Place::manifest("c").is_document() && Place::lock("c").is_document());
        assert!(Place::home("state/ratings.toml").is_document());
        assert!(!Place::home("collections/x").is_document());
        assert!(!Place::collection("c", "mcp/a/collection.toml").is_document());
    }

    #[test]
    fn what_is_a_part_of_an_artifact_is_told() {
        let container = |path: &str| {
            let place = Place::collection("c", path);
            place.container().map(str::to_owned)
        };
        assert_eq!(container("skills/a/SKILL.md").as_deref(), Some("skills"));
        assert_eq!(container("skills/a/b/c").as_deref(), Some("skills"));
        assert_eq!(container("skills/a"), None);
        assert_eq!(container("commands/a.md"), None);
        assert_eq!(container("collection.toml"), None);
        assert_eq!(Place::home("collections/c/skills").container(), None);
    }

    #[test]
    fn links_out_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let root = base.join("c");
        std::fs::create_dir_all(root.join("in")).unwrap();
        std::fs::create_dir(base.join("out")).unwrap();
        std::os::unix::fs::symlink(base.join("out"), root.join("skills")).unwrap();
        std::os::unix::fs::symlink("in", root.join("agents")).unwrap();
        let at = |path: &str| Place::collection("c", path).on_disk(&root);
        assert_eq!(at("skills/a").unwrap_err().code, Code::FileOutside);
        assert_eq!(at("../a").unwrap_err().code, Code::FileOutside);
        assert_eq!(at("agents/a").unwrap(), root.join("agents/a"));
        assert_eq!(at("new/deep/a").unwrap(), root.join("new/deep/a"));
        std::os::unix::fs::symlink("unmounted", root.join("hooks")).unwrap();
        let there = |path: &str| is_there(&root.join(path)).map_err(|error| error.code);
        for (path, wanted) in [
            ("hooks", Ok(true)),
            ("hooks/a/b", Err(Code::CollectionUnreachable)),
            ("agents/a", Ok(false)),
            ("new/deep/a", Ok(false)),
        ] {
            assert_eq!(there(path), wanted, "{path}");
        }
    }
}
