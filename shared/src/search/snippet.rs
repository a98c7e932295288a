//! The line of a text that shows best why it matches.

use std::ops::Range;

use super::count::Counter;
use super::fold::{fold, words};
use super::query::{Query, Term};

/// Characters of a line that are shown.
const WIDTH: usize = 160;

/// Characters before the first match that are shown of a long line.
const BEFORE: usize = 40;

/// A line with its matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The line, or the part of it around the first match.
    pub text: String,
    /// Byte ranges of `text` that match.
    pub matches: Vec<Range<usize>>,
    /// Line in the text, from 1.
    pub line: u32,
}

/// The best line of a text: the first of those that match most terms. `None` if none matches any.
pub fn snippet_of_text(text: &str, query: &Query) -> Option<Snippet> {
    best_line(text, query).map(|(_, snippet)| snippet)
}

/// The best line of several files, with the path of its file: the first of those that match most terms.
pub fn snippet_of_files<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
    query: &Query,
) -> Option<(&'a str, Snippet)> {
    let mut best: Option<(usize, &str, Snippet)> = None;
    for (path, text) in files {
        if let Some((matched, snippet)) = best_line(text, query)
            && best.as_ref().is_none_or(|(most, ..)| matched > *most)
        {
            best = Some((matched, path, snippet));
            if matched == query.terms.len() {
                break;
            }
        }
    }
    best.map(|(_, path, snippet)| (path, snippet))
}

/// The best line, and the number of terms that it matches.
fn best_line(text: &str, query: &Query) -> Option<(usize, Snippet)> {
    let counter = Counter::new(query);
    let mut best: Option<(usize, u32, &str)> = None;
    for (number, line) in counter.lines(text) {
        let matched = if line.is_ascii() {
            counter.count(line).into_iter().filter(|n| *n > 0).count()
        } else {
            count_terms(line, query)
        };
        if matched > best.map_or(0, |(matched, ..)| matched) {
            best = Some((matched, number, line));
            if matched == query.terms.len() {
                break;
            }
        }
    }
    let (matched, number, line) = best?;
    let snippet = Snippet {
        line: number,
        ..snippet_of_line(line, query)
    };
    Some((matched, snippet))
}

/// A single line with its matches; it may have none.
pub fn snippet_of_line(line: &str, query: &Query) -> Snippet {
    let line = line.trim();
    let matches = find(line, query);
    let first = matches.first().map_or(0, |range| range.start);
    let (text, part, lead) = cut(line, first);
    let matches = matches
        .into_iter()
        .filter(|range| part.contains(&range.start))
        .map(|range| range.start..range.end.min(part.end))
        .map(|range| range.start - part.start + lead..range.end - part.start + lead)
        .collect();
    Snippet {
        text,
        matches,
        line: 0,
    }
}

/// What is shown of a line around a byte, which part of the line that is, and the bytes that were put before it.
fn cut(line: &str, around: usize) -> (String, Range<usize>, usize) {
    if line.chars().count() <= WIDTH {
        return (line.to_owned(), 0..line.len(), 0);
    }
    let start = line
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= around)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .nth(BEFORE)
        .unwrap_or(0);
    let tail = line.get(start..).unwrap_or_default();
    let end = tail
        .char_indices()
        .nth(WIDTH)
        .map_or(tail.len(), |(at, _)| at);
    let lead = if start > 0 { "…" } else { "" };
    let trail = if end < tail.len() { "…" } else { "" };
    (
        format!("{lead}{}{trail}", tail.get(..end).unwrap_or_default()),
        start..start + end,
        lead.len(),
    )
}

fn count_terms(line: &str, query: &Query) -> usize {
    let folded: Vec<(Range<usize>, String)> = fold_words(line);
    query
        .terms
        .iter()
        .filter(|term| positions(&folded, term).next().is_some())
        .count()
}

fn fold_words(line: &str) -> Vec<(Range<usize>, String)> {
    words(line)
        .map(|(start, word)| (start..start + word.len(), fold(word)))
        .collect()
}

fn positions<'a>(
    folded: &'a [(Range<usize>, String)],
    term: &'a Term,
) -> impl Iterator<Item = Range<usize>> + 'a {
    folded
        .windows(term.words.len().max(1))
        .filter_map(|window| {
            let all = window
                .iter()
                .enumerate()
                .all(|(at, (_, word))| term.matches_at(at, word));
            let (first, last) = (window.first()?, window.last()?);
            all.then_some(first.0.start..last.0.end)
        })
}

fn find(line: &str, query: &Query) -> Vec<Range<usize>> {
    let folded = fold_words(line);
    let mut found: Vec<Range<usize>> = query
        .terms
        .iter()
        .flat_map(|term| positions(&folded, term))
        .collect();
    found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut end = 0;
    found.retain(|range| {
        let keep = range.start >= end;
        if keep {
            end = range.end;
        }
        keep
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(snippet: &Snippet) -> Vec<&str> {
        snippet
            .matches
            .iter()
            .map(|range| snippet.text.get(range.clone()).unwrap())
            .collect()
    }

    #[test]
    fn the_line_with_most_terms_wins() {
        let text = "# Tools\nforms here\nfill PDF forms now\n";
        let snippet = snippet_of_text(text, &Query::parse(b"pdf form")).unwrap();
        assert_eq!(snippet.line, 3);
        assert_eq!(marked(&snippet), ["PDF", "forms"]);
    }

    #[test]
    fn phrases_match_in_a_row_only() {
        let query = Query::parse(b"\"fill forms\"");
        assert_eq!(snippet_of_text("fill the forms", &query), None);
        let snippet = snippet_of_text("so fill-forms", &query).unwrap();
        assert_eq!(marked(&snippet), ["fill-forms"]);
    }

    #[test]
    fn long_lines_are_cut_around_the_match() {
        let line = format!("{}needle{}", "ä ".repeat(300), " ö".repeat(300));
        let snippet = snippet_of_text(&line, &Query::parse(b"needle")).unwrap();
        assert_eq!(marked(&snippet), ["needle"]);
        assert!(snippet.text.starts_with('…') && snippet.text.ends_with('…'));
        assert!(snippet.text.chars().count() <= WIDTH + 2);
    }

    #[test]
    fn a_match_that_the_cut_goes_through_ends_there() {
        let line = format!("needle {} needle-and-more", "ä".repeat(WIDTH - 12));
        let snippet = snippet_of_line(&line, &Query::parse(b"needle"));
        assert_eq!(marked(&snippet), ["needle", "need"]);
        assert!(snippet.text.ends_with("need…"), "{}", snippet.text);
    }

    #[test]
    fn marks_are_found_without_marks() {
        let snippet = snippet_of_text("le résumé", &Query::parse(b"resume")).unwrap();
        assert_eq!(marked(&snippet), ["résumé"]);
    }
}
