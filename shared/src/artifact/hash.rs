//! The two hashes of an artifact, bit for bit as existing lock files and deployment records have them.
//!
//! Content: SHA-256, lower-case hex. Of one file: its bytes. Of a folder: for each file in order, its
//! relative path with `/` and right after it its bytes; no separators, modes, or folders; nothing is
//! left out. A file that can't be read counts with its path alone.
//! Structure: SHA-256 over the same paths alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

use crate::artifact::read;
use crate::artifact::scan::{Entry, EntryKind, Scan, scan};
use crate::{Error, Kind, Result};

/// Bytes in one artifact beyond which no content hash is made and no file is read for it.
pub const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// The hashes of one artifact: 64 lower-case hex digits each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    /// Over paths and bytes; `None` if the artifact is larger than [`MAX_BYTES`] or was not seen whole.
    pub content: Option<String>,
    /// Over paths.
    pub structure: String,
}

/// The content hash of one file, of any size. Follows no symlink and opens nothing but regular files.
///
/// # Errors
///
/// As the file system gives them.
pub fn hash_file(path: &Path) -> Result<String> {
    let fail = |error: &io::Error| Error::io("read", path, error);
    let mut file = open_regular(path).map_err(|e| fail(&e))?;
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut Feed(&mut hash)).map_err(|e| fail(&e))?;
    Ok(hex(&hash.finalize()))
}

/// The hashes of the file or folder at `path`; symlinks are followed inside `boundary` only.
///
/// # Errors
///
/// As [`scan`] gives them.
pub fn hash_path(path: &Path, boundary: &Path) -> Result<Hashes> {
    let found = scan(path, boundary)?;
    Ok(read::read(&Kind::Other("".into()), "", path, &found, false)?.hashes)
}

/// The content hash that an artifact will have with these bytes in some of its files, or without a file where there
/// are none. `None` if it can't be told.
pub fn with(
    path: &Path,
    scan: &Scan,
    instead: &BTreeMap<PathBuf, Option<Vec<u8>>>,
) -> Option<String> {
    if !scan.complete || scan.total_size() > MAX_BYTES {
        return None;
    }
    let mut files: BTreeMap<&Path, Option<&Entry>> = scan
        .entries
        .iter()
        .filter(|entry| entry.kind.is_hashed())
        .map(|entry| (entry.path.as_path(), Some(entry)))
        .collect();
    if scan.is_file && instead.contains_key(Path::new("")) {
        files.clear();
    }
    for (file, bytes) in instead {
        match bytes {
            Some(_) => files.insert(file, None),
            None => files.remove(file.as_path()),
        };
    }
    let mut hash = Sha256::new();
    for (file, entry) in files {
        if !scan.is_file {
            hash.update(file.as_os_str().as_bytes());
        }
        match entry {
            None => hash.update(instead.get(file)?.as_deref()?),
            Some(entry) if entry.kind.is_readable() => {
                let mut file = open_entry(path, scan, entry).ok()?;
                io::copy(&mut file, &mut Feed(&mut hash)).ok()?;
            }
            Some(_) => {}
        }
    }
    Some(hex(&hash.finalize()))
}

/// The structure hash of what a scan found.
pub fn structure(scan: &Scan) -> String {
    let mut hash = Sha256::new();
    for entry in scan.entries.iter().filter(|e| e.kind.is_hashed()) {
        hash.update(entry.path.as_os_str().as_bytes());
    }
    hex(&hash.finalize())
}

/// Opens an entry of a scan for reading: a regular file, or an error. A symlink is resolved once more,
/// since it may have moved since the scan.
pub(crate) fn open_entry(path: &Path, scan: &Scan, entry: &Entry) -> io::Result<File> {
    let path = scan.location(path, entry);
    if entry.kind == EntryKind::LinkedFile {
        let target = scan.resolve_inside(&path)?;
        return open_regular(
            &target.ok_or_else(|| io::Error::other("the link leaves its folder"))?,
        );
    }
    open_regular(&path)
}

/// Opens a regular file. Never follows a symlink at the path's end and never waits for a FIFO's writer.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok(file)
}

/// A digest as lower-case hex.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
        .collect()
}

/// Hands what is written to it to a hash.
pub(crate) struct Feed<'a>(pub(crate) &'a mut Sha256);

impl io::Write for Feed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sources")
    }

    fn put(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        io::Write::write_all(&mut File::create(path).unwrap(), text.as_bytes()).unwrap();
    }

    #[test]
    fn a_hash_is_told_before_the_bytes_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for file in ["a/SKILL.md", "a/z", "a/b/c", "a/b.txt"] {
            put(&at(file), file);
        }
        let found = scan(&at("a"), folder.path()).unwrap();
        let mut instead = BTreeMap::new();
        let content = |path: &str| hash_path(&at(path), folder.path()).unwrap().content;
        assert_eq!(with(&at("a"), &found, &instead), content("a"));
        instead.insert("SKILL.md".into(), Some(b"new".to_vec()));
        instead.insert("b/d".into(), Some(b"more".to_vec()));
        instead.insert("z".into(), None);
        let told = with(&at("a"), &found, &instead);
        put(&at("a/SKILL.md"), "new");
        put(&at("a/b/d"), "more");
        std::fs::remove_file(at("a/z")).unwrap();
        assert_eq!(told, content("a"));
        let lone = scan(&at("a/b.txt"), folder.path()).unwrap();
        let none = BTreeMap::new();
        assert_eq!(with(&at("a/b.txt"), &lone, &none), content("a/b.txt"));
        let new = BTreeMap::from([(PathBuf::new(), Some(b"new".to_vec()))]);
        assert_eq!(with(&at("a/b.txt"), &lone, &new), content("a/SKILL.md"));
    }

    #[test]
    fn hashes_are_those_of_existing_homes() {
        for (path, hash) in [
            (
                "skills/pdf-tools",
                "be78a0e3d3753a99c9304392852a03b815ed9493880dec6227874610b91b84c6",
            ),
            (
                "skills/canvas-lite",
                "44045d37a1fb57eae89f18f63f9be0aca86e7abf6afa05a1876b9baec29aa8ef",
            ),
            (
                "commands/review.md",
                "f9e566a2dfe79a867920e09e1450dbb887c1a56cd6aa789b6ba85f65a6727601",
            ),
        ] {
            let hashes = hash_path(&fixtures().join(path), &fixtures()).unwrap();
            assert_eq!(hashes.content.as_deref(), Some(hash), "{path}");
        }
        let hash = |path: &str| hash_path(&fixtures().join(path), &fixtures()).unwrap();
        assert_eq!(hash("skills/doc-writer"), hash("skills/doc-writer-copy"));
        let review = fixtures().join("commands/review.md");
        assert_eq!(
            Some(hash_file(&review).unwrap()),
            hash("commands/review.md").content
        );
    }

    #[test]
    fn both_hashes_of_a_small_tree_are_the_known_ones() {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join("SKILL.md"), "hi\n");
        put(&dir.path().join("a/b.txt"), "x");
        let hashes = hash_path(dir.path(), dir.path()).unwrap();
        assert_eq!(
            hashes.content.as_deref(),
            Some("03ca4a6fe037b792c4807ad030c6f53bea9a90ecaf5eb2407807b1594c10ed5e")
        );
        assert_eq!(
            hashes.structure,
            "c77f0b428d961b939e80e47dbf7a921d3476b0f69d8957b774c80d6eaba6b7f8"
        );
    }

    #[test]
    fn files_are_fed_component_by_component() {
        let dir = tempfile::tempdir().unwrap();
        // As plain strings `a.txt` and `a-b/x` would come before `a/b`.
        for (path, text) in [
            ("a/b", "1"),
            ("a.txt", "2"),
            ("a-b/x", "3"),
            ("B", "4"),
            ("é", "5"),
        ] {
            put(&dir.path().join(path), text);
        }
        let hashes = hash_path(dir.path(), dir.path()).unwrap();
        let expected = Sha256::digest("B4a/b1a-b/x3a.txt2é5");
        assert_eq!(hashes.content, Some(hex(&expected)));
        assert_eq!(hashes.structure, hex(&Sha256::digest("Ba/ba-b/xa.txté")));
    }

    #[test]
    fn an_empty_folder_hashes_like_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let hashes = hash_path(dir.path(), dir.path()).unwrap();
        assert_eq!(hashes.content.as_deref(), Some(nothing));
        assert_eq!(hashes.structure, nothing);
    }

    #[test]
    fn names_that_are_no_utf8_count_by_their_bytes() {
        use std::ffi::OsStr;
        let dir = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"a\xFF.md");
        if File::create(dir.path().join(name)).is_err() {
            return; // This file system takes UTF-8 only.
        }
        let hashes = hash_path(dir.path(), dir.path()).unwrap();
        assert_eq!(hashes.structure, hex(&Sha256::digest(b"a\xFF.md")));
    }

    #[test]
    fn a_file_longer_than_every_buffer_is_hashed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let text = "0123456789abcdef".repeat(100_000);
        put(&dir.path().join("long"), &text);
        let hash = hash_path(dir.path(), dir.path()).unwrap().content;
        assert_eq!(hash, Some(hex(&Sha256::digest(format!("long{text}")))));
        assert_eq!(
            hash_file(&dir.path().join("long")).unwrap(),
            hex(&Sha256::digest(&text))
        );
    }

    #[test]
    fn nothing_but_regular_files_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join("file"), "x");
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        for name in ["link", "socket", "."] {
            assert!(hash_file(&dir.path().join(name)).is_err(), "{name}");
        }
        assert_eq!(
            hash_file(&dir.path().join("none")).unwrap_err().code,
            crate::Code::FileNotFound
        );
    }
}
