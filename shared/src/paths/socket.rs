//! Where the daemon's socket may stand.
//!
//! The daemon tries the places in order and writes the one that it took into the rendezvous; clients only
//! ever read that. So the environment decides where the socket is put, never where it is looked for.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::disk::is_local_fs;
use super::{Environment, Home, short_hash};
use crate::{Code, Error, Result};

/// The longest path of a socket, in bytes, that every system takes.
pub const MAX_SOCKET_PATH: usize = 103;

/// What decides where a socket can stand. A port, so that each branch can be tested.
pub trait RuntimeProbe {
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Option<String>;
    /// The user's number.
    fn uid(&self) -> u32;
    /// Whether this is a folder of the user that nobody else may enter.
    fn is_owned_private_dir(&self, path: &Path) -> bool;
    /// Whether the path, or the nearest folder above it that exists, is on a disk of this machine.
    fn is_local_fs(&self, path: &Path) -> bool;
    /// Whether the user may write there, or into the nearest folder above it that exists.
    fn is_writable(&self, path: &Path) -> bool;
}

/// The machine as it is.
#[derive(Clone, Copy)]
pub struct SystemProbe<'a> {
    env: &'a dyn Environment,
}

impl<'a> SystemProbe<'a> {
    /// The machine, with this environment.
    pub const fn new(env: &'a dyn Environment) -> Self {
        Self { env }
    }
}

impl std::fmt::Debug for SystemProbe<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemProbe").finish_non_exhaustive()
    }
}

impl RuntimeProbe for SystemProbe<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.env.var(name)
    }

    fn uid(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn is_owned_private_dir(&self, path: &Path) -> bool {
        check_socket_dir(path).is_ok()
    }

    fn is_writable(&self, path: &Path) -> bool {
        super::is_writable(path)
    }

    fn is_local_fs(&self, path: &Path) -> bool {
        is_local_fs(path)
    }
}

/// The places for the socket of this home, best first. None is longer than [`MAX_SOCKET_PATH`].
pub fn socket_candidates(home: &Home, probe: &dyn RuntimeProbe) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let key = short_hash(home.root().as_os_str().as_bytes(), 8);
    let file = format!("{key}.sock");
    let uid = probe.uid();
    let mut places = Vec::new();
    // Set by hand or kept by `sudo`, the variable may name somebody else's folder.
    if let Some(folder) = probe.env("XDG_RUNTIME_DIR").map(PathBuf::from)
        && folder.is_absolute()
        && probe.is_owned_private_dir(&folder)
    {
        places.push(folder.join("skillmeat").join(&file));
    }
    let session = PathBuf::from(format!("/run/user/{uid}"));
    if probe.is_owned_private_dir(&session) {
        places.push(session.join("skillmeat").join(&file));
    }
    if probe.is_local_fs(home.root()) {
        places.push(home.run_dir().join("skillmeatd.sock"));
    }
    places.push(PathBuf::from(format!("/tmp/skillmeat-{uid}")).join(&file));
    let mut kept: Vec<PathBuf> = Vec::new();
    for place in places {
        // The rendezvous is text.
        let fits = place
            .to_str()
            .is_some_and(|text| text.len() <= MAX_SOCKET_PATH);
        if fits && !kept.contains(&place) {
            kept.push(place);
        }
    }
    kept
}

/// Makes the folder of a socket, and checks that it is the user's alone.
///
/// # Errors
/// [`Code::DaemonUntrustedSocket`] as [`check_socket_dir`] has it; otherwise what the file system says.
pub fn prepare_socket_dir(dir: &Path) -> Result<()> {
    let built = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    // Whatever stands there already is judged below, with a better message.
    if let Err(error) = built
        && fs::symlink_metadata(dir).is_err()
    {
        return Err(Error::io("create", dir, &error));
    }
    check_socket_dir(dir)
}

/// Checks that a folder is a real folder of the user, that nobody else may enter: the other users of the
/// machine could otherwise put a socket of their own there.
///
/// # Errors
/// [`Code::DaemonUntrustedSocket`] if it is not; what the file system says if it can't be looked at.
pub fn check_socket_dir(dir: &Path) -> Result<()> {
    let found = fs::symlink_metadata(dir).map_err(|error| Error::io("look at", dir, &error))?;
    let refuse = |why: String, hint: String| {
        Err(Error::new(
            Code::DaemonUntrustedSocket,
            format!("the socket's folder `{}` {why}", dir.display()),
        )
        .hint(hint)
        .at(dir, None))
    };
    let remove = || format!("remove `{}`, or have its owner remove it", dir.display());
    if found.file_type().is_symlink() {
        return refuse("is a symbolic link".to_owned(), remove());
    }
    if !found.is_dir() {
        return refuse("is not a folder".to_owned(), remove());
    }
    let uid = rustix::process::geteuid().as_raw();
    if found.uid() != uid {
        // In a folder of everybody it may have been made to deceive; elsewhere it is that of another user's home.
        let is_shared = ["/tmp", "/run"]
            .iter()
            .any(|shared| dir.starts_with(shared));
        let hint = if is_shared {
            remove()
        } else {
            "run it as that user, or choose another home with `--home`".to_owned()
        };
        let why = format!("belongs to the user {}, not to {uid}", found.uid());
        return refuse(why, hint);
    }
    if found.mode() & 0o077 != 0 {
        return refuse(
            format!(
                "is open to other users (mode {:04o})",
                found.mode() & 0o7777
            ),
            format!("run `chmod 700 {}`", dir.display()),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Probe {
        xdg: Option<&'static str>,
        private: Vec<&'static str>,
        local: bool,
    }

    impl RuntimeProbe for Probe {
        fn env(&self, name: &str) -> Option<String> {
            (name == "XDG_RUNTIME_DIR")
                .then_some(self.xdg)?
                .map(str::to_owned)
        }
        fn uid(&self) -> u32 {
            1000
        }
        fn is_owned_private_dir(&self, path: &Path) -> bool {
            self.private.iter().any(|known| Path::new(known) == path)
        }
        fn is_writable(&self, _path: &Path) -> bool {
            true
        }
        fn is_local_fs(&self, _path: &Path) -> bool {
            self.local
        }
    }

    fn places(probe: &Probe, home: &str) -> Vec<String> {
        socket_candidates(&Home::at(home), probe)
            .into_iter()
            .map(|path| path.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_places_come_in_their_order() {
        let key = short_hash(b"/h", 8);
        let xdg = format!("/x/skillmeat/{key}.sock");
        let session = format!("/run/user/1000/skillmeat/{key}.sock");
        let run = Home::at("/h").run_dir().join("skillmeatd.sock");
        let run = run.to_str().unwrap().to_owned();
        let last = format!("/tmp/skillmeat-1000/{key}.sock");
        let given = Some("/x");
        let user = "/run/user/1000";
        // The variable, the folders that are the user's alone, whether the home's disk is local: the places.
        let cases = [
            (
                given,
                vec!["/x", user],
                true,
                vec![&xdg, &session, &run, &last],
            ),
            (given, vec!["/x"], true, vec![&xdg, &run, &last]),
            (given, vec![user], true, vec![&session, &run, &last]),
            (given, vec![], true, vec![&run, &last]),
            (given, vec!["/x", user], false, vec![&xdg, &session, &last]),
            (None, vec!["/x", user], false, vec![&session, &last]),
            (None, vec![], true, vec![&run, &last]),
            (None, vec![], false, vec![&last]),
            // The same folder by two names is one place.
            (Some(user), vec![user], false, vec![&session, &last]),
        ];
        for (xdg, private, local, wanted) in cases {
            let about = format!("{xdg:?} {private:?} {local}");
            let probe = Probe {
                xdg,
                private,
                local,
            };
            let found = places(&probe, "/h");
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{about}");
        }
    }

    #[test]
    fn a_place_that_is_too_long_is_passed_over_and_the_next_one_counts() {
        let folder = |length: usize| -> &'static str {
            Box::leak(format!("/{}", "x".repeat(length - 1)).into_boxed_str())
        };
        let name = format!("/skillmeat/{}.sock", short_hash(b"/h", 8)).len();
        let of = |xdg: &'static str| {
            let probe = Probe {
                xdg: Some(xdg),
                private: vec![xdg, "/run/user/1000"],
                local: true,
            };
            places(&probe, "/h")
        };
        let fits = of(folder(MAX_SOCKET_PATH - name));
        assert_eq!((fits.len(), fits[0].len()), (4, MAX_SOCKET_PATH));
        let over = of(folder(MAX_SOCKET_PATH - name + 1));
        assert_eq!(over, fits[1..]);
    }

    #[test]
    fn a_runtime_folder_of_somebody_else_is_passed_over() {
        for xdg in [Some("/other"), Some("relative"), Some(""), None] {
            let probe = Probe {
                xdg,
                private: vec!["relative"],
                local: false,
            };
            assert_eq!(places(&probe, "/h").len(), 1, "{xdg:?}");
        }
    }

    #[test]
    fn a_long_home_still_has_a_place() {
        let home = format!("/{}", "h".repeat(200));
        let probe = Probe {
            xdg: None,
            private: vec![],
            local: true,
        };
        let found = places(&probe, &home);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("/tmp/skillmeat-1000/"));
        assert!(found[0].len() <= MAX_SOCKET_PATH);
    }

    #[test]
    fn a_folder_that_is_not_the_users_alone_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        prepare_socket_dir(&at("good")).unwrap();
        assert_eq!(fs::metadata(at("good")).unwrap().mode() & 0o777, 0o700);
        std::os::unix::fs::symlink(at("good"), at("link")).unwrap();
        crate::fs::write(&at("file"), b"", 0o600).unwrap();
        let folder_of_mode = |name: &str, mode: u32| {
            fs::create_dir(at(name)).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        folder_of_mode("open", 0o750);
        folder_of_mode("writable", 0o720);
        folder_of_mode("sticky", 0o1702);
        let expected = [
            ("link", "is a symbolic link", "remove"),
            ("file", "is not a folder", "remove"),
            ("open", "is open to other users (mode 0750)", "chmod 700"),
            (
                "writable",
                "is open to other users (mode 0720)",
                "chmod 700",
            ),
            ("sticky", "is open to other users (mode 1702)", "chmod 700"),
        ];
        for (bad, why, hint) in expected {
            let error = prepare_socket_dir(&at(bad)).unwrap_err();
            assert_eq!(error.code, Code::DaemonUntrustedSocket, "{bad}");
            let message = format!("the socket's folder `{}` {why}", at(bad).display());
            assert_eq!(error.message, message);
            assert!(error.hints[0].contains(hint), "{:?}", error.hints);
        }
        assert_eq!(
            check_socket_dir(&at("none")).unwrap_err().code,
            Code::FileNotFound
        );
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can give a folder to somebody else");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&theirs, Some(65_534), None).unwrap();
        let error = prepare_socket_dir(&theirs).unwrap_err();
        assert_eq!(error.code, Code::DaemonUntrustedSocket);
        assert!(
            error
                .message
                .ends_with("belongs to the user 65534, not to 0"),
            "{error}"
        );
        assert!(
            error.hints[0].contains("have its owner remove it"),
            "{error:?}"
        );
        let env = std::collections::BTreeMap::new();
        assert!(!SystemProbe::new(&env).is_owned_private_dir(&theirs));
    }
}
