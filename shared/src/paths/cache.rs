//! Where the cache's database lies.
//!
//! SQLite's write-ahead log needs memory that all its connections share, which network file systems do not
//! give: there the database moves to a disk of this machine, or does without the log.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Home, RuntimeProbe, short_hash};

/// The name of the database.
const FILE: &str = "skillmeatd.db";

/// Where the cache lies, and whether its file system can be trusted with a write-ahead log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePlace {
    /// The database.
    pub database: PathBuf,
    /// It lies on a disk of this machine, as far as that can be told.
    pub is_local: bool,
}

/// The place of the cache: where the config says, else in the home, else, when the home is on a network
/// file system or can't be written, in the first of `$XDG_CACHE_HOME` and `/var/tmp` that is local and can.
pub fn cache_place(home: &Home, configured: Option<&Path>, probe: &dyn RuntimeProbe) -> CachePlace {
    let at = |folder: PathBuf| {
        let is_local = probe.is_local_fs(&folder);
        CachePlace {
            database: folder.join(FILE),
            is_local,
        }
    };
    if let Some(folder) = configured {
        return at(folder.to_owned());
    }
    let usual = at(home.cache_dir());
    let is_fit =
        |place: &CachePlace| place.is_local && probe.is_writable(&folder_of(&place.database));
    if is_fit(&usual) {
        return usual;
    }
    let key = short_hash(home.root().as_os_str().as_bytes(), 8);
    let by_variable = probe
        .env("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("skillmeat").join(&key));
    let common = PathBuf::from(format!("/var/tmp/skillmeat-{}", probe.uid())).join(&key);
    let elsewhere = by_variable.into_iter().chain([common]).map(at).find(is_fit);
    elsewhere.unwrap_or(usual)
}

fn folder_of(database: &Path) -> PathBuf {
    database.parent().unwrap_or(database).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Disks {
        network: Vec<&'static str>,
        read_only: Vec<&'static str>,
        variable: Option<&'static str>,
    }

    impl RuntimeProbe for Disks {
        fn env(&self, name: &str) -> Option<String> {
            self.variable
                .filter(|_| name == "XDG_CACHE_HOME")
                .map(str::to_owned)
        }
        fn uid(&self) -> u32 {
            1000
        }
        fn is_owned_private_dir(&self, _: &Path) -> bool {
            true
        }
        fn is_local_fs(&self, path: &Path) -> bool {
            !self.network.iter().any(|root| path.starts_with(root))
        }
        fn is_writable(&self, path: &Path) -> bool {
            !self.read_only.iter().any(|root| path.starts_with(root))
        }
    }

    fn place(network: &[&'static str], variable: Option<&'static str>) -> (String, bool) {
        let probe = Disks {
            network: network.to_vec(),
            read_only: Vec::new(),
            variable,
        };
        let place = cache_place(&Home::at("/home/ada/.skillmeat"), None, &probe);
        (place.database.display().to_string(), place.is_local)
    }

    #[test]
    fn the_home_holds_it_unless_it_is_on_the_network() {
        assert_eq!(
            place(&[], Some("/fast")),
            ("/home/ada/.skillmeat/cache/skillmeatd.db".to_owned(), true)
        );
        let (moved, is_local) = place(&["/home"], Some("/fast"));
        assert!(moved.starts_with("/fast/skillmeat/") && is_local, "{moved}");
        let (moved, is_local) = place(&["/home", "/fast"], Some("/fast"));
        assert!(
            moved.starts_with("/var/tmp/skillmeat-1000/") && is_local,
            "{moved}"
        );
        let (stays, is_local) = place(&["/"], None);
        assert!(stays.starts_with("/home/ada/") && !is_local, "{stays}");
    }

    #[test]
    fn a_home_that_cannot_be_written_has_its_cache_elsewhere() {
        let probe = Disks {
            network: Vec::new(),
            read_only: vec!["/home"],
            variable: Some("/home/ada/.cache"),
        };
        let place = cache_place(&Home::at("/home/ada/.skillmeat"), None, &probe);
        assert!(place.database.starts_with("/var/tmp/skillmeat-1000/") && place.is_local);
    }

    #[test]
    fn the_config_has_the_last_word() {
        let probe = Disks {
            network: vec!["/net"],
            read_only: Vec::new(),
            variable: None,
        };
        let home = Home::at("/home/ada/.skillmeat");
        let place = cache_place(&home, Some(Path::new("/net/cache")), &probe);
        assert_eq!(place.database, Path::new("/net/cache/skillmeatd.db"));
        assert!(!place.is_local);
    }
}
