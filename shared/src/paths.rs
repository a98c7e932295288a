//! Every path that the program owns: the home, what lies in it, and where the socket may stand.
//!
//! The home is the same for every program that one user starts with one environment, wherever it is
//! started from: it comes from a flag, from `SKILLMEAT_HOME` or from the user's record, and is made absolute
//! and free of links. What is per machine lies below [`Home::run_dir`], so that a home on a network share
//! can serve several machines.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind as Io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use crate::fs::FileHash;
use crate::{Code, Error, Result};

mod access;
mod cache;
mod disk;
mod socket;

pub use access::is_writable;
pub use cache::{CachePlace, cache_place};
pub use disk::{Disk, is_local_fs};

pub use socket::{
    MAX_SOCKET_PATH, RuntimeProbe, SystemProbe, check_socket_dir, prepare_socket_dir,
    socket_candidates,
};

/// The environment of a process. A port, so that tests bring their own.
pub trait Environment {
    /// The value of a variable, if it is set and is text.
    fn var(&self, name: &str) -> Option<String>;

    /// The value of a variable that holds a path. Unlike [`var`](Self::var) it need not be text.
    fn path(&self, name: &str) -> Option<PathBuf> {
        self.var(name).map(PathBuf::from)
    }
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        std::env::var_os(name).map(PathBuf::from)
    }
}

impl Environment for BTreeMap<String, String> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// The home of SkillMeat, and where everything lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    host: String,
    /// Where [`run_dir`](Self::run_dir) is while the home can't be written.
    elsewhere: Option<PathBuf>,
}

impl Home {
    /// The home that a flag, `SKILLMEAT_HOME` or the user's own home folder names, in this order. It need
    /// not exist.
    ///
    /// # Errors
    /// [`Code::HomeUnusable`] if none names one, or if something else than a folder stands there.
    pub fn resolve(flag: Option<&Path>, env: &dyn Environment) -> Result<Self> {
        let given = match flag {
            Some(path) => path.to_path_buf(),
            None => match env
                .path("SKILLMEAT_HOME")
                .filter(|path| !path.as_os_str().is_empty())
            {
                Some(path) => expand_tilde(&path, env),
                None => user_home(env)
                    .ok_or_else(|| {
                        Error::new(Code::HomeUnusable, "the user has no home folder")
                            .hint("set `SKILLMEAT_HOME` to the folder to use")
                    })?
                    .join(".skillmeat"),
            },
        };
        let unusable = |why: &str| {
            Error::new(
                Code::HomeUnusable,
                format!("`{}` can't be the home folder: {why}", given.display()),
            )
            .hint("choose another folder with `--home` or `SKILLMEAT_HOME`")
            .at(&given, None)
        };
        if given.as_os_str().is_empty() {
            return Err(unusable("the path is empty"));
        }
        let absolute = std::path::absolute(&given).map_err(|_| {
            unusable("the current folder is gone, so the path can't be made absolute")
        })?;
        let root = canonical_as_far(&absolute);
        if root.parent().is_none() {
            return Err(unusable("it is the root of the file system"));
        }
        match fs::metadata(&root) {
            Ok(found) if !found.is_dir() => return Err(unusable("it is not a folder")),
            Err(error) if error.kind() == Io::NotADirectory => {
                return Err(unusable("it lies below a file"));
            }
            _ => {}
        }
        let home = Self::at(root);
        // Whoever made that folder could otherwise say where our daemon is.
        if let Some(folder) = home.elsewhere.as_deref().and_then(Path::parent)
            && fs::symlink_metadata(folder).is_ok()
        {
            check_socket_dir(folder)?;
        }
        Ok(home)
    }

    /// The home at this absolute path, on this machine.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        // The ids are tens of bytes; whatever else stands there is no id.
        let read = |path: &Path| {
            let bytes = crate::fs::read_bounded(path, 4096).ok()?;
            String::from_utf8(bytes).ok()
        };
        let mut home = Self {
            root: root.into(),
            host: host_key(&read),
            elsewhere: None,
        };
        if home.root.is_dir() && !is_writable(&home.run_dir()) {
            // Made of the home and the user alone, so that every program finds it.
            let uid = rustix::process::geteuid().as_raw();
            let key = short_hash(home.root.as_os_str().as_encoded_bytes(), 8);
            let folder = PathBuf::from(format!("/tmp/skillmeat-{uid}"));
            home.elsewhere = Some(folder.join(format!("run-{key}")));
        }
        home
    }

    /// Whether what is true while the daemon runs lies outside of the home.
    pub const fn runs_elsewhere(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// The home folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `config.toml`.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The folder whose folders are collections.
    pub fn collections(&self) -> PathBuf {
        self.root.join("collections")
    }

    /// What the user says of coding agents: their folders.
    pub fn agents(&self) -> PathBuf {
        self.root.join("state").join("agents.toml")
    }

    /// The folder of one collection. The name must have been validated, or read from the disk.
    pub fn collection(&self, name: &str) -> PathBuf {
        self.collections().join(name)
    }

    /// What may be deleted at any time. The ancestor's own `cache.db` in there is not ours.
    pub fn cache_dir(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The durable history of every change.
    pub fn history(&self) -> PathBuf {
        self.root.join(crate::history::file::NAME)
    }

    /// The folder of the ancestor's snapshots, with a folder for each collection.
    pub fn all_snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// The folder of the ancestor's snapshots of one collection.
    pub fn snapshots(&self, collection: &str) -> PathBuf {
        self.all_snapshots().join(collection)
    }

    /// Where archives are unpacked for as long as they are looked at.
    pub fn unpacked(&self) -> PathBuf {
        self.cache_dir().join("unpacked")
    }

    /// The folder of the logs.
    pub fn logs_dir(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The daemon's log.
    pub fn log_file(&self) -> PathBuf {
        self.logs_dir().join("skillmeat.log")
    }

    /// What is true on this machine only, while the daemon runs.
    pub fn run_dir(&self) -> PathBuf {
        match &self.elsewhere {
            Some(folder) => folder.clone(),
            None => self.root.join("run").join(&self.host),
        }
    }

    /// Held by the daemon for its life.
    pub fn lock_file(&self) -> PathBuf {
        self.run_dir().join("lock")
    }

    /// Held by whoever starts the daemon.
    pub fn start_lock(&self) -> PathBuf {
        self.run_dir().join("start.lock")
    }

    /// Says where the daemon can be reached.
    pub fn rendezvous(&self) -> PathBuf {
        self.run_dir().join("daemon.json")
    }

    /// How the last start of the daemon went.
    pub fn last_start(&self) -> PathBuf {
        self.run_dir().join("last-start.json")
    }

    /// Room that is kept on the disk for a start of the daemon.
    pub fn reserve(&self) -> PathBuf {
        self.run_dir().join("reserve")
    }

    /// Held while the config is changed.
    pub fn config_lock(&self) -> PathBuf {
        self.run_dir().join("locks").join("config.lock")
    }
}

/// The name of this machine in paths: 12 hex digits made of its id. Not its host name, which networks
/// change. `read` gives the content of a file.
pub fn host_key(read: &dyn Fn(&Path) -> Option<String>) -> String {
    [
        "/etc/machine-id",
        "/var/lib/dbus/machine-id",
        "/proc/sys/kernel/random/boot_id",
    ]
    .into_iter()
    .filter_map(|path| read(Path::new(path)))
    .find_map(|text| {
        let id = text.trim();
        // What stands in an image that has not been booted yet is the same on every machine.
        (!id.is_empty() && id != "uninitialized").then(|| short_hash(id.as_bytes(), 12))
    })
    .unwrap_or_else(|| "local".to_owned())
}

/// Makes a folder that only the user may enter, with its parents. Of an existing one of the user the rights of others
/// are taken away. The user's own stay as they are: where a daemon is found depends on whether it may write.
///
/// # Errors
/// [`Code::HomeUnusable`] if it can't be made, is no folder, or belongs to somebody else.
pub fn ensure_private_dir(path: &Path) -> Result<()> {
    let unusable = |why: String| {
        Error::new(
            Code::HomeUnusable,
            format!("the folder `{}` can't be used: {why}", path.display()),
        )
        .at(path, None)
    };
    let explain = |error: &std::io::Error| {
        let text = Error::io("create", path, error).message;
        let why = text.split_once("`: ").map_or(text.as_str(), |(_, why)| why);
        unusable(why.to_owned()).hint("choose another folder with `--home` or `SKILLMEAT_HOME`")
    };
    if let Err(error) = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        && !path.is_dir()
    {
        return Err(if error.kind() == Io::AlreadyExists {
            unusable("it is not a folder".to_owned()).hint("move what stands there away")
        } else {
            explain(&error)
        });
    }
    let found = fs::metadata(path).map_err(|error| explain(&error))?;
    let uid = rustix::process::geteuid().as_raw();
    if found.uid() != uid {
        return Err(unusable(format!(
            "it belongs to the user {}, not to {uid}",
            found.uid()
        ))
        .hint(format!(
            "if it should be yours, run `sudo chown -R \"$USER\" {}`",
            path.display()
        ))
        .hint("choose another folder with `--home` or `SKILLMEAT_HOME`"));
    }
    let open = found.mode() & 0o077;
    if open == 0 {
        return Ok(());
    }
    let tight = fs::Permissions::from_mode(found.mode() & 0o700);
    match fs::set_permissions(path, tight) {
        // A home on a read-only disk can still be read.
        Err(error) if error.kind() != Io::ReadOnlyFilesystem => Err(explain(&error)),
        _ => Ok(()),
    }
}

/// A leading `~` or `~/` replaced by the user's home folder.
pub fn expand_tilde(path: &Path, env: &dyn Environment) -> PathBuf {
    match (path.strip_prefix("~"), user_home(env)) {
        (Ok(rest), Some(home)) if rest.as_os_str().is_empty() => home,
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_path_buf(),
    }
}

/// `HOME`, or else what the system's list of users says.
pub(crate) fn user_home(env: &dyn Environment) -> Option<PathBuf> {
    env.path("HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_path_buf()))
}

/// The path without links and `..` in the part of it that exists.
pub(crate) fn canonical_as_far(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut at = path;
    loop {
        if let Ok(found) = fs::canonicalize(at) {
            return rest.into_iter().rev().fold(found, |mut whole, part| {
                match part {
                    Component::ParentDir => {
                        whole.pop();
                    }
                    Component::Normal(name) => whole.push(name),
                    _ => {}
                }
                whole
            });
        }
        match (at.parent(), at.components().next_back()) {
            (Some(parent), Some(last)) => {
                rest.push(last);
                at = parent;
            }
            _ => return path.to_path_buf(),
        }
    }
}

/// The first `digits` hex digits of the SHA-256.
pub(crate) fn short_hash(bytes: &[u8], digits: usize) -> String {
    let mut hex = FileHash::of(bytes).to_hex();
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_flag_comes_before_the_variable_and_that_before_the_user() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let text = |name: &str| base.join(name).to_str().unwrap().to_owned();
        let env = env(&[("SKILLMEAT_HOME", &text("v")), ("HOME", &text("u"))]);
        let home = Home::resolve(Some(&base.join("f")), &env).unwrap();
        assert_eq!(home.root(), base.join("f"));
        assert_eq!(Home::resolve(None, &env).unwrap().root(), base.join("v"));
        let env = self::env(&[("SKILLMEAT_HOME", ""), ("HOME", &text("u"))]);
        assert_eq!(
            Home::resolve(None, &env).unwrap().root(),
            base.join("u/.skillmeat")
        );
        let env = self::env(&[("SKILLMEAT_HOME", "~/x"), ("HOME", &text("u"))]);
        assert_eq!(Home::resolve(None, &env).unwrap().root(), base.join("u/x"));
    }

    #[test]
    fn two_spellings_of_one_home_are_one_home() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        fs::create_dir(base.join("real")).unwrap();
        std::os::unix::fs::symlink("real", base.join("link")).unwrap();
        let none = env(&[]);
        for spelled in [
            "link/home",
            "real/./home",
            "real/../link/home/",
            "link/x/../home",
        ] {
            let home = Home::resolve(Some(&base.join(spelled)), &none).unwrap();
            assert_eq!(home.root(), base.join("real/home"), "{spelled}");
        }
    }

    #[test]
    fn a_file_can_not_be_the_home() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        crate::fs::write(&file, b"", 0o600).unwrap();
        let none = env(&[]);
        for bad in [&file, &file.join("x/y"), Path::new("/"), Path::new("")] {
            let error = Home::resolve(Some(bad), &none).unwrap_err();
            assert_eq!(error.code, Code::HomeUnusable, "{}", bad.display());
            assert!(!error.hints.is_empty());
        }
        assert_eq!(
            ensure_private_dir(&file).unwrap_err().code,
            Code::HomeUnusable
        );
        assert_eq!(
            ensure_private_dir(&file.join("x")).unwrap_err().code,
            Code::HomeUnusable
        );
    }

    #[test]
    fn private_folders_are_made_and_tightened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        ensure_private_dir(&path).unwrap();
        assert_eq!(
            (mode(&path), mode(&folder.path().join("a"))),
            (0o700, 0o700)
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        ensure_private_dir(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_folder_that_forbids_to_write_goes_on_to_do_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
        ensure_private_dir(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o500);
    }

    #[test]
    fn the_machine_is_named_by_its_id() {
        let machine = |path: &Path| {
            (path == Path::new("/etc/machine-id")).then(|| "0123456789abcdef\n".to_owned())
        };
        let key = host_key(&machine);
        assert_eq!(key, short_hash(b"0123456789abcdef", 12));
        assert_eq!(key.len(), 12);
        let fresh = |path: &Path| {
            Some(
                if path.ends_with("boot_id") {
                    "b"
                } else {
                    "uninitialized\n"
                }
                .to_owned(),
            )
        };
        assert_eq!(host_key(&fresh), short_hash(b"b", 12));
        assert_eq!(host_key(&|_| None), "local");
    }

    #[test]
    fn what_is_per_machine_lies_in_one_folder() {
        let home = Home::at("/h");
        for path in [home.lock_file(), home.rendezvous(), home.config_lock()] {
            assert!(path.starts_with(home.run_dir()), "{}", path.display());
        }
    }
}
