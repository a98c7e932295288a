//! Where things lie in a collection's folder.
//!
//! What is an artifact is told from its place and its name: `skills/<name>/`, `commands/<name>.md`. What it
//! holds is looked at elsewhere, so that a broken artifact is still one.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind as Io};
use std::path::{Component, Path, PathBuf};

use super::{LOCK, MANIFEST, spelling};
use crate::fs::atomic::TEMP_PREFIX;
use crate::{Code, Error, Kind, Result};

/// The folders that hold artifacts, in the order in which they are listed.
const CONTAINERS: [&str; 8] = [
    "skills",
    "commands",
    "agents",
    "hooks",
    "mcp",
    "workflows",
    "composites",
    "souls",
];

/// The most artifacts, and other entries beside them, that one collection may hold.
const MAX_ARTIFACTS: usize = 200_000;

/// The most broken links that are told.
const MAX_BROKEN: usize = 1000;

/// An artifact on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The kind that its place has.
    pub kind: Kind,
    /// The name that its file or folder has.
    pub name: String,
    /// Where it is, relative to the collection, with `/`, as [`spelling`] has it.
    pub path: String,
    /// The same path as it is on disk, if `name` and `path` spell it in another way.
    pub raw: Option<PathBuf>,
}

/// What a path in a collection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The manifest.
    Manifest,
    /// The lock file.
    Lock,
    /// Belongs to the artifact at this path, relative to the collection, with `/`.
    Artifact(String),
    /// A folder that holds artifacts, or the collection itself.
    Container,
    /// Nothing of a collection's.
    Ignored,
}

/// Containers that are links out of the collection. Nothing behind them is the collection's: what somebody
/// else's collection links to must neither be read nor written.
pub fn linked_out(root: &Path) -> Vec<&'static str> {
    let leads_out = |container: &&str| leads_out(root, container);
    CONTAINERS.into_iter().filter(leads_out).collect()
}

/// The folders of a collection that hold artifacts, but for those that lead out of it.
pub fn containers(root: &Path) -> impl Iterator<Item = PathBuf> {
    let inside = |container: &&str| !leads_out(root, container);
    CONTAINERS
        .into_iter()
        .filter(inside)
        .map(|container| root.join(container))
}

/// Whether what stands at a path in the collection is a link out of it.
pub fn leads_out(root: &Path, at: &str) -> bool {
    let path = root.join(at);
    if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
        return false;
    }
    match (fs::canonicalize(root), fs::canonicalize(path)) {
        (Ok(root), Ok(target)) => !target.starts_with(root),
        _ => true,
    }
}

/// What lies in a collection's containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Every artifact in those that can be read, in the order of the containers, by name within each.
    pub found: Vec<Found>,
    /// Containers that can't be read, and what the file system says. Nothing in them counts as deleted.
    pub unread: Vec<(&'static str, Error)>,
    /// Containers and artifacts that are links to something else in the collection.
    pub links: Vec<Link>,
}

/// A link to something else in the collection. Both are relative to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it stands.
    pub at: PathBuf,
    /// What it leads to, without links in its path.
    pub to: PathBuf,
}

/// The link at a path in the collection, whose own path has no links in it. None if it leads out of it or nowhere.
pub fn link_at(root: &Path, at: &Path) -> Option<Link> {
    let path = root.join(at);
    if !fs::symlink_metadata(&path).ok()?.is_symlink() {
        return None;
    }
    let real = fs::canonicalize(path).ok()?;
    Some(Link {
        at: at.to_owned(),
        to: real.strip_prefix(root).ok()?.to_owned(),
    })
}

/// Every artifact on disk.
///
/// # Errors
/// [`Code::CollectionUnreachable`] if the collection's folder is gone; [`Code::FileTooLarge`] above 200,000 entries.
/// The list of a container is all or nothing: what is missing in it counts as deleted.
pub fn list(root: &Path) -> Result<Listing> {
    list_at_most(root, MAX_ARTIFACTS)
}

fn list_at_most(root: &Path, most: usize) -> Result<Listing> {
    if !fs::metadata(root).is_ok_and(|found| found.is_dir()) {
        let message = format!(
            "the collection's folder `{}` can't be reached",
            root.display()
        );
        return Err(Error::new(Code::CollectionUnreachable, message)
            .hint("bring the folder back, or remove the collection")
            .at(root, None));
    }
    let mut listing = Listing::default();
    let mut left = most;
    let outside = linked_out(root);
    for container in CONTAINERS {
        if outside.contains(&container) {
            continue;
        }
        listing.links.extend(link_at(root, Path::new(container)));
        match list_container(root, container, &mut left, &mut listing.links) {
            Ok(mut here) => {
                here.sort_by(|a, b| a.path.cmp(&b.path));
                listing.found.append(&mut here);
            }
            Err(Unlisted::TooMany) => {
                let message = format!("`{}` holds more than {most} artifacts", root.display());
                return Err(Error::new(Code::FileTooLarge, message)
                    .hint("move what does not belong to it away, or make it several collections")
                    .at(root.join(container), None));
            }
            Err(Unlisted::Unread(error)) => {
                let error = Error::io("read", &root.join(container), &error);
                listing.unread.push((container, error));
            }
        }
    }
    Ok(listing)
}

/// Why a container has no list.
enum Unlisted {
    TooMany,
    Unread(io::Error),
}

impl From<io::Error> for Unlisted {
    fn from(error: io::Error) -> Self {
        Self::Unread(error)
    }
}

fn list_container(
    root: &Path,
    container: &str,
    left: &mut usize,
    links: &mut Vec<Link>,
) -> Result<Vec<Found>, Unlisted> {
    let folder = root.join(container);
    // A pipe must not be opened, and a file is no container. One whose names can be read and no more is not read either.
    match fs::metadata(folder.join(".")) {
        Ok(_) => {}
        Err(error) if is_absence(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    }
    let mut here = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        *left = left.checked_sub(1).ok_or(Unlisted::TooMany)?;
        let name = entry.file_name();
        if is_ignored(&name) {
            continue;
        }
        let shape = match entry.file_type() {
            Ok(found) if found.is_dir() => Some(Shape::Folder),
            Ok(found) if found.is_file() => Some(Shape::File),
            Ok(found) if found.is_symlink() => {
                links.extend(link_at(root, &Path::new(container).join(&name)));
                shape_of(&entry.path())
            }
            // Pipes, sockets and devices are no artifacts.
            Ok(_) => None,
            // It is gone already.
            Err(error) if error.kind() == Io::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        here.extend(shape.and_then(|shape| artifact(container, &name, shape)));
    }
    Ok(here)
}

/// Links at the places of artifacts that lead nowhere. What can't be read has none.
pub fn broken_links(root: &Path) -> Vec<PathBuf> {
    let outside = linked_out(root);
    let mut broken: Vec<PathBuf> = CONTAINERS
        .into_iter()
        .filter(|container| !outside.contains(container))
        .filter_map(|container| fs::read_dir(root.join(container)).ok())
        .flat_map(|entries| entries.filter_map(Result::ok))
        .filter(|entry| !is_ignored(&entry.file_name()))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
        .map(|entry| entry.path())
        .filter(|path| fs::metadata(path).is_err())
        .take(MAX_BROKEN)
        .collect();
    broken.sort_unstable();
    broken
}

/// The artifact at a path that [`classify`] gave, if there is one on disk, and what it leads to if it is a link in the
/// collection.
///
/// # Errors
/// What the file system says if its container can't be searched: it may be there.
pub fn found_at(root: &Path, path: &str) -> Result<Option<(Found, Option<Link>)>> {
    let Some((container, name)) = path.split_once('/') else {
        return Ok(None);
    };
    let is_here = |known: &&str| *known == container && !leads_out(root, known);
    let name = spelling::unspell(name).into_os_string();
    let name = name.as_os_str();
    let is_name = Path::new(name).components().count() == 1 && !is_ignored(name);
    let Some(container) = CONTAINERS.into_iter().find(is_here).filter(|_| is_name) else {
        return Ok(None);
    };
    let path = root.join(container).join(name);
    match fs::symlink_metadata(&path) {
        Ok(found) => {
            let is_link = found.is_symlink();
            let shape = if is_link {
                shape_of(&path)
            } else {
                shape(&found)
            };
            let found = shape.and_then(|shape| artifact(container, name, shape));
            Ok(found.map(|found| {
                let at = found.raw.as_deref().unwrap_or(Path::new(&found.path));
                let link = is_link.then(|| link_at(root, at)).flatten();
                (found, link)
            }))
        }
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(Error::io("read", &root.join(container), &error)),
    }
}

/// Whether nothing stands there, or below a file.
pub fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), Io::NotFound | Io::NotADirectory)
}

/// Whether a folder of this name in a collection holds artifacts.
pub fn is_container(name: &OsStr) -> bool {
    CONTAINERS.into_iter().any(|container| name == container)
}

/// The artifact that something of this name in a container would be, whatever stands there now.
pub fn named(container: &OsStr, name: &OsStr, is_folder: bool) -> Option<Found> {
    let container = CONTAINERS.into_iter().find(|known| *known == container)?;
    let shape = if is_folder {
        Shape::Folder
    } else {
        Shape::File
    };
    if is_ignored(name) {
        return None;
    }
    artifact(container, name, shape)
}

/// What a path, relative to the collection, is. Only the names count: it may be gone.
pub fn classify(relative: &Path) -> Place {
    let mut parts = Vec::new();
    for component in relative.components() {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            _ => return Place::Ignored,
        }
    }
    match parts.as_slice() {
        [] => Place::Container,
        [only] if *only == MANIFEST => Place::Manifest,
        [only] if *only == LOCK => Place::Lock,
        [only] if CONTAINERS.into_iter().any(|container| *only == container) => Place::Container,
        [_] => Place::Ignored,
        [container, name, ..] => {
            let known = CONTAINERS.into_iter().find(|known| container == known);
            let held = known.filter(|known| {
                !is_ignored(name)
                    && [Shape::Folder, Shape::File]
                        .into_iter()
                        .any(|shape| kind_of(known, name, shape).is_some())
            });
            held.map_or(Place::Ignored, |known| {
                Place::Artifact(format!("{known}/{}", spelling::spell(Path::new(name))))
            })
        }
    }
}

/// Whether a name in a container is no artifact's: hidden, or an editor's or our own passing file.
fn is_ignored(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".")
        || name.starts_with(TEMP_PREFIX.as_bytes())
        || name.ends_with(b"~")
        || name.ends_with(b".swp")
        || name.ends_with(b".skillmeat-lock")
        || name == b"4913"
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Folder,
    File,
}

/// What stands there; a link counts as what it leads to.
fn shape_of(path: &Path) -> Option<Shape> {
    shape(&fs::metadata(path).ok()?)
}

fn shape(found: &fs::Metadata) -> Option<Shape> {
    match (found.is_dir(), found.is_file()) {
        (true, _) => Some(Shape::Folder),
        (_, true) => Some(Shape::File),
        _ => None,
    }
}

fn artifact(container: &str, name: &OsStr, shape: Shape) -> Option<Found> {
    let kind = kind_of(container, name, shape)?;
    let file = spelling::spell(Path::new(name));
    // A folder is named by the whole of its name, but for the deprecated `commands/x.md/`.
    let stem = match (shape, container) {
        (Shape::File, _) | (_, "commands" | "agents" | "souls") => file
            .rsplit_once('.')
            .map_or(file.as_str(), |(stem, _)| stem),
        (Shape::Folder, _) => file.as_str(),
    };
    Some(Found {
        kind,
        name: stem.to_owned(),
        path: format!("{container}/{file}"),
        raw: (name != file.as_str()).then(|| Path::new(container).join(name)),
    })
}

/// The kind of what has this name and shape in a container; `None` if it is no artifact.
fn kind_of(container: &str, name: &OsStr, shape: Shape) -> Option<Kind> {
    let extension = Path::new(name)
        .extension()
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    let folder = shape == Shape::Folder;
    match container {
        "skills" if folder => Some(Kind::Skill),
        "hooks" if folder => Some(Kind::Hook),
        "composites" if folder => Some(Kind::Composite),
        "commands" if extension == "md" => Some(Kind::Command),
        "agents" if extension == "md" => Some(Kind::Agent),
        "souls" if extension == "md" => Some(Kind::Soul),
        "mcp" if folder || extension == "json" => Some(Kind::Mcp),
        "workflows" => match extension {
            _ if folder => Some(Kind::Workflow),
            "yaml" | "yml" | "json" => Some(Kind::Workflow),
            "js" | "ts" | "py" | "sh" => Some(Kind::Orchestration),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
