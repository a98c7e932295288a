//! Looking up words in the two indexes. Bounded: of very common words not every hit is ranked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::list::{self, Conditions, Summary};

/// Hits that are ranked; beyond that a word is so common that its rank tells nothing.
const RANKED: u32 = 1000;

/// Hits in metadata beyond this are never shown: a page's limit, for each of the three tiers that may hold the
/// same artifacts.
const SHOWN: usize = 600;

/// Weights of the columns of metadata_index: name, aliases, title, tags, description, author.
const WEIGHTS: &str = "10, 8, 5, 4, 2, 1";

/// What a search is limited to.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// One collection; none: all.
    pub collection: Option<i64>,
    /// Any of these kinds; empty: all.
    pub kinds: Vec<String>,
    /// All of these tags.
    pub tags: Vec<String>,
}

/// An artifact that matches.
#[derive(Debug, Clone, Copy)]
pub struct Hit {
    /// Its row.
    pub artifact: i64,
    /// Smaller is better.
    pub rank: f64,
}

/// Best first. Of the first `shown`, equally good ones stand in an order that does not depend on their rows: a
/// cache that was built anew must not answer otherwise.
pub fn sorted(
    connection: &Connection,
    mut hits: Vec<Hit>,
    shown: usize,
) -> rusqlite::Result<Vec<Hit>> {
    hits.sort_by(|a, b| a.rank.total_cmp(&b.rank));
    let mut place = connection.prepare_cached(
        "SELECT a.name, a.kind, c.name, a.path FROM artifact a JOIN collection c ON c.id = a.collection_id
         WHERE a.id = ?1",
    )?;
    let mut begins = 0;
    for equals in hits.chunk_by_mut(|a, b| a.rank.total_cmp(&b.rank).is_eq()) {
        if begins > shown {
            break;
        }
        begins += equals.len();
        if equals.len() < 2 {
            continue;
        }
        let mut places: HashMap<i64, [String; 4]> = HashMap::new();
        for hit in equals.iter() {
            if let Entry::Vacant(vacant) = places.entry(hit.artifact) {
                let read = |row: &Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
                vacant.insert(place.query_row([hit.artifact], read)?);
            }
        }
        equals.sort_by(|a, b| places.get(&a.artifact).cmp(&places.get(&b.artifact)));
    }
    Ok(hits)
}

/// Artifacts whose metadata match, best first. `names_only` looks at names and aliases alone.
pub fn in_metadata(
    connection: &Connection,
    expression: &str,
    names_only: bool,
    filter: &Filter,
) -> rusqlite::Result<Vec<Hit>> {
    let expression = if names_only {
        format!("{{name aliases}} : ({expression})")
    } else {
        expression.to_owned()
    };
    let conditions = Conditions::filter(filter.collection, &filter.kinds, &filter.tags);
    let join = if conditions.clauses.is_empty() {
        ""
    } else {
        "JOIN artifact a ON a.id = metadata_index.rowid"
    };
    let sql = format!(
        "SELECT metadata_index.rowid, bm25(metadata_index, {WEIGHTS}) FROM metadata_index {join}
         WHERE metadata_index MATCH ? AND {} LIMIT {RANKED}",
        conditions.sql()
    );
    let values = std::iter::once(Value::Text(expression)).chain(conditions.values);
    let hits = connection
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), |row| {
            Ok(Hit {
                artifact: row.get(0)?,
                rank: row.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    sorted(connection, hits, SHOWN)
}

/// Artifacts whose texts hold the words. If `shown` says how many are looked at, the shortest come first, of a bounded
/// number, since they are about little else; otherwise it is all of them, in no order.
pub fn in_texts(
    connection: &Connection,
    expression: &str,
    filter: &Filter,
    shown: Option<usize>,
) -> rusqlite::Result<Vec<Hit>> {
    let conditions = Conditions::filter(filter.collection, &filter.kinds, &filter.tags);
    let mut join = String::new();
    if !conditions.clauses.is_empty() {
        join.push_str(" JOIN artifact a ON a.id = text_index.rowid");
    }
    let (rank, most) = match shown {
        Some(_) => {
            join.push_str(
                " JOIN artifact_text t INDEXED BY artifact_text_size ON t.artifact_id = text_index.rowid",
            );
            ("CAST(t.size AS REAL)", i64::from(RANKED))
        }
        None => ("0.0", -1),
    };
    let sql = format!(
        "SELECT text_index.rowid, {rank} FROM text_index {join}
         WHERE text_index MATCH ? AND {} LIMIT ?",
        conditions.sql()
    );
    let values = std::iter::once(Value::Text(expression.to_owned()))
        .chain(conditions.values)
        .chain([Value::Integer(most)]);
    let hits = connection
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), |row| {
            Ok(Hit {
                artifact: row.get(0)?,
                rank: row.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    match shown {
        Some(shown) => sorted(connection, hits, shown),
        None => Ok(hits),
    }
}

/// Whether anything matches an expression in either index.
pub fn matches_anything(connection: &Connection, expression: &str) -> rusqlite::Result<bool> {
    let mut metadata = connection
        .prepare_cached("SELECT 1 FROM metadata_index WHERE metadata_index MATCH ?1 LIMIT 1")?;
    if metadata.exists([expression])? {
        return Ok(true);
    }
    connection
        .prepare_cached("SELECT 1 FROM text_index WHERE text_index MATCH ?1 LIMIT 1")?
        .exists([expression])
}

/// The list's row of an artifact.
pub fn summary(connection: &Connection, row: i64) -> rusqlite::Result<Summary> {
    connection
        .prepare_cached(&format!(
            "SELECT {} FROM artifact a JOIN collection c ON c.id = a.collection_id WHERE a.id = ?1",
            list::COLUMNS
        ))?
        .query_row([row], list::read)
}
