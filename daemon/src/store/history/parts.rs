//! The bytes of parts of lists, at hand: of trees of large folders, which are read several times, and in which later
//! states have most parts in common.

use std::collections::HashMap;
use std::sync::Arc;

use skillmeat_shared::fs::FileHash;

/// Bytes of the largest list of which parts are held.
pub(super) const OF_ONE: u64 = 2 * 1024 * 1024;

/// Bytes that are held at most.
const MOST: usize = 4 * 1024 * 1024;

/// Parts by the hashes of their bytes.
#[derive(Debug, Default)]
pub(super) struct Parts {
    held: HashMap<FileHash, Arc<[u8]>>,
    bytes: usize,
}

impl Parts {
    pub(super) fn get(&self, hash: &FileHash) -> Option<Arc<[u8]>> {
        self.held.get(hash).cloned()
    }

    pub(super) fn has(&self, hash: &FileHash) -> bool {
        self.held.contains_key(hash)
    }

    /// Holds one more; if there is no room for it, instead of all others.
    pub(super) fn hold(&mut self, hash: &FileHash, bytes: &Arc<[u8]>) {
        if self.has(hash) {
            return;
        }
        if self.bytes + bytes.len() > MOST {
            self.clear();
        }
        self.bytes += bytes.len();
        self.held.insert(*hash, Arc::clone(bytes));
    }

    /// Holds all that the other one does.
    pub(super) fn take_in(&mut self, other: &Self) {
        for (hash, bytes) in &other.held {
            self.hold(hash, bytes);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_limited() {
        let (mut parts, mut more) = (Parts::default(), Parts::default());
        let part: Arc<[u8]> = vec![0; MOST / 2].into();
        let [first, second, third] = [b"1", b"2", b"3"].map(|name| FileHash::of(name));
        parts.hold(&first, &part);
        parts.hold(&first, &part);
        more.hold(&second, &part);
        parts.take_in(&more);
        assert!(parts.has(&first) && parts.has(&second));
        parts.hold(&third, &part);
        assert!(!parts.has(&first) && !parts.has(&second));
        assert_eq!(parts.get(&third), Some(part));
    }
}
