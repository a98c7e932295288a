//! Whether git can be used: which one would be run, and what it says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Finding, GIT_MISSING, GIT_UNUSABLE};
use crate::child::Program;

/// How long git may take to say its version.
const DEADLINE: Duration = Duration::from_secs(5);

/// The oldest version that does what is asked of it.
const OLDEST: (u32, u32) = (2, 20);

/// Where git lies if `PATH` does not lead to it: services have another one than shells.
const USUAL: [&str; 4] = [
    "/usr/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/run/current-system/sw/bin",
];

/// The git that would be run, and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Git {
    /// The program.
    pub path: PathBuf,
    /// What it says, such as `2.39.5`.
    pub version: String,
}

/// Asks the git that this `PATH`, or else a usual place, leads to.
///
/// # Errors
/// The finding, if there is none or it can't be used.
pub fn ask(path: &str) -> Result<Git, Box<Finding>> {
    ask_in(path, &USUAL)
}

fn ask_in(path: &str, usual: &[&str]) -> Result<Git, Box<Finding>> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    let usual = usual.iter().map(PathBuf::from);
    let found = folders
        .chain(usual)
        .map(|folder| folder.join("git"))
        .find(|program| program.is_file());
    match found {
        Some(program) => ask_program(&program, path, DEADLINE),
        None => Err(Box::new(Finding::new(
            &GIT_MISSING,
            "git",
            "git is not installed",
        ))),
    }
}

fn ask_program(program: &Path, path: &str, deadline: Duration) -> Result<Git, Box<Finding>> {
    let unusable =
        |message: String| Box::new(Finding::new(&GIT_UNUSABLE, "git", message).at(program, None));
    let answer = Program::new(program)
        .args(["--version"])
        .env("PATH", path)
        .env("LC_ALL", "C")
        .deadline(deadline)
        .max_output(4096)
        .run()
        .map_err(|error| unusable(error.to_string()))?;
    let said = String::from_utf8_lossy(&answer.stdout).into_owned();
    let Some(version) = version_in(&said).filter(|_| answer.status.success()) else {
        let message = format!("`{}` did not say its version", program.display());
        return Err(unusable(message));
    };
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let short = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if short < OLDEST {
        let message = format!("`{}` is of version {version}", program.display());
        return Err(unusable(message));
    }
    Ok(Git {
        path: program.to_owned(),
        version: version.to_owned(),
    })
}

/// The version in `git version 2.39.5 (Apple Git-154)`.
fn version_in(said: &str) -> Option<&str> {
    let word = said
        .trim()
        .strip_prefix("git version ")?
        .split(' ')
        .next()?;
    word.starts_with(|c: char| c.is_ascii_digit())
        .then_some(word)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A program that does this instead.
    fn git(folder: &Path, script: &str) -> String {
        let path = folder.join("git");
        crate::fs::write(&path, format!("#!/bin/sh\n{script}\n").as_bytes(), 0o700).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        folder.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_version_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = git(folder.path(), "echo 'git version 2.39.5 (Apple Git-154)'");
        let found = ask(&path).unwrap();
        assert_eq!(found.version, "2.39.5");
        assert_eq!(found.path, folder.path().join("git"));
    }

    #[test]
    fn without_git_in_any_place_it_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_str().unwrap();
        for (path, usual) in [(at, &[][..]), ("", &[at]), ("relative", &[])] {
            let finding = ask_in(path, usual).unwrap_err();
            assert_eq!(finding.diagnosis.code, "git-missing", "{path} {usual:?}");
        }
        git(folder.path(), "echo 'git version 2.39.5'");
        assert_eq!(ask_in("", &[at]).unwrap().version, "2.39.5");
    }

    #[test]
    fn an_old_a_broken_and_a_mute_one_are_unusable() {
        let folder = tempfile::tempdir().unwrap();
        for script in [
            "echo 'git version 1.8.3'",
            "exit 1",
            "echo 'something else'",
            "echo 'git version 2.50.0'; exit 3",
        ] {
            let path = git(folder.path(), script);
            let finding = ask(&path).unwrap_err();
            assert_eq!(finding.diagnosis.code, "git-unusable", "{script}");
        }
    }

    #[test]
    fn one_that_hangs_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = git(folder.path(), "exec sleep 600");
        let program = folder.path().join("git");
        let started = std::time::Instant::now();
        let short = Duration::from_millis(200);
        let finding = ask_program(&program, &format!("{path}:/usr/bin:/bin"), short).unwrap_err();
        assert_eq!(finding.diagnosis.code, "git-unusable");
        assert!(
            finding.message.contains("did not end"),
            "{}",
            finding.message
        );
        assert!(started.elapsed() < Duration::from_mins(1));
    }
}
