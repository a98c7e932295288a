//! Words as the index sees them: letters and digits, lower case, without marks.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

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

/// Stretches of bytes that hold all words of a text: each is one word of ASCII, or has other characters,
/// and then [`words`] must look at it.
pub(super) fn stretches(text: &str) -> impl Iterator<Item = &[u8]> {
    text.as_bytes()
        .split(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric())
        .filter(|stretch| !stretch.is_empty())
}

/// The folded words of a stretch.
pub(super) fn folded_words(stretch: &[u8]) -> impl Iterator<Item = String> {
    // Cut at ASCII only, it is still UTF-8.
    let stretch = std::str::from_utf8(stretch).unwrap_or_default();
    words(stretch).map(|(_, word)| fold(word))
}

/// The words of texts, folded, separated by blanks, few of them more than once: what an index of words takes.
pub fn distinct_words<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let lower: Vec<String> = texts.into_iter().map(str::to_ascii_lowercase).collect();
    // Growing step by step would hash most words again.
    let bytes: usize = lower.iter().map(String::len).sum();
    let capacity = (bytes / 16).min(4096);
    let mut seen: HashSet<&[u8], foldhash::fast::RandomState> =
        HashSet::with_capacity_and_hasher(capacity, foldhash::fast::RandomState::default());
    let mut distinct = Vec::new();
    let mut add = |word: &[u8]| {
        distinct.extend_from_slice(word);
        distinct.push(b' ');
    };
    for stretch in lower.iter().flat_map(|text| stretches(text)) {
        if !seen.insert(stretch) {
            continue;
        }
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
