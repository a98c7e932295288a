//! Paths that must stay inside a folder.
//!
//! What manifests, archives and commands name is a relative path; this is the only way to make a real one
//! of it. The check is of the text, component by component; symbolic links are the reader's business.

use std::path::{Component, Path, PathBuf};

use crate::{Code, Error, Result};

/// `relative` below `root`. A leading or inner `.` is left out.
///
/// # Errors
/// [`Code::FileOutside`] for an empty or absolute path, one with `..`, or one with a NUL.
pub fn join(root: &Path, relative: &Path) -> Result<PathBuf> {
    let refuse = |why: &str| {
        Error::new(
            Code::FileOutside,
            format!("the path `{}` {why}", relative.display()),
        )
        .hint(format!("use a path below `{}`", root.display()))
        .at(root, None)
    };
    if relative.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(refuse("has a NUL in it"));
    }
    let mut joined = root.to_path_buf();
    let mut steps = 0_usize;
    for component in relative.components() {
        match component {
            Component::Normal(name) => {
                joined.push(name);
                steps += 1;
            }
            Component::CurDir => {}
            Component::ParentDir => return Err(refuse("leads out of its folder with `..`")),
            Component::RootDir | Component::Prefix(_) => return Err(refuse("is absolute")),
        }
    }
    if steps == 0 {
        return Err(refuse("names nothing"));
    }
    Ok(joined)
}

/// `path` as seen from `root`, with `/` between its parts; `None` if it is not below `root`. Bytes that are
/// no UTF-8 are replaced.
pub fn relative(root: &Path, path: &Path) -> Option<String> {
    let rest = path.strip_prefix(root).ok()?;
    let parts: Vec<_> = rest.iter().map(|part| part.to_string_lossy()).collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_paths_below_the_root_are_joined() {
        let root = Path::new("/r");
        let ok = |text: &str| join(root, Path::new(text)).unwrap();
        assert_eq!(ok("a/b.md"), Path::new("/r/a/b.md"));
        assert_eq!(ok("./a//b/"), Path::new("/r/a/b"));
        assert_eq!(ok("..a/b.."), Path::new("/r/..a/b.."));
        for bad in [
            "",
            ".",
            "./",
            "..",
            "../a",
            "a/../../b",
            "a/..",
            "/a",
            "//a",
            "a\0b",
        ] {
            let error = join(root, Path::new(bad)).unwrap_err();
            assert_eq!(error.code, Code::FileOutside, "{bad:?}");
        }
    }

    #[test]
    fn relative_paths_are_spelled_with_slashes() {
        let root = Path::new("/r");
        assert_eq!(relative(root, Path::new("/r/a/b")).as_deref(), Some("a/b"));
        assert_eq!(relative(root, Path::new("/r")), None);
        assert_eq!(relative(root, Path::new("/rx/a")), None);
    }

    proptest! {
        #[test]
        fn whatever_is_joined_stays_inside(text in "[a./\\\\\u{0}-\u{1f}]{0,20}") {
            if let Ok(path) = join(Path::new("/r"), Path::new(&text)) {
                prop_assert!(path.starts_with("/r"));
                prop_assert!(path != Path::new("/r"));
                prop_assert!(!path.components().any(|c| c == Component::ParentDir));
            }
        }
    }
}
