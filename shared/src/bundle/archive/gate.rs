//! Which entries of an archive may come in: their names, their kinds, how many and how large.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization as _;

use super::{Limits, MAX_DEPTH, MAX_NAME, RATIO_FROM};
use crate::{Code, Error, Result};

/// Longest part of a path, in bytes, on every disk that matters.
const MAX_PART: usize = 255;

/// Characters of an entry's name that an error shows.
const SHOWN: usize = 200;

/// How the names of archives end, of those that we unpack and those that we don't.
const ARCHIVES: [&str; 23] = [
    ".zip", ".skill", ".jar", ".war", ".apk", ".whl", ".egg", ".tar", ".tgz", ".tbz", ".tbz2",
    ".txz", ".tzst", ".gz", ".bz2", ".xz", ".zst", ".lz4", ".br", ".7z", ".rar", ".cab", ".iso",
];

/// Names that Windows keeps for devices, whatever their ending.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node<'a> {
    /// A file of so many bytes, as the archive says.
    File(u64),
    /// A folder.
    Folder,
    /// A symbolic link to this.
    Symlink(&'a [u8]),
    /// Another name of the file that the archive calls this.
    HardLink(&'a [u8]),
    /// A device, pipe, socket, sparse file: the word says which.
    Special(&'static str),
}

/// What stands at a path.
#[derive(Debug)]
struct Known {
    /// As it is spelled.
    spelled: Vec<u8>,
    is_folder: bool,
    is_file: bool,
}

/// Lets the entries of one archive in, one by one.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    known: HashMap<Vec<u8>, Known>,
    files: usize,
    folders: usize,
    bytes: u64,
}

impl Gate {
    /// A gate that nothing has passed.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            known: HashMap::new(),
            files: 0,
            folders: 0,
            bytes: 0,
        }
    }

    /// What the gate keeps to.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The path below the folder that is unpacked into; `None` for that folder itself.
    ///
    /// # Errors
    /// `archive.refused` or `file.too_large`, naming the entry.
    pub fn admit(&mut self, name: &[u8], node: &Node<'_>) -> Result<Option<PathBuf>> {
        if let Node::Special(what) = node {
            return Err(refused(name, &format!("is {what}")));
        }
        let parts = self.parts(name)?;
        let Some(last) = parts.last() else {
            return match node {
                Node::Folder => Ok(None),
                _ => Err(refused(name, "names nothing")),
            };
        };
        let is_folder = matches!(node, Node::Folder);
        let is_file = matches!(node, Node::File(_) | Node::HardLink(_));
        if !is_folder && name.ends_with(b"/") {
            return Err(refused(name, "is called like a folder and is none"));
        }
        if self.limits.flat && is_file && is_archive(last) {
            let error = refused(name, "is an archive in the archive");
            return Err(error.hint("unpack it yourself, look at it, and add the folder"));
        }
        let mut path = Vec::new();
        let mut key = Vec::new();
        let end = parts.len() - 1;
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                path.push(b'/');
                key.push(b'/');
            }
            path.extend_from_slice(part);
            key.extend_from_slice(&self.folded(part));
            self.note(
                name,
                &path,
                &key,
                at < end || is_folder,
                at == end && is_file,
            )?;
        }
        if let Node::File(size) = node {
            self.fits(name, *size)?;
        }
        if let Node::Symlink(target) = node {
            inside(name, end, target)?;
        }
        Ok(Some(PathBuf::from(OsStr::from_bytes(&path))))
    }

    /// The file that a hard link means, which must have come before it.
    ///
    /// # Errors
    /// `archive.refused` if it is none of the archive's files.
    pub fn linked(&self, name: &[u8], target: &[u8]) -> Result<PathBuf> {
        let parts = self.parts(target)?;
        let key: Vec<Vec<u8>> = parts.iter().map(|part| self.folded(part)).collect();
        match self.known.get(&key.join(&b'/')) {
            Some(known) if known.is_file => Ok(PathBuf::from(OsStr::from_bytes(&known.spelled))),
            _ => Err(refused(
                name,
                "is a hard link to something that is no file before it in the archive",
            )),
        }
    }

    /// Bytes that were unpacked so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts bytes that were unpacked of an entry.
    ///
    /// # Errors
    /// `file.too_large` above the limit.
    pub fn grow(&mut self, name: &[u8], more: u64) -> Result<()> {
        self.fits(name, more)?;
        self.bytes = self.bytes.saturating_add(more);
        Ok(())
    }

    /// Compares what something takes unpacked and packed.
    ///
    /// # Errors
    /// `archive.refused` if it is a bomb.
    pub fn weigh(&self, name: &[u8], unpacked: u64, packed: u64) -> Result<()> {
        if unpacked > RATIO_FROM && unpacked / packed.max(1) > self.limits.ratio {
            let ratio = self.limits.ratio;
            let why = format!("is more than {ratio} times larger than packed");
            return Err(refused(name, &why));
        }
        Ok(())
    }

    fn fits(&self, name: &[u8], more: u64) -> Result<()> {
        if more > self.limits.bytes.saturating_sub(self.bytes) {
            let mib = self.limits.bytes >> 20;
            return Err(too_large(name, &format!("takes the whole above {mib} MiB")));
        }
        Ok(())
    }

    /// The parts of a name, checked one by one.
    fn parts<'n>(&self, name: &'n [u8]) -> Result<Vec<&'n [u8]>> {
        if name.len() > MAX_NAME {
            return Err(too_large(name, "has a name of more than 4096 bytes"));
        }
        if name.first() == Some(&b'/') {
            return Err(refused(name, "has an absolute path"));
        }
        if name.contains(&0) {
            return Err(refused(name, "has a NUL in its name"));
        }
        if self.limits.portable {
            portable(name)?;
        }
        let mut parts = Vec::new();
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(refused(name, "leads out with `..`")),
                _ if part.len() > MAX_PART => {
                    return Err(too_large(name, "has a name of more than 255 bytes"));
                }
                _ => parts.push(part),
            }
        }
        if parts.len() > MAX_DEPTH {
            let why = format!("lies more than {MAX_DEPTH} folders deep");
            return Err(too_large(name, &why));
        }
        Ok(parts)
    }

    /// The part as disks see it that don't tell cases or spellings apart.
    fn folded(&self, part: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(part) {
            Ok(text) if self.limits.portable => text
                .trim_end_matches(['.', ' '])
                .nfc()
                .flat_map(char::to_lowercase)
                .nfc()
                .collect::<String>()
                .into_bytes(),
            _ => part.to_vec(),
        }
    }

    /// Remembers what stands at a path, and refuses what can't stand there.
    fn note(
        &mut self,
        name: &[u8],
        path: &[u8],
        key: &[u8],
        is_folder: bool,
        is_file: bool,
    ) -> Result<()> {
        if let Some(known) = self.known.get(key) {
            if known.spelled != path {
                let why = format!(
                    "has the same name as `{}` on some disks",
                    shown(&known.spelled)
                );
                return Err(refused(name, &why));
            }
            return match (known.is_folder, is_folder) {
                (true, true) => Ok(()),
                (false, true) => Err(refused(name, "lies below an entry that is no folder")),
                _ => Err(refused(name, "comes twice")),
            };
        }
        let count = if is_folder {
            &mut self.folders
        } else {
            &mut self.files
        };
        *count += 1;
        if *count > self.limits.entries {
            let what = if is_folder { "folders" } else { "files" };
            let why = format!("is one of more than {} {what}", self.limits.entries);
            return Err(too_large(name, &why));
        }
        let known = Known {
            spelled: path.to_vec(),
            is_folder,
            is_file,
        };
        self.known.insert(key.to_vec(), known);
        Ok(())
    }
}

/// Names that mean the same everywhere.
fn portable(name: &[u8]) -> Result<()> {
    let Ok(text) = std::str::from_utf8(name) else {
        return Err(refused(name, "has a name that is not UTF-8"));
    };
    if text.contains('\\') {
        return Err(refused(name, "has a backslash in its name"));
    }
    if text.contains(':') {
        return Err(refused(name, "has a colon in its name"));
    }
    if text.chars().any(char::is_control) {
        return Err(refused(name, "has a control character in its name"));
    }
    if text.split('/').any(is_device) {
        return Err(refused(name, "has a name that Windows keeps for a device"));
    }
    Ok(())
}

fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().trim_end();
    if DEVICES
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
    {
        return true;
    }
    let mut letters = stem.chars();
    let port: String = letters.by_ref().take(3).collect();
    let is_port = port.eq_ignore_ascii_case("COM") || port.eq_ignore_ascii_case("LPT");
    let number = letters.next();
    is_port
        && letters.next().is_none()
        && number.is_some_and(|c| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³'))
}

fn is_archive(part: &[u8]) -> bool {
    let lower = part.to_ascii_lowercase();
    ARCHIVES
        .iter()
        .any(|ending| lower.len() > ending.len() && lower.ends_with(ending.as_bytes()))
}

/// Whether a link in a folder `depth` deep may come in, by what it says alone.
pub fn is_inside(depth: usize, target: &[u8]) -> bool {
    inside(b"", depth, target).is_ok()
}

/// Whether a link in a folder `depth` deep leads out of the archive, by its text alone. What its folders
/// really are is looked at when everything stands.
fn inside(name: &[u8], depth: usize, target: &[u8]) -> Result<()> {
    let out = || refused(name, "is a link that leads out");
    if target.is_empty() || target.contains(&0) || target.len() > MAX_NAME {
        return Err(refused(name, "is a link to no path"));
    }
    if Path::new(OsStr::from_bytes(target)).is_absolute() {
        return Err(out());
    }
    let mut depth = depth;
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => depth = depth.checked_sub(1).ok_or_else(out)?,
            _ => depth += 1,
        }
    }
    Ok(())
}

/// The error for an entry that may not come in.
pub(super) fn refused(name: &[u8], why: &str) -> Error {
    Error::new(
        Code::ArchiveRefused,
        format!("the entry `{}` {why}", shown(name)),
    )
    .hint("nothing was unpacked; look at the archive before you trust it")
}

fn too_large(name: &[u8], why: &str) -> Error {
    Error::new(
        Code::FileTooLarge,
        format!("the entry `{}` {why}", shown(name)),
    )
    .hint("unpack the archive yourself, and add the folder")
}

/// An entry's name for people: no control characters, not endless.
pub(super) fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name.get(..MAX_NAME).unwrap_or(name));
    text.escape_debug().take(SHOWN).collect()
}
