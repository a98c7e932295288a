//! The snapshots that the ancestor made: an index and one `.tar.gz` for each.

use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::DeValue;

use super::snapshot;
use crate::bundle::archive::{Limits, RATIO};
use crate::document::{self, Lines};
use crate::time::Timestamp;
use crate::{Code, Error, Result};

/// The index's name in the folder of a collection's snapshots.
pub const INDEX: &str = "snapshots.toml";

/// Bytes of the largest index that is read.
const MAX_INDEX: u64 = 16 * 1024 * 1024;

/// What an archive of a whole collection may hold.
pub const LIMITS: Limits = Limits {
    entries: 500_000,
    bytes: 16 << 30,
    ratio: RATIO,
    portable: false,
    flat: false,
};

/// One snapshot that the ancestor made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AncestorSnapshot {
    /// Its name.
    pub id: String,
    /// When it was made.
    pub at: Timestamp,
    /// What the user said, or `[auto]` and why it was made.
    pub message: String,
    /// Artifacts in it, as the ancestor counts them.
    pub artifacts: u64,
    /// The archive; `None` if it is neither beside the index nor where the index says.
    pub archive: Option<PathBuf>,
    /// Bytes of the archive.
    pub size: u64,
}

/// The snapshots in a folder, in the order of the index. Without an index there are none; entries that make no
/// sense are left out, and told by their line.
pub fn list(folder: &Path) -> Result<(Vec<AncestorSnapshot>, Vec<Error>)> {
    let path = folder.join(INDEX);
    let bytes = match crate::fs::read_bounded(&path, MAX_INDEX) {
        Ok(bytes) => bytes,
        Err(error) if error.code == Code::FileNotFound => return Ok((Vec::new(), Vec::new())),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&bytes);
    let unreadable = |why: &str, line: Option<u32>| {
        let message = format!("`{}` {why}", path.display());
        Error::new(Code::FileIo, message)
            .hint("mend it there, or import the archives beside it: `sm snapshot import FILE`")
            .at(&path, line)
    };
    let lines = Lines::of(&text);
    let root = document::parse(&text, &lines)
        .map_err(|error| unreadable(&format!("can't be read: {error}"), Some(error.line)))?;
    let entries = match root.get_ref().get("snapshots").map(toml::Spanned::get_ref) {
        Some(DeValue::Array(entries)) => entries,
        _ => &toml::de::DeArray::new(),
    };
    let mut all = Vec::new();
    let mut problems = Vec::new();
    for entry in entries {
        let said = document::to_json(entry.get_ref());
        let text = |key: &str| said.get(key).and_then(Value::as_str).unwrap_or_default();
        let id = text("id");
        let Ok(moment) = snapshot::moment_of(id) else {
            let line = lines.start(&entry.span());
            problems.push(unreadable("has an entry without a sound id", Some(line)));
            continue;
        };
        let (archive, size) = locate(folder, id, Path::new(text("tarball_path")));
        all.push(AncestorSnapshot {
            at: Timestamp::parse(text("timestamp")).unwrap_or(moment),
            message: text("message").to_owned(),
            artifacts: said
                .get("artifact_count")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            archive,
            size,
            id: id.to_owned(),
        });
    }
    Ok((all, problems))
}

/// Whether the folder of a collection's snapshots has an index, of whatever kind.
pub fn has_index(folder: &Path) -> bool {
    folder.join(INDEX).symlink_metadata().is_ok()
}

/// The collections that have an index, given the folder that holds the folders of their snapshots.
pub fn collections(snapshots: &Path) -> Vec<String> {
    let entries = fs::read_dir(snapshots).into_iter().flatten().flatten();
    entries
        .filter(|entry| has_index(&entry.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// The archive lies beside the index, even if the home was moved since; else where the index says.
fn locate(folder: &Path, id: &str, said: &Path) -> (Option<PathBuf>, u64) {
    let name = format!("{id}.tar.gz");
    let elsewhere = said
        .file_name()
        .is_some_and(|there| there == name.as_str())
        .then(|| said.to_path_buf())
        .filter(|said| said.is_absolute());
    [Some(folder.join(&name)), elsewhere]
        .into_iter()
        .flatten()
        .find_map(|path| match fs::metadata(&path) {
            Ok(found) if found.is_file() => Some((Some(path), found.len())),
            _ => None,
        })
        .unwrap_or_default()
}

/// The one folder in an unpacked archive: the collection.
///
/// # Errors
/// [`Code::ArchiveInvalid`] if there is not exactly one, or it has no manifest.
pub fn collection_in(unpacked: &Path) -> Result<PathBuf> {
    let fail = |error: &std::io::Error| Error::io("read", unpacked, error);
    let invalid = |why: &str| {
        Error::new(Code::ArchiveInvalid, format!("the archive {why}")).hint(
            "a snapshot's archive holds one folder, the collection, with its `collection.toml`",
        )
    };
    let mut entries = fs::read_dir(unpacked)
        .map_err(|error| fail(&error))?
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| fail(&error))?;
    let (Some(only), true) = (entries.pop(), entries.is_empty()) else {
        return Err(invalid("does not hold exactly one folder"));
    };
    let path = only.path();
    match fs::symlink_metadata(path.join(crate::collection::MANIFEST)) {
        Ok(found) if found.is_file() => Ok(path),
        Err(error) if error.kind() != Io::NotFound && error.kind() != Io::NotADirectory => {
            Err(fail(&error))
        }
        _ => Err(invalid("holds no collection")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::fs::write(path, bytes, 0o600).unwrap();
    }

    #[test]
    fn a_moved_home_and_bad_entries_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("snapshots").join(name);
        let elsewhere = folder.path().join("old/20261120-155314-726604.tar.gz");
        touch(&at("20261120-155145-120724.tar.gz"), b"abc");
        touch(&elsewhere, b"defg");
        touch(&folder.path().join("old/secret"), b"s");
        let index = format!(
            r#"
[[snapshots]]
id = "20261120-155145-120724"
timestamp = "2026-11-20T15:51:45.120724"
message = "[auto] Before rollback"
artifact_count = 8
tarball_path = "/gone/snapshots/default/20261120-155145-120724.tar.gz"

[[snapshots]]
id = "../../etc"
tarball_path = "/etc/passwd"

[[snapshots]]
id = "20261120-155314-726604"
timestamp = "rubbish"
message = "First backup"
tarball_path = "{}"

[[snapshots]]
id = "20261120-155441-426224"
tarball_path = "{}"
"#,
            elsewhere.display(),
            folder.path().join("old/secret").display(),
        );
        touch(&at(INDEX), index.as_bytes());
        let (all, problems) = list(&at("")).unwrap();
        let seen: Vec<_> = all
            .iter()
            .map(|one| {
                (
                    one.id.as_str(),
                    one.artifacts,
                    one.size,
                    one.archive.is_some(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("20261120-155145-120724", 8, 3, true),
                ("20261120-155314-726604", 0, 4, true),
                ("20261120-155441-426224", 0, 0, false),
            ]
        );
        assert_eq!(all[1].at, snapshot::moment_of(&all[1].id).unwrap());
        assert_eq!((problems.len(), problems[0].line), (1, Some(9)));
        assert_eq!(list(&at("none")).unwrap(), (vec![], vec![]));
        assert_eq!(collections(folder.path()), ["snapshots"]);
        touch(&at(INDEX), b"[[snapshots]\n");
        assert_eq!(list(&at("")).unwrap_err().line, Some(1));
    }

    #[test]
    fn an_archive_holds_one_collection() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(collection_in(root).is_err());
        touch(&root.join("work/collection.toml"), b"");
        assert_eq!(collection_in(root).unwrap(), root.join("work"));
        touch(&root.join("other"), b"");
        assert_eq!(collection_in(root).unwrap_err().code, Code::ArchiveInvalid);
    }
}
