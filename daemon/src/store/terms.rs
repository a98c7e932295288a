//! The words of the metadata index, for finding near ones.

use rusqlite::Connection;
use skillmeat_shared::search::Vocabulary;

/// Words that are kept at most; beyond that typos are not corrected as well.
const WORDS: u32 = 100_000;

/// Loads the words of the metadata index.
pub fn load(connection: &Connection) -> rusqlite::Result<Vocabulary> {
    let words: Vec<(String, u64)> = connection
        .prepare_cached(
            "SELECT term, doc FROM metadata_terms WHERE length(term) BETWEEN 4 AND 40 LIMIT ?1",
        )?
        .query_map([WORDS], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Vocabulary::new(words))
}
