//! Bytes that are almost right: samples with a few things done to them. The same ones for the same seed.

use crate::generate::Random;

use super::Target;

/// Bytes of a mutated sample, at most.
pub const LARGEST: usize = 20_000;

/// Things that are done to one sample, at most.
const CHANGES: usize = 6;

/// An endless sequence of mutated samples.
#[derive(Debug)]
pub struct Mutations {
    random: Random,
    corpus: Vec<Vec<u8>>,
    words: &'static [&'static str],
}

impl Mutations {
    /// Begins a sequence.
    pub fn new(target: &Target, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            corpus: target.corpus(),
            words: target.words,
        }
    }

    fn sample(&mut self) -> Vec<u8> {
        let at = self.random.below(self.corpus.len());
        self.corpus[at].clone()
    }

    /// A place in some bytes, more often at the beginning of a line.
    fn place(&mut self, bytes: &[u8]) -> usize {
        let at = self.random.below(bytes.len() + 1);
        if self.random.below(3) > 0 {
            return at;
        }
        let before = bytes[..at].iter().rposition(|byte| *byte == b'\n');
        before.map_or(0, |end| end + 1)
    }

    fn range(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let (a, b) = (self.place(bytes), self.place(bytes));
        a.min(b)..a.max(b)
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        match self.random.below(9) {
            0 if !bytes.is_empty() => {
                let at = self.random.below(bytes.len());
                bytes[at] ^= 1 << self.random.below(8);
            }
            1 => {
                let at = self.place(bytes);
                bytes.insert(at, self.random.next().to_le_bytes()[0]);
            }
            2 => drop(bytes.drain(self.range(bytes))),
            3 => {
                let copied = bytes[self.range(bytes)].to_vec();
                let at = self.place(bytes);
                bytes.splice(at..at, copied);
            }
            4 => {
                let other = self.sample();
                let copied = other[self.range(&other)].to_vec();
                let at = self.place(bytes);
                bytes.splice(at..at, copied);
            }
            5 => {
                // A piece many times over: what is slow shows here.
                let word = self.words[self.random.below(self.words.len())];
                let times = 1 + self.random.below(400);
                let at = self.place(bytes);
                bytes.splice(at..at, word.repeat(times).into_bytes());
            }
            6 => bytes.truncate(self.place(bytes)),
            _ => {
                let word = self.words[self.random.below(self.words.len())];
                let at = self.place(bytes);
                bytes.splice(at..at, word.bytes());
            }
        }
        bytes.truncate(LARGEST);
    }
}

impl Iterator for Mutations {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.sample();
        for _ in 0..=self.random.below(CHANGES) {
            self.change(&mut bytes);
        }
        Some(bytes)
    }
}
