//! The words of the two indexes, for finding near ones.

use rusqlite::Connection;
use skillmeat_shared::search::Vocabulary;

/// Words that are kept at most; beyond that typos are not corrected as well.
const WORDS: u32 = 100_000;

/// Loads the words of the metadata index.
pub fn of_metadata(connection: &Connection) -> rusqlite::Result<Vocabulary> {
    load(
        connection,
        "SELECT term, doc FROM metadata_terms WHERE length(term) BETWEEN 4 AND 40 LIMIT ?1",
    )
}

/// Loads the words of the text index that more than one file uses: the others are mostly typos themselves.
/// Walks the whole index.
pub fn of_texts(connection: &Connection) -> rusqlite::Result<Vocabulary> {
    load(
        connection,
        "SELECT term, doc FROM text_terms WHERE length(term) BETWEEN 4 AND 24 AND doc > 1 LIMIT ?1",
    )
}

fn load(connection: &Connection, sql: &str) -> rusqlite::Result<Vocabulary> {
    let words: Vec<(String, u64)> = connection
        .prepare_cached(sql)?
        .query_map([WORDS], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Vocabulary::new(words))
}
