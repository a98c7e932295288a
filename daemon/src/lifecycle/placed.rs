//! What stands in the file system while we serve: the socket and the rendezvous.
//!
//! Cleaners of temporary folders, and people, remove either from under a running daemon. The kernel tells it at once;
//! where that can't be, one round of its checks of itself finds out. It puts back what is gone: we hold the lock, so
//! the place is ours. At the end both are removed, as far as they are still ours.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, WatchFlags};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
use rustix::io::Errno;
use skillmeat_shared::Result;
use skillmeat_shared::rendezvous::Rendezvous;
use tokio::sync::mpsc;

use super::selfcheck::SelfCheck;
use super::shutdown::Shutdown;
use super::socket::{self, Socket};
use super::supervisor::Supervisor;
use super::tenure::Tenure;

/// How often age is taken off what stands: cleaners spare what is younger than six hours.
const TOUCH: Duration = Duration::from_hours(5);

/// How long a cleaner may go on before what it removed is put back.
const REST: Duration = Duration::from_millis(200);

pub(crate) struct Placed {
    socket: Mutex<Socket>,
    file: PathBuf,
    at: Rendezvous,
}

impl Placed {
    /// Takes charge of a bound socket. The rendezvous is written by [`Self::announce`].
    pub(crate) const fn new(socket: Socket, file: PathBuf, at: Rendezvous) -> Self {
        Self {
            socket: Mutex::new(socket),
            file,
            at,
        }
    }

    /// Tells clients where we are.
    pub(crate) fn announce(&self) -> Result<()> {
        self.at.save(&self.file)
    }

    /// Puts back what is gone. A new listener, if the socket had to be bound again.
    fn mend(&self) -> Result<Option<UnixListener>> {
        let mut socket = self.socket();
        let listener = if socket.is_ours() {
            None
        } else {
            tracing::warn!(path = %socket.path.display(), "the socket is gone; bound again");
            let (bound, listener) = socket::bind_again(&socket.path)?;
            *socket = bound;
            Some(listener)
        };
        if Rendezvous::load(&self.file)?.is_none_or(|found| found.instance != self.at.instance) {
            tracing::warn!(path = %self.file.display(), "the rendezvous is gone; written again");
            self.announce()?;
        }
        Ok(listener)
    }

    /// Makes what stands look used: cleaners of temporary folders go by age.
    fn touch(&self) {
        let socket = self.socket().path.clone();
        for path in [socket.parent(), Some(&socket), Some(&self.file)]
            .into_iter()
            .flatten()
        {
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_NOW,
            };
            let times = Timestamps {
                last_access: now,
                last_modification: now,
            };
            if let Err(error) = utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW) {
                tracing::debug!(path = %path.display(), %error, "its age stays");
            }
        }
    }

    /// Where we can be reached.
    pub(crate) fn path(&self) -> PathBuf {
        self.socket().path.clone()
    }

    fn socket(&self) -> MutexGuard<'_, Socket> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.socket().remove();
        if let Err(error) = Rendezvous::remove_if_instance(&self.file, &self.at.instance) {
            tracing::warn!(%error, "the rendezvous stays");
        }
    }
}

/// Puts back what is gone. Whoever serves gets a new listener.
#[derive(Clone)]
struct Keeping {
    placed: Weak<Placed>,
    tenure: Tenure,
    listeners: mpsc::Sender<UnixListener>,
}

impl Keeping {
    /// Nothing once the process ends.
    fn mend(&self) -> Option<Arc<Placed>> {
        let placed = self.placed.upgrade()?;
        // What stands at the place of a home that is no longer ours is another daemon's.
        self.tenure.check().ok()?;
        match placed.mend() {
            Ok(None) => {}
            Ok(Some(listener)) => {
                if self.listeners.try_send(listener).is_err() {
                    tracing::warn!("the new socket is not served");
                }
            }
            Err(error) => tracing::warn!(%error, "clients can't find this daemon"),
        }
        Some(placed)
    }

    /// Has the kernel tell when something goes from the folders, until the process ends. A folder that is gone is made
    /// anew with what stood in it.
    fn listen(&self, shutdown: &Shutdown) -> std::result::Result<(), Errno> {
        let kernel = inotify::init(inotify::CreateFlags::CLOEXEC)?;
        let gone = WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::DELETE_SELF;
        let flags = gone | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        let mut events = [0; 4096];
        loop {
            let Some(placed) = self.placed.upgrade() else {
                return Ok(());
            };
            let (socket, file) = (placed.path(), &placed.file);
            for folder in [socket.parent(), file.parent()].into_iter().flatten() {
                inotify::add_watch(&kernel, folder, flags)?;
            }
            drop((placed, socket));
            rustix::io::retry_on_intr(|| rustix::io::read(&kernel, &mut events))?;
            if shutdown.wait_timeout(REST) || self.mend().is_none() {
                return Ok(());
            }
        }
    }
}

/// Looks after what stands: whenever something goes from its folders, and as one of the daemon's checks of itself.
pub(crate) fn look_after(
    placed: &Arc<Placed>,
    tenure: Tenure,
    listeners: mpsc::Sender<UnixListener>,
    (checks, supervisor, shutdown): (&SelfCheck, &Supervisor, &Shutdown),
) {
    let keeping = Keeping {
        placed: Arc::downgrade(placed),
        tenure,
        listeners,
    };
    let (listening, shutdown) = (keeping.clone(), shutdown.clone());
    supervisor.spawn_lasting("placed", move || {
        if let Err(error) = listening.listen(&shutdown) {
            tracing::debug!(%error, "only the checks tell whether the socket is there");
        }
    });
    let mut touched = Instant::now();
    checks.add(move |_| {
        if let Some(placed) = keeping.mend()
            && touched.elapsed() >= TOUCH
        {
            touched = Instant::now();
            placed.touch();
        }
    });
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    fn placed(dir: &Path) -> (Placed, UnixListener) {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
        let path = dir.join("s.sock");
        let (socket, listener) = socket::bind_again(&path).unwrap();
        let at = Rendezvous {
            socket: path,
            pid: 1,
            instance: "mine".to_owned(),
            version: "0".to_owned(),
            protocol: "1.0".to_owned(),
            manager: "auto".to_owned(),
            started_at: 0,
            exe: None,
            start_ticks: None,
            home: None,
        };
        let placed = Placed::new(socket, dir.join("daemon.json"), at);
        placed.announce().unwrap();
        (placed, listener)
    }

    #[test]
    fn what_stands_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (placed, _listener) = placed(dir.path());
        assert!(placed.mend().unwrap().is_none());
    }

    #[test]
    fn a_removed_socket_is_bound_again() {
        let dir = tempfile::tempdir().unwrap();
        let (placed, _old) = placed(dir.path());
        let path = dir.path().join("s.sock");
        fs::remove_file(&path).unwrap();
        let listener = placed.mend().unwrap();
        assert!(listener.is_some() && UnixStream::connect(&path).is_ok());
        assert!(placed.mend().unwrap().is_none());
        drop(placed);
        assert!(!path.exists() && !dir.path().join("daemon.json").exists());
    }

    #[test]
    fn a_removed_or_torn_rendezvous_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let (placed, _listener) = placed(dir.path());
        let file = dir.path().join("daemon.json");
        fs::remove_file(&file).unwrap();
        placed.mend().unwrap();
        fs::write(&file, "{").unwrap();
        placed.mend().unwrap();
        assert_eq!(Rendezvous::load(&file).unwrap().unwrap().instance, "mine");
    }

    #[test]
    fn a_successors_rendezvous_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (placed, _listener) = placed(dir.path());
        let file = dir.path().join("daemon.json");
        let mut other = Rendezvous::load(&file).unwrap().unwrap();
        other.instance = "theirs".to_owned();
        other.save(&file).unwrap();
        drop(placed);
        assert_eq!(Rendezvous::load(&file).unwrap(), Some(other));
    }

    #[test]
    fn what_stands_can_be_made_young_again() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (placed, _listener) = placed(dir.path());
        let file = dir.path().join("daemon.json");
        let old = std::time::SystemTime::UNIX_EPOCH;
        fs::File::open(&file).unwrap().set_modified(old).unwrap();
        placed.touch();
        let now = std::time::SystemTime::now()
            .duration_since(old)
            .unwrap()
            .as_secs();
        for path in [dir.path().to_owned(), dir.path().join("s.sock"), file] {
            let age = now.cast_signed() - fs::metadata(&path).unwrap().mtime();
            assert!(age < 600, "{}: {age}", path.display());
        }
    }
}
