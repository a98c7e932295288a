//! Patterns of paths, as shells expand them: `*`, `?` and `[a-z]` in the parts of a path.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::pattern;
use crate::{Code, Error, Result};

/// The most paths that one pattern may stand for.
pub const MAX_PATHS: usize = 10_000;

/// Entries of folders that are looked at for one pattern.
const MAX_ENTRIES: usize = 500_000;

/// Whether a path has the signs of a pattern in it.
pub fn is_pattern(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether a name fits a pattern, which may be the name itself.
pub fn fits(pattern: &str, name: &str) -> bool {
    pattern == name || pattern::matches(pattern.as_bytes(), name.as_bytes())
}

/// The files and folders that fit a pattern, by name. Hidden ones fit only a part that begins with a dot.
///
/// # Errors
/// [`Code::FileNotFound`] if none fits; [`Code::FileTooLarge`] if more than [`MAX_PATHS`] do.
pub fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let mut seen = 0;
    for part in path.components() {
        let mut next = Vec::new();
        match part {
            Component::Normal(name) if is_pattern(Path::new(name)) => {
                let pattern = name.as_encoded_bytes();
                for folder in &found {
                    next.extend(
                        fitting(folder, pattern, &mut seen)
                            .into_iter()
                            .map(|name| folder.join(name)),
                    );
                }
            }
            part => next.extend(found.iter().map(|folder| folder.join(part))),
        }
        if next.len() > MAX_PATHS || seen > MAX_ENTRIES {
            let message = format!(
                "`{}` stands for more than {MAX_PATHS} paths",
                path.display()
            );
            return Err(Error::new(Code::FileTooLarge, message)
                .hint("name the folder that holds them, with `--all`"));
        }
        found = next;
    }
    found.retain(|path| fs::symlink_metadata(path).is_ok());
    if found.is_empty() {
        let message = format!("nothing fits the pattern `{}`", path.display());
        return Err(Error::new(Code::FileNotFound, message).at(path, None));
    }
    Ok(found)
}

/// The names in a folder that fit, sorted. A folder that can't be read has none.
fn fitting(folder: &Path, pattern: &[u8], seen: &mut usize) -> Vec<OsString> {
    let folder = if folder == Path::new("") {
        Path::new(".")
    } else {
        folder
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        *seen += 1;
        if *seen > MAX_ENTRIES {
            break;
        }
        let name = entry.file_name();
        let bytes = name.as_encoded_bytes();
        let is_hidden = bytes.starts_with(b".") && !pattern.starts_with(b".");
        if !is_hidden && pattern::matches(pattern, bytes) {
            names.push(name);
        }
    }
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["a/pdf-one", "a/pdf-two", "b/pdf-one", "b/.pdf-hidden", "c"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        let found = |pattern: &str| {
            let found = expand(&at(pattern)).unwrap();
            let below = found.iter().map(|path| path.strip_prefix(folder.path()));
            let below: Vec<String> = below.map(|p| p.unwrap().display().to_string()).collect();
            below.join(" ")
        };
        assert_eq!(found("*/pdf-*"), "a/pdf-one a/pdf-two b/pdf-one");
        assert_eq!(found("[!a]/pdf-on?"), "b/pdf-one");
        assert_eq!(found("[a-b]/pdf-[ot]*o"), "a/pdf-two");
        assert_eq!(found("b/.pdf*"), "b/.pdf-hidden");
        assert_eq!(found("a"), "a");
        for none in ["d/*", "*/none", "c/*"] {
            let error = expand(&at(none)).unwrap_err();
            assert_eq!(error.code, Code::FileNotFound, "{none}");
        }
        assert!(!is_pattern(&at("a/pdf-one")));
    }
}
