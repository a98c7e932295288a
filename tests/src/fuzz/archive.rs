//! Archives of others.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use skillmeat_shared::bundle::archive::{Limits, unpack};
use skillmeat_shared::{Code, Error};

/// What may be told of an archive that is not taken.
const CODES: [Code; 3] = [
    Code::ArchiveInvalid,
    Code::ArchiveRefused,
    Code::FileTooLarge,
];

/// An archive is unpacked whole into its folder, or refused without a trace. Bytes are tried as they are, and as what
/// a gzip archive holds, whose checksum hardly a mutation would meet.
pub(super) fn check(bytes: &[u8]) {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    for bytes in [bytes, &packed.finish().unwrap()] {
        one(bytes);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test arranges files plainly")]
fn one(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("a.skill");
    fs::write(&archive, bytes).unwrap();
    let room = folder.path().join("room");
    match unpack(&archive, &room, "name", &Limits::PACKAGE) {
        Ok(unpacked) => {
            let root = fs::canonicalize(unpacked.root()).unwrap();
            let mut total = 0;
            inside(&root, &root, &mut total);
            assert!(total <= Limits::PACKAGE.bytes);
        }
        Err(Error { code, message, .. }) => {
            assert!(CODES.contains(&code), "{code}: {message}");
            assert!(!message.chars().any(char::is_control), "{message:?}");
        }
    }
    let left = fs::read_dir(&room).map_or(0, Iterator::count);
    assert_eq!(left, 0);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        if room.exists() { 2 } else { 1 }
    );
}

/// Everything below a folder is a file, a folder, or a link to one of those, and every path leads to a place in it.
fn inside(root: &Path, folder: &Path, total: &mut u64) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(fs::canonicalize(&path).unwrap().starts_with(root));
        let found = fs::symlink_metadata(&path).unwrap();
        if found.is_dir() {
            inside(root, &path, total);
        } else {
            assert!(found.is_file() || found.is_symlink());
            *total += found.len();
        }
    }
}
