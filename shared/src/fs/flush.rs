//! Making sure that many files and folders are on the disk, with few calls.

use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Files and folders up to which each is flushed by itself: a disk as a whole may have much else to write.
const FEW: usize = 4;

/// Waits until what stands at these paths is on the disk, folders with all that is in them: one call for each disk
/// if they are many. Where the system has no such call, files and folders are flushed one by one. What is gone
/// again is passed over.
pub fn flush(paths: &[PathBuf]) -> Result<()> {
    let mut found = Vec::new();
    for path in paths {
        if let Ok(metadata) = fs::symlink_metadata(path) {
            found.push((path.as_path(), metadata));
        }
    }
    let is_simple = |metadata: &Metadata| !metadata.is_dir();
    if found.len() <= FEW && found.iter().all(|(_, metadata)| is_simple(metadata)) {
        return found
            .iter()
            .try_for_each(|(path, metadata)| flush_one(path, metadata));
    }
    flush_disks(&found)
}

/// Has what waits to be written to the disk of a folder written out from now on, by a thread of its own: whoever is about
/// to make many files there waits less for them. Nobody waits for this, and it may fail.
pub fn write_out(folder: &Path) {
    let begin = || -> std::io::Result<()> {
        let opened = File::open(folder)?;
        let write_out = move || drop(flush_disk(&opened));
        let writing = std::thread::Builder::new().name("write-out".to_owned());
        writing.spawn(write_out).map(drop)
    };
    begin().ok();
}

#[cfg(target_os = "linux")]
fn flush_disk(on_it: &File) -> std::io::Result<()> {
    rustix::fs::syncfs(on_it).map_err(Into::into)
}

/// There is no such call.
#[cfg(not(target_os = "linux"))]
fn flush_disk(_: &File) -> std::io::Result<()> {
    Ok(())
}

/// As [`flush`], of folders whose own entries changed, and not of what is in them.
pub(crate) fn flush_folders(folders: &[&Path]) -> Result<()> {
    if folders.len() <= FEW || !cfg!(target_os = "linux") {
        return folders
            .iter()
            .try_for_each(|folder| super::atomic::sync_folder(folder));
    }
    let mut found = Vec::new();
    for folder in folders {
        let metadata = fs::metadata(folder).map_err(|error| Error::io("open", folder, &error))?;
        found.push((*folder, metadata));
    }
    crate::failpoint::hit("exchange.flush")
        .map_err(|error| Error::io("write", Path::new("folders"), &error))?;
    flush_disks(&found)
}

#[cfg(target_os = "linux")]
fn flush_disks(found: &[(&Path, Metadata)]) -> Result<()> {
    let mut disks = std::collections::BTreeSet::new();
    for (path, metadata) in found {
        if disks.insert(std::os::unix::fs::MetadataExt::dev(metadata)) {
            let fail = |error: &std::io::Error| Error::io("write", path, error);
            // The path itself may be a link that leads nowhere.
            let folder = path.parent().unwrap_or(path);
            File::open(folder)
                .and_then(|opened| flush_disk(&opened))
                .map_err(|error| fail(&error))?;
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn flush_disks(found: &[(&Path, Metadata)]) -> Result<()> {
    found
        .iter()
        .try_for_each(|(path, metadata)| flush_each(path, metadata, 0))
}

#[cfg(not(target_os = "linux"))]
fn flush_each(path: &Path, found: &Metadata, depth: usize) -> Result<()> {
    let fail = |error: &std::io::Error| Error::io("write", path, error);
    if found.is_dir() && depth <= super::copy::MAX_DEPTH {
        for entry in fs::read_dir(path).map_err(|error| fail(&error))? {
            let entry = entry.map_err(|error| fail(&error))?;
            let inner = entry.metadata().map_err(|error| fail(&error))?;
            flush_each(&entry.path(), &inner, depth + 1)?;
        }
    }
    flush_one(path, found)
}

/// What is no file and no folder has nothing of its own to flush.
fn flush_one(path: &Path, found: &Metadata) -> Result<()> {
    if !found.is_dir() && !found.is_file() {
        return Ok(());
    }
    File::open(path)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| Error::io("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::write;

    #[test]
    fn whatever_stands_there_is_flushed_and_what_is_gone_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: String| folder.path().join(name);
        let mut paths = vec![at("gone".to_owned()), at("link".to_owned())];
        std::os::unix::fs::symlink("nowhere", at("link".to_owned())).unwrap();
        for number in 0..FEW {
            paths.push(at(number.to_string()));
            write(&at(number.to_string()), b"x", 0o600).unwrap();
            flush(&paths).unwrap();
        }
        fs::create_dir_all(at("deep/er".to_owned())).unwrap();
        flush(&[at("deep".to_owned())]).unwrap();
        let folders: Vec<PathBuf> = (0..=FEW).map(|number| at(format!("f{number}"))).collect();
        let borrowed: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        assert!(flush_folders(&borrowed).is_err(), "folders must be there");
        for folder in &folders {
            fs::create_dir(folder).unwrap();
        }
        flush_folders(&borrowed).unwrap();
        write_out(folder.path());
        write_out(&at("gone".to_owned()));
    }
}
