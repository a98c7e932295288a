//! A file that is set aside when it has grown: `skillmeat.log` becomes `skillmeat.log.1`, that `.2`, and so
//! on; the oldest is overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub(crate) struct RotatingFile {
    path: PathBuf,
    max_size: u64,
    max_old: usize,
    open: Option<(File, u64)>,
}

/// Opens the file for appending, with its folder, readable for the user alone. What that folder lies in is not made: a
/// home that was moved or deleted must not begin anew with a log.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent()
        && let Err(error) = fs::DirBuilder::new().mode(0o700).create(folder)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    let no_wait = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(no_wait)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

impl RotatingFile {
    pub(crate) const fn new(path: PathBuf, max_size: u64, max_old: usize) -> Self {
        Self {
            path,
            max_size,
            max_old,
            open: None,
        }
    }

    pub(crate) const fn set_limits(&mut self, max_size: u64, max_old: usize) {
        self.max_size = max_size;
        self.max_old = max_old;
    }

    /// Appends bytes. After a failure the file is opened anew by the next call.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.try_write(bytes);
        if written.is_err() {
            self.open = None;
        }
        written
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if let Some((file, size)) = &self.open {
            let full = *size > 0 && size.saturating_add(length) > self.max_size;
            // Somebody moved or deleted it: lines would go where nobody looks.
            let away = fs::symlink_metadata(&self.path).map_or(true, |there| {
                !file.metadata().is_ok_and(|ours| ours.ino() == there.ino())
            });
            if full && !away {
                self.rotate()?;
            }
            if full || away {
                self.open = None;
            }
        }
        if self.open.is_none() {
            let file = open(&self.path)?;
            let size = file.metadata()?.len();
            self.open = Some((file, size));
            if size > 0 && size.saturating_add(length) > self.max_size {
                self.rotate()?;
                self.open = Some((open(&self.path)?, 0));
            }
        }
        if let Some((file, size)) = &mut self.open {
            file.write_all(bytes)?;
            *size = size.saturating_add(length);
        }
        Ok(())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "what a power cut takes of a log is no loss"
    )]
    fn rotate(&self) -> io::Result<()> {
        let numbered = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        if self.max_old == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.max_old).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, numbered(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<(String, String)> {
        let mut found: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect();
        found.sort();
        found
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn it_keeps_so_many_old_files_of_such_a_size() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::new(dir.path().join("log"), 10, 2);
        for number in 0..9 {
            file.write(format!("line{number}\n").as_bytes()).unwrap();
        }
        assert_eq!(
            names(dir.path()),
            [
                pair("log", "line8\n"),
                pair("log.1", "line7\n"),
                pair("log.2", "line6\n")
            ]
        );
    }

    #[test]
    fn a_long_file_of_an_earlier_run_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        RotatingFile::new(path.clone(), 100, 1)
            .write(b"a long line of before\n")
            .unwrap();
        RotatingFile::new(path, 10, 1).write(b"new\n").unwrap();
        assert_eq!(
            names(dir.path()),
            [
                pair("log", "new\n"),
                pair("log.1", "a long line of before\n")
            ]
        );
    }

    #[test]
    fn its_folder_is_made_and_nothing_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let mut file = RotatingFile::new(home.join("logs/log"), 100, 1);
        assert!(file.write(b"one\n").is_err() && !home.exists());
        fs::create_dir(&home).unwrap();
        file.write(b"two\n").unwrap();
        fs::remove_dir_all(&home).unwrap();
        assert!(file.write(b"three\n").is_err() && !home.exists());
    }

    #[test]
    fn no_old_files_means_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::new(dir.path().join("log"), 4, 0);
        file.write(b"one\n").unwrap();
        file.write(b"two\n").unwrap();
        assert_eq!(names(dir.path()), [pair("log", "two\n")]);
    }

    #[test]
    fn a_deleted_file_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = RotatingFile::new(path.clone(), 100, 2);
        file.write(b"one\n").unwrap();
        fs::remove_file(path).unwrap();
        file.write(b"two\n").unwrap();
        assert_eq!(names(dir.path()), [pair("log", "two\n")]);
    }

    #[test]
    fn a_pipe_is_no_log_and_blocks_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        assert!(open(&path).is_err());
    }
}
