//! Operations: what was changed, by whom, and how to take it back.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use skillmeat_shared::history::tree::Node;
use skillmeat_shared::time::Timestamp;

use super::{node_at, state};

/// How an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Recorded; the files may be in between. Finished or rolled back at the next start.
    Open,
    /// The files are as it wanted.
    Done,
    /// It failed, and the files are as they were.
    RolledBack,
    /// It was done, and taken back since.
    Undone,
}

impl State {
    /// As rows and output spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::RolledBack => "rolled-back",
            Self::Undone => "undone",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Done, Self::RolledBack, Self::Undone]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// An operation that is about to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOperation {
    /// When it was asked for.
    pub at: Timestamp,
    /// Who asked: cli, http, job or external.
    pub actor: String,
    /// What is done, such as `artifact.remove`.
    pub verb: String,
    /// What was asked, in words.
    pub what: String,
    /// The operation that it takes back.
    pub undoes: Option<i64>,
    /// More about it, as JSON; may be empty.
    pub detail: String,
}

/// An operation as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its number.
    pub id: i64,
    /// When it was asked for.
    pub at: Timestamp,
    /// When it was done, or rolled back.
    pub finished_at: Option<Timestamp>,
    /// Who asked: cli, http, job or external.
    pub actor: String,
    /// What was done, such as `artifact.remove`.
    pub verb: String,
    /// What was asked, in words.
    pub what: String,
    /// How it stands.
    pub state: State,
    /// The operation that it takes back.
    pub undoes: Option<i64>,
    /// More about it, as JSON; may be empty.
    pub detail: String,
}

/// One path that an operation touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchedPath {
    /// The collection; empty for the home itself.
    pub root: String,
    /// Relative to the root, with `/`.
    pub path: String,
    /// What stood there; `None` if nothing did.
    pub before: Option<Node>,
    /// What shall stand there; `None` if nothing shall.
    pub after: Option<Node>,
}

/// Which operations are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those that touch this path of this root, or something below or above it; empty: any path of it.
    pub place: Option<(String, String)>,
    /// Only those with larger numbers.
    pub after: i64,
    /// Only those with smaller numbers.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// Records an operation as open; gives its number.
pub fn begin(
    transaction: &Transaction<'_>,
    new: &NewOperation,
    paths: &[TouchedPath],
) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached(
            "INSERT INTO operation (at, actor, verb, what, state, undoes, detail)
             VALUES (?1, ?2, ?3, ?4, 'open', ?5, ?6)",
        )?
        .execute(params![
            new.at.0, new.actor, new.verb, new.what, new.undoes, new.detail
        ])?;
    let id = transaction.last_insert_rowid();
    let mut insert = transaction.prepare_cached(
        "INSERT INTO operation_path (operation, root, path, before, after)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for touched in paths {
        insert.execute(params![
            id,
            touched.root,
            touched.path,
            state(touched.before.as_ref()),
            state(touched.after.as_ref())
        ])?;
    }
    Ok(id)
}

/// Corrects what stood at a path before an operation.
pub fn amend(
    transaction: &Transaction<'_>,
    id: i64,
    touched: &TouchedPath,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE operation_path SET before = ?4 WHERE operation = ?1 AND root = ?2 AND path = ?3",
        )?
        .execute(params![
            id,
            touched.root,
            touched.path,
            state(touched.after.as_ref())
        ])
        .map(drop)
}

/// Notes how an operation stands now.
pub fn set_state(
    connection: &Connection,
    id: i64,
    state: State,
    at: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE operation SET state = ?2, finished_at = coalesce(finished_at, ?3) WHERE id = ?1",
        )?
        .execute(params![id, state.as_str(), at.0])
        .map(drop)
}

const COLUMNS: &str = "id, at, finished_at, actor, verb, what, state, undoes, detail";

fn decode(row: &Row<'_>) -> rusqlite::Result<Operation> {
    let state: String = row.get(6)?;
    Ok(Operation {
        id: row.get(0)?,
        at: Timestamp(row.get(1)?),
        finished_at: row.get::<_, Option<i64>>(2)?.map(Timestamp),
        actor: row.get(3)?,
        verb: row.get(4)?,
        what: row.get(5)?,
        state: State::parse(&state).ok_or(rusqlite::Error::InvalidQuery)?,
        undoes: row.get(7)?,
        detail: row.get(8)?,
    })
}

/// The operation of this number.
pub fn get(connection: &Connection, id: i64) -> rusqlite::Result<Option<Operation>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM operation WHERE id = ?1"))?
        .query_row([id], decode)
        .optional()
}

/// What the last operation that changed this very place left there, of all or of ours only; `None` if none did.
pub fn left_at(
    connection: &Connection,
    root: &str,
    path: &str,
    only_ours: bool,
) -> rusqlite::Result<Option<Option<Node>>> {
    connection
        .prepare_cached(
            "SELECT after FROM operation_path JOIN operation ON id = operation
             WHERE root = ?1 AND path = ?2 AND state IN ('done', 'undone')
                 AND NOT (?3 AND actor = 'external')
             ORDER BY operation DESC LIMIT 1",
        )?
        .query_row(params![root, path, only_ours], |row| node_at(row, 0))
        .optional()
}

/// The first operation since a moment, and after the one of this number, that changed this very place, and what stood
/// there before.
pub fn first_at(
    connection: &Connection,
    root: &str,
    path: &str,
    at: Timestamp,
    after: i64,
) -> rusqlite::Result<Option<(i64, Option<Node>)>> {
    connection
        .prepare_cached(
            "SELECT operation, before FROM operation_path JOIN operation ON id = operation
             WHERE root = ?1 AND path = ?2 AND at >= ?3 AND operation > ?4
                 AND state IN ('done', 'undone')
             ORDER BY operation LIMIT 1",
        )?
        .query_row(params![root, path, at.0, after], |row| {
            Ok((row.get(0)?, node_at(row, 1)?))
        })
        .optional()
}

/// Operations that were neither finished nor rolled back, the oldest first.
pub fn open(connection: &Connection) -> rusqlite::Result<Vec<Operation>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM operation WHERE state = 'open' ORDER BY id"
        ))?
        .query_map([], decode)?
        .collect()
}

/// What an operation touches, by root and path.
pub fn paths(connection: &Connection, id: i64) -> rusqlite::Result<Vec<TouchedPath>> {
    connection
        .prepare_cached(
            "SELECT root, path, before, after FROM operation_path WHERE operation = ?1 ORDER BY root, path",
        )?
        .query_map([id], |row| {
            Ok(TouchedPath {
                root: row.get(0)?,
                path: row.get(1)?,
                before: node_at(row, 2)?,
                after: node_at(row, 3)?,
            })
        })?
        .collect()
}

/// What operations that took place did to this folder of the home and in it, by their numbers, the oldest first.
pub fn in_folder_of_home(
    connection: &Connection,
    folder: &str,
) -> rusqlite::Result<Vec<(i64, TouchedPath)>> {
    connection
        .prepare_cached(
            "SELECT operation, root, path, before, after FROM operation_path JOIN operation ON id = operation
             WHERE root = '' AND path > ?1 || '/' AND path < ?1 || '0' AND state IN ('done', 'undone')
             ORDER BY operation, path",
        )?
        .query_map([folder], |row| {
            let touched = TouchedPath {
                root: row.get(1)?,
                path: row.get(2)?,
                before: node_at(row, 3)?,
                after: node_at(row, 4)?,
            };
            Ok((row.get(0)?, touched))
        })?
        .collect()
}

/// Those that touch a place, what it lies in, or what lies in it: paths are looked up.
fn at_place() -> String {
    format!(
        "SELECT {COLUMNS} FROM operation WHERE id < ?1 AND id > ?5 AND id IN (
             SELECT operation FROM operation_path
                 WHERE root = ?3 AND path IN (SELECT value FROM json_each(?4))
             UNION SELECT operation FROM operation_path
                 WHERE root = ?3 AND path > ?6 AND path < ?7)
         ORDER BY id DESC LIMIT ?2"
    )
}

/// Operations, the newest first.
pub fn list(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Operation>> {
    let below = filter.before.unwrap_or(i64::MAX);
    let Some((root, path)) = &filter.place else {
        return connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM operation WHERE id < ?1 AND id > ?3 ORDER BY id DESC LIMIT ?2"
            ))?
            .query_map(params![below, filter.limit, filter.after], decode)?
            .collect();
    };
    let with_outer: Vec<&str> = path
        .match_indices('/')
        .filter_map(|(at, _)| path.get(..at))
        .chain([path.as_str()])
        .collect();
    let (inside, beyond) = if path.is_empty() {
        (String::new(), char::MAX.to_string())
    } else {
        (format!("{path}/"), format!("{path}0"))
    };
    connection
        .prepare_cached(&at_place())?
        .query_map(
            params![
                below,
                filter.limit,
                root,
                serde_json::json!(with_outer).to_string(),
                filter.after,
                inside,
                beyond
            ],
            decode,
        )?
        .collect()
}

/// Whether operations that came after one are not there any more.
pub fn lacks_later(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT (SELECT max(seq) FROM sqlite_sequence WHERE name = 'operation') - ?1
                > (SELECT count(*) FROM operation WHERE id > ?1)",
        )?
        .query_row([id], |row| row.get(0))
}

/// The operation that was done last, or done again last, and stands; those of other programs count only once they were
/// done again, and those that changed no file do not count.
pub fn last_done(connection: &Connection) -> rusqlite::Result<Option<Operation>> {
    let own = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM operation
             WHERE state = 'done' AND undoes IS NULL AND actor <> 'external'
               AND EXISTS (SELECT 1 FROM operation_path WHERE operation = operation.id)
             ORDER BY id DESC LIMIT 1"
        ))?
        .query_row([], decode)
        .optional()?;
    let redone: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT redo.id, first.id FROM operation AS redo
             JOIN operation AS taking ON taking.id = redo.undoes
             JOIN operation AS first ON first.id = taking.undoes
             WHERE redo.state = 'done' AND first.state = 'done'
             ORDER BY redo.id DESC LIMIT 1",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match redone {
        Some((redo, first)) if own.as_ref().is_none_or(|own| own.id < redo) => {
            get(connection, first)
        }
        _ => Ok(own),
    }
}

/// The newest operation that took another one back and stands, if nothing but that was done since.
pub fn last_undo(connection: &Connection) -> rusqlite::Result<Option<Operation>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM operation AS taking
             WHERE state = 'done'
               AND (SELECT undoes IS NULL FROM operation WHERE id = taking.undoes)
               AND NOT EXISTS (SELECT 1 FROM operation AS later
                   WHERE later.id > taking.id AND later.undoes IS NULL
                     AND later.actor <> 'external' AND later.state IN ('done', 'undone')
                     AND EXISTS (SELECT 1 FROM operation_path WHERE operation = later.id))
             ORDER BY id DESC LIMIT 1"
        ))?
        .query_row([], decode)
        .optional()
}

/// The newest operation that takes this one back and was not taken back itself.
pub fn undone_by(connection: &Connection, id: i64) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT max(id) FROM operation WHERE undoes = ?1 AND state = 'done'")?
        .query_row([id], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::super::History;
    use super::*;

    #[test]
    fn operations_at_a_place_are_looked_up() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(&folder.path().join("history.db"), true);
        for path in ["skills/a", "skills/a/b", "skills/ab", "skills", "x"] {
            let touched = [TouchedPath {
                root: "c".to_owned(),
                path: path.to_owned(),
                before: None,
                after: None,
            }];
            let operation = NewOperation {
                at: Timestamp(1),
                actor: "cli".to_owned(),
                verb: "artifact.add".to_owned(),
                what: path.to_owned(),
                undoes: None,
                detail: String::new(),
            };
            let begun = history.write(|transaction| begin(transaction, &operation, &touched));
            begun.unwrap();
        }
        let at = |path: &str| -> Vec<String> {
            let filter = Filter {
                place: Some(("c".to_owned(), path.to_owned())),
                limit: 9,
                ..Filter::default()
            };
            let found = history.read(|connection| list(connection, &filter));
            found.unwrap().into_iter().map(|one| one.what).collect()
        };
        assert_eq!(at("skills/a"), ["skills", "skills/a/b", "skills/a"]);
        assert_eq!(at("skills/a/b"), ["skills", "skills/a/b", "skills/a"]);
        assert_eq!(at("x"), ["x"]);
        assert_eq!(at("").len(), 5);
        let plan = format!("EXPLAIN QUERY PLAN {}", at_place());
        let plan: Vec<String> = history
            .read(|connection| {
                let mut plan = connection.prepare(&plan)?;
                let steps = plan.query_map([rusqlite::types::Null; 7], |row| row.get(3));
                steps?.collect()
            })
            .unwrap();
        for lookup in ["(root=? AND path=?)", "(root=? AND path>? AND path<?)"] {
            let uses = |step: &String| step.contains("operation_path") && step.contains(lookup);
            assert!(plan.iter().any(uses), "{lookup}: {plan:#?}");
        }
    }
}
