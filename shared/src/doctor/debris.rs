//! What programs that were cut short left lying around: temporaries of ours, lock files of the ancestor, the
//! address of a daemon that is gone.

use std::fs::{self, DirEntry, File};
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use super::{
    CACHE_PUT_ASIDE, Finding, LEFT_BEHIND, RENDEZVOUS_STALE, Repair, SOCKET_STALE, STRAY_LOCK,
};
use crate::collection::MANIFEST;
use crate::fs::is_left_behind;
use crate::history::{self, file::is_aside};
use crate::paths::Home;
use crate::rendezvous::Rendezvous;

/// How the ancestor's lock files end.
const ANCESTOR_LOCK: &str = ".skillmeat-lock";

/// How the ancestor's manifests and lock files begin: which table comes first depends on what they hold.
const BEGINNINGS: &str = "[collection]\n[[artifacts]]\nartifacts = [\n[lock]\n[[groups]]\ngroups = [\n[[tag_definitions]]\ntag_definitions = [\n[[mcp_servers]]\nmcp_servers = [";

/// The most findings of one folder: more tell nothing new.
const MAX_FINDINGS: usize = 1000;

/// What was left in a folder. Not in the folders below it.
pub fn in_folder(folder: &Path) -> Vec<Finding> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut findings: Vec<Finding> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| of_entry(&entry))
        .take(MAX_FINDINGS)
        .collect();
    findings.sort_by(|a, b| a.path.cmp(&b.path));
    findings
}

fn of_entry(entry: &DirEntry) -> Option<Finding> {
    let path = entry.path();
    let name = entry.file_name();
    let name = name.to_string_lossy();
    let subject = path.display().to_string();
    if is_left_behind(entry) {
        let message = format!("`{subject}` was left half-made");
        let finding = Finding::new(&LEFT_BEHIND, subject, message).at(&path, None);
        return Some(finding.mended_by(Repair::SetAside(path)));
    }
    if is_ancestors_temporary(entry, &name) {
        let message = format!("`{subject}` is a manifest that the ancestor did not finish");
        let finding = Finding::new(&LEFT_BEHIND, subject, message).at(&path, None);
        return Some(finding.mended_by(Repair::SetAside(path)));
    }
    if name.starts_with('.') && name.ends_with(ANCESTOR_LOCK) && is_empty_and_free(entry) {
        let message = format!("`{subject}` is a lock file that nobody holds");
        let finding = Finding::new(&STRAY_LOCK, subject, message).at(&path, None);
        return Some(finding.mended_by(Repair::SetAside(path)));
    }
    if is_aside(&path.with_file_name(history::file::NAME), &path) {
        // It is worth something, and told of by itself.
        return None;
    }
    if name.contains(".db.corrupt-") || name.contains(".db.pre-v") {
        let message = format!("`{subject}` was put aside");
        return Some(Finding::new(&CACHE_PUT_ASIDE, subject, message).at(path, None));
    }
    None
}

/// The ancestor writes a manifest to `tmpXXXXXXXX` beside it and renames that; killed, it leaves it. Only
/// beside a manifest, and only if it reads like one.
fn is_ancestors_temporary(entry: &DirEntry, name: &str) -> bool {
    let is_random = name
        .strip_prefix("tmp")
        .map(|rest| rest.trim_end_matches(".tmp"))
        .is_some_and(|rest| {
            rest.len() == 8 && rest.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
        });
    let is_old = || {
        let modified = entry.metadata().and_then(|found| found.modified());
        modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > crate::fs::LEFT_BEHIND))
    };
    let beside_manifest = || {
        let path = entry.path();
        path.with_file_name(MANIFEST).symlink_metadata().is_ok()
    };
    let is_file = || entry.file_type().is_ok_and(|kind| kind.is_file());
    is_random && is_file() && beside_manifest() && is_old() && begins_like_one(&entry.path())
}

fn begins_like_one(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
    read.is_ok()
        && BEGINNINGS
            .lines()
            .any(|one| head.starts_with(one.as_bytes()))
}

/// Whether it is an empty regular file that nobody has locked.
fn is_empty_and_free(entry: &DirEntry) -> bool {
    let is_empty = entry
        .metadata()
        .is_ok_and(|found| found.is_file() && found.len() == 0);
    is_empty && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
}

/// What a daemon that is gone left: its rendezvous and its socket. Ask only if nobody owns the home.
pub fn left_by_a_daemon(home: &Home) -> Vec<Finding> {
    let file = home.rendezvous();
    if file.symlink_metadata().is_err() {
        return Vec::new();
    }
    let left = Rendezvous::load(&file).ok().flatten();
    let what = left.as_ref().map_or_else(
        || "can't be understood".to_owned(),
        |left| format!("names process {}, which does not serve", left.pid),
    );
    let message = format!("`{}` {what}", file.display());
    let mut findings = vec![
        Finding::new(&RENDEZVOUS_STALE, file.display().to_string(), message)
            .at(&file, None)
            .mended_by(Repair::SetAside(file.clone())),
    ];
    let socket = left.map(|left| left.socket).filter(|socket| {
        let found = socket.symlink_metadata();
        found.is_ok_and(|found| found.file_type().is_socket())
    });
    if let Some(socket) = socket {
        let subject = socket.display().to_string();
        let message = format!("nobody listens on `{subject}`");
        findings.push(
            Finding::new(&SOCKET_STALE, subject, message)
                .at(&socket, None)
                .mended_by(Repair::RemoveSocket(socket)),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::tests::{codes, folder};

    #[test]
    fn what_a_person_wrote_is_no_temporary_of_the_ancestor() {
        let folder = folder();
        let root = folder.home.collection("c");
        let found = |text: &str| {
            let path = root.join("tmpnotes_26");
            crate::fs::write(&path, text.as_bytes(), 0o600).unwrap();
            let old = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
            File::open(&path).unwrap().set_modified(old).unwrap();
            codes(&in_folder(&root))
        };
        for theirs in [
            "artifacts = []\n\n[collection]\n",
            "[collection]\nname",
            "[[artifacts]]\n",
            "tag_definitions = [\n",
            "[lock]\nversion = \"1.0.0\"\n",
        ] {
            assert_eq!(found(theirs), ["left-behind"], "{theirs}");
        }
        for mine in [
            "",
            "notes\n",
            "artifacts to look at",
            "[todo]\n",
            "[locks]\n",
            "groups\n",
        ] {
            assert_eq!(found(mine), [""; 0], "{mine}");
        }
    }
}
