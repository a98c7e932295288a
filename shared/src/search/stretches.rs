//! Cutting a text into words as fast as it can be read: one bit for each byte says whether it is part of a word.

use std::ops::Range;

/// Bytes that are looked at together: as many as a word of the machine has bits.
const BLOCK: usize = 64;

/// Stretches of bytes that hold all words of a text: each is one word of ASCII, or has other characters,
/// and then [`words`](super::words) must look at it.
#[inline]
pub(super) fn stretches(text: &str) -> impl Iterator<Item = &[u8]> {
    let text = text.as_bytes();
    stretches_at(text).map_while(|place| text.get(place))
}

/// Where [`stretches`] lie.
#[inline]
pub(super) fn stretches_at(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut edges = Edges::new(text);
    std::iter::from_fn(move || Some(edges.next()?..edges.next().unwrap_or(text.len())))
}

/// Where stretches begin and end, in turn.
struct Edges<'a> {
    text: &'a [u8],
    /// Where the next block begins.
    next: usize,
    /// Whether the last byte before it is part of a word.
    carry: u64,
    /// The edges of the block before that are still to be told.
    bits: u64,
}

impl<'a> Edges<'a> {
    #[inline]
    const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            next: 0,
            carry: 0,
            bits: 0,
        }
    }
}

impl Iterator for Edges<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
            let bits = if let Some(block) = rest.first_chunk() {
                word_bits(block)
            } else {
                let mut block = [b' '; BLOCK];
                for (to, from) in block.iter_mut().zip(rest) {
                    *to = *from;
                }
                word_bits(&block)
            };
            self.bits = bits ^ (bits << 1 | self.carry);
            self.carry = bits >> (BLOCK - 1);
            self.next += BLOCK;
        }
        let at = self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(self.next - BLOCK + at)
    }
}

/// The lowest bit stands for the first byte. Compilers make a few vector instructions of it.
#[inline]
fn word_bits(block: &[u8; BLOCK]) -> u64 {
    let mut flags = [0_u8; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(!byte.is_ascii() || byte.is_ascii_alphanumeric());
    }
    let (eights, _) = flags.as_chunks::<8>();
    eights.iter().rev().fold(0, |bits, eight| {
        // Gathers the lowest bit of each of eight bytes in the highest byte.
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits << 8 | gathered
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_are_what_lies_between_signs_of_ascii(text in "([a-zA-Z0-9é—]{0,40}[ -~é\n]{0,3}){0,8}") {
            let found: Vec<&[u8]> = stretches(&text).collect();
            let wanted: Vec<&[u8]> = text
                .as_bytes()
                .split(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric())
                .filter(|stretch| !stretch.is_empty())
                .collect();
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn a_word_may_end_with_a_block_or_with_the_text() {
        for length in [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let word = "x".repeat(length);
            let text = format!(" {word} {word}");
            let found: Vec<&[u8]> = stretches(&text).collect();
            assert_eq!(found, [word.as_bytes(); 2], "{length}");
            assert_eq!(stretches(&word).count(), 1);
        }
        assert_eq!(stretches("").count() + stretches(" \n-").count(), 0);
    }
}
