//! Manifests, lock files, queries, and small things with a syntax.

use std::collections::HashMap;

use skillmeat_shared::artifact::{Problem, name, tools};
use skillmeat_shared::collection::edit::{self, Change, Key, NewEntry, add_entries};
use skillmeat_shared::collection::lockfile::{LockEntry, Lockfile};
use skillmeat_shared::collection::manifest::{Entry, Manifest, McpServer};
use skillmeat_shared::config::duration;
use skillmeat_shared::rendezvous::StartupReport;
use skillmeat_shared::search::{Query, fold, snippet_of_line, snippet_of_text, words};
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{ArtifactId, Code, Kind};

use super::lines_of;

/// Lines of a manifest that an added entry may change: the moment of the last change, an empty list of
/// artifacts, and the end of a list that is not empty.
const CHANGED_LINES: usize = 3;

fn lines_hold(lines: u32, problems: &[Problem]) {
    for problem in problems {
        assert!(!problem.message.is_empty());
        let line = problem.line.unwrap_or(1);
        assert!((1..=lines).contains(&line), "{problem:?}");
    }
}

/// Lines of a text, but for blank ones, that another one does not hold as often.
fn lost_lines(text: &str, other: &str) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for line in other.lines() {
        *counts.entry(line).or_default() += 1;
    }
    let said = text.lines().filter(|line| !line.trim().is_empty());
    let lost = said.filter(|line| match counts.get_mut(line) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
    lost.map(str::to_owned).collect()
}

pub(super) fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let before = match Manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(error) => {
            assert!((1..=lines_of(bytes)).contains(&error.line), "{error}");
            return;
        }
    };
    let lines = lines_of(bytes);
    lines_hold(lines, &before.problems);
    for entry in &before.entries {
        lines_hold(lines, &entry.problems);
        // Rows keep entries as JSON, for as long as the manifest can't be read.
        let json = serde_json::to_string(entry).unwrap();
        let mut kept: Entry = serde_json::from_str(&json).unwrap();
        kept.line = entry.line;
        assert_eq!(kept, *entry);
    }
    edited(text, &before);
    let id = ArtifactId::new(Kind::Skill, "added \"by\" a test\\");
    let now = Timestamp(1_800_000_000_000_000_000);
    let new = NewEntry::local(id.clone(), "skills/added", now);
    let Ok(out) = add_entries(text, std::slice::from_ref(&new), now) else {
        return;
    };
    let after = Manifest::parse(&out).unwrap();
    let (added, kept): (Vec<_>, Vec<_>) = after.entries.iter().partition(|entry| entry.id == id);
    assert_eq!(added.len(), 1);
    let ids = |entries: &[&Entry]| -> Vec<ArtifactId> {
        entries.iter().map(|entry| entry.id.clone()).collect()
    };
    assert_eq!(ids(&kept), ids(&before.entries.iter().collect::<Vec<_>>()));
    assert_eq!(after.groups, before.groups);
    let servers = |manifest: Manifest| {
        let servers = manifest.mcp_servers.into_iter();
        servers
            .map(|server| McpServer { line: 0, ..server })
            .collect::<Vec<_>>()
    };
    let lost = lost_lines(text, &out);
    assert!(lost.len() <= CHANGED_LINES, "lost: {lost:#?}");
    assert_eq!(after.unknown_keys, before.unknown_keys);
    assert_eq!(servers(after), servers(before));
    let again = add_entries(&out, &[new], now).unwrap_err();
    assert_eq!(again.code, Code::ArtifactExists);
}

/// Every list is edited, or refused; what an edit was not about stays.
fn edited(text: &str, before: &Manifest) {
    let Some(entry) = before.entries.first() else {
        return;
    };
    let key = Key::Artifact(entry.id.clone());
    let tags = ["one".to_owned(), "two # \"".to_owned()];
    let asked = vec![
        Change::set("tags", tags.as_slice()),
        Change::set("metadata.title", "a\nb"),
    ];
    if let Ok(out) = edit::change(text, &[(key.clone(), asked)]) {
        let after = Manifest::parse(&out).unwrap();
        assert_eq!(after.groups, before.groups);
        assert_eq!(after.entries.len(), before.entries.len());
        let changed = after.entries.first().unwrap();
        assert_eq!(changed.tags, tags);
        assert_eq!(changed.metadata.title.as_deref(), Some("a\nb"));
    }
    if let Ok(out) = edit::remove(text, std::slice::from_ref(&key)) {
        let ids: Vec<_> = Manifest::parse(&out)
            .map(|after| after.entries.into_iter().map(|entry| entry.id).collect())
            .unwrap_or_default();
        let others = before.entries.iter().skip(1);
        assert_eq!(
            ids,
            others.map(|entry| entry.id.clone()).collect::<Vec<_>>()
        );
    }
    if let Ok(Some(block)) = edit::block(text, &key) {
        let taken = Manifest::parse(&block).unwrap();
        assert_eq!(
            taken.entries.first().map(|entry| &entry.id),
            Some(&entry.id)
        );
    }
}

pub(super) fn lock(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let before = match Lockfile::parse(text) {
        Ok(lock) => lock,
        Err(error) => {
            assert!((1..=lines_of(bytes)).contains(&error.line), "{error}");
            return;
        }
    };
    lines_hold(lines_of(bytes), &before.problems);
    let id = ArtifactId::new(Kind::Skill, "added \"by\" a test");
    let entry = LockEntry {
        content_hash: Some("a hash".to_owned()),
        fetched: Some("2026-11-20T15:52:21".to_owned()),
        ..LockEntry::default()
    };
    let entries = [(id.clone(), entry)];
    let Ok(out) = edit::set_lock(text, &entries) else {
        return;
    };
    let mut after = Lockfile::parse(&out).unwrap();
    let added = after.entries.remove(&id).unwrap();
    assert_eq!(added.content_hash.as_deref(), Some("a hash"));
    let mut wanted = before.entries.clone();
    wanted.remove(&id);
    assert_eq!(after.entries, wanted);
    let lost = lost_lines(text, &out);
    assert!(lost.len() <= CHANGED_LINES, "lost: {lost:#?}");
    assert_eq!(
        edit::set_lock(&out, &entries).unwrap(),
        out,
        "twice is once"
    );
}

/// A query, and after the first line end the text that it is looked for in.
pub(super) fn query(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (asked, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    let query = Query::parse(asked);
    for any in [false, true] {
        let expression = query.to_fts(any);
        assert!(!expression.contains('\0'));
        assert_eq!(expression.matches('"').count() % 2, 0, "{expression}");
    }
    for term in &query.terms {
        for word in &term.words {
            assert!(!word.contains('"') && !word.contains('\0'), "{word:?}");
            assert_eq!(fold(word), *word, "folding twice is folding once");
        }
    }
    let text = String::from_utf8_lossy(rest);
    let mut end = 0;
    for (start, word) in words(&text) {
        assert!(start >= end && text.get(start..).is_some_and(|rest| rest.starts_with(word)));
        end = start + word.len();
        let folded = fold(word);
        assert_eq!(fold(&folded), folded, "{word:?}");
    }
    let of_text = snippet_of_text(&text, &query);
    for snippet in of_text.into_iter().chain([snippet_of_line(&text, &query)]) {
        assert!(snippet.line <= lines_of(rest));
        let mut end = 0;
        for range in &snippet.matches {
            assert!(range.start >= end && range.start < range.end, "{snippet:?}");
            assert!(snippet.text.get(range.clone()).is_some(), "{snippet:?}");
            end = range.end;
        }
    }
}

pub(super) fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.as_ref();
    if name::validate(text).is_ok() {
        assert!(!text.is_empty() && text.len() <= name::MAX_BYTES);
        assert!(!text.contains(['/', '\\', '\0']) && text != "." && text != "..");
    }
    if let Some(id) = ArtifactId::parse(text) {
        assert_eq!(ArtifactId::parse(&id.to_string()), Some(id));
    }
    if let Some(moment) = Timestamp::parse(text) {
        let shown = Timestamp::parse(&moment.to_rfc3339()).unwrap();
        assert!(
            (0..1_000_000).contains(&(moment.0 - shown.0)),
            "{moment:?} {shown:?}"
        );
    }
    if let Some(duration) = duration::parse(text) {
        assert_eq!(duration::parse(&duration::format(duration)), Some(duration));
    }
    for tool in tools::split(text) {
        assert!(!tool.trim().is_empty());
    }
    if let Some(report) = StartupReport::parse(text) {
        assert!(StartupReport::parse(&report.to_line()).is_some());
    }
}
