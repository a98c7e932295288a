//! Rows of collections, their groups and tag definitions.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use skillmeat_shared::artifact::{Problem, name};
use skillmeat_shared::collection::manifest::{Group, Header, TagDefinition};
use skillmeat_shared::id::ArtifactId;
use skillmeat_shared::reconcile::{CollectionPut, CollectionState, KnownCollection, Seen};

use super::artifact::json;
use super::event::NewEvent;
use super::index::IndexChanges;

/// A collection as readers see it.
#[derive(Debug, Clone)]
pub struct CollectionView {
    /// Its row.
    pub row: i64,
    /// Its name.
    pub name: String,
    /// Absolute path.
    pub path: String,
    /// Lies outside of the home.
    pub external: bool,
    /// How it stands.
    pub state: CollectionState,
    /// The manifest's header.
    pub header: Header,
    /// Keys and tables of the manifest that are kept but not known.
    pub unknown_keys: Vec<String>,
    /// What should be mended.
    pub problems: Vec<Problem>,
    /// Kind, status, artifacts, bytes.
    pub counts: Vec<(String, String, u64, u64)>,
}

impl CollectionView {
    /// Number of artifacts.
    pub fn artifacts(&self) -> u64 {
        self.counts
            .iter()
            .map(|(_, _, artifacts, _)| artifacts)
            .sum()
    }
}

/// A group with its members.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// Name, description, colour, icon, position and members as the manifest has them.
    pub group: Group,
    /// For each member the id of the artifact that it names, if there is one.
    pub resolved: Vec<Option<String>>,
}

/// What reconciling needs of a collection.
pub fn known(connection: &Connection, name: &str) -> rusqlite::Result<Option<KnownCollection>> {
    connection
        .prepare_cached(
            "SELECT id, state, manifest_seen, lock_seen, row_hash, path, external FROM collection WHERE name = ?1",
        )?
        .query_row([name], |row| {
            let state: String = row.get(1)?;
            let manifest: Option<Vec<u8>> = row.get(2)?;
            let lock: Option<Vec<u8>> = row.get(3)?;
            Ok(KnownCollection {
                row: row.get(0)?,
                state: CollectionState::parse(&state).unwrap_or(CollectionState::Broken),
                manifest: manifest.as_deref().and_then(Seen::from_bytes),
                lock: lock.as_deref().and_then(Seen::from_bytes),
                row_hash: row.get_ref(4)?.as_blob()?.try_into().unwrap_or_default(),
                path: row.get(5)?,
                external: row.get(6)?,
            })
        })
        .optional()
}

/// Writes a collection's row, and its groups and tag definitions if the manifest was read.
pub(super) fn put(
    transaction: &Transaction<'_>,
    put: &CollectionPut,
    events: &mut Vec<NewEvent>,
) -> rusqlite::Result<()> {
    let row = &put.row;
    let (manifest, lock) = (
        put.manifest.map(Seen::to_bytes),
        put.lock.map(Seen::to_bytes),
    );
    if !put.differs {
        transaction
            .prepare_cached(
                "UPDATE collection SET manifest_seen = ?2, lock_seen = ?3 WHERE name = ?1",
            )?
            .execute(params![row.name, manifest, lock])?;
        return Ok(());
    }
    let (header, unknown_keys) = match &row.manifest {
        Some(part) => (Some(json(&part.header)), Some(json(&part.unknown_keys))),
        None => (None, None),
    };
    let id: i64 = transaction
        .prepare_cached(
            "INSERT INTO collection (name, path, external, state, manifest_seen, lock_seen, row_hash,
                                     header, unknown_keys, problems)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce(?8, '{}'), coalesce(?9, '[]'), ?10)
             ON CONFLICT (name) DO UPDATE SET
                 path = excluded.path, external = excluded.external, state = excluded.state,
                 manifest_seen = excluded.manifest_seen, lock_seen = excluded.lock_seen,
                 row_hash = excluded.row_hash, header = coalesce(?8, header),
                 unknown_keys = coalesce(?9, unknown_keys), problems = excluded.problems
             RETURNING id",
        )?
        .query_row(
            params![
                row.name,
                row.path,
                row.external,
                row.state.as_str(),
                manifest,
                lock,
                put.row_hash,
                header,
                unknown_keys,
                json(&row.problems),
            ],
            |row| row.get(0),
        )?;
    if let Some(part) = &row.manifest {
        put_groups(transaction, id, &part.groups)?;
        put_tag_definitions(transaction, id, &part.tag_definitions)?;
    }
    events.push(event_of(put));
    Ok(())
}

fn event_of(put: &CollectionPut) -> NewEvent {
    use CollectionState::{Broken, NoManifest, Ok, Unreachable, Unreadable};
    let name = &put.row.name;
    let first = put
        .row
        .problems
        .first()
        .map_or("", |problem| problem.message.as_str());
    let kind = match (put.before, put.row.state) {
        (None, _) => "collection.added",
        (Some(before), now) if before == now => "collection.changed",
        (_, Broken) => "collection.broken",
        (_, Unreachable) => "collection.unreachable",
        (Some(Unreachable), _) => "collection.reachable",
        (Some(Broken), Ok) => "collection.mended",
        (Some(Ok | Broken | NoManifest | Unreadable), Ok | NoManifest | Unreadable) => {
            "collection.changed"
        }
    };
    NewEvent::collection(kind, name, first)
}

fn put_groups(transaction: &Transaction<'_>, id: i64, groups: &[Group]) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM collection_group WHERE collection_id = ?1")?
        .execute([id])?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO collection_group (collection_id, name, description, color, icon, position)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut member_insert =
        transaction.prepare_cached("INSERT INTO group_member VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for group in groups {
        insert.execute(params![
            id,
            group.name,
            group.description,
            group.color,
            group.icon,
            group.position
        ])?;
        let group_id = transaction.last_insert_rowid();
        for (position, member) in group.members.iter().enumerate() {
            let parsed = ArtifactId::parse(member);
            let (kind, name) = parsed.as_ref().map_or((None, member.as_str()), |id| {
                (Some(id.kind.as_str()), id.name.as_str())
            });
            let name = name::bare_or_whole(name);
            member_insert.execute(params![group_id, id, position, member, kind, name])?;
        }
    }
    Ok(())
}

fn put_tag_definitions(
    transaction: &Transaction<'_>,
    id: i64,
    definitions: &[TagDefinition],
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM tag_definition WHERE collection_id = ?1")?
        .execute([id])?;
    let mut insert =
        transaction.prepare_cached("INSERT INTO tag_definition VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (position, tag) in definitions.iter().enumerate() {
        insert.execute(params![
            id,
            position,
            tag.name,
            tag.slug,
            tag.color,
            tag.description
        ])?;
    }
    Ok(())
}

/// Forgets a collection that is no longer part of the home.
pub fn remove(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    let ids: Vec<i64> = transaction
        .prepare_cached(
            "SELECT a.id FROM artifact a JOIN collection c ON c.id = a.collection_id WHERE c.name = ?1",
        )?
        .query_map([name], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut index = IndexChanges::default();
    for id in ids {
        super::artifact::unindex(transaction, id, &mut index)?;
    }
    transaction
        .prepare_cached("DELETE FROM collection WHERE name = ?1")?
        .execute([name])?;
    super::event::append(
        transaction,
        &[NewEvent::collection("collection.removed", name, "")],
    )?;
    index.write(transaction)
}

fn read_view(row: &Row<'_>) -> rusqlite::Result<CollectionView> {
    let state: String = row.get(4)?;
    let (header, keys, problems): (String, String, String) =
        (row.get(5)?, row.get(6)?, row.get(7)?);
    Ok(CollectionView {
        row: row.get(0)?,
        name: row.get(1)?,
        path: row.get(2)?,
        external: row.get(3)?,
        state: CollectionState::parse(&state).unwrap_or(CollectionState::Broken),
        header: serde_json::from_str(&header).unwrap_or_default(),
        unknown_keys: serde_json::from_str(&keys).unwrap_or_default(),
        problems: serde_json::from_str(&problems).unwrap_or_default(),
        counts: Vec::new(),
    })
}

/// All collections by name, with their counts.
pub fn all(connection: &Connection) -> rusqlite::Result<Vec<CollectionView>> {
    let mut views: Vec<CollectionView> = connection
        .prepare_cached(
            "SELECT id, name, path, external, state, header, unknown_keys, problems FROM collection ORDER BY name",
        )?
        .query_map([], read_view)?
        .collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare_cached(
        "SELECT kind, status, artifacts, bytes FROM artifact_count
         WHERE collection_id = ?1 AND artifacts > 0 ORDER BY kind, status",
    )?;
    for view in &mut views {
        view.counts = statement
            .query_map([view.row], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
    }
    Ok(views)
}

/// Notes that a collection lies somewhere else by now.
pub fn relocate(transaction: &Transaction<'_>, name: &str, path: &str) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE collection SET path = ?2 WHERE name = ?1")?
        .execute([name, path])?;
    Ok(())
}

/// Forgets that a collection had a manifest: it was taken away on purpose.
pub fn forget_manifest(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE collection SET manifest_seen = NULL WHERE name = ?1")?
        .execute([name])
        .map(drop)
}

/// Whether artifacts of a collection have entries in a manifest, as far as the rows know.
pub fn has_entries(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM collection c JOIN artifact_count a ON a.collection_id = c.id
             WHERE c.name = ?1 AND c.manifest_seen IS NOT NULL AND a.status <> 'unmanaged' AND a.artifacts > 0)",
        )?
        .query_row([name], |row| row.get(0))
}

/// Collections of which the rows are older than what is on disk, without their counts.
pub fn outdated(connection: &Connection) -> rusqlite::Result<Vec<CollectionView>> {
    connection
        .prepare_cached(
            "SELECT id, name, path, external, state, header, unknown_keys, problems FROM collection
             WHERE state IN ('broken', 'unreachable', 'unreadable')
                OR (state = 'no-manifest' AND manifest_seen IS NOT NULL)",
        )?
        .query_map([], read_view)?
        .collect()
}

/// Names and rows of all collections.
pub fn names(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    connection
        .prepare_cached("SELECT id, name FROM collection ORDER BY name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Names of the collections whose first pass came to its end: only that one writes the hash of the row.
pub fn built(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT name FROM collection WHERE row_hash <> zeroblob(16)")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// The groups of a collection in their order.
pub fn groups(connection: &Connection, collection: i64) -> rusqlite::Result<Vec<GroupView>> {
    let meant = |names: &str| {
        format!(
            "(SELECT a.kind || ':' || a.name FROM artifact a
              WHERE a.collection_id = m.collection_id AND a.name {names}
                AND (m.kind IS NULL OR a.kind = m.kind)
              ORDER BY a.status = 'unmanaged', a.kind LIMIT 1)"
        )
    };
    let as_written = "CASE WHEN m.kind IS NULL THEN m.member ELSE substr(m.member, instr(m.member, ':') + 1) END";
    let with_endings = name::ENDINGS.map(|ending| format!("m.name || '{ending}'"));
    let mut members = connection.prepare_cached(&format!(
        "SELECT m.member, coalesce({}, {}, {})
         FROM group_member m WHERE m.group_id = ?1 ORDER BY m.position",
        meant(&format!("= {as_written}")),
        meant("= m.name"),
        meant(&format!("IN ({})", with_endings.join(", ")))
    ))?;
    let mut groups = connection.prepare_cached(
        "SELECT id, name, description, color, icon, position FROM collection_group
         WHERE collection_id = ?1 ORDER BY position, id",
    )?;
    let mut views = Vec::new();
    let mut rows = groups.query([collection])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let (names, resolved) = members
            .query_map([id], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<_>>>()?
            .into_iter()
            .unzip();
        views.push(GroupView {
            group: Group {
                name: row.get(1)?,
                description: row.get(2)?,
                color: row.get(3)?,
                icon: row.get(4)?,
                position: row.get(5)?,
                members: names,
            },
            resolved,
        });
    }
    Ok(views)
}

/// The tag definitions of a collection in their order.
pub fn tag_definitions(
    connection: &Connection,
    collection: i64,
) -> rusqlite::Result<Vec<TagDefinition>> {
    connection
        .prepare_cached(
            "SELECT name, slug, color, description FROM tag_definition
             WHERE collection_id = ?1 ORDER BY position",
        )?
        .query_map([collection], |row| {
            Ok(TagDefinition {
                name: row.get(0)?,
                slug: row.get(1)?,
                color: row.get(2)?,
                description: row.get(3)?,
            })
        })?
        .collect()
}

/// The kinds of all artifacts.
pub fn kinds(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT DISTINCT kind FROM artifact_count WHERE artifacts > 0")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Where the artifacts of a collection come from.
pub fn origins(connection: &Connection, collection: i64) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT DISTINCT origin FROM artifact WHERE collection_id = ?1")?
        .query_map([collection], |row| row.get(0))?
        .collect()
}

/// Tags in use, most used first.
pub fn tags(
    connection: &Connection,
    collection: Option<i64>,
) -> rusqlite::Result<Vec<(String, u64)>> {
    connection
        .prepare_cached(
            "SELECT t.tag, count(*) AS uses FROM artifact_tag t JOIN artifact a ON a.id = t.artifact_id
             WHERE ?1 IS NULL OR a.collection_id = ?1
             GROUP BY t.tag ORDER BY uses DESC, t.tag",
        )?
        .query_map([collection], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
