//! Reading archives that somebody else made: `.skill` and `.zip`, `.tar.gz` and `.tgz`.
//!
//! Invariants: an archive is unpacked whole into a new private folder, or not at all; nothing is written
//! outside of that folder, whatever the entries are called; nothing of an archive is run; every size, count
//! and depth has a limit, and what an archive says of itself is believed only after it was counted. A refusal
//! names the entry that it is for.
//!
//! The rules for entries stand in [`Gate`], once for both formats. Archives are refused rather than mended:
//! an entry with a hostile name is no accident.

mod gate;
mod staging;
mod tarball;
mod zip;

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

pub use gate::{Gate, Node, is_inside};

use crate::fs::copy;
use crate::{Code, Error, Result};
use staging::Staging;

/// What an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most files and links, and the most folders.
    pub entries: usize,
    /// The most bytes of all files, unpacked.
    pub bytes: u64,
    /// How many times larger than packed a file may be that has more than [`RATIO_FROM`] bytes.
    pub ratio: u64,
    /// Only names that mean the same on every system, only files that everybody can read, no links that lead
    /// nowhere. Without it names are any bytes, and modes are kept.
    pub portable: bool,
    /// Archives inside are refused.
    pub flat: bool,
}

/// Bytes from which the ratio of packed to unpacked counts: small files of repeated text pack very well.
pub const RATIO_FROM: u64 = 1 << 20;

/// How many times larger than packed a file may be: more is a bomb.
pub const RATIO: u64 = 100;

/// The deepest folder.
pub const MAX_DEPTH: usize = copy::MAX_DEPTH;

/// Bytes of an entry's whole name, as Linux limits paths.
pub const MAX_NAME: usize = 4096;

impl Limits {
    /// A package of artifacts from somebody else: 1,000 files and 25 MiB, as SM-PKG-03 has them.
    pub const PACKAGE: Self = Self {
        entries: 1_000,
        bytes: 25 << 20,
        ratio: RATIO,
        portable: true,
        flat: true,
    };
}

/// How the names of archives end that are unpacked.
const ENDINGS: [&str; 4] = [".skill", ".zip", ".tar.gz", ".tgz"];

/// The name of an archive without its ending; `None` if the name is not that of an archive that is unpacked.
pub fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    ENDINGS.iter().find_map(|ending| {
        let at = name.len().checked_sub(ending.len())?;
        let (stem, end) = name.split_at_checked(at)?;
        (!stem.is_empty() && end.eq_ignore_ascii_case(ending)).then_some(stem)
    })
}

/// An archive that was unpacked. Its folder is removed when this is dropped.
#[derive(Debug)]
pub struct Unpacked {
    staging: Staging,
}

impl Unpacked {
    /// The folder that holds what the archive held.
    pub fn root(&self) -> &Path {
        self.staging.root()
    }
}

/// Unpacks an archive into a new folder `name` below a new private folder in `room`, which is made if it is
/// not there. The first bytes tell the format, not the name.
///
/// # Errors
/// `archive.invalid` if it is damaged or none; `archive.refused` or `file.too_large` with the entry's name.
/// Nothing is left behind then.
pub fn unpack(archive: &Path, room: &Path, name: &str, limits: &Limits) -> Result<Unpacked> {
    let (mut file, size) = crate::fs::atomic::open_regular(archive)?;
    let mut staging = Staging::new(room, name, *limits)?;
    let outcome = match magic(&mut file)? {
        [0x1f, 0x8b, ..] => tarball::read(file, &mut staging),
        [b'P', b'K', ..] => zip::read(file, size, &mut staging),
        _ => Err(invalid("is neither a zip nor a gzip archive")),
    };
    outcome
        .and_then(|()| staging.finish())
        .map_err(|error| error.at(archive, None))?;
    Ok(Unpacked { staging })
}

/// Unpacks a `.tar.gz` from a stream into the new folder `into`, whose parent must exist. The folder stays,
/// and is the caller's.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_tar_gz(reader: impl std::io::Read, into: &Path, limits: &Limits) -> Result<()> {
    let mut staging = Staging::at(into.to_path_buf(), *limits)?;
    tarball::read(reader, &mut staging)?;
    staging.finish()?;
    staging.keep();
    Ok(())
}

fn magic(file: &mut File) -> Result<[u8; 4]> {
    let mut head = [0; 4];
    let fail = |error: std::io::Error| invalid(&format!("can't be read: {error}"));
    // Shorter files are none of the formats, and zeros say so.
    let mut at = 0;
    while let Some(rest) = head.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(fail)? {
            0 => break,
            read => at += read,
        }
    }
    file.rewind().map_err(fail)?;
    Ok(head)
}

/// The error for an archive that can't be read.
fn invalid(why: &str) -> Error {
    Error::new(Code::ArchiveInvalid, format!("the archive {why}"))
        .hint("fetch it again; archives are `.skill`, `.zip`, `.tar.gz` and `.tgz`")
}

/// A file system error of the folder that is unpacked into.
fn io(verb: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path: PathBuf = path.to_owned();
    move |error| Error::io(verb, &path, &error)
}

#[cfg(test)]
mod tests;
