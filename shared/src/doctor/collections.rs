//! Damage in collections: manifests, and artifacts that only one side knows.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use unicode_normalization::char::{canonical_combining_class, decompose_canonical};

use super::{
    ARTIFACT_CLASH, ARTIFACT_MISSING, ARTIFACT_ORPHAN, COLLECTION_BROKEN, COLLECTION_LINKED_OUT,
    COLLECTION_NO_MANIFEST, COLLECTION_UNREACHABLE, COLLECTION_UNREADABLE, ENTRY_BROKEN,
    FILE_UNREADABLE, Finding, LINK_BROKEN, LINK_OUTSIDE, LOCK_ENTRY_MISSING, LOCK_ENTRY_ORPHAN,
};
use crate::artifact::{Problem, Status, scan};
use crate::collection::{LOCK, MANIFEST, layout, spelling};
use crate::id::ArtifactId;
use crate::paths::Home;
use crate::reconcile::{self, Audited, CollectionState};
use crate::{Code, Error, Kind};

/// The most collections that are looked at.
const MAX_COLLECTIONS: usize = 1000;

/// The most findings about the files of one collection: more tell nothing new.
const MAX_FILES: usize = 1000;

/// A collection to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// The name of its folder.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// It lies outside of the home, where the config says.
    pub external: bool,
}

/// The folders that are, or should be, collections: those of the home, and the one that the config names. Of those in
/// the home that are `expected` the ones that are gone are there, too.
pub fn in_home(home: &Home, configured: Option<&Path>, expected: &[String]) -> Vec<Collection> {
    let mut all: Vec<Collection> = std::fs::read_dir(home.collections())
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| Collection {
            name: entry.file_name().to_string_lossy().into_owned(),
            path: entry.path(),
            external: false,
        })
        .filter(|collection| !collection.name.starts_with('.'))
        .take(MAX_COLLECTIONS)
        .collect();
    let gone = expected.iter().map(|name| Collection {
        name: name.clone(),
        path: home.collection(name),
        external: false,
    });
    all.extend(gone.filter(|one| one.path.symlink_metadata().is_err()));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup_by(|a, b| a.name == b.name);
    if let Some(path) = configured {
        let is_same = |one: &Collection| {
            one.path.canonicalize().ok().is_some_and(|inside| {
                path.canonicalize()
                    .is_ok_and(|configured| configured == inside)
            })
        };
        if !all.iter().any(is_same) {
            let name = path
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            all.push(Collection {
                name,
                path: path.to_owned(),
                external: true,
            });
        }
    }
    all
}

/// What is wrong with a collection.
pub fn examine(collection: &Collection) -> Vec<Finding> {
    let Collection { name, path, .. } = collection;
    let unread = |error: &Error| {
        let (diagnosis, what) = if std::fs::read_dir(path).is_ok() {
            (&COLLECTION_UNREADABLE, "compared with its files")
        } else {
            (&COLLECTION_UNREACHABLE, "reached")
        };
        let message = format!("`{name}` can't be {what}: {error}");
        let place = error.path.as_ref().unwrap_or(path);
        Finding::new(diagnosis, name, message).at(place, None)
    };
    let audit = match reconcile::audit(path) {
        Ok(audit) => audit,
        Err(error) => return vec![unread(&error)],
    };
    let mut findings: Vec<Finding> = audit.unread.iter().map(unread).collect();
    if let CollectionState::NoManifest = audit.state {
        findings.extend(without_manifest(collection));
        return findings;
    }
    let outside = layout::linked_out(path);
    findings.extend(outside.iter().map(|folder| {
        let message = format!("`{folder}` of `{name}` leads out of the collection");
        Finding::new(&COLLECTION_LINKED_OUT, name, message).at(path.join(folder), None)
    }));
    for problem in &audit.problems {
        let is_fatal = problem.code == "manifest.invalid" || problem.code == "manifest.unreadable";
        let diagnosis = if is_fatal {
            &COLLECTION_BROKEN
        } else {
            &ENTRY_BROKEN
        };
        findings.push(of_problem(diagnosis, collection, problem));
    }
    let servers: HashSet<&ArtifactId> = audit
        .artifacts
        .iter()
        .filter(|artifact| artifact.status == Status::Declared)
        .map(|artifact| &artifact.id)
        .collect();
    for artifact in &audit.artifacts {
        findings.extend(of_artifact(collection, artifact, &servers));
    }
    findings.extend(clashes(collection, &audit.artifacts));
    let may_read = |path: &Path| access(path, Access::READ_OK).is_ok();
    findings.extend(files(collection, &audit.artifacts, &may_read));
    // A lock file of which nothing is known would make every artifact look unlocked.
    let has_lock = path.join(LOCK).symlink_metadata().is_ok();
    if has_lock && audit.state == CollectionState::Ok {
        findings.extend(of_lock(collection, &audit.artifacts));
    }
    findings.extend(audit.locked_only.iter().map(|id| {
        let message = format!("`{LOCK}` of `{name}` has an entry for `{id}`, which is not there");
        Finding::new(&LOCK_ENTRY_ORPHAN, id.to_string(), message).at(path.join(LOCK), None)
    }));
    findings
}

fn of_problem(
    diagnosis: &'static super::Diagnosis,
    collection: &Collection,
    problem: &Problem,
) -> Finding {
    let file = problem.path.as_deref().unwrap_or(MANIFEST);
    let message = format!("`{}`: {}", collection.name, problem.message);
    Finding::new(diagnosis, &collection.name, message).at(collection.path.join(file), problem.line)
}

/// A folder without a manifest is damage if it holds artifacts, or if the config says it is a collection.
fn without_manifest(collection: &Collection) -> Option<Finding> {
    let Collection { name, path, .. } = collection;
    let holds = layout::list(path).is_ok_and(|listing| !listing.found.is_empty());
    (holds && !collection.external).then(|| {
        let message = format!("`{name}` has no `{MANIFEST}`");
        Finding::new(&COLLECTION_NO_MANIFEST, name, message).at(path, None)
    })
}

fn of_artifact(
    collection: &Collection,
    artifact: &Audited,
    servers: &HashSet<&ArtifactId>,
) -> Vec<Finding> {
    let (name, id) = (&collection.name, &artifact.id);
    let mut findings: Vec<Finding> = artifact
        .problems
        .iter()
        .map(|problem| {
            let message = format!("`{id}` of `{name}`: {}", problem.message);
            let line = problem.line.or(artifact.line);
            Finding::new(&ENTRY_BROKEN, id.to_string(), message)
                .at(collection.path.join(MANIFEST), line)
        })
        .collect();
    match artifact.status {
        Status::Managed | Status::Declared if !is_hollow(collection, artifact) => {}
        Status::Managed | Status::Declared | Status::Missing => {
            let place = artifact.path.as_deref().unwrap_or("the path of its entry");
            let message = format!("`{id}` of `{name}` lacks its files at `{place}`");
            findings.push(
                Finding::new(&ARTIFACT_MISSING, id.to_string(), message)
                    .at(collection.path.join(MANIFEST), artifact.line),
            );
        }
        Status::Unmanaged => {
            let path = artifact.path.as_deref().unwrap_or_default();
            if layout::leads_out(&collection.path, path) {
                // Nothing can be added by it; that it leads out is told among the links.
                return findings;
            }
            let mut message = format!("`{id}` of `{name}` is not in the manifest");
            if servers.contains(id) {
                message = format!(
                    "the files at `{path}` of `{name}` are not in the manifest, which declares a server `{id}`"
                );
            }
            if let Err(error) = spelling::plain(path) {
                message = format!("{message}: {}; {}", error.message, spelling::hint(path));
            }
            findings.push(
                Finding::new(&ARTIFACT_ORPHAN, id.to_string(), message)
                    .at(collection.path.join(path), None),
            );
        }
    }
    findings
}

/// Whether the folder of a skill lacks the file that makes it one.
fn is_hollow(collection: &Collection, artifact: &Audited) -> bool {
    let is_skill = artifact.id.kind == Kind::Skill;
    let Some(path) = artifact.path.as_deref().filter(|_| is_skill) else {
        return false;
    };
    let place = spelling::on_disk(&collection.path, path);
    place.is_dir() && !place.join("SKILL.md").exists()
}

/// A path in lower case and in the canonical decomposed form. The client carries what this needs of Unicode's tables, and
/// those of the other forms are several times as large.
fn folded(path: &str) -> Vec<char> {
    let mut letters = Vec::with_capacity(path.len());
    for c in path.chars().flat_map(char::to_lowercase) {
        decompose_canonical(c, |part| letters.push(part));
    }
    // A letter and its marks, which come in an order of their own.
    for marked in letters.chunk_by_mut(|_, next| canonical_combining_class(*next) != 0) {
        marked.sort_by_key(|c| canonical_combining_class(*c));
    }
    letters
}

/// Artifacts at places that differ only in case, or in how letters with marks are written.
fn clashes(collection: &Collection, artifacts: &[Audited]) -> Vec<Finding> {
    let mut taken: HashMap<Vec<char>, &Audited> = HashMap::new();
    let mut findings = Vec::new();
    for artifact in artifacts {
        let Some(path) = &artifact.path else {
            continue;
        };
        let first = *taken.entry(folded(path)).or_insert(artifact);
        if first.path.as_ref() != Some(path) {
            let (one, other) = (&first.id, &artifact.id);
            let message = format!(
                "`{one}` and `{other}` of `{}` differ only in how their names are spelt",
                collection.name
            );
            findings.push(
                Finding::new(&ARTIFACT_CLASH, other.to_string(), message)
                    .at(collection.path.join(path), None),
            );
        }
    }
    findings
}

/// Links that lead nowhere or away, and what can't be read. No file is opened.
pub(super) fn files(
    collection: &Collection,
    artifacts: &[Audited],
    may_read: &dyn Fn(&Path) -> bool,
) -> Vec<Finding> {
    let Collection {
        name, path: root, ..
    } = collection;
    let finding = |diagnosis, path: &Path, what: &str| {
        let subject = path.display().to_string();
        let message = format!("`{subject}` {what}");
        Finding::new(diagnosis, subject, message).at(path, None)
    };
    let (broken, unreadable) = ("leads nowhere", "can't be read");
    let mut findings: Vec<Finding> = layout::broken_links(root)
        .iter()
        .map(|path| finding(&LINK_BROKEN, path, broken))
        .collect();
    let outside = format!("leads out of `{name}`");
    for path in artifacts.iter().filter_map(|one| one.path.as_deref()) {
        let place = spelling::on_disk(root, path);
        match scan::scan(&place, root) {
            Ok(scan) => {
                let read = scan.entries.iter().filter(|entry| entry.kind.is_readable());
                let places = read.map(|entry| scan.location(&place, entry));
                let closed = places.filter(|place| !may_read(place));
                findings.extend(closed.map(|place| finding(&FILE_UNREADABLE, &place, unreadable)));
                findings.extend(scan.problems.iter().filter_map(|problem| {
                    let (diagnosis, what) = match problem.code.as_str() {
                        "link.broken" => (&LINK_BROKEN, broken),
                        "link.outside" => (&LINK_OUTSIDE, outside.as_str()),
                        "file.unreadable" => (&FILE_UNREADABLE, unreadable),
                        _ => return None,
                    };
                    let path = problem.path.as_deref().unwrap_or(path);
                    Some(finding(diagnosis, &spelling::on_disk(root, path), what))
                }));
            }
            Err(error) if error.code == Code::FileOutside => {
                findings.push(finding(&LINK_OUTSIDE, &place, &outside));
            }
            // Missing, or broken as a whole: told already.
            Err(_) => {}
        }
        if findings.len() >= MAX_FILES {
            findings.truncate(MAX_FILES);
            break;
        }
    }
    findings
}

fn of_lock(collection: &Collection, artifacts: &[Audited]) -> Vec<Finding> {
    artifacts
        .iter()
        .filter(|artifact| artifact.status == Status::Managed && !artifact.locked)
        .map(|artifact| {
            let id = &artifact.id;
            let message = format!("`{LOCK}` of `{}` has no entry for `{id}`", collection.name);
            Finding::new(&LOCK_ENTRY_MISSING, id.to_string(), message)
                .at(collection.path.join(LOCK), None)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_told_as_one() {
        for (one, other) in [
            ("skills/PDF", "skills/pdf"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("\u{1e69}", "s\u{307}\u{323}"),
            ("q\u{323}\u{307}", "Q\u{307}\u{323}"),
            ("\u{212b}", "a\u{30a}"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in [("cafe", "caf\u{e9}"), ("\u{fb01}", "fi"), ("a b", "a  b")] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }

    #[test]
    fn a_link_that_leads_out_is_no_artifact_to_add() {
        let folder = super::super::tests::folder();
        let collection = super::super::tests::collection(&folder.home);
        let elsewhere = folder.home.root().join("elsewhere");
        for skill in [&elsewhere, &collection.path.join("skills/mine")] {
            std::fs::create_dir_all(skill).unwrap();
            crate::fs::write(&skill.join("SKILL.md"), b"# it\n", 0o600).unwrap();
        }
        let link = |to: &Path, at: &str| {
            std::os::unix::fs::symlink(to, collection.path.join(at)).unwrap();
        };
        link(&elsewhere, "skills/evil");
        link(Path::new("mine"), "skills/inside");
        let findings = examine(&collection);
        let mut told: Vec<(&str, bool)> = findings
            .iter()
            .map(|one| (one.diagnosis.code, one.subject.ends_with("evil")))
            .collect();
        told.sort_unstable();
        let orphan = ("artifact-orphan", false);
        assert_eq!(
            told,
            [orphan, orphan, ("link-outside", true)],
            "{findings:#?}"
        );
    }
}
