//! `.zip` and `.skill`: a directory at the end, and the entries that it names.
//!
//! Read here rather than by a crate, as a stranger's archive must be counted before its directory is taken
//! into memory, and must say the same in both of its places: two programs that read two different archives
//! out of one file are how a reviewed skill becomes another one. What no archive of this size needs (64-bit
//! records, several disks, encryption, bytes in front, entries that share bytes) is refused.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::gate::{Node, refused, shown};
use super::invalid;
use super::staging::{Entry, Staging, damaged};
use crate::{Code, Error, Result};

/// The end of the directory, without a comment.
const END: usize = 22;
/// The longest comment.
const COMMENT: usize = 0xFFFF;
/// A file's record in the directory, without its name.
const RECORD: usize = 46;
/// A file's own header, without its name.
const HEADER: usize = 30;
/// Bytes of the directory for each entry, with name and extras.
const PER_ENTRY: u64 = 8 * 1024;

/// Where macOS puts what only it understands.
const MACOS: &[u8] = b"__MACOSX/";

/// Reads little-endian numbers.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| invalid("ends in the middle of its directory"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16> {
        let bytes = self.take(2)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u16::from(*byte)))
    }

    fn u32(&mut self) -> Result<u32> {
        let bytes = self.take(4)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }
}

/// A file as the directory tells it.
struct Record {
    name: Vec<u8>,
    /// Which system made it.
    host: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    attributes: u32,
    /// Where its own header is.
    at: u64,
}

pub(super) fn read(mut file: File, size: u64, staging: &mut Staging) -> Result<()> {
    let (records, directory) = directory(&mut file, size, staging.limits().entries)?;
    let mut extents = Vec::new();
    for record in records {
        if record.name.starts_with(MACOS) {
            continue;
        }
        let start = content(&mut file, &record)?;
        let end = start.saturating_add(record.packed);
        if end > directory {
            return Err(refused(
                &record.name,
                "reaches into the archive's directory",
            ));
        }
        extents.push((record.at, end));
        file.seek(SeekFrom::Start(start))
            .map_err(|error| damaged(&record.name, &error))?;
        entry(&file, &record, staging)?;
    }
    extents.sort_unstable();
    let shared = extents
        .windows(2)
        .any(|pair| matches!(pair, [(_, end), (next, _)] if end > next));
    if shared {
        return Err(invalid("has entries that share bytes"));
    }
    Ok(())
}

/// The records of the directory, and where it begins.
fn directory(file: &mut File, size: u64, limit: usize) -> Result<(Vec<Record>, u64)> {
    let fail = |error: std::io::Error| damaged(b"", &error);
    let tail = size.min((END + COMMENT) as u64);
    file.seek(SeekFrom::Start(size - tail)).map_err(fail)?;
    let mut bytes = Vec::new();
    (&*file).take(tail).read_to_end(&mut bytes).map_err(fail)?;
    let (at, end) = end_record(&bytes).ok_or_else(|| invalid("has no directory"))?;
    let mut fields = Fields(end);
    fields.take(4)?;
    let (disk, first) = (fields.u16()?, fields.u16()?);
    let (here, count) = (fields.u16()?, fields.u16()?);
    let (length, start) = (u64::from(fields.u32()?), u64::from(fields.u32()?));
    if disk != 0 || first != 0 || here != count {
        return Err(invalid("is one part of several"));
    }
    // Folders are entries, too.
    if usize::from(count) > 2 * limit || length > PER_ENTRY * (2 * limit as u64) {
        return Err(Error::new(
            Code::FileTooLarge,
            format!("the archive has more than {} entries", 2 * limit),
        )
        .hint("unpack the archive yourself, and add the folder"));
    }
    if start + length != size - tail + at as u64 {
        return Err(invalid("does not end where its directory does"));
    }
    file.seek(SeekFrom::Start(start)).map_err(fail)?;
    let mut bytes = Vec::new();
    (&*file)
        .take(length)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    let mut fields = Fields(&bytes);
    let records = (0..count)
        .map(|_| record(&mut fields))
        .collect::<Result<Vec<_>>>()?;
    if !fields.0.is_empty() {
        return Err(invalid("has more entries than it counts"));
    }
    Ok((records, start))
}

/// The record at the end, and where it is in the tail: the one whose comment reaches just to the end.
fn end_record(tail: &[u8]) -> Option<(usize, &[u8])> {
    let last = tail.len().checked_sub(END)?;
    (0..=last).rev().find_map(|at| {
        let record = tail.get(at..at + END)?;
        let comment = record.get(20..22)?.iter().rev();
        let length = comment.fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        (record.starts_with(b"PK\x05\x06") && at + END + length == tail.len())
            .then_some((at, record))
    })
}

fn record(fields: &mut Fields<'_>) -> Result<Record> {
    let mut fixed = Fields(fields.take(RECORD)?);
    if fixed.take(4)? != b"PK\x01\x02" {
        return Err(invalid("has a damaged directory"));
    }
    let host = fixed.u16()? >> 8;
    let _needed = fixed.u16()?;
    let (flags, method) = (fixed.u16()?, fixed.u16()?);
    let _moment = fixed.u32()?;
    let crc = fixed.u32()?;
    let (packed, size) = (fixed.u32()?, fixed.u32()?);
    let name = usize::from(fixed.u16()?);
    let rest = usize::from(fixed.u16()?) + usize::from(fixed.u16()?);
    let disk = fixed.u16()?;
    let _internal = fixed.u16()?;
    let (attributes, at) = (fixed.u32()?, fixed.u32()?);
    let name = fields.take(name)?.to_vec();
    fields.take(rest)?;
    // Encrypted by itself, or with its directory.
    if flags & 0x2041 != 0 {
        return Err(refused(&name, "is encrypted"));
    }
    if disk != 0 || [packed, size, at].contains(&u32::MAX) {
        return Err(refused(&name, "is larger than any archive may be"));
    }
    if !matches!(method, 0 | 8) {
        return Err(refused(&name, "is packed by a method that is not known"));
    }
    Ok(Record {
        name,
        host,
        method,
        crc,
        packed: u64::from(packed),
        size: u64::from(size),
        attributes,
        at: u64::from(at),
    })
}

/// Where an entry's bytes begin, after its own header has been compared with its record.
fn content(file: &mut File, record: &Record) -> Result<u64> {
    let fail = |error: std::io::Error| damaged(&record.name, &error);
    file.seek(SeekFrom::Start(record.at)).map_err(fail)?;
    let mut bytes = Vec::new();
    (&*file)
        .take((HEADER + record.name.len()) as u64)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    let mut fields = Fields(&bytes);
    let is_header = fields.take(4)? == b"PK\x03\x04";
    fields.take(4)?;
    let method = fields.u16()?;
    fields.take(16)?;
    let (name, extra) = (fields.u16()?, fields.u16()?);
    if !is_header
        || method != record.method
        || fields.0 != record.name.as_slice()
        || usize::from(name) != record.name.len()
    {
        return Err(refused(
            &record.name,
            "is another one in the archive than in its directory",
        ));
    }
    Ok(record.at + (HEADER + record.name.len()) as u64 + u64::from(extra))
}

fn entry(file: &File, record: &Record, staging: &mut Staging) -> Result<()> {
    let raw = file.take(record.packed);
    let reader: Box<dyn Read + '_> = if record.method == 8 {
        Box::new(DeflateDecoder::new(raw))
    } else {
        Box::new(raw)
    };
    // One byte more than it says shows that it says too little.
    let mut content = Checked {
        inner: reader.take(record.size + 1),
        crc: Crc::new(),
    };
    let mode = unix_mode(record);
    let kind = mode & 0o170_000;
    let is_folder = kind == 0o040_000 || record.name.ends_with(b"/");
    let mut target = Vec::new();
    let node = match kind {
        0o120_000 => {
            (&mut content)
                .take(super::MAX_NAME as u64 + 1)
                .read_to_end(&mut target)
                .map_err(|error| damaged(&record.name, &error))?;
            Node::Symlink(&target)
        }
        _ if is_folder => Node::Folder,
        0 | 0o100_000 => Node::File(record.size),
        0o010_000 => Node::Special("a pipe"),
        0o140_000 => Node::Special("a socket"),
        _ => Node::Special("a device"),
    };
    let entry = Entry {
        name: &record.name,
        node,
        mode,
    };
    staging.put(&entry, &mut content, &|own, _| (own, record.packed))?;
    let unpacked = u64::from(content.crc.amount());
    let has_content = matches!(node, Node::File(_) | Node::Symlink(_));
    if has_content && (unpacked != record.size || content.crc.sum() != record.crc) {
        return Err(invalid(&format!(
            "is damaged at `{}`: its bytes are not those that were packed",
            shown(&record.name)
        )));
    }
    Ok(())
}

/// Sums up what passes.
struct Checked<R> {
    inner: R,
    crc: Crc,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(into)?;
        self.crc.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Type and permissions, if a Unix made the entry; else what its attributes of DOS come to.
fn unix_mode(record: &Record) -> u32 {
    let unix = record.attributes >> 16;
    if matches!(record.host, 3 | 19) && unix != 0 {
        return unix;
    }
    if record.attributes & 0x10 != 0 {
        0o040_755
    } else {
        0o100_644
    }
}
