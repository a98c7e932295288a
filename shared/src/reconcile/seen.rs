//! What files looked like when they were last read, and when that can be trusted.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::time::Timestamp;

/// Kernels stamp files with a clock that ticks every few milliseconds: a file changed twice within a
/// tick looks the same. Nanoseconds.
const TICK: i64 = 20_000_000;

/// File systems that keep whole seconds only (or even ones) need more. Nanoseconds.
const COARSE_TICK: i64 = 2_000_000_000;

/// How long after `newest`, a time of a file in nanoseconds, another change may look the same. Nanoseconds.
pub(crate) const fn tick(newest: i64) -> i64 {
    if newest % 1_000_000_000 == 0 {
        COARSE_TICK
    } else {
        TICK
    }
}

/// The first 16 bytes of the SHA-256 of some bytes: for comparing, never for naming content.
pub(super) fn short_hash(bytes: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(bytes);
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(digest) {
        *to = from;
    }
    short
}

/// What files looked like at a moment: sizes, times, inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Hash over what `stat` tells of every file.
    pub signature: [u8; 16],
    /// The newest modification or change time among them, nanoseconds since the epoch.
    pub newest: i64,
    /// When we looked, before reading.
    pub at: Timestamp,
}

impl Seen {
    /// Whether equal signatures prove equal contents: no file was as young as the clock's resolution when
    /// it was read.
    pub const fn is_trustworthy(&self) -> bool {
        self.newest.saturating_add(tick(self.newest)) < self.at.0
    }

    /// Whether contents are certainly the same as when `before` was read.
    pub fn proves_unchanged_since(&self, before: &Self) -> bool {
        self.signature == before.signature && before.is_trustworthy()
    }

    /// What a single file looks like; `None` if it is not there or can't be looked at.
    pub fn of_file(path: &Path, at: Timestamp) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let meta = std::fs::metadata(path).ok()?;
        let mtime = meta
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(meta.mtime_nsec());
        let ctime = meta
            .ctime()
            .saturating_mul(1_000_000_000)
            .saturating_add(meta.ctime_nsec());
        let mut bytes = Vec::with_capacity(40);
        for number in [meta.len(), meta.ino(), meta.dev()] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [mtime, ctime] {
            bytes.extend(number.to_le_bytes());
        }
        Some(Self {
            signature: short_hash(&bytes),
            newest: mtime.max(ctime),
            at,
        })
    }

    /// 32 bytes for a column.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.signature.to_vec();
        bytes.extend(self.newest.to_le_bytes());
        bytes.extend(self.at.0.to_le_bytes());
        bytes
    }

    /// Reads what [`Seen::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (signature, rest) = bytes.split_first_chunk::<16>()?;
        let (newest, rest) = rest.split_first_chunk::<8>()?;
        let at: [u8; 8] = rest.try_into().ok()?;
        Some(Self {
            signature: *signature,
            newest: i64::from_le_bytes(*newest),
            at: Timestamp(i64::from_le_bytes(at)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(newest: i64, at: i64) -> Seen {
        Seen {
            signature: [7; 16],
            newest,
            at: Timestamp(at),
        }
    }

    #[test]
    fn a_file_as_young_as_the_tick_is_not_trusted() {
        let now = 1_700_000_000_123_456_789;
        assert!(seen(now - TICK - 1, now).is_trustworthy());
        assert!(!seen(now - TICK, now).is_trustworthy());
        assert!(
            !seen(now + TICK, now).is_trustworthy(),
            "a stamp from the future proves nothing"
        );
    }

    #[test]
    fn whole_seconds_need_a_longer_distance() {
        let whole = 1_700_000_000_000_000_000;
        assert!(!seen(whole, whole + 1_500_000_000).is_trustworthy());
        assert!(seen(whole, whole + 2_000_000_001).is_trustworthy());
    }

    #[test]
    fn bytes_round_trip() {
        let before = seen(-5, 12);
        assert_eq!(Seen::from_bytes(&before.to_bytes()), Some(before));
        assert_eq!(Seen::from_bytes(b"short"), None);
    }
}
