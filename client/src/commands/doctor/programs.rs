//! Which programs of ours a shell would find.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use skillmeat_shared::doctor::{Finding, PROGRAM_MISSING, PROGRAMS_DIFFER};
use skillmeat_shared::paths::Environment;

use crate::connect;

/// The programs that are installed.
const NAMES: [&str; 3] = ["sm", "skillmeat", "skillmeatd"];

/// The most folders of `PATH` that are looked at.
const MAX_FOLDERS: usize = 200;

/// What is wrong with the installed programs.
pub(super) fn look(env: &dyn Environment) -> Vec<Finding> {
    let mut findings = Vec::new();
    let used = match connect::program(env) {
        Ok(used) => Some(used),
        Err(error) => {
            findings.push(Finding::new(&PROGRAM_MISSING, "skillmeatd", error.message));
            None
        }
    };
    for name in NAMES {
        let first = match name {
            "skillmeatd" => used.clone(),
            "sm" => std::env::current_exe().ok(),
            _ => None,
        };
        let all: Vec<PathBuf> = first.into_iter().chain(on_path(env, name)).collect();
        findings.extend(differing(name, &all));
    }
    findings
}

fn on_path(env: &dyn Environment, name: &str) -> Vec<PathBuf> {
    env.path("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .filter(|folder| folder.is_absolute())
        .take(MAX_FOLDERS)
        .map(|folder| folder.join(name))
        .filter(|path| path.is_file())
        .collect()
}

/// The finding, if these are not all one program.
fn differing(name: &str, all: &[PathBuf]) -> Option<Finding> {
    let (first, others) = all.split_first()?;
    let mut different: Vec<String> = others
        .iter()
        .filter(|other| !is_same(first, other))
        .map(|other| format!("`{}`", other.display()))
        .collect();
    different.dedup();
    (!different.is_empty()).then(|| {
        let message = format!(
            "there are several `{name}`: `{}`, and {}",
            first.display(),
            different.join(", ")
        );
        Finding::new(&PROGRAMS_DIFFER, name, message).at(first, None)
    })
}

/// Whether two paths are one file, or two with the same bytes.
fn is_same(one: &Path, other: &Path) -> bool {
    let (Ok(a), Ok(b)) = (one.metadata(), other.metadata()) else {
        // What can't be looked at can't be run either.
        return true;
    };
    if (a.dev(), a.ino()) == (b.dev(), b.ino()) {
        return true;
    }
    a.len() == b.len() && has_same_bytes(one, other).unwrap_or(false)
}

fn has_same_bytes(one: &Path, other: &Path) -> std::io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut a, mut b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let read = one.read(&mut a)?;
        let Some(b) = b.get_mut(..read) else {
            return Ok(false);
        };
        if read == 0 {
            return Ok(true);
        }
        other.read_exact(b)?;
        if a.get(..read) != Some(&*b) {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn programs_that_differ_are_named_and_copies_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (place, bytes) in [("a", "one"), ("b", "one"), ("c", "two")] {
            std::fs::create_dir(at(place)).unwrap();
            skillmeat_shared::fs::write(&at(place).join("skillmeat"), bytes.as_bytes(), 0o700)
                .unwrap();
        }
        std::os::unix::fs::symlink(at("a"), at("d")).unwrap();
        let env = |names: &[&str]| {
            let path = std::env::join_paths(names.iter().map(|name| at(name))).unwrap();
            BTreeMap::from([("PATH".to_owned(), path.into_string().unwrap())])
        };
        let found = |names: &[&str]| differing("skillmeat", &on_path(&env(names), "skillmeat"));
        assert_eq!(found(&["a", "b", "d", "none"]), None);
        assert_eq!(found(&["none"]), None);
        let finding = found(&["a", "c", "c"]).unwrap();
        assert_eq!(finding.diagnosis.code, "programs-differ");
        assert!(
            finding.message.contains("/c/skillmeat"),
            "{}",
            finding.message
        );
        assert_eq!(finding.message.matches("/c/").count(), 1);
    }

    #[test]
    fn a_missing_daemon_is_told() {
        let env = BTreeMap::from([("SKILLMEATD".to_owned(), "/nowhere/skillmeatd".to_owned())]);
        let codes: Vec<&str> = look(&env)
            .iter()
            .map(|finding| finding.diagnosis.code)
            .collect();
        assert_eq!(codes, ["program-missing"]);
    }
}
