//! The lock of a home on this machine. Whoever holds it is the daemon; nothing else decides that.
//!
//! What stands in the file (process and instance) is a label for people and for messages: a file that is
//! empty, torn or tells of a process that is long gone changes nothing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use skillmeat_shared::paths::Home;
use skillmeat_shared::rendezvous::Rendezvous;
use skillmeat_shared::{Code, Error, Result};

/// How long a busy lock is tried for.
const GLANCE: Duration = Duration::from_millis(150);
/// The time between two tries.
const STEP: Duration = Duration::from_millis(10);

/// Attempts when somebody deletes the file between our opening and our locking it.
const ATTEMPTS: usize = 8;

/// The held lock. Dropping it, or the end of the process in any way, frees it.
#[derive(Debug)]
pub struct Lock {
    held: File,
    path: PathBuf,
}

/// What stands at the place of a held lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The lock, as far as the file system tells.
    Ours,
    /// Nothing: the next daemon makes another one.
    Gone,
    /// Another file, which locks another home.
    Another,
}

impl Lock {
    /// Takes the lock without waiting, and labels it.
    ///
    /// # Errors
    /// [`Code::DaemonAlreadyRunning`] when another process holds it, [`Code::DaemonUnreachableOwner`] when
    /// that one's socket isn't there for us, or what the file system says.
    pub fn acquire(home: &Home, instance: &str) -> Result<Self> {
        let path = home.lock_file();
        let refused = |error: &std::io::Error| {
            let other = fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file());
            Error::io("lock", &path, error).hint(if other {
                "move what stands there away, then `sm daemon start`"
            } else {
                "the home folder must be on a disk that can be written and locked"
            })
        };
        for _ in 0..ATTEMPTS {
            let file = open(&path).map_err(|error| refused(&error))?;
            match try_lock(&file) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(busy(home, &path, file)),
                Err(TryLockError::Error(error)) => return Err(refused(&error)),
            }
            if is_at(&file, &path).is_ok_and(|is_there| is_there) {
                // Only a label: a full disk must not keep the daemon from starting.
                if let Err(error) = label(&file, instance) {
                    tracing::debug!(%error, "the lock has no label");
                }
                return Ok(Self { held: file, path });
            }
        }
        Err(Error::new(
            Code::HomeUnusable,
            format!(
                "the lock file `{}` is deleted again and again",
                path.display()
            ),
        )
        .hint("find the program that cleans this folder, and exclude it"))
    }

    /// Frees it at the end of the process: a thread that hangs on a silent disk keeps the process, and all that it has
    /// open, from going, and the next daemon from starting.
    pub(crate) fn free(&self) {
        if let Err(error) = self.held.unlock() {
            tracing::warn!(%error, "the lock is freed when the process has gone");
        }
    }

    /// Whether the lock still stands where the next daemon of this home looks for it.
    pub fn standing(&self) -> Standing {
        match is_at(&self.held, &self.path) {
            Ok(false) => Standing::Another,
            Err(error) if error.kind() == ErrorKind::NotFound => Standing::Gone,
            // A disk that does not answer says nothing about the lock.
            Ok(true) | Err(_) => Standing::Ours,
        }
    }
}

/// Whether the file at the path is this one.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    let there = fs::symlink_metadata(path)?;
    let held = file.metadata()?;
    Ok(there.ino() == held.ino() && there.dev() == held.dev())
}

/// Tries for a moment: a client that looks whether anybody holds the lock holds it for an instant itself.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + GLANCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => park_timeout(STEP),
            outcome => return outcome,
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
}

fn label(mut file: &File, instance: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("{} {instance}\n", std::process::id()).as_bytes())
}

/// Why the lock is busy. The label only picks the message: that the owner's socket is missing means
/// something only if the rendezvous is the owner's and not one that a killed daemon left behind.
fn busy(home: &Home, path: &Path, file: File) -> Error {
    let mut text = String::new();
    // What can't be read is no label.
    drop(file.take(256).read_to_string(&mut text));
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|word| word.parse::<u32>().ok());
    let owner = words.next();
    let process = pid
        .map(|pid| format!(" (process {pid})"))
        .unwrap_or_default();
    if let Ok(Some(found)) = Rendezvous::load(&home.rendezvous())
        && owner == Some(found.instance.as_str())
        && fs::symlink_metadata(&found.socket).is_err()
    {
        return Error::new(
            Code::DaemonUnreachableOwner,
            format!(
                "a daemon{process} owns `{}`, but its socket `{}` isn't there",
                home.root().display(),
                found.socket.display()
            ),
        )
        .hint("if it runs in a container, share the folder of its socket, or set `SKILLMEAT_HOME`")
        .hint("otherwise it puts its socket back within `daemon.self_check`, a minute unless you set it; `sm daemon restart --force` does not wait for that")
        .at(path, None);
    }
    Error::new(
        Code::DaemonAlreadyRunning,
        format!(
            "a daemon{process} serves `{}` already",
            home.root().display()
        ),
    )
    .hint("look at it with `sm daemon status`")
    .at(path, None)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::*;

    fn home(dir: &Path) -> Home {
        let home = Home::at(dir);
        fs::create_dir_all(home.run_dir()).unwrap();
        home
    }

    fn rendezvous(socket: &Path, instance: &str) -> Rendezvous {
        Rendezvous {
            socket: socket.to_owned(),
            pid: 1,
            instance: instance.to_owned(),
            version: "0".to_owned(),
            protocol: "1.0".to_owned(),
            manager: "auto".to_owned(),
            started_at: 0,
            exe: None,
            start_ticks: None,
            home: None,
        }
    }

    #[test]
    fn it_can_be_freed_before_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let held = Lock::acquire(&home, "one").unwrap();
        assert!(Lock::acquire(&home, "two").is_err());
        held.free();
        let next = Lock::acquire(&home, "two").unwrap();
        assert_eq!(next.standing(), Standing::Ours);
    }

    #[test]
    fn one_holds_it_and_its_end_frees_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let held = Lock::acquire(&home, "first").unwrap();
        let refused = Lock::acquire(&home, "second").unwrap_err();
        assert_eq!(refused.code, Code::DaemonAlreadyRunning);
        assert!(
            refused.message.contains(&std::process::id().to_string()),
            "{refused}"
        );
        drop(held);
        assert!(Lock::acquire(&home, "second").is_ok());
    }

    #[test]
    fn a_lock_that_was_moved_or_replaced_is_known_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let held = Lock::acquire(&home, "x").unwrap();
        assert_eq!(held.standing(), Standing::Ours);
        let aside = dir.path().join("aside");
        fs::rename(home.lock_file(), &aside).unwrap();
        assert_eq!(held.standing(), Standing::Gone);
        fs::write(home.lock_file(), "").unwrap();
        assert_eq!(held.standing(), Standing::Another);
        fs::rename(&aside, home.lock_file()).unwrap();
        assert_eq!(held.standing(), Standing::Ours);
    }

    #[test]
    fn the_content_decides_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        for content in [&b""[..], b"1 alive\n", b"\0\xff\xfe", &[b'9'; 5_000]] {
            fs::write(home.lock_file(), content).unwrap();
            assert!(Lock::acquire(&home, "x").is_ok());
        }
    }

    #[test]
    fn an_owner_without_a_socket_is_told_apart_from_one_that_starts() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let _held = Lock::acquire(&home, "mine").unwrap();
        let gone = dir.path().join("gone.sock");
        rendezvous(&gone, "killed before")
            .save(&home.rendezvous())
            .unwrap();
        assert_eq!(
            Lock::acquire(&home, "x").unwrap_err().code,
            Code::DaemonAlreadyRunning
        );
        rendezvous(&gone, "mine").save(&home.rendezvous()).unwrap();
        assert_eq!(
            Lock::acquire(&home, "x").unwrap_err().code,
            Code::DaemonUnreachableOwner
        );
        fs::write(&gone, "").unwrap();
        assert_eq!(
            Lock::acquire(&home, "x").unwrap_err().code,
            Code::DaemonAlreadyRunning
        );
    }

    #[test]
    fn a_folder_in_its_place_is_refused_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        fs::create_dir(home.lock_file()).unwrap();
        let error = Lock::acquire(&home, "x").unwrap_err();
        assert!(
            error.hints[0].starts_with("move what stands there away"),
            "{error:?}"
        );
    }
}
