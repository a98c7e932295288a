//! Pages of artifacts: filters, order, totals. Every hot query runs along an index.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use serde::{Deserialize, Serialize};
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{ArtifactId, Kind};

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// By name, case folded.
    #[default]
    Name,
    /// Newest first.
    Updated,
    /// Largest first.
    Size,
    /// As the manifests say; those of which they say nothing come last, by name.
    Position,
}

/// What a list is asked for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// One collection; none: all.
    pub collection: Option<i64>,
    /// Any of these kinds; empty: all.
    pub kinds: Vec<String>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// Members of the group of this name.
    pub group: Option<String>,
    /// Of this origin.
    pub origin: Option<String>,
    /// Of this status.
    pub status: Option<String>,
    /// The order.
    pub sort: Sort,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Rows on a page.
    pub limit: u32,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    sort: Sort,
    name: String,
    kind: String,
    /// What it is ordered by, if that is a number and there is one.
    number: Option<i64>,
    id: i64,
}

impl Cursor {
    /// The order of the page.
    pub const fn sort(&self) -> Sort {
        self.sort
    }

    /// At a row. Its position is still to be asked for.
    fn at(sort: Sort, row: &Summary) -> Self {
        Self {
            sort,
            name: row.name.clone(),
            kind: row.kind.clone(),
            number: match sort {
                Sort::Name | Sort::Position => None,
                Sort::Updated => Some(row.updated_at),
                Sort::Size => Some(i64::try_from(row.size).unwrap_or(i64::MAX)),
            },
            id: row.row,
        }
    }
}

/// A row of a list.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the columns of the table artifact; see the schema"
)]
pub struct Summary {
    pub row: i64,
    pub collection: String,
    pub kind: String,
    pub name: String,
    pub path: String,
    pub status: String,
    pub origin: String,
    pub description: Option<String>,
    pub title: Option<String>,
    pub author: Option<String>,
    pub license: Option<String>,
    pub version: Option<String>,
    pub tags: Vec<String>,
    pub tools: Vec<String>,
    pub aliases: Vec<String>,
    pub scope: Option<String>,
    pub source: Option<String>,
    pub origin_source: Option<String>,
    pub version_spec: Option<String>,
    pub resolved_sha: Option<String>,
    pub resolved_version: Option<String>,
    pub content_hash: Option<String>,
    pub structure_hash: Option<String>,
    pub file_count: u64,
    pub size: u64,
    pub parse_status: String,
    pub problem_count: u32,
    pub synced_at: i64,
    pub updated_at: i64,
    pub invalidated: bool,
    pub groups: Vec<String>,
}

/// Separates the names of groups in one column.
const UNIT: char = '\u{1f}';

/// Whether `group_member m` names `artifact a`. Members stand without an ending.
macro_rules! names {
    () => {
        "m.name IN (a.name, CASE \
         WHEN substr(a.name, -3) = '.md' THEN substr(a.name, 1, length(a.name) - 3) \
         WHEN substr(a.name, -4) IN ('.txt', '.yml') THEN substr(a.name, 1, length(a.name) - 4) \
         WHEN substr(a.name, -5) IN ('.json', '.yaml') THEN substr(a.name, 1, length(a.name) - 5) END)"
    };
}
pub(super) const NAMES: &str = names!();

/// The columns of [`Summary`], for `artifact a JOIN collection c`.
pub(super) const COLUMNS: &str = concat!(
    "a.id, c.name, a.kind, a.name, a.path, a.status, a.origin, a.description, a.title, \
     a.author, a.license, a.version, a.tags, a.tools, a.aliases, a.scope, a.source, a.origin_source, \
     a.version_spec, a.resolved_sha, a.resolved_version, a.content_hash, a.structure_hash, a.file_count, \
     a.size, a.parse_status, a.problem_count, a.synced_at, a.updated_at, a.invalidated, \
     CASE WHEN EXISTS (SELECT 1 FROM group_member) THEN \
     (SELECT group_concat(g.name, char(31) ORDER BY g.position, g.id) \
      FROM group_member m JOIN collection_group g ON g.id = m.group_id \
      WHERE m.collection_id = a.collection_id AND ",
    names!(),
    " AND (m.kind IS NULL OR m.kind = a.kind)) END"
);

/// Whether `artifact a` is in the group of a name.
const IN_GROUP: &str = concat!(
    "EXISTS (SELECT 1 FROM group_member m JOIN collection_group g ON g.id = m.group_id \
     WHERE m.collection_id = a.collection_id AND ",
    names!(),
    " AND (m.kind IS NULL OR m.kind = a.kind) AND g.name = ? COLLATE NOCASE)"
);

/// The names of a JSON list: nearly always plain ones, which are cut out as they stand.
fn list_of(text: &str) -> Vec<String> {
    if text == "[]" {
        return Vec::new();
    }
    let plain = text
        .strip_prefix("[\"")
        .and_then(|rest| rest.strip_suffix("\"]"))
        .filter(|names| !names.contains('\\'));
    match plain {
        Some(names) => names.split("\",\"").map(str::to_owned).collect(),
        None => serde_json::from_str(text).unwrap_or_default(),
    }
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Summary> {
    let text = |at: usize| {
        row.get_ref(at)?
            .as_str()
            .map(list_of)
            .map_err(rusqlite::Error::from)
    };
    let groups: Option<String> = row.get(30)?;
    Ok(Summary {
        row: row.get(0)?,
        collection: row.get(1)?,
        kind: row.get(2)?,
        name: row.get(3)?,
        path: row.get(4)?,
        status: row.get(5)?,
        origin: row.get(6)?,
        description: row.get(7)?,
        title: row.get(8)?,
        author: row.get(9)?,
        license: row.get(10)?,
        version: row.get(11)?,
        tags: text(12)?,
        tools: text(13)?,
        aliases: text(14)?,
        scope: row.get(15)?,
        source: row.get(16)?,
        origin_source: row.get(17)?,
        version_spec: row.get(18)?,
        resolved_sha: row.get(19)?,
        resolved_version: row.get(20)?,
        content_hash: row.get(21)?,
        structure_hash: row.get(22)?,
        file_count: row.get(23)?,
        size: row.get(24)?,
        parse_status: row.get(25)?,
        problem_count: row.get(26)?,
        synced_at: row.get(27)?,
        updated_at: row.get(28)?,
        invalidated: row.get(29)?,
        groups: groups
            .map(|names| names.split(UNIT).map(str::to_owned).collect())
            .unwrap_or_default(),
    })
}

/// A condition with its values.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) clauses: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    pub(super) fn add(&mut self, clause: &str, values: impl IntoIterator<Item = Value>) {
        self.clauses.push(clause.to_owned());
        self.values.extend(values);
    }

    /// The conditions that lists and searches share.
    pub(super) fn filter(collection: Option<i64>, kinds: &[String], tags: &[String]) -> Self {
        let mut conditions = Self::default();
        if let Some(collection) = collection {
            conditions.add("a.collection_id = ?", [Value::Integer(collection)]);
        }
        if !kinds.is_empty() {
            let marks = vec!["?"; kinds.len()].join(", ");
            conditions.add(
                &format!("a.kind IN ({marks})"),
                kinds.iter().cloned().map(Value::Text),
            );
        }
        for tag in tags {
            conditions.add(
                "EXISTS (SELECT 1 FROM artifact_tag t WHERE t.tag = ? AND t.artifact_id = a.id)",
                [Value::Text(tag.clone())],
            );
        }
        conditions
    }

    pub(super) fn sql(&self) -> String {
        if self.clauses.is_empty() {
            "1".to_owned()
        } else {
            self.clauses.join(" AND ")
        }
    }
}

fn conditions(query: &Query) -> Conditions {
    let mut conditions = Conditions::filter(query.collection, &query.kinds, &query.tags);
    if let Some(group) = &query.group {
        conditions.add(IN_GROUP, [Value::Text(group.clone())]);
    }
    if let Some(origin) = &query.origin {
        conditions.add("a.origin = ?", [Value::Text(origin.clone())]);
    }
    if let Some(status) = &query.status {
        conditions.add("a.status = ?", [Value::Text(status.clone())]);
    }
    conditions
}

/// What is read along one index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Name,
    Updated,
    Size,
    /// Those that have a position.
    Placed,
    /// Those that have none, by name.
    Unplaced,
}

/// What a page is read from, one after the other.
fn runs(query: &Query) -> &'static [Run] {
    match query.sort {
        Sort::Name => &[Run::Name],
        Sort::Updated => &[Run::Updated],
        Sort::Size => &[Run::Size],
        Sort::Position => match &query.after {
            Some(Cursor { number: None, .. }) => &[Run::Unplaced],
            _ => &[Run::Placed, Run::Unplaced],
        },
    }
}

/// The statement for what comes in a run, after a place in it.
fn run_sql(run: Run, after: Option<&Cursor>, conditions: &mut Conditions) -> String {
    match run {
        Run::Placed => conditions.add("a.position IS NOT NULL", []),
        Run::Unplaced => conditions.add("a.position IS NULL", []),
        Run::Name | Run::Updated | Run::Size => {}
    }
    if let Some(after) = after {
        let name = [
            Value::Text(after.name.clone()),
            Value::Text(after.kind.clone()),
            Value::Integer(after.id),
        ];
        let number = Value::Integer(after.number.unwrap_or_default());
        let numbers = [number.clone(), number.clone(), Value::Integer(after.id)];
        match run {
            Run::Name | Run::Unplaced => {
                conditions.add("(a.name, a.kind, a.id) > (?, ?, ?)", name);
            }
            Run::Placed => conditions.add(
                "(a.position, a.name, a.kind, a.id) > (?, ?, ?, ?)",
                [number].into_iter().chain(name),
            ),
            Run::Updated => conditions.add(
                "a.updated_at <= ? AND NOT (a.updated_at = ? AND a.id <= ?)",
                numbers,
            ),
            Run::Size => conditions.add("a.size <= ? AND NOT (a.size = ? AND a.id <= ?)", numbers),
        }
    }
    let order = match run {
        Run::Name | Run::Unplaced => "a.name, a.kind, a.id",
        Run::Updated => "a.updated_at DESC, a.id",
        Run::Size => "a.size DESC, a.id",
        Run::Placed => "a.position, a.name, a.kind, a.id",
    };
    // The order of the join is given, so that the planner walks the index of the order.
    format!(
        "SELECT {COLUMNS} FROM artifact a CROSS JOIN collection c ON c.id = a.collection_id
         WHERE {} ORDER BY {order} LIMIT ?",
        conditions.sql()
    )
}

/// A page of artifacts, and where it ends if there are more.
pub fn page(
    connection: &Connection,
    query: &Query,
) -> rusqlite::Result<(Vec<Summary>, Option<Cursor>)> {
    let mut rows = Vec::new();
    let end = each(connection, query, &mut |row| rows.push(row))?;
    Ok((rows, end))
}

/// Hands over a page of artifacts, one by one. Where it ends if there are more.
pub fn each(
    connection: &Connection,
    query: &Query,
    take: &mut dyn FnMut(Summary),
) -> rusqlite::Result<Option<Cursor>> {
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let mut taken = 0;
    let mut last = None;
    let mut after = query.after.as_ref();
    for run in runs(query) {
        let mut conditions = conditions(query);
        let sql = run_sql(*run, after.take(), &mut conditions);
        // One more than fits, which tells whether there is another page.
        let wanted = (limit - taken).saturating_add(1);
        conditions
            .values
            .push(Value::Integer(i64::try_from(wanted).unwrap_or(i64::MAX)));
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(&conditions.values))?;
        while let Some(row) = rows.next()? {
            if taken == limit {
                return last.map(|last| end_at(connection, last)).transpose();
            }
            let row = read(row)?;
            taken += 1;
            if taken == limit {
                last = Some(Cursor::at(query.sort, &row));
            }
            take(row);
        }
    }
    Ok(None)
}

/// Completes the place where a page ended.
fn end_at(connection: &Connection, mut end: Cursor) -> rusqlite::Result<Cursor> {
    if end.sort == Sort::Position {
        end.number = connection
            .prepare_cached("SELECT position FROM artifact WHERE id = ?1")?
            .query_row([end.id], |row| row.get(0))?;
    }
    Ok(end)
}

/// What an addition must know of an artifact that is there.
#[derive(Debug, Clone)]
pub struct Existing {
    /// Its id.
    pub id: ArtifactId,
    /// Relative to the collection.
    pub path: String,
    /// Where it stands.
    pub status: String,
    /// Its content hash, if it has files.
    pub content_hash: Option<String>,
}

/// All artifacts of a collection, as an addition must know them.
pub fn existing(connection: &Connection, collection: i64) -> rusqlite::Result<Vec<Existing>> {
    connection
        .prepare_cached(
            "SELECT kind, name, path, status, content_hash FROM artifact WHERE collection_id = ?1",
        )?
        .query_map([collection], |row| {
            let kind: String = row.get(0)?;
            Ok(Existing {
                id: ArtifactId::new(Kind::from_manifest(&kind), row.get::<_, String>(1)?),
                path: row.get(2)?,
                status: row.get(3)?,
                content_hash: row.get(4)?,
            })
        })?
        .collect()
}

/// Where the artifacts of a collection that have files lie, and when their rows were last read from them.
pub fn places(
    connection: &Connection,
    collection: i64,
) -> rusqlite::Result<Vec<(String, Timestamp)>> {
    connection
        .prepare_cached(
            "SELECT path, synced_at FROM artifact
             WHERE collection_id = ?1 AND status IN ('managed', 'unmanaged') AND path <> ''",
        )?
        .query_map([collection], |row| {
            Ok((row.get(0)?, Timestamp(row.get(1)?)))
        })?
        .collect()
}

/// Artifacts that match, on all pages.
pub fn total(connection: &Connection, query: &Query) -> rusqlite::Result<u64> {
    if query.tags.is_empty() && query.group.is_none() && query.origin.is_none() {
        let mut counted = Conditions::filter(query.collection, &query.kinds, &[]);
        if let Some(status) = &query.status {
            counted.add("a.status = ?", [Value::Text(status.clone())]);
        }
        return connection
            .prepare_cached(&format!(
                "SELECT coalesce(sum(a.artifacts), 0) FROM artifact_count a WHERE {}",
                counted.sql()
            ))?
            .query_row(params_from_iter(&counted.values), |row| row.get(0));
    }
    let conditions = conditions(query);
    connection
        .prepare_cached(&format!(
            "SELECT count(*) FROM artifact a WHERE {}",
            conditions.sql()
        ))?
        .query_row(params_from_iter(&conditions.values), |row| row.get(0))
}

#[cfg(test)]
mod tests;
