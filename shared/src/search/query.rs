//! Reading a query.

use super::fold::{fold, words};

/// More words than this are not looked for.
const MAX_WORDS: usize = 32;

/// Bytes of a query that are read.
const MAX_BYTES: usize = 4096;

/// Something to look for: one word, or several in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Its words, folded.
    pub words: Vec<String>,
    /// Whether the last word may go on: `dock` finds `docker`. Not for phrases in quotes.
    pub prefix: bool,
}

/// A query: all of its terms must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The terms in their order.
    pub terms: Vec<Term>,
    /// The query as one folded text, to recognise a name that is meant exactly.
    pub folded: String,
}

impl Query {
    /// Reads any bytes. Words between double quotes are a phrase; an open quote ends with the query.
    pub fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.get(..MAX_BYTES).unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes);
        let mut terms = Vec::new();
        let mut count = 0;
        for (at, part) in text.split('"').enumerate() {
            if at % 2 == 1 {
                push(&mut terms, &mut count, part, false);
            } else {
                for word in part.split_whitespace() {
                    push(&mut terms, &mut count, word, true);
                }
            }
        }
        Self {
            terms,
            folded: fold(text.trim().trim_matches('"')),
        }
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The query in the language of SQLite's FTS5: all terms, or any of them.
    pub fn to_fts(&self, any: bool) -> String {
        self.join(any, Term::to_fts)
    }

    /// The same for an index that does not know the order of words. What it finds need not hold the query's
    /// phrases.
    pub fn to_fts_unordered(&self, any: bool) -> String {
        self.join(any, Term::to_fts_unordered)
    }

    fn join(&self, any: bool, term: impl Fn(&Term) -> String) -> String {
        let terms: Vec<String> = self.terms.iter().map(term).collect();
        terms.join(if any { " OR " } else { " AND " })
    }

    /// Whether the order of words matters.
    pub fn has_phrases(&self) -> bool {
        self.terms.iter().any(|term| term.words.len() > 1)
    }
}

fn push(terms: &mut Vec<Term>, count: &mut usize, text: &str, prefix: bool) {
    let words: Vec<String> = words(text)
        .map(|(_, word)| fold(word))
        .take(MAX_WORDS.saturating_sub(*count))
        .collect();
    if !words.is_empty() {
        *count += words.len();
        terms.push(Term { words, prefix });
    }
}

impl Term {
    /// The term in the language of FTS5. Words hold letters and digits only, so quoting is safe.
    pub fn to_fts(&self) -> String {
        format!(
            "\"{}\"{}",
            self.words.join(" "),
            if self.prefix { "*" } else { "" }
        )
    }

    fn to_fts_unordered(&self) -> String {
        let words: Vec<String> = (0..)
            .zip(&self.words)
            .map(|(at, word)| format!("\"{word}\"{}", if self.goes_on(at) { "*" } else { "" }))
            .collect();
        format!("({})", words.join(" AND "))
    }

    /// Whether the folded word matches the term's word at this position.
    pub(super) fn matches_at(&self, at: usize, word: &str) -> bool {
        self.words.get(at).is_some_and(|wanted| {
            if self.goes_on(at) {
                word.starts_with(wanted.as_str())
            } else {
                word == wanted
            }
        })
    }

    /// Whether the word at this position stands for all that begin with it.
    pub(super) fn goes_on(&self, at: usize) -> bool {
        self.prefix && at + 1 == self.words.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_phrases_and_hyphens() {
        let query = Query::parse(br#"pdf-tools "fill in" forms"#);
        assert_eq!(
            query.to_fts(false),
            r#""pdf tools"* AND "fill in" AND "forms"*"#
        );
        assert_eq!(
            query.to_fts_unordered(true),
            r#"("pdf" AND "tools"*) OR ("fill" AND "in") OR ("forms"*)"#
        );
        assert!(query.has_phrases());
        assert!(!Query::parse(b"fill in").has_phrases());
    }

    #[test]
    fn any_bytes_are_safe() {
        for bytes in [
            &b""[..],
            b"\"",
            b"\0\0",
            b"\xff\xfe",
            b"* AND OR NOT ( ) : ^ -",
            b"'; DROP TABLE x; --",
        ] {
            let expression = Query::parse(bytes).to_fts(false);
            assert!(
                expression
                    .chars()
                    .all(|c| c.is_alphanumeric() || "\"* ".contains(c)),
                "{expression}"
            );
        }
        assert!(Query::parse(b"--- !!! \"\"").is_empty());
    }

    #[test]
    fn long_queries_are_cut() {
        let query = Query::parse("word ".repeat(100_000).as_bytes());
        assert!(query.terms.len() <= MAX_WORDS);
    }
}
