//! What manifest and lock file say of what was added.

use skillmeat_shared::ArtifactId;
use skillmeat_shared::Result;
use skillmeat_shared::collection::edit::{self, Change, Key, NewEntry};
use skillmeat_shared::collection::lockfile::LockEntry;
use skillmeat_shared::collection::manifest::EntryMetadata;
use skillmeat_shared::time::Timestamp;

use super::Taken;
use crate::app::change::Draft;

/// Drafts manifest and lock.
pub(super) fn record(
    name: &str,
    taken: &[Taken],
    now: Timestamp,
    draft: &mut Draft<'_>,
) -> Result<()> {
    let entries: Vec<NewEntry> = taken
        .iter()
        .filter(|one| !one.planned.has_entry)
        .map(|one| new_entry(one, now))
        .collect();
    let locks: Vec<(ArtifactId, LockEntry)> = taken
        .iter()
        .map(|one| {
            let entry = LockEntry {
                content_hash: one.reading.hashes.content.clone(),
                fetched: Some(now.to_manifest()),
                ..LockEntry::default()
            };
            (one.planned.id.clone(), entry)
        })
        .filter(|(_, entry)| entry.content_hash.is_some())
        .collect();
    let replaced: Vec<ArtifactId> = taken
        .iter()
        .filter(|one| one.planned.replaces)
        .map(|one| one.planned.id.clone())
        .collect();
    if !replaced.is_empty() {
        // Where the old content came from is not where the new one does.
        draft.edit_lock(name, &|text| edit::remove_lock(text, &replaced))?;
    }
    if !locks.is_empty() {
        draft.edit_lock(name, &|text| edit::set_lock(text, &locks))?;
    }
    let edits: Vec<(Key, Vec<Change>)> = taken
        .iter()
        .filter(|one| one.planned.has_entry && one.planned.replaces)
        .map(|one| (Key::Artifact(one.planned.id.clone()), changes(one)))
        .collect();
    if !edits.is_empty() {
        draft.edit_manifest(name, &|text| edit::date(&edit::change(text, &edits)?, now))?;
    }
    if !entries.is_empty() {
        draft.edit_manifest(name, &|text| edit::add_entries(text, &entries, now))?;
    }
    Ok(())
}

/// What an entry says of content that took the place of other content: it comes from here, and this is what its
/// files say. Tags, aliases and the like are the user's, and stay.
fn changes(taken: &Taken) -> Vec<Change> {
    let metadata = &taken.reading.metadata;
    let text = |key: &str, value: &Option<String>| match value {
        Some(value) => Change::set(key, value.as_str()),
        None => Change::unset(key),
    };
    let mut changes = vec![
        Change::set("origin", "local"),
        text("metadata.title", &metadata.title),
        text("metadata.description", &metadata.description),
        text("metadata.author", &metadata.author),
        text("metadata.license", &metadata.license),
        text("metadata.version", &metadata.version),
        Change::texts("metadata.tools", &metadata.tools),
        Change::texts("metadata.dependencies", &metadata.dependencies),
    ];
    changes.extend(
        [
            "origin_source",
            "upstream",
            "version_spec",
            "resolved_sha",
            "resolved_version",
        ]
        .map(Change::unset),
    );
    changes
}

fn new_entry(taken: &Taken, now: Timestamp) -> NewEntry {
    let metadata = &taken.reading.metadata;
    let mut entry = NewEntry::local(taken.planned.id.clone(), taken.planned.path.clone(), now);
    entry.tags.clone_from(&metadata.tags);
    entry.metadata = EntryMetadata {
        title: metadata.title.clone(),
        description: metadata.description.clone(),
        author: metadata.author.clone(),
        license: metadata.license.clone(),
        version: metadata.version.clone(),
        tags: Vec::new(),
        tools: metadata.tools.clone(),
        dependencies: metadata.dependencies.clone(),
    };
    entry
}
