//! What stands in the file system while we serve: the socket and the rendezvous.
//!
//! Cleaners of temporary folders, and people, remove either from under a running daemon. It notices within
//! [`PERIOD`] and puts it back: we hold the lock, so the place is ours. At the end both are removed, as far
//! as they are still ours.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use skillmeat_shared::Result;
use skillmeat_shared::rendezvous::Rendezvous;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::shutdown::Shutdown;
use super::socket::{self, Socket};
use super::supervisor::{Policy, Supervisor};

/// How often is looked.
pub(crate) const PERIOD: Duration = Duration::from_mins(1);

/// How long the runtime may take for nothing at all.
const SLUGGISH: Duration = Duration::from_secs(20);

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
            let (bound, listener) = socket::bind_at(&socket.path)?;
            *socket = bound;
            Some(listener)
        };
        if Rendezvous::load(&self.file)?.is_none_or(|found| found.instance != self.at.instance) {
            tracing::warn!(path = %self.file.display(), "the rendezvous is gone; written again");
            self.announce()?;
        }
        Ok(listener)
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

/// Looks after what stands, and after the runtime, on a thread of its own until the end.
pub(crate) fn look_after(
    placed: &Arc<Placed>,
    listeners: mpsc::Sender<UnixListener>,
    supervisor: &Supervisor,
    shutdown: &Shutdown,
) {
    let (placed, shutdown) = (Arc::downgrade(placed), shutdown.clone());
    let runtime = supervisor.runtime().clone();
    supervisor.spawn_thread("self-check", Policy::Background, move || {
        let mut stuck = false;
        while !shutdown.wait_timeout(PERIOD) {
            look(&placed, &listeners);
            let was_stuck = std::mem::replace(&mut stuck, !answers(&runtime));
            // Once may be a machine that just woke up.
            if stuck && was_stuck {
                shutdown.fail("the runtime does not answer");
            }
        }
    });
}

fn look(placed: &Weak<Placed>, listeners: &mpsc::Sender<UnixListener>) {
    let Some(placed) = placed.upgrade() else {
        return;
    };
    match placed.mend() {
        Ok(None) => {}
        Ok(Some(listener)) => {
            if listeners.try_send(listener).is_err() {
                tracing::warn!("the new socket is not served");
            }
        }
        Err(error) => tracing::warn!(%error, "clients can't find this daemon"),
    }
}

fn answers(runtime: &Handle) -> bool {
    let (held, wait) = sync_channel::<()>(0);
    // Detached: that it lets go is the answer.
    drop(runtime.spawn(async move { drop(held) }));
    wait.recv_timeout(SLUGGISH) == Err(RecvTimeoutError::Disconnected)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    fn placed(dir: &Path) -> (Placed, UnixListener) {
        let path = dir.join("s.sock");
        let (socket, listener) = socket::bind_at(&path).unwrap();
        let at = Rendezvous {
            socket: path,
            pid: 1,
            instance: "mine".to_owned(),
            version: "0".to_owned(),
            protocol: "1.0".to_owned(),
            manager: "auto".to_owned(),
            started_at: 0,
            exe: None,
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
    fn a_runtime_that_works_answers() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        assert!(answers(runtime.handle()));
    }
}
