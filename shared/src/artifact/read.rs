//! Reads an artifact: every file once, for its hashes, its metadata and its text together.
//!
//! Invariants: nothing but regular files is opened; memory holds one file's beginning and the texts
//! that were asked for, whatever the files' sizes; a file that can't be read is a [`Problem`], not an
//! error.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::io::retry_on_intr;
use sha2::{Digest, Sha256};

use crate::artifact::frontmatter::{self, Document};
use crate::artifact::hash::{self, Feed, Hashes};
use crate::artifact::scan::{self, Entry, EntryKind, Scan};
use crate::artifact::{Metadata, ParseStatus, Problem, content, metadata};
use crate::collection::spelling;
use crate::fs::copy;
use crate::kind::Shape;
use crate::{ArtifactId, Kind, Result};

/// Bytes of a manifest file (`SKILL.md` and its like) that are looked at for metadata.
pub const MANIFEST_BYTES: usize = 128 * 1024;

/// The text of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    /// The path relative to the artifact; for an artifact of one file, the file's name.
    pub path: String,
    /// The text, cut to [`content::MAX_FILE_BYTES`].
    pub text: String,
}

/// What one reading of an artifact gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Its hashes.
    pub hashes: Hashes,
    /// What it says of itself.
    pub metadata: Metadata,
    /// The texts for the index, manifest file first; empty unless they were asked for.
    pub texts: Vec<FileText>,
    /// What a person should know or mend; the scan's problems are among them.
    pub problems: Vec<Problem>,
    /// The file that the metadata comes from, relative to the artifact.
    pub manifest_file: Option<String>,
}

/// Reads the artifact at `path`, which `scan` has just walked. `texts` asks for the texts of its files.
///
/// # Errors
///
/// None today: whatever can't be read becomes a [`Problem`].
pub fn read(kind: &Kind, name: &str, path: &Path, scan: &Scan, texts: bool) -> Result<Reading> {
    let manifest = metadata::manifest_file(kind, scan);
    let mut reader = Reader::new(path, scan, texts, manifest.is_some());
    reader.begin_hash();
    let mut document = Document {
        // Until its file was read.
        status: match manifest {
            Some(_) => ParseStatus::Fallback,
            None => ParseStatus::Strict,
        },
        ..Document::default()
    };
    for entry in scan.entries.iter().filter(|entry| entry.kind.is_hashed()) {
        let is_manifest = manifest.as_ref() == Some(&entry.path);
        if reader.entry(entry, is_manifest) && is_manifest {
            document = frontmatter::parse_file(&entry.path, &reader.head);
        }
    }
    let mut problems = reader.problems;
    problems.extend(document_problems(
        kind,
        scan,
        manifest.as_deref(),
        &document,
    ));
    let texts = in_order(reader.texts);
    Ok(Reading {
        hashes: Hashes {
            content: reader.hash.map(|hash| hash::hex(&hash.finalize())),
            structure: hash::structure(scan),
        },
        metadata: metadata::extract(kind, name, &document),
        texts,
        problems,
        manifest_file: manifest.map(|path| spelling::spell(&path)),
    })
}

/// Reads a file or folder as the copy of it in a collection will be: with what is copied alone. `source` may
/// be a symlink.
///
/// # Errors
/// As [`scan::scan`].
pub fn as_copied(id: &ArtifactId, source: &Path) -> Result<Reading> {
    let (root, scan) = copied(&id.kind, source)?;
    read(&id.kind, &id.name, root, &scan, false)
}

/// What is copied of a file or folder, and the folder that it stands in.
///
/// # Errors
/// As [`scan::scan`].
pub fn copied<'s>(kind: &Kind, source: &'s Path) -> Result<(&'s Path, Scan)> {
    let mut scan = scan::scan(source, source)?;
    scan.entries.retain(|entry| {
        let is_copied = matches!(entry.kind, EntryKind::File | EntryKind::LinkedFile);
        is_copied && !entry.path.iter().any(copy::is_excluded)
    });
    let mut root = source;
    if scan.is_file && kind.shape() == Shape::Folder {
        // A lone file that gets a folder of its own.
        scan.is_file = false;
        root = source.parent().unwrap_or(source);
    }
    Ok((root, scan))
}

/// The texts of the artifact's files alone, manifest file first. What can't be read is left out.
pub fn texts(kind: &Kind, path: &Path, scan: &Scan) -> Vec<FileText> {
    let manifest = metadata::manifest_file(kind, scan);
    let mut reader = Reader::new(path, scan, true, manifest.is_some());
    for entry in scan.entries.iter().filter(|entry| entry.kind.is_hashed()) {
        reader.entry(entry, manifest.as_ref() == Some(&entry.path));
    }
    in_order(reader.texts)
}

fn in_order(mut texts: Vec<(bool, FileText)>) -> Vec<FileText> {
    texts.sort_by_key(|(is_manifest, _)| !is_manifest);
    texts.into_iter().map(|(_, text)| text).collect()
}

fn document_problems(
    kind: &Kind,
    scan: &Scan,
    manifest: Option<&Path>,
    document: &Document,
) -> Vec<Problem> {
    let Some(manifest) = manifest else {
        // Of a folder that can't be listed nobody knows what it has.
        let wanted = metadata::required_file(kind).filter(|_| !scan.is_file && !scan.is_closed());
        let problem = wanted.map(|wanted| {
            let message = format!("the folder has no {wanted}");
            Problem::new("artifact.no_manifest", message).at(scan.label(Path::new("")), None)
        });
        return problem.into_iter().collect();
    };
    let label = scan.label(manifest);
    let mut problems = Vec::new();
    if let Some((message, line)) = &document.error {
        let code = match document.status {
            ParseStatus::Repaired => "frontmatter.repaired",
            ParseStatus::Strict | ParseStatus::Fallback => "frontmatter.invalid",
        };
        problems.push(Problem::new(code, message.clone()).at(label.clone(), *line));
    }
    if document.lossy {
        let message = "not UTF-8: the bytes at fault are shown as U+FFFD";
        problems.push(Problem::new("file.encoding", message).at(label, None));
    }
    problems
}

struct Reader<'a> {
    path: &'a Path,
    scan: &'a Scan,
    hash: Option<Sha256>,
    /// The beginning of the file read last.
    head: Vec<u8>,
    /// Files and bytes that texts may still take, beside the manifest's.
    files_left: usize,
    bytes_left: usize,
    wants_texts: bool,
    texts: Vec<(bool, FileText)>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// A reader that makes no hash.
    fn new(path: &'a Path, scan: &'a Scan, texts: bool, has_manifest: bool) -> Self {
        let reserved = usize::from(has_manifest);
        Self {
            path,
            scan,
            hash: None,
            head: Vec::new(),
            files_left: content::MAX_FILES - reserved,
            bytes_left: content::MAX_ARTIFACT_BYTES - reserved * content::MAX_FILE_BYTES,
            wants_texts: texts,
            texts: Vec::new(),
            problems: scan.problems.clone(),
        }
    }

    /// Hashes what is read from now on, if all of it can be.
    fn begin_hash(&mut self) {
        let scan = self.scan;
        let fits = scan.total_size() <= hash::MAX_BYTES;
        if !fits {
            let largest = scan
                .entries
                .iter()
                .max_by_key(|e| if e.kind.is_readable() { e.size } else { 0 });
            let message = "the artifact is larger than 1 GiB: it has no content hash";
            let label = scan.label(largest.map_or(Path::new(""), |e| &e.path));
            self.problems
                .push(Problem::new("hash.too_large", message).at(label, None));
        }
        self.hash = (fits && scan.complete).then(Sha256::new);
    }

    /// Reads one file; whether its beginning is in `head` afterwards.
    fn entry(&mut self, entry: &Entry, is_manifest: bool) -> bool {
        if !self.scan.is_file
            && let Some(hash) = &mut self.hash
        {
            hash.update(entry.path.as_os_str().as_bytes());
        }
        let wants_text =
            self.wants_texts && (is_manifest || (self.files_left > 0 && self.bytes_left > 0));
        let wanted = self.hash.is_some() || is_manifest || wants_text;
        // Of the file that tells what it is the beginning is enough.
        let fits = is_manifest || entry.size <= hash::MAX_BYTES;
        if !wanted || !entry.kind.is_readable() || !fits {
            return false;
        }
        if let Err(error) = self.load(entry) {
            self.fail(entry, &error);
            return false;
        }
        if wants_text {
            self.take_text(entry, is_manifest);
        }
        true
    }

    fn load(&mut self, entry: &Entry) -> io::Result<()> {
        let file = hash::open_entry(self.path, self.scan, entry)?;
        let expected =
            usize::try_from(entry.size).map_or(MANIFEST_BYTES, |size| size.min(MANIFEST_BYTES));
        self.head.clear();
        self.head.reserve(expected + 1);
        // Most files come whole with the first call. It asked for more than there was: no other has to find the end.
        while self.head.len() < MANIFEST_BYTES {
            self.head.reserve(1);
            let read = retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut self.head)))?;
            if read == 0 || self.head.len() as u64 == entry.size {
                break;
            }
        }
        if let Some(hash) = &mut self.hash {
            hash.update(&self.head);
        }
        let is_whole = self.head.len() < MANIFEST_BYTES;
        self.head.truncate(MANIFEST_BYTES);
        let Some(hash) = self.hash.as_mut().filter(|_| !is_whole) else {
            return Ok(());
        };
        let done = stream(file, hash);
        if !matches!(done, Ok(true)) {
            // Half of the file is in the hash: it can't be told what it would be a hash of.
            self.hash = None;
        }
        match done {
            Ok(true) => Ok(()),
            Ok(false) => Err(io::Error::other("it grew beyond 1 GiB while it was read")),
            Err(error) => Err(error),
        }
    }

    fn take_text(&mut self, entry: &Entry, is_manifest: bool) {
        if content::is_private(&entry.path) {
            return;
        }
        let Some(text) = content::text_of(&self.head) else {
            return;
        };
        if !is_manifest {
            if text.len() > self.bytes_left {
                return;
            }
            self.bytes_left -= text.len();
            self.files_left -= 1;
        }
        let path = spelling::spell(&entry.path);
        self.texts.push((is_manifest, FileText { path, text }));
    }

    fn fail(&mut self, entry: &Entry, error: &io::Error) {
        if error.kind() == io::ErrorKind::NotFound {
            // Gone since the scan. What was hashed is no state that the artifact was ever in.
            self.hash = None;
        }
        let error = crate::Error::io("read", &entry.path, error);
        let label = self.scan.label(&entry.path);
        self.problems
            .push(Problem::new("file.unreadable", error.message).at(label, None));
    }
}

/// Feeds the rest of a file to the hash; `false` if it is longer than any artifact may be.
fn stream(file: File, hash: &mut Sha256) -> io::Result<bool> {
    let fed = io::copy(&mut file.take(hash::MAX_BYTES + 1), &mut Feed(hash))?;
    Ok(fed <= hash::MAX_BYTES)
}

/// The first `limit` bytes of a regular file. The path may be a symlink: for files that a person named.
pub(crate) fn read_head(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = hash::open_regular(&std::fs::canonicalize(path)?)?;
    let mut head = Vec::new();
    file.take(limit as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests;
