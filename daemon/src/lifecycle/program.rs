//! The program that this process runs, and whether it is still the one on disk.
//!
//! An upgrade replaces the file; the process goes on with the old code. It says so, and if a command has
//! started it, it ends when nobody needs it: the next command starts the new one.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use skillmeat_shared::health::{Health, STALE_BINARY};

use super::shutdown::Shutdown;
use super::{Application, Findings};

/// How long nobody may have asked anything before the process ends for a newer program.
const QUIET: Duration = Duration::from_secs(1);

/// A program's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    path: PathBuf,
    identity: Identity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
}

/// What stands at the program's path now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDisk {
    Same,
    Replaced,
    /// Nothing does: in the middle of an upgrade, or for good.
    Gone,
}

impl Program {
    /// The program of this process; `None` where the system does not tell. Ask at the start: later the
    /// file may be another one.
    pub(crate) fn current() -> Option<Self> {
        Self::at(std::env::current_exe().ok()?)
    }

    fn at(path: PathBuf) -> Option<Self> {
        let identity = identity(&path)?;
        Some(Self { path, identity })
    }

    /// Tells two builds of one version apart.
    pub(crate) fn build(&self) -> String {
        let (seconds, nanos) = self.identity.modified;
        format!("{:x}-{seconds:x}.{nanos:x}", self.identity.size)
    }

    fn look(&self) -> OnDisk {
        match identity(&self.path) {
            Some(found) if found == self.identity => OnDisk::Same,
            Some(_) => OnDisk::Replaced,
            None => OnDisk::Gone,
        }
    }
}

fn identity(path: &std::path::Path) -> Option<Identity> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(Identity {
        file: (found.dev(), found.ino()),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}

/// The check: raises the warning, and ends a process that a command has started.
pub(crate) fn look_after(
    program: Program,
    health: Arc<Health>,
    application: Weak<dyn Application>,
    may_end: bool,
    shutdown: Shutdown,
) -> impl FnMut(Findings) + Send {
    move |_| {
        let path = program.path.display();
        let found = program.look();
        let (what, hint) = match found {
            OnDisk::Same => return health.clear(&STALE_BINARY, ""),
            OnDisk::Replaced => (
                format!("`{path}` was replaced, but the old program still runs"),
                "run `sm daemon restart`",
            ),
            OnDisk::Gone => (
                format!("`{path}` is gone, but the program still runs"),
                "install it again before you stop this daemon: no other one can be started until then",
            ),
        };
        health.raise(&STALE_BINARY, "", what, vec![hint.to_owned()]);
        let Some(application) = application.upgrade() else {
            return;
        };
        if may_end
            && found == OnDisk::Replaced
            && application.idle_for().is_some_and(|quiet| quiet >= QUIET)
        {
            shutdown.request("the program was replaced on disk");
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        assert_eq!(Program::at(path.clone()), None);
        fs::write(&path, "one").unwrap();
        let program = Program::at(path.clone()).unwrap();
        assert_eq!(program.look(), OnDisk::Same);
        let build = program.build();
        let other = folder.path().join("other");
        fs::write(&other, "a longer one").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(program.look(), OnDisk::Replaced);
        assert_ne!(Program::at(path.clone()).unwrap().build(), build);
        fs::remove_file(&path).unwrap();
        assert_eq!(program.look(), OnDisk::Gone);
        fs::create_dir(&path).unwrap();
        assert_eq!(program.look(), OnDisk::Gone);
    }
}
