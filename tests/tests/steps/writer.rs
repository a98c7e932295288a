//! Another program that writes while a mutation stands at a step: what it wrote is there afterwards, or in the
//! history.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use skillmeat_tests::history;
use skillmeat_tests::home::{replace, write};
use skillmeat_tests::wait::{DEADLINE, until_true};

use crate::mutation::Back;
use crate::state::{Files, files};
use crate::trial::Trial;

/// What a careless program adds, and a careful one: in place, and as a new file.
fn write_to(path: &Path, round: usize) -> Option<Vec<u8>> {
    // Nothing stands there, or not any more.
    let before = fs::read(path).ok()?;
    let after = [before, format!("\n# theirs {round}\n").into_bytes()].concat();
    if round.is_multiple_of(2) {
        let mut file = fs::File::options().write(true).open(path).ok()?;
        file.write_all(&after).ok()?;
    } else {
        let permissions = fs::metadata(path).ok()?.permissions();
        let folder = path.parent().unwrap();
        if !folder.is_dir() {
            return None;
        }
        replace(path, &after);
        // Where the step was another thread's the change goes on, and what was written may have moved with its folder.
        drop(fs::set_permissions(path, permissions));
    }
    Some(after)
}

impl Trial<'_> {
    /// Another program writes at each step: into the manifest, and into a file of an artifact.
    pub(crate) fn write(&mut self) {
        let collections = self.sandbox.home().root().join("collections");
        let file = collections.join(self.mutation.file);
        let collection = self.mutation.file.split('/').next().unwrap();
        let manifest = collections.join(collection).join("collection.toml");
        for (round, (step, path)) in self.cases(3, &[&manifest, &file]).into_iter().enumerate() {
            let path = path.clone();
            self.write_at(round, &step, &path);
        }
    }

    fn write_at(&mut self, round: usize, step: &str, path: &Path) {
        let (name, count) = step.split_once('@').unwrap();
        let what = format!(
            "{}: {} written at {step}",
            self.mutation.name,
            path.display()
        );
        self.faults.tell(&format!("{name}=wait@{count}"));
        let mut command = self.sandbox.sm(&self.args);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let give_up = Instant::now() + DEADLINE;
        let mut theirs = None;
        loop {
            if !self.faults.passed().is_empty() {
                theirs = write_to(path, round);
                break;
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            assert!(Instant::now() < give_up, "{what}: neither there nor done");
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        self.faults.none();
        let answer = child.wait_with_output().unwrap();
        let code = answer.status.code();
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        // Done, or refused: never a fault of ours.
        let is_fine = code == Some(self.mutation.exit) || matches!(code, Some(2 | 3 | 4 | 9));
        assert!(is_fine, "{what}: {code:?} {said}");
        if let Some(theirs) = theirs {
            self.is_kept(&what, path, round, &theirs);
        }
        let log = self.sandbox.json(&["log", "--limit", "10"]).to_string();
        assert!(!log.contains("\"open\""), "{what}: {log}");
        self.as_before(code == Some(self.mutation.exit), &what);
    }

    /// Their bytes stand somewhere, or what they added to a document does, or the history has them.
    fn is_kept(&self, what: &str, path: &Path, round: usize, theirs: &[u8]) {
        let comment = format!("\n# theirs {round}\n").into_bytes();
        let is_document = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        let now = files(&self.sandbox);
        let stands = now.values().any(|(_, bytes)| {
            bytes == theirs || is_document && bytes.windows(comment.len()).any(|at| at == comment)
        });
        if stands {
            return;
        }
        let kept = history::has(&self.sandbox, theirs);
        assert!(
            kept,
            "{what}: lost `{}`\n{:#?}",
            String::from_utf8_lossy(theirs),
            now.keys()
        );
    }

    /// The old state is put back, whoever changed it.
    fn as_before(&mut self, is_done: bool, what: &str) {
        if self.mutation.back == Back::Copy {
            self.put_back();
            return;
        }
        if is_done {
            // Their edits may be in the way.
            let way = if self.mutation.back == Back::Redo {
                "redo"
            } else {
                "undo"
            };
            for _ in 1..self.states.len() {
                drop(self.sandbox.run(&[way]));
            }
        }
        let old: Files = self.states[0].raw.clone();
        for path in files(&self.sandbox).keys().rev() {
            if !old.contains_key(path) {
                remove(path);
            }
        }
        for (path, (mode, bytes)) in &old {
            use std::os::unix::fs::PermissionsExt as _;
            let now = fs::symlink_metadata(path).ok();
            if mode & 0o170_000 == 0o040_000 {
                fs::create_dir_all(path).unwrap();
            } else if now.is_none() || fs::read(path).unwrap() != *bytes {
                write(path, bytes);
            }
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        let mut last = Vec::new();
        until_true(&format!("{what}: the rows of the old state"), || {
            let refreshed = self.sandbox.run(&["cache", "refresh"]);
            if refreshed.code == Some(5) {
                // A collection that was removed by hand is missed until it is forgotten.
                drop(self.sandbox.run(&["cache", "clear"]).ok());
            } else {
                drop(refreshed.ok());
            }
            last = self.rows();
            last == self.states[0].rows
        });
    }
}

fn remove(path: &PathBuf) {
    drop(if path.is_dir() {
        fs::remove_dir(path)
    } else {
        fs::remove_file(path)
    });
}
