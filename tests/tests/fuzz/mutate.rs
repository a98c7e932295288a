//! Bytes that are almost right: samples with a few things done to them. What breaks a promise is made as small as it
//! can be before it is shown.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use skillmeat_tests::fuzz::{LARGEST, Target};

/// Things that are done to one sample, at most.
const EDITS: usize = 6;

/// Copies of one piece in a row, at most: what is slow shows there.
const COPIES: usize = 400;

/// A place in some bytes: anywhere, or where a line begins.
#[derive(Debug, Clone)]
struct At {
    index: Index,
    is_line: bool,
}

impl At {
    fn of(&self, bytes: &[u8]) -> usize {
        let at = self.index.index(bytes.len() + 1);
        if !self.is_line {
            return at;
        }
        let before = bytes[..at].iter().rposition(|byte| *byte == b'\n');
        before.map_or(0, |end| end + 1)
    }
}

#[derive(Debug, Clone)]
struct Stretch(At, At);

impl Stretch {
    fn of(&self, bytes: &[u8]) -> std::ops::Range<usize> {
        let (a, b) = (self.0.of(bytes), self.1.of(bytes));
        a.min(b)..a.max(b)
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Insert(At, u8),
    Remove(Stretch),
    Copy(Stretch, At),
    /// A piece of another sample.
    Borrow(Index, Stretch, At),
    Words(&'static str, usize, At),
    End(At),
}

impl Edit {
    fn run(&self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let insert = |bytes: &mut Vec<u8>, at: &At, piece: Vec<u8>| {
            let at = at.of(bytes);
            bytes.splice(at..at, piece);
        };
        match self {
            Self::Flip(_, _) if bytes.is_empty() => {}
            Self::Flip(at, bit) => *at.get_mut(bytes) ^= 1 << bit,
            Self::Insert(at, byte) => insert(bytes, at, vec![*byte]),
            Self::Remove(stretch) => drop(bytes.drain(stretch.of(bytes))),
            Self::Copy(stretch, at) => {
                let piece = bytes[stretch.of(bytes)].to_vec();
                insert(bytes, at, piece);
            }
            Self::Borrow(other, stretch, at) => {
                let other = other.get(corpus);
                insert(bytes, at, other[stretch.of(other)].to_vec());
            }
            Self::Words(word, times, at) => insert(bytes, at, word.repeat(*times).into_bytes()),
            Self::End(at) => bytes.truncate(at.of(bytes)),
        }
        bytes.truncate(LARGEST);
    }
}

fn edit(words: &'static [&'static str]) -> impl Strategy<Value = Edit> {
    let at = || {
        let place = (any::<Index>(), prop::bool::weighted(0.33));
        place.prop_map(|(index, is_line)| At { index, is_line })
    };
    let stretch = || (at(), at()).prop_map(|(a, b)| Stretch(a, b));
    prop_oneof![
        1 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        1 => stretch().prop_map(Edit::Remove),
        1 => (stretch(), at()).prop_map(|(from, to)| Edit::Copy(from, to)),
        1 => (any::<Index>(), stretch(), at())
            .prop_map(|(other, from, to)| Edit::Borrow(other, from, to)),
        1 => (select(words), 1..=COPIES, at())
            .prop_map(|(word, times, at)| Edit::Words(word, times, at)),
        1 => at().prop_map(Edit::End),
        2 => (select(words), at()).prop_map(|(word, at)| Edit::Words(word, 1, at)),
    ]
}

/// Mutated samples of a format.
pub(crate) fn mutated(target: &Target) -> impl Strategy<Value = Vec<u8>> {
    let corpus = target.corpus();
    let edits = vec(edit(target.words), 1..=EDITS);
    (any::<Index>(), edits).prop_map(move |(sample, edits)| {
        let mut bytes = sample.get(&corpus).clone();
        for edit in edits {
            edit.run(&mut bytes, &corpus);
        }
        bytes
    })
}

/// Runs so many cases, the same ones for the same seed.
pub(crate) fn runner(cases: usize, seed: u64) -> TestRunner {
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
