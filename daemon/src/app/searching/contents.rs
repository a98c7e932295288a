//! Looking into the texts of artifacts. The index only knows which artifact holds which words; where they stand
//! there, and how often, their texts tell.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use skillmeat_shared::search::{Counter, Query};

use crate::store::search::{self as index, Filter, Hit};
use crate::store::text::{self, Texts};

/// How long more artifacts with a phrase of common words are looked for: many hold the words, but in another order.
const LONG: Duration = Duration::from_millis(8);

/// How long the first one is looked for.
const LONGEST: Duration = Duration::from_millis(100);

/// Words after which more of the same count little, in an artifact of usual length.
const SATURATION: f64 = 1.2;

/// Bytes of the texts of an artifact of usual length.
const USUAL: f64 = 8192.0;

/// Artifacts whose texts match, best first, without those seen already; more than `limit` if there are. Whether
/// the search ended before all were looked at.
pub(super) fn look(
    connection: &Connection,
    query: &Query,
    any: bool,
    filter: &Filter,
    seen: &HashSet<i64>,
    limit: usize,
) -> rusqlite::Result<(Vec<Hit>, bool)> {
    let is_ordered = query.has_phrases() && !any;
    let enough = limit.saturating_add(1);
    // Any of those that hold the words may hold the phrase.
    let shown = (!is_ordered).then_some(enough.saturating_add(seen.len()));
    let expression = query.to_fts_unordered(any);
    let candidates = index::in_texts(connection, &expression, filter, shown)?;
    let counter = Counter::new(query);
    let begun = Instant::now();
    let mut hits = Vec::new();
    let mut cut = false;
    for hit in candidates {
        if seen.contains(&hit.artifact) {
            continue;
        }
        if hits.len() >= enough {
            break;
        }
        let patience = if hits.is_empty() { LONGEST } else { LONG };
        if is_ordered && begun.elapsed() > patience {
            cut = true;
            break;
        }
        let texts = text::of_artifact(connection, hit.artifact)?;
        if let Some(weight) = weigh(&texts, &counter, any) {
            hits.push(Hit {
                rank: -weight,
                ..hit
            });
        }
    }
    Ok((index::sorted(connection, hits, enough)?, cut))
}

/// How much the texts are about the query; `None` if they do not match it.
fn weigh(texts: &Texts, counter: &Counter<'_>, any: bool) -> Option<f64> {
    let mut totals: Vec<u32> = Vec::new();
    for (_, text) in texts.files() {
        let counts = counter.count(text);
        totals.resize(counts.len(), 0);
        for (total, count) in totals.iter_mut().zip(counts) {
            *total = total.saturating_add(count);
        }
    }
    let matched = totals.iter().filter(|total| **total > 0).count();
    if matched == 0 || (matched < totals.len() && !any) {
        return None;
    }
    let half = SATURATION * (0.25 + 0.75 * texts.size() as f64 / USUAL);
    let weight = |total: u32| f64::from(total) / (f64::from(total) + half);
    Some(totals.into_iter().map(weight).sum())
}
