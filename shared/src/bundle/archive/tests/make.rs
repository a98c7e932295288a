//! Archives as no program makes them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use tar::{EntryType, Header};

/// An entry of an archive to be made: name, type of tar, mode, content or target of a link.
pub(super) type Made<'a> = (&'a [u8], EntryType, u32, &'a [u8]);

pub(super) const FILE: EntryType = EntryType::Regular;

pub(super) fn file<'a>(name: &'a str, content: &'a [u8]) -> Made<'a> {
    (name.as_bytes(), FILE, 0o644, content)
}

pub(super) fn tarball(entries: &[Made<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, kind, mode, content) in entries {
        let mut header = Header::new_gnu();
        // Names that the crate itself would refuse to write.
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        let data: &[u8] = if is_link {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content);
            &[]
        } else {
            content
        };
        header.set_size(data.len() as u64);
        header.set_cksum();
        tar.append(&header, data).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// A zip, with what a hostile one may say otherwise than it is.
#[derive(Default)]
pub(super) struct Zip {
    pub(super) bytes: Vec<u8>,
    pub(super) directory: Vec<u8>,
    pub(super) count: u16,
}

impl Zip {
    pub(super) fn add(&mut self, made: &Made<'_>) -> &mut Self {
        let (name, kind, mode, content) = made;
        let unix = match *kind {
            EntryType::Symlink => 0o120_000,
            EntryType::Directory => 0o040_000,
            EntryType::Fifo => 0o010_000,
            EntryType::Block => 0o060_000,
            _ => 0o100_000,
        } | mode;
        self.entry(name, name, content, content.len(), 0, unix << 16)
    }

    /// `flags` are those of the record.
    pub(super) fn entry(
        &mut self,
        name: &[u8],
        own_name: &[u8],
        content: &[u8],
        said: usize,
        flags: u16,
        attributes: u32,
    ) -> &mut Self {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
        packed.write_all(content).unwrap();
        let packed = packed.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let at = length(self.bytes.len());
        let fields = |name: &[u8]| {
            let mut fields = Vec::new();
            for number in [20, flags, 8, 0, 0] {
                fields.extend(u16::to_le_bytes(number));
            }
            for number in [crc.sum(), length(packed.len()), length(said)] {
                fields.extend(u32::to_le_bytes(number));
            }
            fields.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
            fields.extend(0_u16.to_le_bytes());
            fields
        };
        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(fields(own_name));
        self.bytes.extend(own_name);
        self.bytes.extend(&packed);
        self.directory.extend(b"PK\x01\x02\x14\x03");
        self.directory.extend(fields(name));
        self.directory.extend([0; 6]);
        self.directory.extend(attributes.to_le_bytes());
        self.directory.extend(at.to_le_bytes());
        self.directory.extend(name);
        self.count += 1;
        self
    }

    pub(super) fn finish(&self) -> Vec<u8> {
        self.finish_counting(self.count)
    }

    pub(super) fn finish_counting(&self, count: u16) -> Vec<u8> {
        let mut all = self.bytes.clone();
        all.extend(&self.directory);
        all.extend(b"PK\x05\x06\0\0\0\0");
        all.extend(count.to_le_bytes());
        all.extend(count.to_le_bytes());
        all.extend(length(self.directory.len()).to_le_bytes());
        all.extend(length(self.bytes.len()).to_le_bytes());
        all.extend([2, 0]);
        all.extend(b"hi");
        all
    }
}

pub(super) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap()
}

pub(super) fn zip(entries: &[Made<'_>]) -> Vec<u8> {
    let mut zip = Zip::default();
    for made in entries {
        zip.add(made);
    }
    zip.finish()
}
