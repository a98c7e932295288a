//! Changing what stands at a path so that it can be taken back: what is new is made ready beside its place,
//! what is old is moved beside it, and both can change places again.
//!
//! Beside: in the same folder, or in another one of the same disk (the *room*), where what lies inside of something
//! must not show what a killed process left.
//!
//! All room on the disk is taken while things are made ready. Putting them in place, and taking that back,
//! are renames, which a full disk does not refuse. Whoever makes things ready flushes them, all at once
//! ([`flush`](super::flush)), and so does who puts them in place ([`Placed::flush`]).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind as Io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::atomic::{self, Expected, Temporary, make_ready, resolve, sync_folder};
use super::{FileLock, copy, flush};
use crate::artifact::Problem;
use crate::failpoint::hit;
use crate::{Code, Error, Result};

/// A file or folder that was made ready beside the place that it is for. Removed unless it was put there.
#[derive(Debug)]
pub struct Staged {
    temporary: Temporary,
    target: PathBuf,
}

/// What stands where something else stood. Until it is [kept](Placed::keep), it can be taken back.
#[derive(Debug)]
pub struct Placed {
    target: PathBuf,
    /// What stood there.
    aside: Option<Temporary>,
    /// Something new stands there.
    is_new: bool,
    /// How that looked before it was compared.
    look: Option<Look>,
}

/// What `stat` tells of a file or folder and all that is in it.
#[derive(Debug, PartialEq, Eq)]
struct Look(Vec<(OsString, u64, i64, i64)>);

impl Look {
    /// Never fails: what can't be looked at does not look as before.
    fn of(path: &Path) -> Self {
        let mut all = Vec::new();
        let mut waiting = vec![(path.to_path_buf(), OsString::new())];
        while let Some((path, name)) = waiting.pop() {
            let Ok(found) = fs::symlink_metadata(&path) else {
                continue;
            };
            all.push((name, found.size(), found.mtime(), found.mtime_nsec()));
            if found.is_dir() {
                let entries = fs::read_dir(&path).into_iter().flatten();
                waiting.extend(
                    entries
                        .filter_map(std::result::Result::ok)
                        .map(|entry| (entry.path(), entry.file_name())),
                );
            }
        }
        all.sort();
        Self(all)
    }
}

impl Staged {
    /// A copy with the rules of [`copy::copy_tree`]. The folder of `target` must exist.
    pub fn copy(
        source: &Path,
        target: &Path,
        room: Option<&Path>,
        links: copy::Links,
    ) -> Result<(Self, Vec<Problem>)> {
        let staged = Self::reserve(target, room);
        let notes = copy::copy_tree(source, staged.temporary.path(), links)?;
        Ok((staged, notes))
    }

    /// A file of these bytes, with mode and owner of the one that it replaces, else with `mode`. If `target` is a
    /// symbolic link, what it leads to is replaced. It is not flushed yet.
    pub fn file(target: &Path, room: Option<&Path>, bytes: &[u8], mode: u32) -> Result<Self> {
        let target = resolve(target)?;
        let room = room.unwrap_or_else(|| atomic::parent(&target));
        let (_, temporary) = make_ready(room, &target, bytes, mode)?;
        Ok(Self { temporary, target })
    }

    /// An empty folder that only the user may enter.
    pub fn folder(target: &Path, room: Option<&Path>) -> Result<Self> {
        let staged = Self::reserve(target, room);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(staged.path())
            .map_err(|error| Error::io("create", target, &error))?;
        Ok(staged)
    }

    /// Something that the caller makes at [`path`](Self::path).
    pub fn reserve(target: &Path, room: Option<&Path>) -> Self {
        let room = room.unwrap_or_else(|| atomic::parent(target));
        let mut name = Temporary::name_in(room).into_os_string();
        // Some kinds of artifacts are told by it.
        if let Some(extension) = target.extension() {
            name.push(".");
            name.push(extension);
        }
        Self {
            temporary: Temporary::adopt(name.into()),
            target: target.to_path_buf(),
        }
    }

    /// The same for another place, on the same disk.
    #[must_use]
    pub fn moved_to(mut self, target: &Path) -> Self {
        self.target = target.to_path_buf();
        self
    }

    /// The place that it is for, without links.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where it is until it is put in its place.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Puts it where nothing stands.
    ///
    /// # Errors
    /// [`Code::FileChanged`] if something stands there; then, as after every failure, nothing was changed.
    pub fn place(self) -> Result<Placed> {
        let Self { temporary, target } = self;
        atomic::put_new(temporary, &target).map_err(|error| match error.code {
            Code::FileExists => changed(&target, "was made by somebody else meanwhile"),
            _ => error,
        })?;
        Ok(Placed {
            target,
            aside: None,
            is_new: true,
            look: None,
        })
    }

    /// Puts it where something stands. `is_expected` looks at what stood there, after it was moved aside; if it
    /// refuses, it is put back.
    ///
    /// # Errors
    /// [`Code::FileChanged`] if nothing stands there or it is not what was expected; then, as after every
    /// failure, nothing was changed.
    pub fn replace(self, is_expected: &dyn Fn(&Path) -> Result<bool>) -> Result<Placed> {
        let Self { temporary, target } = self;
        let _held = begin(&target)?;
        swap_names(temporary.path(), &target)?;
        let placed = Placed {
            target,
            aside: Some(temporary),
            is_new: true,
            look: None,
        };
        placed.confirm(is_expected)
    }
}

/// Moves what stands at `target` aside. `is_expected` as for [`Staged::replace`].
///
/// # Errors
/// As [`Staged::replace`] has them.
pub fn take_out(
    target: &Path,
    room: Option<&Path>,
    is_expected: &dyn Fn(&Path) -> Result<bool>,
) -> Result<Placed> {
    let _held = begin(target)?;
    let aside = Temporary::name_in(room.unwrap_or_else(|| atomic::parent(target)));
    rustix::fs::rename(target, &aside).map_err(|error| match error {
        Errno::NOENT => changed(target, "was removed by somebody else meanwhile"),
        _ => Error::io("remove", target, &error.into()),
    })?;
    let placed = Placed {
        target: target.to_path_buf(),
        aside: Some(Temporary::adopt(aside)),
        is_new: false,
        look: None,
    };
    placed.confirm(is_expected)
}

impl Placed {
    /// Where it stands.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Makes sure that the old thing is the one that was meant.
    fn confirm(mut self, is_expected: &dyn Fn(&Path) -> Result<bool>) -> Result<Self> {
        self.look = self.aside.as_ref().map(|aside| Look::of(aside.path()));
        let looked = match &self.aside {
            Some(aside) => hit("exchange.after")
                .map_err(|error| Error::io("write", &self.target, &error))
                .and_then(|()| is_expected(aside.path())),
            None => Ok(true),
        };
        let outcome = match looked {
            Ok(true) => Ok(()),
            Ok(false) => Err(changed(
                &self.target,
                "was changed by somebody else meanwhile",
            )),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => Ok(self),
            Err(error) => {
                self.take_back()?;
                Err(error)
            }
        }
    }

    /// Makes sure that all of these outlive a power cut: one flush for each folder, however much changed in it, or
    /// for each disk.
    pub fn flush(placed: &[Self]) -> Result<()> {
        let folders: BTreeSet<&Path> = placed
            .iter()
            .map(|one| atomic::parent(&one.target))
            .collect();
        let folders: Vec<&Path> = folders.into_iter().collect();
        flush::flush_folders(&folders)
    }

    /// Has the old thing stand there again. What is new is removed.
    pub fn take_back(mut self) -> Result<()> {
        let Some(aside) = self.aside.take() else {
            drop(Temporary::adopt(self.target.clone()));
            return sync_folder(atomic::parent(&self.target));
        };
        let outcome = if self.is_new {
            swap_names(aside.path(), &self.target)
        } else {
            rename_new(aside.path(), &self.target)
        };
        if let Err(error) = outcome {
            // The only copy of somebody's file: better a strange name than none.
            let kept = aside.path().to_path_buf();
            aside.disarm();
            return Err(error.hint(format!("what stood there is now `{}`", kept.display())));
        }
        if !self.is_new {
            aside.disarm();
        }
        sync_folder(atomic::parent(&self.target))
    }

    /// Where the old thing is, if somebody wrote to it since before it was compared.
    pub fn written_aside(&self) -> Option<&Path> {
        let aside = self.aside.as_ref()?;
        let is_same = self.look.as_ref() == Some(&Look::of(aside.path()));
        (!is_same).then(|| aside.path())
    }

    /// Lets go of the old thing.
    pub fn keep(self) {
        drop(self.aside);
    }
}

/// Whether a file has the content that is expected; for [`Staged::replace`].
pub fn has_content(path: &Path, expected: &Expected) -> Result<bool> {
    match expected {
        Expected::Absent => Ok(fs::symlink_metadata(path).is_err()),
        Expected::Content(hash) => Ok(atomic::hash_of(path)? == *hash),
    }
}

/// Keeps our other programs away from the folder meanwhile.
fn begin(target: &Path) -> Result<Option<FileLock>> {
    hit("exchange.before").map_err(|error| Error::io("write", target, &error))?;
    FileLock::of_folder(atomic::parent(target), atomic::PATIENCE)
}

/// Has two things change places.
fn swap_names(one: &Path, other: &Path) -> Result<()> {
    let fail = |error: Errno| match error {
        Errno::NOENT => changed(other, "was removed by somebody else meanwhile"),
        _ => Error::io("write", other, &error.into()),
    };
    match rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            // File systems that can't: for a moment nothing stands there.
            let third = Temporary::name_in(atomic::parent(other));
            rustix::fs::rename(other, &third).map_err(fail)?;
            if let Err(error) = rustix::fs::rename(one, other) {
                rustix::fs::rename(&third, other).map_err(fail)?;
                return Err(fail(error));
            }
            rustix::fs::rename(&third, one).map_err(fail)
        }
        outcome => outcome.map_err(fail),
    }
}

/// Moves something to where nothing stands.
fn rename_new(from: &Path, to: &Path) -> Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(to).is_err() => {
            rustix::fs::rename(from, to).map_err(|error| Error::io("move", to, &error.into()))
        }
        Err(Errno::EXIST) => Err(changed(to, "was made by somebody else meanwhile")),
        outcome => outcome.map_err(|error| Error::io("move", to, &error.into())),
    }
}

/// Makes the folders that a path lies in, for the user alone. Those that were made, outermost first.
pub fn make_folders(path: &Path) -> Result<Vec<PathBuf>> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| {
            fs::symlink_metadata(folder).is_err_and(|error| error.kind() == Io::NotFound)
        })
        .collect();
    let mut made = Vec::new();
    for folder in missing.into_iter().rev() {
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => made.push(folder.to_path_buf()),
            Err(error) if error.kind() == Io::AlreadyExists => {}
            Err(error) => {
                remove_folders(&made);
                return Err(Error::io("create", folder, &error));
            }
        }
    }
    Ok(made)
}

/// Removes folders that [`make_folders`] made, unless somebody put something into them.
pub fn remove_folders(made: &[PathBuf]) {
    for folder in made.iter().rev() {
        // What is no longer empty, or gone, is not ours to remove.
        drop(fs::remove_dir(folder));
    }
}

fn changed(path: &Path, what: &str) -> Error {
    Error::new(Code::FileChanged, format!("`{}` {what}", path.display()))
        .hint("run the command again: nothing was written")
        .at(path, None)
}

#[cfg(test)]
mod tests;
