//! The ports behind which objects are kept.

use std::io::Write;

use crate::fs::FileHash;
use crate::{Code, Error, Result};

/// Bytes of the largest object that is kept in one piece; what is larger is a list of parts.
pub const PART: usize = 1024 * 1024;

/// Objects that can be read. A port: where they are kept is not decided here.
pub trait Objects: Sync {
    /// Whether it is there.
    fn has(&self, hash: &FileHash) -> Result<bool>;

    /// Writes the bytes of an object, checked against their hash, to `into`. Those of a list are the bytes of
    /// its parts, one after the other.
    ///
    /// # Errors
    /// [`Code::HistoryDamaged`] if the object is missing or its bytes have another hash; what `into` says.
    fn copy_to(&self, hash: &FileHash, into: &mut dyn Write) -> Result<()>;

    /// The parts of an object, one after the other, where it is kept as a list of them.
    fn parts(&self, _hash: &FileHash) -> Result<Option<Vec<FileHash>>> {
        Ok(None)
    }
}

/// Objects that can be kept. Keeping what is there already costs nothing.
pub trait Keep: Objects {
    /// Keeps at most [`PART`] bytes, whose hash this is.
    fn put(&self, hash: &FileHash, bytes: &[u8]) -> Result<()>;

    /// Keeps bytes that are the parts, which are kept already, one after the other.
    fn put_list(&self, hash: &FileHash, size: u64, parts: &[FileHash]) -> Result<()>;

    /// What was kept is likely to be read soon.
    fn have_at_hand(&self, _hash: &FileHash, _bytes: &[u8]) {}
}

/// Keeps some bytes, however many, and gives their hash.
pub fn put(objects: &dyn Keep, bytes: &[u8]) -> Result<FileHash> {
    let hash = FileHash::of(bytes);
    if bytes.len() <= PART {
        objects.put(&hash, bytes)?;
        return Ok(hash);
    }
    let mut parts = Vec::new();
    for part in bytes.chunks(PART) {
        let hash = FileHash::of(part);
        objects.put(&hash, part)?;
        parts.push(hash);
    }
    objects.put_list(&hash, bytes.len() as u64, &parts)?;
    Ok(hash)
}

/// The bytes of an object.
///
/// # Errors
/// [`Code::FileTooLarge`] above `max` bytes; what [`Objects::copy_to`] says.
pub fn get(objects: &dyn Objects, hash: &FileHash, max: u64) -> Result<Vec<u8>> {
    let mut bounded = Bounded {
        bytes: Vec::new(),
        left: max,
        is_over: false,
    };
    let copied = objects.copy_to(hash, &mut bounded);
    if bounded.is_over {
        let message = format!("an object of the history is larger than {max} bytes");
        return Err(Error::new(Code::FileTooLarge, message));
    }
    copied.map(|()| bounded.bytes)
}

struct Bounded {
    bytes: Vec<u8>,
    left: u64,
    is_over: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            self.is_over = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The error for an object that is not there.
pub fn missing(hash: &FileHash) -> Error {
    Error::new(
        Code::HistoryDamaged,
        format!("the history lacks the object `{hash}`"),
    )
    .hint("`sm snapshot verify` tells which snapshots are whole")
}

/// The error for an object whose bytes are not what they were.
pub fn altered(hash: &FileHash) -> Error {
    Error::new(
        Code::HistoryDamaged,
        format!("the object `{hash}` of the history was altered"),
    )
    .hint("`sm snapshot verify` tells which snapshots are whole")
}

#[cfg(test)]
mod tests {
    use super::super::MemoryObjects;
    use super::*;

    #[test]
    fn large_ones_come_back_whole_and_share_their_parts() {
        let objects = MemoryObjects::default();
        let mut bytes: Vec<u8> = (0..3 * PART + 17)
            .map(|at| u8::try_from(at / 4096 % 256).unwrap())
            .collect();
        let hash = put(&objects, &bytes).unwrap();
        assert_eq!(hash, FileHash::of(&bytes));
        assert_eq!(get(&objects, &hash, u64::MAX).unwrap(), bytes);
        let before = objects.count();
        *bytes.last_mut().unwrap() ^= 1;
        put(&objects, &bytes).unwrap();
        assert_eq!(objects.count(), before + 2);
        let error = get(&objects, &hash, PART as u64).unwrap_err();
        assert_eq!(error.code, Code::FileTooLarge);
        assert!(!objects.has(&FileHash([0; 32])).unwrap());
        let error = get(&objects, &FileHash([0; 32]), 1).unwrap_err();
        assert_eq!(error.code, Code::HistoryDamaged);
    }
}
