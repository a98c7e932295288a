//! Everything known of one artifact, and finding the one that a name means.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};
use skillmeat_shared::artifact::{Problem, name};
use skillmeat_shared::{ArtifactId, Kind};
use unicode_normalization::UnicodeNormalization as _;

use super::list::{self, Summary};

/// What `show` adds to a list's row.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the columns of artifact_detail and its sisters; see the schema"
)]
pub struct Detail {
    pub summary: Summary,
    pub root: String,
    pub tool_patterns: Vec<String>,
    pub dependencies: Vec<String>,
    pub frontmatter: String,
    pub parse_error: Option<String>,
    pub parse_line: Option<u32>,
    pub manifest: Option<String>,
    pub lock: Option<String>,
    pub problems: Vec<Problem>,
    pub files: Vec<File>,
    pub groups: Vec<(String, u32)>,
}

/// A file of an artifact.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the column files of artifact_detail; see the schema"
)]
pub struct File {
    pub path: String,
    pub size: u64,
    pub kind: String,
    pub executable: bool,
    pub modified_at: i64,
}

/// Artifacts of a name, in one collection or in all; managed ones first, and files before a mere declaration. Failing that, those of the same name in
/// another normal form: systems differ in how they write a letter with a mark.
pub fn find(
    connection: &Connection,
    collection: Option<i64>,
    kind: Option<&Kind>,
    name: &str,
) -> rusqlite::Result<Vec<Summary>> {
    let found = find_as_written(connection, collection, kind, name)?;
    if !found.is_empty() || name.is_ascii() {
        return Ok(found);
    }
    let found = find_as_written(
        connection,
        collection,
        kind,
        &name.nfc().collect::<String>(),
    )?;
    if !found.is_empty() {
        return Ok(found);
    }
    find_as_written(
        connection,
        collection,
        kind,
        &name.nfd().collect::<String>(),
    )
}

/// Artifacts that have a name but for an ending.
pub fn find_but_for_ending(
    connection: &Connection,
    collection: Option<i64>,
    kind: Option<&Kind>,
    bare: &str,
) -> rusqlite::Result<Vec<Summary>> {
    let names = name::ENDINGS.map(|ending| format!("{bare}{ending}"));
    find_any(connection, collection, kind, &names)
}

fn find_as_written(
    connection: &Connection,
    collection: Option<i64>,
    kind: Option<&Kind>,
    name: &str,
) -> rusqlite::Result<Vec<Summary>> {
    let found = find_any(connection, collection, kind, &[name.to_owned()])?;
    // The column folds case: an exact match wins over a folded one.
    if found.iter().any(|summary| summary.name == name) {
        return Ok(found
            .into_iter()
            .filter(|summary| summary.name == name)
            .collect());
    }
    Ok(found)
}

/// Artifacts that have one of these names, in any case.
fn find_any(
    connection: &Connection,
    collection: Option<i64>,
    kind: Option<&Kind>,
    names: &[String],
) -> rusqlite::Result<Vec<Summary>> {
    let marks = vec!["?"; names.len()].join(", ");
    let mut sql = format!(
        "SELECT {} FROM artifact a JOIN collection c ON c.id = a.collection_id WHERE a.name IN ({marks})",
        list::COLUMNS
    );
    let mut values: Vec<Value> = names.iter().cloned().map(Value::Text).collect();
    if let Some(collection) = collection {
        sql.push_str(" AND a.collection_id = ?");
        values.push(Value::Integer(collection));
    }
    if let Some(kind) = kind {
        sql.push_str(" AND a.kind = ?");
        values.push(Value::Text(kind.as_str().to_owned()));
    }
    sql.push_str(
        " ORDER BY a.status = 'declared', a.status = 'unmanaged', c.name, a.kind, a.path LIMIT 100",
    );
    connection
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), list::read)?
        .collect()
}

/// Artifacts that carry a name as an alias.
pub fn find_alias(
    connection: &Connection,
    collection: Option<i64>,
    alias: &str,
) -> rusqlite::Result<Vec<Summary>> {
    let sql = format!(
        "SELECT {} FROM artifact a JOIN collection c ON c.id = a.collection_id
         WHERE a.aliases <> '[]' AND (?2 IS NULL OR a.collection_id = ?2)
           AND EXISTS (SELECT 1 FROM json_each(a.aliases) WHERE value = ?1 COLLATE NOCASE)
         ORDER BY c.name, a.kind, a.path LIMIT 100",
        list::COLUMNS
    );
    connection
        .prepare_cached(&sql)?
        .query_map(params![alias, collection], list::read)?
        .collect()
}

/// All aliases of a collection, with whose they are.
pub fn aliases(
    connection: &Connection,
    collection: i64,
) -> rusqlite::Result<Vec<(String, ArtifactId)>> {
    connection
        .prepare_cached(
            "SELECT value, kind, name FROM artifact, json_each(aliases)
             WHERE collection_id = ?1 AND aliases <> '[]'",
        )?
        .query_map([collection], |row| {
            let kind: String = row.get(1)?;
            let id = ArtifactId::new(Kind::from_manifest(&kind), row.get::<_, String>(2)?);
            Ok((row.get(0)?, id))
        })?
        .collect()
}

/// All names, for suggestions.
pub fn names(
    connection: &Connection,
    collection: Option<i64>,
) -> rusqlite::Result<Vec<(String, String)>> {
    connection
        .prepare_cached(
            "SELECT kind, name FROM artifact WHERE ?1 IS NULL OR collection_id = ?1 ORDER BY name LIMIT 20000",
        )?
        .query_map([collection], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Names that start with a prefix, with their kinds and descriptions.
pub fn complete(
    connection: &Connection,
    prefix: &str,
    limit: u32,
) -> rusqlite::Result<Vec<(String, String, Option<String>)>> {
    let end = format!("{prefix}\u{10ffff}");
    connection
        .prepare_cached(
            "SELECT name, kind, description FROM artifact WHERE name >= ?1 AND name < ?2
             ORDER BY name, kind LIMIT ?3",
        )?
        .query_map(params![prefix, end, limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect()
}

/// The files of an artifact by their paths, from their column.
fn files(column: &str) -> Vec<File> {
    let files: Vec<(String, u64, String, bool, i64)> =
        serde_json::from_str(column).unwrap_or_default();
    let mut files: Vec<File> = files
        .into_iter()
        .map(|(path, size, kind, executable, modified_at)| File {
            path,
            size,
            kind,
            executable,
            modified_at,
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Everything known of the artifact of a row.
pub fn detail(connection: &Connection, row: i64) -> rusqlite::Result<Option<Detail>> {
    let sql = format!(
        "SELECT {}, c.path, d.tool_patterns, d.dependencies, d.frontmatter, d.parse_error, d.parse_line,
                d.manifest, d.lock, d.problems, d.files
         FROM artifact a JOIN collection c ON c.id = a.collection_id
         JOIN artifact_detail d ON d.artifact_id = a.id WHERE a.id = ?1",
        list::COLUMNS
    );
    let json = |row: &rusqlite::Row<'_>, at: usize| -> rusqlite::Result<String> { row.get(at) };
    let detail = connection
        .prepare_cached(&sql)?
        .query_row([row], |row| {
            Ok(Detail {
                summary: list::read(row)?,
                root: row.get(31)?,
                tool_patterns: serde_json::from_str(&json(row, 32)?).unwrap_or_default(),
                dependencies: serde_json::from_str(&json(row, 33)?).unwrap_or_default(),
                frontmatter: row.get(34)?,
                parse_error: row.get(35)?,
                parse_line: row.get(36)?,
                manifest: row.get(37)?,
                lock: row.get(38)?,
                problems: serde_json::from_str(&json(row, 39)?).unwrap_or_default(),
                files: files(row.get_ref(40)?.as_str()?),
                groups: Vec::new(),
            })
        })
        .optional()?;
    let Some(mut detail) = detail else {
        return Ok(None);
    };
    detail.groups = connection
        .prepare_cached(&format!(
            "SELECT g.name, m.position FROM artifact a
             JOIN group_member m ON m.collection_id = a.collection_id AND {}
                                AND (m.kind IS NULL OR m.kind = a.kind)
             JOIN collection_group g ON g.id = m.group_id
             WHERE a.id = ?1 ORDER BY g.position, g.id",
            list::NAMES
        ))?
        .query_map([row], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let twins = twins(connection, &detail.summary)?;
    detail.problems.extend(twins);
    Ok(Some(detail))
}

/// What else in the collection has the id of an artifact: who asks for the one should know of the other.
fn twins(connection: &Connection, of: &Summary) -> rusqlite::Result<Vec<Problem>> {
    // The sign keeps the index of paths from being gone through for the order of two rows.
    let mut statement = connection.prepare_cached(
        "SELECT b.name, b.status, b.path, b.source FROM artifact a
         JOIN artifact b ON b.name = a.name AND b.collection_id = a.collection_id AND b.kind = a.kind AND b.id <> a.id
         WHERE a.id = ?1 ORDER BY +b.path LIMIT 100",
    )?;
    let found = statement.query_map([of.row], |row| {
        let (name, status): (String, String) = (row.get(0)?, row.get(1)?);
        let (path, source): (String, Option<String>) = (row.get(2)?, row.get(3)?);
        // The column folds case.
        Ok((name == of.name).then(|| match status.as_str() {
            "declared" => {
                let source = source.map(|source| format!(", from `{source}`"));
                format!(
                    "the manifest declares a server of this name, too, in `[[mcp_servers]]`{}",
                    source.unwrap_or_default()
                )
            }
            _ => format!("another one of this name, which is {status}, lies at `{path}`"),
        }))
    })?;
    let said = found.collect::<rusqlite::Result<Vec<Option<String>>>>()?;
    let problem = |message| Problem::new("artifact.twin", message);
    Ok(said.into_iter().flatten().map(problem).collect())
}
