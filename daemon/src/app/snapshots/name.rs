//! The name of a collection that goes back: it keeps the one that it has, also if the snapshot is older than that.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use skillmeat_shared::Result;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::collection::{MANIFEST, edit};
use skillmeat_shared::fs::{FileHash, read_bounded};
use skillmeat_shared::history::diff::Change;
use skillmeat_shared::history::{Node, Objects as _, object};

use super::restore::MAX_MANIFEST;
use crate::store::history::Batch;

/// Bytes of a manifest in which the header stands in most.
const HEAD: usize = 64 * 1024;

/// What a collection is called.
pub(super) struct Called<'a> {
    name: &'a str,
    manifest: PathBuf,
}

impl<'a> Called<'a> {
    /// The collection of this name and folder.
    pub(super) fn new(name: &'a str, root: &Path) -> Self {
        Self {
            name,
            manifest: root.join(MANIFEST),
        }
    }

    /// The same change, but for the name in the manifest. Nothing, if that was all of it.
    pub(super) fn as_now(&self, batch: &Batch<'_>, mut change: Change) -> Result<Option<Change>> {
        let Some(Node::File { hash, mode, .. }) = &change.after else {
            return Ok(Some(change));
        };
        if change.path != Path::new(MANIFEST) || self.is_said(batch, hash) {
            return Ok(Some(change));
        }
        let said = |text: &str| Manifest::parse(text).ok()?.header.name;
        // What can't be read says no name, and is no reason to stay as it is.
        let now = read_bounded(&self.manifest, MAX_MANIFEST).unwrap_or_default();
        let now = String::from_utf8(now).unwrap_or_default();
        let Ok(then) = String::from_utf8(object::get(batch, hash, MAX_MANIFEST)?) else {
            return Ok(Some(change));
        };
        let is_other = said(&then).is_some_and(|then| then != self.name);
        if said(&now).as_deref() != Some(self.name) || !is_other {
            return Ok(Some(change));
        }
        let Ok(text) = edit::rename(&then, self.name) else {
            return Ok(Some(change));
        };
        change.after = Some(Node::File {
            mode: *mode,
            size: text.len() as u64,
            hash: object::put(batch, text.as_bytes())?,
        });
        Ok((change.before != change.after).then_some(change))
    }

    /// Whether both manifests say the name in the same line. Most do, and a large one need not be read for that.
    fn is_said(&self, batch: &Batch<'_>, hash: &FileHash) -> bool {
        let mut then = Head(Vec::new());
        // It ends with an error where the head ends.
        batch.copy_to(hash, &mut then).ok();
        let mut now = Vec::new();
        let is_file = std::fs::metadata(&self.manifest).is_ok_and(|found| found.is_file());
        if is_file && let Ok(file) = File::open(&self.manifest) {
            file.take(HEAD as u64).read_to_end(&mut now).ok();
        }
        let line = line_of_name(&then.0);
        line.is_some() && line == line_of_name(&now)
    }
}

/// Takes the beginning of a file.
struct Head(Vec<u8>);

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = HEAD.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend(bytes.iter().take(room));
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line of the name below the header.
fn line_of_name(text: &[u8]) -> Option<&[u8]> {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find(|line| matches!(*line, b"[collection]" | b"[tool.skillmeat]"))?;
    lines
        .take_while(|line| !line.starts_with(b"["))
        .find(|line| {
            let rest = line.strip_prefix(b"name").map(<[u8]>::trim_ascii_start);
            rest.is_some_and(|rest| rest.starts_with(b"="))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_header_is_found_and_no_other() {
        let of = |text: &str| {
            line_of_name(text.as_bytes()).map(|line| String::from_utf8_lossy(line).into_owned())
        };
        let name = Some("name = \"c\"".to_owned());
        assert_eq!(
            of("# mine\n[collection]\nversion = \"1\"\nname = \"c\"\n"),
            name
        );
        assert_eq!(
            of("artifacts = []\n[tool.skillmeat]\r\nname = \"c\"\r\n"),
            name
        );
        assert_eq!(
            of("[collection]\nnames = 1\n[[artifacts]]\nname = \"a\"\n"),
            None
        );
        assert_eq!(of("collection.name = \"c\"\n"), None);
    }
}
