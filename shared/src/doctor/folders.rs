//! Owners, modes and rights of what lies in the home.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{
    Collection, FOLDER_OPEN, FOREIGN_OWNER, Finding, NOT_A_FOLDER, NOT_WRITABLE, Repair,
    SECRET_OPEN,
};
use crate::collection::layout;
use crate::config::keys::KEYS;
use crate::fs::read_bounded;
use crate::health;
use crate::history::file::beside;
use crate::paths::Home;

/// The largest config that is looked through for secrets, bytes.
const MAX_CONFIG: u64 = 1024 * 1024;

/// Files and folders in which the ancestor keeps secrets.
const SECRETS: [&str; 7] = [
    "credentials.json",
    "enterprise.toml",
    "keys",
    "signing-keys",
    "tokens",
    "vault",
    "vaults",
];

/// What the system lets us do. A port: the administrator may do everything.
pub trait Access {
    /// The user's number.
    fn uid(&self) -> u32;
    /// Whether files can be made in this folder, or this file can be written.
    fn is_writable(&self, place: &Path) -> bool;
}

/// The system as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealAccess;

impl Access for RealAccess {
    fn uid(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn is_writable(&self, place: &Path) -> bool {
        use rustix::fs::Access as Wanted;
        let mut wanted = Wanted::WRITE_OK;
        wanted.set(Wanted::EXEC_OK, place.is_dir());
        rustix::fs::access(place, wanted).is_ok()
    }
}

fn look(path: &Path) -> io::Result<Metadata> {
    fs::symlink_metadata(path)
}

/// The folders and databases of the home, the folder of the cache, and those of these collections.
pub fn examine(
    home: &Home,
    cache: &Path,
    collections: &[Collection],
    access: &dyn Access,
) -> Vec<Finding> {
    let of_cache = cache.parent().unwrap_or(cache).to_path_buf();
    let mut misplaced = home.misplaced();
    if of_cache != home.cache_dir() && of_cache.exists() && !of_cache.is_dir() {
        misplaced.push(of_cache.clone());
    }
    let misplaced = misplaced.iter().map(|path| {
        let (subject, message, hints) = health::of_misplaced(path);
        let finding = Finding::new(&NOT_A_FOLDER, subject, message).hinted(hints);
        finding.at(path, None)
    });
    let mut findings: Vec<Finding> = misplaced.collect();
    let mut places = home.folders();
    if home.runs_elsewhere() {
        places.push(home.run_dir());
    }
    if !places.contains(&of_cache) {
        places.push(of_cache.clone());
    }
    // A daemon uses these only if they are the user's own.
    let private = [
        home.root().to_path_buf(),
        home.run_dir(),
        home.logs_dir(),
        home.cache_dir(),
        of_cache,
    ];
    for database in [&*home.history(), cache] {
        places.extend(["", "-wal", "-shm", "-sums"].map(|suffix| beside(database, suffix)));
    }
    for Collection { path, .. } in collections {
        let folders = std::iter::once(path.clone()).chain(layout::containers(path));
        // What can't be read is told of the collection.
        places.extend(folders.filter(|folder| fs::read_dir(folder.join(".")).is_ok()));
    }
    for place in &places {
        examine_place(home, place, private.contains(place), access, &mut findings);
    }
    findings
}

fn examine_place(
    home: &Home,
    place: &Path,
    is_private: bool,
    access: &dyn Access,
    findings: &mut Vec<Finding>,
) {
    let Ok(found) = fs::metadata(place) else {
        return;
    };
    if is_private && !look(place).is_ok_and(|found| found.is_dir()) {
        return;
    }
    // What lies in a folder that is told of has the same cause: one finding.
    let is_told = findings.iter().any(|one| {
        let is_cause = [&FOREIGN_OWNER, &NOT_WRITABLE].contains(&one.diagnosis);
        is_cause && one.path.as_deref().is_some_and(|at| place.starts_with(at))
    });
    let subject = place.display().to_string();
    let uid = access.uid();
    let is_writable = access.is_writable(place);
    // A collection elsewhere may well be somebody else's.
    let is_ours = || fs::canonicalize(place).is_ok_and(|place| place.starts_with(home.root()));
    if found.uid() != uid && (is_private || !is_writable && is_ours()) {
        if !is_told {
            let message = format!(
                "`{subject}` belongs to the user {}, not to {uid}",
                found.uid()
            );
            findings.push(Finding::new(&FOREIGN_OWNER, subject, message).at(place, None));
        }
        return;
    }
    if is_private && found.mode() & 0o077 != 0 {
        let message = format!(
            "`{subject}` is open to other users (mode {:04o})",
            found.mode() & 0o7777
        );
        findings.push(
            Finding::new(&FOLDER_OPEN, &subject, message)
                .at(place, None)
                .mended_by(Repair::Mode(place.to_owned(), 0o700)),
        );
    }
    if !is_writable && !is_told {
        let message = format!("nothing can be written in `{subject}`");
        findings.push(Finding::new(&NOT_WRITABLE, subject, message).at(place, None));
    }
}

/// Files of the home that hold secrets and that others can read.
pub fn secrets(home: &Home) -> Vec<Finding> {
    let config = home.config();
    let held = read_bounded(&config, MAX_CONFIG)
        .is_ok_and(|bytes| holds_secret(&String::from_utf8_lossy(&bytes)));
    let config = held.then_some(config);
    let others = SECRETS.iter().map(|name| home.root().join(name));
    config
        .into_iter()
        .chain(others)
        .filter_map(|path| {
            // The mode of a link says nothing, and what it leads to may be anything.
            let found = look(&path).ok().filter(|found| !found.is_symlink())?;
            let mode = found.mode() & 0o7777;
            (mode & 0o077 != 0).then(|| {
                let wanted = if found.is_dir() { 0o700 } else { 0o600 };
                let subject = path.display().to_string();
                let message = format!(
                    "`{subject}` holds a secret and is open to other users (mode {mode:04o})"
                );
                Finding::new(&SECRET_OPEN, subject, message)
                    .at(&path, None)
                    .mended_by(Repair::Mode(path.clone(), wanted))
            })
        })
        .collect()
}

/// Whether a line of the config sets a key that holds a secret.
fn holds_secret(text: &str) -> bool {
    let names: Vec<&str> = KEYS
        .iter()
        .filter(|key| key.secret)
        .flat_map(|key| key.aliases.iter().map(|(name, _)| *name).chain([key.name]))
        .filter_map(|name| name.rsplit('.').next())
        .collect();
    text.lines().any(|line| {
        line.split_once('=').is_some_and(|(key, value)| {
            let key = key.trim().trim_matches(['"', '\'']);
            let last = key.rsplit('.').next().unwrap_or(key);
            names.contains(&last) && !value.trim().trim_matches(['"', '\'']).is_empty()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::holds_secret;

    #[test]
    fn a_config_with_a_token_holds_a_secret() {
        for text in [
            "[settings]\ngithub-token = \"x\"",
            "settings.github-token='x'",
            "[github]\n\"token\" = \"x\"",
        ] {
            assert!(holds_secret(text), "{text}");
        }
        for text in [
            "",
            "[settings]\ndefault-collection = \"work\"",
            "# github-token = \"x\"",
            "github-token = \"\"",
        ] {
            assert!(!holds_secret(text), "{text}");
        }
    }
}
