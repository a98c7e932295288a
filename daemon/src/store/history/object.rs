//! Rows of objects, and how their bytes are packed.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use rusqlite::{Connection, OptionalExtension as _, params};
use skillmeat_shared::fs::FileHash;
use skillmeat_shared::history::object::{self, PART};
use skillmeat_shared::{Error, Result};

/// Bytes of an object as the database keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) packing: Packing,
    /// Of the bytes themselves.
    pub(super) size: u64,
    pub(super) data: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Deflated,
    List,
}

impl Packing {
    const fn code(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Deflated => 1,
            Self::List => 2,
        }
    }

    const fn of(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Plain,
            1 => Self::Deflated,
            2 => Self::List,
            _ => return None,
        })
    }
}

/// How deep lists may lie in lists; ours lie in none.
const MAX_LISTS: usize = 2;

/// Bytes so few that packing them saves nothing.
const SMALL: usize = 96;

/// Packs bytes. Made once and used for many objects: it needs a quarter of a megabyte.
pub(super) struct Packer {
    inner: Compress,
    room: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> Self {
        Self {
            inner: Compress::new(Compression::new(1), false),
            room: Vec::new(),
        }
    }

    pub(super) fn pack(&mut self, bytes: &[u8]) -> Packed {
        let plain = || Packed {
            packing: Packing::Plain,
            size: bytes.len() as u64,
            data: bytes.to_vec(),
        };
        if bytes.len() < SMALL {
            return plain();
        }
        self.room.clear();
        self.room.reserve(bytes.len() + bytes.len() / 8 + SMALL);
        let packed = self
            .inner
            .compress_vec(bytes, &mut self.room, FlushCompress::Finish);
        if !matches!(packed, Ok(Status::StreamEnd)) {
            // One that did not come to its end spoils what it packs next, reset or not.
            *self = Self::new();
            return plain();
        }
        self.inner.reset();
        if self.room.len() > bytes.len() - bytes.len() / 16 {
            return plain();
        }
        Packed {
            packing: Packing::Deflated,
            size: bytes.len() as u64,
            data: self.room.clone(),
        }
    }
}

pub(super) fn list(size: u64, parts: &[FileHash]) -> Packed {
    Packed {
        packing: Packing::List,
        size,
        data: parts.iter().flat_map(|part| part.0).collect(),
    }
}

/// The parts that a list names; `None` if it is no list.
pub(super) fn parts(packed: &Packed) -> Option<Vec<FileHash>> {
    if packed.packing != Packing::List {
        return None;
    }
    let (parts, rest) = packed.data.as_chunks::<32>();
    rest.is_empty()
        .then(|| parts.iter().map(|part| FileHash(*part)).collect())
}

/// The bytes; `None` if they can't be unpacked.
fn unpack(packed: Packed) -> Option<Vec<u8>> {
    match packed.packing {
        Packing::Plain => Some(packed.data),
        Packing::List => None,
        Packing::Deflated => {
            // Never more than was promised, and than one object may have.
            let size = usize::try_from(packed.size)
                .ok()
                .filter(|size| *size <= PART)?;
            let mut bytes = Vec::with_capacity(size);
            let mut unpacker = Decompress::new(false);
            unpacker
                .decompress_vec(&packed.data, &mut bytes, FlushDecompress::Finish)
                .ok()
                .filter(|_| bytes.len() == size)?;
            Some(bytes)
        }
    }
}

/// Writes the bytes of an object to `into`, checked against its hash.
pub(super) fn copy(
    load: &dyn Fn(&FileHash) -> Result<Option<Packed>>,
    hash: &FileHash,
    into: &mut dyn Write,
) -> Result<()> {
    copy_within(load, hash, into, 0)
}

fn copy_within(
    load: &dyn Fn(&FileHash) -> Result<Option<Packed>>,
    hash: &FileHash,
    into: &mut dyn Write,
    depth: usize,
) -> Result<()> {
    let packed = load(hash)?.ok_or_else(|| object::missing(hash))?;
    if let Some(parts) = parts(&packed) {
        if depth >= MAX_LISTS {
            return Err(object::altered(hash));
        }
        return parts
            .iter()
            .try_for_each(|part| copy_within(load, part, into, depth + 1));
    }
    let bytes = unpack(packed)
        .filter(|bytes| FileHash::of(bytes) == *hash)
        .ok_or_else(|| object::altered(hash))?;
    into.write_all(&bytes)
        .map_err(|error| Error::io("write", Path::new("object"), &error))
}

pub(super) fn has(connection: &Connection, hash: &FileHash) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM object WHERE hash = ?1")?
        .exists([hash.0])
}

/// The hashes of all objects; nothing if they are more than `most`.
pub(super) fn all(
    connection: &Connection,
    most: u64,
) -> rusqlite::Result<Option<HashSet<FileHash>>> {
    let count: u64 = connection.query_row("SELECT count(*) FROM object", [], |row| row.get(0))?;
    if count > most {
        return Ok(None);
    }
    connection
        .prepare_cached("SELECT hash FROM object")?
        .query_map([], |row| row.get(0).map(FileHash))?
        .collect::<rusqlite::Result<_>>()
        .map(Some)
}

pub(super) fn load(connection: &Connection, hash: &FileHash) -> rusqlite::Result<Option<Packed>> {
    connection
        .prepare_cached("SELECT packing, size, data FROM object WHERE hash = ?1")?
        .query_row([hash.0], |row| {
            let code: u8 = row.get(0)?;
            let packing = Packing::of(code)
                .ok_or(rusqlite::Error::IntegralValueOutOfRange(0, code.into()))?;
            Ok(Packed {
                packing,
                size: row.get(1)?,
                data: row.get(2)?,
            })
        })
        .optional()
}

/// Writes rows; those that are there stay.
pub(super) fn insert<'a>(
    connection: &Connection,
    objects: impl Iterator<Item = (&'a FileHash, &'a Packed)>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO object (hash, packing, size, data) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?;
    for (hash, packed) in objects {
        statement.execute(params![
            hash.0,
            packed.packing.code(),
            packed.size,
            packed.data
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(packed: &Packed, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        copy(
            &|_| Ok(Some(packed.clone())),
            &FileHash::of(bytes),
            &mut out,
        )?;
        Ok(out)
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut packer = Packer::new();
        let noise: Vec<u8> = (0..PART / 32)
            .flat_map(|at| FileHash::of(&at.to_le_bytes()).0)
            .collect();
        let text = b"the same words again and ".repeat(1000);
        for (bytes, packing) in [
            (&b""[..], Packing::Plain),
            (b"short", Packing::Plain),
            (&noise, Packing::Plain),
            (&text, Packing::Deflated),
            (&vec![0; PART], Packing::Deflated),
        ] {
            let packed = packer.pack(bytes);
            assert_eq!(packed.packing, packing, "{}", bytes.len());
            assert_eq!(back(&packed, bytes).unwrap(), bytes);
        }
        assert!(packer.pack(&text).data.len() < 1000);
    }

    #[test]
    fn altered_bytes_are_noticed_and_never_unpacked_beyond_their_size() {
        let text = b"the same words again and ".repeat(100);
        let whole = Packer::new().pack(&text);
        for at in 0..whole.data.len() {
            let mut broken = whole.clone();
            broken.data[at] ^= 0x40;
            // The last bits of the last byte mean nothing.
            assert!(
                back(&broken, &text).map_or(true, |read| read == text),
                "{at}"
            );
        }
        for size in [0, text.len() as u64 - 1, text.len() as u64 + 1, u64::MAX] {
            let broken = Packed {
                size,
                ..whole.clone()
            };
            assert!(back(&broken, &text).is_err(), "{size}");
        }
    }

    #[test]
    fn a_list_that_names_itself_ends() {
        let hash = FileHash::of(b"x");
        let list = list(1, &[hash]);
        assert!(copy(&|_| Ok(Some(list.clone())), &hash, &mut Vec::new()).is_err());
    }
}
