//! Deciding what an addition does, before anything is written.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::read::{self, Reading};
use skillmeat_shared::artifact::{detect, hash, metadata, name};
use skillmeat_shared::collection::{layout, spelling};
use skillmeat_shared::fs::read_bounded;
use skillmeat_shared::kind::Shape;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::Replace;
use super::sources::Named;
use crate::app::change::{Caller, ChangeItem, Telling, is_wanted};
use crate::app::curation::{WithName, with_name};
use crate::app::naming::Aliases;
use crate::store::list::Existing;

/// Bytes of a file that says what an artifact is, to be changed.
const MAX_MANIFEST: u64 = 4 * 1024 * 1024;

/// What becomes of the name in the file that says what an artifact is.
pub(super) enum Renamed {
    /// It stays as it is.
    No,
    /// This file has the new one then.
    File(PathBuf, Vec<u8>),
    /// The old one can't be changed alone, which is told.
    Stays(String),
}

/// An artifact to add, checked.
pub(super) struct Planned {
    pub(super) id: ArtifactId,
    /// Where its files are now.
    pub(super) from: PathBuf,
    /// What to call that place.
    pub(super) source: PathBuf,
    /// The entry's path in the collection.
    pub(super) path: String,
    /// Where the source is copied to, relative to the collection; none if it lies there already.
    pub(super) copy_to: Option<String>,
    /// The manifest names it already.
    pub(super) has_entry: bool,
    /// Something else stands there now.
    pub(super) replaces: bool,
    /// What the source says of itself, of the files that are copied.
    pub(super) reading: Reading,
    /// If it has another name there.
    pub(super) renamed: Renamed,
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
    /// The artifacts that the manifest names, with where they come from, if that is elsewhere.
    pub(super) entries: HashMap<ArtifactId, Option<String>>,
    /// The content hashes of the lock file.
    pub(super) recorded: HashMap<ArtifactId, String>,
    pub(super) aliases: Aliases,
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

/// The error of a place, told of what the person named: what came out of an archive lies in a folder of ours.
pub(super) fn told_of(mut error: Error, place: &Path, named: &Path) -> Error {
    let (place, named) = (place.display().to_string(), named.display().to_string());
    error.message = error.message.replace(&place, &named);
    for hint in &mut error.hints {
        *hint = hint.replace(&place, &named);
    }
    error
}

/// Decides about every artifact that was named; `items` gets those that are not added.
pub(super) fn plan(
    named: &[Named],
    replace: Replace,
    collection: &mut Collection,
    caller: &dyn Caller,
    items: &mut Vec<ChangeItem>,
) -> Result<Vec<Planned>> {
    let mut planned = Vec::new();
    let mut sources: HashMap<ArtifactId, PathBuf> = HashMap::new();
    let total = named.len() as u64;
    for (done, one) in (0..).zip(named) {
        caller.tell(Telling::Progress(done, total, "comparing"));
        is_wanted(caller)?;
        match decide(one, replace, collection, &mut sources) {
            Decision::Add(one) => planned.push(*one),
            Decision::Not(item) => items.push(item),
        }
    }
    Ok(planned)
}

fn decide(
    named: &Named,
    replace: Replace,
    collection: &mut Collection,
    sources: &mut HashMap<ArtifactId, PathBuf>,
) -> Decision {
    let candidate = &named.candidate;
    let id = ArtifactId::new(candidate.kind.clone(), candidate.name.clone());
    let text = id.to_string();
    let from = &candidate.path;
    let checked = name::validate(&id.name)
        .and_then(|()| detect::check(&id.kind, from))
        .and_then(|()| place(&collection.root, &id, from))
        .and_then(|places| Ok((places, read_as(&id, named)?)));
    let ((path, copy_to), (reading, renamed)) = match checked {
        Ok(checked) => checked,
        Err(error) => {
            let error = told_of(error, from, &named.source);
            return Decision::Not(failed(&text, &named.source, &error));
        }
    };
    let hash = reading.hashes.content.clone();
    let not = |result, reason: String, code| {
        Decision::Not(ChangeItem {
            code,
            path: path.clone(),
            ..item(&text, &named.source, result, reason)
        })
    };
    let clash = |reason: String| not("conflict", reason, Some(Code::ArtifactExists));
    if let Some(first) = sources.get(&id) {
        let same = hash.is_some()
            && collection.by_hash.get(hash.as_deref().unwrap_or_default()) == Some(&id);
        let (what, how) = if same {
            ("the same artifact as", "")
        } else {
            ("name clash with", "; add it alone with `--as`")
        };
        return not(
            "skipped",
            format!("{what} `{}`{how}", first.display()),
            None,
        );
    }
    let mut planned = Planned {
        id: id.clone(),
        from: from.clone(),
        source: named.source.clone(),
        path: path.clone(),
        copy_to: Some(copy_to),
        has_entry: collection.entries.contains_key(&id),
        replaces: false,
        reading,
        renamed,
    };
    let is_taken = std::fs::symlink_metadata(collection.root.join(&path)).is_ok();
    if planned.lies_there(&collection.root) {
        // Rows may be older than what lies there.
        if planned.has_entry {
            return not("unchanged", "it is there already".to_owned(), None);
        }
        planned.copy_to = None;
    } else if let Some(existing) = collection.by_id.get(&id) {
        let existing = &existing.as_it_is(&collection.root);
        let same = hash.is_some() && existing.content_hash == hash;
        match (existing.status.as_str(), same) {
            ("missing", _) if existing.path == path && !is_taken => {}
            ("unmanaged", true) if existing.path == path => planned.copy_to = None,
            (_, true) => return not("unchanged", "it is there already".to_owned(), None),
            _ if replace != Replace::Never => {
                let may = collection
                    .may_replace(replace, existing)
                    .and_then(|()| planned.take_place_of(existing, &collection.root));
                if let Err(reason) = may {
                    return clash(reason);
                }
            }
            // Among many, another artifact of the name is no more than a name that is taken.
            _ if named.is_one_of_many => {
                let reason =
                    format!("name clash with `{id}` in the collection; add it alone with `--as`");
                return not("skipped", reason, None);
            }
            _ => {
                return clash(format!(
                    "`{id}` exists already with other content; nothing was overwritten"
                ));
            }
        }
    } else if planned.has_entry {
        // No row knows it: the manifest was written after the rows were.
        return clash(format!(
            "another program added `{id}` meanwhile; nothing was overwritten"
        ));
    } else if let Some(other) = hash
        .as_ref()
        .filter(|_| named.is_one_of_many)
        .and_then(|hash| collection.by_hash.get(hash))
    {
        return not("skipped", format!("same content as `{other}`"), None);
    } else if is_taken {
        if replace != Replace::Always {
            return clash(format!(
                "something lies at `{path}` already; nothing was overwritten"
            ));
        }
        planned.replaces = true;
    }
    if !planned.has_entry
        && let Err(error) = collection.aliases.are_no_name(&id.name, Some(&id))
    {
        return Decision::Not(failed(&text, &named.source, &error));
    }
    if let Some(hash) = hash {
        collection.by_hash.insert(hash, id.clone());
    }
    sources.insert(id, named.source.clone());
    Decision::Add(Box::new(planned))
}

/// What an artifact is in a collection. One that is named anew says its new name itself, if it said the old one.
fn read_as(id: &ArtifactId, named: &Named) -> Result<(Reading, Renamed)> {
    let from = &named.candidate.path;
    let mut reading = read::as_copied(id, from)?;
    let old = name::default_name(from, &id.kind).filter(|old| *old != id.name);
    let (Some(old), false, Some(_)) = (old, named.is_one_of_many, &reading.manifest_file) else {
        return Ok((reading, Renamed::No));
    };
    let (root, scan) = read::copied(&id.kind, from)?;
    let Some(file) = metadata::manifest_file(&id.kind, &scan) else {
        return Ok((reading, Renamed::No));
    };
    let path = if scan.is_file {
        root.to_owned()
    } else {
        root.join(&file)
    };
    let bytes = read_bounded(&path, MAX_MANIFEST)?;
    let edited = match with_name(&id.kind, &file, &bytes, (&old, &id.name))? {
        WithName::Edited(edited) => edited,
        WithName::Stays(told) => return Ok((reading, Renamed::Stays(told))),
        WithName::Other => return Ok((reading, Renamed::No)),
    };
    let of_hash = if scan.is_file {
        PathBuf::new()
    } else {
        file.clone()
    };
    let instead = BTreeMap::from([(of_hash, Some(edited.clone()))]);
    reading.hashes.content = hash::with(root, &scan, &instead);
    Ok((reading, Renamed::File(file, edited)))
}

impl Collection {
    /// Whether other content may take the place of an artifact; why not.
    fn may_replace(&self, replace: Replace, existing: &Existing) -> Result<(), String> {
        if replace == Replace::Always {
            return Ok(());
        }
        let id = &existing.id;
        if let Some(Some(upstream)) = self.entries.get(id) {
            return Err(format!(
                "`{id}` comes from `{upstream}`; `--force` makes it a local one"
            ));
        }
        let recorded = self.recorded.get(id);
        if recorded.is_some() && recorded == existing.content_hash.as_ref() {
            return Ok(());
        }
        Err(format!(
            "`{id}` was edited in the collection since it was added; `--force` replaces it, and the \
             edit stays in the history"
        ))
    }
}

impl Existing {
    /// With the content that lies there now: its row may be older.
    fn as_it_is(&self, root: &Path) -> Self {
        let mut now = self.clone();
        if !self.path.is_empty()
            && let Ok(hashes) = hash::hash_path(&spelling::on_disk(root, &self.path), root)
        {
            now.content_hash = hashes.content;
        }
        now
    }
}

impl Planned {
    /// Whether the source is what stands at its place in the collection, not a link to it or from there.
    fn lies_there(&self, root: &Path) -> bool {
        let there = self.copy_to.as_deref().map(|to| root.join(to));
        let there = there.and_then(|there| {
            let folder = there.parent()?.canonicalize().ok()?;
            Some(folder.join(there.file_name()?))
        });
        there.is_some() && there == self.from.canonicalize().ok()
    }

    /// Has it stand where another one stands now.
    fn take_place_of(&mut self, existing: &Existing, root: &Path) -> Result<(), String> {
        self.replaces = true;
        if existing.path.is_empty() || existing.path == self.path {
            return Ok(());
        }
        let there = root.join(&existing.path);
        let is_folder = self.from.is_dir() || self.id.kind.shape() == Shape::Folder;
        let extension = |path: &str| Path::new(path).extension().map(OsStr::to_owned);
        let fits = is_folder || extension(&existing.path) == extension(&self.path);
        if (there.exists() && there.is_dir() != is_folder) || !fits {
            return Err(format!(
                "`{}` lies at `{}` in another form; remove it first",
                self.id, existing.path
            ));
        }
        let inner = self.copy_to.as_deref().and_then(|to| {
            let inner = to.strip_prefix(&self.path)?;
            Some(format!("{}{inner}", existing.path))
        });
        self.copy_to = inner;
        self.path.clone_from(&existing.path);
        Ok(())
    }
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
