//! Trees as they are encoded: made, and read entry by entry.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::encoding::{Cursor, put_text};
use super::object::{self, Keep, Objects};
use super::tree::{Entry, Node, Tree, damaged, is_name};
use crate::Result;
use crate::fs::FileHash;

/// How every encoded tree begins.
pub(super) const MAGIC: &[u8] = b"tree1\n";

/// Bytes of the largest tree that is read back: a folder of some hundred thousand entries.
const MAX_TREE: u64 = 64 * 1024 * 1024;

/// Trees of more bytes than this are kept in parts, so that one changed entry of a large folder does not cost
/// the whole list again.
const LARGE: usize = 16 * 1024;

/// One entry in so many ends a part of a large tree.
const PART_OF: u8 = 64;

/// A tree as it is encoded. Of a large folder mostly a few entries matter, and the others need not be taken apart.
#[derive(Debug)]
pub(super) struct Packed(Vec<u8>);

/// One thing in a folder, as it is encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackedEntry<'a> {
    pub(super) name: &'a OsStr,
    /// Equal bytes: equal states.
    pub(super) node: &'a [u8],
}

impl Packed {
    /// Reads a tree back.
    ///
    /// # Errors
    /// As [`Tree::load`].
    pub(super) fn load(objects: &dyn Objects, hash: &FileHash) -> Result<Self> {
        Self::checked(object::get(objects, hash, MAX_TREE)?)
    }

    /// Reads two trees back, but for parts that both have: what is in them is the same.
    ///
    /// # Errors
    /// As [`Tree::load`].
    pub(super) fn load_unlike(
        objects: &dyn Objects,
        one: &FileHash,
        other: &FileHash,
    ) -> Result<(Self, Self)> {
        let (Some(parts), Some(others)) = (objects.parts(one)?, objects.parts(other)?) else {
            return Ok((Self::load(objects, one)?, Self::load(objects, other)?));
        };
        // Parts end where entries do; of one that does not, all is read.
        let load = |these: &[FileHash], those: &[FileHash]| {
            let those: HashSet<&FileHash> = those.iter().collect();
            // It begins the first part.
            let is_left_out = these.first().is_some_and(|first| those.contains(first));
            let mut bytes = if is_left_out {
                MAGIC.to_vec()
            } else {
                Vec::new()
            };
            for part in these.iter().filter(|part| !those.contains(part)) {
                bytes.extend(object::get(objects, part, MAX_TREE)?);
            }
            Self::checked(bytes)
        };
        match (load(&parts, &others), load(&others, &parts)) {
            (Ok(one), Ok(other)) => Ok((one, other)),
            _ => Ok((Self::load(objects, one)?, Self::load(objects, other)?)),
        }
    }

    pub(super) fn checked(bytes: Vec<u8>) -> Result<Self> {
        let packed = Self(bytes);
        if packed.is_whole() {
            Ok(packed)
        } else {
            Err(damaged("a tree"))
        }
    }

    fn is_whole(&self) -> bool {
        let Some(rest) = self.0.strip_prefix(MAGIC) else {
            return false;
        };
        let mut entries = PackedEntries(Cursor(rest));
        let mut last: Option<&OsStr> = None;
        for entry in entries.by_ref() {
            let is_sorted = last.is_none_or(|last| last.as_bytes() < entry.name.as_bytes());
            if !is_name(entry.name) || !is_sorted {
                return false;
            }
            last = Some(entry.name);
        }
        entries.0.is_at_end()
    }

    /// The entries, sorted by the bytes of their names.
    pub(super) fn entries(&self) -> PackedEntries<'_> {
        PackedEntries(Cursor(self.0.strip_prefix(MAGIC).unwrap_or_default()))
    }

    /// The entries, each by itself.
    pub(super) fn unpack(&self) -> Vec<Entry> {
        self.entries().filter_map(PackedEntry::unpack).collect()
    }

    /// The encoding of what it becomes when these names are taken away and those entries come instead.
    pub(super) fn changed(&self, gone: &BTreeSet<&OsStr>, come: &Tree) -> Encoding {
        let mut encoding = Encoding::of(come.entries().len());
        encoding.bytes.reserve(self.0.len());
        let mut come = come.entries().iter().peekable();
        let put = |encoding: &mut Encoding, entry: &Entry| {
            encoding.push(&entry.name, |bytes| entry.node.encode_into(bytes));
        };
        let mut gone = gone.iter().map(|name| name.as_bytes()).peekable();
        for stays in self.entries() {
            let name = stays.name.as_bytes();
            while gone.next_if(|gone| *gone < name).is_some() {}
            if gone.peek() == Some(&name) {
                continue;
            }
            while let Some(entry) = come.next_if(|entry| entry.name.as_bytes() <= name) {
                put(&mut encoding, entry);
            }
            encoding.push(stays.name, |bytes| bytes.extend(stays.node));
        }
        come.for_each(|entry| put(&mut encoding, entry));
        encoding
    }
}

impl PackedEntry<'_> {
    pub(super) fn unpack(self) -> Option<Entry> {
        Some(Entry {
            name: self.name.to_owned(),
            node: Node::decode(self.node).ok()?,
        })
    }
}

/// Goes through entries, up to the first that is none.
#[derive(Debug)]
pub(super) struct PackedEntries<'a>(Cursor<'a>);

impl<'a> Iterator for PackedEntries<'a> {
    type Item = PackedEntry<'a>;

    fn next(&mut self) -> Option<PackedEntry<'a>> {
        let mut cursor = Cursor(self.0.0);
        let name = OsStr::from_bytes(cursor.text()?);
        let node = Node::skip(&mut cursor)?;
        self.0 = cursor;
        Some(PackedEntry { name, node })
    }
}

/// The one encoding of a tree while it is made, entry by entry in order.
#[derive(Debug)]
pub(super) struct Encoding {
    pub(super) bytes: Vec<u8>,
    /// Where it may be cut.
    pub(super) cuts: Vec<usize>,
}

impl Encoding {
    pub(super) fn of(entries: usize) -> Self {
        let mut bytes = Vec::with_capacity(MAGIC.len() + entries * 64);
        bytes.extend(MAGIC);
        let cuts = Vec::new();
        Self { bytes, cuts }
    }

    pub(super) fn push(&mut self, name: &OsStr, node: impl FnOnce(&mut Vec<u8>)) {
        // Names of files have at most 255 bytes anywhere.
        put_text(&mut self.bytes, name.as_bytes());
        node(&mut self.bytes);
        // By the name alone: other entries that come and go move no cut.
        if is_cut(name) {
            self.cuts.push(self.bytes.len());
        }
    }

    /// As [`Tree::keep`].
    pub(super) fn keep(self, objects: &dyn Keep, known: Option<&FileHash>) -> Result<FileHash> {
        let Self { bytes, cuts } = self;
        let hash = FileHash::of(&bytes);
        if known == Some(&hash) {
            return Ok(hash);
        }
        if bytes.len() <= LARGE || cuts.is_empty() {
            objects.put(&hash, &bytes)?;
            return Ok(hash);
        }
        let mut parts = Vec::with_capacity(cuts.len() + 1);
        let mut rest = bytes.as_slice();
        let mut done = 0;
        for cut in cuts {
            if let Some((part, after)) = rest.split_at_checked(cut - done) {
                parts.push(keep_part(objects, part)?);
                rest = after;
                done = cut;
            }
        }
        if !rest.is_empty() {
            parts.push(keep_part(objects, rest)?);
        }
        objects.put_list(&hash, bytes.len() as u64, &parts)?;
        Ok(hash)
    }
}

/// Keeps a part of a tree: what changed in a large folder is about to be compared.
fn keep_part(objects: &dyn Keep, part: &[u8]) -> Result<FileHash> {
    let hash = object::put(objects, part)?;
    objects.have_at_hand(&hash, part);
    Ok(hash)
}

fn is_cut(name: &OsStr) -> bool {
    let sum = name.as_bytes().iter().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(16_777_619) ^ u32::from(*byte)
    });
    let [_, _, mixed, _] = sum.wrapping_mul(0x9E37_79B1).to_le_bytes();
    mixed.is_multiple_of(PART_OF)
}
