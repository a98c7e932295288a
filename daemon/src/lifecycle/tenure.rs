//! For how long the home is ours: until its folder is moved away or deleted, and our lock with it.
//!
//! Whoever comes to the same place then takes another lock, and rightly serves what stands there. Two daemons would take
//! sockets, cache and history from each other, so the first one ends as soon as it notices. It looks once a round of its
//! checks of itself, and before all that would do harm: before a socket is bound again, a cache is made anew, or
//! anything is changed.

use std::path::PathBuf;
use std::sync::Arc;

use skillmeat_shared::{Code, Error, Result};

use super::lock::{Lock, Standing};
use super::shutdown::Shutdown;

/// The right to the home. Clones are one and the same.
#[derive(Clone)]
pub struct Tenure {
    lock: Arc<Lock>,
    root: PathBuf,
    shutdown: Shutdown,
}

impl Tenure {
    pub(crate) const fn new(lock: Arc<Lock>, root: PathBuf, shutdown: Shutdown) -> Self {
        Self {
            lock,
            root,
            shutdown,
        }
    }

    /// Fails if the home is no longer ours, and ends the process then.
    ///
    /// # Errors
    /// [`Code::DaemonDraining`], with which clients look for the next daemon.
    pub fn check(&self) -> Result<()> {
        let root = self.root.display();
        match self.lock.standing() {
            Standing::Ours => return Ok(()),
            // Nothing is left to serve. A service manager that started us again would only make an empty home.
            Standing::Gone if self.root.symlink_metadata().is_err() => {
                self.shutdown
                    .request(format!("the home `{root}` was moved away or deleted"));
            }
            Standing::Gone => self
                .shutdown
                .fail(format!("the lock of the home `{root}` is gone")),
            Standing::Another => self
                .shutdown
                .fail(format!("another home stands at `{root}`")),
        }
        Err(Error::new(
            Code::DaemonDraining,
            format!("the home `{root}` is no longer this daemon's, which ends"),
        )
        .hint("run the command again"))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::super::shutdown::{EXIT_FAILED, EXIT_OK};
    use super::*;
    use skillmeat_shared::paths::Home;
    use std::fs;

    fn tenure() -> (tempfile::TempDir, Home, Tenure) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        fs::create_dir_all(home.run_dir()).unwrap();
        let lock = Arc::new(Lock::acquire(&home, "x").unwrap());
        let tenure = Tenure::new(lock, home.root().to_owned(), Shutdown::new());
        tenure.check().unwrap();
        assert!(!tenure.shutdown.is_requested());
        (dir, home, tenure)
    }

    fn exit(tenure: &Tenure) -> u8 {
        assert_eq!(tenure.check().unwrap_err().code, Code::DaemonDraining);
        tenure.shutdown.reason().unwrap().exit
    }

    #[test]
    fn a_home_that_is_gone_ends_the_process_for_good() {
        let (dir, home, tenure) = tenure();
        fs::rename(home.root(), dir.path().join("moved")).unwrap();
        assert_eq!(exit(&tenure), EXIT_OK);
    }

    #[test]
    fn another_home_at_its_place_has_the_process_started_anew() {
        let (dir, home, tenure) = tenure();
        fs::rename(home.root(), dir.path().join("moved")).unwrap();
        fs::create_dir_all(home.run_dir()).unwrap();
        let _theirs = Lock::acquire(&home, "y").unwrap();
        assert_eq!(exit(&tenure), EXIT_FAILED);
    }

    #[test]
    fn so_does_a_lock_that_somebody_deleted() {
        let (_dir, home, tenure) = tenure();
        fs::remove_file(home.lock_file()).unwrap();
        assert_eq!(exit(&tenure), EXIT_FAILED);
    }
}
