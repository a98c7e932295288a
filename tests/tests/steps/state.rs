//! What a home is: its files, byte for byte but for dates, and what the daemon tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use skillmeat_proto::v1;
use skillmeat_proto::v1::collection_service_client::CollectionServiceClient as Collections;
use skillmeat_tests::client::Rpc;
use skillmeat_tests::{Sandbox, rows};

/// Paths with mode and content.
pub(crate) type Files = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// A state of a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// As they are.
    pub(crate) raw: Files,
    /// Without dates.
    pub(crate) files: Files,
    pub(crate) rows: Vec<String>,
}

/// All that a person owns, below the home folder of the user.
pub(crate) fn files(sandbox: &Sandbox) -> Files {
    let mut found = Files::new();
    for path in ["collections", "state", "config.toml"] {
        walk(&sandbox.home().root().join(path), &mut found);
    }
    walk(&sandbox.path("team"), &mut found);
    found
}

fn walk(path: &Path, found: &mut Files) {
    let name = path.file_name().unwrap().to_string_lossy();
    // What a killed process left behind is swept later, and the daemon keeps notes on its own history.
    let is_note = name == "history.note" || name == "history.schedules";
    if name.starts_with(".skillmeat-tmp-") || is_note {
        return;
    }
    let Ok(metadata) = path.symlink_metadata() else {
        return;
    };
    let mode = metadata.permissions().mode();
    if metadata.is_symlink() {
        let leads_to = fs::read_link(path).unwrap().into_os_string();
        found.insert(path.to_owned(), (mode, leads_to.into_encoded_bytes()));
        return;
    }
    if !metadata.is_dir() {
        found.insert(path.to_owned(), (mode, fs::read(path).unwrap()));
        return;
    }
    found.insert(path.to_owned(), (mode, Vec::new()));
    for entry in fs::read_dir(path).unwrap() {
        walk(&entry.unwrap().path(), found);
    }
}

/// The same without dates: the same change at another time says another one.
pub(crate) fn undated(files: &Files) -> Files {
    let undated = |(path, (mode, bytes)): (&PathBuf, &(u32, Vec<u8>))| {
        // Copies of them, too, which may have a number.
        let name = path.file_name().unwrap().to_string_lossy();
        let is_document = [".toml", ".lock"].iter().any(|one| name.contains(one));
        let bytes = if is_document {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let lines = text.lines().map(|line| match line.split_once("\"20") {
                Some((key, date)) if date.contains('T') => key,
                _ => line,
            });
            lines.collect::<Vec<_>>().join("\n").into_bytes()
        } else {
            bytes.clone()
        };
        (path.clone(), (*mode, bytes))
    };
    files.iter().map(undated).collect()
}

/// Paths that differ, with the lines that only one of them has.
pub(crate) fn differences(one: &Files, other: &Files) -> Vec<String> {
    let all: BTreeSet<&PathBuf> = one.keys().chain(other.keys()).collect();
    let lines = |files: &Files, path: &PathBuf| -> BTreeSet<String> {
        files.get(path).map_or_else(BTreeSet::new, |(mode, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            let lines = text.lines().map(str::to_owned);
            lines.chain([format!("mode {mode:o}")]).collect()
        })
    };
    all.into_iter()
        .filter(|path| one.get(*path) != other.get(*path))
        .map(|path| {
            let (one, other) = (lines(one, path), lines(other, path));
            format!(
                "{}: {:?} {:?}",
                path.display(),
                one.difference(&other).collect::<Vec<_>>(),
                other.difference(&one).collect::<Vec<_>>()
            )
        })
        .collect()
}

/// What the daemon tells of all collections, without what depends on when it looked.
pub(crate) fn told(rpc: &Rpc) -> Vec<String> {
    let mut told: Vec<String> = rows::summaries(rpc)
        .into_iter()
        .map(|mut row| {
            (row.synced_at, row.updated_at, row.stale) = (0, 0, false);
            format!("{row:?}")
        })
        .collect();
    let mut client = Collections::new(rpc.channel());
    let listed = client.list(v1::ListCollectionsRequest {});
    let listed = rpc.wait(listed).unwrap().into_inner();
    for one in listed.collections {
        let request = v1::ShowCollectionRequest {
            name: one.name.clone(),
        };
        // One that went meanwhile is looked at again.
        let Ok(shown) = rpc.wait(client.show(request)) else {
            return Vec::new();
        };
        let shown = shown.into_inner();
        let mut collection = shown.collection.unwrap();
        (collection.verified_at, collection.stale) = (None, 0);
        (collection.created, collection.updated) = (None, None);
        told.push(format!(
            "{collection:?} {:?} {:?} {:?} {:?}",
            shown.groups, shown.tag_definitions, shown.tags, shown.unknown_keys
        ));
    }
    told.sort();
    told
}

/// The snapshots of all collections: what they say.
pub(crate) fn snapshots(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.json(&["snapshot", "list", "--all", "--limit", "1000"]);
    let all = listed["snapshots"].as_array().unwrap();
    let mut all: Vec<String> = all
        .iter()
        .map(|one| format!("snapshot {} {}", one["origin"], one["message"]))
        .collect();
    all.sort();
    all
}
