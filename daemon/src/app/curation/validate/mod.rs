//! Artifacts are held to the rules of those who read them, in collections and elsewhere.

mod found;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::validate::{
    Finding, Fix, Severity, Subject, settings_files, validate,
};
use skillmeat_shared::artifact::{frontmatter, metadata, scan};
use skillmeat_shared::collection::spelling;
use skillmeat_shared::fs::{Expected, read_bounded, swap};
use skillmeat_shared::{Code, Error, Kind, Result};

use self::found::found;
use super::super::App;
use super::super::change::{ChangeItem, Draft, Nobody, Place};
use super::super::selection::Selection;
use super::{Work, failed, files, id_of, relock};
use crate::store::collection;
use crate::store::list::Summary;

/// Largest file that is held to rules, bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Findings of one answer.
const MAX_FINDINGS: usize = 20_000;

/// What is to be looked at.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields of ValidateRequest; see curation.proto"
)]
pub struct ValidateRequest {
    pub selection: Selection,
    pub paths: Vec<PathBuf>,
    pub strict: bool,
    pub fix: bool,
    pub dry_run: bool,
}

/// What was found.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields of ValidateResponse; see curation.proto"
)]
pub struct Validated {
    pub checked: u64,
    pub artifacts: Vec<Validation>,
    pub failed: Vec<ChangeItem>,
    pub mended: Vec<(String, &'static str)>,
    pub operation: Option<String>,
    pub truncated: bool,
}

/// What is wrong with one artifact.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of Validation; see curation.proto")]
pub struct Validation {
    pub id: String,
    pub collection: String,
    pub path: PathBuf,
    pub findings: Vec<Finding>,
}

/// An artifact on disk.
struct Artifact {
    id: String,
    kind: Kind,
    path: PathBuf,
}

/// What was read of it.
struct Held {
    scan: scan::Scan,
    manifest: Option<(PathBuf, Vec<u8>)>,
    settings: Vec<(PathBuf, Vec<u8>)>,
}

impl App {
    /// Holds artifacts to the rules. With `fix`, what can be mended without guessing is mended first.
    pub fn validate(&self, request: &ValidateRequest) -> Result<Validated> {
        let mut done = Validated::default();
        let selection = &request.selection;
        let is_named = !selection.names.is_empty() || selection.is_filtered();
        if is_named || request.paths.is_empty() {
            let all = Selection {
                names: vec!["*".to_owned()],
                ..selection.clone()
            };
            let selection = if is_named { selection } else { &all };
            if request.fix {
                self.mend(selection, request.dry_run, &mut done)?;
            }
            self.held(selection, request, &mut done)?;
        }
        let roots = self.real_roots()?;
        for path in &request.paths {
            match found(path) {
                Ok(artifacts) => {
                    for artifact in artifacts {
                        if request.fix {
                            mend_outside(&artifact, &roots, request.dry_run, &mut done);
                        }
                        done.look(&artifact, "", request.strict);
                    }
                }
                Err(error) => done
                    .failed
                    .push(failed(&path.display().to_string(), &error)),
            }
        }
        Ok(done)
    }

    /// The folders of all collections, without links in their paths.
    fn real_roots(&self) -> Result<Vec<PathBuf>> {
        let known = self.store()?.read(collection::all)?;
        let roots = known.into_iter().map(|one| PathBuf::from(one.path));
        Ok(roots
            .map(|root| std::fs::canonicalize(&root).unwrap_or(root))
            .collect())
    }

    /// Holds the artifacts of a collection to the rules.
    fn held(
        &self,
        selection: &Selection,
        request: &ValidateRequest,
        done: &mut Validated,
    ) -> Result<()> {
        let store = self.store()?;
        self.asked(&store, &selection.collection, false)?;
        let name = self.collection_or_default(&selection.collection);
        let known = store.read(collection::all)?;
        let Some(root) = known.into_iter().find(|one| one.name == name) else {
            return Ok(());
        };
        let selected = self.select(&name, selection)?;
        for (name, error) in &selected.failed {
            let is_empty = name == "*" && error.code == Code::ArtifactNotFound;
            if !is_empty && !done.failed.iter().any(|item| item.id == *name) {
                done.failed.push(failed(name, error));
            }
        }
        for row in selected.rows.iter().filter(|row| row.status != "declared") {
            let artifact = Artifact {
                id: id_of(row).to_string(),
                kind: Kind::from_manifest(&row.kind),
                path: spelling::on_disk(Path::new(&root.path), &row.path),
            };
            done.look(&artifact, &name, request.strict);
        }
        Ok(())
    }

    /// Mends the artifacts of a collection, as one operation.
    fn mend(&self, selection: &Selection, dry_run: bool, done: &mut Validated) -> Result<()> {
        let work = Work {
            verb: "artifact.mend",
            words: "mend".to_owned(),
            results: &[],
            dry_run,
        };
        let mended = RefCell::new(Vec::new());
        let failures = RefCell::new(Vec::new());
        let summary = self.curate(&work, selection, &Nobody, &|draft, batch| {
            mended.borrow_mut().clear();
            failures.borrow_mut().clear();
            let mut touched = Vec::new();
            for row in batch.rows.iter().filter(|row| !row.path.is_empty()) {
                let id = id_of(row).to_string();
                match mend_one(draft, batch.collection, row) {
                    Ok(rules) => {
                        touched.extend(batch.touched(row).filter(|_| !rules.is_empty()));
                        let rules = rules.into_iter().map(|rule| (id.clone(), rule));
                        mended.borrow_mut().extend(rules);
                    }
                    Err(error) if error.code == Code::FileChanged => return Err(error),
                    Err(error) if error.code == Code::FileNotFound => {}
                    Err(error) => failures.borrow_mut().push(failed(&id, &error)),
                }
            }
            relock(draft, batch.collection, &touched)
        })?;
        done.mended = mended.into_inner();
        done.failed = failures.into_inner();
        done.operation = summary.operation;
        Ok(())
    }
}

impl Validated {
    fn look(&mut self, artifact: &Artifact, collection: &str, strict: bool) {
        self.checked += 1;
        let findings = read(artifact).map(|held| {
            let mut findings = held.findings(artifact, strict);
            if !collection.is_empty() && held.is_of_another(&artifact.path) {
                for finding in &mut findings {
                    finding.fix = None;
                }
            }
            findings
        });
        match findings {
            Ok(findings) if findings.is_empty() => {}
            Ok(findings) => {
                let so_far: usize = self.artifacts.iter().map(|one| one.findings.len()).sum();
                if so_far + findings.len() > MAX_FINDINGS {
                    self.truncated = true;
                    return;
                }
                self.artifacts.push(Validation {
                    id: artifact.id.clone(),
                    collection: collection.to_owned(),
                    path: artifact.path.clone(),
                    findings,
                });
            }
            Err(error) => self.failed.push(failed(&artifact.id, &error)),
        }
    }

    /// Whether anything is an error.
    pub fn has_errors(&self) -> bool {
        let mut findings = self.artifacts.iter().flat_map(|one| &one.findings);
        findings.any(|finding| finding.severity == Severity::Error)
    }
}

impl Held {
    /// Whether the file that says what the artifact is lies elsewhere, behind a link: what is right for it is for whose
    /// file it is.
    fn is_of_another(&self, path: &Path) -> bool {
        let file = self.manifest.as_ref().map(|(file, _)| path.join(file));
        path.is_symlink() || !self.scan.is_file && file.is_some_and(|file| file.is_symlink())
    }

    fn findings(&self, artifact: &Artifact, strict: bool) -> Vec<Finding> {
        let manifest = self.manifest.as_ref();
        findings(
            &artifact.kind,
            &artifact.path,
            &self.scan,
            manifest.map(|(file, bytes)| (file.as_path(), bytes.as_slice())),
            &self.settings,
            strict,
        )
    }
}

fn findings(
    kind: &Kind,
    path: &Path,
    scan: &scan::Scan,
    manifest: Option<(&Path, &[u8])>,
    settings: &[(PathBuf, Vec<u8>)],
    strict: bool,
) -> Vec<Finding> {
    let files = files_in(scan);
    let folder = path.file_name().unwrap_or_default().to_string_lossy();
    let subject = Subject {
        kind,
        name: &folder,
        is_file: scan.is_file,
        manifest,
        files: &files,
        settings,
    };
    validate(&subject, strict)
}

/// What is wrong with an artifact whose file holds these bytes; nothing if no rule looks into that file.
pub(super) fn findings_with(
    draft: &mut Draft<'_>,
    (place, row): (&Place, &Summary),
    scan: &scan::Scan,
    (file, bytes): (&Path, &[u8]),
) -> Result<Vec<Finding>> {
    let kind = Kind::from_manifest(&row.kind);
    let manifest = metadata::manifest_file(&kind, scan);
    let settings = settings_files(&kind, &files_in(scan), scan.is_file);
    if manifest.as_deref() != Some(file) && !settings.iter().any(|other| other == file) {
        return Ok(Vec::new());
    }
    let mut bytes_of = |other: &Path| {
        if other == file {
            return Ok(bytes.to_vec());
        }
        let read = draft.read(&files::inside(place, scan, other))?;
        Ok(read.unwrap_or_default())
    };
    let manifest = manifest.map(|one| bytes_of(&one).map(|bytes| (one, bytes)));
    let manifest = manifest.transpose()?;
    let settings = settings.into_iter();
    let settings = settings.map(|one| bytes_of(&one).map(|bytes| (one, bytes)));
    let settings = settings.collect::<Result<Vec<_>>>()?;
    let manifest = manifest.as_ref();
    Ok(findings(
        &kind,
        Path::new(&row.path),
        scan,
        manifest.map(|(file, bytes)| (file.as_path(), bytes.as_slice())),
        &settings,
        false,
    ))
}

fn files_in(scan: &scan::Scan) -> Vec<PathBuf> {
    let entries = scan.entries.iter();
    entries.map(|entry| entry.path.clone()).collect()
}

fn read(artifact: &Artifact) -> Result<Held> {
    let boundary = artifact.path.parent().unwrap_or(&artifact.path);
    // Says itself that nothing is there.
    std::fs::metadata(&artifact.path).map_err(|e| Error::io("read", &artifact.path, &e))?;
    let scan = scan::scan(&artifact.path, boundary)?;
    let bytes_of = |file: PathBuf| {
        let path = if scan.is_file {
            artifact.path.clone()
        } else {
            artifact.path.join(&file)
        };
        Ok((file, read_bounded(&path, MAX_BYTES)?))
    };
    let manifest = metadata::manifest_file(&artifact.kind, &scan);
    let manifest = manifest.map(bytes_of).transpose()?;
    let settings = settings_files(&artifact.kind, &files_in(&scan), scan.is_file);
    let settings = settings.into_iter().map(bytes_of).collect::<Result<_>>()?;
    Ok(Held {
        scan,
        manifest,
        settings,
    })
}

/// The bytes with everything mended that can be, and the rules that were broken. The file may need another
/// name, too.
type MendedFile = (Vec<u8>, Vec<&'static str>, Option<&'static str>);

fn mended_file(kind: &Kind, file: &Path, bytes: &[u8], findings: &[Finding]) -> Result<MendedFile> {
    let (mut bytes, mut rules, mut renamed) = (bytes.to_vec(), Vec::new(), None);
    // Values can be set only once the fields are YAML.
    let quotes_first = |finding: &&Finding| finding.fix != Some(Fix::Quote);
    let mut ordered: Vec<&Finding> = findings.iter().collect();
    ordered.sort_by_key(quotes_first);
    for finding in ordered {
        match &finding.fix {
            None => continue,
            Some(Fix::Quote) => bytes = frontmatter::edit::quote(&bytes, file, kind)?,
            Some(Fix::Fields(change)) => {
                let changes = std::slice::from_ref(change);
                bytes = frontmatter::edit::edit(&bytes, file, kind, changes)?;
            }
            Some(Fix::Rename(name)) => renamed = Some(*name),
        }
        rules.push(finding.rule.id);
    }
    Ok((bytes, rules, renamed))
}

/// Drafts an artifact without what can be mended; the rules that it broke.
fn mend_one(draft: &mut Draft<'_>, collection: &str, row: &Summary) -> Result<Vec<&'static str>> {
    let place = files::place_of(collection, row);
    let kind = Kind::from_manifest(&row.kind);
    let scan = files::scanned(draft, collection, &place)?;
    let Some(file) = metadata::manifest_file(&kind, &scan) else {
        return Ok(Vec::new());
    };
    let target = files::inside(&place, &scan, &file);
    // It is mended as the file of the other one, if that is chosen.
    if draft.real(&target)? != target {
        return Ok(Vec::new());
    }
    let Some(bytes) = draft.read(&target)? else {
        return Ok(Vec::new());
    };
    let path = Path::new(&row.path);
    let findings = findings(&kind, path, &scan, Some((&file, &bytes)), &[], false);
    let (mended, rules, renamed) = mended_file(&kind, &file, &bytes, &findings)?;
    draft.write(&target, mended)?;
    if let Some(name) = renamed {
        let goal = Place {
            root: place.root.clone(),
            path: format!("{}/{name}", place.path),
        };
        if draft.exists(&goal)? {
            return Ok(rules
                .into_iter()
                .filter(|rule| *rule != "file.name")
                .collect());
        }
        draft.rename(&target, &goal)?;
    }
    Ok(rules)
}

/// Mends a file outside of collections, if nobody else writes it meanwhile. Files keep their names there.
fn mend_outside(artifact: &Artifact, roots: &[PathBuf], dry_run: bool, done: &mut Validated) {
    let mend = || {
        let path = std::fs::canonicalize(&artifact.path).unwrap_or_else(|_| artifact.path.clone());
        if roots.iter().any(|root| path.starts_with(root)) {
            let message = "it lies in a collection";
            return Err(Error::new(Code::InvalidArgument, message)
                .hint("name it instead of its path, so that the change can be undone"));
        }
        let held = read(artifact)?;
        let findings = held.findings(artifact, false);
        let Some((file, bytes)) = &held.manifest else {
            return Ok(Vec::new());
        };
        let (mended, mut rules, _) = mended_file(&artifact.kind, file, bytes, &findings)?;
        rules.retain(|rule| *rule != "file.name");
        if !dry_run && mended != *bytes {
            let path = if held.scan.is_file {
                artifact.path.clone()
            } else {
                artifact.path.join(file)
            };
            swap(&path, &Expected::after_reading(Some(bytes)), &mended)?;
        }
        Ok(rules)
    };
    match mend() {
        Ok(rules) => done
            .mended
            .extend(rules.into_iter().map(|rule| (artifact.id.clone(), rule))),
        Err(error) => done.failed.push(failed(&artifact.id, &error)),
    }
}
