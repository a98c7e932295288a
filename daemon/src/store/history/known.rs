//! The last state of each place that was kept: what a change from outside is compared with.

use rusqlite::{Connection, OptionalExtension as _, params};
use skillmeat_shared::history::tree::Node;

use super::node_at;

/// The state of a place that was kept last.
pub fn get(connection: &Connection, root: &str, path: &str) -> rusqlite::Result<Option<Node>> {
    connection
        .prepare_cached("SELECT state FROM known WHERE root = ?1 AND path = ?2")?
        .query_row([root, path], |row| node_at(row, 0))
        .optional()
        .map(Option::flatten)
}

/// All places of a root, by their paths.
pub fn all(connection: &Connection, root: &str) -> rusqlite::Result<Vec<(String, Node)>> {
    let rows: Vec<(String, Option<Node>)> = connection
        .prepare_cached("SELECT path, state FROM known WHERE root = ?1 ORDER BY path")?
        .query_map([root], |row| Ok((row.get(0)?, node_at(row, 1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(rows
        .into_iter()
        .filter_map(|(path, node)| Some((path, node?)))
        .collect())
}

/// The paths of a root whose states are known.
pub fn paths(connection: &Connection, root: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT path FROM known WHERE root = ?1")?
        .query_map([root], |row| row.get(0))?
        .collect()
}

/// The paths of a root whose states are known and that are this one, lie in it, or hold it.
pub fn around(connection: &Connection, root: &str, path: &str) -> rusqlite::Result<Vec<String>> {
    let mut found: Vec<String> = connection
        .prepare_cached(
            "SELECT path FROM known WHERE root = ?1 AND path > ?2 || '/' AND path < ?2 || '0'",
        )?
        .query_map([root, path], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut outer = Some(path);
    while let Some(one) = outer {
        if get(connection, root, one)?.is_some() {
            found.push(one.to_owned());
        }
        outer = one.rsplit_once('/').map(|(outer, _)| outer);
    }
    Ok(found)
}

/// Under which root the modes of a root's folders are known: no name of one has a `/`.
fn folders(root: &str) -> String {
    format!("{root}/")
}

/// Folders of a root, by their paths, with their modes, which no state of what is in them tells.
pub fn modes(connection: &Connection, root: &str) -> rusqlite::Result<Vec<(String, u16)>> {
    let known = all(connection, &folders(root))?;
    let modes = known.into_iter().filter_map(|(path, node)| match node {
        Node::Folder { mode, .. } => Some((path, mode)),
        _ => None,
    });
    Ok(modes.collect())
}

/// Notes the mode of a folder of a root, as the state of an empty one.
pub fn set_mode(
    connection: &Connection,
    root: &str,
    path: &str,
    folder: &Node,
) -> rusqlite::Result<()> {
    set(connection, &folders(root), path, Some(folder))
}

/// Forgets all places of a root.
pub fn forget(connection: &Connection, root: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM known WHERE root IN (?1, ?2)")?
        .execute([root, &folders(root)])
        .map(drop)
}

/// Has the places of a root be those of another name.
pub fn rename(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<()> {
    forget(connection, to)?;
    for (from, to) in [(from, to), (&folders(from), &folders(to))] {
        connection
            .prepare_cached("UPDATE known SET root = ?2 WHERE root = ?1")?
            .execute([from, to])?;
    }
    Ok(())
}

/// Notes the state of a place; `None` forgets it.
pub fn set(
    connection: &Connection,
    root: &str,
    path: &str,
    node: Option<&Node>,
) -> rusqlite::Result<()> {
    match node {
        Some(node) => connection
            .prepare_cached(
                "INSERT INTO known (root, path, state) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET state = excluded.state WHERE state <> excluded.state",
            )?
            .execute(params![root, path, node.encode()]),
        None => connection
            .prepare_cached("DELETE FROM known WHERE root = ?1 AND path = ?2")?
            .execute([root, path]),
    }
    .map(drop)
}
