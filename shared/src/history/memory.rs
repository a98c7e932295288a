//! Objects in memory, for what is looked at and not kept.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::object::{self, Keep, Objects};
use crate::fs::FileHash;
use crate::{Error, Result};

#[derive(Debug, Clone)]
enum Kept {
    Bytes(Vec<u8>),
    List(Vec<FileHash>),
}

/// Objects that go with the value.
#[derive(Debug, Default)]
pub struct MemoryObjects(Mutex<HashMap<FileHash, Kept>>);

impl MemoryObjects {
    fn all(&self) -> MutexGuard<'_, HashMap<FileHash, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many objects there are.
    pub fn count(&self) -> usize {
        self.all().len()
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.all()
            .values()
            .map(|kept| match kept {
                Kept::Bytes(bytes) => bytes.len(),
                Kept::List(parts) => parts.len() * 32,
            })
            .sum()
    }
}

impl Objects for MemoryObjects {
    fn has(&self, hash: &FileHash) -> Result<bool> {
        Ok(self.all().contains_key(hash))
    }

    fn copy_to(&self, hash: &FileHash, into: &mut dyn Write) -> Result<()> {
        let kept = self.all().get(hash).cloned();
        match kept.ok_or_else(|| object::missing(hash))? {
            Kept::Bytes(bytes) => into
                .write_all(&bytes)
                .map_err(|error| Error::io("write", std::path::Path::new("object"), &error)),
            Kept::List(parts) => parts.iter().try_for_each(|part| self.copy_to(part, into)),
        }
    }

    fn parts(&self, hash: &FileHash) -> Result<Option<Vec<FileHash>>> {
        Ok(match self.all().get(hash) {
            Some(Kept::List(parts)) => Some(parts.clone()),
            _ => None,
        })
    }
}

impl Keep for MemoryObjects {
    fn put(&self, hash: &FileHash, bytes: &[u8]) -> Result<()> {
        self.all()
            .entry(*hash)
            .or_insert_with(|| Kept::Bytes(bytes.to_vec()));
        Ok(())
    }

    fn put_list(&self, hash: &FileHash, _: u64, parts: &[FileHash]) -> Result<()> {
        self.all()
            .entry(*hash)
            .or_insert_with(|| Kept::List(parts.to_vec()));
        Ok(())
    }
}
