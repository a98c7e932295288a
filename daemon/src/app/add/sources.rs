//! What a request names, found: files and folders, trees, archives, folders of agents.

use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::discover::{self, Candidate};
use skillmeat_shared::artifact::{detect, name};
use skillmeat_shared::bundle::archive::{self, Limits, Unpacked};
use skillmeat_shared::deployment::agents::Agents;
use skillmeat_shared::deployment::found;
use skillmeat_shared::fs::sweep;
use skillmeat_shared::kind::Shape;
use skillmeat_shared::paths::Home;
use skillmeat_shared::{Code, Error, Result};

use super::AddRequest;
use super::plan::{failed, item, told_of};
use crate::app::change::{Caller, ChangeItem, Telling};

/// How deep an archive's single folders are opened: `pdf.zip/pdf/...`, `repository-main/...`.
const WRAPPERS: usize = 3;

/// An artifact that the request means.
pub(super) struct Named {
    pub(super) candidate: Candidate,
    /// What to call the place that it comes from.
    pub(super) source: PathBuf,
    /// It was found among others, not named itself.
    pub(super) is_one_of_many: bool,
}

/// All that a request names.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) named: Vec<Named>,
    /// What was left out, and what can't be found.
    pub(super) items: Vec<ChangeItem>,
    /// Folders that are removed when the addition is over.
    unpacked: Vec<Unpacked>,
}

impl Sources {
    /// Finds what the request names. What can't be found fails alone.
    pub(super) fn find(home: &Home, request: &AddRequest, caller: &dyn Caller) -> Result<Self> {
        let agents = Agents::load(home)?;
        let mut sources = Self::default();
        for candidate in &request.chosen {
            sources.named.push(Named {
                source: candidate.path.clone(),
                candidate: candidate.clone(),
                is_one_of_many: true,
            });
        }
        for path in &request.paths {
            if let Err(error) = sources.path(home, &agents, request, path, caller) {
                sources.items.push(failed("", path, &error));
            }
        }
        if let Some(kind) = &request.kind {
            sources.named.retain(|one| one.candidate.kind == *kind);
        }
        Ok(sources)
    }

    fn path(
        &mut self,
        home: &Home,
        agents: &Agents,
        request: &AddRequest,
        path: &Path,
        caller: &dyn Caller,
    ) -> Result<()> {
        std::fs::symlink_metadata(path).map_err(|error| Error::io("open", path, &error))?;
        if path.is_file()
            && let Some(stem) = archive::stem(path)
        {
            caller.tell(Telling::Progress(0, 0, "unpacking"));
            let room = home.unpacked();
            sweep(&room);
            let unpacked = archive::unpack(path, &room, stem, &Limits::PACKAGE)?;
            let root = unpacked.root().to_owned();
            self.unpacked.push(unpacked);
            let found = self.archive(request, path, &root, caller);
            return found.map_err(|error| told_of(error, &root, path));
        }
        if request.all {
            return self.tree(path, caller);
        }
        let folders = agents.at(path);
        if request.kind.is_none() && request.name.is_none() && path.is_dir() && !folders.is_empty()
        {
            let found = found::look(&folders, &mut searching(caller));
            for (path, reason) in found.skipped {
                self.items.push(item("", &path, "skipped", reason));
            }
            if found.found.is_empty() && self.items.is_empty() {
                let message = format!("`{}` holds no artifacts", path.display());
                return Err(Error::new(Code::ArtifactUndetected, message)
                    .hint("`sm adopt` shows what other agents have"));
            }
            self.named.extend(found.found.into_iter().map(|one| Named {
                source: one.place,
                candidate: Candidate {
                    kind: one.kind,
                    name: one.name,
                    path: one.real,
                    plugin: None,
                },
                is_one_of_many: true,
            }));
            return Ok(());
        }
        let candidate = single(request, path)?;
        self.named.push(Named {
            source: path.to_owned(),
            candidate,
            is_one_of_many: false,
        });
        Ok(())
    }

    fn tree(&mut self, path: &Path, caller: &dyn Caller) -> Result<()> {
        let found = discover::discover(path, &mut searching(caller))?;
        for (path, reason) in found.skipped {
            self.items.push(item("", &path, "skipped", reason));
        }
        self.named
            .extend(found.candidates.into_iter().map(|candidate| Named {
                source: candidate.path.clone(),
                candidate,
                is_one_of_many: true,
            }));
        Ok(())
    }

    fn name_one(&mut self, archive: &Path, root: &Path, candidate: Candidate) {
        self.named.push(Named {
            source: shown(archive, root, &candidate.path),
            candidate,
            is_one_of_many: false,
        });
    }

    /// What an archive holds: one artifact, which may lie in a folder of its own, or several.
    fn archive(
        &mut self,
        request: &AddRequest,
        archive: &Path,
        root: &Path,
        caller: &dyn Caller,
    ) -> Result<()> {
        let mut at = root.to_owned();
        if let Some(file) = lone_file(root)?
            && let Ok(candidate) = single(request, &file)
            && candidate.kind.shape() != Shape::Folder
        {
            self.name_one(archive, root, candidate);
            return Ok(());
        }
        for _ in 0..WRAPPERS {
            if let Ok(candidate) = single(request, &at) {
                self.name_one(archive, root, candidate);
                return Ok(());
            }
            match only(&at)? {
                Some(inner) if inner.is_dir() => at = inner,
                Some(inner) => {
                    if let Ok(candidate) = single(request, &inner) {
                        self.name_one(archive, root, candidate);
                        return Ok(());
                    }
                    break;
                }
                None => break,
            }
        }
        let (named, items) = (self.named.len(), self.items.len());
        self.tree(&at, caller)?;
        let found = self.named.get_mut(named..).unwrap_or_default();
        if found.is_empty() {
            let message = format!("`{}` holds no artifact", archive.display());
            return Err(Error::new(Code::ArtifactUndetected, message)
                .hint("an artifact is told by its SKILL.md, its folder, or its frontmatter"));
        }
        if request.name.is_some() && found.len() > 1 {
            let message = format!(
                "a name is given, but `{}` holds {} artifacts",
                archive.display(),
                found.len()
            );
            self.named.truncate(named);
            return Err(Error::new(Code::InvalidArgument, message).hint("leave `--as` out"));
        }
        for one in found {
            one.source = shown(archive, root, &one.source);
            if let Some(name) = &request.name {
                one.candidate.name.clone_from(name);
            }
        }
        for item in self.items.get_mut(items..).unwrap_or_default() {
            item.source = shown(archive, root, Path::new(&item.source))
                .display()
                .to_string();
        }
        Ok(())
    }
}

fn searching(caller: &dyn Caller) -> impl FnMut(usize) {
    move |found| caller.tell(Telling::Progress(found as u64, 0, "searching"))
}

/// The place in an archive, as if the archive were a folder.
fn shown(archive: &Path, root: &Path, at: &Path) -> PathBuf {
    match at.strip_prefix(root) {
        Ok(inner) if inner != Path::new("") => archive.join(inner),
        _ => archive.to_owned(),
    }
}

/// The only thing in a folder, but for what is hidden and documents about it.
fn only(folder: &Path) -> Result<Option<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| Error::io("read", folder, &error))? {
        let entry = entry.map_err(|error| Error::io("read", folder, &error))?;
        let (name, path) = (entry.file_name(), entry.path());
        let is_document = detect::is_document(&path) && !path.is_dir();
        if !name.as_encoded_bytes().starts_with(b".") && !is_document {
            found.push(path);
        }
    }
    Ok(if found.len() == 1 { found.pop() } else { None })
}

/// The file that is all that a folder holds.
fn lone_file(folder: &Path) -> Result<Option<PathBuf>> {
    let mut entries = std::fs::read_dir(folder).map_err(|e| Error::io("read", folder, &e))?;
    let first = entries.next().and_then(std::result::Result::ok);
    let first = first.filter(|_| entries.next().is_none());
    Ok(first.map(|one| one.path()).filter(|path| path.is_file()))
}

/// The artifact at a path.
fn single(request: &AddRequest, path: &Path) -> Result<Candidate> {
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
            .hint("give one with `--as`")
        })?,
    };
    Ok(Candidate {
        kind,
        name,
        path: path.to_owned(),
        plugin: None,
    })
}
