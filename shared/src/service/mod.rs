//! The daemon of a home as a service of the user's service manager: what its files are called, what stands
//! in them, whose they are, and how the manager is asked.
//!
//! Invariants: a home has one service, whose name is made of the home alone, so that no two homes share
//! one; a file that a person has changed is told apart from one that we wrote; nothing here runs a program.

mod call;
mod render;

use std::path::{Path, PathBuf};

use crate::paths::{Environment, Home, canonical_as_far, short_hash, user_home};
use crate::{Code, Error, Result};

pub use call::{Ask, Call};
pub use render::{Standing, program};

/// A service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// The user's instance of systemd.
    Systemd,
    /// The one of macOS.
    Launchd,
}

impl Manager {
    /// The one that this system may have.
    pub const fn native() -> Self {
        if cfg!(target_os = "macos") {
            Self::Launchd
        } else {
            Self::Systemd
        }
    }

    /// Its name, also in the rendezvous.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
        }
    }
}

/// The service of a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    manager: Manager,
    name: String,
    folder: PathBuf,
    home: PathBuf,
    key: String,
    uid: u32,
}

/// A file of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFile {
    /// Where it belongs.
    pub path: PathBuf,
    /// What stands in it.
    pub content: String,
}

impl Service {
    /// The service of a home under this manager.
    ///
    /// # Errors
    /// [`Code::HomeUnusable`] if the user has no home folder to keep its files in.
    pub fn new(manager: Manager, home: &Home, env: &dyn Environment) -> Result<Self> {
        use std::os::unix::ffi::OsStrExt as _;
        let user = user_home(env).ok_or_else(|| {
            Error::new(
                Code::HomeUnusable,
                "the user has no home folder to keep a service in",
            )
            .hint("set `HOME`")
        })?;
        let base = match manager {
            Manager::Systemd => "skillmeatd",
            Manager::Launchd => "io.github.skillmeat.skillmeatd",
        };
        let folder = match manager {
            Manager::Systemd => env
                .path("XDG_CONFIG_HOME")
                .filter(|path| path.is_absolute())
                .unwrap_or_else(|| user.join(".config"))
                .join("systemd/user"),
            Manager::Launchd => user.join("Library/LaunchAgents"),
        };
        let key = short_hash(home.root().as_os_str().as_bytes(), 8);
        let usual = canonical_as_far(&user.join(".skillmeat"));
        let name = match manager {
            _ if home.root() == usual => base.to_owned(),
            Manager::Systemd => format!("{base}-{key}"),
            Manager::Launchd => format!("{base}.{key}"),
        };
        Ok(Self {
            manager,
            name,
            folder,
            home: home.root().to_owned(),
            key,
            uid: rustix::process::geteuid().as_raw(),
        })
    }

    /// Its manager.
    pub const fn manager(&self) -> Manager {
        self.manager
    }

    /// Its name, without a suffix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its files, the one that names the program last.
    pub fn files(&self) -> Vec<PathBuf> {
        self.units()
            .iter()
            .map(|unit| self.folder.join(unit))
            .collect()
    }

    /// What its manager calls its parts, the one that runs the program last.
    pub fn units(&self) -> Vec<String> {
        match self.manager {
            Manager::Systemd => ["socket", "service"]
                .map(|suffix| format!("{}.{suffix}", self.name))
                .into(),
            Manager::Launchd => vec![format!("{}.plist", self.name)],
        }
    }

    /// Links by which systemd remembers that the service is enabled, and where they lead.
    pub fn links(&self) -> Vec<(PathBuf, PathBuf)> {
        if self.manager == Manager::Launchd {
            return Vec::new();
        }
        ["sockets.target.wants", "default.target.wants"]
            .into_iter()
            .zip(self.units())
            .map(|(wants, unit)| (self.folder.join(wants).join(&unit), self.folder.join(unit)))
            .collect()
    }

    /// Whether its files are there, whoever wrote them: then the manager is in charge of the daemon.
    pub fn is_installed(&self) -> bool {
        self.files()
            .last()
            .is_some_and(|file| file.symlink_metadata().is_ok())
    }

    /// Its files as they should be, for this program.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] if a path can't be written into such a file.
    pub fn render(&self, program: &Path) -> Result<Vec<ServiceFile>> {
        render::render(self, program)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn env(config: Option<&str>) -> BTreeMap<String, String> {
        let mut env = BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]);
        env.extend(config.map(|path| ("XDG_CONFIG_HOME".to_owned(), path.to_owned())));
        env
    }

    #[test]
    fn every_home_has_a_service_of_its_own() {
        let of = |root: &str| {
            let home = Home::at(root);
            Service::new(Manager::Systemd, &home, &env(None)).unwrap()
        };
        let usual = of("/home/ada/.skillmeat");
        assert_eq!(usual.units(), ["skillmeatd.socket", "skillmeatd.service"]);
        assert!(usual.files()[1].ends_with(".config/systemd/user/skillmeatd.service"));
        let (one, other) = (of("/srv/one"), of("/srv/other"));
        assert!(one.name().starts_with("skillmeatd-") && one.name().len() == 19);
        assert_ne!(one.name(), other.name());
        assert_eq!(one, of("/srv/one"));
    }

    #[test]
    fn files_lie_where_the_manager_looks() {
        let home = Home::at("/home/ada/.skillmeat");
        for (config, folder) in [
            (Some("/cfg"), "/cfg/systemd/user"),
            (Some("relative"), "/home/ada/.config/systemd/user"),
        ] {
            let service = Service::new(Manager::Systemd, &home, &env(config)).unwrap();
            assert_eq!(service.files()[0].parent(), Some(Path::new(folder)));
            let links = service.links();
            assert_eq!(links.len(), 2);
            assert_eq!(
                links[1].0,
                Path::new(folder).join("default.target.wants/skillmeatd.service")
            );
        }
        let launchd = Service::new(Manager::Launchd, &home, &env(None)).unwrap();
        assert_eq!(
            launchd.files(),
            [Path::new(
                "/home/ada/Library/LaunchAgents/io.github.skillmeat.skillmeatd.plist"
            )]
        );
        assert!(launchd.links().is_empty());
    }
}
