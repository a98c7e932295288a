//! Words as the index sees them: letters and digits, lower case, without marks.

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

fn is_word(c: char) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
