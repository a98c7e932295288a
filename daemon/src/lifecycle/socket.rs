//! The socket: where it stands, what may be cleared out of its way, and that only its owner removes it.
//!
//! Only the holder of the lock comes here, so a socket or a file at our path is a leftover and goes. A
//! folder or a link there is somebody's intention, which we refuse to touch. A socket that a service manager
//! hands over wins over all places of our own, and stays its.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, socket, sockopt};
use skillmeat_shared::paths::{
    Environment, Home, MAX_SOCKET_PATH, SystemProbe, check_socket_dir, prepare_socket_dir,
    socket_candidates,
};
use skillmeat_shared::{Code, Error, Result};

/// A bound socket and how to know it again.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) path: PathBuf,
    identity: (u64, u64),
    /// Whether it stays when we end: the service manager listens there as well.
    stays: bool,
}

/// Takes over a socket on which a service manager listens, the first that clients can use.
pub(crate) fn adopt(handed: Vec<OwnedFd>) -> Option<(Socket, UnixListener)> {
    handed.into_iter().find_map(|socket| {
        adopt_one(socket)
            .inspect_err(
                |error| tracing::warn!(%error, "a socket of the service manager is not served"),
            )
            .ok()
    })
}

fn adopt_one(handed: OwnedFd) -> Result<(Socket, UnixListener)> {
    let unusable = |why: &str| {
        Error::new(
            Code::DaemonSocketPath,
            format!("the service manager's socket can't be served: {why}"),
        )
    };
    if sockopt::socket_type(&handed) != Ok(SocketType::STREAM) {
        return Err(unusable("it is none for streams"));
    }
    let listener = UnixListener::from(handed);
    let path = listener
        .local_addr()
        .ok()
        .and_then(|address| address.as_pathname().map(Path::to_owned))
        .filter(|path| path.is_absolute() && path.to_str().is_some())
        .ok_or_else(|| unusable("it has no path in the file system"))?;
    if let Some(folder) = path.parent() {
        // Clients would refuse it.
        check_socket_dir(folder)?;
        spare(folder);
    }
    let failed = |error: &io::Error| Error::io("serve", &path, error);
    // What stands at the path may be another socket by now, or a dead one: then the manager's is lost.
    if !is_heard(&path) {
        tracing::info!(path = %path.display(), "nobody reaches the service manager's socket; bound again");
        return bind_at(&path);
    }
    let identity = fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .and_then(|()| listener.set_nonblocking(true))
        .and_then(|()| identity(&path))
        .map_err(|error| failed(&error))?;
    let adopted = Socket {
        path,
        identity,
        stays: true,
    };
    Ok((adopted, listener))
}

/// Binds the first place that works.
///
/// # Errors
/// When something that isn't ours stands at the place, or no place works.
pub(crate) fn bind(home: &Home, env: &dyn Environment) -> Result<(Socket, UnixListener)> {
    bind_first(&socket_candidates(home, &SystemProbe::new(env)))
}

fn bind_first(places: &[PathBuf]) -> Result<(Socket, UnixListener)> {
    let mut last = None;
    for path in places {
        match bind_again(path) {
            Ok(bound) => return Ok(bound),
            Err(error) if error.code == Code::DaemonSocketPath => return Err(error),
            Err(error) => {
                tracing::info!(path = %path.display(), %error, "no place for the socket");
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| {
        Error::new(
            Code::DaemonSocketPath,
            format!("no place for the socket has a path of at most {MAX_SOCKET_PATH} bytes"),
        )
        .hint("set `XDG_RUNTIME_DIR` to a private folder with a short path")
    }))
}

/// Asks cleaners of temporary folders to spare this one: that is what its sticky bit means to them. Nobody
/// cleans the home, whose own folder for the socket has another name.
fn spare(folder: &Path) {
    let name = folder.file_name().and_then(|name| name.to_str());
    if name.is_some_and(|name| name.starts_with("skillmeat"))
        && let Err(error) = fs::set_permissions(folder, fs::Permissions::from_mode(0o1700))
    {
        tracing::debug!(path = %folder.display(), %error, "cleaners are not asked to spare it");
    }
}

/// Binds one place, with its folder.
pub(crate) fn bind_again(path: &Path) -> Result<(Socket, UnixListener)> {
    if let Some(folder) = path.parent() {
        prepare_socket_dir(folder)?;
        spare(folder);
    }
    bind_at(path)
}

/// Whether somebody listens at the path. Never waits, however many are in its queue.
fn is_heard(path: &Path) -> bool {
    let connect = || {
        let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        ioctl_fionbio(&socket, true)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
    };
    matches!(connect(), Ok(()) | Err(Errno::AGAIN))
}

/// Binds one place, clearing leftovers out of the way.
fn bind_at(path: &Path) -> Result<(Socket, UnixListener)> {
    clear(path)?;
    let failed = |error: &io::Error| Error::io("bind", path, error);
    let listener = UnixListener::bind(path).map_err(|error| failed(&error))?;
    let identity = fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .and_then(|()| listener.set_nonblocking(true))
        .and_then(|()| identity(path))
        .map_err(|error| failed(&error))?;
    Ok((
        Socket {
            path: path.to_owned(),
            identity,
            stays: false,
        },
        listener,
    ))
}

/// Removes what an earlier daemon left at the place.
fn clear(path: &Path) -> Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("look at", path, &error)),
    };
    if kind.is_socket() || kind.is_file() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", path, &error))
            }
            _ => Ok(()),
        };
    }
    let what = if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a link"
    } else {
        "something else than a socket"
    };
    Err(Error::new(
        Code::DaemonSocketPath,
        format!(
            "{what} stands at `{}`, where the socket belongs",
            path.display()
        ),
    )
    .hint(format!("move `{}` away and start again", path.display()))
    .at(path, None))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Socket {
    /// Whether the socket at the path is still the one that we bound.
    pub(crate) fn is_ours(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.identity)
    }

    /// Removes the socket, but neither one that somebody else bound in its place nor the service manager's.
    pub(crate) fn remove(&self) {
        if !self.stays
            && self.is_ours()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket stays");
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = dir
            .path()
            .canonicalize()
            .unwrap()
            .join("skillmeat")
            .join("s.sock");
        (dir, path)
    }

    #[test]
    fn it_is_private_and_goes_with_its_owner() {
        let (_dir, path) = place();
        let (socket, _listener) = bind_first(std::slice::from_ref(&path)).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let folder = fs::metadata(path.parent().unwrap()).unwrap();
        assert_eq!(folder.permissions().mode() & 0o7777, 0o1700);
        assert!(UnixStream::connect(&path).is_ok());
        socket.remove();
        assert!(!path.exists());
    }

    #[test]
    fn the_managers_socket_is_served_and_stays() {
        let (_dir, path) = place();
        prepare_socket_dir(path.parent().unwrap()).unwrap();
        let managers = UnixListener::bind(&path).unwrap();
        let no_path = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let handed = vec![no_path.into(), managers.try_clone().unwrap().into()];
        let (socket, listener) = adopt(handed).unwrap();
        assert_eq!(socket.path, path);
        drop(listener.accept().unwrap());
        let _client = UnixStream::connect(&path).unwrap();
        assert!(listener.accept().is_ok());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        socket.remove();
        assert!(path.exists());
    }

    #[test]
    fn a_managers_socket_that_was_removed_is_bound_again() {
        let (_dir, path) = place();
        prepare_socket_dir(path.parent().unwrap()).unwrap();
        let managers = UnixListener::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let (socket, _listener) = adopt(vec![managers.into()]).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        socket.remove();
        assert!(!path.exists(), "now it is ours");
    }

    #[test]
    fn a_managers_socket_that_others_could_reach_is_not_served() {
        let (dir, _) = place();
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        let managers = UnixListener::bind(open.join("s.sock")).unwrap();
        assert!(adopt(vec![managers.into()]).is_none());
        let pair = UnixStream::pair().unwrap();
        assert!(adopt(vec![pair.0.into()]).is_none());
    }

    #[test]
    fn leftovers_go() {
        let (_dir, path) = place();
        let places = std::slice::from_ref(&path);
        drop(bind_first(places).unwrap());
        assert!(
            UnixStream::connect(&path).is_err(),
            "a stale socket stands there"
        );
        let (_, listener) = bind_first(places).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(listener);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "not a socket").unwrap();
        let (_, _listener) = bind_first(places).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn folders_and_links_are_refused_and_stay() {
        let (dir, path) = place();
        fs::create_dir_all(path.join("keep")).unwrap();
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
        let second = dir.path().join("second.sock");
        let places = [path.clone(), second.clone()];
        let error = bind_first(&places).unwrap_err();
        assert_eq!(error.code, Code::DaemonSocketPath);
        assert!(
            error.message.contains("a folder") && !error.hints.is_empty(),
            "{error}"
        );
        assert!(path.join("keep").exists() && !second.exists());
        fs::remove_dir_all(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(bind_first(&places).unwrap_err().message.contains("a link"));
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    }

    #[test]
    fn a_place_that_cant_be_used_is_passed_over() {
        let (dir, path) = place();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let (socket, _) = bind_first(&[file.join("s.sock"), path.clone()]).unwrap();
        assert_eq!(socket.path, path);
    }

    #[test]
    fn no_place_at_all_says_what_to_do() {
        assert!(!bind_first(&[]).unwrap_err().hints.is_empty());
    }

    #[test]
    fn a_successors_socket_stays() {
        let (_dir, path) = place();
        let (socket, _listener) = bind_first(std::slice::from_ref(&path)).unwrap();
        fs::remove_file(&path).unwrap();
        // Keeps the number of the first file from being used again at once.
        let _other = UnixListener::bind(path.with_extension("other")).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        if !socket.is_ours() {
            socket.remove();
            assert!(path.exists());
        }
    }
}
