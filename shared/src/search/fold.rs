//! Words as the index sees them: letters and digits, lower case, without marks.

use std::collections::HashSet;
use std::ops::Range;

use foldhash::fast::RandomState;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::stretches::stretches_at;

/// A word in lower case without diacritical marks.
pub fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.nfd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect()
}

pub(super) fn is_word(c: char) -> bool {
    // Combining marks belong to the letter before them.
    c.is_alphanumeric() || is_mark(c)
}

const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// The words of a text with the byte at which each begins.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let tail = text.get(rest..)?;
        let start = rest + tail.find(is_word)?;
        let word = text.get(start..)?;
        let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
        rest = start + end;
        Some((start, word.get(..end)?))
    })
}

/// The folded words of a stretch.
pub(super) fn folded_words(stretch: &[u8]) -> impl Iterator<Item = String> {
    // Cut at ASCII only, it is still UTF-8.
    let stretch = std::str::from_utf8(stretch).unwrap_or_default();
    words(stretch).map(|(_, word)| fold(word))
}

/// Most words are no longer, and as one number they are compared and hashed in a few steps.
const SHORT: usize = size_of::<u128>();

/// The bytes at a place as one number, if they are few, and if as many as it could hold follow from its start.
#[inline]
fn as_number(text: &[u8], place: &Range<usize>) -> Option<u128> {
    let unused = SHORT
        .checked_sub(place.len())
        .filter(|unused| *unused < SHORT)?;
    let bytes = text.get(place.start..)?.first_chunk::<SHORT>()?;
    Some(u128::from_le_bytes(*bytes) << (8 * unused))
}

/// The words of texts, folded, separated by blanks, few of them more than once: what an index of words takes.
pub fn distinct_words<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut lower = Vec::new();
    for text in texts {
        lower.extend_from_slice(text.as_bytes());
        lower.push(b' ');
    }
    lower.make_ascii_lowercase();
    // For the last word, too, there are bytes enough.
    lower.extend_from_slice(&[b' '; SHORT]);
    // Growing step by step would hash most words again.
    let capacity = (lower.len() / SHORT).min(4096);
    let mut short: HashSet<u128, RandomState> =
        HashSet::with_capacity_and_hasher(capacity, RandomState::default());
    let mut long: HashSet<&[u8], RandomState> = HashSet::default();
    let mut distinct = Vec::new();
    for place in stretches_at(&lower) {
        let Some(stretch) = lower.get(place.clone()) else {
            continue;
        };
        let is_new = match as_number(&lower, &place) {
            Some(number) => short.insert(number),
            None => long.insert(stretch),
        };
        if !is_new {
            continue;
        }
        let mut add = |word: &[u8]| {
            distinct.extend_from_slice(word);
            distinct.push(b' ');
        };
        if stretch.is_ascii() {
            add(stretch);
        } else {
            folded_words(stretch).for_each(|word| add(word.as_bytes()));
        }
    }
    String::from_utf8(distinct).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_of_words_takes_each_once() {
        let texts = ["Fill PDF forms,\nfill them.", "pdf—Résumé naïve"];
        assert_eq!(
            distinct_words(texts),
            "fill pdf forms them pdf resume naive "
        );
        assert_eq!(distinct_words(["--- … \n"]), "");
    }

    #[test]
    fn words_of_any_length_and_place_are_told_apart() {
        // Some end together, some begin together; the longest do not fit into a number.
        let words: Vec<String> = (1..40)
            .flat_map(|length| ["a".repeat(length), format!("{}b", "a".repeat(length))])
            .collect();
        let text = words.join(" ");
        let distinct = distinct_words([text.as_str(), "ab", &text, "A"]);
        assert_eq!(distinct, format!("{text} "));
        assert_eq!(distinct_words(["one", "two"]), "one two ");
    }

    #[test]
    fn words_are_letters_and_digits() {
        let found: Vec<_> = words("pdf-tools v2: Ünïcode!").collect();
        assert_eq!(
            found,
            [(0, "pdf"), (4, "tools"), (10, "v2"), (14, "Ünïcode")]
        );
    }

    #[test]
    fn marks_and_case_fold_away() {
        assert_eq!(fold("Ünïcode"), "unicode");
        assert_eq!(fold("e\u{301}te"), "ete");
        assert_eq!(words("e\u{301}te").count(), 1);
    }
}
