//! Deciding what an addition does, before anything is written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::read::{self, Reading};
use skillmeat_shared::artifact::scan::{self, EntryKind, Scan};
use skillmeat_shared::artifact::{detect, discover, name};
use skillmeat_shared::collection::layout;
use skillmeat_shared::fs::copy;
use skillmeat_shared::kind::Shape;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::AddRequest;
use crate::app::change::{ChangeItem, Telling};
use crate::store::list::Existing;

/// An artifact to add, checked.
pub(super) struct Planned {
    pub(super) id: ArtifactId,
    pub(super) source: PathBuf,
    /// The entry's path in the collection.
    pub(super) path: String,
    /// Where the source is copied to, relative to the collection; none if it lies there already.
    pub(super) copy_to: Option<String>,
    /// The manifest names it already.
    pub(super) has_entry: bool,
    /// What the source says of itself, of the files that are copied.
    pub(super) reading: Reading,
}

enum Decision {
    Add(Box<Planned>),
    Not(ChangeItem),
}

/// What is known before deciding.
pub(super) struct Collection {
    pub(super) root: PathBuf,
    pub(super) by_id: HashMap<ArtifactId, Existing>,
    pub(super) by_hash: HashMap<String, ArtifactId>,
}

pub(super) fn item(
    id: &str,
    source: &Path,
    result: &'static str,
    reason: impl Into<String>,
) -> ChangeItem {
    ChangeItem {
        id: id.to_owned(),
        source: source.display().to_string(),
        result,
        reason: reason.into(),
        path: String::new(),
        code: None,
    }
}

pub(super) fn failed(id: &str, source: &Path, error: &Error) -> ChangeItem {
    let mut reason = error.message.clone();
    for hint in &error.hints {
        reason.push_str("; ");
        reason.push_str(hint);
    }
    let result = if error.code == Code::ArtifactExists {
        "conflict"
    } else {
        "failed"
    };
    ChangeItem {
        code: Some(error.code),
        ..item(id, source, result, reason)
    }
}

/// Decides about every artifact that the request names; `items` gets those that are not added.
pub(super) fn plan(
    request: &AddRequest,
    collection: &mut Collection,
    tell: &dyn Fn(Telling),
    items: &mut Vec<ChangeItem>,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut sources: HashMap<ArtifactId, PathBuf> = HashMap::new();
    for path in &request.paths {
        let candidates = if request.all {
            let mut progress = |found: usize| tell(Telling::Progress(found as u64, 0, "searching"));
            match discover::discover(path, &mut progress) {
                Ok(found) => {
                    for (path, reason) in found.skipped {
                        items.push(item("", &path, "skipped", reason));
                    }
                    found.candidates
                }
                Err(error) => {
                    items.push(failed("", path, &error));
                    continue;
                }
            }
        } else {
            match single(request, path) {
                Ok(candidate) => vec![candidate],
                Err(error) => {
                    items.push(failed("", path, &error));
                    continue;
                }
            }
        };
        let total = candidates.len() as u64;
        for (done, candidate) in (0..).zip(candidates) {
            if request
                .kind
                .as_ref()
                .is_some_and(|kind| *kind != candidate.kind)
            {
                continue;
            }
            tell(Telling::Progress(done, total, "comparing"));
            match decide(&candidate, request.all, collection, &mut sources) {
                Decision::Add(one) => planned.push(*one),
                Decision::Not(item) => items.push(item),
            }
        }
    }
    planned
}

fn single(request: &AddRequest, path: &Path) -> Result<discover::Candidate> {
    if let Err(error) = std::fs::symlink_metadata(path) {
        return Err(Error::io("open", path, &error));
    }
    let kind = match &request.kind {
        Some(kind) => kind.clone(),
        None => detect::detect(path)?,
    };
    let name = match &request.name {
        Some(name) => name.clone(),
        None => name::default_name(path, &kind).ok_or_else(|| {
            Error::new(
                Code::InvalidName,
                format!("`{}` gives no name", path.display()),
            )
            .hint("give one with `--name`")
        })?,
    };
    Ok(discover::Candidate {
        kind,
        name,
        path: path.to_owned(),
        plugin: None,
    })
}

fn decide(
    candidate: &discover::Candidate,
    all: bool,
    collection: &mut Collection,
    sources: &mut HashMap<ArtifactId, PathBuf>,
) -> Decision {
    let id = ArtifactId::new(candidate.kind.clone(), candidate.name.clone());
    let text = id.to_string();
    let source = &candidate.path;
    let checked = name::validate(&id.name)
        .and_then(|()| detect::check(&id.kind, source))
        .and_then(|()| place(&collection.root, &id, source))
        .and_then(|places| Ok((places, read_as_copied(&id, source)?)));
    let ((path, copy_to), reading) = match checked {
        Ok(checked) => checked,
        Err(error) => return Decision::Not(failed(&text, source, &error)),
    };
    let hash = reading.hashes.content.clone();
    let not = |result, reason: String, code| {
        Decision::Not(ChangeItem {
            code,
            path: path.clone(),
            ..item(&text, source, result, reason)
        })
    };
    if let Some(first) = sources.get(&id) {
        let same = hash.is_some()
            && collection.by_hash.get(hash.as_deref().unwrap_or_default()) == Some(&id);
        let what = if same {
            "the same artifact as"
        } else {
            "name clash with"
        };
        let how = if same {
            ""
        } else {
            "; add it alone with `--name`"
        };
        return not(
            "skipped",
            format!("{what} `{}`{how}", first.display()),
            None,
        );
    }
    let mut planned = Planned {
        id: id.clone(),
        source: source.clone(),
        path: path.clone(),
        copy_to: Some(copy_to),
        has_entry: false,
        reading,
    };
    let is_taken = std::fs::symlink_metadata(collection.root.join(&path)).is_ok();
    if let Some(existing) = collection.by_id.get(&id) {
        let same = hash.is_some() && existing.content_hash == hash;
        match (existing.status.as_str(), same) {
            ("missing", _) if existing.path == path && !is_taken => planned.has_entry = true,
            ("unmanaged", true) if existing.path == path => planned.copy_to = None,
            (_, true) => return not("unchanged", "it is there already".to_owned(), None),
            // Among many, another artifact of the name is no more than a name that is taken.
            _ if all => {
                let reason =
                    format!("name clash with `{id}` in the collection; add it alone with `--name`");
                return not("skipped", reason, None);
            }
            _ => {
                let reason = format!(
                    "`{id}` exists already with other content; nothing was overwritten; \
                     give it another name with `--name`"
                );
                return not("conflict", reason, Some(Code::ArtifactExists));
            }
        }
    } else if let Some(other) = hash
        .as_ref()
        .filter(|_| all)
        .and_then(|hash| collection.by_hash.get(hash))
    {
        return not("skipped", format!("same content as `{other}`"), None);
    } else if is_taken {
        let reason = format!("something lies at `{path}` already; nothing was overwritten");
        return not("conflict", reason, Some(Code::ArtifactExists));
    }
    if let Some(hash) = hash {
        collection.by_hash.insert(hash, id.clone());
    }
    sources.insert(id, source.clone());
    Decision::Add(Box::new(planned))
}

/// The entry's path in a collection, and where the source is copied to. They differ for a lone MCP file,
/// which gets a folder of its own.
fn place(root: &Path, id: &ArtifactId, source: &Path) -> Result<(String, String)> {
    let container = id.kind.container().ok_or_else(|| {
        Error::new(
            Code::ArtifactInvalid,
            format!("artifacts of kind `{}` have no place", id.kind),
        )
        .hint("name one of skill, command, agent, hook, mcp, workflow, composite with `--type`")
    })?;
    if layout::linked_out(root).contains(&container) {
        return Err(Error::new(
            Code::FileOutside,
            format!(
                "`{}` is a link that leads out of the collection",
                root.join(container).display()
            ),
        )
        .hint("make it a folder, or name the folder that it leads to as `collection.path`"));
    }
    let file_name = || {
        source
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let is_file = source.is_file();
    Ok(match id.kind.shape() {
        Shape::Markdown => {
            let path = format!("{container}/{}.md", id.name);
            (path.clone(), path)
        }
        Shape::Folder => {
            let path = format!("{container}/{}", id.name);
            let copy_to = if is_file {
                format!("{path}/{}", file_name())
            } else {
                path.clone()
            };
            (path, copy_to)
        }
        Shape::Any => {
            let extension = source.extension().filter(|_| is_file);
            let suffix = extension
                .map(|ext| format!(".{}", ext.to_string_lossy()))
                .unwrap_or_default();
            let path = format!("{container}/{}{suffix}", id.name);
            (path.clone(), path)
        }
    })
}

/// What the copy in the collection will say of itself.
fn read_as_copied(id: &ArtifactId, source: &Path) -> Result<Reading> {
    let mut scan: Scan = scan::scan(source, source)?;
    scan.entries.retain(|entry| {
        let is_copied = matches!(entry.kind, EntryKind::File | EntryKind::LinkedFile);
        is_copied && !entry.path.iter().any(copy::is_excluded)
    });
    let parent = source.parent().unwrap_or(source);
    let root = if scan.is_file && id.kind.shape() == Shape::Folder {
        // A lone file that gets a folder of its own.
        scan.is_file = false;
        parent
    } else {
        source
    };
    read::read(&id.kind, &id.name, root, &scan, false)
}
