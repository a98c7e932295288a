//! Names of artifacts.
//!
//! The rules hold for names that we give. A name that stands on disk and breaks them is listed as it is.

use std::path::Path;

use crate::kind::Shape;
use crate::{Code, Error, Kind, Result};

/// Bytes of a name, so that a file system still takes it with an extension.
pub const MAX_BYTES: usize = 200;

/// Endings that count for nothing when a name is looked for: others give the file's name, or write it into a manifest.
pub const ENDINGS: [&str; 5] = [".md", ".txt", ".json", ".yaml", ".yml"];

/// What is before the ending of a name; none if it has no ending.
pub fn bare(name: &str) -> Option<&str> {
    let mut endings = ENDINGS.iter().filter(|_| !name.starts_with('.'));
    endings.find_map(|ending| name.strip_suffix(ending))
}

/// A name without its ending, if it has one.
pub fn bare_or_whole(name: &str) -> &str {
    bare(name).unwrap_or(name)
}

/// Checks a new name that a person gives: one that means something else where artifacts are chosen would have no effect
/// there, or too much. What is called so already keeps its name.
///
/// # Errors
///
/// As [`validate`].
pub fn validate_given(name: &str) -> Result<()> {
    validate(name)?;
    match meant_otherwise(name) {
        Some(fault) => Err(broken(name, fault)),
        None => Ok(()),
    }
}

/// What of a name means something else where things are chosen by their names; none if nothing does.
pub fn meant_otherwise(name: &str) -> Option<&'static str> {
    if name.starts_with('-') {
        Some("begins with a hyphen, as flags do")
    } else if name.contains(['*', '?', '[']) {
        Some("has a `*`, `?` or `[` in it, which make a pattern")
    } else if name.contains('=') {
        Some("has a `=` in it, which makes it a field with its value")
    } else {
        None
    }
}

/// Checks a new name.
///
/// # Errors
///
/// `usage.invalid_name`, saying which rule it breaks.
pub fn validate(name: &str) -> Result<()> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name == "." || name == ".." {
        "stands for a folder that is there already"
    } else if name.starts_with('.') {
        "starts with a dot"
    } else if name.contains(['/', '\\']) {
        "has a slash in it"
    } else if name.contains("..") {
        "has two dots in a row"
    } else if name.chars().any(|c| c.is_control() || is_invisible(c)) {
        "has a control character in it"
    } else if name.contains(':') {
        "has a colon in it, which ids split at"
    } else if name.trim() != name {
        "starts or ends with a blank"
    } else if name.len() > MAX_BYTES {
        "is longer than 200 bytes"
    } else {
        return Ok(());
    };
    Err(broken(name, fault))
}

fn broken(name: &str, fault: &str) -> Error {
    let shown: String = name.escape_debug().take(80).collect();
    Error::new(Code::InvalidName, format!("the name `{shown}` {fault}"))
        .hint("choose another: letters, digits and hyphens between them always work")
}

/// Characters that change how a line is shown without being seen: line and paragraph separators and
/// the marks of writing direction.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// The name of an artifact that is added without one: the whole name of a folder, a file's name without
/// its extension. For a file inside a folder artifact (`x/SKILL.md`, `x/hooks/hooks.json`) it is the
/// folder's. `None` if the path has no name, or none in UTF-8.
pub fn default_name(path: &Path, kind: &Kind) -> Option<String> {
    let full;
    let path = if path.file_name().is_some() {
        path
    } else {
        full = std::fs::canonicalize(path).ok()?;
        &full
    };
    let of = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
    if path.is_dir() {
        let inner = *kind == Kind::Hook && path.file_name().is_some_and(|name| name == "hooks");
        let outer = path.parent().filter(|_| inner).and_then(of);
        return outer.or_else(|| of(path));
    }
    let own = path.file_stem()?.to_str()?;
    let is_manifest = own.eq_ignore_ascii_case(kind.as_str());
    if kind.shape() == Shape::Folder || is_manifest {
        let resolved = std::fs::canonicalize(path).ok();
        let folder = resolved.as_deref().unwrap_or(path).parent()?;
        return default_name(folder, kind);
    }
    Some(own.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass() {
        for name in [
            "pdf-tools",
            "a",
            "My Skill",
            "größe",
            "日本語",
            "v1.2",
            "x_y",
            &"n".repeat(200),
        ] {
            assert_eq!(validate_given(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn bad_names_are_refused_and_say_why() {
        for (name, why) in [
            ("", "empty"),
            (".", "folder"),
            ("..", "folder"),
            (".hidden", "dot"),
            ("../evil", "dot"),
            ("a/b", "slash"),
            ("a\\b", "slash"),
            ("a..b", "two dots"),
            ("a\nb", "control"),
            ("a\0b", "control"),
            ("a\u{202e}b", "control"),
            ("a:b", "colon"),
            ("a::b", "colon"),
            (" a", "blank"),
            ("a\u{a0}", "blank"),
            (&"n".repeat(201), "longer"),
        ] {
            let error = validate(name).unwrap_err();
            assert_eq!(error.code, Code::InvalidName);
            assert!(error.message.contains(why), "{name:?}: {}", error.message);
            assert!(!error.message.chars().any(char::is_control), "{name:?}");
            assert_eq!(validate_given(name), Err(error));
        }
    }

    #[test]
    fn names_that_choose_are_not_given() {
        for (name, why) in [
            ("-", "hyphen"),
            ("-x", "hyphen"),
            ("*", "pattern"),
            ("a?", "pattern"),
            ("[a]", "pattern"),
            ("k=v", "field"),
        ] {
            assert_eq!(validate(name), Ok(()), "{name}");
            let error = validate_given(name).unwrap_err();
            assert_eq!(error.code, Code::InvalidName);
            assert!(error.message.contains(why), "{name}: {}", error.message);
        }
    }

    #[test]
    fn a_folder_gives_its_whole_name_and_a_file_its_stem() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("pack");
        std::fs::create_dir_all(home.join("my.skill")).unwrap();
        std::fs::create_dir_all(home.join("hooks")).unwrap();
        for file in [
            "my.skill/SKILL.md",
            "review.md",
            "v1.2.md",
            "hooks/hooks.json",
            "SOUL.md",
        ] {
            std::fs::File::create(home.join(file)).unwrap();
        }
        for (path, kind, name) in [
            ("my.skill", Kind::Skill, "my.skill"),
            ("my.skill/", Kind::Skill, "my.skill"),
            ("my.skill/SKILL.md", Kind::Skill, "my.skill"),
            ("my.skill/.", Kind::Skill, "my.skill"),
            ("my.skill/..", Kind::Composite, "pack"),
            ("review.md", Kind::Command, "review"),
            ("v1.2.md", Kind::Agent, "v1.2"),
            ("hooks", Kind::Hook, "pack"),
            ("hooks/hooks.json", Kind::Hook, "pack"),
            ("SOUL.md", Kind::Soul, "pack"),
        ] {
            assert_eq!(
                default_name(&home.join(path), &kind).as_deref(),
                Some(name),
                "{path}"
            );
        }
    }
}
