//! `sm search`: artifacts that match, best first, each with the line that matches.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use serde::Serialize;
use skillmeat_proto::v1;

use super::{Context, Outcome};
use crate::cli::{SearchArgs, SearchIn};
use crate::output::escape::{escape, one_line};
use crate::output::style::{Paint, Tone};
use crate::output::table::{Width, columns, truncate};
use crate::output::{json, units};

/// What stands before the lines below an artifact's name.
const INDENT: &str = "    ";

/// The JSON of `sm search`.
#[derive(Serialize)]
struct Search {
    query: String,
    hits: Vec<Hit>,
    more: bool,
    corrections: Vec<Correction>,
    unindexed: u64,
    evicted: u64,
    hints: Vec<String>,
    stale: u64,
    complete: bool,
    outdated: Vec<json::Outdated>,
}

/// One artifact that matches.
#[derive(Serialize)]
struct Hit {
    artifact: json::Artifact,
    score: f64,
    matched: String,
    snippet: Option<Snippet>,
}

/// The text that matches.
#[derive(Serialize)]
struct Snippet {
    text: String,
    /// Byte ranges in `text`: start, and end (exclusive).
    highlights: Vec<[u32; 2]>,
    path: Option<String>,
    line: Option<u32>,
}

/// A word that nothing matched, and the near one that was taken.
#[derive(Serialize)]
struct Correction {
    from: String,
    to: String,
}

/// The words as one query; any bytes are a query.
fn query(words: &[OsString]) -> Vec<u8> {
    words
        .iter()
        .map(|word| word.as_bytes())
        .collect::<Vec<_>>()
        .join(&b' ')
}

pub(super) async fn run(context: &mut Context, args: SearchArgs) -> Outcome {
    let session = context.session().await?;
    let query = query(&args.query);
    let request = v1::SearchRequest {
        query: query.clone(),
        collection: args.collection.unwrap_or_default(),
        kinds: args.kinds.iter().map(ToString::to_string).collect(),
        tags: args.tags,
        scope: match args.scope {
            SearchIn::All => v1::SearchScope::All,
            SearchIn::Metadata => v1::SearchScope::Metadata,
            SearchIn::Content => v1::SearchScope::Content,
        }
        .into(),
        limit: args.limit,
    };
    let answer: v1::SearchResponse = session.call(request).await?;
    if context.out.json {
        context.out.document(&document(&query, answer))?;
        return Ok(());
    }
    text(context, &query, &answer)
}

fn document(query: &[u8], answer: v1::SearchResponse) -> Search {
    let freshness = answer.freshness.unwrap_or_default();
    let snippet = |from: v1::Snippet| Snippet {
        text: from.text,
        highlights: from
            .highlights
            .iter()
            .map(|range| [range.start, range.end])
            .collect(),
        path: (!from.path.is_empty()).then_some(from.path),
        line: (from.line > 0).then_some(from.line),
    };
    Search {
        query: String::from_utf8_lossy(query).into_owned(),
        hits: answer
            .hits
            .into_iter()
            .map(|hit| Hit {
                artifact: hit.artifact.unwrap_or_default().into(),
                score: hit.score,
                matched: hit.matched,
                snippet: hit.snippet.map(snippet),
            })
            .collect(),
        more: answer.more,
        corrections: answer
            .corrections
            .into_iter()
            .map(|correction| Correction {
                from: correction.from,
                to: correction.to,
            })
            .collect(),
        unindexed: answer.unindexed,
        evicted: answer.evicted,
        hints: answer.hints,
        stale: freshness.stale,
        complete: freshness.complete && answer.evicted == 0,
        outdated: json::all(freshness.outdated),
    }
}

fn text(context: &mut Context, query: &[u8], answer: &v1::SearchResponse) -> Outcome {
    let paint = context.out.paint;
    let width = context.out.width;
    for correction in &answer.corrections {
        context.out.note(&format!(
            "nothing matches `{}`: showing results for `{}`",
            one_line(&correction.from),
            one_line(&correction.to)
        ));
    }
    let collections = answer
        .hits
        .iter()
        .filter_map(|hit| hit.artifact.as_ref())
        .any(|artifact| {
            answer
                .hits
                .first()
                .and_then(|hit| hit.artifact.as_ref())
                .is_some_and(|first| first.collection != artifact.collection)
        });
    for hit in &answer.hits {
        let none = v1::ArtifactSummary::default();
        let artifact = hit.artifact.as_ref().unwrap_or(&none);
        let mut line = paint.apply(Tone::Strong, &escape(&artifact.id));
        if collections || context.out.verbose {
            line.push_str(
                &paint.apply(Tone::Dim, &format!("  in {}", escape(&artifact.collection))),
            );
        }
        if context.out.verbose {
            let why = format!("  {} {:.2}", escape(&hit.matched), hit.score);
            line.push_str(&paint.apply(Tone::Dim, &why));
        }
        context.out.line(&line)?;
        let room = match width {
            Width::Terminal(columns) | Width::Page(columns) => columns.saturating_sub(INDENT.len()),
        };
        let description = one_line(artifact.description.as_deref().unwrap_or_default());
        if !description.is_empty() && !is_said(&description, hit) {
            context
                .out
                .line(&format!("{INDENT}{}", truncate(&description, room)))?;
        }
        if let Some(snippet) = hit
            .snippet
            .as_ref()
            .filter(|found| !found.text.trim().is_empty())
        {
            let place = match (snippet.path.as_str(), snippet.line) {
                ("", _) => String::new(),
                (path, 0) => format!("{}: ", escape(path)),
                (path, line) => format!("{}:{line}: ", escape(path)),
            };
            let text = highlight(snippet, room.saturating_sub(columns(&place)), paint);
            let place = paint.apply(Tone::Label, &place);
            context.out.line(&format!("{INDENT}{place}{text}"))?;
        }
    }
    context.out.flush()?;
    let freshness = answer.freshness.clone().unwrap_or_default();
    // Why something may be missing comes before that it is.
    note_gaps(context, answer);
    context.note_freshness(&freshness);
    context.note_outdated(&freshness);
    if answer.hits.is_empty() {
        let query = String::from_utf8_lossy(query);
        context.out.note(&format!(
            "nothing matches `{}`",
            truncate(&one_line(&query), 200)
        ));
    } else if answer.more {
        let shown = u64::try_from(answer.hits.len()).unwrap_or(u64::MAX);
        context.out.note(&format!(
            "{} shown, more match: raise `--limit` or say more",
            units::count(shown, "artifact")
        ));
    }
    context.note_hints(&answer.hints);
    Ok(())
}

/// Says so if not all texts were searched.
fn note_gaps(context: &Context, answer: &v1::SearchResponse) {
    if answer.unindexed > 0 {
        context.out.note(&format!(
            "the text of {} is not in the index yet",
            units::count(answer.unindexed, "artifact")
        ));
    }
    if answer.evicted > 0 {
        context.out.note(&format!(
            "the text of {} left the index to save space and was not searched",
            units::count(answer.evicted, "artifact")
        ));
        context
            .out
            .note("hint: raise `cache.max_size_mb` to have all texts searched");
    }
}

/// The snippet on one line of so many columns, with its matches in colour. Ranges that do not fit the text
/// are ignored.
fn highlight(snippet: &v1::Snippet, width: usize, paint: Paint) -> String {
    let text = snippet.text.trim_end();
    let mut pieces = Vec::new();
    let mut at = text.len() - text.trim_start().len();
    for range in &snippet.highlights {
        let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end))
        else {
            continue;
        };
        if start < at || end <= start {
            continue;
        }
        if let (Some(before), Some(matched)) = (text.get(at..start), text.get(start..end)) {
            pieces.extend([(Tone::Plain, flat(before)), (Tone::Warn, flat(matched))]);
            at = end;
        }
    }
    pieces.push((Tone::Plain, flat(text.get(at..).unwrap_or_default())));
    if let [(_, before), (_, matched), ..] = pieces.as_mut_slice()
        && columns(before) + columns(matched) > width
    {
        // The match is what is looked for: it must not be what is cut.
        let room = width.saturating_sub(columns(matched)) / 2;
        *before = format!("…{}", tail(before, room));
    }
    let mut left = width;
    let mut line = String::new();
    for (tone, piece) in pieces {
        let cut = truncate(&piece, left);
        line.push_str(&paint.apply(tone, &cut));
        if cut != piece {
            break;
        }
        left -= columns(&cut);
    }
    line
}

/// Whether the snippet of a hit says the description already: as what matched, or for want of a line of a file.
fn is_said(description: &str, hit: &v1::SearchHit) -> bool {
    hit.snippet.as_ref().is_some_and(|snippet| {
        let part = one_line(snippet.text.trim_matches('…'));
        hit.matched == "description"
            || (snippet.path.is_empty() && !part.is_empty() && description.contains(&part))
    })
}

/// The end of a text, of at most so many columns.
fn tail(text: &str, width: usize) -> &str {
    let mut rest = text;
    while columns(rest) > width {
        let mut chars = rest.chars();
        chars.next();
        rest = chars.as_str();
    }
    rest
}

/// White space becomes spaces, and nothing else is lost at the edges.
fn flat(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect();
    escape(&spaced).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ColorWhen;

    fn snippet(text: &str, ranges: &[(u32, u32)]) -> v1::Snippet {
        v1::Snippet {
            text: text.to_owned(),
            highlights: ranges
                .iter()
                .map(|&(start, end)| v1::Highlight { start, end })
                .collect(),
            ..Default::default()
        }
    }

    #[test]
    fn a_description_is_said_once() {
        let hit = |matched: &str, snippet: Option<v1::Snippet>| v1::SearchHit {
            matched: matched.to_owned(),
            snippet,
            ..Default::default()
        };
        let said = |hit: &v1::SearchHit| is_said("Fill in PDF forms", hit);
        // Before its texts are indexed an artifact has no line of a file to show.
        assert!(said(&hit("name", Some(snippet("Fill in PDF…", &[])))));
        assert!(said(&hit("description", Some(snippet("in PDF", &[])))));
        assert!(!said(&hit("name", Some(snippet("", &[])))));
        assert!(!said(&hit("author", Some(snippet("Ada", &[])))));
        let mut line = snippet("PDF", &[]);
        line.path = "skills/pdf/SKILL.md".to_owned();
        assert!(!said(&hit("content", Some(line))));
        assert!(!said(&hit("description", None)));
    }

    #[test]
    fn matches_are_coloured_on_terminals_only() {
        let snippet = snippet("fill in\nPDF forms", &[(8, 11)]);
        assert_eq!(highlight(&snippet, 80, Paint::off()), "fill in PDF forms");
        let on = Paint::new(ColorWhen::Always, false, &|_| None);
        assert_eq!(highlight(&snippet, 12, Paint::off()), "fill in PDF…");
        assert_eq!(highlight(&snippet, 9, Paint::off()), "…in PDF…");
        let text = highlight(&snippet, 80, on);
        assert!(
            text.starts_with("fill in \u{1b}[") && text.contains("mPDF\u{1b}[0m"),
            "{text:?}"
        );
    }

    #[test]
    fn wrong_ranges_do_no_harm() {
        for ranges in [
            &[(0, 99)][..],
            &[(1, 2)],
            &[(3, 1)],
            &[(0, 2), (0, 2)],
            &[(u32::MAX, u32::MAX)],
        ] {
            assert_eq!(
                highlight(&snippet("ü字 text", ranges), 80, Paint::off()),
                "ü字 text"
            );
        }
    }

    #[test]
    fn any_bytes_are_a_query() {
        use std::os::unix::ffi::OsStringExt as _;
        let words = [OsString::from("a b"), OsString::from_vec(vec![0xff, 0xfe])];
        assert_eq!(query(&words), b"a b \xff\xfe");
    }
}
