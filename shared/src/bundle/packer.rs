//! Packing with gzip, so that nobody takes what we packed for a bomb.
//!
//! Zeros pack a thousand times, and who reads archives refuses what grew so much. Where the whole packs better than half
//! of that, some of it is kept as it is, as a member of its own: whoever reads gzip reads many members as one.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::archive::{RATIO, RATIO_FROM};

/// Bytes that are packed before the next look at what came of them.
const PIECE: usize = 64 * 1024;

/// A `.gz` that is being written.
pub struct Packer<W: Write> {
    /// None only where beginning the next member failed.
    member: Option<GzEncoder<Counted<W>>>,
    read: u64,
    is_packed: bool,
}

struct Counted<W> {
    to: W,
    written: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Packer<W> {
    /// Packs what is written into `to`.
    pub fn new(to: W) -> Self {
        let to = Counted { to, written: 0 };
        Self {
            member: Some(GzEncoder::new(to, Compression::default())),
            read: 0,
            is_packed: true,
        }
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// What writing says.
    pub fn finish(mut self) -> io::Result<W> {
        let member = self.member.take().ok_or_else(broken)?;
        Ok(member.finish()?.to)
    }

    /// Begins the next member, if it is to be packed in another way.
    fn look(&mut self) -> io::Result<()> {
        let member = self.member.as_ref().ok_or_else(broken)?;
        let most = member.get_ref().written.saturating_mul(RATIO / 2);
        let is_packed = self.read < RATIO_FROM / 2 || self.read < most;
        if is_packed != self.is_packed
            && let Some(member) = self.member.take()
        {
            let level = if is_packed {
                Compression::default()
            } else {
                Compression::none()
            };
            self.member = Some(GzEncoder::new(member.finish()?, level));
            self.is_packed = is_packed;
        }
        Ok(())
    }
}

fn broken() -> io::Error {
    io::Error::other("the archive could not be written on")
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.look()?;
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        let read = self.member.as_mut().ok_or_else(broken)?.write(piece)?;
        self.read += read as u64;
        Ok(read)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.member.as_mut().ok_or_else(broken)?.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut packer = Packer::new(Vec::new());
        packer.write_all(content).unwrap();
        let packed = packer.finish().unwrap();
        let mut back = Vec::new();
        MultiGzDecoder::new(packed.as_slice())
            .read_to_end(&mut back)
            .unwrap();
        assert!(back == content, "{} bytes", content.len());
        packed
    }

    #[test]
    fn nothing_grows_so_much_that_it_is_refused() {
        for size in [0, 1, 1 << 19, (1 << 20) + 1, 3 << 20, 20 << 20] {
            let packed = packed(&vec![0; size]).len();
            assert!(size < 1 << 20 || size / packed < 100, "{size} to {packed}");
            // It is packed all the same.
            assert!(size < 3 << 20 || size / packed > 10, "{size} to {packed}");
        }
        let text = "---\nname: some text\n---\n".repeat(10);
        assert!(packed(text.as_bytes()).len() < text.len() / 3);
    }
}
