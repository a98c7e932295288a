//! `.tar.gz`: headers in a stream. Names and sizes may come from entries before the one that they are for.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType, PaxExtensions};

use super::gate::{Node, refused};
use super::invalid;
use super::staging::{Entry, Staging, damaged};
use crate::{Code, Error, Result};

/// Bytes of a name or of extended attributes that come as an entry of their own.
const MAX_EXTENSION: u64 = 64 * 1024;

/// Bytes of headers, padding and extensions for each entry.
const OVERHEAD: u64 = 8 * 1024;

/// Counts the bytes that pass.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// Ends with an error where the archive is longer than its limits allow, whatever its headers say.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => Err(io::Error::other(
                Error::new(
                    Code::FileTooLarge,
                    "the archive unpacks to more than its limits allow",
                )
                .hint("unpack the archive yourself, and add the folder"),
            )),
        }
    }
}

/// What an entry says of the next one.
#[derive(Default)]
struct Told {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

pub(super) fn read(reader: impl Read, staging: &mut Staging) -> Result<()> {
    let limits = *staging.limits();
    let packed = Rc::new(Cell::new(0));
    let stream = Bounded {
        inner: MultiGzDecoder::new(Counted {
            inner: reader,
            count: Rc::clone(&packed),
        }),
        left: limits
            .bytes
            .saturating_add(OVERHEAD.saturating_mul(2 * limits.entries as u64 + 1)),
    };
    let mut archive = Archive::new(stream);
    let mut told = Told::default();
    let mut count = 0_usize;
    let entries = archive.entries().map_err(|error| damaged(b"", &error))?;
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(|error| damaged(b"", &error))?;
        let header = entry.header().clone();
        let kind = header.entry_type();
        let size = header
            .entry_size()
            .map_err(|error| damaged(&header.path_bytes(), &error))?;
        match kind {
            EntryType::GNULongName => {
                told.name = Some(text(&extension(&mut entry, size)?));
                continue;
            }
            EntryType::GNULongLink => {
                told.link = Some(text(&extension(&mut entry, size)?));
                continue;
            }
            EntryType::XHeader => {
                extended(&extension(&mut entry, size)?, &mut told)?;
                continue;
            }
            // Says nothing that we take from an archive.
            EntryType::XGlobalHeader => continue,
            _ => {}
        }
        count += 1;
        if count > 2 * limits.entries {
            return Err(Error::new(
                Code::FileTooLarge,
                format!("the archive has more than {} entries", 2 * limits.entries),
            ));
        }
        let told = std::mem::take(&mut told);
        let name = told
            .name
            .unwrap_or_else(|| header.path_bytes().into_owned());
        if told.size.is_some_and(|said| said != size) {
            return Err(refused(&name, "has two sizes"));
        }
        let link = told
            .link
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
            .unwrap_or_default();
        let node = match kind {
            EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => Node::Folder,
            EntryType::Regular | EntryType::Continuous => Node::File(size),
            EntryType::Directory => Node::Folder,
            EntryType::Symlink => Node::Symlink(&link),
            EntryType::Link => Node::HardLink(&link),
            EntryType::Char | EntryType::Block => Node::Special("a device"),
            EntryType::Fifo => Node::Special("a pipe"),
            EntryType::GNUSparse => Node::Special("a sparse file"),
            _ => Node::Special("of a kind that is not known"),
        };
        let entry_of = Entry {
            name: &name,
            node,
            mode: header.mode().unwrap_or(0o644),
        };
        // Bytes are packed in blocks that span entries, so the whole is weighed.
        let weigh = |_: u64, whole: u64| (whole, packed.get());
        staging.put(&entry_of, &mut entry, &weigh)?;
    }
    // The rest holds the checksum.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| damaged(b"", &error))?;
    Ok(())
}

fn extension(entry: &mut impl Read, size: u64) -> Result<Vec<u8>> {
    if size > MAX_EXTENSION {
        return Err(Error::new(
            Code::FileTooLarge,
            "the archive has an extended header of more than 64 KiB",
        ));
    }
    let mut bytes = Vec::new();
    entry
        .take(MAX_EXTENSION)
        .read_to_end(&mut bytes)
        .map_err(|error| damaged(b"", &error))?;
    Ok(bytes)
}

/// Without the NUL at its end.
fn text(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes
        .get(..end.unwrap_or(bytes.len()))
        .unwrap_or_default()
        .to_vec()
}

fn extended(bytes: &[u8], told: &mut Told) -> Result<()> {
    for one in PaxExtensions::new(bytes) {
        let one = one.map_err(|error| damaged(b"", &error))?;
        let value = one.value_bytes();
        match one.key_bytes() {
            b"path" => told.name = Some(value.to_vec()),
            b"linkpath" => told.link = Some(value.to_vec()),
            b"size" => {
                let size = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                told.size = Some(size.ok_or_else(|| invalid("has a size that is no number"))?);
            }
            key if key.starts_with(b"GNU.sparse.") => {
                let name = told.name.clone().unwrap_or_default();
                return Err(refused(&name, "is a sparse file"));
            }
            _ => {}
        }
    }
    Ok(())
}
