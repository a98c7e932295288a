//! How often the terms of a query stand in a text.
//!
//! Texts are long and most of them are ASCII where it matters. There the first word of a term is found as bytes
//! and only its surroundings are looked at. A text with words that need folding to match is read word by word.

use memchr::memmem::Finder;

use super::fold::{folded_words, is_word};
use super::query::{Query, Term};
use super::stretches::stretches;

/// A query, ready to be counted in many texts.
#[derive(Debug)]
pub struct Counter<'q> {
    terms: Vec<(&'q Term, Finder<'q>)>,
}

impl<'q> Counter<'q> {
    /// Prepares a query.
    pub fn new(query: &'q Query) -> Self {
        let terms = query
            .terms
            .iter()
            .filter_map(|term| Some((term, Finder::new(term.words.first()?.as_bytes()))));
        Self {
            terms: terms.collect(),
        }
    }

    /// The number of places at which each term of the query stands in a text, in the order of the terms.
    pub fn count(&self, text: &str) -> Vec<u32> {
        if self.needs_folding(text) {
            return self.count_words(text);
        }
        let lower = text.to_ascii_lowercase();
        self.terms
            .iter()
            .map(|(term, finder)| {
                let places = finder.find_iter(lower.as_bytes());
                let count = places.filter(|at| stands_at(term, &lower, *at)).count();
                u32::try_from(count).unwrap_or(u32::MAX)
            })
            .collect()
    }

    /// The lines of a text, with their numbers from 1, in which the first word of some term may stand.
    pub(super) fn lines<'t>(&self, text: &'t str) -> impl Iterator<Item = (u32, &'t str)> {
        let lower = text.to_ascii_lowercase();
        // Where each first word stands next; folded words may be anywhere.
        let anywhere = self.needs_folding(text);
        let mut next: Vec<Option<usize>> = self.terms.iter().map(|_| Some(0)).collect();
        let (mut at, mut number) = (0, 1);
        let mut is_begun = false;
        std::iter::from_fn(move || {
            for ((_, finder), next) in self.terms.iter().zip(&mut next) {
                if next.is_some_and(|place| place < at || !is_begun) {
                    let rest = lower.as_bytes().get(at..).unwrap_or_default();
                    *next = finder.find(rest).map(|found| at + found);
                }
            }
            is_begun = true;
            let found = if anywhere {
                (at < text.len()).then_some(at)
            } else {
                next.iter().flatten().min().copied()
            }?;
            let before = text.get(at..found)?;
            number += memchr::memchr_iter(b'\n', before.as_bytes()).count();
            let start = at + before.rfind('\n').map_or(0, |end| end + 1);
            let line = text.get(start..)?;
            let line = line.split_once('\n').map_or(line, |(line, _)| line);
            at = start + line.len() + 1;
            let this = u32::try_from(number).unwrap_or(u32::MAX);
            number += 1;
            Some((this, line.strip_suffix('\r').unwrap_or(line)))
        })
    }

    /// Whether a word that is not ASCII may match when it is folded.
    fn needs_folding(&self, text: &str) -> bool {
        non_ascii_stretches(text.as_bytes()).any(|stretch| {
            folded_words(stretch).any(|word| {
                self.terms
                    .iter()
                    .any(|(term, _)| (0..term.words.len()).any(|at| term.matches_at(at, &word)))
            })
        })
    }

    fn count_words(&self, text: &str) -> Vec<u32> {
        let mut states: Vec<(u32, Progress)> = vec![Default::default(); self.terms.len()];
        for word in stretches(text).flat_map(folded_words) {
            for ((term, _), (count, progress)) in self.terms.iter().zip(&mut states) {
                *count += u32::from(progress.advance(term, &word));
            }
        }
        states.into_iter().map(|(count, _)| count).collect()
    }
}

/// The stretches of a text that are not ASCII alone.
fn non_ascii_stretches(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    const CHUNK: usize = 64;
    let is_separator = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
    let mut seen = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(seen..).filter(|rest| !rest.is_empty())?;
            let ascii: usize = rest
                .chunks(CHUNK)
                .take_while(|chunk| chunk.is_ascii())
                .map(<[u8]>::len)
                .sum();
            let other = rest.iter().skip(ascii).position(|byte| !byte.is_ascii());
            let Some(other) = other.map(|at| seen + ascii + at) else {
                seen = bytes.len();
                continue;
            };
            let (head, tail) = bytes.split_at_checked(other)?;
            let head = head.get(seen..).unwrap_or_default();
            let from = head
                .iter()
                .rposition(is_separator)
                .map_or(seen, |separator| seen + separator + 1);
            let to = tail
                .iter()
                .position(is_separator)
                .map_or(bytes.len(), |separator| other + separator);
            seen = to;
            return bytes.get(from..to);
        }
    })
}

/// Whether a term stands at a byte of a text in lower case, where its first word was found.
fn stands_at(term: &Term, lower: &str, at: usize) -> bool {
    let Some((before, mut rest)) = lower.split_at_checked(at) else {
        return false;
    };
    if before.chars().next_back().is_some_and(is_word) {
        return false;
    }
    for (place, wanted) in term.words.iter().enumerate() {
        if place > 0 {
            rest = rest.trim_start_matches(|c| !is_word(c));
        }
        let Some(after) = rest.strip_prefix(wanted.as_str()) else {
            return false;
        };
        let goes_on = after.chars().next().is_some_and(is_word);
        if goes_on && !term.goes_on(place) {
            return false;
        }
        rest = after;
    }
    true
}

/// How far a term has matched at the words read last: bit `n` is set if the last `n` words are its first `n`.
#[derive(Clone, Copy, Default)]
struct Progress(u64);

impl Progress {
    /// Goes on to the next word; whether the term ends with it.
    fn advance(&mut self, term: &Term, word: &str) -> bool {
        let last = term.words.len().min(63);
        let mut rest = self.0 | 1;
        self.0 = 0;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if term.matches_at(at, word) {
                self.0 |= 1 << (at + 1);
            }
        }
        let is_complete = self.0 & (1 << last) != 0;
        self.0 &= !(1 << last);
        is_complete
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(text: &str, query: &[u8]) -> Vec<u32> {
        Counter::new(&Query::parse(query)).count(text)
    }

    #[test]
    fn words_beginnings_and_phrases_are_counted() {
        let text = "Fill PDF forms. Then fill-in the form: fill in\nFILL IN; refill";
        assert_eq!(count(text, b"form fill"), [2, 4]);
        assert_eq!(count(text, b"\"fill in\""), [3]);
        assert_eq!(count("a a b", b"\"a b\""), [1]);
        assert_eq!(count("a b a b a", b"\"a b a\""), [2]);
        assert_eq!(count("fill—PDF", b"fill-p"), [1]);
        assert_eq!(count("filler PDF", b"fill-p"), [0]);
    }

    #[test]
    fn words_that_need_folding_are_counted() {
        assert_eq!(count("my Résumé, RESUME", b"\"resume\""), [2]);
        assert_eq!(count("re\u{301}sume\u{301}s resum", b"resume"), [1]);
        assert_eq!(
            count("a long text — with a dash, naïve", b"dash naive"),
            [1, 1]
        );
    }

    proptest! {
        #[test]
        fn both_ways_of_counting_agree(text in "[abAB é—.\n]{0,40}", query in "[ab\" ]{1,8}") {
            let query = Query::parse(query.as_bytes());
            let counter = Counter::new(&query);
            prop_assert_eq!(counter.count(&text), counter.count_words(&text));
        }
    }
}
