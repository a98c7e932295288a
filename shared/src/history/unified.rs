//! What changed in a text, as `diff -u` tells it.

use std::time::Duration;

use similar::{Algorithm, TextDiff};

/// Lines around a change.
const CONTEXT: usize = 3;

/// How long the smallest difference is looked for.
const PATIENCE: Duration = Duration::from_millis(200);

/// The difference of two files, where `None` is no file; `None` if one of them is no text.
pub fn unified(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> Option<String> {
    let (old, new) = (text(before)?, text(after)?);
    let name = |bytes: Option<&[u8]>, side: &str| match bytes {
        Some(_) => format!("{side}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Myers)
        .timeout(PATIENCE)
        .diff_lines(old, new);
    Some(
        diff.unified_diff()
            .context_radius(CONTEXT)
            .header(&name(before, "a"), &name(after, "b"))
            .to_string(),
    )
}

fn text(bytes: Option<&[u8]>) -> Option<&str> {
    let bytes = bytes.unwrap_or_default();
    if bytes.contains(&0) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_line_by_line() {
        let diff = unified("x/y.md", Some(b"a\nb\nc\n"), Some(b"a\nB\nc\n")).unwrap();
        assert_eq!(
            diff,
            "--- a/x/y.md\n+++ b/x/y.md\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
        );
        let made = unified("n", None, Some(b"one\n")).unwrap();
        assert_eq!(made, "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+one\n");
        assert_eq!(unified("n", Some(b"same"), Some(b"same")).unwrap(), "");
    }

    #[test]
    fn what_is_no_text_has_no_difference_in_lines() {
        assert_eq!(unified("n", Some(b"a\0b"), Some(b"")), None);
        assert_eq!(unified("n", None, Some(b"\xff")), None);
    }
}
