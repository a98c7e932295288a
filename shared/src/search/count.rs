//! How often the terms of a query stand in a text.

use super::fold::{folded_words, stretches};
use super::query::{Query, Term};

/// How far a term has matched at the words read last: bit `n` is set if the last `n` words are its first `n`.
#[derive(Clone, Copy, Default)]
struct Progress(u64);

impl Progress {
    /// Goes on to the next word; whether the term ends with it.
    fn advance(&mut self, term: &Term, matches: impl Fn(usize) -> bool) -> bool {
        let last = term.words.len().min(63);
        let mut rest = self.0 | 1;
        self.0 = 0;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if matches(at) {
                self.0 |= 1 << (at + 1);
            }
        }
        let is_complete = self.0 & (1 << last) != 0;
        self.0 &= !(1 << last);
        is_complete
    }
}

/// The number of places at which each term of the query stands, in the order of the terms.
pub fn count(text: &str, query: &Query) -> Vec<u32> {
    let mut counts = vec![0; query.terms.len()];
    let mut progress = vec![Progress::default(); query.terms.len()];
    let mut step = |matches: &dyn Fn(&Term, usize) -> bool| {
        for ((term, progress), count) in query.terms.iter().zip(&mut progress).zip(&mut counts) {
            *count += u32::from(progress.advance(term, |at| matches(term, at)));
        }
    };
    for stretch in stretches(text) {
        if stretch.is_ascii() {
            step(&|term, at| term.matches_ascii_at(at, stretch));
        } else {
            folded_words(stretch).for_each(|word| step(&|term, at| term.matches_at(at, &word)));
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_beginnings_and_phrases_are_counted() {
        let text = "Fill PDF forms. Then fill-in the form: fill in\nFILL IN; résumé";
        assert_eq!(count(text, &Query::parse(b"form fill")), [2, 4]);
        assert_eq!(count(text, &Query::parse(b"\"fill in\"")), [3]);
        assert_eq!(count(text, &Query::parse(b"\"form\" resume")), [1, 1]);
        assert_eq!(count("a a b", &Query::parse(b"\"a b\"")), [1]);
        assert_eq!(count("a b a b a", &Query::parse(b"\"a b a\"")), [2]);
        assert_eq!(count("fill PDF", &Query::parse(b"fill-p")), [1]);
    }
}
