//! The collections that rows know, noted beside the cache: with no daemon there is nobody to ask for one whose folder is
//! gone.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Target;
use crate::fs::read_bounded;
use crate::{Error, Result};

/// The longest note, bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

fn place(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-collections");
    name.into()
}

/// Notes them, if that is not what is noted. A path that is no text is left out.
///
/// # Errors
/// What the file system says.
pub fn note_known(database: &Path, known: &[Target]) -> Result<()> {
    let mut known: Vec<&Target> = known.iter().collect();
    known.sort_by(|a, b| a.name.cmp(&b.name));
    let told = known.into_iter().filter_map(|one| {
        let path = one.path.to_str()?;
        Some(json!({"name": one.name, "path": path, "external": one.external}))
    });
    let text = format!("{:#}\n", told.collect::<Value>());
    let place = place(database);
    if read_bounded(&place, LONGEST).is_ok_and(|noted| noted == text.as_bytes()) {
        return Ok(());
    }
    put(&place, text.as_bytes()).map_err(|error| Error::io("write", &place, &error))
}

/// As a whole or not at all, but without waiting for the disk: like the rows it can be made again.
#[expect(
    clippy::disallowed_methods,
    reason = "what a power cut takes is no loss"
)]
fn put(place: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut new = place.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, place)
}

/// Those that are noted; none if the database is gone, as its rows are then, too.
pub fn known(database: &Path) -> Vec<Target> {
    let target = |one: &Value| {
        Some(Target {
            name: one.get("name")?.as_str()?.to_owned(),
            path: one.get("path")?.as_str()?.into(),
            external: one.get("external")?.as_bool()?,
        })
    };
    let noted = read_bounded(&place(database), LONGEST).ok();
    let noted = noted.filter(|_| database.is_file());
    let noted: Option<Value> = noted.and_then(|text| serde_json::from_slice(&text).ok());
    let all = noted.as_ref().and_then(Value::as_array);
    all.into_iter().flatten().filter_map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::write;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn what_is_noted_is_known_as_long_as_there_are_rows() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        let target = |name: &str| Target {
            name: name.to_owned(),
            path: Path::new("/c").join(name),
            external: name == "b",
        };
        let all = [target("b"), target("a")];
        note_known(&database, &all).unwrap();
        assert_eq!(known(&database), []);
        write(&database, b"rows", 0o600).unwrap();
        assert_eq!(known(&database), [target("a"), target("b")]);
        let inode = || std::fs::metadata(place(&database)).unwrap().ino();
        let before = inode();
        note_known(&database, &all).unwrap();
        assert_eq!(inode(), before, "the same is not written twice");
        write(&place(&database), b"[{\"name\": 1}, 2", 0o600).unwrap();
        assert_eq!(known(&database), []);
    }
}
