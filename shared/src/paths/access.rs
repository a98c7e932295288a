//! Whether something can be written where it should.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::Home;

/// Whether the user may write into a folder, or into the nearest one above it that exists. What can't be
/// told counts as yes: the attempt will say why not.
pub fn is_writable(folder: &Path) -> bool {
    for at in folder.ancestors() {
        match access(at, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => return true,
            Err(Errno::NOENT) => {}
            Err(error) => return !matches!(error, Errno::ROFS | Errno::ACCESS | Errno::PERM),
        }
    }
    true
}

impl Home {
    /// Whether nothing can be written in the home, as of now: it is on a read-only disk, or forbids it. Also where only
    /// folders in it can be: the history needs files beside it.
    pub fn is_read_only(&self) -> bool {
        self.root().is_dir() && !is_writable(self.root())
    }

    /// The folders of ours in the home, each before what lies in it, on this machine.
    pub fn folders(&self) -> Vec<PathBuf> {
        let run = self.root().join("run");
        let ours = ["state", "snapshots"].map(|name| self.root().join(name));
        let known = [
            self.root().to_owned(),
            run.clone(),
            run.join(&self.host),
            self.logs_dir(),
            self.cache_dir(),
            self.collections(),
        ];
        known.into_iter().chain(ours).collect()
    }

    /// Folders of ours in whose place something else stands.
    pub fn misplaced(&self) -> Vec<PathBuf> {
        let ours = ["run", "state", "snapshots"].map(|name| self.root().join(name));
        let ours = ours.into_iter().chain([self.run_dir(), self.cache_dir()]);
        let is_other = |path: &PathBuf| path.metadata().is_ok_and(|found| !found.is_dir());
        ours.filter(is_other).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_true_while_the_daemon_runs_moves_out_of_a_read_only_home() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_writable(folder.path()));
        assert!(is_writable(&folder.path().join("a/b/c")));
        let root = folder.path().join("home");
        let home = Home::at(&root);
        assert!(!home.is_read_only() && home.run_dir().starts_with(&root));
        std::fs::create_dir(&root).unwrap();
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o500)).unwrap();
        // Root may write everywhere but on read-only disks.
        let may_write = rustix::process::geteuid().is_root();
        assert_eq!(is_writable(&root.join("run")), may_write);
        let home = Home::at(&root);
        assert_eq!(home.is_read_only(), !may_write);
        assert_eq!(home.run_dir().starts_with(&root), may_write);
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o700)).unwrap();
        let home = Home::at(&root);
        assert!(!home.is_read_only());
        // With the home closed, and not the folders in it, a daemon is found where it was.
        std::fs::create_dir_all(home.run_dir()).unwrap();
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o500)).unwrap();
        let home = Home::at(&root);
        assert_eq!(home.is_read_only(), !may_write);
        assert!(!home.runs_elsewhere() && home.run_dir().starts_with(&root));
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
}
