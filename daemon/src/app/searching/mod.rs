//! The search: names before descriptions before contents, corrected if nothing matches.

mod contents;

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use skillmeat_shared::Result;
use skillmeat_shared::search::{
    self, Query, Snippet, Vocabulary, snippet_of_files, snippet_of_line,
};

use super::filters::{self, Wanted};
use super::{App, Freshness};
use crate::store::list::Summary;
use crate::store::search::{self as index, Filter, Hit};
use crate::store::{terms, text};

/// Entries if the request names no number, and at most.
const LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 200;

/// Characters of an artifact's first text in which the line of its description is looked for.
const HEAD: u32 = 4096;

/// How old the words of the texts may be before a change has them loaded again.
const TEXT_WORDS_AGE: Duration = Duration::from_mins(1);

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchScope {
    /// Metadata and contents.
    #[default]
    All,
    /// Metadata.
    Metadata,
    /// Contents.
    Content,
}

/// What is looked for.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields of SearchRequest; see search.proto")]
pub struct SearchRequest {
    pub query: Vec<u8>,
    pub collection: String,
    pub kinds: Vec<String>,
    pub tags: Vec<String>,
    pub scope: SearchScope,
    pub limit: u32,
}

/// The best field in which an artifact matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Found {
    Name,
    Alias,
    Title,
    Tag,
    Description,
    Author,
    Content,
}

impl Found {
    /// The name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Alias => "alias",
            Self::Title => "title",
            Self::Tag => "tag",
            Self::Description => "description",
            Self::Author => "author",
            Self::Content => "content",
        }
    }
}

/// An artifact that matches.
#[derive(Debug, Clone)]
pub struct SearchHit {
    /// Its row.
    pub summary: Summary,
    /// From 1 down to 0.
    pub score: f64,
    /// The best field.
    pub found: Found,
    /// The line that shows why.
    pub snippet: Option<Snippet>,
    /// The file of that line, relative to the collection; empty if it is no line of a file.
    pub path: String,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Searched {
    /// Best first.
    pub hits: Vec<SearchHit>,
    /// More match.
    pub more: bool,
    /// Words that were replaced by near ones.
    pub corrections: Vec<(String, String)>,
    /// Artifacts whose texts are not in the index yet.
    pub unindexed: u64,
    /// Artifacts whose texts were to be searched and left the index to save space.
    pub evicted: u64,
    /// How fresh the rows are.
    pub freshness: Freshness,
    /// What the filters name that is not there, if nothing passes them.
    pub hints: Vec<String>,
}

/// Words of an index, as they were at a time.
#[derive(Debug)]
struct Known {
    words: Vocabulary,
    generation: u64,
    loaded: Instant,
}

impl Known {
    fn new(words: Vocabulary, generation: u64) -> Self {
        Self {
            words,
            generation,
            loaded: Instant::now(),
        }
    }
}

/// The words of both indexes, as far as they have been needed.
#[derive(Debug, Default)]
pub(super) struct Words {
    metadata: Option<Known>,
    texts: Option<Known>,
}

/// Hits of the three tiers in their order, each artifact once.
struct Tiers {
    hits: Vec<(usize, Hit)>,
    more: bool,
}

impl App {
    /// Looks for artifacts.
    pub fn search(&self, request: &SearchRequest) -> Result<Searched> {
        let mut query = Query::parse(&request.query);
        let store = self.store()?;
        let asked = self.asked(&store, &request.collection, request.collection.is_empty())?;
        let filter = Filter {
            collection: match asked.as_slice() {
                [(row, _)] if !request.collection.is_empty() => Some(*row),
                [] if !request.collection.is_empty() => Some(0),
                _ => None,
            },
            kinds: self.kinds_of(&store, &request.kinds)?,
            tags: request.tags.clone(),
        };
        let limit = if request.limit == 0 {
            LIMIT
        } else {
            request.limit.min(MAX_LIMIT)
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let nearest = |connection: &Connection, word: &str| self.nearest(connection, word);
        let building = self.building();
        let searched = store.read(|connection| {
            let mut corrections = Vec::new();
            if query.is_empty() {
                let freshness = self.freshness_of(connection, &asked, &building)?;
                return Ok(Searched {
                    freshness,
                    ..Searched::default()
                });
            }
            let mut tiers = look(connection, &query, false, request.scope, &filter, limit)?;
            let (unindexed, evicted) = text::outstanding(connection)?;
            let mut freshness = self.freshness_of(connection, &asked, &building)?;
            freshness.complete &= !building.hides(&asked, request.collection.is_empty());
            if tiers.hits.is_empty() {
                let has_gaps = unindexed + evicted > 0 || !freshness.complete;
                corrections = correct(connection, &mut query, has_gaps, nearest)?;
                if !corrections.is_empty() {
                    tiers = look(connection, &query, false, request.scope, &filter, limit)?;
                }
            }
            if tiers.hits.is_empty() && query.terms.len() > 1 {
                tiers = look(connection, &query, true, request.scope, &filter, limit)?;
            }
            if tiers.hits.is_empty() {
                // Of no use: nothing is shown for them either.
                corrections.clear();
            }
            let wanted = Wanted {
                tags: &filter.tags,
                group: "",
                origin: "",
            };
            Ok(Searched {
                hints: if freshness.complete {
                    filters::hints(connection, &asked, &wanted, tiers.hits.len() as u64)?
                } else {
                    Vec::new()
                },
                hits: describe(connection, &query, &tiers)?,
                more: tiers.more,
                corrections,
                unindexed,
                evicted: if request.scope == SearchScope::Metadata {
                    0
                } else {
                    evicted
                },
                freshness,
            })
        })?;
        self.counters.read(searched.freshness.complete);
        Ok(searched)
    }

    /// The nearest word to one that nothing matches, from the metadata, else from the texts. The words are
    /// loaded when first needed, and again after changes; those of the texts not more often than once a
    /// minute, since that walks the whole index.
    fn nearest(&self, connection: &Connection, word: &str) -> rusqlite::Result<Option<String>> {
        let generation = self.generation.load(Ordering::Relaxed);
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let Words { metadata, texts } = &mut *words;
        if metadata
            .as_ref()
            .is_none_or(|known| known.generation != generation)
        {
            *metadata = Some(Known::new(terms::of_metadata(connection)?, generation));
        }
        let near = |known: &Option<Known>| {
            known
                .as_ref()
                .and_then(|known| known.words.nearest(word))
                .map(str::to_owned)
        };
        if let Some(found) = near(metadata) {
            return Ok(Some(found));
        }
        let is_old = |known: &Known| {
            known.generation != generation && known.loaded.elapsed() > TEXT_WORDS_AGE
        };
        if texts.as_ref().is_none_or(is_old) {
            *texts = Some(Known::new(terms::of_texts(connection)?, generation));
        }
        Ok(near(texts))
    }
}

fn look(
    connection: &Connection,
    query: &Query,
    any: bool,
    scope: SearchScope,
    filter: &Filter,
    limit: usize,
) -> rusqlite::Result<Tiers> {
    let expression = query.to_fts(any);
    let mut tiers = Tiers {
        hits: Vec::new(),
        more: false,
    };
    let mut seen = HashSet::new();
    for tier in 0..3 {
        let hits = match tier {
            0 if scope != SearchScope::Content => {
                index::in_metadata(connection, &expression, true, filter)?
            }
            1 if scope != SearchScope::Content => {
                index::in_metadata(connection, &expression, false, filter)?
            }
            2 if scope != SearchScope::Metadata => {
                let left = limit.saturating_sub(tiers.hits.len());
                let (hits, cut) = contents::look(connection, query, any, filter, &seen, left)?;
                tiers.more |= cut;
                hits
            }
            _ => Vec::new(),
        };
        for hit in hits {
            if seen.insert(hit.artifact) {
                tiers.hits.push((tier, hit));
            }
        }
        // The rank of the names alone says too little to cut before all of them are known.
        if tiers.hits.len() > limit {
            break;
        }
    }
    if tier_of_names(&tiers) > 0 {
        put_exact_first(connection, query, &mut tiers)?;
    }
    tiers.more |= tiers.hits.len() > limit;
    tiers.hits.truncate(limit);
    Ok(tiers)
}

fn tier_of_names(tiers: &Tiers) -> usize {
    tiers.hits.iter().take_while(|(tier, _)| *tier == 0).count()
}

/// Among hits in names, those whose name is the query come first, then those that begin with it.
fn put_exact_first(
    connection: &Connection,
    query: &Query,
    tiers: &mut Tiers,
) -> rusqlite::Result<()> {
    let count = tier_of_names(tiers);
    let mut names = HashMap::new();
    for (_, hit) in tiers.hits.iter().take(count) {
        let name: String = connection
            .prepare_cached("SELECT name FROM artifact WHERE id = ?1")?
            .query_row([hit.artifact], |row| row.get(0))?;
        names.insert(hit.artifact, search::fold(&name));
    }
    let closeness = |hit: &Hit| {
        names.get(&hit.artifact).map_or(3, |name| {
            if *name == query.folded {
                0
            } else if name.starts_with(&query.folded) {
                1
            } else {
                2
            }
        })
    };
    if let Some(first) = tiers.hits.get_mut(..count) {
        first.sort_by_key(|(_, hit)| closeness(hit));
    }
    Ok(())
}

/// Replaces words that nothing matches by near ones that something does.
fn correct(
    connection: &Connection,
    query: &mut Query,
    has_gaps: bool,
    nearest: impl Fn(&Connection, &str) -> rusqlite::Result<Option<String>>,
) -> rusqlite::Result<Vec<(String, String)>> {
    let mut corrections = Vec::new();
    // A phrase is meant as it stands; while texts wait for the index, it may just not be there yet.
    for term in query
        .terms
        .iter_mut()
        .filter(|term| term.prefix || !has_gaps)
    {
        for word in &mut term.words {
            if index::matches_anything(connection, &format!("\"{word}\"*"))? {
                continue;
            }
            if let Some(near) = nearest(connection, word)? {
                corrections.push((word.clone(), near.clone()));
                *word = near;
            }
        }
    }
    Ok(corrections)
}

fn describe(
    connection: &Connection,
    query: &Query,
    tiers: &Tiers,
) -> rusqlite::Result<Vec<SearchHit>> {
    let mut hits = Vec::new();
    let count = tiers.hits.len().max(1) as f64;
    for (at, (tier, hit)) in tiers.hits.iter().enumerate() {
        let summary = index::summary(connection, hit.artifact)?;
        let found = if *tier == 2 {
            Found::Content
        } else {
            best_field(&summary, query)
        };
        let (snippet, path) = if found == Found::Content {
            let texts = text::of_artifact(connection, hit.artifact)?;
            snippet_of_files(texts.files(), query)
                .map_or_else(Default::default, |(path, snippet)| {
                    (Some(snippet), path.to_owned())
                })
        } else {
            metadata_snippet(connection, &summary, query)?
        };
        let path = if path.is_empty() {
            path
        } else {
            in_collection(&summary, &path)
        };
        // Falls from tier to tier and from hit to hit, so that it sorts as the list does.
        let score = 1.0 - (*tier as f64) / 3.0 - (at as f64) / count / 3.0;
        hits.push(SearchHit {
            summary,
            score,
            found,
            snippet,
            path,
        });
    }
    Ok(hits)
}

fn in_collection(summary: &Summary, path: &str) -> String {
    let is_file = summary.path.rsplit('/').next() == Some(path);
    if is_file {
        summary.path.clone()
    } else {
        format!("{}/{path}", summary.path)
    }
}

/// The line of the artifact's own file that matches, else its description.
fn metadata_snippet(
    connection: &Connection,
    summary: &Summary,
    query: &Query,
) -> rusqlite::Result<(Option<Snippet>, String)> {
    let head = text::head_of_first(connection, summary.row, HEAD)?;
    if let Some((path, snippet)) = snippet_of_files(head.files(), query) {
        return Ok((Some(snippet), path.to_owned()));
    }
    let description = summary.description.as_deref().or(summary.title.as_deref());
    Ok((
        description.map(|text| snippet_of_line(text, query)),
        String::new(),
    ))
}

/// The first field that matches any of the words.
fn best_field(summary: &Summary, query: &Query) -> Found {
    let matches = |text: &str| !snippet_of_line(text, query).matches.is_empty();
    let some = |text: &Option<String>| text.as_deref().is_some_and(matches);
    if matches(&summary.name) {
        Found::Name
    } else if summary.aliases.iter().any(|alias| matches(alias)) {
        Found::Alias
    } else if some(&summary.title) {
        Found::Title
    } else if summary.tags.iter().any(|tag| matches(tag)) {
        Found::Tag
    } else if some(&summary.author) && !some(&summary.description) {
        Found::Author
    } else {
        Found::Description
    }
}
