//! Words that are near: what a person meant who mistyped one.

use strsim::damerau_levenshtein;

/// The words of an index, ready for looking up near ones.
#[derive(Debug, Default)]
pub struct Vocabulary {
    words: Vec<(String, u64, u64)>,
}

/// A bit per letter or digit of the word: words one edit apart differ in at most two bits.
fn letters(word: &str) -> u64 {
    word.chars()
        .fold(0, |bits, c| bits | 1 << (u32::from(c) % 64))
}

/// How many edits may lie between a word and the one that was meant.
const fn tolerance(length: usize) -> usize {
    match length {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

impl Vocabulary {
    /// A vocabulary of folded words, each with the number of artifacts that use it.
    pub fn new(words: impl IntoIterator<Item = (String, u64)>) -> Self {
        Self {
            words: words
                .into_iter()
                .map(|(word, uses)| (letters(&word), word, uses))
                .map(|(bits, word, uses)| (word, uses, bits))
                .collect(),
        }
    }

    /// The nearest word to one that nothing matches: fewest edits, then most used. Short words have none.
    pub fn nearest(&self, word: &str) -> Option<&str> {
        let length = word.chars().count();
        let limit = tolerance(length);
        if limit == 0 {
            return None;
        }
        let bits = letters(word);
        let allowed = u32::try_from(limit).unwrap_or(u32::MAX).saturating_mul(2);
        self.words
            .iter()
            .filter(|(candidate, _, theirs)| {
                (bits ^ theirs).count_ones() <= allowed
                    && candidate.len().abs_diff(word.len()) <= limit.saturating_mul(2)
                    && candidate != word
            })
            .filter_map(|(candidate, uses, _)| {
                let distance = damerau_levenshtein(candidate, word);
                (distance <= limit).then_some((distance, std::cmp::Reverse(*uses), candidate))
            })
            .min()
            .map(|(_, _, candidate)| candidate.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_what_was_meant() {
        let words = ["docker", "document", "kubernetes", "review", "pdf"];
        let vocabulary = Vocabulary::new(words.map(|word| (word.to_owned(), 1)));
        assert_eq!(vocabulary.nearest("dokcer"), Some("docker"));
        assert_eq!(vocabulary.nearest("kuberntes"), Some("kubernetes"));
        assert_eq!(vocabulary.nearest("reviw"), Some("review"));
        assert_eq!(
            vocabulary.nearest("pdg"),
            None,
            "short words are meant as they are"
        );
        assert_eq!(vocabulary.nearest("zebra"), None);
    }
}
