//! Editing a file of an artifact: it is opened, changed somewhere else, and saved if it still is what was opened.

use std::path::{Component, Path, PathBuf};

use skillmeat_shared::artifact::validate::{Finding, Severity};
use skillmeat_shared::artifact::{ParseStatus, frontmatter, metadata};
use skillmeat_shared::collection::spelling;
use skillmeat_shared::error::word;
use skillmeat_shared::fs::read_bounded;
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{Code, Error, Kind, Result};

use super::super::change::{Caller, ChangeSummary, Draft, Place};
use super::super::selection::Selection;
use super::super::{App, collections};
use super::validate::findings_with;
use super::{Batch, Work, files, id_of, relock, said};
use crate::store::collection;
use crate::store::list::Summary;

/// The results that a summary always counts.
const RESULTS: [&str; 3] = ["saved", "unchanged", "failed"];

/// Largest file that is edited, bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Findings that are told of one edit.
const MAX_TOLD: usize = 5;

/// What says how legible the fields are.
const LEGIBILITY: [&str; 2] = ["fields.invalid", "fields.quotes"];

/// What hides everything else that may be wrong.
const HIDING: [&str; 5] = [
    "fields.invalid",
    "fields.missing",
    "file.empty",
    "file.encoding",
    "settings.invalid",
];

/// A file that is to be edited.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields of OpenFileResponse; see curation.proto"
)]
pub struct Opened {
    pub collection: String,
    pub id: String,
    pub file: String,
    pub path: PathBuf,
    pub content: Vec<u8>,
}

/// A file that was edited.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields of SaveFileRequest; see curation.proto"
)]
pub struct SaveRequest {
    pub collection: String,
    pub artifact: ArtifactRef,
    pub file: String,
    pub before: Vec<u8>,
    pub content: Vec<u8>,
    pub dry_run: bool,
}

impl App {
    /// A text file of an artifact.
    pub fn open_file(&self, named: &str, artifact: &ArtifactRef, file: &str) -> Result<Opened> {
        let store = self.store()?;
        self.asked(&store, named, false)?;
        let name = self.collection_or_default(named);
        let row = self.resolve_in(&store, &name, artifact)?;
        let known = store.read(collection::all)?;
        let root = known
            .into_iter()
            .find(|one| one.name == name)
            .map(|one| PathBuf::from(one.path))
            .ok_or_else(|| collections::not_found(&name))?;
        spelling::plain(&row.path)?;
        let artifact_root = root.join(&row.path);
        let id = id_of(&row).to_string();
        if row.path.is_empty() || !artifact_root.exists() {
            let message = format!("`{id}` has no files");
            return Err(Error::new(Code::FileNotFound, message)
                .hint(format!("`sm show {}` tells what is known of it", word(&id))));
        }
        let scan = skillmeat_shared::artifact::scan::scan(&artifact_root, &root)?;
        let file = chosen(&row, &scan, file)?;
        let path = if scan.is_file {
            artifact_root
        } else {
            skillmeat_shared::fs::join(&artifact_root, &file)?
        };
        let content = read_bounded(&path, MAX_BYTES as u64)?;
        if content.contains(&0) {
            let message = format!("`{}` is no text", file.display());
            return Err(Error::new(Code::ArtifactInvalid, message).at(&path, None));
        }
        Ok(Opened {
            collection: name,
            id,
            file: file.to_string_lossy().into_owned(),
            path,
            content,
        })
    }

    /// Saves a file that was opened.
    pub fn save_file(&self, request: &SaveRequest, caller: &dyn Caller) -> Result<ChangeSummary> {
        if request.content.len() > MAX_BYTES {
            return Err(Error::new(
                Code::FileTooLarge,
                "the text is longer than 4 MiB",
            ));
        }
        let work = Work {
            verb: "artifact.edit",
            words: format!("edit `{}` of", request.file),
            results: &RESULTS,
            dry_run: request.dry_run,
        };
        let selection = Selection::one(&request.collection, &request.artifact);
        self.curate(&work, &selection, caller, &|draft, batch| {
            let Some(row) = batch.rows.first() else {
                return Ok(());
            };
            match plan(request, draft, batch, row) {
                Ok(Some(note)) => {
                    let touched: Vec<_> = batch.touched(row).into_iter().collect();
                    relock(draft, batch.collection, &touched)?;
                    let result = said(request.dry_run, "would-save", "saved");
                    batch.done(row, result, &note, &row.path);
                }
                Ok(None) => batch.done(row, "unchanged", "", &row.path),
                Err(error) => batch.failed(row, &error),
            }
            Ok(())
        })
    }
}

/// The file that is meant.
fn chosen(
    row: &Summary,
    scan: &skillmeat_shared::artifact::scan::Scan,
    file: &str,
) -> Result<PathBuf> {
    let id = id_of(row);
    if file.is_empty() {
        return metadata::manifest_file(&id.kind, scan).ok_or_else(|| {
            Error::new(
                Code::FileNotFound,
                format!("`{id}` has no file that says what it is"),
            )
            .hint("name the file: `sm edit NAME FILE`")
        });
    }
    let path = Path::new(file);
    let is_inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let known = scan.entries.iter().any(|entry| entry.path == path);
    if is_inside && known {
        return Ok(path.to_owned());
    }
    let shown: String = file.chars().take(200).collect();
    Err(
        Error::new(Code::FileNotFound, format!("`{id}` has no file `{shown}`")).hint(format!(
            "`sm show {}` lists its files",
            word(&id.to_string())
        )),
    )
}

/// What to tell of it, if the file changes.
fn plan(
    request: &SaveRequest,
    draft: &mut Draft<'_>,
    batch: &Batch<'_>,
    row: &Summary,
) -> Result<Option<String>> {
    let place = files::place_of(batch.collection, row);
    let scan = files::scanned(draft, batch.collection, &place)?;
    let file = chosen(row, &scan, &request.file)?;
    let target = files::inside(&place, &scan, &file);
    let before = draft.read(&target)?;
    if before.as_deref() == Some(&request.content) {
        return Ok(None);
    }
    if before.as_deref() != Some(&request.before) {
        // Not the code for a plan that is to be made again: this text will stay another one.
        let message = format!("`{}` was changed by somebody else meanwhile", target.path);
        return Err(Error::new(Code::FileExists, message).hint("put both together, and save that"));
    }
    let kind = Kind::from_manifest(&row.kind);
    let mut notes = Vec::new();
    if metadata::manifest_file(&kind, &scan).as_ref() == Some(&file) {
        notes.extend(valid(&file, &target, &request.before, &request.content)?);
    }
    let mut found = |bytes: &[u8]| findings_with(draft, (&place, row), &scan, (&file, bytes));
    let (before, after) = (found(&request.before)?, found(&request.content)?);
    notes.extend(no_worse(&target, &before, &after)?);
    let note = notes.join("; ");
    draft.write(&target, request.content.clone())?;
    Ok(Some(note))
}

/// How much of the frontmatter can be read, the worst first.
const fn legibility(status: ParseStatus) -> u8 {
    match status {
        ParseStatus::Fallback => 0,
        ParseStatus::Repaired => 1,
        ParseStatus::Strict => 2,
    }
}

/// Fails if there is an error that was not there before. Warnings that are new, and the errors that were, are told.
pub(super) fn no_worse(
    target: &Place,
    before: &[Finding],
    after: &[Finding],
) -> Result<Vec<String>> {
    let was_there = |one: &&Finding| before.iter().any(|other| other.rule == one.rule);
    let told = |one: &Finding| format!("{} ({})", one.message, one.rule.id);
    // Where fields could not be read, nothing was known of what they say.
    let was_known = !before.iter().any(|one| HIDING.contains(&one.rule.id));
    // Of what can't be read it is told already.
    let after = after
        .iter()
        .filter(|one| !LEGIBILITY.contains(&one.rule.id));
    let (errors, rest): (Vec<_>, Vec<_>) = after.partition(|one| one.severity == Severity::Error);
    let mut new = errors.iter().filter(|one| was_known && !was_there(one));
    if let Some(first) = new.next() {
        let more = match new.count() {
            0 => String::new(),
            count => format!(", and {count} more"),
        };
        let message = format!("`{}`: {}{more}", target.path, told(first));
        return Err(Error::new(Code::FrontmatterInvalid, message)
            .at(&target.path, first.line)
            .hint("`sm validate --rules` lists the rules"));
    }
    // One rule may be broken at two places: the same words tell which it is.
    let was_said = |one: &&Finding| {
        let mut said = before.iter().filter(|other| other.rule == one.rule);
        said.any(|other| other.message == one.message)
    };
    let is_new = |one: &&Finding| one.severity == Severity::Warning && !was_said(one);
    let warnings = rest.into_iter().filter(is_new);
    Ok(warnings.chain(errors).map(told).take(MAX_TOLD).collect())
}

/// Fails if fewer could read what the artifact is than before. Of what was hard to read before it is told.
fn valid(file: &Path, target: &Place, before: &[u8], content: &[u8]) -> Result<Option<String>> {
    let invalid = |message: String, line: Option<u32>| {
        Err(Error::new(Code::FrontmatterInvalid, message).at(&target.path, line))
    };
    let Ok(text) = std::str::from_utf8(content) else {
        return invalid(format!("`{}` is not UTF-8", target.path), None);
    };
    if text.trim().is_empty() {
        return invalid(format!("`{}` is empty", target.path), None);
    }
    let document = frontmatter::parse_file(file, content);
    let Some((why, line)) = document.error else {
        return Ok(None);
    };
    let at = line
        .map(|line| format!(" (line {line})"))
        .unwrap_or_default();
    let was = frontmatter::parse_file(file, before).status;
    match document.status {
        ParseStatus::Strict => Ok(None),
        now if legibility(now) < legibility(was) => {
            let readers = if now == ParseStatus::Repaired {
                "can't be read by strict readers"
            } else {
                "can't be read"
            };
            invalid(format!("`{}` {readers}: {why}", target.path), line)
        }
        ParseStatus::Repaired => Ok(Some(format!(
            "strict readers can't read it: {why}{at}; `sm validate --fix` mends what it can"
        ))),
        ParseStatus::Fallback => Ok(Some(format!("it still can't be read: {why}{at}"))),
    }
}
